/* nats bench: clients, each a thread with its own connection, that do one operation many
 * times; then the report. */
#ifndef BOX_NATS_NATS_BENCH_H
#define BOX_NATS_NATS_BENCH_H

#include <pthread.h>
#include <string.h>

#include "box/nats/nats.h"
#include "ui/progress.h"

struct bench;

/* One client. */
struct bench_client {
	struct bench *b;
	pthread_t thread;
	int number; /* from 0 */
	int64_t msgs, offset;
	struct conn *conn;
	natsConnection *nc;
	natsSubscription *sub;
	uint64_t *latency; /* of each operation or batch in ns; NULL when there is none */
	int64_t nlatency;
	int64_t start, end;
	int64_t got; /* messages that came */
	volatile bool done;
	char inbox[128], *consumer;
	struct err err;
};

/* What a benchmark does. */
struct bench_kind {
	const char *label;
	char prefix;	   /* of clients in the CSV file: P or S */
	const char *unit;  /* "publishing", "expecting", "requesting" */
	bool timed;	   /* each operation has a latency */
	bool by_batch;	   /* each batch has one */
	bool each_all;	   /* each client does all operations; else they are shared out */
	bool by_reception; /* time counts from the first message to the last */
	/* Before the start, after connecting. May be NULL. */
	int (*prepare)(struct bench_client *c, struct err *e);
	/* All operations of the client; fills latency. */
	int (*run)(struct bench_client *c, struct err *e);
	/* After all clients have ended, before the connection is closed. May be NULL. */
	void (*finish)(struct bench_client *c);
};

struct bench {
	struct cli *c;
	const struct bench_kind *kind;
	const char *subject, *stream, *consumer, *acks;
	char *payload;
	int64_t clients, msgs, size, sleep_ns, multi_max, batch, randomize, first_seq;
	int digits;
	bool multi, multi_random, dedup, double_ack, direct;
	char id[24]; /* of this run, in message ids */
	struct bench_client *list;
	struct progress progress;
	bool shown; /* --progress */
	pthread_barrier_t go;
};

/* Reads the options, runs the clients, reports. */
int bench_run(struct bench *b, const struct bench_kind *k, struct err *e);
/* Subject of message n. */
const char *bench_subject(const struct bench *b, int64_t n, char out[static 512]);
/* Base options into b; before bench_run when more is needed. */
int bench_options(struct bench *b, struct cli *c, struct err *e);
#define BENCH_STREAM "benchstream"

/* Counts a message that came, for by_reception; true when it was the last. */
bool bench_received(struct bench_client *c);
/* Waits for --sleep. */
static inline void bench_pause(const struct bench *b)
{
	if (b->sleep_ns)
		(void)nats_wait(NULL, b->sleep_ns);
}
/* "nats: …" for a request to JetStream that failed. */
int bench_err(struct err *e, natsStatus s, const char *what);
/* All that was sent has reached the server. */
int bench_flush(struct bench_client *c, struct err *e);
/* A fresh inbox of the client, and a subscription on it; for prepare. */
int bench_inbox(struct bench_client *c, struct err *e);
/* One request that leaves at once, and its reply to that inbox: half the wake-ups of
 * natsConnection_Request. m: a message with the inbox as its reply, or NULL and a body.
 * A late reply would be the next one's: nothing may follow a failure. */
natsStatus bench_request(struct bench_client *c, natsMsg **reply, natsMsg *m, const char *subject,
			 const void *p, int64_t n);

/* Whether a body has a word in it: cheaper than parsing each reply. */
static inline bool bench_says(natsMsg *m, const char *word)
{
	const char *p = natsMsg_GetData(m);

	return p && memmem(p, (size_t)natsMsg_GetDataLength(m), word, strlen(word));
}
/* Acknowledgement of a stream; anything else answers on the same subject. BAD_JSON. */
int bench_ack(natsMsg *m, struct err *e);
/* Publishes all messages with acknowledgements; subject: where message i goes. */
int bench_stored(struct bench_client *c,
		 const char *(*subject)(struct bench_client *, int64_t, char *), struct err *e);
/* Commands of js pub and of js consume, fetch, ordered and get. */
int bench_js_sync(struct cli *c, struct err *e);
int bench_js_async(struct cli *c, struct err *e);
int bench_js_batch(struct cli *c, struct err *e);
int bench_js_consume(struct cli *c, struct err *e);
int bench_js_fetch(struct cli *c, struct err *e);
int bench_js_ordered(struct cli *c, struct err *e);
int bench_js_get(struct cli *c, struct err *e);
int bench_js_get_batch(struct cli *c, struct err *e);
/* --purge. */
int bench_purge(struct bench *b, struct err *e);

/* Run after each operation i that took from start until now. */
static inline void bench_took(struct bench_client *c, int64_t i, int64_t start)
{
	if (c->latency)
		c->latency[i] = (uint64_t)(mono_ns() - start);
	if (c->b->shown)
		progress_add(&c->b->progress, 1);
	bench_pause(c->b);
}

#endif
