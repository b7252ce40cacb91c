/* Checks of JetStream: streams, consumers, the account. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/nats_check.h"

/* A threshold of an option, else of the metadata of stream or consumer, else 0. */
static int threshold(struct cli *c, const json_t *config, const char *option, const char *meta,
		     bool duration, double *out, struct err *e)
{
	const char *text = cli_str(c, option);
	char key[80];
	int64_t ns;

	*out = 0;
	if (text)
		return duration ? check_seconds(c, option, 0, out, e)
				: check_number(c, option, 0, out, e);
	(void)snprintf(key, sizeof(key), "io.nats.monitor.%s", meta);
	text = json_string_value(json_object_get(jget(config, "metadata"), key));
	if (!text)
		return 0;
	if (duration) {
		if (parse_duration(text, &ns, e))
			return -1;
		*out = (double)ns / 1e9;
	} else {
		*out = strtod(text, NULL);
	}
	return 0;
}

struct stream_limits {
	double lag, seen, min, max, peers, peer_lag, peer_seen, msgs_w, msgs_c, subj_w, subj_c;
};

static int stream_limits(struct cli *c, const json_t *config, struct stream_limits *l,
			 struct err *e)
{
	const struct {
		const char *option, *meta;
		bool duration;
		double *to;
	} rows[] = {
		{"lag-critical", "lag-critical", false, &l->lag},
		{"seen-critical", "seen-critical", true, &l->seen},
		{"min-sources", "min-sources", false, &l->min},
		{"max-sources", "max-sources", false, &l->max},
		{"peer-expect", "peer-expect", false, &l->peers},
		{"peer-lag-critical", "peer-lag-critical", false, &l->peer_lag},
		{"peer-seen-critical", "peer-seen-critical", true, &l->peer_seen},
		{"msgs-warn", "msgs-warn", false, &l->msgs_w},
		{"msgs-critical", "msgs-critical", false, &l->msgs_c},
		{"subjects-warn", "subjects-warn", false, &l->subj_w},
		{"subjects-critical", "subjects-critical", false, &l->subj_c},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (threshold(c, config, rows[i].option, rows[i].meta, rows[i].duration, rows[i].to,
			      e))
			return -1;
	return 0;
}

static void stream_cluster(struct check *k, const json_t *info, const struct stream_limits *l)
{
	const json_t *cluster = jget(info, "cluster"), *peers = jget(cluster, "replicas"), *p;
	bool single = !cluster || jint(info, "config.num_replicas") <= 1;
	int lagged = 0, inactive = 0, offline = 0;
	size_t i;

	if (single && l->peers <= 0)
		return;
	if (single) {
		check_crit(k, "Stream is not clustered");
		return;
	}
	if (!*jstr(cluster, "leader")) {
		check_crit(k, "No leader");
		return;
	}
	int n = (int)json_array_size(peers) + 1;

	if (n != (int)l->peers) {
		check_crit(k, "Expected %.0f replicas got %d", l->peers, n);
		return;
	}
	check_ok(k, "%d peers", n);
	json_array_foreach(peers, i, p)
	{
		lagged += l->peer_lag > 0 && jnum(p, "lag") > l->peer_lag;
		inactive += l->peer_seen > 0 && jnum(p, "active") > l->peer_seen * 1e9;
		offline += jbool(p, "offline");
	}
	if (offline)
		check_crit(k, "%d replicas offline", offline);
	if (l->peer_lag > 0 && lagged)
		check_crit(k, "%d replicas lagged", lagged);
	else if (l->peer_lag > 0)
		check_ok(k, "replicas are current");
	if (l->peer_seen > 0 && inactive)
		check_crit(k, "%d replicas inactive", inactive);
	else if (l->peer_seen > 0)
		check_ok(k, "replicas are active");
}

static void stream_messages(struct check *k, const json_t *info, const struct stream_limits *l)
{
	double n = jnum(info, "state.messages");

	if (l->msgs_c <= 0 && l->msgs_w <= 0)
		return;
	check_pd(k, "messages", n, l->msgs_w, l->msgs_c, "", "Messages stored in the stream");
	if (l->msgs_c > 0 && n <= l->msgs_c)
		check_crit(k, "%.0f messages", n);
	else if (l->msgs_w > 0 && n <= l->msgs_w)
		check_warn(k, "%.0f messages", n);
	else
		check_ok(k, "%.0f messages", n);
}

static void stream_subjects(struct check *k, const json_t *info, const struct stream_limits *l)
{
	double n = jnum(info, "state.num_subjects");
	bool up = l->subj_w < l->subj_c;

	if (l->subj_w <= 0 && l->subj_c <= 0)
		return;
	check_pd(k, "subjects", n, l->subj_w, l->subj_c, "",
		 "Number of subjects stored in the stream");
	if (up ? n >= l->subj_c : n <= l->subj_c)
		check_crit(k, "%.0f subjects", n);
	else if (up ? n >= l->subj_w : n <= l->subj_w)
		check_warn(k, "%.0f subjects", n);
	else
		check_ok(k, "%.0f subjects", n);
}

static void stream_sources(struct check *k, const json_t *info, const struct stream_limits *l)
{
	const json_t *sources = jget(info, "sources"), *s;
	int n = (int)json_array_size(sources), lagged = 0, inactive = 0;
	size_t i;

	check_pd(k, "sources", n, l->min, l->max, "",
		 "Number of sources being consumed by this stream");
	if ((l->min > 0 && n < l->min) || (l->max > 0 && n > l->max))
		check_crit(k, "%d sources", n);
	else
		check_ok(k, "%d sources", n);
	if (l->lag <= 0 && l->seen <= 0)
		return;
	json_array_foreach(sources, i, s)
	{
		lagged += l->lag > 0 && jnum(s, "lag") >= l->lag;
		inactive += l->seen > 0 && jnum(s, "active") >= l->seen * 1e9;
	}
	check_pd(k, "sources_lagged", lagged, 0, 0, "",
		 "Number of sources that are behind more than the configured threshold");
	check_pd(k, "sources_inactive", inactive, 0, 0, "", "Number of sources that are inactive");
	if (lagged)
		check_crit(k, "%d sources are lagged", lagged);
	else
		check_ok(k, "%d sources current", n);
	if (inactive)
		check_crit(k, "%d sources are inactive", inactive);
	else
		check_ok(k, "%d sources active", n);
}

static void stream_mirror(struct check *k, const json_t *info, const struct stream_limits *l)
{
	const json_t *state = jget(info, "mirror");
	bool ok = true;

	if ((l->lag <= 0 && l->seen <= 0) || json_array_size(jget(info, "sources")))
		return;
	if (!jget(info, "config.mirror")) {
		check_crit(k, "not mirrored");
		return;
	}
	if (!state) {
		check_crit(k, "invalid state");
		return;
	}
	double lag = jnum(state, "lag"), active = jnum(state, "active");

	check_pd(k, "lag", lag, 0, l->lag, "",
		 "Number of operations this peer is behind its origin");
	check_pd(k, "active", active / 1e9, 0, l->seen, "s",
		 "Indicates if this peer is active and catching up if lagged");
	if (l->lag > 0 && lag >= l->lag) {
		check_crit(k, "Mirror Lag %.0f", lag);
		ok = false;
	}
	if (l->seen > 0 && active >= l->seen * 1e9) {
		check_crit(k, "Mirror Seen %s", GODURATION((int64_t)active));
		ok = false;
	}
	if (ok)
		check_ok(k, "Mirror %s", jstr(info, "config.mirror.name"));
}

int check_stream(struct cli *c, struct err *e)
{
	const char *stream = cli_str(c, "stream");
	CLEAN(json) json_t *info = NULL;
	struct stream_limits l;
	struct check k;
	struct err why;

	if (!stream)
		return cli_usage(e, "required flag --stream not provided");
	/* What is typed wrong is told before anything is asked. */
	if (stream_limits(c, NULL, &l, e))
		return -1;
	check_init(&k, c, "stream", "%s", stream);
	if (!check_connect(&k))
		return check_end(&k, e);
	if (nats_js_request(c, NULL, &info, &why, "STREAM.INFO.%s", stream)) {
		check_crit(&k, "could not load info: %s", why.text);
	} else if (stream_limits(c, jget(info, "config"), &l, &why)) {
		check_crit(&k, "could not configure based on metadata: %s", why.text);
	} else {
		stream_cluster(&k, info, &l);
		stream_messages(&k, info, &l);
		stream_subjects(&k, info, &l);
		stream_sources(&k, info, &l);
		stream_mirror(&k, info, &l);
	}
	return check_end(&k, e);
}

struct consumer_limits {
	double ack, waiting, unprocessed, redelivery, delivery, last_ack;
};

static int consumer_limits(struct cli *c, const json_t *config, struct consumer_limits *l,
			   struct err *e)
{
	return threshold(c, config, "outstanding-ack-critical", "outstanding-ack-critical", false,
			 &l->ack, e) ||
			       threshold(c, config, "waiting-critical", "waiting-critical", false,
					 &l->waiting, e) ||
			       threshold(c, config, "unprocessed-critical", "unprocessed-critical",
					 false, &l->unprocessed, e) ||
			       threshold(c, config, "redelivery-critical", "redelivery-critical",
					 false, &l->redelivery, e) ||
			       threshold(c, config, "last-delivery-critical",
					 "last-delivery-critical", true, &l->delivery, e) ||
			       threshold(c, config, "last-ack-critical", "last-ack-critical", true,
					 &l->last_ack, e)
		       ? -1
		       : 0;
}

/* Seconds since a time of the consumer; -1: never. */
static double seconds_since(const json_t *info, const char *path)
{
	int64_t at;

	if (!*jstr(info, path) || parse_rfc3339(jstr(info, path), &at) || at == INT64_MIN)
		return -1;
	return (double)nats_ago(at) / 1e9;
}

static void judge_count(struct check *k, const char *what, double v, double crit)
{
	if (crit <= 0)
		return;
	if (v >= crit)
		check_crit(k, "%s: %.0f", what, v);
	else
		check_ok(k, "%s: %.0f", what, v);
}

static void judge_since(struct check *k, const json_t *info, const char *path, double crit,
			const char *never, const char *what)
{
	double v = seconds_since(info, path);

	if (crit <= 0)
		return;
	if (v < 0)
		check_crit(k, "%s", never);
	else if (v >= crit)
		check_crit(k, "%s %s ago", what, GODURATION((int64_t)(v * 1e9)));
	else
		check_ok(k, "%s %s", what, jstr(info, path));
}

static void consumer_pinned(struct check *k, const json_t *info)
{
	const json_t *groups = jget(info, "priority_groups"), *g;
	size_t n = json_array_size(jget(info, "config.priority_groups")), pinned = 0, i;
	bool policy = strcmp(jstr(info, "config.priority_policy"), "pinned_client") == 0;

	json_array_foreach(groups, i, g) pinned += *jstr(g, "pinned_client_id") != '\0';
	if (policy) {
		check_pd(k, "pinned_groups", (double)pinned, 0, 0, "",
			 "The number of consumers groups with pinned clients");
		check_pd(k, "groups", (double)n, 0, 0, "", "The total number of consumers groups");
	}
	if (!cli_has(k->c, "pinned"))
		return;
	if (!json_array_size(groups) || !n || !policy)
		check_crit(k, "Not pinned client priority mode");
	else if (pinned != n)
		check_crit(k, "%zu / %zu pinned clients", pinned, n);
	else
		check_ok(k, "%zu pinned clients", pinned);
}

static void judge_consumer(struct check *k, const json_t *info, const struct consumer_limits *l)
{
	double delivered = seconds_since(info, "delivered.last_active");
	double acked = seconds_since(info, "ack_floor.last_active");

	check_pd(k, "ack_pending", jnum(info, "num_ack_pending"), 0, l->ack, "",
		 "The number of messages waiting to be Acknowledged");
	check_pd(k, "pull_waiting", jnum(info, "num_waiting"), 0, l->waiting, "",
		 "The number of waiting Pull requests");
	check_pd(k, "pending", jnum(info, "num_pending"), 0, l->unprocessed, "",
		 "The number of messages that have not yet been consumed");
	check_pd(k, "redelivered", jnum(info, "num_redelivered"), 0, l->redelivery, "",
		 "The number of messages currently being redelivered");
	if (delivered >= 0)
		check_pd(k, "last_delivery", delivered, 0, l->delivery, "s",
			 "Seconds since the last message was delivered");
	if (acked >= 0)
		check_pd(k, "last_ack", acked, 0, l->last_ack, "s",
			 "Seconds since the last message was acknowledged");
	judge_count(k, "Ack Pending", jnum(info, "num_ack_pending"), l->ack);
	judge_count(k, "Waiting Pulls", jnum(info, "num_waiting"), l->waiting);
	judge_count(k, "Unprocessed Messages", jnum(info, "num_pending"), l->unprocessed);
	judge_count(k, "Redelivered", jnum(info, "num_redelivered"), l->redelivery);
	judge_since(k, info, "delivered.last_active", l->delivery, "No deliveries",
		    "Last delivery");
	judge_since(k, info, "ack_floor.last_active", l->last_ack, "No acks", "Last ack");
	consumer_pinned(k, info);
}

int check_consumer(struct cli *c, struct err *e)
{
	const char *stream = cli_str(c, "stream"), *consumer = cli_str(c, "consumer");
	CLEAN(json) json_t *info = NULL;
	struct consumer_limits l;
	struct check k;
	struct err why;

	if (!stream || !consumer)
		return cli_usage(e, "required flag --%s not provided",
				 stream ? "consumer" : "stream");
	if (consumer_limits(c, NULL, &l, e))
		return -1;
	check_init(&k, c, "consumer", "%s_%s", stream, consumer);
	if (!check_connect(&k))
		return check_end(&k, e);
	if (nats_js_request(c, NULL, &info, &why, "CONSUMER.INFO.%s.%s", stream, consumer) ||
	    consumer_limits(c, jget(info, "config"), &l, &why))
		check_crit(&k, "could not load info: %s", why.text);
	else
		judge_consumer(&k, info, &l);
	return check_end(&k, e);
}

static void judge_use(struct check *k, const char *item, const char *unit, double warn, double crit,
		      double max, double current)
{
	int pct = max > 0 ? (int)(current / max * 100) : 0;
	char name[40], help[80];

	(void)snprintf(help, sizeof(help), "JetStream %s resource usage", item);
	check_pd(k, item, current, 0, 0, unit, help);
	(void)snprintf(name, sizeof(name), "%s_pct", item);
	(void)snprintf(help, sizeof(help), "JetStream %s resource usage in percent", item);
	check_pd(k, name, pct, warn < 0 ? 0 : warn, crit < 0 ? 0 : crit, "%", help);
	if (warn != -1 && crit != -1 && warn >= crit)
		check_crit(k, "%s: invalid thresholds", item);
	else if (pct > 100)
		check_crit(k, "%s: exceed server limits", item);
	else if (warn >= 0 && crit >= 0 && pct > crit)
		check_crit(k, "%d%% %s", pct, item);
	else if (warn >= 0 && crit >= 0 && pct > warn)
		check_warn(k, "%d%% %s", pct, item);
}

enum { R_OK_, R_LEADER, R_MISSING, R_LAG, R_SEEN, R_FAIL, R_N };

/* What is wrong with the replicas of a stream; a stream may count several times. */
static void count_replicas(const json_t *s, double seen, double lag, int n[static R_N])
{
	const json_t *cluster = jget(s, "cluster"), *peers = jget(cluster, "replicas"), *p;
	int64_t want = jint(s, "config.num_replicas");
	bool ok = true;
	size_t i;

	if (want == 1) {
		n[R_OK_]++;
	} else if (!cluster) {
		n[R_FAIL]++;
	} else if (!*jstr(cluster, "leader")) {
		n[R_LEADER]++;
	} else if ((int64_t)json_array_size(peers) != want - 1) {
		n[R_MISSING]++;
	} else {
		json_array_foreach(peers, i, p)
		{
			int bad = jbool(p, "offline")			       ? R_FAIL
				  : seen > 0 && jnum(p, "active") > seen * 1e9 ? R_SEEN
				  : lag > 0 && jnum(p, "lag") > lag	       ? R_LAG
									       : R_OK_;

			if (bad != R_OK_)
				n[bad]++;
			ok &= bad == R_OK_;
		}
		n[R_OK_] += ok;
	}
}

static void judge_replicas(struct check *k, double seen, double lag)
{
	int n[R_N] = {0};
	char help[2][80];
	struct err e;

	for (size_t at = 0;;) {
		CLEAN(json) json_t *page = NULL;
		const json_t *s;
		size_t i;

		if (nats_js_request(k->c, json_pack("{s:i}", "offset", (int)at), &page, &e,
				    "STREAM.LIST")) {
			check_crit(k, "JetStream not available: %s", e.text);
			return;
		}
		json_array_foreach(jget(page, "streams"), i, s) count_replicas(s, seen, lag, n);
		at += json_array_size(jget(page, "streams"));
		if (!json_array_size(jget(page, "streams")) || (int64_t)at >= jint(page, "total"))
			break;
	}
	(void)snprintf(help[0], sizeof(help[0]), "Streams with > %.0f lagged replicas", lag);
	(void)snprintf(help[1], sizeof(help[1]), "Streams with replicas seen > %s ago",
		       GODURATION((int64_t)(seen * 1e9)));
	check_pd(k, "replicas_ok", n[R_OK_], 0, 0, "", "Streams with healthy cluster state");
	check_pd(k, "replicas_no_leader", n[R_LEADER], 0, 0, "", "Streams with no leader elected");
	check_pd(k, "replicas_missing_replicas", n[R_MISSING], 0, 0, "",
		 "Streams where there are fewer known replicas than configured");
	check_pd(k, "replicas_lagged", n[R_LAG], 0, lag, "", help[0]);
	check_pd(k, "replicas_not_seen", n[R_SEEN], 0, seen, "s", help[1]);
	check_pd(k, "replicas_fail", n[R_FAIL], 0, 0, "", "Streams unhealthy cluster state");
	int bad = n[R_FAIL] + n[R_MISSING] + n[R_LEADER] + n[R_SEEN] + n[R_LAG];

	if (bad)
		check_crit(k, "%d unhealthy streams", bad);
}

int check_js(struct cli *c, struct err *e)
{
	static const char *const names[] = {"mem", "store", "streams", "consumers"};
	static const char *const items[] = {"memory", "storage", "streams", "consumers"};
	static const char *const limits[] = {"max_memory", "max_storage", "max_streams",
					     "max_consumers"};
	double lim[4][2], seen, lag;
	CLEAN(json) json_t *info = NULL;
	struct check k;
	struct err why;
	char option[40];

	for (int i = 0; i < 4; i++) {
		(void)snprintf(option, sizeof(option), "%s-warn", names[i]);
		if (check_number(c, option, i < 2 ? 75 : -1, &lim[i][0], e))
			return -1;
		(void)snprintf(option, sizeof(option), "%s-critical", names[i]);
		if (check_number(c, option, i < 2 ? 90 : -1, &lim[i][1], e))
			return -1;
	}
	if (check_seconds(c, "replica-seen-critical", 5, &seen, e) ||
	    check_number(c, "replica-lag-critical", 200, &lag, e))
		return -1;
	check_init(&k, c, "jetstream", "JetStream");
	if (!check_connect(&k))
		return check_end(&k, e);
	if (nats_js_request(c, NULL, &info, &why, "INFO")) {
		check_crit(&k, "JetStream not available: %s", why.text);
		return check_end(&k, e);
	}
	for (int i = 0; i < 4; i++)
		judge_use(&k, items[i], i < 2 ? "B" : "", lim[i][0], lim[i][1],
			  jnum(jget(info, "limits"), limits[i]), jnum(info, items[i]));
	if (nats_flag(c, "replicas", true))
		judge_replicas(&k, seen, lag);
	return check_end(&k, e);
}

const struct cli_opt check_stream_opts[] = {
	CHECK_OPTS,
	{"stream", 0, "STREAM", "The stream"},
	{"lag-critical", 0, "MSGS", "Critical when a source or mirror is this far behind"},
	{"seen-critical", 0, "DURATION", "Critical when one was not seen for this long"},
	{"min-sources", 0, "N", "Fewest sources"},
	{"max-sources", 0, "N", "Most sources"},
	{"peer-expect", 0, "SERVERS", "Number of replicas"},
	{"peer-lag-critical", 0, "OPS", "Critical when a replica is further behind"},
	{"peer-seen-critical", 0, "DURATION", "Critical when one was not seen for longer"},
	{"msgs-warn", 0, "MSGS", "Warn at this few messages"},
	{"msgs-critical", 0, "MSGS", "Critical at this few messages"},
	{"subjects-warn", 0, "N", "Warn at this many subjects"},
	{"subjects-critical", 0, "N", "Critical at this many (or so few, when below the warning)"},
	{0},
};

const struct cli_opt check_consumer_opts[] = {
	CHECK_OPTS,
	{"stream", 0, "STREAM", "The stream"},
	{"consumer", 0, "CONSUMER", "The consumer"},
	{"outstanding-ack-critical", 0, "N", "Critical at this many unacknowledged messages"},
	{"waiting-critical", 0, "N", "Critical at this many waiting pulls"},
	{"unprocessed-critical", 0, "N", "Critical at this many messages not yet delivered"},
	{"last-delivery-critical", 0, "DURATION", "Critical without a delivery for this long"},
	{"last-ack-critical", 0, "DURATION", "Critical without an acknowledgement for this long"},
	{"redelivery-critical", 0, "N", "Critical at this many redeliveries"},
	{"pinned", 0, NULL, "Each priority group must have a pinned client"},
	{0},
};

const struct cli_opt check_js_opts[] = {
	CHECK_OPTS,
	{"mem-warn", 0, "PERCENT", "Warn above this part of the memory limit (75)"},
	{"mem-critical", 0, "PERCENT", "Critical above this part (90)"},
	{"store-warn", 0, "PERCENT", "Warn above this part of the storage limit (75)"},
	{"store-critical", 0, "PERCENT", "Critical above this part (90)"},
	{"streams-warn", 0, "PERCENT", "Warn above this part of the limit of streams"},
	{"streams-critical", 0, "PERCENT", "Critical above this part"},
	{"consumers-warn", 0, "PERCENT", "Warn above this part of the limit of consumers"},
	{"consumers-critical", 0, "PERCENT", "Critical above this part"},
	{"replicas", 0, NULL, "Check the replicas of all streams (on; --no-replicas)"},
	{"replica-seen-critical", 0, "DURATION", "Critical when one was not seen for longer (5s)"},
	{"replica-lag-critical", 0, "OPS", "Critical when one is further behind (200)"},
	{0},
};
