/* The cache: a file has its name only after its content was checked; nothing stays
 * behind after a mismatch or an abort. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <utime.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ocibuild/cache.h"

static char dir[] = "/tmp/cache-XXXXXX";
static struct cache cache;
static const char text[] = "the content of a package";
static uint8_t digest[32];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	setenv("SIGNBOX_CACHE", dir, 1);
	sha256(digest, text, strlen(text));
	return cache_open(&cache, NULL);
}

static unsigned entries(const char *sub)
{
	char path[4096];
	unsigned n = 0;
	struct dirent *ent;

	snprintf(path, sizeof(path), "%s/%s", dir, sub);
	CLEAN(dir) DIR *d = opendir(path);

	while (d && (ent = readdir(d)) != NULL)
		n += ent->d_name[0] != '.';
	return n;
}

static void refuses_mismatch(void **state)
{
	struct cache_put p;
	struct err e = {0};
	uint8_t wrong[32] = {1};

	(void)state;
	assert_int_equal(cache_put_start(&cache, &p, strlen(text), &e), 0);
	assert_int_equal(cache_put_write(&p, text, strlen(text), &e), 0);
	assert_int_equal(cache_put_commit(&cache, &p, "pkg 1.0", wrong, &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	assert_non_null(strstr(e.text, "pkg 1.0"));
	assert_false(cache_has(&cache, wrong, strlen(text)));
	/* short */
	assert_int_equal(cache_put_start(&cache, &p, strlen(text), &e), 0);
	assert_int_equal(cache_put_write(&p, text, 3, &e), 0);
	assert_int_equal(cache_put_commit(&cache, &p, "pkg 1.0", digest, &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	/* long: refused before it fills the disk */
	assert_int_equal(cache_put_start(&cache, &p, 3, &e), 0);
	assert_int_equal(cache_put_write(&p, text, 4, &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	cache_put_abort(&p);
	assert_int_equal(entries("tmp"), 0);
	assert_int_equal(entries("sha256"), 0);
}

static void keeps_checked(void **state)
{
	struct cache_put p;
	struct err e = {0};
	char path[4096];
	uint8_t again[32];

	(void)state;
	assert_int_equal(cache_put_start(&cache, &p, strlen(text), &e), 0);
	assert_int_equal(cache_put_write(&p, text, 5, &e), 0);
	assert_false(cache_has(&cache, digest, strlen(text)));
	assert_int_equal(cache_put_write(&p, text + 5, strlen(text) - 5, &e), 0);
	assert_int_equal(cache_put_commit(&cache, &p, "pkg 1.0", digest, &e), 0);
	assert_true(cache_has(&cache, digest, strlen(text)));
	assert_false(cache_has(&cache, digest, strlen(text) + 1));
	assert_int_equal(entries("tmp"), 0);
	cache_path(&cache, digest, path);
	CLEAN(fd) int fd = open(path, O_RDONLY);

	assert_int_equal(cache_digest_fd(fd, path, again, &e), 0);
	assert_memory_equal(again, digest, 32);
}

static void imports(void **state)
{
	struct err e = {0};
	char path[4096];
	uint8_t wrong[32] = {2};

	(void)state;
	snprintf(path, sizeof(path), "%s/pkg.deb", dir);
	assert_int_equal(cache_import(&cache, path, "pkg", digest, 1, &e), 1);
	assert_int_equal(file_replace(path, text, strlen(text), 0644, &e), 0);
	assert_int_equal(cache_import(&cache, path, "pkg", digest, strlen(text), &e), 0);
	assert_int_equal(cache_import(&cache, path, "pkg", wrong, strlen(text), &e), -1);
	assert_int_equal(e.code, ERR_DIGEST);
	assert_false(cache_has(&cache, wrong, strlen(text)));
	assert_int_equal(entries("tmp"), 0);
}

static void forgets_old_halves(void **state)
{
	struct utimbuf old = {1, 1};
	struct err e = {0};
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s/tmp/get-AbCdEf", dir);
	assert_int_equal(file_replace(path, "half", 4, 0600, &e), 0);
	assert_int_equal(cache_open(&cache, &e), 0);
	assert_int_equal(entries("tmp"), 1); /* may be another run's */
	assert_int_equal(utime(path, &old), 0);
	assert_int_equal(cache_open(&cache, &e), 0);
	assert_int_equal(entries("tmp"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_mismatch),
		cmocka_unit_test(keeps_checked),
		cmocka_unit_test(imports),
		cmocka_unit_test(forgets_old_halves),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
