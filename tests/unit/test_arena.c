/* keyd's arena: what is released is wiped and comes back, full is told, and the guard
 * pages and the memory's flags are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "hsm/keyd/arena.h"

#define SIZE ((size_t)256 << 10)

static struct arena *fresh(void)
{
	struct arena *a = NULL;
	struct err e;

	assert_int_equal(arena_new(&a, SIZE, &e), 0);
	return a;
}

static size_t used(struct arena *a)
{
	struct arena_stat s;

	arena_stat(a, &s);
	return s.used;
}

static void test_zero_and_wipe(void **state)
{
	static const uint8_t zero[ARENA_MAX_OBJECT];
	struct arena *a = fresh();

	(void)state;
	for (size_t n = 1; n <= ARENA_MAX_OBJECT; n = n * 3 / 2 + 1) {
		uint8_t *p = arena_alloc(a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 32, 0);
		assert_true(arena_owns(a, p));
		assert_true(arena_usable(a, p) >= n);
		assert_memory_equal(p, zero, n);
		memset(p, 0xaa, n);
		arena_release(a, p);
		/* The page is still mapped: the bytes must be gone. */
		assert_memory_equal(p, zero, n);
	}
	assert_int_equal(used(a), 0);
	arena_release(a, NULL);
	assert_null(arena_alloc(a, ARENA_MAX_OBJECT + 1));
	arena_delete(a);
	arena_delete(NULL);
}

/* Fills with one size, frees backwards, and fills with another size. */
static void test_full_and_back(void **state)
{
	static const size_t sizes[] = {1, 64, 65, 96, 128, 200, 300, 700, 1000, 2048, 4096};
	CLEAN(free) void **p = calloc(SIZE / 64, sizeof(*p));
	struct arena *a = fresh();

	(void)state;
	assert_non_null(p);
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		size_t n = 0;

		for (; n < SIZE / 64 && (p[n] = arena_alloc(a, sizes[s])); n++)
			memset(p[n], (int)(n & 0xff) | 1, sizes[s]);
		assert_null(arena_alloc(a, sizes[s]));
		assert_int_equal(used(a), SIZE);
		/* A third of the room at worst is lost to rounding. */
		assert_true(n * (sizes[s] < 64 ? 64 : sizes[s]) > SIZE / 2);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(*(uint8_t *)p[i], (i & 0xff) | 1);
		for (size_t i = 0; i < n; i++)
			arena_release(a, p[n - 1 - i]);
		assert_int_equal(used(a), 0);
	}
	arena_delete(a);
}

static void test_reuse(void **state)
{
	struct arena *a = fresh();
	void *p[200];

	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 200; i++)
			assert_non_null(p[i] = arena_alloc(a, (i * 37 + round * 11) % 900 + 1));
		for (unsigned i = 0; i < 200; i++) /* 77 and 200 have no factor in common */
			arena_release(a, p[i * 77 % 200]);
	}
	assert_int_equal(used(a), 0);
	arena_delete(a);
}

static void crash_below(struct arena *a)
{
	volatile uint8_t *p = arena_alloc(a, ARENA_MAX_OBJECT);

	p[-1] = 1; /* the first object of a fresh arena begins at its base */
}

static void crash_above(struct arena *a)
{
	volatile uint8_t *last = NULL, *p;

	while ((p = arena_alloc(a, ARENA_MAX_OBJECT)))
		last = p > last ? p : last;
	last[ARENA_MAX_OBJECT] = 1;
}

static void crash_double(struct arena *a)
{
	void *p = arena_alloc(a, 100);

	arena_alloc(a, 100); /* so that the page stays */
	arena_release(a, p);
	arena_release(a, p);
}

static void crash_inside(struct arena *a)
{
	arena_release(a, (uint8_t *)arena_alloc(a, 100) + 16);
}

static void crash_foreign(struct arena *a)
{
	int x;

	arena_release(a, &x);
}

/* The arena is not mapped in children: each makes its own. */
static int died(void (*crash)(struct arena *a), int sig)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = {0, 0};
		struct arena *a = NULL;

		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		if (arena_new(&a, SIZE, NULL) == 0)
			crash(a);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

static void test_guards(void **state)
{
	(void)state;
	assert_true(died(crash_below, SIGSEGV));
	assert_true(died(crash_above, SIGSEGV));
	assert_true(died(crash_double, SIGABRT));
	assert_true(died(crash_inside, SIGABRT));
	assert_true(died(crash_foreign, SIGABRT));
}

/* Flags of the mapping that holds p, from /proc/self/smaps. */
static void flags_of(const void *p, char *out, size_t n)
{
	CLEAN(file) FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	bool here = false;

	assert_non_null(f);
	out[0] = 0;
	while (fgets(line, sizeof(line), f)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			(void)snprintf(out, n, "%s", line + 8);
	}
}

static void test_flags(void **state)
{
	struct arena *a = fresh();
	struct arena_stat s;
	char flags[512];

	(void)state;
	arena_stat(a, &s);
	assert_int_equal(s.size, SIZE);
	flags_of(arena_alloc(a, 1), flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd ")); /* not in dumps */
	assert_non_null(strstr(flags, " dc ")); /* not in children */
#ifndef SANITIZE
	assert_int_equal(s.locked, strstr(flags, " lo ") != NULL);
#endif
	arena_delete(a);
}

static void test_no_lock(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = {0, 0};
		struct arena *a = NULL;
		struct arena_stat s;

		/* Root has no limit: become somebody else. */
		if (setrlimit(RLIMIT_MEMLOCK, &none) || (getuid() == 0 && setuid(65534)))
			_exit(1);
		if (arena_new(&a, SIZE, NULL))
			_exit(2);
		arena_stat(a, &s);
		_exit(s.locked ? 3 : arena_alloc(a, 10) ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
#ifndef SANITIZE
	assert_int_equal(WEXITSTATUS(status), 0);
#endif
}

static void *worker(void *arg)
{
	struct arena *a = arg;

	for (unsigned i = 1; i < 20000; i++) {
		uint8_t *p = arena_alloc(a, i % 500 + 1);

		if (!p)
			continue;
		memset(p, (int)i, i % 500 + 1);
		if (p[i % 500] != (uint8_t)i)
			return a;
		arena_release(a, p);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct arena *a = fresh();
	pthread_t t[4];
	void *bad;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, worker, a), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	assert_int_equal(used(a), 0);
	arena_delete(a);
}

static void test_bad_size(void **state)
{
	struct arena *a = NULL;
	struct err e;

	(void)state;
	assert_int_equal(arena_new(&a, 0, &e), -1);
	assert_int_equal(e.code, ERR_NOMEM);
	assert_int_equal(arena_new(&a, SIZE_MAX, &e), -1);
	assert_int_equal(e.code, ERR_NOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zero_and_wipe), cmocka_unit_test(test_full_and_back),
		cmocka_unit_test(test_reuse),	      cmocka_unit_test(test_guards),
		cmocka_unit_test(test_flags),	      cmocka_unit_test(test_no_lock),
		cmocka_unit_test(test_threads),	      cmocka_unit_test(test_bad_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
