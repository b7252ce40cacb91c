/* Noise IK against the published vectors (tests/vectors/noise_ik.json names the
 * collections), and everything that a responder and an initiator must refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "crypto/x25519.h"
#include "proto/session.h"
#include "unit/vec.h"

#define MAX 256

struct message {
	uint8_t payload[MAX], ciphertext[MAX];
	size_t n, cn;
};

static void get_message(const json_t *v, size_t i, struct message *m)
{
	const json_t *j = json_array_get(json_object_get(v, "messages"), i);

	m->n = vec_hex(j, "payload", m->payload, MAX);
	m->cn = vec_hex(j, "ciphertext", m->ciphertext, MAX);
}

static void start(const json_t *v, struct noise *ini, struct noise *res)
{
	const json_t *a = json_object_get(v, "initiator"), *b = json_object_get(v, "responder");
	uint8_t prologue[MAX], is[32], ie[32], rs[32], re[32], pub[32], own[32];
	size_t n = vec_hex(v, "prologue", prologue, MAX);

	vec_hex32(a, "static", is);
	vec_hex32(a, "ephemeral", ie);
	vec_hex32(b, "static", rs);
	vec_hex32(b, "ephemeral", re);
	vec_hex32(b, "public", pub);
	x25519_public(own, rs);
	assert_memory_equal(own, pub, 32);
	noise_init(ini, is, pub, ie, prologue, n);
	noise_init(res, rs, pub, re, prologue, n);
}

static void transport(const uint8_t key[static 32], uint64_t counter, const struct message *m)
{
	uint8_t nonce[12] = {0}, c[MAX];

	le64_store(nonce + 4, counter);
	aead_seal(c, m->payload, m->n, NULL, 0, nonce, key);
	assert_int_equal(m->cn, m->n + NOISE_TAG);
	assert_memory_equal(c, m->ciphertext, m->cn);
}

static void one_vector(const json_t *v)
{
	struct noise_keys ik, rk;
	struct noise ini, res;
	struct message m;
	uint8_t plain[MAX];
	struct err e;
	struct buf b;

	buf_init(&b, 1024);
	start(v, &ini, &res);
	get_message(v, 0, &m);
	assert_int_equal(noise_write1(&ini, &b, m.payload, m.n, &e), 0);
	assert_int_equal(b.len, m.cn);
	assert_int_equal(b.len, NOISE_MSG1 + m.n);
	assert_memory_equal(b.p, m.ciphertext, m.cn);
	assert_int_equal(noise_read1_who(&res, b.p, b.len, &e), 0);
	assert_memory_equal(res.rs, ini.s_pub, 32);
	assert_int_equal(noise_read1_rest(&res, b.p, b.len, plain, &e), 0);
	assert_memory_equal(plain, m.payload, m.n);
	buf_reset(&b);
	get_message(v, 1, &m);
	assert_int_equal(noise_write2(&res, &b, m.payload, m.n, &rk, &e), 0);
	assert_int_equal(b.len, m.cn);
	assert_memory_equal(b.p, m.ciphertext, m.cn);
	assert_int_equal(noise_read2(&ini, b.p, b.len, plain, &ik, &e), 0);
	assert_memory_equal(plain, m.payload, m.n);
	assert_memory_equal(&ik, &rk, sizeof(ik));
	for (size_t i = 2; i < json_array_size(json_object_get(v, "messages")); i++) {
		get_message(v, i, &m);
		transport(i % 2 ? ik.s2c : ik.c2s, i / 2 - 1, &m);
	}
	buf_free(&b);
}

static void test_vectors(void **state)
{
	json_t *file = vec_load("noise_ik.json");
	const json_t *list = json_object_get(file, "vectors");
	unsigned cacophony = 0, snow = 0;

	(void)state;
	assert_string_equal(vec_str(file, "protocol"), "Noise_IK_25519_ChaChaPoly_SHA256");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);

		one_vector(v);
		cacophony += strcmp(vec_str(v, "collection"), "cacophony") == 0;
		snow += strcmp(vec_str(v, "collection"), "snow") == 0;
	}
	assert_true(cacophony >= 1 && snow >= 1);
	json_decref(file);
}

struct side {
	uint8_t secret[32], pub[32];
};

static void side(struct side *s)
{
	crypto_random(s->secret, 32);
	x25519_public(s->pub, s->secret);
}

static int read1(const struct side *hsm, const uint8_t *m, size_t n, const char *prologue)
{
	struct noise st;
	uint8_t plain[MAX];
	struct err e;

	noise_init(&st, hsm->secret, hsm->pub, NULL, prologue, strlen(prologue));
	if (noise_read1_who(&st, m, n, &e) || noise_read1_rest(&st, m, n, plain, &e))
		return e.code;
	return 0;
}

static void test_opening_is_bound(void **state)
{
	struct side client, hsm, other;
	struct noise st;
	struct err e;
	struct buf b;

	(void)state;
	side(&client);
	side(&hsm);
	side(&other);
	buf_init(&b, 1024);
	noise_init(&st, client.secret, hsm.pub, NULL, "p", 1);
	assert_int_equal(noise_write1(&st, &b, "hi", 2, &e), 0);
	assert_int_equal(read1(&hsm, b.p, b.len, "p"), 0);
	assert_int_equal(read1(&hsm, b.p, b.len, "q"), ERR_BAD_PROOF);
	assert_int_equal(read1(&other, b.p, b.len, "p"), ERR_BAD_PROOF);
	for (size_t n = 0; n < b.len; n++)
		assert_int_not_equal(read1(&hsm, b.p, n, "p"), 0);
	for (size_t bit = 0; bit < 8 * b.len; bit++) {
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* The top bit of a public key is ignored by X25519 (RFC 7748) but goes
		 * into the transcript: refused as well. */
		assert_int_equal(read1(&hsm, b.p, b.len, "p"), ERR_BAD_PROOF);
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(read1(&hsm, b.p, b.len, "p"), 0);
	buf_free(&b);
}

/* RFC 7748, section 7, and the list of libsodium: points of small order. */
static const char *const small[] = {
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static void test_small_order(void **state)
{
	struct side client, hsm;
	struct noise st;
	struct err e;
	struct buf b;

	(void)state;
	side(&client);
	side(&hsm);
	buf_init(&b, 1024);
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
		uint8_t point[32], m[NOISE_MSG1] = {0};

		assert_int_equal(enc_unhex(point, 32, small[i]), 0);
		/* As an ephemeral key: the shared secret would be known to everybody. */
		memcpy(m, point, 32);
		assert_int_equal(read1(&hsm, m, sizeof(m), "p"), ERR_BAD_PROOF);
		/* As the pinned identity. */
		buf_reset(&b);
		noise_init(&st, client.secret, point, NULL, "p", 1);
		assert_int_equal(noise_write1(&st, &b, NULL, 0, &e), -1);
		assert_int_equal(e.code, ERR_BAD_PROOF);
	}
	buf_free(&b);
}

static void test_answer_is_bound(void **state)
{
	struct noise ini, res, copy;
	struct side client, hsm;
	struct noise_keys k1, k2;
	uint8_t plain[MAX];
	struct err e;
	struct buf a, b;

	(void)state;
	side(&client);
	side(&hsm);
	buf_init(&a, 1024);
	buf_init(&b, 1024);
	noise_init(&ini, client.secret, hsm.pub, NULL, "p", 1);
	noise_init(&res, hsm.secret, hsm.pub, NULL, "p", 1);
	assert_int_equal(noise_write1(&ini, &a, NULL, 0, &e), 0);
	assert_int_equal(noise_read1_who(&res, a.p, a.len, &e), 0);
	assert_int_equal(noise_read1_rest(&res, a.p, a.len, plain, &e), 0);
	assert_int_equal(noise_write2(&res, &b, "grant", 5, &k2, &e), 0);
	for (size_t bit = 0; bit < 8 * b.len; bit++) {
		copy = ini;
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(noise_read2(&copy, b.p, b.len, plain, &k1, &e), -1);
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t n = 0; n < b.len; n++) {
		copy = ini;
		assert_int_equal(noise_read2(&copy, b.p, n, plain, &k1, &e), -1);
	}
	copy = ini;
	assert_int_equal(noise_read2(&copy, b.p, b.len, plain, &k1, &e), 0);
	assert_memory_equal(plain, "grant", 5);
	assert_memory_equal(&k1, &k2, sizeof(k1));
	/* The state is gone with the keys' making. */
	static const struct noise none;

	assert_memory_equal(&copy, &none, sizeof(none));
	assert_memory_equal(&res, &none, sizeof(none));
	buf_free(&a);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_opening_is_bound),
		cmocka_unit_test(test_small_order),
		cmocka_unit_test(test_answer_is_bound),
	};

	if (crypto_init())
		return 1;
	return cmocka_run_group_tests_name("noise", tests, NULL, NULL);
}
