#include "box/nsc/nsc_details.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "crypto/sha256.h"
#include "nkey/claims.h"

static const char *yes(bool v)
{
	return v ? "Yes" : "No";
}

/* "stream" as "Stream". out has 32 bytes. */
static const char *title(char out[static 32], const char *text)
{
	(void)snprintf(out, 32, "%s", text);
	out[0] = (char)toupper((unsigned char)out[0]);
	return out;
}

static void standard(struct nsc_table *t, const struct jwt *j)
{
	const char *label = j->kind == JWT_OPERATOR ? "Operator ID"
			    : j->kind == JWT_USER   ? "User ID"
						    : "Account ID";
	const char *account = j->kind == JWT_USER || j->kind == JWT_ACTIVATION
				      ? jwt_nats_str(j, "issuer_account")
				      : "";
	char date[64];

	if (*jwt_str(j, "name"))
		nsc_table_row(t, "Name", jwt_str(j, "name"), NULL);
	nsc_table_row(t, label, jwt_str(j, "sub"), NULL);
	nsc_table_row(t, "Issuer ID", jwt_str(j, "iss"), NULL);
	if (*account)
		nsc_table_row(t, "Issuer Account", account, NULL);
	nsc_table_row(t, "Issued", nsc_date(date, jwt_int(j, "iat")), NULL);
	nsc_table_row(t, "Expires", nsc_date(date, jwt_int(j, "exp")), NULL);
	nsc_table_list(t, "Tags", json_object_get(j->nats, "tags"));
}

/* Name of an account in the store by its public key; the key when it is not there. */
static char *account_name(struct nsc *n, const char *pub)
{
	CLEAN(json) json_t *names = *n->op_name ? nsc_accounts(n, NULL) : json_array();
	json_t *v;
	size_t i;

	json_array_foreach(names, i, v)
	{
		CLEAN(jwt) struct jwt j = {0};

		if (nsc_read(n, &j, json_string_value(v), NULL, NULL, NULL) == 0 &&
		    strcmp(jwt_str(&j, "sub"), pub) == 0)
			return strdup(json_string_value(v));
	}
	return strdup(pub);
}

static void operator_details(struct nsc *n, const struct jwt *j, struct buf *out)
{
	const char *sys = jwt_nats_str(j, "system_account");
	const json_t *keys = json_object_get(j->nats, "signing_keys");
	struct nsc_table t;

	nsc_table_start(&t, "Operator Details");
	standard(&t, j);
	if (*jwt_nats_str(j, "account_server_url"))
		nsc_table_row(&t, "Account JWT Server", jwt_nats_str(j, "account_server_url"),
			      NULL);
	nsc_table_list(&t, "Operator Service URLs",
		       json_object_get(j->nats, "operator_service_urls"));
	if (*sys) {
		CLEAN(free) char *name = account_name(n, sys);
		bool known = name && strcmp(name, sys) != 0;

		nsc_table_fmt(&t, "System Account", "%s%s%s", sys, known ? " / " : "",
			      known ? name : "");
	}
	nsc_table_row(&t, "Require Signing Keys",
		      claims_bool(j->nats, "strict_signing_key_usage") ? "true" : "false", NULL);
	if (json_array_size(keys)) {
		nsc_table_line(&t);
		nsc_table_list(&t, "Signing Keys", keys);
	}
	nsc_table_end(&t, out);
}

/* ---- permissions and limits of users and templates */

static void permissions(struct nsc_table *t, const json_t *o)
{
	static const char *const rows[][3] = {{"Pub Allow", "pub", "allow"},
					      {"Pub Deny", "pub", "deny"},
					      {"Sub Allow", "sub", "allow"},
					      {"Sub Deny", "sub", "deny"}};
	const json_t *resp = json_object_get(o, "resp");
	bool line = false;
	char ttl[64];

	for (size_t i = 0; i < 4; i++) {
		const json_t *list = json_object_get(json_object_get(o, rows[i][1]), rows[i][2]);

		if (!json_array_size(list))
			continue;
		if (!line)
			nsc_table_line(t);
		line = true;
		nsc_table_list(t, rows[i][0], list);
	}
	if (!resp) {
		nsc_table_row(t, "Response Permissions", "Not Set", NULL);
		return;
	}
	nsc_duration_text(claims_int(resp, "ttl"), ttl, sizeof(ttl));
	nsc_table_fmt(t, "Max Responses", "%lld", (long long)claims_int(resp, "max"));
	nsc_table_row(t, "Response Permission TTL", ttl, NULL);
}

static void size_row(struct nsc_table *t, const char *label, int64_t v)
{
	char text[64];

	if (v > 0)
		nsc_table_fmt(t, label, "%lld bytes (≈%s)", (long long)v, nsc_bytes(text, v));
	else
		nsc_table_row(t, label, "Unlimited", NULL);
}

static void user_limits(struct nsc_table *t, const json_t *o)
{
	json_t *src = json_object_get(o, "src"), *times = json_object_get(o, "times"), *v;
	CLEAN(buf) struct buf list = {0};
	size_t i;

	buf_init(&list, 65536);
	size_row(t, "Max Msg Payload", claims_int(o, "payload"));
	size_row(t, "Max Data", claims_int(o, "data"));
	if (claims_int(o, "subs") > 0)
		nsc_table_fmt(t, "Max Subs", "%lld", (long long)claims_int(o, "subs"));
	else
		nsc_table_row(t, "Max Subs", "Unlimited", NULL);
	json_array_foreach(src, i, v) buf_printf(&list, "%s%s", i ? " " : "", json_string_value(v));
	if (list.len)
		nsc_table_fmt(t, "Network Src", "[%.*s]", (int)list.len, (const char *)list.p);
	else
		nsc_table_row(t, "Network Src", "Any", NULL);
	json_array_foreach(times, i, v) nsc_table_fmt(t, i ? "" : "Time", "%s-%s",
						      claims_str(v, "start"), claims_str(v, "end"));
	if (!json_array_size(times))
		nsc_table_row(t, "Time", "Any", NULL);
}

static void connection_types(struct nsc_table *t, const json_t *o)
{
	const json_t *list = json_object_get(o, "allowed_connection_types");

	if (!json_array_size(list))
		return;
	nsc_table_line(t);
	nsc_table_list(t, "Allowed Connection Types", list);
}

static void scope_details(const json_t *s, struct buf *out)
{
	const json_t *o = json_object_get(s, "template");
	struct nsc_table t;

	nsc_table_start(&t, "Scoped Signing Key - Details");
	nsc_table_row(&t, "Key", claims_str(s, "key"), NULL);
	nsc_table_row(&t, "Role", claims_str(s, "role"), NULL);
	nsc_table_row(&t, "Description", claims_str(s, "description"), NULL);
	permissions(&t, o);
	user_limits(&t, o);
	nsc_table_row(&t, "Bearer Token", yes(claims_bool(o, "bearer_token")), NULL);
	connection_types(&t, o);
	nsc_table_end(&t, out);
}

static void user_details(struct nsc *n, const struct jwt *j, struct buf *out)
{
	const json_t *scope = n->ac.root ? claims_scope(n->ac.nats, jwt_str(j, "iss")) : NULL;
	struct nsc_table t;

	nsc_table_start(&t, "User");
	standard(&t, j);
	bool empty = nsc_user_is_empty(j->nats);

	/* Without its account the form of the claims is all there is to go by. */
	if (n->ac.root ? scope != NULL : empty)
		nsc_table_row(&t, "Issuer Scoped", "Yes", NULL);
	if (!(n->ac.root ? scope && empty : empty)) {
		nsc_table_row(&t, "Bearer Token", yes(claims_bool(j->nats, "bearer_token")), NULL);
		permissions(&t, j->nats);
		nsc_table_line(&t);
		user_limits(&t, j->nats);
		connection_types(&t, j->nats);
	}
	nsc_table_end(&t, out);
	if (scope) {
		buf_printf(out, "\n");
		scope_details(scope, out);
	}
}

/* ---- account */

static void limit_row(struct nsc_table *t, const char *label, int64_t v, bool bytes)
{
	char text[64];

	if (v < 0)
		nsc_table_row(t, label, "Unlimited", NULL);
	else if (bytes)
		nsc_table_fmt(t, label, "%s (%lld bytes)", nsc_bytes(text, v), (long long)v);
	else
		nsc_table_fmt(t, label, "%lld", (long long)v);
}

static void storage_row(struct nsc_table *t, const char *label, int64_t v)
{
	char text[64];

	nsc_table_row(t, label,
		      v == 0  ? "Disabled"
		      : v < 0 ? "Unlimited"
			      : nsc_bytes(text, v),
		      NULL);
}

static void jetstream_rows(struct nsc_table *t, const json_t *l)
{
	int64_t pending = claims_int(l, "max_ack_pending");

	storage_row(t, "Max Disk Storage", claims_int(l, "disk_storage"));
	storage_row(t, "Max Mem Storage", claims_int(l, "mem_storage"));
	limit_row(t, "Max Streams", claims_int(l, "streams") ? claims_int(l, "streams") : -1,
		  false);
	limit_row(t, "Max Consumers", claims_int(l, "consumer") ? claims_int(l, "consumer") : -1,
		  false);
	if (pending > 0)
		limit_row(t, "Max Ack Pending", pending, false);
	else
		nsc_table_row(t, "Max Ack Pending", "Consumer Setting", NULL);
	nsc_table_row(t, "Max Bytes",
		      claims_bool(l, "max_bytes_required") ? "required (Stream setting)"
							   : "optional (Stream setting)",
		      NULL);
	limit_row(t, "Max Memory Stream",
		  claims_int(l, "mem_max_stream_bytes") ? claims_int(l, "mem_max_stream_bytes")
							: -1,
		  true);
	limit_row(t, "Max Disk Stream",
		  claims_int(l, "disk_max_stream_bytes") ? claims_int(l, "disk_max_stream_bytes")
							 : -1,
		  true);
}

static void jetstream(struct nsc_table *t, const json_t *l)
{
	json_t *tiers = json_object_get(l, "tiered_limits"), *tier;
	const char *name;

	nsc_table_line(t);
	if (json_object_size(tiers)) {
		json_object_foreach(tiers, name, tier)
		{
			nsc_table_line(t);
			nsc_table_row(t, "Jetstream Tier", name, NULL);
			jetstream_rows(t, tier);
		}
	} else if (claims_int(l, "mem_storage") || claims_int(l, "disk_storage")) {
		nsc_table_row(t, "Jetstream", "Enabled", NULL);
		jetstream_rows(t, l);
	} else {
		nsc_table_row(t, "Jetstream", "Disabled", NULL);
	}
	nsc_table_line(t);
}

static void callout(struct nsc_table *t, const json_t *a)
{
	if (!json_array_size(json_object_get(a, "auth_users")))
		return;
	nsc_table_list(t, "Auth Callout Users", json_object_get(a, "auth_users"));
	nsc_table_list(t, "Allowed Accounts", json_object_get(a, "allowed_accounts"));
	if (*claims_str(a, "xkey"))
		nsc_table_row(t, "Encrypt For", claims_str(a, "xkey"), NULL);
	nsc_table_line(t);
}

static void account_head(struct nsc_table *t, const struct jwt *j)
{
	json_t *keys = json_object_get(j->nats, "signing_keys"), *v;
	const char *text = jwt_nats_str(j, "description"), *url = jwt_nats_str(j, "info_url");
	size_t i;

	standard(t, j);
	nsc_table_line(t);
	if (*text)
		nsc_table_row(t, "Description", text, NULL);
	if (*url)
		nsc_table_row(t, "Info Url", url, NULL);
	if (*text || *url)
		nsc_table_line(t);
	json_array_foreach(keys, i, v)
		nsc_table_row(t, i ? "" : "Signing Keys", claims_signer_key(v), NULL);
	if (json_array_size(keys))
		nsc_table_line(t);
	callout(t, json_object_get(j->nats, "authorization"));
}

static void account_limits(struct nsc_table *t, const json_t *l)
{
	int64_t leaf = claims_int(l, "leaf");

	limit_row(t, "Max Connections", claims_int(l, "conn"), false);
	if (leaf)
		limit_row(t, "Max Leaf Node Connections", leaf, false);
	else
		nsc_table_row(t, "Max Leaf Node Connections", "Not Allowed", NULL);
	limit_row(t, "Max Data", claims_int(l, "data"), true);
	limit_row(t, "Max Exports", claims_int(l, "exports"), false);
	limit_row(t, "Max Imports", claims_int(l, "imports"), false);
	limit_row(t, "Max Msg Payload", claims_int(l, "payload"), true);
	limit_row(t, "Max Subscriptions", claims_int(l, "subs"), false);
	nsc_table_row(t, "Exports Allows Wildcards", claims_bool(l, "wildcards") ? "True" : "False",
		      NULL);
	nsc_table_row(t, "Disallow Bearer Token",
		      claims_bool(l, "disallow_bearer") ? "True" : "False", NULL);
}

static void exports(const json_t *list, struct buf *out)
{
	struct nsc_table t, d;
	bool described = false;

	nsc_table_start(&t, "Exports");
	nsc_table_row(&t, "Name", "Type", "Subject", "Account Token Position", "Public",
		      "Revocations", "Tracking", "Allow Trace", NULL);
	nsc_table_line(&t);
	nsc_table_start(&d, "Exports - Descriptions");
	nsc_table_row(&d, "Name", "Description", "Info Url", NULL);
	nsc_table_line(&d);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *x = json_array_get(list, i), *latency;
		bool service = strcmp(claims_str(x, "type"), "service") == 0;
		const char *rt = claims_str(x, "response_type");
		char kind[64], word[32], pos[24] = "-", revoked[24], track[300] = "N/A";

		latency = json_object_get(x, "service_latency");
		if (service)
			(void)snprintf(track, sizeof(track), "-");
		if (service && latency)
			(void)snprintf(track, sizeof(track), "%.250s (%lld%%)",
				       claims_str(latency, "results"),
				       (long long)claims_int(latency, "sampling"));
		bool show = service && *rt && strcmp(rt, "Singleton") != 0;

		(void)snprintf(kind, sizeof(kind), "%s%s%.20s%s",
			       title(word, claims_str(x, "type")), show ? " [" : "", show ? rt : "",
			       show ? "]" : "");
		if (claims_int(x, "account_token_position"))
			(void)snprintf(pos, sizeof(pos), "%lld",
				       (long long)claims_int(x, "account_token_position"));
		(void)snprintf(revoked, sizeof(revoked), "%zu",
			       json_object_size(json_object_get(x, "revocations")));
		nsc_table_row(&t, claims_str(x, "name"), kind, claims_str(x, "subject"), pos,
			      yes(!claims_bool(x, "token_req")), revoked, track,
			      service ? yes(claims_bool(x, "allow_trace")) : "N/A", NULL);
		if (*claims_str(x, "description") || *claims_str(x, "info_url")) {
			nsc_table_row(&d, claims_str(x, "name"), claims_str(x, "description"),
				      claims_str(x, "info_url"), NULL);
			described = true;
		}
	}
	nsc_table_end(&t, out);
	if (described) {
		buf_printf(out, "\n");
		nsc_table_end(&d, out);
	} else {
		json_decref(d.rows);
	}
}

static void imports(struct nsc *n, const json_t *list, struct buf *out)
{
	struct nsc_table t;

	nsc_table_start(&t, "Imports");
	nsc_table_row(&t, "Name", "Type", "Remote", "Local", "Expires", "From Account", "Public",
		      "Allow Trace", NULL);
	nsc_table_line(&t);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *x = json_array_get(list, i);
		bool service = strcmp(claims_str(x, "type"), "service") == 0;
		const char *token = claims_str(x, "token"), *to = claims_str(x, "to");
		const char *remote = claims_str(x, "subject"), *pub = claims_str(x, "account");
		const char *local = claims_str(x, "local_subject");
		CLEAN(free) char *from =
			cli_has(n->c, "long-ids") ? strdup(pub) : account_name(n, pub);
		CLEAN(jwt) struct jwt act = {0};
		struct err e = {0};
		char word[32], date[64] = "", text[300] = "";

		if (service && *to) {
			local = remote;
			remote = to;
		}
		if (*token &&
		    jwt_decode_kind(&act, JWT_ACTIVATION, "token", token, strlen(token), &e))
			(void)snprintf(text, sizeof(text), "error decoding: %s", e.text);
		nsc_table_row(&t, claims_str(x, "name"), title(word, claims_str(x, "type")), remote,
			      local, *text ? text : nsc_date(date, jwt_int(&act, "exp")),
			      from ? from : pub, yes(!*token),
			      service ? "N/A" : yes(claims_bool(x, "allow_trace")), NULL);
	}
	nsc_table_end(&t, out);
}

static void mappings(json_t *map, struct buf *out)
{
	struct nsc_table t;
	const char *from;
	json_t *list, *m;
	char text[24];
	size_t i;

	nsc_table_start(&t, "Mappings");
	nsc_table_row(&t, "From", "To", "Weight (%)", NULL);
	nsc_table_line(&t);
	json_object_foreach(map, from, list)
	{
		long long sum = 0;

		json_array_foreach(list, i, m)
		{
			long long w = claims_int(m, "weight") ? claims_int(m, "weight") : 100;

			sum += w;
			(void)snprintf(text, sizeof(text), "%lld", w);
			nsc_table_row(&t, i ? "" : from, claims_str(m, "subject"), text, NULL);
		}
		(void)snprintf(text, sizeof(text), "sum=%lld", sum);
		nsc_table_row(&t, "", "", text, NULL);
	}
	nsc_table_end(&t, out);
}

static void account_tail(struct nsc_table *t, const json_t *nats)
{
	const json_t *trace = json_object_get(nats, "trace");
	int64_t sampling = claims_int(trace, "sampling");
	size_t revoked = json_object_size(json_object_get(nats, "revocations"));

	if (!json_array_size(json_object_get(nats, "imports")))
		nsc_table_row(t, "Imports", "None", NULL);
	if (!json_array_size(json_object_get(nats, "exports")))
		nsc_table_row(t, "Exports", "None", NULL);
	if (revoked) {
		nsc_table_line(t);
		nsc_table_fmt(t, "Revocations", "%zu", revoked);
	}
	nsc_table_line(t);
	if (!trace) {
		nsc_table_row(t, "Tracing Context", "Disabled", NULL);
		return;
	}
	nsc_table_row(t, "Tracing Context", "Enabled", NULL);
	nsc_table_row(t, "Subject", claims_str(trace, "dest"), NULL);
	nsc_table_fmt(t, "Sampling", "%lld%%", (long long)(sampling ? sampling : 100));
}

static void account_details(struct nsc *n, const struct jwt *j, struct buf *out)
{
	json_t *keys = json_object_get(j->nats, "signing_keys"), *v;
	struct nsc_table t;
	size_t i;

	nsc_table_start(&t, "Account Details");
	account_head(&t, j);
	account_limits(&t, json_object_get(j->nats, "limits"));
	permissions(&t, json_object_get(j->nats, "default_permissions"));
	jetstream(&t, json_object_get(j->nats, "limits"));
	account_tail(&t, j->nats);
	nsc_table_end(&t, out);
	if (json_array_size(json_object_get(j->nats, "exports"))) {
		buf_printf(out, "\n");
		exports(json_object_get(j->nats, "exports"), out);
	}
	if (json_array_size(json_object_get(j->nats, "imports"))) {
		buf_printf(out, "\n");
		imports(n, json_object_get(j->nats, "imports"), out);
	}
	if (json_object_size(json_object_get(j->nats, "mappings"))) {
		buf_printf(out, "\n");
		mappings(json_object_get(j->nats, "mappings"), out);
	}
	json_array_foreach(keys, i, v)
	{
		if (!json_is_object(v))
			continue;
		buf_printf(out, "\n");
		scope_details(v, out);
	}
}

char *nsc_activation_id(const struct jwt *j)
{
	const char *subject = jwt_nats_str(j, "subject");
	size_t fixed = strlen(subject);
	char id[ENC_BASE32_LEN(32) + 8];
	CLEAN(buf) struct buf base = {0};
	uint8_t digest[32];

	/* The id covers the subject up to its first wildcard. */
	for (size_t i = 0; subject[i]; i++)
		if ((subject[i] == '*' || subject[i] == '>') && (i == 0 || subject[i - 1] == '.')) {
			fixed = i ? i - 1 : 0;
			break;
		}
	buf_init(&base, 65536);
	buf_printf(&base, "%s.%s.%.*s", jwt_str(j, "iss"), jwt_str(j, "sub"), (int)fixed, subject);
	if (fixed == 0)
		buf_u8(&base, '_');
	sha256(digest, base.p, base.len);
	enc_base32(id, digest, sizeof(digest));
	/* 32 bytes are 52 characters; the library pads them to 56. */
	return nsc_path("%s====", id);
}

static void activation_details(const struct jwt *j, struct buf *out)
{
	CLEAN(free) char *id = nsc_activation_id(j);
	struct nsc_table t;
	char word[32];

	nsc_table_start(&t, "Activation");
	standard(&t, j);
	nsc_table_line(&t);
	nsc_table_row(&t, "Hash ID", id ? id : "", NULL);
	nsc_table_line(&t);
	nsc_table_row(&t, "Import Type", title(word, jwt_nats_str(j, "kind")), NULL);
	nsc_table_row(&t, "Import Subject", jwt_nats_str(j, "subject"), NULL);
	nsc_table_line(&t);
	nsc_table_end(&t, out);
}

int nsc_details(struct nsc *n, const struct jwt *j, struct buf *out, struct err *e)
{
	switch (j->kind) {
	case JWT_OPERATOR:
		operator_details(n, j, out);
		return 0;
	case JWT_ACCOUNT:
		account_details(n, j, out);
		return 0;
	case JWT_USER:
		user_details(n, j, out);
		return 0;
	case JWT_ACTIVATION:
		activation_details(j, out);
		return 0;
	default:
		return err_set(e, ERR_BAD_INPUT,
			       "there is no table for a JWT of kind %s: use --json",
			       jwt_kind_name(j->kind));
	}
}
