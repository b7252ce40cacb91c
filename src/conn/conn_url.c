#include "conn/conn_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT 4222ul

void conn_url_shown(const char *url, char *out, size_t cap)
{
	const char *host = strstr(url, "://");
	const char *at;

	host = host ? host + 3 : url;
	at = strrchr(host, '@');
	(void)snprintf(out, cap, "%.*s%s", (int)(host - url), url, at ? at + 1 : host);
}

int conn_url_split(char *list, const char **urls, int *n, bool *tls, struct err *e)
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
		if (*n == CONN_URLS_MAX)
			return err_set(e, ERR_CONFIG, "more than %d NATS URLs", CONN_URLS_MAX);
		urls[(*n)++] = u;
	}
	if (*n == 0)
		return err_set(e, ERR_CONFIG, "the NATS URL is empty");
	return 0;
}

bool conn_url_place(const char *url, char host[static 256], char port[static 8])
{
	const char *s = strstr(url, "://"), *at, *colon;
	unsigned long number;
	size_t n, len;

	s = s ? s + 3 : url;
	at = strrchr(s, '@');
	s = at ? at + 1 : s;
	n = strcspn(s, "/");
	colon = memchr(s, ':', n);
	len = colon ? (size_t)(colon - s) : n;
	/* Addresses in brackets need no name server. */
	number = colon ? strtoul(colon + 1, NULL, 10) : DEFAULT_PORT;
	if (*s == '[' || len == 0 || len > 255 || number > 65535)
		return false;
	memcpy(host, s, len);
	host[len] = '\0';
	(void)snprintf(port, 8, "%lu", number ? number : DEFAULT_PORT);
	return true;
}

int conn_url_hold(struct conn_names *names, const char *host, const char *port, struct err *e)
{
	if (names->n == CONN_URLS_MAX + 1)
		return err_set(e, ERR_TOO_LARGE, "too many names of servers");
	names->v[names->n] = conn_resolve_hold(host, port);
	if (!names->v[names->n])
		return err_set(e, ERR_NOMEM, NULL);
	names->n++;
	return 0;
}

void conn_url_release(struct conn_names *names)
{
	while (names->n)
		conn_resolve_release(names->v[--names->n]);
}
