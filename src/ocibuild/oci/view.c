#include "ocibuild/oci/view.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "crypto/sha256.h"
#include "ocibuild/oci/view_tree.h"
#include "ocibuild/tree.h"
#include "json/json.h"

#define MAX_LAYERS 512
#define MAX_BYTES (UINT64_C(32) << 30) /* of all files in all layers */
#define MAX_XATTRS 64

/* ---- one entry ---- */

struct reader {
	const struct view_src *src;
	struct view *v;
	unsigned layer;
	int fd;
	struct archive *outer; /* the compressed stream */
	struct sha256 blob, tar;
	uint64_t in, left; /* bytes read of the blob; bytes of files that may still come */
	bool short_read;
	uint8_t chunk[1u << 18], plain[1u << 18];
	uint8_t *data; /* of one file */
	size_t cap;
};

static int take_xattrs(struct view_entry *t, struct archive_entry *ent, struct err *e)
{
	int n = archive_entry_xattr_reset(ent);
	const char *name;
	const void *p;
	size_t len;

	if (n > MAX_XATTRS)
		return err_set(e, ERR_PACKAGE, "more than %d extended attributes", MAX_XATTRS);
	if (n > 0 && !(t->xattr = calloc((size_t)n, sizeof(*t->xattr))))
		return err_set(e, ERR_NOMEM, NULL);
	while ((int)t->nxattr < n && archive_entry_xattr_next(ent, &name, &p, &len) == ARCHIVE_OK) {
		struct view_xattr *x = &t->xattr[t->nxattr++];

		x->name = strdup(name ? name : "");
		x->value = malloc(len + 1);
		if (!x->name || !x->value)
			return err_set(e, ERR_NOMEM, NULL);
		if (len)
			memcpy(x->value, p, len);
		x->len = len;
	}
	return 0;
}

static int read_content(struct reader *r, struct archive *a, struct view_entry *t, struct err *e)
{
	size_t keep =
		r->src->fn ? (t->size < VIEW_MAX_WHOLE ? (size_t)t->size : VIEW_MAX_WHOLE) : 0;
	struct sha256 md;
	uint64_t got = 0;

	if (t->size > r->left)
		return err_set(e, ERR_TOO_LARGE, "its files are larger than %llu bytes",
			       (unsigned long long)MAX_BYTES);
	r->left -= t->size;
	if (keep > r->cap) {
		free(r->data);
		r->cap = 0;
		r->data = malloc(keep);
		if (!r->data)
			return err_set(e, ERR_NOMEM, NULL);
		r->cap = keep;
	}
	sha256_init(&md);
	while (got < t->size) {
		bool kept = got < keep;
		uint8_t *to = kept ? r->data + got : r->chunk;
		size_t want = kept ? keep - (size_t)got : sizeof(r->chunk);
		la_ssize_t n = archive_read_data(a, to, want < (1u << 18) ? want : 1u << 18);

		if (n <= 0)
			return err_set(e, ERR_PACKAGE, "its content is damaged");
		sha256_update(&md, to, (size_t)n);
		got += (uint64_t)n;
	}
	sha256_final(&md, t->sha256);
	return r->src->fn
		       ? r->src->fn(t, keep ? r->data : (const uint8_t *)"", keep, r->src->arg, e)
		       : 0;
}

/* A hard link is its target under another name, also when that goes away. */
static int copy_hard(struct reader *r, struct view_entry *t, const char *target, struct err *e)
{
	struct view_walk w = {.v = r->v, .layer = r->layer};
	char clean[4096];
	struct view_node *x = NULL;

	if (tree_clean_name(target, clean) && clean[0])
		x = view_tree_walk(&w, clean, NULL);
	if (!x || S_ISDIR(x->e.mode))
		return err_set(e, ERR_PACKAGE, "it is a hard link to '%.100s', which is no file",
			       target);
	return view_tree_same(t, &x->e, clean, e);
}

static int fill_entry(struct reader *r, struct archive *a, struct archive_entry *ent,
		      struct view_entry *t, struct err *e)
{
	const char *link = archive_entry_symlink(ent), *hard = archive_entry_hardlink(ent);
	la_int64_t uid = archive_entry_uid(ent), gid = archive_entry_gid(ent);

	if (hard)
		return copy_hard(r, t, hard, e);
	t->mode = (archive_entry_filetype(ent) & S_IFMT) | (archive_entry_perm(ent) & 07777);
	if (uid < 0 || uid > UINT32_MAX || gid < 0 || gid > UINT32_MAX)
		return err_set(e, ERR_PACKAGE, "its owner is no number that Linux has");
	t->uid = (uint32_t)uid;
	t->gid = (uint32_t)gid;
	t->mtime = archive_entry_mtime(ent);
	if (view_tree_inode(t, e) || take_xattrs(t, ent, e))
		return -1;
	switch (t->mode & S_IFMT) {
	case S_IFREG:
		t->size = archive_entry_size(ent) > 0 ? (uint64_t)archive_entry_size(ent) : 0;
		return read_content(r, a, t, e);
	case S_IFLNK:
		if (!link || !*link || strlen(link) >= 4096)
			return err_set(e, ERR_PACKAGE, "it is a symbolic link to nothing");
		t->link = strdup(link);
		return t->link ? 0 : err_set(e, ERR_NOMEM, NULL);
	case S_IFCHR:
	case S_IFBLK:
		t->major = (uint32_t)archive_entry_rdevmajor(ent);
		t->minor = (uint32_t)archive_entry_rdevminor(ent);
		return 0;
	case S_IFDIR:
	case S_IFIFO:
		return 0;
	}
	return err_set(e, ERR_PACKAGE, "it is of no known type");
}

/* .wh.NAME and .wh..wh..opq (image-spec, layer.md); what they name is in lower layers. */
static int whiteout(struct reader *r, struct view_node *dir, const char *base, struct err *e)
{
	struct view_node *x;

	if (strcmp(base, ".wh..wh..opq") == 0)
		return view_tree_hide(r->v, dir, r->layer, true, e);
	if (strncmp(base, ".wh..wh.", 8) == 0)
		return 0;
	if (!base[4])
		return err_set(e, ERR_PACKAGE, "a whiteout of nothing");
	x = view_tree_child(dir, base + 4);
	return x ? view_tree_hide(r->v, x, r->layer, false, e) : 0;
}

static int place_entry(struct reader *r, struct archive *a, struct archive_entry *ent, char *path,
		       struct err *e)
{
	struct view_entry t = {.layer = r->layer};
	struct view_node *dir, *x;
	const char *base;
	int rc;

	dir = view_tree_parent(r->v, r->layer, path, &base, e);
	if (!dir)
		return -1;
	if (strncmp(base, ".wh.", 4) == 0)
		return whiteout(r, dir, base, e);
	t.path = strdup(path);
	rc = t.path ? fill_entry(r, a, ent, &t, e) : err_set(e, ERR_NOMEM, NULL);
	x = !*path ? r->v->root : view_tree_child(dir, base);
	if (rc == 0 && !*path && !S_ISDIR(t.mode))
		rc = err_set(e, ERR_PACKAGE, "the root is no directory");
	if (rc == 0 && x && !S_ISDIR(t.mode) && x->kids) {
		view_tree_drop(r->v, x);
		x = NULL;
	}
	if (rc == 0 && !x)
		rc = (x = view_tree_new(r->v, dir, base, r->layer, e)) ? 0 : -1;
	if (rc) {
		view_tree_clear(&t);
		return -1;
	}
	view_tree_clear(&x->e);
	x->e = t;
	return 0;
}

/* ---- one layer ---- */

static la_ssize_t read_blob(struct archive *a, void *arg, const void **p)
{
	struct reader *r = arg;
	ssize_t n = read(r->fd, r->chunk, sizeof(r->chunk));

	if (n < 0) {
		archive_set_error(a, 5, "cannot read");
		return -1;
	}
	sha256_update(&r->blob, r->chunk, (size_t)n);
	r->in += (uint64_t)n;
	if (r->src->progress)
		progress_add(r->src->progress, (uint64_t)n);
	*p = r->chunk;
	return n;
}

static la_ssize_t read_tar(struct archive *a, void *arg, const void **p)
{
	struct reader *r = arg;
	la_ssize_t n = archive_read_data(r->outer, r->plain, sizeof(r->plain));

	if (n < 0) {
		archive_set_error(a, 5, "cannot decompress");
		return -1;
	}
	sha256_update(&r->tar, r->plain, (size_t)n);
	*p = r->plain;
	return n;
}

static int walk_layer(struct reader *r, struct archive *a, struct err *e)
{
	struct archive_entry *ent;
	char path[4096];
	int rc;

	while ((rc = archive_read_next_header(a, &ent)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		const char *name = archive_entry_pathname(ent);

		if (!name || !tree_clean_name(name, path))
			return err_set(e, ERR_PACKAGE, "malformed file name '%.100s'",
				       name ? name : "");
		if (place_entry(r, a, ent, path, e))
			return err_wrap(e, "'%.100s'", path);
	}
	if (rc != ARCHIVE_EOF)
		return err_set(e, ERR_PACKAGE, "a damaged tar: %s", archive_error_string(a));
	/* what follows the end mark counts for the digests */
	while ((rc = (int)archive_read_data(r->outer, r->plain, sizeof(r->plain))) > 0)
		sha256_update(&r->tar, r->plain, (size_t)rc);
	return rc < 0 ? err_set(e, ERR_PACKAGE, "damaged: %s", archive_error_string(r->outer)) : 0;
}

static int open_layer(struct reader *r, struct archive *a, struct err *e)
{
	struct archive_entry *ent;

	archive_read_support_format_raw(r->outer);
	archive_read_support_filter_gzip(r->outer);
	archive_read_support_filter_zstd(r->outer);
	archive_read_support_format_tar(a);
	if (archive_read_open(r->outer, r, NULL, read_blob, NULL) != ARCHIVE_OK ||
	    archive_read_next_header(r->outer, &ent) != ARCHIVE_OK)
		return err_set(e, ERR_PACKAGE, "not a compressed tar: %s",
			       archive_error_string(r->outer));
	if (archive_read_open(a, r, NULL, read_tar, NULL) != ARCHIVE_OK)
		return err_set(e, ERR_PACKAGE, "not a tar: %s", archive_error_string(a));
	return walk_layer(r, a, e);
}

static int check_digests(struct reader *r, const char *digest, const char *diff_id, struct err *e)
{
	char got[OCI_DIGEST_LEN];
	uint8_t md[32];
	const void *p;
	la_ssize_t n;

	while ((n = read_blob(r->outer, r, &p)) > 0)
		;
	sha256_final(&r->blob, md);
	oci_digest(got, md);
	if (n < 0 || strcmp(got, digest) != 0)
		return err_set(e, ERR_DIGEST, "its content is %s: it was changed", got);
	sha256_final(&r->tar, md);
	oci_digest(got, md);
	if (strcmp(got, diff_id) != 0)
		return err_set(e, ERR_DIGEST, "unpacked it is %s, and the configuration says %s",
			       got, diff_id);
	return 0;
}

static bool good_digest(const char *s)
{
	return s && strncmp(s, "sha256:", 7) == 0 && strspn(s + 7, "0123456789abcdef") == 64 &&
	       strlen(s) == 71;
}

static int read_layer(struct reader *r, const json_t *desc, const json_t *diff_id, struct err *e)
{
	const char *digest = json_string_value(json_object_get(desc, "digest"));
	const char *diff = json_string_value(diff_id);
	struct archive *a = archive_read_new();
	char path[4096];
	int rc;

	r->outer = archive_read_new();
	r->fd = -1;
	r->in = 0;
	sha256_init(&r->blob);
	sha256_init(&r->tar);
	if (!good_digest(digest) || !good_digest(diff)) {
		rc = err_set(e, ERR_BAD_JSON, "a layer without digest or diff_id (only sha256)");
	} else if (!a || !r->outer) {
		rc = err_set(e, ERR_NOMEM, NULL);
	} else {
		oci_blob_path(r->src->dir, digest, path);
		r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		rc = r->fd < 0 ? err_errno(e, ERR_IO, "cannot open the blob") : open_layer(r, a, e);
		if (rc == 0)
			rc = check_digests(r, digest, diff, e);
		if (rc)
			err_wrap(e, "layer %.19s", digest);
	}
	archive_read_free(a);
	archive_read_free(r->outer);
	if (r->fd >= 0)
		close(r->fd);
	return rc;
}

/* ---- documents ---- */

/* Follows an index to the manifest for linux/amd64, two levels at most. */
static json_t *find_manifest(const char *dir, const json_t *desc, int depth,
			     char out[static OCI_DIGEST_LEN], struct err *e)
{
	const char *digest = json_string_value(json_object_get(desc, "digest"));
	json_t *doc, *m, *found = NULL;
	size_t i;

	if (!good_digest(digest)) {
		err_set(e, ERR_BAD_JSON, "%s: a descriptor without a sha256 digest", dir);
		return NULL;
	}
	doc = oci_get_json(dir, digest, e);
	if (!doc || !json_is_array(json_object_get(doc, "manifests"))) {
		snprintf(out, OCI_DIGEST_LEN, "%s", digest);
		return doc;
	}
	json_array_foreach(json_object_get(doc, "manifests"), i, m)
	{
		const json_t *p = json_object_get(m, "platform");
		const char *arch = json_string_value(json_object_get(p, "architecture"));

		if (!found && depth && (!arch || strcmp(arch, "amd64") == 0))
			found = find_manifest(dir, m, depth - 1, out, e);
	}
	json_decref(doc);
	if (!found)
		err_set(e, ERR_NOT_FOUND, "%s: no image for linux/amd64", dir);
	return found;
}

/* Engines write the same name with and without a registry of their own and the tag. */
static size_t short_name(const char **name)
{
	static const char *const registries[] = {"docker.io/library/", "docker.io/", "localhost/"};
	size_t n;

	for (size_t i = 0; i < sizeof(registries) / sizeof(registries[0]); i++) {
		n = strlen(registries[i]);
		if (strncmp(*name, registries[i], n) == 0) {
			*name += n;
			break;
		}
	}
	n = strlen(*name);
	return n > 7 && strcmp(*name + n - 7, ":latest") == 0 ? n - 7 : n;
}

static bool same_name(const char *a, const char *b)
{
	size_t n = short_name(&a), k = short_name(&b);

	return n == k && memcmp(a, b, n) == 0;
}

static bool is_named(const json_t *desc, const char *ref)
{
	const json_t *notes = json_object_get(desc, "annotations");
	const char *name = json_string_value(json_object_get(notes, OCI_REF));
	const char *digest = json_string_value(json_object_get(desc, "digest"));

	/* without a name, what is attached to an image is not meant */
	if (!ref)
		return !json_object_get(desc, "artifactType");
	return (name && same_name(name, ref)) || (digest && strcmp(digest, ref) == 0);
}

static json_t *get_manifest(const char *dir, const char *ref, char out[static OCI_DIGEST_LEN],
			    struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};
	char path[4096];
	const json_t *one = NULL;
	json_t *m;
	size_t i;

	if (ref && good_digest(ref)) {
		CLEAN(json) json_t *desc = json_pack("{s:s}", "digest", ref);

		/* an image that is being built is in no index yet */
		oci_blob_path(dir, ref, path);
		if (access(path, F_OK) == 0)
			return find_manifest(dir, desc, 2, out, e);
	}
	snprintf(path, sizeof(path), "%s/index.json", dir);
	if (access(path, F_OK) < 0) {
		err_set(e, ERR_NOT_FOUND, "%s is no OCI layout: it has no index.json", dir);
		return NULL;
	}
	if (json_parse_file(&d, path, 16u << 20, e))
		return NULL;
	json_array_foreach(json_object_get(d.root, "manifests"), i, m)
	{
		if (!is_named(m, ref))
			continue;
		if (one && !ref &&
		    !json_equal(json_object_get(one, "digest"), json_object_get(m, "digest"))) {
			err_set(e, ERR_USAGE, "%s has several images: name one, as %s:NAME", dir,
				dir);
			return NULL;
		}
		one = one ? one : m;
	}
	if (!one) {
		err_set(e, ERR_NOT_FOUND, "there is no image '%.100s' in %s", ref ? ref : "", dir);
		return NULL;
	}
	return find_manifest(dir, one, 2, out, e);
}

json_t *view_text(const char *s)
{
	json_t *j = json_string(s);
	char *t = j ? NULL : strdup(s);

	for (char *p = t; p && *p; p++)
		*p = (unsigned char)*p < 0x80 ? *p : '?';
	j = t ? json_string(t) : j;
	free(t);
	return j;
}

void view_locate(const char *layout, const char *arg, char dir[static 4096], const char **ref)
{
	const char *colon = strchr(arg, ':');
	char file[4200];
	struct stat st;

	snprintf(dir, 4096, "%.*s", colon ? (int)(colon - arg) : (int)strlen(arg), arg);
	snprintf(file, sizeof(file), "%s/index.json", dir);
	*ref = colon ? colon + 1 : NULL;
	/* a path is meant as one, also when there is nothing */
	if (strchr(dir, '/') || access(file, F_OK) == 0 ||
	    (stat(dir, &st) == 0 && S_ISREG(st.st_mode)))
		return;
	snprintf(dir, 4096, "%s", layout);
	*ref = arg;
}

int view_resolve(const char *dir, const char *ref, char digest[static OCI_DIGEST_LEN],
		 uint64_t *bytes, struct err *e)
{
	CLEAN(json) json_t *m = get_manifest(dir, ref, digest, e);
	json_t *l;
	size_t i;

	if (!m)
		return -1;
	if (bytes)
		*bytes = 0;
	json_array_foreach(json_object_get(m, "layers"), i, l)
	{
		json_int_t n = json_integer_value(json_object_get(l, "size"));

		if (bytes && n > 0)
			*bytes += (uint64_t)n;
	}
	return 0;
}

static int read_layers(struct view *v, struct reader *r, struct err *e)
{
	json_t *layers = json_object_get(v->manifest, "layers"), *l;
	json_t *ids = json_object_get(json_object_get(v->config, "rootfs"), "diff_ids");

	v->nlayers = json_array_size(layers);
	if (!v->nlayers || v->nlayers > MAX_LAYERS || json_array_size(ids) != v->nlayers)
		return err_set(e, ERR_BAD_JSON,
			       "layers of the manifest and of the configuration differ");
	json_array_foreach(layers, r->layer, l)
	{
		if (read_layer(r, l, json_array_get(ids, r->layer), e))
			return -1;
	}
	return view_tree_list(v, e);
}

int view_open(struct view *v, const struct view_src *s, struct err *e)
{
	struct reader *r;
	const char *config;
	int rc;

	*v = (struct view){0};
	v->manifest = get_manifest(s->dir, s->ref, v->digest, e);
	if (!v->manifest)
		return -1;
	config = json_string_value(
		json_object_get(json_object_get(v->manifest, "config"), "digest"));
	if (!good_digest(config)) {
		rc = err_set(e, ERR_BAD_JSON, "%s: a manifest without configuration", s->dir);
	} else {
		v->config = oci_get_json(s->dir, config, e);
		v->root = v->config ? view_tree_new(v, NULL, "", 0, e) : NULL;
		r = v->root ? calloc(1, sizeof(*r)) : NULL;
		if (v->root && !r)
			err_set(e, ERR_NOMEM, NULL);
		if (r) {
			r->src = s;
			r->v = v;
			r->left = MAX_BYTES;
		}
		rc = r ? read_layers(v, r, e) : -1;
		free(r ? r->data : NULL);
		free(r);
	}
	if (rc)
		view_free(v);
	return rc;
}

void view_free(struct view *v)
{
	json_decref(v->manifest);
	json_decref(v->config);
	free(v->v);
	view_tree_free(v->root);
	*v = (struct view){0};
}
