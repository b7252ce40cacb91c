#include "http/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/secret.h"

#define MAX_INTERIM 8 /* answers before the answer */

static const char system_ca[] = "/etc/ssl/certs/ca-certificates.crt";

struct http {
	struct http_opts o;
	SSL_CTX *tls;
	char *auth; /* value of the header */
	char path[1024];
	char host[300]; /* value of the header */
};

/* One request on its way. */
struct get {
	struct http *h;
	const struct http_ask *ask;
	struct event_base *base;
	struct bufferevent *bev;
	struct evhttp_connection *conn;
	SSL *ssl; /* the bufferevent's */
	struct buf *body;
	struct err *e;
	bool done;
	int result, status;
	enum evhttp_request_error why;
	bool failed, refused;
	unsigned headers; /* of answers: interim ones and the last */
};

static void clean_get(struct get *g)
{
	/* The connection owns the bufferevent and that owns the SSL. */
	if (g->conn)
		evhttp_connection_free(g->conn);
	else if (g->bev)
		bufferevent_free(g->bev);
	if (g->base)
		event_base_free(g->base);
}

static inline void cleanup_get(struct get *g)
{
	clean_get(g);
}

static int tls_error(struct err *e, const char *what)
{
	char text[160] = "unknown reason";

	ERR_error_string_n(ERR_peek_last_error(), text, sizeof(text));
	ERR_clear_error();
	const char *reason = strrchr(text, ':');

	return err_set(e, ERR_CONFIG, "%s: %s", what, reason ? reason + 1 : text);
}

static int setup_tls(struct http *h, struct err *e)
{
	const struct http_opts *o = &h->o;
	char what[300];

	h->tls = SSL_CTX_new(TLS_client_method());
	if (!h->tls)
		return err_set(e, ERR_NOMEM, NULL);
	SSL_CTX_set_min_proto_version(h->tls, TLS1_2_VERSION);
	SSL_CTX_set_verify(h->tls, o->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	const char *ca = o->ca ? o->ca : access(system_ca, R_OK) == 0 ? system_ca : NULL;

	if (ca && !SSL_CTX_load_verify_file(h->tls, ca)) {
		(void)snprintf(what, sizeof(what), "no usable CA certificate in %.200s", ca);
		return tls_error(e, what);
	}
	if (!o->cert != !o->key)
		return err_set(e, ERR_CONFIG, "a client certificate needs both %s", o->pair);
	if (o->cert && (SSL_CTX_use_certificate_chain_file(h->tls, o->cert) != 1 ||
			SSL_CTX_use_PrivateKey_file(h->tls, o->key, SSL_FILETYPE_PEM) != 1)) {
		(void)snprintf(what, sizeof(what), "certificate %.100s with key %.100s", o->cert,
			       o->key);
		return tls_error(e, what);
	}
	return 0;
}

static int setup_auth(struct http *h, struct err *e)
{
	size_t n = strlen(h->o.user), cap = ENC_BASE64_LEN(n) + 6;

	h->auth = malloc(cap);
	if (!h->auth)
		return err_set(e, ERR_NOMEM, NULL);
	memcpy(h->auth, "Basic ", 6);
	enc_base64(h->auth + 6, h->o.user, n, ENC_STD);
	return 0;
}

int http_new(struct http **out, const struct http_opts *o, struct err *e)
{
	struct http *h = calloc(1, sizeof(*h));
	bool v6 = strchr(o->host, ':') != NULL;

	if (!h)
		return err_set(e, ERR_NOMEM, NULL);
	h->o = *o;
	h->o.what = o->what ? o->what : "request";
	h->o.denied = o->denied ? o->denied : "";
	h->o.no_http = o->no_http ? o->no_http : "";
	(void)snprintf(h->path, sizeof(h->path), "%s", o->path);
	(void)snprintf(h->host, sizeof(h->host), "%s%.250s%s:%d", v6 ? "[" : "", o->host,
		       v6 ? "]" : "", o->port);
	if ((o->tls && setup_tls(h, e)) || (o->user && setup_auth(h, e))) {
		http_free(h);
		return -1;
	}
	*out = h;
	return 0;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	SSL_CTX_free(h->tls);
	if (h->auth)
		secret_wipe(h->auth, strlen(h->auth));
	free(h->auth);
	free(h);
}

static void on_failed(enum evhttp_request_error why, void *arg)
{
	struct get *g = arg;

	g->failed = true;
	g->why = why;
}

static int status_error(struct get *g, int status)
{
	enum err_code code = status == 401 || status == 403 ? ERR_DENIED : ERR_UNAVAILABLE;

	return err_set(g->e, code, "%s failed %d%s", g->h->o.what, status,
		       code == ERR_DENIED  ? g->h->o.denied
		       : status / 100 == 3 ? ": redirects are not followed, give the address itself"
					   : "");
}

/* Why TLS or the connection failed; the error callback is not told. */
static int broken(struct get *g)
{
	const char *host = g->h->host;
	unsigned long ssl = g->bev && g->h->tls ? bufferevent_get_openssl_error(g->bev) : 0;
	long verify = g->ssl ? SSL_get_verify_result(g->ssl) : X509_V_OK;

	if (g->failed && g->why == EVREQ_HTTP_TIMEOUT)
		return err_set(g->e, ERR_TIMEOUT, "%s does not answer in time", host);
	if (g->failed && g->why == EVREQ_HTTP_DATA_TOO_LONG)
		return err_set(g->e, ERR_TOO_LARGE, "the answer of %s is larger than %zu MB", host,
			       (g->h->o.max + (1 << 20) - 1) >> 20);
	if (g->headers > MAX_INTERIM)
		return err_set(g->e, ERR_BAD_INPUT, "%s says \"100 Continue\" again and again",
			       host);
	if (verify != X509_V_OK && !g->h->o.insecure)
		return err_set(g->e, ERR_UNAVAILABLE, "the certificate of %s: %s", host,
			       X509_verify_cert_error_string(verify));
	/* A refused connection leaves an error without a reason. */
	if (ssl && ERR_reason_error_string(ssl))
		return err_set(g->e, ERR_UNAVAILABLE, "TLS with %s failed: %s", host,
			       ERR_reason_error_string(ssl));
	if (g->failed && g->why == EVREQ_HTTP_INVALID_HEADER)
		return err_set(g->e, ERR_BAD_INPUT, "%s does not speak %s%s", host,
			       g->h->tls ? "HTTPS" : "HTTP", g->h->o.no_http);
	g->refused = true;
	return err_set(g->e, ERR_UNAVAILABLE, "%s refuses connections, or closed this one", host);
}

/* libevent takes as many "100 Continue" as come. */
static int on_headers(struct evhttp_request *req, void *arg)
{
	struct get *g = arg;

	(void)req;
	return ++g->headers > MAX_INTERIM ? -1 : 0;
}

static void on_done(struct evhttp_request *req, void *arg)
{
	struct get *g = arg;
	int status = req ? evhttp_request_get_response_code(req) : 0;

	g->done = true;
	g->status = status;
	if (status == 0) {
		g->result = broken(g);
	} else if (status != 200 && (status / 100 == 3 || !g->ask->any_status)) {
		g->result = status_error(g, status);
	} else {
		struct evbuffer *in = evhttp_request_get_input_buffer(req);
		size_t n = evbuffer_get_length(in);
		uint8_t *to = buf_space(g->body, n);

		if (n && (!to || evbuffer_remove(in, to, n) != (ev_ssize_t)n))
			g->result = err_set(g->e, ERR_TOO_LARGE, "the answer of %s is too large",
					    g->h->host);
	}
	event_base_loopbreak(g->base);
}

static int connect_tls(struct get *g, struct err *e)
{
	struct http *h = g->h;
	unsigned char ip[16];
	SSL *ssl = SSL_new(h->tls);

	if (!ssl)
		return err_set(e, ERR_NOMEM, NULL);
	bool numeric = evutil_inet_pton(AF_INET, h->o.host, ip) == 1 ||
		       evutil_inet_pton(AF_INET6, h->o.host, ip) == 1;

	/* Without a name to check, any certificate of a known CA would do. */
	if (numeric ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), h->o.host) != 1
		    : SSL_set1_host(ssl, h->o.host) != 1 ||
			      SSL_set_tlsext_host_name(ssl, h->o.host) != 1)
		return SSL_free(ssl), err_set(e, ERR_NOMEM, NULL);
	g->bev = bufferevent_openssl_socket_new(g->base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
						BEV_OPT_CLOSE_ON_FREE);
	if (!g->bev)
		return SSL_free(ssl), err_set(e, ERR_NOMEM, NULL);
	g->ssl = ssl;
	return 0;
}

/* address: one of the host's, in digits. */
static int start(struct get *g, const char *address, struct err *e)
{
	struct http *h = g->h;
	CLEAN(free) char *url = NULL;
	struct evhttp_request *req;

	g->base = event_base_new();
	if (!g->base)
		return err_set(e, ERR_NOMEM, NULL);
	if (h->tls) {
		if (connect_tls(g, e))
			return -1;
	} else {
		g->bev = bufferevent_socket_new(g->base, -1, BEV_OPT_CLOSE_ON_FREE);
	}
	if (g->bev)
		g->conn = evhttp_connection_base_bufferevent_new(g->base, NULL, g->bev, address,
								 (uint16_t)h->o.port);
	if (!g->conn || asprintf(&url, "%s%s", h->path, g->ask->page) < 0)
		return err_set(e, ERR_NOMEM, NULL);
	evhttp_connection_set_max_headers_size(g->conn, 65536);
	evhttp_connection_set_max_body_size(g->conn, (ev_ssize_t)h->o.max);
	req = evhttp_request_new(on_done, g);
	if (!req)
		return err_set(e, ERR_NOMEM, NULL);
	evhttp_request_set_error_cb(req, on_failed);
	evhttp_request_set_header_cb(req, on_headers);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(req);

	evhttp_add_header(headers, "Host", h->host);
	evhttp_add_header(headers, "Connection", "close");
	evhttp_add_header(headers, "Accept", g->ask->accept ? g->ask->accept : "*/*");
	if (h->auth)
		evhttp_add_header(headers, "Authorization", h->auth);
	if (g->ask->type) {
		evhttp_add_header(headers, "Content-Type", g->ask->type);
		if (evbuffer_add(evhttp_request_get_output_buffer(req), g->ask->data, g->ask->len))
			return evhttp_request_free(req), err_set(e, ERR_NOMEM, NULL);
	}
	/* The connection owns the request from here, also when this fails. */
	if (evhttp_make_request(g->conn, req, g->ask->type ? EVHTTP_REQ_POST : EVHTTP_REQ_GET, url))
		return g->done ? g->result : broken(g);
	return 0;
}

static int ask_at(struct http *h, const char *address, const struct http_ask *ask, struct buf *body,
		  int *status, bool *refused, struct err *e)
{
	CLEAN(get) struct get g = {.h = h, .ask = ask, .body = body, .e = e};
	struct timeval limit = {.tv_sec = h->o.timeout_ms / 1000,
				.tv_usec = h->o.timeout_ms % 1000 * 1000};
	int r = start(&g, address, e);

	/* One deadline for all: a server that sends a byte a second ends too. */
	if (r == 0 && !g.done &&
	    (event_base_loopexit(g.base, &limit) || event_base_dispatch(g.base) < 0))
		return err_set(e, ERR_INTERNAL, "the event loop failed");
	if (r == 0 && !g.done)
		return err_set(e, ERR_TIMEOUT, "%s does not answer in time", h->host);
	*refused = g.refused;
	*status = g.status;
	return r ? r : g.result;
}

int http_ask(struct http *h, const struct http_ask *ask, struct buf *body, int *status,
	     struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char address[INET6_ADDRSTRLEN + 24];
	int r = getaddrinfo(h->o.host, NULL, &hints, &list), got = 0;
	bool refused = true;

	if (r)
		return err_set(e, ERR_UNAVAILABLE, "cannot find %s: %s", h->o.host,
			       gai_strerror(r));
	r = err_set(e, ERR_UNAVAILABLE, "%s has no address", h->o.host);
	/* localhost is often ::1 first, where nothing listens. */
	for (struct addrinfo *a = list; a && refused; a = a->ai_next) {
		refused = false;
		if (getnameinfo(a->ai_addr, a->ai_addrlen, address, sizeof(address), NULL, 0,
				NI_NUMERICHOST) == 0)
			r = ask_at(h, address, ask, body, &got, &refused, e);
	}
	freeaddrinfo(list);
	if (status)
		*status = got;
	return r;
}

int http_get(struct http *h, const char *page, struct buf *body, struct err *e)
{
	const struct http_ask ask = {.page = page, .accept = "application/json"};

	return http_ask(h, &ask, body, NULL, e);
}
