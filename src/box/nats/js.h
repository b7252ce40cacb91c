/* What the groups stream, consumer, kv and object share: configurations filled from
 * options by a table, paged lists, names, questions, ages. */
#ifndef BOX_NATS_JS_H
#define BOX_NATS_JS_H

#include "box/nats/nats.h"

/* ---- options of many commands ---- */
#define JSON_OPT {"json", 'j', NULL, "Print JSON"}
#define FORCE_OPT {"force", 'f', NULL, "Act without asking"}
#define ALL_OPT {"all", 'a', NULL, "Streams of the system too"}
#define PICK_OPT {"no-select", 0, NULL, "Never ask which"}
#define DESCRIPTION_OPT {"description", 0, "TEXT", "Description"}
#define STORAGE_OPT {"storage", 0, "WHERE", "file or memory"}
#define REPLICAS_OPT {"replicas", 0, "NUMBER", "How many servers keep the data"}
#define CLUSTER_OPT {"cluster", 0, "CLUSTER", "Only in this cluster"}
#define METADATA_OPT {"metadata", 0, "KEY=VALUE", "Metadata"}
#define REPUBLISH_OPTS                                                                             \
	{"republish-source", 0, "SUBJECT", "Subjects to publish again"},                           \
		{"republish-destination", 0, "SUBJECT", "Where to"},                               \
		{"republish-headers", 0, NULL, "Only headers"}

/* ---- configurations ---- */
enum js_kind {
	JS_STR,
	JS_LIST,  /* may be given often, commas and blanks separate */
	JS_INT,	  /* "-1" and below max */
	JS_BYTES, /* "10MB" */
	JS_DUR,	  /* nanoseconds; "-1" is 0 */
	JS_FLAG,  /* --x true, --no-x false */
	JS_NOT,	  /* the other way round */
	JS_WORD,  /* one of words */
	JS_META,  /* k=v, may be given often */
};

/* One row: what an option sets in a configuration of the JetStream API. */
struct js_field {
	const char *option;
	const char *path; /* "placement.tags" */
	enum js_kind kind;
	const char *words; /* JS_WORD: "file f=file memory m=memory" */
	const char *what;  /* in front of errors, NULL: "option --x" */
};

/* Rows of streams and of the buckets in them. */
#define STORAGE_FIELD {"storage", "storage", JS_WORD, "file f=file memory m=memory", NULL}
#define REPUBLISH_FIELDS                                                                           \
	{"republish-source", "republish.src", JS_STR, NULL, NULL},                                 \
		{"republish-destination", "republish.dest", JS_STR, NULL, NULL},                   \
	{                                                                                          \
		"republish-headers", "republish.headers_only", JS_FLAG, NULL, NULL                 \
	}

/* Sets what options were given. Errors: USAGE. */
int js_apply(const struct cli *c, const struct js_field *f, json_t *cfg, struct err *e);
/* Sets a member by its path, making objects on the way; v is taken over. */
int js_set(json_t *obj, const char *path, json_t *v);
/* --config FILE: one JSON object. */
int js_config_file(const char *path, json_t **out, struct err *e);
/* --output FILE: the configuration as JSON. */
int js_config_write(const char *path, const json_t *cfg, struct err *e);
/* Takes the server's own metadata (_nats.*) and empty metadata out. */
void js_clean_metadata(json_t *cfg);
/* Prints "- path: old" and "+ path: new" for each difference; how many there are. */
size_t js_differences(FILE *f, const json_t *old, const json_t *now);

/* ---- names ---- */
/* "X" is not a valid stream name. kind: "stream", "consumer". Error: BAD_NAME. */
int js_name(const char *kind, const char *name, struct err *e);
/* Operand i, or an answer at the terminal, or the error natscli gives. kind: "Stream". The
 * answer lives until the next question. */
const char *js_operand(struct cli *c, int i, const char *kind, struct err *e);
/* Asks at the terminal; NULL with *e without one. */
const char *js_ask(const char *question, struct err *e);
/* 0: --force was given or somebody said yes. */
int js_force(struct cli *c, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- the API ---- */
/* All pages of a list: the array member of each answer, put together. req (taken over):
 * further members of the request, or NULL. */
int js_pages(struct cli *c, const char *subject, json_t *req, const char *member, json_t **out,
	     struct err *e);
int js_stream_info(struct cli *c, const char *stream, json_t **out, struct err *e);
int js_consumer_info(struct cli *c, const char *stream, const char *consumer, json_t **out,
		     struct err *e);
/* A copy without "type" and paging, for --json. */
int js_print(const json_t *j, struct err *e);
/* An array of names, sorted, as lines or as JSON. */
int js_print_names(json_t *names, bool json, struct err *e);
int js_by_text(const void *a, const void *b);
/* The streams whose names begin with prefix, as the buckets of kv and object; kind:
 * "Key-Value". Names with --names, JSON with --json. */
int js_list_buckets(struct cli *c, const char *prefix, const char *kind, bool values,
		    struct err *e);

/* The message at a sequence, or the last of a subject: {"subject", "seq", "hdrs", "data",
 * "time"}. NOT_FOUND. */
int js_get_msg(struct cli *c, const char *stream, int64_t seq, const char *last_for, json_t **out,
	       struct err *e);
/* The same by direct get, as client libraries do it where the stream allows it (ADR-31):
 * users may have no permission for the other. cfg: the stream's configuration. */
int js_get_direct(struct cli *c, const json_t *cfg, int64_t seq, const char *last_for, json_t **out,
		  struct err *e);
/* Bytes of a base64 member into b. Error: BAD_JSON. */
int js_base64(const json_t *j, const char *key, struct buf *b, struct err *e);
/* Header lines ("NATS/1.0\r\nK: V\r\n…"): f for each. */
void js_each_header(const struct buf *raw, void (*f)(void *arg, const char *k, const char *v),
		    void *arg);

/* Publishes m and waits for the stream's answer. *seq may be NULL. */
int js_publish(struct cli *c, natsMsg *m, int64_t *seq, struct err *e);

/* What the reply subject of a delivered message tells ($JS.ACK.…, ADR-15). */
struct js_meta {
	char stream[256], consumer[256];
	int64_t tries, stream_seq, consumer_seq, time_ns, pending;
};
int js_meta(natsMsg *m, struct js_meta *out);

/* Delivers a stream's messages to an inbox by an ephemeral consumer without acks.
 * start: 0 all, else {"opt_start_seq"…} members in cfg (taken over). */
struct js_feed {
	natsSubscription *sub;
	char stream[256], consumer[256];
	int64_t pending; /* at the start */
};
int js_feed_open(struct cli *c, struct js_feed *f, const char *stream, json_t *cfg, struct err *e);
/* Next message within ns: 1, 0 in time, -1. Flow control and heartbeats are answered. */
int js_feed_next(struct cli *c, struct js_feed *f, int64_t ns, natsMsg **m, struct err *e);
void js_feed_close(struct cli *c, struct js_feed *f);
/* All that there is now, one after the other (cfg as js_feed_open): got may fail. Errors:
 * those of got, TIMEOUT. */
typedef int js_got(struct cli *c, void *arg, natsMsg *m, struct err *e);
int js_feed_all(struct cli *c, const char *stream, json_t *cfg, js_got *got, void *arg,
		struct err *e);

/* Nanoseconds as Go's text, rounded to seconds. */
#define WHOLE_SECONDS(ns) GODURATION(nats_add((ns), NS_S / 2) / NS_S * NS_S)
/* Whether that RFC 3339 time is longer ago, or none at all. */
bool js_older(const char *time, int64_t than);
/* Age of an RFC 3339 time at another ("": now); "never" for none. */
const char *js_since(char out[static 48], const char *time, const char *now);
#define SINCE(time, now) js_since((char[48]){0}, (time), (now))
/* Whether it is a time at all: not "" and not Go's zero time. */
bool js_time_set(const char *time);

/* "a, b*, c!" into b, with a NUL: the leader with a star, those that are away or behind with
 * a mark, without what the names have in common from behind. Empty for a server alone. */
void js_cluster_text(const json_t *info, struct buf *b);

/* ---- what pages share (js_show.c) ---- */
/* "workqueue" as "WorkQueue"; another word as it is. */
const char *js_titled(const char *word);
void js_show_metadata(struct cols *k, const json_t *cfg);
void js_show_version(struct cols *k, const json_t *cfg);
void js_show_republish(struct cols *k, const json_t *cfg);
/* The section of the cluster; group: label of the RAFT group, NULL: without it. */
void js_show_cluster(struct cols *k, const json_t *info, const char *group);

#endif
