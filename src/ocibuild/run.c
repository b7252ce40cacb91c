#include "ocibuild/run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/file.h"

static _Noreturn void child(const struct run *r, int out_fd, int log_fd)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	/* mmdebstrap sends SIGHUP to its whole process group */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* where this is forbidden, it has to do without */
	if (r->own_mounts && geteuid() == 0 && unshare(CLONE_NEWNS) == 0)
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	umask(022);
	setenv("LC_ALL", "C", 1);
	setenv("TZ", "UTC", 1);
	for (const char *const *v = r->env; v && *v; v++)
		putenv((char *)(uintptr_t)*v);
	if (null < 0 || dup2(r->in_fd > 0 ? r->in_fd : null, 0) < 0 || dup2(out_fd, 1) < 0 ||
	    dup2(log_fd, 2) < 0)
		_exit(126);
	execvp(r->argv[0], (char *const *)(uintptr_t)r->argv);
	dprintf(2, "%s: %s\n", r->argv[0], strerror(errno));
	_exit(127);
}

static int open_log(const char *path)
{
	if (path)
		return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return memfd_create("log", MFD_CLOEXEC);
}

int run_start(const struct run *r, struct run_child *c, struct err *e)
{
	int p[2] = {-1, -1};

	*c = (struct run_child){-1, open_log(r->log), -1};
	if (c->log_fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", r->log ? r->log : "a log");
	if (r->out && pipe2(p, O_CLOEXEC) < 0) {
		close(c->log_fd);
		return err_errno(e, ERR_IO, "cannot make a pipe");
	}
	c->pid = fork();
	if (c->pid == 0)
		child(r, r->out ? p[1] : r->out_fd > 0 ? r->out_fd : c->log_fd, c->log_fd);
	if (p[1] >= 0)
		close(p[1]);
	c->out_fd = p[0];
	if (c->pid > 0)
		return 0;
	err_errno(e, ERR_TOOL, "cannot start %s", r->argv[0]);
	close(c->log_fd);
	if (p[0] >= 0)
		close(p[0]);
	return -1;
}

/* Last line of the log, an apt or mmdebstrap "E:" line before any other. */
static void last_line(int fd, char *out, size_t cap)
{
	char tail[8192];
	off_t end = lseek(fd, 0, SEEK_END);
	off_t from = end > (off_t)sizeof(tail) ? end - (off_t)sizeof(tail) : 0;
	ssize_t n = end < 0 ? 0 : pread(fd, tail, sizeof(tail) - 1, from);
	char *save = NULL;
	bool error = false;

	out[0] = '\0';
	tail[n < 0 ? 0 : n] = '\0';
	for (char *s = strtok_r(tail, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		bool is = strncmp(s, "E: ", 3) == 0;

		if (error && !is)
			continue;
		error = error || is;
		snprintf(out, cap, "%s", s);
	}
}

int run_wait(const struct run *r, struct run_child *c, struct err *e)
{
	CLEAN(fd) int log_fd = c->log_fd;
	CLEAN(fd) int out_fd = c->out_fd;
	struct err read_err = {0};
	int status = 0, rc = 0;
	char line[160];

	if (r->out && out_fd >= 0)
		rc = file_read_fd(out_fd, r->argv[0], r->out, &read_err);
	if (rc)
		kill(c->pid, SIGTERM);
	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(e, ERR_TOOL, "cannot wait for %s", r->argv[0]);
	if (rc)
		return err_set(e, read_err.code, "%s", read_err.text);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	last_line(log_fd, line, sizeof(line));
	return err_set(e, ERR_TOOL, "%s failed (%s %d): %s%s%s", r->argv[0],
		       WIFEXITED(status) ? "exit" : "signal",
		       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
		       line[0] ? line : "no message", r->log ? "; all of it: " : "",
		       r->log ? r->log : "");
}

int run_program(const struct run *r, struct err *e)
{
	struct run_child c;

	if (run_start(r, &c, e))
		return -1;
	return run_wait(r, &c, e);
}

int run_remove_tree(const char *path, struct err *e)
{
	const char *const argv[] = {"rm", "-rf", "--one-file-system", "--", path, NULL};
	struct run r = {.argv = argv};

	return run_program(&r, e);
}
