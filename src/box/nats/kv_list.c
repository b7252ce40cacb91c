/* kv watch, compact and the keys of a bucket; following a stream over restarts. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "box/nats/kv.h"
#include "box/nats/nats_msg.h"

#define MARKER_AGE (30 * 60 * NS_S) /* as nats.go: younger delete markers stay */

/* A consumer that begins behind the last message that was seen. */
static json_t *resume(json_t *cfg, int64_t last)
{
	json_t *copy = json_copy(cfg);

	if (last > 0) {
		(void)json_object_set_new(copy, "deliver_policy", json_string("by_start_sequence"));
		(void)json_object_set_new(copy, "opt_start_seq", json_integer(last + 1));
		(void)json_object_del(copy, "opt_start_time");
	}
	return copy;
}

int kv_follow(struct cli *c, const char *stream, json_t *cfg,
	      void (*got)(struct cli *c, void *arg, natsMsg *m), void *arg, struct err *e)
{
	CLEAN(json) json_t *own = cfg;
	int64_t last = 0;
	bool first = true;

	nats_catch();
	while (!nats_stopped() && !ferror(stdout)) {
		struct js_feed f = {0};
		int64_t count = 0;
		int r = js_feed_open(c, &f, stream, resume(own, last), e);

		/* A wrong name is told; a server that is away for a while is waited for. */
		if (r && (first || e->code == ERR_NOT_FOUND))
			return -1;
		first = false;
		while (r == 0 && !nats_stopped() && !ferror(stdout)) {
			CLEAN(msg) natsMsg *m = NULL;
			struct js_meta meta;

			r = js_feed_next(c, &f, -1, &m, e) < 0;
			if (r || !m || js_meta(m, &meta))
				continue;
			/* A hole: what is missing is fetched by a new consumer. */
			if (meta.consumer_seq != ++count)
				break;
			last = meta.stream_seq;
			got(c, arg, m);
			(void)fflush(stdout);
		}
		if (!nats_stopped()) {
			/* The old consumer ends by itself. */
			natsSubscription_Destroy(f.sub);
			(void)nats_wait(NULL, 500 * NS_MS);
		} else {
			js_feed_close(c, &f);
		}
	}
	return 0;
}

static void show_change(struct cli *c, void *arg, natsMsg *m)
{
	const struct kv_bucket *b = arg;
	CLEAN(kv_entry) struct kv_entry x = {0};
	struct err ignored;

	if (kv_entry_of(b, m, &x, &ignored))
		return;
	if (x.op != KV_PUT) {
		if (!cli_off(c, "deletes"))
			printf("[%s] %s %s > %s\n", LOCALTIME(x.time_ns), kv_op_name(x.op), b->name,
			       SHOWN(x.key));
		return;
	}
	printf("[%s] PUT %s > %s: ", LOCALTIME(x.time_ns), b->name, SHOWN(x.key));
	nats_bytes(x.value.p, x.value.len);
	putchar('\n');
}

int kv_watch(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};
	const char *key = c->argc > 1 ? c->argv[1] : ">";
	const char *policy = cli_has(c, "history")   ? "all"
			     : cli_has(c, "updates") ? "new"
						     : "last_per_subject";
	char subject[1400];
	int64_t rev = 0;
	json_t *cfg;

	if (cli_int(c, "revision", 1, INT64_MAX, &rev, e) || kv_key_ok(key, true, e) ||
	    kv_open(c, &b, e))
		return -1;
	(void)snprintf(subject, sizeof(subject), "%s%.1024s", b.read, key);
	cfg = json_pack("{s:s, s:s}", "filter_subject", subject, "deliver_policy", policy);
	if (rev) {
		(void)json_object_set_new(cfg, "deliver_policy", json_string("by_start_sequence"));
		(void)json_object_set_new(cfg, "opt_start_seq", json_integer(rev));
	}
	return kv_follow(c, b.stream, cfg, show_change, &b, e);
}

struct keys {
	const struct kv_bucket *b;
	int (*f)(struct cli *c, void *arg, const struct kv_entry *x, struct err *e);
	void *arg;
};

static int key_of(struct cli *c, void *arg, natsMsg *m, struct err *e)
{
	const struct keys *k = arg;
	CLEAN(kv_entry) struct kv_entry x = {0};

	return kv_entry_of(k->b, m, &x, e) || k->f(c, k->arg, &x, e) ? -1 : 0;
}

/* Calls f for the last revision of each key; headers: without values. */
static int each_key(struct cli *c, const struct kv_bucket *b, const char *filter, bool headers,
		    int (*f)(struct cli *c, void *arg, const struct kv_entry *x, struct err *e),
		    void *arg, struct err *e)
{
	struct keys k = {b, f, arg};
	char subject[1400];

	(void)snprintf(subject, sizeof(subject), "%s%.1024s", b->read, filter);
	return js_feed_all(c, b->stream,
			   json_pack("{s:s, s:s, s:b}", "filter_subject", subject, "deliver_policy",
				     "last_per_subject", "headers_only", headers),
			   key_of, &k, e);
}

struct listing {
	struct nt *t;
	json_t *json; /* objects instead of lines */
	bool values;
	size_t n;
};

static int list_json(struct listing *l, const struct kv_entry *x, struct err *e)
{
	json_t *o = json_pack("{s:s, s:s, s:I}", "key", x->key, "created",
			      fmt_rfc3339((char[48]){0}, x->time_ns, true, true), "revision",
			      (json_int_t)x->revision);

	if (l->values && o) {
		CLEAN(free) char *text = kv_text(&x->value, 0);

		(void)json_object_set_new(o, "value", json_string(text ? text : ""));
	}
	return json_array_append_new(l->json, o) ? err_set(e, ERR_NOMEM, NULL) : 0;
}

static int list_key(struct cli *c, void *arg, const struct kv_entry *x, struct err *e)
{
	struct listing *l = arg;

	(void)c;
	if (x->op != KV_PUT)
		return 0;
	l->n++;
	if (l->json)
		return list_json(l, x, e);
	if (!l->t) {
		nats_bytes(x->key, strlen(x->key));
		putchar('\n');
		return 0;
	}
	nt_text(l->t, x->key);
	nt_text(l->t, LOCALTIME(x->time_ns));
	nt_num(l->t, 0); /* behind the last revision of the key */
	nt_num(l->t, x->revision);
	if (l->values) {
		CLEAN(free) char *text = kv_text(&x->value, 0);

		nt_text(l->t, text);
	}
	return 0;
}

int kv_keys(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};
	const char *filter = c->argc > 1 && *c->argv[1] ? c->argv[1] : ">";
	CLEAN(nt) struct nt *t = NULL;
	CLEAN(json) json_t *json = cli_has(c, "json") ? json_array() : NULL;
	struct listing l = {.values = cli_has(c, "display-value"), .json = json};

	if (kv_key_ok(filter, true, e))
		return -1;
	if (kv_open(c, &b, e))
		return err_wrap(e, "unable to load bucket");
	if (cli_has(c, "verbose") && !json) {
		t = nt_new("Contents for bucket '%s'", b.name);
		if (l.values)
			nt_head(t, "Key", "Created", "Delta", "Revision", "Value", NULL);
		else
			nt_head(t, "Key", "Created", "Delta", "Revision", NULL);
		l.t = t;
	}
	if (each_key(c, &b, filter, (!t && !json) || !l.values, list_key, &l, e))
		return -1;
	if (json)
		return json_print(json, stdout, e);
	if (t && l.n) {
		nt_print(t);
		putchar('\n');
	}
	if (!l.n && !cli_has(c, "names"))
		puts("No keys found in bucket");
	return 0;
}

struct removed {
	char **keys;
	bool *old;
	size_t n, cap;
};

static int note_removed(struct cli *c, void *arg, const struct kv_entry *x, struct err *e)
{
	struct removed *r = arg;

	(void)c;
	if (x->op == KV_PUT)
		return 0;
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 64;
		char **keys = realloc(r->keys, cap * sizeof(*keys));

		if (keys)
			r->keys = keys;
		bool *old = keys ? realloc(r->old, cap * sizeof(*old)) : NULL;

		if (old)
			r->old = old;
		if (!keys || !old)
			return err_set(e, ERR_NOMEM, NULL);
		r->cap = cap;
	}
	r->keys[r->n] = strdup(x->key);
	if (!r->keys[r->n])
		return err_set(e, ERR_NOMEM, NULL);
	r->old[r->n++] = nats_ago(x->time_ns) > MARKER_AGE;
	return 0;
}

int kv_compact(struct cli *c, struct err *e)
{
	CLEAN(kv_bucket) struct kv_bucket b = {0};
	struct removed r = {0};
	int rc;

	if (kv_open(c, &b, e) ||
	    js_force(c, e,
		     "Purge all historic values and audit trails for deleted keys in bucket %s?",
		     b.name))
		return -1;
	rc = each_key(c, &b, ">", true, note_removed, &r, e);
	for (size_t i = 0; i < r.n; i++) {
		char subject[1400];
		CLEAN(json) json_t *reply = NULL;

		(void)snprintf(subject, sizeof(subject), "%s%.1024s", b.read, r.keys[i]);
		json_t *req = json_pack("{s:s}", "filter", subject);

		/* Watchers that were away must still learn of it. */
		if (!r.old[i])
			(void)json_object_set_new(req, "keep", json_integer(1));
		if (rc == 0)
			rc = nats_js_request(c, req, &reply, e, "STREAM.PURGE.%s", b.stream);
		else
			json_decref(req);
		free(r.keys[i]);
	}
	free(r.keys);
	free(r.old);
	return rc;
}
