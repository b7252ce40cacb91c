/* Bootstrap administrators: who may provision and unlock, given at the first start. */
#ifndef HSM_LAUNCHER_ADMINS_H
#define HSM_LAUNCHER_ADMINS_H

#include "hsm/launcher/config.h"

/* "NKEY,name=NKEY,…" of the environment; replaces what is there. Without a name the
 * first one is "admin", the others "admin-2", …. A text that is no public NKey is not
 * repeated in the error: it may be a seed. Errors: CONFIG. */
int admins_from_text(struct config *c, const char *text, struct err *e);
/* List of the file: strings as above or objects {name, nkey}. */
int admins_from_json(struct config *c, const struct json_doc *d, const json_t *list, struct err *e);
/* "name=NKEY,…" for people. */
void admins_text(const struct config *c, struct buf *out);

#endif
