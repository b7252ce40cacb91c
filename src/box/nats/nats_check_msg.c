/* Checks of what is stored: messages and values of buckets. */
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "box/nats/nats_check.h"

#define NO_MESSAGE 10037

/* The stored message's body. */
static int body_of(const json_t *j, struct buf *out)
{
	const char *data = jstr(j, "message.data");
	uint8_t *p = buf_space(out, strlen(data) + 1);

	return p ? enc_unbase64(p, strlen(data) + 1, &out->len, data, strlen(data), ENC_STD) : -1;
}

static void judge_message(struct check *k, const json_t *j, double warn, double crit)
{
	CLEAN(buf) struct buf body = {0};
	int64_t at = 0;

	buf_init(&body, (size_t)128 << 20);
	if (body_of(j, &body)) {
		check_crit(k, "msg load failed: invalid body");
		return;
	}
	if (cli_has(k->c, "body-timestamp")) {
		char text[40], *end;

		(void)snprintf(text, sizeof(text), "%.*s", (int)body.len, (char *)body.p);
		at = strtoll(text, &end, 10);
		if (end == text || strspn(end, " \t\r\n") != strlen(end)) {
			check_crit(k, "invalid timestamp body: %s", text);
			return;
		}
		at *= NS_S;
	} else {
		(void)parse_rfc3339(jstr(j, "message.time"), &at);
	}
	int64_t age = nats_add(nats_ago(at), NS_MS / 2) / NS_MS * NS_MS;

	check_pd(k, "age", (double)age / 1e9, warn, crit, "s", "The age of the message");
	check_pd(k, "size", (double)body.len, 0, 0, "B", "The size of the message");
	if (crit > 0 && (double)age > crit * 1e9)
		check_crit(k, "%s old", GODURATION(age));
	else if (warn > 0 && (double)age > warn * 1e9)
		check_warn(k, "%s old", GODURATION(age));
	if (!check_regex(k, "content", (char *)body.p, body.len))
		check_crit(k, "does not match regex: %s", cli_str(k->c, "content"));
}

int check_message(struct cli *c, struct err *e)
{
	const char *stream = cli_str(c, "stream"), *subject = cli_str(c, "subject");
	CLEAN(json) json_t *j = NULL;
	double warn, crit;
	struct check k;
	struct err why;

	subject = subject ? subject : ">";
	if (!stream)
		return cli_usage(e, "required flag --stream not provided");
	if (check_seconds(c, "age-warn", 0, &warn, e) ||
	    check_seconds(c, "age-critical", 0, &crit, e))
		return -1;
	check_init(&k, c, "message", "Stream Message");
	if (!check_connect(&k))
		return check_end(&k, e);
	if (strpbrk(subject, "*>"))
		check_crit(&k, "Check failed: invalid subject \"%s\"", subject);
	else if (nats_js_request(c, json_pack("{s:s}", "last_by_subj", subject), &j, &why,
				 "STREAM.MSG.GET.%s", stream) == 0)
		judge_message(&k, j, warn, crit);
	else if (run_of(c)->api_code == NO_MESSAGE)
		check_crit(&k, "no message found");
	else
		check_crit(&k, "msg load failed: %s", why.text);
	if (!json_array_size(k.crit) && !json_array_size(k.warn))
		check_ok(&k, "Valid message on %s > %s", stream, subject);
	return check_end(&k, e);
}

static void kv_key(struct check *k, const char *bucket, const char *key)
{
	CLEAN(json) json_t *j = NULL;
	CLEAN(buf) struct buf h = {0};
	char subject[600];
	struct err why;

	buf_init(&h, 65536);
	(void)snprintf(subject, sizeof(subject), "$KV.%s.%s", bucket, key);
	if (nats_js_request(k->c, json_pack("{s:s}", "last_by_subj", subject), &j, &why,
			    "STREAM.MSG.GET.KV_%s", bucket)) {
		if (run_of(k->c)->api_code == NO_MESSAGE)
			check_crit(k, "key %s not found", key);
		else
			check_crit(k, "key %s not loaded: %s", key, why.text);
		return;
	}
	const char *hdrs = jstr(j, "message.hdrs");
	uint8_t *p = buf_space(&h, strlen(hdrs) + 1);

	if (p && enc_unbase64(p, strlen(hdrs) + 1, &h.len, hdrs, strlen(hdrs), ENC_STD) == 0)
		buf_u8(&h, 0);
	if (h.len && !h.bad &&
	    (strstr((char *)h.p, "KV-Operation: DEL") ||
	     strstr((char *)h.p, "KV-Operation: PURGE")))
		check_crit(k, "key %s not found", key);
	else
		check_ok(k, "key %s found", key);
}

int check_kv(struct cli *c, struct err *e)
{
	const char *bucket = cli_str(c, "bucket"), *key = cli_str(c, "key");
	CLEAN(json) json_t *info = NULL;
	double warn, crit;
	struct check k;
	struct err why;

	if (!bucket)
		return cli_usage(e, "required flag --bucket not provided");
	if (check_number(c, "values-warn", -1, &warn, e) ||
	    check_number(c, "values-critical", -1, &crit, e))
		return -1;
	check_init(&k, c, "kv", "%s", bucket);
	if (!check_connect(&k))
		return check_end(&k, e);
	if (nats_js_request(c, NULL, &info, &why, "STREAM.INFO.KV_%s", bucket)) {
		if (run_of(c)->api_code == 10059)
			check_crit(&k, "bucket %s not found", bucket);
		else
			check_crit(&k, "could not load bucket: %s", why.text);
		return check_end(&k, e);
	}
	double n = jnum(info, "state.messages");

	check_ok(&k, "bucket %s", bucket);
	check_pd(&k, "values", n, warn < 0 ? 0 : warn, crit < 0 ? 0 : crit, "",
		 "How many values are stored in the bucket");
	if (key)
		kv_key(&k, bucket, key);
	if (warn > -1 || crit > -1) {
		bool down = crit < warn;

		if (crit > -1 && (down ? n <= crit : n >= crit))
			check_crit(&k, "%.0f values", n);
		else if (warn > -1 && (down ? n <= warn : n >= warn))
			check_warn(&k, "%.0f values", n);
		else
			check_ok(&k, "%.0f values", n);
	}
	check_pd(&k, "bytes", jnum(info, "state.bytes"), 0, 0, "B", "Bytes stored in the bucket");
	check_pd(&k, "replicas", jnum(info, "config.num_replicas"), 0, 0, "", "");
	return check_end(&k, e);
}

const struct cli_opt check_message_opts[] = {
	CHECK_OPTS,
	{"stream", 0, "STREAM", "The stream"},
	{"subject", 0, "SUBJECT", "Subject of the message"},
	{"age-warn", 0, "DURATION", "Warn when it is older"},
	{"age-critical", 0, "DURATION", "Critical when it is older"},
	{"content", 0, "REGEX", "What the body must match"},
	{"body-timestamp", 0, NULL, "The body is the time, in seconds since 1970"},
	{0},
};

const struct cli_opt check_kv_opts[] = {
	CHECK_OPTS,
	{"bucket", 0, "BUCKET", "The bucket"},
	{"values-warn", 0, "N", "Warn at this many values"},
	{"values-critical", 0, "N", "Critical at this many (or so few, when below the warning)"},
	{"key", 0, "KEY", "Key that must have a value"},
	{0},
};
