/* save and load: built images to a file, or to a container engine. */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "ocibuild/assemble/load.h"
#include "ocibuild/assemble/save.h"
#include "ocibuild/images.h"
#include "ocibuild/oci/compress.h"
#include "ocibuild/options.h"
#include "ui/table.h"
#include "json/json.h"

static int open_save(const struct cli *c, struct save_from from, int argc, char *const *argv,
		     struct save *s, struct err *e)
{
	const struct compress_form *f;
	struct current cur = {0};

	options_current(c, &cur);
	f = compress_find(cur.compression);
	if (!f)
		return cli_usage(e, "there is no compression '%.40s'", cur.compression);
	from.build = cur.build;
	from.tail = f->tail;
	from.prefix = cli_str(c, "prefix");
	return save_open(s, &from, argc, argv, e);
}

static json_t *image_json(const struct save_image *im)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:O}", "name", im->name, "id", im->id, "manifest",
			 im->manifest, "unpacked", strcmp(im->manifest, im->original) != 0, "tags",
			 im->tags);
}

static void note_unpacked(const struct save *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].manifest, s->v[i].original) != 0)
			options_note("%s: its zstd layers are in the archive as plain tar, which "
				     "every engine reads; the image id is the same, its manifest "
				     "is another",
				     s->v[i].name);
}

/* FILE.sha256, as `sha256sum -c` reads it in the folder of both. */
static int write_sum(const char *path, const char *hex, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char beside[4200], line[4200];
	int n = snprintf(line, sizeof(line), "%s  %s\n", hex, slash ? slash + 1 : path);

	if (snprintf(beside, sizeof(beside), "%s.sha256", path) >= (int)sizeof(beside))
		return err_set(e, ERR_BAD_INPUT, "the name of the file is too long");
	return file_output(beside, line, (size_t)n, 0644, e);
}

int images_save(struct cli *c, struct err *e)
{
	CLEAN(save) struct save s = {0};
	const char *path = cli_str(c, "output");
	bool to_stdout = !path || strcmp(path, "-") == 0, bundle = cli_has(c, "bundle");
	char hex[65];
	uint8_t md[32];

	if (to_stdout && bundle)
		return cli_usage(e, "--bundle writes two files: give -o FILE");
	if (to_stdout && isatty(1))
		return cli_usage(e, "an archive is not for a terminal: give -o FILE");
	if (to_stdout && cli_has(c, "json"))
		return cli_usage(e, "the archive goes to standard output: --json needs -o FILE");
	if (open_save(c, (struct save_from){.attached = bundle || cli_has(c, "attached")}, c->argc,
		      c->argv, &s, e))
		return -1;
	if (to_stdout ? save_write(&s, 1, md, e) : save_file(&s, path, md, e))
		return -1;
	note_unpacked(&s);
	if (to_stdout)
		return 0;
	enc_hex(hex, md, 32);
	if (bundle && write_sum(path, hex, e))
		return -1;
	if (!cli_has(c, "json")) {
		printf("wrote %s: %zu image%s, %.1f MB, sha256 %s\n", path, s.n,
		       s.n == 1 ? "" : "s", (double)s.bytes / 1e6, hex);
		return 0;
	}
	CLEAN(json) json_t *list = json_array();

	for (size_t i = 0; i < s.n; i++)
		json_array_append_new(list, image_json(&s.v[i]));
	CLEAN(json) json_t *o = json_pack("{s:s, s:s, s:I, s:O}", "file", path, "sha256", hex,
					  "bytes", (json_int_t)s.bytes, "images", list);

	return o ? json_print(o, stdout, e) : err_set(e, ERR_NOMEM, NULL);
}

static int print_loaded(const struct cli *c, const struct load_engine *en, const struct save *s,
			const bool *had, struct err *e)
{
	CLEAN(json) json_t *out = json_array();
	CLEAN(table) struct table *t = table_new();

	table_col(t, "IMAGE", TABLE_LEFT);
	table_col(t, "ID", TABLE_LEFT);
	table_col(t, "TAGS", TABLE_RIGHT);
	table_col(t, "", TABLE_LEFT);
	for (size_t i = 0; i < s->n; i++) {
		json_t *o = image_json(&s->v[i]);

		json_object_set_new(o, "engine", json_string(en->name));
		json_object_set_new(o, "loaded", json_boolean(!had[i]));
		json_array_append_new(out, o);
		table_text(t, json_string_value(json_array_get(s->v[i].tags, 0)));
		table_fmt(t, "%.12s", s->v[i].id + 7);
		table_num(t, (int64_t)json_array_size(s->v[i].tags));
		table_fmt(t, "%s %s", had[i] ? "unchanged in" : "loaded into", en->name);
	}
	if (cli_has(c, "json"))
		return json_print(out, stdout, e);
	table_print(t, stdout);
	return 0;
}

int images_load(struct cli *c, struct err *e)
{
	CLEAN(save) struct save all = {0};
	CLEAN(save) struct save some = {0};
	const struct load_engine *en;
	int n = 0;

	if (open_save(c, (struct save_from){0}, c->argc, c->argv, &all, e) ||
	    load_find(cli_str(c, "into"), &en, e))
		return -1;
	CLEAN(free) bool *had = calloc(all.n, sizeof(*had));
	CLEAN(free) char **names = calloc(all.n + 1, sizeof(*names));

	if (!had || !names)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < all.n; i++) {
		if (load_has(en, &all.v[i], &had[i], e))
			return -1;
		if (!had[i])
			names[n++] = (char *)(uintptr_t)all.v[i].name;
	}
	if (n && (open_save(c, (struct save_from){.plain = en->plain}, n, names, &some, e) ||
		  load_send(en, &some, e)))
		return -1;
	/* what the engine says it has, not what we sent */
	for (size_t i = 0; i < all.n; i++) {
		bool has;

		if (!had[i] && load_has(en, &all.v[i], &has, e))
			return -1;
		if (!had[i] && !has)
			return err_set(e, ERR_DIGEST,
				       "%s took %s, but what it has under its tags is not image %s",
				       en->name, all.v[i].name, all.v[i].id);
	}
	return print_loaded(c, en, &all, had, e);
}
