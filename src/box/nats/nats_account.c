/* nats account: what the server tells us about ourselves. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "box/nats/nats.h"
#include "box/nats/nats_report.h"

/* Address of the server, as host:port; "" when it cannot be told. */
static const char *server_address(const char *url, char out[static 128])
{
	const struct addrinfo want = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	const char *s = strstr(url, "://"), *colon;
	char host[256];

	s = s ? s + 3 : url;
	(void)snprintf(host, sizeof(host), "%.255s", s);
	colon = strrchr(host, ':');
	out[0] = '\0';
	if (!colon)
		return out;
	char port[8], text[INET6_ADDRSTRLEN];

	(void)snprintf(port, sizeof(port), "%s", colon + 1);
	host[colon - host] = '\0';
	if (getaddrinfo(host, port, &want, &list) == 0 && list &&
	    getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text), NULL, 0,
			NI_NUMERICHOST) == 0)
		(void)snprintf(out, 128, "%s:%s", text, port);
	if (list)
		freeaddrinfo(list);
	return out;
}

/* Only a system account gets an answer here. */
static bool is_system(struct nats_run *r)
{
	CLEAN(msg) natsMsg *m = NULL;

	return natsConnection_RequestString(&m, r->nc, "$SYS.REQ.SERVER.PING", "", 500) == NATS_OK;
}

static void add_user(struct nats_run *r, struct cols *cols, const json_t *data)
{
	const char *name = jstr(data, "user_name"), *user = jstr(data, "user");

	if (*name)
		cols_row(cols, "User", "%s (%s)", name, user);
	else
		cols_row(cols, "User", "%s", user);
	if (*jstr(data, "account_name")) {
		cols_row(cols, "Account", "%s (%s)", jstr(data, "account_name"),
			 jstr(data, "account"));
		cols_bool(cols, "System Account", is_system(r));
	} else {
		cols_row(cols, "Account", "%s", jstr(data, "account"));
	}
	cols_row(cols, "Expires", "%s",
		 jint(data, "expires") ? DURATION(jint(data, "expires")) : "never");
}

static void add_connection(struct nats_run *r, struct cols *cols, const json_t *info)
{
	char url[512], id[128] = "", *ip = NULL, *local = NULL, address[128];
	const json_t *srv = jget(info, "server");
	uint64_t client = 0;
	int64_t rtt = 0;
	int port = 0;

	(void)natsConnection_GetClientID(r->nc, &client);
	(void)natsConnection_GetClientIP(r->nc, &ip);
	(void)natsConnection_GetLocalIPAndPort(r->nc, &local, &port);
	(void)natsConnection_GetRTT(r->nc, &rtt);
	(void)natsConnection_GetConnectedServerId(r->nc, id, sizeof(id));
	conn_server(r->conn, url, sizeof(url));
	cols_row(cols, "Client ID", "%llu", (unsigned long long)client);
	if (local && ip && strcmp(local, ip) != 0)
		cols_row(cols, "Client IP", "%s (%s:%d)", ip, local, port);
	else
		cols_row(cols, "Client IP", "%s", ip ? ip : "");
	cols_row(cols, "RTT", "%s", DURATION(rtt));
	cols_bool(cols, "Headers Supported", natsConnection_HasHeaderSupport(r->nc) == NATS_OK);
	cols_row(cols, "Maximum Payload", "%s", IBYTES(natsConnection_GetMaxPayload(r->nc)));
	cols_some(cols, "Connected Cluster", jstr(srv, "cluster"));
	cols_row(cols, "Connected URL", "%s", url);
	cols_row(cols, "Connected Address", "%s", server_address(url, address));
	cols_row(cols, "Connected Server ID", "%s", id);
	cols_some(cols, "Connected Server Version", jstr(srv, "ver"));
	if (strcmp(jstr(srv, "name"), id) != 0)
		cols_some(cols, "Connected Server Name", jstr(srv, "name"));
	cols_row(cols, "TLS Connection", "%s", conn_secure(r->conn) ? "yes" : "no");
	free(ip);
	free(local);
}

static void add_permission(struct cols *cols, const char *title, const json_t *p)
{
	const json_t *allow = jget(p, "allow"), *deny = jget(p, "deny");

	if (!json_array_size(allow) && !json_array_size(deny))
		return;
	cols_indent(cols, 2);
	cols_line(cols, title);
	cols_strings(cols, "Allow", allow);
	if (json_array_size(deny)) {
		cols_line(cols, NULL);
		cols_strings(cols, "Deny", deny);
	}
	cols_indent(cols, 0);
}

/* "1.0 MiB of Unlimited (2 GiB reserved)" */
static void add_usage(struct cols *cols, const char *label, int64_t used, int64_t max,
		      int64_t reserved)
{
	char note[64] = "";

	if (reserved > 0)
		(void)snprintf(note, sizeof(note), "(%s reserved)", IBYTES(reserved));
	cols_row(cols, label, "%s of %s %s", IBYTES(used), max == -1 ? "Unlimited" : IBYTES(max),
		 note);
}

static void add_tier(struct cols *cols, const char *name, const json_t *t)
{
	const json_t *lim = jget(t, "limits");
	int64_t ack = jint(lim, "max_ack_pending"), mem = jint(lim, "memory_max_stream_bytes");
	int64_t store = jint(lim, "storage_max_stream_bytes");

	cols_indent(cols, 2);
	cols_section(cols, "Tier: %s", name);
	cols_indent(cols, 6);
	cols_section(cols, "Configuration Requirements");
	cols_bool(cols, "Stream Requires Max Bytes Set", jbool(lim, "max_bytes_required"));
	cols_row(cols, "Consumer Maximum Ack Pending", "%s", ack <= 0 ? "Unlimited" : COMMA(ack));
	cols_section(cols, "Stream Resource Usage Limits");
	add_usage(cols, "Memory", jint(t, "memory"), jint(lim, "max_memory"),
		  jint(t, "reserved_memory"));
	cols_row(cols, "Memory Per Stream", "%s", mem <= 0 ? "Unlimited" : IBYTES(mem));
	add_usage(cols, "Storage", jint(t, "storage"), jint(lim, "max_storage"),
		  jint(t, "reserved_storage"));
	cols_row(cols, "Storage Per Stream", "%s", store <= 0 ? "Unlimited" : IBYTES(store));
	if (jint(lim, "max_streams") == -1)
		cols_row(cols, "Streams", "%s of Unlimited", COMMA(jint(t, "streams")));
	else
		cols_row(cols, "Streams", "%s of %s", COMMA(jint(t, "streams")),
			 COMMA(jint(lim, "max_streams")));
	if (jint(lim, "max_consumers") == -1)
		cols_row(cols, "Consumers", "Unlimited");
	else
		cols_row(cols, "Consumers", "Maximum %s per stream",
			 COMMA(jint(lim, "max_consumers")));
	cols_indent(cols, 0);
}

static void add_jetstream(struct cli *c, struct cols *cols)
{
	struct nats_run *r = run_of(c);
	CLEAN(json) json_t *info = NULL;
	const char *domain, *name;
	struct err e;
	json_t *tier;

	if (nats_js_request(c, NULL, &info, &e, "INFO")) {
		char text[400];

		if (e.code == ERR_TIMEOUT)
			(void)snprintf(text, sizeof(text), "   No response from JetStream server");
		else if (e.code == ERR_NO_RESPONDERS)
			(void)snprintf(text, sizeof(text),
				       "   JetStream is not supported in this account");
		else
			(void)snprintf(text, sizeof(text),
				       "   Could not obtain account information:  %s", e.text);
		cols_line(cols, NULL);
		cols_line(cols, text);
		return;
	}
	domain = jstr(info, "domain");
	if (*domain)
		cols_section(cols, "JetStream Account Information for domain %s", domain);
	else
		cols_section(cols, "JetStream Account Information");
	cols_section(cols, "Account Usage");
	cols_some(cols, "Domain", domain);
	cols_row(cols, "Storage", "%s", IBYTES(jint(info, "storage")));
	cols_row(cols, "Memory", "%s", IBYTES(jint(info, "memory")));
	cols_row(cols, "Streams", "%s", COMMA(jint(info, "streams")));
	cols_row(cols, "Consumers", "%s", COMMA(jint(info, "consumers")));
	cols_section(cols, "Account Limits");
	cols_row(cols, "Max Message Payload", "%s", IBYTES(natsConnection_GetMaxPayload(r->nc)));
	if (!json_object_size(jget(info, "tiers")))
		add_tier(cols, "Default", info);
	json_object_foreach(json_object_get(info, "tiers"), name, tier) add_tier(cols, name, tier);
}

static int account_info(struct cli *c, struct err *e)
{
	struct nats_run *r = run_of(c);
	CLEAN(json) json_t *info = NULL;
	struct err why;

	if (nats_connect(c, e))
		return -1;
	/* Servers before 2.10 do not tell. */
	if (nats_request_json(c, "$SYS.REQ.USER.INFO", NULL, &info, &why) == 0 &&
	    cli_has(c, "json"))
		return nats_print_json(info, e);
	CLEAN(cols) struct cols *cols = cols_new("Account Information");
	const json_t *data = jget(info, "data");

	if (data && !jget(info, "error"))
		add_user(r, cols, data);
	add_connection(r, cols, info);
	if (jget(data, "permissions")) {
		cols_section(cols, "Connection Permissions");
		add_permission(cols, "Publish:", jget(data, "permissions.publish"));
		cols_line(cols, NULL);
		add_permission(cols, "Subscribe:", jget(data, "permissions.subscribe"));
		cols_line(cols, NULL);
	}
	add_jetstream(c, cols);
	cols_print(cols, stdout);
	return 0;
}

static int account_connections(struct cli *c, struct err *e)
{
	return report_connections(c, "$SYS.REQ.ACCOUNT.PING.CONNZ", e);
}

/* One row for each server that knows of the account. */
static int account_statistics(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *all = NULL;
	CLEAN(nt) struct nt *t = nt_new("Server Statistics");
	static const char *const sums[] = {"conns",	    "leafnodes",      "sent.bytes",
					   "sent.msgs",	    "received.bytes", "received.msgs",
					   "slow_consumers"};
	int64_t total[7] = {0};
	json_t *s;
	size_t i;

	if (nats_gather_json(c, "$SYS.REQ.ACCOUNT.PING.STATZ", NULL, 0, &all, e))
		return -1;
	if (!json_array_size(all))
		return err_set(e, ERR_TIMEOUT, "did not get results from any servers");
	nt_head(t, "Server", "Cluster", "Version", "Tags", "Connections", "Subscriptions",
		"Leafnodes", "Sent Bytes", "Sent Messages", "Received Bytes", "Received Messages",
		"Slow Consumers", NULL);
	json_array_foreach(all, i, s)
	{
		const json_t *a = json_array_get(jget(s, "data.account_statz"), 0);

		if (!a)
			continue;
		for (size_t k = 0; k < 7; k++)
			total[k] = nats_add(total[k], jint(a, sums[k]));
		nt_text(t, jstr(s, "server.host"));
		nt_text(t, jstr(s, "server.cluster"));
		nt_text(t, jstr(s, "server.ver"));
		report_tags(t, jget(s, "server.tags"));
		nt_text(t, COMMA(jint(a, "conns")));
		nt_text(t, COMMA(jint(a, "num_subscriptions")));
		nt_text(t, COMMA(jint(a, "leafnodes")));
		nt_text(t, IBYTES(jint(a, "sent.bytes")));
		nt_text(t, COMMA(jint(a, "sent.msgs")));
		nt_text(t, IBYTES(jint(a, "received.bytes")));
		nt_text(t, COMMA(jint(a, "received.msgs")));
		nt_text(t, COMMA(jint(a, "slow_consumers")));
	}
	nt_foot(t);
	nt_num(t, (int64_t)json_array_size(all));
	for (int k = 0; k < 3; k++)
		nt_text(t, "");
	nt_text(t, COMMA(total[0]));
	/* natscli has no sum of subscriptions, and one column less here. */
	nt_text(t, "");
	nt_text(t, COMMA(total[1]));
	nt_text(t, IBYTES(total[2]));
	nt_text(t, COMMA(total[3]));
	nt_text(t, IBYTES(total[4]));
	nt_text(t, COMMA(total[5]));
	nt_text(t, COMMA(total[6]));
	nt_print(t);
	putchar('\n');
	return 0;
}

static const struct cli_opt info_opts[] = {
	{"json", 'j', NULL, "Print what the server says as JSON"}, {0}};

static const char *const info_examples[] = {"nats account info",
					    "nats account info --creds me.creds", NULL};

const struct cli_cmd nats_account_cmds[] = {
	{.path = "account|a info|nfo",
	 .help = "Show our user, connection, permissions and JetStream limits",
	 .opts = info_opts,
	 .run = account_info,
	 .examples = info_examples},
	{.path = "account|a report|rep connections|conn|connz|conns",
	 .help = "Connections of the account",
	 .opts = report_conn_opts,
	 .run = account_connections},
	{.path = "account|a report|rep statistics|stats|statsz",
	 .help = "What the account moves on each server",
	 .run = account_statistics},
	{0},
};
