#include "ocibuild/oci/build.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "ocibuild/oci/fill.h"
#include "ocibuild/oci/oci.h"
#include "ui/cli.h"
#include "ui/progress.h"

/* Counted up when the same inputs give another image. */
#define BUILD_FORM 1

void build_free(struct build *b)
{
	for (size_t i = 0; i < b->n; i++) {
		layer_free(&b->v[i].layer);
		json_decref(b->v[i].state);
	}
	free(b->v);
	json_decref(b->known);
	*b = (struct build){0};
}

struct build_image *build_find(struct build *b, const char *name)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->v[i].spec->name, name) == 0)
			return &b->v[i];
	return NULL;
}

/* "project", or the upstream part of a package's version: 1:1.37.0-6+b9 is 1.37.0. */
static int choose_version(const struct lock *l, struct build_image *im, struct err *e)
{
	const char *of = image_str(&im->spec->image, "version"), *v = NULL, *end;

	if (!*of || strcmp(of, "project") == 0) {
		snprintf(im->version, sizeof(im->version), "%s", SIGNBOX_VERSION);
		return 0;
	}
	for (size_t i = 0; i < im->spec->nslices && !v; i++) {
		const struct lock_pkg *p;

		if (strcmp(im->spec->slices[i].package, of) != 0)
			continue;
		p = fill_row(l, im->spec, &im->spec->slices[i], e);
		if (!p)
			return -1;
		v = p->version;
	}
	if (!v)
		return err_set(e, ERR_CONFIG,
			       "%s: its version is that of %.60s, which is not in it",
			       im->spec->name, of);
	v = strchr(v, ':') ? strchr(v, ':') + 1 : v;
	end = strrchr(v, '-');
	snprintf(im->version, sizeof(im->version), "%.*s", (int)(end ? end - v : (int)strlen(v)),
		 v);
	im->version[strcspn(im->version, "+~")] = '\0';
	return 0;
}

static int load_known(struct build *b)
{
	struct json_doc d = {0};

	/* whatever is wrong with it: it is only a memory of what need not be done */
	if (access(b->state, F_OK) == 0 && json_parse_file(&d, b->state, 16u << 20, NULL) == 0 &&
	    json_is_object(d.root))
		b->known = json_incref(d.root);
	json_doc_free(&d);
	if (!b->known)
		b->known = json_object();
	return b->known ? 0 : -1;
}

int build_open(struct build *b, const struct current *cur, struct err *e)
{
	*b = (struct build){.cur = cur, .v = calloc(cur->set.n + 1, sizeof(*b->v))};
	if (!b->v)
		return err_set(e, ERR_NOMEM, NULL);
	if (snprintf(b->dir, sizeof(b->dir), "%s/images", cur->build) >= (int)sizeof(b->dir) - 16)
		return err_set(e, ERR_CONFIG, "the build folder's name is too long");
	snprintf(b->state, sizeof(b->state), "%s/images.json", cur->build);
	if (load_known(b))
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < cur->set.n; i++)
		if (cur->set.v[i].image.is)
			b->v[b->n++] = (struct build_image){.spec = &cur->set.v[i]};
	for (size_t i = 0; i < b->n; i++) {
		struct build_image *im = &b->v[i];

		if (im->spec->base && !(im->base = build_find(b, im->spec->base)))
			return err_set(e, ERR_CONFIG, "%s/%s.yaml: its base %s is no image",
				       cur->images, im->spec->name, im->spec->base);
		if (choose_version(&cur->lock, im, e))
			return -1;
	}
	return 0;
}

static struct fill fill_of(const struct build *b, struct build_image *im)
{
	return (struct fill){.spec = im->spec,
			     .lock = &b->cur->lock,
			     .cache = &b->cur->cache,
			     .images = b->cur->images,
			     .build = b->cur->build,
			     .layer = &im->layer};
}

/* This program decides what is built, as much as any other input. */
static int hash_self(struct sha256 *md, struct err *e)
{
	CLEAN(fd) int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint8_t d[32];

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot read this program (is /proc there?)");
	if (cache_digest_fd(fd, "this program", d, e))
		return -1;
	sha256_update(md, d, sizeof(d));
	return 0;
}

static int hash_json(struct sha256 *md, const json_t *j, struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 4u << 20);
	if (json_text(j, JSON_ONE_LINE, &b, e))
		return -1;
	sha256_update(md, b.p, b.len);
	return 0;
}

static int hash_definition(struct sha256 *md, const struct spec *s, struct err *e)
{
	/* the whole text of the chain: comments too, they are rare */
	for (size_t i = 0; i < s->ndocs; i++)
		if (hash_json(md, s->docs[i].root, e))
			return -1;
	return hash_json(md, s->image.config, e);
}

static int find_inputs(struct build *b, struct build_image *im, struct err *e)
{
	struct fill f = fill_of(b, im);
	struct sha256 md;
	uint8_t d[32];
	char head[160];

	if (im->inputs[0])
		return 0;
	if (im->base && find_inputs(b, im->base, e))
		return -1;
	sha256_init(&md);
	snprintf(head, sizeof(head), "form %d date %lld %s\n", BUILD_FORM,
		 (long long)b->cur->lock.date, im->version);
	sha256_update(&md, head, strlen(head));
	if (im->base)
		sha256_update(&md, im->base->inputs, 64);
	if (hash_self(&md, e) || hash_definition(&md, im->spec, e) || fill_inputs(&f, &md, e))
		return -1;
	sha256_final(&md, d);
	enc_hex(im->inputs, d, 32);
	return 0;
}

static bool has_blob(const struct build *b, const json_t *digest, const json_t *size)
{
	const char *d = json_string_value(digest);
	char path[4096];
	struct stat st;

	if (!d)
		return false;
	oci_blob_path(b->dir, d, path);
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       (!size || st.st_size == json_integer_value(size));
}

/* All blobs of a remembered image are there. */
static bool is_whole(const struct build *b, const json_t *state)
{
	json_t *l;
	size_t i;

	if (!json_array_size(json_object_get(state, "layers")) ||
	    !has_blob(b, json_object_get(state, "manifest"),
		      json_object_get(state, "manifest_size")) ||
	    !has_blob(b, json_object_get(state, "config"), NULL))
		return false;
	json_array_foreach(json_object_get(state, "layers"), i, l)
	{
		if (!has_blob(b, json_object_get(l, "digest"), json_object_get(l, "size")))
			return false;
	}
	return true;
}

int build_is_fresh(struct build *b, struct build_image *im, bool *fresh, struct err *e)
{
	json_t *old = json_object_get(b->known, im->spec->name);
	const char *inputs = json_string_value(json_object_get(old, "inputs"));

	if (find_inputs(b, im, e))
		return -1;
	*fresh = inputs && strcmp(inputs, im->inputs) == 0 && is_whole(b, old);
	return 0;
}

/* A layer in memory, of an image that may be on disk already. */
static int fill(struct build *b, struct build_image *im, struct err *e)
{
	struct fill f = fill_of(b, im);

	if (im->filled)
		return 0;
	if (im->base) {
		if (fill(b, im->base, e))
			return -1;
		im->layer.below = &im->base->layer;
	}
	im->filled = true;
	return fill_layer(&f, e);
}

/* "1.2.3" is also "1.2" and "1"; each with what Debian it is. */
static json_t *tags_of(const struct build_image *im)
{
	static const char *const tails[] = {"", "-debian", "-debian13"};
	json_t *tags = json_array();
	char v[96];

	snprintf(v, sizeof(v), "%s", im->version);
	for (char *dot = v + strlen(v); dot; dot = strrchr(v, '.')) {
		*dot = '\0';
		for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
			json_array_append_new(tags, json_sprintf("%s%s", v, tails[i]));
	}
	return tags;
}

static json_t *layer_row(const char *definition, const struct layer_blob *blob)
{
	char digest[OCI_DIGEST_LEN], diff[OCI_DIGEST_LEN];

	oci_digest(digest, blob->digest);
	oci_digest(diff, blob->diff_id);
	return json_pack("{s:s, s:s, s:s, s:I, s:I}", "definition", definition, "digest", digest,
			 "diff_id", diff, "size", (json_int_t)blob->size, "tar_size",
			 (json_int_t)blob->tar_size);
}

static int put_documents(struct build *b, struct build_image *im, json_t *layers, struct err *e)
{
	char base_name[200], config[OCI_DIGEST_LEN], manifest[OCI_DIGEST_LEN];
	struct oci_image oi = {.spec = im->spec,
			       .version = im->version,
			       .date = b->cur->lock.date,
			       .layers = layers};
	size_t config_size, manifest_size, i;
	json_int_t size, unpacked = 0;
	json_t *l;

	if (im->base) {
		snprintf(base_name, sizeof(base_name), "signbox/%s:%s", im->base->spec->name,
			 im->base->version);
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
			      unpacked, "tags", tags_of(im), "layers", layers);
	return im->state ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static int build_one(struct build *b, struct build_image *im, struct err *e)
{
	struct layer_blob blob;
	bool fresh;

	if (im->done)
		return 0;
	if (im->base && build_one(b, im->base, e))
		return -1;
	if (build_is_fresh(b, im, &fresh, e))
		return -1;
	im->done = true;
	if (fresh) {
		im->state = json_incref(json_object_get(b->known, im->spec->name));
		return 0;
	}
	CLEAN(json) json_t *layers =
		im->base ? json_copy(json_object_get(im->base->state, "layers")) : json_array();

	if (fill(b, im, e))
		return -1;
	/* a definition may change the configuration only */
	if (im->layer.n) {
		if (oci_put_layer(b->dir, &im->layer, b->cur->lock.date, &blob, e))
			return err_wrap(e, "%s", im->spec->name);
		json_array_append_new(layers, layer_row(im->spec->name, &blob));
	}
	if (!json_array_size(layers))
		return err_set(e, ERR_CONFIG, "%s/%s.yaml: nothing is in it", b->cur->images,
			       im->spec->name);
	im->made = true;
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
static int publish(struct build *b, struct err *e)
{
	CLEAN(json) json_t *all = json_object();
	CLEAN(json) json_t *index = NULL;
	CLEAN(buf) struct buf text = {0};
	json_t *list = json_array(), *tag;
	char ref[200];
	size_t k;

	for (size_t i = 0; i < b->n; i++) {
		const char *name = b->v[i].spec->name;
		json_t *s = b->v[i].state ? b->v[i].state : json_object_get(b->known, name);

		if (!s || !is_whole(b, s))
			continue;
		json_object_set(all, name, s);
		json_array_append_new(list, descriptor(s, name));
		json_array_foreach(json_object_get(s, "tags"), k, tag)
		{
			snprintf(ref, sizeof(ref), "%s:%s", name, json_string_value(tag));
			json_array_append_new(list, descriptor(s, ref));
		}
	}
	index = json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", OCI_INDEX,
			  "manifests", list);
	buf_init(&text, 16u << 20);
	if (!index || json_text(all, JSON_INDENTED, &text, e))
		return err_set(e, ERR_NOMEM, NULL);
	if (!json_equal(all, b->known) && file_replace(b->state, text.p, text.len, 0644, e))
		return -1;
	return oci_publish(b->dir, index, e);
}

int build_run(struct build *b, struct err *e)
{
	struct progress progress;
	char path[4096];
	int rc = 0;

	if (oci_open(b->dir, e))
		return -1;
	snprintf(path, sizeof(path), "%s/.images.lock", b->cur->build);
	CLEAN(fd) int held = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (held < 0 || flock(held, LOCK_EX) < 0)
		return err_errno(e, ERR_IO, "cannot lock %s", path);
	progress_start(&progress, "building images", b->n, PROGRESS_COUNT);
	for (size_t i = 0; rc == 0 && i < b->n; i++) {
		if (b->v[i].wanted)
			rc = build_one(b, &b->v[i], e);
		progress_add(&progress, 1);
	}
	progress_end(&progress);
	return rc ? -1 : publish(b, e);
}
