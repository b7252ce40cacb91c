/* What is wrong with claims, by the rules of nats-io/jwt. */
#ifndef NKEY_JWT_CHECK_H
#define NKEY_JWT_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "nkey/jwt.h"

/* A list ends with this many issues and one that stands for all others, fatal when one of
 * them is. */
#define JWT_MOST_ISSUES 200

/* Appends the issues of the claims to list, an array: {"text": …, "fatal": true|false}.
 * A server refuses claims with a fatal one. now: seconds since 1970. */
void jwt_check(const struct jwt *j, int64_t now, json_t *list);
/* Appends one issue. */
void jwt_issue(json_t *list, bool fatal, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* First fatal issue's text; NULL: there is none. */
const char *jwt_fatal(const json_t *list);

/* Issues of a list of exports alone (nats.exports). */
void jwt_check_exports(const json_t *exports, json_t *list);
void jwt_check_mappings(const json_t *mappings, json_t *list);
void jwt_check_subject(const char *subject, json_t *list);
/* Issues of an operator's service URL: nats, tls, ws or wss without user and path. */
void jwt_check_service_url(const char *url, json_t *list);

/* Whether the operator, or the account, signed this with its identity or a signing key
 * (a strict operator: with a signing key only). */
bool jwt_did_sign(const struct jwt *by, const struct jwt *what);

#endif
