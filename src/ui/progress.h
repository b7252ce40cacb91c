/* A progress line on stderr: only on a terminal, only for what takes over a second,
 * at most ten times a second. Threads may add; it is gone when it ends. */
#ifndef UI_PROGRESS_H
#define UI_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum progress_unit { PROGRESS_COUNT, PROGRESS_BYTES };

struct progress {
	char what[64];
	uint64_t total; /* 0: unknown */
	enum progress_unit unit;
	atomic_uint_fast64_t done;
	uint64_t start_ns;
	atomic_uint_fast64_t drawn_ns;
	pthread_mutex_t lock;
	bool tty;
	bool shown;
};

/* what: "fetching packages" (cut to 63 bytes). total 0: not known. */
void progress_start(struct progress *p, const char *what, uint64_t total, enum progress_unit unit);
/* Cheap enough for a loop: one atomic add and one look at the clock. */
void progress_add(struct progress *p, uint64_t n);
/* Removes the line. Must be called before the program prints something else. */
void progress_end(struct progress *p);

#endif
