/* nats server report: what all servers say together, as tables. */
#include "box/nats/nats_report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "box/nats/nats_graph.h"

void report_tags(struct nt *t, const json_t *arr)
{
	CLEAN(buf) struct buf b = {0};
	size_t i;
	const json_t *v;

	buf_init(&b, 65536);
	json_array_foreach(arr, i, v) if (json_is_string(v))
		buf_printf(&b, "%s%s", b.len ? ", " : "", json_string_value(v));
	buf_u8(&b, 0);
	nt_text(t, b.bad ? "" : (char *)b.p);
}

void report_compact(char **names, size_t n)
{
	size_t cut = 0, shortest = SIZE_MAX;

	for (size_t i = 0; i < n; i++) {
		if (!names[i]) /* no memory for it */
			return;
		if (strlen(names[i]) < shortest)
			shortest = strlen(names[i]);
	}
	/* The longest common end that begins with a dot; the first word stays. */
	for (size_t k = 1; n && k < shortest; k++) {
		const char *end = names[0] + strlen(names[0]) - k;
		bool same = true;

		for (size_t i = 1; i < n && same; i++)
			same = strcmp(names[i] + strlen(names[i]) - k, end) == 0;
		if (!same)
			break;
		if (*end == '.')
			cut = k;
	}
	for (size_t i = 0; i < n; i++)
		names[i][strlen(names[i]) - cut] = '\0';
}

int report_ask(struct cli *c, const char *subject, json_t *options, int want, json_t **out,
	       struct err *e)
{
	json_t *j = options ? options : json_object(), *s;
	size_t i;

	if (cli_str(c, "host"))
		(void)json_object_set_new(j, "server_name", json_string(cli_str(c, "host")));
	if (cli_str(c, "cluster"))
		(void)json_object_set_new(j, "cluster", json_string(cli_str(c, "cluster")));
	for (i = 0; i < cli_count(c, "tags"); i++) {
		if (i == 0)
			(void)json_object_set_new(j, "tags", json_array());
		(void)json_array_append_new(json_object_get(j, "tags"),
					    json_string(cli_nth(c, "tags", i)));
	}
	if (nats_gather_json(c, subject, j, want, out, e))
		return -1;
	if (!json_array_size(*out)) {
		json_decref(*out);
		*out = NULL;
		return err_set(e, ERR_TIMEOUT, "did not get results from any servers");
	}
	json_array_foreach(*out, i, s) if (jget(s, "error") || !json_is_object(jget(s, "server")))
	{
		err_set(e, ERR_INTERNAL, "invalid response received: %.120s",
			jstr(s, "error.description"));
		json_decref(*out);
		*out = NULL;
		return -1;
	}
	return 0;
}

int report_limit(struct cli *c, int i, int *want, struct err *e)
{
	char *end = "";
	long v = c->argc > i ? strtol(c->argv[i], &end, 10) : 0;

	if (*end || v < 0 || v > 100000)
		return cli_usage(e, "the limit of servers is a number, not '%.40s'", c->argv[i]);
	*want = (int)v;
	return 0;
}

/* ---- sorting of JSON objects ---- */

static const char *sort_path, *sort_path2;
static bool sort_text, sort_length;
static int sort_sign;

static int by_path(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;
	int r = 0;

	if (sort_length)
		r = (int)json_array_size(jget(*x, sort_path)) -
		    (int)json_array_size(jget(*y, sort_path));
	else if (sort_text)
		r = strcmp(jstr(*x, sort_path), jstr(*y, sort_path));
	else if (jnum(*x, sort_path) != jnum(*y, sort_path))
		r = jnum(*x, sort_path) < jnum(*y, sort_path) ? -1 : 1;
	if (!r && sort_path2)
		r = strcmp(jstr(*x, sort_path2), jstr(*y, sort_path2));
	return r * sort_sign;
}

/* Items of an array in order; free() it. */
static const json_t **sorted(struct cli *c, const json_t *arr, const char *path, const char *path2,
			     bool text, size_t *n)
{
	const json_t **list;

	*n = json_array_size(arr);
	list = calloc(*n + 1, sizeof(*list));
	for (size_t i = 0; list && i < *n; i++)
		list[i] = json_array_get(arr, i);
	sort_path = path;
	sort_path2 = path2;
	sort_text = text;
	sort_length = strcmp(path, "subscriptions_list") == 0;
	sort_sign = cli_has(c, "reverse") ? -1 : 1;
	if (list)
		qsort(list, *n, sizeof(*list), by_path);
	else
		*n = 0;
	return list;
}

/* ---- connections ---- */

static int connz(struct cli *c, const char *subject, const char *account, int want, json_t **conns,
		 struct err *e)
{
	const char *state = cli_str(c, "state"), *reason = cli_str(c, "closed-reason");
	json_t *opts = json_pack("{s:b, s:b, s:i, s:i}", "subscriptions", 1, "auth", 1, "limit",
				 1024, "state",
				 !state				? 0
				 : strcmp(state, "closed") == 0 ? 1
				 : strcmp(state, "all") == 0	? 2
								: 0);
	CLEAN(json) json_t *all = NULL;
	size_t i, k;
	json_t *s, *one;

	if (state && strcmp(state, "open") != 0 && strcmp(state, "closed") != 0 &&
	    strcmp(state, "all") != 0) {
		json_decref(opts);
		return cli_usage(e, "--state must be one of open,closed,all, got '%.40s'", state);
	}
	if (account && *account)
		(void)json_object_set_new(opts, "acc", json_string(account));
	if (cli_str(c, "username"))
		(void)json_object_set_new(opts, "user", json_string(cli_str(c, "username")));
	if (cli_str(c, "subject"))
		(void)json_object_set_new(opts, "filter_subject",
					  json_string(cli_str(c, "subject")));
	if (report_ask(c, subject, opts, want, &all, e))
		return -1;
	*conns = json_array();
	json_array_foreach(all, i, s) json_array_foreach(jget(s, "data.connections"), k, one)
	{
		if (reason && !strcasestr(jstr(one, "reason"), reason))
			continue;
		(void)json_object_set(one, "server", json_object_get(s, "server"));
		(void)json_array_append(*conns, one);
	}
	return 0;
}

static void conn_row(struct nt *t, const json_t *n, bool reason)
{
	const char *name = jstr(n, "name"), *acc = jstr(n, "account"), *kind = jstr(n, "kind");

	name = *name ? name : jstr(n, "mqtt_client");
	nt_fmt(t, "%.*s%lld", *kind && strcmp(kind, "Client") != 0 ? 1 : 0, kind,
	       (long long)jint(n, "cid"));
	nt_fmt(t, "%.40s%s", name, strlen(name) > 40 ? " .." : "");
	nt_text(t, jstr(n, "server.name"));
	nt_text(t, jstr(n, "server.cluster"));
	nt_fmt(t, "%s:%lld", jstr(n, "ip"), (long long)jint(n, "port"));
	nt_fmt(t, "%.*s%s", strlen(acc) > 46 ? 12 : 46, acc, strlen(acc) > 46 ? " .." : "");
	nt_text(t, jstr(n, "uptime"));
	nt_text(t, COMMA(jint(n, "in_msgs")));
	nt_text(t, COMMA(jint(n, "out_msgs")));
	nt_text(t, IBYTES(jint(n, "in_bytes")));
	nt_text(t, IBYTES(jint(n, "out_bytes")));
	nt_text(t, COMMA(json_array_size(jget(n, "subscriptions_list"))));
	if (reason)
		nt_text(t, jstr(n, "reason"));
}

static void conn_servers(struct cli *c, const json_t *conns)
{
	CLEAN(json) json_t *by = json_object(), *list = json_array();
	CLEAN(nt) struct nt *t = nt_new("Connections per server");
	size_t i, n;
	const json_t *one;
	const char *name;
	json_t *row;

	json_array_foreach(conns, i, one)
	{
		row = json_object_get(by, jstr(one, "server.name"));
		if (!row) {
			row = json_pack("{s:s, s:s, s:i}", "name", jstr(one, "server.name"),
					"cluster", jstr(one, "server.cluster"), "conns", 0);
			(void)json_object_set_new(by, jstr(one, "server.name"), row);
		}
		(void)json_integer_set(json_object_get(row, "conns"),
				       nats_add(jint(row, "conns"), 1));
	}
	json_object_foreach(by, name, row)(void) json_array_append(list, row);
	CLEAN(free) const json_t **rows = sorted(c, list, "conns", "name", false, &n);

	nt_head(t, "Server", "Cluster", "Connections", NULL);
	for (i = 0; i < n; i++) {
		nt_text(t, jstr(rows[i], "name"));
		nt_text(t, jstr(rows[i], "cluster"));
		nt_num(t, jint(rows[i], "conns"));
	}
	if (n) {
		putchar('\n');
		nt_print(t);
	}
}

static const char *conn_sort(struct cli *c, const char **shown, struct err *e)
{
	static const char *const keys[] = {
		"in-bytes", "in_bytes",		 "out-bytes", "out_bytes", "in-msgs", "in_msgs",
		"out-msgs", "out_msgs",		 "uptime",    "start",	   "cid",     "cid",
		"subs",	    "subscriptions_list"};
	const char *key = cli_str(c, "sort");

	*shown = key = key ? key : "subs";
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i += 2)
		if (strcmp(keys[i], key) == 0)
			return keys[i + 1];
	cli_usage(e,
		  "--sort must be one of in-bytes,out-bytes,in-msgs,out-msgs,uptime,cid,subs, "
		  "got '%.40s'",
		  key);
	return NULL;
}

static void conn_table(struct cli *c, const json_t *conns, const char *path, const char *shown,
		       int64_t top)
{
	size_t n;
	CLEAN(free) const json_t **rows =
		sorted(c, conns, path, NULL, strcmp(path, "start") == 0, &n);
	size_t limit = top > 0 && (size_t)top <= n ? (size_t)top : n;
	CLEAN(nt) struct nt *t =
		nt_new("Top %zu Connections out of %s by %s", limit, COMMA(n), shown);
	const char *state = cli_str(c, "state");
	bool reason = state && strcmp(state, "open") != 0;
	int64_t sum[5] = {0};

	nt_head(t, "CID", "Name", "Server", "Cluster", "IP", "Account", "Uptime", "In Msgs",
		"Out Msgs", "In Bytes", "Out Bytes", "Subs", reason ? "Reason" : NULL, NULL);
	/* The youngest connection has the latest start. */
	bool back = strcmp(path, "start") == 0;

	for (size_t i = 0; i < n; i++) {
		const json_t *one = rows[back ? n - 1 - i : i];

		if (i < limit)
			conn_row(t, one, reason);
		sum[0] = nats_add(sum[0], jint(one, "in_msgs"));
		sum[1] = nats_add(sum[1], jint(one, "out_msgs"));
		sum[2] = nats_add(sum[2], jint(one, "in_bytes"));
		sum[3] = nats_add(sum[3], jint(one, "out_bytes"));
		sum[4] = nats_add(sum[4], jint(one, "subscriptions"));
	}
	if (n > 1) {
		nt_foot(t);
		nt_text(t, "");
		nt_fmt(t, "Totals for %s connections", COMMA(n));
		for (int i = 0; i < 5; i++)
			nt_text(t, "");
		nt_text(t, COMMA(sum[0]));
		nt_text(t, COMMA(sum[1]));
		nt_text(t, IBYTES(sum[2]));
		nt_text(t, IBYTES(sum[3]));
		nt_text(t, COMMA(sum[4]));
		if (reason)
			nt_text(t, "");
	}
	putchar('\n');
	nt_print(t);
	conn_servers(c, conns);
}

static int connections(struct cli *c, const char *subject, const char *account, int want,
		       struct err *e)
{
	const char *shown, *path = conn_sort(c, &shown, e);
	CLEAN(json) json_t *conns = NULL;
	int64_t top = 1000;

	if (!path || cli_int(c, "top", 0, INT32_MAX, &top, e) ||
	    connz(c, subject, account, want, &conns, e))
		return -1;
	if (cli_has(c, "json"))
		return nats_print_json(conns, e);
	conn_table(c, conns, path, shown, top);
	return 0;
}

int report_connections(struct cli *c, const char *subject, struct err *e)
{
	return connections(c, subject, cli_str(c, "account"), 0, e);
}

static int server_connections(struct cli *c, struct err *e)
{
	int want;

	if (report_limit(c, 0, &want, e))
		return -1;
	if (want == 0)
		want = report_servers(c, e);
	return want < 0 ? -1
			: connections(c, "$SYS.REQ.SERVER.PING.CONNZ", cli_str(c, "account"), want,
				      e);
}

/* ---- accounts ---- */

static json_t *by_account(const json_t *conns)
{
	static const char *const sums[] = {"in_msgs", "out_msgs", "in_bytes", "out_bytes"};
	json_t *by = json_object(), *list = json_array(), *row;
	size_t i;
	const json_t *one;
	const char *name;

	json_array_foreach(conns, i, one)
	{
		const char *account = jstr(one, "account");

		row = json_object_get(by, account);
		if (!row) {
			row = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i}", "account", account,
					"connections", 0, "in_msgs", 0, "out_msgs", 0, "in_bytes",
					0, "out_bytes", 0, "subscriptions", 0);
			(void)json_object_set_new(by, account, row);
		}
		(void)json_integer_set(json_object_get(row, "connections"),
				       nats_add(jint(row, "connections"), 1));
		for (size_t k = 0; k < 4; k++)
			(void)json_integer_set(json_object_get(row, sums[k]),
					       nats_add(jint(row, sums[k]), jint(one, sums[k])));
		(void)json_integer_set(
			json_object_get(row, "subscriptions"),
			jint(row, "subscriptions") +
				(json_int_t)json_array_size(jget(one, "subscriptions_list")));
	}
	json_object_foreach(by, name, row)(void) json_array_append(list, row);
	json_decref(by);
	return list;
}

static int accounts(struct cli *c, struct err *e)
{
	static const char *const keys[] = {"in-bytes", "in_bytes",    "out-bytes", "out_bytes",
					   "in-msgs",  "in_msgs",     "out-msgs",  "out_msgs",
					   "conns",    "connections", "subs",	   "subscriptions"};
	const char *key = cli_str(c, "sort"), *path = NULL;
	CLEAN(json) json_t *conns = NULL;
	int64_t top = 1000;
	size_t n;
	int want;

	key = key ? key : "subs";
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i += 2)
		path = strcmp(keys[i], key) == 0 ? keys[i + 1] : path;
	if (!path)
		return cli_usage(e,
				 "--sort must be one of in-bytes,out-bytes,in-msgs,out-msgs,"
				 "conns,subs, got '%.40s'",
				 key);
	if (report_limit(c, 1, &want, e) || cli_int(c, "top", 0, INT32_MAX, &top, e))
		return -1;
	if (want == 0)
		want = report_servers(c, e);
	if (want < 0)
		return -1;
	if (c->argc)
		return connections(c, "$SYS.REQ.SERVER.PING.CONNZ", c->argv[0], want, e);
	if (connz(c, "$SYS.REQ.SERVER.PING.CONNZ", NULL, want, &conns, e))
		return -1;
	CLEAN(json) json_t *list = by_account(conns);

	if (cli_has(c, "json"))
		return nats_print_json(list, e);
	CLEAN(free) const json_t **rows = sorted(c, list, path, "account", false, &n);
	size_t from = top > 0 && (size_t)top < n && !cli_has(c, "reverse") ? n - (size_t)top : 0;
	size_t to = top > 0 && (size_t)top < n && cli_has(c, "reverse") ? (size_t)top : n;
	CLEAN(nt) struct nt *t = nt_new("%zu Accounts Overview", to - from);

	nt_head(t, "Account", "Connections", "In Msgs", "Out Msgs", "In Bytes", "Out Bytes", "Subs",
		NULL);
	for (size_t i = from; i < to; i++) {
		nt_text(t, jstr(rows[i], "account"));
		nt_text(t, COMMA(jint(rows[i], "connections")));
		nt_text(t, COMMA(jint(rows[i], "in_msgs")));
		nt_text(t, COMMA(jint(rows[i], "out_msgs")));
		nt_text(t, IBYTES(jint(rows[i], "in_bytes")));
		nt_text(t, IBYTES(jint(rows[i], "out_bytes")));
		nt_text(t, COMMA(jint(rows[i], "subscriptions")));
	}
	putchar('\n');
	nt_print(t);
	return 0;
}

/* ---- CPU and memory ---- */

static void bar(const json_t *s, const char *path, bool bytes, size_t longest, double min,
		double max, bool alone)
{
	double v = jnum(s, path), step = (max - min) / 30;
	int blocks = v == 0 ? 0 : alone || min == max ? 30 : (int)((v - min) / step);
	const char *name = jstr(s, "server.name");
	CLEAN(free) char *clean = nats_clean(name);

	printf("%*s%s: ", (int)(longest - strlen(name) + 2), "", clean ? clean : "?");
	for (int i = 0; i < blocks; i++)
		fputs("█", stdout);
	printf("%s (%s)\n", blocks ? "" : "▏", bytes ? IBYTES(v) : COMMAF(v, 9));
}

static int usage(struct cli *c, bool mem, struct err *e)
{
	const char *path = mem ? "statsz.mem" : "statsz.cpu";
	CLEAN(json) json_t *all = NULL;
	size_t n, longest = 0;
	double min = 0, max = 0;
	int want;

	if (report_limit(c, 0, &want, e) ||
	    report_ask(c, "$SYS.REQ.SERVER.PING", NULL, want, &all, e))
		return -1;
	CLEAN(free) const json_t **rows = sorted(c, all, path, "server.name", false, &n);

	if (cli_has(c, "json")) {
		CLEAN(json) json_t *out = json_object();

		for (size_t i = 0; i < n; i++)
			(void)json_object_set(out, jstr(rows[i], "server.name"),
					      (json_t *)(uintptr_t)jget(rows[i], path));
		return nats_print_json(out, e);
	}
	for (size_t i = 0; i < n; i++) {
		double v = jnum(rows[i], path);
		size_t len = strlen(jstr(rows[i], "server.name"));

		min = i == 0 || v < min ? v : min;
		max = i == 0 || v > max ? v : max;
		longest = len > longest ? len : longest;
	}
	puts(mem ? "Memory Usage\n" : "CPU Usage\n");
	for (size_t i = 0; i < n; i++)
		bar(rows[i], path, mem, longest, min, max, n == 1);
	return 0;
}

static int report_cpu(struct cli *c, struct err *e)
{
	return usage(c, false, e);
}

static int report_mem(struct cli *c, struct err *e)
{
	return usage(c, true, e);
}

/* ---- health ---- */

static void health_rows(struct nt *t, const json_t *s, int *errors)
{
	const json_t *list = jget(s, "data.errors"), *one;
	size_t i, n = json_array_size(list), show = n > 10 ? 9 : n;

	nt_text(t, jstr(s, "server.name"));
	nt_text(t, jstr(s, "server.cluster"));
	nt_text(t, jstr(s, "server.domain"));
	nt_fmt(t, "%s (%lld)", jstr(s, "data.status"), (long long)jint(s, "data.status_code"));
	nt_text(t, "");
	nt_text(t, "");
	*errors += (int)n;
	json_array_foreach(list, i, one)
	{
		if (i == show)
			break;
		for (int k = 0; k < 4; k++)
			nt_text(t, "");
		nt_text(t, jstr(one, "type"));
		nt_text(t, jstr(one, "error"));
	}
	if (show == n)
		return;
	for (int k = 0; k < 3; k++)
		nt_text(t, "");
	nt_fmt(t, "%zu more errors", n - show);
	nt_text(t, "");
	nt_text(t, "");
}

static int health(struct cli *c, struct err *e)
{
	static const char *const texts[] = {"account", "stream", "consumer"};
	json_t *opts = json_pack("{s:b}", "details", 1);
	CLEAN(json) json_t *all = NULL, *clusters = json_object();
	CLEAN(nt) struct nt *t = nt_new("Health Report");
	int want, good = 0, errors = 0;
	size_t n;

	if (cli_has(c, "js-enabled"))
		(void)json_object_set_new(opts, "js-enabled-only", json_true());
	if (cli_has(c, "server-only"))
		(void)json_object_set_new(opts, "js-server-only", json_true());
	for (int i = 0; i < 3; i++)
		if (cli_str(c, texts[i]))
			(void)json_object_set_new(opts, texts[i],
						  json_string(cli_str(c, texts[i])));
	if (report_limit(c, 0, &want, e)) {
		json_decref(opts);
		return -1;
	}
	if (report_ask(c, "$SYS.REQ.SERVER.PING.HEALTHZ", opts, want, &all, e))
		return -1;
	CLEAN(free) const json_t **rows = sorted(c, all, "server.name", NULL, true, &n);

	nt_head(t, "Server", "Cluster", "Domain", "Status", "Type", "Error", NULL);
	for (size_t i = 0; i < n; i++) {
		health_rows(t, rows[i], &errors);
		good += jint(rows[i], "data.status_code") == 200;
		(void)json_object_set_new(clusters, jstr(rows[i], "server.cluster"), json_true());
	}
	nt_foot(t);
	nt_text(t, COMMA(n));
	nt_text(t, COMMA(json_object_size(clusters)));
	nt_text(t, "");
	nt_fmt(t, "ok: %d / err: %d", good, (int)n - good);
	nt_text(t, "");
	nt_text(t, COMMA(errors));
	nt_print(t);
	putchar('\n');
	return 0;
}

const struct cli_opt report_conn_opts[] = {
	{"sort", 0, "KEY", "in-bytes, out-bytes, in-msgs, out-msgs, uptime, cid or subs (default)"},
	{"top", 0, "N", "At most this many (1000)"},
	{"subject", 0, "SUBJECT", "Only with interest in a subject"},
	{"username", 0, "USER", "Only of a user"},
	{"reverse", 'R', NULL, "The other way round"},
	{"state", 0, "STATE", "open (default), closed or all"},
	{"closed-reason", 0, "TEXT", "Only closed for a reason"},
	{"json", 'j', NULL, "Print JSON"},
	{0},
};

static const struct cli_opt server_conn_opts[] = {
	REPORT_OPTS,
	{"account", 0, "ACCOUNT", "Only of an account"},
	{"sort", 0, "KEY", "in-bytes, out-bytes, in-msgs, out-msgs, uptime, cid or subs (default)"},
	{"top", 0, "N", "At most this many (1000)"},
	{"subject", 0, "SUBJECT", "Only with interest in a subject"},
	{"username", 0, "USER", "Only of a user"},
	{"state", 0, "STATE", "open (default), closed or all"},
	{"closed-reason", 0, "TEXT", "Only closed for a reason"},
	{"json", 'j', NULL, "Print JSON"},
	{0},
};

static const struct cli_opt account_opts[] = {
	REPORT_OPTS,
	{"sort", 0, "KEY", "in-bytes, out-bytes, in-msgs, out-msgs, conns or subs (default)"},
	{"top", 0, "N", "At most this many (1000)"},
	{"json", 'j', NULL, "Print JSON"},
	{0},
};

static const struct cli_opt usage_opts[] = {REPORT_OPTS, {"json", 'j', NULL, "Print JSON"}, {0}};

static const struct cli_opt health_opts[] = {
	REPORT_OPTS,
	{"js-enabled", 'J', NULL, "JetStream must be on"},
	{"server-only", 'S', NULL, "Only the server, not streams and consumers"},
	{"account", 0, "ACCOUNT", "Only an account"},
	{"stream", 0, "STREAM", "Only a stream"},
	{"consumer", 0, "CONSUMER", "Only a consumer"},
	{0},
};

static const char *const conn_examples[] = {
	"nats server report connections --sort in-msgs --top 20",
	"nats server report --reverse connections --account ORDERS", NULL};

WATCHED(accounts)
WATCHED(server_connections)
WATCHED(report_cpu)
WATCHED(report_mem)
WATCHED(health)

#define REP "server|srv report|rep "

const struct cli_cmd nats_report_cmds[] = {
	{.path = REP "accounts|acct",
	 .help = "What accounts move (system account)",
	 .args = "[ACCOUNT [LIMIT]]",
	 .opts = account_opts,
	 .run = accounts_watched},
	{.path = REP "connections|conn|connz|conns",
	 .help = "Connections (system account)",
	 .args = "[LIMIT]",
	 .opts = server_conn_opts,
	 .run = server_connections_watched,
	 .examples = conn_examples},
	{.path = REP "cpu",
	 .help = "CPU use of the servers (system account)",
	 .args = "[LIMIT]",
	 .opts = usage_opts,
	 .run = report_cpu_watched},
	{.path = REP "health",
	 .help = "Health of the servers (system account)",
	 .args = "[LIMIT]",
	 .opts = health_opts,
	 .run = health_watched},
	{.path = REP "mem",
	 .help = "Memory use of the servers (system account)",
	 .args = "[LIMIT]",
	 .opts = usage_opts,
	 .run = report_mem_watched},
	{0},
};
