/* nk as an executable of its own, for scripts that start it thousands of times; `signbox
 * nk` is the same program. Two things made that start take three times as long: the
 * thousands of addresses that a position-independent OpenSSL has to relocate, a copied
 * page each, and lib25519's choice of implementations in constructors, by CPUID, which
 * leaves a virtual machine each time. This links neither: libsodium stands in for the
 * functions of lib25519 that nk could reach. Only -pre is slower for it. */
#include <lib25519.h>
#include <sodium.h>
#include <stdio.h>

#include "base/secret.h"
#include "box/nk/nk.h"
#include "ui/cli.h"

/* The headers' names are macros for these. */
void lib25519_dh(unsigned char *k, const unsigned char *pub, const unsigned char *secret)
{
	/* The peer's key is always the base point here, which cannot fail. */
	if (crypto_scalarmult(k, secret, pub))
		sodium_memzero(k, 32);
}

void lib25519_sign_keypair(unsigned char *pub, unsigned char *secret)
{
	crypto_sign_keypair(pub, secret);
}

void lib25519_sign(unsigned char *sm, long long *smlen, const unsigned char *m, long long n,
		   const unsigned char *secret)
{
	unsigned long long len;

	crypto_sign(sm, &len, m, (unsigned long long)n, secret);
	*smlen = (long long)len;
}

int lib25519_sign_open(unsigned char *m, long long *mlen, const unsigned char *sm, long long n,
		       const unsigned char *pub)
{
	unsigned long long len;
	int r = crypto_sign_open(m, &len, sm, (unsigned long long)n, pub);

	*mlen = r ? -1 : (long long)len;
	return r;
}

int main(int argc, char **argv)
{
	cli_stdio();
	secret_no_core();
	if (sodium_init() < 0) {
		fputs("nk: cryptography cannot be initialised\n", stderr);
		return 1;
	}
	return nk_main(argc, argv);
}
