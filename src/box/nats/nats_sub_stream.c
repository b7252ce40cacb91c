/* nats subscribe on a stream: an ephemeral or durable consumer, read by pulling. */
#include <string.h>

#include "box/nats/nats_msg.h"
#include "box/nats/nats_sub.h"

#define BATCH 500
#define EXPIRES_NS (30 * NS_S)

bool sub_wants_stream(struct cli *c)
{
	static const char *const options[] = {
		"stream", "durable", "start-sequence",	 "all",	  "new",
		"last",	  "since",   "last-per-subject", "direct"};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (cli_has(c, options[i]))
			return true;
	return false;
}

/* One pull subscription; there is one a process. */
static struct pull {
	struct sub *s;
	char subject[600], inbox[200];
	int batch; /* messages of one request */
	int left;  /* that may still come for the last one */
} pull;

static natsStatus ask(struct pull *p)
{
	char body[80];

	p->left = p->batch;
	(void)snprintf(body, sizeof(body), "{\"batch\":%d,\"expires\":%lld}", p->batch,
		       (long long)EXPIRES_NS);
	return natsConnection_PublishRequestString(run_of(p->s->c)->nc, p->subject, p->inbox, body);
}

/* A consumer that is gone ends the run; anything else is asked for anew. */
static void on_status(struct pull *p, const char *status, const char *text)
{
	if (strcmp(status, "409") == 0 && (strstr(text, "eleted") || strstr(text, "push based"))) {
		err_set(&p->s->err, ERR_NOT_FOUND, "%.180s", text);
		__atomic_store_n(&p->s->done, true, __ATOMIC_RELEASE);
	} else if (strcmp(status, "503") == 0) {
		err_set(&p->s->err, ERR_NO_RESPONDERS, "the consumer is gone");
		__atomic_store_n(&p->s->done, true, __ATOMIC_RELEASE);
	} else if (strcmp(status, "100") != 0) {
		(void)ask(p);
	}
}

static void on_pulled(natsConnection *nc, natsSubscription *from, natsMsg *m, void *arg)
{
	struct pull *p = arg;
	const char *status = msg_status(m);

	(void)nc;
	if (*status) {
		on_status(p, status, msg_header(m, "Description"));
	} else {
		sub_take(p->s, m, from);
		if (--p->left == 0 && !p->s->done)
			(void)ask(p);
	}
	natsMsg_Destroy(m);
}

/* {"config": …} of the ephemeral consumer, and natscli's line about it. */
static json_t *config(struct sub *s, const char *subject, struct err *e)
{
	struct cli *c = s->c;
	int64_t seq = 0, since = 0;
	json_t *j = json_pack("{s:s, s:s, s:s, s:i, s:s}", "ack_policy", "none", "filter_subject",
			      subject, "replay_policy", "instant", "num_replicas", 1,
			      "deliver_policy", "all");

	if (cli_int(c, "start-sequence", 1, INT64_MAX / 2, &seq, e) ||
	    nats_opt_duration(c, "since", &since, e)) {
		json_decref(j);
		return NULL;
	}
	if (s->headers_only || s->subjects_only)
		(void)json_object_set_new(j, "headers_only", json_true());
	const char *policy = seq			      ? "by_start_sequence"
			     : cli_has(c, "last")	      ? "last"
			     : cli_has(c, "all")	      ? "all"
			     : cli_has(c, "new")	      ? "new"
			     : since			      ? "by_start_time"
			     : cli_has(c, "last-per-subject") ? "last_per_subject"
							      : "all";

	(void)json_object_set_new(j, "deliver_policy", json_string(policy));
	if (seq) {
		(void)json_object_set_new(j, "opt_start_seq", json_integer(seq));
		nats_log("Subscribing to subject %s starting at sequence %lld ", subject,
			 (long long)seq);
	} else if (since && strcmp(policy, "by_start_time") == 0) {
		char at[48];

		(void)json_object_set_new(
			j, "opt_start_time",
			json_string(fmt_rfc3339(at, now_ns() - since, true, true)));
		nats_log("Subscribing to subject %s since %s ", subject, DURATION(since));
	} else if (cli_has(c, "last")) {
		nats_log("Subscribing to subject %s from last received message ", subject);
	} else if (cli_has(c, "all")) {
		nats_log("Subscribing to subject %s from first received message ", subject);
	} else if (cli_has(c, "new")) {
		nats_log("Subscribing to subject %s for new messages ", subject);
	} else if (cli_has(c, "last-per-subject")) {
		nats_log("Subscribing to subject %s for last message per subject ", subject);
	}
	return j;
}

/* The stream that listens on a subject. */
static int find_stream(struct sub *s, const char *subject, char out[static 256], struct err *e)
{
	CLEAN(json) json_t *list = NULL;
	const char *name;

	if (nats_js_request(s->c, json_pack("{s:s}", "subject", subject), &list, e, "STREAM.NAMES"))
		return -1;
	name = json_string_value(json_array_get(json_object_get(list, "streams"), 0));
	if (!name)
		return err_set(e, ERR_NOT_FOUND, "no stream found with subject: %.120s", subject);
	(void)snprintf(out, 256, "%s", name);
	return 0;
}

static int make_consumer(struct sub *s, const char *stream, const char *subject,
			 char name[static 256], struct err *e)
{
	CLEAN(json) json_t *info = NULL;

	if (s->durable) {
		if (nats_js_request(s->c, NULL, &info, e, "CONSUMER.INFO.%s.%s", stream,
				    s->durable) == 0) {
			if (*jstr(info, "config.deliver_subject"))
				return err_set(e, ERR_WRONG_STATE,
					       "consumer %.80s pushes its messages: subscribe to "
					       "its subject %.80s",
					       s->durable, jstr(info, "config.deliver_subject"));
			nats_log("Subscribing to JetStream Stream \"%s\" using existing pull "
				 "consumer \"%s\"",
				 stream, s->durable);
			s->ack = strcmp(jstr(info, "config.ack_policy"), "none") != 0;
			(void)snprintf(name, 256, "%s", s->durable);
			return 0;
		}
		if (run_of(s->c)->api_code != 10014)
			return -1;
	}
	json_t *j = config(s, subject, e);

	if (!j)
		return -1;
	if (s->durable)
		(void)json_object_set_new(j, "durable_name", json_string(s->durable));
	if (s->durable
		    ? nats_js_request(s->c,
				      json_pack("{s:s, s:o}", "stream_name", stream, "config", j),
				      &info, e, "CONSUMER.DURABLE.CREATE.%s.%s", stream, s->durable)
		    : nats_js_request(s->c,
				      json_pack("{s:s, s:o}", "stream_name", stream, "config", j),
				      &info, e, "CONSUMER.CREATE.%s", stream))
		return err_wrap(e, "failed to create consumer");
	(void)snprintf(name, 256, "%s", jstr(info, "name"));
	/* Nothing there: there would be no message that is the last. */
	if (cli_has(s->c, "terminate-at-end") && jint(info, "num_pending") == 0)
		s->done = true;
	return 0;
}

int sub_stream(struct sub *s, const char *subject, struct err *e)
{
	struct nats_run *r = run_of(s->c);
	static char stream[256];
	char name[256];
	CLEAN(free) char *inbox = nats_inbox(s->c);

	if (s->stream)
		(void)snprintf(stream, sizeof(stream), "%s", s->stream);
	else if (!subject)
		return cli_usage(e, "--durable needs --stream");
	else if (find_stream(s, subject, stream, e))
		return -1;
	s->stream = stream;
	if (!s->durable) {
		CLEAN(json) json_t *info = NULL;

		/* A consumer would take messages away from those they are for. */
		if (nats_js_request(s->c, NULL, &info, e, "STREAM.INFO.%s", stream))
			return -1;
		s->direct = cli_has(s->c, "direct") ||
			    strcmp(jstr(info, "config.retention"), "workqueue") == 0 ||
			    strcmp(jstr(info, "config.retention"), "interest") == 0;
		if (s->direct)
			return sub_direct(s, stream, subject ? subject : ">", info, e);
	}
	if (make_consumer(s, stream, subject ? subject : ">", name, e) || !inbox)
		return -1;
	pull.s = s;
	/* What is asked for and not shown would wait for its acknowledgement. */
	pull.batch = s->limit && s->limit < BATCH ? (int)s->limit : BATCH;
	(void)snprintf(pull.inbox, sizeof(pull.inbox), "%s", inbox);
	if (nats_js_subject(s->c, pull.subject, sizeof(pull.subject), e, "CONSUMER.MSG.NEXT.%s.%s",
			    stream, name))
		return -1;
	natsStatus st = natsConnection_Subscribe(&s->subs[0], r->nc, inbox, on_pulled, &pull);

	if (st != NATS_OK)
		return conn_err(e, st, "nats");
	s->nsubs = 1;
	(void)natsSubscription_SetPendingLimits(s->subs[0], 1 << 20, 512 << 20);
	return conn_err(e, ask(&pull), "nats");
}
