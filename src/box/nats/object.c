/* nats object: the table of its commands, buckets, and what is known about objects. */
#include "box/nats/object.h"

#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "box/nats/bucket.h"
#include "box/nats/kv.h"
#include "box/nats/nats_js.h"

#define PROGRESS_OPT {"progress", 0, NULL, "Show progress (the default)"}
#define META_MAX ((size_t)1 << 20)

#define CONFIG_OPTS                                                                                \
	{"ttl", 0, "DURATION", "How long objects are kept"}, REPLICAS_OPT, BUCKET_SIZE_OPT,        \
		DESCRIPTION_OPT, BUCKET_TAGS_OPT, CLUSTER_OPT, METADATA_OPT, BUCKET_COMPRESS_OPT,  \
		JSON_OPT

static const struct js_field fields[] = {
	BUCKET_TTL_FIELD,
	BUCKET_REPLICAS_FIELD,
	BUCKET_SIZE_FIELD,
	BUCKET_DESCRIPTION_FIELD,
	STORAGE_FIELD,
	BUCKET_PLACE_FIELDS,
	{0},
};

void obj_bucket_free(struct obj_bucket *b)
{
	json_decref(b->info);
	memset(b, 0, sizeof(*b));
}

static int name_ok(const char *name, struct err *e)
{
	struct err why;

	return kv_bucket_ok(name, &why)
		       ? err_set(e, ERR_BAD_NAME, "nats: invalid object-store name")
		       : 0;
}

int obj_open(struct cli *c, struct obj_bucket *b, struct err *e)
{
	memset(b, 0, sizeof(*b));
	b->name = c->argc ? c->argv[0] : js_ask("Bucket", e);
	if (!b->name || name_ok(b->name, e))
		return -1;
	(void)snprintf(b->stream, sizeof(b->stream), "OBJ_%.200s", b->name);
	return bucket_info(c, b->stream, &b->info, e);
}

int obj_meta_subject(const struct obj_bucket *b, const char *name, char **out, struct err *e)
{
	size_t n = strlen(name);
	CLEAN(free) char *text = malloc(ENC_BASE64_LEN(n));

	if (!*name)
		return err_set(e, ERR_BAD_NAME, "nats: name is required");
	if (text)
		enc_base64(text, name, n, ENC_URL);
	/* The alphabet of URLs, but padded. */
	if (!text ||
	    asprintf(out, "$O.%s.M.%s%.*s", b->name, text, (int)((3 - n % 3) % 3), "==") < 0)
		return err_set(e, ERR_NOMEM, NULL);
	return 0;
}

static int parse_meta(const json_t *m, json_t **out, struct err *e)
{
	CLEAN(buf) struct buf data = {0};
	buf_init(&data, META_MAX);
	if (js_base64(m, "data", &data, e))
		return -1;
	*out = nats_json(data.p, data.len, JSON_REJECT_DUPLICATES);
	if (!json_is_object(*out)) {
		json_decref(*out);
		*out = NULL;
		return err_set(e, ERR_BAD_JSON, "what is stored about the object is not JSON");
	}
	/* The message's time is the object's. */
	(void)json_object_set(*out, "mtime", json_object_get(m, "time"));
	return 0;
}

int obj_info(struct cli *c, const struct obj_bucket *b, const char *name, bool deleted,
	     json_t **out, struct err *e)
{
	CLEAN(free) char *subject = NULL;
	CLEAN(json) json_t *m = NULL;

	*out = NULL;
	if (obj_meta_subject(b, name, &subject, e))
		return -1;
	if (js_get_direct(c, json_object_get(b->info, "config"), 0, subject, &m, e))
		return e->code == ERR_NOT_FOUND
			       ? err_set(e, ERR_NOT_FOUND, "nats: object not found")
			       : -1;
	if (parse_meta(m, out, e))
		return -1;
	if (!jbool(*out, "deleted") || deleted)
		return 0;
	json_decref(*out);
	*out = NULL;
	return err_set(e, ERR_NOT_FOUND, "nats: object not found");
}

int obj_publish_meta(struct cli *c, const struct obj_bucket *b, const json_t *meta, struct err *e)
{
	CLEAN(free) char *plain = NULL;
	CLEAN(buf) struct buf text = {0};
	natsMsg *m = NULL;

	buf_init(&text, META_MAX);
	if (obj_meta_subject(b, jstr(meta, "name"), &plain, e) ||
	    json_text(meta, JSON_ONE_LINE, &text, e))
		return -1;
	natsStatus s = natsMsg_Create(&m, plain, NULL, (const char *)text.p, (int)text.len);

	if (s == NATS_OK)
		s = natsMsgHeader_Set(m, "Nats-Rollup", "sub");
	int r = s == NATS_OK ? js_publish(c, m, NULL, e) : conn_err(e, s, "nats");

	natsMsg_Destroy(m);
	return r;
}

int obj_nuid_ok(const char *nuid, struct err *e)
{
	/* Another client may have written it: a wildcard would be the pieces of all objects. */
	if (*nuid && strlen(nuid) <= 128 && !strpbrk(nuid, ".*> \t\r\n"))
		return 0;
	return err_set(e, ERR_BAD_JSON,
		       "nats: what is stored about the object does not name its pieces");
}

int obj_purge(struct cli *c, const struct obj_bucket *b, const char *nuid, struct err *e)
{
	CLEAN(json) json_t *reply = NULL;
	char subject[600];

	if (obj_nuid_ok(nuid, e))
		return -1;
	(void)snprintf(subject, sizeof(subject), "$O.%.200s.C.%.200s", b->name, nuid);
	return nats_js_request(c, json_pack("{s:s}", "filter", subject), &reply, e,
			       "STREAM.PURGE.%s", b->stream);
}

void obj_show(const char *bucket, const json_t *meta)
{
	CLEAN(cols) struct cols *k =
		cols_new("Object information for %s > %s", bucket, jstr(meta, "name"));
	const char *digest = jstr(meta, "digest"), *eq = strchr(digest, '='), *key;
	const json_t *headers = json_object_get(meta, "headers");
	uint8_t hash[64];
	char hex[ENC_HEX_LEN(sizeof(hash))] = "";
	size_t n = 0, i, rows = 0;
	json_t *list, *v;

	if (eq && enc_unbase64(hash, sizeof(hash), &n, eq + 1, strcspn(eq + 1, "="), ENC_URL) == 0)
		enc_hex(hex, hash, n);
	cols_some(k, "Description", jstr(meta, "description"));
	cols_row(k, "Size", "%s", IBYTES(jint(meta, "size")));
	cols_row(k, "Modification Time", "%s", LOCALTEXT(jstr(meta, "mtime")));
	cols_row(k, "Chunks", "%s", COMMA(jint(meta, "chunks")));
	cols_row(k, "Digest", "%.*s %s", eq ? (int)(eq - digest) : 0, digest, hex);
	if (jbool(meta, "deleted"))
		cols_bool(k, "Deleted", true);
	json_object_foreach((json_t *)(uintptr_t)headers, key, list) json_array_foreach(list, i, v)
		cols_row(k, rows++ ? "" : "Headers", "%s: %s", key,
			 json_string_value(v) ? json_string_value(v) : "");
	cols_print(k, stdout);
}

static void show_bucket(const char *name, const json_t *info)
{
	const json_t *cfg = json_object_get(info, "config");
	CLEAN(json) json_t *own = json_deep_copy(cfg);
	CLEAN(cols) struct cols *k = cols_new("Information for Object Store Bucket %s created %s",
					      name, LOCALTEXT(jstr(info, "created")));

	js_clean_metadata(own);
	cols_section(k, "Configuration");
	cols_row(k, "Bucket Name", "%s", name);
	cols_some(k, "Description", jstr(cfg, "description"));
	cols_row(k, "Replicas", "%s", COMMA(jint(cfg, "num_replicas")));
	cols_duration(k, "TTL", jint(cfg, "max_age"));
	cols_bool(k, "Sealed", jbool(cfg, "sealed"));
	cols_row(k, "Size", "%s", IBYTES(jint(info, "state.bytes")));
	cols_bytes(k, "Maximum Bucket Size", jint(cfg, "max_bytes"));
	bucket_show_storage(k, cfg);
	cols_row(k, "Backing Store Kind", "JetStream");
	cols_row(k, "JetStream Stream", "%s", jstr(cfg, "name"));
	if (json_object_get(own, "metadata"))
		cols_map(k, "Metadata", json_object_get(own, "metadata"));
	bucket_show_cluster(k, info);
	cols_print(k, stdout);
}

static int show(struct cli *c, const char *name, struct err *e)
{
	return bucket_show(c, "OBJ_", name, show_bucket, e);
}

static int object_add(struct cli *c, struct err *e)
{
	const char *name = c->argv[0];
	char stream[256], chunks[256], metas[256];

	if (name_ok(name, e))
		return -1;
	(void)snprintf(stream, sizeof(stream), "OBJ_%s", name);
	(void)snprintf(chunks, sizeof(chunks), "$O.%s.C.>", name);
	(void)snprintf(metas, sizeof(metas), "$O.%s.M.>", name);
	CLEAN(json) json_t *cfg =
		bucket_config(stream, json_pack("[s, s]", chunks, metas), -1, false);

	if (!cfg)
		return err_set(e, ERR_NOMEM, NULL);
	if (js_apply(c, fields, cfg, e))
		return -1;
	if (cli_has(c, "compress"))
		bucket_compress(c, cfg);
	if (bucket_write(c, "CREATE", stream, cfg, e))
		return -1;
	return show(c, name, e);
}

static int object_edit(struct cli *c, struct err *e)
{
	CLEAN(obj_bucket) struct obj_bucket b = {0};

	if (obj_open(c, &b, e))
		return -1;
	json_t *cfg = json_object_get(b.info, "config");

	js_clean_metadata(cfg);
	if (js_apply(c, fields, cfg, e))
		return -1;
	bucket_compress(c, cfg);
	if (bucket_write(c, "UPDATE", b.stream, cfg, e))
		return -1;
	return show(c, b.name, e);
}

static int remove_object(struct cli *c, const struct obj_bucket *b, const char *name, struct err *e)
{
	CLEAN(json) json_t *meta = NULL;
	char nuid[64];

	if (obj_info(c, b, name, true, &meta, e))
		return -1;
	if (js_force(c, e, "Delete %s byte file %s > %s?", IBYTES(jint(meta, "size")), b->name,
		     name))
		return -1;
	(void)snprintf(nuid, sizeof(nuid), "%.60s", jstr(meta, "nuid"));
	(void)json_object_set_new(meta, "deleted", json_true());
	(void)json_object_set_new(meta, "size", json_integer(0));
	(void)json_object_set_new(meta, "chunks", json_integer(0));
	(void)json_object_set_new(meta, "digest", json_string(""));
	(void)json_object_set_new(meta, "mtime", json_string("0001-01-01T00:00:00Z"));
	if (obj_publish_meta(c, b, meta, e) || (*nuid && obj_purge(c, b, nuid, e)))
		return -1;
	printf("Removed %s > %s\n", b->name, name);
	return show(c, b->name, e);
}

static int object_del(struct cli *c, struct err *e)
{
	CLEAN(obj_bucket) struct obj_bucket b = {0};
	CLEAN(json) json_t *reply = NULL;

	if (obj_open(c, &b, e))
		return -1;
	if (c->argc > 1)
		return remove_object(c, &b, c->argv[1], e);
	if (js_force(c, e, "Delete bucket %s and all its files?", b.name))
		return -1;
	return nats_js_request(c, NULL, &reply, e, "STREAM.DELETE.%s", b.stream);
}

static int object_info(struct cli *c, struct err *e)
{
	CLEAN(obj_bucket) struct obj_bucket b = {0};
	CLEAN(json) json_t *meta = NULL;

	if (obj_open(c, &b, e))
		return -1;
	if (c->argc < 2)
		return show(c, b.name, e);
	if (obj_info(c, &b, c->argv[1], false, &meta, e))
		return -1;
	if (cli_has(c, "json"))
		return nats_print_json(meta, e);
	obj_show(b.name, meta);
	return 0;
}

static int object_seal(struct cli *c, struct err *e)
{
	CLEAN(obj_bucket) struct obj_bucket b = {0};
	CLEAN(json) json_t *reply = NULL;

	if (obj_open(c, &b, e) ||
	    js_force(c, e, "Really seal Bucket %s, sealed buckets can not be unsealed or modified",
		     b.name))
		return -1;
	json_t *cfg = json_object_get(b.info, "config");

	(void)json_object_set_new(cfg, "sealed", json_true());
	js_clean_metadata(cfg);
	if (nats_js_request(c, json_incref(cfg), &reply, e, "STREAM.UPDATE.%s", b.stream))
		return err_wrap(e, "could not seal %.100s", b.name);
	printf("%s has been sealed\n", b.name);
	return show(c, b.name, e);
}

/* A delivered description of an object; NULL: it is none. */
static json_t *delivered(natsMsg *m)
{
	struct js_meta at;
	char when[48];
	json_t *j = nats_msg_json(m, JSON_REJECT_DUPLICATES);

	if (json_is_object(j) && js_meta(m, &at) == 0) {
		fmt_rfc3339(when, at.time_ns, true, true);
		(void)json_object_set_new(j, "mtime", json_string(when));
	}
	return j;
}

static int list_row(struct cli *c, void *arg, natsMsg *m, struct err *e)
{
	CLEAN(json) json_t *j = delivered(m);

	(void)c;
	(void)e;
	if (json_is_object(j) && !jbool(j, "deleted"))
		(void)json_array_append(arg, j);
	return 0;
}

/* What is known about all objects that are there. */
static int load_list(struct cli *c, const struct obj_bucket *b, json_t **out, struct err *e)
{
	char subject[256];

	*out = json_array();
	(void)snprintf(subject, sizeof(subject), "$O.%.200s.M.>", b->name);
	return js_feed_all(c, b->stream,
			   json_pack("{s:s, s:s}", "filter_subject", subject, "deliver_policy",
				     "last_per_subject"),
			   list_row, *out, e);
}

static int object_ls(struct cli *c, struct err *e)
{
	CLEAN(obj_bucket) struct obj_bucket b = {0};
	CLEAN(json) json_t *all = NULL;
	size_t i;
	json_t *v;

	if (!c->argc)
		return js_list_buckets(c, "OBJ_", "Object Store", false, e);
	if (obj_open(c, &b, e) || load_list(c, &b, &all, e))
		return -1;
	if (cli_has(c, "json"))
		return nats_print_json(all, e);
	CLEAN(nt) struct nt *t = nt_new("Bucket Contents");

	nt_head(t, "Name", "Size", "Time", NULL);
	json_array_foreach(all, i, v)
	{
		CLEAN(free) char *clean = nats_clean(jstr(v, "name"));

		if (cli_has(c, "names"))
			puts(clean ? clean : "?");
		nt_text(t, jstr(v, "name"));
		nt_text(t, IBYTES(jint(v, "size")));
		nt_text(t, LOCALTEXT(jstr(v, "mtime")));
	}
	if (cli_has(c, "names"))
		return 0;
	if (!json_array_size(all)) {
		puts("No entries found");
		return 0;
	}
	nt_print(t);
	putchar('\n');
	return 0;
}

static void show_change(struct cli *c, void *arg, natsMsg *m)
{
	const struct obj_bucket *b = arg;
	CLEAN(json) json_t *j = delivered(m);
	CLEAN(free) char *clean = nats_clean(jstr(j, "name"));

	(void)c;
	if (!json_is_object(j))
		return;
	if (jbool(j, "deleted"))
		printf("[%s] DEL %s > %s\n", LOCALTEXT(jstr(j, "mtime")), b->name,
		       clean ? clean : "?");
	else
		printf("[%s] PUT %s > %s: %s bytes in %s chunks\n", LOCALTEXT(jstr(j, "mtime")),
		       b->name, clean ? clean : "?", IBYTES(jint(j, "size")),
		       COMMA(jint(j, "chunks")));
}

static int object_watch(struct cli *c, struct err *e)
{
	CLEAN(obj_bucket) struct obj_bucket b = {0};
	char subject[256];

	if (obj_open(c, &b, e))
		return -1;
	(void)snprintf(subject, sizeof(subject), "$O.%.200s.M.>", b.name);
	return kv_follow(c, b.stream, json_pack("{s:s}", "filter_subject", subject), show_change,
			 &b, e);
}

static const struct cli_opt add_opts[] = {STORAGE_OPT, CONFIG_OPTS, {0}},
			    edit_opts[] = {CONFIG_OPTS, {0}},
			    put_opts[] = {{"name", 0, "NAME", "Another name than the file's"},
					  DESCRIPTION_OPT,
					  {"header", 'H', "K:V", "Headers"},
					  {"chunk-size", 0, "BYTES", "Size of the pieces (128K)"},
					  PROGRESS_OPT,
					  FORCE_OPT,
					  {0}},
			    get_opts[] = {{"output", 'O', "FILE",
					   "Another file than the object's name; -: stdout"},
					  PROGRESS_OPT,
					  FORCE_OPT,
					  {0}},
			    force_opts[] = {FORCE_OPT, {0}}, info_opts[] = {JSON_OPT, {0}},
			    ls_opts[] = {{"names", 'n', NULL, "Only names"}, JSON_OPT, {0}};

#define O "object|obj "

const struct cli_cmd nats_object_cmds[] = {
	{O "add", "Create a bucket", "BUCKET", add_opts, object_add, NULL, NULL},
	{O "edit", "Change a bucket", "BUCKET", edit_opts, object_edit, NULL, NULL},
	{O "put", "Put a file; from stdin without one", "BUCKET [FILE]", put_opts, object_put,
	 (const char *const[]){"nats object put FILES image.jpg", NULL}, NULL},
	{O "del|rm", "Remove an object, or the bucket", "BUCKET [NAME]", force_opts, object_del,
	 NULL, NULL},
	{O "get", "Get an object into a file", "BUCKET NAME", get_opts, object_get,
	 (const char *const[]){"nats object get FILES image.jpg -O /tmp/image.jpg", NULL}, NULL},
	{O "info|show|i", "Show a bucket or an object", "[BUCKET] [NAME]", info_opts, object_info,
	 NULL, NULL},
	{O "ls", "List buckets, or the objects of one", "[BUCKET]", ls_opts, object_ls, NULL, NULL},
	{O "seal", "Allow no change any more", "BUCKET", force_opts, object_seal, NULL, NULL},
	{O "watch", "Show changes as they come", "BUCKET", NULL, object_watch, NULL, NULL},
	{0},
};
