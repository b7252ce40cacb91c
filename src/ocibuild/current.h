/* The lock in force: the committed one (images/ocibuild.lock), or, after one of
 * its versions left the mirror, a re-lock below the build folder that stands in
 * for exactly that committed lock. */
#ifndef OCIBUILD_CURRENT_H
#define OCIBUILD_CURRENT_H

#include <stdbool.h>

#include "base/err.h"
#include "ocibuild/cache.h"
#include "ocibuild/lock.h"
#include "ocibuild/spec.h"

struct current {
	const char *images;	 /* folder of the definitions and the lock */
	const char *build;	 /* build folder */
	bool locked;		 /* only the committed lock will do */
	const char *compression; /* of layers; NULL: what is released */
	struct spec_set set;
	struct lock lock;
	struct cache cache;
	uint8_t committed[32]; /* digest of the committed lock file */
	bool is_relock;
};

/* Loads definitions, the lock in force and the cache. ERR_LOCK when the committed
 * lock was not made from these definitions, or with locked when it is replaced. */
int current_load(struct current *c, struct err *e);
void current_free(struct current *c);
static inline void cleanup_current(struct current *c)
{
	current_free(c);
}

/* Paths of the two lock files. */
void current_committed_path(const struct current *c, char out[static 4096]);
void current_relock_path(const struct current *c, char out[static 4096]);

#endif
