#include "box/nats/nats_msg.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/file.h"
#include "box/nats/nats.h"
#include "box/nats/nats_template.h"

#define BODY_MAX ((size_t)64 << 20) /* the largest max_payload a server takes */

int msg_source_init(struct msg_source *s, struct cli *c, int i, struct err *e)
{
	const char *on = cli_str(c, "send-on");
	bool tty_in = isatty(STDIN_FILENO), tty_out = isatty(STDOUT_FILENO);

	memset(s, 0, sizeof(*s));
	buf_init(&s->body, BODY_MAX);
	if (on && strcmp(on, "eof") != 0 && strcmp(on, "newline") != 0)
		return cli_usage(e, "option --send-on must be one of newline,eof, got '%.40s'", on);
	s->lines = on && strcmp(on, "newline") == 0;
	s->templates = nats_flag(c, "templates", true);
	/* A body that is given leaves stdin to the script around us. */
	s->use_stdin = c->argc <= i && (cli_has(c, "force-stdin") || !tty_in || tty_out);
	if (c->argc > i)
		buf_put(&s->body, c->argv[i], strlen(c->argv[i]));
	return s->body.bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

/* 1: a line without its end, 0: the end of the input. */
static int read_line(struct buf *b, struct err *e)
{
	int ch;

	while ((ch = getchar_unlocked()) != EOF && ch != '\n')
		buf_u8(b, (uint8_t)ch);
	if (b->bad)
		return err_set(e, ERR_TOO_LARGE, "a line of stdin is larger than any message");
	if (ferror(stdin))
		return err_errno(e, ERR_IO, "cannot read stdin");
	if (ch == '\n' && b->len && b->p[b->len - 1] == '\r')
		b->len--;
	return ch == '\n' || b->len;
}

int msg_source_next(struct msg_source *s, struct err *e)
{
	if (s->done)
		return 0;
	if (!s->use_stdin || !s->lines)
		s->done = true;
	if (!s->use_stdin)
		return 1;
	buf_reset(&s->body);
	if (s->lines)
		return read_line(&s->body, e);
	return file_read_fd(STDIN_FILENO, "stdin", &s->body, e) ? -1 : 1;
}

static bool header_name_ok(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] <= ' ' || (unsigned char)s[i] >= 0x7f)
			return false;
	return n > 0;
}

int msg_headers(natsMsg *m, struct cli *c, long long count, struct err *e)
{
	for (size_t i = 0; i < cli_count(c, "header"); i++) {
		const char *text = cli_nth(c, "header", i), *colon = strchr(text, ':');
		CLEAN(buf) struct buf v = {0};
		char name[256];
		size_t n = colon ? (size_t)(colon - text) : 0;

		buf_init(&v, BODY_MAX);
		if (!colon)
			return cli_usage(e, "invalid header \"%.80s\"", text);
		while (n && isspace((unsigned char)text[0]))
			text++, n--;
		while (n && isspace((unsigned char)text[n - 1]))
			n--;
		if (!header_name_ok(text, n) || n >= sizeof(name))
			return cli_usage(e, "invalid header \"%.80s\"", text);
		(void)snprintf(name, sizeof(name), "%.*s", (int)n, text);
		do
			colon++;
		while (isspace((unsigned char)*colon));
		n = strlen(colon);
		while (n && isspace((unsigned char)colon[n - 1]))
			n--;
		if (template_fill(&v, colon, n, NULL, 0, count, e))
			return err_wrap(e, "failed to parse Header template for %s", name);
		buf_u8(&v, '\0');
		/* A line break would be another header. */
		if (v.bad || strpbrk((char *)v.p, "\r\n"))
			return cli_usage(e, "header %.80s: a value has no line breaks", name);
		natsStatus s = natsMsgHeader_Add(m, name, (const char *)v.p);

		if (s != NATS_OK)
			return conn_err(e, s, "nats");
	}
	return 0;
}

/* Fills templates; when one is wrong the text stays as it is and the log tells. */
static void fill(struct buf *out, const char *what, const void *p, size_t n, bool templates,
		 long long count)
{
	struct err e;

	if (!templates || !memmem(p ? p : "", n, "{{", 2)) {
		buf_put(out, p, n);
	} else if (template_fill(out, p, n, NULL, 0, count, &e)) {
		nats_log("Could not parse %s template: %s", what, e.text);
		buf_put(out, p, n);
	}
}

int msg_make(natsMsg **out, struct cli *c, const char *subject, const char *reply,
	     const struct buf *body, bool templates, long long count, struct err *e)
{
	CLEAN(buf) struct buf b = {0}, subj = {0};
	natsMsg *m = NULL;

	buf_init(&b, BODY_MAX);
	buf_init(&subj, 4096);
	fill(&b, "body", body->p, body->len, templates, count);
	fill(&subj, "subject", subject, strlen(subject), templates, count);
	buf_u8(&subj, '\0');
	if (b.bad || subj.bad)
		return err_set(e, ERR_TOO_LARGE, "the message is too large");
	if (msg_subject_ok((const char *)subj.p, true, e) ||
	    (reply && msg_subject_ok(reply, false, e)))
		return -1;
	natsStatus s = natsMsg_Create(&m, (const char *)subj.p, reply,
				      b.len ? (const char *)b.p : "", (int)b.len);

	if (s != NATS_OK)
		return conn_err(e, s, "nats");
	if (msg_headers(m, c, count, e)) {
		natsMsg_Destroy(m);
		return -1;
	}
	*out = m;
	return 0;
}

void msg_each_header(natsMsg *m, void (*f)(void *arg, const char *key, const char *value),
		     void *arg)
{
	const char **keys = NULL;
	int n = 0;

	if (natsMsgHeader_Keys(m, &keys, &n) != NATS_OK)
		return;
	for (int i = 0; i < n; i++) {
		const char **values = NULL;
		int k = 0;

		if (natsMsgHeader_Values(m, keys[i], &values, &k) != NATS_OK)
			continue;
		for (int j = 0; j < k; j++)
			f(arg, keys[i], values[j] ? values[j] : "");
		free((void *)values);
	}
	free((void *)keys);
}

bool msg_has_headers(natsMsg *m)
{
	const char **keys = NULL;
	int n = 0;
	bool any = natsMsgHeader_Keys(m, &keys, &n) == NATS_OK && n > 0;

	free((void *)keys);
	return any;
}

const char *msg_header(natsMsg *m, const char *key)
{
	const char *v = NULL;

	return natsMsgHeader_Get(m, key, &v) == NATS_OK && v ? v : "";
}

const char *msg_status(natsMsg *m)
{
	const char *reply = natsMsg_GetReply(m);

	if (natsMsg_GetDataLength(m) > 0 || (reply && strncmp(reply, "$JS.ACK.", 8) == 0) ||
	    *msg_header(m, "Nats-Sequence"))
		return "";
	return msg_header(m, "Status");
}

const char *msg_header_last(natsMsg *m, const char *key)
{
	const char **values = NULL;
	int n = 0;
	const char *last = "";

	if (natsMsgHeader_Values(m, key, &values, &n) == NATS_OK && n > 0)
		last = values[n - 1];
	/* The list is ours, what it points to is the message's. */
	free((void *)(uintptr_t)values);
	return last;
}

static void print_header(void *arg, const char *key, const char *value)
{
	(void)arg;
	nats_bytes(key, strlen(key));
	fputs(": ", stdout);
	nats_bytes(value, strlen(value));
	putchar('\n');
}

void msg_print_headers(natsMsg *m)
{
	if (!msg_has_headers(m))
		return;
	msg_each_header(m, print_header, NULL);
	putchar('\n');
}

void msg_print_body(const void *p, size_t n, bool spaced)
{
	const char *s = p;
	bool newline = n && s[n - 1] == '\n';

	if (n == 0)
		fputs("nil body", stdout);
	else
		nats_bytes(p, n);
	fputs(newline ? "" : "\n", stdout);
	if (spaced)
		fputs(newline ? "\n" : "\n\n", stdout);
}

int msg_subject_ok(const char *subject, bool wildcards, struct err *e)
{
	size_t n = strlen(subject);

	/* Blanks would be read by the server as another argument. */
	if (!n || n > 4000 || strpbrk(subject, " \t\r\n") || subject[0] == '.' ||
	    subject[n - 1] == '.' || strstr(subject, "..") ||
	    (!wildcards && strpbrk(subject, "*>")))
		return err_set(e, ERR_BAD_NAME, "nats: invalid subject: \"%.80s\"", subject);
	return 0;
}

bool msg_subject_match(const char *pattern, const char *subject)
{
	for (;;) {
		size_t p = strcspn(pattern, "."), s = strcspn(subject, ".");

		if (p == 1 && *pattern == '>')
			return s > 0;
		if (!(p == 1 && *pattern == '*') && (p != s || strncmp(pattern, subject, p) != 0))
			return false;
		if (!pattern[p] || !subject[s])
			return !pattern[p] && !subject[s];
		pattern += p + 1;
		subject += s + 1;
	}
}

bool msg_meta(const char *reply, struct msg_meta *m)
{
	const char *tok[16];
	size_t len[16], n = 0;

	if (!reply || strncmp(reply, "$JS.ACK.", 8) != 0)
		return false;
	for (const char *s = reply; n < 16; s += len[n++] + 1) {
		tok[n] = s;
		len[n] = strcspn(s, ".");
		if (!s[len[n]]) {
			n++;
			break;
		}
	}
	/* The long form has domain and account hash in front of the stream. */
	size_t at = n == 9 ? 2 : n >= 11 ? 4 : 0;

	if (!at || len[at] >= sizeof(m->stream) || len[at + 1] >= sizeof(m->consumer))
		return false;
	(void)snprintf(m->stream, sizeof(m->stream), "%.*s", (int)len[at], tok[at]);
	(void)snprintf(m->consumer, sizeof(m->consumer), "%.*s", (int)len[at + 1], tok[at + 1]);
	m->delivered = strtoull(tok[at + 2], NULL, 10);
	m->stream_seq = strtoull(tok[at + 3], NULL, 10);
	m->consumer_seq = strtoull(tok[at + 4], NULL, 10);
	m->time_ns = strtoll(tok[at + 5], NULL, 10);
	m->pending = strtoull(tok[at + 6], NULL, 10);
	return true;
}

static void dump_header(void *arg, const char *key, const char *value)
{
	json_t *j = arg, *list = json_object_get(j, key);

	if (!list) {
		list = json_array();
		(void)json_object_set_new(j, key, list);
	}
	(void)json_array_append_new(list, json_string(value));
}

int msg_dump(natsMsg *m, struct buf *out, struct err *e)
{
	size_t n = (size_t)natsMsg_GetDataLength(m);
	CLEAN(free) char *data = malloc(ENC_BASE64_LEN(n));
	json_t *headers = json_object();
	const char *reply = natsMsg_GetReply(m);

	if (data)
		enc_base64(data, n ? natsMsg_GetData(m) : "", n, ENC_STD);
	msg_each_header(m, dump_header, headers);
	if (!json_object_size(headers)) {
		json_decref(headers);
		headers = json_null();
	}
	CLEAN(json) json_t *j = data ? json_pack("{s:s, s:s, s:o, s:s, s:n}", "Subject",
						 natsMsg_GetSubject(m), "Reply", reply ? reply : "",
						 "Header", headers, "Data", data, "Sub")
				     : NULL;

	return j ? json_text(j, JSON_ONE_LINE, out, e) : err_set(e, ERR_NOMEM, NULL);
}
