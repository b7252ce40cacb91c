/* nats stream: the table of its commands, and those that change streams. */
#include "box/nats/stream.h"

#include <stdlib.h>
#include <string.h>

#include "box/nats/nats_cmd.h"
#include "box/nats/nats_js.h"
#include "box/nats/nats_leaders.h"

#define TWO_MINUTES (120 * NS_S)

/* Options that add, copy and edit share; fields[] says what each sets. */
#define CONFIG_OPTS                                                                                \
	{"subjects", 0, "SUBJECTS", "Subjects that the stream stores, comma-separated"},           \
		DESCRIPTION_OPT, {"compression", 0, "HOW", "none or s2 (file storage)"},           \
		REPLICAS_OPT, {"tag", 0, "TAG", "Only on servers with this tag"},                  \
		{"tags", 0, "TAG", "The same as --tag"}, CLUSTER_OPT,                              \
		{"ack", 0, NULL, "Acknowledge what is published (the default)"},                   \
		{"retention", 0, "POLICY", "limits, interest or work"},                            \
		{"discard", 0, "POLICY", "What goes when a limit is reached: old or new"},         \
		{"discard-per-subject", 0, NULL, "The policy new for each subject"},               \
		{"max-age", 0, "DURATION", "How long messages are kept"},                          \
		{"max-bytes", 0, "BYTES", "Most bytes to keep"},                                   \
		{"max-consumers", 0, "NUMBER", "Most consumers"},                                  \
		{"max-msg-size", 0, "BYTES", "Largest message"},                                   \
		{"max-msgs", 0, "NUMBER", "Most messages to keep"},                                \
		{"max-msgs-per-subject", 0, "NUMBER", "Most messages of one subject"},             \
		{"dupe-window", 0, "DURATION", "How long message ids are remembered"},             \
		{"mirror", 0, "STREAM", "Mirror another stream (a name or JSON)"},                 \
		{"source", 0, "STREAM", "Take messages from another stream (a name or JSON)"},     \
		{"allow-batch", 0, NULL, "Allow atomic batches"},                                  \
		{"allow-fast", 0, NULL, "Allow fast batches"},                                     \
		{"allow-counter", 0, NULL, "Messages are counters"},                               \
		{"allow-rollup", 0, NULL, "Allow roll-ups by header"},                             \
		{"deny-delete", 0, NULL, "Messages cannot be removed"},                            \
		{"deny-purge", 0, NULL, "The stream cannot be purged"},                            \
		{"allow-direct", 0, NULL, "Allow direct get (the default)"},                       \
		{"allow-mirror-direct", 0, NULL, "Allow direct get of mirrors"},                   \
		{"allow-msg-ttl", 0, NULL, "Allow a time to live of each message"},                \
		{"allow-schedules", 0, NULL, "Allow scheduled messages"},                          \
		{"subject-del-markers-ttl", 0, "DURATION", "How long delete markers stay"},        \
		{"transform-source", 0, "SUBJECT", "Subjects to transform"},                       \
		{"transform-destination", 0, "SUBJECT", "What they become"}, METADATA_OPT,         \
		REPUBLISH_OPTS, JSON_OPT

/* Only when a stream is made. */
#define NEW_OPTS                                                                                   \
	STORAGE_OPT, {"first-sequence", 0, "SEQ", "Number of the first message"},                  \
		{"limit-consumer-inactive", 0, "DURATION", "Most that consumers may be idle"},     \
		{"limit-consumer-max-pending", 0, "NUMBER", "Most pending acks of consumers"},     \
		{"persist-mode", 0, "MODE", "default or async"}

static const struct js_field fields[] = {
	{"subjects", "subjects", JS_LIST, NULL, NULL},
	{"description", "description", JS_STR, NULL, NULL},
	STORAGE_FIELD,
	{"compression", "compression", JS_WORD, "none s2", NULL},
	{"replicas", "num_replicas", JS_INT, NULL, NULL},
	{"tags", "placement.tags", JS_LIST, NULL, NULL},
	{"tag", "placement.tags", JS_LIST, NULL, NULL},
	{"cluster", "placement.cluster", JS_STR, NULL, NULL},
	{"ack", "no_ack", JS_NOT, NULL, NULL},
	{"retention", "retention", JS_WORD, "limits interest workq=workqueue work=workqueue", NULL},
	{"discard", "discard", JS_WORD, "new old", NULL},
	{"discard-per-subject", "discard_new_per_subject", JS_FLAG, NULL, NULL},
	{"first-sequence", "first_seq", JS_INT, NULL, NULL},
	{"max-age", "max_age", JS_DUR, NULL, "invalid maximum age limit format"},
	{"max-bytes", "max_bytes", JS_BYTES, NULL, NULL},
	{"max-consumers", "max_consumers", JS_INT, NULL, NULL},
	{"max-msg-size", "max_msg_size", JS_BYTES, NULL, NULL},
	{"max-msgs", "max_msgs", JS_INT, NULL, NULL},
	{"max-msgs-per-subject", "max_msgs_per_subject", JS_INT, NULL, NULL},
	{"dupe-window", "duplicate_window", JS_DUR, NULL, "invalid duplicate window format"},
	{"allow-batch", "allow_atomic", JS_FLAG, NULL, NULL},
	{"allow-fast", "allow_batched", JS_FLAG, NULL, NULL},
	{"allow-counter", "allow_msg_counter", JS_FLAG, NULL, NULL},
	{"allow-rollup", "allow_rollup_hdrs", JS_FLAG, NULL, NULL},
	{"deny-delete", "deny_delete", JS_FLAG, NULL, NULL},
	{"deny-purge", "deny_purge", JS_FLAG, NULL, NULL},
	{"allow-direct", "allow_direct", JS_FLAG, NULL, NULL},
	{"allow-mirror-direct", "mirror_direct", JS_FLAG, NULL, NULL},
	{"allow-msg-ttl", "allow_msg_ttl", JS_FLAG, NULL, NULL},
	{"allow-schedules", "allow_msg_schedules", JS_FLAG, NULL, NULL},
	{"subject-del-markers-ttl", "subject_delete_marker_ttl", JS_DUR, NULL, NULL},
	{"transform-source", "subject_transform.src", JS_STR, NULL, NULL},
	{"transform-destination", "subject_transform.dest", JS_STR, NULL, NULL},
	{"metadata", "metadata", JS_META, NULL, NULL},
	REPUBLISH_FIELDS,
	{"limit-consumer-inactive", "consumer_limits.inactive_threshold", JS_DUR, NULL, NULL},
	{"limit-consumer-max-pending", "consumer_limits.max_ack_pending", JS_INT, NULL, NULL},
	{"persist-mode", "persist_mode", JS_WORD, "default async", NULL},
	{0},
};

int stream_operand(struct cli *c, int i, const char **name, json_t **info, struct err *e)
{
	CLEAN(json) json_t *got = NULL;

	*name = js_operand(c, i, "Stream", e);
	if (!*name)
		return -1;
	if (js_stream_info(c, *name, &got, e))
		return err_wrap(e, "could not pick a Stream to operate on");
	if (info)
		*info = STEAL(got);
	return 0;
}

int stream_warn(const char *name, struct err *e)
{
	if (strncmp(name, "KV_", 3) != 0)
		return 0;
	fputs("WARNING: this is the stream of a Key-Value bucket, which the commands of 'nats kv' "
	      "manage.\nWhat is done to it here may damage the bucket.\n",
	      stderr);
	return nats_confirm("Really operate on the KV stream?", e);
}

/* NAME or a JSON object, as --mirror and --source take them. */
static json_t *origin(const char *text, struct err *e)
{
	json_error_t je;
	json_t *j;

	if (*text != '{')
		return json_pack("{s:s}", "name", text);
	j = json_loads(text, JSON_REJECT_DUPLICATES, &je);
	if (!j)
		err_set(e, ERR_BAD_JSON, "invalid source: %.150s", je.text);
	return j;
}

static int origins(struct cli *c, json_t *cfg, struct err *e)
{
	const char *mirror = cli_str(c, "mirror");
	size_t n = cli_count(c, "source");
	json_t *list;

	if (mirror) {
		json_t *j = origin(mirror, e);

		if (!j || json_object_set_new(cfg, "mirror", j))
			return -1;
	}
	if (!n)
		return 0;
	list = json_array();
	(void)json_object_set_new(cfg, "sources", list);
	for (size_t i = 0; i < n; i++) {
		json_t *j = origin(cli_nth(c, "source", i), e);

		if (!j || json_array_append_new(list, j))
			return -1;
	}
	return 0;
}

/* What natscli sends for --defaults; the options come on top. */
static json_t *defaults(void)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:i, s:b, s:b, s:b, s:b}",
			 "retention", "limits", "max_consumers", (json_int_t)-1,
			 "max_msgs_per_subject", (json_int_t)-1, "max_msgs", (json_int_t)-1,
			 "max_bytes", (json_int_t)-1, "max_age", (json_int_t)0, "max_msg_size",
			 (json_int_t)-1, "storage", "file", "discard", "old", "num_replicas", 1,
			 "deny_delete", 0, "deny_purge", 0, "allow_rollup_hdrs", 0, "allow_direct",
			 1);
}

static int finish_new(struct cli *c, json_t *cfg, struct err *e)
{
	bool fed = json_object_get(cfg, "mirror") || json_object_get(cfg, "sources");
	json_t *subjects = json_object_get(cfg, "subjects");
	int64_t age = jint(cfg, "max_age");

	if (json_object_get(cfg, "mirror") && json_array_size(subjects))
		return cli_usage(e, "mirrors cannot listen for messages on subjects");
	if (!fed && !json_array_size(subjects)) {
		const char *answer = js_ask("Subjects", e);
		json_t *list = json_array();
		char *save = NULL, *copy = answer ? strdup(answer) : NULL;

		if (!copy) {
			json_decref(list);
			return err_wrap(e, "invalid input: --subjects is missing");
		}
		for (char *s = strtok_r(copy, ", \t", &save); s; s = strtok_r(NULL, ", \t", &save))
			(void)json_array_append_new(list, json_string(s));
		free(copy);
		(void)json_object_set_new(cfg, "subjects", list);
	}
	if (!json_object_get(cfg, "duplicate_window") && !json_object_get(cfg, "mirror") &&
	    !cli_has(c, "config"))
		(void)json_object_set_new(
			cfg, "duplicate_window",
			json_integer(age > 0 && age < TWO_MINUTES ? age : TWO_MINUTES));
	js_clean_metadata(cfg);
	return 0;
}

static int send_new(struct cli *c, json_t *cfg, struct err *e)
{
	const char *name = jstr(cfg, "name"), *output = cli_str(c, "output");
	CLEAN(json) json_t *reply = NULL;

	if (output)
		return js_config_write(output, cfg, e);
	if (js_name("stream", name, e) ||
	    nats_js_request(c, json_incref(cfg), &reply, e, "STREAM.CREATE.%s", name))
		return err_wrap(e, "could not create Stream");
	if (!cli_has(c, "json"))
		printf("Stream %s was created\n\n", name);
	return stream_show_name(c, name, false, e);
}

int stream_add(struct cli *c, struct err *e)
{
	const char *file = cli_str(c, "config"), *name = c->argc ? c->argv[0] : NULL;
	CLEAN(json) json_t *cfg = NULL;

	if (file && js_config_file(file, &cfg, e))
		return -1;
	if (!file)
		cfg = defaults();
	if (!name && !file && !(name = js_ask("Stream Name", e)))
		return err_wrap(e, "invalid input");
	if (!cfg || (name && json_object_set_new(cfg, "name", json_string(name))))
		return err_set(e, ERR_BAD_NAME, "a name must be UTF-8");
	if (js_apply(c, fields, cfg, e) || origins(c, cfg, e) || finish_new(c, cfg, e))
		return -1;
	return send_new(c, cfg, e);
}

int stream_copy(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *info = NULL;
	const char *from;

	if (stream_operand(c, 0, &from, &info, e))
		return -1;
	json_t *cfg = json_object_get(info, "config");

	(void)json_object_set_new(cfg, "name", json_string(c->argv[1]));
	js_clean_metadata(cfg);
	if (js_apply(c, fields, cfg, e) || origins(c, cfg, e))
		return -1;
	return send_new(c, cfg, e);
}

static int edited(struct cli *c, json_t *now, struct err *e)
{
	static const char *const off[][2] = {
		{"no-mirror", "mirror"},
		{"no-transform", "subject_transform"},
		{"no-republish", "republish"},
	};

	if (js_apply(c, fields, now, e) || origins(c, now, e))
		return -1;
	for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
		if (cli_has(c, off[i][0]))
			(void)json_object_del(now, off[i][1]);
	return 0;
}

int stream_edit(struct cli *c, struct err *e)
{
	const char *file = cli_str(c, "config"), *name;
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *now = NULL;
	CLEAN(json) json_t *reply = NULL;

	if (stream_operand(c, 0, &name, &info, e))
		return -1;
	json_t *old = json_object_get(info, "config");

	now = json_deep_copy(old);
	if (file) {
		json_decref(now);
		if (js_config_file(file, &now, e))
			return -1;
		(void)json_object_set_new(now, "name", json_string(name));
	}
	js_clean_metadata(old);
	js_clean_metadata(now);
	if (edited(c, now, e))
		return -1;
	if (!js_differences(cli_has(c, "json") ? stderr : stdout, old, now))
		return cli_has(c, "json") ? stream_show_name(c, name, false, e) : 0;
	if (cli_has(c, "dry-run"))
		return 1;
	if (js_force(c, e, "Really edit Stream %s", name))
		return -1;
	if (nats_js_request(c, json_incref(now), &reply, e, "STREAM.UPDATE.%s", name))
		return err_wrap(e, "could not edit Stream %.100s", name);
	if (!cli_has(c, "json"))
		printf("Stream %s was updated\n\n", name);
	return stream_show_name(c, name, false, e);
}

static int stream_info(struct cli *c, struct err *e)
{
	bool state = cli_has(c, "state") || strstr(c->cmd->path, " state");
	CLEAN(json) json_t *info = NULL;
	const char *name;

	if (stream_operand(c, 0, &name, &info, e))
		return -1;
	if (cli_has(c, "json")) {
		if (js_print(info, e))
			return -1;
	} else {
		stream_show(info, state);
	}
	putchar('\n');
	return 0;
}

static int stream_rm(struct cli *c, struct err *e)
{
	const char *name = js_operand(c, 0, "Stream", e);
	CLEAN(json) json_t *reply = NULL;

	if (!name || js_name("stream", name, e) || js_force(c, e, "Really delete Stream %s", name))
		return -1;
	return nats_js_request(c, NULL, &reply, e, "STREAM.DELETE.%s", name);
}

static int stream_purge(struct cli *c, struct err *e)
{
	const char *name, *subject = cli_str(c, "subject");
	CLEAN(json) json_t *reply = NULL;
	json_t *req = json_object();
	int64_t seq = 0, keep = 0;

	if (cli_int(c, "seq", 1, INT64_MAX, &seq, e) ||
	    cli_int(c, "keep", 1, INT64_MAX, &keep, e) || stream_operand(c, 0, &name, NULL, e) ||
	    js_force(c, e, "Really purge Stream %s", name) || stream_warn(name, e)) {
		json_decref(req);
		return -1;
	}
	if (seq && keep) {
		json_decref(req);
		return cli_usage(e, "sequence and keep cannot be combined when purging");
	}
	if (seq)
		(void)json_object_set_new(req, "seq", json_integer(seq));
	if (keep)
		(void)json_object_set_new(req, "keep", json_integer(keep));
	if (subject)
		(void)json_object_set_new(req, "filter", json_string(subject));
	if (nats_js_request(c, req, &reply, e, "STREAM.PURGE.%s", name))
		return err_wrap(e, "could not purge Stream");
	printf("Purged %lld messages from %s\n\n", (long long)jint(reply, "purged"), name);
	return stream_show_name(c, name, true, e);
}

static int stream_seal(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *reply = NULL;
	const char *name;

	if (stream_operand(c, 0, &name, &info, e) ||
	    js_force(c, e, "Really seal Stream %s, sealed streams can not be unsealed or modified",
		     name))
		return -1;
	json_t *cfg = json_object_get(info, "config");

	(void)json_object_set_new(cfg, "sealed", json_true());
	js_clean_metadata(cfg);
	if (nats_js_request(c, json_incref(cfg), &reply, e, "STREAM.UPDATE.%s", name))
		return err_wrap(e, "could not seal Stream");
	return stream_show_name(c, name, false, e);
}

static int stream_step_down(struct cli *c, struct err *e)
{
	const char *name, *preferred = cli_str(c, "preferred");
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *reply = NULL;

	if (stream_operand(c, 0, &name, &info, e))
		return -1;
	const char *leader = jstr(info, "cluster.leader");

	if (!json_array_size(jget(info, "cluster.replicas")))
		return err_set(e, ERR_WRONG_STATE, "stream \"%s\" is not clustered", name);
	if (!*leader && !cli_has(c, "force"))
		return err_set(e, ERR_WRONG_STATE, "stream \"%s\" has no current leader", name);
	nats_log("Requesting leader step down of \"%s\" for stream \"%s\" in a %zu peer cluster "
		 "group",
		 leader, name, json_array_size(jget(info, "cluster.replicas")) + 1);
	if (nats_js_request(c,
			    preferred ? json_pack("{s:{s:s}}", "placement", "preferred", preferred)
				      : NULL,
			    &reply, e, "STREAM.LEADER.STEPDOWN.%s", name))
		return -1;
	for (int i = 0; i < 10; i++) {
		CLEAN(json) json_t *now = NULL;
		struct err why;

		(void)nats_wait(NULL, 500 * NS_MS);
		if (js_stream_info(c, name, &now, &why)) {
			nats_log("Failed to retrieve Stream State: %s", why.text);
			continue;
		}
		if (!*jstr(now, "cluster.leader")) {
			nats_log("No leader elected");
		} else if (strcmp(jstr(now, "cluster.leader"), leader) != 0) {
			nats_log("New leader elected \"%s\"", jstr(now, "cluster.leader"));
			putchar('\n');
			stream_show(now, false);
			return 0;
		}
	}
	return err_set(e, ERR_TIMEOUT, "stream \"%s\" did not elect a new leader in time", name);
}

static int stream_peer_remove(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *reply = NULL;
	const char *name;

	if (stream_operand(c, 0, &name, &info, e))
		return -1;
	if (!*jstr(info, "cluster.name"))
		return err_set(e, ERR_WRONG_STATE, "stream \"%s\" is not clustered", name);
	if (!json_array_size(jget(info, "cluster.replicas")) && !cli_has(c, "force"))
		return err_set(e, ERR_WRONG_STATE,
			       "removing the only peer on a stream will result in data loss, use "
			       "--force to force");
	nats_log("Removing peer \"%s\"", c->argv[1]);
	if (nats_js_request(c, json_pack("{s:s}", "peer", c->argv[1]), &reply, e,
			    "STREAM.PEER.REMOVE.%s", name))
		return -1;
	nats_log("Requested removal of peer \"%s\"", c->argv[1]);
	return 0;
}

#define FIND_OPTS                                                                                  \
	{"server-name", 0, "REGEX", "On matching servers"},                                        \
		{"cluster", 0, "REGEX", "In matching clusters"},                                   \
		{"empty", 0, NULL, "Without messages"},                                            \
		{"idle", 0, "DURATION", "Without new messages for so long"},                       \
		{"created", 0, "DURATION", "Made longer ago"},                                     \
		{"consumers", 0, "NUMBER", "With fewer consumers"},                                \
		{"subject", 0, "SUBJECT", "That store this subject"},                              \
		{"replicas", 0, "NUMBER", "With so many replicas or fewer"},                       \
		{"sourced", 0, NULL, "That take messages from other streams"},                     \
		{"mirrored", 0, NULL, "That mirror other streams"},                                \
		{"leader", 0, "SERVER", "Led by this server"},                                     \
		{"api-level", 0, "LEVEL", "That need this API level or more"},                     \
		{"expression", 0, "TEXT", "Not here: filter JSON with jq"},                        \
		{"invert", 0, NULL, "The opposite of each"}

#define S "stream|str|st|ms|s "

static const struct cli_opt
	add_opts[] = {{"config", 0, "FILE", "Read the configuration from a JSON file"},
		      {"output", 0, "FILE", "Write the configuration to FILE instead"},
		      {"defaults", 0, NULL, "Do not ask: defaults for what is not given"},
		      ALL_OPT,
		      NEW_OPTS,
		      CONFIG_OPTS,
		      {0}},
	copy_opts[] = {NEW_OPTS, CONFIG_OPTS, ALL_OPT, {0}},
	edit_opts[] = {{"config", 0, "FILE", "Read the configuration from a JSON file"},
		       {"dry-run", 0, NULL, "Only show differences; status 1 when there are some"},
		       {"no-mirror", 0, NULL, "Mirror no other stream any more"},
		       {"no-transform", 0, NULL, "No transformation of subjects any more"},
		       {"no-republish", 0, NULL, "Publish nothing again any more"},
		       FORCE_OPT,
		       ALL_OPT,
		       CONFIG_OPTS,
		       {0}},
	ls_opts[] = {{"subject", 0, "SUBJECT", "Only streams that store this subject"},
		     {"names", 'n', NULL, "Only names"},
		     JSON_OPT,
		     ALL_OPT,
		     {0}},
	report_opts[] = {{"subject", 0, "SUBJECT", "Only streams that store this subject"},
			 {"cluster", 0, "CLUSTER", "Only streams of this cluster"},
			 {"consumers", 'o', NULL, "Sort by number of consumers"},
			 {"messages", 'm', NULL, "Sort by number of messages"},
			 {"name", 'n', NULL, "Sort by name"},
			 {"storage", 't', NULL, "Sort by storage"},
			 {"raw", 'r', NULL, "Numbers as they are"},
			 {"dot", 0, "FILE", "Write how streams feed on others, for GraphViz"},
			 LEADERS_OPT,
			 ALL_OPT,
			 {0}},
	find_opts[] = {FIND_OPTS, {"names", 'n', NULL, "Only names"}, ALL_OPT, {0}},
	balance_opts[] = {FIND_OPTS, ALL_OPT, {0}},
	gaps_opts[] = {JSON_OPT,
		       FORCE_OPT,
		       {"progress", 0, NULL, "Show progress (the default)"},
		       ALL_OPT,
		       {0}},
	info_opts[] = {JSON_OPT, {"state", 0, NULL, "Only the state"}, PICK_OPT, ALL_OPT, {0}},
	state_opts[] = {JSON_OPT, PICK_OPT, ALL_OPT, {0}},
	subjects_opts[] = {JSON_OPT,
			   {"sort", 0, "BY", "name or messages"},
			   {"reverse", 'R', NULL, "The other way round"},
			   {"names", 0, NULL, "Only subjects"},
			   ALL_OPT,
			   {0}},
	force_opts[] = {FORCE_OPT, ALL_OPT, {0}},
	purge_opts[] = {JSON_OPT,
			FORCE_OPT,
			{"subject", 0, "SUBJECT", "Only messages of this subject"},
			{"seq", 0, "SEQ", "Only messages before this one"},
			{"keep", 0, "NUMBER", "Keep so many of the newest"},
			ALL_OPT,
			{0}},
	view_opts[] = {{"id", 0, "SEQ", "Begin with this message"},
		       {"since", 0, "DURATION", "Begin so long ago"},
		       {"raw", 0, NULL, "Only bodies"},
		       {"subject", 0, "SUBJECT", "Only this subject"},
		       TRANSLATE_OPT,
		       ALL_OPT,
		       {0}},
	get_opts[] = {{"last-for", 'S', "SUBJECT", "The last message of a subject"},
		      JSON_OPT,
		      {"raw", 0, NULL, "Only the body, byte for byte"},
		      TRANSLATE_OPT,
		      ALL_OPT,
		      {0}},
	backup_opts[] = {{"progress", 0, NULL, "Show progress (the default)"},
			 {"check", 0, NULL, "Check the stream first"},
			 {"consumers", 0, NULL, "Back consumers up too (the default)"},
			 {"chunk-size", 0, "BYTES", "Size of the chunks"},
			 {"window-size", 0, "BYTES", "Most bytes on the way"},
			 ALL_OPT,
			 {0}},
	restore_opts[] = {{"progress", 0, NULL, "Show progress (the default)"},
			  {"config", 0, "FILE", "Another configuration, of the same name"},
			  CLUSTER_OPT,
			  {"tag", 0, "TAG", "Only on servers with this tag"},
			  REPLICAS_OPT,
			  ALL_OPT,
			  {0}},
	graph_opts[] = {ALL_OPT, {0}},
	down_opts[] = {FORCE_OPT, {"preferred", 0, "SERVER", "Who should lead"}, ALL_OPT, {0}};

const struct cli_cmd nats_stream_cmds[] = {
	{S "add|create|new", "Create a stream", "[STREAM]", add_opts, stream_add,
	 (const char *const[]){"nats stream add ORDERS --subjects 'orders.>' --defaults",
			       "nats stream add --config orders.json", NULL},
	 "On a terminal what is missing is asked for, without one defaults are taken."},
	{S "ls|list|l", "List streams", NULL, ls_opts, stream_ls, NULL, NULL},
	{S "report", "Numbers of all streams", NULL, report_opts, stream_report, NULL, NULL},
	{S "find|query", "Find streams by what they are", NULL, find_opts, stream_find, NULL, NULL},
	{S "info|nfo|i", "Show a stream", "[STREAM]", info_opts, stream_info, NULL, NULL},
	{S "state", "Show the state of a stream", "[STREAM]", state_opts, stream_info, NULL, NULL},
	{S "subjects|subj", "Subjects in a stream", "[STREAM] [FILTER]", subjects_opts,
	 stream_subjects, NULL, NULL},
	{S "edit|update", "Change a stream", "[STREAM]", edit_opts, stream_edit, NULL, NULL},
	{S "rm|delete|del", "Remove a stream", "[STREAM]", force_opts, stream_rm, NULL, NULL},
	{S "purge", "Remove messages of a stream", "[STREAM]", purge_opts, stream_purge, NULL,
	 NULL},
	{S "copy|cp", "Create a stream configured as another", "SOURCE DESTINATION", copy_opts,
	 stream_copy, NULL, NULL},
	{S "rmm", "Remove one message", "[STREAM] [SEQ]", force_opts, stream_rmm, NULL, NULL},
	{S "view", "Page through the messages", "[STREAM] [SIZE]", view_opts, stream_view, NULL,
	 "Without a terminal SIZE messages are printed, or all when SIZE is not given."},
	{S "get", "Show one message", "[STREAM] [SEQ]", get_opts, stream_get, NULL, NULL},
	{S "backup|snapshot", "Back a stream up to a directory", "STREAM TARGET", backup_opts,
	 stream_backup, NULL, NULL},
	{S "restore", "Restore a stream from a directory", "DIRECTORY", restore_opts,
	 stream_restore, NULL, NULL},
	{S "seal", "Allow no change any more", "STREAM", force_opts, stream_seal, NULL, NULL},
	{S "gaps", "Find ranges of deleted messages", "[STREAM]", gaps_opts, stream_gaps, NULL,
	 NULL},
	{S "graph", "Draw what a stream does", "[STREAM]", graph_opts, stream_graph, NULL, NULL},
	{S "cluster|c balance", "Spread the leaders of streams over the servers", NULL,
	 balance_opts, stream_balance, NULL, NULL},
	{S "cluster|c step-down|stepdown|sd|elect|down|d", "Make another server the leader",
	 "[STREAM]", down_opts, stream_step_down, NULL, NULL},
	{S "cluster|c peer-remove|pr", "Take a server out of a stream", "STREAM PEER", force_opts,
	 stream_peer_remove, NULL, NULL},
	{0},
};
