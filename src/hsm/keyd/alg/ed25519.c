/* Ed25519 by lib25519. Signatures are hedged: fresh randomness goes into the nonce.
 * Verification is cofactorless and recomputes R, as RFC 8032 allows: S >= L and
 * encodings of R other than the canonical one are refused. */
#include "crypto/ed25519.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/crypto.h"
#include "hsm/keyd/alg/alg_impl.h"

static int form(const uint8_t *seed, struct buf *priv, struct buf *pub)
{
	uint8_t pk[ED25519_PUB_LEN], sk[ED25519_SK_LEN];

	ed25519_keypair(pk, sk, seed);
	buf_u8(priv, ALG_FORM);
	buf_put(priv, seed, ED25519_SEED_LEN);
	buf_put(pub, pk, sizeof(pk));
	secret_wipe(sk, sizeof(sk));
	return 0;
}

static int generate(unsigned bits, struct buf *priv, struct buf *pub, struct err *e)
{
	uint8_t seed[ED25519_SEED_LEN];

	(void)bits, (void)e;
	crypto_random(seed, sizeof(seed));
	form(seed, priv, pub);
	secret_wipe(seed, sizeof(seed));
	return 0;
}

static int import(const struct key_new *in, struct buf *priv, struct buf *pub, unsigned *bits,
		  struct err *e)
{
	if (in->a.len != ED25519_SEED_LEN || in->b.len || in->c.len)
		return err_set(e, ERR_BAD_KEY, "an Ed25519 private key is a seed of 32 bytes");
	*bits = 256;
	return form(in->a.p, priv, pub);
}

static int load(struct bytes priv, struct alg_key *key, struct err *e)
{
	uint8_t pk[ED25519_PUB_LEN];

	if (priv.len != ED25519_SEED_LEN)
		return err_set(e, ERR_BAD_KEY, "stored Ed25519 key is malformed");
	/* The public half is computed, never stored: a wrong one would give the key away. */
	ed25519_keypair(pk, key->ed25519, priv.p);
	key->bits = 256;
	return 0;
}

static void unload(struct alg_key *key)
{
	secret_wipe(key->ed25519, sizeof(key->ed25519));
}

static size_t sig_len(const struct alg_key *key)
{
	(void)key;
	return ED25519_SIG_LEN;
}

static int sign(struct alg_key *key, struct alg_thread *t, const struct mode_row *mode,
		struct bytes msg, uint8_t *sig, struct err *e)
{
	(void)mode, (void)e;
	ed25519_sign_fast(sig, msg.p, msg.len, key->ed25519, t->scratch);
	return 0;
}

static int verify(struct alg_key *key, struct alg_thread *t, const struct mode_row *mode,
		  struct bytes msg, const uint8_t *sig, struct err *e)
{
	(void)mode;
	if (ed25519_verify(sig, msg.p, msg.len, key->ed25519 + 32, t->scratch) < 0)
		return err_set(e, ERR_NOT_VERIFIED, NULL);
	return 0;
}

const struct alg_ops alg_ed25519 = {
	KEY_ED25519, generate, import, load, unload, sig_len, sign, verify,
};
