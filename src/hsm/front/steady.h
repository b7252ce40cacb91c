/* nats.c waits until a time of the wall clock: when that is set back by an hour, it would wait
 * an hour longer before it tries a server again. In hsm-front its waits are until the same
 * moment of a clock that never steps: steady.c defines what it calls. */
#ifndef HSM_FRONT_STEADY_H
#define HSM_FRONT_STEADY_H

#include <time.h>

/* The moment of the monotonic clock that the wall clock's `until` is, when the two say
 * `mono` and `wall` now; a moment that has passed is now. */
struct timespec steady_until(const struct timespec *until, const struct timespec *wall,
			     const struct timespec *mono);

#endif
