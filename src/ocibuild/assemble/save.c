#include "ocibuild/assemble/save.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "crypto/sha256.h"
#include "json/json.h"

#define MAX_INDEX (16u << 20)
#define LAYER_TAR "application/vnd.oci.image.layer.v1.tar"

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool is_digest(const char *d)
{
	return strncmp(d, "sha256:", 7) == 0 && strlen(d) == 71 &&
	       d[7 + strspn(d + 7, "0123456789abcdef")] == '\0';
}

void save_free(struct save *s)
{
	for (size_t i = 0; i < s->n; i++) {
		json_decref(s->v[i].tags);
		json_decref(s->v[i].layers);
	}
	for (size_t i = 0; i < s->nmembers; i++) {
		if (s->members[i].fd >= 0)
			close(s->members[i].fd);
		free(s->members[i].text);
	}
	free(s->v);
	free(s->members);
	json_decref(s->index);
	json_decref(s->out);
	*s = (struct save){0};
}

static struct save_member *find_member(const struct save *s, const char *digest)
{
	for (size_t i = 0; i < s->nmembers; i++)
		if (strcmp(s->members[i].digest, digest) == 0)
			return &s->members[i];
	return NULL;
}

/* digest "": a document with a name of its own. */
static struct save_member *add_member(struct save *s, const char *digest, struct err *e)
{
	struct save_member *more = realloc(s->members, (s->nmembers + 1) * sizeof(*more));
	struct save_member *m;

	if (!more) {
		err_set(e, ERR_NOMEM, NULL);
		return NULL;
	}
	s->members = more;
	m = &s->members[s->nmembers++];
	*m = (struct save_member){.fd = -1};
	snprintf(m->digest, sizeof(m->digest), "%s", digest);
	if (*digest)
		snprintf(m->name, sizeof(m->name), "blobs/sha256/%s", digest + 7);
	return m;
}

/* A document under its name, or (name NULL) as a blob, whose digest comes back. */
static int add_document(struct save *s, const char *name, const json_t *j,
			char digest[static OCI_DIGEST_LEN], json_int_t *size, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	struct save_member *m;
	uint8_t md[32];

	buf_init(&b, MAX_INDEX);
	if (!j)
		return err_set(e, ERR_NOMEM, NULL);
	if (json_text(j, JSON_ONE_LINE, &b, e))
		return -1;
	sha256(md, b.p, b.len);
	oci_digest(digest, md);
	*size = (json_int_t)b.len;
	if (!name && find_member(s, digest))
		return 0;
	m = add_member(s, name ? "" : digest, e);
	if (!m)
		return -1;
	if (name)
		snprintf(m->name, sizeof(m->name), "%s", name);
	m->size = b.len;
	m->text = (char *)STEAL(b.p);
	return 0;
}

/* NULL: it is not there. */
static struct save_member *add_blob(struct save *s, const char *digest, struct err *e)
{
	struct save_member *m = is_digest(digest) ? find_member(s, digest) : NULL;
	char path[4096];
	struct stat st;

	if (!is_digest(digest))
		err_set(e, ERR_DIGEST, "%s names a blob '%.80s'; build again", s->dir, digest);
	if (m || !is_digest(digest))
		return m;
	m = add_member(s, digest, e);
	if (!m)
		return NULL;
	oci_blob_path(s->dir, digest, path);
	m->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (m->fd < 0 || fstat(m->fd, &st) < 0) {
		err_errno(e, ERR_NOT_FOUND, "%s is missing; build again", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode)) {
		err_set(e, ERR_DIGEST, "%s is not a file; build again", path);
		return NULL;
	}
	m->size = (uint64_t)st.st_size;
	return m;
}

static int measure(void *arg, const void *p, size_t n, struct err *e)
{
	struct save_member *m = arg;

	(void)p;
	(void)e;
	m->size += n;
	return 0;
}

/* What a layer is unpacked has its diff id as digest already. */
static int add_unpacked(struct save *s, enum save_packed packed, const char *digest,
			const char *diff_id, json_t *row, struct err *e)
{
	struct save_member *m = find_member(s, diff_id);

	if (!m) {
		if (!is_digest(diff_id))
			return err_set(e, ERR_DIGEST, "a layer without a diff id: %s", digest);
		m = add_blob(s, digest, e);
		if (!m)
			return -1;
		m->packed = packed;
		m->size = 0;
		if (save_read(m, measure, m, e))
			return -1;
		snprintf(m->digest, sizeof(m->digest), "%s", diff_id);
		snprintf(m->name, sizeof(m->name), "blobs/sha256/%s", diff_id + 7);
	}
	json_object_set_new(row, "mediaType", json_string(LAYER_TAR));
	json_object_set_new(row, "digest", json_string(diff_id));
	json_object_set_new(row, "size", json_integer((json_int_t)m->size));
	return 0;
}

static enum save_packed packed(const struct save *s, const char *type)
{
	const char *tail = strrchr(type, '+');

	if (tail && strcmp(tail, "+zstd") == 0)
		return SAVE_ZSTD;
	return tail && s->plain && strcmp(tail, "+gzip") == 0 ? SAVE_GZIP : SAVE_AS_IS;
}

/* Adds the layers; those of manifest that had to be unpacked are replaced in it. */
static int add_layers(struct save *s, json_t *manifest, const json_t *config, json_t *names,
		      bool *changed, struct err *e)
{
	json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids"), *l;
	char name[96];
	size_t i;

	json_array_foreach(json_object_get(manifest, "layers"), i, l)
	{
		enum save_packed how = packed(s, str(l, "mediaType"));
		const char *digest = str(l, "digest");

		if (how != SAVE_AS_IS) {
			const char *diff = json_string_value(json_array_get(ids, i));

			*changed = true;
			if (add_unpacked(s, how, digest, diff ? diff : "", l, e))
				return -1;
		} else if (!add_blob(s, digest, e)) {
			return -1;
		}
		snprintf(name, sizeof(name), "blobs/sha256/%s", str(l, "digest") + 7);
		if (names)
			json_array_append_new(names, json_string(name));
	}
	return 0;
}

/* A manifest with all that it names; *changed: it is another one in the archive. */
static int add_manifest(struct save *s, const char *digest, json_t *names,
			char id[static OCI_DIGEST_LEN], char out[static OCI_DIGEST_LEN],
			json_int_t *size, struct err *e)
{
	CLEAN(json) json_t *m = is_digest(digest) ? oci_get_json(s->dir, digest, e) : NULL;
	const char *config = str(json_object_get(m, "config"), "digest");
	CLEAN(json) json_t *c = NULL;
	struct save_member *b;
	bool changed = false;

	if (!m)
		return is_digest(digest)
			       ? -1
			       : err_set(e, ERR_DIGEST, "%s/index.json is damaged", s->dir);
	if (!add_blob(s, config, e))
		return -1;
	snprintf(id, OCI_DIGEST_LEN, "%s", config);
	c = oci_get_json(s->dir, config, e);
	if (!c || add_layers(s, m, c, names, &changed, e))
		return -1;
	if (changed)
		return add_document(s, NULL, m, out, size, e);
	snprintf(out, OCI_DIGEST_LEN, "%s", digest);
	b = add_blob(s, digest, e);
	if (!b)
		return -1;
	*size = (json_int_t)b->size;
	return 0;
}

static struct save_image *find_image(struct save *s, const char *manifest)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].original, manifest) == 0)
			return &s->v[i];
	return NULL;
}

/* Whether one of the names (none: any image) is this reference or its repository. */
static bool is_wanted(const char *ref, int argc, char *const *argv)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], ref) == 0)
			return true;
	return argc == 0;
}

/* "static" is signbox/static:latest, "static:0.1.0" is signbox/static:0.1.0. */
static json_t *tag_of(const struct save *s, const char *ref)
{
	return json_sprintf("%s/%s%s", s->prefix, ref, strchr(ref, ':') ? "" : ":latest");
}

/* What containerd takes as a name must have a registry; Docker's is what it means. */
static json_t *full_name(const struct save *s, const char *ref)
{
	size_t n = strcspn(s->prefix, "/");
	bool has = memchr(s->prefix, '.', n) || memchr(s->prefix, ':', n) ||
		   strncmp(s->prefix, "localhost/", 10) == 0 || strcmp(s->prefix, "localhost") == 0;
	CLEAN(json) json_t *tag = tag_of(s, ref);

	return json_sprintf("%s%s", has ? "" : "docker.io/", json_string_value(tag));
}

static int choose(struct save *s, int argc, char *const *argv, struct err *e)
{
	json_t *list = json_object_get(s->index, "manifests"), *d;
	size_t i;

	s->v = calloc(json_array_size(list) + 1, sizeof(*s->v));
	if (!s->v)
		return err_set(e, ERR_NOMEM, NULL);
	for (int k = 0; k < argc; k++) {
		bool found = false;

		json_array_foreach(list, i, d) found |=
			strcmp(str(json_object_get(d, "annotations"), OCI_REF), argv[k]) == 0;
		if (!found)
			return err_set(e, ERR_NOT_FOUND,
				       "%.80s is not built: run `ocibuild build %.80s`", argv[k],
				       argv[k]);
	}
	json_array_foreach(list, i, d)
	{
		const char *ref = str(json_object_get(d, "annotations"), OCI_REF);

		if (!*ref || !is_wanted(ref, argc, argv) || find_image(s, str(d, "digest")))
			continue;
		s->v[s->n] = (struct save_image){
			.name = ref, .tags = json_array(), .layers = json_array()};
		snprintf(s->v[s->n++].original, OCI_DIGEST_LEN, "%s", str(d, "digest"));
	}
	if (!s->n)
		return err_set(e, ERR_NOT_FOUND, "no image is built: run `ocibuild build`");
	return 0;
}

/* Every reference to a chosen image, as the index has it and as an engine tags it. */
static int add_references(struct save *s, const json_int_t *sizes, struct err *e)
{
	json_t *out = json_array(), *d;
	size_t i;

	s->out = json_pack("{s:i, s:s, s:o}", "schemaVersion", 2, "mediaType", OCI_INDEX,
			   "manifests", out);
	if (!s->out)
		return err_set(e, ERR_NOMEM, NULL);
	json_array_foreach(json_object_get(s->index, "manifests"), i, d)
	{
		struct save_image *im = find_image(s, str(d, "digest"));
		const char *ref = str(json_object_get(d, "annotations"), OCI_REF);

		if (!im || !*ref)
			continue;
		CLEAN(json) json_t *copy = json_deep_copy(d);

		json_object_set_new(json_object_get(copy, "annotations"), OCI_REF,
				    full_name(s, ref));
		json_object_set_new(copy, "digest", json_string(im->manifest));
		json_object_set_new(copy, "size", json_integer(sizes[im - s->v]));
		if (json_array_append(out, copy) || json_array_append_new(im->tags, tag_of(s, ref)))
			return err_set(e, ERR_NOMEM, NULL);
	}
	return 0;
}

/* SBOMs and provenance of a chosen image, unless it is another one in the archive. */
static int add_attached(struct save *s, struct err *e)
{
	json_t *d;
	size_t i;

	json_array_foreach(json_object_get(s->index, "manifests"), i, d)
	{
		char id[OCI_DIGEST_LEN], manifest[OCI_DIGEST_LEN];
		const struct save_image *im;
		json_int_t size;

		if (*str(json_object_get(d, "annotations"), OCI_REF) ||
		    !is_digest(str(d, "digest")))
			continue;
		CLEAN(json) json_t *m = oci_get_json(s->dir, str(d, "digest"), e);

		if (!m)
			return -1;
		im = find_image(s, str(json_object_get(m, "subject"), "digest"));
		if (!im || strcmp(im->manifest, im->original) != 0)
			continue;
		if (add_manifest(s, str(d, "digest"), NULL, id, manifest, &size, e))
			return -1;
		json_array_append(json_object_get(s->out, "manifests"), d);
	}
	return 0;
}

/* What `docker load` reads. */
static json_t *docker_manifest(const struct save *s)
{
	json_t *all = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(all, json_pack("{s:s+, s:O, s:O}", "Config", "blobs/sha256/",
						     s->v[i].id + 7, "RepoTags", s->v[i].tags,
						     "Layers", s->v[i].layers));
	return all;
}

static int add_all(struct save *s, struct err *e)
{
	CLEAN(free) json_int_t *sizes = calloc(s->n, sizeof(*sizes));
	CLEAN(json) json_t *layout = json_pack("{s:s}", "imageLayoutVersion", "1.0.0");
	CLEAN(json) json_t *docker = NULL;
	char ignored[OCI_DIGEST_LEN];
	json_int_t size;

	if (!sizes)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < s->n; i++)
		if (add_manifest(s, s->v[i].original, s->v[i].layers, s->v[i].id, s->v[i].manifest,
				 &sizes[i], e))
			return err_wrap(e, "%s", s->v[i].name);
	if (add_references(s, sizes, e) || (s->attached && add_attached(s, e)))
		return -1;
	docker = docker_manifest(s);
	if (add_document(s, "oci-layout", layout, ignored, &size, e) ||
	    add_document(s, "index.json", s->out, ignored, &size, e) ||
	    add_document(s, "manifest.json", docker, ignored, &size, e))
		return -1;
	for (size_t i = 0; i < s->nmembers; i++)
		s->bytes += s->members[i].size;
	return 0;
}

/* A path of a registry: what a reference may have before its name. */
static bool is_prefix(const char *p)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyz0123456789._-/:";

	return *p && strlen(p) < 200 && p[strspn(p, set)] == '\0' && *p != '/' &&
	       p[strlen(p) - 1] != '/' && !strstr(p, "//") && !strchr(strchrnul(p, '/'), ':');
}

int save_open(struct save *s, const struct save_from *from, int argc, char *const *argv,
	      struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};
	char path[4096];

	*s = (struct save){.prefix = from->prefix ? from->prefix : SAVE_PREFIX,
			   .plain = from->plain,
			   .attached = from->attached};
	if (!is_prefix(s->prefix))
		return err_set(e, ERR_USAGE,
			       "a prefix is what a reference begins with, like "
			       "signbox or host.example:5000/team");
	if (snprintf(s->dir, sizeof(s->dir), "%s/images%s", from->build, from->tail) >=
	    (int)sizeof(s->dir))
		return err_set(e, ERR_CONFIG, "the build folder's name is too long");
	/* a build that removes blobs waits until ours are open */
	snprintf(path, sizeof(path), "%s/.images%s.lock", from->build, from->tail);
	CLEAN(fd) int held = open(path, O_RDONLY | O_CLOEXEC);

	if (held >= 0 && flock(held, LOCK_SH) < 0)
		return err_errno(e, ERR_IO, "cannot lock %s", path);
	snprintf(path, sizeof(path), "%s/index.json", s->dir);
	if (access(path, F_OK) < 0)
		return err_set(e, ERR_NOT_FOUND, "no image is built: run `ocibuild build`");
	if (json_parse_file(&d, path, MAX_INDEX, e))
		return -1;
	s->index = json_incref(d.root);
	if (choose(s, argc, argv, e))
		return -1;
	return add_all(s, e);
}
