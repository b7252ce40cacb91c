/* Keys that keyd refuses to make, to import or to load. */
#include "unit/alg_made.h"

static void test_bad_sizes(void **state)
{
	static const struct {
		unsigned type, bits;
	} bad[] = {{0, 0},	    {4, 0},	      {255, 0},
		   {KEY_RSA, 1024}, {KEY_RSA, 2040},  {KEY_RSA, 2049},
		   {KEY_RSA, 4104}, {KEY_RSA, 16384}, {KEY_ED25519, 255},
		   {KEY_P256, 384}};
	CLEAN(made) struct made m = {0};
	struct err e;

	(void)state;
	made_init(&m);
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(alg_generate(bad[i].type, bad[i].bits, &m.priv, &m.pub, &e), -1);
		assert_int_equal(e.code, ERR_BAD_TYPE);
		assert_int_equal(m.priv.len + m.pub.len, 0);
	}
	struct key_new in = {.type = 9};

	assert_int_equal(alg_import(&in, &m.priv, &m.pub, &m.bits, &e), -1);
	assert_int_equal(e.code, ERR_BAD_TYPE);
}

static void refuse_import(const char *what, enum key_type type, struct bytes a, struct bytes b,
			  struct bytes c)
{
	CLEAN(made) struct made m = {0};
	struct err e = {0};

	made_init(&m);
	struct key_new in = {.type = (uint8_t)type, .a = a, .b = b, .c = c};

	if (alg_import(&in, &m.priv, &m.pub, &m.bits, &e) == 0)
		fail_msg("%s was imported", what);
	if (e.code != ERR_BAD_KEY)
		fail_msg("%s: %s", what, e.text);
	assert_int_equal(m.priv.len + m.pub.len, 0);
}

static void test_bad_imports(void **state)
{
	static const uint8_t p256_order[32] = {0xff, 0xff, 0xff, 0xff, 0,    0,	   0,	 0,
					       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					       0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
					       0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
	uint8_t zero[64] = {0}, ff[64];
	const struct bytes none = {NULL, 0};

	(void)state;
	memset(ff, 0xff, sizeof(ff));
	refuse_import("short seed", KEY_ED25519, (struct bytes){ff, 31}, none, none);
	refuse_import("long seed", KEY_ED25519, (struct bytes){ff, 33}, none, none);
	refuse_import("no seed", KEY_ED25519, none, none, none);
	refuse_import("seed and more", KEY_ED25519, (struct bytes){ff, 32}, (struct bytes){ff, 1},
		      none);
	refuse_import("scalar 0", KEY_P256, (struct bytes){zero, 32}, none, none);
	refuse_import("scalar n", KEY_P256, (struct bytes){p256_order, 32}, none, none);
	refuse_import("scalar over n", KEY_P256, (struct bytes){ff, 32}, none, none);
	refuse_import("short scalar", KEY_P256, (struct bytes){ff, 31}, none, none);
	refuse_import("long scalar", KEY_P256, (struct bytes){ff, 33}, none, none);
	refuse_import("scalar and more", KEY_P256, (struct bytes){ff, 32}, none,
		      (struct bytes){ff, 1});
	refuse_import("no scalar", KEY_P256, none, none, none);
}

/* A prime with both top bits set, as RSA wants them, as bytes. */
static struct bytes prime(uint8_t *out, int bits)
{
	BIGNUM *p = BN_new();
	size_t n = (size_t)(bits + 7) / 8;

	assert_int_equal(BN_generate_prime_ex2(p, bits, 0, NULL, NULL, NULL, bn_ctx), 1);
	assert_int_equal(BN_bn2binpad(p, out, (int)n), n);
	BN_free(p);
	return (struct bytes){out, n};
}

static void test_bad_rsa(void **state)
{
	static const uint8_t f4[] = {1, 0, 1}, e3[] = {3}, even[] = {1, 0, 0},
			     small[] = {0xff, 0xff};
	static const uint8_t e65[9] = {1, [8] = 1};
	uint8_t pb[512], qb[512], xb[512], other[512], e_p[33] = {0},
						       huge[33] = {[0] = 1, [32] = 1};
	const struct bytes none = {NULL, 0}, e = {f4, 3};
	struct bytes p = prime(pb, 1024), q = prime(qb, 1024), x;

	(void)state;
	refuse_import("equal primes", KEY_RSA, e, p, p);
	refuse_import("no exponent", KEY_RSA, none, p, q);
	refuse_import("e = 3", KEY_RSA, (struct bytes){e3, 1}, p, q);
	refuse_import("even e", KEY_RSA, (struct bytes){even, 3}, p, q);
	refuse_import("e under 65537", KEY_RSA, (struct bytes){small, 2}, p, q);
	refuse_import("e of 257 bits", KEY_RSA, (struct bytes){huge, 33}, p, q);
	refuse_import("no p", KEY_RSA, e, none, q);
	refuse_import("no q", KEY_RSA, e, p, none);
	refuse_import("zero p", KEY_RSA, e, (struct bytes){e_p, 33}, q);
	x = prime(xb, 1016);
	refuse_import("unequal sizes", KEY_RSA, e, p, x);
	refuse_import("small key", KEY_RSA, e, x, prime(other, 1016));
	x = prime(xb, 1026);
	refuse_import("2052 bits", KEY_RSA, e, x, prime(other, 1026));
	/* 2056 bits of primes are needed; these have one bit too many in all. */
	memset(other, 0xff, sizeof(other));
	refuse_import("large key", KEY_RSA, e, (struct bytes){other, 257},
		      (struct bytes){other, 257});
	refuse_import("huge key", KEY_RSA, e, (struct bytes){other, 512},
		      (struct bytes){other, 512});
	memcpy(xb, p.p, 128);
	xb[127] ^= 2; /* p - 2 or p + 2 */
	refuse_import("p not prime", KEY_RSA, e, (struct bytes){xb, 128}, q);
	refuse_import("q not prime", KEY_RSA, e, q, (struct bytes){xb, 128});
	xb[127] = p.p[127] & 0xfe;
	refuse_import("even p", KEY_RSA, e, (struct bytes){xb, 128}, q);
	memset(other, 0xff, 256);
	refuse_import("e over 64 bits for 4096", KEY_RSA, (struct bytes){e65, 9},
		      (struct bytes){other, 256}, (struct bytes){other, 256});
}

/* Two primes whose halves differ only in the low bits: easy to factor (Fermat). */
static void test_rsa_close_primes(void **state)
{
	uint8_t pb[128], qb[128];
	struct bytes p = prime(pb, 1024);
	BIGNUM *q = BN_bin2bn(p.p, 128, NULL);

	(void)state;
	do {
		BN_add_word(q, 2);
	} while (BN_check_prime(q, bn_ctx, NULL) != 1);
	BN_bn2binpad(q, qb, 128);
	BN_free(q);
	refuse_import("close primes", KEY_RSA, (struct bytes){(const uint8_t *)"\1\0\1", 3}, p,
		      (struct bytes){qb, 128});
}

/* e that divides p - 1 has no d. */
static void test_rsa_no_inverse(void **state)
{
	static const uint8_t f4[] = {1, 0, 1};
	BIGNUM *p = BN_new(), *add = BN_new();
	uint8_t pb[128], qb[128];

	(void)state;
	BN_set_word(add, 65537 * 2);
	/* p = 1 mod 2 * 65537 */
	assert_int_equal(BN_generate_prime_ex2(p, 1024, 0, add, BN_value_one(), NULL, bn_ctx), 1);
	BN_bn2binpad(p, pb, 128);
	BN_free(p);
	BN_free(add);
	refuse_import("e divides p - 1", KEY_RSA, (struct bytes){f4, 3}, (struct bytes){pb, 128},
		      prime(qb, 1024));
}

static void test_rsa_odd_exponents(void **state)
{
	static const uint8_t big[] = {0, 0, 0x80, 0, 0, 0, 0, 0, 0, 1, 0x1f};
	uint8_t pb[128], qb[128];
	CLEAN(made) struct made m = {0};
	struct err e = {0};

	(void)state;
	made_init(&m);
	/* Leading zeros are fine, and a 72-bit exponent for 2048 bits. */
	struct key_new in = {.type = KEY_RSA, .a = {big, sizeof(big)}};

	for (int tries = 0; tries < 20; tries++) { /* a small factor of e may divide p - 1 */
		in.b = prime(pb, 1024), in.c = prime(qb, 1024);
		if (alg_import(&in, &m.priv, &m.pub, &m.bits, &e) == 0)
			break;
		assert_int_equal(e.code, ERR_BAD_KEY);
	}
	assert_int_equal(m.bits, 2048);
	load(&m, KEY_RSA);
}

static void test_bad_forms(void **state)
{
	static const enum key_type types[] = {KEY_ED25519, KEY_P256, KEY_RSA};
	struct arena_stat before, after;
	struct err e;

	(void)state;
	alg_memory(&before);
	for (size_t i = 0; i < COUNT(types); i++) {
		CLEAN(made) struct made m = {0};
		struct alg_key *key = NULL;

		generate(&m, types[i], 0);
		for (size_t n = 0; n < m.priv.len; n++) {
			assert_int_equal(alg_load(types[i], (struct bytes){m.priv.p, n}, &key, &e),
					 -1);
			assert_int_equal(e.code, ERR_BAD_KEY);
		}
		buf_u8(&m.priv, 0);
		assert_int_equal(alg_load(types[i], (struct bytes){m.priv.p, m.priv.len}, &key, &e),
				 -1);
		m.priv.len--;
		m.priv.p[0] = 2;
		assert_int_equal(alg_load(types[i], (struct bytes){m.priv.p, m.priv.len}, &key, &e),
				 -1);
		m.priv.p[0] = 1;
		if (types[i] != KEY_RSA)
			continue;
		m.priv.p[3 + 32 + 255] ^= 1; /* N is not P x Q */
		m.priv.p[3 + 255] ^= 1;
		assert_int_equal(alg_load(types[i], (struct bytes){m.priv.p, m.priv.len}, &key, &e),
				 -1);
		assert_int_equal(e.code, ERR_BAD_KEY);
	}
	alg_memory(&after);
	assert_int_equal(after.used, before.used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_sizes),      cmocka_unit_test(test_bad_imports),
		cmocka_unit_test(test_bad_rsa),	       cmocka_unit_test(test_rsa_close_primes),
		cmocka_unit_test(test_rsa_no_inverse), cmocka_unit_test(test_rsa_odd_exponents),
		cmocka_unit_test(test_bad_forms),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
