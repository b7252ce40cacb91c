/* The processes of the test image: broker, hsmd, and one command at a time. Signals come
 * by a descriptor; whatever else ends (as PID 1: strangers too) is reaped. */
#ifndef HSM_TESTING_CHILDREN_H
#define HSM_TESTING_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum child_id { CHILD_BROKER, CHILD_HSM, CHILD_COMMAND, CHILDREN };

struct child {
	pid_t pid;  /* 0: does not run */
	int status; /* of waitpid, once it has ended */
};

struct children {
	int signals;
	unsigned stops; /* SIGTERM and SIGINT so far */
	struct child v[CHILDREN];
};

/* How one is started. */
struct child_start {
	const char *const *argv; /* argv[0] is the path of the executable */
	const char *const *set;	 /* NAME, value, …, NULL: into its environment */
	bool no_nats;		 /* nothing of what the user said about NATS */
	int out;		 /* becomes stdout and stderr; -1: ours */
};

/* Milliseconds of the monotonic clock. */
int64_t children_now(void);
int children_open(struct children *c, struct err *e);
/* A session of its own, so that ^C comes to this process only; it dies with us. */
int children_start(struct children *c, enum child_id id, const struct child_start *how,
		   struct err *e);
/* Waits until a signal comes, at most ms, and reaps. */
void children_turn(struct children *c, int ms);
/* SIGTERM, and SIGKILL after ms or when a second signal asks for haste. */
void children_end(struct children *c, enum child_id id, int ms);

#endif
