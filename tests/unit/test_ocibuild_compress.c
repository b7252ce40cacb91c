/* The compressor: the same bytes for any number of threads, for any cut of the writes and
 * at every edge of a block, and other people's decompressors give back what went in. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "ocibuild/oci/compress.h"

static int collect(const void *p, size_t n, void *arg, struct err *e)
{
	(void)e;
	buf_put(arg, p, n);
	return 0;
}

static int refuse(const void *p, size_t n, void *arg, struct err *e)
{
	unsigned *left = arg;

	(void)p;
	if (n && (*left)-- == 0)
		return err_set(e, ERR_IO, "full");
	return 0;
}

/* This program, over and over: what layers are full of. */
static uint8_t *make_input(size_t n)
{
	uint8_t *p = malloc(n + 1);
	CLEAN(fd) int fd = open("/proc/self/exe", O_RDONLY);
	ssize_t k;

	assert_non_null(p);
	for (size_t at = 0; at < n; at += (size_t)k) {
		k = read(fd, p + at, n - at);
		if (k == 0)
			k = lseek(fd, 0, SEEK_SET);
		assert_true(k >= 0);
	}
	return p;
}

static void squeeze(const struct compress_form *f, unsigned threads, const uint8_t *p, size_t n,
		    size_t cut, struct buf *out)
{
	struct err e = {0};
	struct compress *c = compress_start(f, threads, collect, out, &e);

	assert_non_null(c);
	for (size_t at = 0; at < n; at += cut)
		assert_int_equal(compress_write(c, p + at, n - at < cut ? n - at : cut, &e), 0);
	assert_int_equal(compress_finish(c, &e), 0);
	compress_free(c);
	assert_false(out->bad);
}

/* Through gzip or zstd of the rootfs. */
static void check_with(const char *tool, const struct buf *b, const uint8_t *p, size_t n)
{
	char path[] = "/tmp/compress-XXXXXX";
	CLEAN(fd) int fd = mkstemp(path);
	int pipes[2], status;
	size_t got = 0;
	uint8_t chunk[65536];
	ssize_t k;

	assert_true(fd >= 0 && write(fd, b->p, b->len) == (ssize_t)b->len && !pipe(pipes));
	pid_t pid = fork();

	if (pid == 0) {
		int in = open(path, O_RDONLY);

		dup2(in, 0);
		dup2(pipes[1], 1);
		close(pipes[0]);
		execlp(tool, tool, "-dc", (char *)NULL);
		_exit(127);
	}
	close(pipes[1]);
	while ((k = read(pipes[0], chunk, sizeof(chunk))) > 0) {
		assert_true(got + (size_t)k <= n);
		assert_memory_equal(chunk, p + got, (size_t)k);
		got += (size_t)k;
	}
	close(pipes[0]);
	unlink(path);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(got, n);
}

static void same_for_any_threads(void **state)
{
	(void)state;
	for (const struct compress_form *f = compress_forms; f->name; f++) {
		const size_t sizes[] = {
			0, 1, f->block - 1, f->block, f->block + 1, 2 * f->block + 5};
		CLEAN(free) uint8_t *p = make_input(2 * f->block + 5);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			CLEAN(buf) struct buf one = {0};
			CLEAN(buf) struct buf more = {0};

			buf_init(&one, 64u << 20);
			buf_init(&more, 64u << 20);
			squeeze(f, 1, p, sizes[i], sizes[i] + 1, &one);
			squeeze(f, i % 2 ? 3 : 16, p, sizes[i], 100003, &more);
			assert_int_equal(one.len, more.len);
			assert_memory_equal(one.p, more.p, one.len);
			check_with(f->zstd ? "zstd" : "gzip", &one, p, sizes[i]);
			if (sizes[i] > 1)
				assert_true(one.len < sizes[i] * 9 / 10);
		}
	}
}

static void stops_at_errors(void **state)
{
	(void)state;
	for (const struct compress_form *f = compress_forms; f->name; f++)
		for (unsigned threads = 1; threads <= 4; threads += 3)
			for (unsigned fail = 0; fail < 4; fail++) {
				size_t n = 12 * f->block;
				CLEAN(free) uint8_t *p = make_input(n);
				unsigned left = fail;
				struct err e = {0};
				struct compress *c = compress_start(f, threads, refuse, &left, &e);
				int rc = compress_write(c, p, n, &e);

				if (rc == 0)
					rc = compress_finish(c, &e);
				assert_int_equal(rc, -1);
				assert_int_equal(e.code, ERR_IO);
				compress_free(c);
			}
	compress_free(NULL);
}

static void has_forms(void **state)
{
	char library[32];

	(void)state;
	assert_ptr_equal(compress_find(NULL), compress_forms);
	assert_string_equal(compress_find(NULL)->name, "gzip");
	assert_int_equal(compress_find("gzip")->level, 6);
	assert_string_equal(compress_find("gzip")->tail, "");
	assert_true(compress_find("zstd")->zstd);
	assert_null(compress_find("lzma"));
	for (const struct compress_form *f = compress_forms; f->name; f++) {
		assert_true(strlen(compress_library(f, library)) > 5);
		/* only what is released has the release's place */
		assert_int_equal(!*f->tail, f == compress_forms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_for_any_threads),
		cmocka_unit_test(stops_at_errors),
		cmocka_unit_test(has_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
