#include <string.h>

#include "ocibuild/assemble/build.h"
#include "ocibuild/sbom/referrer.h"

/* The commit that is claimed: that of the command line, else what was said of an image from
 * the same inputs. */
static const char *revision_of(const struct build *b, const struct build_image *im)
{
	const json_t *old = json_object_get(b->like ? b->like : b->known, im->spec->name);
	const char *inputs = json_string_value(json_object_get(old, "inputs"));

	if (b->revision)
		return b->revision;
	return inputs && strcmp(inputs, im->inputs) == 0
		       ? referrer_revision(json_object_get(old, "attached"))
		       : NULL;
}

static void folder_of(const struct build *b, char out[static 4096])
{
	snprintf(out, 4096, "%s/sbom%s", b->out, b->form->tail);
}

void build_prune_attached(const struct build *b, const json_t *all)
{
	char folder[4096];

	folder_of(b, folder);
	referrer_prune(folder, all);
}

/* SBOMs and provenance. */
static int documents(struct build *b, struct build_image *im, json_t *more, struct err *e)
{
	const json_t *known = json_object_get(im->state, "attached");
	const json_t *base = im->base ? im->base->state : NULL;
	char folder[4096];
	const struct referrer_src src = {
		.cur = b->cur,
		.spec = im->spec,
		.dir = b->dir,
		.folder = folder,
		.version = im->version,
		.digest = json_string_value(json_object_get(im->state, "manifest")),
		.size = json_integer_value(json_object_get(im->state, "manifest_size")),
		.base_digest = json_string_value(json_object_get(base, "manifest")),
		.revision = revision_of(b, im),
		.known = known,
	};

	folder_of(b, folder);
	return referrer_attach(&src, more, e);
}

build_attach *const build_attachers[] = {
	documents,
	NULL,
};
