/* What differs first between two layers: for `ocibuild verify`. */
#ifndef OCIBUILD_VERIFY_TAR_H
#define OCIBUILD_VERIFY_TAR_H

#include "base/err.h"

struct verify_tar {
	char path[4096];       /* "": the tar itself */
	const char *attribute; /* NULL: nothing differs */
	char was[256], is[256];
};

/* Reads two compressed layers entry by entry; the first difference, and for contents the
 * offset of the first byte. PACKAGE: one of them is damaged. */
int verify_tar(const char *was, const char *is, struct verify_tar *out, struct err *e);

#endif
