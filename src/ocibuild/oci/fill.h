/* Fills the layer that a definition adds to its base: slices of packages, users, files
 * of the project, the libraries that programs need, package data. */
#ifndef OCIBUILD_FILL_H
#define OCIBUILD_FILL_H

#include "base/err.h"
#include "crypto/sha256.h"
#include "ocibuild/cache.h"
#include "ocibuild/lock.h"
#include "ocibuild/oci/layer.h"
#include "ocibuild/spec.h"

#define FILL_MAX_FILE (1u << 30) /* bytes of one file */

struct fill {
	const struct spec *spec;
	const struct lock *lock;
	const struct cache *cache;
	const char *images;  /* the project is the folder above it */
	const char *build;   /* what `build/` at the start of a copied path means */
	struct layer *layer; /* its below is the base's */
};

/* What is done, in order; each adds to f->layer. */
struct fill_step {
	const char *name;
	const char *what;
	int (*run)(const struct fill *f, struct err *e);
	/* Appends what the step is about, as text; nothing: it has nothing to do. NULL: it
	 * always has. */
	int (*about)(const struct fill *f, json_t *items, struct err *e);
};
extern const struct fill_step fill_steps[];

/* All steps. Errors name the definition's file and the step: PACKAGE, DIGEST, FETCH
 * (not in the cache), CONFIG, LOCK, IO. */
int fill_layer(const struct fill *f, struct err *e);

/* Feeds all that decides what fill_layer would do, but the definition, into md: digests
 * of packages and contents of copied files. */
int fill_inputs(const struct fill *f, struct sha256 *md, struct err *e);

/* Row of the lock that a slice of an image, or of one it stands on, is from; ERR_LOCK. */
const struct lock_pkg *fill_row(const struct lock *l, const struct spec *s,
				const struct spec_slice *sl, struct err *e);

#endif
