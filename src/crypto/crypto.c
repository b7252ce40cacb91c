#include "crypto/crypto.h"

#include <lib25519.h>
#include <sodium.h>

int crypto_init(void)
{
	uint8_t pk[32], sk[64];

	if (sodium_init() < 0)
		return -1;
	/* librandombytes and lib25519 choose their implementations on first use, with
	 * system calls and CPUID: here, while no sandbox forbids it. */
	lib25519_sign_keypair(pk, sk);
	sodium_memzero(sk, sizeof(sk));
	return 0;
}

void crypto_random(void *p, size_t n)
{
	randombytes_buf(p, n);
}
