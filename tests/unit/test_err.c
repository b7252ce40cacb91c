/* The table of errors: numbers unique, texts there, helpers as promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "base/err.h"

static void table(void **state)
{
	unsigned n;
	const struct err_row *rows = err_table(&n);

	(void)state;
	assert_true(n > 50);
	for (unsigned i = 0; i < n; i++) {
		assert_true(strlen(rows[i].text) > 1);
		assert_ptr_equal(err_row(rows[i].wire), &rows[i]);
		assert_in_range(rows[i].exit, 0, 10);
		assert_in_range(rows[i].http, 200, 507);
		/* Only the one that is no error leaves with 0. */
		assert_int_equal(rows[i].exit == 0, rows[i].wire == ERR_OK);
		for (unsigned k = 0; k < i; k++) {
			assert_int_not_equal(rows[i].wire, rows[k].wire);
			assert_string_not_equal(rows[i].name, rows[k].name);
		}
	}
	assert_string_equal(err_row(65535)->name, "INTERNAL");
}

static void helpers(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(err_set(&e, ERR_NOT_FOUND, NULL), -1);
	assert_string_equal(e.text, "no such key");
	assert_int_equal(err_exit(&e), 5);
	assert_int_equal(err_wrap(&e, "key %d", 3), -1);
	assert_string_equal(e.text, "key 3: no such key");
	errno = ENOENT;
	assert_int_equal(err_errno(&e, ERR_IO, "cannot open %s", "f"), -1);
	assert_string_equal(e.text, "cannot open f: No such file or directory");
	err_set(&e, ERR_IO, "%s",
		"a\x1b]0;t\a\nb\xc2\x9b"
		"c\xe2\x80\xae"
		"d \xc3\xa9\x7f");
	assert_string_equal(e.text, "a?]0;t??b??c???d \xc3\xa9?");
	assert_int_equal(err_set(NULL, ERR_IO, NULL), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);
}

static void long_text(void **state)
{
	static char big[1000];
	struct err e = {0};

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	err_set(&e, ERR_IO, "start %s", big);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_memory_equal(e.text, "start x", 7);
	err_wrap(&e, "%s", big);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(helpers),
		cmocka_unit_test(long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
