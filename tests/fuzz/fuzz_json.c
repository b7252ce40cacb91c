/* Strict JSON: what is accepted can be written and read again, with the same result. */
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAN(json_doc) struct json_doc d = {0}, again = {0};
	const char *s = NULL;
	int64_t n = 0;
	const struct json_want w[] = {
		{"a", JSON_IS_STR, &s, true, 0, 0},
		{"n", JSON_IS_INT, &n, false, 1, 9},
		{0},
	};
	CLEAN(buf) struct buf b = {0};
	struct err e;

	buf_init(&b, 1 << 24);
	if (json_parse(&d, "fuzz", data, size, &e))
		return 0;
	(void)json_fields(&d, d.root, w, &e);
	if (json_text(d.root, JSON_ONE_LINE, &b, &e) ||
	    json_parse(&again, "again", b.p, b.len, &e) || !json_equal(d.root, again.root))
		abort();
	return 0;
}
