/* A connection to NATS by nats.c: URLs, credentials, TLS, reconnecting, and NATS
 * errors as ours. Messages go through conn_nats() and the functions of nats.h.
 *
 * Speed (figures in conn.c): publish the messages of a batch with
 * natsConnection_Publish* and the last with natsConnection_Send*: a lone reply leaves
 * at once, a load leaves in few writes. */
#ifndef CONN_CONN_H
#define CONN_CONN_H

#include <nats/nats.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum conn_event { CONN_UP, CONN_DOWN, CONN_CLOSED, CONN_SLOW, CONN_TROUBLE, CONN_EVENTS };

/* Start with {0}, then conn_opts_env, then explicit settings. Strings are not copied
 * until conn_open. */
struct conn_opts {
	/* one or more, comma-separated; NULL: nats://127.0.0.1:4222. A service tries them in
	 * this order, clients in any. */
	const char *url;
	const char *creds; /* creds file (without a JWT: as nkey), or */
	const char *nkey;  /* file with an NKey seed of a user; neither: no credentials */
	/* Instead of those: text of a creds file; a user JWT and the text of its seed
	 * (NULL: a bearer token, which needs none); a name and password; a token. */
	const char *creds_text, *jwt, *seed;
	const char *user, *password, *token;
	bool any_mode;	  /* take creds and seeds from files that others may read */
	const char *ca;	  /* PEM of trusted CAs; setting ca, cert or tls asks for TLS */
	const char *cert; /* PEM of the client's chain, with key */
	const char *key;
	const char *name;	  /* of the connection, for the server's lists */
	const char *inbox_prefix; /* NULL: "_INBOX.<own NKEY>" with an NKey, else "_INBOX" */
	const char *proxy;	  /* socks5://[user:password@]host:port to connect through */
	bool tls;		  /* also asked for by a tls:// URL */
	bool tls_auto;		  /* ask for it when the server insists (clients only) */
	bool tls_first;		  /* TLS before the server's greeting */
	bool plain_inbox;	  /* NULL inbox_prefix is "_INBOX" with an NKey too */
	/* A service: conn_open returns at once, connecting is retried for ever, also
	 * after the server refused the credentials, and CONN_TROUBLE tells each change of why
	 * which server cannot be used; certificates, and a JWT, that cannot be used now are a
	 * CONFIG error of conn_open. A client: one try of each server;
	 * later losses are repaired for ever too, requests fail at once meanwhile. */
	bool service;
	/* Of connecting; 0: 5000. Each server gets its share, but 2 s at least (or all, when that
	 * is less) and 5 s at most: a long list of mute ones takes longer. */
	int64_t timeout_ms;
	/* Called from a thread of nats.c for each change, after it was logged. May be
	 * NULL. what: server URL without user and password, or the reason or reasons. */
	void (*event)(void *arg, enum conn_event ev, const char *what);
	void *event_arg;
	/* A client: looks at the server's certificates as OpenSSL verifies them. May be NULL. */
	natsSSLVerifyCb verify;
	bool quiet; /* log nothing (command-line tools report errors themselves) */
};

/* Fills what is NULL from NATS_URL, NATS_CREDS, NATS_NKEY, NATS_CA, NATS_CERT,
 * NATS_KEY, NATS_INBOX_PREFIX. Empty variables count as unset. */
void conn_opts_env(struct conn_opts *o);

struct conn;

/* Connects. crypto_init() must have run. Files are read here, before a sandbox;
 * creds are read again for each connection when they still can be. Errors: CONFIG,
 * IO, BAD_NKEY, WRONG_NKEY, BAD_INPUT, UNAVAILABLE, TIMEOUT, DENIED. */
int conn_open(struct conn **out, const struct conn_opts *o, struct err *e);
natsConnection *conn_nats(const struct conn *c);
/* Own public NKey ("U…"), "" without an NKey. */
const char *conn_user(const struct conn *c);
/* Prefix of own inboxes, without a dot at the end. */
const char *conn_inbox(const struct conn *c);
/* Server without user and password; "" when not connected. */
void conn_server(const struct conn *c, char *out, size_t cap);
bool conn_is_up(const struct conn *c);
/* A service's: why it is not connected, OK while that is not known: UNKNOWN_HOST,
 * UNAVAILABLE, TIMEOUT, NOT_NATS, DENIED, TLS, CERT_EXPIRED, CERT_EARLY, CERT_UNTRUSTED. */
enum err_code conn_why(const struct conn *c);
/* Whether it is TLS. */
bool conn_secure(const struct conn *c);

/* Stops subscriptions, lets handlers finish what they hold, flushes, closes. Waits at
 * most ms: TIMEOUT then. Synchronous subscriptions must have been destroyed: nats.c
 * waits for somebody to read them. */
int conn_drain(struct conn *c, int64_t ms, struct err *e);
/* Closes and frees; NULL is fine. No callback runs after it returned. */
void conn_close(struct conn *c);
static inline void cleanup_conn(struct conn **c)
{
	conn_close(*c);
}
/* Ends the threads of nats.c; after the last conn_close, for leak checkers. */
void conn_library_close(void);

/* Our error for a status of nats.c: returns -1 with "what: clear text", or 0 for
 * NATS_OK. Codes: NO_RESPONDERS, TIMEOUT, UNAVAILABLE, DENIED, TOO_LARGE, NOMEM, … */
int conn_err(struct err *e, natsStatus s, const char *what);

/* Whether a nonce is one: 1 to 64 characters of the base64url alphabet. Nothing else
 * is ever signed for a server, which may be hostile. */
bool conn_nonce_ok(const char *nonce);

#endif
