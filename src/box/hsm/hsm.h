/* The commands of the applet `hsm`, by file; the table is in hsm.c. */
#ifndef BOX_HSM_H
#define BOX_HSM_H

#include "box/hsm/hsm_run.h"

/* The applet: argv has its own name first; exit status. */
int hsm_main(int argc, char **argv);

/* hsm_system.c */
enum pin_how { PIN_LOOK, PIN_NEW, PIN_REPLACE };
/* Pins an identity unless it is (*was); PIN_LOOK only looks. path (may be NULL) gets where.
 * Errors: EXISTS when another is pinned; IO, CONFIG. */
int run_pin(struct cli *c, const uint8_t id[static 32], enum pin_how how, bool *was, char *path,
	    size_t cap, struct err *e);
cli_run hsm_do_identity_pin, hsm_do_identity_show, hsm_do_provision, hsm_do_unlock, hsm_do_lock,
	hsm_do_state, hsm_do_identity_accept, hsm_do_config, hsm_do_accept_rollback;
/* hsm_apply.c */
cli_run hsm_do_apply;
/* hsm_user.c */
cli_run hsm_do_user_add, hsm_do_user_ls, hsm_do_user_show, hsm_do_user_rm, hsm_do_user_set;
/* hsm_key.c */
cli_run hsm_do_key_gen, hsm_do_key_import, hsm_do_key_ls, hsm_do_key_show, hsm_do_key_pub,
	hsm_do_key_rm, hsm_do_key_set;
/* hsm_sign.c */
cli_run hsm_do_sign, hsm_do_verify, hsm_do_random;
/* hsm_audit.c */
cli_run hsm_do_audit_verify, hsm_do_audit_show;

#endif
