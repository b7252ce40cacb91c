/* A temporary folder that is gone when this process is, however it ends. */
#ifndef OCIBUILD_SCRATCH_H
#define OCIBUILD_SCRATCH_H

#include <sys/types.h>

#include "base/err.h"

/* Start with {0}. */
struct scratch {
	char dir[4096];
	pid_t keeper; /* removes it when we end by a signal */
	int end;      /* of the keeper's pipe, which our end closes */
};

/* Makes BELOW/ocibuild-XXXXXX with that mode. No signal is handled: what ends a process goes
 * on doing so, with the status that all expect. Errors: IO. */
int scratch_open(struct scratch *s, const char *below, mode_t mode, struct err *e);
/* Removes it with all that is in it; one that was never made is fine. */
void scratch_free(struct scratch *s);
static inline void cleanup_scratch(struct scratch *s)
{
	scratch_free(s);
}

#endif
