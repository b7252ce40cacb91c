#include "crypto/x25519.h"

#include <lib25519.h>
#include <sodium.h>

void x25519_public(uint8_t pub[static 32], const uint8_t secret[static 32])
{
	static const uint8_t base[32] = {9};

	/* lib25519's stable interface makes only random pairs; this is still faster
	 * than libsodium's fixed-base multiplication. */
	lib25519_dh(pub, base, secret);
}

int x25519_shared(uint8_t out[static 32], const uint8_t secret[static 32],
		  const uint8_t pub[static 32])
{
	lib25519_dh(out, pub, secret);
	return sodium_is_zero(out, 32) ? -1 : 0;
}
