/* What hsmd reads and looks at once, before it starts anything: secrets and the state
 * of the machine. Secrets live in guarded memory and are kept for restarts of keyd. */
#ifndef HSM_LAUNCHER_BOOT_H
#define HSM_LAUNCHER_BOOT_H

#include "base/secret.h"
#include "hsm/launcher/config.h"

struct boot {
	uint8_t *device_key;	  /* secret_alloc'd, 32 bytes */
	struct secret passphrase; /* p NULL: none is stored */
	uint32_t warnings;	  /* enum warning */
};

/* Takes UNLOCKPW out of the environment, in every command and before anything else:
 * it is wiped there. Errors: CONFIG (too long), NOMEM. */
int boot_take_env(struct boot *b, struct err *e);
/* Reads the device key and, when UNLOCKPW was not there, the passphrase file.
 * Errors: NO_DEVICE_KEY, CONFIG. */
int boot_secrets(struct boot *b, const struct config *c, struct err *e);
void boot_free(struct boot *b);
static inline void cleanup_boot(struct boot *b)
{
	boot_free(b);
}

/* Raises the memory-lock limit as far as allowed, then sets warnings for what is not
 * as it should be: entropy, memory lock, swap, no anchor. */
void boot_look(struct boot *b, const struct config *c);
/* Words of a set of warnings, comma-separated, "none" when empty. */
void boot_warnings_text(uint32_t warnings, struct buf *out);

#endif
