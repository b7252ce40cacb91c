/* Copyright files, control data and purls: what is said of well-formed ones, and that
 * malformed ones give something that is still an expression. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "ocibuild/sbom/control.h"
#include "ocibuild/sbom/licence.h"
#include "ocibuild/sbom/purl.h"
#include "json/json.h"

#define FORMAT "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
#define FILES "Files: *\nLicense: "

static char *read_text(json_t *by_id, const char *text)
{
	struct licence_refs refs = {by_id};
	struct err e;

	return licence_read(&refs, "usr/share/doc/x/copyright",
			    (struct bytes){(const uint8_t *)text, strlen(text)}, &e);
}

static void expressions(void **state)
{
	static const char *const rows[][2] = {
		{"Expat", "MIT"},
		{"expat", "MIT"},
		{"GPL-2+ or Artistic", "GPL-2.0-or-later OR Artistic-1.0-Perl"},
		{"ISC AND Zlib", "ISC AND Zlib"},
		{"ISC and ISC", "ISC"},
		{"GPL-1+ or Artistic, and Expat",
		 "(GPL-1.0-or-later OR Artistic-1.0-Perl) AND MIT"},
		{"ISC or Zlib, and MIT or curl", "(ISC OR Zlib) AND (MIT OR curl)"},
		{"Expat, ISC", "ISC AND MIT"},
		{"Expat, and ISC", "ISC AND MIT"},
		{"Expat or ISC and Zlib", "MIT OR ISC AND Zlib"},
		{"GPL-3+ with Bison exception or Expat",
		 "GPL-3.0-or-later WITH Bison-exception-2.2 OR MIT"},
		{"  Expat \t", "MIT"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEAN(json) json_t *refs = json_object();
		CLEAN(buf) struct buf b = {0};

		buf_init(&b, 4096);
		buf_printf(&b, FORMAT FILES "%s\n", rows[i][0]);
		buf_u8(&b, 0);
		CLEAN(free) char *got = read_text(refs, (char *)b.p);

		assert_string_equal(got, rows[i][1]);
		assert_int_equal(json_object_size(refs), 0);
	}
}

/* Words that are no operators are all known: references, or names of SPDX. */
static void check_words(const char *expression, const json_t *refs)
{
	CLEAN(free) char *copy = strdup(expression);
	char *save = NULL;
	int depth = 0;

	assert_true(*expression);
	for (const char *c = expression; *c; c++) {
		depth += *c == '(' ? 1 : *c == ')' ? -1 : 0;
		assert_true(depth == 0 || depth == 1);
	}
	assert_int_equal(depth, 0);
	for (char *w = strtok_r(copy, " ()", &save); w; w = strtok_r(NULL, " ()", &save))
		if (strncmp(w, "LicenseRef-", 11) == 0)
			assert_non_null(json_object_get(refs, w));
}

static void malformed(void **state)
{
	static const char *const rows[] = {
		"and",		 "or or",    "Expat and", "or Expat",
		"Expat or, and", ",",	     ", ,",	  "",
		"with",		 "a b c d",  "(Expat",	  "Expat) or (ISC",
		"GPL-2+ with",	 "\x80\xff", "A\x01",	  "A  or   B",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEAN(json) json_t *refs = json_object();
		CLEAN(buf) struct buf b = {0};

		buf_init(&b, 4096);
		buf_printf(&b, FORMAT FILES "%s\n text of it\n", rows[i]);
		buf_u8(&b, 0);
		CLEAN(free) char *got = read_text(refs, (char *)b.p);

		assert_non_null(got);
		check_words(got, refs);
		assert_true(json_object_size(refs) > 0);
	}
}

static void references(void **state)
{
	CLEAN(json) json_t *refs = json_object();
	CLEAN(free) char *a =
		read_text(refs, FORMAT FILES "Odd\n\nLicense: Odd\n One\n .\n  two\n");
	CLEAN(free) char *b = read_text(refs, FORMAT "Files: y\nLicense: Odd\n One\n .\n  two\n");
	CLEAN(free) char *c = read_text(refs, FORMAT FILES "Odd\n Another\n");
	CLEAN(free) char *d = read_text(refs, "This is free.\n");
	CLEAN(free) char *f = read_text(refs, FORMAT "Files: *\nCopyright: me\n");
	const char *text;

	(void)state;
	/* one text, one reference, whichever package it is of */
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	assert_int_equal(json_object_size(refs), 4);
	text = json_string_value(json_object_get(json_object_get(refs, a), "text"));
	assert_string_equal(text, "One\n\n two");
	text = json_string_value(json_object_get(json_object_get(refs, d), "text"));
	assert_non_null(strstr(text, "/usr/share/doc/x/copyright of the image"));
	check_words(f, refs);
}

static void too_many(void **state)
{
	CLEAN(json) json_t *refs = json_object();
	CLEAN(buf) struct buf b = {0};

	(void)state;
	buf_init(&b, 1u << 20);
	buf_printf(&b, FORMAT);
	for (int i = 0; i < 300; i++)
		buf_printf(&b, "Files: f%d\nLicense: Odd-%d\n\n", i, i);
	buf_u8(&b, 0);
	CLEAN(free) char *got = read_text(refs, (char *)b.p);

	assert_int_equal(strncmp(got, "LicenseRef-Debian-copyright-", 28), 0);
}

static void paragraphs(void **state)
{
	static const char text[] = "\n\nA: 1\nb:two\n  more\n\t.\nC:\n\n \nA: x\n continued";
	struct bytes rest = {(const uint8_t *)text, strlen(text)}, para, v;
	char out[8];

	(void)state;
	assert_true(control_next(&rest, &para));
	control_text(para, "a", out, sizeof(out));
	assert_string_equal(out, "1");
	assert_true(control_field(para, "B", &v));
	assert_int_equal(v.len, strlen("two\n  more\n\t."));
	assert_true(control_field(para, "C", &v));
	assert_int_equal(v.len, 0);
	assert_false(control_field(para, "more", &v));
	assert_true(control_next(&rest, &para));
	control_text(para, "A", out, sizeof(out));
	assert_string_equal(out, "x");
	assert_false(control_next(&rest, &para));
	assert_false(control_next(&rest, &para));
	/* longer than there is room */
	para = (struct bytes){(const uint8_t *)"A: 12345678", 11};
	control_text(para, "A", out, sizeof(out));
	assert_string_equal(out, "");
}

static void purls(void **state)
{
	struct purl_deb p = {.name = "libstdc++6", .version = "1:2~a+b", .arch = "amd64"};
	CLEAN(free) char *a = purl_deb(&p);

	(void)state;
	assert_string_equal(a,
			    "pkg:deb/debian/libstdc%2B%2B6@1:2~a%2Bb?arch=amd64&distro=debian-13");
	p.suite = "forky";
	p.source = "gcc-14";
	p.source_version = "2";
	CLEAN(free) char *b = purl_deb(&p);

	assert_string_equal(b, "pkg:deb/debian/libstdc%2B%2B6@1:2~a%2Bb?arch=amd64&distro=debian-14"
			       "&upstream=gcc-14%402");
	p.source_version = p.version;
	CLEAN(free) char *c = purl_deb(&p);

	assert_non_null(strstr(c, "&upstream=gcc-14"));
	assert_null(strstr(c, "%40"));
	CLEAN(free) char *d = purl_oci("x", "sha256:ab", NULL);

	assert_string_equal(d, "pkg:oci/x@sha256:ab?arch=amd64");
	assert_string_equal(purl_distro("trixie-security"), "debian-13");
	assert_string_equal(purl_distro("forkyx"), "debian-13");
	assert_string_equal(purl_distro(NULL), "debian-13");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expressions), cmocka_unit_test(malformed),
		cmocka_unit_test(references),  cmocka_unit_test(too_many),
		cmocka_unit_test(paragraphs),  cmocka_unit_test(purls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
