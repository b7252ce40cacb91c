/* nats kv: the table of its commands, buckets, and what writes values. */
#include "box/nats/kv.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "box/nats/bucket.h"
#include "box/nats/nats_js.h"

#define VALUE_MAX ((size_t)64 << 20)
#define TWO_MINUTES (120 * NS_S)
#define WRONG_LAST 10071 /* err_code: the last sequence of the subject is another */

#define CONFIG_OPTS                                                                                \
	DESCRIPTION_OPT,                                                                           \
		{"history", 0, "NUMBER", "How many values of each key are kept (1 to 64)"},        \
		{"ttl", 0, "DURATION", "How long values are kept"},                                \
		{"marker-ttl", 0, "DURATION", "Times to live of keys; how long markers stay"},     \
		REPLICAS_OPT, {"max-value-size", 0, "BYTES", "Largest value"}, BUCKET_SIZE_OPT,    \
		BUCKET_TAGS_OPT, CLUSTER_OPT, BUCKET_COMPRESS_OPT, METADATA_OPT, REPUBLISH_OPTS,   \
		{"source", 0, "BUCKET", "Take values from another bucket"}, JSON_OPT

static const struct js_field fields[] = {
	BUCKET_DESCRIPTION_FIELD,
	{"history", "max_msgs_per_subject", JS_INT, NULL, NULL},
	STORAGE_FIELD,
	BUCKET_TTL_FIELD,
	{"marker-ttl", "subject_delete_marker_ttl", JS_DUR, NULL, NULL},
	BUCKET_REPLICAS_FIELD,
	{"max-value-size", "max_msg_size", JS_BYTES, NULL, NULL},
	BUCKET_SIZE_FIELD,
	BUCKET_PLACE_FIELDS,
	REPUBLISH_FIELDS,
	{0},
};

static void show_origin(struct cols *k, const char *label, const json_t *s)
{
	const char *name = jstr(s, "name");
	int64_t active = jint(s, "active");

	cols_row(k, label, "%s", strncmp(name, "KV_", 3) == 0 ? name + 3 : name);
	cols_some(k, "External API", jstr(s, "external.api"));
	cols_row(k, "Last Seen", "%s",
		 active > 0 && active < INT64_MAX ? DURATION(active) : "never");
	cols_row(k, "Lag", "%s", COMMA(jint(s, "lag")));
}

static void show_bucket(const char *name, const json_t *info)
{
	const json_t *cfg = json_object_get(info, "config");
	int64_t ttl = jint(cfg, "subject_delete_marker_ttl");
	CLEAN(cols) struct cols *k =
		cols_new("Information for Key-Value Store Bucket %s created %s", name,
			 LOCALTEXT(jstr(info, "created")));
	size_t i;
	json_t *s;

	cols_section(k, "Configuration");
	cols_row(k, "Bucket Name", "%s", name);
	cols_row(k, "History Kept", "%s", COMMA(jint(cfg, "max_msgs_per_subject")));
	cols_row(k, "Values Stored", "%s", COMMA(jint(info, "state.messages")));
	cols_bool(k, "Compressed", strcmp(jstr(cfg, "compression"), "s2") == 0);
	cols_bool(k, "Per-Key TTL Supported", ttl > 0);
	if (ttl > 0)
		cols_row(k, "Limit Marker TTL", "%s", DURATION(ttl));
	cols_row(k, "Backing Store Kind", "JetStream");
	cols_some(k, "Description", jstr(cfg, "description"));
	cols_row(k, "Bucket Size", "%s", IBYTES(jint(info, "state.bytes")));
	cols_bytes(k, "Maximum Bucket Size", jint(cfg, "max_bytes"));
	cols_bytes(k, "Maximum Value Size", jint(cfg, "max_msg_size"));
	cols_duration(k, "Maximum Age", jint(cfg, "max_age"));
	cols_row(k, "JetStream Stream", "%s", jstr(cfg, "name"));
	bucket_show_storage(k, cfg);
	js_show_republish(k, cfg);
	if (json_is_object(json_object_get(info, "mirror"))) {
		cols_section(k, "Mirror Information");
		show_origin(k, "Origin Bucket", json_object_get(info, "mirror"));
	}
	if (json_array_size(json_object_get(info, "sources")))
		cols_section(k, "Sources Information");
	json_array_foreach(json_object_get(info, "sources"), i, s)
		show_origin(k, "Source Bucket", s);
	js_show_metadata(k, cfg);
	bucket_show_cluster(k, info);
	cols_print(k, stdout);
}

static int show(struct cli *c, const char *name, struct err *e)
{
	return bucket_show(c, "KV_", name, show_bucket, e);
}

static int kv_info(struct cli *c, struct err *e)
{
	const char *name = c->argc ? c->argv[0] : js_ask("Bucket", e);

	return !name || kv_bucket_ok(name, e) ? -1 : show(c, name, e);
}

/* What a mirror or a source is to the API. */
static json_t *origin(const char *bucket, const char *domain, const char *into)
{
	char stream[256], from[300], to[300];
	json_t *j;

	(void)snprintf(stream, sizeof(stream), "KV_%.200s",
		       strncmp(bucket, "KV_", 3) == 0 ? bucket + 3 : bucket);
	j = json_pack("{s:s}", "name", stream);
	if (domain) {
		(void)snprintf(from, sizeof(from), "$JS.%.200s.API", domain);
		(void)js_set(j, "external.api", json_string(from));
	}
	/* Keys of a source come under our name. */
	if (into) {
		(void)snprintf(from, sizeof(from), "$KV.%.200s.>", stream + 3);
		(void)snprintf(to, sizeof(to), "$KV.%.200s.>", into);
		(void)json_object_set_new(j, "subject_transforms",
					  json_pack("[{s:s, s:s}]", "src", from, "dest", to));
	}
	return j;
}

static int finish_config(struct cli *c, const char *name, json_t *cfg, struct err *e)
{
	int64_t history = jint(cfg, "max_msgs_per_subject"), age = jint(cfg, "max_age");
	json_t *list = json_object_get(cfg, "sources");

	if (history < 1 || history > 64)
		return cli_usage(e, "option --history: a bucket keeps 1 to 64 values of a key");
	bucket_compress(c, cfg);
	if (jint(cfg, "subject_delete_marker_ttl") > 0)
		(void)js_set(cfg, "allow_msg_ttl", json_true());
	(void)js_set(cfg, "duplicate_window",
		     json_integer(age > 0 && age < TWO_MINUTES ? age : TWO_MINUTES));
	if (cli_has(c, "mirror")) {
		(void)js_set(cfg, "mirror",
			     origin(cli_str(c, "mirror"), cli_str(c, "mirror-domain"), NULL));
		(void)js_set(cfg, "mirror_direct", json_true());
		(void)json_object_del(cfg, "subjects");
	}
	if (cli_has(c, "no-mirror"))
		(void)json_object_del(cfg, "mirror");
	for (size_t i = 0; i < cli_count(c, "source"); i++) {
		if (!list) {
			list = json_array();
			(void)js_set(cfg, "sources", list);
		}
		(void)json_array_append_new(list, origin(cli_nth(c, "source", i), NULL, name));
	}
	js_clean_metadata(cfg);
	return 0;
}

static int kv_add(struct cli *c, struct err *e)
{
	const char *name = c->argv[0];
	char stream[256], subject[256];

	if (kv_bucket_ok(name, e))
		return -1;
	(void)snprintf(stream, sizeof(stream), "KV_%s", name);
	(void)snprintf(subject, sizeof(subject), "$KV.%s.>", name);
	CLEAN(json) json_t *cfg = bucket_config(stream, json_pack("[s]", subject), 1, true);

	if (!cfg)
		return err_set(e, ERR_NOMEM, NULL);
	if (js_apply(c, fields, cfg, e) || finish_config(c, name, cfg, e) ||
	    bucket_write(c, "CREATE", stream, cfg, e))
		return -1;
	return show(c, name, e);
}

static int kv_edit(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};

	if (kv_open(c, &b, e))
		return -1;
	json_t *cfg = json_object_get(b.info, "config");

	if (js_apply(c, fields, cfg, e) || finish_config(c, b.name, cfg, e) ||
	    bucket_write(c, "UPDATE", b.stream, cfg, e))
		return -1;
	return show(c, b.name, e);
}

static int kv_ls(struct cli *c, struct err *e)
{
	return c->argc ? kv_keys(c, e) : js_list_buckets(c, "KV_", "Key-Value", true, e);
}

/* The operand, or stdin when there is none and it is no terminal. */
static int value(struct cli *c, int i, struct buf *b, struct err *e)
{
	buf_init(b, VALUE_MAX);
	if (c->argc > i && *c->argv[i]) {
		buf_put(b, c->argv[i], strlen(c->argv[i]));
		return b->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
	}
	return isatty(STDIN_FILENO) ? 0 : file_read_fd(STDIN_FILENO, "stdin", b, e);
}

/* Writes a revision; expect -1: whatever is there. */
static int publish(struct cli *c, const struct kv_bucket *b, const char *key, const struct buf *v,
		   const char *op, int64_t expect, struct err *e)
{
	char subject[1700], text[32], life[32] = "";
	natsMsg *m = NULL;
	int64_t ttl = 0;
	natsStatus s;
	int r;

	if (nats_opt_duration(c, "ttl", &ttl, e))
		return -1;
	(void)snprintf(subject, sizeof(subject), "%s%.1024s", b->write, key);
	s = natsMsg_Create(&m, subject, NULL, v && v->len ? (const char *)v->p : "",
			   v ? (int)v->len : 0);
	(void)snprintf(text, sizeof(text), "%lld", (long long)expect);
	if (s == NATS_OK && expect >= 0)
		s = natsMsgHeader_Set(m, "Nats-Expected-Last-Subject-Sequence", text);
	if (s == NATS_OK && op)
		s = natsMsgHeader_Set(m, "KV-Operation", op);
	if (s == NATS_OK && op && strcmp(op, "PURGE") == 0)
		s = natsMsgHeader_Set(m, "Nats-Rollup", "sub");
	(void)snprintf(life, sizeof(life), "%lldms", (long long)(ttl / NS_MS));
	if (s == NATS_OK && ttl > 0)
		s = natsMsgHeader_Set(m, "Nats-TTL", life);
	r = s == NATS_OK ? js_publish(c, m, NULL, e) : conn_err(e, s, "nats");
	natsMsg_Destroy(m);
	return r;
}

static int changed(struct cli *c, struct kv_bucket *b, struct buf *v, struct err *e)
{
	return kv_key_ok(c->argv[1], false, e) || kv_open(c, b, e) || (v && value(c, 2, v, e)) ? -1
											       : 0;
}

int kv_put(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};
	CLEAN(buf) struct buf v = {0};

	if (changed(c, &b, &v, e) || publish(c, &b, c->argv[1], &v, NULL, -1, e))
		return -1;
	puts(c->argc > 2 ? c->argv[2] : "");
	return 0;
}

int kv_create(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};
	CLEAN(kv_entry) struct kv_entry last = {0};
	CLEAN(buf) struct buf v = {0};
	struct err none;
	bool exists;
	int r;

	if (changed(c, &b, &v, e))
		return -1;
	r = publish(c, &b, c->argv[1], &v, NULL, 0, e);
	exists = r && run_of(c)->api_code == WRONG_LAST;
	/* A key that was removed is new again, if nobody was faster. */
	if (exists && kv_last(c, &b, c->argv[1], &last, &none) == 0 && last.op != KV_PUT)
		r = publish(c, &b, c->argv[1], &v, NULL, last.revision, e);
	if (r && exists)
		return err_set(e, ERR_EXISTS, "nats: key exists (%d)", WRONG_LAST);
	if (r)
		return -1;
	puts(c->argc > 2 ? c->argv[2] : "");
	return 0;
}

int kv_update(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};
	CLEAN(buf) struct buf v = {0};
	char *end;
	int64_t rev = strtoll(c->argv[3], &end, 10);

	if (*end || end == c->argv[3] || rev < 0)
		return cli_usage(e, "'%.40s' is no revision", c->argv[3]);
	if (changed(c, &b, &v, e) || publish(c, &b, c->argv[1], &v, NULL, rev, e))
		return -1;
	puts(c->argv[2]);
	return 0;
}

int kv_del(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};
	CLEAN(json) json_t *reply = NULL;

	if (c->argc > 1) {
		if (changed(c, &b, NULL, e) ||
		    js_force(c, e, "Delete key %s > %s?", c->argv[0], c->argv[1]))
			return -1;
		return publish(c, &b, c->argv[1], NULL, "DEL", -1, e);
	}
	if (kv_bucket_ok(c->argv[0], e) || js_force(c, e, "Delete bucket %s?", c->argv[0]))
		return -1;
	if (nats_js_request(c, NULL, &reply, e, "STREAM.DELETE.KV_%s", c->argv[0]))
		return e->code == ERR_NOT_FOUND
			       ? err_set(e, ERR_NOT_FOUND, "nats: bucket not found: %s", c->argv[0])
			       : -1;
	return 0;
}

int kv_purge(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};

	if (changed(c, &b, NULL, e) || js_force(c, e, "Purge key %s > %s?", c->argv[0], c->argv[1]))
		return -1;
	return publish(c, &b, c->argv[1], NULL, "PURGE", -1, e);
}

static const struct cli_opt
	add_opts[] = {STORAGE_OPT,
		      {"mirror", 0, "BUCKET", "Mirror another bucket"},
		      {"mirror-domain", 0, "DOMAIN", "Of the mirrored bucket"},
		      CONFIG_OPTS,
		      {0}},
	edit_opts[] = {{"no-mirror", 0, NULL, "Mirror no other bucket any more"}, CONFIG_OPTS, {0}},
	get_opts[] = {{"revision", 0, "NUMBER", "This revision"},
		      {"raw", 0, NULL, "Only the value"},
		      {0}},
	create_opts[] = {{"ttl", 0, "DURATION", "How long the key lives"}, {0}},
	force_opts[] = {FORCE_OPT, {0}},
	purge_opts[] = {FORCE_OPT, {"ttl", 0, "DURATION", "How long the marker stays"}, {0}},
	info_opts[] = {JSON_OPT, {0}},
	watch_opts[] = {{"history", 0, NULL, "Old values too"},
			{"deletes", 0, NULL, "Removed keys too (the default)"},
			{"updates", 0, NULL, "Only new values"},
			{"revision", 0, "NUMBER", "Begin with this revision"},
			{0}},
	ls_opts[] = {{"names", 'n', NULL, "Only names"},
		     {"verbose", 'v', NULL, "With revisions and times"},
		     {"display-value", 0, NULL, "With values (--verbose)"},
		     JSON_OPT,
		     {0}};

const struct cli_cmd nats_kv_cmds[] = {
	{"kv add|new", "Create a bucket", "BUCKET", add_opts, kv_add,
	 (const char *const[]){"nats kv add CONFIG --history 5 --replicas 3", NULL}, NULL},
	{"kv edit", "Change a bucket", "BUCKET", edit_opts, kv_edit, NULL, NULL},
	{"kv put", "Put a value; from stdin without one", "BUCKET KEY [VALUE]", NULL, kv_put,
	 (const char *const[]){"nats kv put CONFIG username bob", NULL}, NULL},
	{"kv get", "Get a value", "BUCKET KEY", get_opts, kv_get,
	 (const char *const[]){"nats kv get CONFIG username --raw", NULL}, NULL},
	{"kv create", "Put a value if the key is new", "BUCKET KEY [VALUE]", create_opts, kv_create,
	 NULL, NULL},
	{"kv update", "Put a value if this revision is the last", "BUCKET KEY VALUE REVISION", NULL,
	 kv_update, NULL, NULL},
	{"kv del|rm", "Remove a key, or the bucket", "BUCKET [KEY]", force_opts, kv_del, NULL,
	 NULL},
	{"kv purge", "Remove a key and its history", "BUCKET KEY", purge_opts, kv_purge, NULL,
	 NULL},
	{"kv history", "All revisions of a key", "BUCKET KEY", NULL, kv_history, NULL, NULL},
	{"kv revert", "Put an old value again", "BUCKET KEY REVISION", force_opts, kv_revert, NULL,
	 NULL},
	{"kv info|view|status", "Show a bucket", "[BUCKET]", info_opts, kv_info, NULL, NULL},
	{"kv watch", "Show changes as they come", "BUCKET [KEY]", watch_opts, kv_watch, NULL, NULL},
	{"kv ls|list", "List buckets, or the keys of one", "[BUCKET] [KEY]", ls_opts, kv_ls, NULL,
	 NULL},
	{"kv compact", "Forget what was removed", "BUCKET", force_opts, kv_compact, NULL, NULL},
	{0},
};
