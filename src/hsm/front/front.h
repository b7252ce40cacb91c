/* hsm-front: the process that owns NATS and its credentials. It holds no key and no
 * secret of the HSM; keyd assumes it hostile. One `struct front` a process:
 *
 *   nats.c's threads → route.c (subjects to requests) → lanes.c → keyd
 *   keyd → lanes.c's threads → answer.c (results to messages) → NATS
 *   main thread: signals, subscriptions (route.c), end */
#ifndef HSM_FRONT_FRONT_H
#define HSM_FRONT_FRONT_H

#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "conn/conn.h"
#include "hsm/front/config.h"
#include "hsm/front/lanes.h"
#include "hsm/front/plain.h"
#include "hsm/front/renew.h"
#include "nkey/nkey.h"
#include "proto/control.h"

#define SERVICE_NAME "signbox-hsm"
#ifndef SIGNBOX_VERSION
#define SIGNBOX_VERSION "0.0.0"
#endif

/* Why a message was neither passed on nor answered; counted, logged now and then. */
enum drop { DROP_NO_REPLY, DROP_BAD_REPLY, DROP_SUBJECT, DROP_PUBLISH, DROP_COUNT };

struct endpoint_stats {
	_Alignas(64) _Atomic uint64_t requests;
	_Atomic uint64_t errors;
	_Atomic uint64_t ns; /* from the message to its reply, summed */
};

/* What keyd last said about itself, and its texts. */
struct front_state {
	struct hello hello;
	char identity[NKEY_PUB_LEN]; /* "": keyd has none */
	char instance[2 * INSTANCE_LEN + 1];
};

struct front {
	struct front_config cfg;
	struct conn *conn;
	natsConnection *nc;
	struct lanes *lanes;
	struct plain_work plain; /* of the one thread that delivers the plain subject */
	char id[2 * 11 + 1];	 /* of this service instance, for discovery */
	char started[32];	 /* RFC 3339 */
	int wake_fd;		 /* eventfd: the main thread has something to do */

	_Atomic bool lanes_ended;
	_Atomic bool refused; /* the server does not let us listen where we must */
	_Atomic uint32_t max_message;
	struct endpoint_stats stats[EP_COUNT];
	_Atomic uint64_t drops[DROP_COUNT];

	pthread_mutex_t mu; /* all below */
	bool known;	    /* state is there */
	struct front_state state;
	char last_error[EP_COUNT][224];

	/* main thread only */
	int status_fd; /* channel to hsmd, -1: none */
	uint8_t link;  /* enum wire_link, as last told, and why */
	enum err_code link_why;
	struct renew renew;
	bool subscribed;
	char sub_identity[NKEY_PUB_LEN], sub_instance[2 * INSTANCE_LEN + 1];
	natsSubscription *srv, *subs[EP_COUNT];
};

/* ---- route.c ---- */

/* Listens on $SRV. Errors: those of conn_err. */
int route_discovery(struct front *f, struct err *e);
/* Listens where the identity and instance of the last hello say; nothing changes when
 * they are as before or not known yet. Main thread. Errors: those of conn_err. */
int route_update(struct front *f, struct err *e);
/* Takes no new message and waits until those here are with keyd, at most ms. */
void route_drain(struct front *f, int64_t ms);
/* Takes no new message. */
void route_stop(struct front *f);

/* ---- answer.c ---- */

/* Publishes what keyd said to a request and counts it; releases q->plain. */
void answer_request(struct front *f, const struct pending *q, const struct answer *a);
/* The same for an error that the front itself gives. call: EP_PLAIN only, not released. */
void answer_error(struct front *f, const struct pending *q, const struct plain_call *call,
		  const struct err *e);
/* Logs what was dropped since the last call. */
void answer_log_drops(struct front *f);

/* ---- discovery.c ---- */

/* Answers a message on $SRV (ADR-32), if it is for this service. */
void discovery_answer(struct front *f, const char *subject, const char *reply);

static inline void front_drop(struct front *f, enum drop why)
{
	atomic_fetch_add_explicit(&f->drops[why], 1, memory_order_relaxed);
}

#endif
