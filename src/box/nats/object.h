/* The group `nats object`, in several files. Buckets are streams as ADR-20 has it. */
#ifndef BOX_NATS_OBJECT_H
#define BOX_NATS_OBJECT_H

#include "box/nats/js.h"

cli_run object_put, object_get;

struct obj_bucket {
	const char *name;
	char stream[256];
	json_t *info;
};
void obj_bucket_free(struct obj_bucket *b);
static inline void cleanup_obj_bucket(struct obj_bucket *b)
{
	obj_bucket_free(b);
}

/* Operand 0: a bucket that is there. */
int obj_open(struct cli *c, struct obj_bucket *b, struct err *e);
/* What is stored about an object: name, size, chunks, digest, nuid, …, and "mtime" from
 * the message. NOT_FOUND; also when it was removed unless deleted is true. */
int obj_info(struct cli *c, const struct obj_bucket *b, const char *name, bool deleted,
	     json_t **out, struct err *e);
/* "$O.B.M.…" of a name. Servers map no "$O." below a domain's prefix, so that objects are
 * published without one. free() it. */
int obj_meta_subject(const struct obj_bucket *b, const char *name, char **out, struct err *e);
/* Replaces what is stored about an object. */
int obj_publish_meta(struct cli *c, const struct obj_bucket *b, const json_t *meta, struct err *e);
/* Whether what is stored names the pieces of one object only. BAD_JSON. */
int obj_nuid_ok(const char *nuid, struct err *e);
/* Removes the pieces of an object. */
int obj_purge(struct cli *c, const struct obj_bucket *b, const char *nuid, struct err *e);
void obj_show(const char *bucket, const json_t *meta);

#endif
