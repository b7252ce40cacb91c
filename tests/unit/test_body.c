/* Bodies of the operations: each survives a round trip, and no truncation and no
 * byte too many is accepted. The audit chain and the head's signed bytes too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "proto/body.h"
#include "proto/control.h"
#include "proto/mode.h"
#include "proto/op.h"
#include "proto/store.h"

static struct bytes text(const char *s)
{
	return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static void same(struct bytes a, struct bytes b)
{
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.p, b.p, a.len);
}

/* A decoder with its re-encoder: what it accepts must encode to the same bytes. */
struct form {
	const char *name;
	int (*again)(struct buf *out, const uint8_t *p, size_t n, struct err *e);
};

#define WHOLE(type)                                                                                \
	static int again_##type(struct buf *out, const uint8_t *p, size_t n, struct err *e)        \
	{                                                                                          \
		struct type v;                                                                     \
                                                                                                   \
		if (type##_get(&v, p, n, e))                                                       \
			return -1;                                                                 \
		type##_put(out, &v);                                                               \
		return 0;                                                                          \
	}
WHOLE(key_new)
WHOLE(list_query)
WHOLE(state_info)
WHOLE(audit_entry)
WHOLE(audit_head)
WHOLE(hello)
WHOLE(keyd_config)

#define CURSOR(type)                                                                               \
	static int again_##type(struct buf *out, const uint8_t *p, size_t n, struct err *e)        \
	{                                                                                          \
		struct type v;                                                                     \
		struct rd r;                                                                       \
                                                                                                   \
		rd_init(&r, p, n);                                                                 \
		if (type##_get(&v, &r, e) || !rd_end(&r))                                          \
			return -1;                                                                 \
		type##_put(out, &v);                                                               \
		return 0;                                                                          \
	}
CURSOR(user_info)
CURSOR(key_info)

static void check_form(const struct form *f, const struct buf *b)
{
	struct buf out;
	struct err e;

	assert_false(b->bad);
	buf_init(&out, 1 << 20);
	for (size_t n = 0; n < b->len; n++) {
		uint8_t *exact = malloc(n + 1);

		assert_non_null(exact);
		memcpy(exact, b->p, n);
		if (f->again(&out, exact, n, &e) == 0)
			fail_msg("%s: %zu of %zu bytes were accepted", f->name, n, b->len);
		free(exact);
	}
	buf_reset(&out);
	assert_int_equal(f->again(&out, b->p, b->len, &e), 0);
	same((struct bytes){b->p, b->len}, (struct bytes){out.p, out.len});
	uint8_t *more = malloc(b->len + 1);

	assert_non_null(more);
	memcpy(more, b->p, b->len);
	more[b->len] = 0;
	if (f->again(&out, more, b->len + 1, &e) == 0)
		fail_msg("%s: a byte too many was accepted", f->name);
	free(more);
	/* Damage: accepted or not, what is accepted encodes to itself. */
	for (int i = 0; i < 3000; i++) {
		uint8_t *bad = malloc(b->len);

		assert_non_null(bad);
		memcpy(bad, b->p, b->len);
		bad[(size_t)random() % b->len] = (uint8_t)random();
		buf_reset(&out);
		if (f->again(&out, bad, b->len, &e) == 0)
			same((struct bytes){bad, b->len}, (struct bytes){out.p, out.len});
		free(bad);
	}
	buf_free(&out);
}

#define CHECK(type, b)                                                                             \
	do {                                                                                       \
		const struct form form_ = {#type, again_##type};                                   \
		check_form(&form_, (b));                                                           \
		buf_reset(b);                                                                      \
	} while (0)

static void test_forms(void **state)
{
	struct user_info u = {text("alice"), {1, 2}, ROLE_OPERATOR, USER_PLAIN, 1234567890123};
	struct key_info k = {text(""), text("a.b"), 1, KEY_RSA, 2048,
			     0x3f0,    KEYF_PLAIN,  1, 99,	text("public bytes")};
	struct key_new kn = {KEY_P256, 256, 4, 1, 1, text("aaa"), text(""), text("c")};
	struct list_query l = {text("app."), text("app.x"), 200};
	struct state_info s = {.hello = {.identity = {9}, .state = STATE_LOCKED, .epoch = 5},
			       .version = text("1.2.3"),
			       .uptime = 77,
			       .keys = 3,
			       .audit_seq = UINT64_MAX};
	struct buf b;

	(void)state;
	srandom(7);
	buf_init(&b, 1 << 20);
	user_info_put(&b, &u);
	CHECK(user_info, &b);
	key_info_put(&b, &k);
	CHECK(key_info, &b);
	key_new_put(&b, &kn);
	CHECK(key_new, &b);
	list_query_put(&b, &l);
	CHECK(list_query, &b);
	state_info_put(&b, &s);
	CHECK(state_info, &b);
	hello_put(&b, &s.hello);
	CHECK(hello, &b);
	buf_free(&b);
}

static void test_limits_of_lists(void **state)
{
	struct list_query l = {text(""), text(""), 0}, back;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (unsigned limit = 0; limit < 400; limit++) {
		l.limit = (uint16_t)limit;
		buf_reset(&b);
		list_query_put(&b, &l);
		assert_int_equal(list_query_get(&back, b.p, b.len, &e) == 0,
				 limit >= 1 && limit <= LIST_MAX);
	}
	buf_free(&b);
}

static void test_config(void **state)
{
	static const uint8_t pass[] = "a passphrase";
	struct keyd_config c = {.device_key = {1, 2, 3},
				.passphrase = pass,
				.passphrase_len = 12,
				.may_unlock = true,
				.workers = 4,
				.sessions_user = 64,
				.max_message = 1 << 20,
				.audit_mib = 64,
				.nbootstrap = 2,
				.has_anchor = true,
				.anchor_len = ANCHOR_LEN};
	struct keyd_config back;
	struct err e;
	struct buf b;

	(void)state;
	memcpy(c.bootstrap[0].name, "admin", 6);
	memset(c.bootstrap[1].name, 'n', NAME_MAX_LEN);
	buf_init(&b, 1 << 16);
	keyd_config_put(&b, &c);
	assert_int_equal(keyd_config_get(&back, b.p, b.len, &e), 0);
	assert_int_equal(back.passphrase_len, 12);
	assert_memory_equal(back.passphrase, pass, 12);
	assert_string_equal(back.bootstrap[0].name, "admin");
	assert_int_equal(strlen(back.bootstrap[1].name), NAME_MAX_LEN);
	/* Not check_form: unknown flag bits are hsmd's, which is trusted. */
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(keyd_config_get(&back, b.p, n, &e), -1);
	buf_u8(&b, 0);
	assert_int_equal(keyd_config_get(&back, b.p, b.len, &e), -1);
	(void)again_keyd_config;
	buf_free(&b);
}

static void test_audit(void **state)
{
	struct audit_entry a = {.seq = 3,
				.time = 1700000000000,
				.surface = 2,
				.user = text("alice"),
				.op = OP_sign,
				.error = 0,
				.key = text("a.b"),
				.version = 1,
				.mode = MODE_EDDSA,
				.digest = {5}};
	struct audit_head h = {.seq = 9, .hash = {1}, .time = 2, .epoch = 3, .base_seq = 4};
	uint8_t sk[64], seed[32] = {42}, sig[64];
	struct buf b, s;

	(void)state;
	buf_init(&b, 4096);
	buf_init(&s, 4096);
	audit_entry_put(&b, &a);
	CHECK(audit_entry, &b);
	ed25519_keypair(h.audit_key, sk, seed);
	audit_head_signed(&s, &h);
	ed25519_sign(h.sig, s.p, s.len, sk);
	audit_head_put(&b, &h);
	/* The signed bytes are the domain and then exactly the head without its end. */
	assert_memory_equal(s.p, "\xff\x00signbox\x01\x01", 11);
	assert_int_equal(s.len, 11 + b.len - 64);
	assert_memory_equal(s.p + 11, b.p, b.len - 64);
	for (size_t i = 0; i < b.len - 64; i++) {
		struct audit_head other;
		struct err e;
		struct buf t;

		b.p[i] ^= 1;
		assert_int_equal(audit_head_get(&other, b.p, b.len, &e), 0);
		buf_init(&t, 4096);
		audit_head_signed(&t, &other);
		memcpy(sig, other.sig, 64);
		assert_int_equal(ed25519_verify(sig, t.p, t.len, h.audit_key, NULL), -1);
		buf_free(&t);
		b.p[i] ^= 1;
	}
	CHECK(audit_head, &b);
	buf_free(&b);
	buf_free(&s);
}

/* No NATS nonce and no text begins like this. */
static void test_domain(void **state)
{
	(void)state;
	assert_int_equal(SIGN_DOMAIN_LEN, 9);
	assert_memory_equal(SIGN_DOMAIN, "\xff\x00signbox", SIGN_DOMAIN_LEN);
}

static void test_store_queries(void **state)
{
	struct store_txn t;
	struct store_op op;
	uint32_t n;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 22);
	store_txn_begin(&b);
	store_txn_put(&b, STORE_BOOT, "root", 4, "blob", 4);
	store_txn_del(&b, STORE_RECORD, "gone", 4);
	store_txn_put(&b, STORE_AUDIT, "12345678", 8, "", 0);
	assert_int_equal(store_txn_open(&t, &n, b.p, b.len, &e), 0);
	assert_int_equal(n, 3);
	assert_true(store_txn_next(&t, &op));
	same(op.key, text("root"));
	same(op.blob, text("blob"));
	assert_true(store_txn_next(&t, &op));
	assert_int_equal(op.kind, STORE_DEL);
	assert_true(store_txn_next(&t, &op));
	assert_int_equal(op.blob.len, 0);
	assert_false(store_txn_next(&t, &op));
	for (size_t k = 0; k < b.len; k++)
		assert_int_equal(store_txn_open(&t, &n, b.p, k, &e), -1);
	/* Counts, kinds and tables that lie. */
	static const uint32_t counts[] = {0, 1, 2, 4, 0xffffffff};

	for (size_t i = 0; i < 5; i++) {
		le32_store(b.p, counts[i]);
		assert_int_equal(store_txn_open(&t, &n, b.p, b.len, &e), -1);
	}
	le32_store(b.p, 3);
	for (unsigned v = 0; v < 256; v++) {
		b.p[5] = (uint8_t)v;
		assert_int_equal(store_txn_open(&t, &n, b.p, b.len, &e) == 0, v >= 1 && v <= 3);
		b.p[5] = STORE_BOOT;
		b.p[4] = (uint8_t)v;
		assert_int_equal(store_txn_open(&t, &n, b.p, b.len, &e) == 0, v == STORE_PUT);
		b.p[4] = STORE_PUT;
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),  cmocka_unit_test(test_limits_of_lists),
		cmocka_unit_test(test_config), cmocka_unit_test(test_audit),
		cmocka_unit_test(test_domain), cmocka_unit_test(test_store_queries),
	};

	if (crypto_init())
		return 1;
	return cmocka_run_group_tests_name("body", tests, NULL, NULL);
}
