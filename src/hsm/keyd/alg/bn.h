/* OpenSSL numbers with cleanup; secret ones are wiped and computed on in constant
 * time. */
#ifndef HSM_KEYD_ALG_BN_H
#define HSM_KEYD_ALG_BN_H

#include <openssl/bn.h>

#include "base/buf.h"
#include "base/cleanup.h"

static inline void cleanup_bn(BIGNUM **b)
{
	BN_clear_free(*b);
}

static inline void cleanup_bn_ctx(BN_CTX **c)
{
	BN_CTX_free(*c);
}

/* From big-endian bytes; NULL without memory. */
static inline BIGNUM *bn_secret(struct bytes b)
{
	BIGNUM *n = BN_new();

	if (!n)
		return NULL;
	BN_set_flags(n, BN_FLG_CONSTTIME);
	if (!BN_bin2bn(b.p, (int)b.len, n)) {
		BN_clear_free(n);
		return NULL;
	}
	return n;
}

#endif
