/* The database file: LMDB with one named database a table. One thread. */
#ifndef HSM_STORE_DB_H
#define HSM_STORE_DB_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/store.h"

#define DB_FORMAT 1 /* version of what is in the file */

struct db;

/* Opens or makes DIR/data.mdb and checks what is cheap to check: its head, its size,
 * that every item can be reached. The caller holds the directory's lock (db_lock_dir).
 * Errors: STORE_DAMAGED, STORE_NEWER, STORE_FULL, IO. */
int db_open(struct db **db, const char *dir, size_t map_bytes, struct err *e);
void db_close(struct db *db);

/* Applies a transaction (checked by store_txn_open) to what the next db_commit makes
 * durable. After an error, nothing that was applied since the last commit is left:
 * STORE_FULL, STORE_DAMAGED, IO. */
int db_apply(struct db *db, const void *p, size_t n, struct err *e);
/* Durable on return. Errors as above; then nothing of it happened, unless
 * db_fatal: nobody knows, and the process must end. */
int db_commit(struct db *db, struct err *e);
bool db_fatal(const struct db *db);
/* Applies and commits one transaction. One that deletes may use a reserve of room, so
 * that a full store can be emptied. */
int db_alone(struct db *db, const void *p, size_t n, struct err *e);

/* Appends the blob. Errors: NOT_FOUND, STORE_DAMAGED. No transaction is open. */
int db_get(struct db *db, const struct store_query *q, struct buf *out, struct err *e);
/* Appends u8 more, u32 n, n x {str8 key, str32 blob}. */
int db_scan(struct db *db, const struct store_query *q, struct buf *out, struct err *e);

struct db_sizes {
	uint64_t map, used, records; /* bytes, bytes, items in all tables */
};
int db_sizes(struct db *db, struct db_sizes *s, struct err *e);

/* Before db_open: what LMDB calls when it finds itself in the impossible; it must not
 * return. */
void db_on_damage(void (*damaged)(void));

/* Makes the directory (0700) and takes its lock until the process ends. Errors:
 * STORE_IN_USE, IO. */
int db_lock_dir(const char *dir, struct err *e);

#endif
