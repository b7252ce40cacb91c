#include "client/pem.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/cleanup.h"
#include "proto/body.h"
#include "proto/mode.h"

static void cleanup_bn(BIGNUM **bn)
{
	BN_clear_free(*bn);
}

static void cleanup_pkey(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

static void cleanup_bio(BIO **b)
{
	BIO_free(*b);
}

static void cleanup_bnctx(BN_CTX **c)
{
	BN_CTX_free(*c);
}

void pem_clear(struct pem_key *k)
{
	secret_clear(&k->a);
	secret_clear(&k->b);
	secret_clear(&k->c);
	k->type = k->bits = 0;
}

/* A key that asks for a passphrase is refused; without a callback OpenSSL would ask
 * on the terminal. */
static int no_passphrase(char *out, int cap, int writing, void *asked)
{
	(void)out;
	(void)cap;
	(void)writing;
	*(int *)asked = 1;
	return -1;
}

static int take(struct secret *s, size_t n, struct err *e)
{
	secret_clear(s);
	s->p = secret_alloc(n);
	if (!s->p)
		return err_set(e, ERR_NOMEM, NULL);
	s->len = n;
	return 0;
}

/* Big-endian bytes of a number; width 0: as many as it has. */
static int take_bn(struct secret *s, const BIGNUM *v, size_t width, struct err *e)
{
	size_t n = width ? width : (size_t)BN_num_bytes(v);

	if (take(s, n, e))
		return -1;
	if (BN_bn2binpad(v, s->p, (int)n) != (int)n)
		return err_set(e, ERR_BAD_KEY, NULL);
	return 0;
}

static int take_ed25519(struct pem_key *k, EVP_PKEY *pkey, struct err *e)
{
	size_t n = 32;

	if (take(&k->a, n, e))
		return -1;
	if (EVP_PKEY_get_raw_private_key(pkey, k->a.p, &n) != 1 || n != 32)
		return err_set(e, ERR_BAD_KEY, "it holds no private key");
	k->type = KEY_ED25519;
	k->bits = 256;
	return 0;
}

static int take_p256(struct pem_key *k, EVP_PKEY *pkey, struct err *e)
{
	CLEAN(bn) BIGNUM *d = NULL;
	char group[64] = "";

	if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1 ||
	    strcmp(group, "prime256v1") != 0)
		return err_set(e, ERR_BAD_TYPE, "its curve is %s, only P-256 is supported",
			       *group ? group : "unnamed");
	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &d) != 1)
		return err_set(e, ERR_BAD_KEY, "it holds no private key");
	k->type = KEY_P256;
	k->bits = 256;
	return take_bn(&k->a, d, 32, e);
}

static int take_rsa(struct pem_key *k, EVP_PKEY *pkey, struct err *e)
{
	const struct key_type_row *row = key_type_row(KEY_RSA);
	CLEAN(bn) BIGNUM *n = NULL, *exp = NULL, *p = NULL, *q = NULL, *third = NULL;
	CLEAN(bn) BIGNUM *product = BN_secure_new();
	CLEAN(bnctx) BN_CTX *ctx = BN_CTX_secure_new();
	unsigned bits = (unsigned)EVP_PKEY_get_bits(pkey);

	if (!product || !ctx)
		return err_set(e, ERR_NOMEM, NULL);
	if (bits < row->min_bits || bits > row->max_bits)
		return err_set(e, ERR_BAD_TYPE,
			       "it has %u bits, RSA keys of %u to %u are supported", bits,
			       row->min_bits, row->max_bits);
	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR3, &third) == 1)
		return err_set(e, ERR_BAD_TYPE, "it has more than two primes");
	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exp) != 1 ||
	    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR1, &p) != 1 ||
	    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR2, &q) != 1)
		return err_set(e, ERR_BAD_KEY, "it does not hold the primes of a private key");
	/* The HSM gets the primes only: what it makes of them must be this very key. */
	if (BN_mul(product, p, q, ctx) != 1 || BN_cmp(product, n) != 0)
		return err_set(e, ERR_BAD_KEY, "its primes do not give its modulus");
	k->type = KEY_RSA;
	k->bits = bits;
	if (take_bn(&k->a, exp, 0, e) || take_bn(&k->b, p, 0, e) || take_bn(&k->c, q, 0, e))
		return -1;
	return 0;
}

static int take_apart(struct pem_key *k, EVP_PKEY *pkey, struct err *e)
{
	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_ED25519:
		return take_ed25519(k, pkey, e);
	case EVP_PKEY_EC:
		return take_p256(k, pkey, e);
	case EVP_PKEY_RSA:
		return take_rsa(k, pkey, e);
	default:
		return err_set(e, ERR_BAD_TYPE,
			       "its type is %s, only Ed25519, P-256 and RSA are supported",
			       EVP_PKEY_get0_type_name(pkey) ? EVP_PKEY_get0_type_name(pkey) : "?");
	}
}

int pem_parse(struct pem_key *k, const char *name, const void *text, size_t n, struct err *e)
{
	CLEAN(bio) BIO *bio = NULL;
	CLEAN(pkey) EVP_PKEY *pkey = NULL;
	int asked = 0;

	pem_clear(k);
	if (n > PEM_MAX)
		return err_set(e, ERR_BAD_KEY, "%s: too large for a PEM file", name);
	bio = BIO_new_mem_buf(text, (int)n);
	if (!bio)
		return err_set(e, ERR_NOMEM, NULL);
	pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
	ERR_clear_error();
	if (!pkey && asked)
		return err_set(e, ERR_BAD_KEY,
			       "%s: the private key is encrypted; give it decrypted, e.g. by a "
			       "pipe from 'openssl pkey -in FILE'",
			       name);
	if (!pkey)
		return err_set(e, ERR_BAD_KEY, "%s: no private key in PEM form", name);
	if (take_apart(k, pkey, e)) {
		pem_clear(k);
		ERR_clear_error();
		return err_wrap(e, "%s", name);
	}
	return 0;
}
