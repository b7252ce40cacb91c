/* Frames: what is sent arrives whole and in order, and everything malformed is
 * refused. Packets are made by hand where a sender would never make them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "proto/wire.h"

#define FRAGMENT (WIRE_PACKET - WIRE_HEAD)

struct pair {
	int a, b; /* b is read */
	struct wire_reader r;
};

static void open_pair(struct pair *p, size_t max)
{
	int fds[2];
	struct err e;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	p->a = fds[0];
	p->b = fds[1];
	assert_int_equal(wire_reader_init(&p->r, max, true, &e), 0);
}

static void close_pair(struct pair *p)
{
	if (p->a >= 0)
		close(p->a);
	close(p->b);
	wire_reader_free(&p->r);
}

static void fragment(struct buf *b, uint32_t len, uint8_t type, uint8_t flags, uint16_t zero,
		     uint64_t tag, const void *p, size_t n)
{
	buf_u32(b, len);
	buf_u8(b, type);
	buf_u8(b, flags);
	buf_u16(b, zero);
	buf_u64(b, tag);
	buf_put(b, p, n);
}

/* Sends b as one packet and receives it; messages are then read with wire_next. */
static void deliver(struct pair *p, struct buf *b)
{
	struct err e;

	assert_false(b->bad);
	assert_int_equal(send(p->a, b->p, b->len, 0), (ssize_t)b->len);
	assert_int_equal(wire_recv(&p->r, p->b, NULL, NULL, &e), 1);
	buf_reset(b);
}

struct sender {
	int fd;
	struct buf b;
};

static void *send_all(void *arg)
{
	struct sender *s = arg;
	struct err e;

	return wire_send(s->fd, &s->b, &e) ? s : NULL;
}

static uint8_t byte_at(size_t message, size_t i)
{
	return (uint8_t)(message * 31 + i * 7 + (i >> 8));
}

static const size_t sizes[] = {0,
			       1,
			       2,
			       1000,
			       FRAGMENT - 1,
			       FRAGMENT,
			       FRAGMENT + 1,
			       2 * FRAGMENT,
			       3 * FRAGMENT + 5,
			       WIRE_MESSAGE,
			       16,
			       0,
			       FRAGMENT};
#define NSIZES (sizeof(sizes) / sizeof(sizes[0]))

static void expect_sizes(struct pair *p)
{
	struct wire_msg m;
	struct err e;
	size_t i = 0;

	while (i < NSIZES) {
		int rc;

		assert_int_equal(wire_recv(&p->r, p->b, NULL, NULL, &e), 1);
		while ((rc = wire_next(&p->r, &m, &e)) == 1) {
			assert_true(i < NSIZES);
			assert_int_equal(m.type, W_SEALED);
			assert_int_equal(m.tag, 1000 + i);
			assert_int_equal(m.len, sizes[i]);
			for (size_t at = 0; at < m.len; at += 1 + at / 97)
				assert_int_equal(m.p[at], byte_at(i, at));
			i++;
		}
		assert_int_equal(rc, 0);
	}
}

static void test_all_sizes(void **state)
{
	struct sender s = {0};
	struct pair p;
	pthread_t t;
	void *failed;

	(void)state;
	open_pair(&p, WIRE_MESSAGE);
	buf_init(&s.b, 2 * WIRE_MESSAGE);
	s.fd = p.a;
	for (size_t i = 0; i < NSIZES; i++) {
		uint8_t *data = malloc(sizes[i] + 1);

		assert_non_null(data);
		for (size_t at = 0; at < sizes[i]; at++)
			data[at] = byte_at(i, at);
		wire_put(&s.b, W_SEALED, 1000 + i, data, sizes[i]);
		free(data);
	}
	assert_false(s.b.bad);
	assert_int_equal(pthread_create(&t, NULL, send_all, &s), 0);
	expect_sizes(&p);
	pthread_join(t, &failed);
	assert_null(failed);
	buf_free(&s.b);
	close_pair(&p);
}

/* Many small messages: as few packets as they fit in, each at most WIRE_PACKET. */
static void test_packets_are_full(void **state)
{
	struct sender s = {0};
	unsigned got = 0, packets = 0;
	uint8_t body[84] = {0};
	struct wire_msg m;
	struct pair p;
	struct err e;
	pthread_t t;

	(void)state;
	open_pair(&p, 4096);
	buf_init(&s.b, 1 << 20);
	s.fd = p.a;
	for (unsigned i = 0; i < 2000; i++)
		wire_put(&s.b, W_REPLY, i, body, sizeof(body));
	assert_int_equal(pthread_create(&t, NULL, send_all, &s), 0);
	while (got < 2000) {
		assert_int_equal(wire_recv(&p.r, p.b, NULL, NULL, &e), 1);
		packets++;
		while (wire_next(&p.r, &m, &e) == 1)
			assert_int_equal(m.tag, got++);
	}
	pthread_join(t, NULL);
	assert_int_equal(packets, (2000 + 654) / 655);
	buf_free(&s.b);
	close_pair(&p);
}

static void test_put_limits(void **state)
{
	struct buf b, small;
	struct err e;

	(void)state;
	buf_init(&b, 4 * WIRE_MESSAGE);
	uint8_t *big = calloc(1, WIRE_MESSAGE + 1);

	assert_non_null(big);
	wire_put(&b, W_REPLY, 1, big, WIRE_MESSAGE + 1);
	assert_true(b.bad);
	assert_int_equal(wire_send(-1, &b, &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
	/* The buffer is usable again. */
	assert_false(b.bad);
	assert_int_equal(b.len, 0);
	size_t at = wire_begin(&b, W_REPLY, 1);

	buf_put(&b, big, FRAGMENT);
	wire_end(&b, at);
	assert_false(b.bad);
	buf_reset(&b);
	at = wire_begin(&b, W_REPLY, 1);
	buf_put(&b, big, FRAGMENT + 1);
	wire_end(&b, at);
	assert_true(b.bad);
	buf_init(&small, 100);
	wire_put(&small, W_REPLY, 1, big, 100);
	assert_true(small.bad);
	buf_free(&small);
	buf_free(&b);
	free(big);
}

static void expect_bad(struct pair *p, struct buf *b, const char *what)
{
	struct wire_msg m;
	struct err e = {0};
	int rc;

	deliver(p, b);
	while ((rc = wire_next(&p->r, &m, &e)) == 1)
		;
	if (rc != -1 || e.code != ERR_BAD_FRAME)
		fail_msg("%s: %d, error %d", what, rc, e.code);
}

static void test_malformed(void **state)
{
	static const uint8_t body[64] = {1, 2, 3};
	static const struct {
		const char *what;
		uint32_t len;
		uint8_t flags;
		uint16_t zero;
		size_t n;
	} rows[] = {
		{"length past the packet", 65, 0, 0, 64},
		{"length far past the packet", 0xffffffff, 0, 0, 64},
		{"length past the packet with more", 65, 1, 0, 64},
		{"unknown flag 2", 64, 2, 0, 64},
		{"unknown flag 128", 64, 0x80, 0, 64},
		{"unknown flag beside more", 64, 3, 0, 64},
		{"zero is 1", 64, 0, 1, 64},
		{"zero is 0x100", 64, 0, 0x100, 64},
		{"one byte follows", 63, 0, 0, 64},
		{"almost a head follows", 64 - 15, 0, 0, 64},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;

		open_pair(&p, 4096);
		fragment(&b, rows[i].len, W_PLAIN, rows[i].flags, rows[i].zero, 5, body, rows[i].n);
		expect_bad(&p, &b, rows[i].what);
		close_pair(&p);
	}
	for (size_t n = 1; n < WIRE_HEAD; n++) {
		struct pair p;

		open_pair(&p, 4096);
		fragment(&b, 0, W_PLAIN, 0, 0, 5, NULL, 0);
		b.len = n;
		expect_bad(&p, &b, "part of a head");
		close_pair(&p);
	}
	buf_free(&b);
}

static void test_mixed_fragments(void **state)
{
	static const struct {
		const char *what;
		uint8_t type, flags;
		uint64_t tag;
	} second[] = {
		{"another tag", W_PLAIN, 0, 6},
		{"another tag with more", W_PLAIN, 1, 6},
		{"another type", W_SEALED, 0, 5},
		{"another type with more", W_SEALED, 1, 5},
		{"tag that differs in its high half", W_PLAIN, 0, 5 | UINT64_C(1) << 63},
	};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < 2 * sizeof(second) / sizeof(second[0]); i++) {
		struct pair p;

		open_pair(&p, 4096);
		fragment(&b, 3, W_PLAIN, 1, 0, 5, "abc", 3);
		if (i % 2) {
			struct wire_msg m;
			struct err e;

			deliver(&p, &b);
			assert_int_equal(wire_next(&p.r, &m, &e), 0);
		}
		fragment(&b, 3, second[i / 2].type, second[i / 2].flags, 0, second[i / 2].tag,
			 "def", 3);
		expect_bad(&p, &b, second[i / 2].what);
		close_pair(&p);
	}
	buf_free(&b);
}

/* One message in every way of cutting it into three fragments, in one packet and in
 * three; an empty fragment is allowed. */
static void test_joining(void **state)
{
	static const char text[] = "0123456789abcdef";
	struct wire_msg m;
	struct pair p;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	open_pair(&p, 16);
	for (size_t i = 0; i <= 16; i++)
		for (size_t j = i; j <= 16; j++)
			for (int apart = 0; apart < 2; apart++) {
				size_t cut[4] = {0, i, j, 16};

				for (int f = 0; f < 3; f++) {
					size_t n = cut[f + 1] - cut[f];

					fragment(&b, (uint32_t)n, W_OPEN, f < 2, 0, i * 17 + j,
						 text + cut[f], n);
					if (apart || f == 2)
						deliver(&p, &b);
					if (apart && f < 2)
						assert_int_equal(wire_next(&p.r, &m, &e), 0);
				}
				assert_int_equal(wire_next(&p.r, &m, &e), 1);
				assert_int_equal(m.len, 16);
				assert_int_equal(m.tag, i * 17 + j);
				assert_memory_equal(m.p, text, 16);
				assert_int_equal(wire_next(&p.r, &m, &e), 0);
			}
	close_pair(&p);
	buf_free(&b);
}

static void test_too_large(void **state)
{
	static const uint8_t body[1001] = {0};
	struct wire_msg m;
	struct pair p;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4 * WIRE_PACKET);
	open_pair(&p, 1000);
	for (int f = 0; f < 10; f++)
		fragment(&b, 100, W_PLAIN, f < 9, 0, 1, body, 100);
	deliver(&p, &b);
	assert_int_equal(wire_next(&p.r, &m, &e), 1);
	assert_int_equal(m.len, 1000);
	for (int f = 0; f < 10; f++)
		fragment(&b, 100, W_PLAIN, 1, 0, 2, body, 100);
	fragment(&b, 1, W_PLAIN, 0, 0, 2, body, 1);
	expect_bad(&p, &b, "one byte over the limit");
	close_pair(&p);
	/* A packet that is cut by the kernel. */
	open_pair(&p, WIRE_MESSAGE);
	fragment(&b, WIRE_PACKET, W_PLAIN, 0, 0, 3, NULL, 0);
	memset(buf_space(&b, WIRE_PACKET), 7, WIRE_PACKET);
	assert_int_equal(send(p.a, b.p, b.len, 0), (ssize_t)b.len);
	assert_int_equal(wire_recv(&p.r, p.b, NULL, NULL, &e), -1);
	assert_int_equal(e.code, ERR_BAD_FRAME);
	close_pair(&p);
	buf_free(&b);
}

/* One fragment alone is bounded by its packet, but the reader's limit holds too. */
static void test_single_over_max(void **state)
{
	static const uint8_t body[101] = {0};
	struct wire_msg m;
	struct pair p;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	open_pair(&p, 100);
	fragment(&b, 100, W_PLAIN, 0, 0, 1, body, 100);
	deliver(&p, &b);
	assert_int_equal(wire_next(&p.r, &m, &e), 1);
	fragment(&b, 101, W_PLAIN, 0, 0, 1, body, 101);
	expect_bad(&p, &b, "a single fragment over the reader's limit");
	close_pair(&p);
	buf_free(&b);
}

static void test_end_of_file(void **state)
{
	struct pair p;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	open_pair(&p, 4096);
	fragment(&b, 3, W_PLAIN, 1, 0, 5, "abc", 3);
	deliver(&p, &b);
	close(p.a);
	p.a = -1;
	assert_int_equal(wire_recv(&p.r, p.b, NULL, NULL, &e), 0);
	close_pair(&p);
	buf_free(&b);
}

/* The other side does not read: the sender gives up instead of waiting for ever. */
static void test_nobody_reads(void **state)
{
	uint8_t body[30000] = {0};
	struct wire_msg m;
	struct pair p;
	struct err e;
	struct buf b;
	int rc, sent = -1;

	(void)state;
	open_pair(&p, 1 << 20);
	buf_init(&b, 1 << 20);
	do {
		wire_put(&b, W_REPLY, 1, body, sizeof(body));
		rc = wire_send_for(p.a, &b, 20, &e);
		sent++;
	} while (rc == 0 && sent < 1000);
	assert_int_equal(rc, -1);
	assert_int_equal(e.code, ERR_TIMEOUT);
	assert_int_equal(b.len, 0);
	assert_true(sent > 0);
	while (sent--) {
		assert_int_equal(wire_recv(&p.r, p.b, NULL, NULL, &e), 1);
		assert_int_equal(wire_next(&p.r, &m, &e), 1);
	}
	wire_put(&b, W_REPLY, 1, body, sizeof(body));
	assert_int_equal(wire_send_for(p.a, &b, 20, &e), 0);
	close(p.b);
	p.b = dup(0);
	wire_put(&b, W_REPLY, 1, body, sizeof(body));
	assert_int_equal(wire_send_for(p.a, &b, 20, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	buf_free(&b);
	close_pair(&p);
}

static unsigned open_fds(void)
{
	CLEAN(dir) DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n;
}

static void test_descriptors(void **state)
{
	int give[3], got[3];
	unsigned before = open_fds();
	struct wire_msg m;
	struct pair p;
	struct err e;

	(void)state;
	open_pair(&p, 4096);
	for (int i = 0; i < 3; i++)
		give[i] = dup(0);
	/* Room for as many, for fewer, for none: never one that nobody knows of. */
	for (unsigned room = 4; room-- > 0;) {
		unsigned n = room, now = open_fds();

		assert_int_equal(wire_send_fds(p.a, W_FRONT, 9, "hi", 2, give, 3, &e), 0);
		assert_int_equal(wire_recv(&p.r, p.b, room ? got : NULL, &n, &e), 1);
		assert_int_equal(n, room);
		assert_int_equal(wire_next(&p.r, &m, &e), 1);
		assert_int_equal(m.type, W_FRONT);
		assert_memory_equal(m.p, "hi", 2);
		assert_int_equal(open_fds(), now + n);
		for (unsigned i = 0; i < n; i++)
			close(got[i]);
	}
	for (int i = 0; i < 3; i++)
		close(give[i]);
	close_pair(&p);
	assert_int_equal(open_fds(), before);
}

/* Valid packets with random damage: the reader ends, and what it gives lies inside. */
static void test_random_damage(void **state)
{
	static const uint8_t body[300] = {0};
	unsigned long bad = 0, good = 0;
	struct buf b;

	(void)state;
	srandom(20251);
	buf_init(&b, WIRE_PACKET);
	for (int round = 0; round < 20000; round++) {
		struct wire_reader r;
		struct wire_msg m;
		struct err e;
		int rc;

		assert_int_equal(wire_reader_init(&r, 700, false, &e), 0);
		buf_reset(&b);
		for (int f = 0; f < 6; f++) {
			uint32_t n = (uint32_t)random() % 300;

			fragment(&b, n, W_PLAIN, random() % 3 == 0, 0, 1, body, n);
		}
		for (long n = random() % 3; n > 0; n--)
			b.p[(size_t)random() % b.len] ^= (uint8_t)(1 << random() % 8);
		b.len -= (size_t)random() % 4 == 0 ? (size_t)random() % b.len : 0;
		rd_init(&r.rd, b.p, b.len);
		while ((rc = wire_next(&r, &m, &e)) == 1)
			assert_true(m.len <= 700);
		if (rc < 0)
			bad++;
		else
			good++;
		wire_reader_free(&r);
	}
	assert_true(bad > 1000 && good > 1000);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_sizes),	cmocka_unit_test(test_packets_are_full),
		cmocka_unit_test(test_put_limits),	cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_mixed_fragments), cmocka_unit_test(test_joining),
		cmocka_unit_test(test_too_large),	cmocka_unit_test(test_single_over_max),
		cmocka_unit_test(test_end_of_file),	cmocka_unit_test(test_nobody_reads),
		cmocka_unit_test(test_descriptors),	cmocka_unit_test(test_random_damage),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
