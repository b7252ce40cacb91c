/* Many requests at a time through the client library, for tests that disturb them.
 *
 *   hsm_many keys PREFIX COUNT  [-w WINDOW] [-d DEADLINE-MS] [-p MS between two]
 *       makes Ed25519 keys PREFIX.1 …; a line "NAME ERROR TRIES MS TEXT" each, OK when made
 *   hsm_many sign KEY COUNT     [-w WINDOW] [-d DEADLINE-MS] [-1] [-s SECONDS]
 *       signs as many different messages (or for so long) and verifies each signature
 *       here; -1: no request is sent twice; lost: sent, and neither answered nor refused
 *       before the deadline. Last lines: "NAME COUNT" of each outcome
 *       Both say on stderr when the first answer has come.
 *   hsm_many close ROUNDS
 *       closes clients while a callback runs; fails when the callback outlives one
 *
 * Environment: NATS_URL, HSM_NKEY, HSM_IDENTITY, NATS_CA, … */
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "client/hsm.h"
#include "client/hsm_ops.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"

#define CODES 128

struct many {
	struct hsm_client *client;
	pthread_mutex_t lock; /* of stdout and the counts */
	uint8_t pub[32];
	unsigned counts[CODES], submitted, answered, bad, lost;
	int64_t slowest, pace, deadline;
	struct err last;
};

struct one {
	struct many *m;
	int64_t start;
	unsigned n;
	char name[160];
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void count(struct one *q, const struct hsm_result *r, const struct err *e, bool print)
{
	struct many *m = q->m;
	unsigned code = e ? e->code : 0;
	int64_t ms = now_ms() - q->start;

	m->counts[code < CODES ? code : 1]++;
	if (!m->answered++)
		fprintf(stderr, "hsm_many: the first answer: %s\n", err_row(code)->name);
	if (ms > m->slowest)
		m->slowest = ms;
	if (e)
		m->last = *e;
	m->lost += e && r->tries && ms >= m->deadline;
	if (print)
		printf("%s %s %u %lld %s\n", q->name, err_row(code)->name, r->tries, (long long)ms,
		       e ? e->text : "");
}

static void key_done(void *arg, const struct hsm_result *r, const struct err *e)
{
	struct one *q = arg;

	pthread_mutex_lock(&q->m->lock);
	count(q, r, e, true);
	pthread_mutex_unlock(&q->m->lock);
	free(q);
}

static int message(unsigned n, char out[static 64])
{
	return snprintf(out, 64, "message number %u", n);
}

static void sign_done(void *arg, const struct hsm_result *r, const struct err *e)
{
	struct one *q = arg;
	char text[64];
	int len = message(q->n, text);
	bool bad = !e && (r->body.len != 64 || ed25519_verify(r->body.p, (const uint8_t *)text,
							      (size_t)len, q->m->pub, NULL));

	pthread_mutex_lock(&q->m->lock);
	q->m->bad += bad;
	count(q, r, e, false);
	pthread_mutex_unlock(&q->m->lock);
	free(q);
}

static struct one *one(struct many *m, unsigned n)
{
	struct one *q = calloc(1, sizeof(*q));

	if (!q)
		exit(1);
	q->m = m;
	q->n = n;
	q->start = now_ms();
	return q;
}

static void submit(struct many *m, struct one *q, struct hsm_request *r, hsm_done *done)
{
	struct err e;

	m->submitted++;
	if (!hsm_submit(m->client, r, done, q, &e))
		return;
	fprintf(stderr, "hsm_many: not taken: %s\n", e.text);
	exit(1);
}

static void keys(struct many *m, const char *prefix, unsigned n)
{
	uint8_t mem[64];
	struct buf body;
	struct key_new k = {.type = KEY_ED25519};

	buf_fixed(&body, mem, sizeof(mem));
	key_new_put(&body, &k);
	for (unsigned i = 1; i <= n; i++) {
		struct one *q = one(m, i);
		struct hsm_request r = {.op = OP_key_generate, .body = body.p, .len = body.len};

		(void)snprintf(q->name, sizeof(q->name), "%s.%u", prefix, i);
		r.key = q->name;
		submit(m, q, &r, key_done);
		usleep((useconds_t)m->pace * 1000);
	}
}

static int sign(struct many *m, const char *key, unsigned n, int seconds, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct key_info info;
	int64_t until = now_ms() + seconds * 1000;

	buf_init(&mem, 4096);
	if (hsm_key_get(m->client, key, &mem, &info, e))
		return -1;
	if (info.pub.len != 32)
		return err_set(e, ERR_BAD_TYPE, "%s is no Ed25519 key", key);
	memcpy(m->pub, info.pub.p, 32);
	for (unsigned i = 1; seconds ? now_ms() < until : i <= n; i++) {
		char text[64];
		int len = message(i, text);
		struct hsm_request r = {
			.op = OP_sign, .key = key, .body = text, .len = (size_t)len};

		submit(m, one(m, i), &r, sign_done);
	}
	return 0;
}

/* ---- close ---- */

struct slow {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool entered, left;
};

static void slow_done(void *arg, const struct hsm_result *r, const struct err *e)
{
	struct slow *s = arg;

	(void)r;
	(void)e;
	pthread_mutex_lock(&s->lock);
	s->entered = true;
	pthread_cond_signal(&s->cond);
	pthread_mutex_unlock(&s->lock);
	usleep(20000);
	pthread_mutex_lock(&s->lock);
	s->left = true;
	pthread_mutex_unlock(&s->lock);
}

/* The callback's thread goes back into the client: it must be there still. */
static int close_rounds(const struct hsm_opts *o, unsigned rounds)
{
	unsigned early = 0;

	for (unsigned i = 0; i < rounds; i++) {
		struct slow s = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
		struct hsm_request q = {.op = OP_state};
		struct hsm_client *c;
		struct err e;

		if (hsm_open(&c, o, &e) || hsm_submit(c, &q, slow_done, &s, &e)) {
			fprintf(stderr, "hsm_many: %s\n", e.text);
			return 1;
		}
		pthread_mutex_lock(&s.lock);
		while (!s.entered)
			pthread_cond_wait(&s.cond, &s.lock);
		pthread_mutex_unlock(&s.lock);
		(void)hsm_close(c, NULL);
		pthread_mutex_lock(&s.lock);
		early += !s.left;
		pthread_mutex_unlock(&s.lock);
		if (!s.left)
			usleep(50000); /* s is on our stack */
	}
	printf("rounds %u closed-early %u\n", rounds, early);
	return early != 0;
}

static int run(struct many *m, const struct hsm_opts *o, char **word, int seconds, struct err *e)
{
	unsigned n = word[2] ? (unsigned)strtoul(word[2], NULL, 10) : 0;

	if (hsm_open(&m->client, o, e))
		return -1;
	if (strcmp(word[0], "keys") == 0)
		keys(m, word[1], n);
	else if (sign(m, word[1], n, seconds, e))
		return -1;
	return hsm_wait_idle(m->client, 120000, e);
}

static int identity(struct hsm_opts *o, struct err *e)
{
	const char *id = getenv("HSM_IDENTITY");

	return nkey_decode_kind(o->identity, NKEY_CURVE, id ? id : "", e);
}

int main(int argc, char **argv)
{
	static struct many m = {.lock = PTHREAD_MUTEX_INITIALIZER};
	CLEAN(nkey) struct nkey k = {0};
	struct hsm_opts o = {.caller = &k, .in_flight = 16, .deadline_ms = 30000};
	struct err e = {0};
	int c, seconds = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "w:d:s:p:1")) > 0) {
		if (c == 'w')
			o.in_flight = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'd')
			o.deadline_ms = strtol(optarg, NULL, 10);
		else if (c == 's')
			seconds = (int)strtol(optarg, NULL, 10);
		else if (c == 'p')
			m.pace = strtol(optarg, NULL, 10);
		else
			o.tries = 1;
	}
	m.deadline = o.deadline_ms;
	if (o.tries)
		o.try_ms = o.deadline_ms;
	conn_opts_env(&o.conn);
	o.conn.quiet = true;
	if (argc - optind < 2 || crypto_init() ||
	    nkey_read_kind(&k, NKEY_USER, getenv("HSM_NKEY"), &e) || identity(&o, &e)) {
		fprintf(stderr, "hsm_many: %s\n", *e.text ? e.text : "usage");
		return 2;
	}
	if (strcmp(argv[optind], "close") == 0) {
		c = close_rounds(&o, (unsigned)strtoul(argv[optind + 1], NULL, 10));
		conn_library_close();
		return c;
	}
	c = run(&m, &o, argv + optind, seconds, &e);
	if (c)
		fprintf(stderr, "hsm_many: %s\n", e.text);
	(void)hsm_close(m.client, NULL);
	conn_library_close();
	for (unsigned i = 0; i < CODES; i++)
		if (m.counts[i])
			printf("%s %u\n", err_row(i)->name, m.counts[i]);
	printf("submitted %u\nanswered %u\nbad %u\nlost %u\nslowest-ms %lld\n", m.submitted,
	       m.answered, m.bad, m.lost, (long long)m.slowest);
	if (m.last.code)
		fprintf(stderr, "hsm_many: last error: %s\n", m.last.text);
	return c || m.bad ? 1 : 0;
}
