/* The store's loop: requests of proto/wire.h in, answers out. */
#ifndef HSM_STORE_SERVE_H
#define HSM_STORE_SERVE_H

#include "base/err.h"
#include "hsm/store/db.h"

/* First word on the channel: tag 0, ready (e->code OK) or why not. Best effort. */
void serve_hello(int fd, const struct err *e);

/* Serves until the channel ends. All transactions that are waiting become durable in
 * one commit. Errors: BAD_FRAME (the other side is not keyd), IO, NOMEM, or what a
 * commit left in doubt: the process ends then. */
int serve(int fd, struct db *db, struct err *e);

#endif
