#include "ocibuild/spec.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "crypto/sha256.h"
#include "ocibuild/spec_checks.h"
#include "json/yaml.h"

#define MAX_YAML (1u << 20)

void spec_free(struct spec *s)
{
	for (size_t i = 0; i < s->nslices; i++)
		free(s->slices[i].files);
	for (size_t i = 0; i < s->ndocs; i++)
		json_doc_free(&s->docs[i]);
	free(s->suites);
	free(s->packages);
	free(s->slices);
	free(s->waivers);
	free(s->base);
	json_decref(s->tests);
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
static int take_libraries(struct spec *s, const struct json_doc *d, const json_t *arr,
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

		*sl = (struct spec_slice){.libraries = true};
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

/* What a definition or a variant says, as it stands there. */
struct body {
	json_t *obj;
	const char *summary, *base;
	bool essential;
	json_t *suites, *packages, *slices, *libraries, *tests, *waivers, *variants;
	struct image_parts parts;
};

static int read_body(struct body *b, const struct json_doc *d, json_t *obj, bool variant,
		     struct err *e)
{
	const struct json_want want[] = {
		{.key = "summary", .kind = JSON_IS_STR, .out = &b->summary, .need = !variant},
		{.key = "base", .kind = JSON_IS_STR, .out = &b->base},
		{.key = "slices", .kind = JSON_IS_ARR, .out = &b->slices},
		{.key = "libraries", .kind = JSON_IS_ARR, .out = &b->libraries},
		{.key = "users", .kind = JSON_IS_ARR, .out = &b->parts.users},
		{.key = "groups", .kind = JSON_IS_OBJ, .out = &b->parts.groups},
		{.key = "files", .kind = JSON_IS_ARR, .out = &b->parts.files},
		{.key = "image", .kind = JSON_IS_OBJ, .out = &b->parts.image},
		{.key = "tests", .kind = JSON_IS_ARR, .out = &b->tests},
		{.key = "waivers", .kind = JSON_IS_ARR, .out = &b->waivers},
		/* the rest is not for a variant: it says what a root file system is made of */
		{.key = variant ? NULL : "suites", .kind = JSON_IS_ARR, .out = &b->suites},
		{.key = "essential", .kind = JSON_IS_BOOL, .out = &b->essential},
		{.key = "packages", .kind = JSON_IS_ARR, .out = &b->packages},
		{.key = "variants", .kind = JSON_IS_OBJ, .out = &b->variants},
		{0},
	};

	*b = (struct body){.obj = obj};
	return json_fields(d, obj, want, e);
}

/* All of a body but its summary and its base; own: it is of the image itself. */
static int take_body(struct spec *s, const struct json_doc *d, const struct body *b, bool own,
		     struct err *e)
{
	if (take(d, b->suites, "-", &s->suites, &s->nsuites, e) ||
	    take(d, b->packages, "+-.", &s->packages, &s->npackages, e) ||
	    take_slices(s, d, b->slices, e) || take_libraries(s, d, b->libraries, e) ||
	    spec_checks_waivers(s, d, b->waivers, e))
		return -1;
	s->essential = s->essential || b->essential;
	/* tests of a base need not hold for what stands on it */
	if (own && spec_checks_tests(s, d, b->tests, e))
		return -1;
	return image_take(&s->image, d, &b->parts, own, e);
}

/* Which file has the definition or variant of that name; the variant is what follows its
 * last dash, when there is no file of the whole name. */
static int locate(const char *dir, const char *name, char definition[static 64],
		  char variant[static 64])
{
	char path[4096];
	const char *dash = strrchr(name, '-');

	snprintf(definition, 64, "%s", name);
	variant[0] = '\0';
	if (snprintf(path, sizeof(path), "%s/%s.yaml", dir, name) >= (int)sizeof(path))
		return -1;
	if (access(path, F_OK) == 0)
		return 0;
	if (!dash)
		return -1;
	snprintf(definition, 64, "%.*s", (int)(dash - name), name);
	snprintf(variant, 64, "%s", dash + 1);
	snprintf(path, sizeof(path), "%s/%s.yaml", dir, definition);
	return access(path, F_OK);
}

static int load_image(struct spec *s, const char *dir, const char *name, struct err *e);

/* The base of the image at this level of the chain, which obj names. */
static int load_base(struct spec *s, const char *dir, const char *base, const struct json_doc *d,
		     const json_t *obj, struct err *e)
{
	char definition[64], variant[64];
	bool again = false;

	if (!good_name(base, "-"))
		return json_complain(d, obj, "base", 0, e, "malformed name '%.60s'", base);
	for (size_t i = 0; i < s->nchain; i++)
		again = again || strcmp(s->chain[i], base) == 0;
	if (again || s->nchain == SPEC_MAX_CHAIN)
		return json_complain(d, obj, "base", 0, e,
				     "a cycle, or more than %d images on each other",
				     SPEC_MAX_CHAIN);
	if (locate(dir, base, definition, variant))
		return json_complain(d, obj, "base", 0, e, "there is no %s/%s.yaml", dir, base);
	return load_image(s, dir, base, e);
}

/* The definition's own parts, moved to another base, must not be in that already. */
static int check_moved(const struct spec *s, const char *dir, const char *definition,
		       const struct json_doc *d, const json_t *obj, struct err *e)
{
	char other[64], variant[64];

	for (size_t i = 0; i < s->nchain; i++)
		if (strcmp(s->chain[i], s->name) != 0 &&
		    locate(dir, s->chain[i], other, variant) == 0 && strcmp(other, definition) == 0)
			return json_complain(d, obj, "base", 0, e, "a cycle: its base stands on %s",
					     s->chain[i]);
	return 0;
}

/* The facts about the image itself, when its base has been read. */
static int begin_own(struct spec *s, const struct body *main, const struct body *delta,
		     const char *base, struct err *e)
{
	s->summary = delta->summary ? delta->summary : main->summary;
	s->own_slices = s->nslices;
	s->own_packages = s->npackages;
	if (base && !(s->base = strdup(base)))
		return err_set(e, ERR_NOMEM, NULL);
	snprintf(s->tag_suffix, sizeof(s->tag_suffix), "%s%s", *s->variant ? "-" : "", s->variant);
	return 0;
}

/* One image of the chain, after what it stands on. */
static int load_image(struct spec *s, const char *dir, const char *name, struct err *e)
{
	char path[4096], definition[64], variant[64];
	struct json_doc *d = &s->docs[s->ndocs];
	size_t level = s->nchain++;
	bool own = level == 0;
	struct body main, delta = {0};

	snprintf(s->chain[level], sizeof(s->chain[level]), "%s", name);
	if (locate(dir, name, definition, variant))
		return err_set(e, ERR_CONFIG, "there is no %s/%s.yaml", dir, name);
	snprintf(path, sizeof(path), "%s/%s.yaml", dir, definition);
	s->ndocs++;
	if (yaml_parse_file(d, path, MAX_YAML, e) || read_body(&main, d, d->root, false, e))
		return -1;
	if (*variant) {
		json_t *obj = json_object_get(main.variants, variant);

		if (!obj)
			return err_set(e, ERR_CONFIG, "%s: it has no variant '%s'", path, variant);
		if (!json_is_object(obj))
			return json_complain(d, main.variants, variant, 0, e,
					     "a variant is an object (key: value)");
		if (read_body(&delta, d, obj, true, e))
			return -1;
	}
	/* a variant without a base of its own is a layer on its definition's image */
	const char *base = !*variant ? main.base : delta.base ? delta.base : definition;
	bool moved = *variant && delta.base;

	if (base && load_base(s, dir, base, d, moved ? delta.obj : main.obj, e))
		return -1;
	if (own && moved && check_moved(s, dir, definition, d, delta.obj, e))
		return -1;
	if (own) {
		memcpy(s->definition, definition, sizeof(definition));
		memcpy(s->variant, variant, sizeof(variant));
		if (begin_own(s, &main, &delta, base, e))
			return -1;
	}
	if ((!*variant || moved) && take_body(s, d, &main, own, e))
		return -1;
	if (!*variant)
		return 0;
	if (!main.parts.image && !delta.parts.image)
		return json_complain(d, main.variants, variant, 0, e, "a variant is of an image");
	/* tests of the definition hold for this variant too; their image is another layer */
	if (own && !moved && spec_checks_tests(s, d, main.tests, e))
		return -1;
	s->image.is = own;
	image_untitled(&s->image);
	return take_body(s, d, &delta, own, e);
}
/* Whether packages and suites make sense together. */
static int check_packages(const struct spec *s, const char *dir, struct err *e)
{
	const struct json_doc *d = &s->docs[0];

	if (s->npackages && !s->nsuites)
		return err_set(e, ERR_CONFIG, "%s/%s.yaml: packages, but no suites", dir, s->name);
	if (spec_stands(s) && s->npackages > s->own_packages)
		return json_complain(d, d->root, "packages", 0, e,
				     "an image on another one has no package database to install "
				     "packages into: take slices");
	/* each leaves its package data, which is one file */
	for (size_t i = 0; spec_rootfs(s) && i < s->nslices; i++)
		for (size_t k = 0; k < i; k++)
			if (strcmp(s->slices[i].package, s->slices[k].package) == 0)
				return json_complain(d, d->root, "slices", 0, e,
						     "%s is in two slices: join them",
						     s->slices[i].package);
	return 0;
}

int spec_load(struct spec *s, const char *dir, const char *name, struct err *e)
{
	*s = (struct spec){0};
	if (!good_name(name, "-"))
		return err_set(e, ERR_USAGE, "malformed image name '%.60s'", name);
	memcpy(s->name, name, strlen(name) + 1);
	if (load_image(s, dir, name, e) == 0 && check_packages(s, dir, e) == 0)
		return 0;
	spec_free(s);
	return -1;
}

static int is_yaml(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && n < 64 && d->d_name[0] != '.' && strcmp(d->d_name + n - 5, ".yaml") == 0;
}

/* Makes room for one more and loads it. */
static int add_one(struct spec_set *set, const char *dir, const char *name, struct err *e)
{
	struct spec *v = reallocarray(set->v, set->n + 1, sizeof(*v));

	if (!v)
		return err_set(e, ERR_NOMEM, NULL);
	set->v = v;
	if (spec_load(&v[set->n], dir, name, e))
		return -1;
	set->n++;
	return 0;
}

/* A definition and its variants. */
static int add_file(struct spec_set *set, const char *dir, const char *name, struct err *e)
{
	const char *variant, *lost = NULL;
	char whole[128], path[4096];
	size_t at = set->n;
	json_t *all, *v;

	if (add_one(set, dir, name, e))
		return -1;
	all = json_object_get(set->v[at].docs[0].root, "variants");
	json_object_foreach(all, variant, v)
	{
		/* the struct may have moved, the document has not */
		const struct json_doc *d = &set->v[at].docs[0];
		int n = snprintf(whole, sizeof(whole), "%s-%s", name, variant);

		snprintf(path, sizeof(path), "%s/%s.yaml", dir, whole);
		if (!good_name(variant, "") || n >= 64)
			lost = "malformed name of a variant";
		else if (access(path, F_OK) == 0)
			lost = "there is another definition of this image";
		if (lost)
			return json_complain(d, all, variant, 0, e, "%s: %.64s", lost, whole);
		if (add_one(set, dir, whole, e))
			return -1;
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct spec *)a)->name, ((const struct spec *)b)->name);
}

int spec_load_all(struct spec_set *set, const char *dir, struct err *e)
{
	struct dirent **list = NULL;
	int n = scandir(dir, &list, is_yaml, alphasort);
	int rc = 0;

	*set = (struct spec_set){0};
	if (n < 0)
		return err_errno(e, ERR_IO, "cannot read directory %s", dir);
	for (int i = 0; i < n; i++) {
		char name[64] = "";

		snprintf(name, sizeof(name), "%.*s", (int)strlen(list[i]->d_name) - 5,
			 list[i]->d_name);
		if (rc == 0)
			rc = add_file(set, dir, name, e);
		free(list[i]);
	}
	free(list);
	if (rc)
		spec_set_free(set);
	else if (set->n)
		qsort(set->v, set->n, sizeof(*set->v), by_name);
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

bool spec_stands(const struct spec *s)
{
	return s->image.is && s->base;
}

bool spec_rootfs(const struct spec *s)
{
	return s->npackages && !spec_stands(s);
}

int spec_digest(const struct spec_set *set, uint8_t out[static 32], struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, MAX_YAML * 4);
	for (size_t i = 0; i < set->n; i++) {
		const struct spec *s = &set->v[i];
		bool stands = spec_stands(s);

		buf_printf(&b, "image %s %d\n", s->name, s->essential && !stands);
		for (size_t k = 0; k < s->nsuites; k++)
			buf_printf(&b, "suite %s\n", s->suites[k]);
		for (size_t k = stands ? s->own_packages : 0; k < s->npackages; k++)
			buf_printf(&b, "package %s\n", s->packages[k]);
		for (size_t k = stands ? s->own_slices : 0; k < s->nslices; k++)
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

bool spec_glob(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);

	if (n > 3 && strcmp(pattern + n - 3, "/**") == 0)
		return strncmp(path, pattern, n - 2) == 0;
	return fnmatch(pattern, path, FNM_PATHNAME) == 0;
}

bool spec_slice_match(const struct spec_slice *sl, const char *path, size_t *which)
{
	for (*which = 0; *which < sl->nfiles; ++*which)
		if (spec_glob(sl->files[*which], path))
			return true;
	return false;
}
