/* The exporter's HTTP server: GET /metrics, over TLS when a certificate is given. */
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "box/nats/nats_check.h"
#include "box/nats/nats_exporter.h"

#define HEADERS_MAX 16384
#define BODY_MAX 1024
#define IDLE_SECONDS 60

/* What is to be freed at the end. */
struct server {
	struct exporter x;
	struct event_base *base;
	struct evhttp *http;
	struct event *term, *intr;
	SSL_CTX *tls;
};

static void cleanup_server(struct server *s)
{
	if (s->http)
		evhttp_free(s->http);
	if (s->term)
		event_free(s->term);
	if (s->intr)
		event_free(s->intr);
	if (s->base)
		event_base_free(s->base);
	SSL_CTX_free(s->tls);
	exporter_free(&s->x);
}

static void on_metrics(struct evhttp_request *req, void *arg)
{
	struct server *s = arg;
	CLEAN(free) char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	struct evbuffer *body = evbuffer_new();
	struct err e;
	int r = f ? exporter_collect(&s->x, f, &e) : -1;

	if (f && fclose(f))
		r = -1;
	if (r == 0 && body && evbuffer_add(body, text, n) == 0) {
		evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type",
				  "text/plain; version=0.0.4; charset=utf-8");
		evhttp_send_reply(req, 200, "OK", body);
	} else {
		evhttp_send_error(req, 500, "the checks could not be made");
	}
	if (body)
		evbuffer_free(body);
}

static void on_other(struct evhttp_request *req, void *arg)
{
	(void)arg;
	evhttp_send_error(req, 404, NULL);
}

static void on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)event_base_loopbreak(arg);
}

static struct bufferevent *tls_conn(struct event_base *base, void *arg)
{
	SSL *ssl = SSL_new(arg);

	return ssl ? bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
						    BEV_OPT_CLOSE_ON_FREE)
		   : NULL;
}

static int setup_tls(struct server *s, const char *cert, const char *key, struct err *e)
{
	if (!cert && !key)
		return 0;
	if (!cert || !key)
		return cli_usage(e, "--https-certificate and --https-key go together");
	s->tls = SSL_CTX_new(TLS_server_method());
	if (!s->tls || !SSL_CTX_set_min_proto_version(s->tls, TLS1_2_VERSION))
		return err_set(e, ERR_NOMEM, NULL);
	if (SSL_CTX_use_certificate_chain_file(s->tls, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(s->tls, key, SSL_FILETYPE_PEM) != 1) {
		ERR_clear_error();
		return err_set(e, ERR_CONFIG, "certificate %.100s with key %.100s cannot be used",
			       cert, key);
	}
	evhttp_set_bevcb(s->http, tls_conn, s->tls);
	return 0;
}

static int setup(struct server *s, struct cli *c, struct err *e)
{
	const char *address = cli_str(c, "address") ? cli_str(c, "address") : "0.0.0.0";
	int64_t port = 8080;

	if (cli_int(c, "port", 1, 65535, &port, e))
		return -1;
	s->base = event_base_new();
	s->http = s->base ? evhttp_new(s->base) : NULL;
	if (!s->http)
		return err_set(e, ERR_NOMEM, NULL);
	if (setup_tls(s, cli_str(c, "https-certificate"), cli_str(c, "https-key"), e))
		return -1;
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(s->http, HEADERS_MAX);
	evhttp_set_max_body_size(s->http, BODY_MAX);
	evhttp_set_timeout(s->http, IDLE_SECONDS);
	(void)evhttp_set_cb(s->http, "/metrics", on_metrics, s);
	evhttp_set_gencb(s->http, on_other, NULL);
	if (evhttp_bind_socket(s->http, address, (ev_uint16_t)port))
		return err_errno(e, ERR_IO, "cannot listen on %.60s:%d", address, (int)port);
	s->term = evsignal_new(s->base, SIGTERM, on_signal, s->base);
	s->intr = evsignal_new(s->base, SIGINT, on_signal, s->base);
	if (!s->term || !s->intr || evsignal_add(s->term, NULL) || evsignal_add(s->intr, NULL))
		return err_set(e, ERR_NOMEM, NULL);
	nats_log("NATS CLI Prometheus Exporter listening on http%s://%s:%d/metrics",
		 s->tls ? "s" : "", address, (int)port);
	return 0;
}

int exporter_run(struct cli *c, struct err *e)
{
	CLEAN(server) struct server s = {0};

	if (!cli_str(c, "config"))
		return cli_usage(e, "option --config is required");
	s.x.ns = cli_str(c, "namespace") ? cli_str(c, "namespace") : "nats_server_check";
	if (strspn(s.x.ns, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") !=
	    strlen(s.x.ns))
		return cli_usage(e, "a namespace has letters, digits and '_' only");
	if (nats_settings(c, e))
		return -1;
	s.x.timeout_ms = run_of(c)->timeout_ms;
	if (exporter_load(&s.x, cli_str(c, "config"), e) || setup(&s, c, e))
		return -1;
	/* A client that goes away must not end us. */
	(void)signal(SIGPIPE, SIG_IGN);
	return event_base_dispatch(s.base) < 0 ? err_set(e, ERR_INTERNAL, "libevent") : 0;
}

const struct cli_opt exporter_opts[] = {
	{"config", 0, "FILE", "The checks, as YAML"},
	{"port", 0, "PORT", "Port to listen on (8080)"},
	{"address", 0, "ADDRESS", "Address to listen on (0.0.0.0)"},
	{"https-certificate", 0, "FILE", "Certificate, for HTTPS"},
	{"https-key", 0, "FILE", "Its private key"},
	{"namespace", 0, "NAME", "Namespace of the metrics (nats_server_check)"},
	{0},
};
