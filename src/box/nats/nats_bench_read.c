/* nats bench js consume, fetch, ordered and get: reading what a stream has. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/js.h"
#include "box/nats/nats_bench.h"
#include "box/nats/nats_msg.h"

#define CONSUMER "nats-bench"
#define EXPIRES_NS (30 * NS_S)
#define IDLE_NS (10 * NS_S) /* then the server takes the consumer away */

/* ---- consumers ---- */

static json_t *consumer_config(const struct bench *b, bool ordered)
{
	size_t filters = cli_count(b->c, "filter");
	json_t *j = json_pack("{s:s, s:s, s:s, s:I}", "deliver_policy", "all", "ack_policy",
			      ordered ? "none" : b->acks, "replay_policy", "instant",
			      "inactive_threshold", (json_int_t)IDLE_NS);
	CLEAN(json) json_t *list = json_array();

	for (size_t i = 0; i < filters; i++)
		(void)json_array_append_new(list, json_string(cli_nth(b->c, "filter", i)));
	if (filters == 1)
		(void)json_object_set(j, "filter_subject", json_array_get(list, 0));
	else if (filters)
		(void)json_object_set(j, "filter_subjects", list);
	if (ordered) {
		(void)json_object_set_new(j, "mem_storage", json_true());
		(void)json_object_set_new(j, "num_replicas", json_integer(1));
		(void)json_object_set_new(j, "max_deliver", json_integer(1));
	} else {
		(void)json_object_set_new(j, "durable_name", json_string(b->consumer));
		(void)json_object_set_new(j, "max_ack_pending",
					  json_integer(b->batch * b->clients));
	}
	return j;
}

static int make_durable(struct bench *b, struct err *e)
{
	CLEAN(json) json_t *reply = NULL;

	/* One of somebody else is used as it is. */
	if (strcmp(b->consumer, CONSUMER) != 0)
		return js_consumer_info(b->c, b->stream, b->consumer, &reply, e);
	return nats_js_request(b->c,
			       json_pack("{s:s, s:o}", "stream_name", b->stream, "config",
					 consumer_config(b, false)),
			       &reply, e, "CONSUMER.CREATE.%s.%s", b->stream, b->consumer);
}

static int ordered_prepare(struct bench_client *c, struct err *e)
{
	CLEAN(json) json_t *reply = NULL;
	struct bench *b = c->b;
	char name[48];

	(void)snprintf(name, sizeof(name), "bench_%s_%d", b->id, c->number);
	json_t *cfg = consumer_config(b, true);

	(void)json_object_set_new(cfg, "name", json_string(name));
	if (nats_js_request(b->c, json_pack("{s:s, s:o}", "stream_name", b->stream, "config", cfg),
			    &reply, e, "CONSUMER.CREATE.%s.%s", b->stream, name))
		return err_wrap(e, "creating the ephemeral ordered consumer");
	c->consumer = strdup(name);
	return c->consumer ? bench_inbox(c, e) : err_set(e, ERR_NOMEM, NULL);
}

static void ordered_finish(struct bench_client *c)
{
	CLEAN(json) json_t *reply = NULL;
	struct err ignored;

	if (c->consumer)
		(void)nats_js_request(c->b->c, NULL, &reply, &ignored, "CONSUMER.DELETE.%s.%s",
				      c->b->stream, c->consumer);
}

static int durable_prepare(struct bench_client *c, struct err *e)
{
	c->consumer = strdup(c->b->consumer);
	return c->consumer ? bench_inbox(c, e) : err_set(e, ERR_NOMEM, NULL);
}

static int ask(struct bench_client *c, int64_t n, struct err *e)
{
	char subject[800], body[80];

	if (nats_js_subject(c->b->c, subject, sizeof(subject), e, "CONSUMER.MSG.NEXT.%s.%s",
			    c->b->stream, c->consumer))
		return -1;
	(void)snprintf(body, sizeof(body), "{\"batch\":%lld,\"expires\":%lld}", (long long)n,
		       (long long)EXPIRES_NS);
	return conn_err(e, natsConnection_PublishRequestString(c->nc, subject, c->inbox, body),
			"asking for messages");
}

/* What a status message of the server means: 1 the request is over, 0 nothing, -1. */
static int status_of(natsMsg *m, struct err *e)
{
	const char *status = msg_status(m);
	CLEAN(free) char *text = nats_clean(msg_header(m, "Description"));

	if (strcmp(status, "100") == 0)
		return 0;
	if (strcmp(status, "404") == 0 || strcmp(status, "408") == 0) {
		nats_log("Still waiting: the consumer has no more messages");
		return 1;
	}
	if (strcmp(status, "503") == 0)
		return err_set(e, ERR_NO_RESPONDERS,
			       "receiving: nats: no responders: the consumer is gone");
	return err_set(e, ERR_WRONG_STATE, "receiving: nats: %.150s",
		       text && *text ? text : "the server ended the request");
}

static int acknowledge(struct bench_client *c, natsMsg *m, struct err *e)
{
	const char *reply = natsMsg_GetReply(m);
	CLEAN(msg) natsMsg *done = NULL;
	natsStatus s;

	if (!reply || strcmp(c->b->acks, "none") == 0)
		return 0;
	s = c->b->double_ack ? natsConnection_RequestString(&done, c->nc, reply, "+ACK",
							    run_of(c->b->c)->timeout_ms)
			     : natsConnection_PublishString(c->nc, reply, "+ACK");
	return conn_err(e, s, "acknowledging the message");
}

/* A message of the consumer: 1, 0 nothing yet, -1; *over: the request has ended. An
 * ordered consumer must not skip one. */
static int receive(struct bench_client *c, bool *over, struct err *e)
{
	CLEAN(msg) natsMsg *m = NULL;
	natsStatus s = natsSubscription_NextMsg(&m, c->sub, 200);
	int r;

	if (s == NATS_TIMEOUT)
		return 0;
	if (s != NATS_OK)
		return conn_err(e, s, "receiving");
	if (*msg_status(m)) {
		r = status_of(m, e);
		*over = r > 0;
		return r < 0 ? -1 : 0;
	}
	if (c->b->kind->each_all) {
		struct js_meta meta;

		if (js_meta(m, &meta) || meta.consumer_seq != c->got + 1)
			return err_set(e, ERR_WRONG_STATE,
				       "receiving: the server skipped messages of an ordered "
				       "consumer");
	} else if (acknowledge(c, m, e)) {
		return -1;
	}
	(void)bench_received(c);
	bench_pause(c->b);
	return 1;
}

/* A batch is asked for; when half of it has come, half a batch more. */
static int consume_run(struct bench_client *c, struct err *e)
{
	int64_t asked = 0, half = c->b->batch > 1 ? c->b->batch / 2 : 1;

	while (c->got < c->msgs && !nats_stopped()) {
		bool over = false;
		int64_t left = c->msgs - c->got - asked;

		if (left > 0 && asked <= c->b->batch - half) {
			int64_t n = asked ? half : c->b->batch;

			n = n < left ? n : left;
			if (ask(c, n, e))
				return -1;
			asked += n;
		}
		int r = receive(c, &over, e);

		if (r < 0)
			return -1;
		asked = over ? 0 : asked - r;
	}
	return 0;
}

static int fetch_run(struct bench_client *c, struct err *e)
{
	for (int64_t batch = 0; c->got < c->msgs && !nats_stopped(); batch++) {
		int64_t left = c->msgs - c->got, start = mono_ns();
		int64_t n = left < c->b->batch ? left : c->b->batch, end = c->got + n;
		bool over = false;

		if (ask(c, n, e))
			return -1;
		while (c->got < end && !over && !nats_stopped())
			if (receive(c, &over, e) < 0)
				return -1;
		if (batch < c->nlatency)
			c->latency[batch] = (uint64_t)(mono_ns() - start);
		if (over)
			batch--;
	}
	return bench_flush(c, e);
}

/* ---- gets ---- */

static int get_one(struct bench_client *c, int64_t seq, struct err *e)
{
	CLEAN(msg) natsMsg *m = NULL;
	char subject[700], body[64];
	struct bench *b = c->b;

	if (nats_js_subject(b->c, subject, sizeof(subject), e, "%s.%s",
			    b->direct ? "DIRECT.GET" : "STREAM.MSG.GET", b->stream))
		return -1;
	(void)snprintf(body, sizeof(body), "{\"seq\":%lld}", (long long)seq);
	natsStatus s = bench_request(c, &m, NULL, subject, body, (int64_t)strlen(body));

	if (s != NATS_OK)
		return bench_err(e, s, "getting");
	bool found = b->direct ? *msg_header(m, "Nats-Sequence") != '\0'
			       : bench_says(m, "\"message\"") && !bench_says(m, "\"error\"");

	if (!found)
		return err_set(e, ERR_NOT_FOUND,
			       "getting message sequence number %lld from the stream: nats: "
			       "message not found",
			       (long long)seq);
	return 0;
}

static int get_run(struct bench_client *c, struct err *e)
{
	while (c->got < c->msgs && !nats_stopped()) {
		int64_t start = mono_ns(), i = c->got;

		if (get_one(c, nats_add(c->b->first_seq, i), e))
			return -1;
		(void)bench_received(c);
		c->start = i ? c->start : start;
		c->latency[i] = (uint64_t)(mono_ns() - start);
		bench_pause(c->b);
	}
	return 0;
}

/* One batch of direct get (ADR-31): messages until the end-of-batch status. *seq: where
 * the next one begins. */
static int get_batch(struct bench_client *c, int64_t n, int64_t *seq, struct err *e)
{
	const char *filter = cli_str(c->b->c, "filter");
	CLEAN(json) json_t *j = json_pack("{s:I, s:I, s:s}", "batch", (json_int_t)n, "seq",
					  (json_int_t)*seq, "next_by_subj", filter ? filter : ">");
	CLEAN(free) char *body = j ? json_dumps(j, JSON_COMPACT) : NULL;
	char subject[700];
	natsStatus s;

	if (!body)
		return cli_usage(e, "option --filter is not UTF-8");
	if (nats_js_subject(c->b->c, subject, sizeof(subject), e, "DIRECT.GET.%s", c->b->stream))
		return -1;
	s = natsConnection_PublishRequestString(c->nc, subject, c->inbox, body);
	while (s == NATS_OK) {
		CLEAN(msg) natsMsg *m = NULL;
		const char *text;

		s = natsSubscription_NextMsg(&m, c->sub, run_of(c->b->c)->timeout_ms);
		if (s != NATS_OK)
			break;
		text = msg_status(m);
		if (strcmp(text, "204") == 0)
			return 0;
		if (strcmp(text, "404") == 0)
			return err_set(e, ERR_NOT_FOUND,
				       "getting message from the stream: no messages");
		if (*text)
			return status_of(m, e) < 0 ? -1 : 0;
		if (!*msg_header(m, "Nats-Num-Pending"))
			return err_set(e, ERR_UNAVAILABLE,
				       "getting message from the stream: batch get not supported "
				       "by server");
		*seq = nats_add(strtoll(msg_header_last(m, "Nats-Sequence"), NULL, 10), 1);
		if (c->got < c->msgs)
			(void)bench_received(c);
	}
	return bench_err(e, s, "getting message from the stream");
}

static int get_batch_run(struct bench_client *c, struct err *e)
{
	int64_t seq = 1, begun = mono_ns();

	for (int64_t batch = 0; c->got < c->msgs && !nats_stopped(); batch++) {
		int64_t left = c->msgs - c->got, before = c->got, start = mono_ns();
		int64_t n = left < c->b->batch ? left : c->b->batch;

		if (get_batch(c, n, &seq, e))
			return -1;
		if (c->got - before != n)
			nats_log("[%d] Warning: Got %lld (expected %lld) messages in this batch",
				 c->number + 1, (long long)(c->got - before), (long long)n);
		/* A server that ends each batch without a message would keep us for ever. */
		if (c->got == before)
			return err_set(e, ERR_NOT_FOUND,
				       "getting message from the stream: no messages");
		if (batch < c->nlatency)
			c->latency[batch] = (uint64_t)(mono_ns() - start);
		bench_pause(c->b);
	}
	c->start = begun;
	return 0;
}

static const struct bench_kind consume_kind = {.label = "JetStream durable consumer (callback)",
					       .prefix = 'S',
					       .unit = "expecting",
					       .by_reception = true,
					       .prepare = durable_prepare,
					       .run = consume_run};
static const struct bench_kind fetch_kind = {.label = "JetStream durable consumer (fetch)",
					     .prefix = 'S',
					     .unit = "expecting",
					     .timed = true,
					     .by_batch = true,
					     .by_reception = true,
					     .prepare = durable_prepare,
					     .run = fetch_run};
static const struct bench_kind ordered_kind = {.label = "JetStream ordered ephemeral consumer",
					       .prefix = 'S',
					       .unit = "expecting",
					       .each_all = true,
					       .by_reception = true,
					       .prepare = ordered_prepare,
					       .run = consume_run,
					       .finish = ordered_finish};
static const struct bench_kind get_kind = {.label = "JetStream synchronous getter",
					   .prefix = 'S',
					   .unit = "expecting",
					   .timed = true,
					   .each_all = true,
					   .by_reception = true,
					   .prepare = bench_inbox,
					   .run = get_run};
static const struct bench_kind get_batch_kind = {.label = "JetStream batched direct getter",
						 .prefix = 'S',
						 .unit = "expecting",
						 .timed = true,
						 .by_batch = true,
						 .each_all = true,
						 .by_reception = true,
						 .prepare = bench_inbox,
						 .run = get_batch_run};

static int setup(struct bench *b, const struct bench_kind *k, struct err *e)
{
	CLEAN(json) json_t *info = NULL;
	struct cli *c = b->c;

	b->stream = cli_str(c, "stream") ? cli_str(c, "stream") : BENCH_STREAM;
	b->consumer = cli_str(c, "consumer") ? cli_str(c, "consumer") : CONSUMER;
	b->acks = cli_str(c, "acks") ? cli_str(c, "acks") : "explicit";
	b->double_ack = cli_has(c, "doubleack");
	if (strcmp(b->acks, "explicit") != 0 && strcmp(b->acks, "none") != 0 &&
	    strcmp(b->acks, "all") != 0)
		return cli_usage(e, "option --acks must be one of explicit,none,all, got '%.40s'",
				 b->acks);
	if (js_stream_info(c, b->stream, &info, e))
		return err_wrap(e, "getting stream '%.100s'", b->stream);
	b->direct = jbool(info, "config.allow_direct");
	b->first_seq = jint(info, "state.first_seq");
	if (bench_purge(b, e))
		return -1;
	return k == &consume_kind || k == &fetch_kind ? make_durable(b, e) : 0;
}

static int read_with(struct cli *c, const struct bench_kind *k, struct err *e)
{
	struct bench b = {0};

	if (bench_options(&b, c, e))
		return -1;
	if (setup(&b, k, e)) {
		free(b.payload);
		return -1;
	}
	return bench_run(&b, k, e);
}

int bench_js_consume(struct cli *c, struct err *e)
{
	return read_with(c, &consume_kind, e);
}

int bench_js_fetch(struct cli *c, struct err *e)
{
	return read_with(c, &fetch_kind, e);
}

int bench_js_ordered(struct cli *c, struct err *e)
{
	return read_with(c, &ordered_kind, e);
}

int bench_js_get(struct cli *c, struct err *e)
{
	return read_with(c, &get_kind, e);
}

int bench_js_get_batch(struct cli *c, struct err *e)
{
	return read_with(c, &get_batch_kind, e);
}
