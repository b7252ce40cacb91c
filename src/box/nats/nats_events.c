/* nats events, latency and top. */
#include <ctype.h>
#include <pthread.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box/nats/nats.h"
#include "box/nats/nats_msg.h"
#include "crypto/crypto.h"

/* ---- events ---- */

#define MAX_SUBS 32

static struct events {
	struct cli *c;
	pthread_mutex_t lock;
	regex_t filter;
	bool filtered;
	volatile bool done;
} ev = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* "io.nats.server.advisory.v1.client_connect" is "Client Connect". */
static void title_of(const char *type, char out[static 96])
{
	const char *s = strrchr(type, '.');
	size_t n = 0;

	for (s = s ? s + 1 : type; *s && n + 1 < 96; s++) {
		out[n] = (char)(*s == '_' ? ' ' : *s);
		if (n == 0 || out[n - 1] == ' ')
			out[n] = (char)toupper((unsigned char)out[n]);
		n++;
	}
	out[n] = '\0';
}

/* All members that say something, "a.b" for what is inside. */
static void add_members(struct cols *cols, const char *prefix, const json_t *j, int depth)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)j, key, v)
	{
		CLEAN(free) char *name = NULL;

		if (!depth && (strcmp(key, "type") == 0 || strcmp(key, "id") == 0 ||
			       strcmp(key, "timestamp") == 0))
			continue;
		if (asprintf(&name, "%s%s%s", prefix, *prefix ? " " : "", key) < 0) {
			name = NULL;
			return;
		}
		for (char *s = name; *s; s++)
			*s = *s == '_' ? ' ' : *s;
		*name = (char)toupper((unsigned char)*name);
		if (json_is_object(v) && depth < 3)
			add_members(cols, name, v, depth + 1);
		else if (json_is_string(v))
			cols_some(cols, name, json_string_value(v));
		else if (json_is_integer(v))
			cols_row(cols, name, "%s", COMMA(json_integer_value(v)));
		else if (json_is_real(v))
			cols_row(cols, name, "%s", COMMAF(json_real_value(v), 3));
		else if (json_is_true(v))
			cols_row(cols, name, "true");
	}
}

static void show_event(const json_t *j)
{
	const char *type = jstr(j, "type"), *id = jstr(j, "id");
	char title[96];
	int64_t at = 0;

	(void)parse_rfc3339(jstr(j, "timestamp"), &at);
	const char *when = LOCALTIME(at) + 11;

	title_of(type, title);
	if (cli_has(ev.c, "short")) {
		CLEAN(free) char *account = nats_clean(jstr(j, "client.acc"));
		CLEAN(free) char *user = nats_clean(jstr(j, "client.user"));
		CLEAN(free) char *stream = nats_clean(jstr(j, "stream"));

		printf("%s [%s]", when, title);
		if (user && *user)
			printf(" user: %s", user);
		if (jint(j, "client.id"))
			printf(" cid: %lld", (long long)jint(j, "client.id"));
		if (account && *account)
			printf(" in account %s", account);
		if (stream && *stream)
			printf(" stream: %s", stream);
		if (*jstr(j, "reason"))
			printf(": %s", SHOWN(jstr(j, "reason")));
		puts("\n");
		return;
	}
	CLEAN(cols) struct cols *cols = cols_new("[%s] [%s] %s", when, id, title);

	add_members(cols, "", j, 0);
	cols_print(cols, stdout);
	putchar('\n');
}

static void on_event(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	size_t n = (size_t)natsMsg_GetDataLength(m);
	const char *data = natsMsg_GetData(m) ? natsMsg_GetData(m) : "";
	regmatch_t at = {.rm_so = 0, .rm_eo = (regoff_t)n};
	CLEAN(json) json_t *j = NULL;

	(void)nc;
	(void)sub;
	(void)arg;
	pthread_mutex_lock(&ev.lock);
	if (!ev.done && (!ev.filtered || regexec(&ev.filter, data, 1, &at, REG_STARTEND) == 0)) {
		j = nats_json(data, n, 0);
		if (cli_has(ev.c, "json") || !json_is_object(j) || !*jstr(j, "type")) {
			if (!cli_has(ev.c, "json"))
				printf("Event error: unknown event schema on subject %s\n\n",
				       SHOWN(natsMsg_GetSubject(m)));
			nats_bytes(data, n);
			putchar('\n');
		} else {
			show_event(j);
		}
		(void)fflush(stdout);
		if (ferror(stdout))
			ev.done = true;
	}
	pthread_mutex_unlock(&ev.lock);
	natsMsg_Destroy(m);
}

struct listening {
	natsSubscription *subs[MAX_SUBS];
	size_t n;
};

static int listen_on(struct cli *c, struct listening *l, const char *what, const char *subject,
		     struct err *e)
{
	if (l->n == MAX_SUBS)
		return cli_usage(e, "at most %d subjects", MAX_SUBS);
	if (!cli_has(c, "json"))
		printf("Listening for %s on %s\n", what, subject);
	natsStatus s =
		natsConnection_Subscribe(&l->subs[l->n], run_of(c)->nc, subject, on_event, NULL);

	if (s != NATS_OK)
		return conn_err(e, s, "nats");
	l->n++;
	return 0;
}

/* A JetStream event subject with the prefix of the settings. */
static const char *js_event(struct cli *c, const char *tail, char out[static 300])
{
	const char *prefix = nats_setting(c, "jetstream_event_prefix");

	(void)snprintf(out, 300, "%.200s.%s.>", *prefix ? prefix : "$JS.EVENT", tail);
	return out;
}

static int subscribe_events(struct cli *c, struct listening *l, struct err *e)
{
	bool all = cli_has(c, "all");
	char subject[300];

	if ((cli_has(c, "js-advisory") || all) &&
	    listen_on(c, l, "Advisories", js_event(c, "ADVISORY", subject), e))
		return -1;
	if ((cli_has(c, "js-metric") || all) &&
	    listen_on(c, l, "Metrics", js_event(c, "METRIC", subject), e))
		return -1;
	if ((nats_flag(c, "srv-advisory", true) || all) &&
	    (listen_on(c, l, "Client Connection events", "$SYS.ACCOUNT.*.CONNECT", e) ||
	     listen_on(c, l, "Client Disconnection events", "$SYS.ACCOUNT.*.DISCONNECT", e) ||
	     listen_on(c, l, "Authentication Errors events", "$SYS.SERVER.*.CLIENT.AUTH.ERR", e)))
		return -1;
	for (size_t i = 0; i < cli_count(c, "subjects"); i++)
		if (msg_subject_ok(cli_nth(c, "subjects", i), true, e) ||
		    listen_on(c, l, "advisories", cli_nth(c, "subjects", i), e))
			return -1;
	return l->n ? conn_err(e, natsConnection_FlushTimeout(run_of(c)->nc, run_of(c)->timeout_ms),
			       "nats")
		    : cli_usage(e, "no events were chosen");
}

static int events(struct cli *c, struct err *e)
{
	const char *filter = cli_str(c, "filter");
	struct listening l = {.n = 0};
	int64_t limit_ns = -1;
	int r;

	ev.c = c;
	if (filter && regcomp(&ev.filter, filter, REG_EXTENDED | REG_NOSUB | REG_ICASE))
		return cli_usage(e, "invalid body regular expression '%.60s'", filter);
	ev.filtered = filter != NULL;
	if (nats_opt_duration(c, "wait", &limit_ns, e) || nats_connect(c, e))
		return -1;
	nats_catch();
	r = subscribe_events(c, &l, e);
	(void)fflush(stdout);
	if (r == 0)
		(void)nats_wait(&ev.done, limit_ns);
	pthread_mutex_lock(&ev.lock);
	ev.done = true;
	pthread_mutex_unlock(&ev.lock);
	if (r == 0 && *nats_refusal(run_of(c)))
		r = err_set(e, ERR_DENIED, "nats: permissions violation: %s",
			    run_of(c)->async_error);
	for (size_t i = 0; i < l.n; i++)
		natsSubscription_Destroy(l.subs[i]);
	return r ? r : nats_stopped() ? 130 : 0;
}

/* ---- latency ---- */

struct latency {
	int64_t *took;
	int64_t n, got;
	volatile bool done;
};

static void on_timed(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	struct latency *l = arg;
	int64_t sent;

	(void)nc;
	(void)sub;
	if (natsMsg_GetDataLength(m) >= 8 && l->got < l->n) {
		memcpy(&sent, natsMsg_GetData(m), sizeof(sent));
		/* Anybody may publish there: what is no time of ours must not overflow. */
		l->took[l->got++] = sent > 0 ? mono_ns() - sent : 0;
		if (l->got == l->n)
			__atomic_store_n(&l->done, true, __ATOMIC_RELEASE);
	} else {
		/* An empty one: the route between two servers is there. */
		__atomic_store_n(&l->done, true, __ATOMIC_RELEASE);
	}
	natsMsg_Destroy(m);
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static const char *micros(int64_t ns)
{
	static char text[48];

	return fmt_go_duration(text, ns / 1000 * 1000);
}

static void latency_report(const struct latency *l, int64_t pub_ns, int64_t sub_ns, int64_t size)
{
	static const double p[] = {10, 50, 75, 90, 99, 99.9, 99.99, 99.999, 99.9999, 99.99999, 100};
	int64_t rate = (int64_t)((double)l->n / ((double)pub_ns / 1e9));

	qsort(l->took, (size_t)l->n, sizeof(*l->took), by_time);
	nats_log("HDR Percentiles:");
	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		char name[16];
		int64_t k = (int64_t)(p[i] / 100 * (double)l->n + 0.999999);

		(void)snprintf(name, sizeof(name), "%s:", COMMAF(p[i], 6));
		nats_log("%-9s %s", name, micros(l->took[k > 0 ? k - 1 : 0]));
	}
	nats_log("==============================");
	nats_log("Actual Msgs/Sec: %lld", (long long)rate);
	nats_log("Actual Band/Sec: %s", IBYTES(rate * size * 2));
	nats_log("Minimum Latency: %s", micros(l->took[0]));
	nats_log("Median Latency : %s", micros(l->took[l->n / 2]));
	nats_log("Maximum Latency: %s", micros(l->took[l->n - 1]));
	nats_log("Last Sent Wall Time: %s", micros(pub_ns));
	nats_log("Last Recv Wall Time: %s", micros(sub_ns));
}

static int rtt_line(struct conn *conn, const char *what, struct err *e)
{
	int64_t rtt;
	natsStatus s = natsConnection_GetRTT(conn_nats(conn), &rtt);

	if (s != NATS_OK)
		return conn_err(e, s, what);
	nats_log("%s RTT : %s", what, micros(rtt));
	return 0;
}

/* Empty messages until one comes through. */
static int wait_route(natsConnection *pub, const char *subject, struct latency *l, struct err *e)
{
	for (int i = 0; i < 200 && !l->done; i++) {
		(void)natsConnection_Publish(pub, subject, NULL, 0);
		(void)nats_wait(&l->done, 10 * NS_MS);
	}
	if (!l->done)
		return err_set(e, ERR_TIMEOUT, "couldn't receive end-to-end test message");
	l->done = false;
	return 0;
}

static int measure(struct cli *c, natsConnection *pub, const char *subject, struct latency *l,
		   int64_t size, int64_t rate, struct err *e)
{
	CLEAN(free) char *data = calloc(1, (size_t)size);
	int64_t start = mono_ns(), pub_ns;
	natsStatus s = NATS_OK;

	if (!data)
		return err_set(e, ERR_NOMEM, NULL);
	for (int64_t i = 0; i < l->n && s == NATS_OK && !nats_stopped(); i++) {
		int64_t due = start + (int64_t)((double)i * 1e9 / (double)rate), now = mono_ns();

		if (due > now)
			(void)nats_wait(NULL, due - now);
		now = mono_ns();
		memcpy(data, &now, sizeof(now));
		s = natsConnection_Send(pub, subject, data, (int)size);
	}
	pub_ns = mono_ns() - start;
	if (s != NATS_OK)
		return conn_err(e, s, "Publishing failed");
	if (!nats_wait(&l->done, run_of(c)->timeout_ms * NS_MS) && !nats_stopped())
		return err_set(e, ERR_TIMEOUT, "only %lld of %lld messages came through",
			       (long long)l->got, (long long)l->n);
	if (!nats_stopped())
		latency_report(l, pub_ns, mono_ns() - start, size);
	return 0;
}

static int latency(struct cli *c, struct err *e)
{
	int64_t size = 8, rate = 1000, ns = 5 * NS_S;
	CLEAN(conn) struct conn *b = NULL;
	natsSubscription *sub = NULL;
	/* Messages may still come when this function has returned with an error. */
	static struct latency l;
	int r;

	if (nats_opt_bytes(c, "size", &size, e) || cli_int(c, "rate", 1, 1000000, &rate, e) ||
	    nats_opt_duration(c, "duration", &ns, e))
		return -1;
	if (size < 8 || size > (1 << 20))
		return err_set(e, ERR_USAGE, "message Payload Size must be at least 8 bytes");
	l.n = (int64_t)((double)ns / 1e9 * (double)rate);
	if (l.n < 1 || l.n > 100000000)
		return cli_usage(e, "--duration and --rate give no sensible number of messages");
	l.took = calloc((size_t)l.n, sizeof(*l.took));
	if (!l.took)
		return err_set(e, ERR_NOMEM, NULL);
	if (nats_connect(c, e))
		return err_wrap(e, "first connection failed");
	if (nats_connect_to(c, cli_str(c, "server-b"), &b, e))
		return err_wrap(e, "second connection failed");
	nats_catch();
	nats_log("==============================");
	if (rtt_line(run_of(c)->conn, "Pub Server", e) || rtt_line(b, "Sub Server", e))
		return -1;
	CLEAN(free) char *subject = nats_inbox(c);
	natsStatus s = natsConnection_Subscribe(&sub, conn_nats(b), subject, on_timed, &l);

	if (s == NATS_OK)
		s = natsConnection_FlushTimeout(conn_nats(b), run_of(c)->timeout_ms);
	r = s == NATS_OK ? wait_route(run_of(c)->nc, subject, &l, e) : conn_err(e, s, "nats");
	if (r == 0) {
		nats_log("Message Payload: %s", IBYTES(size));
		nats_log("Target Duration: %s", GODURATION(ns));
		nats_log("Target Msgs/Sec: %lld", (long long)rate);
		nats_log("Target Band/Sec: %s", IBYTES(rate * size * 2));
		nats_log("==============================");
		r = measure(c, run_of(c)->nc, subject, &l, size, rate, e);
	}
	natsSubscription_Destroy(sub);
	return r ? r : nats_stopped() ? 130 : 0;
}

/* ---- top: nats-top, with our settings ---- */

static int top(struct cli *c, struct err *e)
{
	static const char *const pass[][2] = {{"conns", "-n"},	   {"interval", "-d"},
					      {"sort", "-sort"},   {"output", "-o"},
					      {"delimiter", "-l"}, {"max-refresh", "-r"}};
	const char *argv[40] = {"nats-top", "-nats", "-s"};
	int n = 3;

	if (nats_settings(c, e))
		return -1;
	argv[n++] = nats_setting(c, "url");
	const char *const keys[][2] = {{"creds", "-creds"},
				       {"nkey", "-nkey"},
				       {"ca", "-cacert"},
				       {"cert", "-cert"},
				       {"key", "-key"}};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (*nats_setting(c, keys[i][0])) {
			argv[n++] = keys[i][1];
			argv[n++] = nats_setting(c, keys[i][0]);
		}
	for (size_t i = 0; i < sizeof(pass) / sizeof(pass[0]); i++)
		if (cli_str(c, pass[i][0])) {
			argv[n++] = pass[i][1];
			argv[n++] = cli_str(c, pass[i][0]);
		}
	if (cli_has(c, "lookup"))
		argv[n++] = "-lookup";
	if (cli_has(c, "raw"))
		argv[n++] = "-b";
	if (cli_has(c, "subs"))
		argv[n++] = "-u";
	/* A name and password go by the variables that nats-top reads too. */
	if (*nats_setting(c, "user"))
		(void)setenv("NATS_USER", nats_setting(c, "user"), 1);
	if (*nats_setting(c, "password"))
		(void)setenv("NATS_PASSWORD", nats_setting(c, "password"), 1);
	argv[n] = NULL;
	execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	return err_errno(e, ERR_TOOL, "cannot start nats-top");
}

static const struct cli_opt event_opts[] = {
	{"all", 'a', NULL, "All events"},
	{"json", 'j', NULL, "Print the events as they come"},
	{"short", 0, NULL, "One line each"},
	{"filter", 0, "REGEX", "Only events that match, anywhere"},
	{"js-metric", 0, NULL, "JetStream metrics"},
	{"js-advisory", 0, NULL, "JetStream advisories"},
	{"srv-advisory", 0, NULL, "Server advisories (on; --no-srv-advisory)"},
	{"subjects", 0, "SUBJECT", "Events on a subject (may be given again)"},
	{"wait", 0, "DURATION", "End after this time"},
	{0},
};

static const struct cli_opt latency_opts[] = {
	{"server-b", 0, "URL", "Server to receive on (the same)"},
	{"size", 0, "SIZE", "Size of a message (8)"},
	{"rate", 0, "N", "Messages each second (1000)"},
	{"duration", 0, "DURATION", "How long (5s)"},
	{0},
};

static const struct cli_opt top_opts[] = {
	{"conns", 'n', "N", "At most this many connections (1024)"},
	{"interval", 'd', "SECONDS", "Seconds between refreshes (1)"},
	{"sort", 0, "KEY", "Sort by cid, subs, msgs_to, …"},
	{"lookup", 0, NULL, "Show names of addresses"},
	{"output", 'o', "FILE", "Write one snapshot to a file"},
	{"delimiter", 0, "TEXT", "Between the columns of the file"},
	{"raw", 'b', NULL, "Show bytes as they are"},
	{"max-refresh", 'r', "N", "End after this many refreshes"},
	{"subs", 0, NULL, "Show subscriptions"},
	{0},
};

static const char *const event_examples[] = {"nats events --js-advisory --short",
					     "nats events --json --filter orders | jq .type", NULL};
static const char *const latency_examples[] = {
	"nats latency --server nats://n1 --server-b nats://n2 --rate 100", NULL};

const struct cli_cmd nats_events_cmds[] = {
	{.path = "events|event|e",
	 .help = "Show advisories and events",
	 .opts = event_opts,
	 .run = events,
	 .examples = event_examples},
	{.path = "latency|lat",
	 .help = "Measure the latency between two servers",
	 .opts = latency_opts,
	 .run = latency,
	 .examples = latency_examples},
	{.path = "top",
	 .help = "Show the connections of a server as they change (nats-top)",
	 .args = "[NAME]",
	 .opts = top_opts,
	 .run = top},
	{0},
};
