/* GET of monitoring pages over HTTP/1.1 and TLS, by libevent. Blocking; meant for a
 * thread of its own. No redirect is followed. */
#ifndef BOX_TOP_TOP_HTTP_H
#define BOX_TOP_TOP_HTTP_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define TOP_HTTP_MAX ((size_t)64 << 20) /* of an answer */

/* Strings are the caller's and must outlive the struct; path is copied. */
struct top_http_opts {
	const char *host;
	int port;
	const char *path; /* in front of each page: "" or "/base" */
	const char *user; /* "user:password" for basic authentication, or NULL */
	bool tls;
	const char *ca, *cert, *key; /* PEM files or NULL; ca NULL: the system's */
	bool insecure;		     /* certificates are not verified */
	int timeout_ms;		     /* for each page, all in all */
};

struct top_http;

/* Checks the files. Errors: CONFIG, IO, NOMEM. */
int top_http_new(struct top_http **out, const struct top_http_opts *o, struct err *e);
void top_http_free(struct top_http *h);
/* Appends the body of a 200 answer to page ("/varz"). Errors: UNAVAILABLE, TIMEOUT,
 * TOO_LARGE, DENIED (401 and 403), BAD_INPUT (not HTTP), NOMEM. */
int top_http_get(struct top_http *h, const char *page, struct buf *body, struct err *e);

#endif
