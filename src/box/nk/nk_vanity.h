/* Search for a key pair whose public key begins as wished (nk -pre). */
#ifndef BOX_NK_VANITY_H
#define BOX_NK_VANITY_H

#include "base/err.h"
#include "nkey/nkey.h"

/* Tries at most max pairs on all cores, with progress on a terminal. want is what
 * follows the kind's letter, in either case. Errors: BAD_INPUT, NOT_FOUND, NOMEM. */
int nk_vanity(struct nkey *k, enum nkey_kind kind, const char *want, long max, struct err *e);

#endif
