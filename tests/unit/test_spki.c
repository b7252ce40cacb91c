/* crypto/spki.c against OpenSSL's encoders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "crypto/spki.h"

/* DER and PEM of the raw form must be OpenSSL's for the same key. */
static void same(EVP_PKEY *k, unsigned type, const uint8_t *raw, size_t n)
{
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(k, &der);
	BIO *bio = BIO_new(BIO_s_mem());
	struct err e = {0};
	struct buf b;
	char *pem;
	long pemlen;

	buf_init(&b, 8192);
	assert_int_equal(spki_der(&b, type, raw, n, &e), 0);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.p, der, b.len);
	buf_reset(&b);
	assert_int_equal(PEM_write_bio_PUBKEY(bio, k), 1);
	pemlen = BIO_get_mem_data(bio, &pem);
	assert_int_equal(spki_pem(&b, type, raw, n, &e), 0);
	assert_int_equal(b.len, pemlen);
	assert_memory_equal(b.p, pem, b.len);
	buf_free(&b);
	BIO_free(bio);
	OPENSSL_free(der);
	EVP_PKEY_free(k);
}

static void test_keys(void **state)
{
	uint8_t raw[2048];
	size_t n = sizeof(raw);
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	(void)state;
	assert_int_equal(EVP_PKEY_get_raw_public_key(k, raw, &n), 1);
	same(k, SPKI_ED25519, raw, n);
	k = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	assert_int_equal(
		EVP_PKEY_get_octet_string_param(k, OSSL_PKEY_PARAM_PUB_KEY, raw, sizeof(raw), &n),
		1);
	assert_int_equal(n, 65);
	same(k, SPKI_P256, raw, n);
	for (unsigned bits = 2048; bits <= 4096; bits += 1024) {
		BIGNUM *mod = NULL, *exp = NULL;
		uint8_t num[600];
		struct buf b;

		k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
		assert_int_equal(EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_RSA_N, &mod), 1);
		assert_int_equal(EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_RSA_E, &exp), 1);
		buf_fixed(&b, raw, sizeof(raw));
		buf_str16(&b, num, (size_t)BN_bn2bin(mod, num));
		buf_str16(&b, num, (size_t)BN_bn2bin(exp, num));
		same(k, SPKI_RSA, raw, b.len);
		BN_free(mod);
		BN_free(exp);
	}
}

static void test_bad_keys(void **state)
{
	uint8_t raw[65] = {2};
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	assert_int_equal(spki_der(&b, SPKI_ED25519, raw, 31, &e), -1);
	assert_int_equal(e.code, ERR_BAD_KEY);
	assert_int_equal(spki_der(&b, SPKI_P256, raw, 65, &e), -1); /* not uncompressed */
	assert_int_equal(spki_der(&b, SPKI_RSA, raw, 5, &e), -1);
	assert_int_equal(spki_der(&b, SPKI_RSA, (const uint8_t *)"\0\0\0\0", 4, &e), -1);
	assert_int_equal(spki_der(&b, 9, raw, 32, &e), -1);
	assert_int_equal(e.code, ERR_BAD_TYPE);
	buf_free(&b);
	buf_init(&b, 20);
	assert_int_equal(spki_der(&b, SPKI_ED25519, raw, 32, &e), -1); /* no room */
	buf_free(&b);
}

static void round_trip(const uint8_t raw[static 64])
{
	uint8_t mem[SPKI_ECDSA_DER], back[64];
	const unsigned char *p;
	unsigned char *der = NULL;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	struct err e;
	struct buf b;
	int len;

	ECDSA_SIG_set0(sig, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
	len = i2d_ECDSA_SIG(sig, &der);
	buf_fixed(&b, mem, sizeof(mem));
	spki_ecdsa_der(&b, raw);
	assert_false(b.bad);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.p, der, b.len);
	assert_int_equal(spki_ecdsa_raw(back, b.p, b.len, &e), 0);
	assert_memory_equal(back, raw, 64);
	p = der;
	ECDSA_SIG_free(sig);
	sig = d2i_ECDSA_SIG(NULL, &p, len);
	assert_non_null(sig);
	ECDSA_SIG_free(sig);
	OPENSSL_free(der);
}

static void test_ecdsa(void **state)
{
	uint8_t raw[64];

	(void)state;
	/* Every length of r and s, with and without a high first bit. */
	for (size_t r = 1; r <= 32; r++)
		for (size_t s = 1; s <= 32; s++)
			for (unsigned high = 0; high < 4; high++) {
				memset(raw, 0, sizeof(raw));
				memset(raw + 32 - r, 0x11, r);
				memset(raw + 64 - s, 0x22, s);
				raw[32 - r] = high & 1 ? 0x80 : 0x7f;
				raw[64 - s] = high & 2 ? 0xff : 0x01;
				round_trip(raw);
			}
}

static void test_bad_ecdsa(void **state)
{
	static const struct {
		const char *der;
		size_t n;
		const char *why;
	} bad[] = {
		{"", 0, "empty"},
		{"\x30\x00", 2, "no integers"},
		{"\x30\x06\x02\x01\x01\x02\x01", 7, "cut"},
		{"\x30\x06\x02\x01\x01\x02\x01\x01\x00", 9, "something behind it"},
		{"\x31\x06\x02\x01\x01\x02\x01\x01", 8, "not a sequence"},
		{"\x30\x06\x03\x01\x01\x02\x01\x01", 8, "not an integer"},
		{"\x30\x06\x02\x01\x00\x02\x01\x01", 8, "r is zero"},
		{"\x30\x06\x02\x01\x01\x02\x01\x00", 8, "s is zero"},
		{"\x30\x06\x02\x01\x80\x02\x01\x01", 8, "negative"},
		{"\x30\x07\x02\x02\x00\x01\x02\x01\x01", 9, "not minimal"},
		{"\x30\x06\x02\x00\x02\x01\x01\x00", 8, "empty integer"},
		{"\x30\x81\x06\x02\x01\x01\x02\x01\x01", 9, "long length"},
		{"\x30\x09\x02\x01\x01\x02\x01\x01\x02\x01\x01", 11, "three integers"},
	};
	uint8_t raw[64], big[41] = {0x30, 0x27, 0x02, 0x22, 0x00, 0x80};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e.code = ERR_OK;
		if (spki_ecdsa_raw(raw, (const uint8_t *)bad[i].der, bad[i].n, &e) == 0)
			fail_msg("taken: %s", bad[i].why);
		assert_int_equal(e.code, ERR_BAD_SIGNATURE_FORM);
	}
	big[38] = 2; /* r of 33 bytes after the zero */
	big[39] = big[40] = 1;
	assert_int_equal(spki_ecdsa_raw(raw, big, sizeof(big), &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_bad_keys),
		cmocka_unit_test(test_ecdsa),
		cmocka_unit_test(test_bad_ecdsa),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
