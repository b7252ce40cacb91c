/* Buckets, keys and their revisions. */
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "box/nats/bucket.h"
#include "box/nats/kv.h"
#include "box/nats/nats_msg.h"

#define VALUE_MAX ((size_t)128 << 20)

const char *kv_op_name(enum kv_op op)
{
	return op == KV_PUT ? "PUT" : op == KV_DELETE ? "DELETE" : "PURGE";
}

void kv_entry_free(struct kv_entry *x)
{
	free(x->key);
	buf_free(&x->value);
	memset(x, 0, sizeof(*x));
}

void kv_bucket_free(struct kv_bucket *b)
{
	json_decref(b->info);
	memset(b, 0, sizeof(*b));
}

static bool only(const char *s, const char *more)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	for (; *s; s++)
		if (!strchr(plain, *s) && !strchr(more, *s))
			return false;
	return true;
}

int kv_bucket_ok(const char *name, struct err *e)
{
	if (*name && strlen(name) < 200 && only(name, "_-"))
		return 0;
	return err_set(e, ERR_BAD_NAME, "nats: invalid bucket name");
}

int kv_key_ok(const char *key, bool wild, struct err *e)
{
	size_t n = strlen(key);

	if (n && n < 1024 && only(key, wild ? "-/_=.*>" : "-/_=.") && key[0] != '.' &&
	    key[n - 1] != '.' && !strstr(key, ".."))
		return 0;
	return err_set(e, ERR_BAD_NAME, "nats: invalid key");
}

/* The bucket that a mirror mirrors takes its writes. */
static int writes(struct cli *c, struct kv_bucket *b, struct err *e)
{
	const json_t *mirror = jget(b->info, "config.mirror");
	const char *origin = jstr(mirror, "name"), *api = jstr(mirror, "external.api");
	bool prefixed;

	(void)snprintf(b->read, sizeof(b->read), "$KV.%.200s.",
		       strncmp(origin, "KV_", 3) == 0 ? origin + 3 : b->name);
	if (*api) {
		(void)snprintf(b->write, sizeof(b->write), "%.250s.%s", api, b->read);
		return 0;
	}
	prefixed = *nats_setting(c, "jetstream_domain") || *nats_setting(c, "jetstream_api_prefix");
	if (prefixed)
		return nats_js_subject(c, b->write, sizeof(b->write), e, "%s", b->read);
	(void)snprintf(b->write, sizeof(b->write), "%s", b->read);
	return 0;
}

int kv_open(struct cli *c, struct kv_bucket *b, struct err *e)
{
	memset(b, 0, sizeof(*b));
	b->name = c->argc ? c->argv[0] : js_ask("Bucket", e);
	if (!b->name || kv_bucket_ok(b->name, e))
		return -1;
	(void)snprintf(b->stream, sizeof(b->stream), "KV_%.200s", b->name);
	if (bucket_info(c, b->stream, &b->info, e))
		return -1;
	if (jint(b->info, "config.max_msgs_per_subject") < 1)
		return err_set(e, ERR_WRONG_STATE, "nats: bucket not valid key-value store");
	return writes(c, b, e);
}

static enum kv_op op_of(const char *op, const char *marker)
{
	if (strcmp(op, "DEL") == 0 || strcmp(marker, "Remove") == 0)
		return KV_DELETE;
	if (strcmp(op, "PURGE") == 0 || *marker)
		return KV_PURGE;
	return KV_PUT;
}

struct words {
	char op[16], marker[16];
};

static void pick(void *arg, const char *key, const char *value)
{
	struct words *w = arg;

	if (strcmp(key, "KV-Operation") == 0)
		(void)snprintf(w->op, sizeof(w->op), "%.15s", value);
	if (strcmp(key, "Nats-Marker-Reason") == 0)
		(void)snprintf(w->marker, sizeof(w->marker), "%.15s", value);
}

static int set_key(struct kv_entry *x, const struct kv_bucket *b, const char *subject,
		   struct err *e)
{
	size_t n = strlen(b->read);

	if (strncmp(subject, b->read, n) != 0)
		return err_set(e, ERR_NOT_FOUND, "nats: key not found");
	x->key = strdup(subject + n);
	return x->key ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static int from_json(const struct kv_bucket *b, const json_t *m, struct kv_entry *x, struct err *e)
{
	CLEAN(buf) struct buf hdrs = {0};
	struct words w = {0};

	kv_entry_free(x);
	buf_init(&hdrs, VALUE_MAX);
	buf_init(&x->value, VALUE_MAX);
	if (set_key(x, b, jstr(m, "subject"), e) || js_base64(m, "data", &x->value, e) ||
	    js_base64(m, "hdrs", &hdrs, e))
		return -1;
	js_each_header(&hdrs, pick, &w);
	x->op = op_of(w.op, w.marker);
	x->revision = jint(m, "seq");
	return parse_rfc3339(jstr(m, "time"), &x->time_ns)
		       ? err_set(e, ERR_BAD_JSON, "the message has no time")
		       : 0;
}

int kv_entry_of(const struct kv_bucket *b, natsMsg *m, struct kv_entry *x, struct err *e)
{
	struct js_meta meta;
	struct words w = {0};

	kv_entry_free(x);
	buf_init(&x->value, VALUE_MAX);
	if (js_meta(m, &meta) || set_key(x, b, natsMsg_GetSubject(m), e))
		return err_set(e, ERR_BAD_INPUT, "a message that is no key of the bucket");
	buf_put(&x->value, natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m));
	msg_each_header(m, pick, &w);
	x->op = op_of(w.op, w.marker);
	x->revision = meta.stream_seq;
	x->time_ns = meta.time_ns;
	x->delta = meta.pending;
	return x->value.bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

static int load(struct cli *c, const struct kv_bucket *b, int64_t seq, const char *subject,
		struct kv_entry *x, struct err *e)
{
	CLEAN(json) json_t *m = NULL;

	if (js_get_direct(c, json_object_get(b->info, "config"), seq, subject, &m, e))
		return e->code == ERR_NOT_FOUND ? err_set(e, ERR_NOT_FOUND, "nats: key not found")
						: -1;
	return from_json(b, m, x, e);
}

int kv_last(struct cli *c, const struct kv_bucket *b, const char *key, struct kv_entry *x,
	    struct err *e)
{
	char subject[1400];

	(void)snprintf(subject, sizeof(subject), "%s%.1024s", b->read, key);
	return load(c, b, 0, subject, x, e);
}

/* natscli shows ASCII and nothing else as it is. */
char *kv_text(const struct buf *v, size_t max)
{
	bool printable = true;
	char *text, *cut = NULL;

	for (size_t i = 0; i < v->len; i++)
		printable &= v->p[i] >= 0x20 && v->p[i] < 0x7f;
	text = printable ? strndup(v->len ? (const char *)v->p : "", v->len)
			 : malloc(ENC_BASE64_LEN(v->len));
	if (text && !printable)
		enc_base64(text, v->p, v->len, ENC_STD);
	if (!text || !max || strlen(text) <= max)
		return text;
	if (asprintf(&cut, "%.15s...%s", text, text + strlen(text) - 15) < 0)
		cut = NULL;
	free(text);
	return cut;
}

static int print_entry(const struct kv_bucket *b, const struct kv_entry *x, struct err *e)
{
	CLEAN(free) char *text = kv_text(&x->value, 0);

	if (!text)
		return err_set(e, ERR_NOMEM, NULL);
	printf("%s > %s revision: %lld created @ %s\n\n", b->name, SHOWN(x->key),
	       (long long)x->revision, LOCALTIME(x->time_ns));
	if (strlen(text) > 120)
		printf("Showing first 120 bytes of %s, use --raw for full data\n\n",
		       COMMA(strlen(text)));
	printf("%.120s\n\n", text);
	return 0;
}

int kv_get(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};
	CLEAN(kv_entry) struct kv_entry x = {0};
	const char *key = c->argv[1];
	int64_t rev = 0;

	if (cli_int(c, "revision", 1, INT64_MAX, &rev, e) || kv_key_ok(key, false, e) ||
	    kv_open(c, &b, e) || (rev ? load(c, &b, rev, NULL, &x, e) : kv_last(c, &b, key, &x, e)))
		return -1;
	if (strcmp(x.key, key) != 0 || (!rev && x.op != KV_PUT))
		return err_set(e, ERR_NOT_FOUND, "nats: key not found");
	if (x.op != KV_PUT)
		return err_set(e, ERR_NOT_FOUND, "nats: key was deleted");
	if (!cli_has(c, "raw"))
		return print_entry(&b, &x, e);
	nats_bytes(x.value.p, x.value.len);
	return 0;
}

struct history {
	const struct kv_bucket *b;
	struct nt *table;
	size_t n;
	int64_t last;
};

static int history_row(struct cli *c, void *arg, natsMsg *m, struct err *e)
{
	CLEAN(kv_entry) struct kv_entry x = {0};
	struct history *h = arg;

	(void)c;
	if (kv_entry_of(h->b, m, &x, e))
		return -1;
	CLEAN(free) char *text = kv_text(&x.value, 40);

	nt_text(h->table, x.key);
	nt_num(h->table, x.revision);
	nt_text(h->table, kv_op_name(x.op));
	nt_text(h->table, LOCALTIME(x.time_ns));
	nt_text(h->table, COMMA(x.value.len));
	nt_text(h->table, text);
	h->last = x.revision;
	h->n++;
	return 0;
}

static int history(struct cli *c, const struct kv_bucket *b, const char *key, bool print, size_t *n,
		   int64_t *last, struct err *e)
{
	CLEAN(nt) struct nt *t = nt_new("History for %s > %s", b->name, key);
	struct history h = {.b = b, .table = t};
	char subject[1400];

	(void)snprintf(subject, sizeof(subject), "%s%.1024s", b->read, key);
	nt_head(t, "Key", "Revision", "Op", "Created", "Length", "Value", NULL);
	if (js_feed_all(c, b->stream, json_pack("{s:s}", "filter_subject", subject), history_row,
			&h, e))
		return -1;
	*n = h.n;
	*last = h.last;
	if (!h.n)
		return err_set(e, ERR_NOT_FOUND, "nats: key not found");
	if (print) {
		nt_print(t);
		putchar('\n');
	}
	return 0;
}

int kv_history(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};
	int64_t last = 0;
	size_t n;

	if (kv_key_ok(c->argv[1], true, e) || kv_open(c, &b, e))
		return -1;
	return history(c, &b, c->argv[1], true, &n, &last, e);
}

int kv_revert(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};
	CLEAN(kv_entry) struct kv_entry x = {0};
	const char *key = c->argv[1];
	char *end;
	int64_t rev = strtoll(c->argv[2], &end, 10), last = 0;
	char subject[1700], expect[32];
	natsMsg *m = NULL;
	size_t n;

	if (*end || rev < 1)
		return cli_usage(e, "'%.40s' is no revision", c->argv[2]);
	if (kv_key_ok(key, false, e) || kv_open(c, &b, e) ||
	    history(c, &b, key, false, &n, &last, e))
		return -1;
	if (n <= 1)
		return err_set(e, ERR_WRONG_STATE, "cannot revert key in a bucket where history=1");
	if (load(c, &b, rev, NULL, &x, e))
		return -1;
	if (strcmp(x.key, key) != 0)
		return err_set(e, ERR_NOT_FOUND, "nats: key not found");
	if (js_force(c, e, "Really revert to revision %lld", (long long)rev))
		return -1;
	(void)snprintf(subject, sizeof(subject), "%s%.1024s", b.write, key);
	(void)snprintf(expect, sizeof(expect), "%lld", (long long)last);
	natsStatus s = natsMsg_Create(&m, subject, NULL, (const char *)x.value.p, (int)x.value.len);

	if (s == NATS_OK)
		s = natsMsgHeader_Set(m, "Nats-Expected-Last-Subject-Sequence", expect);
	int r = s == NATS_OK ? js_publish(c, m, NULL, e) : conn_err(e, s, "nats");

	natsMsg_Destroy(m);
	return r ? -1 : history(c, &b, key, true, &n, &last, e);
}
