/* Low-level calls as in sha256.c, and for the same reason. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/sha512_256.h"

#include <openssl/sha.h>
#include <string.h>

void sha512_256(uint8_t out[static SHA512_256_LEN], const void *p, size_t n)
{
	/* FIPS 180-4, 5.3.6.2 */
	static const uint64_t start[8] = {
		0x22312194fc2bf72c, 0x9f555fa3c84c64c2, 0x2393b86b6f53b151, 0x963877195940eabd,
		0x96283ee2a88effe3, 0xbe5e1e2553863992, 0x2b0199fc2c85b8aa, 0x0eb72ddc81c52ca2,
	};
	uint8_t digest[SHA512_DIGEST_LENGTH];
	SHA512_CTX c;

	SHA512_Init(&c);
	for (size_t i = 0; i < 8; i++)
		c.h[i] = start[i];
	SHA512_Update(&c, p, n);
	SHA512_Final(digest, &c);
	memcpy(out, digest, SHA512_256_LEN);
}
