#include "ocibuild/oci/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ocibuild/tree.h"
#include "json/json.h"

#define MAX_ENTRIES 100000
#define MAX_BYTES (UINT64_C(64) << 30)
#define MAX_MANIFEST (16u << 20)
#define MAX_TAGS 1000
#define MAX_LAYERS 512 /* as a view has */
#define LAYER_TAR "application/vnd.oci.image.layer.v1.tar"

/* ---- out of the archive ---- */

struct taker {
	const char *file, *dir;
	struct archive *a;
	json_t *links; /* name: target; Docker writes them for layers that it had already */
	uint64_t bytes, hashed;
	size_t entries;
};

static int damaged(const struct taker *t, struct err *e)
{
	return err_set(e, ERR_PACKAGE, "%s is cut off or damaged: %s", t->file,
		       archive_error_string(t->a) ? archive_error_string(t->a) : "no archive");
}

static int take_data(struct taker *t, const char *name, struct err *e)
{
	char path[8192], up[8192];
	uint8_t chunk[1u << 16];
	la_ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	snprintf(up, sizeof(up), "%s", path);
	*strrchr(up, '/') = '\0';
	if (file_mkdirs(up, 0700, e))
		return -1;
	CLEAN(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return errno == EEXIST
			       ? err_set(e, ERR_PACKAGE, "%s has '%.80s' twice", t->file, name)
			       : err_errno(e, ERR_IO, "cannot make %s", path);
	while ((n = archive_read_data(t->a, chunk, sizeof(chunk))) > 0) {
		t->bytes += (uint64_t)n;
		if (t->bytes > MAX_BYTES)
			return err_set(e, ERR_TOO_LARGE, "%s unpacks to more than %llu bytes",
				       t->file, (unsigned long long)MAX_BYTES);
		if (file_write_fd(fd, path, chunk, (size_t)n, e))
			return -1;
	}
	return n < 0 ? damaged(t, e) : 0;
}

/* Links are only remembered: in the folder there are none that somebody could be led by. */
static int take_link(struct taker *t, const char *name, const char *target, bool hard,
		     struct err *e)
{
	const char *slash = strrchr(name, '/');
	char from[8192], clean[4096];

	while (!hard && slash && strncmp(target, "../", 3) == 0) {
		target += 3;
		for (slash--; slash > name && *slash != '/';)
			slash--;
		slash = slash > name ? slash : NULL;
	}
	snprintf(from, sizeof(from), "%.*s%s%.4000s", !hard && slash ? (int)(slash - name) : 0,
		 name, !hard && slash ? "/" : "", target);
	if (!tree_clean_name(from, clean) ||
	    json_object_set_new(t->links, name, json_string(clean)))
		return err_set(e, ERR_PACKAGE, "%s: the link '%.80s' leads out of it", t->file,
			       name);
	return 0;
}

static int take_entry(struct taker *t, struct archive_entry *ent, struct err *e)
{
	const char *raw = archive_entry_pathname(ent);
	const char *soft = archive_entry_symlink(ent), *hard = archive_entry_hardlink(ent);
	char name[4096];

	if (++t->entries > MAX_ENTRIES)
		return err_set(e, ERR_TOO_LARGE, "%s has more than %d files", t->file, MAX_ENTRIES);
	if (!raw || !tree_clean_name(raw, name))
		return err_set(e, ERR_PACKAGE, "%s: malformed file name '%.80s'", t->file,
			       raw ? raw : "");
	if (soft || hard)
		return take_link(t, name, soft ? soft : hard, !soft, e);
	if (archive_entry_filetype(ent) == AE_IFREG)
		return take_data(t, name, e);
	return 0;
}

static int take_all(struct taker *t, struct err *e)
{
	struct archive_entry *ent;
	int rc;

	archive_read_support_format_tar(t->a);
	archive_read_support_filter_gzip(t->a);
	archive_read_support_filter_zstd(t->a);
	if (archive_read_open_filename(t->a, t->file, 1u << 16) != ARCHIVE_OK)
		return damaged(t, e);
	while ((rc = archive_read_next_header(t->a, &ent)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
		if (take_entry(t, ent, e))
			return -1;
	return rc == ARCHIVE_EOF ? 0 : damaged(t, e);
}

/* ---- docker-archive: manifest.json, and files that it names ---- */

struct maker {
	struct taker *t;
	json_t *index;
};

/* The file becomes a blob under its digest; a second time it is there already. Each is read
 * as often as it is named: what layers share is, in other images, but not without end. */
static int make_blob(struct taker *t, const char *named, char digest[static OCI_DIGEST_LEN],
		     json_int_t *size, struct err *e)
{
	const char *to = json_string_value(json_object_get(t->links, named));
	char name[4096], from[8192], blob[4096];
	uint8_t md[32], chunk[1u << 16];
	struct sha256 s;
	ssize_t n;

	if (!tree_clean_name(to ? to : named, name) || !*name)
		return err_set(e, ERR_PACKAGE, "%s: malformed file name '%.80s'", t->file, named);
	snprintf(from, sizeof(from), "%s/%s", t->dir, name);
	CLEAN(fd) int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_set(e, ERR_PACKAGE, "%s names '%.80s', and has no such file", t->file,
			       name);
	sha256_init(&s);
	*size = 0;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
		sha256_update(&s, chunk, (size_t)n);
		*size += n;
		t->hashed += (uint64_t)n;
		if (t->hashed > MAX_BYTES)
			return err_set(e, ERR_TOO_LARGE, "%s names more than %llu bytes", t->file,
				       (unsigned long long)MAX_BYTES);
	}
	if (n < 0)
		return err_errno(e, ERR_IO, "cannot read %s", from);
	sha256_final(&s, md);
	oci_digest(digest, md);
	oci_blob_path(t->dir, digest, blob);
	if (link(from, blob) < 0 && errno != EEXIST)
		return err_errno(e, ERR_IO, "cannot make %s", blob);
	return 0;
}

static json_t *descriptor(const char *type, const char *digest, json_int_t size)
{
	return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", size);
}

static int make_layers(struct taker *t, const json_t *names, json_t *layers, struct err *e)
{
	char digest[OCI_DIGEST_LEN];
	json_int_t size;
	json_t *v;
	size_t i;

	json_array_foreach(names, i, v)
	{
		const char *name = json_string_value(v);

		if (!name)
			return err_set(e, ERR_PACKAGE, "%s: a layer without a name", t->file);
		if (make_blob(t, name, digest, &size, e) ||
		    json_array_append_new(layers, descriptor(LAYER_TAR, digest, size)))
			return -1;
	}
	return 0;
}

static int make_image(struct maker *m, const json_t *image, struct err *e)
{
	const char *config = json_string_value(json_object_get(image, "Config"));
	const json_t *tags = json_object_get(image, "RepoTags");
	CLEAN(json) json_t *layers = json_array();
	char digest[OCI_DIGEST_LEN];
	json_int_t bytes;
	size_t size, i = 0;

	if (!config || json_array_size(tags) > MAX_TAGS ||
	    json_array_size(json_object_get(image, "Layers")) > MAX_LAYERS)
		return err_set(e, ERR_PACKAGE, "%s: its manifest.json is malformed", m->t->file);
	if (make_blob(m->t, config, digest, &bytes, e) ||
	    make_layers(m->t, json_object_get(image, "Layers"), layers, e))
		return -1;
	CLEAN(json) json_t *doc =
		json_pack("{s:i, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType", OCI_MANIFEST,
			  "config", descriptor(OCI_CONFIG, digest, bytes), "layers", layers);

	if (!doc || oci_put_json(m->t->dir, doc, digest, &size, e))
		return -1;
	do {
		const char *tag = json_string_value(json_array_get(tags, i));
		json_t *d = descriptor(OCI_MANIFEST, digest, (json_int_t)size);

		if (tag)
			json_object_set_new(d, "annotations", json_pack("{s:s}", OCI_REF, tag));
		if (json_array_append_new(m->index, d))
			return err_set(e, ERR_NOMEM, NULL);
	} while (++i < json_array_size(tags));
	return 0;
}

static int make_layout(struct taker *t, struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};
	CLEAN(json) json_t *list = json_array();
	CLEAN(buf) struct buf b = {0};
	struct maker m = {.t = t, .index = list};
	char path[8192];
	json_t *v;
	size_t i;

	snprintf(path, sizeof(path), "%s/manifest.json", t->dir);
	if (access(path, F_OK) < 0)
		return err_set(e, ERR_PACKAGE,
			       "%s is no archive of images: it has neither index.json nor "
			       "manifest.json",
			       t->file);
	if (json_parse_file(&d, path, MAX_MANIFEST, e) || oci_open(t->dir, e))
		return -1;
	json_array_foreach(d.root, i, v)
	{
		if (make_image(&m, v, e))
			return -1;
	}
	CLEAN(json) json_t *index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
					      OCI_INDEX, "manifests", list);

	snprintf(path, sizeof(path), "%s/index.json", t->dir);
	buf_init(&b, MAX_MANIFEST);
	if (!index || json_text(index, JSON_ONE_LINE, &b, e))
		return -1;
	return file_replace(path, b.p, b.len, 0600, e);
}

/* ---- both ---- */

static int fill(const char *file, const char *dir, struct err *e)
{
	CLEAN(json) json_t *links = json_object();
	struct taker t = {.file = file, .dir = dir, .a = archive_read_new(), .links = links};
	char path[8192];
	int rc = t.a && links ? take_all(&t, e) : err_set(e, ERR_NOMEM, NULL);

	archive_read_free(t.a);
	t.a = NULL;
	snprintf(path, sizeof(path), "%s/index.json", dir);
	if (rc || access(path, F_OK) == 0)
		return rc;
	return make_layout(&t, e);
}

int unpack_open(struct unpack *u, const char *file, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	if (scratch_open(&u->scratch, tmp && *tmp ? tmp : "/tmp", 0700, e))
		return -1;
	return fill(file, u->scratch.dir, e);
}

void unpack_free(struct unpack *u)
{
	scratch_free(&u->scratch);
}
