/* Inside of a client; only the files of this folder that run it include this. */
#ifndef CLIENT_STATE_H
#define CLIENT_STATE_H

#include <pthread.h>

#include "client/hsm.h"
#include "proto/request.h"
#include "proto/session.h"

#define NEVER INT64_MAX
#define TOKEN_LEN 12 /* hex: 4 of the slot, 8 of its generation */
#define TOKEN_OPENING 0xffff
#define INBOX_MAX 256
#define BATCH_MAX 64 /* requests that callbacks submit before they are sent */

/* In secret memory; refs: the client's current one, and slots that were sent in it. */
struct session {
	struct noise_keys keys;
	struct session_grant grant;
	uint64_t counter; /* last that was used */
	int64_t renew_at, void_at;
	int64_t heard_at; /* last proven answer */
	unsigned refs;
	char subject[sizeof("hsm.i..") + 2 * INSTANCE_LEN + NKEY_PUB_LEN];
};

enum slot_state {
	SLOT_FREE,
	SLOT_QUEUED,  /* on the list of those that leave with the next batch */
	SLOT_WAITING, /* for a session (retry_at 0) or for its turn to be sent again */
	SLOT_SENT,
};

struct slot {
	enum slot_state state;
	uint32_t gen;	     /* of the token; grows with each use */
	struct slot *next;   /* of the free list or the batch */
	struct request req;  /* fields point into keep */
	struct buf keep;     /* key name and body, wiped */
	struct session *ses; /* of the last try, with counter: what an answer must match */
	uint64_t counter;
	uint64_t epoch; /* highest known at the last try: an answer is not older */
	unsigned tries, flags;
	bool mutates;
	int64_t try_ms, deadline, span, retry_at;
	struct err hint; /* OK: none */
	hsm_done *done;
	void *arg;
};

struct opening {
	bool active; /* one is out, noise is its state */
	uint32_t gen;
	int64_t due;	    /* active: given up then; else: not before this */
	unsigned tries;	    /* since the last that worked */
	unsigned refused;   /* how often in a row with this hint */
	int64_t refused_at; /* the first of these */
	struct err hint;
	struct noise *noise; /* secret memory */
};

struct hsm_client {
	pthread_mutex_t mu; /* everything below; never held over a callback */
	pthread_cond_t tick, room, idle;
	pthread_t timer, handler;
	bool have_timer, have_handler, stop;
	bool sub_ended;	 /* no callback of the subscription runs any more */
	int64_t wake_at; /* when the timer looks again */

	struct conn *conn;
	natsSubscription *sub;
	uint8_t *static_secret; /* X25519 form of the caller's NKey, secret memory */
	uint8_t identity[32];
	char user[NKEY_PUB_LEN];
	char open_subject[sizeof("hsm.open.") + NKEY_PUB_LEN];
	char inbox[INBOX_MAX]; /* prefix of reply subjects, with the dot */
	size_t inbox_len;
	int64_t deadline_ms; /* 0: of the operation */
	int64_t try_ms;
	unsigned tries;
	uint64_t counter_limit;

	struct opening opening;
	struct session *cur;
	uint32_t max_message; /* of the last session */
	struct slot *slots, *free, *batch, **batch_end;
	unsigned nslots, nbatch;
	unsigned busy;	  /* requests whose callback has not returned */
	struct buf out;	  /* message being sealed */
	struct buf plain; /* answer that was opened; only the handler's thread uses it */

	char *epoch_file;
	uint64_t epoch, epoch_saved;
	int64_t epoch_due; /* not written again before this */
};

int64_t client_now(void);
/* The timer looks at `at` or before. */
void client_wake(struct hsm_client *c, int64_t at);
/* Milliseconds before try n + 1. */
int64_t client_backoff(unsigned tries);
/* Remembers an epoch from a proven answer of an operational HSM. */
void client_epoch(struct hsm_client *c, uint64_t epoch);

/* --- opening.c: sessions --- */

/* Current session, NULL when there is none that can be used; then, and when it nears
 * its end, an opening is on its way. */
struct session *opening_session(struct hsm_client *c, int64_t now);
/* The session is of no use: a new one is needed. */
void opening_void(struct hsm_client *c, struct session *s);
void opening_unref(struct session *s);
/* Answer on the opening's token. */
void opening_answer(struct hsm_client *c, uint32_t gen, natsMsg *m, int64_t now);
/* Gives up or starts openings that are due; returns when to look again. */
int64_t opening_tick(struct hsm_client *c, int64_t now);

/* --- slot.c: requests --- */

/* A free slot filled from q, NULL with *e. */
struct slot *slot_take(struct hsm_client *c, const struct hsm_request *q, hsm_done *done, void *arg,
		       struct err *e);
/* Sends or lets it wait; more: others follow. May end the request. */
void slot_send(struct hsm_client *c, struct slot *s, bool more, int64_t now);
/* Ends a request: frees the slot, runs the callback without the lock. e NULL: done. */
void slot_end(struct hsm_client *c, struct slot *s, const struct hsm_result *r,
	      const struct err *e);
/* Tells the service that the session is not needed any more. */
void slot_goodbye(struct hsm_client *c);
/* A request of a callback, and sending what callbacks submitted. */
void slot_batch(struct hsm_client *c, struct slot *s);
void slot_batch_send(struct hsm_client *c);
void slot_answer(struct hsm_client *c, unsigned index, uint32_t gen, natsMsg *m, int64_t now);
/* Sends what waited for a session. */
void slot_release(struct hsm_client *c, int64_t now);
/* The opening was refused for good: requests that were never sent fail with e. */
void slot_refuse(struct hsm_client *c, const struct err *e);
/* Answers may have been lost (reconnected): everything that is out is sent again; with
 * a session: only what went to another instance than its. */
void slot_resend(struct hsm_client *c, const struct session *now);
/* Deadlines and repeats that are due; returns when to look again. */
int64_t slot_tick(struct hsm_client *c, int64_t now);

#endif
