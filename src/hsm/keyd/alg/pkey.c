/* Contexts of OpenSSL keys. Making one per signature takes fetches, reference
 * counts and locks that all threads share. */
#include <stdatomic.h>
#include <stdlib.h>

#include "hsm/keyd/alg/alg_impl.h"

static void ctx_free(struct pkey_ctx *c)
{
	if (!c)
		return;
	EVP_PKEY_CTX_free(c->ctx);
	free(c);
}

static struct pkey_ctx *ctx_new(struct pkey *k)
{
	struct pkey_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->key, NULL);
	if (!c->ctx) {
		free(c);
		return NULL;
	}
	return c;
}

struct pkey_ctx *pkey_take(struct pkey *k, const struct alg_thread *t, const struct mode_row *mode,
			   bool verify, pkey_set_mode *set_mode, struct err *e)
{
	struct pkey_ctx *c = atomic_exchange(&k->slot[t->number % PKEY_SLOTS], NULL);

	if (c && c->mode == mode->mode && c->verify == verify)
		return c;
	if (!c)
		c = ctx_new(k);
	if (!c) {
		openssl_err(e, "key context");
		return NULL;
	}
	int ok = verify ? EVP_PKEY_verify_init(c->ctx) : EVP_PKEY_sign_init(c->ctx);

	if (ok != 1 || (set_mode && set_mode(c->ctx, mode) != 1)) {
		openssl_err(e, "key context");
		ctx_free(c);
		return NULL;
	}
	c->mode = mode->mode;
	c->verify = verify;
	return c;
}

void pkey_give(struct pkey *k, const struct alg_thread *t, struct pkey_ctx *c)
{
	/* Threads that share a slot can meet here: one context is left over. */
	ctx_free(atomic_exchange(&k->slot[t->number % PKEY_SLOTS], c));
}

void pkey_free(struct pkey *k)
{
	for (unsigned i = 0; i < PKEY_SLOTS; i++)
		ctx_free(atomic_exchange(&k->slot[i], NULL));
	EVP_PKEY_free(k->key);
	k->key = NULL;
}
