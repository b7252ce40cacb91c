/* Buffers: little-endian, bounded, sticky errors; cursors never read past the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static void round_trip(void **state)
{
	struct buf b;
	struct rd r;

	(void)state;
	buf_init(&b, 1000);
	buf_u8(&b, 1);
	buf_u16(&b, 0x0203);
	buf_u32(&b, 0x04050607);
	buf_u64(&b, 0x08090a0b0c0d0e0fu);
	buf_str8(&b, "ab", 2);
	buf_str16(&b, "cde", 3);
	buf_str32(&b, "", 0);
	buf_printf(&b, "%d-%s", 7, "x");
	assert_false(b.bad);
	assert_memory_equal(b.p, "\x01\x03\x02\x07\x06\x05\x04\x0f\x0e", 9);
	rd_init(&r, b.p, b.len);
	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_u16(&r), 0x0203);
	assert_int_equal(rd_u32(&r), 0x04050607);
	assert_true(rd_u64(&r) == 0x08090a0b0c0d0e0fu);
	assert_int_equal(rd_str8(&r).len, 2);
	assert_memory_equal(rd_str16(&r).p, "cde", 3);
	assert_int_equal(rd_str32(&r).len, 0);
	assert_false(rd_end(&r));
	assert_memory_equal(rd_bytes(&r, 3), "7-x", 3);
	assert_true(rd_end(&r));
	buf_free(&b);
	assert_null(b.p);
}

static void limits(void **state)
{
	uint8_t mem[4];
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_put(&b, "0123456789", 10);
	assert_false(b.bad);
	buf_u8(&b, 1);
	assert_true(b.bad);
	buf_free(&b);

	buf_init(&b, 1 << 20);
	static const uint8_t big[300];

	buf_str8(&b, big, 256);
	assert_true(b.bad); /* 256 does not fit one length byte */
	buf_free(&b);

	buf_fixed(&b, mem, sizeof(mem));
	buf_u32(&b, 5);
	assert_false(b.bad);
	assert_null(buf_space(&b, 1));
	assert_true(b.bad);
	buf_free(&b);
}

/* Each prefix of a message is refused, and nothing is read behind it. */
static void truncated(void **state)
{
	static const uint8_t msg[] = {2, 0, 0, 0, 'a', 'b', 1, 0, 'c', 9};

	(void)state;
	for (size_t n = 0; n <= sizeof(msg); n++) {
		struct rd r;

		rd_init(&r, msg, n);
		(void)rd_str32(&r);
		(void)rd_str16(&r);
		(void)rd_u8(&r);
		assert_int_equal(rd_end(&r), n == sizeof(msg));
	}
	struct rd r;
	uint8_t out[4] = {1, 1, 1, 1};

	rd_init(&r, "\xff\xff\xff\xff", 4);
	assert_null(rd_str32(&r).p); /* length that wraps */
	assert_true(r.bad);
	assert_int_equal(rd_u8(&r), 0);
	rd_copy(&r, out, 4);
	assert_memory_equal(out, "\0\0\0\0", 4);
}

static void secret_is_wiped(void **state)
{
	uint8_t mem[8] = {0};
	struct buf b;

	(void)state;
	buf_fixed(&b, mem, sizeof(mem));
	b.secret = true;
	buf_put(&b, "secret", 6);
	buf_reset(&b);
	assert_memory_equal(mem, "\0\0\0\0\0\0", 6);
	assert_int_equal(b.len, 0);
	buf_free(&b);
}

static void loads(void **state)
{
	uint8_t p[9] = {0};

	(void)state;
	le64_store(p + 1, 0x1122334455667788u);
	assert_int_equal(p[1], 0x88);
	assert_true(le64_load(p + 1) == 0x1122334455667788u);
	le32_store(p + 1, 0xdeadbeef);
	assert_true(le32_load(p + 1) == 0xdeadbeef);
	le16_store(p + 1, 0xcafe);
	assert_int_equal(le16_load(p + 1), 0xcafe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(limits),
		cmocka_unit_test(truncated),  cmocka_unit_test(secret_is_wiped),
		cmocka_unit_test(loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
