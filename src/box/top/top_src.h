/* Where the numbers come from: the monitoring port by HTTP(S), or the system account of
 * a connection. */
#ifndef BOX_TOP_TOP_SRC_H
#define BOX_TOP_TOP_SRC_H

#include <stdbool.h>
#include <stdint.h>

#include "box/top/top_stats.h"
#include "conn/conn.h"
#include "http/http.h"

#define TOP_MAX ((size_t)64 << 20) /* of an answer */

/* What -s gave: parts point into text, which is the caller's own copy and is changed. */
struct top_target {
	const char *host;
	const char *user; /* "user:password", %XX decoded, or NULL */
	char path[512];	  /* in front of /varz; "" for most */
	int port;	  /* of monitoring; 0: not given */
	bool https;
	bool http;	 /* http:// or https:// was written */
	bool client_url; /* nats://, tls://, ws://, wss:// */
};

/* HOST, HOST:PORT, [V6]:PORT, http(s)://[USER:PASSWORD@]HOST[:PORT][/PATH], or a NATS URL,
 * of which the first host counts (its port is not the monitoring port). Error: USAGE. */
int top_target_parse(struct top_target *t, char *text, struct err *e);

struct top_ask {
	int64_t limit;
	char sort[16];
	bool subs;
	bool lookup; /* names of the clients' addresses */
};

struct top_src {
	struct http *http; /* or */
	struct conn *conn;
	int timeout_ms;
	struct top_host *hosts; /* looked up so far */
	size_t nhosts;
};

void top_src_close(struct top_src *s);
/* Both answers, parsed. out is replaced. Errors: those of http_get and
 * top_stats_parse; DENIED when the connection is not of the system account. */
int top_src_get(struct top_src *s, const struct top_ask *ask, struct top_stats *out, struct err *e);

#endif
