/* ECDSA on P-256 by OpenSSL (nistz256, constant time). Signatures are r, s. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <string.h>

#include "hsm/keyd/alg/alg_impl.h"
#include "hsm/keyd/alg/bn.h"

#define SCALAR 32
#define POINT 65 /* 04 x y */
#define SIG 64
#define DER_MAX 72

/* Public point of scalar d. */
static int public_point(const BIGNUM *d, uint8_t out[static POINT])
{
	CLEAN(bn_ctx) BN_CTX *ctx = BN_CTX_new();
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *p = group ? EC_POINT_new(group) : NULL;
	bool ok = ctx && p && EC_POINT_mul(group, p, d, NULL, NULL, ctx) == 1 &&
		  EC_POINT_point2oct(group, p, POINT_CONVERSION_UNCOMPRESSED, out, POINT, ctx) ==
			  POINT;

	EC_POINT_free(p);
	EC_GROUP_free(group);
	return ok ? 0 : -1;
}

static bool in_range(const BIGNUM *d)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	bool ok = group && !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(group)) < 0;

	EC_GROUP_free(group);
	return ok;
}

static int import(const struct key_new *in, struct buf *priv, struct buf *pub, unsigned *bits,
		  struct err *e)
{
	uint8_t point[POINT];

	if (in->a.len != SCALAR || in->b.len || in->c.len)
		return err_set(e, ERR_BAD_KEY, "a P-256 private key is a scalar of 32 bytes");
	CLEAN(bn) BIGNUM *d = bn_secret(in->a);

	if (!d)
		return err_set(e, ERR_NOMEM, NULL);
	if (!in_range(d))
		return err_set(e, ERR_BAD_KEY,
			       "P-256 private key is not between 1 and the order of the curve");
	if (public_point(d, point) < 0)
		return openssl_err(e, "P-256 public key");
	buf_u8(priv, ALG_FORM);
	buf_put(priv, in->a.p, SCALAR);
	buf_put(pub, point, sizeof(point));
	*bits = 256;
	return 0;
}

static int generate(unsigned bits, struct buf *priv, struct buf *pub, struct err *e)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	CLEAN(bn) BIGNUM *d = NULL;
	uint8_t scalar[SCALAR];
	int rc = -1;

	if (key && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1 &&
	    BN_bn2binpad(d, scalar, SCALAR) == SCALAR)
		rc = import(&(struct key_new){.a = {scalar, SCALAR}}, priv, pub, &bits, e);
	else
		openssl_err(e, "P-256 key generation");
	OPENSSL_cleanse(scalar, sizeof(scalar));
	EVP_PKEY_free(key);
	return rc;
}

static EVP_PKEY *build(const BIGNUM *d, const uint8_t point[static POINT])
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	if (bld && ctx &&
	    OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, POINT) == 1 &&
	    OSSL_PARAM_BLD_push_BN_pad(bld, OSSL_PKEY_PARAM_PRIV_KEY, d, SCALAR) == 1 &&
	    (params = OSSL_PARAM_BLD_to_param(bld)) && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static int load(struct bytes priv, struct alg_key *key, struct err *e)
{
	uint8_t point[POINT];

	if (priv.len != SCALAR)
		return err_set(e, ERR_BAD_KEY, "stored P-256 key is malformed");
	CLEAN(bn) BIGNUM *d = bn_secret(priv);

	if (!d || public_point(d, point) < 0)
		return openssl_err(e, "P-256 public key");
	key->pkey.key = build(d, point);
	if (!key->pkey.key)
		return openssl_err(e, "P-256 key");
	key->bits = 256;
	return 0;
}

static void unload(struct alg_key *key)
{
	pkey_free(&key->pkey);
}

static size_t sig_len(const struct alg_key *key)
{
	(void)key;
	return SIG;
}

/* OpenSSL's DER to r, s. */
static int to_raw(const uint8_t *der, size_t n, uint8_t sig[static SIG])
{
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &der, (long)n);
	bool ok = s && BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, SCALAR) == SCALAR &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + SCALAR, SCALAR) == SCALAR;

	ECDSA_SIG_free(s);
	return ok ? 0 : -1;
}

static int to_der(const uint8_t sig[static SIG], uint8_t der[static DER_MAX], size_t *n)
{
	BIGNUM *r = BN_bin2bn(sig, SCALAR, NULL), *s = BN_bin2bn(sig + SCALAR, SCALAR, NULL);
	ECDSA_SIG *both = ECDSA_SIG_new();
	int len = -1;

	if (r && s && both && ECDSA_SIG_set0(both, r, s) == 1) {
		r = s = NULL;
		len = i2d_ECDSA_SIG(both, &der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(both);
	*n = (size_t)len;
	return len > 0 ? 0 : -1;
}

static int sign(struct alg_key *key, struct alg_thread *t, const struct mode_row *mode,
		struct bytes msg, uint8_t *sig, struct err *e)
{
	struct pkey_ctx *c = pkey_take(&key->pkey, t, mode, false, NULL, e);
	uint8_t der[DER_MAX];
	size_t n = sizeof(der);

	if (!c)
		return -1;
	bool ok = EVP_PKEY_sign(c->ctx, der, &n, msg.p, msg.len) == 1 && to_raw(der, n, sig) == 0;

	pkey_give(&key->pkey, t, c);
	return ok ? 0 : openssl_err(e, "ECDSA");
}

static int verify(struct alg_key *key, struct alg_thread *t, const struct mode_row *mode,
		  struct bytes msg, const uint8_t *sig, struct err *e)
{
	struct pkey_ctx *c = pkey_take(&key->pkey, t, mode, true, NULL, e);
	uint8_t der[DER_MAX];
	size_t n;

	if (!c)
		return -1;
	bool ok = to_der(sig, der, &n) == 0 && EVP_PKEY_verify(c->ctx, der, n, msg.p, msg.len) == 1;

	pkey_give(&key->pkey, t, c);
	ERR_clear_error();
	return ok ? 0 : err_set(e, ERR_NOT_VERIFIED, NULL);
}

const struct alg_ops alg_p256 = {
	KEY_P256, generate, import, load, unload, sig_len, sign, verify,
};
