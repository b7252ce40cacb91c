/* Loading everything under the domain key at unlock. */
#ifndef HSM_KEYD_LOAD_H
#define HSM_KEYD_LOAD_H

#include "hsm/keyd/boot.h"

/* Fills fresh objects from the store and checks them against the root's multiset
 * hash. Errors: STORE_DAMAGED, ROLLED_BACK, NOMEM, UNAVAILABLE. */
int load_records(struct keyd *k, const struct root *r, struct objects *into, struct err *e);

#endif
