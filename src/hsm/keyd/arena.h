/* One locked piece of memory for loaded keys: between guard pages, not swapped,
 * not in core dumps, not in children. Objects have size classes; a class's page
 * holds nothing else and all bookkeeping is outside. Thread-safe. */
#ifndef HSM_KEYD_ARENA_H
#define HSM_KEYD_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define ARENA_MAX_OBJECT 4096 /* bytes */

struct arena;

struct arena_stat {
	size_t size; /* bytes in all */
	size_t used; /* bytes of pages that hold objects */
	bool locked; /* the kernel took the memory lock */
};

/* bytes is rounded up to pages. A refused memory lock is no error: see
 * arena_stat. Errors: NOMEM. */
int arena_new(struct arena **out, size_t bytes, struct err *e);
/* Wipes and unmaps everything; NULL is fine. */
void arena_delete(struct arena *a);

/* n zero bytes (at most ARENA_MAX_OBJECT), aligned to 32; NULL when full. */
void *arena_alloc(struct arena *a, size_t n);
/* Wipes and releases. p is from arena_alloc, or NULL; anything else, and a second
 * release, aborts: memory is corrupt then. */
void arena_release(struct arena *a, void *p);
/* True when p points into the arena. */
bool arena_owns(const struct arena *a, const void *p);
/* Bytes that the object at p may use. */
size_t arena_usable(struct arena *a, const void *p);
void arena_stat(struct arena *a, struct arena_stat *s);

#endif
