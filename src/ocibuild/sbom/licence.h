/* Licences of a Debian package as an SPDX expression, as far as its copyright file is
 * machine-readable (DEP-5); what SPDX has no name for becomes a LicenseRef with text. */
#ifndef OCIBUILD_LICENCE_H
#define OCIBUILD_LICENCE_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* All LicenseRefs of a document: id to {name, text}. The same text under one name is one
 * reference, whichever package has it. */
struct licence_refs {
	json_t *by_id;
};

/* Reads the copyright file that is at path in the image. What it says about every part of
 * the source is joined by AND. The result (to be freed) is NULL without memory. */
char *licence_read(struct licence_refs *refs, const char *path, struct bytes text, struct err *e);

/* The SPDX name of one Debian licence name ("GPL-2+"), or NULL. */
const char *licence_spdx(const char *debian);

#endif
