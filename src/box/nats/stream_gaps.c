/* stream gaps: ranges of sequences whose messages were deleted. */
#include <stdlib.h>
#include <string.h>

#include "box/nats/stream.h"
#include "ui/progress.h"

struct gaps {
	json_t *list; /* [[first, last], …] */
	int64_t first, last;
};

static void put(struct gaps *g)
{
	if (g->first)
		(void)json_array_append_new(
			g->list, json_pack("[I, I]", (json_int_t)g->first, (json_int_t)g->last));
	g->first = 0;
}

/* Sequences come in order; what is behind the last gap's end makes a new one. */
static void missing(struct gaps *g, int64_t from, int64_t to)
{
	if (g->first && from == nats_add(g->last, 1)) {
		g->last = to;
		return;
	}
	put(g);
	g->first = from;
	g->last = to;
}

/* The server tells only so many in its answer: from there on, each message tells. */
static int walk(struct cli *c, struct gaps *g, const char *stream, int64_t from, struct err *e)
{
	struct progress p = {0};
	int64_t before = from - 1;
	struct js_feed f;
	int r = 1;

	if (js_feed_open(c, &f, stream,
			 json_pack("{s:s, s:I, s:b}", "deliver_policy", "by_start_sequence",
				   "opt_start_seq", (json_int_t)from, "headers_only", 1),
			 e))
		return -1;
	bool shown = nats_flag(c, "progress", true) && !cli_has(c, "json");

	if (shown)
		progress_start(&p, "looking at messages", (uint64_t)f.pending, PROGRESS_COUNT);
	for (int64_t left = f.pending; left > 0 && r > 0; left--) {
		natsMsg *m = NULL;
		struct js_meta at;

		r = js_feed_next(c, &f, run_of(c)->timeout_ms * NS_MS, &m, e);
		if (r == 0)
			r = err_set(e, ERR_TIMEOUT, "nats: timeout");
		if (r > 0 && (js_meta(m, &at) || at.stream_seq <= before))
			r = err_set(e, ERR_BAD_JSON, "the server delivers in no order");
		if (r > 0 && at.stream_seq > nats_add(before, 1))
			missing(g, before + 1, at.stream_seq - 1);
		if (r > 0)
			before = at.stream_seq;
		if (shown)
			progress_add(&p, 1);
		natsMsg_Destroy(m);
	}
	if (shown)
		progress_end(&p);
	js_feed_close(c, &f);
	return r < 0 ? -1 : 0;
}

static int detect(struct cli *c, struct gaps *g, const char *stream, struct err *e)
{
	CLEAN(json) json_t *info = NULL;
	int64_t last = 0;
	size_t i;
	json_t *v;

	if (nats_js_request(c, json_pack("{s:b}", "deleted_details", 1), &info, e, "STREAM.INFO.%s",
			    stream))
		return -1;
	const json_t *deleted = jget(info, "state.deleted");

	json_array_foreach(deleted, i, v)
	{
		int64_t seq = json_integer_value(v);

		if (seq <= last)
			return err_set(e, ERR_BAD_JSON,
				       "the server's list of deleted messages is in no order");
		last = seq;
		missing(g, seq, seq);
	}
	if ((int64_t)json_array_size(deleted) < jint(info, "state.num_deleted") &&
	    walk(c, g, stream, last ? nats_add(last, 1) : jint(info, "state.first_seq"), e))
		return -1;
	put(g);
	return 0;
}

static void table(const json_t *list, const char *stream)
{
	size_t n = json_array_size(list), i;
	const json_t *v;
	CLEAN(nt) struct nt *t = n == 1 ? nt_new("1 gap found in Stream %s", stream)
					: nt_new("%s gaps found in Stream %s", COMMA(n), stream);

	nt_head(t, "First Message", "Last Message", NULL);
	json_array_foreach(list, i, v)
	{
		nt_text(t, COMMA(json_integer_value(json_array_get(v, 0))));
		nt_text(t, COMMA(json_integer_value(json_array_get(v, 1))));
	}
	nt_print(t);
	putchar('\n');
}

int stream_gaps(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *info = NULL;
	CLEAN(json) json_t *list = json_array();
	struct gaps g = {.list = list};
	const char *stream;

	nats_catch();
	if (stream_operand(c, 0, &stream, &info, e))
		return -1;
	if (jint(info, "state.num_deleted") > 0) {
		fputs("WARNING: Detecting gaps in a stream may read all of it.\n", stderr);
		if (js_force(c, e, "Really detect gaps in stream %s with %s messages and %s",
			     stream, COMMA(jint(info, "state.messages")),
			     IBYTES(jint(info, "state.bytes"))) ||
		    detect(c, &g, stream, e))
			return -1;
	}
	if (cli_has(c, "json"))
		return nats_print_json(list, e);
	if (json_array_size(list))
		table(list, stream);
	else
		printf("No deleted messages in %s\n", stream);
	return 0;
}
