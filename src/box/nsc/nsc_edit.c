/* nsc edit operator, user, signing-key, and the account apart from JetStream. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_edit.h"
#include "box/nsc/nsc_server.h"
#include "nkey/claims.h"
#include "nkey/jwt_check.h"

/* Whether an edit was asked for: any option of the command but those that only say what
 * is edited. */
static int something(const struct cli *c, struct err *e)
{
	static const char *const others[] = {"account", "name", "sk", NULL};
	bool sk_counts = strstr(c->cmd->path, "signing-key") == NULL;

	if (cli_has(c, "interactive"))
		return 0;

	for (const struct cli_opt *o = c->cmd->opts; o && o->name; o++) {
		bool other = false;

		for (size_t i = 0; others[i]; i++)
			other |= strcmp(o->name, others[i]) == 0;
		if (sk_counts && strcmp(o->name, "sk") == 0)
			other = false;
		if (!other && cli_has(c, o->name))
			return 0;
	}
	return cli_usage(e, "specify an edit option");
}

struct keys {
	struct nsc *n;
	json_t *nats;
	enum nkey_kind kind;
};

static int add_key(void *arg, const char *value, struct err *e)
{
	const struct keys *x = arg;
	char pub[NKEY_PUB_LEN];

	if (nsc_key_option(x->n, value, x->kind, pub, e))
		return -1;
	if (x->kind == NKEY_OPERATOR)
		claims_add(x->nats, "signing_keys", pub);
	else
		claims_add_signer(x->nats, pub);
	nsc_ok(x->n, "added signing key \"%s\"", pub);
	return 0;
}

static int remove_key(void *arg, const char *value, struct err *e)
{
	const struct keys *x = arg;
	const char *role = x->kind == NKEY_ACCOUNT ? claims_role_key(x->nats, value) : NULL;
	CLEAN(free) char *key = strdup(role ? role : value);
	bool there = key && (x->kind == NKEY_OPERATOR ? claims_remove(x->nats, "signing_keys", key)
						      : claims_remove_signer(x->nats, key));

	/* The original says that it removed what was never there. */
	if (!there)
		return err_set(e, ERR_NOT_FOUND, "\"%.60s\" is no signing key of it", value);
	nsc_ok(x->n, "removed signing key \"%s\"", key);
	return 0;
}

int nsc_edit_keys(struct nsc *n, json_t *nats, enum nkey_kind kind, struct err *e)
{
	struct keys x = {n, nats, kind};

	return nsc_each(n->c, "sk", add_key, &x, e) || nsc_each(n->c, "rm-sk", remove_key, &x, e)
		       ? -1
		       : 0;
}

/* ---- operator */

struct urls {
	struct nsc *n;
	bool add;
};

static int service_url(void *arg, const char *value, struct err *e)
{
	const struct urls *x = arg;
	CLEAN(json) json_t *issues = json_array();
	CLEAN(free) char *url = strdup(value);

	if (!url)
		return err_set(e, ERR_NOMEM, NULL);
	for (char *p = url; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	if (x->add) {
		jwt_check_service_url(value, issues);
		if (jwt_fatal(issues))
			return err_set(e, ERR_BAD_INPUT, "%s", jwt_fatal(issues));
		claims_add(x->n->op.nats, "operator_service_urls", url);
	} else {
		claims_remove(x->n->op.nats, "operator_service_urls", url);
	}
	nsc_ok(x->n, "%s service url \"%s\"", x->add ? "added" : "removed", value);
	return 0;
}

/* An account that JetStream is enabled for cannot be the system's. */
static int set_system(struct nsc *n, struct err *e)
{
	const char *text = cli_str(n->c, "system-account");
	CLEAN(jwt) struct jwt j = {0};
	char pub[NKEY_PUB_LEN];

	if (!text || !*text)
		return 0;
	if (nsc_account_key(n, text, false, pub, e))
		return -1;
	if (strcmp(text, pub) != 0 && nsc_read(n, &j, text, NULL, NULL, e))
		return -1;
	if (j.root && nsc_jetstream(j.nats))
		return err_set(e, ERR_BAD_INPUT,
			       "system accounts cannot have JetStream limits - run \"nsc edit "
			       "account %s --js-disable\" first",
			       text);
	if (strcmp(pub, jwt_nats_str(&n->op, "system_account")) != 0) {
		claims_set_str(n->op.nats, "system_account", pub);
		nsc_ok(n, "set system account \"%s\"", pub);
	}
	return 0;
}

/* Before an operator becomes strict, all must be signed with signing keys. */
static int check_strict(struct nsc *n, struct err *e)
{
	CLEAN(json) json_t *accounts = nsc_accounts(n, e);
	json_t *a, *u;
	size_t i, k;

	if (!accounts)
		return -1;
	json_array_foreach(accounts, i, a)
	{
		const char *name = json_string_value(a);
		CLEAN(json) json_t *users = nsc_users(n, name, e);
		CLEAN(jwt) struct jwt ac = {0};

		if (!users || nsc_read(n, &ac, name, NULL, NULL, e))
			return -1;
		if (strcmp(jwt_str(&ac, "iss"), jwt_str(&n->op, "sub")) == 0)
			return err_set(e, ERR_BAD_INPUT,
				       "account \"%s\" needs to be issued with a signing key first",
				       name);
		json_array_foreach(users, k, u)
		{
			CLEAN(jwt) struct jwt uc = {0};

			if (nsc_read(n, &uc, name, json_string_value(u), NULL, e))
				return -1;
			if (strcmp(jwt_str(&uc, "iss"), jwt_str(&ac, "sub")) == 0)
				return err_set(e, ERR_BAD_INPUT,
					       "user \"%s\" in account \"%s\" needs to be issued "
					       "with a signing key first",
					       json_string_value(u), name);
		}
	}
	return 0;
}

static int edit_strict(struct nsc *n, struct err *e)
{
	bool was = claims_bool(n->op.nats, "strict_signing_key_usage"), now = was;

	if (nsc_bool(n->c, "require-signing-keys", &now, e) || (now && check_strict(n, e)))
		return -1;
	if (now != was) {
		claims_set_bool(n->op.nats, "strict_signing_key_usage", now);
		nsc_ok(n, "strict signing key usage set to: %s", now ? "true" : "false");
	}
	if (now && !json_array_size(json_object_get(n->op.nats, "signing_keys")))
		return err_set(e, ERR_BAD_INPUT, "operator requires at least one signing key");
	return 0;
}

static int edit_operator(struct nsc *n, struct err *e)
{
	const char *url = cli_str(n->c, "account-jwt-server-url");
	CLEAN(nkey) struct nkey signer = {0};
	struct urls add = {n, true}, rm = {n, false};
	bool drop = false;

	/* Strict operators too sign themselves with their identity key. */
	if (cli_has(n->c, "private-key") ? nsc_signer(n, NKEY_OPERATOR, NULL, &signer, e)
					 : nsc_key_load(n, jwt_str(&n->op, "sub"), &signer, NULL) &&
						   nsc_signer(n, NKEY_OPERATOR, NULL, &signer, e))
		return -1;
	if (nsc_apply_times(n, &n->op, true, e) || nsc_apply_tags(n, &n->op, e) ||
	    nsc_edit_keys(n, n->op.nats, NKEY_OPERATOR, e) || edit_strict(n, e) ||
	    nsc_bool(n->c, "rm-account-jwt-server-url", &drop, e))
		return -1;
	if (url) {
		claims_set_str(n->op.nats, "account_server_url", url);
		nsc_ok(n, "set account jwt server url to \"%s\"", url);
	}
	if (drop) {
		claims_set_str(n->op.nats, "account_server_url", "");
		nsc_ok(n, "removed account server url");
	}
	if (url && *url && !drop && !strchr(url, ':'))
		return err_set(e, ERR_BAD_INPUT, "account server url \"%s\" requires a protocol",
			       url);
	if (set_system(n, e) || nsc_each(n->c, "service-url", service_url, &add, e) ||
	    nsc_each(n->c, "rm-service-url", service_url, &rm, e) ||
	    nsc_write(n, &n->op, &signer, NULL, NULL, e))
		return -1;
	nsc_ok(n, "edited operator \"%s\"", jwt_str(&n->op, "name"));
	return 0;
}

int nsc_edit_operator(struct cli *c, struct err *e)
{
	CLEAN(nsc) struct nsc n = {0};

	if (something(c, e) || nsc_begin(&n, c, NSC_OPERATOR, NULL, e) || edit_operator(&n, e))
		return -1;
	return nsc_report(&n, e);
}

/* ---- account */

static int general_limits(struct nsc *n, struct err *e)
{
	static const struct {
		const char *key, *option, *said;
	} rows[] = {
		{"conn", "conns", "changed max connections to %d"},
		{"leaf", "leaf-conns", "changed leaf node connections to %d"},
		{"data", "data", "changed max data to %d bytes"},
		{"exports", "exports", "changed max exports to %d"},
		{"imports", "imports", "changed max imports to %d"},
		{"payload", "payload", "changed max payload size to %d"},
		{"subs", "subscriptions", "changed max subscriptions to %d"},
	};
	json_t *limits = claims_obj(n->ac.nats, "limits");
	bool wild = false, bearer = false;

	for (size_t i = 0; i < 4; i++)
		if (nsc_limit(n, limits, rows[i].key, rows[i].option, rows[i].said, e))
			return -1;
	/* The original sets both to their defaults when they are not given: an edit of
	 * something else would let bearer tokens in again. */
	if (nsc_bool(n->c, "wildcard-exports", &wild, e) ||
	    nsc_bool(n->c, "disallow-bearer", &bearer, e))
		return -1;
	if (cli_has(n->c, "wildcard-exports")) {
		claims_set_bool(limits, "wildcards", wild);
		nsc_ok(n, "changed wild card exports to %s", wild ? "true" : "false");
	}
	if (cli_has(n->c, "disallow-bearer")) {
		claims_set_bool(limits, "disallow_bearer", bearer);
		nsc_ok(n, "changed disallow bearer to %s", bearer ? "true" : "false");
	}
	for (size_t i = 4; i < 7; i++)
		if (nsc_limit(n, limits, rows[i].key, rows[i].option, rows[i].said, e))
			return -1;
	return 0;
}

static int no_bearers(struct nsc *n, struct err *e)
{
	CLEAN(json) json_t *users = nsc_users(n, n->account, e);
	bool disallow = false;
	json_t *v;
	size_t i;

	if (!users || nsc_bool(n->c, "disallow-bearer", &disallow, e))
		return -1;
	json_array_foreach(users, i, v)
	{
		CLEAN(jwt) struct jwt j = {0};

		if (!disallow)
			break;
		if (nsc_read(n, &j, n->account, json_string_value(v), NULL, e))
			return -1;
		if (claims_bool(j.nats, "bearer_token"))
			return err_set(e, ERR_BAD_INPUT,
				       "user \"%s\" in account \"%s\" uses bearer token (needs to "
				       "be deleted/changed first)",
				       json_string_value(v), n->account);
	}
	return 0;
}

static int edit_trace(struct nsc *n, struct err *e)
{
	const char *subject = cli_str(n->c, "trace-context-subject");
	const char *sampling = cli_str(n->c, "trace-context-sampling");
	CLEAN(json) json_t *issues = json_array();
	int64_t rate;

	if (subject && !*subject) {
		json_object_del(n->ac.nats, "trace");
		nsc_ok(n, "disabled trace context");
	} else if (subject) {
		jwt_check_subject(subject, issues);
		if (jwt_fatal(issues))
			return err_set(e, ERR_BAD_INPUT, "%s", jwt_fatal(issues));
		if (claims_subject_wild(subject))
			return err_set(e, ERR_BAD_INPUT,
				       "tracing subjects cannot contain wildcards: \"%s\"",
				       subject);
		json_object_set_new(n->ac.nats, "trace", json_pack("{s:s}", "dest", subject));
		nsc_ok(n, "changed trace context subject to \"%s\"", subject);
	}
	if (!sampling)
		return 0;
	if (nsc_number("trace-context-sampling", sampling, &rate, e))
		return -1;
	if (!json_object_get(n->ac.nats, "trace"))
		return err_set(e, ERR_BAD_INPUT, "trace-context-sampling requires a subject");
	if (rate < 0 || rate > 100)
		return err_set(e, ERR_BAD_INPUT, "tracing sampling rate must be between 1-100");
	claims_set_int(json_object_get(n->ac.nats, "trace"), "sampling", rate);
	nsc_ok(n, "changed trace context sampling to %lld%%", (long long)rate);
	return 0;
}

static void edit_text(struct nsc *n, const char *option, const char *member, const char *said)
{
	const char *v = cli_str(n->c, option);

	if (!v)
		return;
	CLEAN(json) json_t *quoted = json_string(v);
	char *text = json_dumps(quoted, JSON_ENCODE_ANY);

	claims_set_str(n->ac.nats, member, v);
	nsc_ok(n, "changed %s to %s", said, text ? text : "");
	free(text);
}

static int edit_account(struct nsc *n, struct err *e)
{
	CLEAN(nkey) struct nkey signer = {0};
	bool owner = false;

	if (nsc_signer(n, NKEY_OPERATOR, jwt_str(&n->ac, "iss"), &signer, e) || no_bearers(n, e) ||
	    nsc_edit_keys(n, n->ac.nats, NKEY_ACCOUNT, e) || nsc_apply_times(n, &n->ac, true, e) ||
	    nsc_apply_tags(n, &n->ac, e) || general_limits(n, e) || nsc_edit_jetstream(n, e))
		return -1;
	edit_text(n, "description", "description", "description");
	edit_text(n, "info-url", "info_url", "info url");
	if (nsc_apply_permissions(n, claims_obj(n->ac.nats, "default_permissions"), e) ||
	    edit_trace(n, e) || nsc_bool(n->c, "host-cluster-traffic", &owner, e))
		return -1;
	if (cli_has(n->c, "host-cluster-traffic")) {
		claims_set_str(n->ac.nats, "cluster_traffic", owner ? "owner" : "");
		nsc_ok(n, "%s routing of JetStream cluster traffic through this account",
		       owner ? "enabled" : "disabled");
	}
	if (nsc_write_account(n, &signer, e))
		return -1;
	nsc_ok(n, "edited account \"%s\"", n->account);
	return 0;
}

int nsc_edit_account(struct cli *c, struct err *e)
{
	const char *name = nsc_name_arg(c, "name");
	CLEAN(nsc) struct nsc n = {0};

	if (something(c, e) || nsc_begin(&n, c, NSC_ACCOUNT, *name ? name : NULL, e) ||
	    edit_account(&n, e))
		return -1;
	return nsc_report(&n, e);
}

/* ---- user */

static int edit_user(struct nsc *n, const char *name, struct err *e)
{
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(jwt) struct jwt j = {0};
	char by[NKEY_PUB_LEN];

	if (!nsc_has(n, n->account, name))
		return err_set(e, ERR_NOT_FOUND, "user \"%s\" not found", name);
	if (nsc_read(n, &j, n->account, name, NULL, e) ||
	    nsc_signer(n, NKEY_ACCOUNT, jwt_str(&j, "iss"), &signer, e) ||
	    nsc_apply_times(n, &j, true, e) || nsc_apply_tags(n, &j, e) ||
	    nsc_apply_user_limits(n, j.nats, e))
		return -1;
	if (claims_bool(j.nats, "bearer_token") &&
	    claims_bool(json_object_get(n->ac.nats, "limits"), "disallow_bearer"))
		return err_set(e, ERR_DENIED, "account disallows bearer token");
	nkey_pub_text(&signer, by);
	if (strcmp(by, jwt_str(&n->ac, "sub")) != 0)
		claims_set_str(j.nats, "issuer_account", jwt_str(&n->ac, "sub"));
	if (claims_scope(n->ac.nats, by) && !nsc_user_is_empty(j.nats))
		return err_set(e, ERR_BAD_INPUT,
			       "scoped users require no permissions or limits set: user was NOT "
			       "edited as the edits conflict with signing key scope");
	if (nsc_write(n, &j, &signer, n->account, name, e) ||
	    nsc_write_creds(n, n->account, name, e))
		return -1;
	nsc_ok(n, "edited user \"%s\"", name);
	return 0;
}

int nsc_edit_user(struct cli *c, struct err *e)
{
	CLEAN(nsc) struct nsc n = {0};

	if (something(c, e) || nsc_begin(&n, c, NSC_ACCOUNT, cli_str(c, "account"), e))
		return -1;
	const char *name = nsc_name_arg(c, "name");
	CLEAN(free) char *only = *name ? strdup(name) : nsc_only_user(&n, n.account, e);

	if (!only)
		return *name ? err_set(e, ERR_NOMEM, NULL) : -1;
	if (nsc_name("user", only, e) || edit_user(&n, only, e))
		return -1;
	return nsc_report(&n, e);
}

/* ---- signing key */

/* The key that --sk, the operand or --role means. */
static int which_key(struct nsc *n, char pub[static NKEY_PUB_LEN], struct err *e)
{
	const char *text = nsc_name_arg(n->c, "sk"), *role = cli_str(n->c, "role");
	const char *key = *text	 ? claims_role_key(n->ac.nats, text)
			  : role ? claims_role_key(n->ac.nats, role)
				 : NULL;

	if (!*text && !key)
		return cli_usage(e, "signing key is required");
	if (key) {
		(void)snprintf(pub, NKEY_PUB_LEN, "%s", key);
		return 0;
	}
	return nsc_key_option(n, text, NKEY_ACCOUNT, pub, e);
}

int nsc_edit_signing_key(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};
	char pub[NKEY_PUB_LEN];

	if (nsc_begin(&n, c, NSC_ACCOUNT, cli_str(c, "account"), e) ||
	    nsc_signer(&n, NKEY_OPERATOR, jwt_str(&n.ac, "iss"), &signer, e) ||
	    which_key(&n, pub, e))
		return -1;
	bool fresh = !claims_scope(n.ac.nats, pub);
	json_t *scope = claims_make_scope(n.ac.nats, pub);

	if (!scope)
		return err_set(e, ERR_NOMEM, NULL);
	if (fresh) {
		/* As the original: limits of a key that becomes scoped start at none. */
		json_t *t = claims_obj(scope, "template");

		claims_set_int(t, "subs", 0);
		claims_set_int(t, "data", 0);
		claims_set_int(t, "payload", 0);
	}
	if (cli_has(c, "role"))
		claims_set_str(scope, "role", cli_str(c, "role"));
	if (cli_has(c, "description"))
		claims_set_str(scope, "description", cli_str(c, "description"));
	if (nsc_apply_user_limits(&n, claims_obj(scope, "template"), e) ||
	    nsc_write_account(&n, &signer, e))
		return -1;
	nsc_ok(&n, "edited signing key \"%s\"", pub);
	return nsc_report(&n, e);
}
