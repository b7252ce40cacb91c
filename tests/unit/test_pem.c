/* client/pem.c: what openssl writes comes apart into the right components. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "client/pem.h"
#include "crypto/crypto.h"
#include "proto/mode.h"

/* PEM of a key: PKCS#8, or the traditional form of its type. */
static char *text(EVP_PKEY *k, int traditional, const char *pass, size_t *n)
{
	BIO *bio = BIO_new(BIO_s_mem());
	const EVP_CIPHER *cipher = pass ? EVP_aes_256_cbc() : NULL;
	const unsigned char *kstr = (const unsigned char *)pass;
	int klen = pass ? (int)strlen(pass) : 0;
	char *p, *out;
	long len;

	if (traditional)
		assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, k, cipher, kstr, klen,
								      NULL, NULL),
				 1);
	else
		assert_int_equal(
			PEM_write_bio_PKCS8PrivateKey(bio, k, cipher, pass, klen, NULL, NULL), 1);
	len = BIO_get_mem_data(bio, &p);
	out = strndup(p, (size_t)len);
	*n = (size_t)len;
	BIO_free(bio);
	return out;
}

static void equals_bn(const struct secret *s, EVP_PKEY *k, const char *param, size_t width)
{
	uint8_t want[1024];
	BIGNUM *v = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(k, param, &v), 1);
	if (!width)
		width = (size_t)BN_num_bytes(v);
	assert_int_equal(BN_bn2binpad(v, want, (int)width), (int)width);
	assert_int_equal(s->len, width);
	assert_memory_equal(s->p, want, width);
	BN_free(v);
}

static void test_good(void **state)
{
	struct pem_key out = {0};
	struct err e;
	uint8_t seed[32];
	size_t n, len = 32;
	EVP_PKEY *k;
	char *t;

	(void)state;
	k = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	t = text(k, 0, NULL, &n);
	assert_int_equal(pem_parse(&out, "x", t, n, &e), 0);
	assert_int_equal(out.type, KEY_ED25519);
	assert_int_equal(EVP_PKEY_get_raw_private_key(k, seed, &len), 1);
	assert_int_equal(out.a.len, 32);
	assert_memory_equal(out.a.p, seed, 32);
	free(t);
	EVP_PKEY_free(k);
	for (int traditional = 0; traditional < 2; traditional++) {
		k = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
		t = text(k, traditional, NULL, &n);
		assert_int_equal(pem_parse(&out, "x", t, n, &e), 0);
		assert_int_equal(out.type, KEY_P256);
		equals_bn(&out.a, k, OSSL_PKEY_PARAM_PRIV_KEY, 32);
		free(t);
		EVP_PKEY_free(k);
		k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
		t = text(k, traditional, NULL, &n);
		assert_int_equal(pem_parse(&out, "x", t, n, &e), 0);
		assert_int_equal(out.type, KEY_RSA);
		assert_int_equal(out.bits, 2048);
		equals_bn(&out.a, k, OSSL_PKEY_PARAM_RSA_E, 0);
		equals_bn(&out.b, k, OSSL_PKEY_PARAM_RSA_FACTOR1, 0);
		equals_bn(&out.c, k, OSSL_PKEY_PARAM_RSA_FACTOR2, 0);
		free(t);
		EVP_PKEY_free(k);
	}
	pem_clear(&out);
	assert_null(out.a.p);
}

static void refused(EVP_PKEY *k, int traditional, const char *pass, enum err_code code,
		    const char *says)
{
	struct pem_key out = {0};
	struct err e = {0};
	size_t n;
	char *t = text(k, traditional, pass, &n);

	assert_int_equal(pem_parse(&out, "file", t, n, &e), -1);
	assert_int_equal(e.code, code);
	if (!strstr(e.text, says) || strncmp(e.text, "file", 4) != 0)
		fail_msg("unclear: %s", e.text);
	assert_null(out.a.p);
	free(t);
	EVP_PKEY_free(k);
}

static void test_refused(void **state)
{
	(void)state;
	refused(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), 0, "secret12", ERR_BAD_KEY,
		"encrypted");
	refused(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"), 1, "secret12", ERR_BAD_KEY,
		"encrypted");
	refused(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), 0, NULL, ERR_BAD_TYPE, "P-256");
	refused(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), 0, NULL, ERR_BAD_TYPE, "1024");
	refused(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), 0, NULL, ERR_BAD_TYPE, "X25519");
	refused(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), 0, NULL, ERR_BAD_TYPE, "ED448");
}

static void test_no_pem(void **state)
{
	static const char *const texts[] = {
		"",
		"hello",
		"-----BEGIN PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n"
		"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
		"-----END PUBLIC KEY-----\n",
	};
	struct pem_key out = {0};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(pem_parse(&out, "x", texts[i], strlen(texts[i]), &e), -1);
		assert_int_equal(e.code, ERR_BAD_KEY);
		assert_non_null(strstr(e.text, "no private key"));
	}
}

static int setup(void **state)
{
	(void)state;
	return crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_no_pem),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
