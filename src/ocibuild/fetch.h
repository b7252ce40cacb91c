/* Downloads what the lock names and the cache lacks: eight at a time, straight
 * into the cache, each checked against its sha256 before it has a name there. */
#ifndef OCIBUILD_FETCH_H
#define OCIBUILD_FETCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "ocibuild/cache.h"
#include "ocibuild/lock.h"
#include "ocibuild/mirror.h"

struct fetch {
	const struct lock *lock;
	const struct cache *cache;
	const struct mirror *mirror;
	const char *image; /* only rows of this image; NULL: all */
	const char *from;  /* look here first: a cache, or a folder of .deb files */
	bool offline;	   /* never ask a mirror (mirror may be NULL) */
	bool probe;	   /* ask whether the mirror has it, download nothing */
	/* Results. gone has one bool a lock row: the mirror answered "no such file". */
	bool *gone;
	size_t ngone, nfetched, ncached;
	unsigned long long bytes;
};

/* 0 also when rows are gone (f->ngone); -1 for everything else, after which what
 * did arrive stays in the cache. */
int fetch_run(struct fetch *f, struct err *e);
void fetch_free(struct fetch *f);

#endif
