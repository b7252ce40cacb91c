/* nats consumer: the table of its commands, and those that change consumers. */
#include "box/nats/consumer.h"

#include <stdlib.h>
#include <string.h>

#include "box/nats/nats_js.h"
#include "box/nats/nats_leaders.h"

#define CONFIG_OPTS                                                                                \
	{"backoff", 0, "MODE", "Waiting before redeliveries: none or linear"},                     \
		{"backoff-steps", 0, "NUMBER", "How many steps (10)"},                             \
		{"backoff-min", 0, "DURATION", "The shortest (1m)"},                               \
		{"backoff-max", 0, "DURATION", "The longest (20m)"}, DESCRIPTION_OPT,              \
		{"filter", 0, "SUBJECTS", "Only these subjects, comma-separated"},                 \
		{"headers-only", 0, NULL, "Headers without bodies"},                               \
		{"max-deliver", 0, "NUMBER", "How often a message is delivered"},                  \
		{"max-outstanding", 0, "NUMBER", "The same as --max-pending"},                     \
		{"max-pending", 0, "NUMBER", "Most messages without an answer"},                   \
		{"max-pull-batch", 0, "NUMBER", "Most messages of one pull"},                      \
		{"max-pull-expire", 0, "DURATION", "Longest that a pull may wait"},                \
		{"max-pull-bytes", 0, "BYTES", "Most bytes of one pull"},                          \
		{"sample", 0, "PERCENT", "How many acks are reported"},                            \
		{"target", 0, "SUBJECT", "Push messages to this subject"},                         \
		{"wait", 0, "DURATION", "How long an answer may take"},                            \
		{"inactive-threshold", 0, "DURATION", "How long it may be idle"},                  \
		{"replicas", 0, "NUMBER", "How many servers keep its state"}, METADATA_OPT,        \
		JSON_OPT

#define NEW_OPTS                                                                                   \
	{"ack", 0, "POLICY", "none, all or explicit"}, {"bps", 0, "BITS", "Most bits per second"}, \
		{"deliver", 0, "POLICY", "Begin with: all, new, last, subject, 1h, a sequence"},   \
		{"deliver-group", 0, "GROUP", "Push only to this queue group"},                    \
		{"ephemeral", 0, NULL, "One that goes when it is not used"},                       \
		{"flow-control", 0, NULL, "Flow control (push)"},                                  \
		{"heartbeat", 0, "DURATION", "Heartbeats when idle (push)"},                       \
		{"max-waiting", 0, "NUMBER", "Most pulls that wait"},                              \
		{"pull", 0, NULL, "Messages are pulled (the default)"},                            \
		{"replay", 0, "POLICY", "instant or original"},                                    \
		{"memory", 0, NULL, "Keep the state in memory"},                                   \
		{"pause", 0, "UNTIL", "Begin paused, for a duration or until a time"},             \
		{"pinned-groups", 0, "GROUPS", "Pinned clients of these groups"},                  \
		{"pinned-ttl", 0, "DURATION", "When a pinned client loses its place"},             \
		{"overflow-groups", 0, "GROUPS", "Overflow between these groups"},                 \
		{"prioritized-groups", 0, "GROUPS", "Priorities between these groups"}

static const struct js_field fields[] = {
	{"ack", "ack_policy", JS_WORD, "none all explicit flow_control", NULL},
	{"bps", "rate_limit_bps", JS_INT, NULL, NULL},
	{"deliver-group", "deliver_group", JS_STR, NULL, NULL},
	{"description", "description", JS_STR, NULL, NULL},
	{"flow-control", "flow_control", JS_FLAG, NULL, NULL},
	{"heartbeat", "idle_heartbeat", JS_DUR, NULL, NULL},
	{"headers-only", "headers_only", JS_FLAG, NULL, NULL},
	{"max-deliver", "max_deliver", JS_INT, NULL, NULL},
	{"max-outstanding", "max_ack_pending", JS_INT, NULL, NULL},
	{"max-pending", "max_ack_pending", JS_INT, NULL, NULL},
	{"max-waiting", "max_waiting", JS_INT, NULL, NULL},
	{"max-pull-batch", "max_batch", JS_INT, NULL, NULL},
	{"max-pull-expire", "max_expires", JS_DUR, NULL, NULL},
	{"max-pull-bytes", "max_bytes", JS_BYTES, NULL, NULL},
	{"replay", "replay_policy", JS_WORD, "instant original", NULL},
	{"sample", "sample_freq", JS_STR, NULL, NULL},
	{"target", "deliver_subject", JS_STR, NULL, NULL},
	{"wait", "ack_wait", JS_DUR, NULL, NULL},
	{"inactive-threshold", "inactive_threshold", JS_DUR, NULL, NULL},
	{"memory", "mem_storage", JS_FLAG, NULL, NULL},
	{"replicas", "num_replicas", JS_INT, NULL, NULL},
	{"metadata", "metadata", JS_META, NULL, NULL},
	{"filter", "filter_subjects", JS_LIST, NULL, NULL},
	{"pinned-groups", "priority_groups", JS_LIST, NULL, NULL},
	{"pinned-ttl", "priority_timeout", JS_DUR, NULL, NULL},
	{"overflow-groups", "priority_groups", JS_LIST, NULL, NULL},
	{"prioritized-groups", "priority_groups", JS_LIST, NULL, NULL},
	{0},
};

int consumer_operands(struct cli *c, int i, const char **stream, const char **name, json_t **info,
		      struct err *e)
{
	CLEAN(json) json_t *got = NULL;

	*stream = js_operand(c, i, "Stream", e);
	*name = *stream ? js_operand(c, i + 1, "Consumer", e) : NULL;
	if (!*name)
		return -1;
	if (js_consumer_info(c, *stream, *name, &got, e))
		return err_wrap(e, "could not select Consumer");
	if (info)
		*info = STEAL(got);
	return 0;
}

/* "1h30m" from now, or a time such as "2006-01-02 15:04:05" (in UTC) or RFC 3339. */
static int parse_until(const char *text, char out[static 48], struct err *e)
{
	char rfc[64];
	int64_t ns = 0;
	size_t n = strlen(text);

	(void)snprintf(rfc, sizeof(rfc), "%.40s%s", text, n == 19 ? "Z" : "");
	if (n == 19 && rfc[10] == ' ')
		rfc[10] = 'T';
	if (parse_rfc3339(rfc, &ns)) {
		if (parse_duration(text, &ns, e))
			return err_set(e, ERR_USAGE,
				       "could not parse the pause time as either timestamp or "
				       "duration");
		ns += now_ns();
	}
	fmt_rfc3339(out, ns, true, true);
	return 0;
}

/* --deliver */
static int set_start(json_t *cfg, const char *policy, struct err *e)
{
	static const char *const known[][2] = {
		{"all", "all"},
		{"last", "last"},
		{"new", "new"},
		{"next", "new"},
		{"subject", "last_per_subject"},
		{"last_per_subject", "last_per_subject"},
	};
	char when[48];
	int64_t ns = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(policy, known[i][0]) == 0)
			return js_set(cfg, "deliver_policy", json_string(known[i][1]));
	if (*policy && strspn(policy, "0123456789") == strlen(policy)) {
		(void)js_set(cfg, "deliver_policy", json_string("by_start_sequence"));
		return js_set(cfg, "opt_start_seq", json_integer(strtoll(policy, NULL, 10)));
	}
	if (parse_duration(policy, &ns, e))
		return err_wrap(e, "could not parse starting delta");
	fmt_rfc3339(when, now_ns() - ns, true, true);
	(void)js_set(cfg, "deliver_policy", json_string("by_start_time"));
	return js_set(cfg, "opt_start_time", json_string(when));
}

/* --backoff linear: steps from the shortest to the longest. */
static int set_backoff(struct cli *c, json_t *cfg, struct err *e)
{
	int64_t steps = 10, min = 60 * NS_S, max = 1200 * NS_S;
	const char *mode = cli_str(c, "backoff");
	json_t *list = json_array();

	if (!mode || strcmp(mode, "none") == 0) {
		json_decref(list);
		return mode ? json_object_del(cfg, "backoff"), 0 : 0;
	}
	if (strcmp(mode, "linear") != 0 || cli_int(c, "backoff-steps", 1, 1000, &steps, e) ||
	    nats_opt_duration(c, "backoff-min", &min, e) ||
	    nats_opt_duration(c, "backoff-max", &max, e) || min <= 0 || max < min) {
		json_decref(list);
		return cli_usage(e, "--backoff needs 'linear' or 'none', 1 to 1000 steps, and a "
				    "longest time that is not below the shortest");
	}
	for (int64_t i = 0; i < steps; i++)
		(void)json_array_append_new(
			list,
			json_integer(min + ((max - min) / steps * i + NS_MS / 2) / NS_MS * NS_MS));
	return js_set(cfg, "backoff", list);
}

static int apply(struct cli *c, json_t *cfg, struct err *e)
{
	static const char *const policies[][2] = {
		{"pinned-groups", "pinned_client"},
		{"overflow-groups", "overflow"},
		{"prioritized-groups", "prioritized"},
	};
	const char *start = cli_str(c, "deliver"), *pause = cli_str(c, "pause");
	char until[48];

	if (js_apply(c, fields, cfg, e) || (start && set_start(cfg, start, e)) ||
	    set_backoff(c, cfg, e) || (pause && parse_until(pause, until, e)))
		return -1;
	if (pause)
		(void)js_set(cfg, "pause_until", json_string(until));
	json_t *filters = json_object_get(cfg, "filter_subjects");

	if (cli_has(c, "filter")) {
		(void)json_object_del(cfg, "filter_subject");
		if (json_array_size(filters) == 1)
			(void)json_object_set(cfg, "filter_subject", json_array_get(filters, 0));
		if (json_array_size(filters) < 2)
			(void)json_object_del(cfg, "filter_subjects");
	}
	for (size_t i = 0; i < 3; i++)
		if (cli_has(c, policies[i][0]))
			(void)js_set(cfg, "priority_policy", json_string(policies[i][1]));
	return 0;
}

static int send(struct cli *c, const char *stream, const char *name, json_t *cfg, json_t **reply,
		struct err *e)
{
	const char *filter = jstr(cfg, "filter_subject");
	json_t *req;

	if (js_name("stream", stream, e) || (*name && js_name("consumer", name, e)))
		return -1;
	js_clean_metadata(cfg);
	/* A zero time is no deadline. */
	if (!js_time_set(jstr(cfg, "pause_until")))
		(void)json_object_del(cfg, "pause_until");
	req = json_pack("{s:s, s:O}", "stream_name", stream, "config", cfg);
	/* The subject tells stream, name and filter, so that permissions can. */
	if (!*name)
		return nats_js_request(c, req, reply, e, "CONSUMER.CREATE.%s", stream);
	return nats_js_request(c, req, reply, e, "CONSUMER.CREATE.%s.%s%s%s", stream, name,
			       *filter ? "." : "", filter);
}

static json_t *defaults(struct cli *c)
{
	bool push = cli_has(c, "target");

	return json_pack("{s:s, s:s, s:s, s:I}", "deliver_policy", "all", "ack_policy",
			 push ? "none" : "explicit", "replay_policy", "instant", "max_deliver",
			 (json_int_t)-1);
}

static int consumer_add(struct cli *c, struct err *e)
{
	const char *stream = js_operand(c, 0, "Stream", e), *file = cli_str(c, "config");
	const char *name = c->argc > 1 ? c->argv[1] : "", *output = cli_str(c, "output");
	CLEAN(json) json_t *cfg = NULL;
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *reply = NULL;

	if (!stream || (file && js_config_file(file, &cfg, e)))
		return -1;
	if (!file)
		cfg = defaults(c);
	if (!*name && file)
		name = *jstr(cfg, "durable_name") ? jstr(cfg, "durable_name") : jstr(cfg, "name");
	if (!*name && !cli_has(c, "ephemeral") && !(name = js_ask("Consumer name", e)))
		return err_wrap(e, "could not request durable name");
	if (*name)
		(void)js_set(cfg, "name", json_string(name));
	if (*name && !cli_has(c, "ephemeral"))
		(void)js_set(cfg, "durable_name", json_string(name));
	if (apply(c, cfg, e))
		return -1;
	if (output)
		return js_config_write(output, cfg, e);
	if (js_stream_info(c, stream, &info, e))
		return err_wrap(e, "could not select Stream");
	if (send(c, stream, jstr(cfg, "name"), cfg, &reply, e))
		return err_wrap(e, "Consumer creation failed");
	return consumer_print(c, reply, false, e);
}

static int consumer_copy(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *reply = NULL;
	const char *stream, *from, *name = c->argv[2];

	if (consumer_operands(c, 0, &stream, &from, &info, e))
		return err_wrap(e, "could not load source Consumer");
	json_t *cfg = json_object_get(info, "config");

	(void)js_set(cfg, "name", json_string(name));
	if (cli_has(c, "ephemeral"))
		(void)json_object_del(cfg, "durable_name");
	else
		(void)js_set(cfg, "durable_name", json_string(name));
	if (apply(c, cfg, e) || send(c, stream, name, cfg, &reply, e))
		return err_wrap(e, "Consumer creation failed");
	return consumer_print(c, reply, false, e);
}

static int consumer_edit(struct cli *c, struct err *e)
{
	const char *stream, *name, *file = cli_str(c, "config");
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *now = NULL;
	CLEAN(json) json_t *reply = NULL;

	if (consumer_operands(c, 0, &stream, &name, &info, e) ||
	    (file && js_config_file(file, &now, e)))
		return -1;
	json_t *old = json_object_get(info, "config");

	if (!file)
		now = json_deep_copy(old);
	js_clean_metadata(old);
	js_clean_metadata(now);
	if (apply(c, now, e))
		return -1;
	if (!js_differences(cli_has(c, "json") ? stderr : stdout, old, now))
		return cli_has(c, "json") ? consumer_print(c, info, false, e) : 0;
	if (cli_has(c, "dry-run"))
		return 1;
	if (js_force(c, e, "Really edit Consumer %s > %s", stream, name))
		return -1;
	if (send(c, stream, name, now, &reply, e))
		return err_wrap(e, "could not edit Consumer %.100s > %.100s", stream, name);
	return consumer_print(c, reply, false, e);
}

static int consumer_info(struct cli *c, struct err *e)
{
	const char *stream, *name;
	CLEAN(json) json_t *info = NULL;

	if (consumer_operands(c, 0, &stream, &name, &info, e))
		return -1;
	return consumer_print(c, info, strstr(c->cmd->path, " state") != NULL, e);
}

static int consumer_rm(struct cli *c, struct err *e)
{
	const char *stream = js_operand(c, 0, "Stream", e);
	const char *name = stream ? js_operand(c, 1, "Consumer", e) : NULL;
	CLEAN(json) json_t *reply = NULL;

	if (!name || js_name("stream", stream, e) || js_name("consumer", name, e) ||
	    js_force(c, e, "Really delete Consumer %s > %s", stream, name))
		return -1;
	return nats_js_request(c, NULL, &reply, e, "CONSUMER.DELETE.%s.%s", stream, name);
}

static int consumer_pause(struct cli *c, struct err *e)
{
	const char *stream, *name, *text;
	CLEAN(json) json_t *reply = NULL;
	char until[48];

	if (consumer_operands(c, 0, &stream, &name, NULL, e))
		return -1;
	text = c->argc > 2 ? c->argv[2] : js_ask("Pause until (time or duration)", e);
	if (!text || parse_until(text, until, e) ||
	    js_force(c, e, "Really pause Consumer %s > %s until %s", stream, name,
		     LOCALTEXT(until)))
		return -1;
	if (nats_js_request(c, json_pack("{s:s}", "pause_until", until), &reply, e,
			    "CONSUMER.PAUSE.%s.%s", stream, name))
		return -1;
	if (!jbool(reply, "paused"))
		return err_set(e, ERR_BAD_INPUT,
			       "consumer failed to pause, perhaps a time in the past was given");
	printf("Paused %s > %s until %s (%s)\n", stream, name,
	       LOCALTEXT(jstr(reply, "pause_until")),
	       WHOLE_SECONDS(jint(reply, "pause_remaining")));
	return 0;
}

static int consumer_resume(struct cli *c, struct err *e)
{
	const char *stream, *name;
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *reply = NULL;
	int64_t ts = 0;

	if (consumer_operands(c, 0, &stream, &name, &info, e))
		return -1;
	if (!jbool(info, "paused"))
		return err_set(e, ERR_WRONG_STATE, "consumer is not paused");
	if (js_force(c, e, "Really resume Consumer %s > %s", stream, name) ||
	    nats_js_request(c, json_object(), &reply, e, "CONSUMER.PAUSE.%s.%s", stream, name))
		return -1;
	(void)parse_rfc3339(jstr(info, "ts"), &ts);
	printf("Consumer %s > %s was resumed while previously paused until %s\n", stream, name,
	       LOCALTIME(nats_add(ts, jint(info, "pause_remaining"))));
	return 0;
}

static int consumer_unpin(struct cli *c, struct err *e)
{
	const char *stream, *name, *group;
	CLEAN(json) json_t *reply = NULL;

	if (consumer_operands(c, 0, &stream, &name, NULL, e))
		return -1;
	group = js_operand(c, 2, "Group", e);
	if (!group ||
	    js_force(c, e, "Really unpin client from group %s > %s > %s", stream, name, group))
		return -1;
	return nats_js_request(c, json_pack("{s:s}", "group", group), &reply, e,
			       "CONSUMER.UNPIN.%s.%s", stream, name);
}

static int consumer_reset(struct cli *c, struct err *e)
{
	const char *stream, *name;
	CLEAN(json) json_t *reply = NULL;
	json_t *req = json_object();
	int64_t seq = 0;

	if (cli_int(c, "sequence", 0, INT64_MAX, &seq, e) ||
	    consumer_operands(c, 0, &stream, &name, NULL, e) ||
	    js_force(c, e, "Really reset Consumer %s > %s", stream, name)) {
		json_decref(req);
		return -1;
	}
	if (cli_has(c, "sequence"))
		(void)json_object_set_new(req, "seq", json_integer(seq));
	if (nats_js_request(c, req, &reply, e, "CONSUMER.RESET.%s.%s", stream, name))
		return -1;
	CLEAN(json) json_t *info = NULL;

	if (js_consumer_info(c, stream, name, &info, e))
		return -1;
	return consumer_print(c, info, false, e);
}

static int consumer_step_down(struct cli *c, struct err *e)
{
	const char *stream, *name, *preferred = cli_str(c, "preferred");
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *reply = NULL;

	if (consumer_operands(c, 0, &stream, &name, &info, e))
		return -1;
	const char *leader = jstr(info, "cluster.leader");

	if (!json_array_size(jget(info, "cluster.replicas")))
		return err_set(e, ERR_WRONG_STATE, "consumer \"%s\" > \"%s\" is not clustered",
			       stream, name);
	nats_log("Requesting leader step down of \"%s\" for consumer \"%s\" > \"%s\" in a %zu peer "
		 "cluster group",
		 leader, stream, name, json_array_size(jget(info, "cluster.replicas")) + 1);
	if (nats_js_request(c,
			    preferred ? json_pack("{s:{s:s}}", "placement", "preferred", preferred)
				      : NULL,
			    &reply, e, "CONSUMER.LEADER.STEPDOWN.%s.%s", stream, name))
		return -1;
	for (int i = 0; i < 10; i++) {
		CLEAN(json) json_t *now = NULL;
		struct err why;

		(void)nats_wait(NULL, 500 * NS_MS);
		if (js_consumer_info(c, stream, name, &now, &why))
			nats_log("Failed to retrieve Consumer State: %s", why.text);
		else if (*jstr(now, "cluster.leader") &&
			 strcmp(jstr(now, "cluster.leader"), leader) != 0) {
			nats_log("New leader elected \"%s\"", jstr(now, "cluster.leader"));
			consumer_show(now, false);
			return 0;
		}
	}
	return err_set(e, ERR_TIMEOUT, "consumer \"%s\" did not elect a new leader in time", name);
}

#define C "consumer|con|obs|c "

static const struct cli_opt
	add_opts[] = {{"config", 0, "FILE", "Read the configuration from a JSON file"},
		      {"output", 0, "FILE", "Write the configuration to FILE instead"},
		      {"defaults", 0, NULL, "Do not ask: defaults for what is not given"},
		      NEW_OPTS,
		      CONFIG_OPTS,
		      ALL_OPT,
		      {0}},
	copy_opts[] = {NEW_OPTS, CONFIG_OPTS, ALL_OPT, {0}},
	edit_opts[] = {{"config", 0, "FILE", "Read the configuration from a JSON file"},
		       {"dry-run", 0, NULL, "Only show differences; status 1 when there are some"},
		       FORCE_OPT,
		       CONFIG_OPTS,
		       ALL_OPT,
		       {0}},
	ls_opts[] = {JSON_OPT, {"names", 'n', NULL, "Only names"}, PICK_OPT, ALL_OPT, {0}},
	find_opts[] = {{"pull", 0, NULL, "That are pulled"},
		       {"push", 0, NULL, "That push"},
		       {"bound", 0, NULL, "That somebody listens to"},
		       {"waiting", 0, "NUMBER", "With fewer waiting pulls"},
		       {"ack-pending", 0, "NUMBER", "With fewer pending acks"},
		       {"pending", 0, "NUMBER", "With fewer unprocessed messages"},
		       {"idle", 0, "DURATION", "Without deliveries for so long"},
		       {"created", 0, "DURATION", "Made longer ago"},
		       {"replicas", 0, "NUMBER", "With so many replicas or fewer"},
		       {"leader", 0, "SERVER", "Led by this server"},
		       {"pinned", 0, NULL, "Whose groups all have a pinned client"},
		       {"api-level", 0, "LEVEL", "That need this API level or more"},
		       {"expression", 0, "TEXT", "Not here: filter JSON with jq"},
		       {"invert", 0, NULL, "The opposite of each"},
		       ALL_OPT,
		       {0}},
	info_opts[] = {JSON_OPT, PICK_OPT, ALL_OPT, {0}}, force_opts[] = {FORCE_OPT, ALL_OPT, {0}},
	reset_opts[] = {{"sequence", 0, "SEQ", "Go on behind this message"},
			FORCE_OPT,
			JSON_OPT,
			ALL_OPT,
			{0}},
	next_opts[] = {{"ack", 0, NULL, "Acknowledge (the default)"},
		       {"nak", 0, NULL, "Say that it was not done: it comes again"},
		       {"term", 0, NULL, "Say that it never will be done"},
		       {"raw", 'r', NULL, "Only bodies"},
		       {"wait", 0, "DURATION", "Answer after a random time up to this"},
		       {"count", 0, "NUMBER", "How many messages (1)"},
		       ALL_OPT,
		       {0}},
	sub_opts[] = {{"ack", 0, NULL, "Acknowledge (the default)"},
		      {"raw", 'r', NULL, "Only bodies"},
		      {"nak", 0, NULL, "Say that it was not done (pull)"},
		      {"term", 0, NULL, "Say that it never will be done (pull)"},
		      {"wait", 0, "DURATION", "Answer after a random time up to this (pull)"},
		      {"deliver-group", 0, "GROUP", "Queue group of the consumer"},
		      ALL_OPT,
		      {0}},
	report_opts[] = {{"raw", 'r', NULL, "Numbers as they are"}, LEADERS_OPT, ALL_OPT, {0}},
	graph_opts[] = {ALL_OPT, {0}},
	down_opts[] = {FORCE_OPT, {"preferred", 0, "SERVER", "Who should lead"}, ALL_OPT, {0}};

const struct cli_cmd nats_consumer_cmds[] = {
	{C "add|create|new", "Create a consumer", "[STREAM] [CONSUMER]", add_opts, consumer_add,
	 (const char *const[]){
		 "nats consumer add ORDERS NEW --pull --defaults",
		 "nats consumer add ORDERS OUT --target out.orders --ack none --defaults", NULL},
	 "On a terminal what is missing is asked for, without one defaults are taken."},
	{C "edit|update", "Change a consumer", "[STREAM] [CONSUMER]", edit_opts, consumer_edit,
	 NULL, NULL},
	{C "ls|list", "List consumers", "[STREAM]", ls_opts, consumer_ls, NULL, NULL},
	{C "find|query", "Names of consumers by what they are", "[STREAM]", find_opts,
	 consumer_find, NULL, NULL},
	{C "info|nfo", "Show a consumer", "[STREAM] [CONSUMER]", info_opts, consumer_info, NULL,
	 NULL},
	{C "state", "Show the state of a consumer", "[STREAM] [CONSUMER]", info_opts, consumer_info,
	 NULL, NULL},
	{C "rm|delete|del", "Remove a consumer", "[STREAM] [CONSUMER]", force_opts, consumer_rm,
	 NULL, NULL},
	{C "reset", "Begin anew", "[STREAM] [CONSUMER]", reset_opts, consumer_reset, NULL, NULL},
	{C "copy|cp", "Create a consumer configured as another", "STREAM SOURCE DESTINATION",
	 copy_opts, consumer_copy, NULL, NULL},
	{C "next", "Messages of a pull consumer", "STREAM CONSUMER", next_opts, consumer_next, NULL,
	 NULL},
	{C "sub", "Messages of a consumer", "[STREAM] [CONSUMER]", sub_opts, consumer_sub, NULL,
	 NULL},
	{C "pause", "Pause a consumer", "[STREAM] [CONSUMER] [UNTIL]", force_opts, consumer_pause,
	 NULL, NULL},
	{C "resume", "Resume a paused consumer", "[STREAM] [CONSUMER]", force_opts, consumer_resume,
	 NULL, NULL},
	{C "unpin", "Take its place from a pinned client", "[STREAM] [CONSUMER] [GROUP]",
	 force_opts, consumer_unpin, NULL, NULL},
	{C "report", "Numbers of all consumers", "[STREAM]", report_opts, consumer_report, NULL,
	 NULL},
	{C "graph", "Draw what a consumer does", "[STREAM] [CONSUMER]", graph_opts, consumer_graph,
	 NULL, NULL},
	{C "cluster|c balance", "Spread the leaders of consumers over the servers", "[STREAM]",
	 find_opts, consumer_balance, NULL, NULL},
	{C "cluster|c step-down|elect|down|d", "Make another server the leader",
	 "[STREAM] [CONSUMER]", down_opts, consumer_step_down, NULL, NULL},
	{0},
};
