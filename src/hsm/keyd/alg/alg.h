/* Signature algorithms behind one table: one file per key type. All functions
 * are thread-safe on a loaded key; nothing on the signing path allocates for
 * Ed25519. Private forms are keyd's own and are stored sealed. */
#ifndef HSM_KEYD_ALG_H
#define HSM_KEYD_ALG_H

#include "base/buf.h"
#include "base/err.h"
#include "hsm/keyd/arena.h"
#include "proto/body.h"
#include "proto/mode.h"

#define SIGNATURE_MAX RSA_MAX_BYTES
#define ALG_PRIV_MAX 2560 /* bytes of the longest private form */
#define ALG_PUB_MAX 1088  /* bytes of the longest public form */

struct alg_key; /* a loaded private key, in the arena */

/* What one worker thread needs between calls (digest contexts, scratch memory). */
struct alg_thread;

/* Before the sandbox: library initialisation, wiping allocators, one use of each
 * algorithm so that no later call opens a file or starts a thread.
 * arena_bytes: size of the locked arena for loaded keys. Errors: NOMEM, INTERNAL. */
int alg_init(size_t arena_bytes, struct err *e);
/* How full the arena is, and whether the kernel took its memory lock. */
void alg_memory(struct arena_stat *s);
/* max_message: longest message for sign and verify, in bytes. Best called on the
 * thread itself: it seeds that thread's random generator. Errors: NOMEM. */
struct alg_thread *alg_thread_new(size_t max_message, struct err *e);
void alg_thread_free(struct alg_thread *t);

/* New key: private form to priv (a secret buffer), public form (as in struct
 * key_info) to pub; both are empty before. bits: RSA only, 0: the type's smallest.
 * An RSA key of 4096 bits can take seconds and its import half of one: not for a
 * thread that others wait for. Errors: BAD_TYPE, NOMEM, INTERNAL. */
int alg_generate(enum key_type type, unsigned bits, struct buf *priv, struct buf *pub,
		 struct err *e);
/* The same from imported components; *bits is the size found. Errors: BAD_KEY
 * (wrong length, not prime, out of range, inconsistent), BAD_TYPE. */
int alg_import(const struct key_new *in, struct buf *priv, struct buf *pub, unsigned *bits,
	       struct err *e);
/* Loads a private form into the arena. Errors: BAD_KEY, NOMEM (arena is full). */
int alg_load(enum key_type type, struct bytes priv, struct alg_key **key, struct err *e);
/* Wipes and releases; NULL is fine. No thread may use it any more. */
void alg_unload(struct alg_key *key);

/* sig has SIGNATURE_MAX bytes. Ed25519: R S (RFC 8032). ECDSA: r s, 32 bytes each,
 * big-endian. RSA: as long as the modulus. Errors: BAD_MODE (not of this type),
 * BAD_LENGTH (digest modes), INTERNAL. */
int alg_sign(const struct alg_key *key, struct alg_thread *t, enum sign_mode mode, struct bytes msg,
	     uint8_t *sig, size_t *sig_len, struct err *e);
/* 0 when valid. Errors: NOT_VERIFIED, BAD_SIGNATURE_FORM (length), BAD_MODE. */
int alg_verify(const struct alg_key *key, struct alg_thread *t, enum sign_mode mode,
	       struct bytes msg, struct bytes sig, struct err *e);

#endif
