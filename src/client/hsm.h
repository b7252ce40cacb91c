/* One C API to the signing service: the box, a PKCS#11 module and a gateway use it.
 * A client opens and renews its sessions by itself, pipelines, has a deadline for each
 * request and repeats what is safe to repeat, also across a restart of the service.
 * Any thread may use a client; nothing prints, exits or is global.
 *
 * Repeating: a request is sent again (new counter, new session where needed) when no
 * answer came in time, when the connection or the service went away, or when it said
 * BUSY. Operations that change something carry the same idempotency id each time, so
 * that they are done once. Only sealed answers are results. A refusal outside of a
 * session can be forged by whoever carries the messages and is a hint: it makes the
 * client reopen or repeat, and ends up in the text of the error at the deadline. One
 * exception: when openings are refused for a lasting reason (UNKNOWN_USER, DENIED, …)
 * and again 100 ms later (WRONG_STATE: for 1.5 s, as a service that starts unlocks
 * itself), requests fail with it at once, but not changes that were sent already. */
#ifndef CLIENT_HSM_H
#define CLIENT_HSM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "conn/conn.h"
#include "nkey/nkey.h"
#include "proto/op.h"

struct hsm_client;

#define HSM_IN_FLIGHT 64       /* default */
#define HSM_IN_FLIGHT_MAX 4096 /* half of the service's replay window */
#define HSM_DEADLINE_MS 5000   /* default, of a request */
#define HSM_SLOW_MS 30000      /* the same where a passphrase is checked or a key made */
#define HSM_TRY_MS 1000	       /* default, of one try */

/* Start with {0}; everything is copied. */
struct hsm_opts {
	struct conn_opts conn;	     /* event is taken by the client */
	const struct nkey *caller;   /* user NKey; its X25519 form and public key are kept */
	uint8_t identity[32];	     /* of the HSM, pinned (X…) */
	int64_t deadline_ms, try_ms; /* 0: the defaults */
	unsigned tries;		     /* of one request; 0: as many as the deadline allows */
	unsigned in_flight;	     /* most requests at a time */
	/* Highest epoch that was seen, kept over runs; NULL: in memory only. The file is
	 * made when missing, replaced in one step, at most once a second and at close. */
	const char *epoch_file;
	uint64_t counter_limit; /* messages of a session; 0: 2^32 (tests lower it) */
};

/* Connects to NATS; the first request opens the session. crypto_init() must have run.
 * Errors: of conn_open; WRONG_NKEY, BAD_INPUT (epoch file), NOMEM. */
int hsm_open(struct hsm_client **out, const struct hsm_opts *o, struct err *e);
/* Ends what is in flight with UNAVAILABLE (callbacks run), frees; NULL is fine. No
 * other thread may use it any more. -1 when the epoch could not be kept. */
int hsm_close(struct hsm_client *c, struct err *e);
static inline void cleanup_hsm(struct hsm_client **c)
{
	(void)hsm_close(*c, NULL);
}

enum hsm_flag {
	HSM_MORE = 1,	   /* others follow at once: may leave in one packet with them */
	HSM_NOWAIT = 2,	   /* BUSY instead of waiting when in_flight is reached */
	HSM_ANY_EPOCH = 4, /* an older epoch is no error, and a newer not remembered */
};

/* Everything is copied by submit. Start with {0}. */
struct hsm_request {
	enum op op;
	const char *key;      /* name, NULL where the operation has none */
	uint32_t key_version; /* 0: newest */
	uint8_t mode;	      /* enum sign_mode */
	const void *body;
	size_t len;
	int64_t deadline_ms; /* 0: of the client */
	unsigned flags;	     /* enum hsm_flag */
	/* 16 bytes, NULL: a new idempotency id. With the id of an earlier request of this
	 * caller, and all else as there, what that one changed is not done twice: for a
	 * caller who wants to go on after TIMEOUT, or after his own restart. */
	const uint8_t *idem;
};

struct hsm_result {
	enum hsm_state state;
	uint8_t mode; /* that was used; 0 where the operation has none */
	uint64_t epoch;
	unsigned tries; /* times the request was sent */
	struct bytes body;
};

/* Called once for each submitted request, from a thread of the client: e NULL and the
 * result, or the error (r then has what is known: state, epoch, tries). Both are gone
 * when it returns. It may submit (HSM_NOWAIT is implied), not call or wait. */
typedef void hsm_done(void *arg, const struct hsm_result *r, const struct err *e);

/* Takes a request; waits while in_flight are out. The callback may run before it
 * returns. Errors: TOO_LARGE, BAD_NAME, BUSY, NOMEM; then there is no callback. */
int hsm_submit(struct hsm_client *c, const struct hsm_request *q, hsm_done *done, void *arg,
	       struct err *e);
/* Waits until every callback has returned, at most ms. Errors: TIMEOUT, USAGE. */
int hsm_wait_idle(struct hsm_client *c, int64_t ms, struct err *e);

/* One request, waited for. The result's body is appended to body (NULL: dropped) and
 * r->body points to it; r may be NULL. Errors: the service's; TIMEOUT, UNAVAILABLE,
 * NO_RESPONDERS, EPOCH_BACK, WRONG_IDENTITY, … */
int hsm_call(struct hsm_client *c, const struct hsm_request *q, struct buf *body,
	     struct hsm_result *r, struct err *e);

/* Highest epoch seen; and taking a lower one on purpose, after accept_rollback. */
uint64_t hsm_epoch(struct hsm_client *c);
int hsm_epoch_accept(struct hsm_client *c, uint64_t epoch, struct err *e);
/* Waits for a session, so that what it tells is known: the largest request body in
 * bytes. Errors: as hsm_call. */
int hsm_ready(struct hsm_client *c, uint32_t *max_message, struct err *e);

#endif
