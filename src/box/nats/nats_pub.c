/* nats publish. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "box/nats/nats.h"
#include "box/nats/nats_msg.h"
#include "box/nats/nats_pub.h"
#include "ui/progress.h"

#define QUIET_ABOVE 20 /* messages: then a progress line instead of a line each */

struct pub {
	int64_t count, sleep_ns;
	bool quiet, jetstream, atomic, schedule;
	const char *subject, *reply;
	char at[64]; /* when a scheduled message leaves */
	struct progress progress;
	struct pub_batch batch; /* --atomic */
};

int pub_ack_err(const json_t *ack, struct err *e)
{
	const json_t *bad = json_object_get(ack, "error");
	CLEAN(free) char *text = nats_clean(jstr(bad, "description"));

	if (bad)
		return err_set(e, ERR_INTERNAL, "%.180s (%d)", text ? text : "",
			       (int)jint(bad, "err_code"));
	if (!*jstr(ack, "stream"))
		return err_set(e, ERR_BAD_JSON, "invalid pub ack: the reply is not of JetStream");
	return 0;
}

/* Publishes with an acknowledgement of JetStream and shows where the message is. */
static int send_stored(struct cli *c, const struct pub *p, natsMsg *m, struct err *e)
{
	struct nats_run *r = run_of(c);
	CLEAN(msg) natsMsg *reply = NULL;
	natsStatus s = natsConnection_RequestMsg(&reply, r->nc, m, r->timeout_ms);

	if (s == NATS_NO_RESPONDERS)
		return err_set(e, ERR_NO_RESPONDERS, "nats: no responders available for request");
	if (s == NATS_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "nats: timeout");
	if (s != NATS_OK)
		return conn_err(e, s, "nats");
	CLEAN(json) json_t *ack = nats_msg_json(reply, 0);

	if (pub_ack_err(ack, e))
		return -1;
	if (p->quiet || p->count > QUIET_ABOVE)
		return 0;
	nats_log("Stored in Stream: %s Sequence: %s%s%s%s%s%s%s", jstr(ack, "stream"),
		 COMMA(jint(ack, "seq")), *jstr(ack, "domain") ? " Domain: \"" : "",
		 jstr(ack, "domain"), *jstr(ack, "domain") ? "\"" : "",
		 jbool(ack, "duplicate") ? " Duplicate: true" : "",
		 *jstr(ack, "val") ? " Counter Value: " : "", jstr(ack, "val"));
	return 0;
}

static int check_schedule(struct cli *c, struct pub *p, struct err *e)
{
	static const char *const when[] = {"schedule-at", "schedule-after", "schedule-every",
					   "schedule-cron"};
	const char *at = cli_str(c, "schedule-at");
	int64_t ns = 1;
	int n = 0;

	for (size_t i = 0; i < sizeof(when) / sizeof(when[0]); i++)
		n += cli_has(c, when[i]);
	p->schedule = n || cli_has(c, "schedule-dest") || cli_has(c, "schedule-source") ||
		      cli_has(c, "schedule-ttl");
	if (!p->schedule)
		return 0;
	p->jetstream = true;
	if (!cli_has(c, "schedule-dest"))
		return cli_usage(
			e, "schedule destination is required when setting schedule properties");
	if (n > 1)
		return cli_usage(e, "--schedule-at, --schedule-after, --schedule-every and "
				    "--schedule-cron are mutually exclusive");
	if (nats_opt_duration(c, "schedule-after", &ns, e) ||
	    nats_opt_duration(c, "schedule-every", &ns, e) ||
	    nats_opt_duration(c, "schedule-ttl", &ns, e))
		return -1;
	if (ns <= 0)
		return cli_usage(e, "--schedule-after, --schedule-every and --schedule-ttl must be "
				    "greater than 0");
	if (at && parse_rfc3339(at, &ns))
		return cli_usage(e, "--schedule-at needs a time such as 2026-01-02T15:04:05Z");
	if (at)
		(void)snprintf(p->at, sizeof(p->at), "@at %s",
			       fmt_rfc3339((char[48]){0}, ns, false, true));
	return 0;
}

static int add_schedule(struct cli *c, const struct pub *p, natsMsg *m, struct err *e)
{
	char pattern[80] = "", ttl[48] = "";
	const char *cron = cli_str(c, "schedule-cron");
	int64_t ns = 0;

	if (*p->at)
		(void)snprintf(pattern, sizeof(pattern), "%s", p->at);
	else if (cli_has(c, "schedule-after") &&
		 nats_opt_duration(c, "schedule-after", &ns, e) == 0)
		(void)snprintf(pattern, sizeof(pattern), "@at %s",
			       fmt_rfc3339((char[48]){0}, now_ns() + ns, false, true));
	else if (cli_has(c, "schedule-every") &&
		 nats_opt_duration(c, "schedule-every", &ns, e) == 0)
		(void)snprintf(pattern, sizeof(pattern), "@every %s", GODURATION(ns));
	if (cli_has(c, "schedule-ttl") && nats_opt_duration(c, "schedule-ttl", &ns, e) == 0)
		fmt_go_duration(ttl, ns);
	const char *const pairs[][2] = {
		{"Nats-Schedule-Target", cli_str(c, "schedule-dest")},
		{"Nats-Schedule", cron	     ? cron
				  : *pattern ? pattern
					     : NULL},
		{"Nats-Schedule-TTL", *ttl ? ttl : NULL},
		{"Nats-Schedule-Source", cli_str(c, "schedule-source")},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		natsStatus s =
			pairs[i][1] ? natsMsgHeader_Set(m, pairs[i][0], pairs[i][1]) : NATS_OK;

		if (s != NATS_OK)
			return conn_err(e, s, "nats");
	}
	return 0;
}

static int refused(struct cli *c, struct err *e)
{
	return err_set(e, ERR_DENIED, "nats: permissions violation: %s", run_of(c)->async_error);
}

/* One message of a body. */
static int send_one(struct cli *c, const struct pub *p, struct msg_source *src, long long i,
		    struct err *e)
{
	CLEAN(msg) natsMsg *m = NULL;

	if (msg_make(&m, c, p->subject, p->reply, &src->body, src->templates, i, e) ||
	    (p->schedule && add_schedule(c, p, m, e)))
		return -1;
	CLEAN(free) char *quoted = nats_quote(natsMsg_GetSubject(m), strlen(natsMsg_GetSubject(m)));

	if (!p->jetstream) {
		natsStatus s = natsConnection_PublishMsg(run_of(c)->nc, m);

		/* Who reads "Published" relies on it: the server must have had its say. */
		if (s == NATS_OK && !p->quiet && p->count <= QUIET_ABOVE)
			s = natsConnection_FlushTimeout(run_of(c)->nc, run_of(c)->timeout_ms);
		if (s != NATS_OK)
			return conn_err(e, s, "nats");
		if (*nats_refusal(run_of(c)))
			return refused(c, e);
	}
	if (!p->quiet && p->count <= QUIET_ABOVE)
		nats_log("Published %d bytes to %s", natsMsg_GetDataLength(m), quoted);
	return p->jetstream ? send_stored(c, p, m, e) : 0;
}

static int send_body(struct cli *c, struct pub *p, struct msg_source *src, struct err *e)
{
	struct nats_run *r = run_of(c);
	natsStatus s;

	for (long long i = 1; i <= p->count && !nats_stopped(); i++) {
		int64_t start = mono_ns();

		if (send_one(c, p, src, i, e))
			return -1;
		progress_add(&p->progress, 1);
		if (p->sleep_ns && i < p->count) {
			(void)natsConnection_Flush(r->nc);
			(void)nats_wait(NULL, p->sleep_ns - (p->jetstream ? mono_ns() - start : 0));
		}
		if (*nats_refusal(r))
			break;
	}
	s = natsConnection_FlushTimeout(r->nc, r->timeout_ms);
	if (*nats_refusal(r))
		return refused(c, e);
	return conn_err(e, s, "nats");
}

static int add_to_batch(struct cli *c, struct pub *p, const struct msg_source *src, struct err *e)
{
	for (long long i = 1; i <= p->count && !nats_stopped(); i++) {
		natsMsg *m = NULL;

		if (msg_make(&m, c, p->subject, p->reply, &src->body, src->templates, i, e))
			return -1;
		if (pub_batch_add(&p->batch, m, p->quiet, e)) {
			natsMsg_Destroy(m);
			return -1;
		}
	}
	return 0;
}

/* --atomic: all lines first, for a batch must not wait for its next message. */
static int publish_batch(struct cli *c, struct pub *p, struct err *e)
{
	CLEAN(msg_source) struct msg_source src = {0};
	int r;

	if (p->schedule)
		return cli_usage(e, "atomic batch publishing does not support schedules");
	if (msg_source_init(&src, c, 1, e))
		return -1;
	if (!src.use_stdin || !src.lines)
		return cli_usage(e, "atomic batch publishing requires JetStream and STDIN with "
				    "--send-on=newline");
	if (nats_connect(c, e))
		return -1;
	nats_catch();
	if (!p->quiet)
		nats_log("Reading payload from STDIN");
	while ((r = msg_source_next(&src, e)) > 0 && !nats_stopped())
		if (add_to_batch(c, p, &src, e)) {
			r = -1;
			break;
		}
	if (r == 0 && !nats_stopped())
		r = pub_batch_send(c, &p->batch, p->quiet, e);
	pub_batch_free(&p->batch);
	return r < 0 ? -1 : nats_stopped() ? 130 : 0;
}

static int publish(struct cli *c, struct err *e)
{
	struct pub p = {.count = 1};
	struct msg_source src;
	int r;

	if (cli_int(c, "count", INT64_MIN / 2, INT64_MAX / 2, &p.count, e) ||
	    nats_opt_duration(c, "sleep", &p.sleep_ns, e) || check_schedule(c, &p, e))
		return -1;
	p.count = p.count < 1 ? 1 : p.count;
	p.subject = c->argv[0];
	p.reply = cli_str(c, "reply");
	p.quiet = cli_has(c, "quiet");
	p.jetstream |= cli_has(c, "jetstream");
	p.atomic = cli_has(c, "atomic");
	if (p.atomic)
		return publish_batch(c, &p, e);
	if (msg_source_init(&src, c, 1, e) || nats_connect(c, e))
		return -1;
	nats_catch();
	if (src.use_stdin && !p.quiet)
		nats_log("Reading payload from STDIN");
	if (p.count > QUIET_ABOVE)
		progress_start(&p.progress, "publishing", (uint64_t)p.count, PROGRESS_COUNT);
	while ((r = msg_source_next(&src, e)) > 0 && !nats_stopped()) {
		if (send_body(c, &p, &src, e) == 0)
			continue;
		/* One line of many that is refused does not stop the others. */
		r = -1;
		if (!src.lines || !src.use_stdin || !p.jetstream)
			break;
		nats_log("Could not publish message: %s", e->text);
		r = 0;
	}
	if (p.count > QUIET_ABOVE)
		progress_end(&p.progress);
	buf_free(&src.body);
	return r < 0 ? -1 : nats_stopped() ? 130 : 0;
}

static const struct cli_opt pub_opts[] = {
	{"reply", 0, "SUBJECT", "Reply subject of the message"},
	{"header", 'H', "K:V", "Add a header (may be given again)"},
	{"atomic", 0, NULL,
	 "Store all lines of stdin as one batch, or none (with --send-on newline)"},
	{"count", 0, "N", "Publish this many messages (1)"},
	{"force-stdin", 0, NULL, "Read the body from stdin even on a terminal"},
	{"jetstream", 'J', NULL, "Wait for the stream's acknowledgement of each message"},
	{"quiet", 'q', NULL, "No lines about what was published"},
	{"schedule-after", 0, "DURATION", "Deliver after a time (JetStream)"},
	{"schedule-at", 0, "TIME", "Deliver at an RFC 3339 time (JetStream)"},
	{"schedule-cron", 0, "CRON", "Deliver by a cron pattern (JetStream)"},
	{"schedule-dest", 0, "SUBJECT", "Subject that scheduled messages go to"},
	{"schedule-every", 0, "DURATION", "Deliver again and again (JetStream)"},
	{"schedule-source", 0, "SUBJECT", "Take the last message of a subject when it fires"},
	{"schedule-ttl", 0, "DURATION", "How long made messages live in the stream"},
	{"send-on", 0, "WHEN", "When stdin is sent: eof (default) or newline"},
	{"sleep", 0, "DURATION", "Pause between messages"},
	{"templates", 0, NULL, "Fill templates in body and subject (on; --no-templates)"},
	{0},
};

static const char *const pub_examples[] = {
	"nats pub orders.new 'hello'",
	"nats pub test --count 10 'Message {{Count}} @ {{Time}}'",
	"nats pub test --count 10 'Message {{Count}}: {{ Random 10 100 }}'",
	"nats pub -J orders.new -H 'Nats-Msg-Id: {{ID}}' \"$(cat order.json)\"",
	"nats pub orders.new --atomic --send-on newline <orders.txt",
	"journalctl -f | nats pub logs --send-on newline --quiet",
	NULL,
};

const struct cli_cmd nats_pub_cmds[] = {
	{.path = "publish|pub",
	 .help = "Publish messages",
	 .args = "SUBJECT [BODY]",
	 .opts = pub_opts,
	 .run = publish,
	 .examples = pub_examples,
	 .about = "Templates in body, subject and headers: {{Count}} number of the message,\n"
		  "{{ID}} a unique id, {{Random 10 100}} letters, {{Time}} {{TimeStamp}} {{Unix}}\n"
		  "{{UnixNano}} the time. Without BODY the body is read from stdin, unless both\n"
		  "stdin is a terminal and stdout is none."},
	{0},
};
