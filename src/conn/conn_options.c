/* From struct conn_opts to nats.c's options: servers, TLS, the way there, credentials. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/secret.h"
#include "conn/conn_state.h"

#define TIMEOUT_MS 5000 /* of all servers together, when nobody says another */
#define EACH_MIN_MS 2000
#define EACH_MAX_MS 5000
#define PEM_MAX 65536

int64_t conn_each_ms(int64_t all, int n)
{
	int64_t least, each;

	all = all > 0 ? all : TIMEOUT_MS;
	least = all < EACH_MIN_MS ? all : EACH_MIN_MS;
	each = all / (n > 0 ? n : 1);
	return each < least ? least : each > EACH_MAX_MS ? EACH_MAX_MS : each;
}

static int apply_urls(natsOptions *no, struct conn *c, const struct conn_opts *o, bool *tls,
		      struct err *e)
{
	CLEAN(free) char *list = strdup(o->url ? o->url : CONN_URL_DEFAULT);
	const char *urls[CONN_URLS_MAX];
	int n;

	if (!list)
		return err_set(e, ERR_NOMEM, NULL);
	if (conn_url_split(list, urls, &n, tls, e))
		return -1;
	for (int i = 0; i < n; i++) {
		char host[256], port[8];

		if (conn_url_place(urls[i], host, port) && conn_url_hold(&c->names, host, port, e))
			return -1;
	}
	c->timeout_ms = conn_each_ms(o->timeout_ms, n);
	natsStatus s = natsOptions_SetServers(no, urls, n);

	if (s == NATS_OK)
		s = natsOptions_SetTimeout(no, c->timeout_ms);
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
	if (conn_socks_parse(&c->proxy, o->proxy, e) ||
	    conn_url_hold(&c->names, c->proxy.host, c->proxy.port, e))
		return -1;
	return conn_err(e, natsOptions_SetProxyConnHandler(no, on_proxy, c), "NATS options");
}

int conn_options_apply(natsOptions *no, struct conn *c, const struct conn_opts *o, struct err *e)
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
		s = conn_event_apply(no, c);
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
