/* NATS JWTs, version 2, and reading of version 1 (nats-io/jwt; ADR-14): operators,
 * accounts, users, activations. What is written equals, byte for byte, what the Go
 * library writes of the same claims; members that this program does not know are kept
 * (behind the known ones), where that library drops them. */
#ifndef NKEY_JWT_H
#define NKEY_JWT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "nkey/nkey.h"
#include "json/json.h"

#define JWT_MAX ((size_t)1 << 20) /* characters of a token, as in the Go library */
#define JWT_DEPTH 64		  /* nesting of the claims */

enum jwt_kind {
	JWT_OPERATOR,
	JWT_ACCOUNT,
	JWT_USER,
	JWT_ACTIVATION,
	JWT_AUTH_REQUEST,
	JWT_AUTH_RESPONSE,
	JWT_GENERIC, /* any other type: read, verified, shown */
};

/* "operator", "account", …, as in the claims. */
const char *jwt_kind_name(enum jwt_kind kind);

/* Claims. Start with {0}. Members may be edited through jansson; jwt_encode brings them
 * into the library's order and drops what it leaves out. */
struct jwt {
	enum jwt_kind kind;
	int version;  /* as read: 1 or 2 */
	json_t *root; /* aud, exp, jti, iat, iss, name, nbf, sub, nats */
	json_t *nats; /* borrowed from root */
};
void jwt_clear(struct jwt *j);
static inline void cleanup_jwt(struct jwt *j)
{
	jwt_clear(j);
}

/* Claims of a fresh operator, account, user or activation with the library's default
 * limits. subject: a public NKey of that kind (an activation's: the account it is for).
 * Errors: BAD_NKEY, WRONG_NKEY, NOMEM. */
int jwt_new(struct jwt *j, enum jwt_kind kind, const char *subject, struct err *e);

/* Claims of a token of len characters: form, kinds of issuer and subject and signature are checked;
 * times and trust are the caller's to judge. Claims of version 1 are brought into the
 * form of version 2. name stands in messages. Errors: BAD_INPUT, BAD_JSON, TOO_LARGE,
 * NOT_VERIFIED, NOMEM. */
int jwt_decode(struct jwt *j, const char *name, const char *token, size_t len, struct err *e);
/* As jwt_decode, and it must be of this kind. Errors: also WRONG_NKEY. */
int jwt_decode_kind(struct jwt *j, enum jwt_kind kind, const char *name, const char *token,
		    size_t len, struct err *e);
/* The token in a text: alone, or the first between lines of dashes. */
struct bytes jwt_find(const char *text, size_t len);

/* Signs: sets iss, iat (now, seconds since 1970), jti, type and version 2 in j, appends
 * the token to out. The issuer's kind must fit (operator: O; account: O or A; user: A;
 * activation: A or O). Errors: WRONG_NKEY, BAD_JSON (an edited member has a wrong type),
 * NOMEM, TOO_LARGE. */
int jwt_encode(struct jwt *j, const struct nkey *issuer, int64_t now, struct buf *out,
	       struct err *e);

/* Member of the claims, of nats.*: "" or 0 when it is absent or of another type. */
const char *jwt_str(const struct jwt *j, const char *key);
int64_t jwt_int(const struct jwt *j, const char *key);
const char *jwt_nats_str(const struct jwt *j, const char *key);

/* 0 when now lies between nbf and exp; else -1 with "… is expired" or "… is not yet
 * valid" (BAD_INPUT). */
int jwt_check_time(const struct jwt *j, int64_t now, struct err *e);

/* Appends JSON as Go's encoding/json writes it: no space, <, > and & escaped; indent:
 * levels of two spaces. */
void jwt_json(struct buf *out, const json_t *v, bool indent);
/* Appends one JSON string, escaped in the same way. */
void jwt_json_text(struct buf *out, const char *s, size_t n);

#endif
