/* nats server: what servers tell a system account, and passwords for their configuration. */
#include <crypt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "box/nats/nats.h"
#include "box/nats/nats_report.h"
#include "crypto/crypto.h"
#include "ui/prompt.h"

#define NO_SYSTEM                                                                                  \
	"no results received, ensure the account used has system privileges and appropriate "      \
	"permissions"

/* ---- info ---- */

static void add_urls(struct cols *cols, const char *label, const json_t *urls)
{
	size_t i;
	const json_t *u;

	json_array_foreach(urls, i, u) cols_row(cols, i ? "" : label, "%s", json_string_value(u));
}

static void add_js(struct cols *cols, const json_t *js)
{
	const json_t *conf = jget(js, "config"), *lim = jget(js, "limits");
	int64_t sync = jint(conf, "sync_interval");

	if (!*jstr(conf, "store_dir"))
		return;
	cols_section(cols, "JetStream");
	cols_row(cols, "Domain", "%s", jstr(conf, "domain"));
	cols_row(cols, "API Support Level", "%s", COMMA(jint(js, "stats.api.level")));
	cols_row(cols, "Storage Directory", "%s", jstr(conf, "store_dir"));
	cols_row(cols, "Active Accounts", "%s", COMMA(jint(js, "stats.accounts")));
	cols_row(cols, "Memory In Use", "%s", IBYTES(jint(js, "stats.memory")));
	cols_row(cols, "File In Use", "%s", IBYTES(jint(js, "stats.storage")));
	cols_row(cols, "API Requests", "%s", COMMA(jint(js, "stats.api.total")));
	cols_row(cols, "API Errors", "%s", COMMA(jint(js, "stats.api.errors")));
	if (sync > 0) {
		cols_bool(cols, "Always sync writes to disk", jbool(conf, "sync_always"));
		cols_row(cols, "Write sync Frequency", "%s", DURATION(sync));
	}
	cols_row(cols, "Maximum Memory Storage", "%s", IBYTES(jint(conf, "max_memory")));
	cols_row(cols, "Maximum File Storage", "%s", IBYTES(jint(conf, "max_storage")));
	cols_some(cols, "Unique Tag", jstr(conf, "unique_tag"));
	cols_bool(cols, "Cluster Message Compression", jbool(conf, "compress_ok"));
	if (lim) {
		cols_limit(cols, "Maximum HA Assets", jint(lim, "max_ha_assets"), 0);
		cols_limit(cols, "Maximum Ack Pending", jint(lim, "max_ack_pending"), 0);
		cols_limit(cols, "Maximum Request Batch", jint(lim, "max_request_batch"), 0);
		cols_row(cols, "Maximum Duplicate Window", "%s",
			 jint(lim, "duplicate_window") ? DURATION(jint(lim, "duplicate_window"))
						       : "unlimited");
		cols_row(cols, "Maximum Messages Per Batch", "%s",
			 COMMA(jint(lim, "max_request_batch")));
		cols_row(cols, "Maximum Batch Timeout", "%s",
			 DURATION(jint(lim, "max_batch_timeout")));
		cols_row(cols, "Maximum Open Batches Per Stream", "%s",
			 COMMA(jint(lim, "max_batch_inflight_per_stream")));
		cols_row(cols, "Maximum Open Batches Per Server", "%s",
			 COMMA(jint(lim, "max_batch_inflight_total")));
	}
	cols_bool(cols, "Strict API Parsing", jbool(conf, "strict"));
}

static void add_limits(struct cols *cols, const json_t *v)
{
	cols_section(cols, "Limits");
	cols_row(cols, "Maximum Connections", "%s", COMMA(jint(v, "max_connections")));
	cols_row(cols, "Maximum Subscriptions", "%s", COMMA(jint(v, "max_subscriptions")));
	cols_row(cols, "Maximum Payload", "%s", IBYTES(jint(v, "max_payload")));
	cols_row(cols, "TLS Timeout", "%s",
		 DURATION((int64_t)(jnum(v, "tls_timeout") < 1e9 ? jnum(v, "tls_timeout") * 1e9
								 : 9e18)));
	cols_row(cols, "Write Deadline", "%s", DURATION(jint(v, "write_deadline")));
	cols_section(cols, "Statistics");
	cols_row(cols, "CPU Cores", "%lld %.2f%%", (long long)jint(v, "cores"), jnum(v, "cpu"));
	if (jint(v, "gomaxprocs") > 0)
		cols_row(cols, "GOMAXPROCS", "%lld", (long long)jint(v, "gomaxprocs"));
	cols_row(cols, "Memory", "%s", IBYTES(jint(v, "mem")));
	if (jint(v, "gomemlimit") > 0)
		cols_row(cols, "GOMEMLIMIT", "%s", COMMA(jint(v, "gomemlimit")));
	cols_row(cols, "Connections", "%s", COMMA(jint(v, "connections")));
	cols_row(cols, "Subscriptions", "%s", COMMA(jint(v, "subscriptions")));
	cols_row(cols, "Messages", "%s in %s out", COMMA(jint(v, "in_msgs")),
		 COMMA(jint(v, "out_msgs")));
	cols_row(cols, "Bytes", "%s in %s out", IBYTES(jint(v, "in_bytes")),
		 IBYTES(jint(v, "out_bytes")));
	cols_row(cols, "Slow Consumers", "%s", COMMA(jint(v, "slow_consumers")));
}

static void add_clusters(struct cols *cols, const json_t *v)
{
	const json_t *urls = jget(v, "cluster.urls"), *gws = jget(v, "gateway.gateways"), *g;
	CLEAN(json) json_t *names = json_array();
	size_t i;

	if (json_array_size(urls)) {
		cols_section(cols, "Cluster");
		cols_row(cols, "Name", "%s", jstr(v, "cluster.name"));
		cols_strings(cols, "Tags", jget(v, "tags"));
		cols_row(cols, "Host", "%s:%lld", jstr(v, "cluster.addr"),
			 (long long)jint(v, "cluster.cluster_port"));
		add_urls(cols, "URLs", urls);
	}
	if (!json_array_size(gws))
		return;
	cols_section(cols, "Super Cluster");
	cols_row(cols, "Name", "%s", jstr(v, "gateway.name"));
	cols_row(cols, "Host", "%s:%lld", jstr(v, "gateway.host"),
		 (long long)jint(v, "gateway.port"));
	json_array_foreach(gws, i, g)(void)
		json_array_append_new(names, json_string(jstr(g, "name")));
	cols_strings(cols, "Clusters", names);
}

static bool is_server_id(const char *s)
{
	return strlen(s) == 56 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == 56;
}

static void print_info(const json_t *v)
{
	const char *id = jstr(v, "server_id"), *name = jstr(v, "server_name");
	CLEAN(cols) struct cols *cols =
		strcmp(id, name) == 0 ? cols_new("Server information for %s", id)
				      : cols_new("Server information for %s (%s)", name, id);
	const char *ip = jstr(v, "ip");

	cols_section(cols, "Process Details");
	cols_row(cols, "Version", "%s", jstr(v, "version"));
	cols_row(cols, "Git Commit", "%s", jstr(v, "git_commit"));
	cols_row(cols, "Go Version", "%s", jstr(v, "go"));
	cols_row(cols, "Start Time", "%s", LOCALTEXT(jstr(v, "start")));
	cols_row(cols, "Configuration Load Time", "%s", LOCALTEXT(jstr(v, "config_load_time")));
	cols_some(cols, "Configuration Digest", jstr(v, "config_digest"));
	cols_row(cols, "Uptime", "%s", jstr(v, "uptime"));
	cols_section(cols, "Connection Details");
	cols_bool(cols, "Auth Required", jbool(v, "auth_required"));
	cols_bool(cols, "TLS Required", jbool(v, "tls_required"));
	cols_row(cols, "Host", "%s:%lld%s%s%s", jstr(v, "host"), (long long)jint(v, "port"),
		 *ip ? " (" : "", ip, *ip ? ")" : "");
	add_urls(cols, "Client URLs", jget(v, "connect_urls"));
	add_urls(cols, "WebSocket URLs", jget(v, "ws_connect_urls"));
	add_js(cols, jget(v, "jetstream"));
	add_limits(cols, v);
	add_clusters(cols, v);
	cols_print(cols, stdout);
}

static int server_info(struct cli *c, struct err *e)
{
	const char *id = c->argc ? c->argv[0] : "";
	CLEAN(json) json_t *j = NULL;
	char subject[128];
	struct err why;
	int r;

	if (nats_connect(c, e))
		return -1;
	if (is_server_id(id)) {
		(void)snprintf(subject, sizeof(subject), "$SYS.REQ.SERVER.%s.VARZ", id);
		r = nats_request_json(c, subject, json_object(), &j, &why);
	} else {
		json_t *opts = json_pack("{s:b}", "exact_match", 1);

		if (*id)
			(void)json_object_set_new(opts, "server_name", json_string(id));
		r = nats_request_json(c, "$SYS.REQ.SERVER.PING.VARZ", opts, &j, &why);
	}
	if (r && why.code == ERR_BAD_JSON)
		*e = why;
	else if (r)
		err_set(e, why.code, NO_SYSTEM);
	if (r)
		return -1;
	if (jget(j, "error") || !jget(j, "data"))
		return err_set(e, ERR_INTERNAL, "invalid response received: %.120s",
			       jstr(j, "error.description"));
	if (cli_has(c, "json"))
		return nats_print_json(jget(j, "data"), e);
	print_info(jget(j, "data"));
	return 0;
}

/* ---- list ---- */

struct row {
	const json_t *s;
	int64_t rtt;
};

struct listing {
	json_t *all;
	struct row *rows;
	size_t n;
	int64_t start;
};

static const char *sort_key;
static int sort_sign;

static int compare_names(const struct row *x, const struct row *y)
{
	return strcmp(jstr(x->s, "server.name"), jstr(y->s, "server.name"));
}

static int sign_of(double v)
{
	return v > 0 ? 1 : v < 0 ? -1 : 0;
}

/* Ascending in the sense of each key; natscli's own order is the reverse of "less". */
static int by_key(const void *a, const void *b)
{
	static const struct {
		const char *key, *path;
	} numbers[] = {
		{"conns", "statsz.connections"},
		{"conn", "statsz.connections"},
		{"subs", "statsz.subscriptions"},
		{"sub", "statsz.subscriptions"},
		{"mem", "statsz.mem"},
		{"cpu", "statsz.cpu"},
		{"slow", "statsz.slow_consumers"},
	};
	const struct row *x = a, *y = b;
	int r = 0;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (strcmp(sort_key, numbers[i].key) == 0)
			return sort_sign *
			       -sign_of(jnum(x->s, numbers[i].path) - jnum(y->s, numbers[i].path));
	if (strcmp(sort_key, "name") == 0)
		return sort_sign * compare_names(x, y);
	if (strcmp(sort_key, "cluster") == 0) {
		r = strcmp(jstr(x->s, "server.cluster"), jstr(y->s, "server.cluster"));
		return sort_sign * (r ? r : compare_names(x, y));
	}
	if (strcmp(sort_key, "routes") == 0 || strcmp(sort_key, "route") == 0 ||
	    strcmp(sort_key, "gw") == 0 || strcmp(sort_key, "gws") == 0) {
		const char *path = *sort_key == 'r' ? "statsz.routes" : "statsz.gateways";
		double d = (double)json_array_size(jget(x->s, path)) -
			   (double)json_array_size(jget(y->s, path));

		return sort_sign * (d != 0 ? -sign_of(d) : compare_names(x, y));
	}
	if (strcmp(sort_key, "uptime") == 0)
		return sort_sign * strcmp(jstr(x->s, "statsz.start"), jstr(y->s, "statsz.start"));
	return sort_sign * sign_of((double)(x->rtt - y->rtt));
}

static int got_server(void *arg, natsMsg *m, struct err *e)
{
	struct listing *l = arg;
	json_t *j = nats_msg_json(m, 0);
	struct row *rows = realloc(l->rows, (l->n + 1) * sizeof(*rows));

	if (rows)
		l->rows = rows;
	if (!rows || !json_is_object(j) || !json_is_object(jget(j, "server"))) {
		json_decref(j);
		return rows ? err_set(e, ERR_BAD_JSON, "a server answered nonsense")
			    : err_set(e, ERR_NOMEM, NULL);
	}
	(void)json_object_set_new(j, "rtt", json_integer(mono_ns() - l->start));
	(void)json_array_append_new(l->all, j);
	l->rows[l->n++] = (struct row){j, mono_ns() - l->start};
	return 0;
}

static const char *slow_text(const json_t *s, char out[static 96])
{
	static const char *const keys[] = {"clients", "routes", "gateways", "leafs"};
	const json_t *by = jget(s, "statsz.slow_consumer_stats");
	char parts[80] = "";
	size_t n = 0;
	bool others = false;

	for (int i = 0; i < 4; i++) {
		int64_t v = jint(by, keys[i]);

		if (v <= 0)
			continue;
		n += (size_t)snprintf(parts + n, sizeof(parts) - n, "%s%c: %s", n ? " " : "",
				      keys[i][0], COMMA(v));
		others |= i > 0;
	}
	(void)snprintf(out, 96, others ? "%s (%s)" : "%s", COMMA(jint(s, "statsz.slow_consumers")),
		       parts);
	return out;
}

/* Names of all rows, what they have in common at their ends cut. */
static char **column(const struct listing *l, const char *path, bool compact)
{
	char **names = calloc(l->n + 1, sizeof(*names));

	for (size_t i = 0; names && i < l->n; i++)
		names[i] = strdup(jstr(l->rows[i].s, path));
	if (names && compact)
		report_compact(names, l->n);
	return names;
}

static void free_column(char **names, size_t n)
{
	for (size_t i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
}

static void list_row(struct nt *t, const struct row *r, const char *name, const char *host)
{
	const json_t *s = r->s;
	const char *domain = jstr(s, "server.domain");
	int64_t now = 0, start = 0;
	char slow[96];

	(void)parse_rfc3339(jstr(s, "server.time"), &now);
	(void)parse_rfc3339(jstr(s, "statsz.start"), &start);
	nt_text(t, name);
	nt_text(t, jstr(s, "server.cluster"));
	nt_text(t, host);
	nt_text(t, jstr(s, "server.ver"));
	nt_text(t, !jbool(s, "server.jetstream") ? "no" : *domain ? domain : "yes");
	nt_text(t, COMMA(jint(s, "statsz.connections")));
	nt_text(t, COMMA(jint(s, "statsz.subscriptions")));
	nt_num(t, (int64_t)json_array_size(jget(s, "statsz.routes")));
	nt_num(t, (int64_t)json_array_size(jget(s, "statsz.gateways")));
	nt_text(t, IBYTES(jint(s, "statsz.mem")));
	nt_fmt(t, "%.0f", jnum(s, "statsz.cpu"));
	nt_num(t, jint(s, "statsz.cores"));
	nt_text(t, slow_text(s, slow));
	nt_text(t, DURATION(now - start));
	nt_text(t, DURATION((r->rtt + NS_MS / 2) / NS_MS * NS_MS));
}

/* Sums by cluster: {"name": [nodes, out, in, conns, routes or -1]} */
static json_t *clusters_of(const struct listing *l, bool *routes_ok)
{
	json_t *all = json_object();
	size_t k;
	const json_t *g;

	for (size_t i = 0; i < l->n; i++) {
		const json_t *s = l->rows[i].s, *gws = jget(s, "statsz.gateways");
		const char *name = jstr(s, "server.cluster");
		json_t *row = json_object_get(all, name);
		int64_t in = 0, routes = (int64_t)json_array_size(jget(s, "statsz.routes"));

		if (!*name)
			continue;
		if (!row) {
			row = json_pack("[i, i, i, i, i]", 0, 0, 0, 0, (int)routes);
			(void)json_object_set_new(all, name, row);
		}
		json_array_foreach(gws, k, g) in = nats_add(in, jint(g, "inbound_connections"));
		const int64_t add[4] = {1, (int64_t)json_array_size(gws), in,
					jint(s, "statsz.connections")};

		for (size_t x = 0; x < 4; x++) {
			json_t *v = json_array_get(row, x);

			(void)json_integer_set(v, json_integer_value(v) + add[x]);
		}
		*routes_ok &= json_integer_value(json_array_get(row, 4)) == routes;
	}
	return all;
}

static void list_clusters(const json_t *clusters)
{
	CLEAN(nt) struct nt *t = nt_new("Cluster Overview");
	int64_t sum[4] = {0};
	const char *name;
	json_t *row;

	nt_head(t, "Cluster", "Node Count", "Outgoing Gateways", "Incoming Gateways", "Connections",
		NULL);
	json_object_foreach((json_t *)(uintptr_t)clusters, name, row)
	{
		nt_text(t, name);
		for (size_t i = 0; i < 4; i++) {
			int64_t v = json_integer_value(json_array_get(row, i));

			nt_num(t, v);
			sum[i] += v;
		}
	}
	nt_foot(t);
	nt_text(t, "");
	for (int i = 0; i < 4; i++)
		nt_num(t, sum[i]);
	putchar('\n');
	nt_print(t);
}

static void list_table(const struct listing *l, bool compact)
{
	CLEAN(nt) struct nt *t = nt_new("Server Overview");
	bool routes_ok = true, versions_ok = true, gws_ok = true;
	CLEAN(json) json_t *clusters = clusters_of(l, &routes_ok);
	char **names = column(l, "server.name", compact),
	     **hosts = column(l, "server.host", compact);
	int64_t conns = 0, subs = 0, mem = 0, slow = 0, js = 0;

	nt_head(t, "Name", "Cluster", "Host", "Version", "JS", "Conns", "Subs", "Routes", "GWs",
		"Mem", "CPU %", "Cores", "Slow", "Uptime", "RTT", NULL);
	for (size_t i = 0; names && hosts && i < l->n; i++) {
		const json_t *s = l->rows[i].s, *first = l->rows[0].s;

		list_row(t, &l->rows[i], names[i], hosts[i]);
		conns = nats_add(conns, jint(s, "statsz.connections"));
		subs = nats_add(subs, jint(s, "statsz.subscriptions"));
		mem = nats_add(mem, jint(s, "statsz.mem"));
		slow = nats_add(slow, jint(s, "statsz.slow_consumers"));
		js += jbool(s, "server.jetstream");
		versions_ok &= strcmp(jstr(s, "server.ver"), jstr(first, "server.ver")) == 0;
		gws_ok &= json_array_size(jget(s, "statsz.gateways")) ==
			  json_array_size(jget(first, "statsz.gateways"));
	}
	nt_foot(t);
	nt_text(t, "");
	nt_num(t, (int64_t)json_object_size(clusters));
	nt_num(t, (int64_t)l->n);
	nt_text(t, versions_ok ? "" : "X");
	nt_num(t, js);
	nt_text(t, COMMA(conns));
	nt_text(t, COMMA(subs));
	nt_text(t, routes_ok ? "" : "X");
	nt_text(t, gws_ok ? "" : "X");
	nt_text(t, IBYTES(mem));
	nt_text(t, "");
	nt_text(t, "");
	nt_text(t, COMMA(slow));
	nt_text(t, "");
	nt_text(t, "");
	nt_print(t);
	if (json_object_size(clusters))
		list_clusters(clusters);
	free_column(names, l->n);
	free_column(hosts, l->n);
}

int server_expect(struct cli *c, int *want, struct err *e)
{
	char *end = "";
	long v = c->argc ? strtol(c->argv[0], &end, 10) : 0;

	if (*end || v < 0 || v > 100000)
		return cli_usage(e, "how many servers to expect is a number, not '%.40s'",
				 c->argv[0]);
	*want = (int)v;
	return 0;
}

static int server_list(struct cli *c, struct err *e)
{
	struct listing l = {.all = json_array()};
	const char *sort = cli_str(c, "sort");
	struct err why = {0};
	int want = 0, r = 0;

	if (server_expect(c, &want, e) || nats_connect(c, e))
		return -1;
	l.start = mono_ns();
	if (nats_gather(c, "$SYS.REQ.SERVER.PING", NULL, want, got_server, &l, NULL, &why) &&
	    why.code == ERR_BAD_JSON) {
		*e = why;
		r = -1;
	} else if (!l.n) {
		r = err_set(e, ERR_UNAVAILABLE, NO_SYSTEM);
	} else {
		sort_key = sort ? sort : "rtt";
		sort_sign = cli_has(c, "reverse") ? -1 : 1;
		if (cli_has(c, "json")) {
			r = nats_print_json(l.all, e);
		} else {
			qsort(l.rows, l.n, sizeof(*l.rows), by_key);
			list_table(&l, nats_flag(c, "compact", true));
		}
	}
	free(l.rows);
	json_decref(l.all);
	return r;
}

/* ---- passwd ---- */

static void random_password(char out[static 23])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789@#_-%^&()";
	uint8_t b;

	for (int i = 0; i < 22;) {
		crypto_random(&b, 1);
		if (b < 213)
			out[i++] = letters[b % 71];
	}
	out[22] = '\0';
}

static int hash_password(const char *pass, int64_t cost, char out[static CRYPT_OUTPUT_SIZE],
			 struct err *e)
{
	char salt[CRYPT_GENSALT_OUTPUT_SIZE], raw[16];
	struct crypt_data *data = calloc(1, sizeof(*data));

	if (!data)
		return err_set(e, ERR_NOMEM, NULL);
	crypto_random(raw, sizeof(raw));
	const char *hash =
		crypt_gensalt_rn("$2a$", (unsigned long)cost, raw, sizeof(raw), salt, sizeof(salt))
			? crypt_r(pass, salt, data)
			: NULL;

	if (hash && *hash == '$')
		(void)snprintf(out, CRYPT_OUTPUT_SIZE, "%s", hash);
	else
		hash = NULL;
	secret_wipe(data, sizeof(*data));
	free(data);
	return hash ? 0 : err_set(e, ERR_INTERNAL, "error producing bcrypt hash");
}

static int server_passwd(struct cli *c, struct err *e)
{
	const char *given = cli_str(c, "pass"), *var = getenv("PASSWORD");
	CLEAN(secret) char *pass = secret_alloc(1024);
	char hash[CRYPT_OUTPUT_SIZE];
	struct secret typed = {0};
	int64_t cost = 11;
	bool made = false;

	if (!pass)
		return err_set(e, ERR_NOMEM, NULL);
	if (cli_int(c, "cost", 4, 31, &cost, e))
		return err_set(e, ERR_USAGE, "bcrypt cost should be between 4 and 31");
	given = given ? given : var && *var ? var : NULL;
	if (given) {
		(void)snprintf(pass, 1024, "%s", given);
	} else if (cli_has(c, "generate")) {
		random_password(pass);
		printf("Generated password: %s\n", pass);
		made = true;
	} else {
		if (prompt_passphrase(&typed, "Enter password: ", "Re-enter password: ", 1000,
				      "give --pass or the variable PASSWORD", e))
			return err_wrap(e, "could not read password");
		(void)snprintf(pass, 1024, "%.*s", (int)typed.len, (const char *)typed.p);
		secret_clear(&typed);
	}
	if (strlen(pass) < 10)
		return err_set(e, ERR_BAD_INPUT, "password should be at least 10 characters long");
	/* bcrypt looks at no more, and nats-server says nothing about it. */
	if (strlen(pass) > 72)
		return err_set(e, ERR_BAD_INPUT,
			       "error producing bcrypt hash: bcrypt: password "
			       "length exceeds 72 bytes");
	if (hash_password(pass, cost, hash, e))
		return -1;
	printf("%s%s\n", made || cli_has(c, "generate") ? "       bcrypt hash: " : "", hash);
	return 0;
}

static const struct cli_opt info_opts[] = {{"json", 'j', NULL, "Print JSON"}, {0}};

static const struct cli_opt list_opts[] = {
	{"json", 'j', NULL, "Print JSON"},
	{"sort", 0, "KEY",
	 "name, cluster, conns, subs, routes, gws, mem, cpu, slow, uptime or rtt (default)"},
	{"reverse", 'R', NULL, "The other way round"},
	{"compact", 0, NULL, "Cut what names have in common (on; --no-compact)"},
	{0},
};

static const struct cli_opt passwd_opts[] = {
	{"pass", 'p', "PASSWORD", "The password ($PASSWORD); others can see it here"},
	{"cost", 'c', "N", "Cost of bcrypt (11)"},
	{"generate", 'g', NULL, "Make a password"},
	{0},
};

static const char *const list_examples[] = {"nats server list --context system",
					    "nats server list 3 --sort mem", NULL};
static const char *const passwd_examples[] = {"nats server passwd", "nats server passwd --generate",
					      NULL};

#define SRV "server|srv "

const struct cli_cmd nats_server_cmds[] = {
	{.path = SRV "info|i",
	 .help = "Show a server (system account)",
	 .args = "[SERVER]",
	 .opts = info_opts,
	 .run = server_info},
	{.path = SRV "list|ls",
	 .help = "List servers (system account)",
	 .args = "[EXPECT]",
	 .opts = list_opts,
	 .run = server_list,
	 .examples = list_examples},
	{.path = SRV "passwd|mkpasswd|pass|password",
	 .help = "Make a bcrypt hash of a password for a server's configuration",
	 .opts = passwd_opts,
	 .run = server_passwd,
	 .examples = passwd_examples},
	{0},
};
