/* Frames as front and store send them, and what stands in the store's: any packets give
 * messages that lie in memory, or an error. The first byte cuts the input in packets. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/store.h"
#include "proto/wire.h"

#define LIMIT 5000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sum;

static void touch(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += p[i];
}

static void store_forms(const struct wire_msg *m)
{
	struct store_query q;
	struct store_txn t;
	struct store_op op;
	uint32_t n = 0, seen = 0;
	struct err e;

	if (store_txn_open(&t, &n, m->p, m->len, &e) == 0) {
		while (store_txn_next(&t, &op)) {
			touch(op.key.p, op.key.len);
			touch(op.blob.p, op.blob.len);
			if (op.key.len < 1 || op.key.len > STORE_KEY_MAX)
				abort();
			seen++;
		}
		if (seen != n)
			abort();
	}
	if (store_query_get(&q, false, m->p, m->len, &e) == 0)
		touch(q.key.p, q.key.len);
	if (store_query_get(&q, true, m->p, m->len, &e) == 0)
		touch(q.key.p, q.key.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader r;
	struct wire_msg m;
	struct err e;
	size_t step;
	int rc = 0;

	if (size < 1 || wire_reader_init(&r, LIMIT, data[0] & 1, &e))
		return 0;
	step = 1 + (size_t)(data[0] >> 1) * 16;
	data++;
	size--;
	while (size && rc >= 0) {
		size_t n = size < step ? size : step;

		memcpy(r.packet, data, n);
		rd_init(&r.rd, r.packet, n);
		while ((rc = wire_next(&r, &m, &e)) > 0) {
			if (m.len > LIMIT)
				abort();
			touch(m.p, m.len);
			store_forms(&m);
		}
		data += n;
		size -= n;
	}
	wire_reader_free(&r);
	return 0;
}
