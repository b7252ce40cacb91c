/* Packages of an image from the package data in it: dpkg's database where there is one,
 * status.d for scanners (dpkg.h), and slices that neither has. For sbom.c. */
#ifndef OCIBUILD_SBOM_PACKAGES_H
#define OCIBUILD_SBOM_PACKAGES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "ocibuild/current.h"
#include "ocibuild/oci/view.h"
#include "ocibuild/sbom/sbom.h"

/* What is kept of a file while the image is read (view_tag). */
struct sbom_tag {
	uint8_t sha1[20];
	bool elf;
	size_t text; /* number of its text plus one, 0: none */
};

struct sbom_texts {
	struct buf *v;
	size_t n;
};

/* The text of a file, when it was kept. */
bool sbom_text(const struct sbom_texts *texts, const struct view_entry *t, struct bytes *out);
/* File of exactly this path, or NULL. */
struct sbom_file *sbom_file(const struct sbom *s, const char *path);

/* Adds the packages that dpkg and status.d tell of, not sorted. PACKAGE: malformed. */
int sbom_packages_read(struct sbom *s, const struct sbom_texts *texts, struct err *e);
/* Adds packages of slices that have files here and that nothing tells of; their control
 * data is from the cache. s->v is sorted before, and not after. */
int sbom_packages_slices(struct sbom *s, const struct current *cur, struct err *e);
/* Adds what Built-Using and Static-Built-Using of a package name. PACKAGE: malformed. */
int sbom_packages_embedded(struct sbom *s, size_t package, struct err *e);
/* Gives files to packages, by dpkg's lists, the sums of status.d and the slices. */
void sbom_packages_own(struct sbom *s, const struct sbom_texts *texts);

#endif
