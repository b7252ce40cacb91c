#include "nkey/jwt_fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "nkey/jwt.h"

typedef const struct jwt_field fields[];

fields jwt_claims_fields = {
	{"aud", JWT_STR, NULL}, {"exp", JWT_INT, NULL}, {"jti", JWT_STR, NULL},
	{"iat", JWT_INT, NULL}, {"iss", JWT_STR, NULL}, {"name", JWT_STR, NULL},
	{"nbf", JWT_INT, NULL}, {"sub", JWT_STR, NULL}, {0},
};

#define GENERIC                                                                                    \
	{"tags", JWT_LIST, NULL}, {"type", JWT_STR, NULL},                                         \
	{                                                                                          \
		"version", JWT_INT, NULL                                                           \
	}
#define INFO                                                                                       \
	{"description", JWT_STR, NULL},                                                            \
	{                                                                                          \
		"info_url", JWT_STR, NULL                                                          \
	}
#define NATS_LIMITS(form)                                                                          \
	{"subs", form, NULL}, {"data", form, NULL},                                                \
	{                                                                                          \
		"payload", form, NULL                                                              \
	}
#define JETSTREAM                                                                                  \
	{"mem_storage", JWT_INT, NULL}, {"disk_storage", JWT_INT, NULL},                           \
		{"streams", JWT_INT, NULL}, {"consumer", JWT_INT, NULL},                           \
		{"max_ack_pending", JWT_INT, NULL}, {"mem_max_stream_bytes", JWT_INT, NULL},       \
		{"disk_max_stream_bytes", JWT_INT, NULL},                                          \
	{                                                                                          \
		"max_bytes_required", JWT_BOOL, NULL                                               \
	}

static fields operator_fields = {
	{"signing_keys", JWT_LIST, NULL},
	{"account_server_url", JWT_STR, NULL},
	{"operator_service_urls", JWT_LIST, NULL},
	{"system_account", JWT_STR, NULL},
	{"assert_server_version", JWT_STR, NULL},
	{"strict_signing_key_usage", JWT_BOOL, NULL},
	GENERIC,
	{0},
};

static fields import_fields = {
	{"name", JWT_STR, NULL},	 {"subject", JWT_STR, NULL},
	{"account", JWT_STR, NULL},	 {"token", JWT_STR, NULL},
	{"to", JWT_STR, NULL},		 {"local_subject", JWT_STR, NULL},
	{"type", JWT_STR, NULL},	 {"share", JWT_BOOL, NULL},
	{"allow_trace", JWT_BOOL, NULL}, {0},
};

static fields latency_fields = {
	{"sampling", JWT_SAMPLING, NULL},
	{"results", JWT_STR_KEPT, NULL},
	{0},
};

static fields export_fields = {
	{"name", JWT_STR, NULL},
	{"subject", JWT_STR, NULL},
	{"type", JWT_STR, NULL},
	{"token_req", JWT_BOOL, NULL},
	{"revocations", JWT_MAP_INT, NULL},
	{"response_type", JWT_STR, NULL},
	{"response_threshold", JWT_INT, NULL},
	{"service_latency", JWT_OBJ_OPT, latency_fields},
	{"account_token_position", JWT_INT, NULL},
	{"advertise", JWT_BOOL, NULL},
	{"allow_trace", JWT_BOOL, NULL},
	INFO,
	{0},
};

static fields tier_fields = {JETSTREAM, {0}};

static fields limits_fields = {
	NATS_LIMITS(JWT_INT),
	{"imports", JWT_INT, NULL},
	{"exports", JWT_INT, NULL},
	{"wildcards", JWT_BOOL, NULL},
	{"disallow_bearer", JWT_BOOL, NULL},
	{"conn", JWT_INT, NULL},
	{"leaf", JWT_INT, NULL},
	JETSTREAM,
	{"tiered_limits", JWT_MAP_OBJ, tier_fields},
	{0},
};

static fields permission_fields = {{"allow", JWT_LIST, NULL}, {"deny", JWT_LIST, NULL}, {0}};
static fields resp_fields = {{"max", JWT_INT_KEPT, NULL}, {"ttl", JWT_INT_KEPT, NULL}, {0}};

#define PERMISSIONS                                                                                \
	{"pub", JWT_OBJ, permission_fields}, {"sub", JWT_OBJ, permission_fields},                  \
	{                                                                                          \
		"resp", JWT_OBJ_OPT, resp_fields                                                   \
	}

static fields permissions_fields = {PERMISSIONS, {0}};
static fields times_fields = {{"start", JWT_STR, NULL}, {"end", JWT_STR, NULL}, {0}};

#define USER_LIMITS(form)                                                                          \
	PERMISSIONS, {"src", JWT_LIST, NULL}, {"times", JWT_OBJS, times_fields},                   \
		{"times_location", JWT_STR, NULL}, NATS_LIMITS(form),                              \
		{"bearer_token", JWT_BOOL, NULL}, {"proxy_required", JWT_BOOL, NULL},              \
	{                                                                                          \
		"allowed_connection_types", JWT_LIST, NULL                                         \
	}

static fields template_fields = {USER_LIMITS(JWT_INT_UNLIM), {0}};

static fields scope_fields = {
	{"kind", JWT_STR_KEPT, NULL},	     {"key", JWT_STR_KEPT, NULL},
	{"role", JWT_STR_KEPT, NULL},	     {"template", JWT_OBJ, template_fields},
	{"description", JWT_STR_KEPT, NULL}, {0},
};

static fields mapping_fields = {{"subject", JWT_STR_KEPT, NULL},
				{"weight", JWT_INT, NULL},
				{"cluster", JWT_STR, NULL},
				{0}};

static fields callout_fields = {{"auth_users", JWT_LIST, NULL},
				{"allowed_accounts", JWT_LIST, NULL},
				{"xkey", JWT_STR, NULL},
				{0}};

static fields trace_fields = {{"dest", JWT_STR, NULL}, {"sampling", JWT_INT, NULL}, {0}};

static fields account_fields = {
	{"imports", JWT_OBJS, import_fields},
	{"exports", JWT_OBJS, export_fields},
	{"limits", JWT_OBJ, limits_fields},
	{"signing_keys", JWT_SIGNERS, scope_fields},
	{"revocations", JWT_MAP_INT, NULL},
	{"default_permissions", JWT_OBJ, permissions_fields},
	{"mappings", JWT_MAP_OBJS, mapping_fields},
	{"authorization", JWT_OBJ, callout_fields},
	{"trace", JWT_OBJ_OPT, trace_fields},
	{"cluster_traffic", JWT_STR, NULL},
	INFO,
	GENERIC,
	{0},
};

static fields user_fields = {USER_LIMITS(JWT_INT), {"issuer_account", JWT_STR, NULL}, GENERIC, {0}};

static fields activation_fields = {{"subject", JWT_STR, NULL},
				   {"kind", JWT_STR, NULL},
				   {"issuer_account", JWT_STR, NULL},
				   GENERIC,
				   {0}};

const struct jwt_field *jwt_nats_fields(unsigned kind)
{
	switch (kind) {
	case JWT_OPERATOR:
		return operator_fields;
	case JWT_ACCOUNT:
		return account_fields;
	case JWT_USER:
		return user_fields;
	case JWT_ACTIVATION:
		return activation_fields;
	default:
		return NULL;
	}
}

/* A value in its final form: owned, or NULL with *skip (left out) or an error in *e. */
static json_t *value(const json_t *v, const struct jwt_field *f, const char *where, bool *skip,
		     struct err *e);

static json_t *bad(const char *where, const char *key, const char *what, struct err *e)
{
	err_set(e, ERR_BAD_JSON, "'%.60s' of %.60s must be %s", key, where, what);
	return NULL;
}

static json_t *scalar(const json_t *v, const struct jwt_field *f, const char *where, bool *skip,
		      struct err *e)
{
	switch (f->form) {
	case JWT_STR:
	case JWT_STR_KEPT:
		if (v && !json_is_string(v))
			return bad(where, f->key, "a string", e);
		*skip = f->form == JWT_STR && !json_string_length(v);
		return *skip ? NULL : json_string(v ? json_string_value(v) : "");
	case JWT_BOOL:
		if (v && !json_is_boolean(v))
			return bad(where, f->key, "true or false", e);
		*skip = !json_is_true(v);
		return *skip ? NULL : json_true();
	case JWT_SAMPLING:
		if (json_is_integer(v) && json_integer_value(v))
			return json_integer(json_integer_value(v));
		if (v && !json_is_integer(v) && !json_is_string(v))
			return bad(where, f->key, "a percentage or \"headers\"", e);
		return json_string("headers");
	default:
		if (v && !json_is_integer(v))
			return bad(where, f->key, "a whole number", e);
		if (!v && f->form == JWT_INT_UNLIM)
			return json_integer(-1);
		*skip = f->form != JWT_INT_KEPT && !json_integer_value(v);
		return *skip ? NULL : json_integer(json_integer_value(v));
	}
}

static json_t *comma_list(const char *text)
{
	json_t *list = json_array();

	while (list && *text) {
		size_t n = strcspn(text, ",");

		if (n && json_array_append_new(list, json_stringn(text, n))) {
			json_decref(list);
			return NULL;
		}
		text += n + (text[n] == ',');
	}
	return list;
}

static json_t *string_list(const json_t *v, const struct jwt_field *f, const char *where,
			   bool *skip, struct err *e)
{
	size_t i;
	json_t *s;

	if (json_is_string(v)) {
		*skip = !json_string_length(v);
		return *skip ? NULL : comma_list(json_string_value(v));
	}
	if (v && !json_is_array(v))
		return bad(where, f->key, "a list of strings", e);
	*skip = json_array_size(v) == 0;
	if (*skip)
		return NULL;
	json_array_foreach(v, i, s)
	{
		if (!json_is_string(s))
			return bad(where, f->key, "a list of strings", e);
	}
	return json_copy((json_t *)(uintptr_t)v);
}

static json_t *object_list(const json_t *v, const struct jwt_field *f, const char *where,
			   bool *skip, struct err *e)
{
	json_t *list, *item;
	size_t i;

	if (v && !json_is_array(v))
		return bad(where, f->key, "a list of objects", e);
	*skip = json_array_size(v) == 0;
	if (*skip)
		return NULL;
	list = json_array();
	json_array_foreach(v, i, item)
	{
		json_t *o = jwt_in_order(item, f->of, f->key, e);

		if (!o || json_array_append_new(list, o)) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names of an object in the order of their bytes, as Go writes maps; free it. */
static const char **sorted_names(const json_t *obj)
{
	const char **names = calloc(json_object_size(obj) + 1, sizeof(*names));
	json_t *o = (json_t *)(uintptr_t)obj, *v;
	const char *name;
	size_t n = 0;

	if (!names)
		return NULL;
	json_object_foreach(o, name, v) names[n++] = name;
	qsort(names, n, sizeof(*names), by_name);
	return names;
}

static json_t *map(const json_t *v, const struct jwt_field *f, const char *where, bool *skip,
		   struct err *e)
{
	struct jwt_field item = {"", JWT_INT_KEPT, f->of};

	if (v && !json_is_object(v))
		return bad(where, f->key, "an object", e);
	*skip = json_object_size(v) == 0;
	if (*skip)
		return NULL;
	if (f->form != JWT_MAP_INT)
		item.form = f->form == JWT_MAP_OBJ ? JWT_OBJ : JWT_OBJS;
	CLEAN(free) const char **names = sorted_names(v);
	json_t *out = json_object();

	for (size_t i = 0; names && names[i]; i++) {
		bool none = false;

		item.key = names[i];
		json_t *o = value(json_object_get(v, names[i]), &item, f->key, &none, e);

		if (none)
			o = json_array();
		if (!o || json_object_set_new(out, names[i], o)) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

struct signer {
	const char *key;
	json_t *v; /* owned: a string or a scope */
	size_t at;
};

static int by_key(const void *a, const void *b)
{
	const struct signer *x = a, *y = b;
	int r = strcmp(x->key, y->key);

	return r ? r : (x->at > y->at) - (x->at < y->at);
}

/* A later entry of a key replaces an earlier one, as in the library's map. */
static json_t *signers(const json_t *v, const struct jwt_field *f, const char *where, bool *skip,
		       struct err *e)
{
	size_t n = 0, have = json_array_size(v);
	json_t *list = NULL;
	bool ok = true;

	if (v && !json_is_array(v))
		return bad(where, f->key, "a list", e);
	*skip = have == 0;
	if (*skip)
		return NULL;
	CLEAN(free) struct signer *all = calloc(have, sizeof(*all));

	for (size_t i = 0; all && ok && i < have; i++) {
		const json_t *item = json_array_get(v, i);
		json_t *o = json_is_string(item) ? json_string(json_string_value(item))
						 : jwt_in_order(item, f->of, f->key, e);
		const char *key = json_is_string(o) ? json_string_value(o)
						    : json_string_value(json_object_get(o, "key"));

		ok = key != NULL;
		if (ok)
			all[n++] = (struct signer){key, o, i};
		else
			json_decref(o);
	}
	if (all && ok) {
		qsort(all, n, sizeof(*all), by_key);
		list = json_array();
	}
	ok = list != NULL;
	for (size_t i = 0; i < n; i++) {
		bool last = i + 1 == n || strcmp(all[i].key, all[i + 1].key) != 0;

		if (ok && last)
			ok = json_array_append(list, all[i].v) == 0;
	}
	for (size_t i = 0; i < n; i++)
		json_decref(all[i].v);
	if (!ok) {
		json_decref(list);
		list = NULL;
	}
	return list;
}

static json_t *value(const json_t *v, const struct jwt_field *f, const char *where, bool *skip,
		     struct err *e)
{
	*skip = false;
	if (json_is_null(v))
		v = NULL;
	switch (f->form) {
	case JWT_LIST:
		return string_list(v, f, where, skip, e);
	case JWT_OBJ_OPT:
		*skip = !v;
		return v ? jwt_in_order(v, f->of, f->key, e) : NULL;
	case JWT_OBJ:
		return jwt_in_order(v, f->of, f->key, e);
	case JWT_OBJS:
		return object_list(v, f, where, skip, e);
	case JWT_MAP_INT:
	case JWT_MAP_OBJ:
	case JWT_MAP_OBJS:
		return map(v, f, where, skip, e);
	case JWT_SIGNERS:
		return signers(v, f, where, skip, e);
	default:
		return scalar(v, f, where, skip, e);
	}
}

static bool known(const struct jwt_field *f, const char *key)
{
	for (; f->key; f++)
		if (strcmp(f->key, key) == 0)
			return true;
	return false;
}

static json_t *in_order(const json_t *obj, const struct jwt_field *f, const char *where,
			struct err *e)
{
	json_t *out = json_object(), *o = (json_t *)(uintptr_t)obj, *v;
	const char *key;

	if (obj && !json_is_object(obj)) {
		json_decref(out);
		err_set(e, ERR_BAD_JSON, "'%.60s' must be an object", where);
		return NULL;
	}
	for (const struct jwt_field *w = f; out && w->key; w++) {
		bool skip = false;

		v = value(json_object_get(obj, w->key), w, where, &skip, e);
		if (skip)
			continue;
		if (!v || json_object_set_new(out, w->key, v)) {
			json_decref(out);
			return NULL;
		}
	}
	if (!out)
		return NULL;
	json_object_foreach(o, key, v)
	{
		if (!known(f, key) && json_object_set(out, key, v)) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

json_t *jwt_in_order(const json_t *obj, const struct jwt_field *f, const char *where, struct err *e)
{
	struct err why = {0};
	json_t *out = in_order(obj, f, where, &why);

	/* What fails without a word failed for want of memory. */
	if (!out && why.code == ERR_OK)
		err_set(&why, ERR_NOMEM, NULL);
	if (!out && e)
		*e = why;
	return out;
}
