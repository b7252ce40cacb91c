/* What is in a built image, and whose it is: the model that every document about the
 * image is made from. It is read from the image itself (its layers in the layout and the
 * package data in them) and the lock, so that the documents say what is really there. */
#ifndef OCIBUILD_SBOM_H
#define OCIBUILD_SBOM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ocibuild/current.h"
#include "ocibuild/oci/oci.h"
#include "ocibuild/spec.h"

#define SBOM_PROJECT SIZE_MAX
#define SBOM_VENDOR "Signbox"
#define SBOM_LICENCE "Apache-2.0" /* of the project's own files */

/* One regular file; files that are the same by hard links are there under each name. */
struct sbom_file {
	const char *path; /* below the root, without a leading slash */
	uint8_t sha1[20], sha256[32];
	uint64_t size;
	size_t package; /* number of its package, or SBOM_PROJECT */
	bool elf;
};

struct sbom_package {
	char name[128], version[128], arch[16];
	char source[128], source_version[128]; /* equal to name and version when it has no other */
	char maintainer[256], homepage[256];
	char *licence;	   /* SPDX expression */
	char *depends;	   /* Pre-Depends and Depends, as written */
	char *built_using; /* Built-Using and Static-Built-Using, as written */
	char *purl, *source_purl;
	const struct lock_pkg *row; /* NULL: not of the lock */
	bool linked;		    /* its code is in programs of the project */
	bool installed;		    /* dpkg knows it as installed; else it is a slice */
	bool untold;		    /* a slice that only the definition tells of */
	size_t nfiles;
	uint64_t size; /* of its files here */
};

/* A package whose code is in a program of the project; both by number. */
struct sbom_link {
	size_t file, package;
};

/* A source package whose code Debian linked into a package (Go, Rust, static programs). */
struct sbom_embed {
	size_t package;
	char name[128], version[128];
	char *purl;
};

struct sbom {
	const struct spec *spec;
	const char *version, *base_name, *base_digest; /* base: NULL without one */
	char tag[192];				       /* version and what its tags end with */
	char digest[OCI_DIGEST_LEN];		       /* of the manifest */
	char when[32];				       /* date of the lock */
	char *purl;
	struct sbom_package *v; /* in order of name */
	size_t n;
	struct sbom_file *files; /* in order of path */
	size_t nfiles;
	struct sbom_link *links;
	size_t nlinks;
	struct sbom_embed *embeds;
	size_t nembeds;
	json_t *licences;  /* LicenseRef-…: {name, text} */
	struct view *view; /* private: owns the paths */
};

/* Where the image is. */
struct sbom_src {
	const struct current *cur;
	const struct spec *spec;
	const char *dir;     /* the layout */
	const char *digest;  /* of the manifest: "sha256:…" */
	const char *version; /* of the image */
};

/* Reads the image. DIGEST: a blob was changed; PACKAGE: malformed package data, or data of
 * a package without its files; IO. */
int sbom_read(struct sbom *s, const struct sbom_src *src, struct err *e);
void sbom_free(struct sbom *s);
static inline void cleanup_sbom(struct sbom *s)
{
	sbom_free(s);
}

/* Package that a file is of, by name; NULL: not in the image. */
const struct sbom_package *sbom_find(const struct sbom *s, const char *name);
/* Whether a file is a program of the project. */
bool sbom_is_program(const struct sbom_file *f);
/* Whether the project linked this package into this program. */
bool sbom_is_linked(const struct sbom *s, const struct sbom_file *program,
		    const struct sbom_package *p);
/* "linked", "files", "installed": why the package is there. */
const char *sbom_why(const struct sbom_package *p);
/* A name-based UUID (RFC 9562, version 5) for a document about this image. */
void sbom_uuid(const struct sbom *s, const char *kind, char out[static 37]);

#endif
