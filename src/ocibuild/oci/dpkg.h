/* Package data for scanners, as in images that have no dpkg: /var/lib/dpkg/status.d/NAME
 * has the control paragraph, NAME.md5sums the files that are really in the image. */
#ifndef OCIBUILD_DPKG_H
#define OCIBUILD_DPKG_H

#include "base/buf.h"
#include "base/err.h"
#include "ocibuild/oci/layer.h"

/* Adds both files for a package; control is its paragraph (deb_control). Files of the
 * layers below count too. */
int dpkg_add(struct layer *l, const char *package, const struct buf *control, struct err *e);

#endif
