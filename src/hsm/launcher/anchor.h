/* The anchor file: bytes of keyd's on a volume of their own, written before a commit
 * is answered. hsmd keeps the newest copy in memory, so that only the start reads it. */
#ifndef HSM_LAUNCHER_ANCHOR_H
#define HSM_LAUNCHER_ANCHOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/control.h"

struct anchor {
	const char *path; /* NULL: none is configured */
	size_t len;	  /* 0: not there yet */
	uint8_t bytes[ANCHOR_LEN];
};

/* Reads the file; one that is not there is no error. Errors: IO, TOO_LARGE. */
int anchor_load(struct anchor *a, const char *path, struct err *e);
/* Replaces the file durably. Errors: CONFIG (none), BAD_FRAME, IO. */
int anchor_save(struct anchor *a, const void *p, size_t n, struct err *e);

#endif
