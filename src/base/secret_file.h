/* Files that hold a secret: who may have put them there, and who else could read or change
 * them. Every program of Signbox asks here (docs/CONFIGURATION.md, "Secrets", has the rules
 * for people). */
#ifndef BASE_SECRET_FILE_H
#define BASE_SECRET_FILE_H

#include "base/err.h"

/* Opens a regular file for reading when its owner and mode keep the secret: nobody else may
 * write it; others may read it, and its owner may be anybody, only where a container engine
 * has mounted it below /run/secrets; else the owner is root or the caller. The error says
 * what to do. Errors: IO (not there, not to be opened), BAD_INPUT. */
int secret_file_open(const char *path, int *fd, struct err *e);
/* The same, and it is not empty; nothing is kept open. */
int secret_file_check(const char *path, struct err *e);

#endif
