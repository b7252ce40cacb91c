/* Engines start a container that ends at once again at once (podman: five times a second).
 * So the first process of a container waits before it ends with an error; its line is
 * printed by then. */
#ifndef HSM_LAUNCHER_RESTART_H
#define HSM_LAUNCHER_RESTART_H

#include <stdint.h>

/* Sleeps until `seconds` after `started` (milliseconds, monotonic), unless somebody sits at a
 * terminal, this is no container's first process, or it ran for so long; SIGTERM or SIGINT
 * end it. */
void restart_wait(int64_t started, int64_t seconds);

#endif
