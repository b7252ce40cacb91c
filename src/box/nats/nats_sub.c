/* nats subscribe. */
#include "box/nats/nats_sub.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "box/nats/nats_cmd.h"
#include "box/nats/nats_graph.h"
#include "box/nats/nats_msg.h"

/* " @ Jan  2 15:04:05.000000", " @ 1.5s", or nothing. */
static const char *stamp(const struct sub *s, const struct msg_meta *meta, char out[static 64])
{
	int64_t now = meta ? meta->time_ns : now_ns();
	time_t sec = (time_t)(now / NS_S);
	struct tm tm = {0};
	char text[32];

	out[0] = '\0';
	if (s->stamp) {
		(void)localtime_r(&sec, &tm);
		(void)strftime(text, sizeof(text), "%b %e %H:%M:%S", &tm);
		(void)snprintf(out, 64, " @ %s.%06lld", text, (long long)(now % NS_S / 1000));
	} else if (s->delta) {
		(void)snprintf(out, 64, " @ %s",
			       GODURATION(meta ? nats_ago(now) : mono_ns() - s->start));
	}
	return out;
}

static void copy_header(void *arg, const char *key, const char *value)
{
	(void)natsMsgHeader_Add(arg, key, value);
}

/* The message with the body that --translate makes; NULL with *e: it could not. */
static natsMsg *translated(struct sub *s, natsMsg *m, struct err *e)
{
	CLEAN(buf) struct buf out = {0};
	natsMsg *copy = NULL;

	buf_init(&out, (size_t)64 << 20);
	if (cmd_translate(s->c, natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m), "", "", &out,
			  e))
		return NULL;
	natsStatus st = natsMsg_Create(&copy, natsMsg_GetSubject(m), natsMsg_GetReply(m),
				       out.len ? (const char *)out.p : "", (int)out.len);

	if (st == NATS_OK)
		msg_each_header(m, copy_header, copy);
	else
		(void)conn_err(e, st, "nats");
	return copy;
}

static void dump(struct sub *s, natsMsg *m, uint64_t seq, const char *suffix)
{
	CLEAN(msg) natsMsg *other = NULL;
	CLEAN(buf) struct buf b = {0};
	char path[4300];
	struct err e;

	buf_init(&b, (size_t)256 << 20);
	if (cli_has(s->c, "translate")) {
		other = translated(s, m, &e);
		if (!other) {
			nats_log("Error while translating msg body: %s", e.text);
			return;
		}
		m = other;
	}
	if (msg_dump(m, &b, &e)) {
		nats_log("Could not JSON encode message: %s", e.text);
		return;
	}
	if (strcmp(s->dump, "-") == 0) {
		fwrite(b.p, 1, b.len, stdout);
		putchar('\0');
		return;
	}
	(void)snprintf(path, sizeof(path), "%.4096s/%llu%s.json", s->dump, (unsigned long long)seq,
		       suffix);
	if (file_replace(path, b.p, b.len, 0600, &e))
		nats_log("Could not save message: %s", e.text);
	if (s->count % 100 == 0)
		putchar('.');
}

static void show_content(const struct sub *s, natsMsg *m)
{
	if (s->subjects_only)
		return;
	msg_print_headers(m);
	if (!s->headers_only)
		cmd_print_body(s->c, natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m),
			       natsMsg_GetSubject(m), "", true);
}

static void show_head(const struct sub *s, natsMsg *m, const struct msg_meta *meta)
{
	const char *subject = natsMsg_GetSubject(m), *reply = natsMsg_GetReply(m);
	CLEAN(free) char *q = nats_quote(subject, strlen(subject));
	CLEAN(free) char *qr = reply ? nats_quote(reply, strlen(reply)) : NULL;
	char at[64];

	if (s->direct) {
		printf("[#%llu]%s Received JetStream message (direct): stream: %s seq %s / "
		       "subject: ",
		       (unsigned long long)s->count, stamp(s, NULL, at), s->stream,
		       SHOWN(msg_header_last(m, "Nats-Sequence")));
		nats_bytes(subject, strlen(subject));
		printf(" / time: %s\n", LOCALTEXT(msg_header_last(m, "Nats-Time-Stamp")));
		return;
	}
	if (s->stream && meta) {
		printf("[#%llu]%s Received JetStream message: stream: %s seq: %s / pending: %s / "
		       "subject: ",
		       (unsigned long long)s->count, stamp(s, meta, at), meta->stream,
		       COMMA(meta->stream_seq), COMMA(meta->pending));
		nats_bytes(subject, strlen(subject));
		printf(" / time: %s\n", LOCALTIME(meta->time_ns));
		return;
	}
	printf("[#%llu]%s Received on %s%s%s\n", (unsigned long long)s->count, stamp(s, NULL, at),
	       q ? q : "?", qr ? " with reply " : "", qr ? qr : "");
}

void sub_show(struct sub *s, natsMsg *m, natsMsg *reply)
{
	struct msg_meta meta;
	bool known = msg_meta(natsMsg_GetReply(m), &meta);

	if (run_of(s->c)->trace && natsMsg_GetReply(m))
		printf("<<< Reply Subject: %s\n", SHOWN(natsMsg_GetReply(m)));
	if (s->dump) {
		uint64_t seq = known ? meta.stream_seq : s->count;

		if (s->direct)
			seq = strtoull(msg_header_last(m, "Nats-Sequence"), NULL, 10);
		dump(s, m, seq, "");
		if (reply)
			dump(s, reply, seq, "_reply");
		return;
	}
	if (s->raw) {
		cmd_print_body(s->c, natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m), "", "",
			       false);
		if (reply)
			msg_print_body(natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply),
				       false);
		return;
	}
	show_head(s, m, known ? &meta : NULL);
	show_content(s, m);
	if (reply) {
		CLEAN(free) char *q =
			nats_quote(natsMsg_GetSubject(reply), strlen(natsMsg_GetSubject(reply)));
		char at[64];

		printf("[#%llu]%s Matched reply on %s\n", (unsigned long long)s->count,
		       stamp(s, NULL, at), q ? q : "?");
		show_content(s, reply);
	}
}

static bool ignored(const struct sub *s, const char *subject)
{
	for (size_t i = 0; i < cli_count(s->c, "ignore-subject"); i++) {
		const char *list = cli_nth(s->c, "ignore-subject", i);

		while (*list) {
			size_t n = strcspn(list, ", ");
			char one[512];

			(void)snprintf(one, sizeof(one), "%.*s", (int)n, list);
			if (n && msg_subject_match(one, subject))
				return true;
			list += n + (list[n] != '\0');
		}
	}
	return false;
}

static void report_take(struct sub *s, natsMsg *m, const char *subject)
{
	json_t *row = json_object_get(s->subjects, subject);

	if (!row) {
		row = json_pack("[i, i]", 0, 0);
		(void)json_object_set_new(s->subjects, subject, row);
	}
	(void)json_integer_set(json_array_get(row, 0),
			       json_integer_value(json_array_get(row, 0)) + 1);
	(void)json_integer_set(json_array_get(row, 1), json_integer_value(json_array_get(row, 1)) +
							       natsMsg_GetDataLength(m));
}

static void graph_take(struct sub *s, const natsSubscription *from)
{
	for (size_t i = 0; i < s->nsubs; i++)
		if (s->subs[i] == from)
			s->drawn[i]++;
}

/* Keeps a request until its reply comes: the oldest gives way. */
static void keep_request(struct sub *s, natsMsg *m)
{
	const size_t n = sizeof(s->waiting) / sizeof(s->waiting[0]);
	natsMsg *copy = NULL;

	if (natsMsg_Create(&copy, natsMsg_GetSubject(m), natsMsg_GetReply(m), natsMsg_GetData(m),
			   natsMsg_GetDataLength(m)) != NATS_OK)
		return;
	natsMsg_Destroy(s->waiting[n - 1]);
	memmove(s->waiting + 1, s->waiting, (n - 1) * sizeof(s->waiting[0]));
	s->waiting[0] = copy;
}

static bool any_waiting(const struct sub *s)
{
	for (size_t i = 0; i < sizeof(s->waiting) / sizeof(s->waiting[0]); i++)
		if (s->waiting[i])
			return true;
	return false;
}

void sub_take(struct sub *s, natsMsg *m, natsSubscription *from)
{
	struct msg_meta meta;
	bool known = msg_meta(natsMsg_GetReply(m), &meta);
	int left = 0, bytes = 0;

	pthread_mutex_lock(&s->lock);
	if (s->done || (s->limit && (int64_t)s->count >= s->limit) ||
	    ignored(s, natsMsg_GetSubject(m))) {
		pthread_mutex_unlock(&s->lock);
		return;
	}
	s->count++;
	s->last = mono_ns();
	if (s->graph)
		graph_take(s, from);
	else if (s->report)
		report_take(s, m,
			    cli_has(s->c, "report-subscriptions")
				    ? natsSubscription_GetSubject(from)
				    : natsMsg_GetSubject(m));
	else if (s->match && natsMsg_GetReply(m))
		keep_request(s, m);
	else
		sub_show(s, m, NULL);
	if (s->ack && known)
		(void)natsConnection_Publish(run_of(s->c)->nc, natsMsg_GetReply(m), NULL, 0);
	if (s->limit && (int64_t)s->count >= s->limit && !(s->match && any_waiting(s)))
		__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	if (s->stream && known && meta.pending == 0 && cli_has(s->c, "terminate-at-end"))
		__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	/* In a burst the output goes out in large pieces; nothing stays behind after it. */
	if (natsSubscription_GetPending(from, &left, &bytes) != NATS_OK || left == 0 || s->done)
		(void)fflush(stdout);
	if (ferror(stdout))
		__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&s->lock);
}

static void on_msg(natsConnection *nc, natsSubscription *from, natsMsg *m, void *arg)
{
	(void)nc;
	sub_take(arg, m, from);
	natsMsg_Destroy(m);
}

/* A message on an inbox: the reply of a request that we saw? */
static void on_reply(natsConnection *nc, natsSubscription *from, natsMsg *m, void *arg)
{
	struct sub *s = arg;

	(void)nc;
	(void)from;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < sizeof(s->waiting) / sizeof(s->waiting[0]); i++) {
		if (!s->waiting[i] ||
		    strcmp(natsMsg_GetReply(s->waiting[i]), natsMsg_GetSubject(m)) != 0)
			continue;
		sub_show(s, s->waiting[i], m);
		natsMsg_Destroy(s->waiting[i]);
		s->waiting[i] = NULL;
		(void)fflush(stdout);
		break;
	}
	if (s->limit && (int64_t)s->count >= s->limit && !any_waiting(s))
		__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&s->lock);
	natsMsg_Destroy(m);
}

static int by_count(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	json_int_t i = json_integer_value(json_array_get(json_array_get(*x, 1), 0));
	json_int_t j = json_integer_value(json_array_get(json_array_get(*y, 1), 0));

	if (i != j)
		return i < j ? 1 : -1;
	return strcmp(json_string_value(json_array_get(*x, 0)),
		      json_string_value(json_array_get(*y, 0)));
}

/* The table of subjects, drawn anew each second. */
static void draw_report(struct sub *s, int64_t top)
{
	size_t n = json_object_size(s->subjects), i = 0;
	CLEAN(free) json_t **rows = calloc(n + 1, sizeof(*rows));
	CLEAN(nt) struct nt *t =
		top == 1 ? nt_new("Top Subject Report")
			 : nt_new("Top %lld Active Subjects Report", (long long)top);
	int64_t count = 0, bytes = 0;
	const char *key;
	json_t *v;

	if (!rows)
		return;
	json_object_foreach(s->subjects, key, v) rows[i++] = json_pack("[s, O]", key, v);
	qsort(rows, i, sizeof(*rows), by_count);
	nt_head(t, "Subject", "Message Count", "Bytes", NULL);
	for (size_t k = 0; k < i; k++) {
		const json_t *cell = json_array_get(rows[k], 1);

		if ((int64_t)k < top) {
			int64_t c = json_integer_value(json_array_get(cell, 0));
			int64_t b = json_integer_value(json_array_get(cell, 1));

			nt_text(t, json_string_value(json_array_get(rows[k], 0)));
			nt_text(t, COMMA(c));
			nt_text(t, IBYTES(b));
			count += c;
			bytes += b;
		}
		json_decref(rows[k]);
	}
	nt_foot(t);
	nt_text(t, "Totals");
	nt_text(t, COMMA(count));
	nt_text(t, IBYTES(bytes));
	fputs("\033[2J\033[H", stdout);
	nt_print(t);
	putchar('\n');
	(void)fflush(stdout);
}

int sub_wait(struct sub *s, struct err *e)
{
	struct nats_run *r = run_of(s->c);
	int64_t top = 10, drawn = mono_ns();

	if (cli_int(s->c, "report-top", 1, 100000, &top, e))
		return -1;
	while (!nats_wait(&s->done, 20 * NS_MS) && !nats_stopped()) {
		pthread_mutex_lock(&s->lock);
		bool late = s->wait_ns && mono_ns() - s->last >= s->wait_ns;

		if (s->report && mono_ns() - drawn >= NS_S) {
			draw_report(s, top);
			drawn = mono_ns();
		}
		pthread_mutex_unlock(&s->lock);
		if (late)
			break;
		if (*nats_refusal(r))
			return err_set(e, ERR_DENIED, "nats: permissions violation: %s",
				       r->async_error);
	}
	if (s->err.code) {
		*e = s->err;
		return -1;
	}
	/* Acknowledgements that were sent must arrive. */
	if (s->ack)
		(void)natsConnection_FlushTimeout(r->nc, 1000);
	return nats_stopped() ? 130 : 0;
}

static int sample(void *arg, double value[GRAPH_LINES], struct err *e)
{
	struct sub *s = arg;

	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < s->c->argc && i < GRAPH_LINES; i++)
		value[i] = (double)s->drawn[i];
	pthread_mutex_unlock(&s->lock);
	return *nats_refusal(run_of(s->c))
		       ? err_set(e, ERR_DENIED, "nats: %s", run_of(s->c)->async_error)
		       : 0;
}

static int draw_graph(struct sub *s, struct err *e)
{
	CLEAN(free) struct graph *g = calloc(1, sizeof(*g));

	if (!g)
		return err_set(e, ERR_NOMEM, NULL);
	for (int i = 0; i < s->c->argc; i++) {
		char caption[96];

		(void)snprintf(caption, sizeof(caption), "%.80s / second", s->c->argv[i]);
		graph_line(g, (size_t)i, GRAPH_DECIMAL, true, caption);
	}
	g->sample = sample;
	g->arg = s;
	g->done = &s->done;
	return graph_run(g, e);
}

static int check(struct sub *s, struct err *e)
{
	struct cli *c = s->c;
	bool stream = sub_wants_stream(c);

	if (!c->argc && !cli_has(c, "inbox") && !cli_has(c, "stream"))
		return cli_usage(e, "subject is required");
	if (c->argc && cli_has(c, "durable"))
		return cli_usage(e, "cannot specify both subjects and a durable consumer");
	if (c->argc > SUB_MAX)
		return cli_usage(e, "at most %d subjects", SUB_MAX);
	if (c->argc > 1 && stream)
		return cli_usage(e, "streams subscribe support only 1 subject");
	if (cli_has(c, "terminate-at-end") && !stream)
		return cli_usage(
			e, "--terminate-at-end is only supported for JetStream subscriptions");
	if (cli_has(c, "inbox") && stream)
		return cli_usage(
			e, "generating inboxes is not compatible with JetStream subscriptions");
	if (cli_has(c, "queue") && stream)
		return cli_usage(e, "queue group subscriptions are not supported with JetStream");
	if (s->match && stream)
		return cli_usage(e, "cannot enable --match-replies for JetStream streams");
	if (cli_has(c, "direct") && s->durable)
		return cli_usage(e, "cannot use direct get when a durable name is supplied");
	if (s->graph && (stream || !c->argc || c->argc > 4))
		return cli_usage(e, c->argc > 4 ? "maximum 4 subject patterns may be graphed"
						: "--graph takes subjects and no stream");
	if (s->graph && !nats_is_terminal())
		return cli_usage(e, "can only graph data on an interactive terminal");
	if (s->stamp && s->delta)
		return cli_usage(e, "timestamp and delta-time flags are mutually exclusive");
	for (int i = 0; i < c->argc; i++)
		if (msg_subject_ok(c->argv[i], true, e))
			return -1;
	return s->dump && strcmp(s->dump, "-") != 0 ? file_mkdirs(s->dump, 0700, e) : 0;
}

/* Subscribes to each subject; more are made when an inbox is wanted. */
static int start(struct sub *s, struct err *e)
{
	struct nats_run *r = run_of(s->c);
	const char *queue = cli_str(s->c, "queue");
	CLEAN(free) char *inbox = s->c->argc ? NULL : nats_inbox(s->c);
	CLEAN(buf) struct buf list = {0};
	char all[300];

	buf_init(&list, 65536);
	for (int i = 0; i < s->c->argc || (inbox && i == 0); i++)
		buf_printf(&list, "%s%s", i ? ", " : "", inbox ? inbox : s->c->argv[i]);
	buf_u8(&list, '\0');
	if (s->match) {
		(void)snprintf(all, sizeof(all), "%s.>", conn_inbox(r->conn));
		if (!s->raw && !s->dump)
			nats_log("Matching replies with inbox prefix %s", all);
		natsStatus st =
			natsConnection_Subscribe(&s->subs[s->nsubs], r->nc, all, on_reply, s);

		if (st != NATS_OK)
			return conn_err(e, st, "nats");
		s->nsubs++;
	}
	if ((!s->raw && !s->dump) || inbox) {
		if (s->ack)
			nats_log("Subscribing on %s with acknowledgement of JetStream messages ",
				 inbox ? inbox : s->c->argv[0]);
		else
			nats_log("Subscribing on %s ", list.bad ? "…" : (char *)list.p);
		for (size_t i = 0; i < cli_count(s->c, "ignore-subject"); i++)
			fprintf(stderr, "Ignored subjects: %s\n",
				cli_nth(s->c, "ignore-subject", i));
	}
	for (int i = 0; i < s->c->argc || (inbox && i == 0); i++) {
		const char *subject = inbox ? inbox : s->c->argv[i];
		natsSubscription **sub = &s->subs[s->nsubs];
		natsStatus st =
			queue ? natsConnection_QueueSubscribe(sub, r->nc, subject, queue, on_msg, s)
			      : natsConnection_Subscribe(sub, r->nc, subject, on_msg, s);

		if (st != NATS_OK)
			return conn_err(e, st, "nats");
		(void)natsSubscription_SetPendingLimits(*sub, 1 << 20, 512 << 20);
		s->nsubs++;
	}
	return conn_err(e, natsConnection_FlushTimeout(r->nc, r->timeout_ms), "nats");
}

static int subscribe(struct cli *c, struct err *e)
{
	/* Callbacks may run until the connection is closed, which is after this function. */
	static struct sub s = {.lock = PTHREAD_MUTEX_INITIALIZER};
	int r;

	s.c = c;
	s.raw = cli_has(c, "raw");
	s.headers_only = cli_has(c, "headers-only");
	s.subjects_only = cli_has(c, "subjects-only");
	s.stamp = cli_has(c, "timestamp");
	s.delta = cli_has(c, "delta-time");
	s.ack = cli_has(c, "ack");
	s.match = cli_has(c, "match-replies");
	s.report = cli_has(c, "report-subjects") || cli_has(c, "report-subscriptions");
	s.graph = cli_has(c, "graph");
	s.dump = cli_str(c, "dump");
	s.stream = cli_str(c, "stream");
	s.durable = cli_str(c, "durable");
	s.subjects = json_object();
	if (cli_int(c, "count", 0, INT64_MAX / 2, &s.limit, e) ||
	    nats_opt_duration(c, "wait", &s.wait_ns, e) || check(&s, e) || nats_connect(c, e))
		return -1;
	nats_catch();
	s.start = s.last = mono_ns();
	r = sub_wants_stream(c) ? sub_stream(&s, c->argc ? c->argv[0] : NULL, e) : start(&s, e);
	if (r == 0)
		r = s.graph ? draw_graph(&s, e) : sub_wait(&s, e);
	__atomic_store_n(&s.done, true, __ATOMIC_RELEASE);
	for (size_t i = 0; i < s.nsubs; i++) {
		(void)natsSubscription_Unsubscribe(s.subs[i]);
		natsSubscription_Destroy(s.subs[i]);
	}
	pthread_mutex_lock(&s.lock);
	for (size_t i = 0; i < sizeof(s.waiting) / sizeof(s.waiting[0]); i++)
		natsMsg_Destroy(s.waiting[i]);
	json_decref(s.subjects);
	s.subjects = NULL;
	pthread_mutex_unlock(&s.lock);
	return r;
}

static const struct cli_opt sub_opts[] = {
	{"queue", 0, "GROUP", "Subscribe as a member of a queue group"},
	{"durable", 0, "NAME", "Use a durable consumer (JetStream)"},
	{"raw", 'r', NULL, "Show the bodies only"},
	{"ack", 0, NULL, "Acknowledge JetStream messages"},
	{"match-replies", 0, NULL, "Show requests together with their replies"},
	{"inbox", 'i', NULL, "Subscribe to a new inbox"},
	{"count", 0, "N", "End after this many messages"},
	{"dump", 0, "DIR", "Write each message to a file as JSON; - to stdout, NUL between"},
	{"headers-only", 0, NULL, "Show headers and no bodies"},
	{"subjects-only", 0, NULL, "Show subjects only"},
	{"start-sequence", 0, "N", "Start at a sequence of the stream (JetStream)"},
	{"all", 0, NULL, "All messages of the stream (JetStream)"},
	{"new", 0, NULL, "Messages from now on (JetStream)"},
	{"last", 0, NULL, "The last message and what follows (JetStream)"},
	{"since", 0, "DURATION", "Messages of this long ago and later (JetStream)"},
	{"last-per-subject", 0, NULL, "The last message of each subject (JetStream)"},
	{"terminate-at-end", 'T', NULL, "End after the last message of the stream"},
	{"stream", 0, "STREAM", "Subscribe to a stream (JetStream)"},
	{"ignore-subject", 'I', "SUBJECT", "Do not show what fits (may be given again)"},
	{"wait", 0, "DURATION", "End after this time without a message"},
	{"report-subjects", 0, NULL, "Count messages by subject, shown each second"},
	{"report-subscriptions", 0, NULL, "Count messages by subscription"},
	{"report-top", 0, "N", "Rows of the report (10)"},
	TRANSLATE_OPT,
	{"graph", 0, NULL, "Draw the rate of each subject"},
	{"direct", 0, NULL, "Read the stream by direct gets, without a consumer (JetStream)"},
	{"timestamp", 't', NULL, "Show when each message came"},
	{"delta-time", 'd', NULL, "Show the time since the start"},
	{0},
};

static const char *const sub_examples[] = {
	"nats sub 'orders.>'",
	"nats sub --queue workers orders.new --count 10 --wait 1m",
	"nats sub --stream ORDERS --all --terminate-at-end --raw",
	"nats sub 'svc.>' --match-replies",
	NULL,
};

const struct cli_cmd nats_sub_cmds[] = {
	{.path = "subscribe|sub",
	 .help = "Show the messages of subjects or of a stream",
	 .args = "[SUBJECT...]",
	 .opts = sub_opts,
	 .run = subscribe,
	 .examples = sub_examples},
	{0},
};
