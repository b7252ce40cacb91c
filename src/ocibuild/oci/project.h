/* Files of a layer that are of no package: /etc/passwd and /etc/group, what is copied from
 * the project or the build, links, texts, directories, and lines set in files of packages. */
#ifndef OCIBUILD_PROJECT_H
#define OCIBUILD_PROJECT_H

#include "ocibuild/oci/fill.h"

/* Steps of fill_layer. CONFIG: what the definition asks for is not there; IO. */
int project_users(const struct fill *f, struct err *e);
int project_files(const struct fill *f, struct err *e);
/* Feeds names, modes and contents of all that is copied into md. */
int project_inputs(const struct fill *f, struct sha256 *md, struct err *e);

#endif
