/* The lock parser: what it accepts, it writes and reads back to the same text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ocibuild/lock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAN(lock) struct lock l = {0};
	CLEAN(lock) struct lock again = {0};
	CLEAN(buf) struct buf a = {0};
	CLEAN(buf) struct buf b = {0};
	struct err e;

	if (lock_parse(&l, "fuzz", data, size, &e))
		return 0;
	buf_init(&a, LOCK_MAX_BYTES);
	buf_init(&b, LOCK_MAX_BYTES);
	lock_render(&l, &a);
	if (lock_parse(&again, "again", a.p, a.len, &e))
		abort();
	lock_render(&again, &b);
	if (a.len != b.len || memcmp(a.p, b.p, a.len) != 0)
		abort();
	return 0;
}
