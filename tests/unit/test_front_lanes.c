/* The front's channels to keyd: batching, limits, replies that make no sense, the end. */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "hsm/front/lanes.h"

#define FIRST 50 /* descriptors of the lanes: free in a test program */

struct bench {
	struct lanes *lanes;
	int keyd[2]; /* our ends of two lanes */
	struct wire_reader reader;
	_Atomic unsigned answers, ended, hellos, errors;
	_Atomic unsigned last_error;
	_Atomic size_t bytes;
};

static void on_answer(void *arg, const struct pending *q, const struct answer *a)
{
	struct bench *b = arg;

	assert_int_equal(q->reply_len, strlen(q->reply));
	b->bytes += a->len;
	if (a->error) {
		b->errors++;
		b->last_error = a->error;
	}
	b->answers++;
}

static void on_hello(void *arg, const uint8_t *p, size_t n)
{
	struct bench *b = arg;

	(void)p;
	(void)n;
	b->hellos++;
}

static void on_ended(void *arg)
{
	struct bench *b = arg;

	b->ended++;
}

/* All benches: as in the front, lanes live as long as the process. */
static struct bench *kept[16];

static int setup(void **state)
{
	static unsigned nkept;
	struct bench *b = kept[nkept++] = calloc(1, sizeof(*b));
	const struct lanes_calls calls = {on_answer, on_hello, on_ended, b};
	struct err e;

	for (int i = 0; i < 2; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
		assert_int_equal(dup2(pair[1], FIRST + i), FIRST + i);
		close(pair[1]);
		b->keyd[i] = pair[0];
	}
	assert_int_equal(wire_reader_init(&b->reader, WIRE_MESSAGE, false, &e), 0);
	assert_int_equal(lanes_start(&b->lanes, FIRST, 2, &calls, &e), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	lanes_stop(b->lanes, ERR_UNAVAILABLE, 2000);
	wire_reader_free(&b->reader);
	for (int i = 0; i < 2; i++) {
		close(b->keyd[i]);
		close(FIRST + i);
	}
	return 0;
}

static void wait_until(_Atomic unsigned *v, unsigned n)
{
	for (int i = 0; i < 2000 && *v < n; i++)
		poll(NULL, 0, 1);
	assert_int_equal(*v, n);
}

static int ask(struct bench *b, enum wire_type type, const char *head, const void *body, size_t n,
	       struct err *e)
{
	struct pending q = {.ep = EP_SESSION, .reply_len = 8, .reply = "_INBOX.x"};

	return lanes_send(b->lanes, type, &q, head, strlen(head), body, n, e);
}

/* Number of messages in the next packet of a lane; tags and bodies are kept. */
static unsigned packet(struct bench *b, int lane, uint64_t *tags, size_t *bytes)
{
	struct pollfd pf = {.fd = b->keyd[lane], .events = POLLIN};
	struct wire_msg m;
	struct err e;
	unsigned n = 0;

	if (poll(&pf, 1, 100) != 1)
		return 0;
	assert_int_equal(wire_recv(&b->reader, b->keyd[lane], NULL, NULL, &e), 1);
	while (wire_next(&b->reader, &m, &e) == 1) {
		if (tags)
			tags[n] = m.tag;
		if (bytes)
			*bytes += m.len;
		n++;
	}
	return n;
}

static void answer(struct bench *b, int lane, const uint64_t *tags, unsigned n, const char *text)
{
	struct buf out;
	struct err e;

	buf_init(&out, 1 << 20);
	for (unsigned i = 0; i < n; i++) {
		size_t at = wire_begin(&out, W_REPLY, tags[i]);

		buf_u16(&out, 0);
		buf_u8(&out, 0);
		buf_put(&out, text, strlen(text));
		wire_end(&out, at);
	}
	assert_int_equal(wire_send(b->keyd[lane], &out, &e), 0);
	buf_free(&out);
}

static void one_leaves_at_once(void **state)
{
	struct bench *b = *state;
	uint64_t tag;
	size_t bytes = 0;
	struct err e;

	assert_int_equal(ask(b, W_SEALED, "head", "body", 4, &e), 0);
	assert_int_equal(packet(b, 1, &tag, &bytes), 1);
	assert_int_equal(bytes, 8);
	assert_int_equal(lanes_in_hand(b->lanes), 1);
	answer(b, 1, &tag, 1, "reply");
	wait_until(&b->answers, 1);
	assert_int_equal(b->bytes, 5);
	for (int i = 0; i < 1000 && lanes_in_hand(b->lanes); i++)
		poll(NULL, 0, 1);
	assert_int_equal(lanes_in_hand(b->lanes), 0);
}

/* While keyd is busy, requests gather; one packet has them all. */
static void load_leaves_in_batches(void **state)
{
	struct bench *b = *state;
	uint64_t tags[1000];
	struct err e;
	unsigned n;

	for (int i = 0; i < 102; i++)
		assert_int_equal(ask(b, W_SEALED, "", "0123456789", 10, &e), 0);
	assert_int_equal(packet(b, 1, tags, NULL), 1);
	assert_int_equal(packet(b, 1, tags + 1, NULL), 1);
	/* Both were taken, nothing was answered: the rest waits for a reply, or for the
	 * next request, which sees that keyd is idle. */
	assert_int_equal(packet(b, 1, tags + 2, NULL), 0);
	answer(b, 1, tags, 1, "");
	n = packet(b, 1, tags + 2, NULL);
	assert_int_equal(n, 100);
	answer(b, 1, tags + 1, 1 + n, "");
	wait_until(&b->answers, 102);
}

/* Slow operations, which keyd took but does not answer, do not stop the lane. */
static void slow_operations(void **state)
{
	struct bench *b = *state;
	uint64_t tags[8];
	struct err e;

	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(ask(b, W_SEALED, "", "slow", 4, &e), 0);
		assert_int_equal(packet(b, 1, &tags[i], NULL), 1);
	}
	assert_int_equal(lanes_in_hand(b->lanes), 8);
	answer(b, 1, tags + 7, 1, "");
	answer(b, 1, tags, 7, "");
	wait_until(&b->answers, 8);
}

static void openings_have_their_lane(void **state)
{
	struct bench *b = *state;
	uint64_t tag;
	struct err e;

	assert_int_equal(ask(b, W_OPEN, "", "opening", 7, &e), 0);
	assert_int_equal(packet(b, 0, &tag, NULL), 1);
	assert_int_equal(packet(b, 1, NULL, NULL), 0);
	answer(b, 0, &tag, 1, "");
	wait_until(&b->answers, 1);
}

static void too_many_are_busy(void **state)
{
	struct bench *b = *state;
	struct err e;

	for (unsigned i = 0; i < FRONT_PENDING_OPEN; i++)
		assert_int_equal(ask(b, W_OPEN, "", "x", 1, &e), 0);
	assert_int_equal(ask(b, W_OPEN, "", "x", 1, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_int_equal(ask(b, W_SEALED, "", "x", 1, &e), 0); /* other lanes go on */
	lanes_stop(b->lanes, ERR_UNAVAILABLE, 2000);
	assert_int_equal(b->answers, FRONT_PENDING_OPEN + 1);
	assert_int_equal(b->errors, FRONT_PENDING_OPEN + 1);
	assert_int_equal(b->last_error, ERR_UNAVAILABLE);
	assert_int_equal(ask(b, W_SEALED, "", "x", 1, &e), -1);
	assert_int_equal(e.code, ERR_SHUTTING_DOWN);
}

struct sink {
	struct bench *b;
	size_t bytes;
	unsigned messages;
};

/* A keyd that reads everything and answers each message. */
static void *sink(void *arg)
{
	struct sink *s = arg;
	struct wire_msg m;
	struct err e;

	while (s->messages < 20 && wire_recv(&s->b->reader, s->b->keyd[1], NULL, NULL, &e) == 1)
		while (wire_next(&s->b->reader, &m, &e) == 1) {
			const uint8_t *p = m.p;
			bool right = m.len > 4 && memcmp(p, "head", 4) == 0;

			for (size_t i = 4; i < m.len && right; i++)
				right = p[i] == (uint8_t)((i - 4) * 7);
			s->bytes += right ? m.len : 0;
			s->messages++;
			uint64_t tag = m.tag;

			answer(s->b, 1, &tag, 1, "ok");
		}
	return NULL;
}

/* Far more than a socket holds, in fragments, with a reader that starts late. */
static void large_messages(void **state)
{
	const size_t n = 3 << 20;
	struct bench *b = *state;
	struct sink s = {.b = b};
	uint8_t *body = malloc(n);
	pthread_t t;
	struct err e;

	for (size_t i = 0; i < n; i++)
		body[i] = (uint8_t)(i * 7);
	assert_int_equal(pthread_create(&t, NULL, sink, &s), 0);
	for (unsigned i = 0; i < 20;) {
		if (ask(b, W_SEALED, "head", body, n - i, &e) == 0) {
			i++;
			continue;
		}
		assert_int_equal(e.code, ERR_BUSY);
		poll(NULL, 0, 1);
		lanes_nudge(b->lanes);
	}
	wait_until(&b->answers, 20);
	pthread_join(t, NULL);
	assert_int_equal(s.bytes, 20 * (n + 4) - 190);
	free(body);
	assert_int_equal(ask(b, W_SEALED, "", "", WIRE_MESSAGE + 1, &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
}

/* Sends one frame and expects that the lane is given up. */
static void expect_end(struct bench *b, enum wire_type type, uint64_t tag, const char *p, size_t n)
{
	struct buf out;
	struct err e;

	buf_init(&out, 4096);
	wire_put(&out, type, tag, p, n);
	assert_int_equal(wire_send(b->keyd[1], &out, &e), 0);
	buf_free(&out);
	wait_until(&b->ended, 1);
}

static void reply_to_nothing(void **state)
{
	expect_end(*state, W_REPLY, (uint64_t)1 << 32, "\0\0\0", 3);
}

static void reply_twice(void **state)
{
	struct bench *b = *state;
	uint64_t tags[2];
	struct err e;

	assert_int_equal(ask(b, W_SEALED, "", "x", 1, &e), 0);
	assert_int_equal(packet(b, 1, tags, NULL), 1);
	tags[1] = tags[0];
	answer(b, 1, tags, 2, "");
	wait_until(&b->ended, 1);
	assert_int_equal(b->answers, 1);
}

static void reply_out_of_range(void **state)
{
	expect_end(*state, W_REPLY, UINT64_MAX, "\0\0\0", 3);
}

static void reply_too_short(void **state)
{
	struct bench *b = *state;
	uint64_t tag;
	struct err e;

	assert_int_equal(ask(b, W_SEALED, "", "x", 1, &e), 0);
	assert_int_equal(packet(b, 1, &tag, NULL), 1);
	expect_end(b, W_REPLY, tag, "\0\0", 2);
}

static void hello_on_a_wrong_lane(void **state)
{
	struct bench *b = *state;

	expect_end(b, W_HELLO, 0, "x", 1);
	assert_int_equal(b->hellos, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_leaves_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(load_leaves_in_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(slow_operations, setup, teardown),
		cmocka_unit_test_setup_teardown(openings_have_their_lane, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_are_busy, setup, NULL),
		cmocka_unit_test_setup_teardown(large_messages, setup, teardown),
		cmocka_unit_test_setup_teardown(reply_to_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(reply_twice, setup, teardown),
		cmocka_unit_test_setup_teardown(reply_out_of_range, setup, teardown),
		cmocka_unit_test_setup_teardown(reply_too_short, setup, teardown),
		cmocka_unit_test_setup_teardown(hello_on_a_wrong_lane, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
