#include <event2/http.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/enc.h"
#include "http/http.h"

static void cleanup_uri(struct evhttp_uri **u)
{
	if (*u)
		evhttp_uri_free(*u);
}

/* Copies a part without brackets around it; false: it does not fit. */
static bool part(char *out, size_t cap, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	if (n && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n >= cap)
		return false;
	memcpy(out, text ? text : "", n);
	out[n] = '\0';
	return true;
}

int http_url_parse(struct http_url *u, const char *text, struct err *e)
{
	struct evhttp_uri *uri __attribute__((cleanup(cleanup_uri))) = evhttp_uri_parse(text);
	const char *scheme = uri ? evhttp_uri_get_scheme(uri) : NULL;
	const char *query = uri ? evhttp_uri_get_query(uri) : NULL;

	memset(u, 0, sizeof(*u));
	if (!scheme || (strcasecmp(scheme, "http") != 0 && strcasecmp(scheme, "https") != 0))
		return err_set(e, ERR_BAD_INPUT,
			       "this is no URL: http://HOST[:PORT]/PATH or https://… is needed");
	u->tls = strcasecmp(scheme, "https") == 0;
	u->port = evhttp_uri_get_port(uri);
	if (u->port < 0)
		u->port = u->tls ? 443 : 80;
	if (evhttp_uri_get_fragment(uri))
		return err_set(e, ERR_BAD_INPUT, "a URL with a '#' names no page of a server");
	if (!part(u->host, sizeof(u->host), evhttp_uri_get_host(uri)) ||
	    !part(u->path, sizeof(u->path), evhttp_uri_get_path(uri)) ||
	    !part(u->user, sizeof(u->user), evhttp_uri_get_userinfo(uri)) ||
	    (query && snprintf(u->query, sizeof(u->query), "?%s", query) >= (int)sizeof(u->query)))
		return err_set(e, ERR_BAD_INPUT, "the URL is too long");
	if (!u->host[0] || u->port < 1 || u->port > 65535)
		return err_set(e, ERR_BAD_INPUT, "the URL has no %s",
			       u->host[0] ? "port from 1 to 65535" : "host");
	if (enc_unpercent(u->user))
		return err_set(e, ERR_BAD_INPUT,
			       "a '%%' in user or password of a URL is written %%25");
	return 0;
}
