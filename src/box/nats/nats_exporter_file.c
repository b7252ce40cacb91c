/* The exporter's file: which check has which properties, and which option each is. The
 * names are those that natscli reads. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "box/nats/nats_check.h"
#include "box/nats/nats_exporter.h"
#include "json/yaml.h"

#define FILE_MAX ((size_t)1 << 20)
#define CHECKS_MAX 500
#define ARGS_MAX 64

enum kind {
	TEXT,
	NUMBER,
	SECONDS,
	SECONDS_OFF, /* 0 unless given */
	FLAG,	     /* --x */
	FLAG_OFF,    /* the same, off unless given: --no-x */
	OFF_BY_M1,   /* a number that is -1 unless given */
	PAIRS,	     /* a map: --x K=V */
};

static const struct property {
	const char *check, *name, *option;
	enum kind kind;
} properties[] = {
	{"connection", "connect_time_warning", "connect-warn", SECONDS_OFF},
	{"connection", "connect_time_critical", "connect-critical", SECONDS_OFF},
	{"connection", "server_rtt_warning", "rtt-warn", SECONDS_OFF},
	{"connection", "server_rtt_critical", "rtt-critical", SECONDS_OFF},
	{"connection", "request_rtt_warning", "req-warn", SECONDS_OFF},
	{"connection", "request_rtt_critical", "req-critical", SECONDS_OFF},
	{"stream", "stream_name", "stream", TEXT},
	{"stream", "sources_lag_critical", "lag-critical", NUMBER},
	{"stream", "sources_seen_critical", "seen-critical", SECONDS},
	{"stream", "min_sources", "min-sources", NUMBER},
	{"stream", "max_sources", "max-sources", NUMBER},
	{"stream", "cluster_expected_peers", "peer-expect", NUMBER},
	{"stream", "cluster_lag_critical", "peer-lag-critical", NUMBER},
	{"stream", "cluster_seen_critical", "peer-seen-critical", SECONDS},
	{"stream", "messages_warn", "msgs-warn", NUMBER},
	{"stream", "messages_critical", "msgs-critical", NUMBER},
	{"stream", "subjects_warn", "subjects-warn", NUMBER},
	{"stream", "subjects_critical", "subjects-critical", NUMBER},
	{"consumer", "stream_name", "stream", TEXT},
	{"consumer", "consumer_name", "consumer", TEXT},
	{"consumer", "ack_outstanding_critical", "outstanding-ack-critical", NUMBER},
	{"consumer", "waiting_critical", "waiting-critical", NUMBER},
	{"consumer", "unprocessed_critical", "unprocessed-critical", NUMBER},
	{"consumer", "last_delivery_critical", "last-delivery-critical", SECONDS},
	{"consumer", "last_ack_critical", "last-ack-critical", SECONDS},
	{"consumer", "redelivery_critical", "redelivery-critical", NUMBER},
	{"consumer", "pinned", "pinned", FLAG},
	{"message", "stream_name", "stream", TEXT},
	{"message", "subject", "subject", TEXT},
	{"message", "age_warning", "age-warn", SECONDS},
	{"message", "age_critical", "age-critical", SECONDS},
	{"message", "content_regex", "content", TEXT},
	{"message", "body_as_timestamp", "body-timestamp", FLAG},
	{"meta", "expect_servers", "expect", NUMBER},
	{"meta", "lag_critical", "lag-critical", NUMBER},
	{"meta", "seen_critical", "seen-critical", SECONDS},
	{"request", "subject", "subject", TEXT},
	{"request", "payload", "payload", TEXT},
	{"request", "header", "headers", PAIRS},
	{"request", "headers", "match-headers", PAIRS},
	{"request", "response_match", "match-payload", TEXT},
	{"request", "response_time_warn", "response-warn", SECONDS},
	{"request", "response_time_crit", "response-critical", SECONDS},
	{"jetstream", "memory_warning", "mem-warn", OFF_BY_M1},
	{"jetstream", "memory_critical", "mem-critical", OFF_BY_M1},
	{"jetstream", "file_warning", "store-warn", OFF_BY_M1},
	{"jetstream", "file_critical", "store-critical", OFF_BY_M1},
	{"jetstream", "stream_warning", "streams-warn", OFF_BY_M1},
	{"jetstream", "stream_critical", "streams-critical", OFF_BY_M1},
	{"jetstream", "consumers_warning", "consumers-warn", OFF_BY_M1},
	{"jetstream", "consumers_critical", "consumers-critical", OFF_BY_M1},
	{"jetstream", "check_replicas", "replicas", FLAG_OFF},
	{"jetstream", "replica_seen_critical", "replica-seen-critical", SECONDS},
	{"jetstream", "replica_lag_critical", "replica-lag-critical", NUMBER},
	{"server", "name", "name", TEXT},
	{"server", "cpu_warning", "cpu-warn", NUMBER},
	{"server", "cpu_critical", "cpu-critical", NUMBER},
	{"server", "memory_warning", "mem-warn", NUMBER},
	{"server", "memory_critical", "mem-critical", NUMBER},
	{"server", "connections_warning", "conn-warn", NUMBER},
	{"server", "connections_critical", "conn-critical", NUMBER},
	{"server", "subscriptions_warning", "subs-warn", NUMBER},
	{"server", "subscriptions_critical", "subs-critical", NUMBER},
	{"server", "uptime_warning", "uptime-warn", SECONDS},
	{"server", "uptime_critical", "uptime-critical", SECONDS},
	{"server", "authentication_required", "auth-required", FLAG},
	{"server", "tls_required", "tls-required", FLAG},
	{"server", "tls_expire_warning", "tls-cert-warn", TEXT},
	{"server", "tls_expire_critical", "tls-cert-crit", TEXT},
	{"server", "jet_stream_required", "js-required", FLAG},
	{"kv", "bucket", "bucket", TEXT},
	{"kv", "key", "key", TEXT},
	{"kv", "values_warning", "values-warn", NUMBER},
	{"kv", "values_critical", "values-critical", NUMBER},
	{"credential", "file", "credential", TEXT},
	{"credential", "validity_warning", "validity-warn", SECONDS},
	{"credential", "validity_critical", "validity-critical", SECONDS},
	{"credential", "requires_expiry", "require-expiry", FLAG_OFF},
};

#define NPROPERTIES (sizeof(properties) / sizeof(properties[0]))

void exporter_free(struct exporter *x)
{
	for (size_t i = 0; i < x->n; i++) {
		for (size_t k = 0; k < x->checks[i].argc; k++)
			free(x->checks[i].argv[k]);
		free(x->checks[i].argv);
		free(x->checks[i].name);
		free(x->checks[i].kind);
	}
	free(x->checks);
	memset(x, 0, sizeof(*x));
}

static int push(struct exporter_check *k, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int push(struct exporter_check *k, struct err *e, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);

	va_end(ap);
	if (n < 0)
		return err_set(e, ERR_NOMEM, NULL);
	if (k->argc >= ARGS_MAX) {
		free(text);
		return err_set(e, ERR_CONFIG, "check '%.60s' has too many properties", k->name);
	}
	k->argv[k->argc++] = text;
	return 0;
}

/* "0.5" as a number of seconds; YAML knows whole numbers only. */
static bool is_number(const json_t *v, bool fraction)
{
	const char *s = json_string_value(v);
	char *end;

	if (json_is_integer(v))
		return true;
	if (!s || !fraction || !isdigit((unsigned char)*s))
		return false;
	(void)strtod(s, &end);
	return *end == '\0' && strlen(s) < 20;
}

static int pairs(const struct json_doc *d, const struct property *p, const json_t *props,
		 const json_t *v, struct exporter_check *k, struct err *e)
{
	const char *key;
	json_t *one;

	if (!json_is_object(v))
		return json_complain(d, props, p->name, 0, e, "'%s' must be a map", p->name);
	json_object_foreach((json_t *)(uintptr_t)v, key, one)
	{
		if (!json_is_string(one))
			return json_complain(d, v, key, 0, e, "'%s' must be text", key);
		if (push(k, e, "--%s=%s=%s", p->option, key, json_string_value(one)))
			return -1;
	}
	return 0;
}

static int property(const struct json_doc *d, const struct property *p, const json_t *props,
		    const json_t *v, struct exporter_check *k, struct err *e)
{
	const char *s = json_string_value(v);
	long long n = (long long)json_integer_value(v);

	switch (p->kind) {
	case TEXT:
		if (!s && !json_is_integer(v))
			return json_complain(d, props, p->name, 0, e, "'%s' must be text", p->name);
		return s ? push(k, e, "--%s=%s", p->option, s)
			 : push(k, e, "--%s=%lld", p->option, n);
	case NUMBER:
	case OFF_BY_M1:
		if (!is_number(v, false))
			return json_complain(d, props, p->name, 0, e, "'%s' must be a whole number",
					     p->name);
		return push(k, e, "--%s=%lld", p->option, n);
	case SECONDS:
	case SECONDS_OFF:
		if (!is_number(v, true))
			return json_complain(d, props, p->name, 0, e,
					     "'%s' must be a number of seconds", p->name);
		return s ? push(k, e, "--%s=%ss", p->option, s)
			 : push(k, e, "--%s=%llds", p->option, n);
	case FLAG:
	case FLAG_OFF:
		if (!json_is_boolean(v))
			return json_complain(d, props, p->name, 0, e, "'%s' must be true or false",
					     p->name);
		return push(k, e, "--%s%s", json_is_true(v) ? "" : "no-", p->option);
	case PAIRS:
		return pairs(d, p, props, v, k, e);
	}
	return 0;
}

static int all_properties(const struct json_doc *d, const json_t *props, struct exporter_check *k,
			  struct err *e)
{
	bool known = false;
	const char *key;
	json_t *v;

	for (size_t i = 0; i < NPROPERTIES; i++)
		known |= strcmp(properties[i].check, k->kind) == 0;
	if (!known)
		return err_set(e, ERR_CONFIG, "%s: check '%.60s': unknown kind '%.60s'", d->name,
			       k->name, k->kind);
	json_object_foreach((json_t *)(uintptr_t)props, key, v)
	{
		size_t i = 0;

		while (i < NPROPERTIES && (strcmp(properties[i].check, k->kind) != 0 ||
					   strcmp(properties[i].name, key) != 0))
			i++;
		if (i == NPROPERTIES)
			return json_complain(d, props, key, 0, e,
					     "check '%.60s' has no property '%.60s'", k->kind, key);
		if (property(d, &properties[i], props, v, k, e))
			return -1;
	}
	/* What the file does not name is off, where the command has a default. */
	for (size_t i = 0; i < NPROPERTIES; i++) {
		const struct property *p = &properties[i];

		if (strcmp(p->check, k->kind) != 0 || json_object_get(props, p->name))
			continue;
		if ((p->kind == SECONDS_OFF && push(k, e, "--%s=0s", p->option)) ||
		    (p->kind == OFF_BY_M1 && push(k, e, "--%s=-1", p->option)) ||
		    (p->kind == FLAG_OFF && push(k, e, "--no-%s", p->option)))
			return -1;
	}
	return 0;
}

static int one_check(const struct json_doc *d, const json_t *j, const char *context,
		     struct exporter *x, struct err *e)
{
	struct exporter_check *k = &x->checks[x->n];
	const char *name = NULL, *kind = NULL;
	bool reuse = false;
	json_t *props = NULL;
	const struct json_want wants[] = {
		{.key = "name", .kind = JSON_IS_STR, .out = &name, .need = true},
		{.key = "kind", .kind = JSON_IS_STR, .out = &kind, .need = true},
		{.key = "context", .kind = JSON_IS_STR, .out = &context},
		/* Of natscli; here each check has its own connection. */
		{.key = "reuse_connection", .kind = JSON_IS_BOOL, .out = &reuse},
		{.key = "properties", .kind = JSON_IS_OBJ, .out = &props},
		{0},
	};

	if (json_fields(d, j, wants, e))
		return -1;
	x->n++;
	k->name = strdup(name);
	k->kind = strdup(kind);
	k->argv = calloc(ARGS_MAX + 1, sizeof(*k->argv));
	if (!k->name || !k->kind || !k->argv)
		return err_set(e, ERR_NOMEM, NULL);
	if (push(k, e, "nats") || push(k, e, "server") || push(k, e, "check") ||
	    push(k, e, "%s", kind) || push(k, e, "--format=%s", CHECK_EXPORTER) ||
	    push(k, e, "--timeout=%lldms", (long long)x->timeout_ms))
		return -1;
	if (context && *context && push(k, e, "--context=%s", context))
		return -1;
	return all_properties(d, props, k, e);
}

int exporter_load(struct exporter *x, const char *path, struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};
	const char *context = NULL;
	json_t *checks = NULL, *v;
	size_t i;

	if (yaml_parse_file(&d, path, FILE_MAX, e))
		return -1;
	const struct json_want wants[] = {
		{.key = "context", .kind = JSON_IS_STR, .out = &context},
		{.key = "checks", .kind = JSON_IS_ARR, .out = &checks, .need = true},
		{0},
	};

	if (json_fields(&d, d.root, wants, e))
		return -1;
	if (json_array_size(checks) < 1 || json_array_size(checks) > CHECKS_MAX)
		return err_set(e, ERR_CONFIG, "%.200s: needs 1 to %d checks", path, CHECKS_MAX);
	x->checks = calloc(json_array_size(checks), sizeof(*x->checks));
	if (!x->checks)
		return err_set(e, ERR_NOMEM, NULL);
	json_array_foreach(checks, i, v)
	{
		if (!json_is_object(v))
			return json_complain(&d, checks, NULL, i, e, "a check must be a map");
		if (one_check(&d, v, context, x, e))
			return -1;
	}
	return 0;
}
