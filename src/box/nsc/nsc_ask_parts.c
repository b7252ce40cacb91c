/* Questions that several commands ask: which account and user, from when until when, and
 * who signs. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "box/nsc/nsc_ask.h"

int nsc_ask_some(struct nsc *n, const char *text, struct err *e)
{
	(void)n;
	return *text ? 0 : err_set(e, ERR_BAD_INPUT, "value is too short");
}

int nsc_ask_account(struct nsc *n, const char *def, char **out, struct err *e)
{
	CLEAN(json) json_t *names = nsc_accounts(n, e);
	size_t i = 0;

	if (!names)
		return -1;
	if (!json_array_size(names))
		return err_set(e, ERR_NOT_FOUND, "no accounts defined - add one first");
	if (json_array_size(names) > 1 && nsc_ask_one(n, "select account", def, names, &i, e))
		return -1;
	*out = strdup(json_string_value(json_array_get(names, i)));
	return *out ? 0 : err_set(e, ERR_NOMEM, NULL);
}

int nsc_ask_user(struct nsc *n, const char *account, char **out, struct err *e)
{
	CLEAN(json) json_t *names = nsc_users(n, account, e);
	size_t i = 0;

	if (!names)
		return -1;
	if (!json_array_size(names))
		return err_set(e, ERR_NOT_FOUND,
			       "account \"%s\" doesn't have any users - add one first", account);
	if (json_array_size(names) > 1 && nsc_ask_one(n, "select user", "", names, &i, e))
		return -1;
	*out = strdup(json_string_value(json_array_get(names, i)));
	return *out ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static int is_time(struct nsc *n, const char *text, struct err *e)
{
	int64_t t;

	return *text ? nsc_time(n, "the time", text, &t, e) : 0;
}

int nsc_ask_times(struct nsc *n, const struct jwt *j, struct err *e)
{
	int64_t until = 0;
	char at[64];

	if (nsc_ask_option(n, "start", "valid from", nsc_date(at, j ? jwt_int(j, "nbf") : 0),
			   is_time, e) ||
	    nsc_ask_option(n, "expiry", "valid until (0 is always)",
			   nsc_date(at, j ? jwt_int(j, "exp") : 0), is_time, e))
		return -1;
	const char *text = cli_str(n->c, "expiry");
	bool sure = true;

	if (!text || !*text)
		return 0;
	if (nsc_time(n, "expiry", text, &until, e))
		return -1;
	if (until == 0 || until >= n->now)
		return 0;
	CLEAN(free) char *label = nsc_path("expiry \"%s\" is in the past (%s) - are you sure?",
					   text, nsc_when(at, n->now, until));

	if (!label || nsc_ask_yes(n, label, false, &sure, e))
		return label ? -1 : err_set(e, ERR_NOMEM, NULL);
	return sure ? 0 : err_set(e, ERR_BAD_INPUT, "expiry \"%s\" is in the past (%s)", text, at);
}

static int other_signer(struct nsc *n, const char *text, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};

	if (nsc_key_resolve(n, text, 0xff, &k, e))
		return -1;
	return k.secret ? 0 : err_set(e, ERR_BAD_NKEY, "its seed is needed");
}

int nsc_ask_signer(struct nsc *n, enum nkey_kind level, const char *label, struct err *e)
{
	CLEAN(json) json_t *keys = nsc_signers(n, level), *list = json_array();
	const char *given = cli_str(n->c, "private-key"), *pub;
	bool missing = false;
	json_t *v;
	size_t i;

	if (given && *given)
		return 0;
	json_array_foreach(keys, i, v)
	{
		if (nsc_key_has(n, json_string_value(v)))
			json_array_append(list, v);
		else
			missing = true;
	}
	/* Users are signed with what is there. */
	missing = missing && level == NKEY_OPERATOR;
	if (json_array_size(list) < 2 && !missing)
		return 0;
	size_t other = json_array_size(list);

	if (missing)
		json_array_append_new(list, json_string("Other..."));
	if (nsc_ask_one(n, label ? label : "select the key to use for signing", "", list, &i, e))
		return -1;
	pub = json_string_value(json_array_get(list, i));
	if (i < other)
		return cli_set(n->c, "private-key", pub, e);
	return nsc_ask_option(n, "private-key", "path to signer nkey or nkey", NULL, other_signer,
			      e);
}
