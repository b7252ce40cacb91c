/* nsc generate creds, config, nkey and profile. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/text.h"
#include "box/nsc/nsc.h"
#include "nkey/claims.h"

static bool to_file(const struct cli *c, const char *option)
{
	const char *f = cli_str(c, option);

	return f && *f && strcmp(f, "--") != 0;
}

int nsc_generate_creds(struct cli *c, struct err *e)
{
	CLEAN(nsc) struct nsc n = {0};
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, JWT_MAX + 4096);
	text.secret = true;
	if (nsc_begin(&n, c, NSC_ACCOUNT, cli_str(c, "account"), e))
		return -1;
	const char *name = nsc_name_arg(c, "name");
	CLEAN(free) char *user = *name ? strdup(name) : nsc_only_user(&n, n.account, e);

	if (!user)
		return *name ? err_set(e, ERR_NOMEM, NULL) : -1;
	if (!*user)
		return cli_usage(e, "user is required");
	if (nsc_name("user", user, e))
		return -1;
	if (!nsc_has(&n, n.account, user))
		return err_set(e, ERR_NOT_FOUND, "user \"%s\" not found in \"%s\"", user,
			       n.account);
	if (nsc_creds(&n, n.account, user, &text, e) ||
	    nsc_output_as(&n, "output-file", "creds", &text, e))
		return -1;
	if (!to_file(c, "output-file"))
		return 0;
	nsc_ok(&n, "wrote credentials to `%s`", cli_str(c, "output-file"));
	return nsc_report(&n, e);
}

/* ---- server configuration */

/* A name in a comment, between quotes: a line end in it would start a setting. */
static void comment(struct buf *out, const char *what, const char *quote, const char *name)
{
	CLEAN(free) char *clean = text_cleaned(name);

	buf_printf(out, "%s %s%s%s\n", what, quote, clean ? clean : "", quote);
}

struct account {
	char *pub, *name, *token;
};

static int by_pub(const void *a, const void *b)
{
	return strcmp(((const struct account *)a)->pub, ((const struct account *)b)->pub);
}

static int load_account(struct nsc *n, const char *name, struct account *a, struct err *e)
{
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(buf) struct buf raw = {0};

	buf_init(&raw, JWT_MAX + 1);
	if (nsc_read(n, &j, name, NULL, &raw, e))
		return -1;
	buf_u8(&raw, 0);
	a->pub = strdup(jwt_str(&j, "sub"));
	a->name = strdup(jwt_str(&j, "name"));
	a->token = raw.bad ? NULL : strdup((const char *)raw.p);
	return a->token ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static void mem_resolver(struct nsc *n, const char *op, const char *sys, struct account *all,
			 size_t count, struct buf *out)
{
	qsort(all, count, sizeof(*all), by_pub);
	comment(out, "// Operator", "\"", jwt_str(&n->op, "name"));
	buf_printf(out, "operator: %s\n\n", op);
	if (*sys)
		buf_printf(out, "system_account: %s\n\n", sys);
	buf_printf(out, "resolver: MEMORY\n\nresolver_preload: {\n");
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "  ");
		comment(out, "// Account", "\"", all[i].name);
		buf_printf(out, "  %s: %s\n\n", all[i].pub, all[i].token);
	}
	buf_printf(out, "}\n");
}

static int nats_resolver(struct nsc *n, const char *op, const char *sys, struct account *all,
			 size_t count, bool cache, struct buf *out, struct err *e)
{
	const struct account *a = NULL;

	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].pub, sys) == 0)
			a = &all[i];
	if (!a)
		return err_set(e, ERR_NOT_FOUND, "system account is not set");
	comment(out, "# Operator named", "", jwt_str(&n->op, "name"));
	buf_printf(out, "operator: %s\n", op);
	comment(out, "# System Account named", "", a->name);
	buf_printf(out, "system_account: %s\n\n", sys);
	if (cache)
		buf_printf(out, "# accounts come from other servers and are kept for a while\n"
				"resolver {\n    type: cache\n    # where account JWTs are kept\n"
				"    dir: './jwt'\n    # how long one is kept\n    ttl: \"1h\"\n"
				"    # of a look-up at another server\n    timeout: \"1.9s\"\n}\n");
	else
		buf_printf(
			out,
			"# this server has all accounts: fill it with nsc push\n"
			"resolver {\n    type: full\n    # where account JWTs are kept\n"
			"    dir: './jwt'\n"
			"    # true: nsc push --prune and --account-removal may delete; files are\n"
			"    # then renamed to end in .delete\n    allow_delete: false\n"
			"    # how often servers of a cluster compare what they have\n"
			"    interval: \"2m\"\n"
			"    # of a look-up at another server\n    timeout: \"1.9s\"\n}\n");
	buf_printf(out,
		   "\n# The system account, so that nsc push can log in. To push the others:\n"
		   "#   nsc edit operator --account-jwt-server-url nats://localhost:4222\n"
		   "#   nsc push --all\n"
		   "resolver_preload: {\n\t%s: %s,\n}\n",
		   sys, a->token);
	return 0;
}

static int check_output(const struct cli *c, struct err *e)
{
	static const char *const kinds[] = {"mem-resolver", "nats-resolver", "nats-resolver-cache"};
	CLEAN(free) char *path = NULL;
	int given = 0;

	for (size_t i = 0; i < 3; i++)
		given += cli_has(c, kinds[i]);
	if (!given)
		return cli_usage(e, "specify a config type option");
	if (given > 1)
		return cli_usage(e, "can only generate one config at a time");
	if (!to_file(c, "config-file"))
		return 0;
	path = nsc_expand(cli_str(c, "config-file"));
	if (path && access(path, F_OK) == 0 && !cli_has(c, "force"))
		return err_set(e, ERR_EXISTS, "`%s` already exists: --force overwrites it", path);
	return path ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static int make_config(struct nsc *n, struct account *all, size_t count, struct buf *out,
		       struct err *e)
{
	const char *given = cli_str(n->c, "sys-account");
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(buf) struct buf op = {0};
	char sys[NKEY_PUB_LEN] = "";

	buf_init(&op, JWT_MAX + 1);
	if (nsc_read(n, &j, NULL, NULL, &op, e))
		return -1;
	buf_u8(&op, 0);
	if (given && *given) {
		if (nsc_account_key(n, given, false, sys, e))
			return -1;
	} else if (*jwt_nats_str(&n->op, "system_account")) {
		uint8_t raw[32];

		if (nkey_decode_kind(raw, NKEY_ACCOUNT, jwt_nats_str(&n->op, "system_account"), e))
			return err_wrap(e, "system account of operator \"%.60s\"", n->op_name);
		(void)snprintf(sys, sizeof(sys), "%s", jwt_nats_str(&n->op, "system_account"));
	}
	if (cli_has(n->c, "mem-resolver")) {
		mem_resolver(n, (const char *)op.p, sys, all, count, out);
		return 0;
	}
	return nats_resolver(n, (const char *)op.p, sys, all, count,
			     cli_has(n->c, "nats-resolver-cache"), out, e);
}

int nsc_generate_config(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *names = NULL;
	CLEAN(nsc) struct nsc n = {0};
	CLEAN(buf) struct buf out = {0};
	json_t *v;
	size_t i;
	int r = 0;

	buf_init(&out, (size_t)64 << 20);
	if (check_output(c, e) || nsc_begin(&n, c, NSC_OPERATOR, NULL, e))
		return -1;
	names = nsc_accounts(&n, e);
	if (!names)
		return -1;
	if (!json_array_size(names))
		return err_set(e, ERR_NOT_FOUND, "operator \"%s\" has no accounts", n.op_name);
	CLEAN(free) struct account *all = calloc(json_array_size(names), sizeof(*all));

	if (!all)
		return err_set(e, ERR_NOMEM, NULL);
	json_array_foreach(names, i, v)
	{
		if (!r)
			r = load_account(&n, json_string_value(v), &all[i], e);
	}
	if (!r)
		r = make_config(&n, all, json_array_size(names), &out, e);
	for (i = 0; i < json_array_size(names); i++) {
		free(all[i].pub);
		free(all[i].name);
		free(all[i].token);
	}
	if (r || nsc_output_as(&n, "config-file", "config", &out, e))
		return -1;
	if (!to_file(c, "config-file"))
		return 0;
	nsc_ok(&n, "wrote server configuration to `%s`", cli_str(c, "config-file"));
	return nsc_report(&n, e);
}

/* ---- nkey */

static int one_key(struct nsc *n, enum nkey_kind kind, json_t *out, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};
	CLEAN(buf) struct buf text = {0};
	char pub[NKEY_PUB_LEN];
	bool store = cli_has(n->c, "store");

	buf_init(&text, 4096);
	text.secret = true;
	if (store ? nsc_key_make(n, kind, &k, e) : nkey_generate(&k, kind, e))
		return -1;
	nkey_pub_text(&k, pub);
	char *seed = secret_alloc(NKEY_SEED_LEN);

	if (!seed)
		return err_set(e, ERR_NOMEM, "no locked memory for a seed");
	nkey_seed_text(&k, seed);
	/* jansson wipes what it frees (nsc_main) */
	if (!store)
		buf_put(&text, seed, NKEY_SEED_LEN - 1);
	if (!store)
		buf_u8(&text, '\n');
	buf_printf(&text, "%s\n", pub);
	CLEAN(free) char *path = nsc_key_path(n, pub);

	if (store)
		buf_printf(&text, "%s key stored %s\n", nkey_kind_name(kind), path ? path : "");
	json_t *o = json_pack("{s:s,s:s}", "kind", nkey_kind_name(kind), "public_key", pub);

	claims_set_str(o, store ? "key_path" : "seed", store ? (path ? path : "") : seed);
	json_array_append_new(out, o);
	secret_free(seed);
	return cli_has(n->c, "json") ? 0 : nsc_output(n, "output-file", &text, 0600, e);
}

int nsc_generate_nkey(struct cli *c, struct err *e)
{
	static const struct {
		const char *option;
		enum nkey_kind kind;
	} kinds[] = {{"operator", NKEY_OPERATOR},
		     {"account", NKEY_ACCOUNT},
		     {"user", NKEY_USER},
		     {"curve", NKEY_CURVE}};
	CLEAN(json) json_t *out = json_array();
	CLEAN(nsc) struct nsc n = {0};

	if (nsc_begin(&n, c, NSC_NOTHING, NULL, e))
		return -1;
	for (size_t i = 0; i < 4; i++)
		if (cli_has(c, kinds[i].option) && one_key(&n, kinds[i].kind, out, e))
			return -1;
	if (!json_array_size(out))
		return cli_usage(e, "set --operator, --account, --user, or --curve");
	return cli_has(c, "json") ? nsc_json(out, e) : 0;
}

/* ---- profile: nsc://OPERATOR/ACCOUNT/USER?names&keys&seeds */

struct profile {
	struct nsc *n;
	char *part[3]; /* operator, account, user */
	char *query;
	struct jwt user;
	json_t *out;
};

static const char *const levels[] = {"operator", "account", "user"};

/* Value of a query argument in lower case: NULL when it is not there. */
static char *argument(const struct profile *p, const char *name)
{
	size_t len = strlen(name);

	for (const char *s = p->query; s && *s; s += *s == '&') {
		size_t n = strcspn(s, "&");

		if (strncasecmp(s, name, len) == 0 && (n == len || s[len] == '='))
			return strndup(s + len + (n > len), n - len - (n > len));
		s += n;
	}
	return NULL;
}

/* Whether a level's property is asked for: "accountKey", "keys", or "key" for the last. */
static bool asked(const struct profile *p, size_t level, const char *what, char **value)
{
	size_t last = p->part[2] ? 2 : p->part[1] ? 1 : 0;
	char name[32], all[16];

	(void)snprintf(name, sizeof(name), "%s%s", levels[level], what);
	(void)snprintf(all, sizeof(all), "%ss", what);
	*value = argument(p, name);
	if (*value)
		return true;
	CLEAN(free) char *every = argument(p, all), *one = argument(p, what);
	/* "key" is the last object's; "seed" and "name" mean each on the way, as there. */
	bool single = one && (strcmp(what, "key") == 0 ? level == last : level <= last);

	return (every && level <= last) || single;
}

static int add_seed(struct profile *p, json_t *o, const struct jwt *j, const char *want,
		    struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};
	json_t *keys = json_object_get(j->nats, "signing_keys"), *v;
	bool any = !want || !*want, found = false;
	size_t i;

	if (any || strcasecmp(want, jwt_str(j, "sub")) == 0)
		found = nsc_key_load(p->n, jwt_str(j, "sub"), &k, NULL) == 0;
	json_array_foreach(keys, i, v)
	{
		const char *pub = json_is_string(v) ? json_string_value(v) : claims_signer_key(v);

		if (!found && (any || strcasecmp(want, pub) == 0))
			found = nsc_key_load(p->n, pub, &k, NULL) == 0;
	}
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "no seed was found for \"%s\"",
			       any ? jwt_str(j, "sub") : want);
	char *seed = secret_alloc(NKEY_SEED_LEN);

	if (!seed)
		return err_set(e, ERR_NOMEM, "no locked memory for a seed");
	nkey_seed_text(&k, seed);
	claims_set_str(o, "seed", seed);
	secret_free(seed);
	return 0;
}

static int add_level(struct profile *p, size_t level, const struct jwt *j, struct err *e)
{
	CLEAN(free) char *a = NULL, *b = NULL, *c = NULL;
	bool name = asked(p, level, "name", &a), seed = asked(p, level, "seed", &b);
	bool key = asked(p, level, "key", &c);
	json_t *o = json_object();
	const json_t *urls = json_object_get(j->nats, "operator_service_urls");
	int r = 0;

	if (level == 0 && json_array_size(urls))
		json_object_set(o, "service", (json_t *)(uintptr_t)urls);
	if (name)
		claims_set_str(o, "name", jwt_str(j, "name"));
	if (seed)
		r = add_seed(p, o, j, b, e);
	if (key)
		claims_set_str(o, "id", jwt_str(j, "sub"));
	if (level == 0 || name || seed || key)
		json_object_set(p->out, levels[level], o);
	json_decref(o);
	return r;
}

static int parse_profile(struct profile *p, const char *url, struct err *e)
{
	if (strncasecmp(url, "nsc://", 6) != 0)
		return err_set(e, ERR_BAD_INPUT, "invalid nsc url: expecting 'nsc://'");
	CLEAN(free) char *rest = strdup(url + 6);
	char *s = rest, *q = rest ? strchr(rest, '?') : NULL;

	if (!rest)
		return err_set(e, ERR_NOMEM, NULL);
	if (q) {
		*q = '\0';
		p->query = strdup(q + 1);
	}
	for (size_t i = 0; i < 3 && s && *s; i++)
		p->part[i] = strdup(strsep(&s, "/"));
	if (!p->part[0] || !*p->part[0])
		return err_set(e, ERR_BAD_INPUT, "invalid nsc url: expecting an operator name");
	return 0;
}

static int run_profile(struct profile *p, struct err *e)
{
	struct nsc *n = p->n;
	CLEAN(free) char *root = argument(p, "store"), *keys = argument(p, "keystore");
	CLEAN(free) char *path = NULL;

	if (keys && *keys) {
		free(n->keys_dir);
		n->keys_dir = nsc_expand(keys);
	}
	if (nsc_config_use(n, root && *root ? root : NULL, p->part[0], p->part[1], e) ||
	    nsc_read(n, &n->op, NULL, NULL, NULL, e) ||
	    (p->part[1] && nsc_read(n, &n->ac, p->part[1], NULL, NULL, e)) ||
	    (p->part[2] && nsc_read(n, &p->user, p->part[1], p->part[2], NULL, e)))
		return -1;
	if (p->part[2]) {
		path = nsc_creds_path(n, p->part[1], p->part[2]);
		if (path && access(path, F_OK) == 0)
			claims_set_str(p->out, "user_creds", path);
	}
	if (add_level(p, 0, &n->op, e) || (p->part[1] && add_level(p, 1, &n->ac, e)) ||
	    (p->part[2] && add_level(p, 2, &p->user, e)))
		return -1;
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, JWT_MAX);
	text.secret = true;
	jwt_json(&text, p->out, true);
	if (nsc_output(n, "output-file", &text, 0600, e))
		return -1;
	if (!to_file(n->c, "output-file"))
		return 0;
	nsc_ok(n, "wrote tool configuration to `%s`", cli_str(n->c, "output-file"));
	return nsc_report(n, e);
}

int nsc_generate_profile(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *out = json_object();
	CLEAN(nsc) struct nsc n = {0};
	struct profile p = {.n = &n, .out = out};
	int r = parse_profile(&p, c->argv[0], e);

	if (r)
		err_wrap(e, "error parsing \"%.80s\"", c->argv[0]);
	if (r == 0)
		r = nsc_begin(&n, c, NSC_NOTHING, NULL, e);
	if (r == 0)
		r = run_profile(&p, e);
	for (size_t i = 0; i < 3; i++)
		free(p.part[i]);
	free(p.query);
	jwt_clear(&p.user);
	return r;
}
