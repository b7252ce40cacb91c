/* Connecting: directly, or through a SOCKS5 proxy (RFC 1928, and RFC 1929 for name and
 * password). */
#ifndef CONN_CONN_SOCKS_H
#define CONN_CONN_SOCKS_H

#include <stdint.h>

#include "base/err.h"

/* Start with {0}; wipe it at the end, it has the password. */
struct socks_proxy {
	char user[256], password[256], host[256], port[8];
};

/* Parses "socks5://[user:password@]proxy[:1080]"; %XX in user and password are bytes.
 * Error: CONFIG, which does not repeat the text. */
int conn_socks_parse(struct socks_proxy *p, const char *url, struct err *e);
/* Connects to host:port through the proxy within ms milliseconds, all in all. The socket,
 * which does not block, or -1. Errors: UNAVAILABLE, UNKNOWN_HOST, TIMEOUT, DENIED; all name
 * the proxy. */
int conn_socks(const struct socks_proxy *p, const char *host, int port, int64_t ms, struct err *e);

/* Connects to host:port itself. The socket, which does not block, or -1. Errors:
 * UNKNOWN_HOST, UNAVAILABLE, TIMEOUT. */
int conn_socks_direct(const char *host, int port, int64_t ms, struct err *e);

#endif
