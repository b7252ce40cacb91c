/* Text that is made fit to be shown: terminals are not driven, seeds and passwords go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/enc.h"
#include "base/text.h"

#define SEED "SUAKYRHVIOREXV7EUZTBHUHL7NUMHPMAS7QMDU3GTIUWEI5LDNOXD43IZZ"

static void cleans(void **state)
{
	static const char *const rows[][2] = {
		{"plain", "plain"},
		{"Zoë … 漢字 👩‍👩", "Zoë … 漢字 👩‍👩"},
		{"a\033[2J\x07\r\n\t\x7f", "a?[2J?????"},
		{"c1 \xc2\x9b \xc2\x80", "c1 ?? ??"},
		{"turned \xe2\x80\xae \xe2\x81\xa6 \xe2\x80\x8f \xd8\x9c", "turned ??? ??? ??? ??"},
		{"lines \xe2\x80\xa8\xe2\x80\xa9", "lines ??????"},
		{"bytes \xff \xc3", "bytes ? ?"},
		{"too long \xc0\xaf \xe0\x80\xaf \xf0\x80\x80\xaf", "too long ?? ??? ????"},
		{"surrogate \xed\xa0\x80, beyond \xf4\x90\x80\x80", "surrogate ???, beyond ????"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = text_cleaned(rows[i][0]);

		assert_string_equal(got, rows[i][1]);
		free(got);
	}
}

static void hides(void **state)
{
	static const char *const rows[][2] = {
		{"cannot open " SEED ": no such file", "cannot open (a seed): no such file"},
		{SEED " " SEED, "(a seed) (a seed)"},
		{"'SUAKYRHVIOREXV7EUZTBHUHL7NUM…'", "'(a seed)…'"},
		{"a public key UAKYRHVIOREXV7EUZTBHUHL7NUMHPMAS7QMDU3GTIUWEI5LDNOXD43IZ",
		 "a public key UAKYRHVIOREXV7EUZTBHUHL7NUMHPMAS7QMDU3GTIUWEI5LDNOXD43IZ"},
		{"stream SOMEVERYLONGNAMEOFASTREAM", "stream SOMEVERYLONGNAMEOFASTREAM"},
		{"NATS at nats://u:p@h:1, down", "NATS at nats://h:1, down"},
		{"nats://u:p@h1,nats://h2,tls://x:y@h3", "nats://h1,nats://h2,tls://h3"},
		{"http://u:p/w@h/path", "http://h/path"},
		{"http://u:p@s@h", "http://h"},
		{"'http://u:it's@h'", "'http://h'"},
		{"http://h:80/a@b and x@y", "http://h:80/a@b and x@y"},
		{"http://[::1]:80/a@b", "http://[::1]:80/a@b"},
		{"nothing://", "nothing://"},
		{"mail x@y.example", "mail x@y.example"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[200];

		(void)snprintf(text, sizeof(text), "%s", rows[i][0]);
		text_hide(text);
		assert_string_equal(text, rows[i][1]);
	}
}

static void unpercents(void **state)
{
	static const char *const bad[] = {"%", "a%4", "%4g", "%00", "%%41"};
	char text[20] = "p%40ss%3a%C3%ab";

	(void)state;
	assert_int_equal(enc_unpercent(text), 0);
	assert_string_equal(text, "p@ss:ë");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), "%s", bad[i]);
		assert_int_equal(enc_unpercent(text), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cleans),
		cmocka_unit_test(hides),
		cmocka_unit_test(unpercents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
