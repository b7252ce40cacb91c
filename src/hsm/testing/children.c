#include "hsm/testing/children.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t children_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int children_open(struct children *c, struct err *e)
{
	static const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(&set, wanted[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(e, ERR_INTERNAL, "cannot block signals");
	c->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return c->signals < 0 ? err_errno(e, ERR_INTERNAL, "cannot make a signal descriptor") : 0;
}

static void forget_nats(void)
{
	char **to = environ;

	for (char **v = environ; *v; v++)
		if (strncmp(*v, "NATS_", 5) != 0)
			*to++ = *v;
	*to = NULL;
}

/* Between fork and execve, in a process of one thread. */
static void become(const struct child_start *how, pid_t parent)
{
	sigset_t none;

	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return;
	if (getppid() != parent)
		_exit(1);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)setsid();
	if (how->out >= 0 &&
	    (dup2(how->out, STDOUT_FILENO) < 0 || dup2(how->out, STDERR_FILENO) < 0))
		return;
	if (how->no_nats)
		forget_nats();
	for (const char *const *s = how->set; s && *s; s += 2)
		if (setenv(s[0], s[1], 1) < 0)
			return;
	execv(how->argv[0], (char *const *)(uintptr_t)how->argv);
}

int children_start(struct children *c, enum child_id id, const struct child_start *how,
		   struct err *e)
{
	pid_t parent = getpid(), pid;

	if (access(how->argv[0], X_OK) < 0)
		return err_errno(e, ERR_TOOL, "cannot start %s", how->argv[0]);
	pid = fork();
	if (pid < 0)
		return err_errno(e, ERR_TOOL, "cannot start %s", how->argv[0]);
	if (pid == 0) {
		become(how, parent);
		(void)fprintf(stderr, "cannot start %s: %s\n", how->argv[0], strerror(errno));
		_exit(126);
	}
	c->v[id] = (struct child){.pid = pid};
	return 0;
}

static void reap(struct children *c)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int id = 0; id < CHILDREN; id++)
			if (c->v[id].pid == pid)
				c->v[id] = (struct child){.status = status};
}

void children_turn(struct children *c, int ms)
{
	struct pollfd pf = {.fd = c->signals, .events = POLLIN};
	struct signalfd_siginfo si;

	(void)poll(&pf, 1, ms);
	while (read(c->signals, &si, sizeof(si)) == sizeof(si))
		c->stops += si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT;
	reap(c);
}

void children_end(struct children *c, enum child_id id, int ms)
{
	int64_t until = children_now() + ms, left;
	unsigned before = c->stops;

	if (c->v[id].pid)
		(void)kill(c->v[id].pid, SIGTERM);
	while (c->v[id].pid) {
		left = until - children_now();
		if (left <= 0 || (c->stops > before && c->stops > 1)) {
			(void)kill(c->v[id].pid, SIGKILL);
			left = 1000;
		}
		children_turn(c, (int)left);
	}
}
