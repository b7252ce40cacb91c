/* What each command asks with -i: the original's questions, in its order and with its
 * defaults. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "box/nsc/nsc_ask.h"
#include "box/nsc/nsc_edit.h"
#include "nkey/claims.h"
#include "nkey/jwt_check.h"

/* ---- checks of answers */

static int is_number(struct nsc *n, const char *text, struct err *e)
{
	int64_t v;

	(void)n;
	return nsc_number("the number", text, &v, e);
}

static int is_service_url(struct nsc *n, const char *text, struct err *e)
{
	CLEAN(json) json_t *issues = json_array();

	(void)n;
	jwt_check_service_url(text, issues);
	return jwt_fatal(issues) ? err_set(e, ERR_BAD_INPUT, "%s", jwt_fatal(issues)) : 0;
}

static int key_of(struct nsc *n, const char *text, unsigned kind, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};

	return nsc_key_resolve(n, text, kind, &k, e);
}

static int is_operator_key(struct nsc *n, const char *text, struct err *e)
{
	return key_of(n, text, NKEY_OPERATOR, e);
}

static int is_account_key(struct nsc *n, const char *text, struct err *e)
{
	return key_of(n, text, NKEY_ACCOUNT, e);
}

static int is_user_key(struct nsc *n, const char *text, struct err *e)
{
	return key_of(n, text, NKEY_USER, e);
}

static int is_operator_sk(struct nsc *n, const char *text, struct err *e)
{
	return strcmp(text, "generate") == 0 ? 0 : is_operator_key(n, text, e);
}

static int is_account_sk(struct nsc *n, const char *text, struct err *e)
{
	return strcmp(text, "generate") == 0 ? 0 : is_account_key(n, text, e);
}

/* ---- parts that commands share */

/* "first" and then "another" until no: values of an option. */
static int more(struct nsc *n, const char *option, const char *first, const char *another,
		const char *label, bool def, nsc_check *check, struct err *e)
{
	CLEAN(free) char *value = malloc(NSC_ASK_MAX);
	const char *question = first;
	bool yes;

	if (!value)
		return err_set(e, ERR_NOMEM, NULL);
	for (;;) {
		if (nsc_ask_yes(n, question, def, &yes, e))
			return -1;
		if (!yes)
			return 0;
		if (nsc_ask_text(n, label, "", check, value, e) || cli_set(n->c, option, value, e))
			return -1;
		explicit_bzero(value, NSC_ASK_MAX);
		question = another;
	}
}

/* Some of a list become values of an option. */
static int fewer(struct nsc *n, const char *option, const char *question, bool def,
		 const char *label, const json_t *list, struct err *e)
{
	CLEAN(json) json_t *picked = json_array();
	bool yes;

	if (!json_array_size(list))
		return 0;
	if (nsc_ask_yes(n, question, def, &yes, e))
		return -1;
	if (!yes)
		return 0;
	if (nsc_ask_many(n, label, list, picked, e))
		return -1;
	for (size_t i = 0; i < json_array_size(picked); i++)
		if (cli_set(n->c, option, json_string_value(json_array_get(picked, i)), e))
			return -1;
	return 0;
}

static int ask_generic(struct nsc *n, const struct jwt *j, struct err *e)
{
	const json_t *tags = json_object_get(j->nats, "tags");
	bool have = json_array_size(tags) > 0;

	if (nsc_ask_times(n, j, e) ||
	    fewer(n, "rm-tag", "remove tags", false, "select tags to remove", tags, e))
		return -1;
	return more(n, "tag", have ? "add another tags" : "add a tags", "add another tags",
		    "enter a tags", false, nsc_ask_some, e);
}

static int ask_number(struct nsc *n, const char *option, const json_t *o, const char *key,
		      const char *label, struct err *e)
{
	char def[24];

	(void)snprintf(def, sizeof(def), "%lld", (long long)claims_int(o, key));
	return nsc_ask_option(n, option, label, def, is_number, e);
}

static int ask_signing_keys(struct nsc *n, nsc_check *check, struct err *e)
{
	bool have = cli_has(n->c, "sk");

	return more(n, "sk", have ? "add another signing key" : "add a signing key",
		    "add another signing key", "path to sk nkey or nkey", false, check, e);
}

/* A yes is the option, a no takes it back. */
static int ask_flag(struct nsc *n, const char *option, const char *label, bool def, struct err *e)
{
	bool yes;

	if (nsc_ask_yes(n, label, def, &yes, e))
		return -1;
	return cli_set(n->c, option, yes ? "true" : NULL, e);
}

/* The option says true or false: for those whose default is true. */
static int ask_bool(struct nsc *n, const char *option, const char *label, bool def, struct err *e)
{
	bool yes;

	if (nsc_ask_yes(n, label, def, &yes, e))
		return -1;
	return cli_set(n->c, option, yes ? "true" : "false", e);
}

/* ---- add */

/* "generate an … nkey", or which. */
static int ask_key(struct nsc *n, const char *option, const char *what, nsc_check *check,
		   struct err *e)
{
	CLEAN(free) char *generate = nsc_path("generate an %s nkey", what);
	CLEAN(free) char *path = nsc_path("path to an %s nkey or nkey", what);
	bool yes;

	if (!generate || !path)
		return err_set(e, ERR_NOMEM, NULL);
	if (nsc_ask_yes(n, generate, true, &yes, e))
		return -1;
	return yes ? cli_set(n->c, option, NULL, e)
		   : nsc_ask_option(n, option, path, NULL, check, e);
}

/* Option name, of which an operand is the other form. */
static int ask_name(struct nsc *n, const char *label, struct err *e)
{
	return nsc_ask_option(n, "name", label, nsc_name_arg(n->c, "name"), nsc_ask_some, e);
}

static int ask_add_operator(struct nsc *n, struct err *e)
{
	bool import;

	if (nsc_ask_yes(n, "import operator from a JWT", true, &import, e))
		return -1;
	if (import)
		return cli_set(n->c, "sys", NULL, e) ||
				       nsc_ask_option(n, "url", "path or url for operator jwt",
						      NULL, nsc_ask_some, e)
			       ? -1
			       : 0;
	if (cli_set(n->c, "url", NULL, e) || ask_name(n, "operator name", e) ||
	    nsc_ask_times(n, NULL, e) || ask_flag(n, "sys", "Generate system account?", true, e) ||
	    ask_flag(n, "generate-signing-key", "Generate signing key?", true, e))
		return -1;
	return ask_key(n, "private-key", "operator", is_operator_key, e);
}

static int ask_add_account(struct nsc *n, struct err *e)
{
	if (ask_name(n, "account name", e) ||
	    ask_key(n, "public-key", "account", is_account_key, e) || nsc_ask_times(n, NULL, e))
		return -1;
	return nsc_ask_signer(n, NKEY_OPERATOR, "select the key to sign the account", e);
}

static int ask_add_user(struct nsc *n, struct err *e)
{
	if (ask_name(n, "user name", e) || ask_key(n, "public-key", "user", is_user_key, e) ||
	    nsc_ask_times(n, NULL, e))
		return -1;
	return nsc_ask_signer(n, NKEY_ACCOUNT, "select the key to sign the user", e);
}

/* ---- edit */

static int ask_edit_operator(struct nsc *n, struct err *e)
{
	const json_t *urls = json_object_get(n->op.nats, "operator_service_urls");
	CLEAN(free) char *account = NULL;
	bool yes;

	if (ask_generic(n, &n->op, e) ||
	    nsc_ask_option(n, "account-jwt-server-url", "account jwt server url",
			   jwt_nats_str(&n->op, "account_server_url"), NULL, e) ||
	    more(n, "service-url", "add a service url", "add another service url",
		 "operator service url", true, is_service_url, e) ||
	    fewer(n, "rm-service-url", "remove any service urls", true,
		  "select service urls to remove", urls, e) ||
	    nsc_ask_yes(n, "Set system account", false, &yes, e))
		return -1;
	if (yes && (nsc_ask_account(n, n->account, &account, e) ||
		    cli_set(n->c, "system-account", account, e)))
		return -1;
	if (ask_signing_keys(n, is_operator_sk, e))
		return -1;
	return nsc_ask_signer(n, NKEY_OPERATOR, NULL, e);
}

struct number {
	const char *option, *key, *label;
};

static int ask_numbers(struct nsc *n, const struct number *rows, size_t count, const json_t *o,
		       struct err *e)
{
	for (size_t i = 0; i < count; i++)
		if (ask_number(n, rows[i].option, o, rows[i].key, rows[i].label, e))
			return -1;
	return 0;
}

static int is_tier(struct nsc *n, const char *text, struct err *e)
{
	const json_t *l = json_object_get(n->ac.nats, "limits");
	bool tiers = json_object_size(json_object_get(l, "tiered_limits")) > 0;
	int64_t v;

	if (nsc_number("the tier", text, &v, e))
		return -1;
	if (v < 0)
		return err_set(e, ERR_BAD_INPUT, "replication must be 0 or greater");
	if (v == 0 && tiers)
		return err_set(e, ERR_BAD_INPUT,
			       "configuration has tier limits - global limits are not allowed");
	if (v > 0 && !tiers && nsc_jetstream(n->ac.nats))
		return err_set(e, ERR_BAD_INPUT,
			       "configuration has global limits - tiered limits are not allowed");
	return 0;
}

static int ask_jetstream(struct nsc *n, struct err *e)
{
	static const struct number storage[] = {
		{"js-mem-storage", "mem_storage", "max mem storage (-1 unlimited / 0 disabled)"},
		{"js-disk-storage", "disk_storage", "max disk storage (-1 unlimited / 0 disabled)"},
	};
	static const struct number rest[] = {
		{"js-streams", "streams", "max streams (-1 unlimited)"},
		{"js-consumer", "consumer", "max consumer (-1 unlimited)"},
		{"js-max-mem-stream", "mem_max_stream_bytes",
		 "max size for a memory stream (-1 unlimited)"},
		{"js-max-disk-stream", "disk_max_stream_bytes",
		 "max size for a disk stream (-1 unlimited)"},
		{"js-max-ack-pending", "max_ack_pending",
		 "max number of pending acks for a consumer"},
	};
	const json_t *l = json_object_get(n->ac.nats, "limits");
	const json_t *tiers = json_object_get(l, "tiered_limits");
	char tier[24];
	bool yes;

	if (nsc_ask_yes(n, "set JetStream limits", false, &yes, e))
		return -1;
	if (!yes)
		return 0;
	if (nsc_ask_option(n, "js-tier", "edit tier (0 matches all tiers)", "0", is_tier, e))
		return -1;
	(void)snprintf(tier, sizeof(tier), "R%.20s",
		       cli_str(n->c, "js-tier") ? cli_str(n->c, "js-tier") : "0");
	if (json_object_get(tiers, tier))
		l = json_object_get(tiers, tier);
	else if (strcmp(tier, "R0") != 0)
		l = NULL;
	if (ask_numbers(n, storage, 2, l, e))
		return -1;
	bool some_storage = claims_int(l, "mem_storage") || claims_int(l, "disk_storage") ||
			    cli_has(n->c, "js-mem-storage") || cli_has(n->c, "js-disk-storage");

	if (!some_storage)
		return 0;
	if (ask_numbers(n, rest, sizeof(rest) / sizeof(rest[0]), l, e))
		return -1;
	return ask_flag(n, "js-max-bytes-required", "require max bytes when creating a stream",
			false, e);
}

static int ask_trace(struct nsc *n, struct err *e)
{
	const json_t *t = json_object_get(n->ac.nats, "trace");
	bool yes;

	if (nsc_ask_yes(n, "Enable context tracing?", false, &yes, e))
		return -1;
	if (!yes)
		return 0;
	if (nsc_ask_option(n, "trace-context-subject", "Trace context subject?",
			   claims_str(t, "dest"), NULL, e))
		return -1;
	return ask_number(n, "trace-context-sampling", t, "sampling",
			  "Trace context sampling rate [1-100]", e);
}

static int ask_edit_account(struct nsc *n, struct err *e)
{
	static const struct number rows[] = {
		{"conns", "conn", "max connections (-1 unlimited)"},
		{"leaf-conns", "leaf", "max leaf node connections (-1 unlimited)"},
		{"data", "data", "max data (-1 unlimited)"},
		{"exports", "exports", "max exports (-1 unlimited)"},
		{"imports", "imports", "max imports (-1 unlimited)"},
		{"payload", "payload", "max payload (-1 unlimited)"},
		{"subscriptions", "subs", "max subscriptions (-1 unlimited)"},
	};

	if (ask_signing_keys(n, is_account_sk, e) ||
	    ask_numbers(n, rows, sizeof(rows) / sizeof(rows[0]),
			json_object_get(n->ac.nats, "limits"), e) ||
	    ask_jetstream(n, e) || ask_generic(n, &n->ac, e) ||
	    nsc_ask_signer(n, NKEY_OPERATOR, NULL, e) ||
	    nsc_ask_option(n, "description", "Account Description",
			   jwt_nats_str(&n->ac, "description"), NULL, e) ||
	    nsc_ask_option(n, "info-url", "Info url", jwt_nats_str(&n->ac, "info_url"), NULL, e))
		return -1;
	return ask_trace(n, e);
}

static int ask_edit_user(struct nsc *n, struct err *e)
{
	CLEAN(free) char *name =
		*nsc_name_arg(n->c, "name") ? strdup(nsc_name_arg(n->c, "name")) : NULL;
	CLEAN(jwt) struct jwt j = {0};

	if (!name && nsc_ask_user(n, n->account, &name, e))
		return -1;
	if (nsc_name("user", name, e) || cli_set(n->c, "name", name, e) ||
	    nsc_ask_signer(n, NKEY_ACCOUNT, "select the key to sign the user", e) ||
	    nsc_read(n, &j, n->account, name, NULL, e) ||
	    ask_number(n, "payload", j.nats, "payload", "max payload (-1 unlimited)", e))
		return -1;
	return ask_generic(n, &j, e);
}

/* ---- delete */

static int go_on(struct nsc *n, const char *label, struct err *e)
{
	bool yes;

	if (nsc_ask_yes(n, label, false, &yes, e))
		return -1;
	return yes ? 0 : err_set(e, ERR_USAGE, "delete cancelled");
}

static int ask_delete_account(struct nsc *n, struct err *e)
{
	CLEAN(json) json_t *users = nsc_users(n, n->account, e);

	if (!users || cli_set(n->c, "name", n->account, e) ||
	    ask_bool(n, "revoke", "revoke all account users before deleting", true, e) ||
	    ask_bool(n, "rm-nkey", "delete associated account and user nkeys", false, e) ||
	    ask_bool(n, "rm-creds", "delete associated user creds files", false, e))
		return -1;
	if (n->managed && (go_on(n,
				 "managed accounts may require the account JWT or nkeys to cancel "
				 "a service - continue",
				 e) ||
			   cli_set(n->c, "force", "true", e)))
		return -1;
	return go_on(n,
		     json_array_size(users)
			     ? "deleting accounts, users, nkeys or creds files cannot be undone - "
			       "continue"
			     : "deleting account or account nkey files cannot be undone - continue",
		     e);
}

static int ask_delete_user(struct nsc *n, struct err *e)
{
	CLEAN(json) json_t *users = nsc_users(n, n->account, e), *picked = json_array();

	if (!users)
		return -1;
	if (!json_array_size(users))
		return err_set(e, ERR_NOT_FOUND,
			       "account \"%s\" doesn't have any users - add one first", n->account);
	if (nsc_ask_many(n, "select users", users, picked, e))
		return -1;
	bool many = json_array_size(picked) > 1;

	/* The answer is all: what was typed does not count. */
	n->c->argc = 0;
	cli_drop(n->c, "name");
	for (size_t i = 0; i < json_array_size(picked); i++)
		if (cli_set(n->c, "name", json_string_value(json_array_get(picked, i)), e))
			return -1;
	if (ask_bool(n, "revoke",
		     many ? "revoke users before deleting" : "revoke user before deleting", false,
		     e) ||
	    ask_bool(n, "rm-nkey", many ? "delete associated nkeys" : "delete associated nkey",
		     false, e) ||
	    ask_bool(n, "rm-creds",
		     many ? "delete associated creds files" : "delete associated creds file", false,
		     e) ||
	    go_on(n,
		  many ? "deleting users, nkeys or creds files cannot be undone - continue"
		       : "deleting a user, nkey or creds file cannot be undone - continue",
		  e))
		return -1;
	return nsc_ask_signer(n, NKEY_OPERATOR, NULL, e);
}

static int ask_generate_creds(struct nsc *n, struct err *e)
{
	CLEAN(free) char *user = NULL;

	return nsc_ask_user(n, n->account, &user, e) || cli_set(n->c, "name", user, e) ? -1 : 0;
}

/* ---- the table */

static const struct {
	cli_run *run;
	nsc_questions *ask;
} rows[] = {
	{nsc_init, nsc_ask_init},
	{nsc_add_operator, ask_add_operator},
	{nsc_add_account, ask_add_account},
	{nsc_add_user, ask_add_user},
	{nsc_add_export, nsc_ask_add_export},
	{nsc_add_import, nsc_ask_add_import},
	{nsc_edit_operator, ask_edit_operator},
	{nsc_edit_account, ask_edit_account},
	{nsc_edit_user, ask_edit_user},
	{nsc_edit_export, nsc_ask_edit_export},
	{nsc_delete_account, ask_delete_account},
	{nsc_delete_user, ask_delete_user},
	{nsc_delete_export, nsc_ask_delete_export},
	{nsc_delete_import, nsc_ask_delete_import},
	{nsc_generate_creds, ask_generate_creds},
	{nsc_generate_activation, nsc_ask_generate_activation},
	{nsc_revoke_user, nsc_ask_revoke_user},
	{nsc_unrevoke_user, nsc_ask_unrevoke_user},
	{nsc_revoke_activation, nsc_ask_revoke_activation},
	{nsc_unrevoke_activation, nsc_ask_unrevoke_activation},
	{nsc_push, nsc_ask_push},
	{nsc_pull, nsc_ask_pull},
};

int nsc_interactive(struct nsc *n, enum nsc_need need, const char *account, struct err *e)
{
	CLEAN(free) char *picked = NULL;
	nsc_questions *ask = NULL;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].run == n->c->cmd->run)
			ask = rows[i].ask;
	/* Other commands ask nothing there, or only for the account. */
	if (need == NSC_ACCOUNT && n->c->cmd->run != nsc_add_mapping &&
	    n->c->cmd->run != nsc_edit_signing_key) {
		if (nsc_ask_account(n, account ? account : n->account, &picked, e))
			return -1;
		account = picked;
	}
	if (need == NSC_ACCOUNT && nsc_use_account(n, account, e))
		return -1;
	return ask ? ask(n, e) : 0;
}
