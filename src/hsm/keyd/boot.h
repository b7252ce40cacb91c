/* From the first start to Operational: the boot record, the slots that hold the
 * domain key, the root, loading. Commit thread only. */
#ifndef HSM_KEYD_BOOT_H
#define HSM_KEYD_BOOT_H

#include "hsm/keyd/keyd.h"

struct job;

/* The first internal job, repeated with each new store until unlock: reads or makes the
 * boot record, announces the identity, unlocks by itself where that is allowed. A
 * failure stays as k->problem. */
void boot_start(struct keyd *k);

/* Seals a boot record of what k holds now. */
void boot_seal(struct keyd *k, struct buf *blob);
/* Seals the domain key under a slot key. kind: BLOB_SLOT_PASS or BLOB_SLOT_AUTO. */
void slot_seal(struct buf *blob, enum blob_kind kind, const uint8_t slot_key[static 32],
	       const uint8_t salt[static VAULT_SALT], const uint8_t domain[static 32]);
/* Salt of the passphrase slot, so that the slow thread can derive its key. Errors:
 * STORE_DAMAGED. */
int slot_salt(struct keyd *k, uint8_t salt[static VAULT_SALT], struct err *e);
/* Opens the passphrase slot. Errors: WRONG_PASSPHRASE. */
int slot_open_pass(struct keyd *k, const uint8_t slot_key[static 32], uint8_t domain[static 32],
		   struct err *e);
int slot_open_auto(struct keyd *k, uint8_t domain[static 32], struct err *e);
void slot_auto_key(struct keyd *k, uint8_t key[static 32]);

/* Loads everything under a domain key and becomes Operational. accept: a whole-store
 * roll-back is accepted (the epoch moves past the anchor). j as in commit_change.
 * Errors: ROLLED_BACK, STORE_DAMAGED, STORE_NEWER, UNAVAILABLE, NOMEM. */
int boot_unlock(struct keyd *k, const uint8_t domain[static 32], bool accept, struct job *j,
		struct err *e);

/* Root record and the hash over the blobs beside it. */
void root_put(struct buf *out, const struct root *r);
int root_get(struct root *r, const void *p, size_t n, struct err *e);
void boot_hash(uint8_t out[static 32], const struct buf *boot, const struct buf *pass,
	       const struct buf *au);

#endif
