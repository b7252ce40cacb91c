/* What a server's monitoring says: /varz and /connz, or the same in the envelope of
 * $SYS.REQ.SERVER.….VARZ and CONNZ (nats-server, monitor.go and events.go). */
#ifndef BOX_TOP_TOP_STATS_H
#define BOX_TOP_TOP_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "json/json.h"

#define TOP_SORTS                                                                                  \
	"cid|start|subs|pending|msgs_to|msgs_from|bytes_to|bytes_from|last|idle|uptime|"           \
	"stop|reason|rtt"
/* Whether the server knows to sort by it. */
bool top_sort_ok(const char *by);

struct top_rate {
	double in_msgs, out_msgs, in_bytes, out_bytes; /* a second */
};

/* Texts are never NULL. */
struct top_conn {
	const char *ip, *name, *lang, *version, *uptime, *last;
	int64_t cid, port, subs, pending, in_msgs, out_msgs, in_bytes, out_bytes;
	const json_t *list; /* subjects, an array or NULL */
	struct top_rate rate;
	const char *host; /* looked up, NULL: not */
};

/* Start with {0}. */
struct top_stats {
	struct json_doc varz, connz;
	const char *id, *name, *version, *uptime, *now;
	double cpu;
	int64_t mem, slow, in_msgs, out_msgs, in_bytes, out_bytes;
	int64_t num; /* connections polled */
	struct top_conn *conn;
	size_t nconn;
	struct top_rate rate;
};

void top_stats_free(struct top_stats *s);
static inline void cleanup_top_stats(struct top_stats *s)
{
	top_stats_free(s);
}

/* Fills s from both answers; what is absent counts as 0 or "". Errors: BAD_JSON,
 * TOO_LARGE, UNAVAILABLE (an error in the envelope), NOMEM. */
int top_stats_parse(struct top_stats *s, struct bytes varz, struct bytes connz, struct err *e);

/* Rates of s since an earlier one of the same server; all 0 when time did not pass or
 * counters went back (the server was restarted). */
void top_stats_rates(struct top_stats *s, const struct top_stats *before);

/* Nanoseconds since 1970 of an RFC 3339 time; -1: it is none. */
int64_t top_time(const char *text);

#endif
