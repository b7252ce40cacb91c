/* Activations, and revocations of users and of activations. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_details.h"
#include "box/nsc/nsc_server.h"
#include "nkey/claims.h"
#include "nkey/creds.h"

/* --at: "0" or absent: now; seconds or RFC 3339. */
static int when(const struct nsc *n, int64_t *out, struct err *e)
{
	const char *text = cli_str(n->c, "at");
	struct tm tm = {0};
	const char *end;

	*out = n->now;
	if (!text || strcmp(text, "0") == 0)
		return 0;
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (end && (strcmp(end, "Z") == 0 || (strptime(end, "%z", &tm) && strlen(end) == 6))) {
		long offset = tm.tm_gmtoff;

		*out = timegm(&tm) - offset;
		return 0;
	}
	char *stop;

	errno = 0;
	*out = strtoll(text, &stop, 10);
	if (errno || *stop || stop == text || *out < 0)
		return err_set(e, ERR_BAD_INPUT,
			       "provided value \"%.40s\" is not a number nor parsable as RFC3339",
			       text);
	return 0;
}

/* Public key of --name, --user-public-key, or of the only user. */
static int which_user(struct nsc *n, char pub[static NKEY_PUB_LEN], struct err *e)
{
	const char *name = cli_str(n->c, "name"), *key = cli_str(n->c, "user-public-key");
	CLEAN(json) json_t *users = nsc_users(n, n->account, e);
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(free) char *only = NULL;
	uint8_t raw[32];
	json_t *v;
	size_t i;

	if (!users)
		return -1;
	if (name && key)
		return cli_usage(e, "user and user-public-key are mutually exclusive");
	if (key && (strcmp(key, "*") == 0 || nkey_decode_kind(raw, NKEY_USER, key, NULL) == 0)) {
		(void)snprintf(pub, NKEY_PUB_LEN, "%s", key);
		return 0;
	}
	if (!name && !key) {
		only = nsc_only_user(n, n->account, e);
		if (!only)
			return -1;
		if (!*only)
			return err_set(e, ERR_NOT_FOUND,
				       "no default user available for account %s: use --name or "
				       "--user-public-key",
				       n->account);
	}
	name = name ? name : key ? key : only;
	json_array_foreach(users, i, v)
	{
		if (strcasecmp(json_string_value(v), name) != 0)
			continue;
		if (nsc_read(n, &j, n->account, json_string_value(v), NULL, e))
			return -1;
		(void)snprintf(pub, NKEY_PUB_LEN, "%s", jwt_str(&j, "sub"));
		return 0;
	}
	return err_set(e, ERR_NOT_FOUND, "user \"%s\" not found", name);
}

static int begin(struct nsc *n, struct cli *c, struct nkey *signer, struct err *e)
{
	if (nsc_begin(n, c, NSC_ACCOUNT, cli_str(c, "account"), e))
		return -1;
	n->summary = true;
	return nsc_signer(n, NKEY_OPERATOR, jwt_str(&n->ac, "iss"), signer, e);
}

/* "2026-11-22 06:13:18 +0000 UTC", or as in mail headers. */
static const char *local_time(int64_t t, bool mail, char out[static 64])
{
	time_t at = (time_t)t;
	struct tm tm;

	out[0] = '\0';
	if (!localtime_r(&at, &tm))
		return out;
	if (mail)
		(void)strftime(out, 64, "%a, %d %b %Y %H:%M:%S %Z", &tm);
	else
		(void)strftime(out, 64, "%Y-%m-%d %H:%M:%S %z %Z", &tm);
	return out;
}

int nsc_revoke_user(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};
	char pub[NKEY_PUB_LEN], text[64];
	int64_t at;

	if (begin(&n, c, &signer, e) || which_user(&n, pub, e) || when(&n, &at, e))
		return -1;
	claims_revoke(n.ac.nats, pub, at);
	if (nsc_write_account(&n, &signer, e))
		return -1;
	if (*pub == '*')
		nsc_ok(&n, "revoked all users issued before %s", local_time(at, false, text));
	else
		nsc_ok(&n, "revoked user \"%s\"", pub);
	return nsc_report(&n, e);
}

int nsc_unrevoke_user(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};
	char pub[NKEY_PUB_LEN];

	if (begin(&n, c, &signer, e) || which_user(&n, pub, e))
		return -1;
	json_t *list = json_object_get(n.ac.nats, "revocations");

	if (!json_object_size(list))
		return err_set(e, ERR_NOT_FOUND, "no user revocations set in account %s",
			       n.account);
	if (json_object_del(list, pub))
		return err_set(e, ERR_NOT_FOUND, "user with public key %s is not revoked", pub);
	if (nsc_write_account(&n, &signer, e))
		return -1;
	if (*pub == '*')
		nsc_ok(&n, "deleted all user revocation");
	else
		nsc_ok(&n, "deleted user revocation for \"%s\"", pub);
	return nsc_report(&n, e);
}

/* Table or JSON of a list of revocations. */
static int show(struct nsc *n, const char *title, const char *all, const json_t *list,
		struct err *e)
{
	CLEAN(json) json_t *out = json_array();
	json_t *o = (json_t *)(uintptr_t)list, *v;
	struct nsc_table t;
	CLEAN(buf) struct buf text = {0};
	const char *key;
	char at[64];

	buf_init(&text, (size_t)16 << 20);
	nsc_table_start(&t, title);
	nsc_table_row(&t, "Public Key", "Revoke Credentials Before", NULL);
	nsc_table_line(&t);
	json_object_foreach(o, key, v)
	{
		char name[128];

		(void)snprintf(name, sizeof(name), "%s%s", key, strcmp(key, "*") ? "" : all);
		nsc_table_row(&t, name, local_time(json_integer_value(v), true, at), NULL);
		json_array_append_new(out, json_pack("{s:s,s:O}", "public_key", key, "before", v));
	}
	nsc_table_end(&t, &text);
	if (cli_has(n->c, "json"))
		return nsc_json(out, e);
	return nsc_output(n, "output-file", &text, 0600, e);
}

int nsc_revoked_users(struct cli *c, struct err *e)
{
	CLEAN(nsc) struct nsc n = {0};
	char title[300];

	if (nsc_begin(&n, c, NSC_ACCOUNT, cli_str(c, "account"), e))
		return -1;
	const json_t *list = json_object_get(n.ac.nats, "revocations");

	if (!json_object_size(list) && !cli_has(c, "json"))
		return err_set(e, ERR_NOT_FOUND, "account %s does not have revoked users",
			       jwt_str(&n.ac, "name"));
	(void)snprintf(title, sizeof(title), "Revoked Users for %s", jwt_str(&n.ac, "name"));
	return show(&n, title, " [All Users]", list, e);
}

/* ---- activations */

/* The export of this kind that --subject lies in; the only one without --subject. */
static json_t *which_export(struct nsc *n, const char *kind, bool private, const char **subject,
			    struct err *e)
{
	json_t *list = json_object_get(n->ac.nats, "exports"), *v, *only = NULL;
	const char *given = cli_str(n->c, "subject");
	size_t i, have = 0;

	json_array_foreach(list, i, v)
	{
		if ((kind && strcmp(claims_str(v, "type"), kind) != 0) ||
		    (private && !claims_bool(v, "token_req")))
			continue;
		only = v;
		have++;
	}
	if (!json_array_size(list))
		err_set(e, ERR_NOT_FOUND, "account \"%s\" doesn't have exports", n->account);
	else if (!have && private)
		err_set(e, ERR_NOT_FOUND,
			"account \"%s\" doesn't have exports that require an activation token",
			n->account);
	else if (!have)
		err_set(e, ERR_NOT_FOUND, "account \"%s\" doesn't have %s exports", n->account,
			kind);
	if (!have)
		return NULL;
	if (!given || !*given) {
		*subject = claims_str(only, "subject");
		if (have > 1)
			cli_usage(e, "a subject is required");
		return have == 1 ? only : NULL;
	}
	*subject = given;
	json_array_foreach(list, i, v)
	{
		if ((!kind || strcmp(claims_str(v, "type"), kind) == 0) &&
		    (!private || claims_bool(v, "token_req")) &&
		    claims_subject_within(given, claims_str(v, "subject")))
			return v;
	}
	err_set(e, ERR_NOT_FOUND, "unable to locate export for \"%s\" in account \"%s\"", given,
		n->account);
	return NULL;
}

static const char *kind_of(const struct cli *c)
{
	return cli_has(c, "service") ? "service" : "stream";
}

static int target(struct nsc *n, bool wild, char pub[static NKEY_PUB_LEN], struct err *e)
{
	const char *text = cli_str(n->c, "target-account");

	if (!text || !*text)
		return cli_usage(e, "target-account cannot be empty");
	return nsc_account_key(n, text, wild, pub, e);
}

int nsc_revoke_activation(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};
	char pub[NKEY_PUB_LEN], text[64];
	const char *subject;
	json_t *x;
	int64_t at;

	if (begin(&n, c, &signer, e) || target(&n, true, pub, e) || when(&n, &at, e))
		return -1;
	x = which_export(&n, kind_of(c), false, &subject, e);
	if (!x)
		return -1;
	CLEAN(free) char *name = strdup(claims_str(x, "name"));

	claims_revoke(x, pub, at);
	if (!name || nsc_write_account(&n, &signer, e))
		return name ? -1 : err_set(e, ERR_NOMEM, NULL);
	if (*pub == '*')
		nsc_ok(&n, "revoked all activations for \"%s\" issued before %s", name,
		       local_time(at, false, text));
	else
		nsc_ok(&n, "revoked activation \"%s\" for account %s", name, pub);
	return nsc_report(&n, e);
}

int nsc_unrevoke_activation(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};
	char pub[NKEY_PUB_LEN];
	const char *subject;
	json_t *x;

	if (begin(&n, c, &signer, e) || target(&n, true, pub, e))
		return -1;
	x = which_export(&n, kind_of(c), false, &subject, e);
	if (!x)
		return -1;
	CLEAN(free) char *name = strdup(claims_str(x, "name"));

	json_object_del(json_object_get(x, "revocations"), pub);
	if (!name || nsc_write_account(&n, &signer, e))
		return name ? -1 : err_set(e, ERR_NOMEM, NULL);
	if (*pub == '*')
		nsc_ok(&n, "deleted %s %s revocation for all accounts", kind_of(c), name);
	else
		nsc_ok(&n, "deleted %s %s revocation for account %s", kind_of(c), name, pub);
	return nsc_report(&n, e);
}

int nsc_revoked_activations(struct cli *c, struct err *e)
{
	CLEAN(nsc) struct nsc n = {0};
	const char *subject;
	char title[400];
	json_t *x;

	if (nsc_begin(&n, c, NSC_ACCOUNT, cli_str(c, "account"), e))
		return -1;
	x = which_export(&n, kind_of(c), false, &subject, e);
	if (!x)
		return -1;
	const json_t *list = json_object_get(x, "revocations");

	if (!json_object_size(list) && !cli_has(c, "json"))
		return err_set(e, ERR_NOT_FOUND, "%s %s has no revocations", kind_of(c),
			       claims_str(x, "name"));
	(void)snprintf(title, sizeof(title), "Revoked Accounts for %s %s", kind_of(c),
		       claims_str(x, "name"));
	return show(&n, title, " [All Accounts]", list, e);
}

/* Claims that let an account import a private export. */
static int activation(struct nsc *n, struct jwt *j, const json_t *x, const char *subject,
		      const struct nkey *signer, struct buf *token, struct err *e)
{
	char by[NKEY_PUB_LEN];

	nkey_pub_text(signer, by);
	claims_set_str(j->root, "name", subject);
	claims_set_str(j->nats, "subject", subject);
	claims_set_str(j->nats, "kind", claims_str(x, "type"));
	if (strcmp(by, jwt_str(&n->ac, "sub")) != 0)
		claims_set_str(j->nats, "issuer_account", jwt_str(&n->ac, "sub"));
	if (nsc_apply_times(n, j, false, e))
		return -1;
	return jwt_encode(j, signer, n->now, token, e);
}

/* "In 2 Days" */
static const char *titled(char *text)
{
	for (char *p = text; *p; p++)
		if ((p == text || p[-1] == ' ') && *p >= 'a' && *p <= 'z')
			*p = (char)(*p - 32);
	return text;
}

static void push_activation(struct nsc *n, const struct jwt *j, const struct buf *token)
{
	json_t *node = nsc_ok(n, "push jwt to account server");
	CLEAN(free) char *id = nsc_activation_id(j);
	struct bytes raw = {token->p, token->len};

	if (nsc_server_push(n, node, "/activations", jwt_str(j, "name"), &raw) != NSC_ERR)
		nsc_ok(n, "activation accessible at \"%s/activations/%s\"",
		       jwt_nats_str(&n->op, "account_server_url"), id ? id : "");
}

int nsc_generate_activation(struct cli *c, struct err *e)
{
	const char *file = cli_str(c, "output-file"), *subject;
	bool to_file = file && *file && strcmp(file, "--") != 0;
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(buf) struct buf token = {0}, text = {0};
	CLEAN(nsc) struct nsc n = {0};
	char pub[NKEY_PUB_LEN], date[64], rel[64];
	json_t *x;

	buf_init(&token, JWT_MAX);
	buf_init(&text, JWT_MAX + 4096);
	if (nsc_begin(&n, c, NSC_ACCOUNT, cli_str(c, "account"), e) || target(&n, false, pub, e))
		return -1;
	x = which_export(&n, NULL, true, &subject, e);
	if (cli_has(c, "push") && !nsc_is_url(jwt_nats_str(&n.op, "account_server_url")))
		return err_set(e, ERR_CONFIG,
			       "operator %s doesn't have an account server url configured that "
			       "takes activations (http or https)",
			       n.op_name);
	if (!x || nsc_signer(&n, NKEY_ACCOUNT, NULL, &signer, e) ||
	    jwt_new(&j, JWT_ACTIVATION, pub, e) ||
	    activation(&n, &j, x, subject, &signer, &token, e))
		return -1;
	creds_decorate(&text, "ACTIVATION", (const char *)token.p, token.len);
	if (cli_has(c, "json") && !to_file && !cli_has(c, "push"))
		return nsc_output_as(&n, "output-file", "token", &token, e);
	if (!(cli_has(c, "json") && !to_file) && nsc_output(&n, "output-file", &text, 0600, e))
		return -1;
	n.summary = true;
	nsc_ok(&n, "generated \"%s\" activation for account \"%s\"", claims_str(x, "name"), pub);
	if (jwt_int(&j, "nbf"))
		nsc_ok(&n, "token valid %s - %s", nsc_date(date, jwt_int(&j, "nbf")),
		       (nsc_when(rel, n.now, jwt_int(&j, "nbf")), titled(rel)));
	if (jwt_int(&j, "exp"))
		nsc_ok(&n, "token expires %s - %s", nsc_date(date, jwt_int(&j, "exp")),
		       (nsc_when(rel, n.now, jwt_int(&j, "exp")), titled(rel)));
	if (to_file)
		nsc_ok(&n, "wrote activation token to `%s`", file);
	if (cli_has(c, "push"))
		push_activation(&n, &j, &token);
	return nsc_report(&n, e);
}
