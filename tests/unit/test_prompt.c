/* Prompts and progress on a pseudo-terminal: no echo, the terminal as it was on every
 * way out, nothing shown for what is quick or not on a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "ui/progress.h"
#include "ui/prompt.h"

static char screen[8192];
static size_t shown;

/* What the child does; its exit status is the result. */
enum act { ASK_ONCE, ASK_TWICE, CONFIRM, WORK_LONG, WORK_SHORT };

static int child(enum act act)
{
	struct secret s = {0};
	struct progress p;
	struct err e = {0};

	switch (act) {
	case ASK_ONCE:
		if (prompt_passphrase(&s, "Pass: ", NULL, 8, "use --file", &e))
			return e.code;
		return s.len == 6 && memcmp(s.p, "secret", 6) == 0 ? 100 : 101;
	case ASK_TWICE:
		if (prompt_passphrase(&s, "Pass: ", "Again: ", 8, "use --file", &e))
			return e.code;
		return 100;
	case CONFIRM:
		return prompt_confirm("Sure? ", "yes", "use --force", &e) ? (int)e.code : 100;
	case WORK_LONG:
	case WORK_SHORT:
		progress_start(&p, "working", 20, PROGRESS_COUNT);
		for (int i = 0; i < 20; i++) {
			struct timespec t = {0, act == WORK_LONG ? 80000000 : 1000000};

			nanosleep(&t, NULL);
			progress_add(&p, 1);
		}
		progress_end(&p);
		return 100;
	}
	return 1;
}

static pid_t start(enum act act, int *fd)
{
	struct winsize ws = {.ws_row = 24, .ws_col = 80};
	pid_t pid = forkpty(fd, NULL, NULL, &ws);

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child(act));
	shown = 0;
	screen[0] = '\0';
	return pid;
}

/* Collects output until the text is there (NULL: until the end). */
static void expect(int fd, const char *text)
{
	while (!text || !strstr(screen, text)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, 5000) <= 0)
			fail_msg("no '%s' in '%s'", text ? text : "end", screen);
		ssize_t n = read(fd, screen + shown, sizeof(screen) - 1 - shown);

		if (n <= 0)
			break;
		shown += (size_t)n;
		screen[shown] = '\0';
	}
	if (text)
		assert_non_null(strstr(screen, text));
}

static void type(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void is_echoing(int fd, bool want)
{
	struct termios t;

	assert_int_equal(tcgetattr(fd, &t), 0);
	assert_int_equal((t.c_lflag & ECHO) != 0, want);
}

static int finish(pid_t pid, int fd)
{
	int status;

	expect(fd, NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	is_echoing(fd, true);
	close(fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void once(void **state)
{
	int fd;
	pid_t pid = start(ASK_ONCE, &fd);

	(void)state;
	expect(fd, "Pass: ");
	is_echoing(fd, false);
	type(fd, "secret\n");
	assert_int_equal(finish(pid, fd), 100);
	assert_null(strstr(screen, "secret"));
}

static void refusals(void **state)
{
	static const char *const answers[] = {"\n", "far-too-long\n", "\x04"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		int fd;
		pid_t pid = start(ASK_ONCE, &fd);

		expect(fd, "Pass: ");
		type(fd, answers[i]);
		assert_int_equal(finish(pid, fd), ERR_BAD_INPUT);
	}
}

static void twice(void **state)
{
	int fd;
	pid_t pid = start(ASK_TWICE, &fd);

	(void)state;
	expect(fd, "Pass: ");
	type(fd, "one\n");
	expect(fd, "Again: ");
	type(fd, "one\n");
	assert_int_equal(finish(pid, fd), 100);
	pid = start(ASK_TWICE, &fd);
	expect(fd, "Pass: ");
	type(fd, "one\n");
	expect(fd, "Again: ");
	type(fd, "two\n");
	assert_int_equal(finish(pid, fd), ERR_BAD_INPUT);
}

/* ^C and kill end the program, with the echo back on. */
static void interrupted(void **state)
{
	int fd;
	pid_t pid = start(ASK_ONCE, &fd);

	(void)state;
	expect(fd, "Pass: ");
	type(fd, "sec\x03");
	assert_int_equal(finish(pid, fd), -SIGINT);
	pid = start(ASK_ONCE, &fd);
	expect(fd, "Pass: ");
	is_echoing(fd, false);
	kill(pid, SIGTERM);
	assert_int_equal(finish(pid, fd), -SIGTERM);
}

/* ^Z: the question stands again, still without echo. */
static void stopped(void **state)
{
	int fd;
	pid_t pid = start(ASK_ONCE, &fd);

	(void)state;
	expect(fd, "Pass: ");
	/* The kernel discards the stop itself in an orphaned process group, as this one
	 * is; what happens before and after it is the same. */
	kill(pid, SIGTSTP);
	expect(fd, "Pass: \r\nPass: ");
	is_echoing(fd, false);
	type(fd, "secret\n");
	assert_int_equal(finish(pid, fd), 100);
}

static void confirm(void **state)
{
	int fd;
	pid_t pid = start(CONFIRM, &fd);

	(void)state;
	expect(fd, "Sure? ");
	is_echoing(fd, true);
	type(fd, "yes\n");
	assert_int_equal(finish(pid, fd), 100);
	pid = start(CONFIRM, &fd);
	expect(fd, "Sure? ");
	type(fd, "y\n");
	assert_int_equal(finish(pid, fd), ERR_USAGE);
}

static void no_terminal(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		setsid(); /* no controlling terminal any more */
		_exit(child(ASK_ONCE));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ERR_USAGE);
}

static void progress(void **state)
{
	int fd;
	pid_t pid = start(WORK_LONG, &fd);

	(void)state;
	expect(fd, "working [");
	assert_int_equal(finish(pid, fd), 100);
	assert_non_null(strstr(screen, " of 20, "));
	assert_non_null(strstr(screen, "\r\033[K")); /* gone at the end */
	pid = start(WORK_SHORT, &fd);
	assert_int_equal(finish(pid, fd), 100);
	assert_string_equal(screen, "");
}

static int setup(void **state)
{
	(void)state;
	unsetenv("COLUMNS");
	return crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once),	       cmocka_unit_test(refusals),
		cmocka_unit_test(twice),       cmocka_unit_test(interrupted),
		cmocka_unit_test(stopped),     cmocka_unit_test(confirm),
		cmocka_unit_test(no_terminal), cmocka_unit_test(progress),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
