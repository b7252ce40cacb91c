#include "box/nats/nats_bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "base/file.h"
#include "crypto/crypto.h"

#define MAX_CLIENTS 1000

int bench_options(struct bench *b, struct cli *c, struct err *e)
{
	const char *file = cli_str(c, "payload");
	char digits[24];

	b->c = c;
	b->clients = 1;
	b->msgs = 100000;
	b->size = 128;
	b->multi_max = 100000;
	b->batch = 500;
	b->subject = c->argc ? c->argv[0] : "";
	b->shown = nats_flag(c, "progress", true);
	b->multi = cli_has(c, "multisubject");
	b->multi_random = cli_has(c, "multisubjectrandomize");
	if (cli_int(c, "clients", 1, MAX_CLIENTS, &b->clients, e) ||
	    cli_int(c, "msgs", 1, INT32_MAX, &b->msgs, e) ||
	    cli_int(c, "multisubjectmax", 0, INT32_MAX, &b->multi_max, e) ||
	    cli_int(c, "batch", 1, 100000, &b->batch, e) ||
	    cli_int(c, "randomize", 0, INT32_MAX, &b->randomize, e) ||
	    nats_opt_bytes(c, "size", &b->size, e) ||
	    nats_opt_duration(c, "sleep", &b->sleep_ns, e))
		return -1;
	if (b->size < 0 || b->size > (64 << 20))
		return cli_usage(e, "option --size needs a size up to 64MB");
	b->digits = snprintf(digits, sizeof(digits), "%lld", (long long)b->multi_max);
	if (file) {
		CLEAN(buf) struct buf body = {0};

		buf_init(&body, (size_t)64 << 20);
		if (file_read(file, &body, e))
			return -1;
		b->size = (int64_t)body.len;
		b->payload = body.len ? (char *)STEAL(body.p) : calloc(1, 1);
	} else {
		b->payload = malloc((size_t)b->size + 1);
		if (b->payload)
			memset(b->payload, 'x', (size_t)b->size + 1);
	}
	return b->payload ? 0 : err_set(e, ERR_NOMEM, NULL);
}

const char *bench_subject(const struct bench *b, int64_t n, char out[static 512])
{
	uint32_t r;

	if (!b->multi)
		return b->subject;
	if (!b->multi_max) {
		(void)snprintf(out, 512, "%.480s.%lld", b->subject, (long long)n);
		return out;
	}
	if (b->multi_random)
		crypto_random(&r, sizeof(r));
	else
		r = (uint32_t)(n % b->multi_max);
	(void)snprintf(out, 512, "%.480s.%0*lld", b->subject, b->digits,
		       (long long)(r % (uint64_t)b->multi_max));
	return out;
}

bool bench_received(struct bench_client *c)
{
	if (++c->got == 1)
		c->start = mono_ns();
	if (c->b->shown)
		progress_add(&c->b->progress, 1);
	if (c->got < c->msgs)
		return false;
	c->end = mono_ns();
	__atomic_store_n(&c->done, true, __ATOMIC_RELEASE);
	return true;
}

int bench_err(struct err *e, natsStatus s, const char *what)
{
	if (s == NATS_NO_RESPONDERS)
		return err_set(e, ERR_NO_RESPONDERS, "%s: nats: no response from stream", what);
	return conn_err(e, s, what);
}

int bench_flush(struct bench_client *c, struct err *e)
{
	return conn_err(e, natsConnection_FlushTimeout(c->nc, 60000), "flushing");
}

int bench_inbox(struct bench_client *c, struct err *e)
{
	uint8_t raw[12];
	char text[ENC_HEX_LEN(12)];

	crypto_random(raw, sizeof(raw));
	enc_hex(text, raw, sizeof(raw));
	(void)snprintf(c->inbox, sizeof(c->inbox), "%.80s.%s", conn_inbox(c->conn), text);
	natsStatus s = natsConnection_SubscribeSync(&c->sub, c->nc, c->inbox);

	if (s == NATS_OK)
		s = natsSubscription_SetPendingLimits(c->sub, -1, -1);
	return conn_err(e, s, "subscribing");
}

natsStatus bench_request(struct bench_client *c, natsMsg **reply, natsMsg *m, const char *subject,
			 const void *p, int64_t n)
{
	natsStatus s = m ? natsConnection_SendMsg(c->nc, m)
			 : natsConnection_SendRequest(c->nc, subject, c->inbox, p, (int)n);

	if (s == NATS_OK)
		s = natsSubscription_NextMsg(reply, c->sub, run_of(c->b->c)->timeout_ms);
	if (s == NATS_OK && natsMsg_IsNoResponders(*reply))
		s = NATS_NO_RESPONDERS;
	return s;
}

static void *client_main(void *arg)
{
	struct bench_client *c = arg;

	pthread_barrier_wait(&c->b->go);
	c->start = mono_ns();
	if (!c->err.code && c->b->kind->run(c, &c->err) && !c->err.code)
		err_set(&c->err, ERR_INTERNAL, NULL);
	if (!c->b->kind->by_reception)
		c->end = mono_ns();
	return NULL;
}

/* ---- the report ---- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct stat {
	const uint64_t *v; /* sorted */
	size_t n;
	double avg, dev;
};

static struct stat stat_of(uint64_t *v, size_t n)
{
	struct stat s = {.v = v, .n = n};
	double sum = 0, square = 0;

	if (n)
		qsort(v, n, sizeof(*v), by_value);
	for (size_t i = 0; i < n; i++)
		sum += (double)v[i];
	s.avg = n ? sum / (double)n : 0;
	for (size_t i = 0; i < n; i++)
		square += ((double)v[i] - s.avg) * ((double)v[i] - s.avg);
	s.dev = n ? sqrt(square / (double)n) : 0;
	return s;
}

/* Microseconds. */
static double percentile(const struct stat *s, double p)
{
	size_t i = (size_t)ceil(p / 100 * (double)s->n);

	return s->n ? (double)s->v[i ? i - 1 : 0] / 1000 : 0;
}

static double seconds(int64_t start, int64_t end)
{
	return end > start ? (double)(end - start) / 1e9 : 1e-9;
}

/* "1,234 msgs/sec ~ 1 MiB/sec", and latencies when there are some. */
static void print_sample(int64_t msgs, int64_t bytes, double secs, const struct stat *s)
{
	printf("%s msgs/sec ~ %s/sec", COMMA((double)msgs / secs), IBYTES((double)bytes / secs));
	if (!s->n)
		return;
	printf(" ~ min: %sus ~ avg: %sus ~ max: %sus ~ P50: %sus ~ P90: %sus ~ P99: %sus ~ "
	       "P99.9: %sus",
	       COMMAF((double)s->v[0] / 1000, 2), COMMAF(s->avg / 1000, 2),
	       COMMAF((double)s->v[s->n - 1] / 1000, 2), COMMAF(percentile(s, 50), 2),
	       COMMAF(percentile(s, 90), 2), COMMAF(percentile(s, 99), 2),
	       COMMAF(percentile(s, 99.9), 2));
}

static void print_rates(const struct bench *b)
{
	double min = 0, max = 0, sum = 0, square = 0;

	for (int64_t i = 0; i < b->clients; i++) {
		const struct bench_client *c = &b->list[i];
		double r = floor((double)c->msgs / seconds(c->start, c->end));

		min = i == 0 || r < min ? r : min;
		max = r > max ? r : max;
		sum += r;
	}
	double avg = floor(sum / (double)b->clients);

	for (int64_t i = 0; i < b->clients; i++) {
		const struct bench_client *c = &b->list[i];
		double r = floor((double)c->msgs / seconds(c->start, c->end));

		square += (r - avg) * (r - avg);
	}
	printf(" message rates min %s | avg %s | max %s | stddev %s msgs\n", COMMA(min), COMMA(avg),
	       COMMA(max), COMMA(sqrt(square / (double)b->clients)));
}

static void print_latencies(const struct stat *s)
{
	printf(" latencies per operation min %sus | avg %sus | max %sus | stddev %sus | P50 %sus | "
	       "P90 %sus | P99 %sus | P99.9: %sus\n",
	       COMMAF((double)s->v[0] / 1000, 2), COMMAF(s->avg / 1000, 2),
	       COMMAF((double)s->v[s->n - 1] / 1000, 2), COMMAF(s->dev / 1000, 2),
	       COMMAF(percentile(s, 50), 2), COMMAF(percentile(s, 90), 2),
	       COMMAF(percentile(s, 99), 2), COMMAF(percentile(s, 99.9), 2));
}

static void csv_row(struct buf *out, const struct bench *b, const char *run, int64_t i,
		    const struct stat *s)
{
	const struct bench_client *c = &b->list[i];
	double secs = seconds(c->start, c->end);

	buf_printf(out, "%s,%c%lld,%lld,%lld,%.0f,%f,%f", run, b->kind->prefix, (long long)i,
		   (long long)c->msgs, (long long)(c->msgs * b->size),
		   floor((double)c->msgs / secs), (double)(c->msgs * b->size) / secs, secs);
	if (s->n)
		buf_printf(out, ",%f,%f,%f,%f,%f,%f,%f,%f", (double)s->v[0] / 1000, s->avg / 1000,
			   (double)s->v[s->n - 1] / 1000, percentile(s, 50), percentile(s, 90),
			   percentile(s, 99), percentile(s, 99.9), s->dev / 1000);
	buf_u8(out, '\n');
}

static int write_csv(const struct bench *b, const struct stat *stats, struct err *e)
{
	const char *file = cli_str(b->c, "csv");
	CLEAN(buf) struct buf out = {0};
	char run[ENC_BASE32_LEN(14)];
	uint8_t raw[14];

	if (!file)
		return 0;
	crypto_random(raw, sizeof(raw));
	enc_base32(run, raw, sizeof(raw));
	buf_init(&out, 1 << 24);
	buf_printf(&out,
		   "#RunID,ClientID,MsgCount,MsgBytes,MsgsPerSec,BytesPerSec,DurationSecs%s\n",
		   stats[0].n ? ",MinLatencyMicroSecs,AvgLatencyMicroSecs,MaxLatencyMicroSecs,"
				"P50LatencyMicroSecs,P90LatencyMicroSecs,P99LatencyMicroSecs,"
				"P99.9LatencyMicroSecs,StdDevLatencyMicroSecs"
			      : "");
	for (int64_t i = 0; i < b->clients; i++)
		csv_row(&out, b, run, i, &stats[i]);
	if (out.bad || file_replace(file, out.p, out.len, 0600, e))
		return -1;
	printf("Saved metric data in csv file %s\n", file);
	return 0;
}

static int report(struct bench *b, struct err *e)
{
	CLEAN(free) struct stat *stats = calloc((size_t)b->clients, sizeof(*stats));
	CLEAN(free) uint64_t *all = NULL;
	struct stat total = {0};
	int64_t start = INT64_MAX, end = 0, nall = 0;

	if (!stats)
		return err_set(e, ERR_NOMEM, NULL);
	for (int64_t i = 0; i < b->clients; i++) {
		struct bench_client *c = &b->list[i];

		stats[i] = stat_of(c->latency, c->latency ? (size_t)c->nlatency : 0);
		nall += c->nlatency;
		start = c->start < start ? c->start : start;
		end = c->end > end ? c->end : end;
	}
	putchar('\n');
	if (b->clients == 1) {
		printf("NATS %s stats: ", b->kind->label);
		print_sample(b->msgs, b->msgs * b->size, seconds(start, end), &stats[0]);
		puts("\n");
		return write_csv(b, stats, e);
	}
	if (b->kind->timed)
		all = calloc((size_t)nall, sizeof(*all));
	for (int64_t i = 0, at = 0; i < b->clients; i++) {
		struct bench_client *c = &b->list[i];

		printf("  [%lld] ", (long long)i + 1);
		print_sample(c->msgs, c->msgs * b->size, seconds(c->start, c->end), &stats[i]);
		printf(" (%s msgs)\n", COMMA(c->msgs));
		if (all && c->latency)
			memcpy(all + at, c->latency, (size_t)c->nlatency * sizeof(*all));
		at += c->nlatency;
	}
	int64_t sent = b->kind->each_all ? b->msgs * b->clients : b->msgs;

	printf("\n NATS %s aggregated stats: %s msgs/sec ~ %s/sec\n", b->kind->label,
	       COMMA((double)sent / seconds(start, end)),
	       IBYTES((double)(sent * b->size) / seconds(start, end)));
	print_rates(b);
	if (all) {
		total = stat_of(all, (size_t)nall);
		print_latencies(&total);
	}
	putchar('\n');
	return write_csv(b, stats, e);
}

/* ---- running ---- */

static int start_client(struct bench *b, int64_t i, struct err *e)
{
	struct bench_client *c = &b->list[i];
	int64_t each = b->msgs / b->clients, rest = b->msgs % b->clients;

	c->b = b;
	c->number = (int)i;
	c->msgs = b->kind->each_all ? b->msgs : each + (i < rest);
	c->offset = i * each + (i < rest ? i : rest);
	c->nlatency = b->kind->by_batch ? (c->msgs + b->batch - 1) / b->batch : c->msgs;
	if (b->kind->timed && !(c->latency = calloc((size_t)c->nlatency, sizeof(*c->latency))))
		return err_set(e, ERR_NOMEM, NULL);
	if (nats_connect_to(b->c, NULL, &c->conn, e))
		return -1;
	c->nc = conn_nats(c->conn);
	nats_log("[%lld] Starting %s, %s %s messages", (long long)i + 1, b->kind->label,
		 b->kind->unit, COMMA(c->msgs));
	return b->kind->prepare ? b->kind->prepare(c, e) : 0;
}

static int run_clients(struct bench *b, struct err *e)
{
	int64_t started = 0;
	int r = 0;

	if (pthread_barrier_init(&b->go, NULL, (unsigned)b->clients + 1))
		return err_set(e, ERR_NOMEM, NULL);
	for (; started < b->clients; started++)
		if (pthread_create(&b->list[started].thread, NULL, client_main,
				   &b->list[started])) {
			/* The others wait at the barrier: there is no way on. */
			fprintf(stderr, "nats: error: cannot start %lld threads\n",
				(long long)b->clients);
			exit(1);
		}
	if (b->shown)
		progress_start(&b->progress, b->kind->label,
			       (uint64_t)(b->kind->each_all ? b->msgs * b->clients : b->msgs),
			       PROGRESS_COUNT);
	pthread_barrier_wait(&b->go);
	for (int64_t i = 0; i < b->clients; i++) {
		pthread_join(b->list[i].thread, NULL);
		if (b->list[i].err.code && r == 0) {
			*e = b->list[i].err;
			r = -1;
		}
	}
	if (b->shown)
		progress_end(&b->progress);
	pthread_barrier_destroy(&b->go);
	return r;
}

int bench_run(struct bench *b, const struct bench_kind *k, struct err *e)
{
	int r = 0;

	b->kind = k;
	/* Work that is shared out goes round no more clients than there are pieces. */
	if (!k->each_all && b->clients > b->msgs)
		b->clients = b->msgs;
	nats_catch();
	if (!*b->id) {
		uint8_t raw[8];

		crypto_random(raw, sizeof(raw));
		enc_hex(b->id, raw, sizeof(raw));
	}
	nats_log("Starting %s benchmark [clients=%s, msg-size=%s, msgs=%s, sleep=%s%s%s]", k->label,
		 COMMA(b->clients), IBYTES(b->size), COMMA(b->msgs), GODURATION(b->sleep_ns),
		 *b->subject ? ", subject=" : "", b->subject);
	b->list = calloc((size_t)b->clients, sizeof(*b->list));
	if (!b->list)
		return err_set(e, ERR_NOMEM, NULL);
	for (int64_t i = 0; r == 0 && i < b->clients; i++)
		r = start_client(b, i, e);
	if (r == 0)
		r = run_clients(b, e);
	if (r == 0 && nats_stopped())
		r = 130;
	if (r == 0)
		r = report(b, e);
	for (int64_t i = 0; i < b->clients; i++) {
		struct bench_client *c = &b->list[i];

		natsSubscription_Destroy(c->sub);
		if (k->finish)
			k->finish(c);
		conn_close(c->conn);
		free(c->latency);
		free(c->consumer);
	}
	free(b->list);
	free(b->payload);
	return r;
}
