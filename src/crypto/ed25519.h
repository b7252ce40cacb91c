/* Ed25519 (RFC 8032). lib25519 where speed counts, libsodium where the same input
 * must give the same signature or a message is not in one piece of scratch. */
#ifndef CRYPTO_ED25519_H
#define CRYPTO_ED25519_H

#include <stddef.h>
#include <stdint.h>

#define ED25519_SEED_LEN 32
#define ED25519_PUB_LEN 32
#define ED25519_SK_LEN 64 /* seed, then public key: both libraries' form */
#define ED25519_SIG_LEN 64
/* Bytes of scratch for a message of n bytes. */
#define ED25519_SCRATCH(n) ((n) + ED25519_SIG_LEN)

/* Secret and public key of a seed. */
void ed25519_keypair(uint8_t pub[static 32], uint8_t sk[static 64], const uint8_t seed[static 32]);

/* Fresh random pair, faster than a random seed and ed25519_keypair. */
void ed25519_generate(uint8_t pub[static 32], uint8_t sk[static 64]);

/* Deterministic signature as in RFC 8032: no scratch, any length, about half the
 * speed of ed25519_sign_fast. For vectors, NKeys, JWTs. */
void ed25519_sign(uint8_t sig[static 64], const void *m, size_t n, const uint8_t sk[static 64]);

/* Hedged signature (fresh randomness mixed into the nonce, so a glitch in the
 * computation reveals no key): verifies as any other, differs each time. scratch
 * has ED25519_SCRATCH(n) bytes; when m is scratch + 64 nothing is copied. No
 * allocation. */
void ed25519_sign_fast(uint8_t sig[static 64], const void *m, size_t n, const uint8_t sk[static 64],
		       uint8_t *scratch);

/* 0 when the signature is valid, else -1. Signatures with S >= L and public keys of
 * small order are refused, with either library. scratch: ED25519_SCRATCH(n) bytes
 * for speed, or NULL (libsodium, nothing copied). */
int ed25519_verify(const uint8_t sig[static 64], const void *m, size_t n,
		   const uint8_t pub[static 32], uint8_t *scratch);

/* X25519 form of a key: what a Noise session uses of an NKey. The public map is -1
 * for a point that is no key (not on the curve, small order). */
void ed25519_to_x25519_secret(uint8_t out[static 32], const uint8_t seed[static 32]);
int ed25519_to_x25519_public(uint8_t out[static 32], const uint8_t pub[static 32]);

#endif
