/* Strict JSON: what is refused, with which words, and tables of wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "json/json.h"

static void refuses(const char *text, size_t n, const char *needle)
{
	CLEAN(json_doc) struct json_doc d = {0};
	struct err e = {0};

	assert_int_equal(json_parse(&d, "in", text, n, &e), -1);
	assert_int_equal(e.code, ERR_BAD_JSON);
	if (!strstr(e.text, needle))
		fail_msg("'%s' does not say '%s'", e.text, needle);
	assert_null(d.root);
}

static void strict(void **state)
{
	(void)state;
	refuses("{\"a\":1,\n\"a\":2}", 14, "in:2: duplicate");
	refuses("{\"a\":\"x\\u0000y\"}", 16, "\\u0000");
	refuses("{\"a\":1}x", 8, "end of file expected");
	refuses("{\"a\":1}\0", 8, "in:1:");
	refuses("{\"a\":", 5, "in:1:");
	refuses("1", 1, "in:1:");
	refuses("", 0, "in:1:");
	refuses("{\"a\":99999999999999999999}", 26, "too big");
	refuses("{\"a\":\"\xff\"}", 9, "unable to decode byte");
	refuses("{'a':1}", 7, "in:1:");
}

static void deep_nesting(void **state)
{
	static char text[20000];

	(void)state;
	memset(text, '[', sizeof(text));
	refuses(text, sizeof(text), "depth");
}

static void fields(void **state)
{
	static const char text[] =
		"{\"s\":\"x\",\"n\":5,\"b\":true,\"o\":{},\"l\":[\"i\",2],\"z\":null}";
	CLEAN(json_doc) struct json_doc d = {0};
	const char *s = NULL;
	json_t *o = NULL, *l = NULL, *any = NULL;
	struct err e = {0};
	int64_t n = 0;
	bool b = false;
	struct json_want w[] = {
		{"s", JSON_IS_STR, &s, true, 0, 0},
		{"n", JSON_IS_INT, &n, true, 1, 5},
		{"b", JSON_IS_BOOL, &b, true, 0, 0},
		{"o", JSON_IS_OBJ, &o, true, 0, 0},
		{"l", JSON_IS_ARR, &l, true, 0, 0},
		{"z", JSON_IS_STR, &any, false, 0, 0},
		{0},
	};

	(void)state;
	assert_int_equal(json_parse(&d, "in", text, strlen(text), &e), 0);
	assert_int_equal(json_fields(&d, d.root, w, &e), 0);
	assert_string_equal(s, "x");
	assert_int_equal(n, 5);
	assert_true(b);
	assert_non_null(o);
	assert_string_equal(json_item_str(&d, l, 0, &e), "i");
	assert_null(json_item_str(&d, l, 1, &e));
	assert_string_equal(e.text, "in: item 2 must be a string");
	assert_null(any); /* null counts as absent */

	w[1].max = 4;
	assert_int_equal(json_fields(&d, d.root, w, &e), -1);
	assert_string_equal(e.text, "in: 'n' must be from 1 to 4");
	w[1] = (struct json_want){"n", JSON_IS_STR, &s, true, 0, 0};
	assert_int_equal(json_fields(&d, d.root, w, &e), -1);
	assert_string_equal(e.text, "in: 'n' must be a string");
	w[1] = (struct json_want){"m", JSON_IS_INT, &n, true, 0, 0};
	assert_int_equal(json_fields(&d, d.root, w, &e), -1);
	assert_string_equal(e.text, "in: unknown key 'n'");
	w[1] = (struct json_want){"n", JSON_IS_INT, &n, true, 0, 0};
	w[5].need = true;
	assert_int_equal(json_fields(&d, d.root, w, &e), -1);
	assert_string_equal(e.text, "in: key 'z' is missing");
	assert_int_equal(json_fields(&d, l, w, &e), -1);
}

static void writes(void **state)
{
	CLEAN(json_doc) struct json_doc d = {0};
	CLEAN(buf) struct buf b = {0};
	struct err e = {0};

	(void)state;
	buf_init(&b, 64);
	assert_int_equal(json_parse(&d, "in", "{\"z\":1, \"a\":[2]}", 16, &e), 0);
	assert_int_equal(json_text(d.root, JSON_ONE_LINE, &b, &e), 0);
	assert_int_equal(b.len, 15);
	assert_memory_equal(b.p, "{\"z\":1,\"a\":[2]}", 15); /* order of input */
	buf_reset(&b);
	b.max = 10;
	assert_int_equal(json_text(d.root, JSON_INDENTED, &b, &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strict),
		cmocka_unit_test(deep_nesting),
		cmocka_unit_test(fields),
		cmocka_unit_test(writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
