/* Noise_IK_25519_ChaChaPoly_SHA256, Noise Protocol Framework revision 34:
 *
 *   <- s
 *   ...
 *   -> e, es, s, ss
 *   <- e, ee, se
 */
#include <string.h>

#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "crypto/kdf.h"
#include "crypto/sha256.h"
#include "crypto/x25519.h"
#include "proto/session.h"

static const char protocol_name[] = "Noise_IK_25519_ChaChaPoly_SHA256";
_Static_assert(sizeof(protocol_name) - 1 == 32, "a 32-byte name is the first hash itself");

static void mix_hash(struct noise *st, const void *p, size_t n)
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, st->h, sizeof(st->h));
	sha256_update(&s, p, n);
	sha256_final(&s, st->h);
}

/* HKDF of section 4.3 with two outputs. */
static void hkdf2(uint8_t out1[static 32], uint8_t out2[static 32], const uint8_t ck[static 32],
		  const void *ikm, size_t n)
{
	static const uint8_t one = 1, two = 2;
	uint8_t temp[32];

	kdf_hmac(temp, ck, 32, ikm, n);
	kdf_hmac(out1, temp, sizeof(temp), &one, 1);
	kdf_hmac2(out2, temp, sizeof(temp), out1, 32, &two, 1);
	explicit_bzero(temp, sizeof(temp));
}

/* MixKey(DH(secret, pub)). */
static int mix_dh(struct noise *st, const uint8_t secret[static 32], const uint8_t pub[static 32],
		  struct err *e)
{
	uint8_t dh[32], ck[32];

	if (x25519_shared(dh, secret, pub))
		return err_set(e, ERR_BAD_PROOF, "a public key has small order");
	hkdf2(ck, st->k, st->ck, dh, sizeof(dh));
	memcpy(st->ck, ck, sizeof(ck));
	st->n = 0;
	explicit_bzero(dh, sizeof(dh));
	explicit_bzero(ck, sizeof(ck));
	return 0;
}

static void nonce_of(uint8_t nonce[static 12], uint64_t n)
{
	memset(nonce, 0, 4);
	le64_store(nonce + 4, n);
}

static void encrypt_and_hash(struct noise *st, struct buf *out, const void *p, size_t n)
{
	uint8_t nonce[12];
	uint8_t *c = buf_space(out, n + NOISE_TAG);

	if (!c)
		return;
	nonce_of(nonce, st->n++);
	aead_seal(c, p, n, st->h, sizeof(st->h), nonce, st->k);
	mix_hash(st, c, n + NOISE_TAG);
}

static int decrypt_and_hash(struct noise *st, uint8_t *plain, const uint8_t *c, size_t n,
			    struct err *e)
{
	uint8_t nonce[12];

	nonce_of(nonce, st->n++);
	if (aead_open(plain, c, n, st->h, sizeof(st->h), nonce, st->k))
		return err_set(e, ERR_BAD_PROOF, NULL);
	mix_hash(st, c, n);
	return 0;
}

void noise_init(struct noise *st, const uint8_t s[static 32], const uint8_t resp_pub[static 32],
		const uint8_t *eph, const void *prologue, size_t prologue_len)
{
	memset(st, 0, sizeof(*st));
	memcpy(st->h, protocol_name, sizeof(st->h));
	memcpy(st->ck, st->h, sizeof(st->ck));
	memcpy(st->s, s, sizeof(st->s));
	x25519_public(st->s_pub, s);
	if (eph)
		memcpy(st->e, eph, sizeof(st->e));
	else
		crypto_random(st->e, sizeof(st->e));
	x25519_public(st->e_pub, st->e);
	memcpy(st->rs, resp_pub, sizeof(st->rs));
	mix_hash(st, prologue, prologue_len);
	mix_hash(st, resp_pub, 32);
}

int noise_write1(struct noise *st, struct buf *out, const void *payload, size_t n, struct err *e)
{
	buf_put(out, st->e_pub, sizeof(st->e_pub));
	mix_hash(st, st->e_pub, sizeof(st->e_pub));
	if (mix_dh(st, st->e, st->rs, e))
		return -1;
	encrypt_and_hash(st, out, st->s_pub, sizeof(st->s_pub));
	if (mix_dh(st, st->s, st->rs, e))
		return -1;
	encrypt_and_hash(st, out, payload, n);
	return out->bad ? err_set(e, ERR_TOO_LARGE, "opening does not fit") : 0;
}

int noise_read1_who(struct noise *st, const uint8_t *msg, size_t n, struct err *e)
{
	if (n < NOISE_MSG1)
		return err_set(e, ERR_BAD_FRAME, "opening is too short");
	memcpy(st->re, msg, sizeof(st->re));
	mix_hash(st, st->re, sizeof(st->re));
	if (mix_dh(st, st->s, st->re, e))
		return -1;
	return decrypt_and_hash(st, st->rs, msg + NOISE_KEY, NOISE_KEY + NOISE_TAG, e);
}

int noise_read1_rest(struct noise *st, const uint8_t *msg, size_t n, uint8_t *payload,
		     struct err *e)
{
	size_t at = NOISE_KEY + NOISE_KEY + NOISE_TAG;

	if (mix_dh(st, st->s, st->rs, e))
		return -1;
	return decrypt_and_hash(st, payload, msg + at, n - at, e);
}

static void split(struct noise *st, struct noise_keys *keys)
{
	hkdf2(keys->c2s, keys->s2c, st->ck, NULL, 0);
	explicit_bzero(st, sizeof(*st));
}

int noise_write2(struct noise *st, struct buf *out, const void *payload, size_t n,
		 struct noise_keys *keys, struct err *e)
{
	buf_put(out, st->e_pub, sizeof(st->e_pub));
	mix_hash(st, st->e_pub, sizeof(st->e_pub));
	if (mix_dh(st, st->e, st->re, e) || mix_dh(st, st->e, st->rs, e))
		return -1;
	encrypt_and_hash(st, out, payload, n);
	split(st, keys);
	return out->bad ? err_set(e, ERR_TOO_LARGE, "answer does not fit") : 0;
}

int noise_read2(struct noise *st, const uint8_t *msg, size_t n, uint8_t *payload,
		struct noise_keys *keys, struct err *e)
{
	if (n < NOISE_MSG2)
		return err_set(e, ERR_BAD_FRAME, "answer is too short");
	memcpy(st->re, msg, sizeof(st->re));
	mix_hash(st, st->re, sizeof(st->re));
	if (mix_dh(st, st->e, st->re, e) || mix_dh(st, st->s, st->re, e) ||
	    decrypt_and_hash(st, payload, msg + NOISE_KEY, n - NOISE_KEY, e))
		return -1;
	split(st, keys);
	return 0;
}
