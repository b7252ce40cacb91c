/* The identity file: the HSM's public key as an NKey (X…), for clients to pin. */
#ifndef HSM_LAUNCHER_IDENTITY_H
#define HSM_LAUNCHER_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "nkey/nkey.h"

/* Text of the file into out. Errors: UNAVAILABLE (not there: the service never ran),
 * IO, BAD_NKEY. */
int identity_read(const char *path, char out[static NKEY_PUB_LEN], struct err *e);
/* Writes the file unless it says so already. was gets the other
 * identity that it held, "" for none. Errors: IO. */
int identity_write(const char *path, const uint8_t pub[static 32], char was[static NKEY_PUB_LEN],
		   struct err *e);

#endif
