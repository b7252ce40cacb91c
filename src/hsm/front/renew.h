/* Files of the connection that were renewed: a front that cannot connect starts again with
 * them, because its sandbox knows the old ones only and nats.c reads them once. */
#ifndef HSM_FRONT_RENEW_H
#define HSM_FRONT_RENEW_H

#include <stdbool.h>
#include <sys/stat.h>

#include "hsm/front/config.h"

enum { RENEW_FILES = 5 };

struct renew {
	struct stat was[RENEW_FILES]; /* of creds, nkey, ca, cert, key; st_ino 0: none */
};

/* Remembers the files that c names. */
void renew_note(struct renew *r, const struct front_config *c);
/* Whether one of them is another now; one that is not there is no news. */
bool renew_changed(const struct renew *r, const struct front_config *c);

#endif
