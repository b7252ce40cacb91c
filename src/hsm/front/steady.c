#include "hsm/front/steady.h"

#include <errno.h>
#include <pthread.h>

#define BILLION 1000000000L

struct timespec steady_until(const struct timespec *until, const struct timespec *wall,
			     const struct timespec *mono)
{
	struct timespec t = {.tv_sec = until->tv_sec - wall->tv_sec,
			     .tv_nsec = until->tv_nsec - wall->tv_nsec};

	if (t.tv_nsec < 0) {
		t.tv_sec--;
		t.tv_nsec += BILLION;
	}
	if (t.tv_sec < 0)
		return *mono;
	t.tv_sec += mono->tv_sec;
	t.tv_nsec += mono->tv_nsec;
	if (t.tv_nsec >= BILLION) {
		t.tv_sec++;
		t.tv_nsec -= BILLION;
	}
	return t;
}

/* The C library's is weak. All conditions that are waited for so in hsm-front are nats.c's,
 * with the wall clock; its own code names its clock (pthread_cond_clockwait). */
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
			   const struct timespec *until)
{
	struct timespec wall, mono, t;

	if (until->tv_nsec < 0 || until->tv_nsec >= BILLION)
		return EINVAL;
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	(void)clock_gettime(CLOCK_MONOTONIC, &mono);
	t = steady_until(until, &wall, &mono);
	return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &t);
}
