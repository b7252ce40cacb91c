#include "crypto/ed25519.h"

#include <lib25519.h>
#include <sodium.h>
#include <string.h>

void ed25519_keypair(uint8_t pub[static 32], uint8_t sk[static 64], const uint8_t seed[static 32])
{
	/* lib25519 makes only random pairs; the 64 bytes have the same form in both. */
	crypto_sign_seed_keypair(pub, sk, seed);
}

void ed25519_generate(uint8_t pub[static 32], uint8_t sk[static 64])
{
	lib25519_sign_keypair(pub, sk);
}

void ed25519_sign(uint8_t sig[static 64], const void *m, size_t n, const uint8_t sk[static 64])
{
	crypto_sign_detached(sig, NULL, m, n, sk);
}

void ed25519_sign_fast(uint8_t sig[static 64], const void *m, size_t n, const uint8_t sk[static 64],
		       uint8_t *scratch)
{
	uint8_t *room = scratch + ED25519_SIG_LEN;
	long long len;

	/* lib25519 writes signature and message into one buffer. It moves the message
	 * with memmove before anything else, so it may already be in place. */
	if (n && m != room)
		memmove(room, m, n);
	lib25519_sign(scratch, &len, room, (long long)n, sk);
	memcpy(sig, scratch, ED25519_SIG_LEN);
}

/* Points of order 1, 2, 4 and 8, sign bit cleared (the same list is in libsodium). A
 * signature under such a key can be valid for every message; lib25519 accepts them. */
static const uint8_t small_order[][32] = {
	{0x00},
	{0x01},
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
	 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
	 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
	 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
	 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
};

static int has_small_order(const uint8_t point[static 32])
{
	uint8_t y[32];

	memcpy(y, point, 32);
	y[31] &= 0x7f;
	for (size_t i = 0; i < sizeof(small_order) / sizeof(small_order[0]); i++)
		if (memcmp(y, small_order[i], 32) == 0)
			return 1;
	return 0;
}

int ed25519_verify(const uint8_t sig[static 64], const void *m, size_t n,
		   const uint8_t pub[static 32], uint8_t *scratch)
{
	long long len;

	if (!scratch)
		return crypto_sign_verify_detached(sig, m, n, pub);
	/* libsodium refuses these too: the answer must not depend on the library. */
	if (has_small_order(pub) || has_small_order(sig))
		return -1;
	if (n)
		memmove(scratch + ED25519_SIG_LEN, m, n);
	memcpy(scratch, sig, ED25519_SIG_LEN);
	/* The opened message lands in the same memory (memmove inside). */
	return lib25519_sign_open(scratch, &len, scratch, (long long)(n + ED25519_SIG_LEN), pub);
}

void ed25519_to_x25519_secret(uint8_t out[static 32], const uint8_t seed[static 32])
{
	/* Reads only the seed half of the 64 bytes. */
	crypto_sign_ed25519_sk_to_curve25519(out, seed);
}

int ed25519_to_x25519_public(uint8_t out[static 32], const uint8_t pub[static 32])
{
	return crypto_sign_ed25519_pk_to_curve25519(out, pub);
}
