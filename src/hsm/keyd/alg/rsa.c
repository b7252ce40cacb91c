/* RSA by OpenSSL: PKCS#1 v1.5 and PSS (salt as long as the hash, MGF1 with the same
 * hash), blinded. A fault in one half of the CRT would give the primes away to
 * whoever sees the signature: OpenSSL checks each result with the public exponent and
 * computes it again without the CRT when it is wrong (crypto/rsa/rsa_ossl.c,
 * rsa_ossl_mod_exp); tests/unit/test_alg.c holds it to that. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "hsm/keyd/alg/alg_impl.h"
#include "hsm/keyd/alg/rsa_key.h"

static EVP_PKEY *build(struct rsa_key *k)
{
	static const char *const name[RSA_NUMBERS] = {
		OSSL_PKEY_PARAM_RSA_N,	       OSSL_PKEY_PARAM_RSA_E,
		OSSL_PKEY_PARAM_RSA_D,	       OSSL_PKEY_PARAM_RSA_FACTOR1,
		OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
		OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
	};
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	bool ok = bld && ctx;

	for (int i = 0; ok && i < RSA_NUMBERS; i++)
		ok = OSSL_PARAM_BLD_push_BN(bld, name[i], k->bn[i]) == 1;
	if (ok && (params = OSSL_PARAM_BLD_to_param(bld)) && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static int import(const struct key_new *in, struct buf *priv, struct buf *pub, unsigned *bits,
		  struct err *e)
{
	CLEAN(rsa_key) struct rsa_key k = {0};

	if (rsa_key_check(in, e) < 0 || rsa_key_derive(&k, in->a, in->b, in->c, e) < 0)
		return -1;
	*bits = k.bits;
	return rsa_key_put(&k, priv, pub, e);
}

static int generate(unsigned bits, struct buf *priv, struct buf *pub, struct err *e)
{
	CLEAN(rsa_key) struct rsa_key k = {0};
	EVP_PKEY *key = EVP_RSA_gen(bits);
	bool ok = key &&
		  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR1, &k.bn[RSA_P]) == 1 &&
		  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_FACTOR2, &k.bn[RSA_Q]) == 1 &&
		  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &k.bn[RSA_E]) == 1;

	EVP_PKEY_free(key);
	if (!ok)
		return openssl_err(e, "RSA key generation");
	if (rsa_key_complete(&k, e) < 0)
		return -1;
	return rsa_key_put(&k, priv, pub, e);
}

/* The first private operation makes OpenSSL keep Montgomery forms of the primes and a
 * blinding: here, so that they lie in the arena too. */
static int first_use(EVP_PKEY *key)
{
	static const uint8_t digest[32];
	uint8_t sig[SIGNATURE_MAX];
	size_t n = sizeof(sig);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool ok = ctx && EVP_PKEY_sign_init(ctx) == 1 &&
		  EVP_PKEY_sign(ctx, sig, &n, digest, sizeof(digest)) == 1;

	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : -1;
}

static int load(struct bytes priv, struct alg_key *key, struct err *e)
{
	CLEAN(rsa_key) struct rsa_key k = {0};

	if (rsa_key_get(&k, priv, e) < 0)
		return -1;
	key->pkey.key = build(&k);
	if (!key->pkey.key || first_use(key->pkey.key) < 0)
		return openssl_err(e, "RSA key");
	key->bits = k.bits;
	return 0;
}

static void unload(struct alg_key *key)
{
	pkey_free(&key->pkey);
}

static size_t sig_len(const struct alg_key *key)
{
	return key->bits / 8;
}

static bool is_pss(enum sign_mode mode)
{
	switch (mode) {
	case MODE_PSS_SHA256:
	case MODE_PSS_SHA384:
	case MODE_PSS_SHA512:
	case MODE_PSS_SHA256_DIGEST:
	case MODE_PSS_SHA384_DIGEST:
	case MODE_PSS_SHA512_DIGEST:
		return true;
	default:
		return false;
	}
}

static int set_mode(EVP_PKEY_CTX *ctx, const struct mode_row *mode)
{
	const EVP_MD *md = hash_md(mode->hash);

	if (!is_pss(mode->mode))
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_signature_md(ctx, md) == 1;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_signature_md(ctx, md) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static int sign(struct alg_key *key, struct alg_thread *t, const struct mode_row *mode,
		struct bytes msg, uint8_t *sig, struct err *e)
{
	struct pkey_ctx *c = pkey_take(&key->pkey, t, mode, false, set_mode, e);
	size_t n = SIGNATURE_MAX;

	if (!c)
		return -1;
	bool ok = EVP_PKEY_sign(c->ctx, sig, &n, msg.p, msg.len) == 1 && n == sig_len(key);

	pkey_give(&key->pkey, t, c);
	return ok ? 0 : openssl_err(e, "RSA");
}

static int verify(struct alg_key *key, struct alg_thread *t, const struct mode_row *mode,
		  struct bytes msg, const uint8_t *sig, struct err *e)
{
	struct pkey_ctx *c = pkey_take(&key->pkey, t, mode, true, set_mode, e);

	if (!c)
		return -1;
	bool ok = EVP_PKEY_verify(c->ctx, sig, sig_len(key), msg.p, msg.len) == 1;

	pkey_give(&key->pkey, t, c);
	ERR_clear_error();
	return ok ? 0 : err_set(e, ERR_NOT_VERIFIED, NULL);
}

const struct alg_ops alg_rsa = {
	KEY_RSA, generate, import, load, unload, sig_len, sign, verify,
};
