/* The YAML subset: types, lines, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "json/yaml.h"

static void becomes(const char *yaml, const char *json)
{
	CLEAN(json_doc) struct json_doc d = {0};
	struct err e = {0};

	if (yaml_parse(&d, "f", yaml, strlen(yaml), &e))
		fail_msg("%s: %s", yaml, e.text);
	CLEAN(free) char *got = json_dumps(d.root, JSON_COMPACT);

	assert_string_equal(got, json);
}

static void refuses(const char *yaml, size_t n, const char *text)
{
	CLEAN(json_doc) struct json_doc d = {0};
	struct err e = {0};

	if (yaml_parse(&d, "f", yaml, n, &e) == 0)
		fail_msg("accepted: %s", yaml);
	assert_int_equal(e.code, ERR_CONFIG);
	if (strncmp(e.text, text, strlen(text)) != 0)
		fail_msg("'%s' does not begin with '%s'", e.text, text);
	assert_null(d.root);
}
#define REFUSES(yaml, text) refuses(yaml, sizeof(yaml) - 1, text)

static void types(void **state)
{
	(void)state;
	becomes("", "{}");
	becomes("# nothing\n", "{}");
	becomes("a: 1\nb: -5\nc: 0\n", "{\"a\":1,\"b\":-5,\"c\":0}");
	becomes("a: true\nb: false\nc: null\nd: ~\ne:\n",
		"{\"a\":true,\"b\":false,\"c\":null,\"d\":null,\"e\":null}");
	/* What YAML 1.1 would turn into something else stays text. */
	becomes("[yes, no, on, 007, 0x1f, 1_000, 1.10, 1e3, -0, '5', \"true\", 12:30, +1, -]",
		"[\"yes\",\"no\",\"on\",\"007\",\"0x1f\",\"1_000\",\"1.10\",\"1e3\",\"-0\",\"5\","
		"\"true\",\"12:30\",\"+1\",\"-\"]");
	becomes("- a: [x, {y: z}]\n  b: |\n    two\n    lines\n- c\n",
		"[{\"a\":[\"x\",{\"y\":\"z\"}],\"b\":\"two\\nlines\\n\"},\"c\"]");
	becomes("- 9223372036854775807", "[9223372036854775807]");
}

static void refused(void **state)
{
	(void)state;
	REFUSES("a: 1\nb: 2\na: 3\n", "f:3: key 'a' stands here twice");
	REFUSES("a: &x 1\nb: 2\n", "f:1: anchors");
	REFUSES("a: 1\nb: *x\n", "f:2: aliases");
	REFUSES("a: 1\nb: !!str 2\n", "f:2: tags");
	REFUSES("a: 1\nb: !x {}\n", "f:2: tags");
	REFUSES("&k a: 1\n", "f:1: anchors");
	REFUSES("a: 1\n---\nb: 2\n", "f:2: more than one document");
	REFUSES("%TAG ! tag:x,2000:\n---\na: 1\n", "f:1: %TAG");
	REFUSES("a: 1\n[x]: 2\n", "f:2: a key must be plain text");
	REFUSES("a: \"x\\0y\"\n", "f:1: NUL");
	REFUSES("\"x\\0y\": 1\n", "f:1: NUL");
	REFUSES("a: 99999999999999999999\n", "f:1: number is too large");
	REFUSES("a: [1\nb: 2\n", "f:2: ");
	REFUSES("a:\n\t- x\n", "f:2: ");
	REFUSES("a: \xff\n", "f:");
	REFUSES("\xff\xfe"
		"a\0:\0",
		"f:"); /* UTF-16 */
}

static void limits(void **state)
{
	CLEAN(json_doc) struct json_doc d = {0};
	size_t n = 5u << 20;
	CLEAN(free) char *big = malloc(n);
	struct err e = {0};

	(void)state;
	assert_non_null(big);
	memset(big, '[', 100);
	refuses(big, 100, "f:1: nested too deeply");
	memset(big, '#', n);
	assert_int_equal(yaml_parse(&d, "f", big, n, &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
	for (size_t i = 0; i < 600000; i += 2)
		memcpy(big + i, i ? "1," : "[ ", 2);
	assert_int_equal(yaml_parse(&d, "f", big, 600000, &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
}

/* The point of the side table: a wrong key is reported where it stands. */
static void lines(void **state)
{
	static const char text[] = "name: x\nlist:\n  - one\n  - 2\nsub:\n  good: 1\n  bda: 2\n";
	CLEAN(json_doc) struct json_doc d = {0};
	json_t *list = NULL, *sub = NULL;
	const char *name = NULL;
	struct err e = {0};
	int64_t good = 0;
	const struct json_want top[] = {
		{"name", JSON_IS_STR, &name, true, 0, 0},
		{"list", JSON_IS_ARR, &list, true, 0, 0},
		{"sub", JSON_IS_OBJ, &sub, true, 0, 0},
		{0},
	};
	const struct json_want inner[] = {
		{"good", JSON_IS_INT, &good, true, 0, 0},
		{"more", JSON_IS_INT, &good, true, 0, 0},
		{0},
	};

	(void)state;
	assert_int_equal(yaml_parse(&d, "f.yaml", text, strlen(text), &e), 0);
	assert_int_equal(json_fields(&d, d.root, top, &e), 0);
	assert_int_equal(json_line(&d, d.root, "sub", 0), 5);
	assert_int_equal(json_fields(&d, sub, inner, &e), -1);
	assert_string_equal(e.text, "f.yaml:7: unknown key 'bda'");
	assert_int_equal(e.code, ERR_CONFIG);
	assert_null(json_item_str(&d, list, 1, &e));
	assert_string_equal(e.text, "f.yaml:4: item 2 must be a string");
	assert_int_equal(json_object_del(sub, "bda"), 0);
	assert_int_equal(json_fields(&d, sub, inner, &e), -1);
	assert_string_equal(e.text, "f.yaml:6: key 'more' is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types),
		cmocka_unit_test(refused),
		cmocka_unit_test(limits),
		cmocka_unit_test(lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
