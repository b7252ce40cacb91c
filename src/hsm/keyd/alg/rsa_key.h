/* The numbers of an RSA key: checked, completed, stored and read. */
#ifndef HSM_KEYD_ALG_RSA_KEY_H
#define HSM_KEYD_ALG_RSA_KEY_H

#include "hsm/keyd/alg/bn.h"
#include "proto/body.h"

/* Order of RFC 8017, A.1.2, which is the stored order. */
enum rsa_number { RSA_N, RSA_E, RSA_D, RSA_P, RSA_Q, RSA_DP, RSA_DQ, RSA_QINV, RSA_NUMBERS };

struct rsa_key {
	BIGNUM *bn[RSA_NUMBERS];
	unsigned bits;
};

static inline void cleanup_rsa_key(struct rsa_key *k)
{
	for (int i = 0; i < RSA_NUMBERS; i++)
		BN_clear_free(k->bn[i]);
}

/* Cheap checks of imported components (a exponent, b and c primes, big-endian):
 * sizes and ranges only. Errors: BAD_KEY. */
int rsa_key_check(const struct key_new *in, struct err *e);
/* Key from exponent and primes; proves the primes (about 0.1 s for 2048 bits).
 * Errors: BAD_KEY, INTERNAL. */
int rsa_key_derive(struct rsa_key *k, struct bytes exponent, struct bytes p, struct bytes q,
		   struct err *e);
/* Computes all other numbers from E, P and Q, which are there. */
int rsa_key_complete(struct rsa_key *k, struct err *e);

/* Private form with its first byte: u8 form, u16 bits, then the numbers in their
 * order, big-endian: E has 32 bytes, N and D bits/8, the others half of it, rounded
 * up. Public form: str16 n, str16 e. Errors: INTERNAL. */
int rsa_key_put(const struct rsa_key *k, struct buf *priv, struct buf *pub, struct err *e);
/* Reads a private form without its first byte. Errors: BAD_KEY. */
int rsa_key_get(struct rsa_key *k, struct bytes form, struct err *e);

#endif
