/* nsc delete account and user. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_server.h"
#include "nkey/claims.h"

struct what {
	bool revoke, keys, creds;
};

static int remove_file(const char *path, struct err *e)
{
	if (path && unlink(path) < 0 && errno != ENOENT)
		return err_errno(e, ERR_IO, "cannot remove %s", path);
	return path ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static void remove_key(struct nsc *n, json_t *node, const char *pub)
{
	struct err e = {0};
	int r = nsc_key_remove(n, pub, &e);

	if (r < 0)
		nsc_detail(node, NSC_ERR, "%s", e.text);
	else
		nsc_detail(node, NSC_OK, r ? "deleted private key" : "private key is not stored");
}

/* First step for a user: its revocation, in the claims of the account. What was issued
 * after an earlier revocation, or by a clock that is ahead, is revoked too. */
static int revoke_user(struct nsc *n, json_t *node, const char *name, const struct what *w,
		       bool *changed, struct err *e)
{
	CLEAN(jwt) struct jwt j = {0};

	if (nsc_read(n, &j, n->account, name, NULL, e))
		return -1;
	const char *pub = jwt_str(&j, "sub");
	const json_t *since = json_object_get(json_object_get(n->ac.nats, "revocations"), pub);
	int64_t issued = jwt_int(&j, "iat");
	json_t *u = nsc_detail(node, NSC_OK, "user %s [%s]", name, pub);

	claims_set_str(u, "pub", pub);
	if (w->revoke && (!since || json_integer_value(since) < issued)) {
		claims_revoke(n->ac.nats, pub, issued > n->now ? issued : n->now);
		nsc_detail(u, NSC_OK, "revoked user");
		*changed = true;
	} else if (w->revoke) {
		nsc_detail(u, NSC_OK, "user is already revoked");
	}
	return 0;
}

/* Second step, when the revocation is on disk: its files. */
static int remove_user(struct nsc *n, json_t *u, const char *name, const struct what *w,
		       struct err *e)
{
	CLEAN(free) char *path = nsc_jwt_path(n, n->account, name);
	CLEAN(free) char *creds = nsc_creds_path(n, n->account, name);

	if (remove_file(path, e))
		return -1;
	nsc_detail(u, NSC_OK, "user deleted");
	if (w->keys)
		remove_key(n, u, claims_str(u, "pub"));
	json_object_del(u, "pub");
	if (w->creds && creds && access(creds, F_OK) == 0) {
		if (remove_file(creds, e))
			return -1;
		nsc_detail(u, NSC_OK, "removed creds file");
	} else if (w->creds) {
		nsc_detail(u, NSC_OK, "creds file is not stored");
	}
	return 0;
}

static int revoke_users(struct nsc *n, json_t *node, const json_t *names, const struct what *w,
			bool *changed, struct err *e)
{
	for (size_t i = 0; i < json_array_size(names); i++)
		if (revoke_user(n, node, json_string_value(json_array_get(names, i)), w, changed,
				e))
			return -1;
	return 0;
}

/* The details of node are those of revoke_users, in the same order. */
static int remove_users(struct nsc *n, const json_t *node, const json_t *names,
			const struct what *w, struct err *e)
{
	const json_t *details = json_object_get(node, "details");

	for (size_t i = 0; i < json_array_size(names); i++)
		if (remove_user(n, json_array_get(details, i),
				json_string_value(json_array_get(names, i)), w, e))
			return -1;
	return 0;
}

static int flags(const struct cli *c, struct what *w, struct err *e)
{
	return nsc_bool(c, "revoke", &w->revoke, e) || nsc_bool(c, "rm-nkey", &w->keys, e) ||
			       nsc_bool(c, "rm-creds", &w->creds, e)
		       ? -1
		       : 0;
}

int nsc_delete_user(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *names = NULL;
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};
	struct what w = {0};
	bool changed = false;

	if (nsc_begin(&n, c, NSC_ACCOUNT, cli_str(c, "account"), e))
		return -1;
	names = nsc_values(c, "name");
	if (c->argc > 0)
		json_array_append_new(names, json_string(c->argv[0]));
	if (!json_array_size(names))
		return cli_usage(e, "please specify an user to delete");
	if (flags(c, &w, e) ||
	    (w.revoke && nsc_signer(&n, NKEY_OPERATOR, jwt_str(&n.ac, "iss"), &signer, e)))
		return -1;
	json_t *node = nsc_ok(&n, "delete users");

	/* All are there, or nothing is deleted; all are revoked before anything goes. */
	if (revoke_users(&n, node, names, &w, &changed, e) ||
	    (changed && nsc_write_account(&n, &signer, e)) || remove_users(&n, node, names, &w, e))
		return -1;
	if (changed)
		nsc_detail(node, NSC_OK, "edited account \"%s\"", n.account);
	return nsc_report(&n, e);
}

/* Keys of the account itself. */
static void account_keys(struct nsc *n)
{
	json_t *keys = json_object_get(n->ac.nats, "signing_keys"), *v;
	size_t i;

	json_array_foreach(keys, i, v)
	{
		const char *pub = claims_signer_key(v);

		if (nsc_key_remove(n, pub, NULL) > 0)
			nsc_ok(n, "deleted signing key \"%s\"", pub);
		else
			nsc_ok(n, "signing key \"%s\" is not stored", pub);
	}
	if (nsc_key_remove(n, jwt_str(&n->ac, "sub"), NULL) > 0)
		nsc_ok(n, "deleted privated key \"%s\"", jwt_str(&n->ac, "sub"));
	else
		nsc_ok(n, "private key \"%s\" is not stored", jwt_str(&n->ac, "sub"));
}

/* What a writer that was killed left beside its files: they would keep the directory. */
static void remove_leftovers(const char *dir)
{
	CLEAN(json) json_t *names = nsc_entries(dir, "", NULL, NULL);
	json_t *v;
	size_t i;

	json_array_foreach(names, i, v)
	{
		const char *mark = strstr(json_string_value(v), ".jwt.tmp-");
		CLEAN(free) char *path = nsc_path("%s/%s", dir, json_string_value(v));

		if (mark && strlen(mark) == strlen(".jwt.tmp-XXXXXX") && path)
			(void)unlink(path);
	}
}

static int remove_account(struct nsc *n, struct err *e)
{
	CLEAN(free) char *dir = nsc_path("%s/%s/accounts/%s", n->root, n->op_name, n->account);
	CLEAN(free) char *users = dir ? nsc_path("%s/users", dir) : NULL;
	CLEAN(free) char *jwt = nsc_jwt_path(n, n->account, NULL);

	if (!users || remove_file(jwt, e))
		return users ? -1 : err_set(e, ERR_NOMEM, NULL);
	nsc_ok(n, "deleted account");
	remove_leftovers(users);
	remove_leftovers(dir);
	(void)rmdir(users);
	if (rmdir(dir) < 0)
		return err_errno(e, ERR_IO, "cannot remove %s", dir);
	nsc_ok(n, "deleted account directory");
	return 0;
}

int nsc_delete_account(struct cli *c, struct err *e)
{
	const char *name = nsc_name_arg(c, "name");
	CLEAN(json) json_t *users = NULL, *flat = json_array(), *node = json_object();
	CLEAN(nkey) struct nkey signer = {0};
	struct what w = {.revoke = true};
	CLEAN(nsc) struct nsc n = {0};
	bool changed = false;

	if (nsc_begin(&n, c, NSC_ACCOUNT, *name ? name : NULL, e) || flags(c, &w, e))
		return -1;
	if (n.managed && !cli_has(c, "force"))
		return err_set(e, ERR_DENIED,
			       "managed accounts may require the account JWT or "
			       "nkeys to cancel a service, specify the --force to "
			       "override");
	if (nsc_signer(&n, NKEY_OPERATOR, jwt_str(&n.ac, "iss"), &signer, e))
		return -1;
	users = nsc_users(&n, n.account, e);
	if (!users || revoke_users(&n, node, users, &w, &changed, e))
		return -1;
	json_array_extend(n.report, claims_arr(node, "details"));
	/* The JWT is gone in a moment: it is written for those who can still see it. */
	claims_set_int(n.ac.root, "exp", n.now + 60);
	if (nsc_write_account(&n, &signer, e) || remove_users(&n, node, users, &w, e))
		return -1;
	nsc_ok(&n, "expired account \"%s\"", n.account);
	if (w.keys)
		account_keys(&n);
	if (remove_account(&n, e))
		return -1;
	/* The account in use may be the one that went. */
	if (nsc_config_use(&n, n.root, NULL, NULL, e) || nsc_config_save(&n, e))
		return -1;
	return nsc_report(&n, e);
}
