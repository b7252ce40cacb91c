/* Damage that LMDB would not tell but die of, found before and after opening. */
#ifndef HSM_STORE_DB_CHECK_H
#define HSM_STORE_DB_CHECK_H

#include <lmdb.h>

#include "base/buf.h"
#include "base/err.h"

/* Head of an existing file; a missing or empty one is fine. Errors: STORE_DAMAGED, IO. */
int db_check_head(const char *path, struct err *e);
/* Order of keys in a table, as memcmp. */
int db_check_order(struct bytes a, struct bytes b);
/* Walks a table: order, sizes, number of items, and that each is found by its key.
 * Walks the list of free pages. Errors: STORE_DAMAGED. */
int db_check_table(MDB_txn *txn, MDB_dbi dbi, struct err *e);
int db_check_free(MDB_env *env, MDB_txn *txn, struct err *e);

#endif
