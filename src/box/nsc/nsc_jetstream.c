/* JetStream limits of an account: global ones, or per tier of replication. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_edit.h"
#include "nkey/claims.h"

/* What an edit writes when neither the option nor an earlier limit says otherwise. */
static const struct limit {
	const char *key, *option, *old, *said;
	int64_t start;
} limits[] = {
	{"streams", "js-streams", "streams", "max streams", -1},
	{"consumer", "js-consumer", "consumer", "max consumer", -1},
	{"mem_storage", "js-mem-storage", "mem-storage", "max mem storage", 0},
	{"mem_max_stream_bytes", "js-max-mem-stream", NULL, "max memory stream", -1},
	{"disk_storage", "js-disk-storage", "disk-storage", "max disk storage", 0},
	{"disk_max_stream_bytes", "js-max-disk-stream", NULL, "max disk stream", -1},
	{"max_ack_pending", "js-max-ack-pending", NULL, "max ack pending", -1},
};

#define NLIMITS (sizeof(limits) / sizeof(limits[0]))

static bool is_set(const json_t *o)
{
	for (size_t i = 0; i < NLIMITS; i++)
		if (claims_int(o, limits[i].key))
			return true;
	return claims_bool(o, "max_bytes_required");
}

bool nsc_jetstream(const json_t *nats)
{
	const json_t *l = json_object_get(nats, "limits");
	json_t *tiers = json_object_get(l, "tiered_limits"), *t;
	const char *name;

	json_object_foreach(tiers, name, t)
	{
		if (claims_int(t, "mem_storage") || claims_int(t, "disk_storage"))
			return true;
	}
	return claims_int(l, "mem_storage") || claims_int(l, "disk_storage");
}

static void clear(json_t *o)
{
	for (size_t i = 0; i < NLIMITS; i++)
		json_object_del(o, limits[i].key);
	json_object_del(o, "max_bytes_required");
}

static int number(const struct cli *c, const char *option, int64_t *out, struct err *e)
{
	*out = -1;
	return cli_int(c, option, 0, 99, out, e);
}

static int disable(struct nsc *n, json_t *l)
{
	json_t *tiers = json_object_get(l, "tiered_limits"), *t;
	const char *name;

	clear(l);
	nsc_ok(n, "deleted global limit");
	json_object_foreach(tiers, name, t) nsc_ok(n, "deleted tier limit %s", name);
	json_object_del(l, "tiered_limits");
	return 0;
}

static int delete_tier(struct nsc *n, json_t *l, int64_t tier, struct err *e)
{
	json_t *tiers = json_object_get(l, "tiered_limits");
	char name[8];

	(void)snprintf(name, sizeof(name), "R%d", (int)tier);
	if (tier == 0) {
		clear(l);
		nsc_ok(n, "deleted global limit");
		return 0;
	}
	if (!json_object_size(tiers))
		return err_set(e, ERR_NOT_FOUND, "account doesn't have tier limits");
	if (json_object_del(tiers, name))
		return err_set(e, ERR_NOT_FOUND, "account doesn't have tier %s limit", name);
	nsc_ok(n, "deleted tier limit %s", name);
	return 0;
}

static int enable(struct nsc *n, json_t *l, int64_t tier, struct err *e)
{
	char name[8] = "global";

	if (tier > 0)
		(void)snprintf(name, sizeof(name), "R%d", (int)tier);
	if (is_set(tier > 0 ? json_object_get(json_object_get(l, "tiered_limits"), name) : l))
		return err_set(e, ERR_EXISTS, "jetstream tier %s is already enabled", name);
	json_t *o = tier > 0 ? claims_obj(claims_obj(l, "tiered_limits"), name) : l;

	clear(o);
	claims_set_int(o, "disk_storage", -1);
	claims_set_int(o, "mem_storage", -1);
	nsc_ok(n, tier > 0 ? "enabled tier limit %s" : "enabled %s limit", name);
	return 0;
}

/* Global and tiered limits exclude each other. */
static int check_tiers(const json_t *l, int64_t tier, bool given, struct err *e)
{
	json_t *tiers = json_object_get(l, "tiered_limits"), *t;
	char names[100] = "";
	const char *name;
	size_t len = 0;

	json_object_foreach(tiers, name, t)
	{
		if (len < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
						len ? "," : "", name);
	}
	if (len && is_set(l))
		return err_set(e, ERR_BAD_INPUT,
			       "configuration cannot contain both global and tiered limits '%s' - "
			       "please use the --rm-js-tier to remove undesired tier(s)",
			       names);
	if (len && tier <= 0 && given)
		return err_set(e, ERR_BAD_INPUT,
			       "cannot set a jetstream global limit when a configuration has "
			       "tiered limits '%s'",
			       names);
	if (is_set(l) && tier > 0 && given)
		return err_set(e, ERR_BAD_INPUT,
			       "cannot set a jetstream tier limit when a "
			       "configuration has a global limit");
	return 0;
}

static int set_limits(struct nsc *n, json_t *l, int64_t tier, bool given, bool system,
		      struct err *e)
{
	char label[8] = "global";
	bool bytes = false;

	if (tier > 0)
		(void)snprintf(label, sizeof(label), "R%d", (int)tier);
	if (check_tiers(l, tier, given, e))
		return -1;
	json_t *o = tier > 0 ? claims_obj(claims_obj(l, "tiered_limits"), label) : l;
	/* The original writes its defaults with the first edit of an account: JWTs must be
	 * the same. Not where tiers are, which global limits would contradict. */
	bool fill = !is_set(o) && !system &&
		    (tier > 0 || !json_object_size(json_object_get(l, "tiered_limits")));

	for (size_t i = 0; i < NLIMITS; i++) {
		const struct limit *m = &limits[i];
		const char *option = m->old && cli_has(n->c, m->old) ? m->old : m->option;
		char said[64];

		(void)snprintf(said, sizeof(said), "changed %s %s to %%d", label, m->said);
		if (fill)
			claims_set_int(o, m->key, m->start);
		if (nsc_limit(n, o, m->key, option, said, e))
			return -1;
	}
	if (nsc_bool(n->c, "js-max-bytes-required", &bytes, e))
		return -1;
	if (cli_has(n->c, "js-max-bytes-required"))
		claims_set_bool(o, "max_bytes_required", bytes);
	return 0;
}

int nsc_edit_jetstream(struct nsc *n, struct err *e)
{
	static const char *const all[] = {"js-tier",
					  "js-mem-storage",
					  "js-disk-storage",
					  "js-streams",
					  "js-consumer",
					  "js-max-mem-stream",
					  "js-max-disk-stream",
					  "js-max-bytes-required",
					  "js-max-ack-pending",
					  "mem-storage",
					  "disk-storage",
					  "streams",
					  "consumer",
					  NULL};
	json_t *l = claims_obj(n->ac.nats, "limits");
	bool given = nsc_any(n->c, all), off = false;
	bool system = strcmp(jwt_str(&n->ac, "sub"), jwt_nats_str(&n->op, "system_account")) == 0;
	int64_t tier, rm, on;

	if (number(n->c, "js-tier", &tier, e) || number(n->c, "rm-js-tier", &rm, e) ||
	    number(n->c, "js-enable", &on, e) || nsc_bool(n->c, "js-disable", &off, e))
		return -1;
	if (rm >= 0 && (given || on >= 0))
		return err_set(e, ERR_USAGE, "rm-js-tier is exclusive of all other js options");
	if (off && (given || rm >= 0 || on >= 0))
		return err_set(e, ERR_USAGE, "js-disable is exclusive of all other js options");
	if (on >= 0 && given)
		return err_set(e, ERR_USAGE, "js-enable is exclusive of all other js options");
	if (off)
		return disable(n, l);
	if (rm >= 0)
		return delete_tier(n, l, rm, e);
	if (system && (given || on >= 0))
		return err_set(e, ERR_BAD_INPUT,
			       "system account cannot have JetStream limits - please rerun with "
			       "--js-disable");
	if (on >= 0)
		return enable(n, l, on, e);
	return set_limits(n, l, tier, given, system, e);
}
