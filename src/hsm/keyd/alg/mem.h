/* OpenSSL's memory: wiped on release; in the locked arena where a key is made. */
#ifndef HSM_KEYD_ALG_MEM_H
#define HSM_KEYD_ALG_MEM_H

#include "base/err.h"
#include "hsm/keyd/arena.h"

/* Once, before anything else uses OpenSSL. Errors: NOMEM, INTERNAL. */
int mem_init(size_t arena_bytes, struct err *e);
struct arena *mem_arena(void);
/* Between these, what this thread allocates through OpenSSL comes from the arena (as
 * far as its objects are small enough). Not nested. mem_leave is true when the arena
 * was full for one of them: what failed then failed for want of memory. */
void mem_enter(void);
bool mem_leave(void);

#endif
