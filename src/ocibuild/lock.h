/* The lock file: every package of every image by version and sha256. Lines of
 * words separated by one space; `ocibuild lock` writes it, nobody edits it.
 *
 *   ocibuild-lock 1
 *   definitions <sha256 of the package lists it was made from>
 *   date <newest Release date>
 *   release <archive> <suite> <Release date>
 *   package <archive> <suite> <name> <version> <arch> <sha256> <size> <pool path> <image,…>
 */
#ifndef OCIBUILD_LOCK_H
#define OCIBUILD_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define LOCK_MAX_BYTES (8u << 20)
#define LOCK_MAX_ROWS 20000

struct lock_release {
	char archive[32], suite[40];
	int64_t date; /* seconds since 1970 */
};

struct lock_pkg {
	char archive[32], suite[40], name[96], version[96], arch[16];
	uint8_t sha256[32];
	uint64_t size;
	char path[256];	  /* below the archive's address: pool/… */
	char images[256]; /* comma-separated names of the images that use it */
};

struct lock {
	struct lock_release *rel;
	size_t nrel;
	struct lock_pkg *pkg; /* in order of suite, then name */
	size_t npkg;
	uint8_t definitions[32];
	uint8_t replaces[32]; /* a re-lock: digest of the lock it stands in for */
	bool is_relock;
	int64_t date;
};

/* Reads the text of a lock; name is for messages ("images/lock:12: …").
 * Anything that is not exactly the format is ERR_LOCK. */
int lock_parse(struct lock *l, const char *name, const void *text, size_t n, struct err *e);
int lock_load(struct lock *l, const char *path, struct err *e);
void lock_free(struct lock *l);
static inline void cleanup_lock(struct lock *l)
{
	lock_free(l);
}

/* Appends a row (no check for duplicates until lock_finish). */
int lock_add(struct lock *l, const struct lock_pkg *p, struct err *e);
int lock_add_release(struct lock *l, const struct lock_release *r, struct err *e);
/* Sorts, merges equal rows of several images, sets the date; a package with two
 * versions in one suite is ERR_LOCK. */
int lock_finish(struct lock *l, struct err *e);
/* Appends the text form. */
void lock_render(const struct lock *l, struct buf *out);

/* True when image uses this row. */
bool lock_pkg_in(const struct lock_pkg *p, const char *image);
/* Row of a package in a suite or its security suite; NULL: none. */
const struct lock_pkg *lock_find(const struct lock *l, const char *suite, const char *name);
/* Checks the characters of every field of a row; ERR_LOCK names the field. */
int lock_pkg_check(const struct lock_pkg *p, struct err *e);

/* "2026-01-31T00:00:00Z", and back (-1: not of this form). */
void lock_date_text(int64_t t, char out[static 32]);
int lock_date_parse(const char *s, int64_t *t);

#endif
