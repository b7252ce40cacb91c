/* What `stream info` shows. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/stream.h"

static void show_options(struct cols *k, const json_t *cfg)
{
	const char *from = jstr(cfg, "subject_transform.src"),
		   *to = jstr(cfg, "subject_transform.dest");

	cols_section(k, "Options");
	if (*to)
		cols_row(k, "Subject Transform", "%s to %s", *from ? from : ">", to);
	js_show_republish(k, cfg);
	cols_row(k, "Retention", "%s", js_titled(jstr(cfg, "retention")));
	cols_bool(k, "Acknowledgments", !jbool(cfg, "no_ack"));
	cols_row(k, "Discard Policy", "%s",
		 jbool(cfg, "discard_new_per_subject") ? "New Per Subject"
						       : js_titled(jstr(cfg, "discard")));
	cols_row(k, "Duplicate Window", "%s", DURATION(jint(cfg, "duplicate_window")));
	if (jbool(cfg, "allow_direct"))
		cols_bool(k, "Direct Get", true);
	if (jbool(cfg, "mirror_direct"))
		cols_bool(k, "Mirror Direct Get", true);
	cols_bool(k, "Allows Atomic Batch Publish", jbool(cfg, "allow_atomic"));
	cols_bool(k, "Allows Fast Batch Publish", jbool(cfg, "allow_batched"));
	cols_bool(k, "Allows Counters", jbool(cfg, "allow_msg_counter"));
	cols_bool(k, "Allows Msg Delete", !jbool(cfg, "deny_delete"));
	cols_bool(k, "Allows Per-Message TTL", jbool(cfg, "allow_msg_ttl"));
	cols_bool(k, "Allows Purge", !jbool(cfg, "deny_purge"));
	cols_bool(k, "Allows Schedules", jbool(cfg, "allow_msg_schedules"));
	if (jbool(cfg, "allow_msg_ttl") && jint(cfg, "subject_delete_marker_ttl") > 0)
		cols_row(k, "Subject Delete Markers TTL", "%s",
			 DURATION(jint(cfg, "subject_delete_marker_ttl")));
	cols_bool(k, "Allows Rollups", jbool(cfg, "allow_rollup_hdrs"));
}

static void show_limits(struct cols *k, const json_t *cfg)
{
	int64_t per = jint(cfg, "max_msgs_per_subject");

	cols_section(k, "Limits");
	cols_limit(k, "Maximum Messages", jint(cfg, "max_msgs"), -1);
	cols_limit(k, "Maximum Per Subject", per <= 0 ? -1 : per, -1);
	cols_bytes(k, "Maximum Bytes", jint(cfg, "max_bytes"));
	cols_duration(k, "Maximum Age", jint(cfg, "max_age"));
	cols_bytes(k, "Maximum Message Size", jint(cfg, "max_msg_size"));
	cols_limit(k, "Maximum Consumers", jint(cfg, "max_consumers"), -1);
	if (jint(cfg, "consumer_limits.inactive_threshold") > 0)
		cols_row(k, "Consumer Inactive Threshold", "%s",
			 DURATION(jint(cfg, "consumer_limits.inactive_threshold")));
	if (jint(cfg, "consumer_limits.max_ack_pending") > 0)
		cols_row(k, "Consumer Max Ack Pending", "%s",
			 COMMA(jint(cfg, "consumer_limits.max_ack_pending")));
}

/* A mirror or source of the configuration: the name and what narrows it. */
static void show_origin(struct cols *k, const char *label, const json_t *s)
{
	char text[600];
	size_t at;

	(void)snprintf(text, sizeof(text), "%.255s", jstr(s, "name"));
	if (jint(s, "opt_start_seq") > 0) {
		at = strlen(text);
		(void)snprintf(text + at, sizeof(text) - at, ", Start Seq: %s",
			       COMMA(jint(s, "opt_start_seq")));
	}
	if (*jstr(s, "external.api")) {
		at = strlen(text);
		(void)snprintf(text + at, sizeof(text) - at, ", API Prefix: %.100s",
			       jstr(s, "external.api"));
	}
	if (*jstr(s, "external.deliver")) {
		at = strlen(text);
		(void)snprintf(text + at, sizeof(text) - at, ", Delivery Prefix: %.100s",
			       jstr(s, "external.deliver"));
	}
	cols_row(k, label, "%s", text);
}

static void show_config(struct cols *k, const json_t *cfg)
{
	const json_t *mirror = json_object_get(cfg, "mirror"),
		     *sources = json_object_get(cfg, "sources");
	size_t i;
	json_t *s;

	cols_some(k, "Description", jstr(cfg, "description"));
	cols_joined(k, "Subjects", json_object_get(cfg, "subjects"));
	cols_row(k, "Replicas", "%s", COMMA(jint(cfg, "num_replicas")));
	if (jbool(cfg, "sealed"))
		cols_bool(k, "Sealed", true);
	cols_row(k, "Storage", "%s", js_titled(jstr(cfg, "storage")));
	if (*jstr(cfg, "compression") && strcmp(jstr(cfg, "compression"), "none") != 0)
		cols_row(k, "Compression", "%s", js_titled(jstr(cfg, "compression")));
	if (strcmp(jstr(cfg, "persist_mode"), "async") == 0)
		cols_row(k, "Persistence Mode", "Async");
	if (jint(cfg, "first_seq") > 0)
		cols_row(k, "First Sequence", "%s", COMMA(jint(cfg, "first_seq")));
	cols_some(k, "Placement Cluster", jstr(cfg, "placement.cluster"));
	cols_joined(k, "Placement Tags", jget(cfg, "placement.tags"));
	show_options(k, cfg);
	show_limits(k, cfg);
	js_show_metadata(k, cfg);
	if (json_is_object(mirror) || json_array_size(sources))
		cols_section(k, "Replication");
	if (json_is_object(mirror))
		show_origin(k, "Mirror", mirror);
	json_array_foreach(sources, i, s) show_origin(k, i ? "" : "Sources", s);
}

/* How a mirror or source is doing. */
static void show_source(struct cols *k, const json_t *s)
{
	int64_t active = jint(s, "active");

	cols_row(k, "Stream Name", "%s", jstr(s, "name"));
	cols_some(k, "Subject Filter", jstr(s, "filter_subject"));
	cols_row(k, "Lag", "%s", COMMA(jint(s, "lag")));
	cols_row(k, "Last Seen", "%s",
		 active > 0 && active < INT64_MAX ? DURATION(active) : "never");
	cols_some(k, "Ext. API Prefix", jstr(s, "external.api"));
	cols_some(k, "Ext. Delivery Prefix", jstr(s, "external.deliver"));
	cols_some(k, "Error", jstr(s, "error.description"));
}

static void show_seq(struct cols *k, const char *label, const json_t *st, const char *seq,
		     const char *time)
{
	const char *t = jstr(st, time);

	if (js_time_set(t))
		cols_row(k, label, "%s @ %s", COMMA(jint(st, seq)), LOCALTEXT(t));
	else
		cols_row(k, label, "%s", COMMA(jint(st, seq)));
}

static void show_state(struct cols *k, const json_t *info)
{
	const json_t *st = json_object_get(info, "state"), *lost = json_object_get(st, "lost");
	size_t nlost = json_array_size(json_object_get(lost, "msgs")), i;
	json_t *a;

	cols_section(k, "State");
	js_show_version(k, json_object_get(info, "config"));
	cols_row(k, "Messages", "%s", COMMA(jint(st, "messages")));
	cols_row(k, "Bytes", "%s", IBYTES(jint(st, "bytes")));
	if (nlost)
		cols_row(k, "Lost Messages", "%s (%s)", COMMA(nlost), IBYTES(jint(lost, "bytes")));
	show_seq(k, "First Sequence", st, "first_seq", "first_ts");
	show_seq(k, "Last Sequence", st, "last_seq", "last_ts");
	if (jint(st, "num_deleted") > 0)
		cols_row(k, "Deleted Messages", "%s", COMMA(jint(st, "num_deleted")));
	cols_row(k, "Active Consumers", "%s", COMMA(jint(st, "consumer_count")));
	if (jint(st, "num_subjects") > 0)
		cols_row(k, "Number of Subjects", "%s", COMMA(jint(st, "num_subjects")));
	json_array_foreach(json_object_get(info, "alternates"), i, a) cols_row(
		k, i ? "" : "Alternates", "%s: Cluster: %s%s%s", jstr(a, "name"),
		jstr(a, "cluster"), *jstr(a, "domain") ? " Domain: " : "", jstr(a, "domain"));
}

void stream_show(const json_t *info, bool state)
{
	const json_t *cfg = json_object_get(info, "config");
	CLEAN(cols) struct cols *k =
		cols_new("%s for Stream %s created %s", state ? "State" : "Information",
			 jstr(cfg, "name"), LOCALTEXT(jstr(info, "created")));
	size_t i;
	json_t *s;

	if (!state)
		show_config(k, cfg);
	if (*jstr(info, "cluster.name"))
		js_show_cluster(k, info, "Cluster Group");
	if (json_is_object(json_object_get(info, "mirror"))) {
		cols_section(k, "Mirror Information");
		show_source(k, json_object_get(info, "mirror"));
	}
	if (json_array_size(json_object_get(info, "sources")))
		cols_section(k, "Source Information");
	json_array_foreach(json_object_get(info, "sources"), i, s)
	{
		show_source(k, s);
		cols_line(k, NULL);
	}
	show_state(k, info);
	cols_print(k, stdout);
}

int stream_show_name(struct cli *c, const char *stream, bool state, struct err *e)
{
	CLEAN(json) json_t *info = NULL;

	if (js_stream_info(c, stream, &info, e))
		return -1;
	if (cli_has(c, "json"))
		return js_print(info, e);
	stream_show(info, state);
	return 0;
}
