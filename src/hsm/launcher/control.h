/* The channel to keyd: configuration down, news up. */
#ifndef HSM_LAUNCHER_CONTROL_H
#define HSM_LAUNCHER_CONTROL_H

#include "hsm/launcher/supervise.h"

/* Sends W_CONFIG, with the secrets. Errors: IO, NOMEM. */
int control_config(struct supervise *s, struct err *e);
/* Hands descriptors on: W_STORE, W_FRONT. Errors: IO. */
int control_fds(struct supervise *s, enum wire_type type, const int *fds, unsigned n,
		struct err *e);
/* Sends W_STOP. Errors: IO. */
int control_stop(struct supervise *s, struct err *e);
/* Takes one packet and does what it says. Errors: BAD_FRAME, IO; the caller kills
 * keyd then. 1: end of file. */
int control_receive(struct supervise *s, struct err *e);

#endif
