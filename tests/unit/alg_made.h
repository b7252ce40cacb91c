/* Keys made for tests of keyd's algorithms, released at the end of their scope. */
#ifndef TESTS_ALG_MADE_H
#define TESTS_ALG_MADE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "hsm/keyd/alg/alg.h"

#define ARENA ((size_t)2 << 20)
#define MAX_MESSAGE 65536
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct made {
	struct buf priv, pub;
	struct alg_key *key;
	unsigned bits;
};

static struct alg_thread *thread;
static BN_CTX *bn_ctx; /* prime generation takes no NULL */

static inline void made_init(struct made *m)
{
	memset(m, 0, sizeof(*m));
	buf_init(&m->priv, ALG_PRIV_MAX);
	m->priv.secret = true;
	buf_init(&m->pub, ALG_PUB_MAX);
}

static inline void cleanup_made(struct made *m)
{
	alg_unload(m->key);
	buf_free(&m->priv);
	buf_free(&m->pub);
}

static inline void load(struct made *m, enum key_type type)
{
	struct err e = {0};

	if (alg_load(type, (struct bytes){m->priv.p, m->priv.len}, &m->key, &e))
		fail_msg("load: %s", e.text);
}

static inline void generate(struct made *m, enum key_type type, unsigned bits)
{
	struct err e = {0};

	made_init(m);
	if (alg_generate(type, bits, &m->priv, &m->pub, &e))
		fail_msg("generate: %s", e.text);
	load(m, type);
}

static inline int setup(void **state)
{
	struct err e;

	(void)state;
	if (alg_init(ARENA, &e) || !(thread = alg_thread_new(MAX_MESSAGE, &e))) {
		fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	bn_ctx = BN_CTX_new();
	return bn_ctx ? 0 : -1;
}

static inline int teardown(void **state)
{
	(void)state;
	BN_CTX_free(bn_ctx);
	alg_thread_free(thread);
	return 0;
}

#endif
