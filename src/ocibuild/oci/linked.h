/* What the linker put into the programs of an image from static libraries. Beside each
 * program that `make` links there is PROGRAM.linked, written inside the rootfs where it was
 * linked, from the linker's own map (`ocibuild linked`), in order, a line each:
 *
 *   PACKAGE VERSION ARCHIVE
 *
 * ARCHIVE (or object file, as crt1.o) has code or data in the program; sections that
 * --gc-sections dropped and debugging information do not count. */
#ifndef OCIBUILD_LINKED_H
#define OCIBUILD_LINKED_H

#include <stddef.h>

#include "base/err.h"
#include "ocibuild/lock.h"
#include "ocibuild/spec.h"

struct linked_row {
	char package[96], version[96];
	char archive[200]; /* absolute path in the rootfs */
};

struct linked {
	struct linked_row *v; /* in order of package, then archive */
	size_t n;
};

void linked_free(struct linked *l);
static inline void cleanup_linked(struct linked *l)
{
	linked_free(l);
}

/* Adds the rows of one file that are not there yet. ERR_CONFIG: malformed; IO. */
int linked_read(struct linked *l, const char *path, struct err *e);
/* All of the programs that a definition copies from the build folder into its own layer.
 * ERR_CONFIG for a static program that has no such file. */
int linked_of(struct linked *l, const struct spec *s, const char *build, struct err *e);
/* Row of the lock with this package and version; ERR_LOCK: it was linked with another one. */
const struct lock_pkg *linked_locked(const struct lock *l, const struct linked_row *r,
				     struct err *e);

/* Makes the rows from the text of a map of GNU ld (-Wl,-Map). Packages are looked up in the
 * package data below root, which is normally "/". ERR_CONFIG: a file of no package. */
int linked_from_map(struct linked *l, const char *map, size_t n, const char *root, struct err *e);

#endif
