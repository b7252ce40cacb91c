/* nsc list keys, export keys, import keys: the keys of an operator's tree. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "base/secret.h"
#include "box/nsc/nsc.h"
#include "nkey/claims.h"

/* Appends one key: {name, pub, parent, signing, curve, key_path, invalid, jwt}. */
static void add(struct nsc *n, json_t *list, const char *name, const char *pub, const char *parent,
		const char *what, const struct buf *jwt)
{
	CLEAN(free) char *path = nsc_key_path(n, pub);
	bool stored = path && access(path, F_OK) == 0;
	enum nkey_kind kind = NKEY_CURVE;
	uint8_t raw[32];

	(void)nkey_decode(raw, &kind, pub, NULL);
	json_t *o = json_pack("{s:s,s:s}", "name", name, "pub", pub);

	if (*parent)
		claims_set_str(o, "parent", parent);
	claims_set_bool(o, "signing", strcmp(what, "signing") == 0);
	claims_set_bool(o, "curve", strcmp(what, "curve") == 0);
	claims_set_str(o, "key_path", stored ? path : "");
	claims_set_bool(o, "invalid", stored && !nsc_key_has(n, pub));
	if (jwt) {
		CLEAN(free) char *text = malloc(ENC_BASE64_LEN(jwt->len));

		if (text)
			enc_base64(text, jwt->p, jwt->len, ENC_STD);
		claims_set_str(o, "jwt", text ? text : "");
	}
	claims_set_str(o, "expected_kind", nkey_kind_name(kind));
	json_array_append_new(list, o);
}

static void signing(struct nsc *n, json_t *list, const struct jwt *j)
{
	json_t *keys = json_object_get(j->nats, "signing_keys"), *v;
	const char *curve = claims_str(json_object_get(j->nats, "authorization"), "xkey");
	size_t i;

	json_array_foreach(keys, i, v)
		add(n, list, jwt_str(j, "name"), claims_signer_key(v), "", "signing", NULL);
	if (*curve)
		add(n, list, jwt_str(j, "name"), curve, "", "curve", NULL);
}

static int collect_account(struct nsc *n, json_t *list, const char *account, struct err *e)
{
	CLEAN(json) json_t *users = nsc_users(n, account, e);
	const char *only = cli_str(n->c, "user");
	CLEAN(jwt) struct jwt ac = {0};
	CLEAN(buf) struct buf raw = {0};
	json_t *v;
	size_t i;

	buf_init(&raw, JWT_MAX);
	if (!users || nsc_read(n, &ac, account, NULL, &raw, e))
		return -1;
	add(n, list, jwt_str(&ac, "name"), jwt_str(&ac, "sub"), jwt_str(&n->op, "sub"), "", &raw);
	signing(n, list, &ac);
	json_array_foreach(users, i, v)
	{
		CLEAN(jwt) struct jwt uc = {0};

		if (only && strcmp(only, json_string_value(v)) != 0)
			continue;
		buf_reset(&raw);
		if (nsc_read(n, &uc, account, json_string_value(v), &raw, e))
			return -1;
		add(n, list, jwt_str(&uc, "name"), jwt_str(&uc, "sub"), jwt_str(&ac, "sub"), "",
		    &raw);
	}
	return 0;
}

static bool listed(const json_t *list, const char *pub)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(claims_str(json_array_get(list, i), "pub"), pub) == 0)
			return true;
	return false;
}

/* Names of .nk files below dir, in order; deep: how many levels of directories. */
static int key_files(const char *dir, int deep, bool paths, json_t *out, struct err *e)
{
	CLEAN(json) json_t *names = nsc_entries(dir, "", NULL, e);
	json_t *v;
	size_t i;

	if (!names)
		return -1;
	json_array_foreach(names, i, v)
	{
		const char *name = json_string_value(v);
		CLEAN(free) char *path = nsc_path("%s/%s", dir, name);
		size_t len = strlen(name);
		struct stat st;

		if (!path)
			return err_set(e, ERR_NOMEM, NULL);
		if (lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode) && deep > 0) {
			if (key_files(path, deep - 1, paths, out, e))
				return -1;
		} else if (S_ISREG(st.st_mode) && len > 3 && strcmp(name + len - 3, ".nk") == 0 &&
			   json_array_append_new(out, paths ? json_string(path)
							    : json_stringn(name, len - 3))) {
			return err_set(e, ERR_NOMEM, NULL);
		}
	}
	return 0;
}

/* Keys in the keystore that nothing in the operator's tree has. */
static int unreferenced(struct nsc *n, json_t **list, struct err *e)
{
	static const char kinds[] = "OAUX";
	CLEAN(free) char *dir = nsc_path("%s/keys", n->keys_dir);
	CLEAN(json) json_t *files = json_array();
	json_t *out, *v;
	size_t i;

	if (!dir)
		return err_set(e, ERR_NOMEM, NULL);
	if (key_files(dir, 2, false, files, e))
		return -1;
	out = json_array();
	for (const char *k = kinds; *k; k++)
		json_array_foreach(files, i, v)
		{
			const char *pub = json_string_value(v);

			if (*pub == *k && !listed(*list, pub))
				add(n, out, "?", pub, "", "", NULL);
		}
	json_decref(*list);
	*list = out;
	return 0;
}

static bool wanted(const struct cli *c, const json_t *key, bool every)
{
	const char *kind = claims_str(key, "expected_kind"), *pub = claims_str(key, "pub");
	const char *filter = cli_str(c, "filter");

	if (filter && !strcasestr(pub, filter))
		return false;
	if (every)
		return true;
	if (strcmp(kind, "operator") == 0)
		return cli_has(c, "operator");
	if (strcmp(kind, "account") == 0)
		return cli_has(c, "accounts");
	if (strcmp(kind, "user") == 0)
		return cli_has(c, "users");
	return true;
}

/* The keys that the options select; NULL on error. */
static json_t *collect(struct nsc *n, struct err *e)
{
	static const char *const which[] = {"operator", "accounts", "users", NULL};
	bool curves = cli_has(n->c, "curve") || cli_has(n->c, "curves");
	bool all = cli_has(n->c, "all");
	bool none = !nsc_any(n->c, which) && !curves && !all;
	CLEAN(json) json_t *list = json_array(), *names = NULL;
	const char *account = cli_str(n->c, "account");
	CLEAN(buf) struct buf raw = {0};
	json_t *out, *v;
	size_t i;

	buf_init(&raw, JWT_MAX);
	if (!account && none && *n->account)
		account = n->account;
	if (nsc_read(n, &n->op, NULL, NULL, &raw, e))
		return NULL;
	add(n, list, jwt_str(&n->op, "name"), jwt_str(&n->op, "sub"), "", "", &raw);
	signing(n, list, &n->op);
	names = account ? json_pack("[s]", account) : nsc_accounts(n, e);
	if (!names)
		return NULL;
	json_array_foreach(names, i, v)
	{
		if (collect_account(n, list, json_string_value(v), e))
			return NULL;
	}
	if (cli_has(n->c, "not-referenced") && unreferenced(n, &list, e))
		return NULL;
	out = json_array();
	json_array_foreach(list, i, v)
	{
		if (wanted(n->c, v, none || all))
			json_array_append(out, v);
	}
	return out;
}

/* Text of a stored seed; "" when it is not there. Free with secret_free. */
static char *seed_of(const struct nsc *n, const char *pub)
{
	CLEAN(nkey) struct nkey k = {0};
	char *seed = secret_alloc(NKEY_SEED_LEN);

	if (seed && nsc_key_load(n, pub, &k, NULL) == 0)
		nkey_seed_text(&k, seed);
	return seed;
}

/* Table of keys, or of seeds. The seeds are asked for, and go where they are sent to. */
static void draw(struct nsc *n, const json_t *list, bool seeds, struct buf *text)
{
	struct nsc_table t;

	nsc_table_start(&t, seeds ? "Seeds Keys" : "Keys");
	if (seeds)
		nsc_table_row(&t, "Entity", "Private Key", "Signing Key", NULL);
	else
		nsc_table_row(&t, "Entity", "Key", "Signing Key", "Stored", NULL);
	nsc_table_line(&t);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *k = json_array_get(list, i);
		const char *kind = claims_str(k, "expected_kind"), *name = claims_str(k, "name");
		int pad = *name == '?' ? 0 : strcmp(kind, "account") == 0 ? 1 : 0;
		char label[256], pub[80];
		char *seed = seeds ? seed_of(n, claims_str(k, "pub")) : NULL;

		if (*name != '?' && strcmp(kind, "user") == 0)
			pad = 2;
		(void)snprintf(label, sizeof(label), "%*s%.200s", pad, "", name);
		(void)snprintf(pub, sizeof(pub), "%s [!]", claims_str(k, "pub"));
		const char *sign = claims_bool(k, "curve")     ? "T"
				   : claims_bool(k, "signing") ? "*"
							       : "";
		if (seeds)
			nsc_table_row(&t, label, seed && *seed ? seed : pub, sign, NULL);
		else
			nsc_table_row(&t, label, claims_str(k, "pub"), sign,
				      claims_bool(k, "invalid")	   ? "BAD"
				      : *claims_str(k, "key_path") ? "*"
								   : "",
				      NULL);
		secret_free(seed);
	}
	nsc_table_end(&t, text);
}

int nsc_list_keys(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *list = NULL;
	CLEAN(nsc) struct nsc n = {0};
	CLEAN(buf) struct buf text = {0};
	bool seeds = cli_has(c, "show-seeds"), strange = false;
	json_t *v;
	size_t i;

	buf_init(&text, (size_t)16 << 20);
	text.secret = true;
	if (seeds && cli_has(c, "not-referenced"))
		return cli_usage(e, "specify one of --show-seeds or --not-referenced");
	if (nsc_begin(&n, c, NSC_OPERATOR, NULL, e) || !(list = collect(&n, e)))
		return -1;
	json_array_foreach(list, i, v)
	{
		char *seed = seeds && cli_has(c, "json") ? seed_of(&n, claims_str(v, "pub")) : NULL;

		strange |= *claims_str(v, "name") == '?';
		if (seed && *seed)
			claims_set_str(v, "seed", seed);
		secret_free(seed);
	}
	if (cli_has(c, "json"))
		return nsc_json(list, e);
	if (!json_array_size(list)) {
		puts("no keys matched query");
		return 0;
	}
	draw(&n, list, seeds, &text);
	if (seeds)
		buf_printf(&text, "[ ! ] seed is not stored\n[ERR] error reading seed\n");
	else if (strange)
		buf_printf(&text,
			   "[?] unreferenced key - may belong to a different operator context");
	buf_printf(&text, "[ T ] auth callout encryption target\n");
	return nsc_output(&n, "output-file", &text, 0600, e);
}

/* ---- export and import */

static int export_file(struct nsc *n, const char *dir, const char *name, const char *suffix,
		       const void *p, size_t len, struct err *e)
{
	CLEAN(free) char *path = nsc_path("%s/%s.%s", dir, name, suffix);

	if (!path)
		return err_set(e, ERR_NOMEM, NULL);
	if (access(path, F_OK) == 0 && !cli_has(n->c, "force"))
		return err_set(e, ERR_EXISTS, "`%s` already exists - specify --force to overwrite",
			       path);
	return file_replace(path, p, len, 0600, e);
}

static void export_key(struct nsc *n, const json_t *k, const char *dir)
{
	const char *pub = claims_str(k, "pub");
	struct err e = {0};
	char *seed = seed_of(n, pub);

	if (!seed || !*seed)
		nsc_say(n, NSC_WARN, "skipped \"%s\" - no seed available", pub);
	else if (export_file(n, dir, pub, "nk", seed, NKEY_SEED_LEN - 1, &e))
		nsc_say(n, NSC_ERR, "%s", e.text);
	else if (!cli_has(n->c, "remove"))
		nsc_ok(n, "exported \"%s\"", pub);
	else if (nsc_key_remove(n, pub, &e) < 0)
		nsc_say(n, NSC_ERR, "exported \"%s\" but failed to delete original file: %s", pub,
			e.text);
	else
		nsc_ok(n, "moved \"%s\"", pub);
	secret_free(seed);
}

static void export_jwt(struct nsc *n, const json_t *k, const char *dir)
{
	const char *text = claims_str(k, "jwt"), *pub = claims_str(k, "pub");
	CLEAN(free) uint8_t *raw = malloc(strlen(text) + 1);
	struct err e = {0};
	uint8_t key[32];
	size_t len;

	if (!*text || !raw ||
	    enc_unbase64(raw, strlen(text) + 1, &len, text, strlen(text), ENC_STD))
		return;
	/* The subject becomes the name of a file. */
	if (nkey_decode(key, NULL, pub, &e) || export_file(n, dir, pub, "jwt", raw, len, &e))
		nsc_say(n, NSC_ERR, "%s", e.text);
	else
		nsc_ok(n, "exported \"%s.jwt (%s)\"", pub, claims_str(k, "name"));
}

int nsc_export_keys(struct cli *c, struct err *e)
{
	const char *to = cli_str(c, "dir");
	CLEAN(free) char *dir = to && *to ? nsc_expand(to) : NULL;
	CLEAN(json) json_t *list = NULL;
	CLEAN(nsc) struct nsc n = {0};
	json_t *v;
	size_t i;

	if (!dir)
		return cli_usage(e, "required flag(s) \"dir\" not set");
	if (nsc_begin(&n, c, NSC_OPERATOR, NULL, e) || !(list = collect(&n, e)))
		return -1;
	if (!json_array_size(list))
		return err_set(e, ERR_NOT_FOUND, "no keys found to export");
	if (file_mkdirs(dir, 0700, e))
		return -1;
	n.summary = true;
	json_array_foreach(list, i, v) export_key(&n, v, dir);
	if (cli_has(c, "include-jwts"))
		json_array_foreach(list, i, v) export_jwt(&n, v, dir);
	return nsc_report(&n, e);
}

int nsc_import_keys(struct cli *c, struct err *e)
{
	const char *from = cli_str(c, "dir");
	CLEAN(free) char *dir = from && *from ? nsc_expand(from) : NULL;
	CLEAN(json) json_t *files = json_array();
	CLEAN(nsc) struct nsc n = {0};
	struct stat st;
	json_t *v;
	size_t i;

	if (!dir)
		return cli_usage(e, "required flag(s) \"dir\" not set");
	if (nsc_begin(&n, c, NSC_NOTHING, NULL, e))
		return -1;
	if (stat(dir, &st) || !S_ISDIR(st.st_mode))
		return err_set(e, ERR_IO, "`%s` is not a directory", dir);
	if (key_files(dir, cli_has(c, "recurse") ? 8 : 0, true, files, e))
		return -1;
	if (!json_array_size(files))
		return err_set(e, ERR_NOT_FOUND, "no nkey (.nk) files found");
	n.summary = true;
	json_array_foreach(files, i, v)
	{
		CLEAN(nkey) struct nkey k = {0};
		char pub[NKEY_PUB_LEN];
		struct err why = {0};

		if (nsc_key_resolve(&n, json_string_value(v), 0xff, &k, &why) ||
		    (!k.secret && err_set(&why, ERR_BAD_NKEY, "no seed in it")) ||
		    nsc_key_store(&n, &k, &why)) {
			nsc_say(&n, NSC_ERR, "failed to import `%s`: %s", json_string_value(v),
				why.text);
			continue;
		}
		nkey_pub_text(&k, pub);
		nsc_ok(&n, "%s was added to the keystore", pub);
	}
	return nsc_report(&n, e);
}
