#include "ocibuild/images.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "ocibuild/oci/build.h"
#include "ocibuild/oci/fill.h"
#include "ocibuild/oci/oci.h"
#include "ocibuild/options.h"
#include "ocibuild/tree.h"
#include "ui/table.h"
#include "json/json.h"

/* What every command starts with. */
static int open_all(const struct cli *c, struct current *cur, struct build *b, struct err *e)
{
	options_current(c, cur);
	if (current_load(cur, e) || build_open(b, cur, e))
		return -1;
	for (int i = 0; i < c->argc; i++) {
		struct build_image *im = build_find(b, c->argv[i]);

		if (!im)
			return cli_usage(e, "there is no image '%.60s'; `ocibuild ls` lists them",
					 c->argv[i]);
		im->wanted = true;
	}
	for (size_t i = 0; i < b->n && !c->argc; i++)
		b->v[i].wanted = true;
	if (!b->n)
		return err_set(e, ERR_CONFIG, "no definition in %s has the stanza `image`",
			       cur->images);
	return 0;
}

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

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
		const char *manifest = str(s, "manifest");

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
			json_pack("{s:s, s:s, s:s?, s:s, s:O?, s:O?, s:O?, s:O?, s:b}", "name",
				  name, "version", im->version, "base", im->spec->base, "summary",
				  im->spec->summary, "manifest", json_object_get(s, "manifest"),
				  "size", json_object_get(s, "size"), "unpacked",
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

	return open_all(c, &cur, &b, e) ? -1 : list(c, &b, false, e);
}

int images_build(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build b = {0};

	if (open_all(c, &cur, &b, e) || build_run(&b, e))
		return -1;
	if (cur.is_relock)
		options_note("warning: not the committed lock is in force");
	return list(c, &b, true, e);
}

/* ---- show ---- */

static json_t *slices_json(const struct build *b, const struct spec *s)
{
	json_t *out = json_array();

	for (size_t i = 0; i < s->nslices; i++) {
		const struct spec_slice *sl = &s->slices[i];
		const struct lock_pkg *p = fill_row(&b->cur->lock, s, sl, NULL);
		json_t *files = json_array();

		for (size_t k = 0; k < sl->nfiles; k++)
			json_array_append_new(files, json_string(sl->files[k]));
		json_array_append_new(out,
				      json_pack("{s:s, s:s, s:s?, s:s, s:s?, s:o}", "package",
						sl->package, "suite", p ? p->suite : sl->suite,
						"version", p ? p->version : NULL, "why",
						sl->linked	? "linked into its programs"
						: sl->libraries ? "libraries that its programs need"
								: "files",
						"concat", sl->concat, "files", files));
	}
	return out;
}

/* Everything that is true of an image, its bases' parts first. */
static json_t *expanded(const struct build *b, const struct build_image *im)
{
	static const char *const parts[] = {"users", "groups", "files"};
	json_t *o = json_pack("{s:s, s:s, s:s, s:s?}", "image", im->spec->name, "summary",
			      im->spec->summary, "version", im->version, "base", im->spec->base);
	const struct build_image *chain[16];
	size_t n = 0;

	for (const struct build_image *at = im; at && n < 16; at = at->base)
		chain[n++] = at;
	json_object_update(o, im->spec->image.config);
	json_object_set_new(o, "slices", slices_json(b, im->spec));
	for (size_t k = 0; k < 3; k++) {
		json_t *all = k == 1 ? json_object() : json_array();

		for (size_t i = n; i-- > 0;) {
			json_t *raw = chain[i]->spec->image.raw[k];

			if (json_is_object(raw))
				json_object_update(all, raw);
			else if (raw)
				json_array_extend(all, raw);
		}
		json_object_set_new(o, parts[k], all);
	}
	return o;
}

static bool is_plain(const char *s)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/._-";

	return *s && s[strspn(s, set)] == '\0' && *s != '-' && strcmp(s, "true") != 0 &&
	       strcmp(s, "false") != 0 && strcmp(s, "null") != 0;
}

static void print_scalar(const json_t *v)
{
	if (json_is_string(v) && is_plain(json_string_value(v)))
		fputs(json_string_value(v), stdout);
	else
		json_dumpf(v, stdout, JSON_ENCODE_ANY);
}

/* YAML in block style; the depth of ours is small and bounded by the reader's. */
static void print_yaml(const json_t *v, int depth, bool in_item)
{
	const char *key;
	json_t *w;
	size_t i;

	json_object_foreach((json_t *)(uintptr_t)v, key, w)
	{
		bool leaf = !json_is_object(w) && !json_is_array(w);

		if (!in_item)
			printf("%*s", depth * 2, "");
		in_item = false;
		printf("%s:", key);
		if (leaf || !(json_array_size(w) + json_object_size(w))) {
			putchar(' ');
			print_scalar(w);
			putchar('\n');
			continue;
		}
		putchar('\n');
		print_yaml(w, depth + 1, false);
	}
	json_array_foreach(v, i, w)
	{
		printf("%*s- ", depth * 2, "");
		if (json_is_object(w)) {
			print_yaml(w, depth + 1, true);
		} else {
			print_scalar(w);
			putchar('\n');
		}
	}
}

int images_show(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build b = {0};
	const struct build_image *im;

	if (open_all(c, &cur, &b, e))
		return -1;
	im = build_find(&b, c->argv[0]);
	CLEAN(json) json_t *o =
		cli_has(c, "expanded") ? expanded(&b, im) : json_incref(im->spec->docs[0].root);

	if (!o)
		return err_set(e, ERR_NOMEM, NULL);
	if (cli_has(c, "json"))
		return json_print(o, stdout, e);
	print_yaml(o, 0, false);
	return 0;
}

/* ---- plan ---- */

int images_plan(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build b = {0};
	CLEAN(json) json_t *out = json_array();
	CLEAN(table) struct table *t = table_new();

	if (open_all(c, &cur, &b, e))
		return -1;
	table_col(t, "IMAGE", TABLE_LEFT);
	table_col(t, "STEP", TABLE_LEFT);
	table_col(t, "WHAT", TABLE_FLEX);
	/* what a wanted image stands on is built too */
	for (size_t i = 0; i < b.n; i++)
		for (struct build_image *im = b.v[i].wanted ? b.v[i].base : NULL; im; im = im->base)
			im->wanted = true;
	for (size_t i = 0; i < b.n; i++) {
		struct build_image *im = &b.v[i];
		bool fresh;

		if (!im->wanted)
			continue;
		if (build_is_fresh(&b, im, &fresh, e))
			return -1;
		json_array_append_new(
			out, json_pack("{s:s, s:b}", "name", im->spec->name, "build", !fresh));
		table_text(t, im->spec->name);
		table_text(t, fresh ? NULL : "fill");
		table_text(t, fresh ? "nothing: it is built from these inputs" : im->spec->summary);
		for (const struct fill_step *s = fill_steps; s->name && !fresh; s++) {
			table_text(t, "");
			table_text(t, s->name);
			table_text(t, s->what);
		}
	}
	if (cli_has(c, "json"))
		return json_print(out, stdout, e);
	table_print(t, stdout);
	return 0;
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
	json_t *s;

	if (open_all(c, &cur, &b, e) || !(s = state_of(&b, c->argv[0], e)))
		return -1;
	CLEAN(json) json_t *m = oci_get_json(b.dir, str(s, "manifest"), e);

	if (!m)
		return -1;
	CLEAN(json) json_t *cfg =
		oci_get_json(b.dir, str(json_object_get(m, "config"), "digest"), e);

	if (!cfg)
		return -1;
	CLEAN(json) json_t *o = json_pack("{s:s, s:O, s:O, s:O, s:O}", "name", c->argv[0], "digest",
					  json_object_get(s, "manifest"), "tags",
					  json_object_get(s, "tags"), "manifest", m, "config", cfg);

	if (!o)
		return err_set(e, ERR_NOMEM, NULL);
	if (cli_has(c, "json"))
		return json_print(o, stdout, e);
	print_yaml(o, 0, false);
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

	if (cli_int(c, "depth", 1, 64, &depth, e) || open_all(c, &cur, &b, e) ||
	    !(s = state_of(&b, c->argv[0], e)))
		return -1;
	json_array_foreach(json_object_get(s, "layers"), i, l)
	{
		if (sum_layer(&b, str(l, "digest"), depth, sums, e))
			return -1;
	}
	return print_sums(c, sums, e);
}
