/* stream view, get, rmm. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box/nats/nats_cmd.h"
#include "box/nats/nats_msg.h"
#include "box/nats/stream.h"

#define BODY_MAX ((size_t)128 << 20)
#define PAGE 10
#define PAGE_MAX 25

static void print_pair(void *arg, const char *key, const char *value)
{
	(void)arg;
	fputs("  ", stdout);
	nats_bytes(key, strlen(key));
	fputs(": ", stdout);
	nats_bytes(value, strlen(value));
	putchar('\n');
}

static int operand_seq(struct cli *c, int i, int64_t *seq, struct err *e)
{
	char *end;

	if (c->argc <= i)
		return 0;
	*seq = strtoll(c->argv[i], &end, 10);
	if (*end || *seq < 1)
		return cli_usage(e, "'%.40s' is no sequence of a message", c->argv[i]);
	return 0;
}

/* As Go prints a time: "2006-01-02 15:04:05.999999999 +0000 UTC". */
static const char *go_time(char out[static 64], const char *rfc)
{
	size_t n = strcspn(rfc, "Z");

	(void)snprintf(out, 64, "%.*s +0000 UTC", n < 40 ? (int)n : 40, rfc);
	if (strchr(out, 'T') && strchr(out, 'T') < out + n)
		*strchr(out, 'T') = ' ';
	text_clean(out);
	return out;
}

int stream_get(struct cli *c, struct err *e)
{
	const char *name, *last = cli_str(c, "last-for");
	CLEAN(json) json_t *m = NULL;
	CLEAN(buf) struct buf data = {0}, hdrs = {0};
	char when[64];
	int64_t seq = 0;

	buf_init(&data, BODY_MAX);
	buf_init(&hdrs, BODY_MAX);
	if (operand_seq(c, 1, &seq, e))
		return -1;
	if (!seq && !last)
		return cli_usage(e, "no ID or subject specified");
	if (stream_operand(c, 0, &name, NULL, e))
		return -1;
	/* A sequence wins, as in natscli. */
	if (js_get_msg(c, name, seq, seq ? NULL : last, &m, e))
		return err_wrap(e, "could not retrieve %.100s#%lld", name,
				(long long)(seq ? seq : -1));
	if (cli_has(c, "json"))
		return nats_print_json(m, e);
	if (js_base64(m, "data", &data, e) || js_base64(m, "hdrs", &hdrs, e))
		return -1;
	if (cli_has(c, "raw")) {
		nats_bytes(data.p, data.len);
		return 0;
	}
	printf("Item: %s#%lld received %s (%s) on Subject ", name, (long long)jint(m, "seq"),
	       go_time(when, jstr(m, "time")), SINCE(jstr(m, "time"), ""));
	nats_bytes(jstr(m, "subject"), strlen(jstr(m, "subject")));
	fputs("\n\n", stdout);
	if (hdrs.len) {
		puts("Headers:");
		js_each_header(&hdrs, print_pair, NULL);
		putchar('\n');
	}
	cmd_print_body(c, data.p, data.len, jstr(m, "subject"), name, true);
	return 0;
}

int stream_rmm(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *reply = NULL;
	const char *name;
	int64_t seq = 0;

	if (operand_seq(c, 1, &seq, e))
		return -1;
	if (!seq)
		return cli_usage(e, "the sequence of the message to remove is missing");
	if (stream_operand(c, 0, &name, NULL, e) || stream_warn(name, e) ||
	    js_force(c, e, "Really remove message %lld from Stream %s", (long long)seq, name))
		return -1;
	return nats_js_request(c, json_pack("{s:I}", "seq", (json_int_t)seq), &reply, e,
			       "STREAM.MSG.DELETE.%s", name);
}

static void print_own_header(void *arg, const char *key, const char *value)
{
	static const char *const added[] = {
		"Nats-Subject",	    "Nats-Stream",	  "Nats-Sequence",     "Nats-Time-Stamp",
		"Nats-Num-Pending", "Nats-Last-Sequence", "Nats-UpTo-Sequnce",
	};

	for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++)
		if (strcmp(key, added[i]) == 0)
			return;
	print_pair(arg, key, value);
}

static void show(struct cli *c, natsMsg *m, bool raw)
{
	size_t n = (size_t)natsMsg_GetDataLength(m);
	struct js_meta meta;

	if (raw) {
		nats_bytes(natsMsg_GetData(m), n);
		putchar('\n');
		return;
	}
	if (js_meta(m, &meta) == 0)
		printf("[%lld] ", (long long)meta.stream_seq);
	fputs("Subject: ", stdout);
	nats_bytes(natsMsg_GetSubject(m), strlen(natsMsg_GetSubject(m)));
	printf(" Received: %s\n", js_meta(m, &meta) ? "?" : LOCALTIME(meta.time_ns));
	if (msg_has_headers(m)) {
		putchar('\n');
		msg_each_header(m, print_own_header, NULL);
	}
	putchar('\n');
	cmd_print_body(c, natsMsg_GetData(m), n, natsMsg_GetSubject(m),
		       js_meta(m, &meta) ? "" : meta.stream, true);
}

static json_t *view_start(struct cli *c, struct err *e)
{
	const char *subject = cli_str(c, "subject");
	json_t *cfg = json_object();
	int64_t id = 0, since = 0;
	char when[48];

	if (cli_int(c, "id", 1, INT64_MAX, &id, e) || nats_opt_duration(c, "since", &since, e)) {
		json_decref(cfg);
		return NULL;
	}
	if (since > 0) {
		fmt_rfc3339(when, now_ns() - since, true, true);
		(void)json_object_set_new(cfg, "deliver_policy", json_string("by_start_time"));
		(void)json_object_set_new(cfg, "opt_start_time", json_string(when));
	} else if (id) {
		(void)json_object_set_new(cfg, "deliver_policy", json_string("by_start_sequence"));
		(void)json_object_set_new(cfg, "opt_start_seq", json_integer(id));
	}
	if (subject)
		(void)json_object_set_new(cfg, "filter_subject", json_string(subject));
	return cfg;
}

/* Asks for the next page; false: enough. */
static bool next_page(void)
{
	char line[16] = "";

	fputs("Next Page? (Y/n) ", stderr);
	return fgets(line, sizeof(line), stdin) && *line != 'n' && *line != 'N';
}

int stream_view(struct cli *c, struct err *e)
{
	const char *name;
	bool tty = nats_is_terminal(), raw = cli_has(c, "raw");
	int64_t size = tty ? PAGE : 0, shown = 0;
	struct js_feed f = {0};
	int r = 0;

	if (operand_seq(c, 1, &size, e))
		return -1;
	if (tty && size > PAGE_MAX) {
		nats_log("Page size is limited to 25, setting to 25...");
		size = PAGE_MAX;
	}
	json_t *cfg = view_start(c, e);

	if (!cfg)
		return -1;
	nats_catch();
	if (stream_operand(c, 0, &name, NULL, e)) {
		json_decref(cfg);
		return -1;
	}
	if (js_feed_open(c, &f, name, cfg, e))
		return -1;
	for (int64_t left = f.pending; left > 0 && !nats_stopped() && !ferror(stdout); left--) {
		CLEAN(msg) natsMsg *m = NULL;

		r = js_feed_next(c, &f, run_of(c)->timeout_ms * NS_MS, &m, e);
		if (r <= 0)
			break;
		show(c, m, raw);
		if (size && ++shown % size == 0 && left > 1 && (!tty || !next_page()))
			break;
	}
	if (r >= 0 && !(size && shown && shown % size == 0 && shown < f.pending))
		nats_log("Reached apparent end of data");
	js_feed_close(c, &f);
	return r < 0 ? -1 : 0;
}
