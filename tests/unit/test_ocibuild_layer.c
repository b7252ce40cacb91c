/* Layers: what may stand on what, that the order of additions does not matter, and
 * that the written form is a tar in gzip form with these digests. Also the ELF reader,
 * against damaged programs. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ocibuild/oci/elf.h"
#include "ocibuild/oci/layer.h"

static int add(struct layer *l, const char *path, mode_t mode, const char *text, const char *owner,
	       struct err *e)
{
	struct layer_entry t = {.path = (char *)(uintptr_t)path, .mode = mode};

	if (S_ISLNK(mode)) {
		t.link = (char *)(uintptr_t)text;
	} else if (text) {
		t.data = (uint8_t *)(uintptr_t)text;
		t.size = strlen(text);
	}
	snprintf(t.owner, sizeof(t.owner), "%s", owner);
	return layer_add(l, &t, e);
}

#define FILE_ (S_IFREG | 0644)
#define DIR_ (S_IFDIR | 0755)
#define LINK_ (S_IFLNK | 0777)

static void makes_parents(void **state)
{
	CLEAN(layer) struct layer base = {0};
	CLEAN(layer) struct layer l = {.below = &base};
	struct err e = {0};

	(void)state;
	assert_int_equal(add(&base, "home/u", S_IFDIR | 0700, NULL, "", &e), 0);
	base.v[1].uid = 65532;
	assert_int_equal(base.n, 2);
	assert_true(base.v[0].implied);
	assert_int_equal(base.v[0].mode, DIR_);
	/* the layer above repeats what the base says of the directories */
	assert_int_equal(add(&l, "home/u/a/b", FILE_, "x", "", &e), 0);
	assert_int_equal(l.n, 4);
	assert_string_equal(l.v[1].path, "home/u");
	assert_int_equal(l.v[1].mode, S_IFDIR | 0700);
	assert_int_equal(l.v[1].uid, 65532);
	assert_ptr_equal(layer_find(&l, "home/u/a/b"), &l.v[3]);
	assert_null(layer_own(&base, "home/u/a"));
	/* a package's directory does not undo what was declared; a declaration does */
	assert_int_equal(add(&l, "home/u", DIR_, NULL, "pkg", &e), 0);
	assert_int_equal(add(&base, "home/u", DIR_, NULL, "pkg", &e), 0);
	assert_int_equal(base.v[1].mode, S_IFDIR | 0700);
	assert_int_equal(add(&base, "home", S_IFDIR | 0711, NULL, "", &e), 0);
	assert_int_equal(base.v[0].mode, S_IFDIR | 0711);
}

static void refuses_conflicts(void **state)
{
	static const struct {
		const char *path;
		mode_t mode;
		const char *text, *owner, *expect;
	} bad[] = {
		{"f", FILE_, "y", "other", "'f' is of pkg and of other"},
		{"f", DIR_, NULL, "", "'f' is of pkg and of the definition"},
		{"f/x", FILE_, "y", "", "below 'f', which is no directory"},
		{"l/x", FILE_, "y", "", "below 'l', which is no directory"},
		{"d", FILE_, "y", "", "'d' is of the definition and of the definition"},
		{"low", FILE_, "y", "other", "in the base already, of pkg"},
		{"low", DIR_, NULL, "", "a directory here and not there"},
		{"low/x", FILE_, NULL, "", "below 'low', which is no directory"},
		{"lowdir", FILE_, "y", "", "a directory here and not there"},
	};
	CLEAN(layer) struct layer base = {0};
	CLEAN(layer) struct layer l = {.below = &base};
	struct err e = {0};

	(void)state;
	assert_int_equal(add(&base, "low", FILE_, "x", "pkg", &e), 0);
	assert_int_equal(add(&base, "lowdir", DIR_, NULL, "pkg", &e), 0);
	assert_int_equal(add(&l, "f", FILE_, "x", "pkg", &e), 0);
	assert_int_equal(add(&l, "l", LINK_, "f", "", &e), 0);
	assert_int_equal(add(&l, "d", DIR_, NULL, "", &e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		e = (struct err){0};
		assert_int_equal(add(&l, bad[i].path, bad[i].mode, bad[i].text, bad[i].owner, &e),
				 -1);
		assert_int_equal(e.code, ERR_PACKAGE);
		if (!strstr(e.text, bad[i].expect))
			fail_msg("'%s' lacks '%s'", e.text, bad[i].expect);
	}
	/* only the project may replace a file of the base */
	assert_int_equal(add(&l, "low", FILE_, "mine", "", &e), 0);
	assert_int_equal(layer_find(&l, "low")->size, 4);
}

static struct layer_blob written(struct layer *l, struct buf *out)
{
	const struct layer_how how = {.date = 1000000000};
	CLEAN(fd) int fd = memfd_create("layer", 0);
	struct layer_blob blob;
	struct err e = {0};

	assert_int_equal(layer_write(l, &how, fd, &blob, &e), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(file_read_fd(fd, "layer", out, &e), 0);
	return blob;
}

static void writes_the_same(void **state)
{
	static const char *const paths[] = {"a/b/c", "a-b", "a/b", "z", "a/a", "m/n/o/p"};
	CLEAN(layer) struct layer l = {0};
	CLEAN(layer) struct layer back = {0};
	CLEAN(buf) struct buf x = {0};
	CLEAN(buf) struct buf y = {0};
	const struct layer_how how = {.date = 0};
	struct layer_blob bx, by;
	uint8_t md[32];
	struct err e = {0};

	(void)state;
	buf_init(&x, 1u << 20);
	buf_init(&y, 1u << 20);
	for (size_t i = 0; i < 6; i++) {
		mode_t m = i == 2 ? DIR_ : FILE_;

		assert_int_equal(add(&l, paths[i], m, i == 2 ? NULL : paths[i], "", &e), 0);
		m = i == 3 ? DIR_ : FILE_;
		assert_int_equal(add(&back, paths[5 - i], m, i == 3 ? NULL : paths[5 - i], "", &e),
				 0);
	}
	bx = written(&l, &x);
	by = written(&back, &y);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.p, y.p, x.len);
	assert_memory_equal(&bx, &by, sizeof(bx));
	assert_int_equal(bx.size, x.len);
	sha256(md, x.p, x.len);
	assert_memory_equal(md, bx.digest, 32);
	/* contents are digested as they go by */
	assert_true(layer_own(&l, "a-b")->hashed && !layer_own(&l, "a/b")->hashed);
	sha256(md, "a-b", 3);
	assert_memory_equal(md, layer_own(&l, "a-b")->sha256, 32);
	/* gzip: deflate, no flags, no time */
	assert_memory_equal(x.p, "\x1f\x8b\x08\0\0\0\0\0", 8);
	assert_int_equal(bx.tar_size % 512, 0);
	/* a write that fails is an error, not a short blob */
	CLEAN(fd) int full = open("/dev/full", O_WRONLY);

	assert_int_equal(layer_write(&l, &how, full, &bx, &e), -1);
	assert_int_equal(e.code, ERR_IO);
}

static void reads_programs(void **state)
{
	CLEAN(buf) struct buf b = {0};
	struct elf_needs needs;
	struct err e = {0};
	bool libc = false;

	(void)state;
	buf_init(&b, 64u << 20);
	assert_int_equal(file_read("/bin/true", &b, &e), 0);
	assert_true(elf_is(b.p, b.len));
	assert_int_equal(elf_read(b.p, b.len, &needs, &e), 0);
	assert_string_equal(needs.interp, "/lib64/ld-linux-x86-64.so.2");
	for (size_t i = 0; i < needs.n; i++)
		libc = libc || strcmp(needs.needed[i], "libc.so.6") == 0;
	assert_true(libc);
	/* cut off anywhere, and any byte of its start changed: no read outside (ASan) */
	for (size_t n = 0; n < b.len; n += n < 4096 ? 1 : 509) {
		CLEAN(free) uint8_t *cut = malloc(n + 1);

		memcpy(cut, b.p, n);
		if (elf_read(cut, n, &needs, &e))
			assert_int_equal(e.code, ERR_PACKAGE);
	}
	for (size_t i = 0; i < 2048 && i < b.len; i++)
		for (unsigned bit = 1; bit < 256; bit <<= 1) {
			b.p[i] ^= (uint8_t)bit;
			if (elf_read(b.p, b.len, &needs, &e))
				assert_int_equal(e.code, ERR_PACKAGE);
			b.p[i] ^= (uint8_t)bit;
		}
	assert_false(elf_is((const uint8_t *)"#!/bin/sh", 9));
	assert_int_equal(elf_read((const uint8_t *)"\177ELF", 4, &needs, &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_parents),
		cmocka_unit_test(refuses_conflicts),
		cmocka_unit_test(writes_the_same),
		cmocka_unit_test(reads_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
