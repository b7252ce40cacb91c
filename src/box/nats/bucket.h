/* What the groups kv and object share. The bucket of either is a stream: its options, how it
 * is made and changed, and what is shown of it. */
#ifndef BOX_NATS_BUCKET_H
#define BOX_NATS_BUCKET_H

#include "box/nats/js.h"

/* Most options have a row in the table of fields, and those that both have, theirs here. */
#define BUCKET_SIZE_OPT {"max-bucket-size", 0, "BYTES", "Most bytes"}
#define BUCKET_TAGS_OPT {"tags", 0, "TAG", "Only on servers with this tag"}
#define BUCKET_COMPRESS_OPT {"compress", 0, NULL, "Compress the data"}
#define BUCKET_TTL_FIELD {"ttl", "max_age", JS_DUR, NULL, NULL}
#define BUCKET_REPLICAS_FIELD {"replicas", "num_replicas", JS_INT, NULL, NULL}
#define BUCKET_SIZE_FIELD {"max-bucket-size", "max_bytes", JS_BYTES, NULL, NULL}
#define BUCKET_DESCRIPTION_FIELD {"description", "description", JS_STR, NULL, NULL}
#define BUCKET_PLACE_FIELDS                                                                        \
	{"tags", "placement.tags", JS_LIST, NULL, NULL},                                           \
		{"cluster", "placement.cluster", JS_STR, NULL, NULL},                              \
	{                                                                                          \
		"metadata", "metadata", JS_META, NULL, NULL                                        \
	}

/* js_stream_info of a bucket's stream. Error: NOT_FOUND. */
int bucket_info(struct cli *c, const char *stream, json_t **out, struct err *e);
/* Configuration of a new bucket, before any option. subjects (an array) is taken over;
 * history: how many values of each subject are kept, -1: all. NULL without memory. */
json_t *bucket_config(const char *stream, json_t *subjects, int64_t history, bool deny_delete);
/* --compress and --no-compress, which is kept as it is without either. */
void bucket_compress(const struct cli *c, json_t *cfg);
/* Makes or changes the stream. what: "CREATE" or "UPDATE". cfg stays the caller's. */
int bucket_write(struct cli *c, const char *what, const char *stream, json_t *cfg, struct err *e);

typedef void bucket_page(const char *name, const json_t *info);
/* The bucket as it is now: a page, or JSON with --json. prefix: of the stream's name. */
int bucket_show(struct cli *c, const char *prefix, const char *name, bucket_page *page,
		struct err *e);
/* Row of where it is stored; section of the cluster, if there is one. */
void bucket_show_storage(struct cols *k, const json_t *cfg);
void bucket_show_cluster(struct cols *k, const json_t *info);

#endif
