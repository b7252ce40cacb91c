/* Inside of alg/: the table that each key type fills, and what they share. */
#ifndef HSM_KEYD_ALG_IMPL_H
#define HSM_KEYD_ALG_IMPL_H

#include <openssl/evp.h>

#include "hsm/keyd/alg/alg.h"

/* First byte of every private form; the bytes after it are the type's own. */
#define ALG_FORM 1
#define DIGEST_MAX 64

struct pkey_ctx;

/* A private key of OpenSSL with contexts ready for use; each thread finds its own
 * slot, so that signing shares no lock and fetches nothing. */
#define PKEY_SLOTS 8
struct pkey {
	EVP_PKEY *key;
	_Atomic(struct pkey_ctx *) slot[PKEY_SLOTS];
};

struct alg_key {
	const struct alg_ops *ops;
	unsigned bits;
	union {
		uint8_t ed25519[64]; /* seed, public key */
		struct pkey pkey;    /* P-256, RSA */
	};
};

struct alg_thread {
	unsigned number;
	uint8_t *scratch; /* ED25519_SCRATCH(max_message) bytes */
	size_t max_message;
	EVP_MD_CTX *md;
};

/* One key type. alg.c has checked type, sizes, mode and lengths before it calls;
 * sign and verify of hashing modes get the digest in msg. */
struct alg_ops {
	enum key_type type;
	int (*generate)(unsigned bits, struct buf *priv, struct buf *pub, struct err *e);
	int (*import)(const struct key_new *in, struct buf *priv, struct buf *pub, unsigned *bits,
		      struct err *e);
	/* priv is without its first byte */
	int (*load)(struct bytes priv, struct alg_key *key, struct err *e);
	void (*unload)(struct alg_key *key);
	size_t (*sig_len)(const struct alg_key *key);
	int (*sign)(struct alg_key *key, struct alg_thread *t, const struct mode_row *mode,
		    struct bytes msg, uint8_t *sig, struct err *e);
	int (*verify)(struct alg_key *key, struct alg_thread *t, const struct mode_row *mode,
		      struct bytes msg, const uint8_t *sig, struct err *e);
};

extern const struct alg_ops alg_ed25519, alg_p256, alg_rsa;

/* Fetches the digests once. Errors: INTERNAL. */
int hash_init(struct err *e);
const EVP_MD *hash_md(enum mode_hash hash);
/* Digest of m to out (DIGEST_MAX bytes), with the thread's context. */
int hash_message(struct alg_thread *t, enum mode_hash hash, struct bytes m, uint8_t *out,
		 struct err *e);

/* A context for signing or verifying digests in a mode; set_mode (NULL: nothing to
 * set) is called when the thread's context was used for another mode before. Errors:
 * INTERNAL. pkey_give takes it back after use. */
struct pkey_ctx {
	EVP_PKEY_CTX *ctx;
	enum sign_mode mode;
	bool verify;
};
typedef int pkey_set_mode(EVP_PKEY_CTX *ctx, const struct mode_row *mode);
struct pkey_ctx *pkey_take(struct pkey *k, const struct alg_thread *t, const struct mode_row *mode,
			   bool verify, pkey_set_mode *set_mode, struct err *e);
void pkey_give(struct pkey *k, const struct alg_thread *t, struct pkey_ctx *c);
void pkey_free(struct pkey *k);
/* INTERNAL with OpenSSL's reason; clears its error queue. */
int openssl_err(struct err *e, const char *what);

#endif
