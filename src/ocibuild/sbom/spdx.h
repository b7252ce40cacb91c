/* The SPDX 2.3 document of an image, in JSON: the image, its packages with their source
 * packages, the project, every file with SHA-1 and SHA-256 and whose it is. */
#ifndef OCIBUILD_SPDX_H
#define OCIBUILD_SPDX_H

#include <jansson.h>

#include "ocibuild/sbom/sbom.h"

#define SPDX_TYPE "application/spdx+json"

/* NULL: no memory. The same image gives the same document. */
json_t *spdx_document(const struct sbom *s);

#endif
