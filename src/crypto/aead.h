/* Authenticated encryption by libsodium: ChaCha20-Poly1305 (RFC 8439) for sessions,
 * XChaCha20-Poly1305 (random nonces) for records. The ciphertext is n + 16 bytes;
 * out may be the same memory as the input. */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_LEN 32
#define AEAD_TAG_LEN 16
#define AEAD_NONCE_LEN 12
#define AEAD_XNONCE_LEN 24

/* out has n + AEAD_TAG_LEN bytes. */
void aead_seal(uint8_t *out, const void *m, size_t n, const void *ad, size_t adlen,
	       const uint8_t nonce[static 12], const uint8_t key[static 32]);
/* n counts the tag; out has n - AEAD_TAG_LEN bytes. 0, or -1 when c is too short or
 * not what was sealed (out then holds nothing of it). */
int aead_open(uint8_t *out, const void *c, size_t n, const void *ad, size_t adlen,
	      const uint8_t nonce[static 12], const uint8_t key[static 32]);

/* The same with a 24-byte nonce. */
void aead_xseal(uint8_t *out, const void *m, size_t n, const void *ad, size_t adlen,
		const uint8_t nonce[static 24], const uint8_t key[static 32]);
int aead_xopen(uint8_t *out, const void *c, size_t n, const void *ad, size_t adlen,
	       const uint8_t nonce[static 24], const uint8_t key[static 32]);

#endif
