/* Where things are: options, environment, nsc.json, and the working directory. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "box/nsc/nsc.h"
#include "nkey/claims.h"

#define CONFIG_MAX 65536

static bool exists(const char *path)
{
	return path && access(path, F_OK) == 0;
}

/* $XDG_…_HOME/nats/nsc/what, unless only the place of old versions is there. */
static char *place(const char *variable, const char *fallback, const char *what, const char *old,
		   const char *probe)
{
	const char *x = getenv(variable);
	CLEAN(free) char *base = x && *x      ? strdup(x)
				 : nsc_home() ? nsc_path("%s/%s", nsc_home(), fallback)
					      : NULL;
	CLEAN(free) char *now = base ? nsc_path("%s/nats/nsc%s", base, what) : NULL;
	CLEAN(free) char *before = nsc_home() ? nsc_path("%s/%s", nsc_home(), old) : NULL;
	CLEAN(free) char *now_probe = now ? nsc_path("%s%s", now, probe) : NULL;
	CLEAN(free) char *before_probe = before ? nsc_path("%s%s", before, probe) : NULL;

	return !exists(now_probe) && exists(before_probe) ? STEAL(before) : STEAL(now);
}

char *nsc_data_home(const char *what)
{
	CLEAN(free) char *sub = nsc_path("/%s", what);

	return sub ? place("XDG_DATA_HOME", ".local/share", sub,
			   strcmp(what, "keys") == 0 ? ".nkeys" : ".nsc/nats", "")
		   : NULL;
}

/* An option, else a variable (may be NULL), else NULL; expanded. */
static char *given(const struct cli *c, const char *option, const char *variable)
{
	const char *v = cli_str(c, "all-dirs") ? cli_str(c, "all-dirs") : cli_str(c, option);

	if (!v && variable)
		v = getenv(variable);
	return v && *v ? nsc_expand(v) : NULL;
}

static char *config_file(const struct nsc *n)
{
	return nsc_path("%s/nsc.json", n->config_dir);
}

static int replace(char **to, const char *text, struct err *e)
{
	char *s = strdup(text);

	if (!s)
		return err_set(e, ERR_NOMEM, NULL);
	free(*to);
	*to = s;
	return 0;
}

/* The current one when it is there, the only one when there is one, else none. */
static int sane(char **current, json_t *names, struct err *e)
{
	const char *pick = "";
	size_t i;
	json_t *v;

	if (!names)
		return -1;
	json_array_foreach(names, i, v)
	{
		if (json_array_size(names) == 1 || strcmp(json_string_value(v), *current) == 0)
			pick = json_string_value(v);
	}
	int r = replace(current, pick, e);

	json_decref(names);
	return r;
}

static int defaults(struct nsc *n, struct err *e)
{
	if (sane(&n->op_name, nsc_operators(n, e), e))
		return -1;
	if (!*n->op_name)
		return replace(&n->account, "", e);
	return sane(&n->account, nsc_accounts(n, e), e);
}

static bool is_operator_dir(const char *dir)
{
	CLEAN(free) char *path = nsc_path("%s/.nsc", dir);
	struct stat st;

	return path && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* A working directory inside a store, or a store itself, decides what is in use. */
static int use_cwd(struct nsc *n, struct err *e)
{
	CLEAN(json) json_t *operators = NULL;
	char dir[PATH_MAX], *slash;

	if (!getcwd(dir, sizeof(dir)))
		return 0;
	CLEAN(free) char *root = STEAL(n->root);

	n->root = strdup(dir);
	operators = n->root ? nsc_operators(n, NULL) : NULL;
	if (json_array_size(operators) && !is_operator_dir(dir)) {
		n->from_cwd = true;
		return 0;
	}
	free(n->root);
	n->root = STEAL(root);
	for (char *tail = NULL; (slash = strrchr(dir, '/')) != NULL && slash != dir;) {
		if (is_operator_dir(dir)) {
			n->from_cwd = true;
			*slash = '\0';
			if (replace(&n->root, dir, e) || replace(&n->op_name, slash + 1, e))
				return -1;
			if (!tail || strncmp(tail, "accounts/", 9) != 0)
				return 0;
			tail[9 + strcspn(tail + 9, "/")] = '\0';
			return replace(&n->account, tail + 9, e);
		}
		/* What was behind is put together again: its slashes became ends. */
		if (tail)
			tail[-1] = '/';
		*slash = '\0';
		tail = slash + 1;
	}
	return 0;
}

static int parse(struct json_doc *d, const char *path, struct err *e)
{
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, CONFIG_MAX);
	if (nsc_read_file(path, &text, e))
		return -1;
	return json_parse(d, path, text.len ? (const char *)text.p : "", text.len, e);
}

static int read_config(struct nsc *n, bool *fresh, struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};
	CLEAN(free) char *path = config_file(n);

	*fresh = !exists(path);
	if (getenv("NSC_CWD_ONLY") || *fresh) {
		n->config = json_object();
		return 0;
	}
	if (parse(&d, path, e))
		return -1;
	if (!json_is_object(d.root))
		return err_set(e, ERR_CONFIG, "%s is not a JSON object", path);
	n->config = json_incref(d.root);
	return 0;
}

/* What another command wrote since this one read it is kept, but for what is in use. */
static int merge_config(struct nsc *n, struct err *e)
{
	CLEAN(json) json_t *mine = n->config;
	bool fresh;

	n->config = NULL;
	if (read_config(n, &fresh, e)) {
		n->config = json_incref(mine);
		return -1;
	}
	if (json_object_update_missing(n->config, mine))
		return err_set(e, ERR_NOMEM, NULL);
	claims_set_str(n->config, "store_root", n->root);
	claims_set_str(n->config, "operator", n->op_name);
	claims_set_str(n->config, "account", n->account);
	if (!json_object_get(n->config, "github_updates"))
		claims_set_str(n->config, "github_updates", "nats-io/nsc");
	if (!json_object_get(n->config, "last_update"))
		claims_set_int(n->config, "last_update", n->now);
	return 0;
}

int nsc_config_save(struct nsc *n, struct err *e)
{
	CLEAN(free) char *path = config_file(n);
	CLEAN(buf) struct buf text = {0};

	if (getenv("NSC_CWD_ONLY"))
		return 0;
	buf_init(&text, CONFIG_MAX);
	if (!path)
		return err_set(e, ERR_NOMEM, NULL);
	if (file_mkdirs(n->config_dir, 0700, e))
		return -1;
	CLEAN(fd) int fd = -1;

	if (nsc_lock_file(path, &fd, e) || merge_config(n, e) ||
	    json_text(n->config, JSON_ONE_LINE, &text, e))
		return -1;
	return file_replace(path, text.p, text.len, 0600, e);
}

static int no_place(struct err *e)
{
	return nsc_home() ? err_set(e, ERR_NOMEM, NULL)
			  : err_set(e, ERR_CONFIG,
				    "HOME is not set: set it, or give -H DIR (or --config-dir, "
				    "--data-dir and --keystore-dir)");
}

/* Whether a command reads claims and writes them again. */
static bool writes(const struct cli *c)
{
	static const char *const verbs[] = {"add",
					    "edit",
					    "delete",
					    "pull",
					    "revocations|revocation add",
					    "revocations|revocation delete"};
	const char *path = c->cmd ? c->cmd->path : "";

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strncmp(path, verbs[i], strlen(verbs[i])) == 0)
			return true;
	return false;
}

/* A working directory of somebody else, such as one below /tmp, must not choose what is
 * signed: its operator may be a copy of one whose keys are here. */
static int not_mine(const struct nsc *n, struct err *e)
{
	struct stat st;

	if (!writes(n->c) || stat(n->root, &st) < 0 || st.st_uid == geteuid() || st.st_uid == 0)
		return 0;
	return err_set(e, ERR_DENIED,
		       "the working directory is in a store of another user (%u): if you mean that "
		       "store, say --data-dir %s",
		       (unsigned)st.st_uid, n->root);
}

int nsc_config_load(struct nsc *n, struct err *e)
{
	CLEAN(free) char *data = given(n->c, "data-dir", NULL);
	bool fresh;

	n->config_dir = given(n->c, "config-dir", "NSC_HOME");
	if (!n->config_dir)
		n->config_dir = place("XDG_CONFIG_HOME", ".config", "", ".nsc", "/nsc.json");
	n->keys_dir = given(n->c, "keystore-dir", "NKEYS_PATH");
	if (!n->keys_dir)
		n->keys_dir = nsc_data_home("keys");
	if (!n->config_dir || !n->keys_dir)
		return no_place(e);
	if (read_config(n, &fresh, e) ||
	    replace(&n->root, claims_str(n->config, "store_root"), e) ||
	    replace(&n->op_name, claims_str(n->config, "operator"), e) ||
	    replace(&n->account, claims_str(n->config, "account"), e))
		return -1;
	if (fresh && !getenv("NSC_CWD_ONLY")) {
		free(n->root);
		n->root = data ? strdup(data) : nsc_data_home("stores");
		if (!n->root)
			return no_place(e);
		if (file_mkdirs(n->root, 0700, e) || defaults(n, e))
			return -1;
		return nsc_config_save(n, e);
	}
	if (use_cwd(n, e) || (data && replace(&n->root, data, e)) ||
	    (!data && n->from_cwd && not_mine(n, e)))
		return -1;
	return defaults(n, e);
}

/* 1: it is there, 0: not, -1: the names could not be read. */
static int known(json_t *names, const char *name)
{
	json_t *v;
	size_t i;
	int found = names ? 0 : -1;

	json_array_foreach(names, i, v) found |= strcmp(json_string_value(v), name) == 0;
	json_decref(names);
	return found;
}

int nsc_config_use(struct nsc *n, const char *root, const char *op_name, const char *account,
		   struct err *e)
{
	if (root) {
		char *expanded = nsc_expand(root);

		if (!expanded)
			return err_set(e, ERR_NOMEM, NULL);
		free(n->root);
		n->root = expanded;
		if (defaults(n, e))
			return -1;
	}
	if (op_name) {
		int there = known(nsc_operators(n, e), op_name);

		if (there < 0)
			return -1;
		if (!there)
			return err_set(e, ERR_NOT_FOUND, "operator \"%s\" not in `%s`", op_name,
				       n->root);
		if (replace(&n->op_name, op_name, e) || defaults(n, e))
			return -1;
	}
	if (account) {
		int there = known(nsc_accounts(n, e), account);

		if (there < 0)
			return -1;
		if (!there)
			return err_set(e, ERR_NOT_FOUND,
				       "\"%s\" not in accounts for operator \"%s\" in `%s`",
				       account, n->op_name, n->root);
		return replace(&n->account, account, e);
	}
	return 0;
}

/* Claims of the account in use. The name in them is where they are written to. */
static int own_account(struct nsc *n, struct err *e)
{
	if (nsc_read(n, &n->ac, n->account, NULL, NULL, e))
		return -1;
	if (!writes(n->c) || strcmp(jwt_str(&n->ac, "name"), n->account) == 0)
		return 0;
	return err_set(e, ERR_BAD_NAME,
		       "the JWT of the account \"%s\" has another name in it: \"%s\"", n->account,
		       jwt_str(&n->ac, "name"));
}

int nsc_use_account(struct nsc *n, const char *account, struct err *e)
{
	uint8_t raw[32];

	if (!account)
		account = n->account;
	if (!*account)
		return err_set(e, ERR_USAGE, "an account is required");
	if (nkey_decode_kind(raw, NKEY_ACCOUNT, account, NULL) == 0) {
		CLEAN(json) json_t *names = nsc_accounts(n, e);
		json_t *v;
		size_t i;

		if (!names)
			return -1;
		json_array_foreach(names, i, v)
		{
			CLEAN(jwt) struct jwt j = {0};

			if (nsc_read(n, &j, json_string_value(v), NULL, NULL, NULL) == 0 &&
			    strcmp(jwt_str(&j, "sub"), account) == 0)
				return nsc_config_use(n, NULL, NULL, json_string_value(v), e) ||
						       own_account(n, e)
					       ? -1
					       : 0;
		}
		return err_set(e, ERR_NOT_FOUND, "no account found with public key %s", account);
	}
	if (nsc_name("account", account, e) || nsc_config_use(n, NULL, NULL, account, e))
		return -1;
	return own_account(n, e);
}

int nsc_load(struct nsc *n, struct cli *c, enum nsc_need need, const char *account, bool lock,
	     struct err *e)
{
	memset(n, 0, sizeof(*n));
	n->c = c;
	n->now = time(NULL);
	n->report = json_array();
	n->root = strdup("");
	n->op_name = strdup("");
	n->account = strdup("");
	if (!n->report || !n->root || !n->op_name || !n->account)
		return err_set(e, ERR_NOMEM, NULL);
	if (nsc_config_load(n, e) || need == NSC_NOTHING)
		return need == NSC_NOTHING && n->config ? 0 : -1;
	if (!*n->op_name) {
		CLEAN(json) json_t *all = nsc_operators(n, NULL);

		return err_set(e, ERR_NOT_FOUND,
			       json_array_size(all)
				       ? "set an operator -- 'nsc env -o operatorName'"
				       : "no operator in %s -- 'nsc init', 'nsc add operator' or "
					 "'nsc env -s DIR'",
			       n->root);
	}
	if (lock && writes(c) && nsc_lock(n, e))
		return -1;
	CLEAN(free) char *info = nsc_path("%s/%s/.nsc", n->root, n->op_name);
	CLEAN(json_doc) struct json_doc d = {0};

	if (!info || parse(&d, info, e))
		return info ? -1 : err_set(e, ERR_NOMEM, NULL);
	n->managed = claims_bool(d.root, "managed");
	if (nsc_read(n, &n->op, NULL, NULL, NULL, e))
		return -1;
	if (n->op.version == 1)
		return err_set(e, ERR_BAD_VERSION,
			       "operator \"%s\" has a JWT of version 1, which servers no longer "
			       "take: make it anew with nsc add operator",
			       n->op_name);
	return need == NSC_ACCOUNT ? nsc_use_account(n, account, e) : 0;
}

int nsc_begin(struct nsc *n, struct cli *c, enum nsc_need need, const char *account, struct err *e)
{
	const struct nsc_program *p = c->ctx;
	CLEAN(free) char *picked = NULL;

	if (!cli_has(c, "interactive"))
		return nsc_load(n, c, need, account, true, e);
	/* Nobody waits while somebody thinks: the answers are used on what is there then. */
	if (nsc_load(n, c, need == NSC_ACCOUNT ? NSC_OPERATOR : need, NULL, false, e) ||
	    p->interactive(n, need, account, e))
		return -1;
	if (need == NSC_ACCOUNT) {
		picked = strdup(n->account);
		if (!picked)
			return err_set(e, ERR_NOMEM, NULL);
		account = picked;
	}
	nsc_end(n);
	return nsc_load(n, c, need, account, true, e);
}

void nsc_end(struct nsc *n)
{
	json_decref(n->report);
	json_decref(n->config);
	free(n->config_dir);
	free(n->keys_dir);
	free(n->root);
	free(n->op_name);
	free(n->account);
	jwt_clear(&n->op);
	jwt_clear(&n->ac);
	if (n->lock)
		close(n->lock - 1);
	memset(n, 0, sizeof(*n));
}
