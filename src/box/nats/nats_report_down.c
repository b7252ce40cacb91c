/* nats server report downgrade: what a server of an older API level could not read. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/js.h"
#include "box/nats/nats_report.h"

struct down {
	int64_t level;
	bool all;
	json_t *seen;		     /* "ACCOUNT STREAM[ CONSUMER]": replicas tell of the same */
	json_t *streams, *consumers; /* as natscli prints them */
};

static int64_t needed(const json_t *asset)
{
	const char *text = json_string_value(
		json_object_get(jget(asset, "config.metadata"), "_nats.req.level"));

	return text ? strtoll(text, NULL, 10) : 0;
}

static bool first_time(struct down *d, const char *a, const char *b, const char *c)
{
	CLEAN(free) char *key = NULL;

	if (asprintf(&key, "%s\n%s\n%s", a, b, c) < 0 || json_object_get(d->seen, key))
		return false;
	(void)json_object_set_new(d->seen, key, json_true());
	return true;
}

static void look(struct down *d, const char *account, const json_t *s)
{
	const char *name = jstr(s, "name");
	int64_t level = needed(s);
	bool bad = d->level < level;
	size_t i;
	json_t *k;

	if (bad && first_time(d, account, name, ""))
		(void)json_array_append_new(d->streams,
					    json_pack("{s:s, s:s, s:I}", "account", account, "name",
						      name, "api_level", (json_int_t)level));
	json_array_foreach(json_object_get(s, "consumer_detail"), i, k)
	{
		const char *consumer = jstr(k, "name");
		char shown[300];

		if (!(d->level < needed(k) || (d->all && bad)) ||
		    !first_time(d, account, name, consumer))
			continue;
		(void)snprintf(shown, sizeof(shown), "%.280s%s", name, d->all && bad ? "*" : "");
		(void)json_array_append_new(d->consumers,
					    json_pack("{s:s, s:s, s:s, s:I}", "account", account,
						      "name", consumer, "stream", shown,
						      "api_level", (json_int_t)needed(k)));
	}
}

static int by_names(const void *a, const void *b)
{
	static const char *const keys[] = {"account", "stream", "name"};
	const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
	int r = 0;

	for (size_t i = 0; i < 3 && !r; i++)
		r = strcmp(jstr(x, keys[i]), jstr(y, keys[i]));
	return r;
}

static json_t *in_order(const json_t *arr)
{
	size_t n = json_array_size(arr);
	CLEAN(free) json_t **v = calloc(n + 1, sizeof(*v));
	json_t *out = json_array();

	for (size_t i = 0; v && i < n; i++)
		v[i] = json_array_get(arr, i);
	if (v)
		qsort(v, n, sizeof(*v), by_names);
	for (size_t i = 0; v && i < n; i++)
		(void)json_array_append(out, v[i]);
	return out;
}

static void show(const json_t *streams, const json_t *consumers)
{
	size_t i;
	const json_t *v;

	if (json_array_size(streams)) {
		CLEAN(nt) struct nt *t = nt_new("Assets: Streams");

		nt_head(t, "Account", "Stream", "Required API level", NULL);
		json_array_foreach(streams, i, v)
		{
			nt_text(t, jstr(v, "account"));
			nt_text(t, jstr(v, "name"));
			nt_num(t, jint(v, "api_level"));
		}
		nt_print(t);
		putchar('\n');
	}
	if (json_array_size(consumers)) {
		CLEAN(nt) struct nt *t = nt_new("Assets: Consumers");

		nt_head(t, "Account", "Stream", "Consumer", "Required API level", NULL);
		json_array_foreach(consumers, i, v)
		{
			nt_text(t, jstr(v, "account"));
			nt_text(t, jstr(v, "stream"));
			nt_text(t, jstr(v, "name"));
			nt_num(t, jint(v, "api_level"));
		}
		nt_print(t);
		putchar('\n');
	}
	if (!json_array_size(streams) && !json_array_size(consumers))
		puts("All assets are compatible with the specified API level.");
}

static int collect(struct cli *c, struct down *d, struct err *e)
{
	int want = report_servers(c, e);
	CLEAN(json) json_t *all = NULL;
	const json_t *server, *account, *stream;
	size_t i, k, n;

	if (want < 0)
		return -1;
	if (report_ask(c, "$SYS.REQ.SERVER.PING.JSZ",
		       json_pack("{s:b, s:b, s:b, s:b, s:i}", "accounts", 1, "streams", 1,
				 "consumer", 1, "config", 1, "limit", 100000),
		       want, &all, e))
		return -1;
	json_array_foreach(all, i, server)
		json_array_foreach(jget(server, "data.account_details"), k, account)
			json_array_foreach(json_object_get(account, "stream_detail"), n, stream)
				look(d, jstr(account, "name"), stream);
	return 0;
}

static int downgrade(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *seen = json_object();
	CLEAN(json) json_t *streams = json_array();
	CLEAN(json) json_t *consumers = json_array();
	struct down d = {
		.all = cli_has(c, "all"), .seen = seen, .streams = streams, .consumers = consumers};
	char *end;

	d.level = strtoll(c->argv[0], &end, 10);
	if (*end || end == c->argv[0] || d.level < 0)
		return cli_usage(e, "an API level is a number, not '%.40s'", c->argv[0]);
	if (!cli_has(c, "json"))
		puts("Obtaining JetStream Asset information");
	if (collect(c, &d, e))
		return -1;
	CLEAN(json) json_t *s = in_order(streams);
	CLEAN(json) json_t *k = in_order(consumers);

	if (!cli_has(c, "json")) {
		show(s, k);
		return 0;
	}
	CLEAN(json) json_t *out = json_object();

	if (json_array_size(s))
		(void)json_object_set(out, "streams", s);
	if (json_array_size(k))
		(void)json_object_set(out, "consumers", k);
	return nats_print_json(out, e);
}

static const struct cli_opt down_opts[] = {
	{"all", 0, NULL, "Consumers of such streams too"},
	JSON_OPT,
	{0},
};

const struct cli_cmd nats_down_cmds[] = {
	{.path = "server|srv report|rep downgrade",
	 .help = "What a server of an older API level could not read (system account)",
	 .args = "LEVEL",
	 .opts = down_opts,
	 .run = downgrade},
	{0},
};
