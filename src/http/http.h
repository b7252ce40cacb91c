/* HTTP/1.1 client with TLS, by libevent. Blocking; one connection for each request. No
 * redirect is followed. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Strings are the caller's and must outlive the struct; path is copied. */
struct http_opts {
	const char *host;
	int port;
	const char *path; /* in front of each page: "" or "/base" */
	const char *user; /* "user:password" for basic authentication, or NULL */
	bool tls;
	const char *ca, *cert, *key; /* PEM files or NULL; ca NULL: the system's */
	bool insecure;		     /* certificates are not verified */
	int timeout_ms;		     /* for each request, all in all */
	size_t max;		     /* bytes of an answer */
	/* Words of errors: what failed ("stats request"), what to do about 401 and 403 and
	 * about a server without HTTP (both ": …"), names of cert and key. NULL: none. */
	const char *what, *denied, *no_http, *pair;
};

struct http;

/* Checks the files. Errors: CONFIG, IO, NOMEM. */
int http_new(struct http **out, const struct http_opts *o, struct err *e);
void http_free(struct http *h);
static inline void cleanup_http(struct http **h)
{
	http_free(*h);
}

struct http_ask {
	const char *page;   /* "/varz" */
	const char *accept; /* type of answer, or NULL */
	const char *type;   /* of data: it is a POST then; or NULL: a GET */
	const void *data;
	size_t len;
	bool any_status; /* the caller judges the status: only 3xx is an error */
};

/* Appends the body of the answer and gives its status (may be NULL). Errors: UNAVAILABLE,
 * TIMEOUT, TOO_LARGE, DENIED (401 and 403), BAD_INPUT (not HTTP), NOMEM. */
int http_ask(struct http *h, const struct http_ask *ask, struct buf *body, int *status,
	     struct err *e);
/* http_ask for JSON of a page with status 200. */
int http_get(struct http *h, const char *page, struct buf *body, struct err *e);

/* Parts of an http:// or https:// URL. */
struct http_url {
	char host[256]; /* an IPv6 address without brackets */
	char path[1024];
	char query[512]; /* with its "?", or "" */
	char user[256];	 /* "user:password", %XX decoded; "" when absent */
	int port;
	bool tls;
};
/* Errors: BAD_INPUT; the text does not repeat passwords. */
int http_url_parse(struct http_url *u, const char *text, struct err *e);

#endif
