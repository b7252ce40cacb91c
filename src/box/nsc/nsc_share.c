/* Exports, imports and mappings of an account. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_server.h"
#include "nkey/claims.h"
#include "nkey/jwt_check.h"

/* Account and its signer: what every command here begins with. */
static int begin(struct nsc *n, struct cli *c, struct nkey *signer, struct err *e)
{
	if (nsc_begin(n, c, NSC_ACCOUNT, cli_str(c, "account"), e))
		return -1;
	return nsc_signer(n, NKEY_OPERATOR, jwt_str(&n->ac, "iss"), signer, e);
}

static bool flag(const struct cli *c, const char *name)
{
	bool on = false;

	(void)nsc_bool(c, name, &on, NULL);
	return on;
}

static void set_flag(const struct cli *c, json_t *o, const char *option, const char *member)
{
	if (cli_has(c, option))
		claims_set_bool(o, member, flag(c, option));
}

/* ---- exports */

static int set_latency(const struct cli *c, json_t *x, struct err *e)
{
	const char *subject = cli_str(c, "latency"), *sampling = cli_str(c, "sampling");
	int64_t rate = 0;

	if (!subject || !*subject)
		return 0;
	if (sampling && *sampling && strcasecmp(sampling, "header") != 0 &&
	    (nsc_number("sampling", sampling, &rate, e) || rate < 1 || rate > 100))
		return err_set(e, ERR_BAD_INPUT, "sampling must be between 1 and 100 inclusive");
	json_object_set_new(
		x, "service_latency",
		json_pack("{s:I,s:s}", "sampling", (json_int_t)rate, "results", subject));
	return 0;
}

/* The response type in the library's spelling. */
static const char *response_type(const char *text)
{
	static const char *const types[] = {"Singleton", "Stream", "Chunked"};

	for (size_t i = 0; i < 3; i++)
		if (strcasecmp(types[i], text) == 0)
			return types[i];
	return NULL;
}

static int set_response(const struct cli *c, json_t *x, bool service, struct err *e)
{
	const char *type = cli_str(c, "response-type"), *limit = cli_str(c, "response-threshold");
	int64_t ns = 0;

	if (type && !service)
		return err_set(e, ERR_USAGE,
			       "response type can only be specified in conjunction with service");
	if (type && !response_type(type))
		return err_set(e, ERR_BAD_INPUT, "unknown response type \"%s\"", type);
	if (type || (service && !*claims_str(x, "response_type")))
		claims_set_str(x, "response_type", response_type(type ? type : "Singleton"));
	if (!limit)
		return 0;
	if (nsc_duration("response-threshold", limit, &ns, e))
		return -1;
	claims_set_int(x, "response_threshold", ns);
	return 0;
}

static int set_position(const struct cli *c, json_t *x, struct err *e)
{
	int64_t v = 0;

	if (!cli_has(c, "account-token-position"))
		return 0;
	if (cli_int(c, "account-token-position", 0, 100, &v, e))
		return -1;
	if (v && claims_bool(x, "token_req"))
		return err_set(e, ERR_USAGE,
			       "account token position is only valid for public exports");
	claims_set_int(x, "account_token_position", v);
	return 0;
}

/* The options that add and edit share. */
static int set_export(const struct cli *c, json_t *x, struct err *e)
{
	bool service = strcmp(claims_str(x, "type"), "service") == 0;

	set_flag(c, x, "private", "token_req");
	set_flag(c, x, "advertise", "advertise");
	set_flag(c, x, "allow-trace", "allow_trace");
	return set_latency(c, x, e) || set_response(c, x, service, e) || set_position(c, x, e) ? -1
											       : 0;
}

static int check_exports(const json_t *exports, struct err *e)
{
	CLEAN(json) json_t *issues = json_array();

	jwt_check_exports(exports, issues);
	return jwt_fatal(issues) ? err_set(e, ERR_BAD_INPUT, "%s", jwt_fatal(issues)) : 0;
}

int nsc_add_export(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};

	if (begin(&n, c, &signer, e))
		return -1;
	const char *subject = cli_str(c, "subject"), *name = cli_str(c, "name");

	if (!subject || !*subject)
		return cli_usage(e, "a subject is required");
	name = name && *name ? name : subject;
	CLEAN(json) json_t *x = json_pack("{s:s,s:s,s:s}", "name", name, "subject", subject, "type",
					  flag(c, "service") ? "service" : "stream");

	if (!x)
		return err_set(e, ERR_BAD_INPUT, "the subject or the name is not UTF-8");
	json_array_append(claims_arr(n.ac.nats, "exports"), x);
	if (set_export(c, x, e) || check_exports(json_object_get(n.ac.nats, "exports"), e) ||
	    nsc_write_account(&n, &signer, e))
		return -1;
	nsc_ok(&n, "added %s %s export \"%s\"", claims_bool(x, "token_req") ? "private" : "public",
	       claims_str(x, "type"), name);
	return nsc_report(&n, e);
}

/* Index of the entry with this subject (and account); the only one when none is given. */
static int find(const json_t *list, const char *what, const char *subject, const char *account,
		size_t *at, struct err *e)
{
	size_t found = 0, n = json_array_size(list);

	if ((!subject || !*subject) && n == 1) {
		*at = 0;
		return 0;
	}
	if (!subject || !*subject)
		return cli_usage(e, "subject is required");
	for (size_t i = 0; i < n; i++) {
		const json_t *x = json_array_get(list, i);

		if (strcmp(claims_str(x, "subject"), subject) != 0 ||
		    (account && strcmp(claims_str(x, "account"), account) != 0))
			continue;
		*at = i;
		found++;
	}
	if (found > 1)
		return err_set(e, ERR_BAD_INPUT,
			       "more than one %s \"%s\" found - specify --src-account", what,
			       subject);
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no %s matching \"%s\" found", what, subject);
}

static json_t *list_of(struct nsc *n, const char *member, struct err *e)
{
	json_t *list = json_object_get(n->ac.nats, member);

	if (json_array_size(list))
		return list;
	err_set(e, ERR_NOT_FOUND, "account \"%s\" doesn't have %s", n->account, member);
	return NULL;
}

/* Says what of an export is another now, and what breaks those who import it. */
static void changes(struct nsc *n, const json_t *old, const json_t *x)
{
	static const struct {
		const char *key, *what;
	} rows[] = {{"name", "export name"},
		    {"response_type", "response type"},
		    {"description", "description"},
		    {"info_url", "info url"}};
	int64_t rate = claims_int(json_object_get(x, "service_latency"), "sampling");
	bool private = claims_bool(x, "token_req"), trace = claims_bool(x, "allow_trace");

	if (private != claims_bool(old, "token_req"))
		nsc_say(n, NSC_WARN, "changed export to be %s - this will break importers",
			private ? "private" : "public");
	if (strcmp(claims_str(x, "type"), claims_str(old, "type")) != 0)
		nsc_say(n, NSC_WARN, "changed export type to \"%s\" - this will break importers",
			claims_str(x, "type"));
	if (rate != claims_int(json_object_get(old, "service_latency"), "sampling"))
		nsc_ok(n, "changed service latency to %lld%%", (long long)rate);
	for (size_t i = 0; i < 4; i++) {
		const char *now = claims_str(x, rows[i].key), *mark = i < 2 ? "" : "\"";

		if (strcmp(now, claims_str(old, rows[i].key)) != 0)
			nsc_ok(n, "changed %s to %s%s%s", rows[i].what, mark, now, mark);
	}
	if (trace != claims_bool(old, "allow_trace"))
		nsc_ok(n, "changed allowed trace to %s", trace ? "true" : "false");
}

int nsc_edit_export(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};
	json_t *list;
	size_t at;

	if (begin(&n, c, &signer, e) || !(list = list_of(&n, "exports", e)) ||
	    find(list, "export", cli_str(c, "subject"), NULL, &at, e))
		return -1;
	const char *name = cli_str(c, "name"), *info = cli_str(c, "info-url");
	const char *text = cli_str(c, "description");
	json_t *x = json_array_get(list, at);
	CLEAN(json) json_t *old = json_deep_copy(x);

	if (cli_has(c, "service"))
		claims_set_str(x, "type", flag(c, "service") ? "service" : "stream");
	if (name)
		claims_set_str(x, "name", name);
	if (text)
		claims_set_str(x, "description", text);
	if (info)
		claims_set_str(x, "info_url", info);
	if (cli_has(c, "rm-latency-sampling"))
		json_object_del(x, "service_latency");
	if (cli_has(c, "rm-response-threshold"))
		json_object_del(x, "response_threshold");
	if (strcmp(claims_str(x, "type"), "stream") == 0)
		json_object_del(x, "response_type");
	if (set_export(c, x, e) || check_exports(list, e))
		return -1;
	CLEAN(json) json_t *kept = json_incref(x);

	changes(&n, old, x);
	if (nsc_write_account(&n, &signer, e))
		return -1;
	nsc_ok(&n, "edited %s export \"%s\"", claims_str(kept, "type"), claims_str(kept, "name"));
	return nsc_report(&n, e);
}

static int drop(struct cli *c, const char *member, const char *what, const char *from,
		struct err *e)
{
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};
	json_t *list;
	size_t at;

	if (begin(&n, c, &signer, e) || !(list = list_of(&n, member, e)) ||
	    find(list, what, cli_str(c, "subject"), from ? cli_str(c, from) : NULL, &at, e))
		return -1;
	CLEAN(json) json_t *x = json_incref(json_array_get(list, at));

	json_array_remove(list, at);
	n.summary = true;
	nsc_ok(&n, "deleted %s %s \"%s\"", claims_str(x, "type"), what, claims_str(x, "subject"));
	if (nsc_write_account(&n, &signer, e))
		return -1;
	return nsc_report(&n, e);
}

int nsc_delete_export(struct cli *c, struct err *e)
{
	return drop(c, "exports", "export", NULL, e);
}

int nsc_delete_import(struct cli *c, struct err *e)
{
	return drop(c, "imports", "import", "src-account", e);
}

/* ---- imports */

/* Import of what an activation token allows. */
static json_t *from_token(struct nsc *n, const char *file, struct err *e)
{
	CLEAN(jwt) struct jwt act = {0};
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, JWT_MAX + 4096);
	if (nsc_fetch(file, &text, e))
		return NULL;
	struct bytes token = jwt_find((const char *)text.p, text.len);

	if (jwt_decode_kind(&act, JWT_ACTIVATION, file, (const char *)token.p, token.len, e))
		return NULL;
	if (strcmp(jwt_str(&act, "sub"), "public") != 0 &&
	    strcmp(jwt_str(&act, "sub"), jwt_str(&n->ac, "sub")) != 0) {
		err_set(e, ERR_BAD_INPUT,
			"activation is not intended for this account - it is for \"%s\"",
			jwt_str(&act, "sub"));
		return NULL;
	}
	const char *from = jwt_nats_str(&act, "issuer_account");

	return json_pack("{s:s,s:s,s:s,s:s%,s:s}", "name", jwt_str(&act, "name"), "subject",
			 jwt_nats_str(&act, "subject"), "account",
			 *from ? from : jwt_str(&act, "iss"), "token", (const char *)token.p,
			 token.len, "type", jwt_nats_str(&act, "kind"));
}

static json_t *from_options(struct nsc *n, struct err *e)
{
	const char *remote = cli_str(n->c, "remote-subject");
	char pub[NKEY_PUB_LEN];

	if (nsc_account_key(n, cli_str(n->c, "src-account"), false, pub, e))
		return NULL;
	return json_pack("{s:s,s:s,s:s,s:s}", "name", remote, "subject", remote, "account", pub,
			 "type", flag(n->c, "service") ? "service" : "stream");
}

static int check_import(struct nsc *n, json_t *x, struct err *e)
{
	json_t *list = claims_arr(n->ac.nats, "imports"), *v;
	const char *type = claims_str(x, "type"), *account = claims_str(x, "account");
	size_t i;

	if (strcmp(account, jwt_str(&n->ac, "sub")) == 0)
		return err_set(e, ERR_BAD_INPUT, "export issuer is this account");
	if (flag(n->c, "share") && strcmp(type, "service") != 0)
		return err_set(e, ERR_USAGE, "only services can set the share property");
	json_array_foreach(list, i, v)
	{
		if (strcmp(claims_str(v, "type"), type) == 0 &&
		    strcmp(claims_str(v, "account"), account) == 0 &&
		    strcmp(claims_str(v, "subject"), claims_str(x, "subject")) == 0)
			return err_set(e, ERR_EXISTS, "account already imports %s \"%s\" from %s",
				       type, claims_str(x, "subject"), account);
	}
	json_array_append(list, x);
	return 0;
}

int nsc_add_import(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *x = NULL, *issues = json_array();
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};

	if (begin(&n, c, &signer, e))
		return -1;
	const char *token = cli_str(c, "token"), *local = cli_str(c, "local-subject");
	bool from = cli_has(c, "src-account"), remote = cli_has(c, "remote-subject");

	if (token && (from || remote))
		return cli_usage(e, "private imports require src-account, remote-subject and "
				    "service to be unset");
	if (!token && !(from && remote))
		return cli_usage(e, "public imports require src-account, remote-subject");
	x = token ? from_token(&n, token, e) : from_options(&n, e);
	if (!x)
		return -1;
	bool service = strcmp(claims_str(x, "type"), "service") == 0;

	if (cli_str(c, "name"))
		claims_set_str(x, "name", cli_str(c, "name"));
	if (local && *local)
		claims_set_str(x, "local_subject", local);
	else if (token && service)
		claims_set_str(x, "local_subject", claims_str(x, "subject"));
	set_flag(c, x, "share", "share");
	if (!service)
		set_flag(c, x, "allow-trace", "allow_trace");
	if (check_import(&n, x, e))
		return -1;
	jwt_check(&n.ac, n.now, issues);
	if (jwt_fatal(issues))
		return err_set(e, ERR_BAD_INPUT, "%s", jwt_fatal(issues));
	if (nsc_write_account(&n, &signer, e))
		return -1;
	nsc_ok(&n, "added %s import \"%s\"", claims_str(x, "type"), claims_str(x, "subject"));
	return nsc_report(&n, e);
}

/* ---- mappings */

int nsc_add_mapping(struct cli *c, struct err *e)
{
	const char *from = cli_str(c, "from"), *to = cli_str(c, "to");
	const char *cluster = cli_str(c, "cluster") ? cli_str(c, "cluster") : "";
	CLEAN(json) json_t *issues = json_array();
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};
	int64_t weight = 0;
	json_t *v;
	size_t i;

	if (!from || !*from)
		return cli_usage(e, "from subject is required");
	if (!to || !*to)
		return cli_usage(e, "to subject is required");
	if (cli_int(c, "weight", 0, 255, &weight, e) || begin(&n, c, &signer, e))
		return -1;
	json_t *list = claims_arr(claims_obj(n.ac.nats, "mappings"), from);
	json_t *m = json_pack("{s:s,s:I,s:s}", "subject", to, "weight", (json_int_t)weight,
			      "cluster", cluster);

	json_array_foreach(list, i, v)
	{
		if (strcmp(claims_str(v, "subject"), to) == 0 &&
		    strcmp(claims_str(v, "cluster"), cluster) == 0)
			break;
	}
	if (i < json_array_size(list) ? json_array_set_new(list, i, m)
				      : json_array_append_new(list, m))
		return err_set(e, ERR_NOMEM, NULL);
	jwt_check_mappings(json_object_get(n.ac.nats, "mappings"), issues);
	if (jwt_fatal(issues))
		return err_set(e, ERR_BAD_INPUT, "mapping validation failed: %s",
			       jwt_fatal(issues));
	if (nsc_write_account(&n, &signer, e))
		return -1;
	nsc_ok(&n, "added mapping %s -> %s, weight %lld%%", from, to,
	       (long long)(weight ? weight : 100));
	return nsc_report(&n, e);
}

int nsc_delete_mapping(struct cli *c, struct err *e)
{
	const char *from = cli_str(c, "from"), *to = cli_str(c, "to");
	const char *cluster = cli_str(c, "cluster") ? cli_str(c, "cluster") : "";
	CLEAN(nkey) struct nkey signer = {0};
	CLEAN(nsc) struct nsc n = {0};
	bool found = false;

	if (!from || !*from)
		return cli_usage(e, "from subject is required");
	if (begin(&n, c, &signer, e))
		return -1;
	json_t *map = claims_obj(n.ac.nats, "mappings"), *list = json_object_get(map, from);

	/* Without --to all go; the original then ignores --cluster, too. */
	for (size_t i = json_array_size(list); i-- > 0;) {
		const json_t *v = json_array_get(list, i);

		if (to && *to &&
		    (strcmp(claims_str(v, "subject"), to) != 0 ||
		     strcmp(claims_str(v, "cluster"), cluster) != 0))
			continue;
		json_array_remove(list, i);
		found = true;
	}
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "there is no such mapping for \"%s\"", from);
	if (!json_array_size(list))
		json_object_del(map, from);
	n.summary = true;
	if (to && *to)
		nsc_ok(&n, "deleted mapping %s -> %s%s%s", from, to, *cluster ? " in cluster " : "",
		       cluster);
	else
		nsc_ok(&n, "deleted all mapping for %s", from);
	if (nsc_write_account(&n, &signer, e))
		return -1;
	return nsc_report(&n, e);
}
