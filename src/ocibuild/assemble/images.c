#include "ocibuild/images.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "ocibuild/assemble/build.h"
#include "ocibuild/assemble/command.h"
#include "ocibuild/oci/oci.h"
#include "ocibuild/options.h"
#include "ocibuild/sbom/provenance.h"
#include "ocibuild/tree.h"
#include "ui/table.h"
#include "json/json.h"

static void table_size(struct table *t, const json_t *state, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(state, key));

	if (n)
		table_fmt(t, "%.3f MB", (double)n / 1e6);
	else
		table_text(t, NULL);
}

/* ---- ls, build ---- */

static int list(const struct cli *c, struct build *b, bool after, struct err *e)
{
	CLEAN(json) json_t *out = json_array();
	CLEAN(table) struct table *t = table_new();

	table_col(t, "IMAGE", TABLE_LEFT);
	table_col(t, "VERSION", TABLE_LEFT);
	table_col(t, "BASE", TABLE_LEFT);
	table_col(t, "LAYERS", TABLE_RIGHT);
	table_col(t, "COMPRESSED", TABLE_RIGHT);
	table_col(t, "UNPACKED", TABLE_RIGHT);
	table_col(t, "MANIFEST", TABLE_LEFT);
	table_col(t, after ? "" : "SUMMARY", TABLE_FLEX);
	for (size_t i = 0; i < b->n; i++) {
		const struct build_image *im = &b->v[i];
		const char *name = im->spec->name;
		json_t *s = im->state ? im->state : json_object_get(b->known, name);
		const char *manifest = command_str(s, "manifest");

		if (after && !im->done)
			continue;
		table_text(t, name);
		table_text(t, im->version);
		table_text(t, im->spec->base);
		table_num(t, (int64_t)json_array_size(json_object_get(s, "layers")));
		table_size(t, s, "size");
		table_size(t, s, "unpacked");
		if (strlen(manifest) > 19)
			table_fmt(t, "%.12s", manifest + 7);
		else
			table_text(t, NULL);
		table_text(t, after ? (im->made ? "built" : "unchanged") : im->spec->summary);
		json_array_append_new(
			out,
			json_pack("{s:s, s:s, s:o, s:s, s:s?, s:s, s:O?, s:O?, s:O?, s:O?, s:b}",
				  "name", name, "repository", im->spec->definition, "tags",
				  build_tags(im, s), "version", im->version, "base", im->spec->base,
				  "summary", im->spec->summary, "manifest",
				  json_object_get(s, "manifest"), "size",
				  json_object_get(s, "size"), "unpacked",
				  json_object_get(s, "unpacked"), "layers",
				  json_object_get(s, "layers"), "made", im->made));
	}
	if (cli_has(c, "json"))
		return json_print(out, stdout, e);
	table_print(t, stdout);
	return 0;
}

int images_ls(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build b = {0};

	return command_open(c, &cur, &b, e) ? -1 : list(c, &b, false, e);
}

int images_build(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build b = {0};
	int64_t jobs = 0;

	if (cli_int(c, "jobs", 1, 64, &jobs, e) || command_open(c, &cur, &b, e))
		return -1;
	b.jobs = (unsigned)jobs;
	b.revision = cli_str(c, "revision");
	if (b.revision && !provenance_is_revision(b.revision))
		return cli_usage(e, "--revision takes a whole commit id in lower-case hex");
	if (build_run(&b, e))
		return -1;
	if (cur.is_relock)
		options_note("warning: not the committed lock is in force");
	return list(c, &b, true, e);
}

/* ---- inspect, tree ---- */

static json_t *state_of(struct build *b, const char *name, struct err *e)
{
	json_t *s = json_object_get(b->known, name);

	if (!s)
		err_set(e, ERR_NOT_FOUND, "%s is not built: run `ocibuild build %s`", name, name);
	return s;
}

int images_inspect(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build b = {0};
	struct stat st;
	json_t *s;

	if (stat(c->argv[0], &st) == 0 && S_ISREG(st.st_mode))
		return images_inspect_archive(c, c->argv[0], e);
	if (command_open(c, &cur, &b, e) || !(s = state_of(&b, c->argv[0], e)))
		return -1;
	CLEAN(json) json_t *m = oci_get_json(b.dir, command_str(s, "manifest"), e);

	if (!m)
		return -1;
	CLEAN(json) json_t *cfg =
		oci_get_json(b.dir, command_str(json_object_get(m, "config"), "digest"), e);

	if (!cfg)
		return -1;
	CLEAN(json) json_t *o =
		json_pack("{s:s, s:O, s:o, s:O, s:O}", "name", c->argv[0], "digest",
			  json_object_get(s, "manifest"), "tags",
			  build_tags(build_find(&b, c->argv[0]), s), "manifest", m, "config", cfg);

	if (!o)
		return err_set(e, ERR_NOMEM, NULL);
	if (cli_has(c, "json"))
		return json_print(o, stdout, e);
	command_yaml(o);
	return 0;
}

/* Adds the size of a file to every directory above it, down to a depth. */
static void add_size(json_t *sums, const char *path, json_int_t size, int64_t depth)
{
	char up[4096];
	int64_t level = 0;

	for (const char *s = path; s && level < depth; level++) {
		const char *slash = strchr(s, '/');

		snprintf(up, sizeof(up), "%.*s", (int)(slash ? slash - path : (int)strlen(path)),
			 path);
		json_object_set_new(
			sums, up,
			json_integer(json_integer_value(json_object_get(sums, up)) + size));
		s = slash ? slash + 1 : NULL;
	}
}

static int sum_layer(const struct build *b, const char *digest, int64_t depth, json_t *sums,
		     struct err *e)
{
	struct archive *a = archive_read_new();
	struct archive_entry *ent;
	char path[4096], name[4096];
	int rc = 0;

	oci_blob_path(b->dir, digest, path);
	archive_read_support_format_tar(a);
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_zstd(a);
	if (archive_read_open_filename(a, path, 1u << 16) != ARCHIVE_OK)
		rc = err_set(e, ERR_IO, "cannot open %s", path);
	while (rc == 0 && archive_read_next_header(a, &ent) == ARCHIVE_OK)
		if (tree_clean_name(archive_entry_pathname(ent), name) &&
		    archive_entry_filetype(ent) == AE_IFREG)
			add_size(sums, name, archive_entry_size(ent), depth);
	archive_read_free(a);
	return rc;
}

struct sum {
	const char *path;
	json_int_t bytes;
};

static int by_size(const void *a, const void *b)
{
	const struct sum *p = a, *q = b;

	if (p->bytes != q->bytes)
		return p->bytes < q->bytes ? 1 : -1;
	return strcmp(p->path, q->path);
}

static int print_sums(const struct cli *c, json_t *sums, struct err *e)
{
	CLEAN(json) json_t *out = json_array();
	CLEAN(table) struct table *t = table_new();
	CLEAN(free) struct sum *v = calloc(json_object_size(sums) + 1, sizeof(*v));
	const char *path;
	size_t n = 0;
	json_t *w;

	if (!v)
		return err_set(e, ERR_NOMEM, NULL);
	json_object_foreach(sums, path, w) v[n++] = (struct sum){path, json_integer_value(w)};
	qsort(v, n, sizeof(*v), by_size);
	table_col(t, "BYTES", TABLE_RIGHT);
	table_col(t, "PATH", TABLE_FLEX);
	for (size_t i = 0; i < n; i++) {
		table_num(t, v[i].bytes);
		table_text(t, v[i].path);
		json_array_append_new(
			out, json_pack("{s:s, s:I}", "path", v[i].path, "bytes", v[i].bytes));
	}
	if (cli_has(c, "json"))
		return json_print(out, stdout, e);
	table_print(t, stdout);
	return 0;
}

int images_tree(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build b = {0};
	CLEAN(json) json_t *sums = json_object();
	int64_t depth = 3;
	json_t *s, *l;
	size_t i;

	if (cli_int(c, "depth", 1, 64, &depth, e) || command_open(c, &cur, &b, e) ||
	    !(s = state_of(&b, c->argv[0], e)))
		return -1;
	json_array_foreach(json_object_get(s, "layers"), i, l)
	{
		if (sum_layer(&b, command_str(l, "digest"), depth, sums, e))
			return -1;
	}
	return print_sums(c, sums, e);
}
