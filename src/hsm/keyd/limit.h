/* Wrong passphrases: each caller waits longer after each, none waits for another. */
#ifndef HSM_KEYD_LIMIT_H
#define HSM_KEYD_LIMIT_H

#include "hsm/keyd/keyd.h"

/* Before a guess is looked at: 0, or RATE_LIMITED. One guess per caller is under way
 * at a time. Callers are bootstrap administrators. */
int limit_begin(struct keyd *k, const uint8_t nkey[static 32], struct err *e);
/* After it: wrong doubles the wait (1 s to 5 min), right forgets. */
void limit_end(struct keyd *k, const uint8_t nkey[static 32], bool wrong);

#endif
