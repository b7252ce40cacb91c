/* nats rtt: round trips to each address of each server. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "box/nats/nats.h"

struct host {
	char scheme[16], name[256], port[8];
};

static int split(const char *url, struct host *h, struct err *e)
{
	const char *s = strstr(url, "://"), *at;
	char rest[300];
	char *colon;

	(void)snprintf(h->scheme, sizeof(h->scheme), "%.*s", s ? (int)(s - url) : 4,
		       s ? url : "nats");
	s = s ? s + 3 : url;
	at = strrchr(s, '@');
	(void)snprintf(rest, sizeof(rest), "%s", at ? at + 1 : s);
	rest[strcspn(rest, "/")] = '\0';
	colon = *rest == '[' ? strstr(rest, "]:") : strrchr(rest, ':');
	(void)snprintf(h->port, sizeof(h->port), "%s", colon ? colon + 1 + (*rest == '[') : "4222");
	if (colon)
		*colon = '\0';
	(void)snprintf(h->name, sizeof(h->name), "%.255s", rest + (*rest == '['));
	h->name[strcspn(h->name, "]")] = '\0';
	return *h->name ? 0 : err_set(e, ERR_CONFIG, "bad NATS URL");
}

static json_t *result(const struct host *h, const char *address)
{
	bool six = strchr(address, ':') != NULL;

	return json_pack("{s:s, s:s+++++, s:i, s:s}", "time", "", "address", h->scheme, "://",
			 six ? "[" : "", address, six ? "]:" : ":", h->port, "rtt", 0, "url", "");
}

/* {"url": …, "results": […]} with an entry for each address of the host. */
static json_t *target(const char *url, struct err *e)
{
	const struct addrinfo want = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	struct host h;
	json_t *t, *results = json_array();
	char shown[600];

	if (split(url, &h, e)) {
		json_decref(results);
		return NULL;
	}
	(void)snprintf(shown, sizeof(shown), "%s%s", strstr(url, "://") ? "" : "nats://", url);
	t = json_pack("{s:s, s:o}", "url", shown, "results", results);
	if (getaddrinfo(h.name, h.port, &want, &list) == 0)
		for (struct addrinfo *a = list; a; a = a->ai_next) {
			char text[INET6_ADDRSTRLEN];
			const void *raw =
				a->ai_family == AF_INET6
					? (void *)&((struct sockaddr_in6 *)(void *)a->ai_addr)
						  ->sin6_addr
					: (void *)&((struct sockaddr_in *)(void *)a->ai_addr)
						  ->sin_addr;

			if (inet_ntop(a->ai_family, raw, text, sizeof(text)))
				(void)json_array_append_new(results, result(&h, text));
		}
	if (list)
		freeaddrinfo(list);
	if (!json_array_size(results))
		(void)json_array_append_new(results, result(&h, h.name));
	return t;
}

/* User and password of the URL, if any, and the host's name for TLS are kept: only then
 * is the address itself connected to. */
static int measure(struct cli *c, const char *url, json_t *r, int64_t rounds, struct err *e)
{
	struct conn *conn = NULL;
	char stamp[48], server[512];
	const char *at = strrchr(url, '@'), *scheme = strstr(url, "://");
	CLEAN(free) char *full = NULL;
	const char *address = jstr(r, "address"), *host = strstr(address, "://");
	int64_t sum = 0, rtt;
	natsStatus s = NATS_OK;

	(void)json_object_set_new(r, "time",
				  json_string(fmt_rfc3339(stamp, now_ns(), true, false)));
	scheme = scheme ? scheme + 3 : url;
	if (at && host &&
	    asprintf(&full, "%.*s%.*s%s", (int)(host + 3 - address), address,
		     (int)(at + 1 - scheme), scheme, host + 3) < 0)
		full = NULL;
	if (nats_connect_to(c,
			    strncmp(address, "tls", 3) == 0 ? url
			    : full			    ? full
							    : address,
			    &conn, e))
		return -1;
	(void)nats_wait(NULL, 25 * NS_MS);
	for (int64_t i = 0; i < rounds && s == NATS_OK; i++) {
		s = natsConnection_GetRTT(conn_nats(conn), &rtt);
		sum += rtt;
		if (run_of(c)->trace && s == NATS_OK)
			printf("#%lld:\trtt=%s\n", (long long)i + 1, DURATION(rtt));
	}
	conn_server(conn, server, sizeof(server));
	conn_close(conn);
	if (s != NATS_OK)
		return conn_err(e, s, "rtt failed");
	(void)json_object_set_new(r, "url", json_string(server));
	(void)json_object_set_new(r, "rtt", json_integer(sum / rounds));
	return 0;
}

static void print(const json_t *targets)
{
	size_t i, k, width = 3;
	const json_t *t, *r;

	json_array_foreach(targets, i, t) json_array_foreach(
		json_object_get(t, "results"), k, r) if (strlen(jstr(r, "address")) + 3 > width)
		width = strlen(jstr(r, "address")) + 3;
	json_array_foreach(targets, i, t)
	{
		printf("%s:\n\n", SHOWN(jstr(t, "url")));
		json_array_foreach(json_object_get(t, "results"), k, r)
			printf("%*s: %s\n", (int)width, SHOWN(jstr(r, "address")),
			       jint(r, "rtt") ? DURATION(jint(r, "rtt")) : "failed");
		putchar('\n');
	}
}

static int rtt(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *targets = json_array();
	int64_t rounds = 5;
	size_t i, k, good = 0;
	json_t *t, *r;

	if (c->argc > 0) {
		char *end;

		rounds = strtoll(c->argv[0], &end, 10);
		if (*end || rounds < 1 || rounds > 1000000)
			return cli_usage(e, "iterations is a number from 1 to 1000000, not '%.40s'",
					 c->argv[0]);
	}
	if (nats_settings(c, e))
		return -1;
	CLEAN(free) char *list = strdup(nats_setting(c, "url"));
	char *save = NULL;

	for (char *u = list ? strtok_r(list, ", ", &save) : NULL; u;
	     u = strtok_r(NULL, ", ", &save)) {
		t = target(u, e);
		if (!t)
			return -1;
		(void)json_array_append_new(targets, t);
	}
	json_array_foreach(targets, i, t) json_array_foreach(json_object_get(t, "results"), k, r)
	{
		if (measure(c, jstr(t, "url"), r, rounds, e) == 0)
			good++;
		else
			nats_log("Failed to compute rtt for %s: %s", jstr(r, "address"), e->text);
	}
	if (cli_has(c, "json")) {
		if (nats_print_json(targets, e))
			return -1;
	} else {
		print(targets);
	}
	return good ? 0 : 1;
}

static const struct cli_opt rtt_opts[] = {
	{"json", 'j', NULL, "Print JSON"},
	{0},
};

static const char *const rtt_examples[] = {"nats rtt", "nats rtt 20 -s nats://n1,nats://n2 --json",
					   NULL};

const struct cli_cmd nats_rtt_cmds[] = {
	{.path = "rtt",
	 .help = "Measure round trips to the servers",
	 .args = "[ITERATIONS]",
	 .opts = rtt_opts,
	 .run = rtt,
	 .examples = rtt_examples,
	 .about = "Exit status 1 when no address answers."},
	{0},
};
