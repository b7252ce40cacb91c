/* nats request. Where natscli exits with 0 although nobody answered, this fails. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/nats.h"
#include "box/nats/nats_cmd.h"
#include "box/nats/nats_msg.h"
#include "ui/progress.h"

#define QUIET_ABOVE 20

struct req {
	int64_t count, replies, gap_ns;
	bool raw, to_empty;
	struct progress progress;
};

static void log_header(void *arg, const char *key, const char *value)
{
	CLEAN(free) char *k = nats_clean(key), *v = nats_clean(value);

	(void)arg;
	nats_log("%s: %s", k ? k : "?", v ? v : "?");
}

static void show(struct cli *c, const struct req *q, natsMsg *m, int64_t rtt)
{
	if (!q->raw && q->count > QUIET_ABOVE)
		return;
	if (!q->raw) {
		nats_log("Received with rtt %s", GODURATION(rtt));
		if (msg_has_headers(m)) {
			msg_each_header(m, log_header, NULL);
			nats_log("%s", "");
		}
	}
	cmd_print_body(c, natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m),
		       natsMsg_GetSubject(m), "", true);
	(void)fflush(stdout);
}

/* Replies to one request, until there are enough. 0, 1 for nobody there, -1. */
static int receive(struct cli *c, const struct req *q, natsSubscription *sub, struct err *e)
{
	struct nats_run *r = run_of(c);
	int64_t start = mono_ns(), limit = r->timeout_ms * NS_MS, wait = limit, sum = 0;
	int64_t n = 0;

	while (!nats_stopped()) {
		CLEAN(msg) natsMsg *m = NULL;
		natsStatus s = natsSubscription_NextMsg(&m, sub, wait < NS_MS ? 1 : wait / NS_MS);
		int64_t rtt = mono_ns() - start;

		if (*nats_refusal(r))
			return err_set(e, ERR_DENIED, "nats: permissions violation: %s",
				       r->async_error);
		if (s == NATS_NO_RESPONDERS ||
		    (s == NATS_OK && strcmp(msg_header(m, "Status"), "503") == 0 &&
		     natsMsg_GetDataLength(m) == 0)) {
			nats_log("No responders are available");
			return 1;
		}
		if (s == NATS_TIMEOUT && n)
			return 0;
		if (s == NATS_TIMEOUT)
			return err_set(e, ERR_TIMEOUT, "nats: timeout: no reply within %s",
				       GODURATION(limit));
		if (s != NATS_OK)
			return conn_err(e, s, "nats");
		show(c, q, m, rtt);
		n++;
		if ((q->replies > 0 && n == q->replies) ||
		    (q->replies > 0 && natsMsg_GetDataLength(m) == 0))
			return 0;
		sum += rtt;
		wait = q->replies == 0 ? limit - rtt : sum / n + q->gap_ns;
		if (wait <= 0)
			return 0;
	}
	return 0;
}

static int ask(struct cli *c, const struct req *q, struct msg_source *src, long long i,
	       struct err *e)
{
	struct nats_run *r = run_of(c);
	CLEAN(free) char *inbox = nats_inbox(c);
	CLEAN(msg) natsMsg *m = NULL;
	natsSubscription *sub = NULL;
	int rc;

	if (!inbox)
		return err_set(e, ERR_NOMEM, NULL);
	if (msg_make(&m, c, c->argv[0], inbox, &src->body, src->templates, i, e))
		return -1;
	CLEAN(free) char *quoted = nats_quote(natsMsg_GetSubject(m), strlen(natsMsg_GetSubject(m)));

	if (!q->raw && q->count <= QUIET_ABOVE)
		nats_log("Sending request on %s", quoted);
	natsStatus s = natsConnection_SubscribeSync(&sub, r->nc, inbox);

	if (s == NATS_OK)
		s = natsConnection_PublishMsg(r->nc, m);
	rc = s == NATS_OK ? receive(c, q, sub, e) : conn_err(e, s, "nats");
	(void)natsSubscription_Unsubscribe(sub);
	natsSubscription_Destroy(sub);
	return rc;
}

static int request(struct cli *c, struct err *e)
{
	struct req q = {.count = 1, .replies = 1, .gap_ns = 300 * NS_MS};
	CLEAN(msg_source) struct msg_source src = {0};
	int r, failed = 0;

	src.body = (struct buf){0};
	if (cli_int(c, "count", INT64_MIN / 2, INT64_MAX / 2, &q.count, e) ||
	    cli_int(c, "replies", 0, INT64_MAX / 2, &q.replies, e) ||
	    nats_opt_duration(c, "reply-timeout", &q.gap_ns, e))
		return -1;
	q.count = q.count < 1 ? INT16_MAX : q.count;
	q.raw = cli_has(c, "raw");
	if (cli_has(c, "wait-for-empty"))
		q.replies = INT16_MAX;
	if (msg_source_init(&src, c, 1, e) || nats_connect(c, e))
		return -1;
	nats_catch();
	if (src.use_stdin && !q.raw)
		nats_log("Reading payload from STDIN");
	if (q.count > QUIET_ABOVE && !q.raw)
		progress_start(&q.progress, "requests", (uint64_t)q.count, PROGRESS_COUNT);
	while ((r = msg_source_next(&src, e)) > 0 && !nats_stopped())
		for (long long i = 1; i <= q.count && r >= 0 && !nats_stopped(); i++) {
			r = ask(c, &q, &src, i, e);
			if (r < 0)
				return -1;
			failed |= r;
			/* Nobody is there for the others either. */
			if (r > 0)
				break;
			progress_add(&q.progress, 1);
		}
	if (q.count > QUIET_ABOVE && !q.raw)
		progress_end(&q.progress);
	return r < 0 ? -1 : nats_stopped() ? 130 : failed;
}

static const struct cli_opt req_opts[] = {
	{"wait", 'w', NULL, "Has no effect; of older versions"},
	{"raw", 'r', NULL, "Show the reply's body only"},
	{"header", 'H', "K:V", "Add a header (may be given again)"},
	{"count", 0, "N", "Send this many requests (1)"},
	{"replies", 0, "N", "Wait for this many replies (1); 0: until the time-out"},
	REQUEST_OPTS,
	{"templates", 0, NULL, "Fill templates in body and subject (on; --no-templates)"},
	{0},
};

static const char *const req_examples[] = {
	"nats req orders.status 4711",
	"nats req --raw --timeout 500ms time.now ''",
	"nats req '$SRV.PING' '' --replies 0",
	NULL,
};

const struct cli_cmd nats_req_cmds[] = {
	{.path = "request|req",
	 .help = "Send a request and show the replies",
	 .args = "SUBJECT [BODY]",
	 .opts = req_opts,
	 .run = request,
	 .examples = req_examples,
	 .about = "Exit status 1 when nobody listens and when no reply comes in time. Templates\n"
		  "and stdin are as in 'nats publish'."},
	{0},
};
