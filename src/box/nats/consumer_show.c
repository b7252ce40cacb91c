/* What `consumer info` shows, and the lists. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/consumer.h"
#include "box/nats/nats_leaders.h"

static void show_start(struct cols *k, const json_t *cfg)
{
	const char *p = jstr(cfg, "deliver_policy"), *t = jstr(cfg, "opt_start_time");

	if (js_titled(p) != p)
		cols_row(k, "Deliver Policy", "%s", js_titled(p));
	if (strcmp(p, "by_start_time") == 0) {
		size_t day = strcspn(t, "T"), n = strcspn(t, "Z");

		cols_row(k, "Deliver Policy", "Since %.*s %.*s +0000 UTC", (int)day, t,
			 n > day ? (int)(n - day - 1) : 0, n > day ? t + day + 1 : "");
	}
	if (strcmp(p, "by_start_sequence") == 0)
		cols_row(k, "Deliver Policy", "From Sequence %lld",
			 (long long)jint(cfg, "opt_start_seq"));
}

/* Label, member, and how its value is shown when it is above 0. */
static void show_numbers(struct cols *k, const json_t *cfg)
{
	enum { COUNT, TIME, SIZE };
	static const struct {
		const char *label, *key;
		int how;
	} rows[] = {
		{"Max Ack Pending", "max_ack_pending", COUNT},
		{"Max Waiting Pulls", "max_waiting", COUNT},
		{"Idle Heartbeat", "idle_heartbeat", TIME},
		{"Flow Control", NULL, 0},
		{"Inactive Threshold", "inactive_threshold", TIME},
		{"Max Pull Expire", "max_expires", TIME},
		{"Max Pull Batch", "max_batch", COUNT},
		{"Max Pull MaxBytes", "max_bytes", COUNT},
	};
	bool push = *jstr(cfg, "deliver_subject");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t v = rows[i].key ? jint(cfg, rows[i].key) : 0;

		if (!rows[i].key && push)
			cols_bool(k, "Flow Control", jbool(cfg, "flow_control"));
		if (!rows[i].key && jbool(cfg, "headers_only"))
			cols_bool(k, "Headers Only", true);
		if (v > 0 && !(push && strcmp(rows[i].key, "inactive_threshold") == 0))
			cols_row(k, rows[i].label, "%s",
				 rows[i].how == TIME ? DURATION(v) : COMMA(v));
	}
}

static void show_config(struct cols *k, const json_t *info)
{
	const json_t *cfg = json_object_get(info, "config");
	const char *name = jstr(cfg, "name"), *durable = jstr(cfg, "durable_name");
	const char *target = jstr(cfg, "deliver_subject"), *until = jstr(cfg, "pause_until");

	cols_section(k, "Configuration");
	cols_some(k, "Name", *name ? name : jstr(info, "name"));
	if (*durable && *name && strcmp(durable, name) != 0)
		cols_row(k, "Durable Name", "%s", durable);
	cols_some(k, "Description", jstr(cfg, "description"));
	if (*target)
		cols_row(k, "Delivery Subject", "%s", target);
	else
		cols_bool(k, "Pull Mode", true);
	cols_some(k, "Filter Subject", jstr(cfg, "filter_subject"));
	cols_joined(k, "Filter Subjects", json_object_get(cfg, "filter_subjects"));
	show_start(k, cfg);
	if (*target)
		cols_some(k, "Deliver Queue Group", jstr(cfg, "deliver_group"));
	cols_row(k, "Ack Policy", "%s", js_titled(jstr(cfg, "ack_policy")));
	if (strcmp(jstr(cfg, "ack_policy"), "none") != 0)
		cols_row(k, "Ack Wait", "%s", DURATION(jint(cfg, "ack_wait")));
	cols_row(k, "Replay Policy", "%s", js_titled(jstr(cfg, "replay_policy")));
	if (jint(cfg, "max_deliver") > 0)
		cols_row(k, "Maximum Deliveries", "%s", COMMA(jint(cfg, "max_deliver")));
	cols_some(k, "Sampling Rate", jstr(cfg, "sample_freq"));
	if (jint(cfg, "rate_limit_bps") > 0)
		cols_row(k, "Rate Limit", "%s / second", IBYTES(jint(cfg, "rate_limit_bps") / 8));
	show_numbers(k, cfg);
	cols_joined(k, "Backoff", json_object_get(cfg, "backoff"));
	if (jint(cfg, "num_replicas") > 0)
		cols_row(k, "Replicas", "%s", COMMA(jint(cfg, "num_replicas")));
	if (jbool(cfg, "mem_storage"))
		cols_bool(k, "Memory Storage", true);
	if (jbool(info, "paused"))
		cols_row(k, "Paused Until Deadline", "%s (%s remaining)", LOCALTEXT(until),
			 WHOLE_SECONDS(jint(info, "pause_remaining")));
	else if (js_time_set(until))
		cols_row(k, "Paused Until Deadline", "%s (passed)", LOCALTEXT(until));
	if (*jstr(cfg, "priority_policy") && strcmp(jstr(cfg, "priority_policy"), "none") != 0) {
		cols_row(k, "Priority Policy", "%s", jstr(cfg, "priority_policy"));
		cols_joined(k, "Priority Groups", json_object_get(cfg, "priority_groups"));
		if (jint(cfg, "priority_timeout") > 0)
			cols_row(k, "Pinned TTL", "%s", DURATION(jint(cfg, "priority_timeout")));
	}
	js_show_metadata(k, cfg);
}

static void show_position(struct cols *k, const json_t *info, const char *label, const char *key,
			  const char *verb)
{
	const json_t *at = json_object_get(info, key);
	const char *last = jstr(at, "last_active");

	cols_row(k, label, "Consumer sequence: %s Stream sequence: %s%s%s%s%s",
		 COMMA(jint(at, "consumer_seq")), COMMA(jint(at, "stream_seq")), *last ? " " : "",
		 *last ? verb : "", *last ? SINCE(last, jstr(info, "ts")) : "",
		 *last ? " ago" : "");
}

static void show_state(struct cols *k, const json_t *info)
{
	const json_t *cfg = json_object_get(info, "config");
	int64_t most = jint(cfg, "max_ack_pending"), waiting = jint(cfg, "max_waiting"), t = 0;

	cols_section(k, "State");
	js_show_version(k, cfg);
	show_position(k, info, "Last Delivered Message", "delivered", "Last delivery: ");
	if (strcmp(jstr(cfg, "ack_policy"), "none") != 0) {
		show_position(k, info, "Acknowledgment Floor", "ack_floor", "Last Ack: ");
		if (most > 0)
			cols_row(k, "Outstanding Acks", "%s out of maximum %s",
				 COMMA(jint(info, "num_ack_pending")), COMMA(most));
		else
			cols_row(k, "Outstanding Acks", "%s", COMMA(jint(info, "num_ack_pending")));
		cols_row(k, "Redelivered Messages", "%s", COMMA(jint(info, "num_redelivered")));
	}
	cols_row(k, "Unprocessed Messages", "%s", COMMA(jint(info, "num_pending")));
	if (!*jstr(cfg, "deliver_subject"))
		cols_row(k, "Waiting Pulls", waiting > 0 ? "%s of maximum %s" : "%s of unlimited%s",
			 COMMA(jint(info, "num_waiting")), waiting > 0 ? COMMA(waiting) : "");
	else if (!jbool(info, "push_bound"))
		cols_row(k, "Active Interest", "No interest");
	else
		cols_row(k, "Active Interest", "Active%s%s",
			 *jstr(cfg, "deliver_group") ? " using Queue Group " : "",
			 jstr(cfg, "deliver_group"));
	if (jbool(info, "paused")) {
		(void)parse_rfc3339(jstr(info, "ts"), &t);
		cols_row(k, "Paused Until", "%s (%s remaining)",
			 LOCALTIME(nats_add(t, jint(info, "pause_remaining"))),
			 WHOLE_SECONDS(jint(info, "pause_remaining")));
	}
}

void consumer_show(const json_t *info, bool state)
{
	CLEAN(cols) struct cols *k = cols_new(
		"%s for Consumer %s > %s created %s", state ? "State" : "Information",
		jstr(info, "stream_name"), jstr(info, "name"), LOCALTEXT(jstr(info, "created")));

	if (!state)
		show_config(k, info);
	if (*jstr(info, "cluster.name"))
		js_show_cluster(k, info, "Raft Group");
	show_state(k, info);
	cols_print(k, stdout);
}

int consumer_print(struct cli *c, const json_t *info, bool state, struct err *e)
{
	if (cli_has(c, "json"))
		return js_print(info, e);
	consumer_show(info, state);
	return 0;
}

static int load(struct cli *c, const char *stream, json_t **out, struct err *e)
{
	char subject[300];

	if (js_name("stream", stream, e))
		return -1;
	(void)snprintf(subject, sizeof(subject), "CONSUMER.LIST.%.255s", stream);
	return js_pages(c, subject, NULL, "consumers", out, e);
}

static void table(json_t *all)
{
	CLEAN(nt) struct nt *t = nt_new("Consumers");
	size_t i;
	json_t *v;

	nt_head(t, "Name", "Description", "Created", "Ack Pending", "Unprocessed", "Last Delivery",
		NULL);
	json_array_foreach(all, i, v)
	{
		nt_text(t, jstr(v, "name"));
		nt_text(t, jstr(v, "config.description"));
		nt_text(t, LOCALTEXT(jstr(v, "created")));
		nt_num(t, jint(v, "num_ack_pending"));
		nt_num(t, jint(v, "num_pending"));
		nt_text(t, SINCE(jstr(v, "delivered.last_active"), jstr(v, "ts")));
	}
	nt_print(t);
	fputs("\n\n", stdout);
}

int consumer_ls(struct cli *c, struct err *e)
{
	const char *stream = js_operand(c, 0, "Stream", e);
	CLEAN(json) json_t *all = NULL;
	char subject[300];

	if (!stream || js_name("stream", stream, e))
		return -1;
	if (cli_has(c, "json") || cli_has(c, "names")) {
		(void)snprintf(subject, sizeof(subject), "CONSUMER.NAMES.%.255s", stream);
		if (js_pages(c, subject, NULL, "consumers", &all, e))
			return err_wrap(e, "could not load Consumers");
		return js_print_names(all, cli_has(c, "json"), e);
	}
	if (load(c, stream, &all, e))
		return err_wrap(e, "could not load Consumers");
	if (json_array_size(all))
		table(all);
	else
		puts("No Consumers defined");
	return 0;
}

int consumer_report(struct cli *c, struct err *e)
{
	const char *stream = js_operand(c, 0, "Stream", e);
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *all = NULL;
	bool raw = cli_has(c, "raw");
	size_t i;
	json_t *v;

	if (!stream || js_stream_info(c, stream, &info, e) || load(c, stream, &all, e))
		return -1;
	int64_t msgs = jint(info, "state.messages");
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 65536);
	CLEAN(nt) struct nt *t = nt_new("Consumer report for %s with %s consumers", stream,
					COMMA(jint(info, "state.consumer_count")));

	nt_head(t, "Consumer", "Mode", "Ack Policy", "Ack Wait", "Ack Pending", "Redelivered",
		"Unprocessed", "Ack Floor", "API Level", "Cluster", NULL);
	json_array_foreach(all, i, v)
	{
		const json_t *cfg = json_object_get(v, "config");
		const char *level = json_string_value(
			json_object_get(json_object_get(cfg, "metadata"), "_nats.req.level"));
		int64_t left = jint(v, "num_pending");
		double percent = msgs > 0 ? (double)left * 100 / (double)msgs : 100;

		nt_text(t, jstr(v, "name"));
		nt_text(t, *jstr(cfg, "deliver_subject") ? "Push" : "Pull");
		nt_text(t, js_titled(jstr(cfg, "ack_policy")));
		nt_text(t, jint(cfg, "ack_wait") ? DURATION(jint(cfg, "ack_wait")) : "0s");
		nt_text(t, COMMA(jint(v, "num_ack_pending")));
		nt_text(t, COMMA(jint(v, "num_redelivered")));
		if (left > 0 && !raw)
			nt_fmt(t, "%s / %lld%%", COMMA(left),
			       (long long)(percent > 100 ? 100
					   : percent < 0 ? 0
							 : percent));
		else
			nt_fmt(t, "%lld", (long long)left);
		nt_text(t, COMMA(jint(v, "ack_floor.stream_seq")));
		nt_text(t, level ? level : "0");
		js_cluster_text(v, &b);
		nt_text(t, b.bad ? "" : (const char *)b.p);
	}
	nt_print(t);
	putchar('\n');
	CLEAN(json) json_t *led = cli_has(c, "leaders") ? json_object() : NULL;

	json_array_foreach(all, i, v) if (led)
		leaders_add(led, jstr(v, "cluster.leader"), jstr(v, "cluster.name"), 1);
	if (json_object_size(led))
		leaders_print(led, "Consumers");
	return 0;
}

struct find {
	int64_t waiting, acks, pending, idle, created, replicas, level;
};

/* Whether each group of an overflow or pinning policy has its pinned client. */
static bool pinned(const json_t *v)
{
	const json_t *groups = json_object_get(v, "priority_groups");
	size_t i;
	json_t *g;

	if (strcmp(jstr(v, "config.priority_policy"), "pinned_client") != 0)
		return false;
	json_array_foreach(groups, i, g) if (!*jstr(g, "pinned_client_id")) return false;
	return json_array_size(groups) > 0;
}

static bool matches(struct cli *c, const struct find *f, const json_t *v)
{
	bool push = *jstr(v, "config.deliver_subject");
	const char *leader = cli_str(c, "leader");
	const char *level =
		json_string_value(json_object_get(jget(v, "config.metadata"), "_nats.req.level"));
	const struct {
		bool given, holds;
	} tests[] = {
		{cli_has(c, "pull"), !push},
		{cli_has(c, "push"), push},
		{cli_has(c, "bound"), push ? jbool(v, "push_bound") : jint(v, "num_waiting") > 0},
		{f->waiting >= 0, jint(v, "num_waiting") < f->waiting},
		{f->acks >= 0, jint(v, "num_ack_pending") < f->acks},
		{f->pending >= 0, jint(v, "num_pending") < f->pending},
		{f->idle > 0, js_older(jstr(v, "delivered.last_active"), f->idle)},
		{f->created > 0, js_older(jstr(v, "created"), f->created)},
		{f->replicas > 0, jint(v, "config.num_replicas") <= f->replicas},
		{leader != NULL, leader && strcmp(jstr(v, "cluster.leader"), leader) == 0},
		{cli_has(c, "pinned"), pinned(v)},
		{f->level > 0, level && strtoll(level, NULL, 10) >= f->level},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (tests[i].given && tests[i].holds == cli_has(c, "invert"))
			return false;
	return true;
}

int consumer_query(struct cli *c, const char *stream, json_t **out, struct err *e)
{
	struct find f = {.waiting = -1, .acks = -1, .pending = -1};
	CLEAN(json) json_t *all = NULL;
	size_t i;
	json_t *v;

	*out = NULL;
	if (cli_has(c, "expression"))
		return cli_usage(e, "--expression needs natscli: here, filter the output of "
				    "'nats consumer info --json' with jq");
	if (cli_int(c, "waiting", 0, INT64_MAX, &f.waiting, e) ||
	    cli_int(c, "ack-pending", 0, INT64_MAX, &f.acks, e) ||
	    cli_int(c, "pending", 0, INT64_MAX, &f.pending, e) ||
	    cli_int(c, "replicas", 0, 100, &f.replicas, e) ||
	    cli_int(c, "api-level", 0, 1000, &f.level, e) ||
	    nats_opt_duration(c, "idle", &f.idle, e) ||
	    nats_opt_duration(c, "created", &f.created, e) || load(c, stream, &all, e))
		return -1;
	*out = json_array();
	json_array_foreach(all, i, v) if (matches(c, &f, v))(void) json_array_append(*out, v);
	return *out ? 0 : err_set(e, ERR_NOMEM, NULL);
}

int consumer_find(struct cli *c, struct err *e)
{
	const char *stream = js_operand(c, 0, "Stream", e);
	CLEAN(json) json_t *found = NULL;
	size_t i;
	json_t *v;

	if (!stream || consumer_query(c, stream, &found, e))
		return -1;
	json_array_foreach(found, i, v)
	{
		CLEAN(free) char *clean = nats_clean(jstr(v, "name"));

		puts(clean ? clean : "?");
	}
	return 0;
}
