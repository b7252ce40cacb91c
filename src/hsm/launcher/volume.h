/* What hsmd is given to write to: the data directory, and the directories of the anchor, the
 * identity and the health socket. Looked at before anything is started, so that a volume of
 * another owner or a read-only one is one clear line. */
#ifndef HSM_LAUNCHER_VOLUME_H
#define HSM_LAUNCHER_VOLUME_H

#include "hsm/launcher/config.h"

/* Makes the data directory and the store's below it when they are not there, and takes the
 * right to write from others where it can. Errors: CONFIG, which says whose it is;
 * STORE_FULL when a new store has no room. */
int volume_data(const struct config *c, const char *store, struct err *e);
/* Whether what is written besides can be: a file that is there too, if it is replaced. Also
 * that an anchor can be read. Errors: CONFIG. */
int volume_files(const struct config *c, struct err *e);

#endif
