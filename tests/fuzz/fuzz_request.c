/* Requests and responses: what is accepted encodes to the same bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "proto/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct buf *b, const uint8_t *p, size_t n)
{
	if (b->bad || b->len != n || memcmp(b->p, p, n) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAN(buf) struct buf b = {0};
	struct request q;
	struct response s;
	struct err e;

	buf_init(&b, 1u << 24);
	if (request_decode(&q, data, size, &e) == 0) {
		request_encode(&b, &q);
		same(&b, data, size);
		if (q.user.len > NAME_MAX_LEN || q.ns.len > NAME_MAX_LEN ||
		    q.key.len > NAME_MAX_LEN)
			abort();
	}
	buf_reset(&b);
	if (response_decode(&s, data, size, &e) == 0) {
		response_encode(&b, &s);
		same(&b, data, size);
	}
	return 0;
}
