#include "conn/conn_trouble.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "conn/conn_socks.h"

#define SERVERS_MAX 32
#define QUIET_MS 10000 /* between two lines, however often the reason changes */
#define PEM_MAX (1u << 20)

struct server {
	char name[128]; /* host:port */
	struct err why;
};

struct conn_trouble {
	pthread_mutex_t lock;
	struct server server[SERVERS_MAX];
	unsigned n;
	struct server *now; /* under way, NULL: none */
	struct err seen;    /* of the try under way, by dialling or by TLS */
	bool tls;	    /* it came as far as the server's certificate */
	char told[512];
	int64_t told_at;
};

/* nats.c's callback has no argument of ours; a try stays in one thread. */
static __thread struct conn_trouble *talking;

struct conn_trouble *conn_trouble_new(void)
{
	struct conn_trouble *t = calloc(1, sizeof(*t));

	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void conn_trouble_free(struct conn_trouble *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- certificates ---- */

static void date(char out[static 24], const struct tm *tm)
{
	if (strftime(out, 24, "%Y-%m-%dT%H:%M:%SZ", tm) == 0)
		out[0] = '\0';
}

static void asn1_date(char out[static 24], const ASN1_TIME *t)
{
	struct tm tm = {0};

	out[0] = '\0';
	if (t && ASN1_TIME_to_tm(t, &tm) == 1)
		date(out, &tm);
}

static void clock_date(char out[static 24])
{
	time_t now = time(NULL);
	struct tm tm = {0};

	(void)gmtime_r(&now, &tm);
	date(out, &tm);
}

/* A clock that is wrong looks like a certificate that is: both are told. */
static int bad_time(bool early, X509 *x, struct err *e)
{
	char limit[24], now[24];

	asn1_date(limit, early ? X509_get0_notBefore(x) : X509_get0_notAfter(x));
	clock_date(now);
	if (early)
		return err_set(e, ERR_CERT_EARLY,
			       "certificate is valid only from %s and the clock here says %s: set "
			       "the clock, or renew it",
			       limit, now);
	return err_set(e, ERR_CERT_EXPIRED,
		       "certificate expired on %s and the clock here says %s: renew it, or set "
		       "the clock",
		       limit, now);
}

/* With TLS 1.3 a server tells what it thinks of our certificate when the handshake is over
 * here; nats.c then knows but that the connection has ended. */
static void on_info(const SSL *ssl, int where, int what)
{
	const int alert = what & 0xff;
	struct err e = {0};

	(void)ssl;
	if (!talking || !(where & SSL_CB_READ) || !(where & SSL_CB_ALERT) ||
	    alert == SSL_AD_CLOSE_NOTIFY)
		return;
	if (alert == SSL_AD_CERTIFICATE_EXPIRED)
		err_set(&e, ERR_CERT_EXPIRED,
			"says that our certificate (nats.cert) has expired: renew it, or set the "
			"clock there");
	else if (alert == SSL_AD_CERTIFICATE_REQUIRED || alert == SSL_AD_NO_CERTIFICATE)
		err_set(&e, ERR_TLS, "wants a certificate of ours: set nats.cert and nats.key");
	else if (alert == SSL_AD_UNKNOWN_CA || alert == SSL_AD_BAD_CERTIFICATE ||
		 alert == SSL_AD_CERTIFICATE_UNKNOWN || alert == SSL_AD_ACCESS_DENIED)
		err_set(&e, ERR_CERT_UNTRUSTED,
			"refuses our certificate (%s): nats.cert must be of a CA that the server "
			"trusts",
			SSL_alert_desc_string_long(what));
	else
		err_set(&e, ERR_TLS, "ends TLS: %s", SSL_alert_desc_string_long(what));
	pthread_mutex_lock(&talking->lock);
	if (!talking->seen.code)
		talking->seen = e;
	pthread_mutex_unlock(&talking->lock);
}

int conn_trouble_verify(int ok, void *store_ctx)
{
	X509_STORE_CTX *ctx = store_ctx;
	int code = X509_STORE_CTX_get_error(ctx);
	X509 *x = X509_STORE_CTX_get_current_cert(ctx);
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct err e = {0};

	if (!talking)
		return ok;
	talking->tls = true;
	if (ssl)
		SSL_set_info_callback(ssl, on_info);
	if (ok)
		return ok;
	if (x && (code == X509_V_ERR_CERT_HAS_EXPIRED || code == X509_V_ERR_CERT_NOT_YET_VALID))
		bad_time(code == X509_V_ERR_CERT_NOT_YET_VALID, x, &e);
	else if (code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH)
		err_set(&e, ERR_CERT_UNTRUSTED,
			"certificate is for another name: use a name that stands in it, or make "
			"one for this name");
	else
		err_set(&e, ERR_CERT_UNTRUSTED,
			"certificate is of no CA that we trust (%s): set nats.ca to the CA that "
			"signed it",
			X509_verify_cert_error_string(code));
	pthread_mutex_lock(&talking->lock);
	if (!talking->seen.code)
		talking->seen = e;
	pthread_mutex_unlock(&talking->lock);
	return ok;
}

static int one_cert(X509 *x, struct err *e)
{
	if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		return bad_time(true, x, e);
	if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
		return bad_time(false, x, e);
	return 0;
}

int conn_trouble_cert(const char *what, const char *path, bool any, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	unsigned n = 0, good = 0;
	struct err bad = {0};

	buf_init(&b, PEM_MAX);
	if (file_read(path, &b, e))
		return err_wrap(e, "%s", what);
	BIO *bio = BIO_new_mem_buf(b.p, (int)b.len);

	if (!bio)
		return err_set(e, ERR_NOMEM, NULL);
	for (X509 *x; (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)); n++) {
		struct err why = {0};

		if (one_cert(x, &why) == 0)
			good++;
		else if (!bad.code)
			bad = why;
		X509_free(x);
	}
	BIO_free(bio);
	if (n == 0)
		return err_set(e, ERR_CONFIG, "%s: no certificate in %s", what, path);
	if (any ? good > 0 : good == n)
		return 0;
	return err_set(e, ERR_CONFIG, "%s: %s: %s", what, path, bad.text);
}

/* ---- tries ---- */

static struct server *find(struct conn_trouble *t, const char *host, int port)
{
	char name[sizeof(t->server[0].name)];

	(void)snprintf(name, sizeof(name), "%.100s:%d", host, port);
	for (unsigned i = 0; i < t->n; i++)
		if (strcmp(t->server[i].name, name) == 0)
			return &t->server[i];
	struct server *s = &t->server[t->n < SERVERS_MAX ? t->n++ : SERVERS_MAX - 1];

	memset(s, 0, sizeof(*s));
	memcpy(s->name, name, sizeof(name));
	return s;
}

/* What a server that does not like our certificate says about it, as OpenSSL puts it. */
static void of_alert(const char *text, struct err *e)
{
	static const struct {
		const char *word, *say;
		enum err_code code;
	} alerts[] = {
		{"certificate expired", "refuses our certificate (nats.cert): it has expired",
		 ERR_CERT_EXPIRED},
		{"certificate required", "wants a certificate of ours: set nats.cert and nats.key",
		 ERR_TLS},
		{"alert",
		 "refuses our certificate (nats.cert): is it of the CA that the server knows",
		 ERR_CERT_UNTRUSTED},
		{"wrong version number", "speaks no TLS there: use nats://, or another port",
		 ERR_TLS},
		{"packet length too long", "speaks no TLS there: use nats://, or another port",
		 ERR_TLS},
	};

	for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
		if (strstr(text, alerts[i].word)) {
			err_set(e, alerts[i].code, "%s (%.80s)", alerts[i].say, text);
			return;
		}
	err_set(e, ERR_TLS, "TLS failed: %.120s", text);
}

/* nats.c's last error in this thread. */
static void of_library(struct err *e, const char *better, bool tls)
{
	natsStatus s = NATS_OK;
	const char *text = nats_GetLastError(&s), *behind;

	text = text ? text : "";
	behind = *text == '(' ? strstr(text, "): ") : NULL;
	text = behind ? behind + 3 : text;
	if (s == NATS_CONNECTION_AUTH_FAILED || strstr(text, "Authorization") ||
	    strstr(text, "Authentication"))
		err_set(e, ERR_DENIED, "refuses our credentials (%.60s): %s", text,
			better ? better : "is the user in its configuration?");
	else if (s == NATS_SSL_ERROR || strstr(text, "SSL"))
		of_alert(text, e);
	else if (s == NATS_SECURE_CONNECTION_WANTED)
		err_set(e, ERR_TLS, "offers no TLS: use nats://, or configure the server for TLS");
	else if (s == NATS_PROTOCOL_ERROR || s == NATS_LINE_TOO_LONG)
		err_set(e, ERR_NOT_NATS, "is no NATS server: %.80s", text);
	else if (s == NATS_TIMEOUT)
		err_set(e, ERR_NOT_NATS,
			"takes connections but says nothing: is that a NATS "
			"server's client port?");
	else if (s == NATS_CONNECTION_CLOSED || s == NATS_IO_ERROR)
		err_set(e, ERR_UNAVAILABLE, "closes the connection at once%s",
			tls ? ": does it want a certificate of ours (nats.cert, nats.key)?"
			    : ": is that a NATS server's client port?");
	else
		err_set(e, ERR_UNAVAILABLE, "%.120s", *text ? text : natsStatus_GetText(s));
}

static void failed_locked(struct conn_trouble *t, const char *better)
{
	if (!t->now)
		return;
	if (t->seen.code)
		t->now->why = t->seen;
	else
		of_library(&t->now->why, better, t->tls);
	t->now = NULL;
}

void conn_trouble_failed(struct conn_trouble *t, const char *better)
{
	pthread_mutex_lock(&t->lock);
	failed_locked(t, better);
	pthread_mutex_unlock(&t->lock);
}

int conn_trouble_dial(struct conn_trouble *t, const char *host, int port, int64_t ms)
{
	const int on = 1;
	struct err e = {0};
	int fd;

	talking = t;
	pthread_mutex_lock(&t->lock);
	failed_locked(t, NULL);
	t->now = find(t, host, port);
	t->seen = (struct err){0};
	t->tls = false;
	pthread_mutex_unlock(&t->lock);
	fd = conn_socks_direct(host, port, ms, &e);
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	pthread_mutex_lock(&t->lock);
	t->seen = e;
	pthread_mutex_unlock(&t->lock);
	return fd;
}

/* ---- telling ---- */

static void put(const struct conn_trouble *t, struct buf *out)
{
	const char *sep = "";

	for (unsigned i = 0; i < t->n; i++) {
		if (!t->server[i].why.code)
			continue;
		buf_printf(out, "%s%s: %s", sep, t->server[i].name, t->server[i].why.text);
		sep = "; ";
	}
}

void conn_trouble_over(struct conn_trouble *t, struct buf *out)
{
	pthread_mutex_lock(&t->lock);
	t->now = NULL;
	put(t, out);
	t->n = 0;
	t->told[0] = '\0';
	t->told_at = 0;
	pthread_mutex_unlock(&t->lock);
}

/* The clock's time in a text makes it no news. */
static void key_of(const struct conn_trouble *t, char out[static 512])
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < t->n && len < 500; i++)
		len += (size_t)snprintf(out + len, 512 - len, "%.40s=%d ", t->server[i].name,
					t->server[i].why.code);
}

bool conn_trouble_news(struct conn_trouble *t, struct buf *out, enum err_code *code)
{
	char key[512];
	bool news;

	pthread_mutex_lock(&t->lock);
	put(t, out);
	key_of(t, key);
	*code = t->n ? t->server[0].why.code : ERR_OK;
	for (unsigned i = 0; i < t->n; i++)
		if (t->server[i].why.code && t->server[i].why.code != ERR_UNAVAILABLE &&
		    t->server[i].why.code != ERR_TIMEOUT) {
			*code = t->server[i].why.code;
			break;
		}
	news = out->len && strcmp(key, t->told) != 0 &&
	       (!t->told_at || now_ms() - t->told_at >= QUIET_MS);
	if (news) {
		memcpy(t->told, key, sizeof(key));
		t->told_at = now_ms();
	}
	pthread_mutex_unlock(&t->lock);
	return news;
}
