/* Starts another executable, and learns of signals by a descriptor: for programs that watch
 * processes, and as PID 1 reap strangers. */
#ifndef BASE_SPAWN_H
#define BASE_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

#define SPAWN_FIRST_FD 3
#define SPAWN_MAX_FDS 48

struct spawn {
	const char *path;  /* of the executable */
	char *const *argv; /* no secret: everybody can read it */
	char *const *envp;
	const int *fds; /* become 3, 4, … in the child; stay open here */
	unsigned nfds;
	int out;       /* >0: becomes its stdout and stderr, else they are ours */
	bool sig_pipe; /* SIGPIPE ends it; else it is ignored */
};

/* fork and execve: default signals, a session of its own, so that ^C comes to this process
 * only; it dies with us; only stdio and fds are open. *pidfd is close-on-exec; NULL: none.
 * Errors: TOOL (the executable does not start), IO. */
int spawn_start(const struct spawn *s, pid_t *pid, int *pidfd, struct err *e);

/* A SOCK_SEQPACKET pair, close-on-exec. Errors: IO. */
int spawn_pair(int pair[static 2], struct err *e);

/* From now on SIGCHLD, SIGTERM, SIGINT and SIGHUP come by this descriptor (struct
 * signalfd_siginfo; it does not block), and SIGPIPE not at all. Errors: INTERNAL. */
int spawn_signals(int *out, struct err *e);

#endif
