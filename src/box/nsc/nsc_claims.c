/* Parts that several commands edit: times, tags, permissions, limits. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "nkey/claims.h"

bool nsc_any(const struct cli *c, const char *const *names)
{
	for (; *names; names++)
		if (cli_has(c, *names))
			return true;
	return false;
}

static int apply_time(struct nsc *n, struct jwt *j, const char *option, const char *member,
		      const char *said, const char *never, struct err *e)
{
	const char *text = cli_str(n->c, option);
	char date[64], when[64];
	int64_t t;

	if (!text || !*text)
		return 0;
	if (nsc_time(n, option, text, &t, e))
		return -1;
	if (said && t != jwt_int(j, member)) {
		if (t == 0)
			nsc_ok(n, "%s", never);
		else
			nsc_ok(n, "%s %s - %s", said, nsc_date(date, t), nsc_when(when, n->now, t));
	}
	claims_set_int(j->root, member, t);
	return 0;
}

int nsc_apply_times(struct nsc *n, struct jwt *j, bool report, struct err *e)
{
	if (apply_time(n, j, "start", "nbf", report ? "changed jwt valid start to" : NULL,
		       "changed jwt start to not have a start date", e))
		return -1;
	return apply_time(n, j, "expiry", "exp", report ? "changed jwt expiry to" : NULL,
			  "changed jwt expiry to never expire", e);
}

struct edit {
	struct nsc *n;
	bool (*how)(json_t *o, const char *key, const char *value);
	json_t *o;
	const char *key;
	const char *said; /* "added pub \"%s\"", NULL: nothing */
	bool lower;
};

static void lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static void said(const struct edit *x, const char *value)
{
	CLEAN(free) char *copy = strdup(value);
	const char *mark = x->said ? strstr(x->said, "%s") : NULL;

	if (!mark || !copy)
		return;
	if (x->lower)
		lower(copy);
	nsc_ok(x->n, "%.*s%s%s", (int)(mark - x->said), x->said, copy, mark + 2);
}

static int change(void *arg, const char *value, struct err *e)
{
	const struct edit *x = arg;

	(void)e;
	x->how(x->o, x->key, value);
	said(x, value);
	return 0;
}

int nsc_apply_tags(struct nsc *n, struct jwt *j, struct err *e)
{
	struct edit x = {n, claims_add_tag, j->nats, "tags", "added tag \"%s\"", true};
	struct edit y = {n, claims_remove_tag, j->nats, "tags", "removed tag \"%s\"", true};

	if (nsc_each(n->c, "tag", change, &x, e) || nsc_each(n->c, "rm-tag", change, &y, e))
		return -1;
	claims_sort(j->nats, "tags");
	return 0;
}

/* ---- permissions */

/* One list: which options add to it, how that and removal are reported. */
static const struct perm {
	const char *side, *list, *option, *both, *added, *removed;
} perms[] = {
	{"pub", "allow", "allow-pub", "allow-pubsub", "added pub \"%s\"", "removed pub \"%s\""},
	{"pub", "deny", "deny-pub", "deny-pubsub", "added deny pub \"%s\"",
	 "removed deny pub \"%s\""},
	{"sub", "allow", "allow-sub", "allow-pubsub", "added sub \"%s\"", "removed sub \"%s\""},
	{"sub", "deny", "deny-sub", "deny-pubsub", "added deny sub \"%s\"", "removed sub \"%s\""},
};

static int add_subject(void *arg, const char *value, struct err *e)
{
	const struct edit *x = arg;
	const char *space = strchr(value, ' ');

	/* A queue group may follow a subject that is subscribed to. */
	if (space && strcmp(x->key, "pub") == 0)
		return err_set(e, ERR_BAD_INPUT,
			       "publish permission subject \"%s\" contains illegal space", value);
	if (space && strchr(space + 1, ' '))
		return err_set(e, ERR_BAD_INPUT,
			       "subscribe permission subject \"%s\" can at most contain one space",
			       value);
	return 0;
}

static int check_subjects(struct nsc *n, struct err *e)
{
	struct edit x = {.n = n};

	for (size_t i = 0; i < 4; i++) {
		x.key = perms[i].side;
		if (nsc_each(n->c, perms[i].option, add_subject, &x, e) ||
		    nsc_each(n->c, perms[i].both, add_subject, &x, e))
			return -1;
	}
	return 0;
}

/* --allow-pub-response[=N], --response-ttl, --rm-response-perms. 1: all is done. */
static int responses(struct nsc *n, json_t *o, struct err *e)
{
	const char *ttl = cli_str(n->c, "response-ttl");
	const char *max = cli_str(n->c, "allow-pub-response");
	const char *option = "allow-pub-response";
	char text[64];
	int64_t v = 1;

	if (cli_has(n->c, "rm-response-perms")) {
		json_object_del(o, "resp");
		nsc_ok(n, "removed response permissions");
		return 1;
	}
	if (cli_has(n->c, "max-responses"))
		max = cli_str(n->c, option = "max-responses");
	if (cli_has(n->c, option)) {
		if (max && nsc_number(option, max, &v, e))
			return -1;
		claims_set_int(claims_obj(o, "resp"), "max", v);
		nsc_ok(n, "set max responses to %lld", (long long)v);
	}
	if (ttl && *ttl) {
		if (nsc_duration("response-ttl", ttl, &v, e))
			return -1;
		claims_set_int(claims_obj(o, "resp"), "ttl", v);
		nsc_duration_text(v, text, sizeof(text));
		nsc_ok(n, "set response ttl to %s", text);
	}
	return 0;
}

int nsc_apply_permissions(struct nsc *n, json_t *o, struct err *e)
{
	if (check_subjects(n, e))
		return -1;
	int r = responses(n, o, e);

	if (r)
		return r < 0 ? -1 : 0;
	for (size_t i = 0; i < 4; i++) {
		const struct perm *p = &perms[i];
		struct edit x = {n, claims_add, claims_obj(o, p->side), p->list, p->added, false};
		struct edit y = {n, claims_remove, x.o, p->list, p->removed, false};

		if (nsc_each(n->c, p->option, change, &x, e) ||
		    nsc_each(n->c, p->both, change, &x, e) || nsc_each(n->c, "rm", change, &y, e))
			return -1;
		claims_sort(x.o, p->list);
	}
	return 0;
}

/* ---- limits */

int nsc_limit(struct nsc *n, json_t *o, const char *key, const char *option, const char *text,
	      struct err *e)
{
	const char *v = cli_str(n->c, option);
	const char *mark = strstr(text, "%d");
	int64_t num;

	if (!v)
		return 0;
	if (nsc_number(option, v, &num, e))
		return -1;
	claims_set_int(o, key, num);
	nsc_ok(n, "%.*s%lld%s", (int)(mark - text), text, (long long)num, mark + 2);
	return 0;
}

static void upper(char *s)
{
	for (; *s; s++)
		*s = (char)toupper((unsigned char)*s);
}

static int conn_type(void *arg, const char *value, struct err *e)
{
	static const char *const types[] = {"LEAFNODE", "MQTT",	       "STANDARD",  "WEBSOCKET",
					    "MQTT_WS",	"LEAFNODE_WS", "IN_PROCESS"};
	CLEAN(free) char *v = strdup(value);
	bool known = false;

	if (!v)
		return err_set(e, ERR_NOMEM, NULL);
	upper(v);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		known |= strcmp(types[i], v) == 0;
	if (!known)
		return err_set(e, ERR_BAD_INPUT, "unknown connection type %s", v);
	return change(arg, v, e);
}

static bool clock_time(const char *s, size_t len)
{
	int h = 0, m = 0, sec = 0, used = 0;
	char text[16];

	if (len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	return sscanf(text, "%2d:%2d:%2d%n", &h, &m, &sec, &used) == 3 && text[used] == '\0' &&
	       h >= 0 && h < 24 && m >= 0 && m < 60 && sec >= 0 && sec < 60;
}

static int add_time(void *arg, const char *value, struct err *e)
{
	const struct edit *x = arg;
	const char *dash = strchr(value, '-');

	if (!dash || !clock_time(value, (size_t)(dash - value)) ||
	    !clock_time(dash + 1, strlen(dash + 1)))
		return err_set(e, ERR_BAD_INPUT, "require format: \"15:04:05-15:04:05\" got \"%s\"",
			       value);
	json_array_append_new(
		claims_arr(x->o, "times"),
		json_pack("{s:s%,s:s}", "start", value, (size_t)(dash - value), "end", dash + 1));
	nsc_ok(x->n, "added time range %s", value);
	return 0;
}

static int remove_time(void *arg, const char *value, struct err *e)
{
	const struct edit *x = arg;
	json_t *list = json_object_get(x->o, "times"), *v;
	size_t i;

	(void)e;
	json_array_foreach(list, i, v)
	{
		if (strcmp(claims_str(v, "start"), value) == 0) {
			nsc_ok(x->n, "removed time range %s-%s", value, claims_str(v, "end"));
			json_array_remove(list, i);
			break;
		}
	}
	return 0;
}

static int networks(struct nsc *n, json_t *o, struct err *e)
{
	struct edit src = {n, claims_add_tag, o, "src", "added src network %s", false};
	struct edit rm = {n, claims_remove_tag, o, "src", "removed src network %s", false};
	const char *types = "allowed_connection_types";
	struct edit type = {n, claims_add, o, types, "added connection type %s", false};
	struct edit untype = {n, claims_remove, o, types, "removed connection type %s", false};
	struct edit times = {.n = n, .o = o};

	if (nsc_each(n->c, "conn-type", conn_type, &type, e) ||
	    nsc_each(n->c, "rm-conn-type", conn_type, &untype, e) ||
	    nsc_each(n->c, "source-network", change, &src, e) ||
	    nsc_each(n->c, "rm-source-network", change, &rm, e) ||
	    nsc_each(n->c, "time", add_time, &times, e) ||
	    nsc_each(n->c, "rm-time", remove_time, &times, e))
		return -1;
	claims_sort(o, "src");
	return 0;
}

int nsc_apply_user_limits(struct nsc *n, json_t *o, struct err *e)
{
	bool bearer = false;

	if (nsc_limit(n, o, "payload", "payload", "changed max imports to %d", e) ||
	    nsc_limit(n, o, "data", "data", "changed max data to %d", e) ||
	    nsc_limit(n, o, "subs", "subs", "changed max number of subs to %d", e) ||
	    nsc_bool(n->c, "bearer", &bearer, e))
		return -1;
	if (cli_has(n->c, "bearer")) {
		claims_set_bool(o, "bearer_token", bearer);
		if (bearer)
			nsc_ok(n, "changed bearer to true");
		else
			nsc_ok(n, "ignoring change to bearer - value is already false");
	}
	if (networks(n, o, e))
		return -1;
	if (cli_has(n->c, "locale"))
		claims_set_str(o, "times_location", cli_str(n->c, "locale"));
	return nsc_apply_permissions(n, o, e);
}

bool nsc_user_is_empty(const json_t *nats)
{
	static const char *const members[] = {
		"resp", "src",	   "times",	   "times_location", "subs",
		"data", "payload", "bearer_token", "proxy_required", "allowed_connection_types"};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const json_t *v = json_object_get(nats, members[i]);

		if ((json_is_integer(v) && json_integer_value(v)) || json_is_true(v) ||
		    json_array_size(v) || json_object_size(v) || json_string_length(v))
			return false;
	}
	for (size_t i = 0; i < 4; i++)
		if (json_array_size(
			    json_object_get(json_object_get(nats, perms[i].side), perms[i].list)))
			return false;
	return true;
}

int nsc_account_key(struct nsc *n, const char *text, bool wild, char pub[static NKEY_PUB_LEN],
		    struct err *e)
{
	CLEAN(jwt) struct jwt j = {0};
	uint8_t raw[32];

	if (wild && strcmp(text, "*") == 0) {
		memcpy(pub, "*", 2);
		return 0;
	}
	if (nkey_decode_kind(raw, NKEY_ACCOUNT, text, NULL) == 0) {
		memcpy(pub, text, NKEY_PUB_LEN);
		return 0;
	}
	if (nsc_read(n, &j, text, NULL, NULL, e))
		return -1;
	(void)snprintf(pub, NKEY_PUB_LEN, "%s", jwt_str(&j, "sub"));
	return 0;
}
