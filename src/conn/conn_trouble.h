/* Why the servers of a service cannot be used, each by its last try: dialled here, so that
 * name, route and time-out are known, and with what TLS and nats.c have to say. For conn.c. */
#ifndef CONN_CONN_TROUBLE_H
#define CONN_CONN_TROUBLE_H

#include <nats/nats.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct conn_trouble;

struct conn_trouble *conn_trouble_new(void);
void conn_trouble_free(struct conn_trouble *t);

/* A try begins: what this thread tried before has failed. The socket, which does not block,
 * or -1; all within ms milliseconds. */
int conn_trouble_dial(struct conn_trouble *t, const char *host, int port, int64_t ms);
/* What nats.c calls with each certificate of the server that this thread talks to. */
int conn_trouble_verify(int ok, void *store_ctx);
/* This thread's try has failed. why: a better reason than nats.c's for a refusal of the
 * credentials, or NULL. */
void conn_trouble_failed(struct conn_trouble *t, const char *why);
/* A connection is there. Appends "server: why; …" of those that were tried in vain, and
 * forgets all. */
void conn_trouble_over(struct conn_trouble *t, struct buf *out);
/* Appends the same without forgetting; true when it is time for a line: it says another
 * thing than the last one did. *code: the first server's that is no mere silence. */
bool conn_trouble_news(struct conn_trouble *t, struct buf *out, enum err_code *code);

/* Whether the certificates of a PEM file can be used now: all of them, or (any) one. what
 * and path stand in the message. Errors: CONFIG, IO. */
int conn_trouble_cert(const char *what, const char *path, bool any, struct err *e);

#endif
