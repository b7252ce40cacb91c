/* inspect, of an archive: what is in it, with every digest verified. */
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "crypto/sha256.h"
#include "ocibuild/assemble/command.h"
#include "ocibuild/images.h"
#include "ocibuild/oci/oci.h"
#include "ocibuild/oci/unpack.h"
#include "ui/table.h"
#include "json/json.h"

#define MAX_INDEX (64u << 20)

struct bundle {
	const char *file, *dir;
	json_t *good; /* digests that were verified */
	json_t *rows; /* one for each image */
};

static int is_damaged(const struct bundle *b, const char *digest, struct err *e)
{
	return err_set(e, ERR_DIGEST,
		       "%s is damaged: %.19s… is not what its name says: copy it again", b->file,
		       digest);
}

/* A blob is what its name says; each is read once. */
static int verify_blob(struct bundle *b, const char *digest, struct err *e)
{
	char path[4096], got[OCI_DIGEST_LEN];
	uint8_t md[32], chunk[1u << 16];
	struct sha256 s;
	ssize_t n;

	if (json_object_get(b->good, digest))
		return 0;
	if (strncmp(digest, "sha256:", 7) != 0 || strlen(digest) != 71 ||
	    digest[7 + strspn(digest + 7, "0123456789abcdef")])
		return err_set(e, ERR_DIGEST, "%s is damaged: '%.80s' is no digest", b->file,
			       digest);
	oci_blob_path(b->dir, digest, path);
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_set(e, ERR_DIGEST, "%s is damaged: %.19s… is missing", b->file, digest);
	sha256_init(&s);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		sha256_update(&s, chunk, (size_t)n);
	sha256_final(&s, md);
	oci_digest(got, md);
	if (n < 0 || strcmp(got, digest) != 0)
		return is_damaged(b, digest, e);
	return json_object_set_new(b->good, digest, json_true());
}

/* Manifest, configuration and layers; *doc is the manifest. */
static int verify_manifest(struct bundle *b, const char *digest, json_t **doc, json_int_t *bytes,
			   struct err *e)
{
	const char *config;
	json_t *l;
	size_t i;

	*bytes = 0;
	if (verify_blob(b, digest, e))
		return -1;
	*doc = oci_get_json(b->dir, digest, e);
	config = command_str(json_object_get(*doc, "config"), "digest");
	if (!*doc || verify_blob(b, config, e))
		return -1;
	json_array_foreach(json_object_get(*doc, "layers"), i, l)
	{
		if (verify_blob(b, command_str(l, "digest"), e))
			return -1;
		*bytes += json_integer_value(json_object_get(l, "size"));
	}
	return 0;
}

static json_t *find_row(const struct bundle *b, const char *digest)
{
	json_t *row;
	size_t i;

	json_array_foreach(b->rows, i, row)
	{
		if (strcmp(command_str(row, "digest"), digest) == 0)
			return row;
	}
	return NULL;
}

static int add_image(struct bundle *b, const json_t *desc, struct err *e)
{
	const char *digest = command_str(desc, "digest");
	const char *name = command_str(json_object_get(desc, "annotations"), OCI_REF);
	json_t *row = find_row(b, digest);
	CLEAN(json) json_t *m = NULL;
	json_int_t bytes;

	if (!row) {
		if (verify_manifest(b, digest, &m, &bytes, e))
			return -1;
		row = json_pack("{s:s, s:O, s:i, s:I, s:[], s:[]}", "digest", digest, "id",
				json_object_get(json_object_get(m, "config"), "digest"), "layers",
				(int)json_array_size(json_object_get(m, "layers")), "bytes", bytes,
				"names", "attached");
		if (json_array_append_new(b->rows, row))
			return err_set(e, ERR_NOMEM, NULL);
	}
	if (*name)
		json_array_append_new(json_object_get(row, "names"), json_string(name));
	return 0;
}

/* What is attached names its image as its subject (OCI 1.1). */
static int add_attached(struct bundle *b, const json_t *desc, struct err *e)
{
	CLEAN(json) json_t *m = NULL;
	json_t *row;
	json_int_t bytes;

	if (verify_manifest(b, command_str(desc, "digest"), &m, &bytes, e))
		return -1;
	row = find_row(b, command_str(json_object_get(m, "subject"), "digest"));
	if (!row)
		return err_set(e, ERR_DIGEST,
			       "%s: %.19s… is attached to an image that is not in it", b->file,
			       command_str(desc, "digest"));
	return json_array_append(json_object_get(row, "attached"),
				 json_object_get(desc, "artifactType"));
}

static int read_index(struct bundle *b, struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};
	char path[4200];
	json_t *list, *m;
	size_t i;

	snprintf(path, sizeof(path), "%s/index.json", b->dir);
	if (json_parse_file(&d, path, MAX_INDEX, e))
		return err_wrap(e, "%s", b->file);
	list = json_object_get(d.root, "manifests");
	for (int attached = 0; attached < 2; attached++) {
		json_array_foreach(list, i, m)
		{
			bool is_attached = json_object_get(m, "artifactType") != NULL;

			if (is_attached != (attached != 0))
				continue;
			if (attached ? add_attached(b, m, e) : add_image(b, m, e))
				return -1;
		}
	}
	if (!json_array_size(b->rows))
		return err_set(e, ERR_NOT_FOUND, "%s has no image", b->file);
	return 0;
}

static void print(const struct bundle *b)
{
	CLEAN(table) struct table *t = table_new();
	json_t *row;
	size_t i;

	table_col(t, "IMAGE", TABLE_LEFT);
	table_col(t, "ID", TABLE_LEFT);
	table_col(t, "LAYERS", TABLE_RIGHT);
	table_col(t, "SIZE", TABLE_RIGHT);
	table_col(t, "NAMES", TABLE_RIGHT);
	table_col(t, "ATTACHED", TABLE_RIGHT);
	json_array_foreach(b->rows, i, row)
	{
		const json_t *names = json_object_get(row, "names");
		const char *name = json_string_value(json_array_get(names, 0));

		table_text(t, name);
		table_fmt(t, "%.12s", command_str(row, "id") + 7);
		table_num(t, json_integer_value(json_object_get(row, "layers")));
		table_fmt(t, "%.3f MB",
			  (double)json_integer_value(json_object_get(row, "bytes")) / 1e6);
		table_num(t, (int64_t)json_array_size(names));
		table_num(t, (int64_t)json_array_size(json_object_get(row, "attached")));
	}
	table_print(t, stdout);
	printf("%s: %zu image%s, %zu blobs, each what its name says\n", b->file,
	       json_array_size(b->rows), json_array_size(b->rows) == 1 ? "" : "s",
	       json_object_size(b->good));
}

int images_inspect_archive(struct cli *c, const char *file, struct err *e)
{
	CLEAN(unpack) struct unpack u = {0};
	CLEAN(json) json_t *good = json_object();
	CLEAN(json) json_t *rows = json_array();
	struct bundle b = {.file = file, .dir = u.scratch.dir, .good = good, .rows = rows};

	if (!good || !rows)
		return err_set(e, ERR_NOMEM, NULL);
	if (unpack_open(&u, file, e) || read_index(&b, e))
		return -1;
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *o = json_pack("{s:s, s:O}", "file", file, "images", rows);

		return o ? json_print(o, stdout, e) : err_set(e, ERR_NOMEM, NULL);
	}
	print(&b);
	return 0;
}
