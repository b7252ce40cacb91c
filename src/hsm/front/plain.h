/* The plain surface: NATS messages to requests, results to messages. Here is no NATS
 * and no channel, so that it can be tested and fuzzed alone. The forms are listed in
 * docs/PROTOCOL.md, "Plain surface". */
#ifndef HSM_FRONT_PLAIN_H
#define HSM_FRONT_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/control.h"
#include "proto/op.h"

#define HDR_MODE "Signbox-Mode"
#define HDR_SIGNATURE "Signbox-Signature"
#define HDR_ERROR_NAME "Signbox-Error"
#define HDR_ERROR_CODE "Nats-Service-Error-Code"
#define HDR_ERROR_TEXT "Nats-Service-Error"

/* A message as it came; mode and signature are its headers or NULL. */
struct plain_in {
	const char *subject;
	const char *mode, *signature;
	const void *body;
	size_t len;
};

/* What the reply needs to know of its request. */
struct plain_call {
	enum op op;
	bool json;
	char key[NAME_MAX_LEN + 1];
};

/* Buffers of one thread, used again and again. Start with plain_work_init. */
struct plain_work {
	uint32_t max_message;
	struct buf body;    /* of the request */
	struct buf request; /* caller's key (32 bytes), encoded request */
};
void plain_work_init(struct plain_work *w, uint32_t max_message);
void plain_work_free(struct plain_work *w);

/* Reads a message: w->request is what W_PLAIN carries. On an error c is set as far as
 * plain_error needs it. Errors: BAD_NKEY, WRONG_NKEY, UNKNOWN_OP, BAD_NAME, BAD_MODE,
 * BAD_JSON, BAD_REQUEST, BAD_SIGNATURE_FORM, TOO_LARGE. */
int plain_request(struct plain_call *c, struct plain_work *w, const struct plain_in *in,
		  struct err *e);

/* Text of a mode that was used, NULL for none: goes into HDR_MODE. */
const char *plain_mode(uint8_t mode);
/* Appends the reply's body for keyd's result p. A signature that does not verify is a
 * result here: code NOT_VERIFIED. Errors: INTERNAL for a result that makes no sense. */
int plain_result(const struct plain_call *c, enum err_code code, uint8_t mode, const uint8_t *p,
		 size_t n, struct buf *out, struct err *e);
/* Appends the reply's body for an error: nothing for the raw forms. */
void plain_error(const struct plain_call *c, const struct err *err, struct buf *out);

#endif
