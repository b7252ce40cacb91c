/* Changes of state: one transaction each, durable before they are seen, with the
 * root, the audit entries and the idempotency result in it. Commit thread only. */
#ifndef HSM_KEYD_COMMIT_H
#define HSM_KEYD_COMMIT_H

#include "hsm/keyd/keyd.h"

#define CHANGE_MAX (BOOTSTRAP_MAX + 4)

struct job;

struct change {
	/* Objects that appear; priv is a key's private form. A key object that
	 * replaces one of the same name without `loaded` takes that over. The change
	 * owns them: they are freed when it fails. */
	struct object *add[CHANGE_MAX];
	struct bytes priv[CHANGE_MAX];
	unsigned nadd;
	/* Objects that go; freed when the change succeeds. */
	struct object *take[CHANGE_MAX];
	unsigned ntake;
	/* New blobs of table BOOT; NULL leaves what is there. */
	const struct buf *boot, *slot_pass, *slot_auto;
	bool drop_auto;
	uint64_t min_epoch; /* accept-rollback: the new epoch is at least this */
	int unattended;	    /* 1 on, -1 off, 0 as it is */
};

/* Carries ch out: epoch + 1. j (may be NULL) is the job whose audit entry and, when
 * it mutates, idempotency result with out's bytes go along. Errors: STORE_FULL,
 * UNAVAILABLE and others; nothing has changed then. */
int commit_change(struct keyd *k, struct change *ch, struct job *j, const struct buf *out,
		  struct err *e);
/* Frees what the change owns (when it is not committed). */
void change_drop(struct change *ch);

/* Sets the object's store id from its contents; true when it is the given one. */
bool object_id_ok(struct keyd *k, struct object *o, const uint8_t id[static VAULT_ID]);
/* SHA-256 over what makes a request the same: operation, names, version, mode, body. */
void request_digest(uint8_t out[static 32], const struct request *q);

/* Writes the anchor outside (epoch and audit sequence); waits for it when asked. */
int anchor_write(struct keyd *k, bool wait, struct err *e);
/* Main thread: hsmd answered. */
void anchor_answer(uint64_t tag, const void *p, size_t n);
/* At start: reads what hsmd found. Errors: ROLLED_BACK (unreadable or a stranger's). */
int anchor_load(struct keyd *k, const uint8_t domain_id[static 16], struct err *e);

#endif
