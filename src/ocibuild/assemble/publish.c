/* The documents of an image, and the index of all of them. */
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/assemble/build.h"
#include "ocibuild/oci/oci.h"
#include "ocibuild/sbom/referrer.h"

#define COMMIT_TAG 12 /* digits of a commit that make a tag */

/* "1.2.3" is also "1.2" and "1"; each with what Debian it is. */
static json_t *version_tags(const struct build_image *im)
{
	static const char *const tails[] = {"", "-debian", "-debian13"};
	json_t *tags = json_array();
	char v[96];

	snprintf(v, sizeof(v), "%s", im->version);
	for (char *dot = v + strlen(v); dot; dot = strrchr(v, '.')) {
		*dot = '\0';
		for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
			json_array_append_new(
				tags, json_sprintf("%s%s%s", v, tails[i], im->spec->tag_suffix));
	}
	/* of its definition's repository, what `latest` is there: hsm:testing */
	if (*im->spec->variant)
		json_array_append_new(tags, json_string(im->spec->variant));
	return tags;
}

json_t *build_tags(const struct build_image *im, const json_t *state)
{
	const json_t *known = json_object_get(state, "tags");
	/* It is only in what is attached, so no digest depends on it. Of an image that a
	 * build left alone, it is the one that was said of it last. */
	const char *commit = referrer_revision(json_object_get(state, "attached"));
	json_t *tags = known ? json_copy((json_t *)(uintptr_t)known) : version_tags(im);

	if (commit)
		json_array_append_new(
			tags, json_sprintf("%.*s%s", COMMIT_TAG, commit, im->spec->tag_suffix));
	return tags;
}

int build_attached(struct build *b, struct build_image *im, struct err *e)
{
	im->attached = json_array();
	if (!im->attached)
		return err_set(e, ERR_NOMEM, NULL);
	for (build_attach *const *f = build_attachers; *f; f++)
		if ((*f)(b, im, im->attached, e))
			return err_wrap(e, "%s", im->spec->name);
	return 0;
}

int build_keep_attached(struct build_image *im, struct err *e)
{
	json_t *state;

	if (json_equal(im->attached, json_object_get(im->state, "attached")))
		return 0;
	/* the state of an image that is not a new one is in b->known too */
	state = json_copy(im->state);
	if (!state || json_object_set(state, "attached", im->attached))
		return err_set(e, ERR_NOMEM, NULL);
	json_decref(im->state);
	im->state = state;
	return 0;
}

static int put_documents(struct build *b, struct build_image *im, json_t *layers, struct err *e)
{
	char base_name[300], config[OCI_DIGEST_LEN], manifest[OCI_DIGEST_LEN];
	struct oci_image oi = {.spec = im->spec,
			       .version = im->version,
			       .date = b->cur->lock.date,
			       .layers = layers,
			       .layer_type = b->form->media_type};
	size_t config_size, manifest_size, i;
	json_int_t size, unpacked = 0;
	json_t *l;

	if (im->base) {
		snprintf(base_name, sizeof(base_name), "signbox/%s:%s%s",
			 im->base->spec->definition, im->base->version, im->base->spec->tag_suffix);
		oi.base_name = base_name;
		oi.base_digest = json_string_value(json_object_get(im->base->state, "manifest"));
	}
	CLEAN(json) json_t *c = oci_config(&oi);

	if (!c)
		return err_set(e, ERR_NOMEM, NULL);
	if (oci_put_json(b->dir, c, config, &config_size, e))
		return -1;
	CLEAN(json) json_t *m = oci_manifest(&oi, config, config_size);

	if (!m)
		return err_set(e, ERR_NOMEM, NULL);
	if (oci_put_json(b->dir, m, manifest, &manifest_size, e))
		return -1;
	size = (json_int_t)(config_size + manifest_size);
	json_array_foreach(layers, i, l)
	{
		size += json_integer_value(json_object_get(l, "size"));
		unpacked += json_integer_value(json_object_get(l, "tar_size"));
	}
	im->state = json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:o, s:O}", "inputs", im->inputs,
			      "version", im->version, "manifest", manifest, "manifest_size",
			      (json_int_t)manifest_size, "config", config, "size", size, "unpacked",
			      unpacked, "tags", version_tags(im), "layers", layers);
	return im->state ? 0 : err_set(e, ERR_NOMEM, NULL);
}

int build_documents(struct build *b, struct build_image *im, struct err *e)
{
	CLEAN(json) json_t *layers =
		im->base ? json_copy(json_object_get(im->base->state, "layers")) : json_array();

	if (!layers || (im->row && json_array_append(layers, im->row)))
		return err_set(e, ERR_NOMEM, NULL);
	if (!json_array_size(layers))
		return err_set(e, ERR_CONFIG, "%s/%s.yaml: nothing is in it", b->cur->images,
			       im->spec->name);
	return put_documents(b, im, layers, e);
}

static json_t *descriptor(const json_t *state, const char *ref)
{
	return json_pack("{s:s, s:O, s:O, s:{s:s}, s:{s:s, s:s}}", "mediaType", OCI_MANIFEST,
			 "digest", json_object_get(state, "manifest"), "size",
			 json_object_get(state, "manifest_size"), "annotations", OCI_REF, ref,
			 "platform", "architecture", "amd64", "os", "linux");
}

/* Built now, or before and still there: an image that was not asked for stays. */
int build_publish(struct build *b, struct err *e)
{
	CLEAN(json) json_t *all = json_object();
	CLEAN(json) json_t *index = NULL;
	CLEAN(buf) struct buf text = {0};
	CLEAN(json) json_t *more = json_array();
	json_t *list = json_array(), *tag;
	char ref[200];
	size_t k;

	for (size_t i = 0; i < b->n; i++) {
		const char *name = b->v[i].spec->name;
		json_t *s = b->v[i].state ? b->v[i].state : json_object_get(b->known, name);

		if (!s || !build_is_whole(b, s))
			continue;
		json_object_set(all, name, s);
		json_array_append_new(list, descriptor(s, name));
		CLEAN(json) json_t *tags = build_tags(&b->v[i], s);

		json_array_foreach(tags, k, tag)
		{
			snprintf(ref, sizeof(ref), "%s:%s", b->v[i].spec->definition,
				 json_string_value(tag));
			json_array_append_new(list, descriptor(s, ref));
		}
		json_array_extend(more, json_object_get(s, "attached"));
	}
	json_array_extend(list, more);
	index = json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", OCI_INDEX,
			  "manifests", list);
	buf_init(&text, 16u << 20);
	if (!index || json_text(all, JSON_INDENTED, &text, e))
		return err_set(e, ERR_NOMEM, NULL);
	if (!json_equal(all, b->known) && file_replace(b->known_at, text.p, text.len, 0644, e))
		return -1;
	if (oci_publish(b->dir, index, e))
		return -1;
	build_prune_attached(b, all);
	return 0;
}
