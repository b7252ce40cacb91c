#include "hsm/launcher/restart.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "hsm/launcher/supervise.h"

/* Also behind docker's --init, which is the first process then. */
static bool in_container(void)
{
	return getpid() == 1 || getppid() == 1;
}

void restart_wait(int64_t started, int64_t seconds)
{
	int64_t left = started + seconds * 1000 - supervise_now();
	struct timespec t;
	sigset_t set;

	if (left <= 0 || !in_container() || isatty(STDERR_FILENO))
		return;
	/* The first process of a container has no default action: what comes from here on
	 * stays pending until it is waited for. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	log_info("waits before it ends, so that it is not started many times a second", "seconds",
		 LOG_NUM((left + 999) / 1000), "setting", "restart_delay (HSM_RESTART_DELAY)");
	t = (struct timespec){.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
	(void)sigtimedwait(&set, NULL, &t);
}
