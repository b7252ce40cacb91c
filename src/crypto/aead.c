#include "crypto/aead.h"

#include <sodium.h>

void aead_seal(uint8_t *out, const void *m, size_t n, const void *ad, size_t adlen,
	       const uint8_t nonce[static 12], const uint8_t key[static 32])
{
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, m, n, ad, adlen, NULL, nonce, key);
}

int aead_open(uint8_t *out, const void *c, size_t n, const void *ad, size_t adlen,
	      const uint8_t nonce[static 12], const uint8_t key[static 32])
{
	return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, c, n, ad, adlen, nonce,
							 key);
}

void aead_xseal(uint8_t *out, const void *m, size_t n, const void *ad, size_t adlen,
		const uint8_t nonce[static 24], const uint8_t key[static 32])
{
	crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, m, n, ad, adlen, NULL, nonce, key);
}

int aead_xopen(uint8_t *out, const void *c, size_t n, const void *ad, size_t adlen,
	       const uint8_t nonce[static 24], const uint8_t key[static 32])
{
	return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, c, n, ad, adlen, nonce,
							  key);
}
