/* Builds images into one OCI layout, each after its base. What was built from the same
 * inputs before is not built again; the layout on disk is the old one or the new one. */
#ifndef OCIBUILD_BUILD_H
#define OCIBUILD_BUILD_H

#include <stdbool.h>

#include "base/err.h"
#include "ocibuild/current.h"
#include "ocibuild/oci/layer.h"

/* One image of a run. */
struct build_image {
	const struct spec *spec;
	struct build_image *base; /* NULL: stands on nothing */
	struct layer layer;
	bool wanted, filled, done;
	bool made; /* result: false when it was there already */
	char inputs[65];
	char version[96];
	/* {inputs, manifest, manifest_size, size, unpacked, version, tags, layers} */
	json_t *state;
};

struct build {
	const struct current *cur;
	char dir[3072];	  /* the layout: build/images */
	char state[3072]; /* what is remembered: build/images.json */
	json_t *known;	  /* by name; from an earlier run */
	struct build_image *v;
	size_t n;
};

/* All definitions with the stanza `image`, and what is known of them. */
int build_open(struct build *b, const struct current *cur, struct err *e);
void build_free(struct build *b);
static inline void cleanup_build(struct build *b)
{
	build_free(b);
}
struct build_image *build_find(struct build *b, const char *name);
/* Whether the image on disk is the one that its inputs give; inputs are filled in. */
int build_is_fresh(struct build *b, struct build_image *im, bool *fresh, struct err *e);
/* Builds the wanted images and publishes the layout. */
int build_run(struct build *b, struct err *e);

#endif
