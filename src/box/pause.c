/* pause: process 1 of a container that others are started in (`docker exec`). It waits to
 * be told to end, and reaps what is left to it. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "box/box.h"
#include "ui/cli.h"

static const char *const examples[] = {
	"pause",
	NULL,
};

static int run(struct cli *c, struct err *e)
{
	sigset_t set;
	int sig;

	(void)c;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	/* Blocked, they are kept for sigwaitinfo, also for process 1, whom signals that it does
	 * not handle do not reach. */
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return err_errno(e, ERR_INTERNAL, "cannot block signals");
	for (;;) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		sig = sigwaitinfo(&set, NULL);
		if (sig == SIGTERM || sig == SIGINT)
			return 0;
		if (sig < 0 && errno != EINTR)
			return err_errno(e, ERR_INTERNAL, "cannot wait for signals");
	}
}

int pause_main(int argc, char **argv)
{
	static const struct cli_cmd cmds[] = {
		{.path = "",
		 .help = "Waits for SIGTERM or SIGINT, reaping what is left to it",
		 .run = run,
		 .examples = examples,
		 .about = "For a container that others are started in: 'docker exec BOX nats …'."},
		{0},
	};
	static const struct cli_prog prog = {
		.name = "pause",
		.help = "Waits for SIGTERM or SIGINT, reaping what is left to it",
		.cmds = cmds,
	};

	return cli_main(&prog, argc, argv, NULL);
}
