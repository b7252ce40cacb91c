/* What a map of the linker says: archives with something in the program, each with its
 * package; and the files that are made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/oci/linked.h"

static char dir[] = "/tmp/linked-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[256], up[256];
	struct err e;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(up, sizeof(up), "%.*s", (int)(strrchr(path, '/') - path), path);
	if (file_mkdirs(up, 0755, &e) || file_replace(path, text, strlen(text), 0644, &e))
		fail_msg("%s", e.text);
}

#define L "/usr/lib/x86_64-linux-gnu/"
#define HEAD                                                                                       \
	"Archive member included to satisfy reference by file (symbol)\n\n" L                      \
	"libdropped.a(x.o)\n                build/obj/main.o (x)\n\n"                              \
	"Discarded input sections\n\n .text.gone     0x0000000000000000       0x10 " L             \
	"libdropped.a(x.o)\n\nLinker script and memory map\n\nLOAD " L "libunused.a\n"
#define BODY                                                                                       \
	".text           0x0000000000001000     0x1000\n *(.text .text.*)\n"                       \
	" .text          0x0000000000001000       0x20 build/obj/lib/ours.a(a.o)\n"                \
	" .text.main     0x0000000000001020       0x20 /usr/lib/gcc/x86_64-linux-gnu/14/"          \
	"../../../x86_64-linux-gnu/libc.a(b.o)\n                0x0000000000001020               " \
	" main\n"                                                                                  \
	" .text.a_name_that_is_too_long_for_one_line\n"                                            \
	"                0x0000000000001040       0x20 " L "libnats_static.a(c.o)\n"               \
	" *fill*         0x0000000000001060       0x10 \n"                                         \
	" .text          0x0000000000001070        0x0 " L "libempty.a(d.o)\n"                     \
	".debug_info     0x0000000000000000       0x10\n"                                          \
	" .debug_info    0x0000000000000000       0x10 " L "libdebug.a(e.o)\n"                     \
	".comment        0x0000000000000000       0x10\n"                                          \
	" .comment       0x0000000000000000       0x10 " L "libcomment.a(e.o)\n"                   \
	".bss            0x0000000000003000       0x10\n"                                          \
	" .bss           0x0000000000003000       0x10 " L "libz.a(f.o)\n"

static void make_root(void)
{
	put("var/lib/dpkg/info/libc6-dev:amd64.list", "/.\n/usr\n" L "libc.a\n");
	put("var/lib/dpkg/info/zlib1g-dev.list", L "libz.a.old\n" L "libz.a\n");
	put("var/lib/dpkg/status", "Package: libc6\nVersion: 1\n\nPackage: libc6-dev\n"
				   "Status: install ok installed\nVersion: 2.41-12+deb13u4\n\n"
				   "Package: zlib1g-dev\nVersion: 1:1.3\n");
	put("var/lib/dpkg/status.d/libnats-dev", "Package: libnats-dev\nVersion: 3.14.0-2\n");
	put("var/lib/dpkg/status.d/libnats-dev.md5sums",
	    "d41d8cd98f00b204e9800998ecf8427e  usr/lib/x86_64-linux-gnu/libnats_static.a\n");
}

static void reads_a_map(void **state)
{
	static const struct linked_row want[] = {
		{"libc6-dev", "2.41-12+deb13u4", L "libc.a"},
		{"libnats-dev", "3.14.0-2", L "libnats_static.a"},
		{"zlib1g-dev", "1:1.3", L "libz.a"},
	};
	CLEAN(linked) struct linked l = {0};
	struct err e = {0};

	(void)state;
	make_root();
	if (linked_from_map(&l, HEAD BODY, strlen(HEAD BODY), dir, &e))
		fail_msg("%s", e.text);
	assert_int_equal(l.n, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_string_equal(l.v[i].package, want[i].package);
		assert_string_equal(l.v[i].version, want[i].version);
		assert_string_equal(l.v[i].archive, want[i].archive);
	}
}

static void refuses_maps(void **state)
{
	static const struct {
		const char *map, *what;
	} rows[] = {
		{"", "no map"},
		{"Archive member included\n", "no map"},
		{HEAD ".text 0x1 0x1\n .text 0x1 0x1 /usr/lib/libx.a(a.o)\n",
		 "/usr/lib/libx.a is linked in, and of no package"},
	};

	(void)state;
	make_root();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEAN(linked) struct linked l = {0};
		struct err e = {0};

		assert_int_equal(linked_from_map(&l, rows[i].map, strlen(rows[i].map), dir, &e),
				 -1);
		if (!strstr(e.text, rows[i].what))
			fail_msg("'%s' lacks '%s'", e.text, rows[i].what);
	}
}

static void reads_and_refuses_files(void **state)
{
	static const struct {
		const char *text;
		int rows; /* -1: refused, on line 2 */
	} rows[] = {
		{"", 0},
		{"a 1 /x.a\n", 1},
		{"b 1 /x.a\na 1 /x.a\na 1 /x.a\n", 2},
		{"a 1 /x.a\na 1\n", -1},
		{"a 1 /x.a\na 1 x.a\n", -1},
		{"a 1 /x.a\na 1 /x.a y\n", -1},
		{"a 1 /x.a\n\n", -1},
	};
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/p.linked", dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEAN(linked) struct linked l = {0};
		struct err e = {0};
		int rc;

		put("p.linked", rows[i].text);
		rc = linked_read(&l, path, &e);
		assert_int_equal(rc, rows[i].rows < 0 ? -1 : 0);
		if (rows[i].rows >= 0)
			assert_int_equal(l.n, rows[i].rows);
		else
			assert_non_null(strstr(e.text, "p.linked:2:"));
		if (l.n == 2)
			assert_string_equal(l.v[0].package, "a");
	}
}

static void wants_a_list_of_each_program(void **state)
{
	struct image_file f[] = {{.path = "p", .copy = "build/bin/p"},
				 {.path = "q", .copy = "rootfs/q"},
				 {.path = "s", .copy = "build/bin/s"}};
	struct spec s = {.image = {.files = f, .nfiles = 3}};
	CLEAN(linked) struct linked l = {0};
	CLEAN(linked) struct linked none = {0};
	struct err e = {0};

	(void)state;
	put("bin/p", "\177ELF…");
	put("bin/p.linked", "a 1 /x.a\n");
	put("bin/s", "#!/bin/sh\n");
	if (linked_of(&l, &s, dir, &e))
		fail_msg("%s", e.text);
	assert_int_equal(l.n, 1);
	put("bin/s", "\177ELF…");
	assert_int_equal(linked_of(&none, &s, dir, &e), -1);
	assert_non_null(strstr(e.text, "bin/s.linked"));
}

static void version_must_be_the_locked_one(void **state)
{
	struct lock_pkg p[] = {{.name = "a", .version = "1"}, {.name = "a", .version = "2"}};
	struct lock l = {.pkg = p, .npkg = 2};
	struct linked_row r = {"a", "2", "/x.a"};
	struct err e = {0};

	(void)state;
	assert_ptr_equal(linked_locked(&l, &r, &e), &p[1]);
	r.version[0] = '3';
	assert_null(linked_locked(&l, &r, &e));
	assert_int_equal(e.code, ERR_LOCK);
	assert_non_null(strstr(e.text, "a 3"));
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const files[] = {"var/lib/dpkg/info/libc6-dev:amd64.list",
					    "var/lib/dpkg/info/zlib1g-dev.list",
					    "var/lib/dpkg/info",
					    "var/lib/dpkg/status",
					    "var/lib/dpkg/status.d/libnats-dev",
					    "var/lib/dpkg/status.d/libnats-dev.md5sums",
					    "var/lib/dpkg/status.d",
					    "var/lib/dpkg",
					    "var/lib",
					    "var",
					    "p.linked",
					    "bin/p",
					    "bin/p.linked",
					    "bin/s",
					    "bin",
					    ""};
	char path[256];

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		if (remove(path) < 0)
			return -1;
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_map),
		cmocka_unit_test(refuses_maps),
		cmocka_unit_test(reads_and_refuses_files),
		cmocka_unit_test(wants_a_list_of_each_program),
		cmocka_unit_test(version_must_be_the_locked_one),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
