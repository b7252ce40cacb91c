/* X25519 (RFC 7748) by lib25519. */
#ifndef CRYPTO_X25519_H
#define CRYPTO_X25519_H

#include <stdint.h>

#define X25519_LEN 32

/* Public key of a secret key; the secret is clamped inside, as the RFC says. */
void x25519_public(uint8_t pub[static 32], const uint8_t secret[static 32]);
/* Shared secret; -1 when it is all zero (a public key of small order). */
int x25519_shared(uint8_t out[static 32], const uint8_t secret[static 32],
		  const uint8_t pub[static 32]);

#endif
