/* Image definitions, images/NAME.yaml: what is in an image, by suite and never by
 * version (versions are in the lock). A definition may stand on another one. */
#ifndef OCIBUILD_SPEC_H
#define OCIBUILD_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ocibuild/image.h"
#include "json/json.h"

/* Some files of one package, without its dependencies and scripts. */
struct spec_slice {
	const char *package, *suite;
	bool any;	    /* of suite or any other of the definition's: the newest */
	const char **files; /* glob patterns below the root; the ending / ** is all below */
	size_t nfiles;
	const char *concat; /* all files, in order of name, become this one; or NULL */
	/* Why it is there, when it has no patterns: its code is linked into programs of
	 * the image, or its libraries are taken as far as programs need them. */
	bool linked, libraries;
};

struct spec {
	char name[64];
	const char *summary;
	const char *base; /* name of the definition it stands on, or NULL */
	bool essential;	  /* also what the suite marks as essential */
	/* These three hold the base's entries too, which come first. */
	const char **suites;
	size_t nsuites;
	const char **packages;
	size_t npackages;
	struct spec_slice *slices;
	size_t nslices, own_slices; /* own_slices: number of the first that is not the base's */
	struct image image;
	struct json_doc docs[8]; /* own the strings: this one, its base, … */
	size_t ndocs;
};

/* Reads dir/name.yaml and what it stands on. Unknown keys, wrong types, cycles and
 * malformed names are ERR_CONFIG with file and line. */
int spec_load(struct spec *s, const char *dir, const char *name, struct err *e);
void spec_free(struct spec *s);

/* All definitions of a directory in order of name. */
struct spec_set {
	struct spec *v;
	size_t n;
};
int spec_load_all(struct spec_set *set, const char *dir, struct err *e);
void spec_set_free(struct spec_set *set);
static inline void cleanup_spec_set(struct spec_set *set)
{
	spec_set_free(set);
}
/* The definition of that name, or NULL. */
const struct spec *spec_find(const struct spec_set *set, const char *name);

/* Digest of everything in the definitions that decides what is locked; comments
 * and file lists of slices do not count. */
int spec_digest(const struct spec_set *set, uint8_t out[static 32], struct err *e);

/* True when the slice is of this row of the lock. */
bool spec_slice_of(const struct spec_slice *sl, const char *suite, const char *package);

/* True when path (without a leading slash) matches a pattern of the slice; *which
 * is the pattern's number. */
bool spec_slice_match(const struct spec_slice *sl, const char *path, size_t *which);

#endif
