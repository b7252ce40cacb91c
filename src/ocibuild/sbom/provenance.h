/* How an image was made: an in-toto Statement v1 about its manifest with a SLSA v1
 * provenance predicate. Nothing of the host is in it (no time, no name, no path), so that
 * everybody who builds the same gets the same statement. */
#ifndef OCIBUILD_PROVENANCE_H
#define OCIBUILD_PROVENANCE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "ocibuild/current.h"
#include "ocibuild/spec.h"

#define PROVENANCE_TYPE "application/vnd.in-toto+json"
#define PROVENANCE_PREDICATE "https://slsa.dev/provenance/v1"
/* What externalParameters and resolvedDependencies mean is in docs/ARCHITECTURE.md. */
#define PROVENANCE_BUILD_TYPE "urn:signbox:ocibuild:build:1"
#define PROVENANCE_BUILDER "urn:signbox:ocibuild"

struct provenance {
	const struct current *cur;
	const struct spec *spec;
	const char *version, *tag;
	const char *digest;	  /* of the manifest: "sha256:…" */
	const char *base_digest;  /* NULL: stands on nothing */
	const char *revision;	  /* commit of the sources; NULL: not known */
	const json_t *byproducts; /* [{name, digest, …}]: the other documents */
};

/* The statement; NULL with *e set. LOCK: a package is not in the lock; IO. */
json_t *provenance_statement(const struct provenance *p, struct err *e);

/* 40 or 64 lower-case hex digits. */
bool provenance_is_revision(const char *s);

#endif
