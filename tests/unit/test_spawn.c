/* base/spawn: what a child finds (it is this program, by an argument), and what its parent
 * learns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/spawn.h"

static char self[4096], child_arg[] = "child", env[] = "ONLY=this";

/* Tells all that spawn_start promises, in one line. */
static int child(void)
{
	struct sigaction pipe, term;
	sigset_t blocked;
	int death = 0, open_fds = 0, any = 0;

	(void)sigaction(SIGPIPE, NULL, &pipe);
	(void)sigaction(SIGTERM, NULL, &term);
	(void)sigprocmask(SIG_BLOCK, NULL, &blocked);
	for (int sig = 1; sig < 32; sig++)
		any += sigismember(&blocked, sig) == 1;
	(void)prctl(PR_GET_PDEATHSIG, &death);
	for (int fd = 0; fd < 1000; fd++)
		open_fds += fcntl(fd, F_GETFD) >= 0;
	(void)printf("pipe=%s term=%s blocked=%d session=%d death=%d fds=%d env=%s\n",
		     pipe.sa_handler == SIG_IGN ? "ignored" : "default",
		     term.sa_handler == SIG_DFL ? "default" : "other", any, getsid(0) == getpid(),
		     death, open_fds, environ[0] && !environ[1] ? environ[0] : "other");
	(void)fprintf(stderr, "stderr\n");
	return 7;
}

static void said(struct spawn *s, const char *want)
{
	char *argv[] = {self, child_arg, NULL}, *envp[] = {env, NULL}, got[1000];
	int out[2], status = 0, pidfd = -1;
	struct err e;
	size_t n = 0;
	ssize_t k;
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	s->path = self;
	s->argv = argv;
	s->envp = envp;
	s->out = out[1];
	assert_int_equal(spawn_start(s, &pid, s->nfds ? &pidfd : NULL, &e), 0);
	close(out[1]);
	while ((k = read(out[0], got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)k;
	got[n] = '\0';
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	assert_string_equal(got, want);
	if (s->nfds) {
		assert_true(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
		close(pidfd);
	}
}

static void what_a_child_finds(void **state)
{
	int pair[2];
	struct spawn plain = {.sig_pipe = true}, with = {.fds = pair, .nfds = 2};
	struct err e;

	(void)state;
	/* stderr is not buffered and comes first */
	said(&plain, "stderr\npipe=default term=default blocked=0 session=1 death=9 fds=3 "
		     "env=ONLY=this\n");
	assert_int_equal(spawn_pair(pair, &e), 0);
	said(&with, "stderr\npipe=ignored term=default blocked=0 session=1 death=9 fds=5 "
		    "env=ONLY=this\n");
	close(pair[0]);
	close(pair[1]);
}

static void what_does_not_start(void **state)
{
	char path[] = "/dev/null", *argv[] = {path, NULL}, *envp[] = {NULL};
	struct spawn s = {.path = path, .argv = argv, .envp = envp};
	struct err e = {0};
	pid_t pid = 1;

	(void)state;
	assert_int_equal(spawn_start(&s, &pid, NULL, &e), -1);
	assert_int_equal(e.code, ERR_TOOL);
	assert_non_null(strstr(e.text, "/dev/null"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void signals_by_a_descriptor(void **state)
{
	static const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
	struct signalfd_siginfo si;
	struct err e;
	int fd, pair[2];

	(void)state;
	assert_int_equal(spawn_signals(&fd, &e), 0);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		assert_int_equal(kill(getpid(), wanted[i]), 0);
		assert_int_equal(read(fd, &si, sizeof(si)), sizeof(si));
		assert_int_equal(si.ssi_signo, wanted[i]);
	}
	assert_int_equal(read(fd, &si, sizeof(si)), -1);
	assert_int_equal(errno, EAGAIN);
	/* and no SIGPIPE ends us */
	assert_int_equal(spawn_pair(pair, &e), 0);
	close(pair[1]);
	assert_int_equal(write(pair[0], "x", 1), -1);
	close(pair[0]);
	close(fd);
	/* Now they are blocked here, and not in a child. */
	what_a_child_finds(state);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_child_finds),
		cmocka_unit_test(what_does_not_start),
		cmocka_unit_test(signals_by_a_descriptor),
	};

	if (argc == 2 && strcmp(argv[1], child_arg) == 0)
		return child();
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
