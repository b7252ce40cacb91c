/* Session table. Openings come from lane 0 only; any lane uses a session. */
#ifndef HSM_KEYD_SESSIONS_H
#define HSM_KEYD_SESSIONS_H

#include "hsm/keyd/keyd.h"

#define SESSIONS_MAX 4096
#define SESSION_LIFETIME 3600 /* seconds */
#define SESSION_IDLE 30	      /* seconds after which the caller's cap may evict it */

struct reply_to;

int sessions_new(struct sessions **s, struct err *e);

/* Lane 0: answers an opening (appended to out). Errors: BAD_FRAME, BAD_VERSION,
 * BAD_PROOF, UNKNOWN_USER, WRONG_STATE, BUSY. Reading lock held. */
int sessions_open(struct keyd *k, const void *msg, size_t n, struct buf *out, struct err *e);

/* Any lane: finds the session of a sealed message, opens it into plain (n -
 * SEAL_OVERHEAD bytes) and accepts its counter. caller is the NKey of the subject.
 * Fills the reply's key and head. Errors: NO_SESSION, BAD_PROOF, REPLAYED, BUSY (the
 * caller's cap, on the first message). */
int sessions_take(struct keyd *k, const uint8_t caller[static 32], const void *msg, size_t n,
		  uint8_t *plain, struct reply_to *to, struct err *e);

/* Ends one; unknown ids are fine. */
void sessions_close(struct keyd *k, uint64_t id);
/* Number of sessions that were used and have not expired. */
uint32_t sessions_count(struct keyd *k);

#endif
