/* nats reply: a responder for tests. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box/nats/nats.h"
#include "box/nats/nats_cmd.h"
#include "box/nats/nats_msg.h"
#include "box/nats/nats_template.h"
#include "crypto/crypto.h"

#define DEFAULT_QUEUE "NATS-RPLY-22"
#define OUTPUT_MAX ((size_t)64 << 20)

extern char **environ;

static struct reply {
	struct cli *c;
	const char *body, *command;
	bool echo;
	int64_t sleep_ns, limit, n;
	volatile bool done;
} rep;

static void log_header(void *arg, const char *key, const char *value)
{
	CLEAN(free) char *k = nats_clean(key), *v = nats_clean(value);

	(void)arg;
	nats_log("%s: %s", k ? k : "?", v ? v : "?");
}

static void copy_header(void *arg, const char *key, const char *value)
{
	(void)natsMsgHeader_Add(arg, key, value);
}

/* Replaces {{0}}, {{1}}, … by the tokens of the subject. */
static void fill_tokens(struct buf *out, const char *text, const char *subject)
{
	while (*text) {
		unsigned k;
		int n = 0;

		if (sscanf(text, "{{%3u}}%n", &k, &n) == 1 && n) {
			const char *s = subject;

			while (k && *s) {
				s += strcspn(s, ".");
				s += *s == '.';
				k--;
			}
			if (!k) {
				buf_put(out, s, strcspn(s, "."));
				text += n;
				continue;
			}
		}
		buf_u8(out, (uint8_t)*text++);
	}
}

/* The environment with the request in it; free() the list and its last two entries. */
static char **env_with(natsMsg *m, char **subject, char **body)
{
	size_t n = 0;

	while (environ[n])
		n++;
	char **list = calloc(n + 3, sizeof(*list));

	if (asprintf(subject, "NATS_REQUEST_SUBJECT=%s", natsMsg_GetSubject(m)) < 0)
		*subject = NULL;
	if (asprintf(body, "NATS_REQUEST_BODY=%.*s", natsMsg_GetDataLength(m),
		     natsMsg_GetData(m) ? natsMsg_GetData(m) : "") < 0)
		*body = NULL;
	if (list && *subject && *body) {
		memcpy(list, environ, n * sizeof(*list));
		list[n] = *subject;
		list[n + 1] = *body;
	}
	return list;
}

/* Tokens of the subject and templates of one word. */
static int fill_word(void *arg, const char *word, struct buf *out, struct err *e)
{
	CLEAN(buf) struct buf full = {0};
	natsMsg *m = arg;

	buf_init(&full, OUTPUT_MAX);
	fill_tokens(&full, word, natsMsg_GetSubject(m));
	if (full.bad)
		return err_set(e, ERR_TOO_LARGE, "too long");
	size_t start = out->len;

	if (template_fill(out, full.len ? (const char *)full.p : "", full.len,
			  natsMsg_GetData(m) ? natsMsg_GetData(m) : "",
			  (size_t)natsMsg_GetDataLength(m), rep.n, e)) {
		nats_log("Could not parse command template: %s", e->text);
		out->len = start;
		buf_put(out, full.p, full.len);
	}
	return 0;
}

/* Both outputs of the command are the reply. */
static void run_command(natsMsg *m, struct buf *out)
{
	CLEAN(free) char *subject = NULL, *body = NULL;
	CLEAN(free) char **env = env_with(m, &subject, &body);
	struct err e;

	if (run_of(rep.c)->trace)
		nats_log("Executing: %s", rep.command);
	if (!env || !subject || !body)
		nats_log("Command \"%s\" failed to run: no memory", rep.command);
	else if (cmd_run(rep.command, fill_word, m, env, NULL, 0, out, &e))
		nats_log("Command \"%s\" failed to run: %s", rep.command, e.text);
}

/* The reply's body. */
static void make_body(natsMsg *m, struct buf *out)
{
	size_t n = (size_t)natsMsg_GetDataLength(m);
	const char *data = natsMsg_GetData(m) ? natsMsg_GetData(m) : "";
	struct err e;

	if (rep.echo) {
		buf_put(out, data, n);
	} else if (rep.command) {
		run_command(m, out);
	} else if (template_fill(out, rep.body, strlen(rep.body), data, n, rep.n, &e)) {
		nats_log("Could not parse body template: %s", e.text);
		buf_put(out, rep.body, strlen(rep.body));
	}
}

static void nap(void)
{
	uint64_t r;

	crypto_random(&r, sizeof(r));
	if (rep.sleep_ns > 0)
		(void)nats_wait(&rep.done, (int64_t)(r % (uint64_t)rep.sleep_ns));
}

static void answer(natsMsg *m)
{
	CLEAN(buf) struct buf b = {0};
	CLEAN(msg) natsMsg *out = NULL;
	char number[24];
	struct err e;

	buf_init(&b, OUTPUT_MAX);
	make_body(m, &b);
	if (!natsMsg_GetReply(m)) {
		nats_log("Could not publish reply: nats: message does not have a reply");
		return;
	}
	if (natsMsg_Create(&out, natsMsg_GetReply(m), NULL, b.len ? (char *)b.p : "", (int)b.len) !=
	    NATS_OK)
		return;
	if (msg_headers(out, rep.c, rep.n, &e)) {
		nats_log("Could not publish reply: %s", e.text);
		return;
	}
	if (rep.echo) {
		(void)snprintf(number, sizeof(number), "%lld", (long long)rep.n);
		msg_each_header(m, copy_header, out);
		(void)natsMsgHeader_Add(out, "NATS-Reply-Counter", number);
	}
	natsStatus s = natsConnection_PublishMsg(run_of(rep.c)->nc, out);

	if (s != NATS_OK && conn_err(&e, s, "nats"))
		nats_log("Could not publish reply: %s", e.text);
	rep.n += s == NATS_OK;
}

static void on_request(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	const char *subject = natsMsg_GetSubject(m);
	CLEAN(free) char *q = nats_quote(subject, strlen(subject));

	(void)sub;
	(void)arg;
	if (!rep.done) {
		nats_log("[#%lld] Received on subject %s:", (long long)rep.n, q ? q : "?");
		msg_each_header(m, log_header, NULL);
		putchar('\n');
		nats_bytes(natsMsg_GetData(m) ? natsMsg_GetData(m) : "",
			   (size_t)natsMsg_GetDataLength(m));
		putchar('\n');
		(void)fflush(stdout);
		nap();
		answer(m);
	}
	if ((rep.limit && rep.n >= rep.limit) || ferror(stdout)) {
		(void)natsConnection_Flush(nc);
		__atomic_store_n(&rep.done, true, __ATOMIC_RELEASE);
	}
	natsMsg_Destroy(m);
}

static int reply(struct cli *c, struct err *e)
{
	const char *queue = cli_str(c, "queue"), *subject = c->argv[0];
	struct nats_run *r = run_of(c);
	natsSubscription *sub = NULL;
	struct err why;

	rep.c = c;
	rep.body = c->argc > 1 ? c->argv[1] : "";
	rep.command = cli_str(c, "command");
	rep.echo = cli_has(c, "echo");
	queue = queue ? queue : DEFAULT_QUEUE;
	if (nats_opt_duration(c, "sleep", &rep.sleep_ns, e) ||
	    cli_int(c, "count", 0, INT64_MAX / 2, &rep.limit, e) ||
	    msg_subject_ok(subject, true, e) || nats_connect(c, e))
		return -1;
	nats_catch();
	if (!*rep.body && !rep.command && !rep.echo) {
		nats_log("No body or command supplied, enabling echo mode");
		rep.echo = true;
	}
	natsStatus s = natsConnection_QueueSubscribe(&sub, r->nc, subject, queue, on_request, NULL);

	if (s == NATS_OK)
		s = natsConnection_FlushTimeout(r->nc, r->timeout_ms);
	if (s != NATS_OK || *nats_refusal(r)) {
		natsSubscription_Destroy(sub);
		return *nats_refusal(r) ? err_set(e, ERR_DENIED, "nats: permissions violation: %s",
						  r->async_error)
					: conn_err(e, s, "nats");
	}
	CLEAN(free) char *q = nats_quote(subject, strlen(subject));

	nats_log("Listening on %s in group \"%s\"", q, queue);
	(void)nats_wait(&rep.done, -1);
	nats_log("Draining...");
	natsSubscription_Destroy(sub);
	(void)conn_drain(r->conn, 2000, &why);
	nats_log("Exiting");
	return nats_stopped() ? 130 : 0;
}

static const struct cli_opt reply_opts[] = {
	{"echo", 0, NULL, "Send back what came, with its headers"},
	{"command", 0, "COMMAND", "Run a program and reply with its output"},
	{"queue", 'q', "GROUP", "Queue group (NATS-RPLY-22)"},
	{"sleep", 0, "MAX", "Wait a random time up to this before each reply"},
	{"header", 'H', "K:V", "Add a header (may be given again)"},
	{"count", 0, "N", "End after this many messages"},
	{0},
};

static const char *const reply_examples[] = {
	"nats reply time.now '{{TimeStamp}}'",
	"nats reply --echo svc.test",
	"nats reply 'date.>' --command 'date --date {{1}}'",
	NULL,
};

const struct cli_cmd nats_reply_cmds[] = {
	{.path = "reply",
	 .help = "Answer requests",
	 .args = "SUBJECT [BODY]",
	 .opts = reply_opts,
	 .run = reply,
	 .examples = reply_examples,
	 .about = "Templates are as in 'nats publish', and {{Request}} is the request's body.\n"
		  "--command runs without a shell: {{0}}, {{1}}, … are the tokens of the\n"
		  "subject, and NATS_REQUEST_SUBJECT and NATS_REQUEST_BODY are set."},
	{0},
};
