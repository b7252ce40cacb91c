/* nats-top's parts: what -s means, times, orders, rates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "box/top/top_src.h"
#include "box/top/top_stats.h"
#include "box/top/top_text.h"

static void targets(void **state)
{
	static const struct {
		const char *text, *host, *user, *path;
		int port;
		bool https, client;
	} good[] = {
		{"127.0.0.1", "127.0.0.1", NULL, "", 0, false, false},
		{"h:8222", "h", NULL, "", 8222, false, false},
		{"::1", "::1", NULL, "", 0, false, false},
		{"[::1]:9", "::1", NULL, "", 9, false, false},
		{"http://h", "h", NULL, "", 0, false, false},
		{"http://h:1/", "h", NULL, "", 1, false, false},
		{"https://u:p@w@h:2/a/b//", "h", "u:p@w", "/a/b", 2, true, false},
		{"https://[fe80::1]/x", "fe80::1", NULL, "/x", 0, true, false},
		{"nats://u:p@h:4222,nats://other", "h", "u:p", "", 0, false, true},
		{"tls://h:4222/ignored", "h", NULL, "", 0, false, true},
	};
	static const char *const bad[] = {
		"",	      "http://",	"http://:80", "ftp://h",
		"http://h:0", "http://h:65536", "h:80x",      "[::1",
		"[::1]x",     "http://a b",	"://h",	      "nats://,h",
		"http://@",   "nats://u@:1",
	};
	struct top_target t;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CLEAN(free) char *text = strdup(good[i].text);

		assert_int_equal(top_target_parse(&t, text, &e), 0);
		assert_string_equal(t.host, good[i].host);
		assert_string_equal(t.path, good[i].path);
		assert_int_equal(t.port, good[i].port);
		assert_int_equal(t.https, good[i].https);
		assert_int_equal(t.client_url, good[i].client);
		if (good[i].user)
			assert_string_equal(t.user, good[i].user);
		else
			assert_null(t.user);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CLEAN(free) char *text = strdup(bad[i]);

		assert_int_equal(top_target_parse(&t, text, &e), -1);
		assert_int_equal(e.code, ERR_USAGE);
	}
}

static void times(void **state)
{
	static const char *const bad[] = {"",
					  "x",
					  "2026-01-01",
					  "2026-01-01T00:00:00",
					  "2026-01-01T00:00:00+1",
					  "1960-01-01T00:00:00Z",
					  "9999-01-01T00:00:00Z",
					  "2026-13-01T00:00:00Z"};

	(void)state;
	assert_int_equal(top_time("1970-01-01T00:00:00Z"), 0);
	assert_int_equal(top_time("1970-01-01T00:00:01.5Z"), 1500000000);
	assert_int_equal(top_time("1970-01-01T02:00:00+02:00"), 0);
	assert_int_equal(top_time("1970-01-01T00:00:00-00:30"), INT64_C(1800000000000));
	assert_int_equal(top_time("1970-01-01T00:00:00.0000000019Z"), 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(top_time(bad[i]), -1);
}

static void orders(void **state)
{
	(void)state;
	assert_true(top_sort_ok("cid"));
	assert_true(top_sort_ok("rtt"));
	assert_true(top_sort_ok("bytes_from"));
	assert_false(top_sort_ok(""));
	assert_false(top_sort_ok("ci"));
	assert_false(top_sort_ok("id"));
	assert_false(top_sort_ok("cid|start"));
}

static void parse(struct top_stats *s, const char *varz, const char *connz)
{
	struct err e;
	int r = top_stats_parse(s, (struct bytes){(const uint8_t *)varz, strlen(varz)},
				(struct bytes){(const uint8_t *)connz, strlen(connz)}, &e);

	assert_int_equal(r, 0);
}

static void rates(void **state)
{
	CLEAN(top_stats) struct top_stats a = {0};
	CLEAN(top_stats) struct top_stats b = {0};
	CLEAN(top_stats) struct top_stats restarted = {0};

	(void)state;
	parse(&a, "{\"server_id\":\"N\",\"now\":\"2026-01-01T00:00:00Z\",\"in_msgs\":100}",
	      "{\"connections\":[{\"cid\":2,\"out_bytes\":10},{\"cid\":1,\"out_bytes\":50}]}");
	parse(&b, "{\"server_id\":\"N\",\"now\":\"2026-01-01T00:00:02Z\",\"in_msgs\":300}",
	      "{\"connections\":[{\"cid\":1,\"out_bytes\":70},{\"cid\":3,\"out_bytes\":9},"
	      "{\"cid\":2,\"out_bytes\":5}]}");
	top_stats_rates(&b, &a);
	assert_true(b.rate.in_msgs > 99.9 && b.rate.in_msgs < 100.1);
	/* Per second, although two passed. */
	assert_true(b.conn[0].rate.out_bytes > 9.9 && b.conn[0].rate.out_bytes < 10.1);
	assert_true(b.conn[1].rate.out_bytes <= 0); /* a new one */
	assert_true(b.conn[2].rate.out_bytes <= 0); /* its counter went back */
	parse(&restarted, "{\"server_id\":\"M\",\"now\":\"2026-01-01T00:00:03Z\",\"in_msgs\":900}",
	      "{}");
	top_stats_rates(&restarted, &b);
	assert_true(restarted.rate.in_msgs <= 0);
	/* No time passed: no division. */
	top_stats_rates(&b, &b);
}

static void envelopes(void **state)
{
	CLEAN(top_stats) struct top_stats s = {0};
	const char *ok =
		"{\"server\":{},\"data\":{\"server_id\":\"N\",\"connections\":[{\"cid\":7}]}}";
	const char *no = "{\"server\":{},\"error\":{\"code\":403,\"description\":\"not you\"}}";
	struct err e;

	(void)state;
	parse(&s, ok, ok);
	assert_string_equal(s.id, "N");
	assert_int_equal(s.nconn, 1);
	assert_int_equal(top_stats_parse(&s, (struct bytes){(const uint8_t *)no, strlen(no)},
					 (struct bytes){(const uint8_t *)ok, strlen(ok)}, &e),
			 -1);
	assert_non_null(strstr(e.text, "not you"));
	assert_int_equal(top_stats_parse(&s, (struct bytes){NULL, 0}, (struct bytes){NULL, 0}, &e),
			 -1);
	assert_int_equal(e.code, ERR_BAD_JSON);
}

static void columns(void **state)
{
	CLEAN(top_stats) struct top_stats s = {0};
	CLEAN(buf) struct buf b = {0};
	struct top_look look = {.subs = true};

	(void)state;
	buf_init(&b, 65536);
	parse(&s, "{\"server_id\":\"N\",\"server_name\":\"N\",\"mem\":1536}",
	      "{\"num_connections\":1,\"connections\":[{\"cid\":5,\"ip\":\"1.2.3.4\",\"port\":5,"
	      "\"out_msgs\":1500,\"in_bytes\":1048576,\"subscriptions_list\":[\"a\",\"b\\u001b\"],"
	      "\"last_activity\":\"2026-01-01T00:00:00.5Z\"}]}");
	top_text(&b, &s, &look);
	buf_u8(&b, 0);
	assert_non_null(
		strstr((char *)b.p, "\nServer: \n  ID:   N\n")); /* a name that is the id is none */
	assert_non_null(strstr((char *)b.p, "Memory: 1.5K "));
	assert_non_null(strstr((char *)b.p, "1.5K        0           0           1.0M "));
	assert_non_null(strstr((char *)b.p, "2026-01-01 00:00:00.5 +0000 UTC"));
	assert_non_null(strstr((char *)b.p, "a, b?\n"));
	assert_null(strstr((char *)b.p, "NAME"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(targets), cmocka_unit_test(times),	cmocka_unit_test(orders),
		cmocka_unit_test(rates),   cmocka_unit_test(envelopes), cmocka_unit_test(columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
