/* Settings, the connection, and requests over it. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "box/nats/nats.h"
#include "crypto/crypto.h"

#define REPLY_GAP_NS (300 * NS_MS) /* between replies, when their number is not known */

static const char *env(const char *name)
{
	const char *v = name ? getenv(name) : NULL;

	return v && *v ? v : NULL;
}

/* What an option (or a variable) gives for a setting, NULL: nothing. */
static const char *given(const struct cli *c, const struct ctx_field *f, bool option)
{
	if (!option)
		return env(f->env);
	if (f->option && f->flag)
		return cli_has(c, f->option) ? "true" : NULL;
	return f->option ? cli_str(c, f->option) : NULL;
}

static bool has_login(const char *url)
{
	const char *host = url ? strstr(url, "://") : NULL;

	return url && strchr(host ? host + 3 : url, '@');
}

/* One kind of credentials that is given nearer takes all others away: a password must not
 * go to a server that was named together with a seed. */
static void take_level(struct cli *c, struct nats_ctx *x, bool option)
{
	bool kinds[CTX_KINDS] = {false}, any = false;

	for (const struct ctx_field *f = ctx_fields; f->key; f++) {
		const char *v = given(c, f, option);
		bool url = strcmp(f->key, "url") == 0 && has_login(v);

		kinds[f->kind] |= v && f->kind;
		any |= (v && f->kind) || url;
	}
	/* A name without a password is a token. */
	const char *user = option ? cli_str(c, "user") : env("NATS_USER");
	bool token = user && !cli_str(c, "password") && !env("NATS_PASSWORD");

	if (token) {
		kinds[CTX_PASSWORD] = false;
		kinds[CTX_TOKEN] = true;
	}
	for (const struct ctx_field *f = ctx_fields; any && f->key; f++)
		if (f->kind && !kinds[f->kind])
			ctx_set(x, f->key, "");
	for (const struct ctx_field *f = ctx_fields; f->key; f++) {
		const char *v = given(c, f, option);

		if (v && !(token && f->kind == CTX_PASSWORD))
			ctx_set(x, f->key, v);
	}
	if (token)
		ctx_set(x, "token", user);
}

void nats_overlay(struct cli *c, struct nats_ctx *x)
{
	const char *domain = cli_str(c, "domain");

	take_level(c, x, false);
	take_level(c, x, true);
	if (domain)
		ctx_set(x, "jetstream_domain", domain);
	if (!*ctx_get(x, "url") && !*ctx_get(x, "nsc"))
		ctx_set(x, "url", "nats://127.0.0.1:4222");
}

int nats_settings(struct cli *c, struct err *e)
{
	struct nats_run *r = run_of(c);
	const char *name = cli_str(c, "context"), *timeout = cli_str(c, "timeout");
	char selected[256] = "";
	int64_t ns;

	if (r->loaded)
		return 0;
	r->trace = cli_has(c, "trace");
	timeout = timeout ? timeout : env("NATS_TIMEOUT");
	if (timeout) {
		if (parse_duration(timeout, &ns, e))
			return -1;
		if (ns <= 0)
			return cli_usage(e, "the time-out must be above zero");
		r->timeout_ms = (ns + NS_MS - 1) / NS_MS;
	}
	name = name ? name : env("NATS_CONTEXT");
	if (!name && !cli_has(c, "no-context")) {
		ctx_selected(selected);
		name = *selected ? selected : NULL;
		/* A context that is gone must not stop every command. */
		if (name && !ctx_known(name)) {
			nats_log("The selected context \"%s\" was not found, going on without it",
				 name);
			name = NULL;
		}
	}
	if (name ? ctx_load(&r->ctx, name, e) : ctx_new(&r->ctx, "", e))
		return -1;
	nats_overlay(c, &r->ctx);
	nt_colors(ctx_get(&r->ctx, "color_scheme"));
	r->loaded = true;
	return 0;
}

const char *nats_setting(const struct cli *c, const char *key)
{
	return ctx_get(&run_of(c)->ctx, key);
}

static void on_event(void *arg, enum conn_event ev, const char *what)
{
	struct nats_run *r = arg;

	if (ev == CONN_DOWN)
		nats_log(">>> Disconnected due to: %s, will attempt reconnect", what);
	else if (ev == CONN_UP && r->trace)
		nats_log(">>> Connected to %s", what);
	else if (ev == CONN_SLOW && r->trace)
		nats_log(">>> Unexpected NATS error: %s", what);
	if (ev == CONN_SLOW && strstr(what, "ermission"))
		(void)snprintf(r->async_error, sizeof(r->async_error), "%s", what);
	if (r->on_event)
		r->on_event(r->on_event_arg, ev, what);
}

static const char *some(const char *text)
{
	return *text ? text : NULL;
}

/* The forms of the creds setting: a file, file://, env://NAME, data:;base64,TEXT. text:
 * what must be wiped. */
static int creds_form(struct conn_opts *o, const char *creds, struct buf *text, struct err *e)
{
	size_t n = 0;

	if (strncmp(creds, "file://", 7) == 0)
		creds += 7;
	if (strncmp(creds, "op://", 5) == 0 || strncmp(creds, "nsc://", 6) == 0)
		return err_set(e, ERR_CONFIG,
			       "creds %.40s…: another program would have to be asked; write them "
			       "to a file, with nsc by 'nsc generate creds -o FILE'",
			       creds);
	if (strncmp(creds, "env://", 6) == 0) {
		o->creds_text = env(creds + 6);
		return o->creds_text ? 0
				     : err_set(e, ERR_CONFIG,
					       "creds: the variable %.60s is not set", creds + 6);
	}
	if (strncmp(creds, "data:", 5) == 0) {
		const char *comma = strstr(creds, ";base64,");

		size_t cap = comma ? strlen(comma) : 0;
		uint8_t *p = comma ? buf_space(text, cap + 1) : NULL;

		if (!p || enc_unbase64(p, cap, &n, comma + 8, strlen(comma + 8), ENC_STD) ||
		    memchr(p, 0, n))
			return err_set(e, ERR_CONFIG, "creds: not data:;base64,… of a text");
		p[n] = '\0';
		o->creds_text = (const char *)p;
		return 0;
	}
	o->creds = creds;
	return 0;
}

/* The first kind of credentials that is there, in natscli's order, and no other. */
static int credentials(const struct nats_ctx *x, struct conn_opts *o, struct buf *text,
		       struct err *e)
{
	if (*ctx_get(x, "token")) {
		o->token = ctx_get(x, "token");
	} else if (*ctx_get(x, "user")) {
		o->user = ctx_get(x, "user");
		o->password = ctx_get(x, "password");
	} else if (*ctx_get(x, "creds")) {
		return creds_form(o, ctx_get(x, "creds"), text, e);
	} else if (*ctx_get(x, "nkey")) {
		o->nkey = ctx_get(x, "nkey");
	} else if (*ctx_get(x, "user_jwt")) {
		o->jwt = ctx_get(x, "user_jwt");
		o->seed = some(ctx_get(x, "user_seed"));
	}
	return 0;
}

int nats_connect_to(struct cli *c, const char *url, struct conn **out, struct err *e)
{
	struct nats_run *r = run_of(c);
	const char *name = cli_str(c, "connection-name");
	struct conn_opts o = {0};
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, (size_t)1 << 20);
	text.secret = true;
	if (nats_settings(c, e))
		return -1;
	const struct nats_ctx *x = &r->ctx;

	if (*ctx_get(x, "nsc") && !*ctx_get(x, "creds"))
		return err_set(
			e, ERR_CONFIG,
			"context %.60s looks its credentials up in nsc: write them to a file "
			"('nsc generate creds') and set creds",
			x->name);
	o.url = url ? url : ctx_get(x, "url");
	if (credentials(x, &o, &text, e))
		return -1;
	o.ca = some(ctx_get(x, "ca"));
	o.cert = some(ctx_get(x, "cert"));
	o.key = some(ctx_get(x, "key"));
	o.inbox_prefix = some(ctx_get(x, "inbox_prefix"));
	o.proxy = some(ctx_get(x, "socks_proxy"));
	o.plain_inbox = o.any_mode = o.tls_auto = o.quiet = true;
	o.tls_first = ctx_flag(x, "tls_first");
	o.name = name && *name ? name : "signbox nats " SIGNBOX_VERSION;
	o.timeout_ms = r->timeout_ms;
	o.event = on_event;
	o.event_arg = r;
	o.verify = r->verify;
	int rc = conn_open(out, &o, e);

	if (rc && e && (e->code == ERR_UNAVAILABLE || e->code == ERR_TIMEOUT))
		return err_wrap(e, "nats: no servers available for connection");
	if (rc && e && e->code == ERR_DENIED)
		return err_wrap(e, "nats: Authorization Violation");
	return rc;
}

int nats_connect(struct cli *c, struct err *e)
{
	struct nats_run *r = run_of(c);

	if (r->nc)
		return 0;
	if (nats_connect_to(c, NULL, &r->conn, e))
		return -1;
	r->nc = conn_nats(r->conn);
	return 0;
}

const char *nats_refusal(struct nats_run *r)
{
	char text[256] = "";

	/* The event comes by another thread, maybe later than the answer to a flush. */
	if (!*r->async_error && r->nc &&
	    natsConnection_ReadLastError(r->nc, text, sizeof(text)) != NATS_OK &&
	    strstr(text, "ermission"))
		(void)snprintf(r->async_error, sizeof(r->async_error), "%s", text);
	return r->async_error;
}

char *nats_inbox(struct cli *c)
{
	uint8_t raw[14];
	char text[ENC_BASE32_LEN(sizeof(raw))], *out = NULL;

	crypto_random(raw, sizeof(raw));
	enc_base32(text, raw, sizeof(raw));
	return asprintf(&out, "%s.%s", conn_inbox(run_of(c)->conn), text) < 0 ? NULL : out;
}

/* What went wrong with a request, in natscli's words. */
static int request_err(struct err *e, natsStatus s, const char *subject)
{
	if (s == NATS_NO_RESPONDERS && strncmp(subject, "$SYS", 4) == 0)
		return err_set(e, ERR_NO_RESPONDERS,
			       "server request failed, ensure the account used has system "
			       "privileges and appropriate permissions");
	if (s == NATS_NO_RESPONDERS)
		return err_set(e, ERR_NO_RESPONDERS, "nats: no responders available for request");
	if (s == NATS_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "nats: timeout: no reply on %.80s", subject);
	return conn_err(e, s, "nats");
}

static bool no_responders(natsMsg *m)
{
	const char *status = NULL;

	return natsMsg_GetDataLength(m) == 0 &&
	       natsMsgHeader_Get(m, "Status", &status) == NATS_OK && status &&
	       strcmp(status, "503") == 0;
}

static void trace_msg(const struct nats_run *r, const char *mark, const char *subject,
		      const void *p, size_t n)
{
	CLEAN(free) char *text = r->trace ? strndup(n ? p : "", n) : NULL;
	CLEAN(free) char *clean = text ? nats_clean(text) : NULL;

	if (clean)
		nats_log("%s %s%s%s", mark, subject, *subject ? ": " : "", clean);
}

int nats_request(struct cli *c, const char *subject, const void *body, size_t n, natsMsg **reply,
		 struct err *e)
{
	struct nats_run *r = run_of(c);
	natsStatus s;

	if (nats_connect(c, e))
		return -1;
	trace_msg(r, ">>>", subject, body, n);
	s = natsConnection_Request(reply, r->nc, subject, n ? body : "", (int)n, r->timeout_ms);
	if (s != NATS_OK)
		return request_err(e, s, subject);
	trace_msg(r, "<<<", "", natsMsg_GetData(*reply), (size_t)natsMsg_GetDataLength(*reply));
	return 0;
}

/* A reply as one JSON object. */
static int reply_json(natsMsg *m, const char *subject, json_t **out, struct err *e)
{
	*out = nats_msg_json(m, JSON_ALLOW_NUL);
	if (json_is_object(*out))
		return 0;
	json_decref(*out);
	*out = NULL;
	return err_set(e, ERR_BAD_JSON, "the reply on %.80s is not a JSON object", subject);
}

static int json_body(json_t *req, struct buf *b, struct err *e)
{
	CLEAN(json) json_t *own = req;

	buf_init(b, (size_t)64 << 20);
	return own ? json_text(own, JSON_ONE_LINE, b, e) : 0;
}

int nats_request_json(struct cli *c, const char *subject, json_t *req, json_t **out, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	CLEAN(msg) natsMsg *m = NULL;

	*out = NULL;
	if (json_body(req, &b, e) || nats_request(c, subject, b.p, b.len, &m, e))
		return -1;
	return reply_json(m, subject, out, e);
}

static int vsubject(struct cli *c, char *out, size_t cap, struct err *e, const char *fmt,
		    va_list ap)
{
	const char *prefix, *domain;
	int n, k;

	if (nats_settings(c, e))
		return -1;
	prefix = nats_setting(c, "jetstream_api_prefix");
	domain = nats_setting(c, "jetstream_domain");
	if (*domain)
		n = snprintf(out, cap, "$JS.%s.API.", domain);
	else if (*prefix)
		n = snprintf(out, cap, "%s.", prefix);
	else
		n = snprintf(out, cap, "$JS.API.");
	k = n < 0 || (size_t)n >= cap ? -1 : vsnprintf(out + n, cap - (size_t)n, fmt, ap);
	if (k < 0 || (size_t)(n + k) >= cap)
		return err_set(e, ERR_BAD_NAME, "the subject of the JetStream API is too long");
	if (strpbrk(out, " \t\r\n"))
		return err_set(e, ERR_BAD_NAME, "a name must not contain white space");
	return 0;
}

int nats_js_subject(struct cli *c, char *out, size_t cap, struct err *e, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsubject(c, out, cap, e, fmt, ap);
	va_end(ap);
	return r;
}

int nats_js_request(struct cli *c, json_t *req, json_t **out, struct err *e, const char *fmt, ...)
{
	struct nats_run *r = run_of(c);
	char subject[1024];
	va_list ap;
	int rc;

	*out = NULL;
	va_start(ap, fmt);
	rc = vsubject(c, subject, sizeof(subject), e, fmt, ap);
	va_end(ap);
	if (rc) {
		json_decref(req);
		return -1;
	}
	if (nats_request_json(c, subject, req, out, e))
		return -1;
	const json_t *bad = json_object_get(*out, "error");

	r->api_code = (int)jint(bad, "err_code");
	if (!json_is_object(bad))
		return 0;
	CLEAN(free) char *text = nats_clean(jstr(bad, "description"));

	err_set(e, jint(bad, "code") == 404 ? ERR_NOT_FOUND : ERR_INTERNAL, "%.180s (%d)",
		text ? text : "", r->api_code);
	json_decref(*out);
	*out = NULL;
	return -1;
}

/* Receives until the rule of nats_gather says enough. */
static int receive(struct cli *c, natsSubscription *sub, const char *subject, int want,
		   nats_got *got, void *arg, size_t *count, struct err *e)
{
	struct nats_run *r = run_of(c);
	int64_t end = mono_ns() + r->timeout_ms * NS_MS;

	for (*count = 0; want <= 0 || *count < (size_t)want;) {
		CLEAN(msg) natsMsg *m = NULL;
		int64_t left = end - mono_ns();
		int rc;

		if (want == 0 && *count && left > REPLY_GAP_NS)
			left = REPLY_GAP_NS;
		if (left <= 0)
			return 0;
		natsStatus s = natsSubscription_NextMsg(&m, sub, (left + NS_MS - 1) / NS_MS);

		if (s == NATS_TIMEOUT)
			return 0;
		if (s == NATS_NO_RESPONDERS || (s == NATS_OK && no_responders(m)))
			return request_err(e, NATS_NO_RESPONDERS, subject);
		if (s != NATS_OK)
			return request_err(e, s, subject);
		trace_msg(r, "<<<", "", natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m));
		++*count;
		rc = got(arg, m, e);
		if (rc)
			return rc < 0 ? -1 : 0;
	}
	return 0;
}

int nats_gather(struct cli *c, const char *subject, const char *body, int want, nats_got *got,
		void *arg, size_t *count, struct err *e)
{
	struct nats_run *r = run_of(c);
	natsSubscription *sub = NULL;
	size_t own = 0;
	natsStatus s;
	int rc;

	if (nats_connect(c, e))
		return -1;
	CLEAN(free) char *inbox = nats_inbox(c);

	if (!inbox)
		return err_set(e, ERR_NOMEM, NULL);
	body = body ? body : "";
	trace_msg(r, ">>>", subject, body, strlen(body));
	s = natsConnection_SubscribeSync(&sub, r->nc, inbox);
	if (s == NATS_OK)
		s = natsConnection_PublishRequest(r->nc, subject, inbox, body, (int)strlen(body));
	rc = s == NATS_OK ? receive(c, sub, subject, want, got, arg, count ? count : &own, e)
			  : conn_err(e, s, "nats");
	natsSubscription_Destroy(sub);
	return rc;
}

struct parsed {
	json_t *arr;
	const char *subject;
};

static int got_json(void *arg, natsMsg *m, struct err *e)
{
	struct parsed *p = arg;
	json_t *j;

	if (reply_json(m, p->subject, &j, e))
		return -1;
	return json_array_append_new(p->arr, j) ? err_set(e, ERR_NOMEM, NULL) : 0;
}

int nats_gather_json(struct cli *c, const char *subject, json_t *req, int want, json_t **out,
		     struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	CLEAN(json) json_t *all = json_array();
	struct parsed p = {.arr = all, .subject = subject};

	*out = NULL;
	if (json_body(req, &b, e))
		return -1;
	buf_u8(&b, '\0');
	if (b.bad || !all)
		return err_set(e, ERR_NOMEM, NULL);
	if (nats_gather(c, subject, (const char *)b.p, want, got_json, &p, NULL, e))
		return -1;
	*out = STEAL(all);
	return 0;
}
