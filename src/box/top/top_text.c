#include "box/top/top_text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ui/table.h"

struct text {
	char s[64];
};

/* Counts: base 1000. */
static struct text count(bool raw, int64_t v)
{
	static const struct {
		double from, unit;
		char letter;
	} units[] = {{1e12, 1e12, 'T'}, {1e9, 1e9, 'B'}, {1e6, 1e6, 'M'}, {1e3, 1e3, 'K'}};
	struct text t;
	double d = (double)v;

	for (size_t i = 0; !raw && i < 4; i++)
		if (d >= units[i].from) {
			(void)snprintf(t.s, sizeof(t.s), "%.1f%c", d / units[i].unit,
				       units[i].letter);
			return t;
		}
	(void)snprintf(t.s, sizeof(t.s), "%.0f", d);
	return t;
}

/* Bytes: base 1024, gigabytes at most. */
static struct text size(bool raw, int64_t v)
{
	static const char letters[] = "KMG";
	struct text t;
	double d = (double)v;
	int i = -1;

	while (!raw && d >= 1024 && i < 2) {
		d /= 1024;
		i++;
	}
	if (i < 0)
		(void)snprintf(t.s, sizeof(t.s), "%.0f", d);
	else
		(void)snprintf(t.s, sizeof(t.s), "%.1f%c", d, letters[i]);
	return t;
}

static int64_t floor_rate(double v)
{
	return v < 9e18 ? (int64_t)v : INT64_MAX;
}

/* As Go prints a time: "2006-01-02 15:04:05.999 +0000 UTC". */
static struct text when(const char *rfc)
{
	struct text t = {"0001-01-01 00:00:00 +0000 UTC"};
	size_t date = strcspn(rfc, "T"), clock = strcspn(rfc, "Z+"), zone;
	const char *minus = strchr(rfc + date, '-');

	if (!*rfc)
		return t;
	if (top_time(rfc) < 0) {
		(void)snprintf(t.s, sizeof(t.s), "?");
		return t;
	}
	if (minus && (size_t)(minus - rfc) < clock)
		clock = (size_t)(minus - rfc);
	zone = strlen(rfc) - clock;
	char off[8] = "+0000";

	if (zone == 6)
		(void)snprintf(off, sizeof(off), "%.3s%.2s", rfc + clock, rfc + clock + 4);
	(void)snprintf(t.s, sizeof(t.s), "%.*s %.*s %s %s", (int)date, rfc, (int)(clock - date - 1),
		       rfc + date + 1, off, zone == 6 ? off : "UTC");
	return t;
}

/* Text with nothing in it that could drive a terminal, in at least width columns. */
static void put(struct buf *b, const char *text, size_t width)
{
	CLEAN(free) char *clean = text_cleaned(text);
	size_t w;

	if (!clean) {
		b->bad = true;
		return;
	}
	w = table_text_width(clean);
	buf_put(b, clean, strlen(clean));
	for (; w < width; w++)
		buf_u8(b, ' ');
}

static const char *server_name(const struct top_stats *s)
{
	/* A server without a name of its own has its id for one. */
	return s->name && s->id && strcmp(s->name, s->id) != 0 ? s->name : "";
}

struct cells {
	char host[320];
	char cid[24];
	const char *name;
	struct text cell[10]; /* from SUBS to LAST_ACTIVITY; long ones are in text */
	const char *text[10];
};

static const char *const titles[10] = {"SUBS",	   "PENDING",	   "MSGS_TO", "MSGS_FROM",
				       "BYTES_TO", "BYTES_FROM",   "LANG",    "VERSION",
				       "UPTIME",   "LAST_ACTIVITY"};
static const size_t widths[10] = {6, 10, 10, 10, 10, 10, 7, 7, 7, 40};

static void cells_of(struct cells *k, const struct top_conn *c, const struct top_look *l)
{
	bool r = l->rates, raw = l->raw;

	memset(k, 0, sizeof(*k));
	if (c->host)
		(void)snprintf(k->host, sizeof(k->host), "%s", c->host);
	else
		(void)snprintf(k->host, sizeof(k->host), "%.300s:%lld", c->ip, (long long)c->port);
	(void)snprintf(k->cid, sizeof(k->cid), "%lld", (long long)c->cid);
	k->name = c->name;
	(void)snprintf(k->cell[0].s, sizeof(k->cell[0].s), "%lld", (long long)c->subs);
	k->cell[1] = count(raw, c->pending);
	k->cell[2] = count(raw, r ? floor_rate(c->rate.out_msgs) : c->out_msgs);
	k->cell[3] = count(raw, r ? floor_rate(c->rate.in_msgs) : c->in_msgs);
	k->cell[4] = size(raw, r ? floor_rate(c->rate.out_bytes) : c->out_bytes);
	k->cell[5] = size(raw, r ? floor_rate(c->rate.in_bytes) : c->in_bytes);
	k->text[6] = c->lang;
	k->text[7] = c->version;
	k->text[8] = c->uptime;
	k->cell[9] = when(c->last);
}

static const char *cell(const struct cells *k, size_t i)
{
	return k->text[i] ? k->text[i] : k->cell[i].s;
}

static void put_subs(struct buf *b, const json_t *list, const char *between)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));

		buf_printf(b, "%s", i ? between : "");
		put(b, s ? s : "?", 0);
	}
}

static void head(struct buf *b, const struct top_stats *s, const struct top_look *l)
{
	buf_printf(b, "NATS server version ");
	put(b, s->version ? s->version : "", 0);
	buf_printf(b, " (uptime: ");
	put(b, s->uptime ? s->uptime : "", 0);
	buf_printf(b, ") ");
	put(b, l->error ? l->error : "", 0);
	buf_printf(b, "\nServer: ");
	put(b, server_name(s), 0);
	buf_printf(b, "\n  ID:   ");
	put(b, s->id ? s->id : "", 0);
	buf_printf(b, "\n  Load: CPU:  %.1f%%  Memory: %s  Slow Consumers: %lld\n", s->cpu,
		   size(false, s->mem).s, (long long)s->slow);
	buf_printf(b, "  In:   Msgs: %s  Bytes: %s  Msgs/Sec: %.1f  Bytes/Sec: %s\n",
		   count(l->raw, s->in_msgs).s, size(l->raw, s->in_bytes).s, s->rate.in_msgs,
		   size(l->raw, floor_rate(s->rate.in_bytes)).s);
	buf_printf(b, "  Out:  Msgs: %s  Bytes: %s  Msgs/Sec: %.1f  Bytes/Sec: %s\n",
		   count(l->raw, s->out_msgs).s, size(l->raw, s->out_bytes).s, s->rate.out_msgs,
		   size(l->raw, floor_rate(s->rate.out_bytes)).s);
}

/* Widths of HOST and NAME; the original's: two more than the longest that does not fit. */
static void measure(const struct top_stats *s, const struct top_look *l, size_t *host, size_t *name)
{
	struct cells k;

	*host = 15;
	*name = 0;
	for (size_t i = 0; i < s->nconn; i++) {
		cells_of(&k, &s->conn[i], l);
		if (strlen(k.host) > *host)
			*host = strlen(k.host) + 2;
		if (strlen(k.name) > *name)
			*name = strlen(k.name) + 2 > 4 ? strlen(k.name) + 2 : 4;
	}
}

void top_text(struct buf *b, const struct top_stats *s, const struct top_look *l)
{
	size_t host, name;
	struct cells k;

	head(b, s, l);
	buf_printf(b, "\nConnections Polled: %lld\n", (long long)s->num);
	measure(s, l, &host, &name);
	buf_printf(b, "  %-*s  %-6s ", (int)host, "HOST", "CID");
	if (name)
		buf_printf(b, "%-*s ", (int)name, "NAME");
	for (size_t i = 0; i < 10; i++)
		buf_printf(b, "%s%-*s", i ? "  " : "", (int)widths[i], titles[i]);
	buf_printf(b, "%s\n", l->subs ? "SUBSCRIPTIONS" : "");
	for (size_t c = 0; c < s->nconn; c++) {
		cells_of(&k, &s->conn[c], l);
		buf_printf(b, "  ");
		put(b, k.host, host);
		buf_printf(b, "  %-6s ", k.cid);
		if (name) {
			put(b, k.name, name);
			buf_u8(b, ' ');
		}
		for (size_t i = 0; i < 10; i++) {
			buf_printf(b, "%s", i ? "  " : "");
			put(b, cell(&k, i), widths[i]);
		}
		if (l->subs)
			put_subs(b, s->conn[c].list, ", ");
		buf_u8(b, '\n');
	}
}

void top_text_csv(struct buf *b, const struct top_stats *s, const struct top_look *l,
		  const char *delim)
{
	const char *d = delim;
	struct cells k;

	buf_printf(b, "NATS server version%s", d);
	put(b, s->version ? s->version : "", 0);
	buf_printf(b, "%s(uptime: ", d);
	put(b, s->uptime ? s->uptime : "", 0);
	buf_printf(b, ")%s", d);
	put(b, l->error ? l->error : "", 0);
	buf_printf(b, "\nServer:\nLoad:%sCPU:%s%.1f%%%sMemory:%s%s%sSlow Consumers:%s%lld\n", d, d,
		   s->cpu, d, d, size(false, s->mem).s, d, d, (long long)s->slow);
	buf_printf(b, "In:%sMsgs:%s%s%sBytes:%s%s%sMsgs/Sec:%s%.1f%sBytes/Sec:%s%s\n", d, d,
		   count(l->raw, s->in_msgs).s, d, d, size(l->raw, s->in_bytes).s, d, d,
		   s->rate.in_msgs, d, d, size(l->raw, floor_rate(s->rate.in_bytes)).s);
	buf_printf(b, "Out:%sMsgs:%s%s%sBytes:%s%s%sMsgs/Sec:%s%.1f%sBytes/Sec:%s%s", d, d,
		   count(l->raw, s->out_msgs).s, d, d, size(l->raw, s->out_bytes).s, d, d,
		   s->rate.out_msgs, d, d, size(l->raw, floor_rate(s->rate.out_bytes)).s);
	buf_printf(b, "\n\nConnections Polled:%s%lld\nHOST%sCID%sNAME", d, (long long)s->num, d, d);
	for (size_t i = 0; i < 10; i++)
		buf_printf(b, "%s%s", d, titles[i]);
	buf_printf(b, "%s%s\n", l->subs ? d : "", l->subs ? "SUBSCRIPTIONS" : "");
	for (size_t c = 0; c < s->nconn; c++) {
		cells_of(&k, &s->conn[c], l);
		put(b, k.host, 0);
		buf_printf(b, "%s%s%s", d, k.cid, d);
		put(b, k.name, 0);
		for (size_t i = 0; i < 10; i++) {
			buf_printf(b, "%s", d);
			put(b, cell(&k, i), 0);
		}
		if (l->subs) {
			buf_printf(b, "%s", d);
			put_subs(b, s->conn[c].list, "  ");
		}
		buf_u8(b, '\n');
	}
}
