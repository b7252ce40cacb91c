/* What nats.c reports of a connection: log lines, the caller's event, the next try. */
#include <string.h>

#include "base/cleanup.h"
#include "conn/conn_state.h"
#include "crypto/crypto.h"

#define TROUBLE_MAX 8192
#define LINES_MAX 10 /* of a kind within 10 s */

/* A broker can make these as often as it likes: it takes us and hangs up. */
static void say(struct conn *c, enum conn_event ev, const char *what)
{
	static const struct {
		enum log_level level;
		const char *msg;
	} texts[] = {
		[CONN_UP] = {LOG_INFO, "connected to NATS"},
		[CONN_DOWN] = {LOG_WARN, "lost NATS, reconnecting"},
		[CONN_TROUBLE] = {LOG_WARN, "no NATS server answers or accepts us, trying on"},
		[CONN_CLOSED] = {LOG_INFO, "NATS connection closed"},
		[CONN_SLOW] = {LOG_WARN, "NATS reports"},
	};

	unsigned left = 0;

	if (c->quiet || !log_limited(&c->said[ev], LINES_MAX, &left))
		return;
	log_kv(texts[ev].level, texts[ev].msg,
	       ev == CONN_UP	    ? "server"
	       : ev == CONN_TROUBLE ? "servers"
				    : "reason",
	       what, left ? "left_out" : NULL, LOG_NUM(left), (char *)NULL);
}

static void notify(struct conn *c, enum conn_event ev, const char *what)
{
	say(c, ev, what);
	if (c->event)
		c->event(c->event_arg, ev, what);
}

static void last_error(natsConnection *nc, char *out, size_t cap)
{
	natsStatus s = natsConnection_ReadLastError(nc, out, cap);

	if (s == NATS_OK || !*out)
		(void)snprintf(out, cap, "%s",
			       s == NATS_OK ? "closed by the server or the network"
					    : natsStatus_GetText(s));
}

void conn_event_up(natsConnection *nc, void *arg)
{
	struct conn *c = arg;
	char url[512] = "", shown[512];
	CLEAN(buf) struct buf others = {0};

	(void)natsConnection_GetConnectedUrl(nc, url, sizeof(url));
	conn_url_shown(url, shown, sizeof(shown));
	buf_init(&others, TROUBLE_MAX);
	if (c->trouble)
		conn_trouble_over(c->trouble, &others);
	atomic_store(&c->why, ERR_OK);
	buf_u8(&others, '\0');
	/* A line before the good news: who it was not. */
	if (!others.bad && others.len > 1 && !c->quiet)
		log_warn("NATS servers that cannot be used", "servers", (const char *)others.p);
	notify(c, CONN_UP, shown);
}

static void on_down(natsConnection *nc, void *arg)
{
	char why[256];

	/* Closing on purpose also passes here: that is no loss. */
	if (natsConnection_IsClosed(nc))
		return;
	last_error(nc, why, sizeof(why));
	notify(arg, CONN_DOWN, why);
}

static void on_closed(natsConnection *nc, void *arg)
{
	struct conn *c = arg;
	char why[256];

	last_error(nc, why, sizeof(why));
	notify(c, CONN_CLOSED, why);
	pthread_mutex_lock(&c->lock);
	c->closed = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* Permission violations and slow consumers. */
static void on_error(natsConnection *nc, natsSubscription *sub, natsStatus s, void *arg)
{
	char why[256] = "";

	(void)sub;
	(void)natsConnection_ReadLastError(nc, why, sizeof(why));
	notify(arg, CONN_SLOW, s == NATS_SLOW_CONSUMER || !*why ? natsStatus_GetText(s) : why);
}

/* One line for each change of what is wrong. nats.c asks for the delay before it has tried
 * the last server of its list, so the first time not all have been tried. */
static void tell_trouble(struct conn *c, int attempts)
{
	CLEAN(buf) struct buf b = {0};
	enum err_code why = ERR_OK;
	struct err e = {0};

	buf_init(&b, TROUBLE_MAX);
	conn_trouble_failed(c->trouble, conn_auth_time(c->auth, &e) ? e.text : NULL);
	if (attempts < 2 || !conn_trouble_news(c->trouble, &b, &why))
		return;
	atomic_store(&c->why, why);
	buf_u8(&b, '\0');
	notify(c, CONN_TROUBLE, b.bad ? "too many to be told" : (const char *)b.p);
}

/* 100 ms doubling to 2 s, plus up to half of it: a server that comes back is not hit
 * by all its clients at once. attempts counts from 1. */
static int64_t on_delay(natsConnection *nc, int attempts, void *arg)
{
	struct conn *c = arg;
	int64_t base = attempts > 5 ? 2000 : 100LL << (attempts > 0 ? attempts - 1 : 0);
	uint16_t r;

	(void)nc;
	if (base > 2000)
		base = 2000;
	crypto_random(&r, sizeof(r));
	if (c->trouble)
		tell_trouble(c, attempts);
	else if (attempts == 1 && !c->quiet)
		log_warn("no NATS server answers or accepts our credentials, trying on");
	return base + base * r / 131072;
}

natsStatus conn_event_apply(natsOptions *no, struct conn *c)
{
	natsStatus s = natsOptions_SetDisconnectedCB(no, on_down, c);

	if (s == NATS_OK)
		s = natsOptions_SetReconnectedCB(no, conn_event_up, c);
	if (s == NATS_OK)
		s = natsOptions_SetClosedCB(no, on_closed, c);
	if (s == NATS_OK)
		s = natsOptions_SetErrorHandler(no, on_error, c);
	if (s == NATS_OK)
		s = natsOptions_SetCustomReconnectDelay(no, on_delay, c);
	if (s == NATS_OK && c->service)
		s = natsOptions_SetRetryOnFailedConnect(no, true, conn_event_up, c);
	return s;
}
