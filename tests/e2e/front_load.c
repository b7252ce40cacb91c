/* front_load URL SUBJECT CONNECTIONS WINDOW BYTES MILLISECONDS [REPLY-BYTES]: keeps
 * WINDOW requests in flight on each connection and prints "N requests/s, L us mean". With SUBJECT
 * "echo" it first starts an echo service of its own: the rate that the broker and
 * nats.c reach by themselves. NATS_NKEY and the like say as whom. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conn/conn.h"
#include "crypto/crypto.h"

static _Atomic long replies, wrong;
static _Atomic int stop;
static const char *subject;
static char *body;
static int bytes, wanted;

struct client {
	natsConnection *nc;
	natsSubscription *sub;
	char inbox[160];
};

static void ask(struct client *c, int more)
{
	if (more)
		natsConnection_PublishRequest(c->nc, subject, c->inbox, body, bytes);
	else
		natsConnection_SendRequest(c->nc, subject, c->inbox, body, bytes);
}

static void on_reply(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg)
{
	uint64_t waiting = 0;

	(void)nc;
	if (natsMsg_GetDataLength(msg) != wanted)
		atomic_fetch_add(&wrong, 1);
	natsMsg_Destroy(msg);
	atomic_fetch_add_explicit(&replies, 1, memory_order_relaxed);
	if (atomic_load_explicit(&stop, memory_order_relaxed))
		return;
	natsSubscription_QueuedMsgs(sub, &waiting);
	ask(arg, waiting > 0);
}

static void on_echo(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg)
{
	uint64_t waiting = 0;

	(void)arg;
	natsSubscription_QueuedMsgs(sub, &waiting);
	(waiting ? natsConnection_Publish : natsConnection_Send)(
		nc, natsMsg_GetReply(msg), natsMsg_GetData(msg), natsMsg_GetDataLength(msg));
	natsMsg_Destroy(msg);
}

static void must(natsStatus s, const char *what)
{
	if (s == NATS_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, natsStatus_GetText(s));
	exit(1);
}

/* Connects; the inbox prefix goes to inbox. */
static natsConnection *connected(const char *url, char *inbox, size_t cap)
{
	struct conn_opts o = {.url = url, .quiet = true};
	struct conn *c;
	struct err e;

	conn_opts_env(&o);
	if (conn_open(&c, &o, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	if (inbox)
		snprintf(inbox, cap, "%s", conn_inbox(c));
	return conn_nats(c);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void wait_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&t, NULL);
}

static int number(const char *text)
{
	return (int)strtol(text, NULL, 10);
}

int main(int argc, char **argv)
{
	natsConnection *echo = NULL;
	natsSubscription *echo_sub = NULL;

	if (argc != 7 && argc != 8) {
		fprintf(stderr, "usage: front_load URL SUBJECT CONNECTIONS WINDOW BYTES MS "
				"[REPLY-BYTES]\n");
		return 2;
	}
	if (crypto_init())
		return 1;
	subject = argv[2];
	int n = number(argv[3]), window = number(argv[4]), ms = number(argv[6]);

	bytes = number(argv[5]);
	wanted = argc == 8 ? number(argv[7]) : bytes;
	body = calloc(1, (size_t)bytes + 1);
	if (strcmp(subject, "echo") == 0) {
		echo = connected(argv[1], NULL, 0);
		must(natsConnection_Subscribe(&echo_sub, echo, subject, on_echo, NULL), "echo");
		must(natsConnection_Flush(echo), "flush");
	}
	struct client *c = calloc((size_t)n, sizeof(*c));

	for (int i = 0; i < n; i++) {
		char prefix[128];

		c[i].nc = connected(argv[1], prefix, sizeof(prefix));
		snprintf(c[i].inbox, sizeof(c[i].inbox), "%s.load%d", prefix, i);
		must(natsConnection_Subscribe(&c[i].sub, c[i].nc, c[i].inbox, on_reply, &c[i]),
		     "subscribe");
		must(natsConnection_Flush(c[i].nc), "flush");
	}
	for (int i = 0; i < n; i++)
		for (int w = 0; w < window; w++)
			ask(&c[i], w + 1 < window);
	wait_ms(ms / 5);
	double from = seconds();
	long before = atomic_load(&replies);

	wait_ms(ms);
	double took = seconds() - from;
	long got = atomic_load(&replies) - before;

	atomic_store(&stop, 1);
	wait_ms(200);
	printf("%.0f requests/s, %.0f us mean\n", (double)got / took,
	       got ? took * 1e6 * n * window / (double)got : 0);
	return atomic_load(&wrong) ? 1 : 0;
}
