/* The commands that ask the network: compiled into the bootstrap ocibuild on the
 * host only (libcurl cannot be linked static). */
#ifndef OCIBUILD_ONLINE_H
#define OCIBUILD_ONLINE_H

#include "ui/cli.h"

int online_lock(struct cli *c, struct err *e);
int online_fetch(struct cli *c, struct err *e);

#endif
