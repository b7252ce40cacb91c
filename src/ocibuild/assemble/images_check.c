/* check: the policy, over built images and other layouts. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/cleanup.h"
#include "ocibuild/assemble/command.h"
#include "ocibuild/check/check.h"
#include "ocibuild/current.h"
#include "ocibuild/images.h"
#include "ocibuild/options.h"
#include "ocibuild/spec_checks.h"
#include "ui/table.h"
#include "json/json.h"
#include "json/yaml.h"

#define MAX_WAIVERS (1u << 20)

/* One image of a run. */
struct job {
	const char *name; /* as it was asked for */
	char dir[4096];
	const char *ref;
	struct unpack unpacked;
	const struct spec *base;     /* that it is derived from, when it is known */
	struct spec_waiver *waivers; /* the file's and the base's */
	struct check check;
	struct err err;
	int rc;
};

struct jobs {
	struct job *v;
	size_t n;
	struct spec_set set;
	struct json_doc doc; /* of --waivers */
	struct spec given;   /* its waivers */
	char layout[4096];
	uint64_t bytes;
	struct progress progress;
	atomic_size_t next;
};

static void jobs_free(struct jobs *j)
{
	for (size_t i = 0; i < j->n; i++) {
		check_free(&j->v[i].check);
		unpack_free(&j->v[i].unpacked);
		free(j->v[i].waivers);
	}
	free(j->v);
	free(j->given.waivers);
	json_doc_free(&j->doc);
	spec_set_free(&j->set);
}

static inline void cleanup_jobs(struct jobs *j)
{
	jobs_free(j);
}

/* ---- rules ---- */

static const char *applies(const struct check_rule *r, char out[static 64])
{
	size_t n = 0;

	if (r->variants == CHECK_ALL)
		return "all";
	out[0] = '\0';
	for (unsigned v = 1; v < CHECK_ALL; v <<= 1)
		if (r->variants & v)
			n += (size_t)snprintf(out + n, 64 - n, "%s%s", n ? " " : "",
					      check_variant_name(v));
	return out;
}

static int print_rules(const struct cli *c, struct err *e)
{
	CLEAN(json) json_t *out = json_array();
	CLEAN(table) struct table *t = table_new();
	char list[64];

	table_col(t, "RULE", TABLE_LEFT);
	table_col(t, "VARIANTS", TABLE_LEFT);
	table_col(t, "WAIVER", TABLE_LEFT);
	table_col(t, "WHAT IT DEMANDS", TABLE_FLEX);
	for (const struct check_rule *r = check_rules; r->id; r++) {
		table_text(t, r->id);
		table_text(t, applies(r, list));
		table_text(t, r->strict ? "no" : "yes");
		table_text(t, r->what);
		json_array_append_new(out, json_pack("{s:s, s:s, s:b, s:s, s:s}", "rule", r->id,
						     "variants", applies(r, list), "waiver",
						     !r->strict, "what", r->what, "fix", r->fix));
	}
	if (cli_has(c, "json"))
		return json_print(out, stdout, e);
	table_print(t, stdout);
	return 0;
}

/* ---- what is checked ---- */

/* A definition says of which variant its image is; what is elsewhere must keep the
 * strictest rules, unless the user says otherwise: no label is believed. */
static int choose_variant(const struct cli *c, const struct spec *s, struct job *j, struct err *e)
{
	const char *given = cli_str(c, "variant");
	const char *name = given ? given : "runtime";

	if (s && !given) {
		json_t *labels = json_object_get(s->image.config, "labels");

		name = json_string_value(json_object_get(labels, "signbox.variant"));
		if (!name || !check_variant_by_name(name))
			return err_set(e, ERR_CONFIG,
				       "%s: its label signbox.variant is none of runtime, testing, "
				       "compat, debug and dev",
				       j->name);
	}
	j->check.variant = check_variant_by_name(name);
	if (!j->check.variant)
		return cli_usage(e, "--variant is runtime, testing, compat, debug or dev");
	return 0;
}

/* Those of somebody else's image, in the form that they have in a definition. */
static int read_waivers(const struct cli *c, struct jobs *js, struct err *e)
{
	const char *path = cli_str(c, "waivers");
	json_t *list = NULL;
	const struct json_want want[] = {
		{.key = "waivers", .kind = JSON_IS_ARR, .out = &list, .need = true},
		{0},
	};

	if (!path)
		return 0;
	if (yaml_parse_file(&js->doc, path, MAX_WAIVERS, e) ||
	    json_fields(&js->doc, js->doc.root, want, e))
		return -1;
	return spec_checks_waivers(&js->given, &js->doc, list, e);
}

/* The digests of its layers, unpacked; NULL: it is not there. */
static json_t *diff_ids(const char *dir, const char *ref)
{
	char digest[OCI_DIGEST_LEN];

	if (view_resolve(dir, ref, digest, NULL, NULL))
		return NULL;
	CLEAN(json) json_t *m = oci_get_json(dir, digest, NULL);
	const char *config = command_str(json_object_get(m, "config"), "digest");
	CLEAN(json) json_t *c = strlen(config) == 71 ? oci_get_json(dir, config, NULL) : NULL;

	return json_incref(json_object_get(json_object_get(c, "rootfs"), "diff_ids"));
}

/* The image of a definition that has the same layers below: the one with the most. What
 * its definition waives is not for others to mend. */
static const struct spec *find_base(const struct jobs *js, const struct job *j, size_t *most)
{
	CLEAN(json) json_t *ids = diff_ids(j->dir, j->ref);
	const struct spec *found = NULL;

	*most = 0;
	for (size_t i = 0; i < js->set.n; i++) {
		CLEAN(json) json_t *below =
			js->set.v[i].image.is ? diff_ids(js->layout, js->set.v[i].name) : NULL;
		size_t n = json_array_size(below), k = 0;

		while (k < n && json_equal(json_array_get(below, k), json_array_get(ids, k)))
			k++;
		if (k == n && n > *most) {
			*most = n;
			found = &js->set.v[i];
		}
	}
	return found;
}

/* Waivers of the command line, and those of what it stands on. */
static int derived_waivers(const struct cli *c, const struct jobs *js, struct job *j, struct err *e)
{
	size_t n = js->given.nwaivers;

	j->check.derived = cli_has(c, "derived");
	j->base = j->check.derived ? find_base(js, j, &j->check.below) : NULL;
	j->check.inherited = n;
	j->waivers = calloc(n + (j->base ? j->base->nwaivers : 0) + 1, sizeof(*j->waivers));
	if (!j->waivers)
		return err_set(e, ERR_NOMEM, NULL);
	if (n)
		memcpy(j->waivers, js->given.waivers, n * sizeof(*j->waivers));
	for (size_t i = 0; j->base && i < j->base->nwaivers; i++)
		j->waivers[n++] = j->base->waivers[i];
	j->check.waivers = j->waivers;
	j->check.nwaivers = n;
	j->check.waivers_file = js->doc.name;
	return 0;
}

/* Whose rules and waivers: a definition's, or what the command line says. */
static int choose_policy(const struct cli *c, const struct jobs *js, const struct spec *s,
			 struct job *j, struct err *e)
{
	if (s && (cli_has(c, "derived") || cli_has(c, "waivers")))
		return cli_usage(e,
				 "%s is of a definition: its waivers are there, and it is derived "
				 "from nothing",
				 j->name);
	if (!s)
		return derived_waivers(c, js, j, e);
	j->check.definition = s->definition;
	j->check.waivers = s->waivers;
	j->check.nwaivers = s->nwaivers;
	return 0;
}

static int add_job(const struct cli *c, struct jobs *js, const char *arg, struct err *e)
{
	struct job *j = &js->v[js->n++];
	const struct spec *s = NULL;
	char name[64], digest[OCI_DIGEST_LEN];
	uint64_t bytes;

	j->name = arg;
	if (command_locate(js->layout, arg, &j->unpacked, j->dir, &j->ref, e))
		return -1;
	if (strcmp(j->dir, js->layout) == 0 && j->ref) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(j->ref, ":"), j->ref);
		s = spec_find(&js->set, name);
	}
	if (view_resolve(j->dir, j->ref, digest, &bytes, e)) {
		if (e->code == ERR_NOT_FOUND && s)
			return err_set(e, ERR_NOT_FOUND, "%s is not built: run `ocibuild build %s`",
				       arg, name);
		return -1;
	}
	js->bytes += bytes;
	j->check.dir = j->dir;
	j->check.ref = j->ref;
	return choose_policy(c, js, s, j, e) ? -1 : choose_variant(c, s, j, e);
}

static int open_jobs(const struct cli *c, struct jobs *js, struct err *e)
{
	struct current cur = {0};
	size_t max;

	options_current(c, &cur);
	snprintf(js->layout, sizeof(js->layout), "%s/images", cur.build);
	/* another layout can be checked where there are no definitions */
	if (spec_load_all(&js->set, cur.images, e)) {
		if (!c->argc || access(cur.images, F_OK) == 0)
			return -1;
		js->set = (struct spec_set){0};
	}
	if (read_waivers(c, js, e))
		return -1;
	max = (size_t)c->argc + js->set.n;
	js->v = calloc(max + 1, sizeof(*js->v));
	if (!js->v)
		return err_set(e, ERR_NOMEM, NULL);
	for (int i = 0; i < c->argc; i++)
		if (add_job(c, js, c->argv[i], e))
			return -1;
	for (size_t i = 0; i < js->set.n && !c->argc; i++)
		if (js->set.v[i].image.is && add_job(c, js, js->set.v[i].name, e))
			return -1;
	return 0;
}

/* ---- results ---- */

static json_t *finding_json(const struct check_finding *f)
{
	json_t *o = json_pack("{s:s, s:o, s:o, s:s}", "rule", f->rule->id, "path",
			      view_text(f->path), "why", view_text(f->why), "fix", f->rule->fix);

	if (o && f->waiver)
		json_object_set_new(o, "waived", json_string(f->waiver->reason));
	return o;
}

static json_t *left_out(const struct check *k)
{
	json_t *list = json_array();

	for (const struct check_rule *r = check_rules; r->id; r++)
		if ((r->variants & k->variant) && !check_applies(k, r))
			json_array_append_new(list, json_string(r->id));
	return list;
}

static json_t *job_json(const struct job *j)
{
	json_t *found = json_array(), *waived = json_array();

	for (size_t i = 0; i < j->check.n; i++)
		json_array_append_new(j->check.v[i].waiver ? waived : found,
				      finding_json(&j->check.v[i]));
	return json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:s?}", "image", j->name, "digest",
			 j->check.digest, "variant", check_variant_name(j->check.variant), "files",
			 (json_int_t)j->check.view.n, "findings", found, "waived", waived,
			 "left_out", left_out(&j->check), "base", j->base ? j->base->name : NULL);
}

static void findings_table(const struct jobs *js, bool waived)
{
	CLEAN(table) struct table *t = table_new();
	bool any = false;

	table_col(t, "IMAGE", TABLE_LEFT);
	table_col(t, "RULE", TABLE_LEFT);
	table_col(t, "PATH", TABLE_LEFT);
	table_col(t, "WHY", TABLE_LEFT);
	table_col(t, waived ? "WAIVED BECAUSE" : "WHAT TO DO", TABLE_FLEX);
	for (size_t i = 0; i < js->n; i++) {
		for (size_t k = 0; k < js->v[i].check.n; k++) {
			const struct check_finding *f = &js->v[i].check.v[k];

			if (!f->waiver == waived)
				continue;
			any = true;
			table_text(t, js->v[i].name);
			table_text(t, f->rule->id);
			table_text(t, *f->path ? f->path : NULL);
			table_text(t, f->why);
			table_text(t, f->waiver ? f->waiver->reason : f->rule->fix);
		}
	}
	if (!any)
		return;
	table_print(t, stdout);
	putchar('\n');
}

static size_t count_rules(const struct check *k)
{
	size_t n = 0;

	for (const struct check_rule *r = check_rules; r->id; r++)
		n += check_applies(k, r);
	return n;
}

static void print_summary(const struct jobs *js)
{
	CLEAN(table) struct table *t = table_new();

	table_col(t, "IMAGE", TABLE_LEFT);
	table_col(t, "VARIANT", TABLE_LEFT);
	table_col(t, "FILES", TABLE_RIGHT);
	table_col(t, "RULES", TABLE_RIGHT);
	table_col(t, "FINDINGS", TABLE_RIGHT);
	table_col(t, "WAIVED", TABLE_RIGHT);
	for (size_t i = 0; i < js->n; i++) {
		const struct check *k = &js->v[i].check;

		table_text(t, js->v[i].name);
		table_text(t, check_variant_name(k->variant));
		table_num(t, (int64_t)k->view.n);
		table_num(t, (int64_t)count_rules(k));
		table_num(t, (int64_t)k->standing);
		table_num(t, (int64_t)(k->n - k->standing));
	}
	table_print(t, stdout);
	for (size_t i = 0; i < js->n; i++) {
		if (js->v[i].base)
			printf("%s: it stands on %s, whose waivers hold for it\n", js->v[i].name,
			       js->v[i].base->name);
		CLEAN(json) json_t *list = left_out(&js->v[i].check);
		json_t *v;
		size_t k;

		json_array_foreach(list, k, v)
			printf("%s: the rule '%s' was left out: it judges what only ocibuild "
			       "attaches\n",
			       js->v[i].name, json_string_value(v));
	}
}

/* ---- the run ---- */

static void *work(void *arg)
{
	struct jobs *js = arg;
	size_t i;

	while ((i = atomic_fetch_add(&js->next, 1)) < js->n) {
		struct job *j = &js->v[i];

		j->check.progress = &js->progress;
		j->rc = check_image(&j->check, &j->err);
	}
	return NULL;
}

/* One image a processor; the caller is one of the threads. */
static int run_all(struct jobs *js, struct err *e)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[15];
	size_t n = 0;

	progress_start(&js->progress, "checking images", js->bytes, PROGRESS_BYTES);
	while (n < 15 && (long)n + 1 < cpus && n + 1 < js->n &&
	       pthread_create(&threads[n], NULL, work, js) == 0)
		n++;
	work(js);
	while (n)
		pthread_join(threads[--n], NULL);
	progress_end(&js->progress);
	for (size_t i = 0; i < js->n; i++)
		if (js->v[i].rc)
			return err_set(e, js->v[i].err.code, "%.60s: %.180s", js->v[i].name,
				       js->v[i].err.text);
	return 0;
}

int images_check(struct cli *c, struct err *e)
{
	CLEAN(jobs) struct jobs js = {0};
	size_t standing = 0;

	if (cli_has(c, "rules"))
		return print_rules(c, e);
	if (open_jobs(c, &js, e) || run_all(&js, e))
		return -1;
	for (size_t i = 0; i < js.n; i++)
		standing += js.v[i].check.standing;
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *list = json_array();

		for (size_t i = 0; i < js.n; i++)
			json_array_append_new(list, job_json(&js.v[i]));
		if (json_print(list, stdout, e))
			return -1;
	} else {
		findings_table(&js, false);
		if (cli_has(c, "waived"))
			findings_table(&js, true);
		print_summary(&js);
	}
	return standing ? 1 : 0;
}
