#include "ocibuild/spec.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "crypto/sha256.h"
#include "json/yaml.h"

#define MAX_YAML (1u << 20)
#define SPEC_MAX_DEPTH (sizeof(((struct spec *)0)->docs) / sizeof(struct json_doc))

void spec_free(struct spec *s)
{
	for (size_t i = 0; i < s->nslices; i++)
		free(s->slices[i].files);
	for (size_t i = 0; i < s->ndocs; i++)
		json_doc_free(&s->docs[i]);
	free(s->suites);
	free(s->packages);
	free(s->slices);
	image_free(&s->image);
	*s = (struct spec){0};
}

#define LOWER_DIGIT "abcdefghijklmnopqrstuvwxyz0123456789"

static bool good_name(const char *name, const char *more)
{
	char set[64];

	snprintf(set, sizeof(set), LOWER_DIGIT "%s", more);
	return *name && strlen(name) < 64 && strchr(LOWER_DIGIT, name[0]) &&
	       name[strspn(name, set)] == '\0';
}

/* Relative, without "..", so that no pattern reaches out of the root. */
static bool good_pattern(const char *p)
{
	return *p && *p != '/' && !strstr(p, "..") && !strstr(p, "//");
}

/* Appends the strings of arr to *v, each checked for its characters. */
static int take(const struct json_doc *d, const json_t *arr, const char *more, const char ***v,
		size_t *n, struct err *e)
{
	size_t k = arr ? json_array_size(arr) : 0;
	const char **w = reallocarray(*v, *n + k + 1, sizeof(**v));

	if (!w)
		return err_set(e, ERR_NOMEM, NULL);
	*v = w;
	for (size_t i = 0; i < k; i++) {
		const char *s = json_item_str(d, arr, i, e);

		if (!s)
			return -1;
		if (more ? !good_name(s, more) : !good_pattern(s))
			return json_complain(d, arr, NULL, i, e, "malformed name '%s'", s);
		for (size_t j = 0; j < *n; j++)
			if (strcmp(w[j], s) == 0)
				return json_complain(d, arr, NULL, i, e, "'%s' is here twice", s);
		w[(*n)++] = s;
	}
	return 0;
}

/* Suite of a slice that names none: the first of the definition, or one of its
 * others when that has it newer (security). */
static int default_suite(const struct spec *s, struct spec_slice *sl, const struct json_doc *d,
			 const json_t *arr, size_t i, struct err *e)
{
	if (sl->suite)
		return 0;
	if (!s->nsuites)
		return json_complain(d, arr, NULL, i, e, "a slice without a suite, and no suites");
	sl->suite = s->suites[0];
	sl->any = true;
	return 0;
}

static int take_slice(struct spec *s, const struct json_doc *d, const json_t *arr, size_t i,
		      struct err *e)
{
	struct spec_slice *sl = &s->slices[s->nslices];
	json_t *files = NULL;
	const struct json_want want[] = {
		{.key = "package", .kind = JSON_IS_STR, .out = &sl->package, .need = true},
		{.key = "suite", .kind = JSON_IS_STR, .out = &sl->suite},
		{.key = "files", .kind = JSON_IS_ARR, .out = &files, .need = true},
		{.key = "concat", .kind = JSON_IS_STR, .out = &sl->concat},
		{0},
	};

	*sl = (struct spec_slice){0};
	if (!json_is_object(json_array_get(arr, i)))
		return json_complain(d, arr, NULL, i, e, "a slice has package and files");
	if (json_fields(d, json_array_get(arr, i), want, e) || default_suite(s, sl, d, arr, i, e))
		return -1;
	if (!good_name(sl->package, "+-.") || !good_name(sl->suite, "-"))
		return json_complain(d, arr, NULL, i, e, "malformed package or suite");
	if (sl->concat && !good_pattern(sl->concat))
		return json_complain(d, arr, NULL, i, e, "malformed path '%s'", sl->concat);
	s->nslices++;
	if (take(d, files, NULL, &sl->files, &sl->nfiles, e))
		return -1;
	return sl->nfiles ? 0 : json_complain(d, arr, NULL, i, e, "a slice without files");
}

static int more_slices(struct spec *s, size_t k, struct err *e)
{
	struct spec_slice *v = reallocarray(s->slices, s->nslices + k + 1, sizeof(*v));

	if (!v)
		return err_set(e, ERR_NOMEM, NULL);
	s->slices = v;
	return 0;
}

static int take_slices(struct spec *s, const struct json_doc *d, const json_t *arr, struct err *e)
{
	size_t k = arr ? json_array_size(arr) : 0;

	if (more_slices(s, k, e))
		return -1;
	for (size_t i = 0; i < k; i++)
		if (take_slice(s, d, arr, i, e))
			return -1;
	return 0;
}

/* "PACKAGE" or {package:, suite:}: without patterns. */
static int take_whole(struct spec *s, const struct json_doc *d, const json_t *arr, bool linked,
		      struct err *e)
{
	size_t k = arr ? json_array_size(arr) : 0;

	if (more_slices(s, k, e))
		return -1;
	for (size_t i = 0; i < k; i++) {
		struct spec_slice *sl = &s->slices[s->nslices];
		json_t *v = json_array_get(arr, i);
		const struct json_want want[] = {
			{.key = "package", .kind = JSON_IS_STR, .out = &sl->package, .need = true},
			{.key = "suite", .kind = JSON_IS_STR, .out = &sl->suite},
			{0},
		};

		*sl = (struct spec_slice){.linked = linked, .libraries = !linked};
		if (json_is_object(v)) {
			if (json_fields(d, v, want, e))
				return -1;
		} else if (!(sl->package = json_item_str(d, arr, i, e))) {
			return -1;
		}
		if (default_suite(s, sl, d, arr, i, e))
			return -1;
		if (!good_name(sl->package, "+-.") || !good_name(sl->suite, "-"))
			return json_complain(d, arr, NULL, i, e, "malformed package or suite");
		s->nslices++;
	}
	return 0;
}

/* One file of the chain; the base is read first, so that its entries come first. */
static int load_one(struct spec *s, const char *dir, const char *name, struct err *e)
{
	char path[4096];
	const char *summary = NULL, *base = NULL;
	json_t *suites = NULL, *packages = NULL, *slices = NULL, *linked = NULL, *libs = NULL;
	struct image_parts parts = {0};
	const struct json_want want[] = {
		{.key = "summary", .kind = JSON_IS_STR, .out = &summary, .need = true},
		{.key = "base", .kind = JSON_IS_STR, .out = &base},
		{.key = "suites", .kind = JSON_IS_ARR, .out = &suites},
		{.key = "essential", .kind = JSON_IS_BOOL, .out = &s->essential},
		{.key = "packages", .kind = JSON_IS_ARR, .out = &packages},
		{.key = "slices", .kind = JSON_IS_ARR, .out = &slices},
		{.key = "linked", .kind = JSON_IS_ARR, .out = &linked},
		{.key = "libraries", .kind = JSON_IS_ARR, .out = &libs},
		{.key = "users", .kind = JSON_IS_ARR, .out = &parts.users},
		{.key = "groups", .kind = JSON_IS_OBJ, .out = &parts.groups},
		{.key = "files", .kind = JSON_IS_ARR, .out = &parts.files},
		{.key = "image", .kind = JSON_IS_OBJ, .out = &parts.image},
		{0},
	};
	struct json_doc *d = &s->docs[s->ndocs];
	bool first = s->ndocs == 0;

	if (snprintf(path, sizeof(path), "%s/%s.yaml", dir, name) >= (int)sizeof(path))
		return err_set(e, ERR_BAD_INPUT, "path is too long: %s", dir);
	s->ndocs++;
	if (yaml_parse_file(d, path, MAX_YAML, e) || json_fields(d, d->root, want, e))
		return -1;
	if (base && !good_name(base, "-"))
		return json_complain(d, d->root, "base", 0, e, "malformed name '%s'", base);
	if (base && s->ndocs == SPEC_MAX_DEPTH)
		return json_complain(d, d->root, "base", 0, e,
				     "a cycle, or more than %zu definitions on each other",
				     SPEC_MAX_DEPTH);
	snprintf(path, sizeof(path), "%s/%s.yaml", dir, base ? base : name);
	if (base && access(path, F_OK) < 0)
		return json_complain(d, d->root, "base", 0, e, "there is no %s", path);
	if (base && load_one(s, dir, base, e))
		return -1;
	if (first) {
		s->summary = summary;
		s->base = base;
	}
	if (take(d, suites, "-", &s->suites, &s->nsuites, e) ||
	    take(d, packages, "+-.", &s->packages, &s->npackages, e))
		return -1;
	if (first)
		s->own_slices = s->nslices;
	if (take_slices(s, d, slices, e) || take_whole(s, d, linked, true, e) ||
	    take_whole(s, d, libs, false, e))
		return -1;
	return image_take(&s->image, d, &parts, first, e);
}

int spec_load(struct spec *s, const char *dir, const char *name, struct err *e)
{
	*s = (struct spec){0};
	if (!good_name(name, "-"))
		return err_set(e, ERR_USAGE, "malformed image name '%.60s'", name);
	memcpy(s->name, name, strlen(name) + 1);
	if (load_one(s, dir, name, e) == 0) {
		if (s->nsuites || !s->npackages)
			return 0;
		err_set(e, ERR_CONFIG, "%s/%s.yaml: packages, but no suites", dir, name);
	}
	spec_free(s);
	return -1;
}

static int is_yaml(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && n < 64 && d->d_name[0] != '.' && strcmp(d->d_name + n - 5, ".yaml") == 0;
}

int spec_load_all(struct spec_set *set, const char *dir, struct err *e)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, is_yaml, alphasort);
	int rc = 0;

	*set = (struct spec_set){0};
	if (n < 0)
		return err_errno(e, ERR_IO, "cannot read directory %s", dir);
	set->v = calloc((size_t)n + 1, sizeof(*set->v));
	if (!set->v)
		rc = err_set(e, ERR_NOMEM, NULL);
	for (int i = 0; i < n; i++) {
		char name[64] = "";

		snprintf(name, sizeof(name), "%.*s", (int)strlen(list[i]->d_name) - 5,
			 list[i]->d_name);
		if (rc == 0)
			rc = spec_load(&set->v[set->n], dir, name, e);
		if (rc == 0)
			set->n++;
		free(list[i]);
	}
	free(list);
	if (rc)
		spec_set_free(set);
	return rc;
}

void spec_set_free(struct spec_set *set)
{
	for (size_t i = 0; i < set->n; i++)
		spec_free(&set->v[i]);
	free(set->v);
	*set = (struct spec_set){0};
}

const struct spec *spec_find(const struct spec_set *set, const char *name)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->v[i].name, name) == 0)
			return &set->v[i];
	return NULL;
}

int spec_digest(const struct spec_set *set, uint8_t out[static 32], struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, MAX_YAML * 4);
	for (size_t i = 0; i < set->n; i++) {
		const struct spec *s = &set->v[i];

		buf_printf(&b, "image %s %d\n", s->name, s->essential);
		for (size_t k = 0; k < s->nsuites; k++)
			buf_printf(&b, "suite %s\n", s->suites[k]);
		for (size_t k = 0; k < s->npackages; k++)
			buf_printf(&b, "package %s\n", s->packages[k]);
		for (size_t k = 0; k < s->nslices; k++)
			buf_printf(&b, "slice %s%s %s\n", s->slices[k].suite,
				   s->slices[k].any ? "+" : "", s->slices[k].package);
	}
	if (b.bad)
		return err_set(e, ERR_NOMEM, NULL);
	sha256(out, b.p, b.len);
	return 0;
}

bool spec_slice_of(const struct spec_slice *sl, const char *suite, const char *package)
{
	size_t n = strlen(sl->suite);

	if (strcmp(sl->package, package) != 0 || strncmp(sl->suite, suite, n) != 0)
		return false;
	return suite[n] == '\0' || (sl->any && strcmp(suite + n, "-security") == 0);
}

bool spec_slice_match(const struct spec_slice *sl, const char *path, size_t *which)
{
	for (size_t i = 0; i < sl->nfiles; i++) {
		const char *p = sl->files[i];
		size_t n = strlen(p);

		*which = i;
		if (n > 3 && strcmp(p + n - 3, "/**") == 0) {
			if (strncmp(path, p, n - 2) == 0)
				return true;
		} else if (fnmatch(p, path, FNM_PATHNAME) == 0) {
			return true;
		}
	}
	return false;
}
