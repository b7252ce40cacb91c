/* nats bench js pub: one message and its acknowledgement at a time, many before their
 * acknowledgements, and atomic batches. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/nats_bench.h"
#include "box/nats/nats_msg.h"

int bench_ack(natsMsg *m, struct err *e)
{
	if (bench_says(m, "\"seq\"") && !bench_says(m, "\"error\""))
		return 0;
	if (natsMsg_IsNoResponders(m))
		return bench_err(e, NATS_NO_RESPONDERS, "publishing");
	CLEAN(json) json_t *j = nats_msg_json(m, 0);
	CLEAN(free) char *text = nats_clean(jstr(j, "error.description"));

	return err_set(e, ERR_BAD_JSON, "publishing: %.150s",
		       text && *text ? text : "nats: invalid jetstream publish response");
}

int bench_purge(struct bench *b, struct err *e)
{
	CLEAN(json) json_t *purged = NULL;

	if (!cli_has(b->c, "purge"))
		return 0;
	if (nats_js_request(b->c, NULL, &purged, e, "STREAM.PURGE.%s", b->stream))
		return err_wrap(e, "purging stream '%.100s'", b->stream);
	return 0;
}

static json_t *stream_config(struct bench *b, bool async, int64_t replicas, int64_t max,
			     int64_t window)
{
	const char *storage = cli_str(b->c, "storage");
	char subject[512];
	json_t *j;

	(void)snprintf(subject, sizeof(subject), "%.500s%s", b->subject, b->multi ? ".*" : "");
	j = json_pack("{s:s, s:[s], s:s, s:s, s:s, s:I, s:I, s:I, s:b, s:b}", "name", b->stream,
		      "subjects", subject, "retention", "limits", "discard", "new", "storage",
		      storage && strcmp(storage, "memory") == 0 ? "memory" : "file", "max_bytes",
		      (json_int_t)max, "num_replicas", (json_int_t)replicas, "duplicate_window",
		      (json_int_t)window, "allow_direct", 1, "allow_atomic", !async);
	if (async)
		(void)json_object_set_new(j, "persist_mode", json_string("async"));
	return j;
}

static int make_stream(struct bench *b, bool batch, struct err *e)
{
	struct cli *c = b->c;
	int64_t replicas = 1, max = 1 << 30, window = 120 * NS_S;
	bool async = cli_has(c, "persistasync");
	CLEAN(json) json_t *reply = NULL;

	b->stream = cli_str(c, "stream") ? cli_str(c, "stream") : BENCH_STREAM;
	if (cli_int(c, "replicas", 1, 5, &replicas, e) || nats_opt_bytes(c, "maxbytes", &max, e) ||
	    nats_opt_duration(c, "dedupwindow", &window, e))
		return -1;
	if (async && (replicas != 1 || batch))
		return cli_usage(e, "async persist mode is only supported for streams with 1 "
				    "replica and incompatible with atomic batch publishing");
	if (cli_has(c, "create") &&
	    nats_js_request(c, stream_config(b, async, replicas, max, window), &reply, e,
			    "STREAM.CREATE.%s", b->stream))
		return -1;
	if (!reply && nats_js_request(c, NULL, &reply, e, "STREAM.INFO.%s", b->stream))
		return err_wrap(e, "could not access stream %.100s", b->stream);
	if (batch && !jbool(reply, "config.allow_atomic"))
		return err_set(e, ERR_WRONG_STATE,
			       "stream %.100s takes no atomic batches: it needs nats-server 2.12 "
			       "and --allow-batch",
			       b->stream);
	nats_log("Using stream: %s", b->stream);
	return bench_purge(b, e);
}

/* Message i, with --header and --dedup. */
static int make_message(natsMsg **m, struct bench_client *c, int64_t i, const char *to,
			const char *reply, struct err *e)
{
	struct bench *b = c->b;
	natsStatus s = natsMsg_Create(m, to, reply, b->payload, (int)b->size);
	char id[96];

	if (s == NATS_OK && msg_headers(*m, b->c, i, e))
		return -1;
	if (s == NATS_OK && b->dedup) {
		(void)snprintf(id, sizeof(id), "%s-%d-%lld", b->id, c->number,
			       (long long)(c->offset + i));
		s = natsMsgHeader_Set(*m, "Nats-Msg-Id", id);
	}
	return conn_err(e, s, "publishing");
}

int bench_stored(struct bench_client *c,
		 const char *(*subject)(struct bench_client *, int64_t, char *), struct err *e)
{
	struct bench *b = c->b;
	bool headers = b->dedup || cli_count(b->c, "header") > 0;
	char to[512];

	for (int64_t i = 0; i < c->msgs && !nats_stopped(); i++) {
		CLEAN(msg) natsMsg *reply = NULL, *m = NULL;

		if (headers && make_message(&m, c, i, subject(c, i, to), c->inbox, e))
			return -1;
		int64_t start = mono_ns();
		natsStatus s = bench_request(c, &reply, m, m ? NULL : subject(c, i, to), b->payload,
					     b->size);

		if (s != NATS_OK)
			return bench_err(e, s, "publishing");
		if (bench_ack(reply, e))
			return -1;
		bench_took(c, i, start);
	}
	return 0;
}

static const char *plain_subject(struct bench_client *c, int64_t i, char *out)
{
	return bench_subject(c->b, c->offset + i, out);
}

static int sync_run(struct bench_client *c, struct err *e)
{
	return bench_stored(c, plain_subject, e);
}

/* Messages of a batch, then all their acknowledgements. */
static int async_batch(struct bench_client *c, int64_t i, int64_t n, bool headers, struct err *e)
{
	struct bench *b = c->b;
	int64_t timeout = run_of(b->c)->timeout_ms;
	natsStatus s = NATS_OK;
	char to[512];

	for (int64_t k = 0; k < n && s == NATS_OK; k++) {
		const char *subject = bench_subject(b, c->offset + i + k, to);
		CLEAN(msg) natsMsg *m = NULL;

		if (headers && make_message(&m, c, i + k, subject, c->inbox, e))
			return -1;
		s = m ? natsConnection_PublishMsg(c->nc, m)
		      : natsConnection_PublishRequest(c->nc, subject, c->inbox, b->payload,
						      (int)b->size);
	}
	for (int64_t k = 0; k < n && s == NATS_OK; k++) {
		CLEAN(msg) natsMsg *m = NULL;

		s = natsSubscription_NextMsg(&m, c->sub, timeout);
		if (s == NATS_OK && bench_ack(m, e))
			return -1;
	}
	return bench_err(e, s, "publishing");
}

/* One batch that is stored as a whole or not at all (ADR-50). */
static int atomic_batch(struct bench_client *c, int64_t i, int64_t n, bool headers, struct err *e)
{
	struct bench *b = c->b;
	char to[512], id[80], number[24];
	natsStatus s = NATS_OK;

	(void)headers;
	(void)snprintf(id, sizeof(id), "%s-%d-%lld", b->id, c->number, (long long)(i / b->batch));
	for (int64_t k = 0; k < n && s == NATS_OK; k++) {
		CLEAN(msg) natsMsg *m = NULL, *reply = NULL;

		if (make_message(&m, c, i + k, bench_subject(b, c->offset + i + k, to), NULL, e))
			return -1;
		(void)snprintf(number, sizeof(number), "%lld", (long long)k + 1);
		s = natsMsgHeader_Set(m, "Nats-Batch-Id", id);
		if (s == NATS_OK)
			s = natsMsgHeader_Set(m, "Nats-Batch-Sequence", number);
		if (s == NATS_OK && k == n - 1)
			s = natsMsgHeader_Set(m, "Nats-Batch-Commit", "1");
		if (s != NATS_OK)
			break;
		if (k < n - 1) {
			s = natsConnection_PublishMsg(c->nc, m);
			continue;
		}
		s = natsConnection_RequestMsg(&reply, c->nc, m, run_of(b->c)->timeout_ms);
		if (s == NATS_OK && bench_ack(reply, e))
			return -1;
	}
	return bench_err(e, s, "publishing");
}

static int in_batches(struct bench_client *c,
		      int (*one)(struct bench_client *, int64_t, int64_t, bool, struct err *),
		      struct err *e)
{
	struct bench *b = c->b;
	bool headers = b->dedup || cli_count(b->c, "header") > 0;

	for (int64_t i = 0; i < c->msgs && !nats_stopped();) {
		int64_t n = c->msgs - i < b->batch ? c->msgs - i : b->batch, start = mono_ns();

		if (one(c, i, n, headers, e))
			return -1;
		c->latency[i / b->batch] = (uint64_t)(mono_ns() - start);
		if (b->shown)
			progress_add(&b->progress, (uint64_t)n);
		i += n;
		bench_pause(b);
	}
	return 0;
}

static int async_run(struct bench_client *c, struct err *e)
{
	return in_batches(c, async_batch, e);
}

static int batch_run(struct bench_client *c, struct err *e)
{
	return in_batches(c, atomic_batch, e);
}

static const struct bench_kind sync_kind = {.label = "JetStream synchronous publisher",
					    .prefix = 'P',
					    .unit = "publishing",
					    .timed = true,
					    .prepare = bench_inbox,
					    .run = sync_run};
static const struct bench_kind async_kind = {.label = "JetStream asynchronous publisher",
					     .prefix = 'P',
					     .unit = "publishing",
					     .timed = true,
					     .by_batch = true,
					     .prepare = bench_inbox,
					     .run = async_run};
static const struct bench_kind batch_kind = {.label = "JetStream batched publisher",
					     .prefix = 'P',
					     .unit = "publishing",
					     .timed = true,
					     .by_batch = true,
					     .run = batch_run};

static int publish(struct cli *c, const struct bench_kind *k, struct err *e)
{
	struct bench b = {0};

	if (msg_subject_ok(c->argv[0], false, e) || bench_options(&b, c, e))
		return -1;
	b.dedup = cli_has(c, "dedup");
	if (make_stream(&b, k == &batch_kind, e)) {
		free(b.payload);
		return -1;
	}
	return bench_run(&b, k, e);
}

int bench_js_sync(struct cli *c, struct err *e)
{
	return publish(c, &sync_kind, e);
}

int bench_js_async(struct cli *c, struct err *e)
{
	return publish(c, &async_kind, e);
}

int bench_js_batch(struct cli *c, struct err *e)
{
	return publish(c, &batch_kind, e);
}
