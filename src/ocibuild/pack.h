/* Copies the tar that mmdebstrap writes into the master tar of a rootfs: without
 * what leaked in from the host, with the slices at its end, in a fixed form. */
#ifndef OCIBUILD_PACK_H
#define OCIBUILD_PACK_H

#include <stdint.h>

#include "base/err.h"
#include "ocibuild/cache.h"
#include "ocibuild/lock.h"
#include "ocibuild/spec.h"

struct pack {
	const struct spec *spec;
	const struct lock *lock;
	const struct cache *cache;
	int64_t date; /* no file is newer */
};

/* Reads a tar from in_fd, writes path (which must not be in use; on error it is
 * removed). Errors: PACKAGE, IO, DIGEST, LOCK (a slice that is not in the lock). */
int pack_rootfs(const struct pack *p, int in_fd, const char *path, struct err *e);

#endif
