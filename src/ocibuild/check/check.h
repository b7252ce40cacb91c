/* The policy: rules that an image keeps, one table. Rules look at what is in the files
 * of an image, at its configuration and at its SBOM; what a definition waives, with a
 * reason, is no finding, and a waiver that nothing needs is one. */
#ifndef OCIBUILD_CHECK_H
#define OCIBUILD_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "ocibuild/oci/view.h"
#include "ocibuild/spec.h"

enum check_variant {
	CHECK_RUNTIME = 1, /* a program and what it needs */
	CHECK_COMPAT = 2,  /* with a shell, for habits and charts */
	CHECK_DEBUG = 4,   /* tools, mounted beside a container without any */
	CHECK_DEV = 8,	   /* compiler and package manager, root */
	CHECK_ALL = 15,
};

/* "runtime", …; 0: there is no such variant. */
enum check_variant check_variant_by_name(const char *name);
const char *check_variant_name(enum check_variant v);

struct check;

struct check_rule {
	const char *id;
	unsigned variants; /* to which it applies */
	bool strict;	   /* cannot be waived */
	const char *what;  /* what it demands, one line */
	const char *fix;   /* what to do about a finding */
	int (*run)(struct check *c, struct err *e);
};
/* Ends with {0}. */
extern const struct check_rule check_rules[];

struct check_finding {
	const struct check_rule *rule;
	char *path; /* "": the image as a whole */
	char *why;
	const struct spec_waiver *waiver; /* NULL: it stands */
};

/* What is known of one image; the first part is the caller's. */
struct check {
	const char *dir, *ref; /* as for view_open */
	enum check_variant variant;
	const struct spec_waiver *waivers; /* "." for the image as a whole */
	size_t nwaivers;
	const char *definition;	  /* NAME of the file whose waivers must all be needed */
	const char *waivers_file; /* the same, of a file with another path; or NULL */
	size_t inherited;	  /* waivers from this one on are of its lowest layers: */
	size_t below;		  /* so many; 0: none are */
	bool derived;		  /* others built it on an image: nothing is attached to it */
	struct progress *progress;

	struct check_finding *v; /* result, in order of rule and path */
	size_t n;
	size_t standing; /* findings without a waiver */
	char digest[OCI_DIGEST_LEN];

	/* private to the rules */
	struct view view;
	const json_t *run; /* config.config */
	json_t *owners;	   /* path: name of a package, "": the project */
	json_t *sums;	   /* path: SHA-256 by the SBOM */
	bool has_sbom;
	json_t *secrets; /* [{path, what, layer}], of hidden files too */
	const struct check_rule *rule;
	bool *used;   /* by waiver */
	bool failed;  /* out of memory while a finding was taken */
	bool is_user; /* uid and gid are numbers */
	uint32_t uid, gid;
};

/* Whether a rule is for an image of this kind. */
bool check_applies(const struct check *c, const struct check_rule *r);

/* Reads the image and applies every rule of its variant. A finding is no error; errors
 * are those of view_open. */
int check_image(struct check *c, struct err *e);
void check_free(struct check *c);
static inline void cleanup_check(struct check *c)
{
	check_free(c);
}

#endif
