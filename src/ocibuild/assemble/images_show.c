/* show: a definition as written, or all that is true of an image. linked: what a linker's
 * map says. */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/assemble/command.h"
#include "ocibuild/images.h"
#include "ocibuild/oci/fill.h"
#include "ocibuild/oci/linked.h"
#include "ocibuild/options.h"

#define MAX_MAP (256u << 20)

static json_t *package(const struct build_image *of, const struct lock_pkg *p, const char *why)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "package", p->name, "version", p->version,
			 "suite", p->suite, "image", of->spec->name, "why", why);
}

/* What is installed in an image that is a root file system; not its slices. */
static int add_installed(const struct build *b, const struct build_image *im, json_t *out)
{
	const struct spec *s = im->spec;
	const struct lock *l = &b->cur->lock;

	for (size_t i = 0; spec_rootfs(s) && i < l->npkg; i++) {
		bool slice = false;

		for (size_t k = 0; k < s->nslices; k++)
			slice = slice ||
				spec_slice_of(&s->slices[k], l->pkg[i].suite, l->pkg[i].name);
		if (lock_pkg_in(&l->pkg[i], s->name) && !slice)
			json_array_append_new(out, package(im, &l->pkg[i], "installed"));
	}
	return 0;
}

static int add_slices(const struct build *b, const struct build_image *im, json_t *out,
		      struct err *e)
{
	const struct spec *s = im->spec;

	for (size_t i = s->own_slices; i < s->nslices; i++) {
		const struct spec_slice *sl = &s->slices[i];
		const struct lock_pkg *p = fill_row(&b->cur->lock, s, sl, e);
		json_t *files = json_array(), *row;

		if (!p)
			return -1;
		row = package(im, p, sl->libraries ? "libraries, as far as needed" : "files");
		for (size_t k = 0; k < sl->nfiles; k++)
			json_array_append_new(files, json_string(sl->files[k]));
		if (sl->nfiles)
			json_object_set_new(row, "files", files);
		else
			json_decref(files);
		if (sl->concat)
			json_object_set_new(row, "concat", json_string(sl->concat));
		json_array_append_new(out, row);
	}
	return 0;
}

static int add_linked(const struct build *b, const struct build_image *im, json_t *out,
		      struct err *e)
{
	CLEAN(linked) struct linked all = {0};
	json_t *row = NULL;

	if (linked_of(&all, im->spec, b->cur->build, e))
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		if (!i || strcmp(all.v[i - 1].package, all.v[i].package) != 0) {
			const struct lock_pkg *p = linked_locked(&b->cur->lock, &all.v[i], e);

			if (!p)
				return -1;
			row = package(im, p, "linked into its programs");
			json_object_set_new(row, "files", json_array());
			json_array_append_new(out, row);
		}
		json_array_append_new(json_object_get(row, "files"),
				      json_string(all.v[i].archive + 1));
	}
	return 0;
}

/* Users, groups and files of one image of the chain, onto those of its bases. */
static void add_own(const struct build_image *im, json_t *users, json_t *groups, json_t *files)
{
	const struct image *own = &im->spec->image;

	for (size_t i = 0; i < own->nusers; i++)
		json_array_append(users, (json_t *)(uintptr_t)own->users[i].item);
	json_object_update(groups, own->groups);
	for (size_t i = 0; i < own->nfiles; i++)
		json_array_append(files, (json_t *)(uintptr_t)own->files[i].item);
}

static json_t *waivers(const struct spec *s)
{
	json_t *out = json_array();

	for (size_t i = 0; i < s->nwaivers; i++) {
		const struct spec_waiver *w = &s->waivers[i];

		json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:s}", "rule", w->rule,
						     "path", w->path, "reason", w->reason,
						     "definition", w->definition));
	}
	return out;
}

/* All that is true of an image, its bases' parts first. */
static json_t *expanded(const struct build *b, const struct build_image *im, struct err *e)
{
	const struct spec *s = im->spec;
	CLEAN(json) json_t *o = json_pack(
		"{s:s, s:s, s:o, s:s*, s:s, s:s, s:o}", "image", s->name, "repository",
		s->definition, "definition", json_sprintf("images/%s.yaml", s->definition),
		"variant", *s->variant ? s->variant : NULL, "summary", s->summary, "version",
		im->version, "tags", build_tags(im, json_object_get(b->known, s->name)));
	CLEAN(json) json_t *packages = json_array();
	CLEAN(json) json_t *users = json_array();
	CLEAN(json) json_t *groups = json_object();
	CLEAN(json) json_t *files = json_array();
	const struct build_image *chain[SPEC_MAX_CHAIN];
	json_t *bases = json_array();
	size_t n = 0;

	for (const struct build_image *at = im; at && n < SPEC_MAX_CHAIN; at = at->base)
		chain[n++] = at;
	for (size_t i = 1; i < n; i++)
		json_array_append_new(bases, json_string(chain[i]->spec->name));
	json_object_set_new(o, "bases", bases);
	for (size_t i = n; i-- > 0;) {
		if (add_installed(b, chain[i], packages) || add_slices(b, chain[i], packages, e) ||
		    add_linked(b, chain[i], packages, e))
			return NULL;
		add_own(chain[i], users, groups, files);
	}
	json_object_update(o, s->image.config);
	/* not whose version it is, but which */
	json_object_set_new(o, "version", json_string(im->version));
	if (!json_object_get(o, "title"))
		json_object_set_new(o, "title", json_string(s->name));
	json_object_set(o, "packages", packages);
	json_object_set(o, "users", users);
	json_object_set(o, "groups", groups);
	json_object_set(o, "files", files);
	json_object_set_new(o, "waivers", waivers(s));
	json_object_set_new(o, "tests", s->tests ? json_incref(s->tests) : json_array());
	return json_incref(o);
}

/* A variant's own part, or all of the file. */
static json_t *written(const struct spec *s)
{
	json_t *root = s->docs[0].root;

	return json_incref(*s->variant
				   ? json_object_get(json_object_get(root, "variants"), s->variant)
				   : root);
}

int images_show(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build b = {0};
	const struct build_image *im;

	if (command_open(c, &cur, &b, e))
		return -1;
	im = build_find(&b, c->argv[0]);
	CLEAN(json) json_t *o = cli_has(c, "expanded") ? expanded(&b, im, e) : written(im->spec);

	if (!o)
		return -1;
	if (cli_has(c, "json"))
		return json_print(o, stdout, e);
	command_yaml(o);
	return 0;
}

int images_linked(struct cli *c, struct err *e)
{
	CLEAN(linked) struct linked l = {0};
	CLEAN(json) json_t *out = json_array();
	CLEAN(buf) struct buf map = {0};
	const char *root = cli_str(c, "root");

	buf_init(&map, MAX_MAP);
	if (file_read(c->argv[0], &map, e) ||
	    linked_from_map(&l, map.len ? (const char *)map.p : "", map.len, root ? root : "", e))
		return err_wrap(e, "%s", c->argv[0]);
	for (size_t i = 0; i < l.n; i++) {
		const struct linked_row *r = &l.v[i];

		if (!cli_has(c, "json"))
			printf("%s %s %s\n", r->package, r->version, r->archive);
		json_array_append_new(out, json_pack("{s:s, s:s, s:s}", "package", r->package,
						     "version", r->version, "archive", r->archive));
	}
	return cli_has(c, "json") ? json_print(out, stdout, e) : 0;
}
