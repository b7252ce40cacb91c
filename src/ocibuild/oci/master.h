/* A layer that is the master tar of a rootfs (build/rootfs/NAME.tar): its entries are an
 * index without contents; the contents go from the tar into the blob as they are read. */
#ifndef OCIBUILD_MASTER_H
#define OCIBUILD_MASTER_H

#include <archive.h>

#include "base/err.h"
#include "ocibuild/oci/layer.h"
#include "ocibuild/spec.h"

/* Fills an empty layer from l->tar: paths, modes, owners, links, sizes, and of which
 * package a file is (dpkg's lists, and the slices of s). PACKAGE: a device, a malformed
 * name; IO. */
int master_index(struct layer *l, const struct spec *s, struct err *e);

/* Copies l->tar into an open archive, in its order, and checks it against
 * l->tar_sha256 (ERR_DIGEST). Digests of files go into the index. */
int master_copy(struct layer *l, struct archive *to, struct err *e);

#endif
