/* Checks of connection, request, credential, server and meta group, and the table of all. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/enc.h"
#include "base/file.h"
#include "box/nats/nats_check.h"
#include "box/nats/nats_msg.h"
#include "crypto/crypto.h"
#include "nkey/creds.h"

/* ok, warn or crit by two limits in seconds. */
static void judge_time(struct check *k, double v, double warn, double crit, const char *crit_text,
		       const char *warn_text, const char *ok_text)
{
	if (crit != 0 && v >= crit)
		check_crit(k, "%s", crit_text);
	else if (warn != 0 && v >= warn)
		check_warn(k, "%s", warn_text);
	else
		check_ok(k, "%s", ok_text);
}

static const char *limit_text(char out[static 200], const char *what, double limit)
{
	(void)snprintf(out, 200, "%s %g", what, limit);
	return out;
}

static void check_rtt(struct check *k, const double limits[2])
{
	char w[200], x[200], ok[80];
	int64_t rtt;
	struct err e;

	natsStatus s = natsConnection_GetRTT(run_of(k->c)->nc, &rtt);

	if (s != NATS_OK) {
		conn_err(&e, s, "rtt failed");
		check_crit(k, "%s", e.text);
		return;
	}
	double v = (double)rtt / 1e9;

	check_pd(k, "rtt", v, limits[0], limits[1], "s", "The round-trip-time of the connection");
	(void)snprintf(ok, sizeof(ok), "rtt time %s", GODURATION(rtt));
	judge_time(k, v, limits[0], limits[1], limit_text(x, "rtt time exceeded", limits[1]),
		   limit_text(w, "rtt time exceeded", limits[0]), ok);
}

/* A message to ourselves. */
static void check_round_trip(struct check *k, const double limits[2])
{
	struct nats_run *r = run_of(k->c);
	CLEAN(free) char *inbox = nats_inbox(k->c);
	CLEAN(msg) natsMsg *m = NULL;
	natsSubscription *sub = NULL;
	uint8_t body[100];
	char text[80];

	crypto_random(body, sizeof(body));
	int64_t start = mono_ns();
	natsStatus s = natsConnection_SubscribeSync(&sub, r->nc, inbox);

	if (s == NATS_OK)
		s = natsConnection_Publish(r->nc, inbox, body, sizeof(body));
	if (s == NATS_OK)
		s = natsSubscription_NextMsg(&m, sub, r->timeout_ms);
	double v = (double)(mono_ns() - start) / 1e9;

	natsSubscription_Destroy(sub);
	if (s != NATS_OK) {
		check_crit(k, "did not receive from %s: %s", inbox, natsStatus_GetText(s));
		return;
	}
	check_pd(k, "request_time", v, limits[0], limits[1], "s",
		 "Time taken for a full Request-Reply operation");
	if (natsMsg_GetDataLength(m) != sizeof(body) ||
	    memcmp(natsMsg_GetData(m), body, sizeof(body)) != 0)
		check_crit(k, "did not receive expected message");
	(void)snprintf(text, sizeof(text), "round trip request took %f", v);
	char ok[80];

	(void)snprintf(ok, sizeof(ok), "round trip took %fs", v);
	judge_time(k, v, limits[0], limits[1], text, text, ok);
}

static int check_connection(struct cli *c, struct err *e)
{
	static const char *const names[] = {"connect-warn", "connect-critical", "rtt-warn",
					    "rtt-critical", "req-warn",		"req-critical"};
	double limit[6];
	char url[512], ok[700], x[800], w[800];
	struct check k;

	for (int i = 0; i < 6; i++)
		if (check_seconds(c, names[i], i % 2 ? 1 : 0.5, &limit[i], e))
			return -1;
	check_init(&k, c, "connections", "Connection");
	int64_t start = mono_ns();

	if (!check_connect(&k))
		return check_end(&k, e);
	int64_t took = mono_ns() - start;

	conn_server(run_of(c)->conn, url, sizeof(url));
	check_pd(&k, "connect_time", (double)took / 1e9, limit[0], limit[1], "s",
		 "Time taken to connect to NATS");
	(void)snprintf(ok, sizeof(ok), "connected to %s in %s", url, GODURATION(took));
	(void)snprintf(w, sizeof(w), "connected to %s, connect time exceeded %g", url, limit[0]);
	(void)snprintf(x, sizeof(x), "connected to %s, connect time exceeded %g", url, limit[1]);
	judge_time(&k, (double)took / 1e9, limit[0], limit[1], x, w, ok);
	check_rtt(&k, limit + 2);
	check_round_trip(&k, limit + 4);
	return check_end(&k, e);
}

/* "Name:value" of an option is in the reply's headers? */
static void match_headers(struct check *k, natsMsg *m)
{
	for (size_t i = 0; i < cli_count(k->c, "match-headers"); i++) {
		const char *want = cli_nth(k->c, "match-headers", i), *sep = strpbrk(want, "=:");
		char name[200];

		(void)snprintf(name, sizeof(name), "%.*s", sep ? (int)(sep - want) : 0, want);
		if (!sep || strcmp(msg_header(m, name), sep + 1) != 0)
			check_crit(k, "invalid header \"%s\" = \"%s\"", name, msg_header(m, name));
	}
}

static natsMsg *request_msg(struct cli *c, struct check *k)
{
	const char *payload = cli_str(c, "payload");
	natsMsg *m = NULL;

	payload = payload ? payload : "";
	if (natsMsg_Create(&m, cli_str(c, "subject"), NULL, payload, (int)strlen(payload)) !=
	    NATS_OK)
		return NULL;
	for (size_t i = 0; i < cli_count(c, "headers"); i++) {
		const char *h = cli_nth(c, "headers", i), *sep = strpbrk(h, "=:");
		char name[200];

		(void)snprintf(name, sizeof(name), "%.*s", sep ? (int)(sep - h) : 0, h);
		if (sep)
			(void)natsMsgHeader_Add(m, name, sep + 1);
		else
			check_crit(k, "invalid header \"%s\"", h);
	}
	return m;
}

static int check_request(struct cli *c, struct err *e)
{
	double warn, crit;
	struct check k;

	if (!cli_str(c, "subject"))
		return cli_usage(e, "required flag --subject not provided");
	if (check_seconds(c, "response-warn", 0, &warn, e) ||
	    check_seconds(c, "response-critical", 0, &crit, e))
		return -1;
	check_init(&k, c, "request", "%s", cli_str(c, "subject"));
	if (!check_connect(&k))
		return check_end(&k, e);
	CLEAN(msg) natsMsg *m = request_msg(c, &k), *reply = NULL;
	int64_t start = mono_ns();
	natsStatus s =
		m ? natsConnection_RequestMsg(&reply, run_of(c)->nc, m, run_of(c)->timeout_ms)
		  : NATS_INVALID_SUBJECT;
	int64_t took = (mono_ns() - start + NS_MS / 2) / NS_MS * NS_MS;
	double v = (double)took / 1e9;

	check_pd(&k, "time", v, warn, crit, "s", "How long the request took");
	if (s != NATS_OK) {
		check_crit(&k, "could not send request: %s",
			   s == NATS_NO_RESPONDERS ? "nats: no responders available for request"
			   : s == NATS_TIMEOUT	   ? "nats: timeout"
						   : natsStatus_GetText(s));
		return check_end(&k, e);
	}
	if (!check_regex(&k, "match-payload", natsMsg_GetData(reply),
			 (size_t)natsMsg_GetDataLength(reply)))
		check_crit(&k, "response does not match regexp");
	match_headers(&k, reply);
	if (crit > 0 && v > crit)
		check_crit(&k, "response took %s", GODURATION(took));
	else if (warn > 0 && v > warn)
		check_warn(&k, "response took %s", GODURATION(took));
	if (!json_array_size(k.crit) && !json_array_size(k.warn))
		check_ok(&k, "Valid response");
	return check_end(&k, e);
}

/* Claims of a JWT, not verified: only its times are looked at. */
static json_t *claims_of(struct bytes jwt)
{
	const char *a = memchr(jwt.p, '.', jwt.len), *z;
	CLEAN(free) uint8_t *raw = malloc(jwt.len + 1);
	json_error_t je;
	size_t n;

	z = a ? memchr(a + 1, '.', jwt.len - (size_t)(a + 1 - (const char *)jwt.p)) : NULL;
	if (!z || !raw || enc_unbase64(raw, jwt.len, &n, a + 1, (size_t)(z - a - 1), ENC_URL))
		return NULL;
	return json_loadb((char *)raw, n, 0, &je);
}

static void judge_credential(struct check *k, const json_t *claims, double warn, double crit)
{
	int64_t exp = jint(claims, "exp");
	double until = (double)(exp - now_ns() / NS_S);

	check_pd(k, "expiry", until, warn, crit, "s", "Expiry time in seconds");
	if (!exp && nats_flag(k->c, "require-expiry", true)) {
		check_crit(k, "never expires");
	} else if (exp && crit > 0 && until <= crit) {
		check_crit(k, "expires sooner than %s", DURATION((int64_t)(crit * 1e9)));
	} else if (exp && warn > 0 && until <= warn) {
		check_warn(k, "expires sooner than %s", DURATION((int64_t)(warn * 1e9)));
	} else if (!exp) {
		check_ok(k, "never expires");
	} else {
		char at[48];

		check_ok(k, "expires in %s", fmt_rfc3339(at, exp * NS_S, false, true));
	}
}

static int check_credential(struct cli *c, struct err *e)
{
	const char *path = cli_str(c, "credential");
	CLEAN(buf) struct buf b = {0};
	CLEAN(nkey) struct nkey key = {0};
	CLEAN(json) json_t *claims = NULL;
	double warn, crit;
	struct bytes jwt;
	struct check k;
	struct err why;

	buf_init(&b, 1 << 20);
	b.secret = true;
	if (!path)
		return cli_usage(e, "required flag --credential not provided");
	if (check_seconds(c, "validity-warn", 0, &warn, e) ||
	    check_seconds(c, "validity-critical", 0, &crit, e))
		return -1;
	check_init(&k, c, "credential", "Credential");
	if (file_read(path, &b, &why)) {
		check_crit(&k, "credential not accessible: %s", why.text);
		return check_end(&k, e);
	}
	if (creds_parse(&jwt, &key, path, b.len ? (char *)b.p : "", b.len, &why)) {
		check_crit(&k, "invalid credential: %s", why.text);
		return check_end(&k, e);
	}
	claims = claims_of(jwt);
	if (json_is_object(claims))
		judge_credential(&k, claims, warn, crit);
	else
		check_crit(&k, "invalid credential: the JWT cannot be read");
	return check_end(&k, e);
}

/* A value against two limits; inverted when the critical one is the smaller. */
static void judge_value(struct check *k, const char *name, double v, double warn, double crit,
			bool may_invert)
{
	bool invert = crit < warn;

	if (crit == 0 && warn == 0)
		return;
	if (!may_invert && invert)
		check_crit(k, "%s invalid thresholds", name);
	else if (invert ? v <= crit : v >= crit)
		check_crit(k, "%s %.2f", name, v);
	else if (invert ? v <= warn : v >= warn)
		check_warn(k, "%s %.2f", name, v);
	else
		check_ok(k, "%s %.2f", name, v);
}

static void require(struct check *k, const char *option, bool is, const char *yes, const char *no)
{
	if (!cli_has(k->c, option))
		return;
	if (is)
		check_ok(k, "%s", yes);
	else
		check_crit(k, "%s", no);
}

static void judge_cert(struct check *k, const json_t *vz, double warn, double crit)
{
	static const char *const parts[] = {"server", "cluster", "gateway",
					    "leaf",   "mqtt",	 "websocket"};
	static const char *const names[] = {"server",	"cluster", "gateway",
					    "leafnode", "mqtt",	   "websocket"};
	int64_t now = 0, at;
	bool any = false;

	(void)parse_rfc3339(jstr(vz, "now"), &now);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const char *text = jstr(i ? jget(vz, parts[i]) : vz, "tls_cert_not_after");

		if (!*text || parse_rfc3339(text, &at) || at == INT64_MIN)
			continue;
		int64_t left = (at - now) / NS_S;
		char body[200];

		any = true;
		(void)snprintf(body, sizeof(body),
			       "%s TLS certificate expires in %s (expires_at=%s)", names[i],
			       GODURATION(left * NS_S), text);
		if (left <= 0)
			check_crit(k, "%s TLS certificate expired (expired_at=%s)", names[i], text);
		else if (crit > 0 && (double)left <= crit)
			check_crit(k, "%s", body);
		else if (warn > 0 && (double)left <= warn)
			check_warn(k, "%s", body);
		else
			check_ok(k, "%s", body);
	}
	if (!any)
		check_crit(k, "TLS certificate expiry thresholds configured but no TLS "
			      "certificates found");
}

struct server_limits {
	double cpu[2], mem[2], conn[2], subs[2], up[2], cert[2];
};

static void judge_server(struct check *k, const json_t *vz, const struct server_limits *l)
{
	int64_t now = 0, start = 0;

	require(k, "js-required", jget(vz, "jetstream.config") != NULL, "JetStream enabled",
		"JetStream not enabled");
	require(k, "tls-required", jbool(vz, "tls_required"), "TLS required", "TLS not required");
	require(k, "auth-required", jbool(vz, "auth_required"), "Authentication required",
		"Authentication not required");
	if (l->cert[0] > 0 || l->cert[1] > 0)
		judge_cert(k, vz, l->cert[0], l->cert[1]);
	(void)parse_rfc3339(jstr(vz, "now"), &now);
	(void)parse_rfc3339(jstr(vz, "start"), &start);
	double up = (double)(now - start) / 1e9;
	const char *shown = DURATION(now - start);

	if (l->up[0] > 0 || l->up[1] > 0) {
		if (l->up[1] > l->up[0])
			check_crit(k, "Up invalid thresholds");
		else if (up <= l->up[1])
			check_crit(k, "Up %s", shown);
		else if (up <= l->up[0])
			check_warn(k, "Up %s", shown);
		else
			check_ok(k, "Up %s", shown);
	}
	check_pd(k, "uptime", up, l->up[0], l->up[1], "s", "NATS Server uptime in seconds");
	check_pd(k, "cpu", jnum(vz, "cpu"), l->cpu[0], l->cpu[1], "%",
		 "NATS Server CPU usage in percentage");
	check_pd(k, "mem", jnum(vz, "mem"), l->mem[0], l->mem[1], "",
		 "NATS Server memory usage in bytes");
	check_pd(k, "connections", jnum(vz, "connections"), l->conn[0], l->conn[1], "",
		 "Active connections");
	check_pd(k, "subscriptions", jnum(vz, "subscriptions"), l->subs[0], l->subs[1], "",
		 "Active subscriptions");
	judge_value(k, "CPU", jnum(vz, "cpu"), l->cpu[0], l->cpu[1], false);
	judge_value(k, "Memory", jnum(vz, "mem"), l->mem[0], l->mem[1], false);
	judge_value(k, "Connections", jnum(vz, "connections"), l->conn[0], l->conn[1], true);
	judge_value(k, "Subscriptions", jnum(vz, "subscriptions"), l->subs[0], l->subs[1], true);
}

static int check_server(struct cli *c, struct err *e)
{
	const char *name = cli_str(c, "name");
	CLEAN(json) json_t *j = NULL;
	struct server_limits l;
	struct check k;
	struct err why;

	if (!name)
		return cli_usage(e, "required flag --name not provided");
	if (check_number(c, "cpu-warn", 0, &l.cpu[0], e) ||
	    check_number(c, "cpu-critical", 0, &l.cpu[1], e) ||
	    check_number(c, "mem-warn", 0, &l.mem[0], e) ||
	    check_number(c, "mem-critical", 0, &l.mem[1], e) ||
	    check_number(c, "conn-warn", 0, &l.conn[0], e) ||
	    check_number(c, "conn-critical", 0, &l.conn[1], e) ||
	    check_number(c, "subs-warn", 0, &l.subs[0], e) ||
	    check_number(c, "subs-critical", 0, &l.subs[1], e) ||
	    check_seconds(c, "uptime-warn", 0, &l.up[0], e) ||
	    check_seconds(c, "uptime-critical", 0, &l.up[1], e) ||
	    check_seconds(c, "tls-cert-warn", 0, &l.cert[0], e) ||
	    check_seconds(c, "tls-cert-crit", 0, &l.cert[1], e))
		return -1;
	check_init(&k, c, "server", "%s", name);
	if (!check_connect(&k))
		return check_end(&k, e);
	if (nats_request_json(c, "$SYS.REQ.SERVER.PING.VARZ",
			      json_pack("{s:s, s:b}", "server_name", name, "exact_match", 1), &j,
			      &why))
		check_crit(&k, "varz failed: %s", why.text);
	else if (!jget(j, "data"))
		check_crit(&k, "varz failed: no data received for %s", name);
	else if (strcmp(jstr(j, "data.server_name"), name) != 0)
		check_crit(&k, "result from wrong server \"%s\"", jstr(j, "data.server_name"));
	else
		judge_server(&k, jget(j, "data"), &l);
	return check_end(&k, e);
}

static void judge_meta(struct check *k, const json_t *meta, double expect, double lag, double seen)
{
	const json_t *peers = jget(meta, "replicas"), *p;
	int not_current = 0, inactive = 0, offline = 0, lagged = 0;
	size_t i;
	double n = (double)json_array_size(peers) + 1;

	check_pd(k, "peers", n, expect, expect, "", "Configured RAFT peers");
	if (expect > 0 && n != expect)
		check_crit(k, "%.0f peers of expected %.0f", n, expect);
	json_array_foreach(peers, i, p)
	{
		not_current += !jbool(p, "current");
		offline += jbool(p, "offline");
		inactive += seen > 0 && jnum(p, "active") > seen * 1e9;
		lagged += lag > 0 && jnum(p, "lag") > lag;
	}
	check_pd(k, "peer_offline", offline, 0, 0, "", "Offline RAFT peers");
	check_pd(k, "peer_not_current", not_current, 0, 0, "", "RAFT peers that are not current");
	check_pd(k, "peer_inactive", inactive, 0, 0, "", "Inactive RAFT peers");
	check_pd(k, "peer_lagged", lagged, 0, 0, "",
		 "RAFT peers that are lagged more than configured threshold");
	if (not_current)
		check_crit(k, "%d not current", not_current);
	if (inactive)
		check_crit(k, "%d inactive more than %s", inactive,
			   GODURATION((int64_t)(seen * 1e9)));
	if (offline)
		check_crit(k, "%d offline", offline);
	if (lagged)
		check_crit(k, "%d lagged more than %.0f ops", lagged, lag);
	if (!json_array_size(k->crit) && !json_array_size(k->warn))
		check_ok(k, "%.0f peers led by %s", n, jstr(meta, "leader"));
}

static int check_meta(struct cli *c, struct err *e)
{
	static const char *const needed[] = {"expect", "lag-critical", "seen-critical"};
	double expect, lag, seen;
	CLEAN(json) json_t *j = NULL;
	struct check k;
	struct err why;

	for (int i = 0; i < 3; i++)
		if (!cli_str(c, needed[i]))
			return cli_usage(e, "required flag --%s not provided", needed[i]);
	if (check_number(c, "expect", 0, &expect, e) ||
	    check_number(c, "lag-critical", 0, &lag, e) ||
	    check_seconds(c, "seen-critical", 0, &seen, e))
		return -1;
	check_init(&k, c, "meta", "JetStream Meta Cluster");
	if (!check_connect(&k))
		return check_end(&k, e);
	const json_t *meta = NULL;

	if (nats_request_json(c, "$SYS.REQ.SERVER.PING.JSZ", json_pack("{s:b}", "leader_only", 1),
			      &j, &why))
		check_crit(&k, "JSZ API request failed: %s", why.text);
	else if (!jget(j, "data"))
		check_crit(&k, "no JSZ response received");
	else if (!(meta = jget(j, "data.meta_cluster")))
		check_crit(&k, "no cluster information");
	else if (!*jstr(meta, "leader"))
		check_crit(&k, "No leader");
	else
		judge_meta(&k, meta, expect, lag, seen);
	return check_end(&k, e);
}

static const struct cli_opt connection_opts[] = {
	CHECK_OPTS,
	{"connect-warn", 0, "DURATION", "Warn when connecting takes longer (500ms)"},
	{"connect-critical", 0, "DURATION", "Critical when connecting takes longer (1s)"},
	{"rtt-warn", 0, "DURATION", "Warn when a round trip takes longer (500ms)"},
	{"rtt-critical", 0, "DURATION", "Critical when a round trip takes longer (1s)"},
	{"req-warn", 0, "DURATION", "Warn when a message to ourselves takes longer (500ms)"},
	{"req-critical", 0, "DURATION", "Critical when it takes longer (1s)"},
	{0},
};

static const struct cli_opt request_opts[] = {
	CHECK_OPTS,
	{"subject", 0, "SUBJECT", "Where the request goes"},
	{"payload", 0, "TEXT", "Body of the request"},
	{"headers", 0, "K=V", "Header of the request (may be given again)"},
	{"match-payload", 0, "REGEX", "What the reply's body must match"},
	{"match-headers", 0, "K=V", "Header that the reply must have (may be given again)"},
	{"response-warn", 0, "DURATION", "Warn when the reply takes longer"},
	{"response-critical", 0, "DURATION", "Critical when the reply takes longer"},
	{0},
};

static const struct cli_opt credential_opts[] = {
	CHECK_OPTS,
	{"credential", 0, "FILE", "The creds file"},
	{"validity-warn", 0, "DURATION", "Warn when it expires within this time"},
	{"validity-critical", 0, "DURATION", "Critical when it expires within this time"},
	{"require-expiry", 0, NULL, "It must expire at some time (on; --no-require-expiry)"},
	{0},
};

static const struct cli_opt server_opts[] = {
	CHECK_OPTS,
	{"name", 0, "NAME", "Name of the server"},
	{"cpu-warn", 0, "PERCENT", "Warn at this CPU use"},
	{"cpu-critical", 0, "PERCENT", "Critical at this CPU use"},
	{"mem-warn", 0, "BYTES", "Warn at this memory use"},
	{"mem-critical", 0, "BYTES", "Critical at this memory use"},
	{"conn-warn", 0, "N", "Warn at this many connections"},
	{"conn-critical", 0, "N", "Critical at this many (or so few, when below the warning)"},
	{"subs-warn", 0, "N", "Warn at this many subscriptions"},
	{"subs-critical", 0, "N", "Critical at this many (or so few, when below the warning)"},
	{"uptime-warn", 0, "DURATION", "Warn when it started within this time"},
	{"uptime-critical", 0, "DURATION", "Critical when it started within this time"},
	{"auth-required", 0, NULL, "It must require authentication"},
	{"tls-required", 0, NULL, "It must require TLS"},
	{"js-required", 0, NULL, "It must have JetStream"},
	{"tls-cert-warn", 0, "DURATION", "Warn when a certificate expires within this time"},
	{"tls-cert-crit", 0, "DURATION", "Critical when one expires within this time"},
	{0},
};

static const struct cli_opt meta_opts[] = {
	CHECK_OPTS,
	{"expect", 0, "SERVERS", "Number of servers"},
	{"lag-critical", 0, "OPS", "Critical when a peer is further behind"},
	{"seen-critical", 0, "DURATION", "Critical when a peer was not seen for longer"},
	{0},
};

static const char *const connection_examples[] = {
	"nats server check connection",
	"nats server check --format json connection --rtt-warn 50ms", NULL};
static const char *const stream_examples[] = {
	"nats server check stream --stream ORDERS --peer-expect 3 --peer-lag-critical 100", NULL};

#define CHECK "server|srv check "

const struct cli_cmd nats_check_cmds[] = {
	{.path = CHECK "connection|conn",
	 .help = "Check connecting and round trips",
	 .opts = connection_opts,
	 .run = check_connection,
	 .examples = connection_examples,
	 .about = "Exit status 0 OK, 1 WARNING, 2 CRITICAL; always 0 with --format prometheus."},
	{.path = CHECK "stream",
	 .help = "Check a stream: replicas, sources, mirror, messages",
	 .opts = check_stream_opts,
	 .run = check_stream,
	 .examples = stream_examples},
	{.path = CHECK "consumer",
	 .help = "Check a consumer",
	 .opts = check_consumer_opts,
	 .run = check_consumer},
	{.path = CHECK "message",
	 .help = "Check the last message of a subject in a stream",
	 .opts = check_message_opts,
	 .run = check_message},
	{.path = CHECK "meta|raft",
	 .help = "Check JetStream's meta group (system account)",
	 .opts = meta_opts,
	 .run = check_meta},
	{.path = CHECK "request|req",
	 .help = "Check a service by a request",
	 .opts = request_opts,
	 .run = check_request},
	{.path = CHECK "jetstream|js",
	 .help = "Check JetStream's use of the account",
	 .opts = check_js_opts,
	 .run = check_js},
	{.path = CHECK "server",
	 .help = "Check a server (system account)",
	 .opts = server_opts,
	 .run = check_server},
	{.path = CHECK "kv",
	 .help = "Check a key-value bucket",
	 .opts = check_kv_opts,
	 .run = check_kv},
	{.path = CHECK "credential",
	 .help = "Check when a creds file expires",
	 .opts = credential_opts,
	 .run = check_credential},
	{.path = CHECK "exporter",
	 .help = "Serve the checks of a file to Prometheus, at /metrics",
	 .opts = exporter_opts,
	 .run = exporter_run,
	 .about = "The file is YAML: 'checks', a list of 'name', 'kind' (the word of a check), "
		  "'properties'\nand 'context'. Each is made for each request, all at the same "
		  "time."},
	{0},
};
