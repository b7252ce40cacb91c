/* plan: what a build would do, image by image and step by step. */
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/assemble/command.h"
#include "ocibuild/images.h"
#include "ocibuild/oci/fill.h"
#include "ocibuild/rootfs.h"
#include "ui/table.h"

#define SHOWN 4 /* items of a step in the table; --json has all */

static int add_step(json_t *steps, const char *name, const char *what, json_t *items, struct err *e)
{
	json_t *o = json_pack("{s:s, s:s, s:O}", "step", name, "what", what, "items", items);

	return json_array_append_new(steps, o) ? err_set(e, ERR_NOMEM, NULL) : 0;
}

/* Whether the root file system on disk is of these inputs. */
static bool is_made(const struct build *b, const struct spec *s)
{
	const struct rootfs r = {.spec = s, .lock = &b->cur->lock, .cache = &b->cur->cache};
	CLEAN(buf) struct buf stamp = {0};
	char path[4096], inputs[65];

	buf_init(&stamp, 64);
	snprintf(path, sizeof(path), "%s/rootfs/%s.stamp", b->root, s->name);
	return rootfs_inputs(&r, inputs, NULL) == 0 && file_read(path, &stamp, NULL) == 0 &&
	       stamp.len == 64 && memcmp(stamp.p, inputs, 64) == 0;
}

/* A root file system, which mmdebstrap installs, and the layer that is made of it. */
static int plan_rootfs(const struct build *b, const struct spec *s, json_t *steps, struct err *e)
{
	CLEAN(json) json_t *items = json_array();
	CLEAN(json) json_t *none = json_array();
	const struct lock *l = &b->cur->lock;

	for (size_t i = 0; i < l->npkg; i++)
		if (lock_pkg_in(&l->pkg[i], s->name))
			json_array_append_new(
				items, json_sprintf("%s %s", l->pkg[i].name, l->pkg[i].version));
	for (const struct rootfs_step *r = rootfs_steps; r->name && !is_made(b, s); r++)
		if (add_step(steps, r->name, r->what, none, e))
			return -1;
	return add_step(steps, "layer", "the root file system's tar", items, e);
}

static int plan_fill(const struct build *b, const struct spec *s, json_t *steps, struct err *e)
{
	const struct fill f = {.spec = s,
			       .lock = &b->cur->lock,
			       .cache = &b->cur->cache,
			       .images = b->cur->images,
			       .build = b->cur->build};

	for (const struct fill_step *r = fill_steps; r->name; r++) {
		CLEAN(json) json_t *items = json_array();

		if (r->about && r->about(&f, items, e))
			return -1;
		if ((!r->about || json_array_size(items)) &&
		    add_step(steps, r->name, r->what, items, e))
			return -1;
	}
	return 0;
}

static json_t *plan_of(struct build *b, struct build_image *im, struct err *e)
{
	CLEAN(json) json_t *steps = json_array();
	bool fresh;

	if (build_is_fresh(b, im, &fresh, e))
		return NULL;
	if (!fresh && (spec_rootfs(im->spec) ? plan_rootfs(b, im->spec, steps, e)
					     : plan_fill(b, im->spec, steps, e)))
		return NULL;
	return json_pack("{s:s, s:b, s:O}", "name", im->spec->name, "build", !fresh, "steps",
			 steps);
}

static void print_step(struct table *t, const char *name, const json_t *step)
{
	const json_t *items = json_object_get(step, "items");
	size_t n = json_array_size(items), i;
	CLEAN(buf) struct buf b = {0};
	json_t *v;

	buf_init(&b, 1u << 20);
	buf_printf(&b, "%s", command_str(step, "what"));
	json_array_foreach(items, i, v)
	{
		if (i < SHOWN)
			buf_printf(&b, "%s%s", i ? ", " : ": ", json_string_value(v));
	}
	if (n > SHOWN)
		buf_printf(&b, " and %zu more", n - SHOWN);
	table_text(t, name);
	table_text(t, command_str(step, "step"));
	table_fmt(t, "%.*s", (int)b.len, (const char *)b.p);
}

int images_plan(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build b = {0};
	CLEAN(json) json_t *out = json_array();
	CLEAN(table) struct table *t = table_new();

	if (command_open(c, &cur, &b, e))
		return -1;
	table_col(t, "IMAGE", TABLE_LEFT);
	table_col(t, "STEP", TABLE_LEFT);
	table_col(t, "WHAT", TABLE_FLEX);
	/* what a wanted image stands on is built too */
	for (size_t i = 0; i < b.n; i++)
		for (struct build_image *im = b.v[i].wanted ? b.v[i].base : NULL; im; im = im->base)
			im->wanted = true;
	for (size_t i = 0; i < b.n; i++) {
		json_t *plan = b.v[i].wanted ? plan_of(&b, &b.v[i], e) : NULL, *step;
		size_t k;

		if (!b.v[i].wanted)
			continue;
		if (!plan || json_array_append_new(out, plan))
			return plan ? err_set(e, ERR_NOMEM, NULL) : -1;
		json_array_foreach(json_object_get(plan, "steps"), k, step)
			print_step(t, k ? "" : b.v[i].spec->name, step);
		if (!json_is_true(json_object_get(plan, "build"))) {
			table_text(t, b.v[i].spec->name);
			table_text(t, NULL);
			table_text(t, "nothing: it is built from these inputs");
		}
	}
	if (cli_has(c, "json"))
		return json_print(out, stdout, e);
	table_print(t, stdout);
	return 0;
}
