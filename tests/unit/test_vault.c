/* Sealed blobs: every flipped bit, another id, kind, version or key is refused; the
 * multiset hash adds and takes away; device key and passphrase are both needed. */
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
#include "hsm/keyd/vault.h"

static uint8_t key[32], id[VAULT_ID];

static int setup(void **state)
{
	(void)state;
	crypto_random(key, sizeof(key));
	crypto_random(id, sizeof(id));
	return 0;
}

static int open_code(const uint8_t *k, enum blob_kind kind, const uint8_t *i, const uint8_t *p,
		     size_t n, struct bytes want, uint64_t want_version)
{
	struct err e = {0};
	uint64_t version = 0;
	struct buf plain;
	int rc;

	buf_init(&plain, 4096);
	plain.secret = true;
	buf_put(&plain, "before", 6);
	rc = vault_unseal(&plain, k, kind, i, &version, p, n, &e);
	if (rc == 0) {
		assert_int_equal(plain.len, 6 + want.len);
		if (want.len)
			assert_memory_equal(plain.p + 6, want.p, want.len);
		assert_int_equal(version, want_version);
	} else {
		assert_int_equal(plain.len, 6); /* nothing of a bad blob is left */
	}
	buf_free(&plain);
	return rc ? (int)e.code : 0;
}

static void test_flipped_bits(void **state)
{
	static const size_t lengths[] = {0, 1, 31, 200};

	(void)state;
	for (size_t l = 0; l < 4; l++) {
		uint8_t plain[200];
		struct bytes want = {plain, lengths[l]};
		struct buf b;

		crypto_random(plain, sizeof(plain));
		buf_init(&b, 4096);
		vault_seal(&b, key, BLOB_KEY, id, 7, plain, lengths[l]);
		assert_int_equal(b.len, VAULT_OVERHEAD + lengths[l]);
		assert_int_equal(open_code(key, BLOB_KEY, id, b.p, b.len, want, 7), 0);
		for (size_t bit = 0; bit < 8 * b.len; bit++) {
			b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(open_code(key, BLOB_KEY, id, b.p, b.len, want, 7),
					 bit < 8 ? ERR_STORE_NEWER : ERR_STORE_DAMAGED);
			b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (size_t n = 0; n < b.len; n++)
			assert_int_equal(open_code(key, BLOB_KEY, id, b.p, n, want, 7),
					 ERR_STORE_DAMAGED);
		buf_u8(&b, 0);
		assert_int_equal(open_code(key, BLOB_KEY, id, b.p, b.len, want, 7),
				 ERR_STORE_DAMAGED);
		buf_free(&b);
	}
}

static void test_bound_to_place(void **state)
{
	struct bytes want = {(const uint8_t *)"x", 1};
	uint8_t other[32];
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	vault_seal(&b, key, BLOB_USER, id, 9, "x", 1);
	for (int i = 0; i < 32; i++) {
		memcpy(other, id, 32);
		other[i] ^= 1;
		assert_int_equal(open_code(key, BLOB_USER, other, b.p, b.len, want, 9),
				 ERR_STORE_DAMAGED);
		memcpy(other, key, 32);
		other[i] ^= 1;
		assert_int_equal(open_code(other, BLOB_USER, id, b.p, b.len, want, 9),
				 ERR_STORE_DAMAGED);
	}
	for (enum blob_kind k = BLOB_BOOT; k <= BLOB_AUDIT; k++) {
		int code = open_code(key, k, id, b.p, b.len, want, 9);

		assert_int_equal(code, k == BLOB_USER ? 0 : ERR_STORE_DAMAGED);
		/* Even when the blob says what is wanted. */
		b.p[1] = (uint8_t)k;
		code = open_code(key, k, id, b.p, b.len, want, 9);
		assert_int_equal(code, k == BLOB_USER ? 0 : ERR_STORE_DAMAGED);
		b.p[1] = BLOB_USER;
	}
	for (uint64_t v = 0; v < 20; v++) {
		le64_store(b.p + 2, v);
		assert_int_equal(open_code(key, BLOB_USER, id, b.p, b.len, want, 9),
				 v == 9 ? 0 : ERR_STORE_DAMAGED);
	}
	buf_free(&b);
}

static void test_nonces_differ(void **state)
{
	struct buf a, b;

	(void)state;
	buf_init(&a, 4096);
	buf_init(&b, 4096);
	vault_seal(&a, key, BLOB_KEY, id, 1, "same", 4);
	vault_seal(&b, key, BLOB_KEY, id, 1, "same", 4);
	assert_memory_not_equal(a.p + 10, b.p + 10, 24);
	assert_memory_not_equal(a.p + VAULT_HEAD, b.p + VAULT_HEAD, 4 + 16);
	buf_free(&a);
	buf_free(&b);
}

static void test_too_large_plain(void **state)
{
	uint8_t big[100] = {0};
	struct err e = {0};
	uint64_t version;
	struct buf b, small;

	(void)state;
	buf_init(&b, 4096);
	buf_init(&small, 50);
	vault_seal(&b, key, BLOB_KEY, id, 1, big, sizeof(big));
	assert_int_equal(vault_unseal(&small, key, BLOB_KEY, id, &version, b.p, b.len, &e), -1);
	assert_int_equal(e.code, ERR_STORE_DAMAGED);
	buf_free(&small);
	buf_init(&small, 100);
	vault_seal(&small, key, BLOB_KEY, id, 1, big, sizeof(big));
	assert_true(small.bad);
	buf_free(&small);
	buf_free(&b);
}

/* ---- multiset hash ---- */

static void test_mset_carries(void **state)
{
	uint64_t s[4] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}, one[4] = {1, 0, 0, 0};
	static const uint64_t zero[4];

	(void)state;
	mset_add(s, one);
	assert_memory_equal(s, zero, sizeof(s));
	mset_sub(s, one);
	for (int i = 0; i < 4; i++)
		assert_true(s[i] == UINT64_MAX);
	uint64_t t[4] = {0, 0, 0, 1}, low[4] = {1, 0, 0, 0};

	mset_sub(t, low);
	assert_true(t[0] == UINT64_MAX && t[1] == UINT64_MAX && t[2] == UINT64_MAX && t[3] == 0);
}

/* Order does not count, each term does, and taking away is the opposite. */
static void test_mset_is_a_set(void **state)
{
	enum { N = 200 };
	static uint64_t term[N][4];
	uint64_t a[4] = {0}, b[4] = {0}, c[4];
	static const uint64_t zero[4];

	(void)state;
	crypto_random(term, sizeof(term));
	memset(term[0], 0xff, sizeof(term[0]));
	memset(term[1], 0, sizeof(term[1]));
	for (int i = 0; i < N; i++)
		mset_add(a, term[i]);
	for (int i = N - 1; i >= 0; i--)
		mset_add(b, term[i]);
	assert_memory_equal(a, b, sizeof(a));
	for (int i = 2; i < N; i++) {
		memcpy(c, a, sizeof(c));
		mset_sub(c, term[i]);
		assert_memory_not_equal(c, a, sizeof(c));
		mset_add(c, term[i]);
		assert_memory_equal(c, a, sizeof(c));
		/* Twice is not once. */
		mset_add(c, term[i]);
		assert_memory_not_equal(c, a, sizeof(c));
	}
	for (int i = 0; i < N; i++)
		mset_sub(a, term[(i * 7) % N]);
	assert_memory_equal(a, zero, sizeof(a));
}

static void test_terms(void **state)
{
	struct vault v = {0}, w = {0};
	uint64_t base[4], t[4];
	uint8_t domain[32] = {1}, other[32] = {2}, i[32] = {3}, tag[16] = {4};
	struct err e;

	(void)state;
	assert_int_equal(vault_open(&v, domain, &e), 0);
	assert_int_equal(vault_open(&w, other, &e), 0);
	vault_term(base, &v, BLOB_KEY, i, 5, tag);
	vault_term(t, &v, BLOB_KEY, i, 5, tag);
	assert_memory_equal(t, base, sizeof(t));
	vault_term(t, &w, BLOB_KEY, i, 5, tag);
	assert_memory_not_equal(t, base, sizeof(t));
	vault_term(t, &v, BLOB_USER, i, 5, tag);
	assert_memory_not_equal(t, base, sizeof(t));
	vault_term(t, &v, BLOB_KEY, i, 6, tag);
	assert_memory_not_equal(t, base, sizeof(t));
	i[31] ^= 1;
	vault_term(t, &v, BLOB_KEY, i, 5, tag);
	assert_memory_not_equal(t, base, sizeof(t));
	i[31] ^= 1;
	tag[15] ^= 1;
	vault_term(t, &v, BLOB_KEY, i, 5, tag);
	assert_memory_not_equal(t, base, sizeof(t));
	vault_close(&v);
	vault_close(&w);
}

/* ---- keys ---- */

static void test_ids(void **state)
{
	struct bytes ab = {(const uint8_t *)"ab", 2}, a = {(const uint8_t *)"a", 1},
		     b = {(const uint8_t *)"b", 1}, none = {NULL, 0};
	struct vault v = {0}, w = {0};
	uint8_t d[32] = {1}, d2[32] = {2}, out[6][VAULT_ID];
	struct err e;

	(void)state;
	assert_int_equal(vault_open(&v, d, &e), 0);
	assert_int_equal(vault_open(&w, d2, &e), 0);
	vault_id(out[0], &v, BLOB_KEY, none, ab);
	vault_id(out[1], &v, BLOB_KEY, a, b);
	vault_id(out[2], &v, BLOB_KEY, ab, none);
	vault_id(out[3], &v, BLOB_USER, none, ab);
	vault_id(out[4], &w, BLOB_KEY, none, ab);
	vault_id(out[5], &v, BLOB_KEY, none, a);
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(out[i], out[j], VAULT_ID);
	/* The domain's subkeys are no use for each other. */
	assert_memory_not_equal(vault_seal_key(&v), vault_domain(&v), 32);
	assert_memory_equal(vault_domain(&v), d, 32);
	vault_close(&v);
	vault_close(&w);
	assert_null(v.keys);
	vault_close(&v);
}

static void test_audit_key(void **state)
{
	struct vault v = {0};
	uint8_t d[32] = {1}, sig[64];
	struct err e;

	(void)state;
	assert_int_equal(vault_open(&v, d, &e), 0);
	vault_audit_sign(&v, sig, "head", 4);
	assert_int_equal(ed25519_verify(sig, "head", 4, v.audit_pub, NULL), 0);
	assert_int_equal(ed25519_verify(sig, "heaD", 4, v.audit_pub, NULL), -1);
	vault_close(&v);
}

static void test_pass_key(void **state)
{
	uint8_t dev[32] = {1}, dev2[32] = {2}, salt[16] = {3}, a[32], b[32];
	struct err e;

	(void)state;
	assert_int_equal(vault_pass_key(a, dev, salt, "passphrase1", 11, &e), 0);
	assert_int_equal(vault_pass_key(b, dev, salt, "passphrase1", 11, &e), 0);
	assert_memory_equal(a, b, 32);
	assert_int_equal(vault_pass_key(b, dev2, salt, "passphrase1", 11, &e), 0);
	assert_memory_not_equal(a, b, 32);
	assert_int_equal(vault_pass_key(b, dev, salt, "passphrase2", 11, &e), 0);
	assert_memory_not_equal(a, b, 32);
	salt[0]++;
	assert_int_equal(vault_pass_key(b, dev, salt, "passphrase1", 11, &e), 0);
	assert_memory_not_equal(a, b, 32);
	vault_device_key(a, dev, "one");
	vault_device_key(b, dev, "two");
	assert_memory_not_equal(a, b, 32);
	assert_memory_not_equal(a, dev, 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flipped_bits),  cmocka_unit_test(test_bound_to_place),
		cmocka_unit_test(test_nonces_differ), cmocka_unit_test(test_too_large_plain),
		cmocka_unit_test(test_mset_carries),  cmocka_unit_test(test_mset_is_a_set),
		cmocka_unit_test(test_terms),	      cmocka_unit_test(test_ids),
		cmocka_unit_test(test_audit_key),     cmocka_unit_test(test_pass_key),
	};

	if (crypto_init())
		return 1;
	return cmocka_run_group_tests_name("vault", tests, setup, NULL);
}
