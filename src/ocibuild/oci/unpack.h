/* Archives of images that are in no layout yet, made into one: what `docker save`,
 * `podman save` (docker-archive and oci-archive) and `ocibuild save` write, also when it is
 * compressed. Every byte is untrusted. */
#ifndef OCIBUILD_UNPACK_H
#define OCIBUILD_UNPACK_H

#include "base/err.h"
#include "ocibuild/oci/oci.h"
#include "ocibuild/scratch.h"

/* A layout in a temporary folder, which goes with unpack_free, and with this process. Start
 * with {0}. */
struct unpack {
	struct scratch scratch;
};

/* Unpacks file below TMPDIR (/tmp). Where the archive is no layout, names are those of
 * manifest.json, and digests are computed; else they are for view_open to verify. Errors:
 * PACKAGE: no archive of images, cut off, or malformed; BAD_JSON; TOO_LARGE; IO. */
int unpack_open(struct unpack *u, const char *file, struct err *e);
void unpack_free(struct unpack *u);
static inline void cleanup_unpack(struct unpack *u)
{
	unpack_free(u);
}

#endif
