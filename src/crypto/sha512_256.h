/* SHA-512/256 (FIPS 180-4): SHA-512 from its own start value, cut to 32 bytes. The ids
 * of NATS JWTs are made with it. Links libcrypto only; needs no initialisation. */
#ifndef CRYPTO_SHA512_256_H
#define CRYPTO_SHA512_256_H

#include <stddef.h>
#include <stdint.h>

#define SHA512_256_LEN 32

void sha512_256(uint8_t out[static SHA512_256_LEN], const void *p, size_t n);

#endif
