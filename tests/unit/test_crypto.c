/* The wrappers against published vectors: RFC 8032, 7748, 8439, 5869, 9106, FIPS 180-4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/enc.h"
#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "crypto/kdf.h"
#include "crypto/sha256.h"
#include "crypto/x25519.h"

#define HEX(name, text)                                                                            \
	uint8_t name[sizeof(text) / 2];                                                            \
	assert_int_equal(enc_unhex(name, sizeof(name), text), 0)

static void is_hex(const uint8_t *p, size_t n, const char *hex)
{
	char got[512];

	assert_true(ENC_HEX_LEN(n) <= sizeof(got));
	enc_hex(got, p, n);
	assert_string_equal(got, hex);
}

static void sha256_vectors(void **state)
{
	uint8_t d[32], million[1000];
	struct sha256 s;

	(void)state;
	sha256(d, "abc", 3);
	is_hex(d, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256(d, "", 0);
	is_hex(d, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	memset(million, 'a', sizeof(million));
	sha256_init(&s);
	for (int i = 0; i < 1000; i++)
		sha256_update(&s, million, sizeof(million));
	sha256_final(&s, d);
	is_hex(d, 32, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void ed25519_vectors(void **state)
{
	/* RFC 8032 7.1, tests 1 and 3. */
	HEX(seed1, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
	HEX(seed3, "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7");
	HEX(m3, "af82");
	uint8_t pub[32], sk[64], sig[64], scratch[ED25519_SCRATCH(2)];

	(void)state;
	ed25519_keypair(pub, sk, seed1);
	is_hex(pub, 32, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
	ed25519_sign(sig, "", 0, sk);
	is_hex(sig, 64,
	       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
	       "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
	assert_int_equal(ed25519_verify(sig, NULL, 0, pub, NULL), 0);
	assert_int_equal(ed25519_verify(sig, NULL, 0, pub, scratch), 0);
	ed25519_keypair(pub, sk, seed3);
	ed25519_sign(sig, m3, 2, sk);
	is_hex(sig, 64,
	       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290"
	       "ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
}

/* The fast signature verifies with both libraries, in place and apart, at many sizes;
 * each flipped bit is found by both. */
static void ed25519_fast(void **state)
{
	static uint8_t m[5000], scratch[ED25519_SCRATCH(sizeof(m))], room[sizeof(scratch)];
	static const size_t sizes[] = {0, 1, 31, 64, 127, 128, 129, 4999};
	uint8_t pub[32], sk[64], sig[64], again[64];

	(void)state;
	ed25519_generate(pub, sk);
	crypto_random(m, sizeof(m));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = sizes[i];

		ed25519_sign_fast(sig, m, n, sk, scratch);
		assert_int_equal(ed25519_verify(sig, m, n, pub, NULL), 0);
		assert_int_equal(ed25519_verify(sig, m, n, pub, scratch), 0);
		memcpy(room + 64, m, n);
		ed25519_sign_fast(again, room + 64, n, sk, room);
		assert_int_equal(ed25519_verify(again, m, n, pub, NULL), 0);
		assert_memory_equal(room + 64, m, n);
		assert_memory_not_equal(sig, again, 64); /* hedged */
		sig[i] ^= 1;
		assert_int_equal(ed25519_verify(sig, m, n, pub, NULL), -1);
		assert_int_equal(ed25519_verify(sig, m, n, pub, scratch), -1);
	}
	ed25519_sign(sig, m, 100, sk);
	ed25519_sign(again, m, 100, sk);
	assert_memory_equal(sig, again, 64); /* deterministic */
	m[50] ^= 4;
	assert_int_equal(ed25519_verify(sig, m, 100, pub, NULL), -1);
	assert_int_equal(ed25519_verify(sig, m, 100, pub, scratch), -1);
}

/* Both libraries must refuse the same: a second form of S, keys of small order. */
static void ed25519_strict(void **state)
{
	static const char *const small[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	HEX(order, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
	uint8_t pub[32], sk[64], sig[64], scratch[ED25519_SCRATCH(8)], m[8] = {0};
	unsigned carry = 0;

	(void)state;
	ed25519_generate(pub, sk);
	ed25519_sign(sig, m, sizeof(m), sk);
	for (int i = 0; i < 32; i++) {
		carry += (unsigned)sig[32 + i] + order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(ed25519_verify(sig, m, sizeof(m), pub, NULL), -1);
	assert_int_equal(ed25519_verify(sig, m, sizeof(m), pub, scratch), -1);
	/* R = identity, S = 0 is valid under a small-order key for some messages. */
	memset(sig, 0, sizeof(sig));
	sig[0] = 1;
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++)
		for (m[0] = 0; m[0] < 16; m[0]++) {
			assert_int_equal(enc_unhex(pub, 32, small[i]), 0);
			assert_int_equal(ed25519_verify(sig, m, sizeof(m), pub, NULL), -1);
			assert_int_equal(ed25519_verify(sig, m, sizeof(m), pub, scratch), -1);
		}
}

static void x25519_vectors(void **state)
{
	/* RFC 7748 5.2: the first vector, and the iterated one after 1 and 1,000 rounds. */
	HEX(k, "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
	HEX(u, "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
	uint8_t out[32], zero[32] = {0};

	(void)state;
	assert_int_equal(x25519_shared(out, k, u), 0);
	is_hex(out, 32, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
	memset(k, 0, sizeof(k));
	k[0] = 9;
	memcpy(u, k, sizeof(u));
	x25519_public(out, k);
	is_hex(out, 32, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(x25519_shared(out, k, u), 0);
		memcpy(u, k, sizeof(u));
		memcpy(k, out, sizeof(k));
	}
	is_hex(k, 32, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
	assert_int_equal(x25519_shared(out, k, zero), -1);
}

/* The birational map keeps what Diffie-Hellman needs: the two sides agree. */
static void ed25519_maps(void **state)
{
	uint8_t pub[32], sk[64], xsec[32], xpub[32], other[32], opub[32], s1[32], s2[32];
	uint8_t bad[32] = {1};

	(void)state;
	ed25519_generate(pub, sk);
	ed25519_to_x25519_secret(xsec, sk);
	assert_int_equal(ed25519_to_x25519_public(xpub, pub), 0);
	x25519_public(s1, xsec);
	assert_memory_equal(s1, xpub, 32);
	crypto_random(other, 32);
	x25519_public(opub, other);
	assert_int_equal(x25519_shared(s1, other, xpub), 0);
	assert_int_equal(x25519_shared(s2, xsec, opub), 0);
	assert_memory_equal(s1, s2, 32);
	assert_int_equal(ed25519_to_x25519_public(xpub, bad), -1);
}

static void aead_vectors(void **state)
{
	/* RFC 8439 2.8.2. */
	HEX(key, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
	HEX(nonce, "070000004041424344454647");
	HEX(ad, "50515253c0c1c2c3c4c5c6c7");
	const char m[] = "Ladies and Gentlemen of the class of '99: If I could offer you only one "
			 "tip for the future, sunscreen would be it.";
	size_t n = sizeof(m) - 1;
	uint8_t c[sizeof(m) + 16], back[sizeof(m)], xnonce[24] = {7};

	(void)state;
	aead_seal(c, m, n, ad, sizeof(ad), nonce, key);
	is_hex(c, 16, "d31a8d34648e60db7b86afbc53ef7ec2");
	is_hex(c + n, 16, "1ae10b594f09e26a7e902ecbd0600691");
	assert_int_equal(aead_open(back, c, n + 16, ad, sizeof(ad), nonce, key), 0);
	assert_memory_equal(back, m, n);
	assert_int_equal(aead_open(back, c, n + 16, ad, sizeof(ad) - 1, nonce, key), -1);
	assert_int_equal(aead_open(back, c, 15, ad, sizeof(ad), nonce, key), -1);
	aead_xseal(c, m, n, ad, sizeof(ad), xnonce, key);
	assert_int_equal(aead_xopen(c, c, n + 16, ad, sizeof(ad), xnonce, key), 0);
	assert_memory_equal(c, m, n); /* in place */
	aead_xseal(c, m, n, ad, sizeof(ad), xnonce, key);
	c[3] ^= 1;
	assert_int_equal(aead_xopen(back, c, n + 16, ad, sizeof(ad), xnonce, key), -1);
}

static void kdf_vectors(void **state)
{
	/* RFC 5869 A.1; RFC 4231 test 2; BLAKE2b-512 of "abc" (RFC 7693). */
	HEX(ikm, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
	HEX(salt, "000102030405060708090a0b0c");
	HEX(info, "f0f1f2f3f4f5f6f7f8f9");
	uint8_t prk[32], okm[42], out[64], two[32], one[32];
	static uint8_t big[255 * 32 + 1];

	(void)state;
	kdf_extract(prk, salt, sizeof(salt), ikm, sizeof(ikm));
	is_hex(prk, 32, "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
	assert_int_equal(kdf_expand(okm, sizeof(okm), prk, info, sizeof(info)), 0);
	is_hex(okm, sizeof(okm),
	       "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185"
	       "865");
	assert_int_equal(kdf_expand(big, sizeof(big), prk, NULL, 0), -1);
	assert_int_equal(kdf_expand(big, sizeof(big) - 1, prk, NULL, 0), 0);
	kdf_hmac(one, "Jefe", 4, "what do ya want for nothing?", 28);
	is_hex(one, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	kdf_hmac2(two, "Jefe", 4, "what do ya ", 11, "want for nothing?", 17);
	assert_memory_equal(one, two, 32);
	kdf_blake2b(out, 64, NULL, 0, "abc", 3);
	is_hex(out, 64,
	       "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc"
	       "252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

static void argon2id_works(void **state)
{
	uint8_t salt[16] = {1, 2, 3}, a[32], b[32];

	(void)state;
	assert_int_equal(kdf_argon2id(a, 32, "pw", 2, salt, 1, 8 << 20), 0);
	/* argon2 CLI form of the same: deterministic, and another salt gives another. */
	assert_int_equal(kdf_argon2id(b, 32, "pw", 2, salt, 1, 8 << 20), 0);
	assert_memory_equal(a, b, 32);
	salt[0] ^= 1;
	assert_int_equal(kdf_argon2id(b, 32, "pw", 2, salt, 1, 8 << 20), 0);
	assert_memory_not_equal(a, b, 32);
	assert_int_equal(kdf_argon2id(b, 8, "pw", 2, salt, 1, 8 << 20), -1);
	assert_int_equal(kdf_argon2id(b, 32, "pw", 2, salt, 1, 100), -1);
}

static int setup(void **state)
{
	(void)state;
	return crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_vectors), cmocka_unit_test(ed25519_vectors),
		cmocka_unit_test(ed25519_fast),	  cmocka_unit_test(ed25519_strict),
		cmocka_unit_test(x25519_vectors), cmocka_unit_test(ed25519_maps),
		cmocka_unit_test(aead_vectors),	  cmocka_unit_test(kdf_vectors),
		cmocka_unit_test(argon2id_works),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
