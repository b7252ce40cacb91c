#include "box/top/top_src.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/enc.h"

#define MAX_HOSTS 65536

struct top_host {
	char *ip;
	char *name;
};

static const struct {
	const char *text;
	bool https, http;
} schemes[] = {
	{"http://", false, true}, {"https://", true, true}, {"nats://", false, false},
	{"tls://", false, false}, {"ws://", false, false},  {"wss://", false, false},
};

static int parse_port(const char *text, int *port, struct err *e)
{
	char *end;
	long v = strtol(text, &end, 10);

	if (end == text || *end || v < 1 || v > 65535)
		return err_set(e, ERR_USAGE, "'%.20s' is no port: 1 to 65535", text);
	*port = (int)v;
	return 0;
}

int top_target_parse(struct top_target *t, char *text, struct err *e)
{
	char *p = text, *at, *end;
	bool known = !strstr(text, "://");

	*t = (struct top_target){0};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(text, schemes[i].text, strlen(schemes[i].text)) == 0) {
			p = text + strlen(schemes[i].text);
			t->https = schemes[i].https;
			t->http = schemes[i].http;
			t->client_url = !t->http;
			known = true;
		}
	if (!known)
		return err_set(
			e, ERR_USAGE, "scheme '%.*s': only http, https, nats and tls are known",
			(int)(strstr(text, "://") - text < 20 ? strstr(text, "://") - text : 20),
			text);
	if (!t->http)
		p[strcspn(p, ",")] = '\0';
	end = p + strcspn(p, "/");
	/* "user:pass/word@host": half a password must not be taken for a port. */
	if (strchr(end, '@') && !memchr(p, '@', (size_t)(end - p)))
		return err_set(e, ERR_USAGE,
			       "a '/' in user or password of a URL is written %%2F, an '@' %%40");
	if (*end) {
		size_t n = strlen(end);

		while (n && end[n - 1] == '/')
			end[--n] = '\0';
		if (n >= sizeof(t->path))
			return err_set(e, ERR_USAGE, "the path of the URL is too long");
		if (t->http)
			(void)snprintf(t->path, sizeof(t->path), "%s", end);
		*end = '\0';
	}
	at = strrchr(p, '@');
	if (at) {
		*at = '\0';
		if (enc_unpercent(p))
			return err_set(e, ERR_USAGE,
				       "a '%%' in user or password of a URL is written %%25");
		t->user = p;
		p = at + 1;
	}
	if (*p == '[') {
		end = strchr(p, ']');
		if (!end || (end[1] && end[1] != ':'))
			return err_set(e, ERR_USAGE, "'%.60s' is no address", p);
		*end++ = '\0';
		p++;
	} else {
		end = strchr(p, ':');
		/* Two colons without brackets: a bare IPv6 address. */
		if (!end || strchr(end + 1, ':'))
			end = p + strlen(p);
	}
	if (*end == ':') {
		*end = '\0';
		if (parse_port(end + 1, &t->port, e))
			return -1;
	}
	if (t->client_url)
		t->port = 0;
	t->host = p;
	if (!*p || strlen(p) > 250 || strpbrk(p, " \t\r\n"))
		return err_set(e, ERR_USAGE, "invalid monitoring endpoint");
	return 0;
}

void top_src_close(struct top_src *s)
{
	http_free(s->http);
	conn_close(s->conn);
	for (size_t i = 0; i < s->nhosts; i++) {
		free(s->hosts[i].ip);
		free(s->hosts[i].name);
	}
	free(s->hosts);
	memset(s, 0, sizeof(*s));
}

static int get_http(struct top_src *s, const struct top_ask *ask, struct buf *varz,
		    struct buf *connz, struct err *e)
{
	char page[96];

	(void)snprintf(page, sizeof(page), "/connz?limit=%lld&sort=%s%s", (long long)ask->limit,
		       ask->sort, ask->subs ? "&subs=1" : "");
	if (http_get(s->http, "/varz", varz, e))
		return -1;
	return http_get(s->http, page, connz, e);
}

static int ask_system(struct top_src *s, const char *what, const char *body, struct buf *out,
		      struct err *e)
{
	natsConnection *nc = conn_nats(s->conn);
	char id[128], subject[200];
	natsMsg *m = NULL;
	natsStatus st = natsConnection_GetConnectedServerId(nc, id, sizeof(id));

	(void)snprintf(subject, sizeof(subject), "$SYS.REQ.SERVER.%s.%s", id, what);
	if (st == NATS_OK)
		st = natsConnection_RequestString(&m, nc, subject, body, s->timeout_ms);
	/* Another account may publish there, but nobody listens. */
	if (st == NATS_NO_RESPONDERS || st == NATS_NOT_PERMITTED)
		return err_set(e, ERR_DENIED,
			       "these credentials are not of the system account: use those, or the "
			       "monitoring port (-m)");
	if (st != NATS_OK)
		return conn_err(e, st, what);
	buf_put(out, natsMsg_GetData(m), (size_t)natsMsg_GetDataLength(m));
	natsMsg_Destroy(m);
	return out->bad ? err_set(e, ERR_TOO_LARGE, "the answer is too large") : 0;
}

static int get_system(struct top_src *s, const struct top_ask *ask, struct buf *varz,
		      struct buf *connz, struct err *e)
{
	char body[160];

	(void)snprintf(body, sizeof(body), "{\"limit\":%lld,\"sort\":\"%s\",\"subscriptions\":%s}",
		       (long long)ask->limit, ask->sort, ask->subs ? "true" : "false");
	if (ask_system(s, "VARZ", "", varz, e))
		return -1;
	return ask_system(s, "CONNZ", body, connz, e);
}

/* Name of an address, the address itself when it has none. Each is asked for once. */
static const char *lookup(struct top_src *s, const char *ip)
{
	char name[256];
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *ai = NULL;

	for (size_t i = 0; i < s->nhosts; i++)
		if (strcmp(s->hosts[i].ip, ip) == 0)
			return s->hosts[i].name;
	if (s->nhosts == MAX_HOSTS || getaddrinfo(ip, NULL, &hints, &ai))
		return NULL;
	int r = getnameinfo(ai->ai_addr, ai->ai_addrlen, name, sizeof(name), NULL, 0, NI_NAMEREQD);

	freeaddrinfo(ai);
	struct top_host *more = realloc(s->hosts, (s->nhosts + 1) * sizeof(*more));

	if (!more)
		return NULL;
	s->hosts = more;
	more[s->nhosts] = (struct top_host){strdup(ip), r == 0 ? strdup(name) : NULL};
	if (!more[s->nhosts].ip)
		return NULL;
	return more[s->nhosts++].name;
}

int top_src_get(struct top_src *s, const struct top_ask *ask, struct top_stats *out, struct err *e)
{
	CLEAN(buf) struct buf varz = {0}, connz = {0};

	buf_init(&varz, TOP_MAX);
	buf_init(&connz, TOP_MAX);
	if (s->conn ? get_system(s, ask, &varz, &connz, e) : get_http(s, ask, &varz, &connz, e))
		return -1;
	if (top_stats_parse(out, (struct bytes){varz.p, varz.len},
			    (struct bytes){connz.p, connz.len}, e))
		return -1;
	for (size_t i = 0; ask->lookup && i < out->nconn; i++)
		out->conn[i].host = lookup(s, out->conn[i].ip);
	return 0;
}
