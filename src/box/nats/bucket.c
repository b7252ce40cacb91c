/* Buckets of kv and object: streams with a configuration of their own. */
#include "box/nats/bucket.h"

#include <string.h>

int bucket_info(struct cli *c, const char *stream, json_t **out, struct err *e)
{
	if (js_stream_info(c, stream, out, e))
		return e->code == ERR_NOT_FOUND
			       ? err_set(e, ERR_NOT_FOUND, "nats: bucket not found")
			       : -1;
	return 0;
}

json_t *bucket_config(const char *stream, json_t *subjects, int64_t history, bool deny_delete)
{
	return json_pack(
		"{s:s, s:o, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:o*, s:b, s:b}",
		"name", stream, "subjects", subjects, "retention", "limits", "storage", "file",
		"discard", "new", "max_consumers", (json_int_t)-1, "max_msgs", (json_int_t)-1,
		"max_bytes", (json_int_t)-1, "max_msg_size", (json_int_t)-1, "max_age",
		(json_int_t)0, "max_msgs_per_subject", (json_int_t)history, "num_replicas", 1,
		"deny_delete", deny_delete ? json_true() : NULL, "allow_rollup_hdrs", 1,
		"allow_direct", 1);
}

void bucket_compress(const struct cli *c, json_t *cfg)
{
	if (cli_has(c, "compress") || cli_off(c, "compress"))
		(void)js_set(cfg, "compression",
			     json_string(cli_has(c, "compress") ? "s2" : "none"));
}

int bucket_write(struct cli *c, const char *what, const char *stream, json_t *cfg, struct err *e)
{
	CLEAN(json) json_t *reply = NULL;

	if (nats_js_request(c, json_incref(cfg), &reply, e, "STREAM.%s.%s", what, stream))
		return err_wrap(e, "nats");
	return 0;
}

int bucket_show(struct cli *c, const char *prefix, const char *name, bucket_page *page,
		struct err *e)
{
	CLEAN(json) json_t *info = NULL;
	char stream[256];

	(void)snprintf(stream, sizeof(stream), "%s%.200s", prefix, name);
	if (bucket_info(c, stream, &info, e))
		return -1;
	if (cli_has(c, "json"))
		return js_print(info, e);
	page(name, info);
	return 0;
}

void bucket_show_storage(struct cols *k, const json_t *cfg)
{
	cols_row(k, "Storage", "%s", strcmp(jstr(cfg, "storage"), "memory") ? "File" : "Memory");
}

void bucket_show_cluster(struct cols *k, const json_t *info)
{
	if (json_is_object(json_object_get(info, "cluster")))
		js_show_cluster(k, info, NULL);
}
