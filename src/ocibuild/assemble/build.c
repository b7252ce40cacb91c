#include "ocibuild/assemble/build.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "ocibuild/oci/fill.h"
#include "ocibuild/oci/master.h"
#include "ocibuild/oci/oci.h"
#include "ui/cli.h"

/* Counted up when the same inputs give another image. */
#define BUILD_FORM 2

void build_free(struct build *b)
{
	for (size_t i = 0; i < b->n; i++) {
		layer_free(&b->v[i].layer);
		rootfs_close(&b->v[i].master);
		pthread_mutex_destroy(&b->v[i].lock);
		json_decref(b->v[i].row);
		json_decref(b->v[i].state);
		json_decref(b->v[i].attached);
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

int build_load_known(struct build *b, struct err *e)
{
	struct json_doc d = {0};

	json_decref(b->known);
	b->known = NULL;
	/* whatever is wrong with it: it is only a memory of what need not be done */
	if (access(b->known_at, F_OK) == 0 &&
	    json_parse_file(&d, b->known_at, 16u << 20, NULL) == 0 && json_is_object(d.root))
		b->known = json_incref(d.root);
	json_doc_free(&d);
	if (!b->known)
		b->known = json_object();
	return b->known ? 0 : err_set(e, ERR_NOMEM, NULL);
}

/* Packages are installed in what stands on nothing; above that there are slices. */
static int choose_kind(const struct build *b, struct build_image *im, struct err *e)
{
	const struct spec *s = im->spec;

	im->is_rootfs = spec_rootfs(s);
	if (im->base && s->npackages > im->base->spec->npackages)
		return err_set(e, ERR_CONFIG,
			       "%s/%s.yaml: packages are installed only in an image without a "
			       "base: take slices",
			       b->cur->images, s->name);
	if (im->is_rootfs && s->image.nfiles)
		return err_set(e, ERR_CONFIG, "%s/%s.yaml: with packages there are no files",
			       b->cur->images, s->name);
	return 0;
}

static int choose_places(struct build *b, const char *out, struct err *e)
{
	const struct current *cur = b->cur;

	b->form = compress_find(cur->compression);
	if (!b->form)
		return cli_usage(e, "there is no compression '%.40s'", cur->compression);
	b->out = out ? out : cur->build;
	b->root = cur->build;
	if (snprintf(b->dir, sizeof(b->dir), "%s/images%s", b->out, b->form->tail) >=
	    (int)sizeof(b->dir) - 16)
		return err_set(e, ERR_CONFIG, "the build folder's name is too long");
	snprintf(b->known_at, sizeof(b->known_at), "%s/images%s.json", b->out, b->form->tail);
	return 0;
}

int build_open_in(struct build *b, const struct current *cur, const char *out, struct err *e)
{
	*b = (struct build){.cur = cur, .v = calloc(cur->set.n + 1, sizeof(*b->v))};
	if (!b->v)
		return err_set(e, ERR_NOMEM, NULL);
	if (choose_places(b, out, e) || build_load_known(b, e))
		return -1;
	for (size_t i = 0; i < cur->set.n; i++) {
		struct build_image *im = &b->v[b->n];

		if (!cur->set.v[i].image.is)
			continue;
		*im = (struct build_image){.spec = &cur->set.v[i],
					   .master = {.fd = -1, .held = -1}};
		pthread_mutex_init(&im->lock, NULL);
		b->n++;
	}
	for (size_t i = 0; i < b->n; i++) {
		struct build_image *im = &b->v[i];

		if (im->spec->base && !(im->base = build_find(b, im->spec->base)))
			return err_set(e, ERR_CONFIG, "%s/%s.yaml: its base %s is no image",
				       cur->images, im->spec->name, im->spec->base);
		if (choose_kind(b, im, e) || choose_version(&cur->lock, im, e))
			return -1;
	}
	return 0;
}

int build_open(struct build *b, const struct current *cur, struct err *e)
{
	return build_open_in(b, cur, NULL, e);
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
static int hash_self(struct build *b, struct err *e)
{
	CLEAN(fd) int fd = b->self[0] ? -1 : open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	uint8_t d[32];

	if (b->self[0])
		return 0;
	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot read this program (is /proc there?)");
	if (cache_digest_fd(fd, "this program", d, e))
		return -1;
	enc_hex(b->self, d, 32);
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

static struct rootfs rootfs_of(const struct build *b, const struct build_image *im,
			       char dir[static 4096])
{
	snprintf(dir, 4096, "%s/rootfs", b->root);
	return (struct rootfs){
		.spec = im->spec, .lock = &b->cur->lock, .cache = &b->cur->cache, .dir = dir};
}

static int hash_contents(struct build *b, struct build_image *im, struct sha256 *md, struct err *e)
{
	struct fill f = fill_of(b, im);
	char dir[4096], hex[65];
	struct rootfs r = rootfs_of(b, im, dir);

	if (!im->is_rootfs)
		return fill_inputs(&f, md, e);
	if (rootfs_inputs(&r, hex, e))
		return -1;
	sha256_update(md, hex, 64);
	return 0;
}

int build_inputs(struct build *b, struct build_image *im, struct err *e)
{
	struct sha256 md;
	uint8_t d[32];
	char head[240];

	if (im->inputs[0])
		return 0;
	if (im->base && build_inputs(b, im->base, e))
		return -1;
	if (hash_self(b, e))
		return -1;
	sha256_init(&md);
	snprintf(head, sizeof(head), "form %d %s date %lld %s\n", BUILD_FORM, b->form->name,
		 (long long)b->cur->lock.date, im->version);
	sha256_update(&md, head, strlen(head));
	sha256_update(&md, b->self, 64);
	if (im->base)
		sha256_update(&md, im->base->inputs, 64);
	if (hash_definition(&md, im->spec, e) || hash_contents(b, im, &md, e))
		return -1;
	sha256_final(&md, d);
	enc_hex(im->inputs, d, 32);
	return 0;
}

bool build_has_blob(const struct build *b, const json_t *digest, const json_t *size)
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

/* A document's blobs, for one that is only remembered by its digest. */
static bool is_document_whole(const struct build *b, const json_t *descriptor)
{
	const char *digest = json_string_value(json_object_get(descriptor, "digest"));
	json_t *l, *config;
	bool whole = true;
	size_t i;

	if (!digest)
		return false;
	CLEAN(json) json_t *doc = oci_get_json(b->dir, digest, NULL);

	config = json_object_get(doc, "config");
	if (!doc || !build_has_blob(b, json_object_get(config, "digest"), NULL))
		return false;
	json_array_foreach(json_object_get(doc, "layers"), i, l) whole =
		whole && build_has_blob(b, json_object_get(l, "digest"), NULL);
	return whole;
}

bool build_is_whole(const struct build *b, const json_t *state)
{
	json_t *l;
	size_t i;

	if (!json_array_size(json_object_get(state, "layers")) ||
	    !build_has_blob(b, json_object_get(state, "manifest"),
			    json_object_get(state, "manifest_size")) ||
	    !build_has_blob(b, json_object_get(state, "config"), NULL))
		return false;
	json_array_foreach(json_object_get(state, "layers"), i, l)
	{
		if (!build_has_blob(b, json_object_get(l, "digest"), json_object_get(l, "size")))
			return false;
	}
	json_array_foreach(json_object_get(state, "attached"), i, l)
	{
		if (!is_document_whole(b, l))
			return false;
	}
	return true;
}

int build_is_fresh(struct build *b, struct build_image *im, bool *fresh, struct err *e)
{
	json_t *old = json_object_get(b->known, im->spec->name);
	const char *inputs = json_string_value(json_object_get(old, "inputs"));

	if (build_inputs(b, im, e))
		return -1;
	*fresh = inputs && strcmp(inputs, im->inputs) == 0 && build_is_whole(b, old);
	return 0;
}

static int fill_rootfs(struct build *b, struct build_image *im, struct err *e)
{
	char dir[4096];
	struct rootfs r = rootfs_of(b, im, dir);

	if (rootfs_open(&r, &im->master, e))
		return -1;
	/* an offset of its own is not needed: one thread reads a layer's contents */
	im->layer.tar = dup(im->master.fd);
	if (im->layer.tar < 0)
		return err_errno(e, ERR_IO, "cannot read the rootfs");
	memcpy(im->layer.tar_sha256, im->master.sha256, sizeof(im->layer.tar_sha256));
	return master_index(&im->layer, im->spec, e) ? err_wrap(e, "%s", im->spec->name) : 0;
}

static int fill_locked(struct build *b, struct build_image *im, struct err *e)
{
	struct fill f = fill_of(b, im);
	int rc;

	if (im->filled)
		return 0;
	if (im->base) {
		if (build_fill(b, im->base, e))
			return -1;
		im->layer.below = &im->base->layer;
	}
	rc = im->is_rootfs ? fill_rootfs(b, im, e) : fill_layer(&f, e);
	if (rc) {
		layer_free(&im->layer);
		rootfs_close(&im->master);
	}
	im->filled = rc == 0;
	return rc;
}

int build_fill(struct build *b, struct build_image *im, struct err *e)
{
	int rc;

	/* locks are taken towards the base only, so threads cannot wait for each other */
	pthread_mutex_lock(&im->lock);
	rc = fill_locked(b, im, e);
	pthread_mutex_unlock(&im->lock);
	return rc;
}
