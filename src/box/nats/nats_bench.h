/* nats bench: clients, each a thread with its own connection, that do one operation many
 * times; then the report. */
#ifndef BOX_NATS_NATS_BENCH_H
#define BOX_NATS_NATS_BENCH_H

#include <pthread.h>

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
	uint64_t *latency; /* of each operation in ns; NULL when there is none */
	int64_t start, end;
	int64_t got; /* messages that came */
	volatile bool done;
	char inbox[128];
	struct err err;
};

/* What a benchmark does. */
struct bench_kind {
	const char *label;
	char prefix;	   /* of clients in the CSV file: P or S */
	const char *unit;  /* "publishing", "expecting", "requesting" */
	bool timed;	   /* each operation has a latency */
	bool by_reception; /* time counts from the first message to the last */
	/* Before the start, after connecting. May be NULL. */
	int (*prepare)(struct bench_client *c, struct err *e);
	/* All operations of the client; fills latency. */
	int (*run)(struct bench_client *c, struct err *e);
};

struct bench {
	struct cli *c;
	const struct bench_kind *kind;
	const char *subject, *stream;
	char *payload;
	int64_t clients, msgs, size, sleep_ns, multi_max, batch, randomize;
	int digits;
	bool multi, multi_random;
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
/* Run after each operation i that took from start until now. */
static inline void bench_took(struct bench_client *c, int64_t i, int64_t start)
{
	if (c->latency)
		c->latency[i] = (uint64_t)(mono_ns() - start);
	if (c->b->shown)
		progress_add(&c->b->progress, 1);
	if (c->b->sleep_ns)
		(void)nats_wait(NULL, c->b->sleep_ns);
}

#endif
