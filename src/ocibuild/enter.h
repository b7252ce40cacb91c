/* Runs a command inside a rootfs: bubblewrap where it works, else (as root) a
 * chroot in a mount name space of its own. Network is the host's, files of the
 * rootfs are read-only, /tmp and /run are fresh. The download cache can be read. */
#ifndef OCIBUILD_ENTER_H
#define OCIBUILD_ENTER_H

#include <stdbool.h>

#include "base/err.h"

#define ENTER_CACHE "/run/signbox-cache"

struct enter {
	const char *root; /* tree of the rootfs */
	const char *bind; /* host directory that becomes /src and the working directory */
	/* host directory that becomes ENTER_CACHE, read-only, with SIGNBOX_CACHE naming it;
	 * NULL: none */
	const char *cache;
	char *const *argv;
	char *const *env; /* NAME=VALUE for the command, in addition to the fixed ones */
};

/* Replaces this process by the command; comes back only with an error. */
int enter_exec(const struct enter *en, struct err *e);

#endif
