/* nats subscribe --direct: a stream is read by batches of direct get (ADR-31), so that
 * neither a consumer nor its permissions are needed. At the end the stream is asked again
 * four times a second. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/js.h"
#include "box/nats/nats_msg.h"
#include "box/nats/nats_sub.h"

#define BATCH 256
#define POLL_NS (250 * NS_MS)

struct direct {
	struct sub *s;
	const char *stream, *filter;
	natsSubscription *sub;
	char inbox[200], start_time[48]; /* start_time: of the first batch, "" none */
	int64_t next, up_to;		 /* up_to: the first batch is the last of each subject */
	int64_t got;
};

static void copy_header(void *arg, const char *key, const char *value)
{
	(void)natsMsgHeader_Add(arg, key, value);
}

/* The answer as the message that was stored; its headers tell where. */
static int take(struct direct *d, natsMsg *answer, struct err *e)
{
	const char *subject = msg_header_last(answer, "Nats-Subject");
	int64_t seq = strtoll(msg_header_last(answer, "Nats-Sequence"), NULL, 10);
	CLEAN(msg) natsMsg *m = NULL;

	if (!*subject || seq < 1)
		return err_set(e, ERR_BAD_JSON, "the reply is no stored message");
	natsStatus st = natsMsg_Create(&m, subject, NULL, natsMsg_GetData(answer),
				       natsMsg_GetDataLength(answer));

	if (st != NATS_OK)
		return conn_err(e, st, "nats");
	msg_each_header(answer, copy_header, m);
	/* The last of each subject come in any order. */
	if (!d->up_to && seq < d->next)
		return err_set(e, ERR_BAD_JSON, "the server answers in no order");
	if (!d->up_to)
		d->next = nats_add(seq, 1);
	d->got++;
	sub_take(d->s, m, d->sub);
	return 0;
}

static char *request(const struct direct *d)
{
	CLEAN(json) json_t *j = json_pack("{s:i}", "batch", BATCH);

	if (d->up_to) {
		(void)json_object_set_new(j, "multi_last", json_pack("[s]", d->filter));
		(void)json_object_set_new(j, "up_to_seq", json_integer(d->up_to));
		(void)json_object_set_new(j, "batch", json_integer(INT32_MAX));
	} else {
		(void)json_object_set_new(j, "next_by_subj", json_string(d->filter));
		if (*d->start_time)
			(void)json_object_set_new(j, "start_time", json_string(d->start_time));
		else
			(void)json_object_set_new(j, "seq", json_integer(d->next));
	}
	return j ? json_dumps(j, JSON_COMPACT) : NULL;
}

/* One batch: 0, -1. d->got says how many came. */
static int batch(struct direct *d, struct err *e)
{
	struct nats_run *r = run_of(d->s->c);
	CLEAN(free) char *body = request(d);
	char subject[700];
	natsStatus st;

	d->got = 0;
	if (!body)
		return err_set(e, ERR_NOMEM, NULL);
	if (nats_js_subject(d->s->c, subject, sizeof(subject), e, "DIRECT.GET.%s", d->stream))
		return -1;
	st = natsConnection_PublishRequestString(r->nc, subject, d->inbox, body);
	while (st == NATS_OK && !nats_stopped()) {
		CLEAN(msg) natsMsg *m = NULL;

		st = natsSubscription_NextMsg(&m, d->sub, r->timeout_ms);
		if (st != NATS_OK)
			break;
		const char *status = msg_status(m);

		if (strcmp(status, "204") == 0 || strcmp(status, "404") == 0)
			return 0;
		if (*status) {
			CLEAN(free) char *text = nats_clean(msg_header(m, "Description"));

			return err_set(e, ERR_UNAVAILABLE, "nats: direct get: %.20s %.150s", status,
				       text ? text : "");
		}
		if (!*msg_header(m, "Nats-Num-Pending"))
			return err_set(e, ERR_UNAVAILABLE,
				       "subscribing using direct get requires NATS Server 2.11");
		if (take(d, m, e))
			return -1;
	}
	if (st == NATS_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "nats: timeout");
	return conn_err(e, st, "nats");
}

/* Where it begins, and a line about it. */
static int start(struct direct *d, const json_t *info, struct err *e)
{
	struct cli *c = d->s->c;
	int64_t seq = 0, since = 0, last = jint(info, "state.last_seq");
	char how[100] = "starting with the first message received";

	if (cli_int(c, "start-sequence", 1, INT64_MAX / 2, &seq, e) ||
	    nats_opt_duration(c, "since", &since, e))
		return -1;
	d->next = jint(info, "state.first_seq");
	if (seq) {
		d->next = seq;
		(void)snprintf(how, sizeof(how), "starting with sequence %lld", (long long)seq);
	} else if (cli_has(c, "last")) {
		d->next = last;
		(void)snprintf(how, sizeof(how), "starting with the last message received");
	} else if (cli_has(c, "new")) {
		d->next = nats_add(last, 1);
		(void)snprintf(how, sizeof(how), "delivering any new messages received");
	} else if (since) {
		fmt_rfc3339(d->start_time, now_ns() - since, true, true);
		(void)snprintf(how, sizeof(how), "starting with messages since %s",
			       DURATION(since));
	} else if (cli_has(c, "last-per-subject")) {
		d->up_to = last;
		(void)snprintf(how, sizeof(how),
			       "for the last messages for each subject in the Stream");
	}
	if (d->next < 1)
		d->next = 1;
	if (!d->s->raw && !d->s->dump)
		nats_log("Subscribing to JetStream Stream (direct) holding messages with subject "
			 "%s %s ",
			 SHOWN(d->filter), how);
	return 0;
}

static int follow(struct direct *d, struct err *e)
{
	struct sub *s = d->s;
	bool end = cli_has(s->c, "terminate-at-end");

	while (!s->done && !nats_stopped()) {
		if (batch(d, e))
			return -1;
		if (d->up_to) {
			d->next = nats_add(d->up_to, 1);
			d->up_to = 0;
		} else if (*d->start_time) {
			d->start_time[0] = '\0';
		} else if (d->got == 0) {
			if (end || (s->wait_ns && mono_ns() - s->last >= s->wait_ns))
				break;
			(void)nats_wait(&s->done, POLL_NS);
		}
	}
	return 0;
}

int sub_direct(struct sub *s, const char *stream, const char *subject, const json_t *info,
	       struct err *e)
{
	struct direct d = {.s = s, .stream = stream, .filter = subject};
	struct nats_run *r = run_of(s->c);
	CLEAN(free) char *inbox = nats_inbox(s->c);
	int rc;

	if (!jbool(info, "config.allow_direct"))
		return err_set(e, ERR_WRONG_STATE,
			       "cannot enable direct gets: allow_direct is not set to true for "
			       "stream %.100s",
			       stream);
	if (!inbox)
		return err_set(e, ERR_NOMEM, NULL);
	(void)snprintf(d.inbox, sizeof(d.inbox), "%s", inbox);
	natsStatus st = natsConnection_SubscribeSync(&d.sub, r->nc, d.inbox);

	if (st != NATS_OK)
		return conn_err(e, st, "nats");
	(void)natsSubscription_SetPendingLimits(d.sub, -1, -1);
	rc = start(&d, info, e) || follow(&d, e) ? -1 : 0;
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	natsSubscription_Destroy(d.sub);
	return rc;
}
