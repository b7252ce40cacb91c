#include "proto/store.h"

static bool table_valid(uint8_t table)
{
	return table >= STORE_BOOT && table < STORE_BOOT + STORE_TABLES;
}

void store_txn_begin(struct buf *b)
{
	buf_u32(b, 0);
}

static void op_put(struct buf *b, enum store_kind kind, enum store_table table, const void *key,
		   size_t key_len)
{
	if (b->bad)
		return;
	le32_store(b->p, le32_load(b->p) + 1);
	buf_u8(b, (uint8_t)kind);
	buf_u8(b, (uint8_t)table);
	buf_str8(b, key, key_len);
}

void store_txn_put(struct buf *b, enum store_table table, const void *key, size_t key_len,
		   const void *blob, size_t n)
{
	op_put(b, STORE_PUT, table, key, key_len);
	buf_str32(b, blob, n);
}

void store_txn_del(struct buf *b, enum store_table table, const void *key, size_t key_len)
{
	op_put(b, STORE_DEL, table, key, key_len);
}

static bool op_get(struct store_op *op, struct rd *r)
{
	op->kind = rd_u8(r);
	op->table = rd_u8(r);
	op->key = rd_str8(r);
	op->blob = (struct bytes){NULL, 0};
	if (op->kind == STORE_PUT)
		op->blob = rd_str32(r);
	return !r->bad && (op->kind == STORE_PUT || op->kind == STORE_DEL) &&
	       table_valid(op->table) && op->key.len >= 1 && op->key.len <= STORE_KEY_MAX &&
	       op->blob.len <= STORE_BLOB_MAX;
}

int store_txn_open(struct store_txn *t, uint32_t *n_ops, const void *p, size_t n, struct err *e)
{
	struct store_op op;
	struct rd r;

	rd_init(&t->rd, p, n);
	t->left = rd_u32(&t->rd);
	r = t->rd;
	for (uint32_t i = 0; i < t->left; i++)
		if (!op_get(&op, &r))
			return err_set(e, ERR_BAD_REQUEST, "malformed transaction");
	if (!rd_end(&r))
		return err_set(e, ERR_BAD_REQUEST, "malformed transaction");
	if (n_ops)
		*n_ops = t->left;
	return 0;
}

bool store_txn_next(struct store_txn *t, struct store_op *op)
{
	if (t->left == 0)
		return false;
	t->left--;
	return op_get(op, &t->rd);
}

void store_query_put(struct buf *b, const struct store_query *q, bool scan)
{
	buf_u8(b, q->table);
	buf_str8(b, q->key.p, q->key.len);
	if (scan)
		buf_u32(b, q->max);
}

int store_query_get(struct store_query *q, bool scan, const void *p, size_t n, struct err *e)
{
	struct rd r;

	rd_init(&r, p, n);
	q->table = rd_u8(&r);
	q->key = rd_str8(&r);
	q->max = scan ? rd_u32(&r) : 0;
	if (!rd_end(&r) || !table_valid(q->table) || q->key.len > STORE_KEY_MAX ||
	    (!scan && q->key.len == 0))
		return err_set(e, ERR_BAD_REQUEST, "malformed query");
	return 0;
}
