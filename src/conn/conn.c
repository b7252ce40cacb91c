/* Measured on two cores, one nats-server on loopback, echoes of 128 bytes, 1,000 in
 * flight: default options 520,000-620,000/s, a lone round trip 85 us; SendAsap or
 * natsConnection_Send for each message 310,000-360,000/s, lone 75-80 us; 128 KiB I/O
 * buffers 370,000-430,000/s; a flusher wait of 0 360,000-420,000/s. So nats.c's defaults
 * stay, and callers send the last message of a batch with natsConnection_Send. */
#include "conn/conn.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "conn/conn_auth.h"
#include "conn/conn_socks.h"
#include "conn/conn_trouble.h"
#include "crypto/crypto.h"

#define DEFAULT_URL "nats://127.0.0.1:4222"
#define DEFAULT_TIMEOUT_MS 2000
#define MAX_URLS 32
#define TROUBLE_MAX 8192
#define PEM_MAX 65536
#define LINES_MAX 10 /* of a kind within 10 s */

struct conn {
	natsConnection *nc;
	struct conn_auth *auth;
	struct conn_trouble *trouble; /* of a service: why which server cannot be used */
	_Atomic enum err_code why;    /* the worst of them; 0 when connected or not known */
	bool service, quiet, secure;
	struct log_limit said[CONN_EVENTS];
	void (*event)(void *arg, enum conn_event ev, const char *what);
	void *event_arg;
	char inbox[128];
	struct socks_proxy proxy;
	struct err proxy_err; /* of the last try; under lock */
	int64_t timeout_ms;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closed; /* nats.c has reported that the connection is closed */
};

/* "nats://user:pass@host:1" without "user:pass@", for logs and messages. */
static void without_user(const char *url, char *out, size_t cap)
{
	const char *host = strstr(url, "://");
	const char *at;

	host = host ? host + 3 : url;
	at = strrchr(host, '@');
	(void)snprintf(out, cap, "%.*s%s", (int)(host - url), url, at ? at + 1 : host);
}

void conn_server(const struct conn *c, char *out, size_t cap)
{
	char url[512] = "";

	out[0] = '\0';
	if (c->nc && natsConnection_GetConnectedUrl(c->nc, url, sizeof(url)) == NATS_OK)
		without_user(url, out, cap);
}

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

static void on_up(natsConnection *nc, void *arg)
{
	struct conn *c = arg;
	char url[512] = "", shown[512];
	CLEAN(buf) struct buf others = {0};

	(void)natsConnection_GetConnectedUrl(nc, url, sizeof(url));
	without_user(url, shown, sizeof(shown));
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

/* Last error of nats.c in this thread without its "(conn.c:829): " in front. */
static const char *own_words(void)
{
	const char *text = nats_GetLastError(NULL);
	const char *behind = text && *text == '(' ? strstr(text, "): ") : NULL;

	return behind ? behind + 3 : text ? text : "";
}

int conn_err(struct err *e, natsStatus s, const char *what)
{
	const char *detail = own_words();
	const char *sep = *detail ? ": " : "";

	switch (s) {
	case NATS_OK:
		return 0;
	case NATS_NO_RESPONDERS:
		return err_set(e, ERR_NO_RESPONDERS, "%s: no service answers on this subject",
			       what);
	case NATS_TIMEOUT:
		return err_set(e, ERR_TIMEOUT, "%s: timed out", what);
	case NATS_NO_SERVER:
		return err_set(e, ERR_UNAVAILABLE, "%s: no NATS server answers there", what);
	case NATS_CONNECTION_AUTH_FAILED:
		return err_set(e, ERR_DENIED, "%s: the NATS server refuses these credentials",
			       what);
	case NATS_NOT_PERMITTED:
		return err_set(e, ERR_DENIED, "%s: the NATS server does not permit it%s%s", what,
			       sep, detail);
	case NATS_SSL_ERROR:
		return err_set(e, ERR_UNAVAILABLE, "%s: TLS failed%s%s", what, sep, detail);
	case NATS_SECURE_CONNECTION_REQUIRED:
		return err_set(e, ERR_CONFIG,
			       "%s: the NATS server requires TLS: use tls:// or give a CA", what);
	case NATS_SECURE_CONNECTION_WANTED:
		return err_set(e, ERR_CONFIG, "%s: the NATS server does not offer TLS", what);
	case NATS_CONNECTION_CLOSED:
	case NATS_CONNECTION_DISCONNECTED:
	case NATS_STALE_CONNECTION:
	case NATS_IO_ERROR:
	case NATS_DRAINING:
	case NATS_NOT_YET_CONNECTED:
		return err_set(e, ERR_UNAVAILABLE, "%s: not connected to NATS (%s)", what,
			       natsStatus_GetText(s));
	case NATS_PROTOCOL_ERROR:
	case NATS_LINE_TOO_LONG:
		return err_set(e, ERR_UNAVAILABLE, "%s: that is no NATS server%s%s", what, sep,
			       detail);
	case NATS_MAX_PAYLOAD:
		return err_set(e, ERR_TOO_LARGE, "%s: larger than the NATS server takes", what);
	case NATS_ADDRESS_MISSING:
		return err_set(e, ERR_CONFIG, "%s: bad NATS URL", what);
	case NATS_INVALID_SUBJECT:
		return err_set(e, ERR_BAD_NAME, "%s: bad subject", what);
	case NATS_NO_MEMORY:
		return err_set(e, ERR_NOMEM, NULL);
	default:
		return err_set(e, ERR_INTERNAL, "%s: %s%s%s", what, natsStatus_GetText(s), sep,
			       detail);
	}
}

/* Splits the list and checks each URL, so that a typo is not a time-out. list is
 * changed; urls point into it. */
static int split_urls(char *list, const char **urls, int *n, bool *tls, struct err *e)
{
	char *save = NULL;

	*n = 0;
	for (char *u = strtok_r(list, ", ", &save); u; u = strtok_r(NULL, ", ", &save)) {
		const char *scheme_end = strstr(u, "://");

		if (scheme_end && strncmp(u, "nats://", 7) != 0 && strncmp(u, "tls://", 6) != 0)
			return err_set(e, ERR_CONFIG,
				       "NATS URL with scheme '%.*s': only nats:// and tls://",
				       (int)(scheme_end - u < 20 ? scheme_end - u : 20), u);
		*tls |= strncmp(u, "tls://", 6) == 0;
		if (*n == MAX_URLS)
			return err_set(e, ERR_CONFIG, "more than %d NATS URLs", MAX_URLS);
		urls[(*n)++] = u;
	}
	if (*n == 0)
		return err_set(e, ERR_CONFIG, "the NATS URL is empty");
	return 0;
}

static int apply_urls(natsOptions *no, struct conn *c, const struct conn_opts *o, bool *tls,
		      struct err *e)
{
	CLEAN(free) char *list = strdup(o->url ? o->url : DEFAULT_URL);
	const char *urls[MAX_URLS];
	int64_t each = o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
	int n;

	if (!list)
		return err_set(e, ERR_NOMEM, NULL);
	if (split_urls(list, urls, &n, tls, e))
		return -1;
	/* The deadline is for the list; nats.c counts for each server. */
	each = each / n > 250 ? each / n : 250;
	c->timeout_ms = each;
	natsStatus s = natsOptions_SetServers(no, urls, n);

	if (s == NATS_OK)
		s = natsOptions_SetTimeout(no, each);
	return s == NATS_OK ? 0 : conn_err(e, s, "NATS URL");
}

static int readable(const char *path, const char *what, struct err *e)
{
	if (access(path, R_OK) < 0)
		return err_errno(e, ERR_IO, "cannot read the %s %s", what, path);
	return 0;
}

/* Certificate and key by one's own hands: the key's file is held to the rules of secrets. */
static int own_cert(natsOptions *no, const struct conn_opts *o, struct err *e)
{
	CLEAN(buf) struct buf cert = {0};
	struct secret key = {0};
	natsStatus s;

	if (o->service && conn_trouble_cert("nats.cert", o->cert, false, e))
		return -1;
	if (o->any_mode) {
		if (readable(o->cert, "certificate", e) || readable(o->key, "private key", e))
			return -1;
		s = natsOptions_LoadCertificatesChain(no, o->cert, o->key);
	} else {
		buf_init(&cert, PEM_MAX);
		if (file_read(o->cert, &cert, e))
			return err_wrap(e, "certificate");
		buf_u8(&cert, '\0');
		if (cert.bad)
			return err_set(e, ERR_NOMEM, NULL);
		if (secret_read_file(&key, o->key, PEM_MAX, e))
			return err_wrap(e, "private key");
		/* There is room for it: what was read had one byte more. */
		key.p[key.len] = '\0';
		s = natsOptions_SetCertificatesChain(no, (const char *)cert.p, (const char *)key.p);
		secret_clear(&key);
	}
	if (s == NATS_OK)
		return 0;
	return err_set(e, ERR_CONFIG, "certificate %s and key %s do not fit", o->cert, o->key);
}

static int apply_tls(natsOptions *no, const struct conn_opts *o, bool tls, struct err *e)
{
	static const char system_ca[] = "/etc/ssl/certs/ca-certificates.crt";
	natsStatus s;

	if (!tls && !o->tls && !o->ca && !o->cert && !o->tls_first)
		return 0;
	if (!o->cert != !o->key)
		return err_set(e, ERR_CONFIG, "a client certificate needs both cert and key");
	s = natsOptions_SetSecure(no, true);
	if (s == NATS_OK && o->verify)
		s = natsOptions_SetSSLVerificationCallback(no, o->verify);
	if (s == NATS_OK && o->tls_first)
		s = natsOptions_TLSHandshakeFirst(no);
	if (s == NATS_OK && o->ca) {
		if (readable(o->ca, "CA file", e))
			return -1;
		s = natsOptions_LoadCATrustedCertificates(no, o->ca);
		if (s != NATS_OK)
			return err_set(e, ERR_CONFIG, "no usable CA certificate in %s", o->ca);
		if (o->service && conn_trouble_cert("nats.ca", o->ca, true, e))
			return -1;
	} else if (s == NATS_OK && access(system_ca, R_OK) == 0) {
		/* A static OpenSSL looks for a directory that small images lack. */
		s = natsOptions_LoadCATrustedCertificates(no, system_ca);
	}
	if (s == NATS_OK && o->cert && own_cert(no, o, e))
		return -1;
	return s == NATS_OK ? 0 : conn_err(e, s, "TLS");
}

static natsStatus apply_tuning(natsOptions *no, const struct conn_opts *o)
{
	natsStatus s = natsOptions_SetAllowReconnect(no, true);

	if (s == NATS_OK)
		s = natsOptions_SetMaxReconnect(no, -1);
	/* A service takes the first that is there: which one is down is then no matter of luck. */
	if (s == NATS_OK && o->service)
		s = natsOptions_SetNoRandomize(no, true);
	/* A restarting server may refuse us before it has loaded its users. */
	if (s == NATS_OK)
		s = natsOptions_SetIgnoreAuthErrorAbort(no, o->service);
	/* A peer that vanished is noticed in 4 to 6 s, not in four minutes: requests wait
	 * for that, and have a deadline. */
	if (s == NATS_OK)
		s = natsOptions_SetPingInterval(no, 2000);
	if (s == NATS_OK)
		s = natsOptions_SetMaxPingsOut(no, 2);
	/* A server that stops reading must not hold a thread, and what waits for the
	 * connection's lock, for longer than that. */
	if (s == NATS_OK)
		s = natsOptions_SetWriteDeadline(no, 4000);
	/* A request in flight fails at once when the connection is lost: the caller
	 * decides about retrying, it has the idempotency id. */
	if (s == NATS_OK)
		s = natsOptions_SetFailRequestsOnDisconnect(no, true);
	return s;
}

static natsStatus apply_callbacks(natsOptions *no, struct conn *c)
{
	natsStatus s = natsOptions_SetDisconnectedCB(no, on_down, c);

	if (s == NATS_OK)
		s = natsOptions_SetReconnectedCB(no, on_up, c);
	if (s == NATS_OK)
		s = natsOptions_SetClosedCB(no, on_closed, c);
	if (s == NATS_OK)
		s = natsOptions_SetErrorHandler(no, on_error, c);
	if (s == NATS_OK)
		s = natsOptions_SetCustomReconnectDelay(no, on_delay, c);
	if (s == NATS_OK && c->service)
		s = natsOptions_SetRetryOnFailedConnect(no, true, on_up, c);
	return s;
}

static natsStatus on_proxy(natsSock *fd, char *host, int port, void *arg)
{
	struct conn *c = arg;
	struct err e = {0};
	int got = conn_socks(&c->proxy, host, port, c->timeout_ms, &e);

	/* nats.c has but a status for it. */
	pthread_mutex_lock(&c->lock);
	c->proxy_err = e;
	pthread_mutex_unlock(&c->lock);
	if (got < 0 && !c->quiet)
		log_kv(LOG_WARN, "no way to NATS", "reason", e.text, (char *)NULL);
	if (got < 0)
		return NATS_NO_SERVER;
	*fd = got;
	return NATS_OK;
}

static natsStatus on_dial(natsSock *fd, char *host, int port, void *arg)
{
	struct conn *c = arg;

	*fd = conn_trouble_dial(c->trouble, host, port, c->timeout_ms);
	return *fd < 0 ? NATS_NO_SERVER : NATS_OK;
}

/* As nats.c does, but in bounded time: it holds a lock meanwhile that requests wait for. */
static natsStatus on_client_dial(natsSock *fd, char *host, int port, void *arg)
{
	struct conn *c = arg;
	struct err e = {0};

	*fd = conn_socks_direct(host, port, c->timeout_ms, &e);
	return *fd >= 0 ? NATS_OK : e.code == ERR_TIMEOUT ? NATS_TIMEOUT : NATS_NO_SERVER;
}

static int apply_proxy(natsOptions *no, struct conn *c, const struct conn_opts *o, struct err *e)
{
	if (o->service && !o->proxy) {
		natsStatus s = natsOptions_SetProxyConnHandler(no, on_dial, c);

		c->trouble = conn_trouble_new();
		c->timeout_ms = o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
		if (!c->trouble)
			return err_set(e, ERR_NOMEM, NULL);
		/* A server can ask for TLS that nobody has configured here. */
		if (s == NATS_OK)
			s = natsOptions_SetSSLVerificationCallback(no, conn_trouble_verify);
		return conn_err(e, s, "NATS options");
	}
	if (!o->proxy)
		return conn_err(e, natsOptions_SetProxyConnHandler(no, on_client_dial, c),
				"NATS options");
	if (conn_socks_parse(&c->proxy, o->proxy, e))
		return -1;
	c->timeout_ms = o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS;
	return conn_err(e, natsOptions_SetProxyConnHandler(no, on_proxy, c), "NATS options");
}

static int apply(natsOptions *no, struct conn *c, const struct conn_opts *o, struct err *e)
{
	bool tls = false;
	natsStatus s;

	if (apply_urls(no, c, o, &tls, e))
		return -1;
	c->secure = tls || o->tls || o->tls_first || o->ca || o->cert;
	if (apply_tls(no, o, tls, e) || apply_proxy(no, c, o, e) || conn_auth_apply(c->auth, no, e))
		return -1;
	if (o->inbox_prefix)
		(void)snprintf(c->inbox, sizeof(c->inbox), "%s", o->inbox_prefix);
	else if (*conn_auth_user(c->auth) && !o->plain_inbox)
		(void)snprintf(c->inbox, sizeof(c->inbox), "_INBOX.%s", conn_auth_user(c->auth));
	else
		(void)snprintf(c->inbox, sizeof(c->inbox), "_INBOX");
	s = apply_tuning(no, o);
	if (s == NATS_OK)
		s = apply_callbacks(no, c);
	if (s == NATS_OK)
		s = natsOptions_SetCustomInboxPrefix(no, c->inbox);
	if (s == NATS_OK && o->name)
		s = natsOptions_SetName(no, o->name);
	if (s == NATS_OK && o->user)
		s = natsOptions_SetUserInfo(no, o->user, o->password ? o->password : "");
	if (s == NATS_OK && o->token)
		s = natsOptions_SetToken(no, o->token);
	return s == NATS_OK ? 0 : conn_err(e, s, "NATS options");
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
	without_user(o->url ? o->url : DEFAULT_URL, shown, sizeof(shown));
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
		r = apply(no, c, o, e);
	if (r == 0) {
		s = natsConnection_Connect(&c->nc, no);
		c->closed = c->nc == NULL;
		if (s == NATS_OK)
			on_up(c->nc, c);
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
	secret_wipe(&c->proxy, sizeof(c->proxy));
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void conn_library_close(void)
{
	(void)nats_CloseAndWait(2000);
}
