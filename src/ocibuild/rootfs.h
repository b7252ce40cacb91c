/* A rootfs to work in (dev, test): mmdebstrap over the cached packages. Leaves
 * DIR/NAME.tar (the master, with owners), DIR/NAME.tar.sha256, DIR/NAME/ (its tree, for
 * bubblewrap) and DIR/NAME.stamp (digest of all inputs: nothing is done when it fits). */
#ifndef OCIBUILD_ROOTFS_H
#define OCIBUILD_ROOTFS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "ocibuild/cache.h"
#include "ocibuild/lock.h"
#include "ocibuild/spec.h"

struct rootfs {
	const struct spec *spec;
	const struct lock *lock;
	const struct cache *cache;
	const char *dir; /* build/rootfs */
	bool made;	 /* result: false when it was up to date */
};

/* All of the image's packages must be in the cache. Errors: IO, TOOL, DIGEST,
 * PACKAGE. A run that is killed leaves the old rootfs or none, never half of one. */
int rootfs_build(struct rootfs *r, struct err *e);

/* Digest, in hex, of all that decides a rootfs: form, date, packages, slices. */
int rootfs_inputs(const struct rootfs *r, char out[static 65], struct err *e);

/* A master that may be read. */
struct rootfs_master {
	int fd, held;	    /* the tar; while held is open nobody replaces it */
	uint8_t sha256[32]; /* what it was when it was made */
};
/* Opens the master when it is of these inputs; otherwise makes it. */
int rootfs_open(struct rootfs *r, struct rootfs_master *m, struct err *e);
void rootfs_close(struct rootfs_master *m);
static inline void cleanup_rootfs_master(struct rootfs_master *m)
{
	rootfs_close(m);
}

/* What rootfs_build does, in order. */
struct rootfs_work;
struct rootfs_step {
	const char *name;
	const char *what;
	int (*run)(struct rootfs_work *w, struct err *e);
};
extern const struct rootfs_step rootfs_steps[];

#endif
