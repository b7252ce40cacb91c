/* Files and secrets: limits, replacement in one step, permissions; and log lines that
 * a hostile value cannot forge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/secret_file.h"
#include "crypto/crypto.h"

static char dir[] = "/tmp/test_file-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static unsigned entries(void)
{
	CLEAN(dir) DIR *d = opendir(dir);
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	return n - 2;
}

static void replace(void **state)
{
	CLEAN(buf) struct buf b = {0};
	struct err e = {0};
	struct stat st;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(file_replace(in_dir("f"), "one", 3, 0640, &e), 0);
	assert_int_equal(file_replace(in_dir("f"), "two!", 4, 0600, &e), 0);
	assert_int_equal(file_read(in_dir("f"), &b, &e), 0);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.p, "two!", 4);
	assert_int_equal(stat(in_dir("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(entries(), 1); /* no temporary file left */
	assert_int_equal(file_replace(in_dir("no/f"), "x", 1, 0600, &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(mkdir(in_dir("d"), 0700), 0);
	assert_int_equal(file_replace(in_dir("d"), "x", 1, 0600, &e), -1);
	assert_int_equal(rmdir(in_dir("d")), 0);
	assert_int_equal(entries(), 1); /* nor after a failure */
	buf_free(&b);
	buf_init(&b, 3);
	assert_int_equal(file_read(in_dir("f"), &b, &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
	unlink(in_dir("f"));
	assert_int_equal(file_read(in_dir("f"), &b, &e), -1);
	assert_int_equal(e.code, ERR_IO);
}

/* --output: what is no regular file is written to and stays. */
static void output(void **state)
{
	CLEAN(buf) struct buf b = {0};
	char target[128], link[128], got[8] = "";
	struct err e = {0};
	struct stat st;

	(void)state;
	buf_init(&b, 100);
	(void)snprintf(target, sizeof(target), "%s", in_dir("target"));
	(void)snprintf(link, sizeof(link), "%s", in_dir("link"));
	/* a link to nothing, then to a file */
	assert_int_equal(symlink("target", link), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(file_output(link, i ? "two" : "one!", i ? 3 : 4, 0600, &e), 0);
		assert_int_equal(lstat(link, &st), 0);
		assert_true(S_ISLNK(st.st_mode));
		assert_int_equal(lstat(target, &st), 0);
		assert_true(S_ISREG(st.st_mode));
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	assert_int_equal(file_read(target, &b, &e), 0);
	assert_int_equal(b.len, 3);
	/* a device behind a link */
	assert_int_equal(unlink(link), 0);
	assert_int_equal(symlink("/dev/full", link), 0);
	assert_int_equal(file_output(link, "x", 1, 0600, &e), -1);
	assert_non_null(strstr(e.text, "No space"));
	assert_int_equal(stat(link, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_int_equal(unlink(link), 0);
	/* a pipe */
	assert_int_equal(mkfifo(link, 0600), 0);
	CLEAN(fd) int fd = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	assert_int_equal(file_output(link, "pipe", 4, 0600, &e), 0);
	assert_int_equal(read(fd, got, sizeof(got)), 4);
	assert_string_equal(got, "pipe");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(unlink(link), 0);
	/* nothing is there yet; a directory is */
	assert_int_equal(file_output(link, "new", 3, 0640, &e), 0);
	assert_int_equal(stat(link, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(file_output(dir, "x", 1, 0600, &e), -1);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(unlink(target), 0);
}

static void dirs(void **state)
{
	struct err e = {0};
	struct stat st;

	(void)state;
	assert_int_equal(file_mkdirs(in_dir("a/b/c"), 0700, &e), 0);
	assert_int_equal(file_mkdirs(in_dir("a/b/c"), 0700, &e), 0);
	assert_int_equal(stat(in_dir("a/b/c"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(rmdir(in_dir("a/b/c")) | rmdir(in_dir("a/b")) | rmdir(in_dir("a")), 0);
}

static void secrets(void **state)
{
	struct secret s = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(file_replace(in_dir("s"), "pass\r\n", 6, 0600, &e), 0);
	assert_int_equal(secret_read_file(&s, in_dir("s"), 10, &e), 0);
	assert_int_equal(s.len, 4);
	assert_memory_equal(s.p, "pass", 4);
	assert_int_equal(secret_read_file(&s, in_dir("s"), 5, &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
	assert_int_equal(chmod(in_dir("s"), 0640), 0);
	assert_int_equal(secret_read_file(&s, in_dir("s"), 10, &e), -1);
	assert_int_equal(e.code, ERR_BAD_INPUT);
	secret_clear(&s);
	assert_null(s.p);
	assert_true(secret_equal("ab", "ab", 2));
	assert_false(secret_equal("ab", "ac", 2));
	unlink(in_dir("s"));
}

/* Who may read and change a file with a secret (secret_file.h). */
static void secret_files(void **state)
{
	static const struct {
		mode_t mode;
		bool fine;
	} modes[] = {{0600, true},  {0400, true},  {0700, true},  {0640, false}, {0604, false},
		     {0620, false}, {0602, false}, {0622, false}, {0444, false}, {0660, false}};
	struct err e = {0};
	int fd = -1;

	(void)state;
	assert_int_equal(file_replace(in_dir("s"), "pass", 4, 0600, &e), 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(in_dir("s"), modes[i].mode), 0);
		assert_int_equal(secret_file_check(in_dir("s"), &e), modes[i].fine ? 0 : -1);
		if (!modes[i].fine)
			assert_int_equal(e.code, ERR_BAD_INPUT);
	}
	assert_int_equal(chmod(in_dir("s"), 0600), 0);
	assert_int_equal(symlink("s", in_dir("link")), 0);
	assert_int_equal(secret_file_check(in_dir("link"), &e), 0);
	assert_int_equal(secret_file_open(in_dir("s"), &fd, &e), 0);
	close(fd);
	if (geteuid() == 0 && chown(in_dir("s"), 65532, (gid_t)-1) == 0) {
		assert_int_equal(secret_file_check(in_dir("s"), &e), -1);
		assert_non_null(strstr(e.text, "belongs to uid 65532"));
	}
	unlink(in_dir("link"));
	unlink(in_dir("s"));
}

/* None of them is waited for. */
static void secret_no_files(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(secret_file_check(in_dir("s"), &e), -1);
	assert_int_equal(e.code, ERR_IO);
	assert_int_equal(mkfifo(in_dir("s"), 0600), 0);
	assert_int_equal(secret_file_check(in_dir("s"), &e), -1);
	assert_int_equal(e.code, ERR_BAD_INPUT);
	unlink(in_dir("s"));
	assert_int_equal(secret_file_check("/", &e), -1);
	assert_int_equal(e.code, ERR_BAD_INPUT);
	assert_int_equal(secret_file_check("/dev/null", &e), -1);
	assert_int_equal(e.code, ERR_BAD_INPUT);
	assert_int_equal(file_replace(in_dir("s"), "", 0, 0600, &e), 0);
	assert_int_equal(secret_file_check(in_dir("s"), &e), -1);
	assert_non_null(strstr(e.text, "is empty"));
	unlink(in_dir("s"));
}

static void log_lines(void **state)
{
	FILE *f = tmpfile();
	char text[1024];
	int se = dup(2);

	(void)state;
	assert_non_null(f);
	dup2(fileno(f), 2);
	log_init("t", false);
	log_debug("hidden");
	log_warn("odd name", "name", "x\nlevel=error msg=\"forged\"\033[2J", "n", LOG_NUM(-5));
	dup2(se, 2);
	close(se);
	ssize_t n = pread(fileno(f), text, sizeof(text) - 1, 0);

	assert_true(n > 0);
	text[n] = '\0';
	fclose(f);
	assert_ptr_equal(strchr(text, '\n'), text + n - 1); /* one line */
	assert_null(strchr(text, '\033'));
	assert_null(strstr(text, "hidden"));
	assert_non_null(strstr(text, "prog=t"));
	assert_non_null(strstr(text, "n=-5"));
	assert_null(strstr(text, " msg=\"forged\"")); /* its quotes are escaped */
}

static int setup(void **state)
{
	(void)state;
	return crypto_init() || !mkdtemp(dir) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replace),	cmocka_unit_test(output),
		cmocka_unit_test(dirs),		cmocka_unit_test(secrets),
		cmocka_unit_test(secret_files), cmocka_unit_test(secret_no_files),
		cmocka_unit_test(log_lines),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
