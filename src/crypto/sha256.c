/* The low-level calls are marked deprecated in OpenSSL 3 in favour of EVP, which
 * allocates and fetches providers; they are the same code beneath. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/sha256.h"

#include <openssl/crypto.h>

void sha256_init(struct sha256 *s)
{
	SHA256_Init(&s->ctx);
}

void sha256_update(struct sha256 *s, const void *p, size_t n)
{
	SHA256_Update(&s->ctx, p, n);
}

void sha256_final(struct sha256 *s, uint8_t out[static SHA256_LEN])
{
	SHA256_Final(out, &s->ctx);
	OPENSSL_cleanse(&s->ctx, sizeof(s->ctx));
}

void sha256(uint8_t out[static SHA256_LEN], const void *p, size_t n)
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, p, n);
	sha256_final(&s, out);
}
