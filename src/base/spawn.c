#include "base/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

int spawn_pair(int pair[static 2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, ERR_IO, "cannot make a channel");
	return 0;
}

/* Moves fds to 3, 4, …: first all out of the way, so that none is overwritten. */
static int place_fds(const struct spawn *s)
{
	int high[SPAWN_MAX_FDS];

	for (unsigned i = 0; i < s->nfds; i++) {
		high[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, SPAWN_FIRST_FD + SPAWN_MAX_FDS + 1);
		if (high[i] < 0)
			return -1;
	}
	for (unsigned i = 0; i < s->nfds; i++)
		if (dup2(high[i], SPAWN_FIRST_FD + (int)i) < 0)
			return -1;
	return 0;
}

/* Between fork and execve; returns only when something failed, with errno. */
static void become(const struct spawn *s, pid_t parent)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, sig == SIGPIPE && !s->sig_pipe ? SIG_IGN : SIG_DFL);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return;
	/* The parent may have died before the line above took effect. */
	if (getppid() != parent)
		_exit(1);
	/* ^C on a terminal goes to the parent only, which stops the others in order. */
	(void)setsid();
	if (s->out > 0 && (dup2(s->out, STDOUT_FILENO) < 0 || dup2(s->out, STDERR_FILENO) < 0))
		return;
	if (place_fds(s))
		return;
	/* What whoever started us has left open; not yet the pipe of child(). */
	if (close_range(SPAWN_FIRST_FD + s->nfds, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return;
	execve(s->path, s->argv, s->envp);
}

static void child(const struct spawn *s, int report, pid_t parent)
{
	int why;
	/* Above all that place_fds writes to; execve closes it. */
	int high = fcntl(report, F_DUPFD_CLOEXEC, 3 + 2 * SPAWN_MAX_FDS);

	become(s, parent);
	why = errno;
	/* Nobody to tell when this fails: the parent sees the exit. */
	if (write(high, &why, sizeof(why)) < 0)
		_exit(126);
	_exit(127);
}

int spawn_start(const struct spawn *s, pid_t *pid, int *pidfd, struct err *e)
{
	pid_t self = getpid(), id;
	int report[2], why = 0;
	ssize_t n;

	if (s->nfds > SPAWN_MAX_FDS)
		return err_set(e, ERR_INTERNAL, "too many descriptors for %s", s->path);
	if (pipe2(report, O_CLOEXEC) < 0)
		return err_errno(e, ERR_IO, "cannot make a pipe");
	id = fork();
	if (id == 0)
		child(s, report[1], self);
	close(report[1]);
	if (id < 0) {
		close(report[0]);
		return err_errno(e, ERR_TOOL, "cannot start %s%s", s->path,
				 errno == EAGAIN ? " (limit of processes: ulimit -u, --pids-limit)"
						 : "");
	}
	/* End of file: execve has closed the pipe, the executable runs. */
	do {
		n = read(report[0], &why, sizeof(why));
	} while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n != 0) {
		(void)waitpid(id, NULL, 0);
		errno = n == sizeof(why) ? why : EIO;
		return err_errno(e, ERR_TOOL, "cannot start %s", s->path);
	}
	if (pidfd)
		*pidfd = (int)syscall(SYS_pidfd_open, id, 0);
	if (pidfd && *pidfd < 0) {
		err_errno(e, ERR_TOOL, "cannot watch %s", s->path);
		/* Its channels close with the caller's ends: it goes by itself. */
		return -1;
	}
	*pid = id;
	return 0;
}

int spawn_signals(int *out, struct err *e)
{
	static const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
	sigset_t set;

	(void)signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(&set, wanted[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_errno(e, ERR_INTERNAL, "cannot block signals");
	*out = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *out < 0 ? err_errno(e, ERR_INTERNAL, "cannot make a signal descriptor") : 0;
}
