/* URLs of HTTP servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "box/nsc/nsc_server.h"
#include "http/http.h"

static void good(void **state)
{
	static const struct {
		const char *text, *host, *path, *query, *user;
		int port;
		bool tls;
	} rows[] = {
		{"http://h", "h", "", "", "", 80, false},
		{"HTTPS://h/", "h", "/", "", "", 443, true},
		{"https://h:8443/a/b?c=d&e", "h", "/a/b", "?c=d&e", "", 8443, true},
		{"http://[::1]:1/x", "::1", "/x", "", "", 1, false},
		{"http://u:p%40ss@h/x", "h", "/x", "", "u:p@ss", 80, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		struct http_url u;

		assert_int_equal(http_url_parse(&u, rows[i].text, &e), 0);
		assert_string_equal(u.host, rows[i].host);
		assert_string_equal(u.path, rows[i].path);
		assert_string_equal(u.query, rows[i].query);
		assert_string_equal(u.user, rows[i].user);
		assert_int_equal(u.port, rows[i].port);
		assert_int_equal(u.tls, rows[i].tls);
	}
}

static void bad(void **state)
{
	static const char *const rows[] = {
		"",
		"h",
		"nats://h",
		"http:///x",
		"http://:80/",
		"http://h:0",
		"http://h:99999/",
		"http://h/#a",
		"file:///x",
		"http://a b/",
		"http://[::1",
		"http://u:%zz@h/x",
		"http://h\r\n/",
		"//h/x",
	};
	struct http_url u;
	char *text = malloc(3000);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};

		if (http_url_parse(&u, rows[i], &e) == 0)
			fail_msg("taken: %s", rows[i]);
		assert_int_equal(e.code, ERR_BAD_INPUT);
	}
	assert_non_null(text);
	memcpy(text, "http://h/", 9);
	memset(text + 9, 'x', 2990);
	text[2999] = '\0';
	assert_int_equal(http_url_parse(&u, text, NULL), -1);
	memset(text + 7, 'x', 2992);
	assert_int_equal(http_url_parse(&u, text, NULL), -1);
	free(text);
}

static void operators(void **state)
{
	static const char *const rows[][2] = {
		{"http://h", "http://h/jwt/v1/operator"},
		{"http://h/", "http://h/jwt/v1/operator"},
		{"https://h:1//", "https://h:1/jwt/v1/operator"},
		{"http://h?a=b", "http://h/jwt/v1/operator?a=b"},
		{"http://h/jwt/v1", "http://h/jwt/v1/operator"},
		{"http://h/x/jwt/v2/", "http://h/x/jwt/v2/operator"},
		{"http://h/jwt/v2/synadia", "http://h/jwt/v2/synadia"},
		{"http://h/op.jwt?x=/", "http://h/op.jwt?x=/"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = nsc_operator_url(rows[i][0]);

		assert_string_equal(got, rows[i][1]);
		free(got);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(operators),
	};

	return cmocka_run_group_tests_name("http_url", tests, NULL, NULL);
}
