/* How each of the three processes is started: its channels, arguments, environment. */
#ifndef HSM_LAUNCHER_LAUNCH_H
#define HSM_LAUNCHER_LAUNCH_H

#include "hsm/launcher/supervise.h"

/* hsm-keyd; descriptor 3 is the control channel. Sends it its configuration. Errors of
 * all: TOOL, IO, NOMEM. */
int launch_keyd(struct supervise *s, struct err *e);
/* hsm-store --map-mib N [--no-landlock] [--debug] DATA/store; descriptor 3 is its channel, the
 * other end goes to keyd. */
int launch_store(struct supervise *s, struct err *e);
/* hsm-front --lanes N --config-fd M --status-fd K; descriptors 3 … 2 + N are the
 * lanes (0 for openings), whose other ends go to keyd; M gives its configuration as
 * JSON (hsm/front/config.h); on K it reports with enum wire_link. */
int launch_front(struct supervise *s, struct err *e);

/* The store's directory, DATA/store. */
int launch_store_dir(const struct config *c, char *out, size_t cap, struct err *e);

#endif
