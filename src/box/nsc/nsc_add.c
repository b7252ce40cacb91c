/* nsc init, nsc add operator, account and user. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_server.h"
#include "crypto/crypto.h"
#include "nkey/claims.h"

/* Option --name or the operand; "*" is a random name. Free it. */
static char *new_name(const struct cli *c, const char *kind, struct err *e)
{
	const char *v = nsc_name_arg(c, "name");
	CLEAN(free) char *name = strcmp(v, "*") == 0 ? nsc_random_name() : strdup(v);

	if (!name) {
		err_set(e, ERR_NOMEM, NULL);
		return NULL;
	}
	return nsc_name(kind, name, e) ? NULL : STEAL(name);
}

static json_t *system_exports(void)
{
	static const char url[] = "https://docs.nats.io/nats-server/configuration/sys_accounts";

	return json_pack("[{s:s,s:s,s:s,s:s,s:i,s:s,s:s},{s:s,s:s,s:s,s:i,s:s,s:s}]", "name",
			 "account-monitoring-services", "subject", "$SYS.REQ.ACCOUNT.*.*", "type",
			 "service", "response_type", "Stream", "account_token_position", 4,
			 "description",
			 "Request account specific monitoring services for: SUBSZ, CONNZ, LEAFZ, "
			 "JSZ and INFO",
			 "info_url", url, "name", "account-monitoring-streams", "subject",
			 "$SYS.ACCOUNT.*.>", "type", "stream", "account_token_position", 3,
			 "description", "Account specific monitoring stream", "info_url", url);
}

/* A fresh pair in the keystore and claims of its kind under this name. */
static int fresh(struct nsc *n, enum jwt_kind what, enum nkey_kind kind, const char *name,
		 struct nkey *k, struct jwt *j, struct err *e)
{
	char pub[NKEY_PUB_LEN];

	if (nsc_key_make(n, kind, k, e))
		return -1;
	nkey_pub_text(k, pub);
	if (jwt_new(j, what, pub, e))
		return -1;
	claims_set_str(j->root, "name", name);
	return 0;
}

int nsc_make_system(struct nsc *n, const struct nkey *signer, char pub[static NKEY_PUB_LEN],
		    char user[static NKEY_PUB_LEN], struct err *e)
{
	CLEAN(nkey) struct nkey acc = {0}, sig = {0}, usr = {0};
	CLEAN(jwt) struct jwt account = {0}, sys = {0};
	char sk[NKEY_PUB_LEN];

	if (nsc_key_make(n, NKEY_ACCOUNT, &sig, e) ||
	    fresh(n, JWT_ACCOUNT, NKEY_ACCOUNT, "SYS", &acc, &account, e) ||
	    fresh(n, JWT_USER, NKEY_USER, "sys", &usr, &sys, e))
		return -1;
	nkey_pub_text(&sig, sk);
	nkey_pub_text(&acc, pub);
	nkey_pub_text(&usr, user);
	claims_add_signer(account.nats, sk);
	json_object_set_new(account.nats, "exports", system_exports());
	claims_set_str(sys.nats, "issuer_account", pub);
	if (nsc_write(n, &account, signer, "SYS", NULL, e) ||
	    nsc_write(n, &sys, &sig, "SYS", "sys", e))
		return -1;
	return nsc_write_creds(n, "SYS", "sys", e);
}

/* The report of nsc_write_creds, said in other words. */
static void creds_stored(struct nsc *n, size_t at, const char *what, const char *account,
			 const char *user)
{
	CLEAN(free) char *path = nsc_creds_path(n, account, user);
	CLEAN(free) char *shown = path ? nsc_abbrev(path) : NULL;

	json_array_remove(n->report, at);
	nsc_ok(n, "%s creds file stored in `%s`", what, shown ? shown : "");
}

static int system_account(struct nsc *n, const struct nkey *signer, struct err *e)
{
	char pub[NKEY_PUB_LEN], user[NKEY_PUB_LEN];
	size_t at = json_array_size(n->report);

	if (nsc_make_system(n, signer, pub, user, e))
		return -1;
	claims_set_str(n->op.nats, "system_account", pub);
	nsc_ok(n, "created system_account: name:SYS id:%s", pub);
	nsc_ok(n, "created system account user: name:sys id:%s", user);
	creds_stored(n, at, "system account user", "SYS", "sys");
	return 0;
}

static int not_there(struct nsc *n, const char *name, struct err *e)
{
	CLEAN(free) char *path = nsc_path("%s/%s/.nsc", n->root, name);
	CLEAN(free) char *jwt = nsc_path("%s/%s/%s.jwt", n->root, name, name);

	if (!path || !jwt)
		return err_set(e, ERR_NOMEM, NULL);
	if (access(path, F_OK) != 0)
		return 0;
	if (access(jwt, F_OK) != 0)
		return err_set(e, ERR_EXISTS,
			       "operator \"%s\" in `%s` has no JWT: making it was cut short. "
			       "Remove that directory and try again",
			       name, n->root);
	return err_set(e, ERR_EXISTS, "operator \"%s\" already exists in `%s`", name, n->root);
}

/* Makes an operator's directory and puts it in use. After the keys are stored: a keystore
 * that cannot be written leaves no half of an operator. */
static int open_store(struct nsc *n, const char *name, bool managed, struct err *e)
{
	if (nsc_make_store(n, name, managed, e))
		return -1;
	n->made = true;
	free(n->op_name);
	n->op_name = strdup(name);
	n->managed = managed;
	return n->op_name ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static int save_as(struct nsc *n, const char *op_name, const char *account, struct err *e)
{
	free(n->account);
	n->account = strdup("");
	if (!n->account || nsc_config_use(n, NULL, op_name, account, e))
		return n->account ? -1 : err_set(e, ERR_NOMEM, NULL);
	return nsc_config_save(n, e);
}

/* ---- init */

/* The operator of an account server: only accounts and users are made here. */
static int init_managed(struct nsc *n, const char *url, struct err *e)
{
	if (nsc_import(n, url, "", true, e))
		return -1;
	if (!nsc_is_url(jwt_nats_str(&n->op, "account_server_url")))
		return err_set(e, ERR_BAD_INPUT,
			       "error importing operator \"%s\" - it doesn't define an account "
			       "server url",
			       n->op_name);
	nsc_ok(n, "add managed operator %s", n->op_name);
	return 0;
}

/* Operator, SYS and sys. */
static int init_operator(struct nsc *n, const char *name, struct nkey *op, struct err *e)
{
	if (not_there(n, name, e) || fresh(n, JWT_OPERATOR, NKEY_OPERATOR, name, op, &n->op, e) ||
	    open_store(n, name, false, e))
		return -1;
	nsc_ok(n, "created operator %s", name);
	if (system_account(n, op, e))
		return -1;
	claims_add(n->op.nats, "operator_service_urls", "nats://localhost:4222");
	return nsc_write(n, &n->op, op, NULL, NULL, e);
}

/* Operator (of url, when that is not NULL), account, user: all of one name. */
static int init_all(struct nsc *n, const char *name, const char *url, struct err *e)
{
	CLEAN(nkey) struct nkey op = {0}, acc = {0}, usr = {0};
	CLEAN(jwt) struct jwt user = {0};
	size_t at;

	if (url ? init_managed(n, url, e) : init_operator(n, name, &op, e))
		return -1;
	if (nsc_has(n, name, NULL))
		return err_set(e, ERR_EXISTS, "an account named \"%s\" already exists", name);
	if (fresh(n, JWT_ACCOUNT, NKEY_ACCOUNT, name, &acc, &n->ac, e) ||
	    nsc_write_account(n, url ? &acc : &op, e))
		return -1;
	nsc_ok(n, "created account %s", name);
	CLEAN(free) char *op_name = strdup(n->op_name);

	if (!op_name)
		return err_set(e, ERR_NOMEM, NULL);
	if (save_as(n, op_name, name, e) || fresh(n, JWT_USER, NKEY_USER, name, &usr, &user, e) ||
	    nsc_write(n, &user, &acc, name, name, e))
		return -1;
	nsc_ok(n, "created user \"%s\"", name);
	CLEAN(free) char *dir = nsc_abbrev(n->root);

	nsc_ok(n, "project jwt files created in `%s`", dir ? dir : "");
	at = json_array_size(n->report);
	if (nsc_write_creds(n, name, name, e))
		return -1;
	creds_stored(n, at, "user", name, name);
	if (url)
		return 0;
	nsc_say(n, NSC_NOTE,
		"to run a local server using this configuration, enter:\n"
		"  nsc generate config --mem-resolver --config-file <path/server.conf>\n"
		"then start a nats-server using the generated config:\n"
		"  nats-server -c <path/server.conf>");
	return 0;
}

/* URL of -u or -o; NULL: an operator is made. known: to be freed. */
static const char *managed_url(struct cli *c, char **known, struct err *e)
{
	const char *name = cli_str(c, "remote-operator");

	if (cli_str(c, "url") || !name)
		return cli_str(c, "url");
	*known = nsc_known_operator(name);
	if (!*known)
		err_set(e, ERR_NOT_FOUND, "error operator \"%s\" was not found", name);
	return *known;
}

int nsc_init(struct cli *c, struct err *e)
{
	bool any = cli_has(c, "dir") || cli_has(c, "name") || cli_has(c, "url") ||
		   cli_has(c, "remote-operator") || c->argc;
	CLEAN(free) char *known = NULL;
	CLEAN(nsc) struct nsc n = {0};

	/* As the original: who gives nothing, at a terminal, is asked. */
	if (!any && isatty(STDIN_FILENO) && cli_set(c, "interactive", "true", e))
		return -1;
	if (nsc_begin(&n, c, NSC_NOTHING, NULL, e))
		return -1;
	const char *dir = cli_str(c, "dir"), *v = nsc_name_arg(c, "name");
	CLEAN(free) char *name = *v && strcmp(v, "*") != 0 ? strdup(v) : nsc_random_name();
	const char *url = managed_url(c, &known, e);

	if (!name)
		return err_set(e, ERR_NOMEM, NULL);
	if ((!url && cli_str(c, "remote-operator")) || nsc_name("operator", name, e))
		return -1;
	if (dir && *dir) {
		free(n.root);
		n.root = nsc_expand(dir);
	}
	if (!n.root)
		return err_set(e, ERR_NOMEM, NULL);
	n.summary = true;
	if (init_all(&n, name, url, e)) {
		/* The keys that were made stay; nothing refers to them. */
		if (n.made)
			nsc_drop_store(&n, n.op_name);
		return -1;
	}
	return nsc_report(&n, e);
}

/* ---- add operator */

static int import_operator(struct nsc *n, struct err *e)
{
	const char *given = nsc_name_arg(n->c, "name");

	if (cli_has(n->c, "sys"))
		return err_set(e, ERR_USAGE,
			       "importing an operator is not compatible with system "
			       "account generation");
	if (nsc_import(n, cli_str(n->c, "url"), given, cli_has(n->c, "force"), e))
		return -1;
	nsc_ok(n, "imported operator \"%s\"", n->op_name);
	nsc_ok(n, "When running your own nats-server, make sure they run at least version 2.2.0");
	return 0;
}

static int make_operator(struct nsc *n, struct err *e)
{
	const char *key = cli_str(n->c, "private-key");
	CLEAN(free) char *name = new_name(n->c, "operator", e);
	CLEAN(nkey) struct nkey op = {0}, sk = {0};
	char pub[NKEY_PUB_LEN], sub[NKEY_PUB_LEN];

	if (!name)
		return -1;
	if (cli_has(n->c, "force"))
		return err_set(e, ERR_USAGE, "force only works with -u");
	if (key && *key) {
		if (nsc_key_resolve(n, key, NKEY_OPERATOR, &op, e))
			return -1;
		if (!op.secret)
			return err_set(e, ERR_NOT_FOUND, "the operator's seed is needed");
		if (cli_has(n->c, "generate-signing-key"))
			return err_set(e, ERR_USAGE,
				       "signing key can not be added when importing "
				       "the operator");
	}
	if ((!op.secret && nkey_generate(&op, NKEY_OPERATOR, e)))
		return -1;
	nkey_pub_text(&op, sub);
	if (jwt_new(&n->op, JWT_OPERATOR, sub, e))
		return -1;
	claims_set_str(n->op.root, "name", name);
	if (nsc_apply_times(n, &n->op, false, e) || not_there(n, name, e) ||
	    (!(key && *key) && nsc_key_store(n, &op, e)) || open_store(n, name, false, e))
		return -1;
	if (!(key && *key))
		nsc_ok(n, "generated and stored operator key \"%s\"", sub);
	nsc_ok(n, "added operator \"%s\"", name);
	nsc_ok(n, "When running your own nats-server, make sure they run at least version 2.2.0");
	if (cli_has(n->c, "generate-signing-key")) {
		if (nsc_key_make(n, NKEY_OPERATOR, &sk, e))
			return -1;
		nkey_pub_text(&sk, pub);
		claims_add(n->op.nats, "signing_keys", pub);
		nsc_ok(n, "created operator signing key: %s", pub);
	}
	if (cli_has(n->c, "sys") && system_account(n, sk.secret ? &sk : &op, e))
		return -1;
	return nsc_write(n, &n->op, &op, NULL, NULL, e);
}

int nsc_add_operator(struct cli *c, struct err *e)
{
	CLEAN(nsc) struct nsc n = {0};

	if (nsc_begin(&n, c, NSC_NOTHING, NULL, e))
		return -1;
	if (cli_str(c, "url") ? import_operator(&n, e) : make_operator(&n, e)) {
		if (n.made)
			nsc_drop_store(&n, n.op_name);
		return -1;
	}
	CLEAN(free) char *name = strdup(n.op_name);

	if (!name || save_as(&n, name, NULL, e))
		return name ? -1 : err_set(e, ERR_NOMEM, NULL);
	return nsc_report(&n, e);
}

/* ---- add account */

static int account_taken(struct nsc *n, const char *name, struct err *e)
{
	CLEAN(json) json_t *names = nsc_accounts(n, e);
	json_t *v;
	size_t i;

	if (!names)
		return -1;
	json_array_foreach(names, i, v)
	{
		if (strcasecmp(json_string_value(v), name) == 0)
			return err_set(e, ERR_EXISTS, "the account \"%s\" already exists", name);
	}
	return 0;
}

static int add_account(struct nsc *n, const char *name, struct err *e)
{
	const char *public_key = cli_str(n->c, "public-key");
	bool made = !public_key || !*public_key;
	CLEAN(nkey) struct nkey k = {0}, signer = {0};
	char pub[NKEY_PUB_LEN];

	if (made ? nkey_generate(&k, NKEY_ACCOUNT, e)
		 : nsc_key_resolve(n, public_key, NKEY_ACCOUNT, &k, e))
		return -1;
	nkey_pub_text(&k, pub);
	if (jwt_new(&n->ac, JWT_ACCOUNT, pub, e))
		return -1;
	claims_set_str(n->ac.root, "name", name);
	if (nsc_apply_times(n, &n->ac, false, e) ||
	    nsc_apply_permissions(n, claims_obj(n->ac.nats, "default_permissions"), e) ||
	    (made && n->managed && nsc_key_store(n, &k, e)) ||
	    nsc_signer(n, NKEY_OPERATOR, NULL, &signer, e) || (made && nsc_key_store(n, &k, e)))
		return -1;
	if (made)
		nsc_ok(n, "generated and stored account key \"%s\"", pub);
	if (nsc_write_account(n, &signer, e))
		return -1;
	nsc_ok(n, "added account \"%s\"", name);
	return 0;
}

int nsc_add_account(struct cli *c, struct err *e)
{
	CLEAN(nsc) struct nsc n = {0};
	CLEAN(free) char *name = NULL;

	if (nsc_begin(&n, c, NSC_OPERATOR, NULL, e))
		return -1;
	name = new_name(c, "account", e);
	if (!name || account_taken(&n, name, e) || add_account(&n, name, e) ||
	    save_as(&n, NULL, name, e))
		return -1;
	return nsc_report(&n, e);
}

/* ---- add user */

static int add_to(void *arg, const char *value, struct err *e)
{
	struct jwt *j = arg;

	(void)e;
	claims_add_tag(j->nats, "src", value);
	return 0;
}

static int tag_to(void *arg, const char *value, struct err *e)
{
	struct jwt *j = arg;

	(void)e;
	claims_add_tag(j->nats, "tags", value);
	return 0;
}

static int user_claims(struct nsc *n, struct jwt *j, const char *name, const struct nkey *signer,
		       struct err *e)
{
	bool bearer = false;
	char by[NKEY_PUB_LEN];

	nkey_pub_text(signer, by);
	claims_set_str(j->root, "name", name);
	/* A scoped key's template has the limits; its users must set none. */
	if (claims_scope(n->ac.nats, by)) {
		claims_set_int(j->nats, "subs", 0);
		claims_set_int(j->nats, "data", 0);
		claims_set_int(j->nats, "payload", 0);
	}
	if (strcmp(by, jwt_str(&n->ac, "sub")) != 0)
		claims_set_str(j->nats, "issuer_account", jwt_str(&n->ac, "sub"));
	if (nsc_apply_times(n, j, false, e) || nsc_apply_permissions(n, j->nats, e) ||
	    nsc_each(n->c, "source-network", add_to, j, e) || nsc_each(n->c, "tag", tag_to, j, e) ||
	    nsc_bool(n->c, "bearer", &bearer, e))
		return -1;
	claims_sort(j->nats, "tags");
	claims_set_bool(j->nats, "bearer_token", bearer);
	if (bearer && claims_bool(json_object_get(n->ac.nats, "limits"), "disallow_bearer"))
		return err_set(e, ERR_DENIED, "account \"%s\" forbids the use of bearer token",
			       n->account);
	if (claims_scope(n->ac.nats, by) && !nsc_user_is_empty(j->nats))
		return err_set(e, ERR_BAD_INPUT,
			       "scoped users require no permissions or limits "
			       "set: the signing key's template has them");
	return 0;
}

static int add_user(struct nsc *n, const char *name, struct err *e)
{
	const char *public_key = cli_str(n->c, "public-key");
	bool made = !public_key || !*public_key;
	CLEAN(nkey) struct nkey k = {0}, signer = {0};
	CLEAN(jwt) struct jwt j = {0};
	char pub[NKEY_PUB_LEN];

	if (nsc_has(n, n->account, name))
		return err_set(e, ERR_EXISTS, "the user \"%s\" already exists", name);
	if (nsc_signer(n, NKEY_ACCOUNT, NULL, &signer, e) ||
	    (made ? nkey_generate(&k, NKEY_USER, e)
		  : nsc_key_resolve(n, public_key, NKEY_USER, &k, e)))
		return -1;
	nkey_pub_text(&k, pub);
	if (jwt_new(&j, JWT_USER, pub, e) || user_claims(n, &j, name, &signer, e) ||
	    (made && nsc_key_store(n, &k, e)))
		return -1;
	if (made)
		nsc_ok(n, "generated and stored user key \"%s\"", pub);
	if (nsc_write(n, &j, &signer, n->account, name, e) ||
	    nsc_write_creds(n, n->account, name, e))
		return -1;
	nsc_ok(n, "added user \"%s\" to account \"%s\"", name, n->account);
	return 0;
}

int nsc_add_user(struct cli *c, struct err *e)
{
	CLEAN(nsc) struct nsc n = {0};
	CLEAN(free) char *name = NULL;

	if (nsc_begin(&n, c, NSC_ACCOUNT, cli_str(c, "account"), e))
		return -1;
	name = new_name(c, "user", e);
	if (!name || add_user(&n, name, e))
		return -1;
	return nsc_report(&n, e);
}
