/* nsc validate: an operator, its accounts and their users, or a file of JWTs. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "box/nsc/nsc.h"
#include "nkey/claims.h"
#include "nkey/jwt_check.h"

/* Appends {"name", "issues"} to the result. */
static json_t *section(json_t *out, const char *what, const char *name)
{
	CLEAN(free) char *title = nsc_path("%s \"%s\"", what, name);

	json_array_append_new(out, json_pack("{s:s,s:[]}", "name", title ? title : "", "issues"));
	return json_object_get(json_array_get(out, json_array_size(out) - 1), "issues");
}

static void check_user(struct nsc *n, json_t *issues, const struct jwt *ac, const char *account,
		       const char *user)
{
	CLEAN(json) json_t *own = json_array();
	CLEAN(jwt) struct jwt j = {0};
	struct err e = {0};
	json_t *v;
	size_t i;

	if (nsc_read(n, &j, account, user, NULL, &e)) {
		jwt_issue(issues, true, "user \"%s\": %s", user, e.text);
		return;
	}
	jwt_check(&j, n->now, own);
	json_array_foreach(own, i, v) jwt_issue(issues, claims_bool(v, "fatal"), "user \"%s\": %s",
						user, claims_str(v, "text"));
	const json_t *revoked = json_object_get(ac->nats, "revocations");
	const json_t *scope = claims_scope(ac->nats, jwt_str(&j, "iss"));
	const json_t *one = json_object_get(revoked, jwt_str(&j, "sub"));
	const json_t *every = json_object_get(revoked, "*");
	int64_t issued = jwt_int(&j, "iat");

	if ((one && issued <= json_integer_value(one)) ||
	    (every && issued <= json_integer_value(every)))
		jwt_issue(issues, false, "user \"%s\" is revoked", user);
	if (scope && !nsc_user_is_empty(j.nats))
		jwt_issue(issues, true,
			  "user \"%s\" has permissions or limits of its own, but is issued with a "
			  "scoped signing key: servers refuse it",
			  user);
	if (!jwt_did_sign(ac, &j))
		jwt_issue(issues, true,
			  "user \"%s\" is not issued by account or account signing keys", user);
	else if (claims_bool(n->op.nats, "strict_signing_key_usage") &&
		 strcmp(jwt_str(&j, "iss"), jwt_str(ac, "sub")) == 0)
		jwt_issue(issues, true,
			  "user \"%s\" is issued by account key but operator is in strict mode",
			  user);
}

/* What cannot be read is an issue as others are: the rest is looked at all the same. */
static void check_account(struct nsc *n, json_t *out, const char *account)
{
	json_t *issues = section(out, "Account", account), *v;
	struct err e = {0};
	CLEAN(json) json_t *users = nsc_users(n, account, &e);
	CLEAN(jwt) struct jwt j = {0};
	size_t i;

	if (!users)
		jwt_issue(issues, true, "%s", e.text);
	if (nsc_read(n, &j, account, NULL, NULL, &e)) {
		jwt_issue(issues, true, "%s", e.text);
		return;
	}
	const json_t *l = json_object_get(j.nats, "limits");

	jwt_check(&j, n->now, issues);
	if (strcmp(jwt_str(&j, "sub"), jwt_nats_str(&n->op, "system_account")) == 0 &&
	    (claims_int(l, "mem_storage") || claims_int(l, "disk_storage") ||
	     json_object_size(json_object_get(l, "tiered_limits"))))
		jwt_issue(issues, true, "JetStream should not be enabled for system account");
	if (!jwt_did_sign(&n->op, &j))
		jwt_issue(issues, true,
			  "Account is not issued by operator or operator signing keys");
	json_array_foreach(users, i, v) check_user(n, issues, &j, account, json_string_value(v));
}

/* One JWT a line, as the server's resolver packs them ("KEY|TOKEN"). */
static int check_file(struct nsc *n, json_t *out, const char *file, struct err *e)
{
	CLEAN(free) char *path = nsc_expand(file);
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, (size_t)256 << 20);
	if (!path || file_read(path, &text, e))
		return path ? -1 : err_set(e, ERR_NOMEM, NULL);
	const char *p = (const char *)text.p, *end = p + text.len;

	for (size_t line = 1; p && p < end; line++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *s = p;
		size_t len = (size_t)((nl ? nl : end) - p);
		const char *bar = memchr(p, '|', len);
		CLEAN(jwt) struct jwt j = {0};
		char name[32];

		p = nl ? nl + 1 : end;
		len -= bar ? (size_t)(bar + 1 - s) : 0;
		s = bar ? bar + 1 : s;
		while (len && strchr(" \t\r", s[len - 1]))
			len--;
		if (!len)
			continue;
		(void)snprintf(name, sizeof(name), "line %zu", line);
		struct err why = {0};

		if (jwt_decode(&j, name, s, len, &why)) {
			jwt_issue(section(out, "JWT", name), true, "claim decoding error: %s",
				  why.text);
			continue;
		}
		jwt_check(&j, n->now, section(out, "Account", jwt_str(&j, "sub")));
	}
	return 0;
}

static int check_store(struct nsc *n, json_t *out, struct err *e)
{
	CLEAN(json) json_t *names = NULL;
	json_t *issues = section(out, "Operator", n->op_name), *v;
	size_t i;

	jwt_check(&n->op, n->now, issues);
	if (!jwt_did_sign(&n->op, &n->op))
		jwt_issue(issues, true,
			  "operator is not issued by operator or operator signing key");
	else if (strcmp(jwt_str(&n->op, "iss"), jwt_str(&n->op, "sub")) != 0)
		jwt_issue(issues, false,
			  "operator is issued by a signing key that only its own JWT vouches for");
	names = cli_has(n->c, "all-accounts") ? nsc_accounts(n, e)
		: *n->account		      ? json_pack("[s]", n->account)
					      : json_array();
	if (!names)
		return -1;
	json_array_foreach(names, i, v) check_account(n, out, json_string_value(v));
	return 0;
}

static void draw(const json_t *s, struct buf *out)
{
	json_t *issues = json_object_get(s, "issues"), *v;
	struct nsc_table t;
	char no[24];
	size_t i;

	nsc_table_start(&t, claims_str(s, "name"));
	if (json_array_size(issues)) {
		nsc_table_row(&t, "#", " ", "Description", NULL);
		nsc_table_line(&t);
	} else {
		nsc_table_row(&t, "No issues found", NULL);
	}
	json_array_foreach(issues, i, v)
	{
		(void)snprintf(no, sizeof(no), "%zu", i + 1);
		nsc_table_row(&t, no, claims_bool(v, "fatal") ? "!" : "", claims_str(v, "text"),
			      NULL);
	}
	nsc_table_end(&t, out);
	buf_u8(out, '\n');
}

/* By name without a look at its JWT, which may be what is wrong. */
static int choose(struct nsc *n, const char *account, struct err *e)
{
	uint8_t raw[32];

	if (nkey_decode_kind(raw, NKEY_ACCOUNT, account, NULL) == 0)
		return nsc_use_account(n, account, e);
	if (nsc_name("account", account, e))
		return -1;
	return nsc_config_use(n, NULL, NULL, account, e);
}

int nsc_validate(struct cli *c, struct err *e)
{
	const char *file = cli_str(c, "file"), *account = cli_str(c, "account");
	CLEAN(json) json_t *out = json_array();
	CLEAN(nsc) struct nsc n = {0};
	CLEAN(buf) struct buf text = {0};
	bool found = false;
	json_t *v;
	size_t i;

	buf_init(&text, (size_t)64 << 20);
	if ((file && (account || cli_has(c, "all-accounts"))) ||
	    (account && cli_has(c, "all-accounts")))
		return cli_usage(e, "specify only one of --account or --all-accounts or --file");
	if (nsc_begin(&n, c, file ? NSC_NOTHING : NSC_OPERATOR, NULL, e) ||
	    (account && choose(&n, account, e)) ||
	    (file ? check_file(&n, out, file, e) : check_store(&n, out, e)))
		return -1;
	json_array_foreach(out, i, v)
	{
		found |= jwt_fatal(json_object_get(v, "issues")) != NULL;
		draw(v, &text);
	}
	if (cli_has(c, "json")) {
		if (nsc_json(out, e))
			return -1;
	} else if (text.len || text.bad) {
		text.len -= !text.bad;
		if (nsc_output(&n, "output-file", &text, 0600, e))
			return -1;
	}
	return found ? err_set(e, ERR_BAD_INPUT, "validation found errors") : 0;
}
