/* The channels to keyd. Each lane gathers frames and sends them in packets: at once
 * while keyd has little to do, together while it is busy (self-clocking, no timer).
 * One thread a lane reads the replies and hands them on; it never waits for a send,
 * because keyd stops reading when its replies are not read. Lane 0 carries openings
 * and hello, the others requests. */
#ifndef HSM_FRONT_LANES_H
#define HSM_FRONT_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hsm/front/subject.h"
#include "proto/wire.h"

#define FRONT_LANES_MIN 2
#define FRONT_LANES_MAX 64
#define FRONT_PENDING 65536	    /* requests in hand at most, all lanes but 0 together */
#define FRONT_PENDING_OPEN 1024	    /* openings in hand at most */
#define FRONT_LANE_BYTES (16 << 20) /* frames that wait on one lane at most */

enum endpoint { EP_OPEN, EP_SESSION, EP_PLAIN, EP_COUNT };

struct plain_call;

/* A request in hand. */
struct pending {
	enum endpoint ep;
	struct plain_call *plain; /* EP_PLAIN: malloc'd, owned */
	uint64_t since;		  /* front_ticks when it came */
	size_t reply_len;
	char reply[REPLY_MAX]; /* subject */
};

/* What keyd said to it; p points into the packet. */
struct answer {
	uint16_t error; /* wire number; then p is text */
	uint8_t mode;
	const uint8_t *p;
	size_t len;
	bool more; /* another one of the same packet follows at once */
	uint64_t now;
};

/* Called from lane threads. */
struct lanes_calls {
	void (*answer)(void *arg, const struct pending *q, const struct answer *a);
	void (*hello)(void *arg, const uint8_t *p, size_t n);
	void (*ended)(void *arg); /* a lane was closed or misbehaved; once per lane */
	void *arg;
};

struct lanes;

/* Takes over descriptors first_fd … first_fd + n - 1 and starts a thread for each.
 * Errors: NOMEM, INTERNAL. */
int lanes_start(struct lanes **out, int first_fd, unsigned n, const struct lanes_calls *calls,
		struct err *e);

/* One request: head and body are joined to the message. Copies both; takes q->plain
 * only on success. Errors: BUSY, TOO_LARGE, SHUTTING_DOWN. */
int lanes_send(struct lanes *l, enum wire_type type, const struct pending *q, const void *head,
	       size_t head_len, const void *body, size_t body_len, struct err *e);

/* Requests in hand. */
unsigned lanes_in_hand(struct lanes *l);
/* Sends what waits on lanes whose keyd reads again; called now and then, in case that
 * no reply comes which would do it. */
void lanes_nudge(struct lanes *l);
/* Ends the lanes' threads, within ms milliseconds, and calls answer with this error for
 * all requests that keyd has not answered. */
void lanes_stop(struct lanes *l, enum err_code code, unsigned ms);

/* Monotonic nanoseconds. */
uint64_t front_ticks(void);

#endif
