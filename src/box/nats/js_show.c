/* What the pages of streams, consumers and buckets have in common. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/js.h"

const char *js_titled(const char *word)
{
	static const char *const known[][2] = {
		{"limits", "Limits"},
		{"interest", "Interest"},
		{"workqueue", "WorkQueue"},
		{"file", "File"},
		{"memory", "Memory"},
		{"old", "Old"},
		{"new", "New"},
		{"s2", "S2 Compression"},
		{"async", "Async"},
		{"explicit", "Explicit"},
		{"none", "None"},
		{"all", "All"},
		{"instant", "Instant"},
		{"original", "Original"},
		{"flow_control", "Flow Control"},
		{"last", "Last"},
		{"last_per_subject", "Last Per Subject"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i][0], word) == 0)
			return known[i][1];
	return word;
}

void js_show_republish(struct cols *k, const json_t *cfg)
{
	if (*jstr(cfg, "republish.dest"))
		cols_row(k,
			 jbool(cfg, "republish.headers_only") ? "Republishing Headers"
							      : "Republishing",
			 "%s to %s", jstr(cfg, "republish.src"), jstr(cfg, "republish.dest"));
}

void js_show_metadata(struct cols *k, const json_t *cfg)
{
	CLEAN(json) json_t *copy = json_deep_copy(cfg);

	js_clean_metadata(copy);
	if (json_object_get(copy, "metadata")) {
		cols_section(k, "Metadata");
		const char *key;
		json_t *v;
		size_t n = json_object_size(json_object_get(copy, "metadata")), i = 0;
		CLEAN(free) const char **keys = calloc(n + 1, sizeof(*keys));

		if (!keys)
			return;
		json_object_foreach(json_object_get(copy, "metadata"), key, v) keys[i++] = key;
		qsort(keys, n, sizeof(*keys), js_by_text);
		for (i = 0; i < n; i++) {
			const char *text = json_string_value(
				json_object_get(json_object_get(copy, "metadata"), keys[i]));

			cols_row(k, keys[i], "%s", text ? text : "");
		}
	}
}

void js_show_version(struct cols *k, const json_t *cfg)
{
	const json_t *meta = json_object_get(cfg, "metadata");
	const char *version = json_string_value(json_object_get(meta, "_nats.ver"));
	const char *level = json_string_value(json_object_get(meta, "_nats.level"));
	const char *need = json_string_value(json_object_get(meta, "_nats.req.level"));

	cols_some(k, "Host Version", version);
	if (level || need)
		cols_row(k, "Required API Level", "%s hosted at level %s", need ? need : "0",
			 level ? level : "");
}

void js_show_cluster(struct cols *k, const json_t *info, const char *group)
{
	const json_t *cl = json_object_get(info, "cluster");
	const char *since = jstr(cl, "leader_since"), *now = jstr(info, "ts");
	size_t i;
	json_t *r;

	cols_section(k, "Cluster Information");
	cols_row(k, "Name", "%s", jstr(cl, "name"));
	if (group)
		cols_some(k, group, jstr(cl, "raft_group"));
	cols_row(k, "Leader", *since ? "%s (%s)" : "%s%s", jstr(cl, "leader"),
		 *since ? SINCE(since, now) : "");
	json_array_foreach(json_object_get(cl, "replicas"), i, r)
	{
		int64_t active = jint(r, "active"), lag = jint(r, "lag");
		char seen[80] = "not seen", behind[80] = "";

		if (active > 0 && active < INT64_MAX)
			(void)snprintf(seen, sizeof(seen), "seen %s ago", DURATION(active));
		if (lag > 0)
			(void)snprintf(behind, sizeof(behind), ", %s operation%s behind",
				       COMMA(lag), lag == 1 ? "" : "s");
		cols_row(k, "Replica", "%s, %s%s, %s%s", jstr(r, "name"),
			 jbool(r, "current") ? "current" : "outdated",
			 jbool(r, "offline") ? ", OFFLINE" : "", seen, behind);
	}
}
