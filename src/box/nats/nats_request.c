/* nats server request: a server's monitoring data, as it answers. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "box/nats/js.h"
#include "box/nats/nats_report.h"

/* An option and the member of the request that it becomes. */
struct member {
	const char *option, *key;
	char kind; /* s: text, i: number, b: true, l: list of texts, d: on unless --no- */
};

static const struct member filters[] = {
	{"limit", "limit", 'i'},
	{"offset", "offset", 'i'},
	{"name", "server_name", 's'},
	{"host", "server_host", 's'},
	{"cluster", "cluster", 's'},
	{"tags", "tags", 'l'},
	{0},
};

static void add_member(struct cli *c, const struct member *m, json_t *j)
{
	const char *v = cli_str(c, m->option);

	if (m->kind == 's' && v)
		(void)json_object_set_new(j, m->key, json_string(v));
	else if (m->kind == 'i' && v)
		(void)json_object_set_new(j, m->key, json_integer(strtoll(v, NULL, 10)));
	else if (m->kind == 'b' && cli_has(c, m->option))
		(void)json_object_set_new(j, m->key, json_true());
	else if (m->kind == 'd' && nats_flag(c, m->option, true))
		(void)json_object_set_new(j, m->key, json_true());
	for (size_t i = 0; m->kind == 'l' && i < cli_count(c, m->option); i++) {
		json_t *list = json_object_get(j, m->key);

		if (!list) {
			list = json_array();
			(void)json_object_set_new(j, m->key, list);
		}
		(void)json_array_append_new(list, json_string(cli_nth(c, m->option, i)));
	}
}

static void add_filters(struct cli *c, json_t *j)
{
	for (const struct member *m = filters; m->option; m++)
		add_member(c, m, j);
}

/* How many servers there are, by the first that answers. */
int report_servers(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *j = NULL;

	if (nats_request_json(c, "$SYS.REQ.SERVER.PING", NULL, &j, e))
		return -1;
	int64_t n = jint(j, "statsz.active_servers");

	return n >= 0 && n <= 100000
		       ? (int)n
		       : err_set(e, ERR_BAD_JSON, "a server says that there are %lld servers",
				 (long long)n);
}

static int print_reply(void *arg, natsMsg *m, struct err *e)
{
	(void)e;
	if (*(const bool *)arg) {
		CLEAN(json) json_t *j = nats_msg_json(m, 0);

		if (j && !jint(j, "data.num_connections"))
			return 0;
	}
	nats_bytes(natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m));
	putchar('\n');
	return 0;
}

/* One kind of request: its members besides the filters. */
struct kind {
	const char *path, *name;
	const struct member *members;
};

static const struct member connz[] = {
	{"sort", "sort", 's'},
	{"subscriptions", "subscriptions", 'b'},
	{"subscriptions", "subscriptions_detail", 'b'},
	{"filter-cid", "cid", 'i'},
	{"filter-user", "user", 's'},
	{"filter-account", "acc", 's'},
	{"filter-subject", "filter_subject", 's'},
	{0},
};
static const struct member accountz[] = {{"account", "account", 's'}, {0}};
static const struct member gatewayz[] = {
	{"accounts", "accounts", 'b'}, {"filter-account", "account_name", 's'}, {0}};
static const struct member ipqueuesz[] = {{"all", "all", 'd'}, {"filter", "filter", 's'}, {0}};
static const struct member healthz[] = {
	{"js-enabled", "js-enabled-only", 'b'},
	{"server-only", "js-server-only", 'b'},
	{"account", "account", 's'},
	{"stream", "stream", 's'},
	{"consumer", "consumer", 's'},
	{"details", "details", 'd'},
	{0},
};
static const struct member jsz[] = {
	{"account", "account", 's'},	{"accounts", "accounts", 'b'},
	{"streams", "streams", 'b'},	{"consumer", "consumer", 'b'},
	{"config", "config", 'b'},	{"raft", "raft", 'b'},
	{"leader", "leader_only", 'b'}, {"stream-leader", "stream_leader_only", 'b'},
	{"all", "accounts", 'b'},	{"all", "streams", 'b'},
	{"all", "consumer", 'b'},	{"all", "config", 'b'},
	{"all", "raft", 'b'},		{0},
};
static const struct member subs[] = {{"subscriptions", "subscriptions", 'b'},
				     {"subscriptions", "subscriptions_detail", 'b'},
				     {0}};
static const struct member raftz[] = {{"account", "account", 's'}, {"group", "group", 's'}, {0}};
static const struct member subsz[] = {{"detail", "subscriptions", 'b'},
				      {"filter-account", "account", 's'},
				      {"filter-subject", "test", 's'},
				      {0}};

/* By the last word of the command's path, first alternative. */
static const struct kind kinds[] = {
	{"accounts|", "ACCOUNTZ", accountz},
	{"connections|", "CONNZ", connz},
	{"gateways|", "GATEWAYZ", gatewayz},
	{"ipqueue|", "IPQUEUESZ", ipqueuesz},
	{"jetstream-health|", "HEALTHZ", healthz},
	{"jetstream|", "JSZ", jsz},
	{"leafnodes|", "LEAFZ", subs},
	{"raft|", "RAFTZ", raftz},
	{"routes|", "ROUTEZ", subs},
	{"subscriptions|", "SUBSZ", subsz},
	{"variables|", "VARZ", NULL},
};

static const struct kind *kind_of(const struct cli *c)
{
	const char *word = strrchr(c->cmd->path, ' ') + 1;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(word, kinds[i].path, strlen(kinds[i].path)) == 0)
			return &kinds[i];
	return NULL;
}

/* The request's body; connections and gateways have members of their own kind. */
static json_t *make_body(struct cli *c, const struct kind *k)
{
	const char *state = cli_str(c, "filter-state");
	json_t *j = json_pack("{s:b}", "exact_match", 1);

	add_filters(c, j);
	for (const struct member *m = k->members; m && m->option; m++)
		add_member(c, m, j);
	if (!cli_str(c, "limit"))
		(void)json_object_set_new(j, "limit", json_integer(2048));
	if (strcmp(k->name, "CONNZ") == 0) {
		(void)json_object_set_new(j, "auth", json_true());
		(void)json_object_set_new(j, "state",
					  json_integer(!state			      ? 0
						       : strcmp(state, "closed") == 0 ? 1
						       : strcmp(state, "all") == 0    ? 2
										      : 0));
	}
	if (strcmp(k->name, "GATEWAYZ") == 0) {
		if (c->argc > 1)
			(void)json_object_set_new(j, "name", json_string(c->argv[1]));
		if (cli_str(c, "filter-account"))
			(void)json_object_set_new(j, "accounts", json_true());
		if (cli_str(c, "filter-account") && cli_has(c, "subscriptions")) {
			(void)json_object_set_new(j, "subscriptions", json_true());
			(void)json_object_set_new(j, "subscriptions_detail", json_true());
		}
	}
	return j;
}

static int server_request(struct cli *c, struct err *e)
{
	const struct kind *k = kind_of(c);
	bool skip_empty = cli_has(c, "filter-empty");
	char subject[80], *end = "";
	CLEAN(buf) struct buf b = {0};
	long want = c->argc ? strtol(c->argv[0], &end, 10) : 0;
	int64_t number = 0;

	buf_init(&b, 65536);
	if (*end || want < 0 || want > 100000)
		return cli_usage(e, "how many replies to wait for is a number, not '%.40s'",
				 c->argv[0]);
	if (cli_int(c, "limit", 0, INT32_MAX, &number, e) ||
	    cli_int(c, "offset", 0, INT32_MAX, &number, e))
		return -1;
	CLEAN(json) json_t *j = make_body(c, k);

	if (json_text(j, JSON_ONE_LINE, &b, e) || nats_connect(c, e))
		return -1;
	buf_u8(&b, 0);
	if (cli_str(c, "name") || cli_str(c, "host") || cli_has(c, "leader"))
		want = 1;
	if (want == 0)
		want = report_servers(c, e);
	if (want < 0)
		return -1;
	(void)snprintf(subject, sizeof(subject), "$SYS.REQ.SERVER.PING.%s", k->name);
	size_t n = 0;

	if (nats_gather(c, subject, (char *)b.p, (int)want, print_reply, &skip_empty, &n, e))
		return -1;
	return n ? 0 : err_set(e, ERR_TIMEOUT, "no server has answered");
}

static int server_kick(struct cli *c, struct err *e)
{
	char subject[160], *end;
	long long cid = strtoll(c->argv[0], &end, 10);
	CLEAN(json) json_t *j = NULL;

	if (*end || cid < 1)
		return cli_usage(e, "a client's id is a number, not '%.40s'", c->argv[0]);
	if (strlen(c->argv[1]) > 100 || strpbrk(c->argv[1], " .*>"))
		return cli_usage(e, "'%.60s' is no server's id", c->argv[1]);
	(void)snprintf(subject, sizeof(subject), "$SYS.REQ.SERVER.%s.KICK", c->argv[1]);
	if (nats_request_json(c, subject, json_pack("{s:I}", "cid", (json_int_t)cid), &j, e))
		return -1;
	return nats_print_json(j, e);
}

/* A file name part: a hostile server's name is no path. */
static void file_part(char out[static 128], const char *name)
{
	(void)snprintf(out, 128, "%s", name);
	for (char *s = out; *s; s++)
		if (*s == '/' || *s == '.' || (unsigned char)*s <= ' ' || *s == 0x7f)
			*s = *s == '.' && s != out ? '.' : '_';
}

struct profile {
	const char *dir, *kind;
	char time[32];
};

static int write_profile(void *arg, natsMsg *m, struct err *e)
{
	const struct profile *p = arg;
	CLEAN(json) json_t *j = nats_msg_json(m, 0);
	const char *server = jstr(j, "server.name"), *bad = jstr(j, "data.error");
	CLEAN(buf) struct buf b = {0};
	CLEAN(free) char *path = NULL;
	char part[128];
	struct err why;

	buf_init(&b, (size_t)256 << 20);
	if (!*server && !*bad)
		return 0;
	if (*bad) {
		fprintf(stderr, "Server \"%s\" error: %s\n", SHOWN(server), SHOWN(bad));
		return 0;
	}
	file_part(part, server);
	if (asprintf(&path, "%s/%s-%s-%s", p->dir, p->kind, p->time, part) < 0)
		return err_set(e, ERR_NOMEM, NULL);
	if (js_base64(json_object_get(j, "data"), "profile", &b, &why) ||
	    file_replace(path, b.p, b.len, 0600, &why))
		fprintf(stderr, "Server \"%s\" error: %s\n", SHOWN(server), why.text);
	else
		printf("Server \"%s\" profile written: %s\n", SHOWN(server), path);
	return 0;
}

static int server_profile(struct cli *c, struct err *e)
{
	static const char *const known[] = {"allocs",	    "heap",  "goroutine", "mutex",
					    "threadcreate", "block", "cpu"};
	struct nats_run *r = run_of(c);
	struct profile p = {.kind = c->argv[0], .dir = c->argc > 1 ? c->argv[1] : "."};
	time_t now = time(NULL);
	struct tm tm = {0};
	int64_t level = 0;
	size_t i = 0, n = 0;
	int want;

	while (i < sizeof(known) / sizeof(known[0]) && strcmp(known[i], p.kind) != 0)
		i++;
	if (i == sizeof(known) / sizeof(known[0]))
		return cli_usage(e,
				 "a profile is one of allocs, heap, goroutine, mutex, "
				 "threadcreate, block, cpu, not '%.40s'",
				 p.kind);
	if (cli_int(c, "level", 0, 10, &level, e) || nats_settings(c, e))
		return -1;
	(void)localtime_r(&now, &tm);
	(void)strftime(p.time, sizeof(p.time), "%Y%m%d-%H%M%S", &tm);
	CLEAN(json) json_t *j = json_pack("{s:s, s:I}", "name", p.kind, "debug", (json_int_t)level);
	CLEAN(buf) struct buf b = {0};

	add_filters(c, j);
	/* Who wants longer gives --timeout; the network needs its time too. */
	if (strcmp(p.kind, "cpu") == 0) {
		(void)json_object_set_new(j, "duration", json_integer(r->timeout_ms * NS_MS));
		r->timeout_ms += 2000;
	}
	buf_init(&b, 65536);
	if (json_text(j, JSON_ONE_LINE, &b, e))
		return -1;
	buf_u8(&b, 0);
	want = cli_str(c, "name") || cli_str(c, "host") ? 1 : report_servers(c, e);
	if (want < 0 || nats_gather(c, "$SYS.REQ.SERVER.PING.PROFILEZ", (char *)b.p, want,
				    write_profile, &p, &n, e))
		return -1;
	return n ? 0 : err_set(e, ERR_TIMEOUT, "no server has answered");
}

#define FILTERS                                                                                    \
	{"limit", 0, "N", "At most this many records (2048)"},                                     \
		{"offset", 0, "N", "Start at a record"},                                           \
		{"name", 0, "NAME", "Only the server of this name"},                               \
		{"host", 0, "HOST", "Only the server on this host"},                               \
		{"cluster", 0, "NAME", "Only servers of a cluster"},                               \
		{"tags", 0, "TAG", "Only servers with a tag (may be given again)"}

static const struct cli_opt plain_opts[] = {FILTERS, {0}};
static const struct cli_opt account_opts[] = {
	FILTERS, {"account", 0, "ACCOUNT", "Details of an account"}, {0}};
static const struct cli_opt conn_opts[] = {
	FILTERS,
	{"sort", 0, "KEY", "Sort by cid, start, subs, pending, msgs_to, bytes_from, …"},
	{"subscriptions", 0, NULL, "With subscriptions"},
	{"filter-cid", 0, "CID", "Only one connection"},
	{"filter-state", 0, "STATE", "open (default), closed or all"},
	{"filter-user", 0, "USER", "Only of a user"},
	{"filter-account", 0, "ACCOUNT", "Only of an account"},
	{"filter-subject", 0, "SUBJECT", "Only with interest in a subject"},
	{"filter-empty", 0, NULL, "Not the servers without connections"},
	{0},
};
static const struct cli_opt gateway_opts[] = {
	FILTERS,
	{"accounts", 0, NULL, "With accounts"},
	{"filter-account", 0, "ACCOUNT", "Only an account"},
	{"subscriptions", 0, NULL, "With subscriptions (of --filter-account)"},
	{0},
};
static const struct cli_opt ipq_opts[] = {
	FILTERS,
	{"all", 0, NULL, "All queues (on; --no-all)"},
	{"filter", 0, "NAME", "Only some queues"},
	{0},
};
static const struct cli_opt health_opts[] = {
	FILTERS,
	{"js-enabled", 'J', NULL, "JetStream must be on"},
	{"server-only", 'S', NULL, "Only the server, not streams and consumers"},
	{"account", 0, "ACCOUNT", "Only an account"},
	{"stream", 0, "STREAM", "Only a stream"},
	{"consumer", 0, "CONSUMER", "Only a consumer"},
	{"details", 0, NULL, "With all that is wrong (on; --no-details)"},
	{0},
};
static const struct cli_opt js_opts[] = {
	FILTERS,
	{"account", 0, "ACCOUNT", "Only an account"},
	{"accounts", 0, NULL, "With accounts"},
	{"streams", 0, NULL, "With streams"},
	{"consumer", 0, NULL, "With consumers"},
	{"config", 0, NULL, "With configurations"},
	{"raft", 0, NULL, "With RAFT groups"},
	{"leader", 0, NULL, "Only the meta leader answers"},
	{"stream-leader", 0, NULL, "Only leaders of streams"},
	{"all", 0, NULL, "With all of that"},
	{0},
};
static const struct cli_opt subs_opts[] = {
	FILTERS, {"subscriptions", 0, NULL, "With subscriptions"}, {0}};
static const struct cli_opt raft_opts[] = {
	FILTERS,
	{"account", 0, "ACCOUNT", "Only an account"},
	{"group", 0, "GROUP", "Only a group"},
	{0},
};
static const struct cli_opt subz_opts[] = {
	FILTERS,
	{"detail", 0, NULL, "With each subscription"},
	{"filter-account", 0, "ACCOUNT", "Only an account"},
	{"filter-subject", 0, "SUBJECT", "Only what matches a subject"},
	{0},
};

static const struct cli_opt profile_opts[] = {
	FILTERS, {"level", 0, "N", "How much the profile says"}, {0}};

#define REQ "server|srv request|req "
#define ROW(words, text, operands, options)                                                        \
	{.path = REQ words,                                                                        \
	 .help = text " as JSON (system account)",                                                 \
	 .args = operands,                                                                         \
	 .opts = options,                                                                          \
	 .run = server_request}

const struct cli_cmd nats_request_cmds[] = {
	ROW("accounts|accountz|acct", "Accounts", "[WAIT]", account_opts),
	ROW("connections|conn|connz", "Connections", "[WAIT]", conn_opts),
	ROW("gateways|gateway|gwy|gatewayz", "Gateways", "[WAIT [NAME]]", gateway_opts),
	ROW("ipqueue|ipq|ipqueuesz", "Internal queues", "[WAIT]", ipq_opts),
	ROW("jetstream-health|healthz", "Health", "[WAIT]", health_opts),
	ROW("jetstream|jsz|js", "JetStream", "[WAIT]", js_opts),
	{.path = REQ "kick",
	 .help = "Disconnect a client (system account)",
	 .args = "CID SERVER_ID",
	 .run = server_kick},
	ROW("leafnodes|leaf|leafz", "Leaf nodes", "[WAIT]", subs_opts),
	{.path = REQ "profile",
	 .help = "Write profiles of servers to files (system account)",
	 .args = "PROFILE [DIR]",
	 .opts = profile_opts,
	 .run = server_profile},
	ROW("raft|raftz", "RAFT groups", "[WAIT]", raft_opts),
	ROW("routes|route|routez", "Routes", "[WAIT]", subs_opts),
	ROW("subscriptions|sub|subsz", "Subscriptions", "[WAIT]", subz_opts),
	ROW("variables|var|varz", "Variables", "[WAIT]", plain_opts),
	{0},
};
