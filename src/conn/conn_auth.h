/* Credentials of a connection: an NKey seed or creds, and the one signature that a
 * server may ask for. For conn.c. */
#ifndef CONN_CONN_AUTH_H
#define CONN_CONN_AUTH_H

#include <nats/nats.h>

#include "base/err.h"
#include "conn/conn.h"

struct conn_auth;

/* Reads creds, an NKey seed of a user, or a JWT and its seed (none: no credentials; more
 * than one: CONFIG). */
int conn_auth_load(struct conn_auth **out, const struct conn_opts *o, struct err *e);
void conn_auth_free(struct conn_auth *a);
/* Sets the handlers; the credentials must outlive the connection. */
int conn_auth_apply(struct conn_auth *a, natsOptions *no, struct err *e);
/* Public NKey of the user; "" without credentials. */
const char *conn_auth_user(const struct conn_auth *a);
/* Whether the JWT, if there is one, may be used now by the clock here. Errors: CONFIG. */
int conn_auth_time(struct conn_auth *a, struct err *e);
/* Why a handler refused last, or NULL. */
const char *conn_auth_error(struct conn_auth *a);

#endif
