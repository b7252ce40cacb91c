/* Tables: widths, alignment, cutting, and cells that try to drive the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "ui/table.h"

static char text[4096];

static const char *printed(const struct table *t)
{
	FILE *f = tmpfile();
	size_t n;

	assert_non_null(f);
	table_print(t, f);
	rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

static struct table *sample(void)
{
	struct table *t = table_new();

	table_col(t, "NAME", TABLE_FLEX);
	table_col(t, "USES", TABLE_RIGHT);
	table_col(t, "TYPE", TABLE_LEFT);
	table_text(t, "a");
	table_num(t, 12345);
	table_text(t, NULL);
	table_text(t, "a-long-name-of-a-key");
	table_num(t, 7);
	table_fmt(t, "%s-%d", "rsa", 2048);
	return t;
}

static void layout(void **state)
{
	CLEAN(table) struct table *t = sample();

	(void)state;
	unsetenv("COLUMNS");
	assert_string_equal(printed(t), "NAME                   USES  TYPE\n"
					"a                     12345  -\n"
					"a-long-name-of-a-key      7  rsa-2048\n");
	setenv("COLUMNS", "30", 1);
	assert_string_equal(printed(t), "NAME            USES  TYPE\n"
					"a              12345  -\n"
					"a-long-name-…      7  rsa-2048\n");
	/* Only flexible columns are cut, and never to nothing. */
	setenv("COLUMNS", "10", 1);
	assert_non_null(strstr(printed(t), "a-lon…      7  rsa-2048\n"));
	unsetenv("COLUMNS");
}

static void empty(void **state)
{
	CLEAN(table) struct table *t = table_new();

	(void)state;
	assert_string_equal(printed(t), "");
	table_col(t, "A", 0);
	table_col(t, "B", 0);
	assert_string_equal(printed(t), "A  B\n");
	table_text(t, "half a row");
	assert_string_equal(printed(t), "A           B\nhalf a row\n");
	assert_string_equal(printed(NULL), "");
}

static void utf8(void **state)
{
	(void)state;
	assert_int_equal(table_text_width("abc"), 3);
	assert_int_equal(table_text_width("Schlüssel"), 9);
	assert_int_equal(table_text_width("e\xcc\x81"), 1);	   /* combining */
	assert_int_equal(table_text_width("\xe9\x8d\xb5"), 2);	   /* CJK */
	assert_int_equal(table_text_width("\xf0\x9f\x94\x91"), 2); /* a key */
	assert_int_equal(table_text_width("\xff\xfe"), 2);	   /* not UTF-8 */
	assert_int_equal(table_text_width("\xe9\x8d"), 2);	   /* cut short */
}

static void hostile(void **state)
{
	CLEAN(table) struct table *t = table_new();

	(void)state;
	table_col(t, "N", 0);
	table_text(t, "a\033[2Jb\n\x7f\xc2\x9b\xff\xe2\x80\xae");
	table_text(t, "\xc3\xbc");
	assert_string_equal(printed(t), "N\na?[2Jb????????\n\xc3\xbc\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		cmocka_unit_test(empty),
		cmocka_unit_test(utf8),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
