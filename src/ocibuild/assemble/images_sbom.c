/* `ocibuild sbom`: a table for people, and the documents as they are in the layout. */
#include <string.h>

#include "base/cleanup.h"
#include "ocibuild/assemble/command.h"
#include "ocibuild/images.h"
#include "ocibuild/sbom/referrer.h"
#include "ocibuild/sbom/sbom.h"
#include "ui/table.h"

static int print_document(struct build *b, const char *name, const json_t *state,
			  const char *format, struct err *e)
{
	const struct referrer_kind *k = referrer_find(format);
	CLEAN(buf) struct buf text = {0};

	if (!k)
		return cli_usage(e, "--format is spdx, cyclonedx or provenance");
	if (referrer_read(b->dir, json_object_get(state, "attached"), k, &text, e))
		return err_wrap(e, "%s", name);
	if (fwrite(text.p, 1, text.len, stdout) != text.len || putchar('\n') == EOF)
		return err_errno(e, ERR_IO, "cannot write");
	return 0;
}

static json_t *row_json(const struct sbom_package *p)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:s, s:I, s:I, s:s}", "package", p->name,
			 "version", p->version, "arch", p->arch, "source", p->source,
			 "source_version", p->source_version, "licence", p->licence, "why",
			 sbom_why(p), "files", (json_int_t)p->nfiles, "size", (json_int_t)p->size,
			 "purl", p->purl);
}

/* The licence's first names: DEP-5 lists every part of a source. */
static void licence_cell(struct table *t, const char *licence)
{
	if (!licence || strncmp(licence, "LicenseRef-Debian-copyright-", 28) == 0)
		table_text(t, licence ? "see its copyright file" : NULL);
	else
		table_text(t, licence);
}

static int print_table(const struct cli *c, const struct sbom *s, struct err *e)
{
	CLEAN(json) json_t *out = json_array();
	CLEAN(table) struct table *t = table_new();
	json_int_t files = 0, size = 0;

	table_col(t, "PACKAGE", TABLE_LEFT);
	table_col(t, "VERSION", TABLE_LEFT);
	table_col(t, "WHY", TABLE_LEFT);
	table_col(t, "FILES", TABLE_RIGHT);
	table_col(t, "BYTES", TABLE_RIGHT);
	table_col(t, "LICENCE", TABLE_FLEX);
	for (size_t i = 0; i < s->nfiles; i++)
		if (s->files[i].package == SBOM_PROJECT) {
			files++;
			size += (json_int_t)s->files[i].size;
		}
	table_text(t, "signbox");
	table_text(t, SIGNBOX_VERSION);
	table_text(t, "project");
	table_num(t, files);
	table_num(t, size);
	table_text(t, SBOM_LICENCE);
	json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "package", "signbox",
					     "version", SIGNBOX_VERSION, "licence", SBOM_LICENCE,
					     "why", "project", "files", files, "size", size));
	for (size_t i = 0; i < s->n; i++) {
		const struct sbom_package *p = &s->v[i];

		table_text(t, p->name);
		table_text(t, p->version);
		table_text(t, sbom_why(p));
		table_num(t, (int64_t)p->nfiles);
		table_num(t, (int64_t)p->size);
		licence_cell(t, p->licence);
		json_array_append_new(out, row_json(p));
	}
	if (cli_has(c, "json"))
		return json_print(out, stdout, e);
	table_print(t, stdout);
	return 0;
}

int images_sbom(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build b = {0};
	CLEAN(sbom) struct sbom s = {0};

	if (command_open(c, &cur, &b, e))
		return -1;
	const struct build_image *im = build_find(&b, c->argv[0]);
	const json_t *state = json_object_get(b.known, im->spec->name);
	const struct sbom_src src = {.cur = &cur,
				     .spec = im->spec,
				     .dir = b.dir,
				     .digest = command_str(state, "manifest"),
				     .version = command_str(state, "version")};

	if (!state)
		return err_set(e, ERR_NOT_FOUND, "%s is not built: run `ocibuild build %s`",
			       im->spec->name, im->spec->name);
	if (cli_has(c, "format"))
		return print_document(&b, im->spec->name, state, cli_str(c, "format"), e);
	return sbom_read(&s, &src, e) ? -1 : print_table(c, &s, e);
}
