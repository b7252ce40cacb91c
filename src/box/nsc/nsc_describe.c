/* nsc describe: which JWT, in which form. The tables are in nsc_details.c. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_details.h"
#include "nkey/claims.h"
#include "nkey/creds.h"

#define TEXT_MAX ((size_t)16 << 20)

/* The claims with the names of all members in order. */
static json_t *sorted(const json_t *v)
{
	char *text = json_dumps(v, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
	json_t *out = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	free(text);
	return out;
}

static int number(const char *s, size_t len, size_t *out)
{
	char text[12] = "", *end;

	if (len == 0 || len >= sizeof(text))
		return -1;
	memcpy(text, s, len);
	*out = strtoul(text, &end, 10);
	return *end ? -1 : 0;
}

/* "nats.exports[0].subject" */
static const json_t *field(const json_t *v, const char *path, struct err *e)
{
	for (const char *p = path; *p;) {
		size_t len = strcspn(p, ".[]"), i;
		char name[128];

		if (len == 0) {
			p++;
			continue;
		}
		(void)snprintf(name, sizeof(name), "%.*s", (int)len, p);
		if (json_is_object(v)) {
			v = json_object_get(v, name);
		} else if (json_is_array(v)) {
			if (number(p, len, &i)) {
				err_set(e, ERR_BAD_INPUT, "error parsing index: \"%s\" in \"%s\"",
					name, path);
				return NULL;
			}
			if (i >= json_array_size(v)) {
				err_set(e, ERR_BAD_INPUT, "index is out of bounds: %zu in \"%s\"",
					i, path);
				return NULL;
			}
			v = json_array_get(v, i);
		} else {
			err_set(e, ERR_BAD_INPUT, "unable to extract \"%s\" in \"%s\"", name, path);
			return NULL;
		}
		if (!v) {
			/* The original prints null: scripts may count on it. */
			v = json_null();
		}
		p += len;
	}
	return v;
}

static int as_json(struct nsc *n, const struct jwt *j, struct buf *out, struct err *e)
{
	CLEAN(json) json_t *all = sorted(j->root);
	const char *path = cli_str(n->c, "field");
	char *text;

	if (!all)
		return err_set(e, ERR_NOMEM, NULL);
	if (path && *path) {
		const json_t *v = field(all, path, e);

		if (!v)
			return -1;
		jwt_json(out, v, false);
		return 0;
	}
	text = json_dumps(all, JSON_INDENT(1));
	if (text)
		buf_printf(out, "%s\n", text);
	free(text);
	return text ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static bool to_file(const struct cli *c)
{
	const char *f = cli_str(c, "output-file");

	return f && *f && strcmp(f, "--") != 0;
}

static int describe(struct nsc *n, const struct jwt *j, const struct buf *raw, struct err *e)
{
	const struct cli *c = n->c;
	CLEAN(buf) struct buf out = {0};

	buf_init(&out, TEXT_MAX);
	if (cli_has(c, "raw") && to_file(c)) {
		char kind[32];

		(void)snprintf(kind, sizeof(kind), "%s", jwt_kind_name(j->kind));
		for (char *p = kind; *p; p++)
			*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
		creds_decorate(&out, kind, (const char *)raw->p, raw->len);
	} else if (cli_has(c, "raw")) {
		buf_put(&out, raw->p, raw->len);
	} else if (cli_has(c, "json") || cli_str(c, "field")) {
		if (as_json(n, j, &out, e))
			return -1;
	} else if (nsc_details(n, j, &out, e)) {
		return -1;
	}
	if (out.bad)
		return err_set(e, ERR_TOO_LARGE, "the description is too large");
	if (nsc_output(n, "output-file", &out, 0600, e))
		return -1;
	if (to_file(c) && !cli_has(c, "json"))
		nsc_ok(n, "wrote %s %s to `%s`", jwt_kind_name(j->kind),
		       cli_has(c, "raw") ? "jwt" : "description", cli_str(c, "output-file"));
	return json_array_size(n->report) ? nsc_report(n, e) : 0;
}

int nsc_describe_operator(struct cli *c, struct err *e)
{
	const char *name = nsc_name_arg(c, "name");
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(nsc) struct nsc n = {0};
	CLEAN(buf) struct buf raw = {0};

	buf_init(&raw, JWT_MAX);
	if (nsc_begin(&n, c, NSC_NOTHING, NULL, e) ||
	    (*name && nsc_config_use(&n, NULL, name, NULL, e)))
		return -1;
	if (!*n.op_name)
		return err_set(e, ERR_NOT_FOUND, "set an operator -- 'nsc env -o operatorName'");
	if (nsc_read(&n, &j, NULL, NULL, &raw, e))
		return -1;
	return describe(&n, &j, &raw, e);
}

int nsc_describe_account(struct cli *c, struct err *e)
{
	const char *name = nsc_name_arg(c, "name");
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(nsc) struct nsc n = {0};
	CLEAN(buf) struct buf raw = {0};

	buf_init(&raw, JWT_MAX);
	if (nsc_begin(&n, c, NSC_ACCOUNT, *name ? name : NULL, e) ||
	    nsc_read(&n, &j, n.account, NULL, &raw, e))
		return -1;
	return describe(&n, &j, &raw, e);
}

/* Name of the user with this public key; "" when none has it. Free it. */
static char *user_by_key(struct nsc *n, const char *key, struct err *e)
{
	CLEAN(json) json_t *users = nsc_users(n, n->account, e);
	json_t *v;
	size_t i;

	if (!users)
		return NULL;
	err_set(e, ERR_NOMEM, NULL);
	json_array_foreach(users, i, v)
	{
		CLEAN(jwt) struct jwt j = {0};

		if (nsc_read(n, &j, n->account, json_string_value(v), NULL, NULL) == 0 &&
		    strcmp(jwt_str(&j, "sub"), key) == 0)
			return strdup(json_string_value(v));
	}
	return strdup("");
}

int nsc_describe_user(struct cli *c, struct err *e)
{
	const char *given = nsc_name_arg(c, "name");
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(nsc) struct nsc n = {0};
	CLEAN(buf) struct buf raw = {0};
	uint8_t key[32];

	buf_init(&raw, JWT_MAX);
	if (nsc_begin(&n, c, NSC_ACCOUNT, cli_str(c, "account"), e))
		return -1;
	bool by_key = nkey_decode_kind(key, NKEY_USER, given, NULL) == 0;
	CLEAN(free) char *name = by_key	  ? user_by_key(&n, given, e)
				 : *given ? strdup(given)
					  : nsc_only_user(&n, n.account, e);

	if (!name)
		return *given && !by_key ? err_set(e, ERR_NOMEM, NULL) : -1;
	if (!*name && by_key)
		return err_set(e, ERR_NOT_FOUND, "no user found with public key %s", given);
	if (!*name)
		return cli_usage(e, "user is required");
	if (nsc_read(&n, &j, n.account, name, &raw, e))
		return -1;
	return describe(&n, &j, &raw, e);
}

int nsc_describe_jwt(struct cli *c, struct err *e)
{
	const char *file = nsc_name_arg(c, "file");
	CLEAN(free) char *path = *file ? nsc_expand(file) : NULL;
	CLEAN(buf) struct buf text = {0}, raw = {0};
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(nsc) struct nsc n = {0};

	buf_init(&text, JWT_MAX + 65536);
	buf_init(&raw, JWT_MAX + 65536);
	/* A creds file has a seed in it. */
	text.secret = true;
	if (!path)
		return cli_usage(e, "file is required");
	if (strncasecmp(file, "http", 4) == 0)
		return err_set(e, ERR_USAGE, "URLs are not there: fetch the JWT and give its file");
	if (nsc_begin(&n, c, NSC_NOTHING, NULL, e) || file_read(path, &text, e))
		return -1;
	struct bytes token = jwt_find((const char *)text.p, text.len);

	if (jwt_decode(&j, path, (const char *)token.p, token.len, e))
		return -1;
	buf_put(&raw, token.p, token.len);
	return describe(&n, &j, &raw, e);
}
