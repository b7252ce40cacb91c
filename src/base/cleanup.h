/* Scope-bound cleanup: what a function acquires is released on every path
 * out of it, without goto. Use CLEAN(free) char *s = NULL; the variable must
 * be initialised before the first return. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEAN(kind) __attribute__((cleanup(cleanup_##kind)))

static inline void cleanup_free(void *pp)
{
	free(*(void **)pp);
}

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* Hands ownership out of a CLEAN variable: the variable becomes NULL / -1. */
#define STEAL(ptr)                                                                                 \
	({                                                                                         \
		__typeof__(ptr) stolen_ = (ptr);                                                   \
		(ptr) = NULL;                                                                      \
		stolen_;                                                                           \
	})

static inline int steal_fd(int *fd)
{
	int r = *fd;
	*fd = -1;
	return r;
}

#endif
