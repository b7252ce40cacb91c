/* nats counter: counters that a stream adds up (ADR-49). Values may have any number of
 * digits: they stay text. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "box/nats/js.h"
#include "box/nats/nats_msg.h"

#define DIGITS_MAX 1000

/* The stream of --stream or of the subject, which must be one of counters. */
static int open_counter(struct cli *c, const char *subject, json_t **info, struct err *e)
{
	CLEAN(json) json_t *names = NULL;
	CLEAN(json) json_t *got = NULL;
	const char *stream = cli_str(c, "stream");

	if (!stream) {
		if (nats_js_request(c, json_pack("{s:s}", "subject", subject), &names, e,
				    "STREAM.NAMES"))
			return -1;
		stream = json_string_value(json_array_get(json_object_get(names, "streams"), 0));
		if (!stream)
			return err_set(e, ERR_NOT_FOUND, "nats: stream not found");
	}
	if (js_stream_info(c, stream, &got, e))
		return -1;
	if (!jbool(got, "config.allow_msg_counter") || !jbool(got, "config.allow_direct"))
		return err_set(e, ERR_WRONG_STATE, "\"%.100s\" is not a valid counter stream",
			       stream);
	*info = STEAL(got);
	return 0;
}

static bool is_number(const char *s)
{
	size_t sign = *s == '-' || *s == '+', n = strspn(s + sign, "0123456789");

	return n && n <= DIGITS_MAX && !s[sign + n];
}

/* The last message of a counter: its value as text, and its headers. */
static int load(struct cli *c, json_t **value, struct buf *hdrs, struct err *e)
{
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *m = NULL;
	CLEAN(json) json_t *body = NULL;
	CLEAN(buf) struct buf data = {0};
	const char *subject = c->argv[0];

	buf_init(&data, 1 << 20);
	if (msg_subject_ok(subject, false, e) || open_counter(c, subject, &info, e))
		return -1;
	if (js_get_direct(c, json_object_get(info, "config"), 0, subject, &m, e))
		return e->code == ERR_NOT_FOUND
			       ? err_set(e, ERR_NOT_FOUND,
					 "counter not initialized for subject: %.150s", subject)
			       : -1;
	if (js_base64(m, "data", &data, e) || js_base64(m, "hdrs", hdrs, e))
		return -1;
	body = nats_json(data.p, data.len, 0);
	if (!is_number(jstr(body, "val")))
		return err_set(e, ERR_BAD_JSON, "what is stored on %.120s is no counter", subject);
	*value = json_string(jstr(body, "val"));
	return *value ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static int counter_get(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *value = NULL;
	CLEAN(buf) struct buf hdrs = {0};

	buf_init(&hdrs, 1 << 20);
	if (load(c, &value, &hdrs, e))
		return -1;
	puts(json_string_value(value));
	return 0;
}

/* The headers of a counter: the last increment, and what came from other streams. */
struct facts {
	char incr[DIGITS_MAX + 2];
	json_t *sources;
};

static void take_header(void *arg, const char *key, const char *value)
{
	struct facts *f = arg;

	if (strcmp(key, "Nats-Incr") == 0 && is_number(value))
		(void)snprintf(f->incr, sizeof(f->incr), "%s", value + (*value == '+'));
	if (strcmp(key, "Nats-Counter-Sources") == 0 && !f->sources)
		f->sources = nats_json(value, strlen(value), 0);
}

/* "-1234567" as "-1,234,567", however long. */
static const char *commas(char out[static DIGITS_MAX * 2], const char *number)
{
	size_t sign = *number == '-' || *number == '+', n = strlen(number + sign);
	char *to = out;

	if (*number == '-')
		*to++ = '-';
	for (size_t i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			*to++ = ',';
		*to++ = number[sign + i];
	}
	*to = '\0';
	return out;
}

static int counter_view(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *value = NULL;
	CLEAN(buf) struct buf hdrs = {0};
	struct facts f = {.incr = "0"};
	char text[DIGITS_MAX * 2];
	const char *source;
	json_t *v;

	buf_init(&hdrs, 1 << 20);
	if (load(c, &value, &hdrs, e))
		return -1;
	js_each_header(&hdrs, take_header, &f);
	CLEAN(json) json_t *sources = f.sources;

	if (cli_has(c, "json")) {
		CLEAN(json) json_t *j =
			json_pack("{s:s, s:O, s:s, s:O*}", "subject", c->argv[0], "value", value,
				  "increment", f.incr, "sources", sources);

		return nats_print_json(j, e);
	}
	CLEAN(cols) struct cols *k = cols_new("Counter %s", c->argv[0]);

	cols_row(k, "Value", "%s", commas(text, json_string_value(value)));
	cols_row(k, "Increment", "%s", commas(text, f.incr));
	cols_row(k, "Subject", "%s", c->argv[0]);
	if (json_object_size(sources)) {
		cols_section(k, "Sources");
		json_object_foreach(sources, source, v) cols_map(k, source, v);
	} else {
		cols_line(k, "No source information found");
	}
	cols_print(k, stdout);
	return 0;
}

static int counter_increment(struct cli *c, struct err *e)
{
	struct nats_run *r = run_of(c);
	CLEAN(json) json_t *info = NULL;
	CLEAN(msg) natsMsg *m = NULL, *reply = NULL;
	const char *value = c->argv[1];
	natsStatus s;

	if (!is_number(value))
		return cli_usage(e, "invalid value");
	if (msg_subject_ok(c->argv[0], false, e) || open_counter(c, c->argv[0], &info, e))
		return -1;
	s = natsMsg_Create(&m, c->argv[0], NULL, "", 0);
	if (s == NATS_OK)
		s = natsMsgHeader_Set(m, "Nats-Incr", value);
	if (s == NATS_OK)
		s = natsConnection_RequestMsg(&reply, r->nc, m, r->timeout_ms);
	if (s != NATS_OK)
		return conn_err(e, s, "nats");
	CLEAN(json) json_t *ack = nats_msg_json(reply, 0);

	if (json_object_get(ack, "error")) {
		CLEAN(free) char *text = nats_clean(jstr(ack, "error.description"));

		return err_set(e, ERR_INTERNAL, "failed to publish counter increment: %.150s (%d)",
			       text ? text : "", (int)jint(ack, "error.err_code"));
	}
	if (!is_number(jstr(ack, "val")))
		return err_set(e, ERR_BAD_JSON, "the stream does not say what the value is now");
	puts(jstr(ack, "val"));
	return 0;
}

static int counter_list(struct cli *c, struct err *e)
{
	const char *subject = c->argc ? c->argv[0] : ">", *key;
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *full = NULL;
	CLEAN(json) json_t *names = json_array();
	json_t *v;

	if (!c->argc && !cli_str(c, "stream"))
		return cli_usage(e, "no stream or subject specified");
	if (msg_subject_ok(subject, true, e) || open_counter(c, subject, &info, e) ||
	    nats_js_request(c, json_pack("{s:s}", "subjects_filter", subject), &full, e,
			    "STREAM.INFO.%s", jstr(info, "config.name")))
		return -1;
	json_object_foreach(json_object_get(json_object_get(full, "state"), "subjects"), key,
			    v)(void) json_array_append_new(names, json_string(key));
	if (!json_array_size(names))
		return err_set(e, ERR_NOT_FOUND, "no counters found");
	return js_print_names(names, cli_has(c, "json"), e);
}

#define STREAM {"stream", 0, "STREAM", "The stream, when it is not the subject's"}

static const struct cli_opt get_opts[] = {STREAM, {0}};
static const struct cli_opt view_opts[] = {STREAM, JSON_OPT, {0}};

const struct cli_cmd nats_counter_cmds[] = {
	{.path = "counter|ctr get|g",
	 .help = "Show the value of a counter",
	 .args = "SUBJECT",
	 .opts = get_opts,
	 .run = counter_get},
	{.path = "counter|ctr view|v",
	 .help = "Show a counter, its last increment and where its value comes from",
	 .args = "SUBJECT",
	 .opts = view_opts,
	 .run = counter_view},
	{.path = "counter|ctr increment|incr|i",
	 .help = "Add to a counter",
	 .args = "SUBJECT VALUE",
	 .opts = get_opts,
	 .run = counter_increment},
	{.path = "counter|ctr list|l|ls",
	 .help = "List the counters of a stream",
	 .args = "[SUBJECT]",
	 .opts = view_opts,
	 .run = counter_list},
	{0},
};
