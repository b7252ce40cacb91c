/* The highest epoch seen of one HSM, in a file: one decimal number. */
#ifndef CLIENT_EPOCH_H
#define CLIENT_EPOCH_H

#include <stdint.h>

#include "base/err.h"

/* A missing file gives 0. Errors: IO, BAD_INPUT (with what to do). */
int epoch_load(const char *path, uint64_t *epoch, struct err *e);
/* Raises the number in the file, never lowers it: other programs of the user may have
 * seen more; the directory is locked (flock) meanwhile. Errors: IO. */
int epoch_raise(const char *path, uint64_t epoch, struct err *e);
/* Sets it, also lower. Errors: IO. */
int epoch_set(const char *path, uint64_t epoch, struct err *e);

#endif
