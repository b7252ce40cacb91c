/* `hsmd run`: from the configuration to the running service. */
#ifndef HSM_LAUNCHER_RUN_H
#define HSM_LAUNCHER_RUN_H

#include "hsm/launcher/boot.h"
#include "hsm/launcher/config.h"

/* Reads secrets, takes the data directory, enters hsmd's sandbox, supervises. Returns
 * the exit status, or -1. Errors: NO_DEVICE_KEY, CONFIG, STORE_IN_USE, SANDBOX, IO,
 * TOOL. */
int run_service(const struct config *c, struct boot *b, struct err *e);

#endif
