/* The CycloneDX 1.6 document of an image, in JSON: its packages, the project and its
 * programs as components, and what depends on what. Files are in the SPDX document. */
#ifndef OCIBUILD_CYCLONEDX_H
#define OCIBUILD_CYCLONEDX_H

#include <jansson.h>

#include "ocibuild/sbom/sbom.h"

#define CYCLONEDX_TYPE "application/vnd.cyclonedx+json"

/* NULL: no memory. The same image gives the same document. */
json_t *cyclonedx_document(const struct sbom *s);

#endif
