/* The JSON forms of the plain surface, read and written; strict both ways. */
#ifndef HSM_FRONT_PLAIN_JSON_H
#define HSM_FRONT_PLAIN_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/body.h"
#include "proto/op.h"
#include "json/json.h"

#define FRONT_PLAIN_RESULT 65536 /* bytes of a plain result at most */

/* A request; start with {0}. */
struct plain_json {
	const char *mode; /* NULL: not given */
	bool has_length;
	int64_t length;
	uint8_t *message;
	size_t message_len;
	uint8_t signature[RSA_MAX_BYTES];
	size_t signature_len;
	struct json_doc doc;
};
/* Reads what op takes: unknown, missing or duplicate members, or base64 that is not
 * strict, are refused. An empty body counts as {}. Errors: BAD_JSON, NOMEM. */
int plain_json_read(struct plain_json *j, enum op op, const void *p, size_t n, struct err *e);
void plain_json_free(struct plain_json *j);
static inline void cleanup_plain_json(struct plain_json *j)
{
	plain_json_free(j);
}

/* A result: what is not set is not written. */
struct plain_json_out {
	const char *key, *mode;			  /* "" or NULL: none */
	struct bytes signature, random, pem, der; /* len 0: none */
	bool verified, valid;
	const struct key_info *info;
};
/* Errors: NOMEM, TOO_LARGE. */
int plain_json_write(const struct plain_json_out *j, struct buf *out, struct err *e);
/* {"error": {"code": NAME, "message": text}}; nothing when memory ran out. */
void plain_json_error(const struct err *err, struct buf *out);

#endif
