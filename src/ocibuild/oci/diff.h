/* What two images differ in: files, packages, configuration. Times, compression and the
 * division into layers are no differences. */
#ifndef OCIBUILD_DIFF_H
#define OCIBUILD_DIFF_H

#include <jansson.h>

#include "base/err.h"
#include "ocibuild/oci/view.h"

struct diff_side {
	const char *dir, *ref; /* as for view_open */
	struct progress *progress;
	struct view view;
	json_t *lists;	  /* private: path of package data: [[name, version], …] */
	json_t *packages; /* name: version */
};

void diff_side_free(struct diff_side *s);
static inline void cleanup_diff_side(struct diff_side *s)
{
	diff_side_free(s);
}

/* Reads one image; errors of view_open. */
int diff_read(struct diff_side *s, struct err *e);

/* {files: [{path, change, what: [{attribute, a, b}]}], packages: [{package, change, a, b}],
 * config: [{key, a, b}]}. change: added, removed, changed; of a package also upgraded and
 * downgraded. NULL: no memory. */
json_t *diff_images(const struct diff_side *a, const struct diff_side *b);

/* Order of two versions of Debian (deb-version(7)): below, at, above 0. */
int diff_version(const char *a, const char *b);

#endif
