/* Measured on two cores, one nats-server on loopback, echoes of 128 bytes, 1,000 in
 * flight: default options 520,000-620,000/s, a lone round trip 85 us; SendAsap or
 * natsConnection_Send for each message 310,000-360,000/s, lone 75-80 us; 128 KiB I/O
 * buffers 370,000-430,000/s; a flusher wait of 0 360,000-420,000/s. So nats.c's defaults
 * stay, and callers send the last message of a batch with natsConnection_Send. */
#include "conn/conn_state.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"

void conn_server(const struct conn *c, char *out, size_t cap)
{
	char url[512] = "";

	out[0] = '\0';
	if (c->nc && natsConnection_GetConnectedUrl(c->nc, url, sizeof(url)) == NATS_OK)
		conn_url_shown(url, out, cap);
}

/* Tells which try failed: the errors of credentials and proxy are better than nats.c's. */
static int connect_err(struct conn *c, const struct conn_opts *o, natsStatus s, struct err *e)
{
	char what[300] = "NATS", shown[256];
	const char *own = conn_auth_error(c->auth);

	if (own)
		return err_set(e, ERR_DENIED, "%s", own);
	pthread_mutex_lock(&c->lock);
	struct err proxy = c->proxy_err;

	pthread_mutex_unlock(&c->lock);
	if (proxy.code)
		return err_set(e, proxy.code, "%s", proxy.text);
	/* The last server's refusal hides behind "no server" when there are several. */
	conn_url_shown(o->url ? o->url : CONN_URL_DEFAULT, shown, sizeof(shown));
	if (!strchr(shown, ','))
		(void)snprintf(what, sizeof(what), "NATS at %s", shown);
	return conn_err(e, s, what);
}

/* *insists: the server wants TLS, which o does not ask for. */
static int open_once(struct conn **out, const struct conn_opts *o, bool *insists, struct err *e)
{
	struct conn *c = calloc(1, sizeof(*c));
	natsOptions *no = NULL;
	natsStatus s;
	int r;

	if (!c)
		return err_set(e, ERR_NOMEM, NULL);
	c->service = o->service;
	c->quiet = o->quiet;
	c->event = o->event;
	c->event_arg = o->event_arg;
	c->closed = true; /* until nats.c has a connection to close */
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	s = natsOptions_Create(&no);
	if (s != NATS_OK) {
		conn_close(c);
		return conn_err(e, s, "NATS options");
	}
	r = conn_auth_load(&c->auth, o, e);
	if (r == 0 && o->service)
		r = conn_auth_time(c->auth, e);
	if (r == 0)
		r = conn_options_apply(no, c, o, e);
	if (r == 0) {
		s = natsConnection_Connect(&c->nc, no);
		c->closed = c->nc == NULL;
		if (s == NATS_OK)
			conn_event_up(c->nc, c);
		else if (s != NATS_NOT_YET_CONNECTED)
			r = connect_err(c, o, s, e);
		*insists = s == NATS_SECURE_CONNECTION_REQUIRED;
	}
	natsOptions_Destroy(no);
	if (r) {
		conn_close(c);
		return -1;
	}
	*out = c;
	return 0;
}

int conn_open(struct conn **out, const struct conn_opts *o, struct err *e)
{
	struct conn_opts secure = *o;
	bool insists = false;
	int r = open_once(out, o, &insists, e);

	if (r == 0 || !insists || !o->tls_auto)
		return r;
	secure.tls = true;
	return open_once(out, &secure, &insists, e);
}

natsConnection *conn_nats(const struct conn *c)
{
	return c->nc;
}

const char *conn_user(const struct conn *c)
{
	return conn_auth_user(c->auth);
}

const char *conn_inbox(const struct conn *c)
{
	return c->inbox;
}

bool conn_is_up(const struct conn *c)
{
	return natsConnection_Status(c->nc) == NATS_CONN_STATUS_CONNECTED;
}

enum err_code conn_why(const struct conn *c)
{
	return atomic_load(&c->why);
}

bool conn_secure(const struct conn *c)
{
	return c->secure;
}

/* Waits for the closed callback; false after ms. */
static bool wait_closed(struct conn *c, int64_t ms)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&c->lock);
	while (!c->closed && r == 0)
		r = pthread_cond_clockwait(&c->changed, &c->lock, CLOCK_MONOTONIC, &until);
	bool done = c->closed;

	pthread_mutex_unlock(&c->lock);
	return done;
}

int conn_drain(struct conn *c, int64_t ms, struct err *e)
{
	natsStatus s = natsConnection_DrainTimeout(c->nc, ms);
	int64_t start = nats_Now();

	/* Closed, or not connected: there is nothing in flight that could be finished. */
	if (s == NATS_CONNECTION_CLOSED || s == NATS_ILLEGAL_STATE)
		return 0;
	if (s != NATS_OK)
		return conn_err(e, s, "draining");
	/* nats.c closes the connection when it is done and when it gives up. */
	if (!wait_closed(c, ms + 500) || nats_Now() - start >= ms)
		return err_set(e, ERR_TIMEOUT, "draining: not done after %lld ms", (long long)ms);
	return 0;
}

void conn_close(struct conn *c)
{
	if (!c)
		return;
	if (c->nc) {
		natsConnection_Close(c->nc);
		/* The callbacks use c: it may go only when the last one has run. */
		(void)wait_closed(c, 5000);
		natsConnection_Destroy(c->nc);
	}
	conn_auth_free(c->auth);
	conn_trouble_free(c->trouble);
	conn_url_release(&c->names);
	secret_wipe(&c->proxy, sizeof(c->proxy));
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void conn_library_close(void)
{
	(void)nats_CloseAndWait(2000);
}
