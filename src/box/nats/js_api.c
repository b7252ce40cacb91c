/* The JetStream API: lists, messages, deliveries. */
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "box/nats/js.h"
#include "box/nats/nats_msg.h"
#include "crypto/crypto.h"

#define MSG_MAX ((size_t)128 << 20)
#define PAGES_MAX 100000
#define HEARTBEAT_NS (5 * NS_S)

int js_pages(struct cli *c, const char *subject, json_t *req, const char *member, json_t **out,
	     struct err *e)
{
	CLEAN(json) json_t *base = req ? req : json_object();
	CLEAN(json) json_t *all = json_array();

	*out = NULL;
	for (int page = 0; page < PAGES_MAX; page++) {
		CLEAN(json) json_t *reply = NULL;
		json_t *one = json_copy(base);
		size_t have = json_array_size(all), i;
		json_t *v;

		(void)json_object_set_new(one, "offset", json_integer((json_int_t)have));
		if (nats_js_request(c, one, &reply, e, "%s", subject))
			return -1;
		json_array_foreach(json_object_get(reply, member), i, v)(void)
			json_array_append(all, v);
		/* A server that says there is more but sends none ends this too. */
		if (json_array_size(all) == have ||
		    (int64_t)json_array_size(all) >= jint(reply, "total"))
			break;
	}
	*out = STEAL(all);
	return *out ? 0 : err_set(e, ERR_NOMEM, NULL);
}

int js_stream_info(struct cli *c, const char *stream, json_t **out, struct err *e)
{
	if (js_name("stream", stream, e))
		return -1;
	return nats_js_request(c, NULL, out, e, "STREAM.INFO.%s", stream);
}

int js_consumer_info(struct cli *c, const char *stream, const char *consumer, json_t **out,
		     struct err *e)
{
	if (js_name("stream", stream, e) || js_name("consumer", consumer, e))
		return -1;
	return nats_js_request(c, NULL, out, e, "CONSUMER.INFO.%s.%s", stream, consumer);
}

int js_print(const json_t *j, struct err *e)
{
	static const char *const envelope[] = {"type", "total", "offset", "limit", "did_create"};
	CLEAN(json) json_t *copy = json_copy((json_t *)(uintptr_t)j);

	for (size_t i = 0; i < sizeof(envelope) / sizeof(envelope[0]); i++)
		(void)json_object_del(copy, envelope[i]);
	return copy ? nats_print_json(copy, e) : err_set(e, ERR_NOMEM, NULL);
}

int js_get_msg(struct cli *c, const char *stream, int64_t seq, const char *last_for, json_t **out,
	       struct err *e)
{
	CLEAN(json) json_t *reply = NULL;
	json_t *req = json_object();

	*out = NULL;
	if (seq > 0)
		(void)json_object_set_new(req, "seq", json_integer(seq));
	if (last_for && json_object_set_new(req, seq > 0 ? "next_by_subj" : "last_by_subj",
					    json_string(last_for))) {
		json_decref(req);
		return err_set(e, ERR_BAD_NAME, "a subject must be UTF-8");
	}
	if (nats_js_request(c, req, &reply, e, "STREAM.MSG.GET.%s", stream))
		return -1;
	*out = json_incref(json_object_get(reply, "message"));
	return json_is_object(*out) ? 0 : err_set(e, ERR_BAD_JSON, "the reply holds no message");
}

static void add_header(void *arg, const char *key, const char *value)
{
	/* Those of direct get are no part of the message. */
	if (strcmp(key, "Nats-Stream") != 0 && strcmp(key, "Nats-Subject") != 0 &&
	    strcmp(key, "Nats-Sequence") != 0 && strcmp(key, "Nats-Time-Stamp") != 0)
		buf_printf(arg, "%s: %s\r\n", key, value);
}

static json_t *base64(const void *p, size_t n)
{
	CLEAN(free) char *text = malloc(ENC_BASE64_LEN(n));

	if (text)
		enc_base64(text, n ? p : "", n, ENC_STD);
	return text ? json_string(text) : NULL;
}

/* A direct reply in the form of the API's. */
static int direct_message(natsMsg *m, json_t **out, struct err *e)
{
	CLEAN(buf) struct buf hdrs = {0};

	buf_init(&hdrs, MSG_MAX);
	buf_printf(&hdrs, "NATS/1.0\r\n");
	msg_each_header(m, add_header, &hdrs);
	*out = json_pack("{s:s, s:I, s:s, s:o, s:o}", "subject", msg_header_last(m, "Nats-Subject"),
			 "seq", (json_int_t)strtoll(msg_header_last(m, "Nats-Sequence"), NULL, 10),
			 "time", msg_header_last(m, "Nats-Time-Stamp"), "hdrs",
			 base64(hdrs.p, hdrs.len), "data",
			 base64(natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m)));
	if (!*out || !*jstr(*out, "subject"))
		return err_set(e, ERR_BAD_JSON, "the reply is no stored message");
	return 0;
}

int js_get_direct(struct cli *c, const json_t *cfg, int64_t seq, const char *last_for, json_t **out,
		  struct err *e)
{
	const char *stream = jstr(cfg, "name");
	CLEAN(msg) natsMsg *m = NULL;
	char subject[2048], body[64] = "";
	struct err why;
	bool ok;

	*out = NULL;
	if (!jbool(cfg, "allow_direct"))
		return js_get_msg(c, stream, seq, last_for, out, e);
	if (seq > 0)
		(void)snprintf(body, sizeof(body), "{\"seq\":%lld}", (long long)seq);
	if (nats_js_subject(c, subject, sizeof(subject), e, "DIRECT.GET.%s%s%s", stream,
			    seq > 0 ? "" : ".", seq > 0 ? "" : last_for))
		return -1;
	ok = nats_request(c, subject, body, strlen(body), &m, &why) == 0;
	/* Nobody listens there: an old server. */
	if (!ok && why.code == ERR_NO_RESPONDERS)
		return js_get_msg(c, stream, seq, last_for, out, e);
	if (!ok) {
		*e = why;
		return -1;
	}
	if (strcmp(msg_status(m), "404") == 0)
		return err_set(e, ERR_NOT_FOUND, "no message found");
	if (*msg_status(m))
		return err_set(e, ERR_INTERNAL, "%.20s %.150s", msg_status(m),
			       msg_header(m, "Description"));
	return direct_message(m, out, e);
}

int js_base64(const json_t *j, const char *key, struct buf *b, struct err *e)
{
	const char *text = jstr(j, key);
	size_t n = strlen(text), got = 0;
	uint8_t *to;

	buf_reset(b);
	if (!n)
		return 0;
	to = buf_space(b, n / 4 * 3 + 3);
	if (!to)
		return err_set(e, ERR_NOMEM, NULL);
	if (enc_unbase64(to, n / 4 * 3 + 3, &got, text, n, ENC_STD))
		return err_set(e, ERR_BAD_JSON, "'%s' of the message is not base64", key);
	b->len = got;
	return 0;
}

void js_each_header(const struct buf *raw, void (*f)(void *arg, const char *k, const char *v),
		    void *arg)
{
	CLEAN(free) char *text = strndup(raw->len ? (const char *)raw->p : "", raw->len);
	char *save = NULL;

	if (!text)
		return;
	/* The first line is the protocol's version. */
	(void)strtok_r(text, "\r\n", &save);
	for (char *l; (l = strtok_r(NULL, "\r\n", &save));) {
		char *colon = strchr(l, ':');

		if (!colon)
			continue;
		*colon++ = '\0';
		f(arg, l, colon + strspn(colon, " "));
	}
}

int js_publish(struct cli *c, natsMsg *m, int64_t *seq, struct err *e)
{
	struct nats_run *r = run_of(c);
	CLEAN(msg) natsMsg *reply = NULL;
	natsStatus s;

	if (nats_connect(c, e))
		return -1;
	s = natsConnection_RequestMsg(&reply, r->nc, m, r->timeout_ms);
	if (s == NATS_NO_RESPONDERS)
		return err_set(e, ERR_NO_RESPONDERS, "nats: no stream stores %.120s",
			       natsMsg_GetSubject(m));
	if (s == NATS_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "nats: timeout");
	if (s != NATS_OK)
		return conn_err(e, s, "nats");
	CLEAN(json) json_t *ack = nats_msg_json(reply, 0);
	const json_t *bad = json_object_get(ack, "error");

	if (bad) {
		CLEAN(free) char *text = nats_clean(jstr(bad, "description"));

		r->api_code = (int)jint(bad, "err_code");
		return err_set(e, ERR_INTERNAL, "nats: %.180s (%d)", text ? text : "", r->api_code);
	}
	if (!*jstr(ack, "stream"))
		return err_set(e, ERR_BAD_JSON, "invalid pub ack: the reply is not of JetStream");
	if (seq)
		*seq = jint(ack, "seq");
	return 0;
}

/* $JS.ACK.STREAM.CONSUMER.TRIES.SSEQ.CSEQ.TIME.PENDING, or with DOMAIN.ACCOUNT in front of
 * the stream and a random token at the end (ADR-15). */
int js_meta(natsMsg *m, struct js_meta *out)
{
	const char *reply = natsMsg_GetReply(m);
	CLEAN(free) char *copy = reply ? strdup(reply) : NULL;
	char *tok[16], *save = NULL;
	size_t n = 0;

	for (char *t = copy ? strtok_r(copy, ".", &save) : NULL; t && n < 16;
	     t = strtok_r(NULL, ".", &save))
		tok[n++] = t;
	if (n < 9 || strcmp(tok[0], "$JS") != 0 || strcmp(tok[1], "ACK") != 0)
		return -1;
	char **at = tok + (n >= 11 ? 4 : 2);

	memset(out, 0, sizeof(*out));
	(void)snprintf(out->stream, sizeof(out->stream), "%s", at[0]);
	(void)snprintf(out->consumer, sizeof(out->consumer), "%s", at[1]);
	out->tries = strtoll(at[2], NULL, 10);
	out->stream_seq = strtoll(at[3], NULL, 10);
	out->consumer_seq = strtoll(at[4], NULL, 10);
	out->time_ns = strtoll(at[5], NULL, 10);
	out->pending = strtoll(at[6], NULL, 10);
	return 0;
}

static json_t *feed_config(json_t *cfg, const char *inbox)
{
	json_t *all = json_pack("{s:s, s:s, s:s, s:I, s:b, s:I, s:b, s:i, s:I}", "deliver_subject",
				inbox, "ack_policy", "none", "replay_policy", "instant",
				"max_deliver", (json_int_t)1, "flow_control", 1, "idle_heartbeat",
				(json_int_t)HEARTBEAT_NS, "mem_storage", 1, "num_replicas", 1,
				"inactive_threshold", (json_int_t)(60 * NS_S));

	if (all && cfg)
		(void)json_object_update(all, cfg);
	json_decref(cfg);
	if (all && !json_object_get(all, "deliver_policy"))
		(void)json_object_set_new(all, "deliver_policy", json_string("all"));
	return all;
}

int js_feed_open(struct cli *c, struct js_feed *f, const char *stream, json_t *cfg, struct err *e)
{
	CLEAN(json) json_t *reply = NULL;
	CLEAN(json) json_t *own = cfg;
	struct nats_run *r = run_of(c);
	natsStatus s;

	memset(f, 0, sizeof(*f));
	if (js_name("stream", stream, e) || nats_connect(c, e))
		return -1;
	CLEAN(free) char *inbox = nats_inbox(c);

	if (!inbox)
		return err_set(e, ERR_NOMEM, NULL);
	s = natsConnection_SubscribeSync(&f->sub, r->nc, inbox);
	if (s == NATS_OK)
		s = natsSubscription_SetPendingLimits(f->sub, -1, -1);
	if (s != NATS_OK) {
		js_feed_close(c, f);
		return conn_err(e, s, "nats");
	}
	/* Name and filter stand in the subject, so that permissions can tell. */
	json_t *all = feed_config(STEAL(own), inbox);
	const char *filter = jstr(all, "filter_subject");
	char name[ENC_HEX_LEN(8)];
	uint8_t raw[8];

	crypto_random(raw, sizeof(raw));
	enc_hex(name, raw, sizeof(raw));
	(void)json_object_set_new(all, "name", json_string(name));
	json_t *req = json_pack("{s:s, s:O}", "stream_name", stream, "config", all);
	int rc = nats_js_request(c, req, &reply, e, "CONSUMER.CREATE.%s.%s%s%s", stream, name,
				 *filter ? "." : "", filter);

	json_decref(all);
	if (rc) {
		js_feed_close(c, f);
		return -1;
	}
	(void)snprintf(f->stream, sizeof(f->stream), "%s", stream);
	(void)snprintf(f->consumer, sizeof(f->consumer), "%s", jstr(reply, "name"));
	f->pending = jint(reply, "num_pending");
	return 0;
}

/* Heartbeats and flow control: answered here. True when m was one. */
static bool control(struct cli *c, natsMsg *m)
{
	const char *stalled;

	if (strcmp(msg_status(m), "100") != 0)
		return false;
	stalled = msg_header(m, "Nats-Consumer-Stalled");
	if (natsMsg_GetReply(m) && *natsMsg_GetReply(m))
		stalled = natsMsg_GetReply(m);
	if (*stalled)
		(void)natsConnection_PublishString(run_of(c)->nc, stalled, "");
	return true;
}

int js_feed_next(struct cli *c, struct js_feed *f, int64_t ns, natsMsg **m, struct err *e)
{
	int64_t end = ns < 0 ? INT64_MAX : mono_ns() + ns, silent = mono_ns();

	while (!nats_stopped()) {
		int64_t now = mono_ns(), left = end - now;
		natsMsg *got = NULL;
		natsStatus s;

		if (left <= 0)
			return 0;
		s = natsSubscription_NextMsg(&got, f->sub,
					     left > 200 * NS_MS ? 200 : left / NS_MS + 1);
		/* Three heartbeats are missing: the consumer is gone, with its server perhaps. */
		if (s == NATS_TIMEOUT && now - silent > 3 * HEARTBEAT_NS)
			return err_set(e, ERR_UNAVAILABLE,
				       "nats: the server stopped delivering (no heartbeat)");
		if (s == NATS_TIMEOUT)
			continue;
		if (s != NATS_OK)
			return conn_err(e, s, "nats");
		silent = now;
		if (!control(c, got)) {
			*m = got;
			return 1;
		}
		natsMsg_Destroy(got);
	}
	return 0;
}

void js_feed_close(struct cli *c, struct js_feed *f)
{
	struct err ignored;
	json_t *reply = NULL;

	natsSubscription_Destroy(f->sub);
	if (*f->consumer)
		(void)nats_js_request(c, NULL, &reply, &ignored, "CONSUMER.DELETE.%s.%s", f->stream,
				      f->consumer);
	json_decref(reply);
	memset(f, 0, sizeof(*f));
}

int js_feed_all(struct cli *c, const char *stream, json_t *cfg, js_got *got, void *arg,
		struct err *e)
{
	struct js_feed f;
	int r = 0;

	if (js_feed_open(c, &f, stream, cfg, e))
		return -1;
	for (int64_t left = f.pending; left > 0 && r == 0; left--) {
		CLEAN(msg) natsMsg *m = NULL;

		r = js_feed_next(c, &f, run_of(c)->timeout_ms * NS_MS, &m, e);
		if (r > 0)
			r = got(c, arg, m, e);
		else if (r == 0)
			r = err_set(e, ERR_TIMEOUT, "nats: timeout");
	}
	js_feed_close(c, &f);
	return r;
}

bool js_time_set(const char *time)
{
	int64_t ns;

	return *time && parse_rfc3339(time, &ns) == 0 && ns > 0;
}

bool js_older(const char *time, int64_t than)
{
	int64_t t;

	return !js_time_set(time) || parse_rfc3339(time, &t) || nats_ago(t) > than;
}

const char *js_since(char out[static 48], const char *time, const char *now)
{
	int64_t t, n = now_ns();

	if (!js_time_set(time) || parse_rfc3339(time, &t))
		return fmt_duration(out, INT64_MAX);
	if (*now)
		(void)parse_rfc3339(now, &n);
	return fmt_duration(out, nats_add(n, t == INT64_MIN ? INT64_MAX : -t));
}
