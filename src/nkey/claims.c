#include "nkey/claims.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

json_t *claims_obj(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	if (!json_is_object(v)) {
		v = json_object();
		json_object_set_new(o, key, v);
	}
	return json_object_get(o, key);
}

json_t *claims_arr(json_t *o, const char *key)
{
	if (!json_is_array(json_object_get(o, key)))
		json_object_set_new(o, key, json_array());
	return json_object_get(o, key);
}

const char *claims_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

int64_t claims_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool claims_bool(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

void claims_set_str(json_t *o, const char *key, const char *v)
{
	json_object_set_new(o, key, json_string(v));
}

void claims_set_int(json_t *o, const char *key, int64_t v)
{
	json_object_set_new(o, key, json_integer(v));
}

void claims_set_bool(json_t *o, const char *key, bool v)
{
	json_object_set_new(o, key, json_boolean(v));
}

static size_t position(const json_t *list, const char *v)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (s && strcmp(s, v) == 0)
			break;
	}
	return i;
}

bool claims_has(const json_t *o, const char *key, const char *v)
{
	const json_t *list = json_object_get(o, key);

	return position(list, v) < json_array_size(list);
}

bool claims_add(json_t *o, const char *key, const char *v)
{
	if (!*v || claims_has(o, key, v))
		return false;
	return json_array_append_new(claims_arr(o, key), json_string(v)) == 0;
}

bool claims_remove(json_t *o, const char *key, const char *v)
{
	json_t *list = json_object_get(o, key);
	size_t at = position(list, v);

	return at < json_array_size(list) && json_array_remove(list, at) == 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(json_string_value(*(json_t *const *)a),
		      json_string_value(*(json_t *const *)b));
}

void claims_sort(json_t *o, const char *key)
{
	json_t *list = json_object_get(o, key);
	size_t n = json_array_size(list), i;
	json_t *v;

	CLEAN(free) json_t **all = calloc(n + 1, sizeof(json_t *));

	if (!all || n == 0)
		return;
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v))
			return;
		all[i] = v;
	}
	qsort(all, n, sizeof(json_t *), by_text);
	json_t *sorted = json_array();

	for (i = 0; i < n; i++)
		json_array_append(sorted, all[i]);
	json_object_set_new(o, key, sorted);
}

static char *plain(const char *v)
{
	while (isspace((unsigned char)*v))
		v++;
	size_t n = strlen(v);

	while (n && isspace((unsigned char)v[n - 1]))
		n--;
	char *s = strndup(v, n);

	for (char *p = s; p && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return s;
}

bool claims_add_tag(json_t *o, const char *key, const char *v)
{
	CLEAN(free) char *s = plain(v);

	return s && claims_add(o, key, s);
}

bool claims_remove_tag(json_t *o, const char *key, const char *v)
{
	CLEAN(free) char *s = plain(v);

	return s && claims_remove(o, key, s);
}

const char *claims_signer_key(const json_t *entry)
{
	return json_is_string(entry) ? json_string_value(entry) : claims_str(entry, "key");
}

static size_t signer_at(const json_t *list, const char *key)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		if (strcmp(claims_signer_key(json_array_get(list, i)), key) == 0)
			break;
	return i;
}

json_t *claims_signer(const json_t *nats, const char *key)
{
	const json_t *list = json_object_get(nats, "signing_keys");

	return json_array_get(list, signer_at(list, key));
}

json_t *claims_scope(const json_t *nats, const char *key)
{
	json_t *v = claims_signer(nats, key);

	return json_is_object(v) ? v : NULL;
}

const char *claims_role_key(const json_t *nats, const char *role)
{
	json_t *list = json_object_get(nats, "signing_keys"), *v;
	size_t i;

	json_array_foreach(list, i, v)
	{
		if (json_is_object(v) && strcmp(claims_str(v, "role"), role) == 0)
			return claims_str(v, "key");
	}
	return NULL;
}

bool claims_add_signer(json_t *nats, const char *key)
{
	if (claims_signer(nats, key))
		return false;
	return json_array_append_new(claims_arr(nats, "signing_keys"), json_string(key)) == 0;
}

bool claims_remove_signer(json_t *nats, const char *key)
{
	json_t *list = json_object_get(nats, "signing_keys");
	size_t at = signer_at(list, key);

	return at < json_array_size(list) && json_array_remove(list, at) == 0;
}

json_t *claims_make_scope(json_t *nats, const char *key)
{
	json_t *list = claims_arr(nats, "signing_keys");
	json_t *v = claims_scope(nats, key);
	size_t at = signer_at(list, key);

	if (v)
		return v;
	v = json_pack("{s:s,s:s,s:s,s:{s:i,s:i,s:i},s:s}", "kind", "user_scope", "key", key, "role",
		      "", "template", "subs", -1, "data", -1, "payload", -1, "description", "");
	if (at < json_array_size(list))
		json_array_set_new(list, at, v);
	else
		json_array_append_new(list, v);
	return claims_scope(nats, key);
}

void claims_revoke(json_t *o, const char *key, int64_t at)
{
	json_t *map = claims_obj(o, "revocations");

	if (claims_int(map, key) <= at)
		claims_set_int(map, key, at);
}

bool claims_subject_wild(const char *s)
{
	size_t n;

	for (;; s += n + 1) {
		n = strcspn(s, ".");
		if (n == 1 && (*s == '*' || (*s == '>' && s[1] == '\0')))
			return true;
		if (s[n] == '\0')
			return false;
	}
}

bool claims_subject_within(const char *a, const char *b)
{
	for (;;) {
		size_t na = strcspn(a, "."), nb = strcspn(b, ".");

		if (nb == 1 && *b == '>' && b[1] == '\0')
			return true;
		/* "*" is one token; ">" at the end of a may be several. */
		if (nb == 1 && *b == '*' && na == 1 && *a == '>' && !a[1])
			return false;
		if (!(nb == 1 && *b == '*') && (na != nb || memcmp(a, b, na) != 0))
			return false;
		if (a[na] == '\0' || b[nb] == '\0')
			return a[na] == b[nb];
		a += na + 1;
		b += nb + 1;
	}
}
