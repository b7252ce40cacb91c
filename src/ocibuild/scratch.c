#include "ocibuild/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ocibuild/run.h"

/* Waits for our end, then becomes rm. In a session of its own, so that ^C and a hangup are
 * not meant for it, and with nothing of ours open: whoever reads our output needs not wait. */
static _Noreturn void keep(const char *dir, const int p[static 2])
{
	const char *const argv[] = {"rm", "-rf", "--one-file-system", "--", dir, NULL};
	static const int deaf[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	int null = open("/dev/null", O_RDWR);
	sigset_t none;
	char c;

	/* Or it would wait for itself. */
	(void)close(p[1]);
	(void)setsid();
	for (size_t i = 0; i < sizeof(deaf) / sizeof(deaf[0]); i++)
		(void)signal(deaf[i], SIG_IGN);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 ||
	    (p[0] != 3 && dup2(p[0], 3) < 0))
		_exit(126);
	(void)close_range(4, ~0u, 0);
	while (read(3, &c, 1) < 0 && errno == EINTR)
		;
	(void)close(3);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* With all signals blocked. */
static int make(struct scratch *s, mode_t mode, struct err *e)
{
	int p[2];

	if (!mkdtemp(s->dir)) {
		err_errno(e, ERR_IO, "cannot make a temporary folder %s", s->dir);
		s->dir[0] = '\0';
		return -1;
	}
	if (chmod(s->dir, mode) < 0 || pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, ERR_IO, "cannot use %s", s->dir);
	s->keeper = fork();
	if (s->keeper == 0)
		keep(s->dir, p);
	(void)close(p[0]);
	s->end = p[1];
	return s->keeper < 0 ? err_errno(e, ERR_IO, "cannot start a process") : 0;
}

int scratch_open(struct scratch *s, const char *below, mode_t mode, struct err *e)
{
	sigset_t all, before;
	int rc;

	*s = (struct scratch){0};
	if (snprintf(s->dir, sizeof(s->dir), "%s/ocibuild-XXXXXX", below) >=
	    (int)sizeof(s->dir) - 128) {
		s->dir[0] = '\0';
		return err_set(e, ERR_IO, "the temporary folder's path is too long (TMPDIR)");
	}
	/* Who is ended before it is watched would leave it. */
	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, &before) < 0)
		return err_errno(e, ERR_INTERNAL, "cannot block signals");
	rc = make(s, mode, e);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (rc)
		scratch_free(s);
	return rc;
}

void scratch_free(struct scratch *s)
{
	if (s->dir[0])
		run_remove_tree(s->dir, NULL);
	s->dir[0] = '\0';
	if (s->keeper > 0) {
		(void)kill(s->keeper, SIGKILL);
		while (waitpid(s->keeper, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (s->end > 0)
		(void)close(s->end);
	s->keeper = 0;
	s->end = 0;
}
