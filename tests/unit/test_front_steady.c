/* steady.c: moments of the wall clock as moments of one that never steps. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hsm/front/steady.h"

static void check(struct timespec until, struct timespec wall, struct timespec mono,
		  struct timespec want)
{
	struct timespec t = steady_until(&until, &wall, &mono);

	assert_int_equal(t.tv_sec, want.tv_sec);
	assert_int_equal(t.tv_nsec, want.tv_nsec);
}

static void moments(void **state)
{
	(void)state;
	check((struct timespec){1005, 0}, (struct timespec){1000, 0}, (struct timespec){7, 0},
	      (struct timespec){12, 0});
	check((struct timespec){1005, 200}, (struct timespec){1000, 300}, (struct timespec){7, 50},
	      (struct timespec){11, 999999950});
	check((struct timespec){1005, 900000000}, (struct timespec){1000, 0},
	      (struct timespec){7, 900000000}, (struct timespec){13, 800000000});
	/* passed */
	check((struct timespec){1000, 0}, (struct timespec){1000, 1}, (struct timespec){7, 5},
	      (struct timespec){7, 5});
	check((struct timespec){1, 0}, (struct timespec){1000, 0}, (struct timespec){7, 5},
	      (struct timespec){7, 5});
}

/* It is this one that a caller gets, and it ends. */
static void waits(void **state)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	struct timespec until, before, after;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &before);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 30000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&mutex);
	assert_int_equal(pthread_cond_timedwait(&cond, &mutex, &until), ETIMEDOUT);
	until.tv_nsec = 1000000000;
	assert_int_equal(pthread_cond_timedwait(&cond, &mutex, &until), EINVAL);
	pthread_mutex_unlock(&mutex);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_true((after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec >=
		    29000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moments),
		cmocka_unit_test(waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
