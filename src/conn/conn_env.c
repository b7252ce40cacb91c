/* The variables that every client of NATS here knows. */
#include <stdlib.h>

#include "conn/conn.h"

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

void conn_opts_env(struct conn_opts *o)
{
	const struct {
		const char **to;
		const char *name;
	} vars[] = {
		{&o->url, "NATS_URL"},
		{&o->creds, "NATS_CREDS"},
		{&o->nkey, "NATS_NKEY"},
		{&o->ca, "NATS_CA"},
		{&o->cert, "NATS_CERT"},
		{&o->key, "NATS_KEY"},
		{&o->inbox_prefix, "NATS_INBOX_PREFIX"},
	};

	for (size_t i = 0; i < sizeof(vars) / sizeof(vars[0]); i++)
		if (!*vars[i].to)
			*vars[i].to = env(vars[i].name);
}
