/* Questions about exports, activations, revocations, servers, and of init. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "box/nsc/nsc_ask.h"
#include "nkey/claims.h"
#include "nkey/jwt_check.h"

static int is_subject(struct nsc *n, const char *text, struct err *e)
{
	CLEAN(json) json_t *issues = json_array();

	(void)n;
	jwt_check_subject(text, issues);
	return jwt_fatal(issues) ? err_set(e, ERR_BAD_INPUT, "%s", jwt_fatal(issues)) : 0;
}

static int is_sampling(struct nsc *n, const char *text, struct err *e)
{
	int64_t v;

	(void)n;
	if (strcasecmp(text, "header") == 0)
		return 0;
	if (nsc_number("sampling", text, &v, e) || v < 1 || v > 100)
		return err_set(e, ERR_BAD_INPUT, "sampling must be between 1 and 100 inclusive");
	return 0;
}

static int is_duration(struct nsc *n, const char *text, struct err *e)
{
	int64_t v;

	(void)n;
	return nsc_duration("response threshold", text, &v, e);
}

static int set_bool(struct nsc *n, const char *option, const char *label, bool def, struct err *e)
{
	bool yes;

	if (nsc_ask_yes(n, label, def, &yes, e))
		return -1;
	return yes == def && !cli_has(n->c, option)
		       ? 0
		       : cli_set(n->c, option, yes ? "true" : "false", e);
}

/* ---- exports */

/* "stream" or "service"; *service is the answer. */
static int ask_type(struct nsc *n, const char *def, bool *service, struct err *e)
{
	CLEAN(json) json_t *kinds = json_pack("[s,s]", "stream", "service");
	size_t i;

	if (nsc_ask_one(n, "export type", def, kinds, &i, e))
		return -1;
	*service = i == 1;
	return strcmp(def, *service ? "service" : "stream") == 0 && !cli_has(n->c, "service")
		       ? 0
		       : cli_set(n->c, "service", *service ? "true" : "false", e);
}

static int ask_latency(struct nsc *n, const json_t *old, struct err *e)
{
	char rate[24] = "";
	bool yes;

	if (nsc_ask_yes(n, "track service latency", false, &yes, e))
		return -1;
	if (!yes)
		return json_object_size(old) ? cli_set(n->c, "rm-latency-sampling", "true", e) : 0;
	if (claims_int(old, "sampling"))
		(void)snprintf(rate, sizeof(rate), "%lld", (long long)claims_int(old, "sampling"));
	CLEAN(free) char *subject = strdup(claims_str(old, "results"));

	if (!subject)
		return err_set(e, ERR_NOMEM, NULL);
	if (nsc_ask_option(n, "sampling", "sampling percentage [1-100] or `header`", rate,
			   is_sampling, e) ||
	    nsc_ask_option(n, "latency", "latency metrics subject", subject, is_subject, e))
		return -1;
	/* One goes with the other. */
	if (!cli_has(n->c, "latency") && cli_set(n->c, "latency", subject, e))
		return -1;
	return cli_has(n->c, "sampling") || !*rate ? 0 : cli_set(n->c, "sampling", rate, e);
}

static int ask_service(struct nsc *n, const json_t *old, struct err *e)
{
	CLEAN(json) json_t *types = json_pack("[s,s,s]", "Singleton", "Stream", "Chunked");
	const char *given = cli_str(n->c, "response-type");
	const char *type = given ? given : claims_str(old, "response_type");
	char text[64] = "0s";
	size_t i;

	if (ask_latency(n, json_object_get(old, "service_latency"), e) ||
	    nsc_ask_one(n, "service response type", *type ? type : "Singleton", types, &i, e) ||
	    cli_set(n->c, "response-type", json_string_value(json_array_get(types, i)), e))
		return -1;
	nsc_duration_text(claims_int(old, "response_threshold"), text, sizeof(text));
	return nsc_ask_option(n, "response-threshold", "response threshold (0 disabled)", text,
			      is_duration, e);
}

static int ask_private(struct nsc *n, bool service, bool def, struct err *e)
{
	return set_bool(n, "private", service ? "private service" : "private stream", def, e);
}

int nsc_ask_add_export(struct nsc *n, struct err *e)
{
	bool was = false, private = false, service;

	(void)nsc_bool(n->c, "service", &was, NULL);
	(void)nsc_bool(n->c, "private", &private, NULL);
	if (ask_type(n, was ? "service" : "stream", &service, e) ||
	    nsc_ask_option(n, "subject", "subject", NULL, is_subject, e) ||
	    nsc_ask_option(n, "name", "name",
			   cli_str(n->c, "subject") ? cli_str(n->c, "subject") : "", nsc_ask_some,
			   e) ||
	    ask_private(n, service, private, e) ||
	    (service &&
	     (ask_service(n, NULL, e) || set_bool(n, "allow-trace", "allow tracing", false, e))))
		return -1;
	return nsc_ask_signer(n, NKEY_OPERATOR, NULL, e);
}

/* Index of one of a list by its subjects and names. */
static int pick(struct nsc *n, const char *label, const json_t *list, size_t *at, struct err *e)
{
	CLEAN(json) json_t *labels = json_array();

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *x = json_array_get(list, i);
		CLEAN(free) char *text = nsc_path("%s [%s] - %s", claims_str(x, "subject"),
						  claims_str(x, "type"), claims_str(x, "name"));

		json_array_append_new(labels, json_string(text ? text : ""));
	}
	return nsc_ask_one(n, label, "", labels, at, e);
}

static const json_t *members(struct nsc *n, const char *member, struct err *e)
{
	const json_t *list = json_object_get(n->ac.nats, member);

	if (json_array_size(list))
		return list;
	err_set(e, ERR_NOT_FOUND, "account \"%s\" doesn't have %s", n->account, member);
	return NULL;
}

int nsc_ask_edit_export(struct nsc *n, struct err *e)
{
	const json_t *list = members(n, "exports", e), *x;
	bool service;
	size_t i;

	if (!list || pick(n, "select export to edit", list, &i, e))
		return -1;
	x = json_array_get(list, i);
	/* The subject says which one it is, so it stays. */
	if (cli_set(n->c, "subject", claims_str(x, "subject"), e) ||
	    ask_type(n, claims_str(x, "type"), &service, e) ||
	    nsc_ask_option(n, "name", "name", claims_str(x, "name"), nsc_ask_some, e) ||
	    ask_private(n, service, claims_bool(x, "token_req"), e) ||
	    (service && ask_service(n, x, e)) || nsc_ask_signer(n, NKEY_OPERATOR, NULL, e) ||
	    nsc_ask_option(n, "description", "Export Description", claims_str(x, "description"),
			   NULL, e))
		return -1;
	return nsc_ask_option(n, "info-url", "Info url", claims_str(x, "info_url"), NULL, e);
}

int nsc_ask_delete_export(struct nsc *n, struct err *e)
{
	const json_t *list = members(n, "exports", e);
	size_t i;

	if (!list || pick(n, "select export to delete", list, &i, e) ||
	    cli_set(n->c, "subject", claims_str(json_array_get(list, i), "subject"), e))
		return -1;
	return nsc_ask_signer(n, NKEY_OPERATOR, NULL, e);
}

int nsc_ask_delete_import(struct nsc *n, struct err *e)
{
	const json_t *list = members(n, "imports", e), *x;
	size_t i;

	if (!list || pick(n, "select import to delete", list, &i, e))
		return -1;
	x = json_array_get(list, i);
	if (cli_set(n->c, "subject", claims_str(x, "subject"), e) ||
	    cli_set(n->c, "src-account", claims_str(x, "account"), e))
		return -1;
	return nsc_ask_signer(n, NKEY_OPERATOR, NULL, e);
}

/* ---- imports */

static int is_target(struct nsc *n, const char *text, struct err *e)
{
	char pub[NKEY_PUB_LEN];

	if (!*text)
		return err_set(e, ERR_BAD_INPUT, "target-account cannot be empty");
	return nsc_account_key(n, text, true, pub, e);
}

static int is_account(struct nsc *n, const char *text, struct err *e)
{
	return strcmp(text, "*") == 0 ? err_set(e, ERR_BAD_INPUT, "one account is needed")
				      : is_target(n, text, e);
}

/* Exports of the other accounts: objects {"account", "export"}, and what to call them. */
static int others(struct nsc *n, json_t *list, json_t *labels, struct err *e)
{
	CLEAN(json) json_t *names = nsc_accounts(n, e);
	json_t *v, *x;
	size_t i, k;

	if (!names)
		return -1;
	json_array_foreach(names, i, v)
	{
		const char *name = json_string_value(v);
		CLEAN(jwt) struct jwt j = {0};

		if (strcmp(name, n->account) == 0 || nsc_read(n, &j, name, NULL, NULL, NULL))
			continue;
		json_array_foreach(json_object_get(j.nats, "exports"), k, x)
		{
			CLEAN(free) char *text =
				nsc_path("%s: %s [%s%s]", name, claims_str(x, "subject"),
					 claims_bool(x, "token_req") ? "private " : "",
					 claims_str(x, "type"));

			json_array_append_new(labels, json_string(text ? text : name));
			json_array_append_new(list, json_pack("{s:s,s:O}", "account",
							      jwt_str(&j, "sub"), "export", x));
		}
	}
	return 0;
}

/* The subject as the importer has it: its own key in the place of the account's token. */
static char *own_subject(struct nsc *n, const json_t *x)
{
	int64_t at = claims_int(x, "account_token_position");
	const char *subject = claims_str(x, "subject"), *p = subject;

	while (p && at > 1 && (p = strchr(p, '.')) != NULL) {
		p++;
		at--;
	}
	if (!p || at != 1 || *p != '*')
		return strdup(subject);
	return nsc_path("%.*s%s%s", (int)(p - subject), subject, jwt_str(&n->ac, "sub"), p + 1);
}

/* One of the exports that are here; *done: it was taken. */
static int ask_local(struct nsc *n, bool *done, struct err *e)
{
	CLEAN(json) json_t *list = json_array(), *labels = json_array();
	CLEAN(free) char *subject = NULL;
	size_t i;

	*done = false;
	if (others(n, list, labels, e))
		return -1;
	if (!json_array_size(list))
		return 0;
	if (nsc_ask_yes(n, "pick from locally available exports", true, done, e))
		return -1;
	if (!*done)
		return 0;
	if (nsc_ask_one(n, "select the export", "", labels, &i, e))
		return -1;
	const json_t *o = json_array_get(list, i), *x = json_object_get(o, "export");
	bool service = strcmp(claims_str(x, "type"), "service") == 0;

	if (claims_bool(x, "token_req"))
		return err_set(e, ERR_USAGE,
			       "a private export needs an activation: nsc generate activation, and "
			       "then nsc add import --token FILE");
	subject = own_subject(n, x);
	if (!subject || cli_set(n->c, "src-account", claims_str(o, "account"), e) ||
	    cli_set(n->c, "remote-subject", subject, e) ||
	    cli_set(n->c, "service", service ? "true" : "false", e))
		return subject ? -1 : err_set(e, ERR_NOMEM, NULL);
	if (service && claims_subject_wild(claims_str(x, "subject")) &&
	    nsc_ask_option(n, "remote-subject", "export subject", NULL, is_subject, e))
		return -1;
	if (!cli_has(n->c, "name") && cli_set(n->c, "name", claims_str(x, "name"), e))
		return -1;
	return service ? set_bool(n, "share", "share information when tracking latency?", false, e)
		       : 0;
}

static int ask_manual(struct nsc *n, bool *token, struct err *e)
{
	bool public, service;

	if (nsc_ask_yes(n, "is the export public?", true, &public, e))
		return -1;
	*token = !public;
	if (!public)
		return nsc_ask_option(n, "token", "token path or url", NULL, nsc_ask_some, e);
	if (nsc_ask_option(n, "src-account", "src-account public key", NULL, is_account, e) ||
	    nsc_ask_option(n, "remote-subject", "remote subject", NULL, is_subject, e) ||
	    nsc_ask_yes(n, "is import a service", true, &service, e))
		return -1;
	return cli_set(n->c, "service", service ? "true" : "false", e);
}

int nsc_ask_add_import(struct nsc *n, struct err *e)
{
	const char *remote, *local = NULL;
	bool done, token = false, service = false;

	if (ask_local(n, &done, e) || (!done && ask_manual(n, &token, e)))
		return -1;
	(void)nsc_bool(n->c, "service", &service, NULL);
	remote = cli_str(n->c, "remote-subject");
	if (service && done)
		local = remote;
	if (!token && nsc_ask_option(n, "name", "name", remote, nsc_ask_some, e))
		return -1;
	if (nsc_ask_option(n, "local-subject", "local subject", local, NULL, e) ||
	    (local && !cli_has(n->c, "local-subject") && cli_set(n->c, "local-subject", local, e)))
		return -1;
	if (!service && !token && set_bool(n, "allow-trace", "allow tracing", false, e))
		return -1;
	return nsc_ask_signer(n, NKEY_OPERATOR, NULL, e);
}

/* ---- activations */

/* Those of a kind (NULL: all), or the private ones. */
static json_t *exports(struct nsc *n, const char *kind, bool private)
{
	json_t *list = json_object_get(n->ac.nats, "exports"), *out = json_array(), *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		if ((!kind || strcmp(claims_str(v, "type"), kind) == 0) &&
		    (!private || claims_bool(v, "token_req")))
			json_array_append(out, v);
	}
	return out;
}

int nsc_ask_generate_activation(struct nsc *n, struct err *e)
{
	CLEAN(json) json_t *list = exports(n, NULL, true);
	size_t i;

	if (!json_array_size(list))
		return err_set(e, ERR_NOT_FOUND,
			       "account \"%s\" doesn't have exports that require an activation "
			       "token",
			       n->account);
	if (pick(n, "select the export", list, &i, e))
		return -1;
	if (!cli_has(n->c, "subject") &&
	    cli_set(n->c, "subject", claims_str(json_array_get(list, i), "subject"), e))
		return -1;
	if (nsc_ask_option(n, "subject", "subject", NULL, is_subject, e) ||
	    nsc_ask_option(n, "target-account", "target-account public key", NULL, is_account, e) ||
	    nsc_ask_times(n, NULL, e))
		return -1;
	return nsc_ask_signer(n, NKEY_ACCOUNT, NULL, e);
}

/* ---- revocations */

static int ask_at(struct nsc *n, struct err *e)
{
	return cli_has(n->c, "at")
		       ? 0
		       : nsc_ask_option(n, "at",
					"revoke all credentials created before (0 is now, formats "
					"are RFC3339 or #seconds since epoch)",
					"0", NULL, e);
}

static int is_revocable(struct nsc *n, const char *text, struct err *e)
{
	uint8_t raw[32];

	(void)n;
	if (strcmp(text, "*") == 0 || nkey_decode_kind(raw, NKEY_USER, text, NULL) == 0)
		return 0;
	return err_set(e, ERR_BAD_NKEY, "this is no public key of a user, and not '*'");
}

int nsc_ask_revoke_user(struct nsc *n, struct err *e)
{
	CLEAN(json) json_t *users = nsc_users(n, n->account, e);
	bool by_name = false;
	size_t i;

	if (!users)
		return -1;
	if (json_array_size(users) && nsc_ask_yes(n, "Revoke a user by name", true, &by_name, e))
		return -1;
	if (by_name) {
		if (nsc_ask_one(n, "select user to revoke", "", users, &i, e) ||
		    cli_set(n->c, "user-public-key", NULL, e) ||
		    cli_set(n->c, "name", json_string_value(json_array_get(users, i)), e))
			return -1;
	} else if (cli_set(n->c, "name", NULL, e) ||
		   nsc_ask_option(n, "user-public-key",
				  "user-public-key public key or '*' to match any user-public-key",
				  NULL, is_revocable, e)) {
		return -1;
	}
	return ask_at(n, e) || nsc_ask_signer(n, NKEY_OPERATOR, NULL, e) ? -1 : 0;
}

/* Who a key is: a user's or an account's name, from claims that can be read. */
static char *who(struct nsc *n, bool accounts, const char *pub)
{
	CLEAN(json) json_t *names =
		accounts ? nsc_accounts(n, NULL) : nsc_users(n, n->account, NULL);
	json_t *v;
	size_t i;

	if (strcmp(pub, "*") == 0)
		return nsc_path("%s: %s", pub, accounts ? "[All Accounts]" : "All Users");
	json_array_foreach(names, i, v)
	{
		const char *name = json_string_value(v);
		CLEAN(jwt) struct jwt j = {0};

		if (nsc_read(n, &j, accounts ? name : n->account, accounts ? NULL : name, NULL,
			     NULL) == 0 &&
		    strcmp(jwt_str(&j, "sub"), pub) == 0)
			return nsc_path("%s: %s", pub, name);
	}
	return nsc_path("%s: %s", pub, accounts ? "[Unknown Account]" : "[Unknown User]");
}

/* Sets option to one of the keys of a revocation list. */
static int ask_revoked(struct nsc *n, const json_t *list, const char *option, const char *label,
		       bool accounts, struct err *e)
{
	CLEAN(json) json_t *labels = json_array(), *keys = json_array();
	json_t *o = (json_t *)(uintptr_t)list, *v;
	const char *key;
	size_t i;

	json_object_foreach(o, key, v)
	{
		CLEAN(free) char *text = who(n, accounts, key);

		json_array_append_new(keys, json_string(key));
		json_array_append_new(labels, json_string(text ? text : key));
	}
	if (nsc_ask_one(n, label, "", labels, &i, e))
		return -1;
	return cli_set(n->c, option, json_string_value(json_array_get(keys, i)), e);
}

int nsc_ask_unrevoke_user(struct nsc *n, struct err *e)
{
	const json_t *list = json_object_get(n->ac.nats, "revocations");

	if (!json_object_size(list))
		return err_set(e, ERR_NOT_FOUND, "no user revocations set in account %s",
			       n->account);
	if (cli_set(n->c, "name", NULL, e) ||
	    ask_revoked(n, list, "user-public-key", "select revoked user to clear", false, e))
		return -1;
	return nsc_ask_signer(n, NKEY_OPERATOR, NULL, e);
}

/* "is service", and which export; *x is borrowed. */
static int ask_export(struct nsc *n, const json_t **x, struct err *e)
{
	bool service = cli_has(n->c, "service");
	CLEAN(json) json_t *list = NULL;
	size_t i;

	if (nsc_ask_yes(n, "is service", service, &service, e) ||
	    cli_set(n->c, "service", service ? "true" : NULL, e))
		return -1;
	list = exports(n, service ? "service" : "stream", false);
	if (!json_array_size(list))
		return err_set(e, ERR_NOT_FOUND, "account \"%s\" doesn't have %s exports",
			       n->account, service ? "service" : "stream");
	if (pick(n, service ? "select service export" : "select stream export", list, &i, e))
		return -1;
	/* The claims hold it, too. */
	*x = json_array_get(list, i);
	return cli_has(n->c, "subject") ? 0
					: cli_set(n->c, "subject", claims_str(*x, "subject"), e);
}

int nsc_ask_revoke_activation(struct nsc *n, struct err *e)
{
	const json_t *x;

	if (ask_export(n, &x, e) ||
	    nsc_ask_option(n, "target-account",
			   "target-account public key or '*' to match any target-account", NULL,
			   is_target, e) ||
	    ask_at(n, e))
		return -1;
	return nsc_ask_signer(n, NKEY_OPERATOR, NULL, e);
}

int nsc_ask_unrevoke_activation(struct nsc *n, struct err *e)
{
	const json_t *x;

	if (ask_export(n, &x, e))
		return -1;
	const json_t *list = json_object_get(x, "revocations");

	if (!json_object_size(list))
		return err_set(e, ERR_NOT_FOUND, "%s export %s doesn't have revocations",
			       claims_str(x, "type"), claims_str(x, "name"));
	if (ask_revoked(n, list, "target-account", "select account revocation to delete", true, e))
		return -1;
	return nsc_ask_signer(n, NKEY_OPERATOR, NULL, e);
}

/* ---- servers */

static int is_server(struct nsc *n, const char *text, struct err *e)
{
	static const char *const schemes[] = {"http://", "https://", "nats://", "tls://"};

	(void)n;
	for (size_t i = 0; i < 4; i++)
		if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0)
			return 0;
	return err_set(e, ERR_BAD_INPUT, "an http, https, nats or tls URL is needed");
}

int nsc_ask_push(struct nsc *n, struct err *e)
{
	const char *url = jwt_nats_str(&n->op, "account_server_url");
	CLEAN(free) char *account = NULL, *user = NULL;

	if (nsc_ask_option(n, "account-jwt-server-url",
			   "Account Server URL or nats-resolver enabled nats-server URL", url,
			   is_server, e))
		return -1;
	if (cli_str(n->c, "account-jwt-server-url"))
		url = cli_str(n->c, "account-jwt-server-url");
	if (strncasecmp(url, "http", 4) == 0)
		return 0;
	if (!cli_has(n->c, "system-account") && (nsc_ask_account(n, n->account, &account, e) ||
						 cli_set(n->c, "system-account", account, e)))
		return -1;
	if (cli_has(n->c, "system-user"))
		return 0;
	return nsc_ask_user(n, cli_str(n->c, "system-account"), &user, e) ||
			       cli_set(n->c, "system-user", user, e)
		       ? -1
		       : 0;
}

int nsc_ask_pull(struct nsc *n, struct err *e)
{
	CLEAN(free) char *label = nsc_path("pull operator \"%s\" and all accounts", n->op_name);
	CLEAN(free) char *account = NULL;
	bool all;

	if (!label)
		return err_set(e, ERR_NOMEM, NULL);
	if (nsc_ask_yes(n, label, true, &all, e) || cli_set(n->c, "all", all ? "true" : NULL, e))
		return -1;
	if (all)
		return 0;
	return nsc_ask_account(n, n->account, &account, e) || cli_set(n->c, "account", account, e)
		       ? -1
		       : 0;
}

/* ---- init */

static int is_new_operator(struct nsc *n, const char *text, struct err *e)
{
	CLEAN(json) json_t *names = nsc_operators(n, NULL);
	json_t *v;
	size_t i;

	json_array_foreach(names, i, v)
	{
		if (strcmp(json_string_value(v), text) == 0)
			return err_set(e, ERR_EXISTS,
				       "an operator named `%s` already exists in `%s`", text,
				       n->root);
	}
	return nsc_name("operator", text, e);
}

int nsc_ask_init(struct nsc *n, struct err *e)
{
	CLEAN(json) json_t *choices = json_pack("[s,s,s]", "synadia", "Create Operator", "Other");
	const char *name = nsc_name_arg(n->c, "name");
	CLEAN(free) char *random = strcmp(name, "*") == 0 || !*name ? nsc_random_name() : NULL;
	size_t i;

	/* With options it only takes what they say. */
	if (cli_has(n->c, "dir") || *name || cli_has(n->c, "url") ||
	    cli_has(n->c, "remote-operator"))
		return 0;
	if (nsc_ask_option(n, "dir", "enter a configuration directory", n->root, nsc_ask_some, e) ||
	    nsc_ask_one(n, "Select an operator", "Create Operator", choices, &i, e) ||
	    (i == 0 && cli_set(n->c, "remote-operator", "synadia", e)) ||
	    (i == 2 && nsc_ask_option(n, "url", "Operator URL", NULL, is_server, e)))
		return -1;
	if (!random)
		return err_set(e, ERR_NOMEM, NULL);
	if (nsc_ask_option(n, "name",
			   i == 1 ? "name your operator, account and user"
				  : "name your account and user",
			   random, is_new_operator, e))
		return -1;
	return cli_has(n->c, "name") ? 0 : cli_set(n->c, "name", random, e);
}
