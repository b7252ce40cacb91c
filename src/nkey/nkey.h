/* NKeys: the text form of Ed25519 and X25519 keys (nats-io/nkeys, strkey.go):
 * base32(prefix, key, CRC-16 little-endian). A text that fails to decode is never
 * repeated in an error: it may be a seed. */
#ifndef NKEY_NKEY_H
#define NKEY_NKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Prefix bytes, as on the wire. */
enum nkey_kind {
	NKEY_ACCOUNT = 0,	 /* A */
	NKEY_CLUSTER = 2 << 3,	 /* C */
	NKEY_SERVER = 13 << 3,	 /* N */
	NKEY_OPERATOR = 14 << 3, /* O */
	NKEY_USER = 20 << 3,	 /* U */
	NKEY_CURVE = 23 << 3,	 /* X */
};

#define NKEY_PUB_LEN 57	 /* 56 characters and the NUL */
#define NKEY_SEED_LEN 59 /* 58 characters and the NUL */
#define NKEY_FILE_MAX 65536

/* "user", "account", …; "unknown" for a byte that is none. */
const char *nkey_kind_name(enum nkey_kind kind);
/* Kind of a name as nk -gen takes it ("x25519" is curve); -1: unknown name. */
int nkey_kind_parse(enum nkey_kind *kind, const char *name);

/* Text of a raw public key: "U…", "X…". */
void nkey_encode(char out[static NKEY_PUB_LEN], enum nkey_kind kind, const uint8_t pub[static 32]);
/* Raw key and kind (may be NULL) of a public NKey. Errors: BAD_NKEY. */
int nkey_decode(uint8_t pub[static 32], enum nkey_kind *kind, const char *text, struct err *e);
/* Raw key of an NKey that must be of this kind. Errors: BAD_NKEY, WRONG_NKEY. */
int nkey_decode_kind(uint8_t pub[static 32], enum nkey_kind kind, const char *text, struct err *e);

/* Text of a seed: "SU…". out should be secret memory. */
void nkey_seed_encode(char out[static NKEY_SEED_LEN], enum nkey_kind kind,
		      const uint8_t seed[static 32]);
/* Raw seed and kind of len characters. Errors: BAD_NKEY, WRONG_NKEY (not a seed). */
int nkey_seed_decode(uint8_t seed[static 32], enum nkey_kind *kind, const char *text, size_t len,
		     struct err *e);

/* A key pair. Start with {0}; secret is from secret_alloc and goes with nkey_clear. */
struct nkey {
	enum nkey_kind kind;
	uint8_t pub[32];
	uint8_t *secret; /* Ed25519: 64 bytes, seed and public key; curve: 32 bytes */
};
void nkey_clear(struct nkey *k);
static inline void cleanup_nkey(struct nkey *k)
{
	nkey_clear(k);
}

/* Fresh pair from the kernel's randomness. Errors: NOMEM. */
int nkey_generate(struct nkey *k, enum nkey_kind kind, struct err *e);
/* Pair of a raw seed. Errors: NOMEM. */
int nkey_from_raw(struct nkey *k, enum nkey_kind kind, const uint8_t seed[static 32],
		  struct err *e);
/* Pair of the first line that decodes as a seed with a valid CRC, so that seed files
 * and creds files both work. name stands in messages. Errors: BAD_NKEY, NOMEM. */
int nkey_from_text(struct nkey *k, const char *name, const char *text, size_t len, struct err *e);
/* The same from a file by secret_read_file, which refuses a file that others may
 * read. Errors: also IO, BAD_INPUT. */
int nkey_read_file(struct nkey *k, const char *path, struct err *e);
/* As nkey_read_file, and the pair must be of this kind. Errors: also WRONG_NKEY. */
int nkey_read_kind(struct nkey *k, enum nkey_kind kind, const char *path, struct err *e);

/* Text of the pair's seed; out should be secret memory. */
void nkey_seed_text(const struct nkey *k, char out[static NKEY_SEED_LEN]);
/* Text of the pair's public key. */
static inline void nkey_pub_text(const struct nkey *k, char out[static NKEY_PUB_LEN])
{
	nkey_encode(out, k->kind, k->pub);
}

/* Deterministic Ed25519 over exactly these bytes: domain separation is the caller's.
 * WRONG_NKEY for a curve key, which cannot sign. */
int nkey_sign(const struct nkey *k, uint8_t sig[static 64], const void *m, size_t n, struct err *e);
/* 0, or -1 with NOT_VERIFIED. pub is of any kind but curve. */
int nkey_verify(const uint8_t pub[static 32], const uint8_t sig[static 64], const void *m, size_t n,
		struct err *e);

/* X25519 secret of the pair, for Noise: of a curve key the seed itself, of another the
 * birational image of its Ed25519 secret. out should be secret memory. */
void nkey_x25519_secret(const struct nkey *k, uint8_t out[static 32]);
/* X25519 public key of a raw public key of that kind. BAD_NKEY when it is no point. */
int nkey_x25519_public(enum nkey_kind kind, const uint8_t pub[static 32], uint8_t out[static 32],
		       struct err *e);

#endif
