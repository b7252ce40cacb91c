/* Monitoring answers of a hostile server (/varz and /connz, or the system account's
 * envelope): parsed, rated against themselves, drawn as text and with delimiters. What is
 * drawn never holds a control character of theirs. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "box/top/top_src.h"
#include "box/top/top_stats.h"
#include "box/top/top_text.h"

#define OUT_MAX ((size_t)16 << 20)

static void check(const struct buf *b)
{
	for (size_t i = 0; i < b->len; i++)
		if ((b->p[i] < 0x20 && b->p[i] != '\n') || b->p[i] == 0x7f)
			abort();
}

static void draw(const struct top_stats *s, bool all)
{
	struct top_look look = {
		.raw = all, .subs = all, .rates = all, .error = all ? "a\nb\033" : NULL};
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, OUT_MAX);
	top_text(&b, s, &look);
	check(&b);
	buf_reset(&b);
	top_text_csv(&b, s, &look, ";");
	check(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	/* The first newline is between the two answers. */
	const uint8_t *cut = memchr(p ? p : (const uint8_t *)"", '\n', n);
	size_t head = cut ? (size_t)(cut - p) : n;
	struct bytes varz = {p, head}, connz = {cut ? cut + 1 : p, cut ? n - head - 1 : n};
	CLEAN(top_stats) struct top_stats now = {0};
	CLEAN(top_stats) struct top_stats before = {0};
	struct top_target t;
	struct err e;

	if (top_stats_parse(&now, varz, connz, &e) == 0) {
		top_stats_rates(&now, &now);
		if (top_stats_parse(&before, varz, connz, &e) == 0) {
			before.now = "2020-01-01T00:00:00Z";
			top_stats_rates(&now, &before);
		}
		draw(&now, false);
		draw(&now, true);
	} else if (!*e.text) {
		abort();
	}
	char *text = strndup((const char *)p, n < 4096 ? n : 4096);

	if (text && top_target_parse(&t, text, &e) == 0 && (!t.host || !*t.host))
		abort();
	free(text);
	return 0;
}
