/* Builds images into one OCI layout, each after its base. What was built from the same
 * inputs before is not built again; the layout on disk is the old one or the new one. */
#ifndef OCIBUILD_BUILD_H
#define OCIBUILD_BUILD_H

#include <pthread.h>
#include <stdbool.h>

#include "base/err.h"
#include "ocibuild/current.h"
#include "ocibuild/oci/layer.h"
#include "ocibuild/rootfs.h"
#include "json/json.h"

/* One image of a run. */
struct build_image {
	const struct spec *spec;
	struct build_image *base; /* NULL: stands on nothing */
	bool is_rootfs;		  /* its layer is the master tar of the rootfs of its name */
	struct layer layer;
	struct rootfs_master master; /* of a rootfs that is filled */
	pthread_mutex_t lock;	     /* of filled, layer and master until they are filled */
	bool wanted, filled, done;
	bool made; /* result: false when it was there already */
	char inputs[65];
	char version[96];
	json_t *row; /* of its own layer, while it is built; NULL: it has none */
	/* {inputs, version, manifest, manifest_size, config, size, unpacked, tags, layers,
	 * attached} */
	json_t *state;
	json_t *attached; /* what goes there; of this run */
};

struct build {
	const struct current *cur;
	const struct compress_form *form;
	const char *out;      /* folder of the layout; the build folder, but for verify */
	const char *root;     /* folder of the rootfs */
	char dir[3072];	      /* the layout: OUT/images */
	char known_at[3072];  /* what is remembered: OUT/images.json */
	unsigned jobs;	      /* threads; 0: as many as there are processors */
	json_t *known;	      /* by name; from an earlier run */
	char self[65];	      /* digest of this program */
	const char *revision; /* commit of the sources; NULL: what is known of an image stays */
	const json_t *like;   /* images.json of another build whose revisions are claimed */
	struct build_image *v;
	size_t n;
};

/* All definitions with the stanza `image`, and what is known of them. out: NULL, or the
 * folder of the layout instead of the build folder. */
int build_open(struct build *b, const struct current *cur, struct err *e);
int build_open_in(struct build *b, const struct current *cur, const char *out, struct err *e);
void build_free(struct build *b);
static inline void cleanup_build(struct build *b)
{
	build_free(b);
}
struct build_image *build_find(struct build *b, const char *name);
/* Reads what is remembered; nothing, when that is damaged. */
int build_load_known(struct build *b, struct err *e);

/* Digest of all that decides the image, in im->inputs. */
int build_inputs(struct build *b, struct build_image *im, struct err *e);
/* Whether the image on disk is the one that its inputs give; inputs are filled in. */
int build_is_fresh(struct build *b, struct build_image *im, bool *fresh, struct err *e);
/* All blobs of a remembered image are there. */
bool build_is_whole(const struct build *b, const json_t *state);
bool build_has_blob(const struct build *b, const json_t *digest, const json_t *size);
/* The image's layer and those below it; threads may ask for it at the same time. */
int build_fill(struct build *b, struct build_image *im, struct err *e);

/* Builds the wanted images and publishes the layout. */
int build_run(struct build *b, struct err *e);

/* Its tags, a list: "1.2.3", "1.2.3-debian", …, a variant's own word ("testing"), and the
 * first 12 digits of the commit that is known of it (state: what is remembered, or NULL). */
json_t *build_tags(const struct build_image *im, const json_t *state);
/* The documents of an image whose layers are there, into im->state. */
int build_documents(struct build *b, struct build_image *im, struct err *e);
/* What is attached to an image, anew or as far as it changed, into im->attached; threads
 * may do it for several images. Then, in one thread, it goes into im->state. */
int build_attached(struct build *b, struct build_image *im, struct err *e);
int build_keep_attached(struct build_image *im, struct err *e);
/* Removes what is beside the layout of images that are not in all (a key each). */
void build_prune_attached(const struct build *b, const json_t *all);
/* Index and memory: what was built now, or before and is still there. */
int build_publish(struct build *b, struct err *e);

/* What else goes with an image (SBOM, provenance): called with its manifest in
 * im->state, which has what was attached before when the image is not a new one. Appends
 * descriptors of manifests with `subject` to more: they are remembered with the image,
 * stand in the index, and their blobs stay as long as it does. */
typedef int build_attach(struct build *b, struct build_image *im, json_t *more, struct err *e);
extern build_attach *const build_attachers[]; /* NULL at the end */

#endif
