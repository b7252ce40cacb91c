/* Definitions and their variants: what is merged, what stands on what, and that each bad
 * definition is refused with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/spec.h"

static char dir[] = "/tmp/spec-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[128];
	struct err e;

	snprintf(path, sizeof(path), "%s/%s.yaml", dir, name);
	if (!text)
		unlink(path);
	else if (file_replace(path, text, strlen(text), 0644, &e))
		fail_msg("%s", e.text);
}

static void clear(void)
{
	static const char *const names[] = {"st", "dev", "box", "x", "y", "box-dev"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(names[i], NULL);
}

#define ST                                                                                         \
	"summary: static\nsuites: [trixie]\nslices: [{package: certs, files: [a]}]\n"              \
	"users: [{name: root, uid: 0, home: /}]\n"                                                 \
	"tests: [{name: base, args: []}]\n"                                                        \
	"waivers: [{rule: r, path: p, reason: for the base}]\n"                                    \
	"image: {title: st, user: \"1:1\", env: {A: st, B: st}, cmd: [/st]}\n"
#define DEV                                                                                        \
	"summary: dev\nsuites: [trixie]\nessential: true\npackages: [gcc]\n"                       \
	"image: {user: \"0:0\", env: {A: dev}}\n"
#define BOX                                                                                        \
	"summary: box\nbase: st\nslices: [{package: prog, files: [b]}]\n"                          \
	"files: [{path: f, text: box}, {path: g, text: box}]\n"                                    \
	"tests: [{name: one, args: []}]\n"                                                         \
	"image: {title: box, env: {A: box}, entrypoint: [/box], cmd: [--help]}\n"                  \
	"variants:\n  compat:\n    summary: box with more\n"                                       \
	"    slices: [{package: sh, files: [c]}]\n    files: [{path: h, text: compat}]\n"          \
	"    tests: [{name: two, command: [/c]}]\n    image: {env: {C: c}, entrypoint: []}\n"      \
	"    waivers: [{rule: r, path: q, reason: for the variant}]\n"                             \
	"  dev:\n    base: dev\n    files: [{path: g, text: dev}]\n"

static const char *str(const struct spec *s, const char *key)
{
	return image_str(&s->image, key);
}

static const char *env(const struct spec *s, const char *key)
{
	const json_t *v = json_object_get(json_object_get(s->image.config, "env"), key);

	return json_string_value(v) ? json_string_value(v) : "";
}

static void load(struct spec_set *set)
{
	struct err e = {0};

	if (spec_load_all(set, dir, &e))
		fail_msg("%s", e.text);
}

static void variant_stands_on_its_definition(void **state)
{
	CLEAN(spec_set) struct spec_set set = {0};
	const struct spec *s;

	(void)state;
	clear();
	put("st", ST);
	put("dev", DEV);
	put("box", BOX);
	load(&set);
	assert_int_equal(set.n, 5);
	s = spec_find(&set, "box-compat");
	assert_non_null(s);
	assert_string_equal(s->definition, "box");
	assert_string_equal(s->variant, "compat");
	assert_string_equal(s->tag_suffix, "-compat");
	assert_string_equal(s->summary, "box with more");
	assert_string_equal(s->base, "box");
	assert_int_equal(s->nchain, 3);
	assert_string_equal(s->chain[2], "st");
	assert_true(s->image.is);
	assert_true(spec_stands(s));
	/* only its own: the rest is in the layers of box */
	assert_int_equal(s->image.nfiles, 1);
	assert_string_equal(s->image.files[0].path, "h");
	assert_int_equal(s->nslices, 3);
	assert_int_equal(s->own_slices, 2);
	assert_string_equal(env(s, "A"), "box");
	assert_string_equal(env(s, "B"), "st");
	assert_string_equal(env(s, "C"), "c");
	assert_string_equal(str(s, "title"), "");
	assert_null(json_object_get(s->image.config, "entrypoint"));
	assert_null(json_object_get(s->image.config, "cmd"));
	/* tests of the definition and its own, not of the base; waivers of all */
	assert_int_equal(json_array_size(s->tests), 2);
	assert_int_equal(s->nwaivers, 2);
	assert_string_equal(s->waivers[1].path, "q");
	assert_non_null(strstr(s->waivers[0].definition, "st.yaml"));
	assert_non_null(strstr(s->waivers[1].definition, "box.yaml"));
}

static void variant_with_a_base_has_it_all_there(void **state)
{
	CLEAN(spec_set) struct spec_set set = {0};
	const struct spec *s;

	(void)state;
	clear();
	put("st", ST);
	put("dev", DEV);
	put("box", BOX);
	load(&set);
	s = spec_find(&set, "box-dev");
	assert_non_null(s);
	assert_string_equal(s->summary, "box");
	assert_string_equal(s->base, "dev");
	assert_int_equal(s->nchain, 2);
	assert_int_equal(s->image.nfiles, 2);
	assert_string_equal(s->image.files[0].text, "box");
	assert_string_equal(s->image.files[1].text, "dev");
	assert_int_equal(s->own_slices, 0);
	assert_int_equal(s->nslices, 1);
	assert_int_equal(s->own_packages, 1);
	assert_string_equal(str(s, "user"), "0:0");
	assert_string_equal(env(s, "A"), "box");
	assert_string_equal(env(s, "B"), "");
	assert_int_equal(json_array_size(s->tests), 1);
	assert_int_equal(s->nwaivers, 0);
	/* packages are installed in dev, and in nothing that stands on it */
	assert_false(spec_rootfs(s));
	assert_true(spec_rootfs(spec_find(&set, "dev")));
	assert_false(spec_rootfs(spec_find(&set, "box")));
	s = spec_find(&set, "box");
	assert_string_equal(s->tag_suffix, "");
	assert_string_equal(str(s, "title"), "box");
	assert_int_equal(json_array_size(s->tests), 1);
}

static void variant_of_a_variant(void **state)
{
	CLEAN(spec_set) struct spec_set set = {0};
	const struct spec *s;

	(void)state;
	clear();
	put("st", ST);
	put("dev", DEV);
	put("box", BOX);
	put("x", "summary: x\nbase: box-compat\nimage: {}\n");
	load(&set);
	s = spec_find(&set, "x");
	assert_int_equal(s->nchain, 4);
	assert_string_equal(s->chain[1], "box-compat");
	assert_int_equal(s->own_slices, 3);
	assert_string_equal(env(s, "C"), "c");
	assert_int_equal(json_array_size(s->tests), 0);
}

static void digest_follows_what_is_locked(void **state)
{
	static const struct {
		const char *box;
		bool same;
	} rows[] = {
		{BOX "    tests: [{name: three, args: []}]\n", true},
		{BOX "  fat: {files: [{path: z, text: z}]}\n", false},
		{BOX "  fat: {libraries: [libz]}\n", false},
	};
	CLEAN(spec_set) struct spec_set set = {0};
	uint8_t first[32], d[32];
	struct err e;

	(void)state;
	clear();
	put("st", ST);
	put("dev", DEV);
	put("box", BOX);
	load(&set);
	assert_int_equal(spec_digest(&set, first, &e), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		spec_set_free(&set);
		put("box", rows[i].box);
		load(&set);
		assert_int_equal(spec_digest(&set, d, &e), 0);
		assert_int_equal(memcmp(first, d, 32) == 0, rows[i].same);
	}
}

static void normal_form_of_a_test(void **state)
{
	CLEAN(spec_set) struct spec_set set = {0};
	CLEAN(json) json_t *want =
		json_pack("{s:s, s:[[s,s]], s:n, s:[], s:{s:s}, s:i, s:s, s:s, s:b, s:b}", "name",
			  "t", "before", "/a", "b", "command", "args", "env", "K", "v", "status", 3,
			  "output", "^x$", "user", "1:2", "read_only", 0, "debug", 1);

	(void)state;
	clear();
	put("x", "summary: s\nimage: {}\ntests:\n"
		 "  - {name: t, before: [[/a, b]], args: [], env: {K: v}, status: 3, output: ^x$, "
		 "user: \"1:2\", read_only: false, debug: true}\n");
	load(&set);
	assert_true(json_equal(json_array_get(set.v[0].tests, 0), want));
}

static void waiver_patterns(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool match;
	} rows[] = {
		{"usr/bin/su", "usr/bin/su", true},
		{"usr/bin/*", "usr/bin/su", true},
		{"usr/*", "usr/bin/su", false},
		{"usr/**", "usr/bin/su", true},
		{"usr/**", "usr", false},
		{"usr/bin/s?", "usr/bin/su", true},
		{"usr/bin/su", "usr/bin/sudo", false},
		{"**", "usr", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (spec_glob(rows[i].pattern, rows[i].path) != rows[i].match)
			fail_msg("%s, %s", rows[i].pattern, rows[i].path);
}

static const struct {
	const char *x, *y, *where, *what;
} refused[] = {
	/* variants */
	{"summary: s\nimage: {}\nvariants:\n  dev:\n    colour: red\n", NULL,
	 "x.yaml:5:", "unknown key 'colour'"},
	{"summary: s\nimage: {}\nvariants:\n  dev:\n    packages: [gcc]\n", NULL,
	 "x.yaml:5:", "unknown key 'packages'"},
	{"summary: s\nimage: {}\nvariants:\n  dev:\n    variants: {}\n", NULL,
	 "x.yaml:5:", "unknown key 'variants'"},
	{"summary: s\nimage: {}\nvariants:\n  dev: [1]\n", NULL, "x.yaml:4:", "object"},
	{"summary: s\nimage: {}\nvariants:\n  dev:\n", NULL, "x.yaml:4:", "object"},
	{"summary: s\nimage: {}\nvariants: [dev]\n", NULL, "x.yaml:3:", "object"},
	{"summary: s\nimage: {}\nvariants:\n  a-b: {}\n", NULL, "x.yaml:4:", "malformed"},
	{"summary: s\nimage: {}\nvariants:\n  A: {}\n", NULL, "x.yaml:4:", "malformed"},
	{"summary: s\nvariants:\n  dev: {}\n", NULL, "x.yaml:3:", "is of an image"},
	{"summary: s\nimage: {}\nvariants:\n  dev:\n    base: gone\n", NULL,
	 "x.yaml:5:", "there is no"},
	{"summary: s\nimage: {}\nvariants:\n  dev:\n    base: x\n", NULL, "x.yaml:5:", "cycle"},
	{"summary: s\nimage: {}\nvariants:\n  dev:\n    base: x-dev\n", NULL, "x.yaml:5:", "cycle"},
	/* x-dev stands on y, which stands on x-dev */
	{"summary: s\nimage: {}\nvariants:\n  dev:\n    base: y\n",
	 "summary: s\nbase: x-dev\nimage: {}\n", "y.yaml:2:", "cycle"},
	/* x-dev has all of x, and so has y */
	{"summary: s\nimage: {}\nvariants:\n  dev:\n    base: y\n",
	 "summary: s\nbase: x\nimage: {}\n", "x.yaml:5:", "cycle"},
	{"summary: s\nbase: y\n", "summary: s\nbase: x\n", "y.yaml:2:", "cycle"},
	{"summary: s\nbase: y-no\n", "summary: s\nimage: {}\n", "y.yaml", "no variant 'no'"},
	{"summary: s\nimage: {}\nvariants:\n  dev: {slices: [{package: a, files: [b]}]}\n", NULL,
	 "x.yaml:4:", "no suites"},
	{"summary: s\nsuites: [t]\nbase: y\npackages: [p]\nimage: {}\n", "summary: s\nimage: {}\n",
	 "x.yaml:4:", "take slices"},
	{"summary: s\nsuites: [t]\npackages: [p]\nslices:\n"
	 "  - {package: a, files: [b]}\n  - {package: a, files: [c]}\n",
	 NULL, "x.yaml:4:", "two slices"},
	/* waivers */
	{"summary: s\nwaivers: {}\n", NULL, "x.yaml:2:", "list"},
	{"summary: s\nwaivers:\n  - setuid\n", NULL, "x.yaml:3:", "rule, path and reason"},
	{"summary: s\nwaivers:\n  - {rule: a, path: b}\n", NULL,
	 "x.yaml:3:", "'reason' is missing"},
	{"summary: s\nwaivers:\n  - {rule: a, reason: because of it}\n", NULL,
	 "x.yaml:3:", "'path' is missing"},
	{"summary: s\nwaivers:\n  - {path: a, reason: because of it}\n", NULL,
	 "x.yaml:3:", "'rule' is missing"},
	{"summary: s\nwaivers:\n  - {rule: a, path: /b, reason: because of it}\n", NULL,
	 "x.yaml:3:", "malformed path"},
	{"summary: s\nwaivers:\n  - {rule: a, path: ../b, reason: because of it}\n", NULL,
	 "x.yaml:3:", "malformed path"},
	{"summary: s\nwaivers:\n  - {rule: A B, path: b, reason: because of it}\n", NULL,
	 "x.yaml:3:", "malformed rule"},
	{"summary: s\nwaivers:\n  - {rule: a, path: b, reason: x}\n", NULL,
	 "x.yaml:3:", "tells somebody else why"},
	{"summary: s\nwaivers:\n  - {rule: a, path: b, reason: because of it}\n"
	 "  - {rule: a, path: b, reason: because of it}\n",
	 NULL, "x.yaml:4:", "twice"},
	/* tests */
	{"summary: s\ntests: [x]\n", NULL, "x.yaml:2:", "name and command or args"},
	{"summary: s\ntests:\n  - {command: [/a]}\n", NULL, "x.yaml:3:", "'name' is missing"},
	{"summary: s\ntests:\n  - {name: a}\n", NULL, "x.yaml:3:", "either command"},
	{"summary: s\ntests:\n  - {name: a, command: [/a], args: []}\n", NULL,
	 "x.yaml:3:", "either command"},
	{"summary: s\ntests:\n  - {name: a, command: []}\n", NULL, "x.yaml:3:", "either command"},
	{"summary: s\ntests:\n  - {name: a, command: /a}\n", NULL, "x.yaml:3:", "list"},
	{"summary: s\ntests:\n  - {name: a, command: [1]}\n", NULL, "x.yaml:3:", ""},
	{"summary: s\ntests:\n  - {name: a, args: [], colour: red}\n", NULL,
	 "x.yaml:3:", "unknown key 'colour'"},
	{"summary: s\ntests:\n  - {name: a, args: [], status: 256}\n", NULL,
	 "x.yaml:3:", "from 0 to 255"},
	{"summary: s\ntests:\n  - {name: a, args: [], output: '('}\n", NULL,
	 "x.yaml:3:", "no regular expression"},
	{"summary: s\ntests:\n  - {name: a, args: [], user: root}\n", NULL, "x.yaml:3:", "UID:GID"},
	{"summary: s\ntests:\n  - {name: a, args: [], read_only: 1}\n", NULL,
	 "x.yaml:3:", "true or false"},
	{"summary: s\ntests:\n  - {name: a, args: [], before: [/a]}\n", NULL,
	 "x.yaml:3:", "each a list"},
	{"summary: s\ntests:\n  - {name: a, args: [], env: {A: 1}}\n", NULL,
	 "x.yaml:3:", "NAME: value"},
	{"summary: s\ntests:\n  - {name: a, args: []}\n  - {name: a, args: []}\n", NULL,
	 "x.yaml:4:", "its own"},
	/* health checks */
	{"summary: s\nimage:\n  healthcheck: [/a]\n", NULL, "x.yaml:3:", "object"},
	{"summary: s\nimage:\n  healthcheck: {interval: 3}\n", NULL,
	 "x.yaml:3:", "'command' is missing"},
	{"summary: s\nimage:\n  healthcheck: {command: [], interval: 3}\n", NULL,
	 "x.yaml:3:", "command is empty"},
	{"summary: s\nimage:\n  healthcheck: {command: [/a], interval: 0}\n", NULL,
	 "x.yaml:3:", "from 1 to"},
	{"summary: s\nimage:\n  healthcheck: {command: [/a], every: 3}\n", NULL,
	 "x.yaml:3:", "unknown key 'every'"},
};

static void refuses(void **state)
{
	(void)state;
	clear();
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		CLEAN(spec_set) struct spec_set set = {0};
		struct err e = {0};

		put("x", refused[i].x);
		put("y", refused[i].y);
		if (spec_load_all(&set, dir, &e) == 0)
			fail_msg("accepted: %s", refused[i].x);
		if (e.code != ERR_CONFIG || !strstr(e.text, refused[i].where) ||
		    !strstr(e.text, refused[i].what))
			fail_msg("'%s' lacks '%s' or '%s'", e.text, refused[i].where,
				 refused[i].what);
		assert_int_equal(set.n, 0);
	}
}

static void refuses_a_second_definition(void **state)
{
	CLEAN(spec_set) struct spec_set set = {0};
	struct err e = {0};

	(void)state;
	clear();
	put("dev", DEV);
	put("st", ST);
	put("box", BOX);
	put("box-dev", "summary: s\nimage: {}\n");
	assert_int_equal(spec_load_all(&set, dir, &e), -1);
	if (!strstr(e.text, "box.yaml:15: there is another definition of this image: box-dev"))
		fail_msg("%s", e.text);
}

static void refuses_a_long_chain(void **state)
{
	CLEAN(spec_set) struct spec_set set = {0};
	struct err e = {0};
	char name[16], text[64];

	(void)state;
	clear();
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		snprintf(text, sizeof(text), i < 8 ? "summary: s\nbase: l%d\n" : "summary: s\n",
			 i + 1);
		put(name, text);
	}
	assert_int_equal(spec_load_all(&set, dir, &e), -1);
	assert_non_null(strstr(e.text, "l7.yaml:2: a cycle, or more than 8 images"));
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "l%d", i);
		put(name, NULL);
	}
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	clear();
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variant_stands_on_its_definition),
		cmocka_unit_test(variant_with_a_base_has_it_all_there),
		cmocka_unit_test(variant_of_a_variant),
		cmocka_unit_test(digest_follows_what_is_locked),
		cmocka_unit_test(normal_form_of_a_test),
		cmocka_unit_test(waiver_patterns),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_a_second_definition),
		cmocka_unit_test(refuses_a_long_chain),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
