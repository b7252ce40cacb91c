/* Creds files: a user JWT and its seed between dashed lines (nats-io/jwt,
 * creds_utils.go: three or more dashes, CRLF or LF). */
#ifndef NKEY_CREDS_H
#define NKEY_CREDS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "nkey/nkey.h"

/* JWT of the text (in place, not terminated) and the pair of its seed. The JWT is not
 * verified. name stands in messages. Errors: BAD_NKEY, BAD_INPUT, NOMEM. */
int creds_parse(struct bytes *jwt, struct nkey *k, const char *name, const char *text, size_t len,
		struct err *e);

/* Appends the creds file of a user's token and pair, in the library's form. Set
 * out->secret first. Errors: BAD_INPUT (no user JWT), WRONG_NKEY (not its subject). */
int creds_format(struct buf *out, const char *token, size_t len, const struct nkey *k,
		 struct err *e);
/* Appends a token between lines that name its kind ("OPERATOR"). */
void creds_decorate(struct buf *out, const char *kind, const char *token, size_t len);

#endif
