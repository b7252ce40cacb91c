/* JetStream answers of a hostile server, shown: streams, consumers, lists, metadata, and the
 * base64 and headers of messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box/nats/consumer.h"
#include "box/nats/js.h"
#include "box/nats/kv.h"
#include "box/nats/object.h"
#include "box/nats/stream.h"

static void count(void *arg, const char *key, const char *value)
{
	*(size_t *)arg += strlen(key) + strlen(value);
}

static void message(const json_t *j)
{
	CLEAN(buf) struct buf b = {0};
	struct err e;
	size_t n = 0;

	buf_init(&b, (size_t)1 << 20);
	if (js_base64(j, "hdrs", &b, &e) == 0)
		js_each_header(&b, count, &n);
	if (js_base64(j, "data", &b, &e) == 0)
		free(kv_text(&b, 40));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static FILE *null;
	json_error_t je;
	json_t *j = json_loadb(p ? (const char *)p : "", n, JSON_ALLOW_NUL, &je);

	/* What is drawn goes nowhere. */
	if (!null)
		null = freopen("/dev/null", "w", stdout);
	if (json_is_object(j)) {
		CLEAN(json) json_t *list = json_pack("[O, O]", j, j);
		CLEAN(json) json_t *copy = json_deep_copy(j);

		stream_show(j, false);
		stream_show(j, true);
		consumer_show(j, false);
		stream_table(list, "Streams");
		obj_show("b", j);
		js_clean_metadata(json_object_get(copy, "config"));
		(void)js_differences(stdout, j, copy);
		message(j);
	}
	json_decref(j);
	fflush(stdout);
	return 0;
}
