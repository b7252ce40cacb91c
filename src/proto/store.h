/* What keyd and hsm-store say to each other inside W_TXN, W_GET and W_SCAN
 * (proto/wire.h): tables of blobs under byte-string keys, changed in transactions. */
#ifndef PROTO_STORE_H
#define PROTO_STORE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define STORE_KEY_MAX 64	  /* bytes; at least 1 */
#define STORE_BLOB_MAX (1u << 20) /* bytes */
#define STORE_SCAN_MAX (4u << 20) /* bytes of one page of W_ITEMS, plus its last item */

/* On disk: numbers are never reused. */
enum store_table { STORE_BOOT = 1, STORE_RECORD = 2, STORE_AUDIT = 3 };
#define STORE_TABLES 3
enum store_kind { STORE_PUT = 1, STORE_DEL = 2 };

/* Transaction to an empty buffer: begin, then any number of puts and deletes. What
 * is deleted need not be there. */
void store_txn_begin(struct buf *b);
void store_txn_put(struct buf *b, enum store_table table, const void *key, size_t key_len,
		   const void *blob, size_t n);
void store_txn_del(struct buf *b, enum store_table table, const void *key, size_t key_len);

struct store_op {
	uint8_t kind;  /* enum store_kind */
	uint8_t table; /* enum store_table */
	struct bytes key, blob;
};
struct store_txn {
	struct rd rd;
	uint32_t left;
};
/* Checks all of a transaction, then stands before its first operation; n_ops may be
 * NULL. Errors: BAD_REQUEST. The bytes of the operations point into p. */
int store_txn_open(struct store_txn *t, uint32_t *n_ops, const void *p, size_t n, struct err *e);
/* Next operation: false at the end. */
bool store_txn_next(struct store_txn *t, struct store_op *op);

/* W_GET and W_SCAN. */
struct store_query {
	uint8_t table;	  /* enum store_table */
	struct bytes key; /* W_SCAN: items after this one; empty: from the start */
	uint32_t max;	  /* W_SCAN: bytes of items; one item comes even if it is larger */
};
void store_query_put(struct buf *b, const struct store_query *q, bool scan);
/* Errors: BAD_REQUEST. */
int store_query_get(struct store_query *q, bool scan, const void *p, size_t n, struct err *e);

#endif
