/* What the benchmarks do, and their table. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/nats_bench.h"
#include "box/nats/nats_msg.h"
#include "crypto/crypto.h"

#define DEFAULT_BUCKET "benchbucket"

/* ---- pub ---- */

/* The usual case in a loop of its own, with one look at the clock for a message: the end
 * of one is the start of the next. */
static natsStatus pub_fast(struct bench_client *c)
{
	const struct bench *b = c->b;
	int64_t at = mono_ns();
	natsStatus s = NATS_OK;

	for (int64_t i = 0; i < c->msgs && s == NATS_OK; i++) {
		s = natsConnection_Publish(c->nc, b->subject, b->payload, (int)b->size);
		int64_t now = mono_ns();

		c->latency[i] = (uint64_t)(now - at);
		at = now;
		if ((i & 1023) == 1023) {
			if (b->shown)
				progress_add(&c->b->progress, 1024);
			if (nats_stopped())
				break;
		}
	}
	return s;
}

static int pub_run(struct bench_client *c, struct err *e)
{
	struct bench *b = c->b;
	bool headers = cli_count(b->c, "header") > 0;
	char subject[512];
	natsStatus s = NATS_OK;

	if (!headers && !b->multi && !b->sleep_ns) {
		s = pub_fast(c);
		return s == NATS_OK ? bench_flush(c, e) : conn_err(e, s, "publishing");
	}
	for (int64_t i = 0; i < c->msgs && s == NATS_OK; i++) {
		const char *to = bench_subject(b, c->offset + i, subject);
		CLEAN(msg) natsMsg *m = NULL;

		if (headers) {
			s = natsMsg_Create(&m, to, NULL, b->payload, (int)b->size);
			if (s == NATS_OK && msg_headers(m, b->c, i, e))
				return -1;
		}
		int64_t start = mono_ns();

		if (s == NATS_OK)
			s = m ? natsConnection_PublishMsg(c->nc, m)
			      : natsConnection_Publish(c->nc, to, b->payload, (int)b->size);
		bench_took(c, i, start);
		if ((i & 1023) == 0 && nats_stopped())
			return 0;
	}
	return s == NATS_OK ? bench_flush(c, e) : conn_err(e, s, "publishing");
}

static const struct bench_kind pub_kind = {.label = "Core NATS publisher",
					   .prefix = 'P',
					   .unit = "publishing",
					   .timed = true,
					   .run = pub_run};

static int bench_pub(struct cli *c, struct err *e)
{
	struct bench b = {0};

	if (msg_subject_ok(c->argv[0], false, e) || bench_options(&b, c, e))
		return -1;
	return bench_run(&b, &pub_kind, e);
}

/* ---- sub ---- */

static void on_counted(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	struct bench_client *c = arg;

	(void)nc;
	(void)sub;
	natsMsg_Destroy(m);
	if (c->got < c->msgs)
		(void)bench_received(c);
}

static int sub_prepare(struct bench_client *c, struct err *e)
{
	char subject[512];
	natsStatus s;

	(void)snprintf(subject, sizeof(subject), "%.500s%s", c->b->subject,
		       c->b->multi ? ".*" : "");
	s = natsConnection_Subscribe(&c->sub, c->nc, subject, on_counted, c);
	if (s == NATS_OK)
		s = natsSubscription_SetPendingLimits(c->sub, -1, -1);
	return s == NATS_OK ? bench_flush(c, e) : conn_err(e, s, "subscribing");
}

static int sub_run(struct bench_client *c, struct err *e)
{
	(void)e;
	(void)nats_wait(&c->done, -1);
	return 0;
}

static const struct bench_kind sub_kind = {.label = "Core NATS subscriber",
					   .prefix = 'S',
					   .unit = "expecting",
					   .each_all = true,
					   .by_reception = true,
					   .prepare = sub_prepare,
					   .run = sub_run};

static int bench_sub(struct cli *c, struct err *e)
{
	struct bench b = {0};

	if (msg_subject_ok(c->argv[0], true, e) || bench_options(&b, c, e))
		return -1;
	return bench_run(&b, &sub_kind, e);
}

/* ---- service request and serve ---- */

static int request_run(struct bench_client *c, struct err *e)
{
	struct bench *b = c->b;
	char subject[512];

	for (int64_t i = 0; i < c->msgs && !nats_stopped(); i++) {
		const char *to = bench_subject(b, c->offset + i, subject);
		CLEAN(msg) natsMsg *reply = NULL, *m = NULL;
		natsStatus s = NATS_OK;

		if (cli_count(b->c, "header") > 0) {
			s = natsMsg_Create(&m, to, c->inbox, b->payload, (int)b->size);
			if (s == NATS_OK && msg_headers(m, b->c, i, e))
				return -1;
		}
		int64_t start = mono_ns();

		if (s == NATS_OK)
			s = bench_request(c, &reply, m, to, b->payload, b->size);

		if (s == NATS_NO_RESPONDERS)
			return err_set(e, ERR_NO_RESPONDERS,
				       "requesting: nats: no responders available for request");
		if (s != NATS_OK)
			return conn_err(e, s, "requesting");
		bench_took(c, i, start);
	}
	return 0;
}

static const struct bench_kind request_kind = {.label = "Core NATS service requester",
					       .prefix = 'P',
					       .unit = "requesting",
					       .timed = true,
					       .prepare = bench_inbox,
					       .run = request_run};

static int request(struct cli *c, struct err *e)
{
	struct bench b = {0};

	if (msg_subject_ok(c->argv[0], false, e) || bench_options(&b, c, e))
		return -1;
	return bench_run(&b, &request_kind, e);
}

static void on_serve(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	struct bench_client *c = arg;
	int left = 0, bytes = 0;

	if (c->b->sleep_ns)
		(void)nats_wait(NULL, c->b->sleep_ns);
	/* The last of a burst leaves at once, see conn.c. */
	bool last = natsSubscription_GetPending(sub, &left, &bytes) != NATS_OK || left == 0;

	if (natsMsg_GetReply(m)) {
		natsMsg *out = NULL;

		if (natsMsg_Create(&out, natsMsg_GetReply(m), NULL, c->b->payload,
				   (int)c->b->size) == NATS_OK)
			(void)(last ? natsConnection_SendMsg(nc, out)
				    : natsConnection_PublishMsg(nc, out));
		natsMsg_Destroy(out);
	}
	natsMsg_Destroy(m);
}

static int serve_prepare(struct bench_client *c, struct err *e)
{
	natsStatus s =
		natsConnection_QueueSubscribe(&c->sub, c->nc, c->b->subject, "q", on_serve, c);

	return s == NATS_OK ? bench_flush(c, e) : conn_err(e, s, "subscribing");
}

static int serve_run(struct bench_client *c, struct err *e)
{
	(void)e;
	(void)c;
	(void)nats_wait(NULL, -1);
	return 0;
}

static const struct bench_kind serve_kind = {.label = "Core NATS service server",
					     .prefix = '?',
					     .unit = "serving",
					     .prepare = serve_prepare,
					     .run = serve_run};

static int bench_serve(struct cli *c, struct err *e)
{
	struct bench b = {0};

	if (msg_subject_ok(c->argv[0], true, e) || bench_options(&b, c, e))
		return -1;
	b.shown = false;
	return bench_run(&b, &serve_kind, e);
}

/* ---- KV ---- */

static const char *storage_of(struct cli *c)
{
	const char *s = cli_str(c, "storage");

	return s && strcmp(s, "memory") == 0 ? "memory" : "file";
}

static const char *bucket_of(struct cli *c)
{
	return cli_str(c, "bucket") ? cli_str(c, "bucket") : DEFAULT_BUCKET;
}

static const char *kv_subject(struct bench_client *c, int64_t i, char *out)
{
	uint32_t r;

	crypto_random(&r, sizeof(r));
	(void)snprintf(out, 512, "$KV.%.200s.%lld", bucket_of(c->b->c),
		       (long long)(c->b->randomize ? r % c->b->randomize : c->offset + i));
	return out;
}

static int kv_put_run(struct bench_client *c, struct err *e)
{
	return bench_stored(c, kv_subject, e);
}

static int kv_get_run(struct bench_client *c, struct err *e)
{
	char key[512], api[800];

	for (int64_t i = 0; i < c->msgs && !nats_stopped(); i++) {
		CLEAN(msg) natsMsg *reply = NULL;

		if (nats_js_subject(c->b->c, api, sizeof(api), e, "DIRECT.GET.KV_%s.%s",
				    bucket_of(c->b->c), kv_subject(c, i, key)))
			return -1;
		int64_t start = mono_ns();
		natsStatus s = bench_request(c, &reply, NULL, api, "", 0);

		if (s != NATS_OK)
			return conn_err(e, s, "getting");
		if (strcmp(msg_status(reply), "404") == 0)
			return err_set(e, ERR_NOT_FOUND, "getting: nats: key not found: %.80s",
				       strrchr(key, '.') + 1);
		bench_took(c, i, start);
	}
	return 0;
}

static const struct bench_kind kv_put_kind = {.label = "JetStream KV putter",
					      .prefix = 'P',
					      .unit = "putting",
					      .timed = true,
					      .prepare = bench_inbox,
					      .run = kv_put_run};
static const struct bench_kind kv_get_kind = {.label = "JetStream KV getter",
					      .prefix = 'S',
					      .unit = "getting",
					      .timed = true,
					      .prepare = bench_inbox,
					      .run = kv_get_run};

static int make_bucket(struct bench *b, struct err *e)
{
	struct cli *c = b->c;
	int64_t replicas = 1, max = 1 << 30, history = 1;
	CLEAN(json) json_t *reply = NULL, *gone = NULL;
	char subject[300];

	if (cli_int(c, "replicas", 1, 5, &replicas, e) || nats_opt_bytes(c, "maxbytes", &max, e) ||
	    cli_int(c, "history", 1, 64, &history, e))
		return -1;
	if (cli_has(c, "purge") &&
	    nats_js_request(c, NULL, &gone, e, "STREAM.DELETE.KV_%s", bucket_of(c)) &&
	    run_of(c)->api_code != 10059)
		return -1;
	if (strcmp(bucket_of(c), DEFAULT_BUCKET) != 0)
		return 0;
	(void)snprintf(subject, sizeof(subject), "$KV.%s.>", DEFAULT_BUCKET);
	return nats_js_request(
		c,
		json_pack("{s:s, s:[s], s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:b}", "name",
			  "KV_" DEFAULT_BUCKET, "subjects", subject, "description",
			  "nats bench bucket", "retention", "limits", "discard", "new", "storage",
			  storage_of(c), "max_bytes", (json_int_t)max, "num_replicas",
			  (json_int_t)replicas, "max_msgs_per_subject", (json_int_t)history,
			  "allow_direct", 1, "allow_rollup_hdrs", 1, "deny_delete", 1),
		&reply, e, "STREAM.CREATE.KV_%s", DEFAULT_BUCKET);
}

static int bench_kv_put(struct cli *c, struct err *e)
{
	struct bench b = {0};

	if (bench_options(&b, c, e))
		return -1;
	if (make_bucket(&b, e) && run_of(c)->api_code != 10058) {
		free(b.payload);
		return -1;
	}
	return bench_run(&b, &kv_put_kind, e);
}

static int bench_kv_get(struct cli *c, struct err *e)
{
	struct bench b = {0};

	if (bench_options(&b, c, e) || nats_settings(c, e))
		return -1;
	return bench_run(&b, &kv_get_kind, e);
}

#define COMMON                                                                                     \
	{"clients", 0, "N", "Clients at the same time (1)"},                                       \
		{"msgs", 0, "N", "Messages in all (100000)"},                                      \
		{"size", 0, "SIZE", "Size of a message (128B)"},                                   \
		{"progress", 0, NULL, "Show the progress (on; --no-progress)"},                    \
		{"csv", 0, "FILE", "Write the figures to a file"},                                 \
		{"sleep", 0, "DURATION", "Pause after each message"}
#define MULTI                                                                                      \
	{"multisubject", 0, NULL, "The number of the message is a token of its subject"},          \
		{"multisubjectmax", 0, "N", "Number of subjects (100000; 0: any)"},                \
		{"multisubjectrandomize", 0, NULL, "Take the subjects at random"},                 \
		{"payload", 0, "FILE", "Body of the messages"},                                    \
		{"header", 'H', "K:V", "Add a header (may be given again)"}
#define STORE                                                                                      \
	{"storage", 0, "KIND", "file (default) or memory"}, {"replicas", 0, "N", "Replicas (1)"},  \
		{"maxbytes", 0, "SIZE", "Largest size of stream or bucket (1GB)"}, PURGE

static const struct cli_opt pub_opts[] = {COMMON, MULTI, {0}};
static const struct cli_opt sub_opts[] = {
	COMMON, {"multisubject", 0, NULL, "Subscribe to SUBJECT.*"}, {0}};
static const struct cli_opt request_opts[] = {
	COMMON,
	{"payload", 0, "FILE", "Body of the messages"},
	{"header", 'H', "K:V", "Add a header (may be given again)"},
	{0},
};
static const struct cli_opt serve_opts[] = {COMMON, {"payload", 0, "FILE", "Body of replies"}, {0}};
#define STREAM {"stream", 0, "STREAM", "Stream to use (" BENCH_STREAM ")"}
#define PURGE {"purge", 0, NULL, "Empty it first"}
#define CREATE                                                                                     \
	STREAM, {"create", 0, NULL, "Make the stream first"},                                      \
		{"dedup", 0, NULL, "Give each message an id, so that the stream drops repeats"},   \
		{"dedupwindow", 0, "DURATION", "How long the stream knows ids (2m)"},              \
		{"persistasync", 0, NULL, "A stream that writes to the disk later (one replica)"}
#define BATCH {"batch", 0, "N", "Messages in flight at a time (500)"}
static const struct cli_opt js_sync_opts[] = {COMMON, MULTI, STORE, CREATE, {0}};
static const struct cli_opt js_opts[] = {COMMON, MULTI, STORE, CREATE, BATCH, {0}};
static const struct cli_opt ordered_opts[] = {
	COMMON, STREAM, BATCH, PURGE, {"filter", 0, "SUBJECT", "Only these subjects"}, {0}};
static const struct cli_opt consume_opts[] = {
	COMMON,
	STREAM,
	BATCH,
	PURGE,
	{"filter", 0, "SUBJECT", "Only these subjects (may be given again)"},
	{"consumer", 0, "CONSUMER", "Durable consumer to use (nats-bench, which is made)"},
	{"acks", 0, "POLICY", "Acknowledgements: explicit (default), all or none"},
	{"doubleack", 0, NULL, "Wait for the server's word about each acknowledgement"},
	{0},
};
static const struct cli_opt get_opts[] = {COMMON, STREAM, {0}};
static const struct cli_opt get_batch_opts[] = {
	COMMON, STREAM, BATCH, {"filter", 0, "SUBJECT", "Only these subjects (>)"}, {0}};
static const struct cli_opt kv_opts[] = {
	COMMON,
	STORE,
	{"bucket", 0, "BUCKET", "Bucket to use (" DEFAULT_BUCKET ")"},
	{"history", 0, "N", "History of the bucket (1)"},
	{"randomize", 0, "N", "Keys at random below this number"},
	{0},
};

static const char *const pub_examples[] = {
	"nats bench pub test --msgs 1000000 --clients 2",
	"nats bench pub test --size 16 --multisubject --no-progress --csv out.csv", NULL};
static const char *const service_examples[] = {
	"nats bench service serve svc &  nats bench service request svc --msgs 10000", NULL};

const struct cli_cmd nats_bench_cmds[] = {
	{.path = "bench pub",
	 .help = "Publish messages",
	 .args = "SUBJECT",
	 .opts = pub_opts,
	 .run = bench_pub,
	 .examples = pub_examples},
	{.path = "bench sub",
	 .help = "Receive messages",
	 .args = "SUBJECT",
	 .opts = sub_opts,
	 .run = bench_sub},
	{.path = "bench service request",
	 .help = "Send requests and wait for each reply",
	 .args = "SUBJECT",
	 .opts = request_opts,
	 .run = request,
	 .examples = service_examples},
	{.path = "bench service serve",
	 .help = "Answer requests, until interrupted",
	 .args = "SUBJECT",
	 .opts = serve_opts,
	 .run = bench_serve},
	{.path = "bench js pub sync",
	 .help = "Publish to a stream, waiting for each acknowledgement",
	 .args = "SUBJECT",
	 .opts = js_sync_opts,
	 .run = bench_js_sync},
	{.path = "bench js pub async",
	 .help = "Publish to a stream, waiting for acknowledgements of many messages",
	 .args = "SUBJECT",
	 .opts = js_opts,
	 .run = bench_js_async},
	{.path = "bench js pub batch",
	 .help = "Publish to a stream in atomic batches (nats-server 2.12)",
	 .args = "SUBJECT",
	 .opts = js_opts,
	 .run = bench_js_batch},
	{.path = "bench js ordered",
	 .help = "Read a stream by an ordered consumer for each client",
	 .opts = ordered_opts,
	 .run = bench_js_ordered},
	{.path = "bench js consume",
	 .help = "Read a stream by a durable consumer, asking ahead",
	 .opts = consume_opts,
	 .run = bench_js_consume},
	{.path = "bench js fetch",
	 .help = "Read a stream by a durable consumer, a batch after the other",
	 .opts = consume_opts,
	 .run = bench_js_fetch},
	{.path = "bench js get sync",
	 .help = "Get the messages of a stream one by one",
	 .opts = get_opts,
	 .run = bench_js_get},
	{.path = "bench js get batch",
	 .help = "Get the messages of a stream in batches (direct get)",
	 .opts = get_batch_opts,
	 .run = bench_js_get_batch},
	{.path = "bench kv put",
	 .help = "Put values into a bucket",
	 .opts = kv_opts,
	 .run = bench_kv_put},
	{.path = "bench kv get",
	 .help = "Get values from a bucket",
	 .opts = kv_opts,
	 .run = bench_kv_get},
	{0},
};
