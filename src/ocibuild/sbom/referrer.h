/* Documents about an image (SBOMs, provenance), attached to it as OCI 1.1 referrers: each
 * is an artifact manifest in the layout whose subject is the image's manifest, and a row
 * in index.json without a name. The same documents are in files beside the layout. */
#ifndef OCIBUILD_REFERRER_H
#define OCIBUILD_REFERRER_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "ocibuild/current.h"
#include "ocibuild/spec.h"

struct referrer_kind {
	const char *name; /* of `ocibuild sbom --format` */
	const char *type; /* media type of the document, and artifact type */
	const char *tail; /* of the file beside the layout */
	const char *what; /* description of the artifact */
	bool read;	  /* it takes reading the image's layers */
};
/* All kinds, the provenance last: it names the others. A row without a name ends it. */
extern const struct referrer_kind referrer_kinds[];
const struct referrer_kind *referrer_find(const char *name);

struct referrer_src {
	const struct current *cur;
	const struct spec *spec;
	const char *dir;     /* the layout */
	const char *folder;  /* where the files for people go */
	const char *version; /* of the image */
	const char *digest;  /* of its manifest */
	int64_t size;
	const char *base_digest; /* NULL: stands on nothing */
	const char *revision;	 /* commit of the sources; NULL: not known */
	/* Rows of an earlier run for the same inputs, or NULL: SBOMs that are still whole are
	 * not made again. */
	const json_t *known;
};

/* Makes the documents and their artifact manifests, as blobs. Descriptors for
 * index.json are appended to rows. Errors: of sbom_read and provenance_statement, IO. */
int referrer_attach(const struct referrer_src *src, json_t *rows, struct err *e);

/* The commit that the provenance among rows names, or NULL. */
const char *referrer_revision(const json_t *rows);

/* Removes the files for people of images that are no key of images. */
void referrer_prune(const char *folder, const json_t *images);

/* Appends the document of a kind; DIGEST: it was changed; NOT_FOUND. */
int referrer_read(const char *dir, const json_t *rows, const struct referrer_kind *k,
		  struct buf *out, struct err *e);

#endif
