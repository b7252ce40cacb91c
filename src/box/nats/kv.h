/* The group `nats kv`, in several files. Buckets are streams as ADR-8 has it. */
#ifndef BOX_NATS_KV_H
#define BOX_NATS_KV_H

#include "box/nats/js.h"

cli_run kv_put, kv_create, kv_update, kv_get, kv_del, kv_purge, kv_revert, kv_history;
cli_run kv_keys, kv_watch, kv_compact;

enum kv_op { KV_PUT, KV_DELETE, KV_PURGE };
const char *kv_op_name(enum kv_op op);

/* One revision of a key. Start with {0}. */
struct kv_entry {
	char *key;
	int64_t revision, time_ns, delta;
	enum kv_op op;
	struct buf value;
};
void kv_entry_free(struct kv_entry *x);
static inline void cleanup_kv_entry(struct kv_entry *x)
{
	kv_entry_free(x);
}

struct kv_bucket {
	const char *name;
	char stream[256];
	char read[300];	 /* subject of a key in the stream, up to the key: "$KV.B." */
	char write[600]; /* where a key is published; differs for mirrors and domains */
	json_t *info;
};
void kv_bucket_free(struct kv_bucket *b);
static inline void cleanup_kv_bucket(struct kv_bucket *b)
{
	kv_bucket_free(b);
}

/* Operand 0: a bucket that is there. Errors: BAD_NAME, NOT_FOUND. */
int kv_open(struct cli *c, struct kv_bucket *b, struct err *e);
/* Error for a bucket or key that cannot be. wild: "*" and ">" are fine. */
int kv_bucket_ok(const char *name, struct err *e);
int kv_key_ok(const char *key, bool wild, struct err *e);

/* The last revision, also when it says that the key was removed. NOT_FOUND. */
int kv_last(struct cli *c, const struct kv_bucket *b, const char *key, struct kv_entry *x,
	    struct err *e);
/* A delivered message as an entry. */
int kv_entry_of(const struct kv_bucket *b, natsMsg *m, struct kv_entry *x, struct err *e);
/* A value for a table: base64 when it is not printable; free() it. */
char *kv_text(const struct buf *value, size_t max);

/* A stream's messages as they come, over restarts of the server, until a signal:
 * got(arg, m) for each. cfg (taken over) says where to begin. */
int kv_follow(struct cli *c, const char *stream, json_t *cfg,
	      void (*got)(struct cli *c, void *arg, natsMsg *m), void *arg, struct err *e);

#endif
