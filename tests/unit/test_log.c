/* base/log.h: lines that others cause are few. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

static void limited(void **state)
{
	struct log_limit l = {0};
	unsigned left = 99, told = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		told += log_limited(&l, 7, &left);
	assert_int_equal(told, 7);
	assert_int_equal(left, 0);

	/* the next 10 s begin anew, and say what was left out, once */
	l.since -= 10000;
	assert_true(log_limited(&l, 7, &left));
	assert_int_equal(left, 93);
	assert_true(log_limited(&l, 7, &left));
	assert_int_equal(left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
