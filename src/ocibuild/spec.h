/* Image definitions, images/NAME.yaml: what is in an image, by suite and never by
 * version (versions are in the lock). A definition may stand on another one, and may
 * have variants: short deltas, each an image NAME-VARIANT of its own.
 *
 * A variant without a base stands on its definition's image and adds a layer to it. One
 * with a base has all that its definition has, on that base instead, and then its own. */
#ifndef OCIBUILD_SPEC_H
#define OCIBUILD_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ocibuild/image.h"
#include "json/json.h"

#define SPEC_MAX_CHAIN 8 /* images on each other */

/* Some files of one package, without its dependencies and scripts. */
struct spec_slice {
	const char *package, *suite;
	bool any;	    /* of suite or any other of the definition's: the newest */
	const char **files; /* glob patterns below the root; the ending / ** is all below */
	size_t nfiles;
	const char *concat; /* all files, in order of name, become this one; or NULL */
	/* It has no patterns: libraries are taken from it as far as programs need them. */
	bool libraries;
};

/* A rule of `ocibuild check` that some files of an image break, and why they may. Those of
 * its bases come first: their files are in it. */
struct spec_waiver {
	const char *rule;
	const char *path; /* pattern of a path below the root, for spec_glob() */
	const char *reason;
	const char *definition; /* the file that says so: images/nats.yaml */
};

struct spec {
	char name[64];	     /* of the image: box, box-dev */
	char definition[64]; /* images/box.yaml; also the image's repository */
	char variant[64];    /* dev, or "" */
	char tag_suffix[65]; /* what each of its tags ends with: "-dev", or "" */
	const char *summary;
	char *base; /* name of what it stands on, or NULL */
	/* Names of it and all it stands on, the lowest last: box-compat, box, static. */
	char chain[SPEC_MAX_CHAIN][64];
	size_t nchain;
	bool essential; /* also what the suite marks as essential */
	/* These hold the bases' entries too, which come first; own_…: number of the first
	 * that is not theirs. */
	const char **suites;
	size_t nsuites;
	const char **packages;
	size_t npackages, own_packages;
	struct spec_slice *slices;
	size_t nslices, own_slices;
	struct spec_waiver *waivers;
	size_t nwaivers;
	/* Commands that are run in the image (spec_checks.h has the form): its definition's
	 * and its variant's, not its base's. */
	json_t *tests;
	struct image image;
	struct json_doc docs[SPEC_MAX_CHAIN]; /* own the strings: this one, its base, … */
	size_t ndocs;
};

/* Reads dir/NAME.yaml, or for NAME-VARIANT that variant of it, and what it stands on.
 * Unknown keys, wrong types, cycles and malformed names are ERR_CONFIG with file and line. */
int spec_load(struct spec *s, const char *dir, const char *name, struct err *e);
void spec_free(struct spec *s);

/* All definitions of a directory and their variants, in order of name. */
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
/* The definition or variant of that name, or NULL. */
const struct spec *spec_find(const struct spec_set *set, const char *name);

/* An image on the layers of another one: what its base has is locked for that one. */
bool spec_stands(const struct spec *s);
/* It is filled from a root file system of its own, in which packages are installed. */
bool spec_rootfs(const struct spec *s);

/* Digest of everything in the definitions that decides what is locked; comments
 * and file lists of slices do not count. */
int spec_digest(const struct spec_set *set, uint8_t out[static 32], struct err *e);

/* True when the slice is of this row of the lock. */
bool spec_slice_of(const struct spec_slice *sl, const char *suite, const char *package);

/* fnmatch(3) where * and ? match no slash; a pattern that ends with / ** (without the
 * space) is all below. Paths have no slash at the start. */
bool spec_glob(const char *pattern, const char *path);
/* True when path (without a leading slash) matches a pattern of the slice; *which
 * is the pattern's number. */
bool spec_slice_match(const struct spec_slice *sl, const char *path, size_t *which);

#endif
