/* A false HSM in this process, behind a real nats-server: it proves its identity and answers
 * what it is told to. */
#ifndef E2E_FAKE_HSM_H
#define E2E_FAKE_HSM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "client/hsm.h"
#include "conn/conn.h"
#include "proto/request.h"
#include "proto/session.h"

#define SESSIONS 256
#define IDEMS 4096

/* What goes wrong next; counters count down. */
struct knobs {
	atomic_int mute; /* requests without an answer */
	atomic_int lose; /* requests that are done, but whose answer is lost */
	atomic_int hint; /* forged refusals of this code before the true answer */
	atomic_int hint_code;
	atomic_int hint_only;	 /* … instead of it */
	atomic_int garbage;	 /* forged sealed answers before the true one */
	atomic_int busy;	 /* sealed BUSY */
	atomic_int swap;	 /* answers that go to each other's reply subject */
	atomic_int late;	 /* answers that come behind the next one */
	atomic_int refuse_open;	 /* openings refused with this code, all */
	atomic_int refuse_count; /* … only so many, 0: all */
	atomic_int mute_open;
	atomic_int other_identity;
	atomic_ullong epoch;
	atomic_int state;
};

struct fake_session {
	uint64_t id;
	struct noise_keys keys;
	struct replay replay;
};

struct fake_hsm {
	pthread_mutex_t mu; /* of what is not atomic */
	struct conn *conn;
	natsSubscription *open, *requests;
	uint8_t secret[32], pub[32], other_secret[32], other_pub[32];
	uint8_t instance[INSTANCE_LEN], boot[BOOT_ID_LEN];
	struct fake_session s[SESSIONS];
	struct knobs k;
	uint32_t lifetime, max_message;
	uint64_t next;
	uint8_t idem[IDEMS][IDEM_LEN];
	atomic_uint nidem, openings, requests_seen, forged_seen;
	uint8_t held[4096]; /* a swapped answer */
	size_t held_len;
	char held_reply[256];
	/* Body of an answer; NULL: that of the request. */
	void (*body)(struct fake_hsm *f, const struct request *q, struct buf *out);
};

/* Connects to the server and listens; f is {0} but for body. -1: "Bail out!" was printed. */
int fake_hsm_start(struct fake_hsm *f, const char *url);
void fake_hsm_stop(struct fake_hsm *f);
/* A new instance that knows nothing of the sessions of the one before. */
void fake_hsm_restart(struct fake_hsm *f);
/* Counts down; false at 0. */
bool fake_hsm_take(atomic_int *n);

#endif
