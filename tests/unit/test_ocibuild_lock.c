/* The lock: what is written is read back; every malformed line is refused with its
 * number; rows of several images are merged. Also the parsers of apt's output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "ocibuild/lock.h"
#include "ocibuild/mirror.h"
#include "ocibuild/resolve.h"

#define HEX "967aa62605721081c3eb2a17650611a792aa802d76a6511d1840242623d204c9"
#define HEAD                                                                                       \
	"ocibuild-lock 1\n# a comment\ndefinitions " HEX "\ndate 2026-01-31T00:00:00Z\n"           \
	"release debian trixie 2026-01-30T00:00:00Z\n"                                             \
	"release debian-security trixie-security 2026-01-31T00:00:00Z\n"
#define ROW                                                                                        \
	"package debian trixie libc6 2.41-12+deb13u4 amd64 " HEX                                   \
	" 2846580 pool/main/g/glibc/libc6_2.41-12_amd64.deb dev,test\n"

static void reads_what_it_writes(void **state)
{
	CLEAN(lock) struct lock l = {0};
	CLEAN(lock) struct lock again = {0};
	CLEAN(buf) struct buf a = {0};
	CLEAN(buf) struct buf b = {0};
	struct err e = {0};

	(void)state;
	buf_init(&a, LOCK_MAX_BYTES);
	buf_init(&b, LOCK_MAX_BYTES);
	assert_int_equal(lock_parse(&l, "l", HEAD ROW, strlen(HEAD ROW), &e), 0);
	assert_int_equal(l.npkg, 1);
	assert_int_equal(l.nrel, 2);
	assert_int_equal(l.date, 1769817600);
	assert_string_equal(l.pkg[0].version, "2.41-12+deb13u4");
	assert_true(lock_pkg_in(&l.pkg[0], "dev"));
	assert_true(lock_pkg_in(&l.pkg[0], "test"));
	assert_false(lock_pkg_in(&l.pkg[0], "tes"));
	assert_false(lock_pkg_in(&l.pkg[0], "de"));
	l.is_relock = true;
	lock_render(&l, &a);
	assert_int_equal(lock_parse(&again, "again", a.p, a.len, &e), 0);
	assert_true(again.is_relock);
	lock_render(&again, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.p, b.p, a.len);
}

static void finds_security_rows(void **state)
{
	struct lock_pkg p = {.suite = "trixie-security", .name = "zlib1g"};
	struct lock l = {.pkg = &p, .npkg = 1};

	(void)state;
	assert_ptr_equal(lock_find(&l, "trixie", "zlib1g"), &p);
	assert_ptr_equal(lock_find(&l, "trixie-security", "zlib1g"), &p);
	assert_null(lock_find(&l, "trixi", "zlib1g"));
	assert_null(lock_find(&l, "trixie", "zlib1"));
}

static void refuses(const char *text, size_t n, const char *expect)
{
	struct lock l;
	struct err e = {0};

	if (lock_parse(&l, "x", text, n, &e) == 0)
		fail_msg("accepted: %s", text);
	if (!strstr(e.text, expect))
		fail_msg("'%s' lacks '%s'", e.text, expect);
	assert_null(l.pkg);
}

static void refuses_malformed(void **state)
{
	static const struct {
		const char *text, *expect;
	} bad[] = {
		{"", "no definitions"},
		{"something else\n", "x:1: not a lock"},
		{"ocibuild-lock 2\n", "x:1: not a lock"},
		{HEAD, "no definitions, date or package"},
		{"ocibuild-lock 1\n" ROW, "no definitions"},
		{HEAD ROW "package", "x:8: the last line is cut off"},
		{HEAD ROW ROW, "twice"},
		{HEAD ROW "\n", "x:8"},
		{HEAD "date 2026-01-31T00:00:00Z\n" ROW, "x:7: unknown, repeated"},
		{HEAD "colour red\n" ROW, "x:7"},
		{HEAD "package debian trixie libc6\n", "nine fields"},
		{HEAD "package debian  trixie a 1 amd64 " HEX " 1 pool/a x y\n", "nine fields"},
		{HEAD "package debian trixie a 1 amd64 " HEX " 0 pool/a dev\n", "size"},
		{HEAD "package debian trixie a 1 amd64 " HEX " 1x pool/a dev\n", "bad size"},
		{HEAD "package debian trixie a 1 amd64 " HEX " -1 pool/a dev\n", "bad size"},
		{HEAD "package debian trixie a 1 amd64 " HEX " 99999999999999999999 pool/a dev\n",
		 "bad size"},
		{HEAD "package debian trixie a 1 amd64 1234 1 pool/a dev\n", "bad sha256"},
		{HEAD "package debian trixie a 1 amd64 " HEX " 1 /etc/passwd dev\n", "bad path"},
		{HEAD "package debian trixie a 1 amd64 " HEX " 1 pool/../../x dev\n", "bad path"},
		{HEAD "package debian trixie a 1 amd64 " HEX " 1 pool/a;b dev\n", "bad path"},
		{HEAD "package debian trixie a/b 1 amd64 " HEX " 1 pool/a dev\n", "bad name"},
		{HEAD "package debian trixie -rf 1 amd64 " HEX " 1 pool/a dev\n", "bad name"},
		{HEAD "package debian trixie a 1\t2 amd64 " HEX " 1 pool/a dev\n", "bad version"},
		{HEAD "release debian trixie yesterday\n" ROW, "bad release"},
		{"ocibuild-lock 1\ndefinitions " HEX "\ndate 2026-02-30T00:00:00Z\n" ROW, "x:3"},
		{"ocibuild-lock 1\ndefinitions " HEX "\ndate 2026-01-31T00:00:00Z\n" ROW,
		 "newest release"},
	};
	static const char nul[] = HEAD "x\0y\n" ROW;
	char longname[800];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuses(bad[i].text, strlen(bad[i].text), bad[i].expect);
	refuses(nul, sizeof(nul) - 1, "NUL");
	snprintf(longname, sizeof(longname),
		 HEAD "package debian trixie %0120d 1 amd64 " HEX " 1 pool/a dev\n", 1);
	refuses(longname, strlen(longname), "too long");
}

static void merges_images(void **state)
{
	CLEAN(lock) struct lock l = {0};
	struct lock_pkg p = {.suite = "trixie", .name = "a", .version = "1", .images = "dev"};
	struct err e = {0};

	(void)state;
	assert_int_equal(lock_add(&l, &p, &e), 0);
	strcpy(p.images, "test");
	assert_int_equal(lock_add(&l, &p, &e), 0);
	assert_int_equal(lock_finish(&l, &e), 0);
	assert_int_equal(l.npkg, 1);
	assert_string_equal(l.pkg[0].images, "dev,test");
	strcpy(p.version, "2");
	assert_int_equal(lock_add(&l, &p, &e), 0);
	assert_int_equal(lock_finish(&l, &e), -1);
	assert_non_null(strstr(e.text, "two versions"));
}

static void parses_uris(void **state)
{
	struct mirror m = {.debian = "http://m.example/debian",
			   .debian_security = "http://m.example/debian-security"};
	const char *const suites[] = {"trixie", "trixie-security"};
	char line[] = "'http://m.example/debian-security/pool/updates/main/z/zlib/"
		      "zlib1g_1.3%2bu1_amd64.deb' zlib1g_1%3a1.3+u1_amd64.deb 77 SHA256:" HEX;
	char md5[] = "'http://m.example/debian/pool/a_1_amd64.deb' a_1_amd64.deb 77 MD5Sum:00";
	char other[] =
		"'http://other.example/debian/pool/a_1_amd64.deb' a_1_amd64.deb 77 SHA256:" HEX;
	char odd[] = "'http://m.example/debian/pool/a.deb' a%zz_1_amd64.deb 77 SHA256:" HEX;
	struct lock_pkg p;
	struct err e = {0};

	(void)state;
	assert_int_equal(resolve_parse_uri(&p, line, &m, suites, 2, &e), 0);
	assert_string_equal(p.archive, "debian-security");
	assert_string_equal(p.suite, "trixie-security");
	assert_string_equal(p.name, "zlib1g");
	assert_string_equal(p.version, "1:1.3+u1");
	assert_string_equal(p.path, "pool/updates/main/z/zlib/zlib1g_1.3%2bu1_amd64.deb");
	assert_int_equal(p.size, 77);
	assert_int_equal(resolve_parse_uri(&p, md5, &m, suites, 2, &e), -1);
	assert_int_equal(resolve_parse_uri(&p, other, &m, suites, 2, &e), -1);
	assert_int_equal(resolve_parse_uri(&p, odd, &m, suites, 2, &e), -1);
}

static void finds_mirrors(void **state)
{
	struct mirror m = {0};
	char text[] = "https://other.example/node/|nodistro|Other\n"
		      "http://m.example/debian/|bookworm|Debian\n"
		      "http://n.example/debian/|bookworm-updates|Debian\n"
		      "http://m.example/debian-security/|bookworm-security|Debian\n";
	struct mirror fresh = {0};
	char no_origin[] = "http://x.example/ubuntu/|noble|\nfile:///srv/debian|trixie|\n";

	(void)state;
	mirror_from_targets(&m, text);
	assert_string_equal(m.debian, "http://m.example/debian");
	assert_string_equal(m.debian_security, "http://m.example/debian-security");
	assert_string_equal(mirror_of(&m, "debian-security"), m.debian_security);
	assert_null(mirror_of(&m, "ubuntu"));
	mirror_from_targets(&fresh, no_origin);
	assert_string_equal(fresh.debian, "file:///srv/debian");
	assert_string_equal(fresh.debian_security, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_writes), cmocka_unit_test(finds_security_rows),
		cmocka_unit_test(refuses_malformed),	cmocka_unit_test(merges_images),
		cmocka_unit_test(parses_uris),		cmocka_unit_test(finds_mirrors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
