/* NATS URLs: lists of them, what may be shown, whom they name. */
#ifndef CONN_CONN_URL_H
#define CONN_CONN_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "conn/conn_resolve.h"

#define CONN_URL_DEFAULT "nats://127.0.0.1:4222"
#define CONN_URLS_MAX 32

/* Names of servers and proxy that somebody has configured, in the table of conn_resolve. */
struct conn_names {
	struct resolve_name *v[CONN_URLS_MAX + 1];
	unsigned n;
};

/* "nats://user:pass@host:1" without "user:pass@", for logs and messages. */
void conn_url_shown(const char *url, char *out, size_t cap);
/* Splits the list and checks each URL, so that a typo is not a time-out; *tls becomes true
 * for a tls:// one. list is changed; urls (CONN_URLS_MAX) point into it. Errors: CONFIG. */
int conn_url_split(char *list, const char **urls, int *n, bool *tls, struct err *e);
/* Host and port as nats.c will ask for them; false: no name is in it. */
bool conn_url_place(const char *url, char host[static 256], char port[static 8]);
/* Keeps a place for the name until conn_url_release, which lets all go. Errors: NOMEM. */
int conn_url_hold(struct conn_names *names, const char *host, const char *port, struct err *e);
void conn_url_release(struct conn_names *names);

#endif
