/* What the test image makes for itself at its first start, and what is written anew at
 * each: all below one folder of the volume, whose being there marks the store as one that
 * hsmd of a production image refuses. */
#ifndef HSM_TESTING_SECRETS_H
#define HSM_TESTING_SECRETS_H

#include <stdbool.h>

#include "base/err.h"
#include "nkey/nkey.h"

#define SECRETS_DIR_MAX 3072
#define SECRETS_PATH_MAX (SECRETS_DIR_MAX + 64)

struct secrets {
	char dir[SECRETS_DIR_MAX]; /* DATA/testing */
	char service[NKEY_PUB_LEN], admin[NKEY_PUB_LEN], user[NKEY_PUB_LEN];
	bool done; /* an earlier start has set the HSM up and printed the secrets */
};

/* Makes those of the files that are not there. Errors: CONFIG when the volume has a store
 * that was made without this program, IO. */
int secrets_make(struct secrets *s, const char *data, struct err *e);
/* Path of a file there. */
const char *secrets_path(const struct secrets *s, const char *name,
			 char out[static SECRETS_PATH_MAX]);
/* hsmd's configuration: broker is the URL where the environment names none; nkey: it logs
 * in with the NKey that was made. */
int secrets_config(const struct secrets *s, const char *broker, bool nkey, struct err *e);
/* Prints every secret, each under its name, on standard output. */
int secrets_print(const struct secrets *s, struct err *e);
/* From now on `done`. */
int secrets_done(struct secrets *s, struct err *e);

#endif
