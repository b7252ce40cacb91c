/* Sealing: device key and domain key, the subkeys below them, sealed blobs.
 * Suite 1: XChaCha20-Poly1305, keyed BLAKE2b, Argon2id, Ed25519 for the audit head.
 *
 *   blob: u8 suite, u8 kind, u64 version, nonce (24), ciphertext, tag (16)
 *   AAD:  "signbox blob" + suite, kind, version, id (32)
 *
 * The AAD binds name and version: a blob cannot stand in another's place, and the
 * multiset hash in the root finds an old one in its own place. */
#ifndef HSM_KEYD_VAULT_H
#define HSM_KEYD_VAULT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define VAULT_SUITE 1
#define VAULT_HEAD (1 + 1 + 8 + 24)
#define VAULT_OVERHEAD (VAULT_HEAD + 16)
#define VAULT_ID 32
#define VAULT_SALT 16

enum blob_kind {
	BLOB_BOOT = 1,	    /* device key */
	BLOB_SLOT_PASS = 2, /* device key + passphrase: domain key */
	BLOB_SLOT_AUTO = 3, /* device key alone: domain key (unattended boot) */
	BLOB_ROOT = 4,	    /* domain key from here on */
	BLOB_USER = 5,
	BLOB_KEY = 6,
	BLOB_IDEM = 7,
	BLOB_AUDIT = 8,
};

/* Subkeys of the domain key, in secret memory; all NULL while locked. */
struct vault {
	uint8_t *keys; /* secret_alloc'd: seal, name, mset, domain (32 each), audit (64) */
	uint8_t audit_pub[32];
};

#define VAULT_KEYS (4 * 32 + 64)

/* Subkeys of a domain key (32 bytes). Errors: NOMEM. */
int vault_open(struct vault *v, const uint8_t domain[static 32], struct err *e);
void vault_close(struct vault *v);

/* 32-byte subkey of the device key for a purpose. */
void vault_device_key(uint8_t out[static 32], const uint8_t device[static 32], const char *purpose);
/* Key of the passphrase slot: Argon2id (64 MiB, 4 passes) over the passphrase, then
 * mixed with the device key. Errors: NOMEM. */
int vault_pass_key(uint8_t out[static 32], const uint8_t device[static 32],
		   const uint8_t salt[static VAULT_SALT], const void *pass, size_t n,
		   struct err *e);

/* Sealing with a given key. */
void vault_seal(struct buf *out, const uint8_t key[static 32], enum blob_kind kind,
		const uint8_t id[static VAULT_ID], uint64_t version, const void *plain, size_t n);
/* Opens into plain (a secret buffer). The kind must be the expected one; *version
 * is what the blob says and the AAD proves. Errors: STORE_DAMAGED, STORE_NEWER (suite). */
int vault_unseal(struct buf *plain, const uint8_t key[static 32], enum blob_kind kind,
		 const uint8_t id[static VAULT_ID], uint64_t *version, const void *blob, size_t n,
		 struct err *e);
/* The key that seals everything below the domain key. */
const uint8_t *vault_seal_key(const struct vault *v);
/* The domain key itself, for a new slot. */
const uint8_t *vault_domain(const struct vault *v);

/* Store id of a record: keyed BLAKE2b of kind, namespace and name. */
void vault_id(uint8_t out[static VAULT_ID], const struct vault *v, enum blob_kind kind,
	      struct bytes ns, struct bytes name);
/* Term of a record in the multiset hash (256-bit integer, little-endian words). The
 * blob's tag is in it: of two blobs ever sealed for one name and version (the first
 * in a transaction that failed), only the one that counted is found again. */
void vault_term(uint64_t out[static 4], const struct vault *v, enum blob_kind kind,
		const uint8_t id[static VAULT_ID], uint64_t version, const uint8_t tag[static 16]);
void mset_add(uint64_t sum[static 4], const uint64_t term[static 4]);
void mset_sub(uint64_t sum[static 4], const uint64_t term[static 4]);

/* Signs with the domain's audit key. */
void vault_audit_sign(const struct vault *v, uint8_t sig[static 64], const void *m, size_t n);

#endif
