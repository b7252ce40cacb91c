/* The store as keyd sees it: sealed blobs in tables, changed in transactions. It is
 * assumed hostile: what it says is checked by whoever asked. Only the commit thread
 * calls store_*; main hands in new channels. */
#ifndef HSM_KEYD_STORE_H
#define HSM_KEYD_STORE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/store.h"

struct keyd;
struct store;

int store_new(struct store **s, struct keyd *k, struct err *e);
/* Main thread: a new store process listens on fd. */
void store_attach(struct store *s, int fd);

/* Starts a transaction (proto/store.h fills it): all of it is durable, or nothing of
 * it happened. */
void txn_init(struct buf *t);

/* Waits for a store to be there. Errors: UNAVAILABLE, and what a store names that cannot
 * open. */
int store_ready(struct store *s, struct err *e);
/* Errors of all three: UNAVAILABLE (no store, or it went away: store_in_doubt says
 * whether a transaction may have happened), STORE_FULL and others that the store names
 * (nothing happened). */
int store_commit(struct store *s, struct buf *t, struct err *e);
/* After UNAVAILABLE: true when all of the last request was sent. */
bool store_in_doubt(const struct store *s);
/* Appends the blob to out. Error NOT_FOUND when there is none. */
int store_get(struct store *s, uint8_t table, const void *id, size_t idlen, struct buf *out,
	      struct err *e);
/* Calls each(arg, id, blob) for every item after the given id, in byte order of the
 * ids, until it returns non-zero: 1 stops, -1 is an error with *e filled. */
int store_scan(struct store *s, uint8_t table, const void *after, size_t afterlen,
	       int (*each)(void *arg, struct bytes id, struct bytes blob, struct err *e), void *arg,
	       struct err *e);

#endif
