/* Bodies that hsm-store takes from its channel: transactions and queries. What the
 * decoder takes is encoded again and must give the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "proto/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void transaction(const uint8_t *p, size_t n)
{
	struct store_txn t;
	struct store_op op;
	struct buf b;
	uint32_t ops, seen = 0;

	if (store_txn_open(&t, &ops, p, n, NULL))
		return;
	buf_init(&b, n + 64);
	store_txn_begin(&b);
	while (store_txn_next(&t, &op)) {
		if (op.kind == STORE_PUT)
			store_txn_put(&b, op.table, op.key.p, op.key.len, op.blob.p, op.blob.len);
		else
			store_txn_del(&b, op.table, op.key.p, op.key.len);
		seen++;
	}
	if (seen != ops || b.bad || b.len != n || memcmp(b.p, p, n) != 0)
		abort();
	buf_free(&b);
}

static void query(const uint8_t *p, size_t n, bool scan)
{
	struct store_query q;
	uint8_t out[128];
	struct buf b;

	if (store_query_get(&q, scan, p, n, NULL))
		return;
	buf_fixed(&b, out, sizeof(out));
	store_query_put(&b, &q, scan);
	if (b.bad || b.len != n || memcmp(out, p, n) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	transaction(p, n);
	query(p, n, false);
	query(p, n, true);
	return 0;
}
