/* SHA-256 (FIPS 180-4) by OpenSSL's compression function, which uses the SHA
 * instructions. Links libcrypto only; needs no initialisation. */
#ifndef CRYPTO_SHA256_H
#define CRYPTO_SHA256_H

#include <openssl/sha.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32

struct sha256 {
	SHA256_CTX ctx;
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *p, size_t n);
/* Writes the digest and wipes the state. */
void sha256_final(struct sha256 *s, uint8_t out[static SHA256_LEN]);
/* All in one. */
void sha256(uint8_t out[static SHA256_LEN], const void *p, size_t n);

#endif
