/* What the applet nats shares: numbers, times, templates, quotes, subjects, and what it
 * reads of a JetStream reply subject. The values are those of Go's fmt, time and
 * go-humanize. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "box/nats/nats.h"
#include "box/nats/nats_cmd.h"
#include "box/nats/nats_fmt.h"
#include "box/nats/nats_graph.h"
#include "box/nats/nats_msg.h"
#include "box/nats/nats_out.h"
#include "box/nats/nats_template.h"
#include "crypto/crypto.h"

static void numbers(void **state)
{
	(void)state;
	assert_string_equal(COMMA(0), "0");
	assert_string_equal(COMMA(999), "999");
	assert_string_equal(COMMA(-1000), "-1,000");
	assert_string_equal(COMMA(INT64_MAX), "9,223,372,036,854,775,807");
	assert_string_equal(COMMA(INT64_MIN), "-9,223,372,036,854,775,808");
	assert_string_equal(COMMAF(834142.32, 1), "834,142.3");
	assert_string_equal(COMMAF(0.0009, 3), "0.000");
	assert_string_equal(COMMAF(2.0, 3), "2");
	assert_string_equal(FIXED2(1234.5), "1,234.50");
	assert_string_equal(IBYTES(0), "0 B");
	assert_string_equal(IBYTES(9), "9 B");
	assert_string_equal(IBYTES(10), "10 B");
	assert_string_equal(IBYTES(1023), "1023 B");
	assert_string_equal(IBYTES(1024), "1.0 KiB");
	assert_string_equal(IBYTES(82854982), "79 MiB");
	assert_string_equal(SIBYTES(82854982), "83 MB");
	assert_string_equal(IBYTES(UINT64_MAX), "16 EiB");
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {{"0", 0},
		    {"5s", 5 * NS_S},
		    {"1.5h", 5400 * NS_S},
		    {"1h30m", 5400 * NS_S},
		    {"300ms", 300 * NS_MS},
		    {"1d3h5m2s", 97502 * NS_S},
		    {"1w", 604800 * NS_S},
		    {"1M", 2592000 * NS_S},
		    {"1y", 31536000 * NS_S},
		    {"10us", 10000},
		    {"10\302\265s", 10000},
		    {"-2m", -120 * NS_S}};
	static const char *const bad[] = {"",	 "5",	   "s",	   "5x",     "1h30",
					  "5 s", "1e999s", "--1s", "999999y"};
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_duration(good[i].text, &ns, NULL), 0);
		assert_int_equal(ns, good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_duration(bad[i], &ns, NULL), -1);
	assert_string_equal(GODURATION(0), "0s");
	assert_string_equal(GODURATION(1), "1ns");
	assert_string_equal(GODURATION(1100), "1.1\302\265s");
	assert_string_equal(GODURATION(2200000), "2.2ms");
	assert_string_equal(GODURATION(3300 * NS_MS), "3.3s");
	assert_string_equal(GODURATION(4 * 60 * NS_S + 5 * NS_S), "4m5s");
	assert_string_equal(GODURATION(3600 * NS_S), "1h0m0s");
	assert_string_equal(GODURATION(-1500 * NS_MS), "-1.5s");
	assert_string_equal(DURATION(245400), "245\302\265s");
	assert_string_equal(DURATION(999600), "1ms");
	assert_string_equal(DURATION(1500 * NS_MS), "1.50s");
	assert_string_equal(DURATION(61 * NS_S), "1m1s");
	assert_string_equal(DURATION(86400 * NS_S), "1d0h0m0s");
	assert_string_equal(DURATION(31536000 * NS_S), "1y0d0h0m0s");
	assert_string_equal(DURATION(INT64_MAX), "never");
}

static void bytes(void **state)
{
	int64_t n;

	(void)state;
	assert_int_equal(parse_bytes("1K", &n, NULL), 0);
	assert_int_equal(n, 1024);
	assert_int_equal(parse_bytes("2MiB", &n, NULL), 0);
	assert_int_equal(n, 2 << 20);
	assert_int_equal(parse_bytes("1gb", &n, NULL), 0);
	assert_int_equal(n, 1 << 30);
	assert_int_equal(parse_bytes("128B", &n, NULL), 0);
	assert_int_equal(n, 128);
	assert_int_equal(parse_bytes("-1", &n, NULL), 0);
	assert_int_equal(n, -1);
	assert_int_equal(parse_bytes("1X", &n, NULL), -1);
	assert_int_equal(parse_bytes("1Kx", &n, NULL), -1);
	assert_int_equal(parse_bytes("K", &n, NULL), -1);
	assert_int_equal(parse_bytes("99999999999T", &n, NULL), -1);
}

static void times(void **state)
{
	char out[48];
	int64_t ns;

	(void)state;
	assert_int_equal(parse_rfc3339("2026-01-02T15:04:05.123456789Z", &ns), 0);
	assert_string_equal(fmt_rfc3339(out, ns, true, true), "2026-01-02T15:04:05.123456789Z");
	assert_string_equal(fmt_rfc3339(out, ns, false, true), "2026-01-02T15:04:05Z");
	assert_int_equal(parse_rfc3339("2026-01-02T15:04:05+01:30", &ns), 0);
	assert_string_equal(fmt_rfc3339(out, ns, true, true), "2026-01-02T13:34:05Z");
	assert_int_equal(parse_rfc3339("0001-01-01T00:00:00Z", &ns), 0);
	assert_true(ns == INT64_MIN);
	assert_int_equal(parse_rfc3339("2026-01-02", &ns), -1);
	assert_int_equal(parse_rfc3339("2026-01-02T15:04:05", &ns), -1);
	assert_int_equal(parse_rfc3339("2026-01-02T15:04:05Zx", &ns), -1);
	assert_string_equal(LOCALTEXT("0001-01-01T00:00:00Z"), "0001-01-01 00:00:00");
	assert_string_equal(LOCALTEXT("nonsense"), "nonsense");
}

/* Fills text; NULL when the template is wrong. */
static char *fill(const char *text)
{
	struct buf b;
	struct err e;

	buf_init(&b, 1 << 20);
	if (template_fill(&b, text, strlen(text), "req", 3, 7, &e)) {
		assert_int_equal(b.len, 0);
		buf_free(&b);
		return NULL;
	}
	buf_u8(&b, 0);
	return (char *)b.p;
}

static void filled(const char *text, const char *want)
{
	CLEAN(free) char *got = fill(text);

	assert_non_null(got);
	assert_string_equal(got, want);
}

static void templates(void **state)
{
	static const char *const wrong[] = {
		"{{",		"a {{Count",	  "{{Nope}}", "{{Random}}",
		"{{Random 1}}", "{{Random a b}}", "{{}}",     "{{Random 1 999999999}}"};

	(void)state;
	filled("", "");
	filled("no template }} here", "no template }} here");
	filled("{{Count}}-{{ .Count }}-{{Cnt}}", "7-7-7");
	filled("a {{- Count -}} b", "a7b");
	filled("{{ Request }}", "req");
	filled("{{\"x\"}}{{`y`}}", "xy");
	filled("{{/* nothing */}}z", "z");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_null(fill(wrong[i]));
	CLEAN(free) char *r = fill("{{ Random 20 10 }}"), *id = fill("{{ID}}"),
			 *id2 = fill("{{ID}}");

	assert_true(strlen(r) >= 10 && strlen(r) <= 20);
	assert_int_equal(strlen(id), 22);
	assert_string_not_equal(id, id2);
}

static void quotes(void **state)
{
	CLEAN(free) char *a = nats_quote("a\"b\\c\n\x01\xff\303\251", 10);
	CLEAN(free) char *c = nats_clean("ok\033[31m\xff\302\233\342\200\256");

	(void)state;
	assert_string_equal(a, "\"a\\\"b\\\\c\\n\\x01\\xff\303\251\"");
	assert_string_equal(c, "ok?[31m??????");
}

static void subjects(void **state)
{
	(void)state;
	assert_true(msg_subject_match("a.*", "a.b"));
	assert_false(msg_subject_match("a.*", "a.b.c"));
	assert_true(msg_subject_match("a.>", "a.b.c"));
	assert_false(msg_subject_match("a.>", "a"));
	assert_false(msg_subject_match("a.b", "a.bc"));
	assert_true(msg_subject_match(">", "x"));
	assert_int_equal(msg_subject_ok("a.b", false, NULL), 0);
	assert_int_equal(msg_subject_ok("a.>", true, NULL), 0);
	assert_int_equal(msg_subject_ok("a.>", false, NULL), -1);
	assert_int_equal(msg_subject_ok("a b", true, NULL), -1);
	assert_int_equal(msg_subject_ok("a\r\nPUB", true, NULL), -1);
	assert_int_equal(msg_subject_ok("", true, NULL), -1);
	assert_int_equal(msg_subject_ok(".a", true, NULL), -1);
	assert_int_equal(msg_subject_ok("a.", true, NULL), -1);
}

static void metadata(void **state)
{
	struct msg_meta m;

	(void)state;
	assert_true(msg_meta("$JS.ACK.S.C.1.22.3.1700000000000000000.4", &m));
	assert_string_equal(m.stream, "S");
	assert_int_equal(m.stream_seq, 22);
	assert_int_equal(m.pending, 4);
	assert_true(msg_meta("$JS.ACK.D.HASH.S.C.1.22.3.1700000000000000000.4.RND", &m));
	assert_string_equal(m.consumer, "C");
	assert_int_equal(m.consumer_seq, 3);
	assert_false(msg_meta("$JS.ACK.S", &m));
	assert_false(msg_meta("_INBOX.x", &m));
	assert_false(msg_meta(NULL, &m));
}

/* What servers send: 2^64-1 for "no limit", which jansson takes for an error of the whole. */
static void big_numbers(void **state)
{
	static const char text[] =
		"{\"a\":18446744073709551615,\"b\":[-99999999999999999999,7],"
		"\"c\":\"99999999999999999999 \\\" 99999999999999999999\","
		"\"d\":9223372036854775807,\"e\":1e3,\"f\":12345678901234567890.5}";
	CLEAN(json) json_t *j = nats_json(text, sizeof(text) - 1, 0);

	(void)state;
	assert_non_null(j);
	assert_true(jint(j, "a") == INT64_MAX);
	assert_true(json_integer_value(json_array_get(json_object_get(j, "b"), 0)) == INT64_MIN);
	assert_true(json_integer_value(json_array_get(json_object_get(j, "b"), 1)) == 7);
	assert_string_equal(jstr(j, "c"), "99999999999999999999 \" 99999999999999999999");
	assert_true(jint(j, "d") == INT64_MAX);
	assert_true(jint(j, "e") == 1000);
	assert_true(jnum(j, "f") > 1.2e19);
	/* cut within a number, at the end of the memory */
	char *cut = malloc(21);

	assert_non_null(cut);
	memcpy(cut, "[18446744073709551615", 21);
	assert_null(nats_json(cut, 21, 0));
	free(cut);
	assert_null(nats_json(NULL, 0, 0));
	assert_null(nats_json("[", 1, 0));
}

static void sums(void **state)
{
	(void)state;
	assert_true(nats_add(INT64_MAX, 1) == INT64_MAX);
	assert_true(nats_add(INT64_MIN, -1) == INT64_MIN);
	assert_true(nats_add(2, -3) == -1);
	assert_true(nats_ago(INT64_MIN) == INT64_MAX);
	assert_true(nats_ago(INT64_MAX) < 0);
}

static void keep_line(void *arg, const char *line)
{
	struct buf *b = arg;

	buf_printf(b, "%s\n", line);
}

static void plots(void **state)
{
	const double v[] = {0, 2, 2, 1};
	static const double huge[] = {1e308, 1e308, 0};
	CLEAN(buf) struct buf b = {0};

	(void)state;
	buf_init(&b, 65536);
	graph_plot(v, 4, 17, 4, "c", GRAPH_COUNT, keep_line, &b);
	buf_u8(&b, '\0');
	assert_string_equal((char *)b.p, "        2 ┤   ╭─╮\n"
					 "        1 ┤   │ ╰\n"
					 "        0 ┤  ─╯\n"
					 "             c\n");
	/* sizes and values that are absurd */
	for (unsigned w = 0; w < 30; w++)
		for (unsigned h = 0; h < 10; h++)
			graph_plot(huge, 3, w, h, "caption", GRAPH_BYTES, keep_line, &b);
	graph_plot(huge, 0, 40, 5, "", GRAPH_DECIMAL, keep_line, &b);
}

static void rates(void **state)
{
	static struct graph g;

	(void)state;
	graph_line(&g, 0, GRAPH_DECIMAL, true, "r");
	graph_add(&g.line[0], 100, 0);
	assert_true(g.line[0].n == 0);
	graph_add(&g.line[0], 150, 0.5);
	/* a counter that began anew is no negative rate */
	graph_add(&g.line[0], 3, 1);
	for (int i = 0; i < 2 * GRAPH_VALUES; i++)
		graph_add(&g.line[0], 3, 1);
	assert_true(g.line[0].n == GRAPH_VALUES);
	graph_line(&g, 1, GRAPH_COUNT, false, "v");
	graph_add(&g.line[1], -1, 1);
	graph_add(&g.line[1], 7, 1);
	assert_true(g.nlines == 2 && g.line[1].v[0] == 0 && g.line[1].v[1] == 7);
}

static int fill_none(void *arg, const char *word, struct buf *out, struct err *e)
{
	(void)arg;
	(void)e;
	buf_printf(out, "%s", strcmp(word, "{{ a b }}") == 0 ? "x y" : word);
	return 0;
}

static void commands(void **state)
{
	CLEAN(buf) struct buf out = {0};
	struct err e = {0};

	(void)state;
	buf_init(&out, 1000);
	assert_int_equal(cmd_run("printf '<%s>' {{ a b }} 'c  d' \"e\\\"f\" g\\ h ''", fill_none,
				 NULL, NULL, NULL, 0, &out, &e),
			 0);
	buf_u8(&out, '\0');
	assert_string_equal((char *)out.p, "<x y><c  d><e\"f><g h><>");
	buf_reset(&out);
	assert_int_equal(cmd_run("tr a b", fill_none, NULL, NULL, "aXa", 3, &out, &e), 0);
	assert_memory_equal(out.p, "bXb", 3);
	assert_int_equal(cmd_run("false", fill_none, NULL, NULL, NULL, 0, &out, &e), -1);
	assert_string_equal(e.text, "exit status 1");
	assert_int_equal(cmd_run("'open", fill_none, NULL, NULL, NULL, 0, &out, &e), -1);
	assert_int_equal(cmd_run("  ", fill_none, NULL, NULL, NULL, 0, &out, &e), -1);
	/* more than there is room for */
	buf_reset(&out);
	assert_int_equal(
		cmd_run("head -c 100000 /dev/zero", fill_none, NULL, NULL, NULL, 0, &out, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),     cmocka_unit_test(durations),
		cmocka_unit_test(bytes),       cmocka_unit_test(times),
		cmocka_unit_test(templates),   cmocka_unit_test(quotes),
		cmocka_unit_test(subjects),    cmocka_unit_test(metadata),
		cmocka_unit_test(big_numbers), cmocka_unit_test(sums),
		cmocka_unit_test(plots),       cmocka_unit_test(rates),
		cmocka_unit_test(commands),
	};

	if (crypto_init())
		return 1;
	(void)setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
