/* Addresses of a name within a time. getaddrinfo has no end of its own, and name servers
 * are out of reach just when a node is gone: then the addresses of last time do. */
#ifndef CONN_CONN_RESOLVE_H
#define CONN_CONN_RESOLVE_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

#define RESOLVED_MAX 8

struct resolved {
	unsigned n;
	struct {
		struct sockaddr_storage addr;
		socklen_t len;
	} at[RESOLVED_MAX];
};

/* Addresses of host (a name, or numbers) and port (a number), at most ms milliseconds
 * from now; those of last time after half a second without an answer, or when the name
 * server has trouble, not when it says that there is no such name. Of names that are not
 * held 32 are kept and under way at a time. *why: what getaddrinfo says (EAI_…). Errors:
 * UNKNOWN_HOST. */
int conn_resolve(struct resolved *out, const char *host, const char *port, int64_t ms, int *why,
		 struct err *e);

/* Keeps a place for a name that the user has configured, until it is released as often: what
 * brokers tell of other names (connect_urls) can then not push it out, nor delay it. NULL:
 * no memory, or it is too long for a name. */
struct resolve_name;
struct resolve_name *conn_resolve_hold(const char *host, const char *port);
void conn_resolve_release(struct resolve_name *n);

#endif
