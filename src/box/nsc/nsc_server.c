/* Account servers: JWTs by HTTP(S), in the paths of nats-account-server (URL/operator,
 * URL/accounts/KEY). What comes from there is a stranger's until it is verified. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_server.h"
#include "http/http.h"
#include "nkey/claims.h"

#define TIMEOUT_MS 5000	  /* of one request, as the original */
#define MESSAGE_MAX 65536 /* of a server's answer to a push */

bool nsc_is_url(const char *text)
{
	return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

/* The URL without user, password and query; free it. */
static char *shown(const struct http_url *u)
{
	bool v6 = strchr(u->host, ':') != NULL;

	return nsc_path("%s://%s%s%s:%d%s", u->tls ? "https" : "http", v6 ? "[" : "", u->host,
			v6 ? "]" : "", u->port, u->path);
}

const char *nsc_tls_file(const struct cli *c, const char *option)
{
	static const char *const names[][2] = {
		{"ca-cert", "NATS_CA"}, {"client-cert", "NATS_CERT"}, {"client-key", "NATS_KEY"}};
	const char *v = c ? cli_str(c, option) : NULL;

	for (size_t i = 0; !v && i < 3; i++)
		if (strcmp(names[i][0], option) == 0)
			v = getenv(names[i][1]);
	return v && *v ? v : NULL;
}

/* GET, or POST of a token. any: every status but 3xx is good, *status tells. */
static int ask(const struct cli *c, const char *url, const char *below, const struct bytes *post,
	       bool any, struct buf *body, int *status, struct err *e)
{
	CLEAN(http) struct http *h = NULL;
	CLEAN(free) char *page = NULL;
	struct http_url u;

	if (http_url_parse(&u, url, e))
		return err_wrap(e, "account server");
	while (*u.path && u.path[strlen(u.path) - 1] == '/')
		u.path[strlen(u.path) - 1] = '\0';
	page = nsc_path("%s%s", *u.path || *below ? below : "/", u.query);
	CLEAN(free) char *name = shown(&u);
	struct http_opts o = {.host = u.host,
			      .port = u.port,
			      .path = u.path,
			      .user = *u.user ? u.user : NULL,
			      .tls = u.tls,
			      .ca = nsc_tls_file(c, "ca-cert"),
			      .cert = nsc_tls_file(c, "client-cert"),
			      .key = nsc_tls_file(c, "client-key"),
			      .timeout_ms = TIMEOUT_MS,
			      .max = body->max,
			      .pair = "$NATS_CERT and $NATS_KEY"};
	struct http_ask a = {.page = page,
			     .type = post ? "application/jwt" : NULL,
			     .data = post ? post->p : NULL,
			     .len = post ? post->len : 0,
			     .any_status = any};
	int r = page && name ? http_new(&h, &o, e) : err_set(e, ERR_NOMEM, NULL);

	r = r ? r : http_ask(h, &a, body, status, e);
	explicit_bzero(u.user, sizeof(u.user));
	return r && name ? err_wrap(e, "%s%s", name, below) : r;
}

int nsc_fetch(const char *source, struct buf *text, struct err *e)
{
	CLEAN(free) char *path = NULL;

	if (nsc_is_url(source))
		return ask(NULL, source, "", NULL, false, text, NULL, e);
	path = nsc_expand(source);
	if (!path)
		return err_set(e, ERR_NOMEM, NULL);
	return file_read(path, text, e);
}

char *nsc_operator_url(const char *url)
{
	size_t n = strcspn(url, "?#"), cut = n;
	const char *path = strstr(url, "://");

	path = path ? path + 3 + strcspn(path + 3, "/?#") : url;
	while (cut && url[cut - 1] == '/')
		cut--;
	if (url + cut <= path)
		return nsc_path("%.*s/jwt/v1/operator%s", (int)(path - url), url, url + n);
	if (cut >= 7 && strncmp(url + cut - 7, "/jwt/v", 6) == 0)
		return nsc_path("%.*s/operator%s", (int)cut, url, url + n);
	return strdup(url);
}

/* -u, or what the operator says. */
static const char *server_url(struct nsc *n)
{
	const char *given = cli_str(n->c, "account-jwt-server-url");

	return given && *given ? given : jwt_nats_str(&n->op, "account_server_url");
}

/* ---- push */

static enum nsc_status status_of(int code)
{
	return code == 200 ? NSC_OK : code > 200 && code < 300 ? NSC_WARN : NSC_ERR;
}

enum nsc_status nsc_server_push(struct nsc *n, json_t *node, const char *below, const char *name,
				const struct bytes *token)
{
	static const char *const said[] = {
		"pushed account jwt to the account server",
		"pushed account jwt was accepted by the account server",
		"failed to push account to remote server",
	};
	CLEAN(buf) struct buf body = {0};
	struct err e = {0};
	int code = 0;

	buf_init(&body, MESSAGE_MAX);
	if (ask(n->c, server_url(n), below, token, true, &body, &code, &e)) {
		nsc_detail(node, NSC_ERR, "failed to push account \"%s\": %s", name, e.text);
		return NSC_ERR;
	}
	enum nsc_status s = status_of(code);

	if (s == NSC_ERR)
		nsc_detail(node, s, "%s: status %d", said[s], code);
	else
		nsc_detail(node, s, "%s", said[s]);
	/* What it says is shown, as far as it is text. */
	buf_u8(&body, 0);
	if (!body.bad && *(const char *)body.p)
		nsc_detail(node, NSC_NOTE, "%s", (const char *)body.p);
	return s;
}

static char *account_page(const char *pub)
{
	return nsc_path("/accounts/%s", pub);
}

void nsc_server_push_account(struct nsc *n, const char *name)
{
	json_t *node = nsc_ok(n, "push %s to account server", name);
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(buf) struct buf raw = {0};
	struct err e = {0};

	buf_init(&raw, JWT_MAX);
	if (nsc_read(n, &j, name, NULL, &raw, &e)) {
		nsc_detail(node, NSC_ERR, "failed to read account \"%s\": %s", name, e.text);
		return;
	}
	CLEAN(free) char *page = account_page(jwt_str(&j, "sub"));
	struct bytes token = {raw.p, raw.len};

	if (page && nsc_server_push(n, node, page, name, &token) == NSC_OK) {
		CLEAN(free) char *text = nsc_path("pushed \"%s\" to account server", name);

		claims_set_str(node, "text", text ? text : "");
	}
}

/* ---- pull */

/* A token from the server; the failure is a detail of node. */
static bool get(struct nsc *n, json_t *node, const char *below, struct buf *body,
		struct bytes *token)
{
	struct err e = {0};

	if (ask(n->c, server_url(n), below, NULL, false, body, NULL, &e)) {
		nsc_detail(node, NSC_ERR, "error pulling %s", e.text);
		return false;
	}
	*token = jwt_find((const char *)body->p, body->len);
	return true;
}

static void pulled(json_t *node, const char *name)
{
	CLEAN(free) char *text = nsc_path("pulled \"%s\" from the account server", name);

	if (json_array_size(json_object_get(node, "details")))
		return;
	claims_set_str(node, "text", text ? text : "");
}

/* The operator's own JWT is taken when who it was stays who it is. */
static int take_operator(struct nsc *n, const struct bytes *token, struct err *e)
{
	CLEAN(jwt) struct jwt j = {0};

	if (jwt_decode_kind(&j, JWT_OPERATOR, "the answer", (const char *)token->p, token->len, e))
		return -1;
	if (strcmp(jwt_str(&j, "sub"), jwt_str(&n->op, "sub")) != 0)
		return err_set(e, ERR_NOT_VERIFIED,
			       "the server has another operator, %s: not stored",
			       jwt_str(&j, "sub"));
	if (nsc_operator_signed(&j, &n->op, e))
		return -1;
	if (jwt_int(&n->op, "iat") > jwt_int(&j, "iat") && !cli_has(n->c, "overwrite-newer"))
		return err_set(e, ERR_BAD_INPUT,
			       "local jwt for \"%s\" is newer than remote version - specify "
			       "--overwrite-newer to overwrite",
			       n->op_name);
	if (nsc_write_raw(n, (const char *)token->p, token->len, NULL, NULL, e))
		return -1;
	/* Its signing keys count for the accounts that follow. */
	jwt_clear(&n->op);
	n->op = j;
	j = (struct jwt){0};
	return 0;
}

/* Servers that still have operators of version 1 at /jwt/v1 have the others at /jwt/v2. */
static bool second_version(struct nsc *n, struct buf *body, struct bytes *token)
{
	CLEAN(free) char *url = nsc_operator_url(server_url(n));
	char *at = url ? strstr(url, "/jwt/v1/operator") : NULL;

	if (!at)
		return false;
	at[6] = '2';
	if (ask(n->c, url, "", NULL, false, body, NULL, NULL)) {
		buf_reset(body);
		return false;
	}
	*token = jwt_find((const char *)body->p, body->len);
	return true;
}

static void pull_operator(struct nsc *n)
{
	json_t *node = nsc_ok(n, "pull \"%s\" from the account server", n->op_name);
	CLEAN(buf) struct buf body = {0};
	struct bytes token;
	struct err e = {0};

	buf_init(&body, JWT_MAX + 4096);
	if (!second_version(n, &body, &token) && !get(n, node, "/operator", &body, &token))
		return;
	if (take_operator(n, &token, &e))
		nsc_detail(node, NSC_ERR, "%s", e.text);
	pulled(node, n->op_name);
}

static int pull_account(struct nsc *n, const char *name, struct err *e)
{
	json_t *node = nsc_ok(n, "pull \"%s\" from the account server", name);
	CLEAN(jwt) struct jwt mine = {0};
	CLEAN(buf) struct buf body = {0};
	struct bytes token;

	buf_init(&body, JWT_MAX + 4096);
	if (nsc_read(n, &mine, name, NULL, NULL, e))
		return -1;
	CLEAN(free) char *page = account_page(jwt_str(&mine, "sub"));
	struct err why = {0};

	if (!page)
		return err_set(e, ERR_NOMEM, NULL);
	if (!get(n, node, page, &body, &token))
		return 0;
	if (nsc_take(n, (const char *)token.p, token.len, name, &why))
		nsc_detail(node, NSC_ERR, "%s", why.text);
	pulled(node, name);
	return 0;
}

int nsc_server_pull(struct nsc *n, bool all, struct err *e)
{
	CLEAN(json) json_t *names = all ? nsc_accounts(n, e) : json_pack("[s]", n->account);
	json_t *v;
	size_t i;

	if (!names)
		return -1;
	if (all)
		pull_operator(n);
	json_array_foreach(names, i, v)
	{
		if (pull_account(n, json_string_value(v), e))
			return -1;
	}
	return 0;
}

/* ---- accounts of a managed operator */

/* Writes the account in use, pushes it and takes what the server made of it. */
static int sync_account(struct nsc *n, const char *name, const struct buf *raw, struct err *e)
{
	CLEAN(free) char *page = account_page(jwt_str(&n->ac, "sub"));
	struct bytes token = {raw->p, raw->len}, answer;
	CLEAN(buf) struct buf body = {0};
	struct err why = {0};
	json_t *node;

	buf_init(&body, JWT_MAX + 4096);
	/* First here, and only then there: what a server has and we have not cannot be
	 * edited again. */
	if (!page || nsc_write_raw(n, (const char *)raw->p, raw->len, name, NULL, e))
		return page ? -1 : err_set(e, ERR_NOMEM, NULL);
	node = nsc_ok(n, "push jwt to account server");
	if (nsc_server_push(n, node, page, name, &token) == NSC_OK) {
		node = nsc_ok(n, "pull jwt from account server");
		if (get(n, node, page, &body, &answer)) {
			if (nsc_take(n, (const char *)answer.p, answer.len, name, &why) == 0)
				return 0;
			nsc_detail(node, NSC_ERR, "%s", why.text);
		}
	}
	nsc_say(n, NSC_WARN, "perform push/pull again or exchange self-signed JWT manually");
	return 0;
}

int nsc_write_account(struct nsc *n, const struct nkey *signer, struct err *e)
{
	/* Signing makes the claims anew: nothing of theirs may be borrowed over it. */
	CLEAN(free) char *name = strdup(jwt_str(&n->ac, "name"));

	if (!name)
		return err_set(e, ERR_NOMEM, NULL);
	CLEAN(buf) struct buf token = {0};

	buf_init(&token, JWT_MAX);
	if (jwt_encode(&n->ac, signer, n->now, &token, e))
		return -1;
	if (n->managed && nsc_is_url(jwt_nats_str(&n->op, "account_server_url")))
		return sync_account(n, name, &token, e);
	if (nsc_write_raw(n, (const char *)token.p, token.len, name, NULL, e))
		return -1;
	if (n->managed)
		nsc_say(n, NSC_WARN,
			"unable to push to \"%s\" - operator doesn't set an account server url or "
			"manual exchange necessary",
			jwt_str(&n->op, "name"));
	return 0;
}
