#include "hsm/keyd/alg/rsa_key.h"

#include <openssl/err.h>

#include "hsm/keyd/alg/alg_impl.h"

#define E_LEN 32    /* bytes: e < 2^256 (FIPS 186-5, A.1.1) */
#define E_LEN_BIG 8 /* OpenSSL's limit for moduli over BIG_BITS */
#define BIG_BITS 3072
#define MIN_BITS 1024 /* of a stored key; import and generate ask for more */
#define MAX_BITS (RSA_MAX_BYTES * 8)

/* Stored width of a number in bytes. */
static size_t width(int i, unsigned bits)
{
	if (i == RSA_E)
		return E_LEN;
	return i == RSA_N || i == RSA_D ? bits / 8 : (bits / 2 + 7) / 8;
}

static struct bytes trim(struct bytes b)
{
	while (b.len && b.p[0] == 0) {
		b.p++;
		b.len--;
	}
	return b;
}

static unsigned top_bit(uint8_t v)
{
	return v ? 32 - (unsigned)__builtin_clz(v) : 0;
}

static unsigned bit_len(struct bytes b)
{
	b = trim(b);
	return b.len ? (unsigned)(b.len - 1) * 8 + top_bit(b.p[0]) : 0;
}

int rsa_key_check(const struct key_new *in, struct err *e)
{
	struct bytes x = trim(in->a);
	const struct key_type_row *row = key_type_row(KEY_RSA);
	unsigned p = bit_len(in->b), q = bit_len(in->c);

	if (in->b.len > RSA_MAX_BYTES || in->c.len > RSA_MAX_BYTES || in->a.len > RSA_MAX_BYTES)
		return err_set(e, ERR_BAD_KEY, "RSA number is too long");
	if (x.len > E_LEN || bit_len(x) < 17 || !(x.p[x.len - 1] & 1))
		return err_set(e, ERR_BAD_KEY,
			       "RSA public exponent is not odd between 65537 and 2^256");
	if (p != q)
		return err_set(e, ERR_BAD_KEY, "RSA primes have %u and %u bits: not equal", p, q);
	if (p < row->min_bits / 2 || p > row->max_bits / 2 || p % 4)
		return err_set(e, ERR_BAD_KEY, "RSA key is not of %u to %u bits in steps of 8",
			       row->min_bits, row->max_bits);
	if (p * 2 > BIG_BITS && x.len > E_LEN_BIG)
		return err_set(e, ERR_BAD_KEY,
			       "RSA public exponent is over 2^64, too large for over %d bits",
			       BIG_BITS);
	return 0;
}

static int alloc(struct rsa_key *k)
{
	for (int i = 0; i < RSA_NUMBERS; i++) {
		if (!k->bn[i])
			k->bn[i] = BN_new();
		if (!k->bn[i])
			return -1;
		if (i != RSA_N && i != RSA_E)
			BN_set_flags(k->bn[i], BN_FLG_CONSTTIME);
	}
	return 0;
}

/* d = 1/e mod lcm(p-1, q-1), and so on. -1 without reason: no inverse, or memory. */
static int complete(struct rsa_key *k, BN_CTX *ctx)
{
	BIGNUM **n = k->bn;
	CLEAN(bn) BIGNUM *p1 = BN_dup(n[RSA_P]);
	CLEAN(bn) BIGNUM *q1 = BN_dup(n[RSA_Q]);
	CLEAN(bn) BIGNUM *gcd = BN_new();
	CLEAN(bn) BIGNUM *lcm = BN_new();

	if (!p1 || !q1 || !gcd || !lcm || !BN_sub_word(p1, 1) || !BN_sub_word(q1, 1))
		return -1;
	BN_set_flags(p1, BN_FLG_CONSTTIME);
	BN_set_flags(q1, BN_FLG_CONSTTIME);
	BN_set_flags(gcd, BN_FLG_CONSTTIME);
	BN_set_flags(lcm, BN_FLG_CONSTTIME);
	/* BN_gcd is constant-time; the division of a secret takes the flag's path. */
	if (!BN_mul(n[RSA_N], n[RSA_P], n[RSA_Q], ctx) || !BN_gcd(gcd, p1, q1, ctx) ||
	    !BN_mul(lcm, p1, q1, ctx) || !BN_div(lcm, NULL, lcm, gcd, ctx) ||
	    !BN_mod_inverse(n[RSA_D], n[RSA_E], lcm, ctx) ||
	    !BN_mod(n[RSA_DP], n[RSA_D], p1, ctx) || !BN_mod(n[RSA_DQ], n[RSA_D], q1, ctx) ||
	    !BN_mod_inverse(n[RSA_QINV], n[RSA_Q], n[RSA_P], ctx))
		return -1;
	return 0;
}

int rsa_key_complete(struct rsa_key *k, struct err *e)
{
	CLEAN(bn_ctx) BN_CTX *ctx = BN_CTX_secure_new();

	if (!ctx || alloc(k) < 0)
		return openssl_err(e, "RSA numbers");
	if (BN_ucmp(k->bn[RSA_P], k->bn[RSA_Q]) < 0)
		BN_swap(k->bn[RSA_P], k->bn[RSA_Q]);
	if (complete(k, ctx) < 0) {
		bool no_inverse = ERR_GET_REASON(ERR_peek_last_error()) == BN_R_NO_INVERSE;

		if (!no_inverse)
			return openssl_err(e, "RSA numbers");
		ERR_clear_error();
		return err_set(e, ERR_BAD_KEY,
			       "RSA public exponent has a factor in common with p-1 or q-1");
	}
	k->bits = (unsigned)BN_num_bits(k->bn[RSA_N]);
	return 0;
}

/* FIPS 186-5, A.1.1: |p - q| > 2^(bits/2 - 100), else n is easy to factor. */
static bool far_apart(const BIGNUM *p, const BIGNUM *q)
{
	CLEAN(bn) BIGNUM *d = BN_new();

	return d && BN_sub(d, p, q) && BN_num_bits(d) > BN_num_bits(p) - 100;
}

int rsa_key_derive(struct rsa_key *k, struct bytes exponent, struct bytes p, struct bytes q,
		   struct err *e)
{
	CLEAN(bn_ctx) BN_CTX *ctx = BN_CTX_secure_new();

	k->bn[RSA_E] = bn_secret(exponent);
	k->bn[RSA_P] = bn_secret(p);
	k->bn[RSA_Q] = bn_secret(q);
	if (!ctx || !k->bn[RSA_E] || !k->bn[RSA_P] || !k->bn[RSA_Q])
		return err_set(e, ERR_NOMEM, NULL);
	if (!far_apart(k->bn[RSA_P], k->bn[RSA_Q]))
		return err_set(e, ERR_BAD_KEY, "RSA primes are equal or too close to each other");
	for (int i = RSA_P; i <= RSA_Q; i++) {
		int prime = BN_check_prime(k->bn[i], ctx, NULL);

		if (prime < 0)
			return openssl_err(e, "RSA primality test");
		if (!prime)
			return err_set(e, ERR_BAD_KEY, "RSA number given as a prime is not prime");
	}
	if (rsa_key_complete(k, e) < 0)
		return -1;
	if (k->bits % 8)
		return err_set(e, ERR_BAD_KEY, "RSA modulus has %u bits, not a multiple of 8",
			       k->bits);
	return 0;
}

int rsa_key_put(const struct rsa_key *k, struct buf *priv, struct buf *pub, struct err *e)
{
	uint8_t n[RSA_MAX_BYTES], x[E_LEN];
	int n_len = BN_bn2bin(k->bn[RSA_N], n), x_len = BN_bn2bin(k->bn[RSA_E], x);

	buf_str16(pub, n, (size_t)n_len);
	buf_str16(pub, x, (size_t)x_len);
	buf_u8(priv, ALG_FORM);
	buf_u16(priv, (uint16_t)k->bits);
	for (int i = 0; i < RSA_NUMBERS; i++) {
		size_t w = width(i, k->bits);
		uint8_t *to = buf_space(priv, w);

		if (to && BN_bn2binpad(k->bn[i], to, (int)w) < 0)
			return openssl_err(e, "RSA numbers");
	}
	return 0;
}

int rsa_key_get(struct rsa_key *k, struct bytes form, struct err *e)
{
	CLEAN(bn_ctx) BN_CTX *ctx = BN_CTX_secure_new();
	CLEAN(bn) BIGNUM *n = BN_new();
	struct rd rd;
	bool ok = ctx && n;

	rd_init(&rd, form.p, form.len);
	k->bits = rd_u16(&rd);
	if (k->bits < MIN_BITS || k->bits > MAX_BITS || k->bits % 8)
		return err_set(e, ERR_BAD_KEY, "stored RSA key is malformed");
	for (int i = 0; i < RSA_NUMBERS; i++) {
		size_t w = width(i, k->bits);
		const uint8_t *p = rd_bytes(&rd, w);

		if (!p)
			return err_set(e, ERR_BAD_KEY, "stored RSA key is malformed");
		k->bn[i] = bn_secret((struct bytes){p, w});
		ok = ok && k->bn[i];
	}
	if (!ok)
		return err_set(e, ERR_NOMEM, NULL);
	if (!rd_end(&rd) || !BN_mul(n, k->bn[RSA_P], k->bn[RSA_Q], ctx) ||
	    BN_cmp(n, k->bn[RSA_N]) != 0)
		return err_set(e, ERR_BAD_KEY, "stored RSA key is malformed");
	return 0;
}
