/* conn_resolve: numbers, names of /etc/hosts, names that are none, and many at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>

#include "conn/conn_resolve.h"

static void numbers(void **state)
{
	const struct sockaddr_in *four;
	struct resolved r;
	struct err e;
	int why;

	(void)state;
	assert_int_equal(conn_resolve(&r, "127.0.0.9", "4222", 0, &why, &e), 0);
	assert_int_equal(r.n, 1);
	four = (const struct sockaddr_in *)&r.at[0].addr;
	assert_int_equal(four->sin_family, AF_INET);
	assert_int_equal(ntohl(four->sin_addr.s_addr), 0x7f000009);
	assert_int_equal(ntohs(four->sin_port), 4222);
	assert_int_equal(r.at[0].len, sizeof(*four));
	assert_int_equal(conn_resolve(&r, "::1", "1", 0, &why, &e), 0);
	assert_int_equal(r.at[0].addr.ss_family, AF_INET6);
}

static void known(void **state)
{
	struct resolved r, again;
	struct err e;
	int why;

	(void)state;
	assert_int_equal(conn_resolve(&r, "localhost", "4222", 10000, &why, &e), 0);
	assert_true(r.n >= 1);
	/* Once it is known, no time at all is enough: those of last time. */
	assert_int_equal(conn_resolve(&again, "localhost", "4222", 0, &why, &e), 0);
	assert_int_equal(again.n, r.n);
	assert_memory_equal(&again.at[0].addr, &r.at[0].addr, r.at[0].len);
}

static void unknown(void **state)
{
	struct err e = {0};
	struct resolved r;
	int why = 0;

	(void)state;
	/* no label may be longer than 63: nobody is asked */
	assert_int_equal(
		conn_resolve(&r,
			     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
			     ".invalid",
			     "1", 10000, &why, &e),
		-1);
	assert_int_equal(e.code, ERR_UNKNOWN_HOST);
	assert_int_not_equal(why, 0);
	assert_int_equal(r.n, 0);
	/* a port that is none, for a name in the table of another port */
	assert_int_equal(conn_resolve(&r, "localhost", "no-such-port", 10000, &why, &e), -1);
	assert_int_equal(e.code, ERR_UNKNOWN_HOST);
}

static void *ask(void *arg)
{
	struct resolved r;
	struct err e;
	int why;

	return conn_resolve(&r, "localhost", arg, 10000, &why, &e) ? arg : NULL;
}

/* More names than the table takes, from many threads: each gets its answer. */
static void many(void **state)
{
	pthread_t t[100];
	char port[100][8];
	void *bad;

	(void)state;
	for (int i = 0; i < 100; i++) {
		(void)snprintf(port[i], sizeof(port[i]), "%d", 1000 + i);
		assert_int_equal(pthread_create(&t[i], NULL, ask, port[i]), 0);
	}
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(known),
		cmocka_unit_test(unknown),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
