/* nsc push and pull: account JWTs to and from the resolver of nats-servers, by the
 * system account; or an account server (nsc_server.c). */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/secret.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_server.h"
#include "conn/conn.h"
#include "crypto/crypto.h"
#include "nkey/claims.h"
#include "nkey/creds.h"
#include "nkey/jwt_check.h"

#define UPDATE "$SYS.REQ.CLAIMS.UPDATE"
#define DELETE "$SYS.REQ.CLAIMS.DELETE"
#define LIST "$SYS.REQ.CLAIMS.LIST"
#define PACK "$SYS.REQ.CLAIMS.PACK"
#define MOST_ANSWERS 100000

static void cleanup_sub(natsSubscription **s)
{
	natsSubscription_Destroy(*s);
}

static void cleanup_msg(natsMsg **m)
{
	natsMsg_Destroy(*m);
}

/* ---- credentials of the system account */

/* Name of the system account: --system-account, or the operator's. Free it. */
static char *system_name(struct nsc *n, struct err *e)
{
	const char *given = cli_str(n->c, "system-account");
	const char *pub = jwt_nats_str(&n->op, "system_account");
	CLEAN(json) json_t *names = nsc_accounts(n, e);
	json_t *v;
	size_t i;

	if (!names)
		return NULL;
	if (given && *given)
		return strdup(given);
	json_array_foreach(names, i, v)
	{
		CLEAN(jwt) struct jwt j = {0};

		if (nsc_read(n, &j, json_string_value(v), NULL, NULL, NULL) == 0 &&
		    strcmp(jwt_str(&j, "sub"), pub) == 0)
			return strdup(json_string_value(v));
	}
	err_set(e, ERR_NOT_FOUND, "system account \"%s\" not found", pub);
	return NULL;
}

/* A user for two minutes that may do just this. */
static int temporary_user(struct nsc *n, const struct jwt *sys, struct buf *creds, struct err *e)
{
	static const char *const may[] = {LIST, UPDATE, DELETE, PACK};
	bool strict = claims_bool(n->op.nats, "strict_signing_key_usage");
	json_t *keys = json_object_get(sys->nats, "signing_keys"), *v;
	CLEAN(nkey) struct nkey signer = {0}, k = {0};
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(buf) struct buf token = {0};
	char pub[NKEY_PUB_LEN];
	size_t i;

	buf_init(&token, JWT_MAX);
	if (!strict)
		(void)nsc_key_load(n, jwt_str(sys, "sub"), &signer, NULL);
	json_array_foreach(keys, i, v)
	{
		if (!signer.secret && json_is_string(v))
			(void)nsc_key_load(n, json_string_value(v), &signer, NULL);
	}
	if (!signer.secret)
		return err_set(e, ERR_NOT_FOUND, "no key of the system account is stored");
	if (nkey_generate(&k, NKEY_USER, e))
		return -1;
	nkey_pub_text(&k, pub);
	if (jwt_new(&j, JWT_USER, pub, e))
		return -1;
	claims_set_str(j.root, "name", "nsc temporary push user");
	claims_set_int(j.root, "exp", n->now + 120);
	claims_set_str(j.nats, "issuer_account", jwt_str(sys, "sub"));
	for (i = 0; i < 4; i++)
		claims_add(claims_obj(j.nats, "pub"), "allow", may[i]);
	claims_add(claims_obj(j.nats, "sub"), "allow", "_INBOX.>");
	if (jwt_encode(&j, &signer, n->now, &token, e))
		return -1;
	return creds_format(creds, (const char *)token.p, token.len, &k, e);
}

/* Creds of --system-user, of a temporary user, or of any user whose seed is stored. */
static int system_creds(struct nsc *n, char **name, struct buf *creds, struct err *e)
{
	const char *user = cli_str(n->c, "system-user");
	CLEAN(json) json_t *users = NULL;
	CLEAN(jwt) struct jwt sys = {0};
	json_t *v;
	size_t i;

	creds->secret = true;
	*name = system_name(n, e);
	if (!*name || nsc_read(n, &sys, *name, NULL, NULL, e))
		return -1;
	if (user && *user)
		return nsc_creds(n, *name, user, creds, e);
	if (temporary_user(n, &sys, creds, NULL) == 0)
		return 0;
	users = nsc_users(n, *name, e);
	if (!users)
		return -1;
	json_array_foreach(users, i, v)
	{
		buf_reset(creds);
		if (nsc_creds(n, *name, json_string_value(v), creds, NULL) == 0)
			return 0;
	}
	return err_set(e, ERR_NOT_FOUND, "no system account user with corresponding nkey found");
}

static int open_system(struct nsc *n, const char *url, char **name, struct conn **out,
		       struct err *e)
{
	struct conn_opts o = {.url = url,
			      .ca = nsc_tls_file(n->c, "ca-cert"),
			      .cert = nsc_tls_file(n->c, "client-cert"),
			      .key = nsc_tls_file(n->c, "client-key"),
			      .name = "nsc",
			      .tls_auto = true,
			      .plain_inbox = true,
			      .quiet = true};
	CLEAN(buf) struct buf creds = {0};

	buf_init(&creds, JWT_MAX + 4096);
	if (nsc_bool(n->c, "tls-first", &o.tls_first, e))
		return -1;
	if (system_creds(n, name, &creds, e))
		return err_wrap(e, "error obtaining system account user");
	buf_u8(&creds, 0);
	if (creds.bad)
		return err_set(e, ERR_NOMEM, NULL);
	o.creds_text = (const char *)creds.p;
	return conn_open(out, &o, e) ? err_wrap(e, "failed to connect") : 0;
}

/* ---- requests that every server answers */

/* Of one request only: a late answer to another must not count for it. */
static void fresh_inbox(const struct conn *c, char out[static 160])
{
	uint8_t r[16];
	char hex[ENC_HEX_LEN(sizeof(r))];

	crypto_random(r, sizeof(r));
	enc_hex(hex, r, sizeof(r));
	(void)snprintf(out, 160, "%s.%s", conn_inbox(c), hex);
}

/* What one answer is: name of the server and data, borrowed from doc; NULL: an error,
 * which is reported. */
static const json_t *answer(json_t *node, natsMsg *m, struct json_doc *doc, const char **server)
{
	const char *p = natsMsg_GetData(m);
	size_t len = (size_t)natsMsg_GetDataLength(m);
	struct err e = {0};

	if (json_parse(doc, "the answer", len ? p : "", len, &e)) {
		nsc_detail(node, NSC_ERR, "failed to parse response: %s", e.text);
		return NULL;
	}
	const json_t *error = json_object_get(doc->root, "error");
	const json_t *data = json_object_get(doc->root, "data");

	*server = claims_str(json_object_get(doc->root, "server"), "name");
	if (!**server)
		nsc_detail(node, NSC_ERR, "server responded without server name in info");
	else if (json_is_object(error))
		nsc_detail(node, NSC_ERR, "server %s responded with error: %s", *server,
			   claims_str(error, "description"));
	else if (!data)
		nsc_detail(node, NSC_ERR, "server %s responded without data", *server);
	else
		return data;
	return NULL;
}

typedef void answer_fn(void *arg, json_t *node, const char *server, const json_t *data);

/* Sends and takes answers until none came for the time-out; how many were good. Once
 * one is there, more are waited for only as long again as the first took. */
static int ask_all(struct nsc *n, struct conn *c, json_t *node, const char *what,
		   const char *subject, const void *data, size_t len, answer_fn *f, void *arg)
{
	int64_t timeout = 1, left, started = nats_NowMonotonicInNanoSeconds() / 1000000;
	natsSubscription *sub __attribute__((cleanup(cleanup_sub))) = NULL;
	char inbox[160];
	natsStatus s;
	int good = 0;

	if (cli_int(n->c, "timeout", 1, 60, &timeout, NULL))
		timeout = 1;
	fresh_inbox(c, inbox);
	s = natsConnection_SubscribeSync(&sub, conn_nats(c), inbox);
	if (s == NATS_OK)
		s = natsConnection_PublishRequest(conn_nats(c), subject, inbox, data, (int)len);
	if (s == NATS_OK)
		s = natsConnection_Flush(conn_nats(c));
	left = timeout * 1000;
	for (int i = 0; s == NATS_OK && i < MOST_ANSWERS && left > 0; i++) {
		natsMsg *m __attribute__((cleanup(cleanup_msg))) = NULL;
		CLEAN(json_doc) struct json_doc doc = {0};
		const char *server = "";

		s = natsSubscription_NextMsg(&m, sub, left);
		if (s != NATS_OK)
			break;
		const json_t *v = answer(node, m, &doc, &server);

		if (v) {
			f(arg, node, server, v);
			good++;
		}
		left = started + timeout * 1000 - nats_NowMonotonicInNanoSeconds() / 1000000;
	}
	if (good == 0 && (s != NATS_OK || !json_array_size(json_object_get(node, "details"))))
		nsc_detail(node, NSC_ERR, "failed to get response to %s: %s", what,
			   s == NATS_NO_RESPONDERS
				   ? "no server with a NATS resolver answers"
				   : natsStatus_GetText(s == NATS_OK ? NATS_TIMEOUT : s));
	return good;
}

static void said(void *arg, json_t *node, const char *server, const json_t *data)
{
	const char *what = arg;

	nsc_detail(node, NSC_OK, "%s nats-server %s: %s", what, server,
		   json_is_object(data) ? claims_str(data, "message") : "");
}

/* ---- push */

/* What servers would refuse is not sent, unless --force. */
static int fit(struct nsc *n, const char *name, const struct jwt *j, struct err *e)
{
	CLEAN(json) json_t *issues = json_array();

	if (cli_has(n->c, "force"))
		return 0;
	jwt_check(j, n->now, issues);
	if (jwt_fatal(issues))
		return err_set(e, ERR_BAD_INPUT,
			       "unable to push account \"%s\" as it has validation issues: %s",
			       name, jwt_fatal(issues));
	if (!n->managed && !jwt_did_sign(&n->op, j))
		return err_set(
			e, ERR_BAD_INPUT,
			"unable to push account \"%s\" as it is not signed by the operator \"%s\"",
			name, jwt_str(&n->op, "name"));
	return 0;
}

static int check_all(struct nsc *n, const json_t *names, struct err *e)
{
	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		CLEAN(jwt) struct jwt j = {0};

		if (nsc_read(n, &j, name, NULL, NULL, e) || fit(n, name, &j, e))
			return -1;
	}
	return 0;
}

static void push_one(struct nsc *n, struct conn *c, json_t *parent, const char *name)
{
	json_t *node = nsc_detail(parent, NSC_OK,
				  "push %s to nats-server with nats account resolver", name);
	CLEAN(free) char *what = nsc_path("pushed \"%s\" to", name);
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(buf) struct buf raw = {0};
	struct err e = {0};
	int got;

	buf_init(&raw, JWT_MAX);
	if (!what || nsc_read(n, &j, name, NULL, &raw, &e)) {
		nsc_detail(node, NSC_ERR, "failed to read account \"%s\": %s", name, e.text);
		return;
	}
	got = ask_all(n, c, node, "push account", UPDATE, raw.p, raw.len, said, what);
	nsc_detail(node, NSC_OK, "pushed to a total of %d nats-server", got);
}

struct compare {
	json_t *mine;	/* public key to name */
	json_t *remove; /* keys that only servers have */
};

static void listed(void *arg, json_t *node, const char *server, const json_t *data)
{
	struct compare *x = arg;
	json_t *d = nsc_detail(node, NSC_OK, "list %zu accounts from nats-server %s",
			       json_array_size(data), server);

	for (size_t i = 0; i < json_array_size(data); i++) {
		const char *pub = json_string_value(json_array_get(data, i));
		const char *name = pub ? json_string_value(json_object_get(x->mine, pub)) : NULL;
		CLEAN(json) json_t *o = json_pack("{s:O}", "l", x->remove);

		if (name) {
			nsc_detail(d, NSC_OK, "account %s named %s exists", pub, name);
		} else if (pub) {
			nsc_detail(d, NSC_OK, "account %s only exists in server", pub);
			claims_add(o, "l", pub);
		}
	}
}

/* Which accounts servers have; how many servers answered. */
static int compare(struct nsc *n, struct conn *c, json_t *node, json_t *remove, struct err *e)
{
	CLEAN(json) json_t *names = nsc_accounts(n, e), *mine = json_object();
	struct compare x = {mine, remove};
	json_t *v;
	size_t i;

	if (!names)
		return -1;

	/* An account that cannot be read would be taken for one that is not here. */
	json_array_foreach(names, i, v)
	{
		CLEAN(jwt) struct jwt j = {0};

		if (nsc_read(n, &j, json_string_value(v), NULL, NULL, e))
			return -1;
		claims_set_str(mine, jwt_str(&j, "sub"), json_string_value(v));
	}
	int got = ask_all(n, c, node, "list accounts", LIST, NULL, 0, listed, &x);

	nsc_detail(node, NSC_OK, "listed accounts from a total of %d nats-server", got);
	return got;
}

/* A delete request is a JWT of the operator with the accounts in it. */
static int delete_request(struct nsc *n, json_t *list, struct buf *token, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};
	char pub[NKEY_PUB_LEN];
	struct jwt j = {.kind = JWT_GENERIC, .version = 2};

	if (nsc_signer(n, NKEY_OPERATOR, NULL, &k, e))
		return -1;
	nkey_pub_text(&k, pub);
	j.root = json_pack("{s:s,s:{s:O}}", "sub", pub, "nats", "accounts", list);
	j.nats = json_object_get(j.root, "nats");
	int r = j.root ? jwt_encode(&j, &k, n->now, token, e) : err_set(e, ERR_NOMEM, NULL);

	jwt_clear(&j);
	return r;
}

static void prune(struct nsc *n, struct conn *c, json_t *node, json_t *list, int expected)
{
	CLEAN(buf) struct buf token = {0};
	struct err e = {0};

	buf_init(&token, JWT_MAX);
	if (!json_array_size(list)) {
		nsc_detail(node, NSC_OK, "nothing to prune");
		return;
	}
	if (delete_request(n, list, &token, &e)) {
		nsc_detail(node, NSC_ERR,
			   "Could not obtain Operator key to sign the delete request (err:%s)",
			   e.text);
		return;
	}
	int got =
		ask_all(n, c, node, "prune", DELETE, token.p, token.len, said, (char[]){"pruned"});

	if (expected > 0 && got < expected)
		nsc_detail(node, NSC_ERR,
			   "Fewer server responded to 'prune' (%d) than to 'list' (%d). Accounts "
			   "may not be completely pruned.",
			   got, expected);
}

/* --prune, --diff, --account-removal. */
static int others(struct nsc *n, struct conn *c, struct err *e)
{
	const char *gone = cli_str(n->c, "account-removal");
	CLEAN(json) json_t *list = json_array();
	char pub[NKEY_PUB_LEN];

	if (cli_has(n->c, "diff")) {
		json_t *node = nsc_ok(n, "diff nats-server with nats account resolver");

		return compare(n, c, node, list, e) < 0 ? -1 : 0;
	}
	if (!gone && !cli_has(n->c, "prune"))
		return 0;
	json_t *node = nsc_ok(n, "prune nats-server with nats account resolver");
	int got = 0;

	if (gone) {
		if (nsc_account_key(n, gone, false, pub, e))
			return -1;
		json_array_append_new(list, json_string(pub));
	} else {
		got = compare(n, c, node, list, e);
		if (got < 0)
			return -1;
	}
	prune(n, c, node, list, got);
	return 0;
}

/* URL of the resolver or account server: -u, or the operator's. */
static const char *resolver(struct nsc *n, struct err *e)
{
	static const char *const schemes[] = {"nats://", "tls://"};
	const char *url = cli_str(n->c, "account-jwt-server-url");

	if (!url || !*url)
		url = jwt_nats_str(&n->op, "account_server_url");
	if (!*url) {
		err_set(e, ERR_CONFIG,
			"no account server url or nats-server url was provided by the operator "
			"jwt: use -u, or nsc edit operator --account-jwt-server-url");
		return NULL;
	}
	for (size_t i = 0; i < 2; i++)
		if (strncasecmp(url, schemes[i], strlen(schemes[i])) == 0)
			return url;
	if (nsc_is_url(url))
		return url;
	err_set(e, ERR_USAGE,
		"\"%.100s\" is no nats://, tls://, http:// or https:// URL: web sockets are not "
		"there",
		url);
	return NULL;
}

int nsc_push(struct cli *c, struct err *e)
{
	bool only = cli_has(c, "prune") || cli_has(c, "diff") || cli_has(c, "account-removal");
	const char *account = cli_str(c, "account"), *url;
	CLEAN(conn) struct conn *conn = NULL;
	CLEAN(json) json_t *names = NULL;
	CLEAN(free) char *sys = NULL;
	CLEAN(nsc) struct nsc n = {0};
	int64_t timeout;
	json_t *v;
	size_t i;

	if (cli_has(c, "all") && account)
		return cli_usage(e, "specify only one of --account or --all-accounts");
	if (cli_int(c, "timeout", 1, 60, &timeout, e))
		return -1;
	if (cli_has(c, "prune") + cli_has(c, "diff") + cli_has(c, "account-removal") > 1)
		return cli_usage(e, "--prune, --diff and --account-removal are mutually exclusive");
	if (nsc_begin(&n, c, cli_has(c, "all") || only ? NSC_OPERATOR : NSC_ACCOUNT, account, e))
		return -1;
	names = cli_has(c, "all") ? nsc_accounts(&n, e)
		: only		  ? json_array()
				  : json_pack("[s]", n.account);
	if (!names)
		return -1;
	url = resolver(&n, e);
	if (url && only && nsc_is_url(url))
		return err_set(e, ERR_USAGE, "prune only works for nats based account resolver");
	if (!url || check_all(&n, names, e))
		return -1;
	n.summary = true;
	if (nsc_is_url(url)) {
		json_array_foreach(names, i, v) nsc_server_push_account(&n, json_string_value(v));
		return nsc_report(&n, e);
	}
	if (open_system(&n, url, &sys, &conn, e))
		return -1;
	json_t *node =
		json_array_size(names)
			? nsc_ok(&n, "push to nats-server \"%s\" using system account \"%s\"", url,
				 sys)
			: NULL;

	json_array_foreach(names, i, v) push_one(&n, conn, node, json_string_value(v));
	if (others(&n, conn, e))
		return -1;
	return nsc_report(&n, e);
}

/* ---- pull */

/* Takes one account JWT from a server. */
static void take(struct nsc *n, json_t *node, const char *token, size_t len)
{
	CLEAN(jwt) struct jwt j = {0};
	struct err e = {0};

	if (nsc_take(n, token, len, NULL, &e))
		nsc_detail(node, NSC_ERR, "%s", e.text);
	else if (jwt_decode_kind(&j, JWT_ACCOUNT, "the token", token, len, NULL) == 0)
		nsc_detail(node, NSC_OK, "stored account \"%s\"", jwt_str(&j, "name"));
}

static void pull(struct nsc *n, struct conn *c, json_t *node)
{
	natsSubscription *sub __attribute__((cleanup(cleanup_sub))) = NULL;
	char inbox[160];
	natsStatus s;

	fresh_inbox(c, inbox);
	s = natsConnection_SubscribeSync(&sub, conn_nats(c), inbox);
	if (s == NATS_OK)
		s = natsConnection_PublishRequest(conn_nats(c), PACK, inbox, NULL, 0);
	for (int i = 0; s == NATS_OK && i < MOST_ANSWERS; i++) {
		natsMsg *m __attribute__((cleanup(cleanup_msg))) = NULL;

		s = natsSubscription_NextMsg(&m, sub, i ? 1000 : 2000);
		if (s != NATS_OK)
			break;
		const char *p = natsMsg_GetData(m);
		size_t len = (size_t)natsMsg_GetDataLength(m);
		const char *bar = len ? memchr(p, '|', len) : NULL;

		/* an empty answer is the end */
		if (len == 0)
			return;
		if (!bar) {
			nsc_detail(node, NSC_ERR, "pull response bad");
			return;
		}
		take(n, node, bar + 1, len - (size_t)(bar + 1 - p));
	}
	nsc_detail(node, NSC_ERR, "failed to get response to pull: %s",
		   s == NATS_NO_RESPONDERS ? "no server with a NATS resolver answers"
					   : natsStatus_GetText(s));
}

int nsc_pull(struct cli *c, struct err *e)
{
	CLEAN(conn) struct conn *conn = NULL;
	CLEAN(free) char *sys = NULL;
	CLEAN(nsc) struct nsc n = {0};
	const char *url;

	if (nsc_begin(&n, c, NSC_OPERATOR, cli_str(c, "account"), e))
		return -1;
	url = resolver(&n, e);
	if (!url)
		return -1;
	n.summary = true;
	if (nsc_is_url(url)) {
		if (!cli_has(c, "all") && nsc_use_account(&n, cli_str(c, "account"), e))
			return err_wrap(e, "specify --all or --account");
		if (nsc_server_pull(&n, cli_has(c, "all"), e))
			return -1;
		return nsc_report(&n, e);
	}
	if (!cli_has(c, "all"))
		return err_set(e, ERR_USAGE,
			       "operator \"%s\" can only pull all jwt - unable to pull by account: "
			       "use --all",
			       jwt_str(&n.op, "name"));
	if (open_system(&n, url, &sys, &conn, e))
		return -1;
	pull(&n, conn, nsc_ok(&n, "pull from cluster using system account"));
	return nsc_report(&n, e);
}
