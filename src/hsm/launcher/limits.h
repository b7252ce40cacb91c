/* What a container may use, against what the service needs: too little memory shows else
 * only when somebody unlocks, as a process that was killed. */
#ifndef HSM_LAUNCHER_LIMITS_H
#define HSM_LAUNCHER_LIMITS_H

#include "hsm/launcher/config.h"

/* The control group's limits of memory and processes, where they can be read. Errors:
 * CONFIG, with both numbers. */
int limits_check(const struct config *c, struct err *e);

#endif
