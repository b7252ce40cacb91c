/* Load generator: signatures through the client library, or plain NATS echo with the
 * same sizes, so that both are measured by the same means. Results are key=value lines.
 *
 *   load sign KEY  [-c CONNECTIONS] [-w WINDOW] [-s SECONDS] [-b BYTES]
 *   load echo      [-c …] [-w …] [-s …] [-n NKEY-FILE of the responder]
 *
 * Environment: NATS_URL, HSM_NKEY (or NATS_NKEY), HSM_IDENTITY. */
#include <getopt.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "client/hsm.h"
#include "crypto/crypto.h"
#include "nkey/nkey.h"
#include "proto/mode.h"

#define CONNECTIONS_MAX 64
#define ECHO_REQUEST 134 /* bytes of a sealed request to sign 32 bytes … */
#define ECHO_REPLY 115	 /* … and of its answer */

/* Latencies in buckets: 32 for each power of two of nanoseconds. */
#define SUB 32
struct histogram {
	uint64_t count[64 * SUB];
	uint64_t n, max;
};

struct options {
	const char *what, *key, *responder;
	unsigned connections, window, seconds, bytes;
	char user[NKEY_PUB_LEN];
};

struct lane;

struct inflight {
	struct lane *lane;
	uint64_t start;
};

struct lane {
	const struct options *o;
	struct hsm_client *client;
	struct conn *conn;
	natsSubscription *sub;
	struct inflight *reqs;
	struct histogram h;
	uint64_t errors;
	struct err first; /* error */
	atomic_uint out;
	char subject[128], inbox[128];
};

static atomic_bool stop;
static uint8_t message[4096];

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static unsigned bucket(uint64_t v)
{
	unsigned top = 63 - (unsigned)__builtin_clzll(v | SUB);

	return (top - 5) * SUB + (unsigned)(v >> (top - 5));
}

static uint64_t bucket_value(unsigned b)
{
	unsigned shift = b / SUB ? b / SUB - 1 : 0;

	return b < 2 * SUB ? b : (uint64_t)(b % SUB + SUB) << shift;
}

static void record(struct histogram *h, uint64_t ns)
{
	h->count[bucket(ns)]++;
	h->n++;
	if (ns > h->max)
		h->max = ns;
}

static double percentile_us(const struct histogram *h, double p)
{
	uint64_t want = (uint64_t)((double)h->n * p), seen = 0;

	for (unsigned b = 0; b < 64 * SUB; b++) {
		seen += h->count[b];
		if (seen > want)
			return (double)bucket_value(b) / 1000;
	}
	return (double)h->max / 1000;
}

/* ---- sign ---- */

static void submit(struct inflight *q, unsigned flags);

static void done(void *arg, const struct hsm_result *r, const struct err *e)
{
	struct inflight *q = arg;
	struct lane *l = q->lane;

	(void)r;
	if (e) {
		if (!l->errors++)
			l->first = *e;
	} else {
		record(&l->h, now_ns() - q->start);
	}
	if (atomic_load_explicit(&stop, memory_order_relaxed))
		atomic_fetch_sub(&l->out, 1);
	else
		submit(q, 0);
}

static void submit(struct inflight *q, unsigned flags)
{
	struct lane *l = q->lane;
	struct hsm_request req = {.op = OP_sign,
				  .key = l->o->key,
				  .body = message,
				  .len = l->o->bytes,
				  .flags = flags};
	struct err e;

	q->start = now_ns();
	if (hsm_submit(l->client, &req, done, q, &e)) {
		if (!l->errors++)
			l->first = e;
		atomic_fetch_sub(&l->out, 1);
	}
}

static int sign_open(struct lane *l, const struct nkey *k, const uint8_t identity[32],
		     struct err *e)
{
	struct hsm_opts o = {.caller = k, .in_flight = l->o->window, .deadline_ms = 20000};
	uint32_t max;

	conn_opts_env(&o.conn);
	o.conn.nkey = getenv("HSM_NKEY") ? getenv("HSM_NKEY") : o.conn.nkey;
	o.conn.quiet = true;
	memcpy(o.identity, identity, 32);
	return hsm_open(&l->client, &o, e) || hsm_ready(l->client, &max, e) ? -1 : 0;
}

static void sign_start(struct lane *l)
{
	for (unsigned i = 0; i < l->o->window; i++) {
		atomic_fetch_add(&l->out, 1);
		submit(&l->reqs[i], i + 1 < l->o->window ? HSM_MORE : 0);
	}
}

/* ---- echo ---- */

/* Publishes into the batch while more answers wait, else sends. */
static void publish(natsConnection *nc, natsSubscription *sub, const char *to, const char *reply,
		    size_t n)
{
	int pending = 0;

	(void)natsSubscription_GetPending(sub, &pending, NULL);
	if (!reply)
		(void)(pending ? natsConnection_Publish : natsConnection_Send)(nc, to, message,
									       (int)n);
	else
		(void)(pending ? natsConnection_PublishRequest
			       : natsConnection_SendRequest)(nc, to, reply, message, (int)n);
}

static void on_echo(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	(void)arg;
	publish(nc, sub, natsMsg_GetReply(m), NULL, ECHO_REPLY);
	natsMsg_Destroy(m);
}

static void on_reply(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	struct lane *l = arg;
	const char *token = strrchr(natsMsg_GetSubject(m), '.') + 1;
	struct inflight *q = &l->reqs[strtoul(token, NULL, 10) % l->o->window];
	char reply[192];

	if (natsMsg_IsNoResponders(m)) {
		if (!l->errors++)
			err_set(&l->first, ERR_NO_RESPONDERS, NULL);
		atomic_fetch_sub(&l->out, 1);
	} else {
		record(&l->h, now_ns() - q->start);
		if (atomic_load_explicit(&stop, memory_order_relaxed)) {
			atomic_fetch_sub(&l->out, 1);
		} else {
			q->start = now_ns();
			(void)snprintf(reply, sizeof(reply), "%s.%u", l->inbox,
				       (unsigned)(q - l->reqs));
			publish(nc, sub, l->subject, reply, ECHO_REQUEST);
		}
	}
	natsMsg_Destroy(m);
}

static int echo_open(struct lane *l, unsigned index, struct err *e)
{
	struct conn_opts o = {.quiet = true};
	char subject[160];

	conn_opts_env(&o);
	o.nkey = getenv("HSM_NKEY") ? getenv("HSM_NKEY") : o.nkey;
	if (conn_open(&l->conn, &o, e))
		return -1;
	(void)snprintf(l->subject, sizeof(l->subject), "hsm.i.echo.%s", l->o->user);
	(void)snprintf(l->inbox, sizeof(l->inbox), "%s.e%u", conn_inbox(l->conn), index);
	(void)snprintf(subject, sizeof(subject), "%s.*", l->inbox);
	return conn_err(e,
			natsConnection_Subscribe(&l->sub, conn_nats(l->conn), subject, on_reply, l),
			"inbox");
}

static void echo_start(struct lane *l)
{
	char reply[192];

	for (unsigned i = 0; i < l->o->window; i++) {
		(void)snprintf(reply, sizeof(reply), "%s.%u", l->inbox, i);
		atomic_fetch_add(&l->out, 1);
		l->reqs[i].start = now_ns();
		(void)(i + 1 < l->o->window ? natsConnection_PublishRequest
					    : natsConnection_SendRequest)(
			conn_nats(l->conn), l->subject, reply, message, ECHO_REQUEST);
	}
}

/* ---- both ---- */

static int fail(const struct err *e)
{
	fprintf(stderr, "load: %s\n", e->text);
	return err_exit(e);
}

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Runs for the time, then waits for what is out, at most 20 s. */
static int measure(struct lane *lanes, const struct options *o, bool sign)
{
	static struct histogram all;
	uint64_t errors = 0, start, answered = 0;
	double elapsed, cpu;
	struct err *first = NULL;

	for (unsigned i = 0; i < o->connections; i++)
		(sign ? sign_start : echo_start)(&lanes[i]);
	/* Warm for a moment: sessions, buffers, processor clocks. */
	usleep(200000);
	for (unsigned i = 0; i < o->connections; i++)
		answered += lanes[i].h.n;
	start = now_ns();
	cpu = cpu_seconds();
	sleep(o->seconds);
	elapsed = (double)(now_ns() - start) / 1e9;
	cpu = cpu_seconds() - cpu;
	for (unsigned i = 0; i < o->connections; i++)
		all.n += lanes[i].h.n;
	answered = all.n - answered;
	atomic_store(&stop, true);
	for (unsigned i = 0; i < o->connections; i++)
		for (unsigned t = 0; atomic_load(&lanes[i].out) && t < 2000; t++)
			usleep(10000);
	all.n = 0;
	for (unsigned i = 0; i < o->connections; i++) {
		for (unsigned b = 0; b < 64 * SUB; b++)
			all.count[b] += lanes[i].h.count[b];
		all.n += lanes[i].h.n;
		all.max = lanes[i].h.max > all.max ? lanes[i].h.max : all.max;
		errors += lanes[i].errors;
		if (lanes[i].errors && !first)
			first = &lanes[i].first;
	}
	printf("what=%s\nconnections=%u\nwindow=%u\nseconds=%.2f\nanswers=%llu\ntotal=%llu\nrate=%."
	       "0f\n"
	       "client_cpu_us=%.2f\nerrors=%llu\np50_us=%.0f\np90_us=%.0f\np99_us=%.0f\n"
	       "p999_us=%.0f\nmax_us=%.0f\n",
	       o->what, o->connections, o->window, elapsed, (unsigned long long)answered,
	       (unsigned long long)all.n, (double)answered / elapsed,
	       answered ? cpu * 1e6 / (double)answered : 0, (unsigned long long)errors,
	       percentile_us(&all, 0.5), percentile_us(&all, 0.9), percentile_us(&all, 0.99),
	       percentile_us(&all, 0.999), (double)all.max / 1000);
	return first ? fail(first) : 0;
}

static int usage(void)
{
	fputs("usage: load sign KEY [-c CONNECTIONS] [-w WINDOW] [-s SECONDS] [-b BYTES]\n"
	      "       load echo [-c CONNECTIONS] [-w WINDOW] [-s SECONDS] [-n NKEY-FILE]\n",
	      stderr);
	return 2;
}

static unsigned number(const char *text, unsigned max)
{
	unsigned long v = strtoul(text, NULL, 10);

	return v >= 1 && v <= max ? (unsigned)v : 0;
}

static int run(struct options *o, bool sign)
{
	CLEAN(nkey) struct nkey k = {0};
	const char *file = getenv("HSM_NKEY") ? getenv("HSM_NKEY") : getenv("NATS_NKEY");
	const char *id = getenv("HSM_IDENTITY");
	CLEAN(free) struct lane *lanes = calloc(o->connections, sizeof(*lanes));
	struct conn *responder = NULL;
	natsSubscription *sub = NULL;
	uint8_t identity[32];
	struct err e;
	int rc;

	if (!file || (sign && !id)) {
		fputs("load: set HSM_NKEY and HSM_IDENTITY\n", stderr);
		return 2;
	}
	if (nkey_read_kind(&k, NKEY_USER, file, &e) ||
	    (sign && nkey_decode_kind(identity, NKEY_CURVE, id, &e)))
		return fail(&e);
	nkey_pub_text(&k, o->user);
	if (!sign) {
		struct conn_opts co = {.nkey = o->responder, .quiet = true};
		char subject[128];

		conn_opts_env(&co);
		(void)snprintf(subject, sizeof(subject), "hsm.i.echo.%s", o->user);
		if (conn_open(&responder, &co, &e) ||
		    conn_err(&e,
			     natsConnection_Subscribe(&sub, conn_nats(responder), subject, on_echo,
						      NULL),
			     "responder"))
			return fail(&e);
		(void)natsConnection_Flush(conn_nats(responder));
	}
	for (unsigned i = 0; i < o->connections; i++) {
		struct lane *l = &lanes[i];

		l->o = o;
		l->reqs = calloc(o->window, sizeof(*l->reqs));
		for (unsigned w = 0; w < o->window; w++)
			l->reqs[w].lane = l;
		if (sign ? sign_open(l, &k, identity, &e) : echo_open(l, i, &e))
			return fail(&e);
	}
	rc = measure(lanes, o, sign);
	for (unsigned i = 0; i < o->connections; i++) {
		(void)hsm_close(lanes[i].client, NULL);
		conn_close(lanes[i].conn);
		natsSubscription_Destroy(lanes[i].sub);
	}
	conn_close(responder);
	natsSubscription_Destroy(sub);
	/* reqs stay: an echo's last callback may still run until the process ends. */
	return rc;
}

int main(int argc, char **argv)
{
	struct options o = {.connections = 2, .window = 64, .seconds = 5, .bytes = 32};
	bool sign;
	int c;

	while ((c = getopt(argc, argv, "c:w:s:b:n:")) != -1) {
		unsigned *to = c == 'c'	  ? &o.connections
			       : c == 'w' ? &o.window
			       : c == 's' ? &o.seconds
			       : c == 'b' ? &o.bytes
					  : NULL;

		if (c == 'n')
			o.responder = optarg;
		else if (!to || !(*to = number(optarg, c == 'c'	  ? CONNECTIONS_MAX
						       : c == 's' ? 600
								  : 4096)))
			return usage();
	}
	argv += optind;
	o.what = argv[0] ? argv[0] : "";
	sign = strcmp(o.what, "sign") == 0;
	o.key = sign ? argv[1] : NULL;
	if (sign ? !o.key || argv[2] : strcmp(o.what, "echo") != 0 || argv[1])
		return usage();
	if (crypto_init())
		return 1;
	return run(&o, sign);
}
