/* Keyed hashes and key derivation by libsodium. */
#ifndef CRYPTO_KDF_H
#define CRYPTO_KDF_H

#include <stddef.h>
#include <stdint.h>

#define KDF_HMAC_LEN 32

/* HMAC-SHA-256 (RFC 2104). */
void kdf_hmac(uint8_t out[static 32], const void *key, size_t keylen, const void *m, size_t n);
/* HMAC-SHA-256 of a then b, as Noise's HKDF and HKDF itself need. */
void kdf_hmac2(uint8_t out[static 32], const void *key, size_t keylen, const void *a, size_t an,
	       const void *b, size_t bn);

/* HKDF-SHA-256 (RFC 5869). */
void kdf_extract(uint8_t prk[static 32], const void *salt, size_t saltlen, const void *ikm,
		 size_t n);
/* len at most 255 * 32; 0, or -1 when it is more. */
int kdf_expand(uint8_t *out, size_t len, const uint8_t prk[static 32], const void *info,
	       size_t infolen);

/* BLAKE2b with a key (NULL and 0: none, at most 64 bytes), outlen 16 to 64. */
void kdf_blake2b(uint8_t *out, size_t outlen, const void *key, size_t keylen, const void *m,
		 size_t n);

/* Argon2id 1.3 of a passphrase: out of outlen bytes (16 at least), salt of 16 bytes,
 * opslimit passes, memlimit bytes. Takes that memory and long. 0, or -1 when the
 * memory is not there or a parameter is out of range. */
int kdf_argon2id(uint8_t *out, size_t outlen, const void *pw, size_t pwlen,
		 const uint8_t salt[static 16], uint64_t opslimit, size_t memlimit);

#endif
