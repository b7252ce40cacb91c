/* Requests and responses, as they stand inside a session and, for the plain
 * surface, between front and keyd. Binary, fixed order, nothing optional:
 * docs/PROTOCOL.md, "Requests". Bodies of the operations are in body.h. */
#ifndef PROTO_REQUEST_H
#define PROTO_REQUEST_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/control.h"

#define REQUEST_VERSION 1
#define IDEM_LEN 16
/* Bytes of a request without its body, names at their longest. */
#define REQUEST_OVERHEAD (1 + 1 + 2 + 3 * (1 + NAME_MAX_LEN) + BOOT_ID_LEN + IDEM_LEN + 4 + 1 + 4)

enum cred_kind { CRED_NKEY = 1 }; /* passphrase users come later */

struct request {
	uint8_t cred;	   /* enum cred_kind */
	uint16_t op;	   /* enum op */
	struct bytes user; /* user name, empty: the one whose NKey opened the session */
	uint8_t boot_id[BOOT_ID_LEN];
	uint8_t idem[IDEM_LEN]; /* all zero: none */
	struct bytes ns;	/* namespace, empty: the root namespace */
	struct bytes key;	/* key name, empty where the operation has none */
	uint32_t key_version;	/* 0: the newest */
	uint8_t mode;		/* enum sign_mode */
	struct bytes body;
};

/* Appends the encoding. Too long names or a full buffer set out->bad. */
void request_encode(struct buf *out, const struct request *q);
/* Decodes in place: the bytes fields point into p. Every byte must be used.
 * Errors: BAD_REQUEST, BAD_VERSION, BAD_NAME. */
int request_decode(struct request *q, const void *p, size_t n, struct err *e);

struct response {
	uint16_t error; /* wire number of err.def; 0: body is the result, else text */
	uint8_t state;	/* enum hsm_state */
	uint8_t mode;	/* mode that was used, 0 where the operation has none */
	uint64_t epoch;
	struct bytes body;
};
#define RESPONSE_HEAD 17 /* bytes of an encoded response without its body */

/* version u8, error u16, state u8, mode u8, epoch u64, str32 body */
void response_encode(struct buf *out, const struct response *s);
int response_decode(struct response *s, const void *p, size_t n, struct err *e);

#endif
