#include "box/top/top_stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

enum kind { TEXT, NUMBER, REAL, LIST };

struct field {
	const char *key;
	enum kind kind;
	size_t at;
};

#define F(type, key, kind, member) {key, kind, offsetof(struct type, member)}

static const struct field varz_fields[] = {
	F(top_stats, "server_id", TEXT, id),
	F(top_stats, "server_name", TEXT, name),
	F(top_stats, "version", TEXT, version),
	F(top_stats, "uptime", TEXT, uptime),
	F(top_stats, "now", TEXT, now),
	F(top_stats, "cpu", REAL, cpu),
	F(top_stats, "mem", NUMBER, mem),
	F(top_stats, "slow_consumers", NUMBER, slow),
	F(top_stats, "in_msgs", NUMBER, in_msgs),
	F(top_stats, "out_msgs", NUMBER, out_msgs),
	F(top_stats, "in_bytes", NUMBER, in_bytes),
	F(top_stats, "out_bytes", NUMBER, out_bytes),
	{0},
};

static const struct field connz_fields[] = {
	F(top_stats, "num_connections", NUMBER, num),
	{0},
};

static const struct field conn_fields[] = {
	F(top_conn, "ip", TEXT, ip),
	F(top_conn, "name", TEXT, name),
	F(top_conn, "lang", TEXT, lang),
	F(top_conn, "version", TEXT, version),
	F(top_conn, "uptime", TEXT, uptime),
	F(top_conn, "last_activity", TEXT, last),
	F(top_conn, "cid", NUMBER, cid),
	F(top_conn, "port", NUMBER, port),
	F(top_conn, "subscriptions", NUMBER, subs),
	F(top_conn, "pending_bytes", NUMBER, pending),
	F(top_conn, "in_msgs", NUMBER, in_msgs),
	F(top_conn, "out_msgs", NUMBER, out_msgs),
	F(top_conn, "in_bytes", NUMBER, in_bytes),
	F(top_conn, "out_bytes", NUMBER, out_bytes),
	F(top_conn, "subscriptions_list", LIST, list),
	{0},
};

bool top_sort_ok(const char *by)
{
	static const char all[] = "|" TOP_SORTS "|";
	size_t n = strlen(by);

	if (n == 0 || strchr(by, '|'))
		return false;
	for (const char *p = all; (p = strstr(p, by)); p++)
		if (p[-1] == '|' && p[n] == '|')
			return true;
	return false;
}

void top_stats_free(struct top_stats *s)
{
	json_doc_free(&s->varz);
	json_doc_free(&s->connz);
	free(s->conn);
	memset(s, 0, sizeof(*s));
}

static int bad(const struct json_doc *d, const char *key, const char *what, struct err *e)
{
	return err_set(e, ERR_BAD_JSON, "%s: '%s' is not %s", d->name, key, what);
}

/* A count that came as a real number, perhaps larger than any count. */
static int64_t whole(double v)
{
	if (!(v > -9e18))
		return 0;
	return v < 9e18 ? (int64_t)v : INT64_MAX;
}

static int fill(const struct json_doc *d, const json_t *obj, const struct field *f, void *to,
		struct err *e)
{
	for (; f->key; f++) {
		const json_t *v = json_object_get(obj, f->key);
		void *at = (char *)to + f->at;
		bool none = !v || json_is_null(v);

		switch (f->kind) {
		case TEXT:
			if (!none && !json_is_string(v))
				return bad(d, f->key, "text", e);
			*(const char **)at = none ? "" : json_string_value(v);
			break;
		case NUMBER:
			if (!none && !json_is_number(v))
				return bad(d, f->key, "a number", e);
			*(int64_t *)at =
				json_is_real(v) ? whole(json_real_value(v)) : json_integer_value(v);
			break;
		case REAL:
			if (!none && !json_is_number(v))
				return bad(d, f->key, "a number", e);
			*(double *)at = json_number_value(v);
			break;
		case LIST:
			if (!none && !json_is_array(v))
				return bad(d, f->key, "a list", e);
			*(const json_t **)at = none ? NULL : v;
			break;
		}
	}
	return 0;
}

/* The object itself, or what the envelope of a system request has in "data". */
static const json_t *content(const struct json_doc *d, struct err *e)
{
	const json_t *error = json_object_get(d->root, "error");
	const json_t *data = json_object_get(d->root, "data");
	const char *text = json_string_value(json_object_get(error, "description"));

	if (json_object_get(d->root, "server") && (error || data)) {
		if (!error && json_is_object(data))
			return data;
		err_set(e, ERR_UNAVAILABLE, "%s: the server says: %.150s", d->name,
			text ? text : "nothing that is understood");
		return NULL;
	}
	if (!json_is_object(d->root)) {
		err_set(e, ERR_BAD_JSON, "%s: not a JSON object", d->name);
		return NULL;
	}
	return d->root;
}

static int fill_conns(struct top_stats *s, const json_t *list, struct err *e)
{
	size_t n = json_array_size(list);

	if (list && !json_is_null(list) && !json_is_array(list))
		return bad(&s->connz, "connections", "a list", e);
	s->conn = calloc(n ? n : 1, sizeof(*s->conn));
	if (!s->conn)
		return err_set(e, ERR_NOMEM, NULL);
	for (s->nconn = 0; s->nconn < n; s->nconn++) {
		const json_t *one = json_array_get(list, s->nconn);

		if (!json_is_object(one))
			return err_set(e, ERR_BAD_JSON, "%s: a connection is not an object",
				       s->connz.name);
		if (fill(&s->connz, one, conn_fields, &s->conn[s->nconn], e))
			return -1;
	}
	return 0;
}

int top_stats_parse(struct top_stats *s, struct bytes varz, struct bytes connz, struct err *e)
{
	const json_t *obj;

	top_stats_free(s);
	if (json_parse(&s->varz, "/varz", varz.len ? varz.p : (const void *)"", varz.len, e) ||
	    json_parse(&s->connz, "/connz", connz.len ? connz.p : (const void *)"", connz.len, e))
		return -1;
	obj = content(&s->varz, e);
	if (!obj || fill(&s->varz, obj, varz_fields, s, e))
		return -1;
	obj = content(&s->connz, e);
	if (!obj || fill(&s->connz, obj, connz_fields, s, e))
		return -1;
	return fill_conns(s, json_object_get(obj, "connections"), e);
}

int64_t top_time(const char *text)
{
	struct tm tm = {0};
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ns = 0, scale = 100000000, offset = 0;

	if (!p)
		return -1;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
			ns += (*p - '0') * scale;
	if (*p == '+' || *p == '-') {
		int h, m;

		if (strlen(p) != 6 || p[3] != ':')
			return -1;
		h = (p[1] - '0') * 10 + p[2] - '0';
		m = (p[4] - '0') * 10 + p[5] - '0';
		offset = (h * 60 + m) * (*p == '-' ? -60 : 60);
	} else if (*p != 'Z') {
		return -1;
	}
	/* Years that int64 has no nanoseconds for are nobody's clock. */
	if (tm.tm_year < 70 || tm.tm_year > 350)
		return -1;
	return ((int64_t)timegm(&tm) - offset) * 1000000000 + ns;
}

static double per_second(int64_t now, int64_t before, double seconds)
{
	return now > before ? ((double)now - (double)before) / seconds : 0;
}

static int by_cid(const void *a, const void *b)
{
	const struct top_conn *const *x = a, *const *y = b;

	return ((*x)->cid > (*y)->cid) - ((*x)->cid < (*y)->cid);
}

void top_stats_rates(struct top_stats *s, const struct top_stats *before)
{
	int64_t t1 = top_time(s->now), t0 = top_time(before->now ? before->now : "");
	CLEAN(free) const struct top_conn **old =
		calloc(before->nconn + 1, sizeof(const struct top_conn *));

	if (!old || t0 < 0 || t1 <= t0 || strcmp(s->id, before->id) != 0)
		return;
	double sec = (double)(t1 - t0) / 1e9;

	s->rate = (struct top_rate){
		per_second(s->in_msgs, before->in_msgs, sec),
		per_second(s->out_msgs, before->out_msgs, sec),
		per_second(s->in_bytes, before->in_bytes, sec),
		per_second(s->out_bytes, before->out_bytes, sec),
	};
	for (size_t i = 0; i < before->nconn; i++)
		old[i] = &before->conn[i];
	qsort(old, before->nconn, sizeof(const struct top_conn *), by_cid);
	for (size_t i = 0; i < s->nconn; i++) {
		struct top_conn *c = &s->conn[i];
		const struct top_conn *key = c;
		const struct top_conn **hit =
			bsearch(&key, old, before->nconn, sizeof(const struct top_conn *), by_cid);

		if (hit)
			c->rate = (struct top_rate){
				per_second(c->in_msgs, (*hit)->in_msgs, sec),
				per_second(c->out_msgs, (*hit)->out_msgs, sec),
				per_second(c->in_bytes, (*hit)->in_bytes, sec),
				per_second(c->out_bytes, (*hit)->out_bytes, sec),
			};
	}
}
