#include "crypto/kdf.h"

#include <sodium.h>
#include <string.h>

void kdf_hmac2(uint8_t out[static 32], const void *key, size_t keylen, const void *a, size_t an,
	       const void *b, size_t bn)
{
	crypto_auth_hmacsha256_state st;

	crypto_auth_hmacsha256_init(&st, key, keylen);
	crypto_auth_hmacsha256_update(&st, a, an);
	crypto_auth_hmacsha256_update(&st, b, bn);
	crypto_auth_hmacsha256_final(&st, out);
	sodium_memzero(&st, sizeof(st));
}

void kdf_hmac(uint8_t out[static 32], const void *key, size_t keylen, const void *m, size_t n)
{
	kdf_hmac2(out, key, keylen, m, n, NULL, 0);
}

void kdf_extract(uint8_t prk[static 32], const void *salt, size_t saltlen, const void *ikm,
		 size_t n)
{
	kdf_hmac(prk, salt, saltlen, ikm, n);
}

int kdf_expand(uint8_t *out, size_t len, const uint8_t prk[static 32], const void *info,
	       size_t infolen)
{
	crypto_auth_hmacsha256_state st;
	uint8_t t[KDF_HMAC_LEN];

	if (len > 255 * KDF_HMAC_LEN)
		return -1;
	for (uint8_t i = 1; len; i++) {
		size_t take = len < sizeof(t) ? len : sizeof(t);

		crypto_auth_hmacsha256_init(&st, prk, 32);
		if (i > 1)
			crypto_auth_hmacsha256_update(&st, t, sizeof(t));
		crypto_auth_hmacsha256_update(&st, info, infolen);
		crypto_auth_hmacsha256_update(&st, &i, 1);
		crypto_auth_hmacsha256_final(&st, t);
		memcpy(out, t, take);
		out += take;
		len -= take;
	}
	sodium_memzero(&st, sizeof(st));
	sodium_memzero(t, sizeof(t));
	return 0;
}

void kdf_blake2b(uint8_t *out, size_t outlen, const void *key, size_t keylen, const void *m,
		 size_t n)
{
	crypto_generichash(out, outlen, m, n, key, keylen);
}

int kdf_argon2id(uint8_t *out, size_t outlen, const void *pw, size_t pwlen,
		 const uint8_t salt[static 16], uint64_t opslimit, size_t memlimit)
{
	return crypto_pwhash(out, outlen, pw, pwlen, salt, opslimit, memlimit,
			     crypto_pwhash_ALG_ARGON2ID13);
}
