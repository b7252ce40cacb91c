#include "nkey/jwt_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "nkey/claims.h"

#define MORE " … and more"
/* Pairs that are compared in a list: claims come from others, and time is not theirs. */
#define MOST_PAIRS 4000000

/* Nothing but a fatal issue can be added. */
static bool full(const json_t *list)
{
	return json_array_size(list) > JWT_MOST_ISSUES;
}

void jwt_issue(json_t *list, bool fatal, const char *fmt, ...)
{
	size_t have = json_array_size(list);
	char text[512];
	va_list ap;

	if (full(list) && !fatal)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text) - sizeof(MORE), fmt, ap);
	va_end(ap);
	if (have >= JWT_MOST_ISSUES) {
		/* The last one stands for all that follow: the first fatal one, if any. */
		if (claims_bool(json_array_get(list, JWT_MOST_ISSUES), "fatal"))
			return;
		memcpy(text + strlen(text), MORE, sizeof(MORE));
	}
	json_t *v = json_pack("{s:s,s:b}", "text", text, "fatal", fatal);

	/* A character that was cut in two is not UTF-8. */
	for (char *p = text; !v && *p; p++)
		*p = (char)(*p & 0x80 ? '?' : *p);
	if (!v)
		v = json_pack("{s:s,s:b}", "text", text, "fatal", fatal);
	if (have > JWT_MOST_ISSUES)
		json_array_set_new(list, JWT_MOST_ISSUES, v);
	else
		json_array_append_new(list, v);
}

const char *jwt_fatal(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *v = json_array_get(list, i);

		if (claims_bool(v, "fatal"))
			return claims_str(v, "text");
	}
	return NULL;
}

static bool is_key(const char *text, enum nkey_kind kind)
{
	uint8_t raw[32];

	return nkey_decode_kind(raw, kind, text, NULL) == 0;
}

void jwt_check_subject(const char *s, json_t *list)
{
	size_t n = strlen(s);

	if (n == 0) {
		jwt_issue(list, true, "subject cannot be empty");
		return;
	}
	if (strchr(s, ' '))
		jwt_issue(list, true, "subject \"%s\" cannot have spaces", s);
	if (s[0] == '.' || s[n - 1] == '.')
		jwt_issue(list, true, "subject \"%s\" cannot start or end with a `.`", s);
	if (strstr(s, ".."))
		jwt_issue(list, true, "subject \"%s\" cannot contain consecutive `.`", s);
}

/* Number of tokens; *stars: how many are "*". */
static int tokens(const char *s, int *stars)
{
	int n = 1;

	*stars = 0;
	for (const char *p = s;; p++) {
		size_t len = strcspn(p, ".");

		*stars += len == 1 && *p == '*';
		p += len;
		if (!*p)
			return n;
		n++;
	}
}

static bool ends_open(const char *s)
{
	size_t n = strlen(s);

	return n && s[n - 1] == '>' && (n == 1 || s[n - 2] == '.');
}

/* A renaming subject refers to each * of from, as * or $1…. */
static void check_renaming(const char *to, const char *from, json_t *list)
{
	int stars, refs;

	jwt_check_subject(to, list);
	if (ends_open(to) != ends_open(from))
		jwt_issue(list, true,
			  "both, renaming subject and subject, need to end or not end in >");
	tokens(from, &stars);
	tokens(to, &refs);
	for (const char *p = to; p; p = strchr(p, '.') ? strchr(p, '.') + 1 : NULL) {
		char *end;
		long i = *p == '$' ? strtol(p + 1, &end, 10) : 0;

		if (*p != '$' || end == p + 1 || (*end && *end != '.'))
			continue;
		if (i > stars)
			jwt_issue(
				list, true,
				"Reference $%ld in \"%s\" reference * in \"%s\" that do not exist",
				i, to, from);
		else
			refs++;
	}
	if (refs != stars)
		jwt_issue(list, true,
			  "subject does not contain enough * or reference wildcards $[0-9]");
}

static void check_permission(const json_t *perm, const char *side, bool queue, json_t *list)
{
	static const char *const keys[] = {"allow", "deny"};
	const json_t *p = json_object_get(perm, side);

	for (size_t k = 0; k < 2; k++) {
		json_t *l = json_object_get(p, keys[k]), *v;
		size_t i;

		json_array_foreach(l, i, v)
		{
			const char *s = json_string_value(v) ? json_string_value(v) : "";
			const char *space = strchr(s, ' ');
			char subject[256];

			if (space && strchr(space + 1, ' ')) {
				jwt_issue(list, true,
					  "Permission Subject \"%s\" contains too many spaces", s);
				continue;
			}
			(void)snprintf(subject, sizeof(subject), "%.*s",
				       (int)(space ? space - s : 255), s);
			jwt_check_subject(subject, list);
			if (space)
				jwt_check_subject(space + 1, list);
			if (space && !queue)
				jwt_issue(
					list, true,
					"Permission Subject \"%s\" is not allowed to contain queue",
					s);
		}
	}
}

static void check_permissions(const json_t *o, json_t *list)
{
	check_permission(o, "sub", true, list);
	check_permission(o, "pub", false, list);
}

static void check_latency(const json_t *export, bool service, json_t *list)
{
	const json_t *latency = json_object_get(export, "service_latency");
	int64_t sampling = claims_int(latency, "sampling");

	if (!latency)
		return;
	if (!service)
		jwt_issue(list, true, "latency tracking only permitted for services");
	if (sampling < 0 || sampling > 100)
		jwt_issue(list, true, "sampling percentage needs to be between 1-100");
	jwt_check_subject(claims_str(latency, "results"), list);
	if (claims_subject_wild(claims_str(latency, "results")))
		jwt_issue(list, true, "results subject can not contain wildcards");
}

/* The account's token in a subject must be a "*". */
static void check_position(const char *subject, int64_t pos, json_t *list)
{
	int stars, n = tokens(subject, &stars);

	if (pos <= 0)
		return;
	if (!claims_subject_wild(subject)) {
		jwt_issue(list, true,
			  "Account Token Position can only be used with wildcard subjects: %s",
			  subject);
		return;
	}
	if (pos > n) {
		jwt_issue(list, true, "Account Token Position %lld exceeds length of subject '%s'",
			  (long long)pos, subject);
		return;
	}
	const char *p = subject;

	for (int64_t i = 1; i < pos; i++)
		p = strchr(p, '.') + 1;
	int len = (int)strcspn(p, ".");

	if (len != 1 || *p != '*')
		jwt_issue(list, true,
			  "Account Token Position %lld matches '%.*s' but must match a * in: %s",
			  (long long)pos, len, p, subject);
}

static void check_export(const json_t *e, json_t *list)
{
	const char *type = claims_str(e, "type"), *rt = claims_str(e, "response_type");
	bool service = strcmp(type, "service") == 0, stream = strcmp(type, "stream") == 0;
	int64_t threshold = claims_int(e, "response_threshold");

	if (!service && !stream)
		jwt_issue(list, true, "invalid export type: \"%s\"", type);
	if (service && *rt && strcmp(rt, "Singleton") != 0 && strcmp(rt, "Stream") != 0 &&
	    strcmp(rt, "Chunked") != 0)
		jwt_issue(list, true, "invalid response type for service: \"%s\"", rt);
	if (stream && *rt)
		jwt_issue(list, true, "invalid response type for stream: \"%s\"", rt);
	if (stream && claims_bool(e, "allow_trace"))
		jwt_issue(list, true, "AllowTrace only valid for service export");
	check_latency(e, service, list);
	if (threshold < 0)
		jwt_issue(list, true, "negative response threshold is invalid");
	if (threshold > 0 && !service)
		jwt_issue(list, true, "response threshold only valid for services");
	jwt_check_subject(claims_str(e, "subject"), list);
	check_position(claims_str(e, "subject"), claims_int(e, "account_token_position"), list);
}

/* Whether lists this long can be compared entry by entry. */
static bool comparable(size_t n, const char *what, json_t *list)
{
	if (n * n <= MOST_PAIRS)
		return true;
	jwt_issue(list, false, "%zu %s are too many to find overlaps among them", n, what);
	return false;
}

void jwt_check_exports(const json_t *exports, json_t *list)
{
	size_t n = json_array_size(exports);

	for (size_t i = 0; i < n && !full(list); i++)
		check_export(json_array_get(exports, i), list);
	if (!comparable(n, "exports", list))
		return;
	for (size_t i = 0; i < n && !full(list); i++)
		for (size_t k = 0; k < n && !full(list); k++) {
			const json_t *a = json_array_get(exports, i),
				     *b = json_array_get(exports, k);
			const char *type = claims_str(a, "type");
			const char *s = claims_str(a, "subject"), *o = claims_str(b, "subject");

			if (i != k && strcmp(type, claims_str(b, "type")) == 0 &&
			    claims_subject_within(s, o))
				jwt_issue(list, true,
					  "%s export subject \"%s\" already exports \"%s\"", type,
					  o, s);
		}
}

static void check_token(const json_t *im, const char *account, json_t *list)
{
	const char *token = claims_str(im, "token"), *from = claims_str(im, "account");
	const char *subject = claims_str(im, "subject");
	struct jwt act = {0};

	if (!*token || strncmp(token, "http", 4) == 0)
		return;
	if (jwt_decode_kind(&act, JWT_ACTIVATION, "token", token, strlen(token), NULL)) {
		jwt_issue(list, true, "import \"%s\" contains an invalid activation token",
			  subject);
		return;
	}
	if (strcmp(jwt_str(&act, "iss"), from) != 0 &&
	    strcmp(jwt_nats_str(&act, "issuer_account"), from) != 0)
		jwt_issue(list, true, "activation token doesn't match account for import \"%s\"",
			  subject);
	if (strcmp(jwt_str(&act, "sub"), account) != 0)
		jwt_issue(list, true,
			  "activation token doesn't match account it is being included in, \"%s\"",
			  subject);
	if (strcmp(jwt_nats_str(&act, "kind"), claims_str(im, "type")) != 0)
		jwt_issue(list, true, "mismatch between token import type %s and type of import %s",
			  jwt_nats_str(&act, "kind"), claims_str(im, "type"));
	if (!claims_subject_within(subject, jwt_nats_str(&act, "subject")))
		jwt_issue(list, true,
			  "activation token import subject \"%s\" doesn't match import \"%s\"",
			  jwt_nats_str(&act, "subject"), subject);
	jwt_clear(&act);
}

static void check_import(const json_t *im, const char *account, json_t *list)
{
	const char *type = claims_str(im, "type"), *subject = claims_str(im, "subject");
	bool service = strcmp(type, "service") == 0;

	if (!service && strcmp(type, "stream") != 0)
		jwt_issue(list, true, "invalid import type: \"%s\"", type);
	if (service && claims_bool(im, "allow_trace"))
		jwt_issue(list, true, "AllowTrace only valid for stream import");
	if (!*claims_str(im, "account"))
		jwt_issue(list, true, "account to import from is not specified");
	if (*claims_str(im, "to"))
		jwt_issue(list, false,
			  "the field to has been deprecated (use LocalSubject instead)");
	jwt_check_subject(subject, list);
	if (*claims_str(im, "local_subject")) {
		check_renaming(claims_str(im, "local_subject"), subject, list);
		if (*claims_str(im, "to"))
			jwt_issue(list, true, "Local Subject replaces To");
	}
	if (claims_bool(im, "share") && !service)
		jwt_issue(list, true,
			  "sharing information (for latency tracking) is only valid for services: "
			  "\"%s\"",
			  subject);
	check_token(im, account, list);
}

/* The subject under which a service import is seen in the importing account. */
static const char *local_name(const json_t *im)
{
	if (*claims_str(im, "to"))
		return claims_str(im, "to");
	return *claims_str(im, "local_subject") ? claims_str(im, "local_subject")
						: claims_str(im, "subject");
}

static void check_imports(const json_t *imports, const char *account, json_t *list)
{
	size_t n = json_array_size(imports);
	bool overlaps = comparable(n, "imports", list);

	for (size_t i = 0; i < n && !full(list); i++) {
		const json_t *a = json_array_get(imports, i);
		bool service = overlaps && strcmp(claims_str(a, "type"), "service") == 0;

		check_import(a, account, list);
		for (size_t k = 0; service && k < i && !full(list); k++) {
			const json_t *b = json_array_get(imports, k);
			const char *s = local_name(a), *o = local_name(b);

			if (strcmp(claims_str(b, "type"), "service") == 0 &&
			    strcmp(claims_str(a, "account"), claims_str(b, "account")) == 0 &&
			    (claims_subject_within(s, o) || claims_subject_within(o, s)))
				jwt_issue(list, true,
					  "overlapping subject namespace for \"%s\" and \"%s\" in "
					  "same account \"%s\"",
					  s, o, claims_str(a, "account"));
		}
	}
}

static int64_t weight(const json_t *m)
{
	return claims_int(m, "weight") ? claims_int(m, "weight") : 100;
}

void jwt_check_mappings(const json_t *mappings, json_t *list)
{
	json_t *all = (json_t *)(uintptr_t)mappings, *entries, *m;
	const char *from;
	size_t i;

	json_object_foreach(all, from, entries)
	{
		json_t *sums = json_object(); /* cluster to weight up to here */

		jwt_check_subject(from, list);
		json_array_foreach(entries, i, m)
		{
			const char *cluster = claims_str(m, "cluster");
			int64_t w = weight(m), before = claims_int(sums, cluster);

			jwt_check_subject(claims_str(m, "subject"), list);
			if (w > 100)
				jwt_issue(list, true,
					  "Mapping \"%s\" has a weight %lld that exceeds 100", from,
					  (long long)w);
			/* Over 100 is told where it happens. */
			if (before <= 100 && w > 100 - before)
				jwt_issue(list, true,
					  "Mapping \"%s\"%s%s%s exceeds 100%% among all of it's "
					  "weighted to mappings",
					  from, *cluster ? " in cluster \"" : "", cluster,
					  *cluster ? "\"" : "");
			claims_set_int(sums, cluster,
				       before > 100 || w > 100 - before ? 101
				       : w > 0				? before + w
									: before);
		}
		json_decref(sums);
	}
}

static void check_trace(const json_t *trace, json_t *list)
{
	int64_t sampling = claims_int(trace, "sampling");

	if (!trace)
		return;
	jwt_check_subject(claims_str(trace, "dest"), list);
	if (claims_subject_wild(claims_str(trace, "dest")))
		jwt_issue(list, true,
			  "the account Trace.Destination subject \"%s\" is not a valid publish "
			  "subject",
			  claims_str(trace, "dest"));
	if (sampling < 0 || sampling > 100)
		jwt_issue(list, true,
			  "the account Trace.Sampling value '%lld' is not valid, should be in the "
			  "range [1..100]",
			  (long long)sampling);
}

static void check_limits(const json_t *nats, json_t *list)
{
	const json_t *limits = json_object_get(nats, "limits");
	const json_t *exports = json_object_get(nats, "exports");
	int64_t most_in = claims_int(limits, "imports"), most_out = claims_int(limits, "exports");

	if (most_in != -1 && (int64_t)json_array_size(json_object_get(nats, "imports")) > most_in)
		jwt_issue(list, true,
			  "the account contains more imports than allowed by the operator");
	if (most_out == -1)
		return;
	if ((int64_t)json_array_size(exports) > most_out)
		jwt_issue(list, true,
			  "the account contains more exports than allowed by the operator");
	for (size_t i = 0; !claims_bool(limits, "wildcards") && i < json_array_size(exports); i++)
		if (claims_subject_wild(claims_str(json_array_get(exports, i), "subject")))
			jwt_issue(list, true,
				  "the account contains wildcard exports that are not allowed by "
				  "the operator");
}

static void check_account(const struct jwt *j, json_t *list)
{
	json_t *keys = json_object_get(j->nats, "signing_keys"), *v;
	size_t i;

	check_imports(json_object_get(j->nats, "imports"), jwt_str(j, "sub"), list);
	jwt_check_exports(json_object_get(j->nats, "exports"), list);
	check_permissions(json_object_get(j->nats, "default_permissions"), list);
	jwt_check_mappings(json_object_get(j->nats, "mappings"), list);
	check_trace(json_object_get(j->nats, "trace"), list);
	check_limits(j->nats, list);
	json_array_foreach(keys, i, v)
	{
		if (!is_key(claims_signer_key(v), NKEY_ACCOUNT))
			jwt_issue(list, true, "%s is not an account public key",
				  claims_signer_key(v));
	}
	if (jwt_str(j, "iss")[0] == 'A')
		jwt_issue(list, false,
			  "self-signed account JWTs shouldn't contain operator limits");
}

void jwt_check_service_url(const char *url, json_t *list)
{
	static const char *const schemes[] = {"nats", "tls", "ws", "wss"};
	const char *sep = strstr(url, "://");
	size_t n = sep ? (size_t)(sep - url) : 0;
	bool known = !*url;

	for (size_t i = 0; n && i < 4; i++)
		known |= strlen(schemes[i]) == n && strncasecmp(url, schemes[i], n) == 0;
	if (sep && strchr(sep + 3, '@'))
		jwt_issue(list, true, "operator service url \"%s\" - credentials are not supported",
			  url);
	else if (sep && strchr(sep + 3, '/'))
		jwt_issue(list, true, "operator service url \"%s\" - paths are not supported", url);
	else if (!known)
		jwt_issue(list, true,
			  "operator service url \"%s\" - protocol not supported (only 'nats', "
			  "'tls', 'ws', 'wss' only)",
			  url);
}

static void check_operator(const struct jwt *j, json_t *list)
{
	json_t *urls = json_object_get(j->nats, "operator_service_urls");
	json_t *keys = json_object_get(j->nats, "signing_keys"), *v;
	const char *url = jwt_nats_str(j, "account_server_url");
	size_t i;

	if (*url && !strchr(url, ':'))
		jwt_issue(list, true, "account server url \"%s\" requires a protocol", url);
	json_array_foreach(urls, i, v)
		jwt_check_service_url(json_string_value(v) ? json_string_value(v) : "", list);
	json_array_foreach(keys, i, v)
	{
		if (!is_key(claims_signer_key(v), NKEY_OPERATOR))
			jwt_issue(list, true, "%s is not an operator public key",
				  claims_signer_key(v));
	}
	if (*jwt_nats_str(j, "system_account") &&
	    !is_key(jwt_nats_str(j, "system_account"), NKEY_ACCOUNT))
		jwt_issue(list, true, "%s is not an account public key",
			  jwt_nats_str(j, "system_account"));
}

static void check_user(const struct jwt *j, json_t *list)
{
	const char *account = jwt_nats_str(j, "issuer_account");

	check_permissions(j->nats, list);
	if (*account && !is_key(account, NKEY_ACCOUNT))
		jwt_issue(list, true, "account_id is not an account public key");
}

void jwt_check(const struct jwt *j, int64_t now, json_t *list)
{
	int64_t exp = jwt_int(j, "exp"), nbf = jwt_int(j, "nbf");

	if (exp > 0 && now > exp)
		jwt_issue(list, true, "claim is expired");
	if (nbf > 0 && nbf > now)
		jwt_issue(list, true, "claim is not yet valid");
	if (j->kind == JWT_OPERATOR)
		check_operator(j, list);
	else if (j->kind == JWT_ACCOUNT)
		check_account(j, list);
	else if (j->kind == JWT_USER)
		check_user(j, list);
	else if (j->kind == JWT_ACTIVATION)
		jwt_check_subject(jwt_nats_str(j, "subject"), list);
}

bool jwt_did_sign(const struct jwt *by, const struct jwt *what)
{
	const char *issuer = jwt_str(what, "iss"), *self = jwt_str(by, "sub");

	if (by->kind == JWT_OPERATOR) {
		if (strcmp(issuer, self) != 0)
			return claims_has(by->nats, "signing_keys", issuer);
		return !claims_bool(by->nats, "strict_signing_key_usage") ||
		       strcmp(jwt_str(what, "sub"), self) == 0;
	}
	if (strcmp(issuer, self) == 0)
		return true;
	return strcmp(jwt_nats_str(what, "issuer_account"), self) == 0 &&
	       claims_signer(by->nats, issuer) != NULL;
}
