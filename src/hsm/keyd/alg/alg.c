#include "hsm/keyd/alg/alg.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "hsm/keyd/alg/alg_impl.h"
#include "hsm/keyd/alg/mem.h"

static const struct alg_ops *const table[] = {&alg_ed25519, &alg_p256, &alg_rsa};
#define NTYPES (sizeof(table) / sizeof(table[0]))
/* The smallest RSA key that all modes fit: the warm-up makes one. */
#define WARM_BITS 1280

static const struct alg_ops *ops_of(unsigned type)
{
	for (size_t i = 0; i < NTYPES; i++)
		if (table[i]->type == type)
			return table[i];
	return NULL;
}

/* Ends what mem_enter began. */
static int leave(int rc, struct err *e)
{
	if (mem_leave() && rc < 0)
		return err_set(e, ERR_NOMEM, "no locked memory left for keys");
	return rc;
}

/* Makes a key's last check: what it signs must verify. */
static int try_key(enum key_type type, const struct buf *priv, enum sign_mode mode, struct err *e)
{
	static const uint8_t text[DIGEST_MAX] = "signbox self-test";
	const struct mode_row *row = mode_row(mode);
	size_t n = row && row->input == INPUT_DIGEST ? mode_hash_len(row->hash) : sizeof(text);
	struct alg_thread *t = alg_thread_new(sizeof(text), e);
	struct alg_key *key = NULL;
	uint8_t sig[SIGNATURE_MAX];
	size_t len = 0;
	int rc = -1;

	if (t && alg_load(type, (struct bytes){priv->p, priv->len}, &key, e) == 0 &&
	    alg_sign(key, t, mode, (struct bytes){text, n}, sig, &len, e) == 0)
		rc = alg_verify(key, t, mode, (struct bytes){text, n}, (struct bytes){sig, len}, e);
	alg_unload(key);
	alg_thread_free(t);
	return rc;
}

static int warm(const struct alg_ops *ops, struct err *e)
{
	const struct key_type_row *row = key_type_row(ops->type);
	unsigned bits = ops->type == KEY_RSA ? WARM_BITS : row->min_bits;
	CLEAN(buf) struct buf priv = {0};
	CLEAN(buf) struct buf pub = {0};

	buf_init(&priv, ALG_PRIV_MAX);
	priv.secret = true;
	buf_init(&pub, ALG_PUB_MAX);
	if (ops->generate(bits, &priv, &pub, e) < 0)
		return -1;
	for (unsigned i = 0; mode_at(i); i++)
		if (mode_at(i)->type == ops->type &&
		    try_key(ops->type, &priv, mode_at(i)->mode, e) < 0)
			return err_wrap(e, "self-test of %s", mode_at(i)->text);
	return 0;
}

int alg_init(size_t arena_bytes, struct err *e)
{
	static bool done;
	/* No openssl.cnf, and no exit handler that runs while workers still sign. */
	uint64_t opts = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT;

	if (done)
		return 0;
	if (mem_init(arena_bytes, e) < 0)
		return -1;
	if (OPENSSL_init_crypto(opts, NULL) != 1)
		return openssl_err(e, "initialisation");
	if (crypto_init() < 0)
		return err_set(e, ERR_INTERNAL, "libsodium cannot be initialised");
	if (hash_init(e) < 0)
		return -1;
	for (size_t i = 0; i < NTYPES; i++)
		if (warm(table[i], e) < 0)
			return -1;
	done = true;
	return 0;
}

void alg_memory(struct arena_stat *s)
{
	arena_stat(mem_arena(), s);
}

struct alg_thread *alg_thread_new(size_t max_message, struct err *e)
{
	static atomic_uint count;
	struct alg_thread *t = calloc(1, sizeof(*t));
	uint8_t byte;

	if (t) {
		t->number = atomic_fetch_add(&count, 1);
		t->max_message = max_message;
		t->scratch = malloc(ED25519_SCRATCH(max_message));
		t->md = EVP_MD_CTX_new();
	}
	/* Random generators are per thread: seeds this thread's. */
	if (!t || !t->scratch || !t->md || RAND_priv_bytes(&byte, 1) != 1 ||
	    RAND_bytes(&byte, 1) != 1) {
		alg_thread_free(t);
		err_set(e, ERR_NOMEM, NULL);
		return NULL;
	}
	return t;
}

void alg_thread_free(struct alg_thread *t)
{
	if (!t)
		return;
	EVP_MD_CTX_free(t->md);
	free(t->scratch);
	free(t);
}

/* A key leaves this file only when it works: a fault while making one, or primes that
 * only look prime, would show here and nowhere else. */
static int finish(enum key_type type, int rc, struct buf *priv, struct buf *pub, struct err *e)
{
	struct err why;

	if (rc == 0 && (priv->bad || pub->bad))
		rc = err_set(e, ERR_NOMEM, "no room for the new key");
	if (rc == 0 && try_key(type, priv, key_type_row(type)->default_mode, &why) < 0)
		rc = why.code == ERR_NOMEM
			     ? err_set(e, ERR_NOMEM, "%s", why.text)
			     : err_set(e, ERR_BAD_KEY, "key does not verify what it signs");
	if (rc < 0) {
		buf_reset(priv);
		buf_reset(pub);
	}
	return rc;
}

int alg_generate(enum key_type type, unsigned bits, struct buf *priv, struct buf *pub,
		 struct err *e)
{
	const struct alg_ops *ops = ops_of(type);
	const struct key_type_row *row = key_type_row(type);

	if (!ops || !row)
		return err_set(e, ERR_BAD_TYPE, NULL);
	if (bits == 0)
		bits = row->min_bits;
	if (bits < row->min_bits || bits > row->max_bits || bits % 8)
		return err_set(e, ERR_BAD_TYPE, "%s keys have %u to %u bits, in steps of 8",
			       row->text, row->min_bits, row->max_bits);
	mem_enter();
	int rc = leave(ops->generate(bits, priv, pub, e), e);

	return finish(type, rc, priv, pub, e);
}

int alg_import(const struct key_new *in, struct buf *priv, struct buf *pub, unsigned *bits,
	       struct err *e)
{
	const struct alg_ops *ops = ops_of(in->type);

	if (!ops)
		return err_set(e, ERR_BAD_TYPE, NULL);
	mem_enter();
	int rc = leave(ops->import(in, priv, pub, bits, e), e);

	return finish(in->type, rc, priv, pub, e);
}

int alg_load(enum key_type type, struct bytes priv, struct alg_key **key, struct err *e)
{
	const struct alg_ops *ops = ops_of(type);
	struct alg_key *k;

	if (!ops)
		return err_set(e, ERR_BAD_TYPE, NULL);
	if (priv.len < 1 || priv.p[0] != ALG_FORM)
		return err_set(e, ERR_BAD_KEY, "stored key has an unknown form");
	k = arena_alloc(mem_arena(), sizeof(*k));
	if (!k)
		return err_set(e, ERR_NOMEM, "no locked memory left for keys");
	k->ops = ops;
	mem_enter();
	int rc = leave(ops->load((struct bytes){priv.p + 1, priv.len - 1}, k, e), e);

	if (rc < 0) {
		alg_unload(k);
		return -1;
	}
	*key = k;
	return 0;
}

void alg_unload(struct alg_key *key)
{
	if (!key)
		return;
	key->ops->unload(key);
	arena_release(mem_arena(), key);
}

/* Checks mode and length; *in becomes what the type's function takes, a digest of msg
 * where the mode hashes (in digest, DIGEST_MAX bytes). */
static int prepare(const struct alg_key *key, struct alg_thread *t, enum sign_mode mode,
		   struct bytes msg, uint8_t *digest, struct bytes *in, const struct mode_row **row,
		   struct err *e)
{
	*row = mode_row(mode);
	if (!*row || (*row)->type != key->ops->type)
		return err_set(e, ERR_BAD_MODE, NULL);
	size_t len = mode_hash_len((*row)->hash);

	*in = msg;
	if ((*row)->input == INPUT_DIGEST && msg.len != len)
		return err_set(e, ERR_BAD_LENGTH, "%s takes a digest of %zu bytes", (*row)->text,
			       len);
	if (msg.len > t->max_message && msg.len > DIGEST_MAX)
		return err_set(e, ERR_TOO_LARGE, "message is larger than %zu bytes",
			       t->max_message);
	if ((*row)->input == INPUT_DIGEST || (*row)->hash == HASH_NONE)
		return 0;
	*in = (struct bytes){digest, len};
	return hash_message(t, (*row)->hash, msg, digest, e);
}

/* The key's own memory changes (contexts, blinding), under OpenSSL's locks or atomically:
 * callers share a loaded key as const. */
static struct alg_key *working(const struct alg_key *key)
{
	union {
		const struct alg_key *c;
		struct alg_key *v;
	} u = {.c = key};

	return u.v;
}

int alg_sign(const struct alg_key *key, struct alg_thread *t, enum sign_mode mode, struct bytes msg,
	     uint8_t *sig, size_t *sig_len, struct err *e)
{
	const struct mode_row *row;
	uint8_t digest[DIGEST_MAX];
	struct bytes in;

	if (prepare(key, t, mode, msg, digest, &in, &row, e) < 0 ||
	    key->ops->sign(working(key), t, row, in, sig, e) < 0)
		return -1;
	*sig_len = key->ops->sig_len(key);
	return 0;
}

int alg_verify(const struct alg_key *key, struct alg_thread *t, enum sign_mode mode,
	       struct bytes msg, struct bytes sig, struct err *e)
{
	const struct mode_row *row;
	uint8_t digest[DIGEST_MAX];
	struct bytes in;

	if (prepare(key, t, mode, msg, digest, &in, &row, e) < 0)
		return -1;
	if (sig.len != key->ops->sig_len(key))
		return err_set(e, ERR_BAD_SIGNATURE_FORM, "signature has %zu bytes, not %zu",
			       sig.len, key->ops->sig_len(key));
	return key->ops->verify(working(key), t, row, in, sig.p, e);
}
