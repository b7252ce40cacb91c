/* One run of `nats subscribe`, for its two files: core subscriptions and streams. */
#ifndef BOX_NATS_NATS_SUB_H
#define BOX_NATS_NATS_SUB_H

#include <pthread.h>

#include "box/nats/nats.h"

#define SUB_MAX 64 /* subjects of one command */

struct sub {
	struct cli *c;
	pthread_mutex_t lock;
	int64_t limit, wait_ns, start, last; /* last: when something came, monotonic */
	uint64_t count;
	bool raw, headers_only, subjects_only, stamp, delta, ack, match, report, graph, direct;
	const char *dump;
	const char *stream, *durable;
	natsSubscription *subs[SUB_MAX];
	size_t nsubs;
	natsMsg *waiting[256];	/* requests whose replies are awaited (--match-replies) */
	int64_t drawn[SUB_MAX]; /* --graph: messages of each subscription */
	json_t *subjects;	/* --report-subjects: subject -> [count, bytes] */
	volatile bool done;
	struct err err; /* why it ended, when with an error */
};

/* Shows one message; reply: its matched reply or NULL. Under the lock. */
void sub_show(struct sub *s, natsMsg *m, natsMsg *reply);
/* A message came: counts, ignores, reports, shows, ends. Takes the lock. */
void sub_take(struct sub *s, natsMsg *m, natsSubscription *from);
/* Whether an option asks for a stream; then sub_stream does it all. */
bool sub_wants_stream(struct cli *c);
int sub_stream(struct sub *s, const char *subject, struct err *e);
/* Reads the stream by direct get until it is over. info: the stream's. */
int sub_direct(struct sub *s, const char *stream, const char *subject, const json_t *info,
	       struct err *e);
/* Waits until the run is over: 0, or -1. */
int sub_wait(struct sub *s, struct err *e);

#endif
