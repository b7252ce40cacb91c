/* Configuration of hsmd: one YAML file and the environment, which wins. The table of
 * all settings is setting.c; secrets are not in here but in boot.h. */
#ifndef HSM_LAUNCHER_CONFIG_H
#define HSM_LAUNCHER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hsm/launcher/setting.h"
#include "proto/control.h"
#include "json/json.h"

#define CONFIG_FILE "/etc/signbox/hsm.yaml" /* read when it is there and none is named */
#define CONFIG_FILE_MAX 262144

struct config {
	char *file; /* the configuration file, NULL: none */
	char *data, *device_key_file, *unlock_file, *anchor_file;
	char *nats_url, *nats_creds, *nats_nkey, *nats_ca, *nats_cert, *nats_key, *nats_name;
	char *health_socket, *identity_file, *libexec_dir;
	int64_t workers, sessions_user, max_message, key_mib, audit_mib, map_mib, restart_delay;
	bool debug, landlock_waived, testing;
	unsigned nbootstrap;
	struct bootstrap bootstrap[BOOTSTRAP_MAX];
	enum setting_source source[NSETTINGS];
};

/* Reads everything and checks it. file: NULL takes HSM_CONFIG, then CONFIG_FILE.
 * Errors: CONFIG ("file:line: …" or the variable's name), IO, TOO_LARGE. */
int config_load(struct config *c, const char *file, struct err *e);
void config_free(struct config *c);
static inline void cleanup_config(struct config *c)
{
	config_free(c);
}

/* Checks of the machine that config_load cannot make: the files that are named can
 * be read, the directories are there. Errors: CONFIG. */
int config_check_files(const struct config *c, struct err *e);

/* Value of a setting as text for people ("" when unset), without the password of a
 * URL. Errors: NOMEM through out->bad. */
void config_value_text(const struct config *c, const struct setting *s, struct buf *out);
/* Environment names that hsmd looks at, NULL-terminated (with UNLOCKPW). */
const char *const *config_env_names(void);

#endif
