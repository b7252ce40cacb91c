/* consumer next and sub: messages of a consumer. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/consumer.h"
#include "box/nats/nats_msg.h"
#include "crypto/crypto.h"

static void clock_text(char out[static 16])
{
	const char *now = LOCALTIME(now_ns());
	const char *space = strchr(now, ' ');

	(void)snprintf(out, 16, "%.8s", space ? space + 1 : now);
}

static void print_pair(void *arg, const char *key, const char *value)
{
	fputs(arg, stdout);
	nats_bytes(key, strlen(key));
	fputs(": ", stdout);
	nats_bytes(value, strlen(value));
	putchar('\n');
}

static void show_line(natsMsg *m)
{
	struct js_meta meta;
	char now[16];
	CLEAN(free) char *subject = nats_clean(natsMsg_GetSubject(m));

	clock_text(now);
	if (js_meta(m, &meta))
		printf("[%s] subj: %s\n", now, subject ? subject : "?");
	else
		printf("[%s] subj: %s / tries: %lld / cons seq: %lld / str seq: %lld / pending: "
		       "%s\n",
		       now, subject ? subject : "?", (long long)meta.tries,
		       (long long)meta.consumer_seq, (long long)meta.stream_seq,
		       COMMA(meta.pending));
}

static void body_line(natsMsg *m)
{
	nats_bytes(natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m));
	putchar('\n');
}

/* What stands before the body. */
static void head(natsMsg *m, const char *indent, const char *data)
{
	show_line(m);
	if (msg_has_headers(m)) {
		fputs("\nHeaders:\n\n", stdout);
		msg_each_header(m, print_pair, (void *)(uintptr_t)indent);
		fputs(data, stdout);
	}
}

static void show(natsMsg *m, bool raw)
{
	if (raw) {
		body_line(m);
		return;
	}
	head(m, "  ", "\nData:\n\n");
	putchar('\n');
	body_line(m);
}

enum answer { ACK, NAK, TERM, NONE };

static int choose(struct cli *c, enum answer *a, struct err *e)
{
	bool term = cli_has(c, "term"), nak = cli_has(c, "nak");

	*a = term ? TERM : nak ? NAK : nats_flag(c, "ack", true) ? ACK : NONE;
	if (term && (cli_has(c, "ack") || nak))
		return cli_usage(e, "can not both Acknowledge and Terminate message");
	return 0;
}

static int respond(struct cli *c, natsMsg *m, enum answer a, int64_t wait, bool raw, struct err *e)
{
	static const char *const words[] = {[ACK] = "+ACK", [NAK] = "-NAK", [TERM] = "+TERM"};
	const char *reply = natsMsg_GetReply(m);
	uint64_t r = 0;

	if (a == NONE)
		return 0;
	if (!reply || !*reply)
		return err_set(
			e, ERR_BAD_INPUT,
			"could not Acknowledge message: nats: message does not have a reply");
	if (wait > 0) {
		crypto_random(&r, sizeof(r));
		wait = (int64_t)(r % (uint64_t)wait);
		(void)nats_wait(NULL, wait);
	}
	natsStatus s = natsConnection_PublishString(run_of(c)->nc, reply, words[a]);

	if (s == NATS_OK)
		s = natsConnection_FlushTimeout(run_of(c)->nc, run_of(c)->timeout_ms);
	if (s != NATS_OK)
		return conn_err(e, s, "could not Acknowledge message");
	if (raw)
		return 0;
	if (a == TERM)
		puts("\nTerminated message");
	else if (wait > 0)
		printf("\n%sAcknowledged message after %s delay\n\n", a == NAK ? "Negative " : "",
		       DURATION(wait));
	else
		printf("\n%sAcknowledged message\n\n", a == NAK ? "Negative " : "");
	return 0;
}

/* The first message that a pull request brings, or the status that ends it. */
static int pull(struct cli *c, natsSubscription *sub, const char *stream, const char *name,
		const char *inbox, natsMsg **m, struct err *e)
{
	struct nats_run *r = run_of(c);
	char subject[700], body[80];

	if (nats_js_subject(c, subject, sizeof(subject), e, "CONSUMER.MSG.NEXT.%s.%s", stream,
			    name))
		return -1;
	(void)snprintf(body, sizeof(body), "{\"batch\":1,\"expires\":%lld}",
		       (long long)(r->timeout_ms * NS_MS));
	natsStatus s = natsConnection_PublishRequestString(r->nc, subject, inbox, body);

	if (s == NATS_OK)
		s = natsSubscription_NextMsg(m, sub, r->timeout_ms + 250);
	if (s == NATS_NO_RESPONDERS)
		return err_set(e, ERR_NO_RESPONDERS,
			       "no message received: nats: no responders: JetStream is not enabled "
			       "here, or the consumer is gone");
	if (s == NATS_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "no message received: nats: timeout");
	if (s != NATS_OK)
		return conn_err(e, s, "no message received");
	const char *status = msg_status(*m);

	if (!*status)
		return 0;
	const char *text = msg_header(*m, "Description");

	/* 404 and 408: nothing came within the time. */
	if (strcmp(status, "408") == 0 || strcmp(status, "404") == 0)
		return err_set(e, ERR_TIMEOUT, "no message received: nats: timeout");
	if (strcmp(status, "503") == 0)
		return err_set(e, ERR_NO_RESPONDERS,
			       "no message received: nats: no responders: JetStream is not enabled "
			       "here, or the consumer is gone");
	return err_set(e, ERR_WRONG_STATE, "no message received: %.20s %.150s", status, text);
}

static int next(struct cli *c, const char *stream, const char *name, int64_t count, struct err *e)
{
	bool raw = cli_has(c, "raw");
	natsSubscription *sub = NULL;
	int64_t wait = 0;
	enum answer a;
	int r = 0;

	if (choose(c, &a, e) || nats_opt_duration(c, "wait", &wait, e) || nats_connect(c, e))
		return -1;
	CLEAN(free) char *inbox = nats_inbox(c);
	natsStatus s =
		inbox ? natsConnection_SubscribeSync(&sub, run_of(c)->nc, inbox) : NATS_NO_MEMORY;

	if (s != NATS_OK)
		return conn_err(e, s, "nats");
	for (int64_t i = 0; i < count && r == 0 && !nats_stopped(); i++) {
		CLEAN(msg) natsMsg *m = NULL;

		r = pull(c, sub, stream, name, inbox, &m, e);
		if (r == 0) {
			show(m, raw);
			(void)fflush(stdout);
			r = respond(c, m, a, wait, raw, e);
		}
	}
	natsSubscription_Destroy(sub);
	return r;
}

int consumer_next(struct cli *c, struct err *e)
{
	int64_t count = 1;

	if (cli_int(c, "count", 1, INT64_MAX, &count, e) || js_name("stream", c->argv[0], e) ||
	    js_name("consumer", c->argv[1], e))
		return -1;
	nats_catch();
	return next(c, c->argv[0], c->argv[1], count, e);
}

static void show_pushed(natsMsg *m, bool raw)
{
	size_t n = (size_t)natsMsg_GetDataLength(m);

	if (raw) {
		body_line(m);
		return;
	}
	head(m, "   ", "\nData:\n");
	body_line(m);
	if (!n || natsMsg_GetData(m)[n - 1] != '\n')
		putchar('\n');
}

/* Heartbeats and flow control of a push consumer. True when m was one. */
static bool control(struct cli *c, natsMsg *m)
{
	const char *stalled = msg_header(m, "Nats-Consumer-Stalled"), *reply = natsMsg_GetReply(m);

	if (strcmp(msg_status(m), "100") != 0)
		return false;
	if (!*stalled && reply)
		stalled = reply;
	if (*stalled)
		(void)natsConnection_PublishString(run_of(c)->nc, stalled, "");
	return true;
}

static int subscribe(struct cli *c, const json_t *info, struct err *e)
{
	const json_t *cfg = json_object_get(info, "config");
	const char *target = jstr(cfg, "deliver_subject"), *group = jstr(cfg, "deliver_group");
	bool ack = nats_flag(c, "ack", true) && strcmp(jstr(cfg, "ack_policy"), "none") != 0;
	bool raw = cli_has(c, "raw");
	natsSubscription *sub = NULL;
	natsStatus s;

	if (cli_str(c, "deliver-group"))
		group = cli_str(c, "deliver-group");
	if (!raw) {
		const char *policy = jstr(cfg, "ack_policy");

		printf("Subscribing to topic %s auto acknowledgment: %s\n\nConsumer Info:\n"
		       "  Ack Policy: %c%s\n",
		       target, ack ? "true" : "false", *policy ? *policy - 32 : '?',
		       *policy ? policy + 1 : "");
		if (strcmp(policy, "none") != 0)
			printf("    Ack Wait: %s\n", GODURATION(jint(cfg, "ack_wait")));
		putchar('\n');
	}
	(void)fflush(stdout);
	s = *group ? natsConnection_QueueSubscribeSync(&sub, run_of(c)->nc, target, group)
		   : natsConnection_SubscribeSync(&sub, run_of(c)->nc, target);
	if (s != NATS_OK)
		return conn_err(e, s, "could not subscribe");
	while (s == NATS_OK && !nats_stopped() && !ferror(stdout)) {
		CLEAN(msg) natsMsg *m = NULL;

		s = natsSubscription_NextMsg(&m, sub, 200);
		if (s == NATS_TIMEOUT)
			s = NATS_OK;
		if (!m || control(c, m))
			continue;
		show_pushed(m, raw);
		(void)fflush(stdout);
		if (ack && natsMsg_GetReply(m))
			s = natsConnection_PublishString(run_of(c)->nc, natsMsg_GetReply(m), "");
	}
	natsSubscription_Destroy(sub);
	return s == NATS_OK ? 0 : conn_err(e, s, "nats");
}

int consumer_sub(struct cli *c, struct err *e)
{
	const char *stream, *name;
	CLEAN(json) json_t *info = NULL;

	nats_catch();
	if (consumer_operands(c, 0, &stream, &name, &info, e))
		return -1;
	if (*jstr(info, "config.deliver_subject"))
		return subscribe(c, info, e);
	return next(c, stream, name, 1, e);
}
