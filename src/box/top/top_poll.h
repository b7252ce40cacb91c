/* A thread that asks the server, so that keys are answered while it is slow. */
#ifndef BOX_TOP_TOP_POLL_H
#define BOX_TOP_TOP_POLL_H

#include <pthread.h>

#include "box/top/top_src.h"

struct top_poll {
	struct top_src *src; /* the thread's alone from start to stop */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct top_ask ask;
	bool want, busy;
	int fd; /* readable when there is an answer */
	struct top_stats stats;
	struct err err;
	bool failed;
};

/* Starts the thread; it inherits the blocked signals. There is no end but the process's:
 * it may be in the middle of a request. Errors: INTERNAL. */
int top_poll_start(struct top_poll *p, struct top_src *src, struct err *e);
/* Asks for new numbers, unless it is at it. */
void top_poll_ask(struct top_poll *p, const struct top_ask *ask);
/* Takes an answer: 1 with *out replaced, -1 with *e, 0: none yet. */
int top_poll_take(struct top_poll *p, struct top_stats *out, struct err *e);

#endif
