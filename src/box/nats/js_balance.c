/* stream and consumer cluster balance: leaders are asked to step down in favour of
 * servers that lead less, until none leads two more than another that could. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/consumer.h"
#include "box/nats/stream.h"

/* A server of a cluster; the names belong to the answers of the API. */
struct server {
	const char *name, *cluster;
	int64_t leads;
};

struct balance {
	struct cli *c;
	const char *stream; /* of the consumers; NULL: streams are balanced */
	json_t *all;
	struct server *servers;
	size_t n;
};

static struct server *server(struct balance *b, const char *name, const char *cluster)
{
	for (size_t i = 0; i < b->n; i++)
		if (strcmp(b->servers[i].name, name) == 0 &&
		    strcmp(b->servers[i].cluster, cluster) == 0)
			return &b->servers[i];
	return NULL;
}

static int add(struct balance *b, const char *name, const char *cluster, int64_t leads,
	       struct err *e)
{
	struct server *s = *name ? server(b, name, cluster) : NULL;

	if (!*name)
		return 0;
	if (!s) {
		s = reallocarray(b->servers, b->n + 1, sizeof(*s));
		if (!s)
			return err_set(e, ERR_NOMEM, NULL);
		b->servers = s;
		s += b->n++;
		*s = (struct server){name, cluster, 0};
	}
	s->leads += leads;
	return 0;
}

static int count(struct balance *b, struct err *e)
{
	size_t i, k;
	json_t *v, *r;

	json_array_foreach(b->all, i, v)
	{
		const char *cluster = jstr(v, "cluster.name");

		if (add(b, jstr(v, "cluster.leader"), cluster, 1, e))
			return -1;
		json_array_foreach(jget(v, "cluster.replicas"), k,
				   r) if (add(b, jstr(r, "name"), cluster, 0, e)) return -1;
	}
	for (k = 0; k < b->n; k++)
		nats_log("Server %s of cluster %s leads %lld", SHOWN(b->servers[k].name),
			 SHOWN(b->servers[k].cluster), (long long)b->servers[k].leads);
	return 0;
}

/* The move that evens out most; false: there is none. Each item moves once. */
static bool choose(struct balance *b, const bool *moved, size_t *item, struct server **from,
		   struct server **to)
{
	int64_t best = 1;
	size_t i, k;
	json_t *v, *r;

	json_array_foreach(b->all, i, v)
	{
		const char *cluster = jstr(v, "cluster.name");
		struct server *leader = server(b, jstr(v, "cluster.leader"), cluster);

		if (!leader || moved[i])
			continue;
		json_array_foreach(jget(v, "cluster.replicas"), k, r)
		{
			struct server *other = server(b, jstr(r, "name"), cluster);

			/* One that is away or behind would not be elected. */
			if (!other || jbool(r, "offline") || leader->leads - other->leads <= best)
				continue;
			best = leader->leads - other->leads;
			*item = i;
			*from = leader;
			*to = other;
		}
	}
	return best > 1;
}

static int step_down(struct balance *b, const char *name, const struct server *to, struct err *e)
{
	CLEAN(json) json_t *reply = NULL;
	json_t *req = json_pack("{s:{s:s, s:s}}", "placement", "preferred", to->name, "cluster",
				to->cluster);

	if (b->stream)
		return nats_js_request(b->c, req, &reply, e, "CONSUMER.LEADER.STEPDOWN.%s.%s",
				       b->stream, name);
	return nats_js_request(b->c, req, &reply, e, "STREAM.LEADER.STEPDOWN.%s", name);
}

/* Asks for the moves; *n: how many were made. One that fails is told and left out, two in
 * a row end it. */
static int move(struct balance *b, int64_t *n, struct err *e)
{
	CLEAN(free) bool *moved = calloc(json_array_size(b->all) + 1, sizeof(*moved));
	struct server *from = NULL, *to = NULL;
	size_t item = 0;
	int failed = 0;

	if (!moved)
		return err_set(e, ERR_NOMEM, NULL);
	while (!nats_stopped() && choose(b, moved, &item, &from, &to)) {
		const json_t *v = json_array_get(b->all, item);
		const char *name = jstr(v, b->stream ? "name" : "config.name");

		moved[item] = true;
		nats_log("Requesting leader %s step down for %s %s, in favour of %s",
			 SHOWN(from->name), b->stream ? "consumer" : "stream", SHOWN(name),
			 SHOWN(to->name));
		if (step_down(b, name, to, e)) {
			if (failed++)
				return -1;
			nats_log("Unable to step down the leader of %s: %s", SHOWN(name), e->text);
			continue;
		}
		failed = 0;
		from->leads--;
		to->leads++;
		++*n;
	}
	return 0;
}

static int balance(struct balance *b, int64_t *n, struct err *e)
{
	CLEAN(json) json_t *account = NULL;
	int r;

	nats_catch();
	if (nats_js_request(b->c, NULL, &account, e, "INFO"))
		return -1;
	if (jint(account, "api.level") < 1)
		return err_set(e, ERR_UNAVAILABLE,
			       "invalid server version. Balancer requires server version 2.11.0 "
			       "or higher");
	r = count(b, e) || move(b, n, e) ? -1 : 0;
	free(b->servers);
	return r;
}

int stream_balance(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *all = NULL;
	struct balance b = {.c = c};
	int64_t n = 0;

	if (stream_query(c, &all, e))
		return -1;
	b.all = all;
	if (json_array_size(all) == 0)
		return 0;
	if (balance(&b, &n, e))
		return err_wrap(e, "failed to balance streams");
	printf("Balanced %lld streams.\n", (long long)n);
	return 0;
}

int consumer_balance(struct cli *c, struct err *e)
{
	const char *stream = js_operand(c, 0, "Stream", e);
	struct balance b = {.c = c, .stream = stream};
	CLEAN(json) json_t *all = NULL;
	int64_t n = 0;

	if (!stream || js_name("stream", stream, e) || consumer_query(c, stream, &all, e))
		return -1;
	b.all = all;
	if (json_array_size(all) == 0) {
		printf("No consumers on %s\n", stream);
		return 0;
	}
	if (balance(&b, &n, e))
		return err_wrap(e, "failed to balance consumers on %s", stream);
	printf("Balanced %lld consumers on %s\n", (long long)n, stream);
	return 0;
}
