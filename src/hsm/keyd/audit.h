/* The audit log: hash-chained entries in sealed segments (docs/PROTOCOL.md). Lanes
 * append to buffers of their own; the commit thread numbers and chains them, with
 * each change of state or every AUDIT_INTERVAL ms.
 *
 *   segment: u64 first seq, chain value before it (32), u32 n, n x str16 entry */
#ifndef HSM_KEYD_AUDIT_H
#define HSM_KEYD_AUDIT_H

#include "hsm/keyd/keyd.h"
#include "hsm/keyd/store.h"

#define AUDIT_INTERVAL 100	    /* ms: what a crash may lose of batched entries */
#define AUDIT_LANE_MAX (4u << 20)   /* bytes that wait in one lane */
#define AUDIT_CARRY_MAX (64u << 20) /* bytes that wait for a store that is away */
#define AUDIT_REFUSALS 100	    /* of a lane in one interval that are noted */
#define AUDIT_ENTRY_MAX 512	    /* bytes of one encoded entry, at most */
#define AUDIT_SEGMENT (192u << 10)  /* bytes of one segment */
#define AUDIT_BATCH (4u << 20)	    /* bytes of entries in one transaction */
#define AUDIT_ROTATE (6u << 20)	    /* bytes of a transaction that deletes no more */

struct call;

/* Lane, reading lock held: true when an entry will fit and the log can be written. */
bool audit_ready(const struct lane *l);
/* Lane: notes a signature or a refusal of something that is audited. */
void audit_call(struct lane *l, const struct call *c, const struct err *error);

/* Commit thread: notes a call (error NULL: done); c NULL: the service itself. */
void audit_note(struct keyd *k, const struct call *c, enum op op, const struct err *error);
/* Takes back the note that followed the mark (its change did not happen). */
struct audit_mark {
	size_t at;
};
struct audit_mark audit_mark(const struct keyd *k);
void audit_rewind(struct keyd *k, struct audit_mark m);

/* Before a note that must go along with the next transaction: makes durable what else
 * would fill it. */
int audit_room(struct keyd *k, struct err *e);
/* Gathers the lanes' entries; puts the oldest AUDIT_BATCH bytes that are not durable
 * yet into t and moves *r on. After the commit: audit_done. */
int audit_put(struct keyd *k, struct root *r, struct buf *t, struct err *e);
void audit_done(struct keyd *k);
/* Anything to write? (looks at the lanes too) */
bool audit_pending(struct keyd *k);
/* Makes all entries so far durable. Failure stalls signing until one succeeds. */
int audit_flush(struct keyd *k, struct err *e);
/* Before the end of the process: from audit_close on lanes refuse everything, so that
 * audit_finish makes all entries durable that there will ever be. */
void audit_close(struct keyd *k);
void audit_finish(struct keyd *k);
/* When the log is over its size: deletes its oldest segments in t, moves the base. */
int audit_rotate(struct keyd *k, struct root *r, struct buf *t, struct err *e);
/* Appends the reply of audit_read: whole segments from the first that starts at or
 * after `first` (the newest when there is none), at most about max bytes. */
int audit_read(struct keyd *k, uint64_t first, uint32_t max, struct buf *out, struct err *e);
/* At unlock: follows the chain from the root to its end. Errors: STORE_DAMAGED. */
int audit_load(struct keyd *k, struct root *r, struct err *e);

#endif
