/* The channels to the front. */
#ifndef HSM_KEYD_LANE_H
#define HSM_KEYD_LANE_H

#include "hsm/keyd/keyd.h"

/* Memory and locks of lane i; before the sandbox. */
int lane_init(struct keyd *k, unsigned i, struct err *e);
/* Starts the lane's thread. */
int lane_start(struct lane *l, struct err *e);
/* Main thread: a new front listens on fd. */
void lane_attach(struct lane *l, int fd);
/* Sends what has gathered in l->out. */
void lane_flush(struct lane *l);
/* Commit thread: tells the front what this keyd is. */
void lane_hello(struct keyd *k, const struct hello *h);

#endif
