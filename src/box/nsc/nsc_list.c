/* nsc env, select, list operators, accounts and users. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "nkey/claims.h"

/* ---- env */

static const char *set(const char *variable)
{
	return getenv(variable) ? "Yes" : "No";
}

static void variable_row(struct nsc_table *t, const char *name, const char *label,
			 const char *value)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "$%s%s", name, label);
	nsc_table_row(t, text, set(name), value ? value : "", NULL);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static int show_env(struct nsc *n, struct err *e)
{
	CLEAN(free) char *keys = nsc_abbrev(n->keys_dir), *conf = nsc_abbrev(n->config_dir);
	CLEAN(free) char *root = nsc_abbrev(*n->root ? n->root : "Not Set");
	CLEAN(free) char *home = nsc_data_home("stores");
	CLEAN(free) char *stores = home ? nsc_abbrev(home) : NULL;
	const char *ca = getenv("NATS_CA");
	CLEAN(buf) struct buf out = {0};
	struct nsc_table t;
	char text[300];

	buf_init(&out, 65536);
	if (!keys || !conf || !root || !stores)
		return err_set(e, ERR_NOMEM, NULL);
	nsc_table_start(&t, "NSC Environment");
	nsc_table_row(&t, "Setting", "Set", "Effective Value", NULL);
	nsc_table_line(&t);
	variable_row(&t, "XDG_CONFIG_HOME", "", or_empty(getenv("XDG_CONFIG_HOME")));
	variable_row(&t, "XDG_DATA_HOME", "", or_empty(getenv("XDG_DATA_HOME")));
	variable_row(&t, "NSC_CWD_ONLY", "", "If set, default operator/account from cwd only");
	variable_row(&t, "NSC_NO_GIT_IGNORE", "", "If set, no .gitignore files written");
	variable_row(&t, "NKEYS_PATH", " (deprecated)", keys);
	variable_row(&t, "NSC_HOME", " (deprecated)", conf);
	variable_row(&t, "NATS_CA", "",
		     "If set, root CAs in the referenced file will be used for nats connections");
	nsc_table_row(&t, "", "", "If not set, will default to the system trust store", NULL);
	variable_row(
		&t, "NATS_KEY", "",
		"If set, the tls key in the referenced file will be used for nats connections");
	variable_row(
		&t, "NATS_CERT", "",
		"If set, the tls cert in the referenced file will be used for nats connections");
	nsc_table_line(&t);
	nsc_table_row(&t, "From CWD", "", n->from_cwd ? "Yes" : "No", NULL);
	nsc_table_row(&t, "Default Stores Dir", "", stores, NULL);
	nsc_table_row(&t, "Current Store Dir", "", root, NULL);
	nsc_table_row(&t, "Current Operator", "", n->op_name, NULL);
	nsc_table_row(&t, "Current Account", "", n->account, NULL);
	(void)snprintf(text, sizeof(text), "%s%.250s",
		       ca ? "File: " : "Default: ", ca ? ca : "System Trust Store");
	nsc_table_row(&t, "Root CAs to trust", "", text, NULL);
	nsc_table_end(&t, &out);
	return nsc_output(n, "output-file", &out, 0600, e);
}

int nsc_env(struct cli *c, struct err *e)
{
	const char *root = cli_str(c, "store"), *op = cli_str(c, "operator");
	const char *account = cli_str(c, "account");
	CLEAN(nsc) struct nsc n = {0};

	if ((root || op || account) && getenv("NSC_CWD_ONLY"))
		return err_set(e, ERR_USAGE,
			       "$NSC_CWD_ONLY is set - change your cwd to change context");
	if (nsc_begin(&n, c, NSC_NOTHING, NULL, e) || nsc_config_use(&n, root, op, account, e) ||
	    ((root || op || account) && nsc_config_save(&n, e)))
		return -1;
	if (!cli_has(c, "json"))
		return show_env(&n, e);
	CLEAN(json) json_t *v =
		json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "store_root", n.root, "operator", n.op_name,
			  "account", n.account, "config_dir", n.config_dir, "keystore_dir",
			  n.keys_dir, "from_cwd", n.from_cwd);

	return nsc_json(v, e);
}

static int selected(struct cli *c, const char *op, const char *account, struct err *e)
{
	CLEAN(nsc) struct nsc n = {0};

	if (nsc_begin(&n, c, NSC_NOTHING, NULL, e) || nsc_config_use(&n, NULL, op, account, e) ||
	    nsc_config_save(&n, e))
		return -1;
	nsc_ok(&n, "selected %s \"%s\"", op ? "operator" : "account", op ? op : account);
	return nsc_report(&n, e);
}

int nsc_select_operator(struct cli *c, struct err *e)
{
	return selected(c, c->argv[0], NULL, e);
}

int nsc_select_account(struct cli *c, struct err *e)
{
	return selected(c, NULL, c->argv[0], e);
}

/* ---- lists */

/* One row, or one object with --json; a JWT that cannot be read is a row too. */
static void entry(struct nsc *n, struct nsc_table *t, json_t *out, const char *name,
		  const char *account, const char *user)
{
	CLEAN(jwt) struct jwt j = {0};
	struct err e = {0};
	char label[512], text[400];

	if (nsc_read(n, &j, account, user, NULL, &e)) {
		(void)snprintf(text, sizeof(text), "error loading jwt - %s", e.text);
		nsc_table_row(t, name, text, NULL);
		json_array_append_new(out, json_pack("{s:s,s:s}", "name", name, "error", e.text));
		return;
	}
	if (strcmp(name, jwt_str(&j, "name")) == 0)
		(void)snprintf(label, sizeof(label), "%s", name);
	else
		(void)snprintf(label, sizeof(label), "%s (%.200s)", name, jwt_str(&j, "name"));
	nsc_table_row(t, label, jwt_str(&j, "sub"), NULL);
	json_array_append_new(
		out, json_pack("{s:s,s:s}", "name", name, "public_key", jwt_str(&j, "sub")));
}

static int finish(struct nsc *n, struct nsc_table *t, const json_t *out, struct err *e)
{
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, (size_t)16 << 20);
	if (!json_array_size(out)) {
		json_array_clear(t->rows);
		t->cols = 0;
		nsc_table_row(t, "No entries defined", NULL);
	}
	nsc_table_end(t, &text);
	if (cli_has(n->c, "json"))
		return nsc_json(out, e);
	return nsc_output(n, "output-file", &text, 0600, e);
}

static void start(struct nsc_table *t, const char *title)
{
	nsc_table_start(t, title);
	nsc_table_row(t, "Name", "Public Key", NULL);
	nsc_table_line(t);
}

int nsc_list_operators(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *out = json_array(), *names = NULL;
	CLEAN(nsc) struct nsc n = {0};
	struct nsc_table t;
	json_t *v;
	size_t i;

	if (nsc_begin(&n, c, NSC_NOTHING, NULL, e))
		return -1;
	names = nsc_operators(&n, e);
	if (!names)
		return -1;
	if (!json_array_size(names) && !cli_has(c, "json")) {
		printf("no operators defined in store dir \"%s\"\n"
		       "init an environment or change the store root with `env --store <dir>`\n",
		       n.root);
		return 0;
	}
	start(&t, "Operators");
	json_array_foreach(names, i, v)
	{
		CLEAN(free) char *keep = n.op_name;

		n.op_name = strdup(json_string_value(v));
		if (n.op_name)
			entry(&n, &t, out, n.op_name, NULL, NULL);
		free(n.op_name);
		n.op_name = STEAL(keep);
	}
	return finish(&n, &t, out, e);
}

/* --operator changes what is in use, as in the original. */
static int begin_list(struct nsc *n, struct cli *c, struct err *e)
{
	const char *op = cli_str(c, "operator");

	if (nsc_begin(n, c, NSC_NOTHING, NULL, e))
		return -1;
	if (op && (nsc_config_use(n, NULL, op, NULL, e) || nsc_config_save(n, e)))
		return -1;
	if (!*n->op_name)
		return err_set(e, ERR_NOT_FOUND, "no operator set - `env --operator <name>`");
	return 0;
}

int nsc_list_accounts(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *out = json_array(), *names = NULL;
	CLEAN(nsc) struct nsc n = {0};
	struct nsc_table t;
	json_t *v;
	size_t i;

	if (begin_list(&n, c, e))
		return -1;
	names = nsc_accounts(&n, e);
	if (!names)
		return -1;
	start(&t, "Accounts");
	json_array_foreach(names, i, v)
		entry(&n, &t, out, json_string_value(v), json_string_value(v), NULL);
	return finish(&n, &t, out, e);
}

int nsc_list_users(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *out = json_array(), *names = NULL;
	const char *account = cli_str(c, "account");
	CLEAN(nsc) struct nsc n = {0};
	struct nsc_table t;
	json_t *v;
	size_t i;

	if (begin_list(&n, c, e))
		return -1;
	if (account && (nsc_config_use(&n, NULL, NULL, account, e) || nsc_config_save(&n, e)))
		return -1;
	if (!*n.account)
		return err_set(e, ERR_NOT_FOUND, "no account set - `env --account <name>`");
	names = nsc_users(&n, n.account, e);
	if (!names)
		return -1;
	start(&t, "Users");
	json_array_foreach(names, i, v)
		entry(&n, &t, out, json_string_value(v), n.account, json_string_value(v));
	return finish(&n, &t, out, e);
}
