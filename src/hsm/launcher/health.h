/* The health socket: whoever connects gets one line of key=value pairs. hsmd never
 * reads from it. */
#ifndef HSM_LAUNCHER_HEALTH_H
#define HSM_LAUNCHER_HEALTH_H

#include "hsm/launcher/supervise.h"

#define HEALTH_LINE_MAX 1024

/* Listens on path (mode 0600), replacing a socket that was left there. Only while the
 * data directory is locked. Errors: IO. */
int health_listen(int *fd, const char *path, struct err *e);
/* Answers those who wait. */
void health_serve(const struct supervise *s);

/* Asks a running hsmd: its line, without the newline. Errors: UNAVAILABLE. */
int health_ask(const char *path, char line[static HEALTH_LINE_MAX], struct err *e);
/* Value of a key of the line, copied to out; -1: not there. */
int health_value(const char *line, const char *key, char *out, size_t cap);
/* 0 when up (ready: and Operational). Errors: UNAVAILABLE, WRONG_STATE, or what keeps
 * keyd from its work. */
int health_judge(const char *line, bool ready, struct err *e);

#endif
