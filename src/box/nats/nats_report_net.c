/* nats server report on JetStream, and on what links servers: routes, gateways, leaf
 * nodes. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/nats_graph.h"
#include "box/nats/nats_leaders.h"
#include "box/nats/nats_report.h"

static const char *key_path, *key_path2;
static bool key_text;
static int key_sign;

static int by_key(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	int r = 0;

	if (key_text)
		r = strcmp(jstr(*x, key_path), jstr(*y, key_path));
	else if (jnum(*x, key_path) != jnum(*y, key_path))
		r = jnum(*x, key_path) < jnum(*y, key_path) ? -1 : 1;
	if (!r)
		r = strcmp(jstr(*x, "server.name"), jstr(*y, "server.name"));
	if (!r)
		r = strcmp(jstr(*x, key_path2), jstr(*y, key_path2));
	return r * key_sign;
}

/* Orders an array by --sort; pairs are words and paths, a path with '=' is text. */
static const json_t **sort(struct cli *c, const json_t *arr, const char *const *pairs,
			   const char *path2, size_t *n, struct err *e)
{
	const char *key = cli_str(c, "sort"), *path = pairs[1];
	const json_t **list;

	for (size_t i = 0; key; i += 2) {
		if (!pairs[i]) {
			cli_usage(e, "unknown key '%.40s' for --sort: see --help", key);
			return NULL;
		}
		if (strcmp(pairs[i], key) == 0) {
			path = pairs[i + 1];
			break;
		}
	}
	*n = json_array_size(arr);
	list = calloc(*n + 1, sizeof(*list));
	if (!list) {
		err_set(e, ERR_NOMEM, NULL);
		return NULL;
	}
	for (size_t i = 0; i < *n; i++)
		list[i] = json_array_get(arr, i);
	key_text = *path == '=';
	key_path = path + key_text;
	key_path2 = path2;
	key_sign = cli_has(c, "reverse") ? -1 : 1;
	qsort(list, *n, sizeof(*list), by_key);
	return list;
}

/* "ACCOUNTLONG...LASTTEN" */
static void account_cell(struct nt *t, const char *acc)
{
	size_t n = strlen(acc);

	if (n > 23)
		nt_fmt(t, "%.10s...%s", acc, acc + n - 10);
	else
		nt_text(t, acc);
}

static const char *rtt_text(const char *text, char out[static 48])
{
	int64_t ns;

	if (!*text || parse_duration(text, &ns, NULL))
		(void)snprintf(out, 48, "%s", text);
	else
		fmt_duration(out, ns);
	return out;
}

/* All items of one member of the answers' data, each with its server in it. */
static json_t *flatten(const json_t *all, const char *member)
{
	json_t *out = json_array(), *one;
	size_t i, k;
	const json_t *s;

	json_array_foreach(all, i, s) json_array_foreach(jget(s, member), k, one)
	{
		(void)json_object_set(one, "server", json_object_get(s, "server"));
		(void)json_array_append(out, one);
	}
	return out;
}

/* ---- routes ---- */

static void route_row(struct nt *t, const json_t *r, const json_t *last)
{
	char rtt[48];
	int64_t now = 0, start = 0;
	const char *server = jstr(r, "server.name");
	bool same = last && strcmp(server, jstr(last, "server.name")) == 0;
	const char *cluster = jstr(r, "server.cluster"), *remote = jstr(r, "remote_name");

	(void)parse_rfc3339(jstr(r, "server.time"), &now);
	(void)parse_rfc3339(jstr(r, "start"), &start);
	nt_text(t, same ? "" : server);
	nt_text(t, same && strcmp(cluster, jstr(last, "server.cluster")) == 0 ? "" : cluster);
	nt_text(t, same && strcmp(remote, jstr(last, "remote_name")) == 0 ? "" : remote);
	account_cell(t, jstr(r, "account"));
	nt_fmt(t, "%s:%lld", jstr(r, "ip"), (long long)jint(r, "port"));
	nt_fmt(t, "rid:%lld", (long long)jint(r, "rid"));
	nt_text(t, DURATION(now - start));
	nt_text(t, rtt_text(jstr(r, "rtt"), rtt));
	nt_text(t, COMMA(jint(r, "subscriptions")));
	nt_text(t, IBYTES(jint(r, "in_bytes")));
	nt_text(t, IBYTES(jint(r, "out_bytes")));
}

static int report_routes(struct cli *c, struct err *e)
{
	static const char *const keys[] = {"server",	      "=server.name", "cluster",
					   "=server.cluster", "name",	      "=remote_name",
					   "account",	      "=account",     "subs",
					   "subscriptions",   "in-bytes",     "in_bytes",
					   "out-bytes",	      "out_bytes",    NULL};
	CLEAN(json) json_t *all = NULL, *servers = json_object(), *clusters = json_object();
	CLEAN(nt) struct nt *t = nt_new("Cluster Report");
	int64_t subs = 0, in = 0, out = 0;
	size_t n;
	int want;

	if (report_limit(c, 0, &want, e) ||
	    report_ask(c, "$SYS.REQ.SERVER.PING.ROUTEZ", NULL, want, &all, e))
		return -1;
	CLEAN(json) json_t *routes = flatten(all, "data.routes");
	CLEAN(free) const json_t **rows = sort(c, routes, keys, "remote_name", &n, e);

	if (!rows)
		return -1;
	nt_head(t, "Server", "Cluster", "Name", "Account", "Address", "ID", "Uptime", "RTT", "Subs",
		"Bytes In", "Bytes Out", NULL);
	for (size_t i = 0; i < n; i++) {
		route_row(t, rows[i], i ? rows[i - 1] : NULL);
		subs = nats_add(subs, jint(rows[i], "subscriptions"));
		in = nats_add(in, jint(rows[i], "in_bytes"));
		out = nats_add(out, jint(rows[i], "out_bytes"));
		(void)json_object_set_new(servers, jstr(rows[i], "server.name"), json_true());
		(void)json_object_set_new(clusters, jstr(rows[i], "server.cluster"), json_true());
	}
	nt_foot(t);
	nt_text(t, COMMA(json_object_size(servers)));
	nt_text(t, COMMA(json_object_size(clusters)));
	nt_text(t, "");
	nt_text(t, "");
	nt_text(t, COMMA(n));
	nt_text(t, "");
	nt_text(t, "");
	nt_text(t, "");
	nt_text(t, COMMA(subs));
	nt_text(t, IBYTES(in));
	nt_text(t, IBYTES(out));
	nt_print(t);
	putchar('\n');
	return 0;
}

/* ---- gateways ---- */

static void gateway_row(struct nt *t, const char *direction, const char *name, const json_t *g,
			int64_t bytes)
{
	const json_t *k = jget(g, "connection");
	char rtt[48], up[48];

	for (int i = 0; i < 3; i++)
		nt_text(t, "");
	nt_text(t, direction);
	nt_fmt(t, "%s %s:%lld", name, jstr(k, "ip"), (long long)jint(k, "port"));
	nt_fmt(t, "gid:%lld", (long long)jint(k, "cid"));
	nt_text(t, rtt_text(jstr(k, "uptime"), up));
	nt_text(t, rtt_text(jstr(k, "rtt"), rtt));
	nt_text(t, IBYTES(bytes));
	nt_text(t, COMMA(json_array_size(jget(g, "accounts"))));
}

/* One server's gateways; their number. */
static int64_t gateway_rows(struct nt *t, const json_t *s, int64_t *bytes)
{
	const json_t *in = jget(s, "data.inbound_gateways"),
		     *out = jget(s, "data.outbound_gateways");
	int64_t n = 0;
	const char *name;
	json_t *v, *g;
	size_t i;

	nt_text(t, jstr(s, "server.name"));
	nt_text(t, jstr(s, "server.cluster"));
	nt_num(t, jint(s, "data.port"));
	for (int k = 0; k < 7; k++)
		nt_text(t, "");
	json_object_foreach((json_t *)(uintptr_t)in, name, v) json_array_foreach(v, i, g)
	{
		int64_t b = jint(g, "connection.in_bytes");

		gateway_row(t, n ? "" : "Inbound", name, g, b);
		*bytes += b;
		n++;
	}
	bool first = true;

	json_object_foreach((json_t *)(uintptr_t)out, name, g)
	{
		int64_t b = jint(g, "connection.out_bytes");

		gateway_row(t, first ? "Outbound" : "", name, g, b);
		first = false;
		*bytes += b;
		n++;
	}
	return n;
}

static int report_gateways(struct cli *c, struct err *e)
{
	static const char *const keys[] = {"cluster", "=server.cluster", "server", "=server.name",
					   NULL};
	json_t *opts = json_pack("{s:b}", "accounts", 1);
	CLEAN(json) json_t *all = NULL, *clusters = json_object();
	CLEAN(nt) struct nt *t = nt_new("Super Cluster Report");
	int64_t bytes = 0, gateways = 0;
	size_t n;
	int want;

	if (cli_str(c, "filter-name"))
		(void)json_object_set_new(opts, "name", json_string(cli_str(c, "filter-name")));
	if (report_limit(c, 0, &want, e)) {
		json_decref(opts);
		return -1;
	}
	if (report_ask(c, "$SYS.REQ.SERVER.PING.GATEWAYZ", opts, want, &all, e))
		return -1;
	CLEAN(free) const json_t **rows = sort(c, all, keys, "server.cluster", &n, e);

	if (!rows)
		return -1;
	nt_head(t, "Server", "Name", "Port", "Kind", "Connection", "ID", "Uptime", "RTT", "Bytes",
		"Accounts", NULL);
	for (size_t i = 0; i < n; i++) {
		gateways += gateway_rows(t, rows[i], &bytes);
		(void)json_object_set_new(clusters, jstr(rows[i], "server.cluster"), json_true());
	}
	nt_foot(t);
	nt_text(t, COMMA(n));
	nt_num(t, (int64_t)json_object_size(clusters));
	nt_text(t, "");
	nt_text(t, "");
	nt_text(t, COMMA(gateways));
	nt_text(t, "");
	nt_text(t, "");
	nt_text(t, "");
	nt_text(t, IBYTES(bytes));
	nt_text(t, "");
	nt_print(t);
	putchar('\n');
	return 0;
}

/* ---- leaf nodes ---- */

static int report_leafs(struct cli *c, struct err *e)
{
	static const char *const keys[] = {
		"server",  "=server.name",  "name",	"=name",    "account",	 "=account",
		"subs",	   "subscriptions", "in-bytes", "in_bytes", "out-bytes", "out_bytes",
		"in-msgs", "in_msgs",	    "out-msgs", "out_msgs", NULL};
	json_t *opts = json_object();
	CLEAN(json) json_t *all = NULL;
	CLEAN(nt) struct nt *t = nt_new("Leafnode Report");
	size_t n;
	int want;

	if (cli_str(c, "account"))
		(void)json_object_set_new(opts, "account", json_string(cli_str(c, "account")));
	if (report_limit(c, 0, &want, e)) {
		json_decref(opts);
		return -1;
	}
	if (report_ask(c, "$SYS.REQ.SERVER.PING.LEAFZ", opts, want, &all, e))
		return -1;
	CLEAN(json) json_t *leafs = flatten(all, "data.leafs");
	CLEAN(free) const json_t **rows = sort(c, leafs, keys, "name", &n, e);

	if (!rows)
		return -1;
	nt_head(t, "Server", "Name", "Account", "Address", "RTT", "Msgs In", "Msgs Out", "Bytes In",
		"Bytes Out", "Subs", "Compressed", "Spoke", NULL);
	for (size_t i = 0; i < n; i++) {
		const json_t *l = rows[i];

		nt_text(t, jstr(l, "server.name"));
		nt_text(t, jstr(l, "name"));
		account_cell(t, jstr(l, "account"));
		nt_fmt(t, "%s:%lld", jstr(l, "ip"), (long long)jint(l, "port"));
		nt_text(t, jstr(l, "rtt"));
		nt_text(t, COMMA(jint(l, "in_msgs")));
		nt_text(t, COMMA(jint(l, "out_msgs")));
		nt_text(t, IBYTES(jint(l, "in_bytes")));
		nt_text(t, IBYTES(jint(l, "out_bytes")));
		nt_text(t, COMMA(jint(l, "subscriptions")));
		nt_text(t, jstr(l, "compression"));
		nt_text(t, jbool(l, "is_spoke") ? "true" : "false");
	}
	nt_print(t);
	putchar('\n');
	return 0;
}

/* ---- JetStream ---- */

/* What one server, or one account on it, has: streams, consumers, messages, bytes,
 * memory, file, requests. */
static void js_numbers(const json_t *s, bool account, int64_t v[static 7])
{
	const json_t *acc = account ? json_array_get(jget(s, "data.account_details"), 0) : NULL;
	const json_t *from = acc ? acc : jget(s, "data"), *one;
	size_t i;

	v[0] = acc ? (int64_t)json_array_size(jget(acc, "stream_detail")) : jint(from, "streams");
	v[1] = acc ? 0 : jint(from, "consumers");
	v[2] = acc ? 0 : jint(from, "messages");
	v[3] = acc ? nats_add(jint(acc, "memory"), jint(acc, "storage")) : jint(from, "bytes");
	v[4] = jint(from, "memory");
	v[5] = jint(from, "storage");
	v[6] = jint(from, "api.total");
	json_array_foreach(jget(acc, "stream_detail"), i, one)
	{
		v[1] = nats_add(v[1], jint(one, "state.consumer_count"));
		v[2] = nats_add(v[2], jint(one, "state.messages"));
	}
}

static void js_row(struct nt *t, const int64_t v[static 7])
{
	for (int i = 0; i < 7; i++)
		nt_text(t, i < 3 || i == 6 ? COMMA(v[i]) : IBYTES(v[i]));
}

static void js_table(struct cli *c, const json_t **rows, size_t n)
{
	const char *account = cli_str(c, "account");
	CLEAN(nt) struct nt *t = account ? nt_new("JetStream Summary for Account %s", account)
					 : nt_new("JetStream Summary");
	char **names = calloc(n + 1, sizeof(*names));
	int64_t sum[7] = {0}, v[7], pending = 0;
	bool domain = false;

	for (size_t i = 0; names && i < n; i++) {
		names[i] = strdup(jstr(rows[i], "server.name"));
		domain |= *jstr(rows[i], "data.config.domain") != '\0';
	}
	if (names && nats_flag(c, "compact", true))
		report_compact(names, n);
	nt_head(t, "Server", "Cluster", NULL);
	if (domain)
		nt_head(t, "Domain", NULL);
	nt_head(t, "Streams", "Consumers", "Messages", "Bytes", "Memory", "File", "API Req",
		"Pending", NULL);
	for (size_t i = 0; names && i < n; i++) {
		const json_t *s = rows[i];
		bool leader =
			*jstr(s, "data.meta_cluster.leader") &&
			strcmp(jstr(s, "data.meta_cluster.leader"), jstr(s, "server.name")) == 0;

		js_numbers(s, account != NULL, v);
		for (int k = 0; k < 7; k++)
			sum[k] += v[k];
		nt_fmt(t, "%s%s", names[i], leader ? "*" : "");
		nt_text(t, jstr(s, "server.cluster"));
		if (domain)
			nt_text(t, jstr(s, "data.config.domain"));
		js_row(t, v);
		nt_num(t, jint(s, "data.meta_cluster.pending"));
		pending = nats_add(pending, jint(s, "data.meta_cluster.pending"));
		free(names[i]);
	}
	free(names);
	nt_foot(t);
	nt_text(t, "");
	nt_text(t, "");
	if (domain)
		nt_text(t, "");
	js_row(t, sum);
	nt_num(t, pending);
	nt_print(t);
	putchar('\n');
}

/* The meta group as its leader sees it. */
static void js_meta(struct cli *c, const json_t *meta)
{
	json_t *peers = (json_t *)(uintptr_t)jget(meta, "replicas");
	CLEAN(json) json_t *all = json_array();
	CLEAN(nt) struct nt *t =
		nt_new("RAFT Meta Group Information - Lead cluster: %s", jstr(meta, "name"));
	size_t n;

	(void)json_array_extend(all, peers);
	(void)json_array_append_new(all, json_pack("{s:s, s:s, s:b}", "name", jstr(meta, "leader"),
						   "peer", jstr(meta, "peer"), "current", 1));
	n = json_array_size(all);
	key_text = true;
	key_path = key_path2 = "name";
	key_sign = 1;
	CLEAN(free) const json_t **rows = calloc(n + 1, sizeof(*rows));
	CLEAN(free) char **names = calloc(n + 1, sizeof(*names));

	for (size_t i = 0; rows && i < n; i++)
		rows[i] = json_array_get(all, i);
	if (rows)
		qsort(rows, n, sizeof(*rows), by_key);
	for (size_t i = 0; rows && names && i < n; i++)
		names[i] = strdup(jstr(rows[i], "name"));
	if (names && nats_flag(c, "compact", true))
		report_compact(names, n);
	nt_head(t, "Connection Name", "ID", "Leader", "Current", "Online", "Active", "Lag", NULL);
	for (size_t i = 0; rows && names && i < n; i++) {
		const json_t *p = rows[i];

		nt_text(t, names[i]);
		nt_text(t, jstr(p, "peer"));
		nt_text(t, strcmp(jstr(p, "name"), jstr(meta, "leader")) == 0 ? "yes" : "");
		nt_text(t, jbool(p, "current") ? "true" : "false");
		nt_text(t, jbool(p, "offline") ? "false" : "true");
		nt_text(t, DURATION(jint(p, "active")));
		nt_text(t, COMMA(jint(p, "lag")));
		free(names[i]);
	}
	nt_print(t);
}

static void js_leaders(const json_t **rows, size_t n, const char *account)
{
	CLEAN(json) json_t *streams = json_object();
	CLEAN(json) json_t *consumers = json_object();

	for (size_t i = 0; i < n; i++) {
		const char *name = jstr(rows[i], "server.name");
		const char *cluster = jstr(rows[i], "server.cluster");
		int64_t s = jint(rows[i], "data.streams_leader");
		int64_t k = jint(rows[i], "data.consumers_leader");
		size_t x, y;
		json_t *d, *v;

		if (account) {
			s = k = 0;
			json_array_foreach(
				json_object_get(json_array_get(jget(rows[i], "data.account_"
									     "details"),
							       0),
						"stream_detail"),
				x, d)
			{
				s += strcmp(jstr(d, "cluster.leader"), name) == 0;
				json_array_foreach(json_object_get(d, "consumer_detail"), y, v) k +=
					strcmp(jstr(v, "cluster.leader"), name) == 0;
			}
		}
		if (s > 0 || k > 0) {
			leaders_add(streams, name, cluster, s);
			leaders_add(consumers, name, cluster, k);
		}
	}
	putchar('\n');
	if (!json_object_size(streams)) {
		puts("No JetStream asset leader data reported");
		return;
	}
	leaders_print(streams, "Stream Leaders");
	leaders_print(consumers, "Consumer Leaders");
}

static int report_js(struct cli *c, struct err *e)
{
	static const char *const keys[] = {
		"cluster", "=server.cluster", "name",	   "=server.name",
		"streams", "data.streams",    "consumers", "data.consumers",
		"msgs",	   "data.messages",   "mbytes",	   "data.bytes",
		"bytes",   "data.bytes",      "mem",	   "data.memory",
		"file",	   "data.storage",    "store",	   "data.storage",
		"api",	   "data.api.total",  "err",	   "data.api.errors",
		NULL};
	const char *account = cli_str(c, "account");
	json_t *opts = json_pack("{s:b}", "raft", 1);
	CLEAN(json) json_t *all = NULL;
	int64_t size = 0;
	bool led = false;
	size_t n;
	int want;

	if (account) {
		(void)json_object_set_new(opts, "account", json_string(account));
		(void)json_object_set_new(opts, "streams", json_true());
		(void)json_object_set_new(opts, "consumer", json_true());
		(void)json_object_set_new(opts, "limit", json_integer(10000));
	}
	if (report_limit(c, 0, &want, e)) {
		json_decref(opts);
		return -1;
	}
	if (report_ask(c, "$SYS.REQ.SERVER.PING.JSZ", opts, want, &all, e))
		return -1;
	CLEAN(free) const json_t **rows = sort(c, all, keys, "server.name", &n, e);

	if (!rows)
		return -1;
	js_table(c, rows, n);
	for (size_t i = 0; i < n; i++) {
		const json_t *meta = jget(rows[i], "data.meta_cluster");

		if (jint(meta, "cluster_size") > size)
			size = jint(meta, "cluster_size");
		if (!*jstr(meta, "leader") ||
		    strcmp(jstr(meta, "leader"), jstr(rows[i], "server.name")) != 0 ||
		    cli_str(c, "host") || cli_str(c, "cluster") || cli_count(c, "tags"))
			continue;
		if (led)
			putchar('\n');
		js_meta(c, meta);
		led = true;
	}
	if (size && !led && !cli_str(c, "host") && !cli_str(c, "cluster") && !cli_count(c, "tags"))
		printf("\nWARNING: No cluster meta leader found. The cluster expects %lld nodes "
		       "but "
		       "only %zu responded. JetStream operation requires at least %lld up nodes.\n",
		       (long long)size, n, (long long)size / 2 + 1);
	if (cli_has(c, "leaders"))
		js_leaders(rows, n, account);
	return 0;
}

static const struct cli_opt route_opts[] = {
	REPORT_OPTS,
	{"sort", 0, "KEY", "server (default), cluster, name, account, subs, in-bytes, out-bytes"},
	{0},
};
static const struct cli_opt gateway_opts[] = {
	REPORT_OPTS,
	{"filter-name", 0, "NAME", "Only a gateway"},
	{"sort", 0, "KEY", "cluster (default) or server"},
	{0},
};
static const struct cli_opt leaf_opts[] = {
	REPORT_OPTS,
	{"account", 0, "ACCOUNT", "Only an account"},
	{"sort", 0, "KEY",
	 "server (default), name, account, subs, in-bytes, out-bytes, in-msgs, out-msgs"},
	{0},
};
static const struct cli_opt js_opts[] = {
	REPORT_OPTS,
	{"account", 0, "ACCOUNT", "Only an account"},
	{"sort", 0, "KEY",
	 "cluster (default), name, streams, consumers, msgs, mbytes, mem, file, api, err"},
	LEADERS_OPT,
	{"compact", 0, NULL, "Cut what names have in common (on; --no-compact)"},
	{0},
};

WATCHED(report_routes)
WATCHED(report_gateways)
WATCHED(report_leafs)
WATCHED(report_js)

#define REP "server|srv report|rep "

const struct cli_cmd nats_links_cmds[] = {
	{.path = REP "gateways|super|gateway",
	 .help = "Links between clusters (system account)",
	 .args = "[LIMIT]",
	 .opts = gateway_opts,
	 .run = report_gateways_watched},
	{.path = REP "jetstream|jsz|js",
	 .help = "JetStream on all servers (system account)",
	 .args = "[LIMIT]",
	 .opts = js_opts,
	 .run = report_js_watched},
	{.path = REP "leafnodes|leaf|leafz",
	 .help = "Links to leaf nodes (system account)",
	 .args = "[LIMIT]",
	 .opts = leaf_opts,
	 .run = report_leafs_watched},
	{.path = REP "routes|route",
	 .help = "Links within clusters (system account)",
	 .args = "[LIMIT]",
	 .opts = route_opts,
	 .run = report_routes_watched},
	{0},
};
