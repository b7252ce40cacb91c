/* The replay window against a naive set of all counters that were accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/session.h"

#define BEHIND (REPLAY_BITS - 64) /* docs/PROTOCOL.md: 8128 */

struct naive {
	uint64_t seen[70000];
	size_t n;
	uint64_t top;
};

static bool naive_accept(struct naive *s, uint64_t c)
{
	if (c == 0 || (c <= s->top && s->top - c >= BEHIND))
		return false;
	for (size_t i = s->n; i-- > 0;)
		if (s->seen[i] == c)
			return false;
	s->seen[s->n++] = c;
	if (c > s->top)
		s->top = c;
	return true;
}

static void both(struct naive *s, struct replay *r, uint64_t c)
{
	bool want = naive_accept(s, c), got = replay_accept(r, c);

	if (want != got)
		fail_msg("counter %llu, top %llu: window says %d, naive set %d",
			 (unsigned long long)c, (unsigned long long)s->top, got, want);
	assert_int_equal(r->top, s->top);
}

static void test_edges(void **state)
{
	struct replay r = {0};

	(void)state;
	assert_false(replay_accept(&r, 0));
	assert_true(replay_accept(&r, 1));
	assert_false(replay_accept(&r, 1));
	assert_true(replay_accept(&r, BEHIND + 1));
	assert_false(replay_accept(&r, 1)); /* seen, and just outside */
	assert_true(replay_accept(&r, 2));  /* the oldest that fits */
	assert_false(replay_accept(&r, 2));
	assert_true(replay_accept(&r, BEHIND + 3));
	assert_false(replay_accept(&r, 3)); /* never seen, but too old */
	assert_true(replay_accept(&r, 4));
}

/* Jumps of about the window's size, from every position in a word. */
static void test_jumps(void **state)
{
	(void)state;
	for (uint64_t start = 70; start <= 200; start++)
		for (uint64_t jump = REPLAY_BITS - 130; jump <= REPLAY_BITS + 130; jump++) {
			struct replay r = {0};
			uint64_t top = start + jump;

			assert_true(replay_accept(&r, start));
			assert_true(replay_accept(&r, top));
			assert_false(replay_accept(&r, top));
			/* Nothing between was seen: new when inside, and what was seen
			 * before never comes again. */
			assert_true(replay_accept(&r, top - BEHIND + 1) ==
				    (top - BEHIND + 1 != start));
			assert_false(replay_accept(&r, top - BEHIND));
			assert_false(replay_accept(&r, start));
		}
}

static void test_far_end(void **state)
{
	const uint64_t last = UINT64_MAX - 1; /* Noise reserves the last nonce */
	struct replay r = {0};

	(void)state;
	assert_true(replay_accept(&r, 5));
	assert_false(replay_accept(&r, UINT64_MAX));
	assert_true(replay_accept(&r, last));
	assert_false(replay_accept(&r, last));
	assert_false(replay_accept(&r, 5));
	assert_false(replay_accept(&r, 6));
	assert_false(replay_accept(&r, 0));
	for (uint64_t i = 1; i < BEHIND; i++)
		assert_true(replay_accept(&r, last - i));
	assert_false(replay_accept(&r, last - BEHIND));
	for (uint64_t i = 0; i < BEHIND; i++)
		assert_false(replay_accept(&r, last - i));
}

static uint64_t step(const struct naive *s, int kind)
{
	uint64_t x = (uint64_t)random();

	switch (kind) {
	case 0: /* mostly in order */
		return s->top + 1 + x % 3;
	case 1: /* somewhere around the window */
		return s->top + 100 > x % 9000 ? s->top + 100 - x % 9000 : 1;
	case 2: /* one that was there */
		return s->n ? s->seen[x % s->n] : 1;
	case 3: /* jumps by whole words */
		return s->top + 64 * (x % 140);
	case 4: /* the far edge */
		return s->top > BEHIND + 70 ? s->top - BEHIND - 64 + x % 128 : 1;
	default: /* a long way */
		return s->top + x % (1u << 20);
	}
}

/* Different mixtures, because each finds other things. */
static void test_against_naive(void **state)
{
	static struct naive s;

	(void)state;
	for (unsigned seed = 1; seed <= 24; seed++) {
		struct replay r = {0};

		srandom(seed);
		memset(&s, 0, sizeof(s));
		if (seed % 4 == 0) {
			/* Near the end of all numbers. */
			both(&s, &r, UINT64_MAX - (1u << 24));
		}
		for (int i = 0; i < 4000; i++) {
			long d = random() % 100;
			int kind = d < 60     ? 0
				   : d < 80   ? 1
				   : d < 88   ? 2
				   : d < 93   ? 3
				   : d < 99   ? 4
				   : seed % 2 ? 5
					      : 0;
			both(&s, &r, step(&s, kind));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_far_end),
		cmocka_unit_test(test_against_naive),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
