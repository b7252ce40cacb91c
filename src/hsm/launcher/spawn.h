/* Starts one of the executables in an address space of its own. */
#ifndef HSM_LAUNCHER_SPAWN_H
#define HSM_LAUNCHER_SPAWN_H

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
};

/* fork and execve: default signals (SIGPIPE ignored), a session of its own, dies with
 * hsmd, only stdio and fds open. *pidfd is close-on-exec. Errors: TOOL (the
 * executable does not start), IO. */
int spawn_start(const struct spawn *s, pid_t *pid, int *pidfd, struct err *e);

/* A SOCK_SEQPACKET pair, close-on-exec. Errors: IO. */
int spawn_pair(int pair[static 2], struct err *e);

#endif
