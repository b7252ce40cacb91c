#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hsm/front/front.h"
#include "proto/request.h"
#include "proto/session.h"

#define OPEN_MAX 1024 /* bytes of an opening; those of today have OPEN_LEN */
#define PENDING_BYTES (64 << 20)
#define SRV_ALL "$SRV.>"

/* Takes over where the reply goes; false: the message is dropped and counted. */
static bool begin(struct front *f, enum endpoint ep, natsMsg *msg, struct pending *q)
{
	const char *reply = natsMsg_GetReply(msg);
	size_t n = subject_reply_ok(reply);

	if (n && ep != EP_OPEN && !subject_inbox_own(natsMsg_GetSubject(msg), reply))
		n = 0;
	if (!n) {
		front_drop(f, reply && *reply ? DROP_BAD_REPLY : DROP_NO_REPLY);
		return false;
	}
	q->ep = ep;
	q->plain = NULL;
	q->since = front_ticks();
	q->reply_len = n;
	memcpy(q->reply, reply, n + 1);
	return true;
}

static void on_open(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg)
{
	size_t n = (size_t)natsMsg_GetDataLength(msg);
	struct front *f = arg;
	struct pending q;
	struct err e;

	(void)nc;
	(void)sub;
	if (begin(f, EP_OPEN, msg, &q)) {
		int rc = n <= OPEN_MAX ? lanes_send(f->lanes, W_OPEN, &q, NULL, 0,
						    natsMsg_GetData(msg), n, &e)
				       : err_set(&e, ERR_TOO_LARGE, "this is no opening");

		if (rc)
			answer_error(f, &q, NULL, &e);
	}
	natsMsg_Destroy(msg);
}

static int pass_sealed(struct front *f, const struct pending *q, const natsMsg *msg, struct err *e)
{
	uint32_t max = atomic_load_explicit(&f->max_message, memory_order_relaxed);
	size_t n = (size_t)natsMsg_GetDataLength(msg);
	uint8_t caller[32];

	if (n > (size_t)max + REQUEST_OVERHEAD + SEAL_OVERHEAD)
		return err_set(e, ERR_TOO_LARGE, "a request has at most %u bytes", max);
	if (subject_caller(caller, natsMsg_GetSubject(msg), e))
		return -1;
	return lanes_send(f->lanes, W_SEALED, q, caller, sizeof(caller), natsMsg_GetData(msg), n,
			  e);
}

static void on_session(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg)
{
	struct front *f = arg;
	struct pending q;
	struct err e;

	(void)nc;
	(void)sub;
	if (begin(f, EP_SESSION, msg, &q) && pass_sealed(f, &q, msg, &e))
		answer_error(f, &q, NULL, &e);
	natsMsg_Destroy(msg);
}

static int pass_plain(struct front *f, struct pending *q, struct plain_call *c, natsMsg *msg,
		      struct err *e)
{
	struct plain_in in = {.subject = natsMsg_GetSubject(msg),
			      .body = natsMsg_GetData(msg),
			      .len = (size_t)natsMsg_GetDataLength(msg)};

	if (natsMsgHeader_Get(msg, HDR_MODE, &in.mode) != NATS_OK)
		in.mode = NULL;
	if (natsMsgHeader_Get(msg, HDR_SIGNATURE, &in.signature) != NATS_OK)
		in.signature = NULL;
	f->plain.max_message = atomic_load_explicit(&f->max_message, memory_order_relaxed);
	if (plain_request(c, &f->plain, &in, e))
		return -1;
	q->plain = malloc(sizeof(*q->plain));
	if (!q->plain)
		return err_set(e, ERR_NOMEM, NULL);
	*q->plain = *c;
	if (lanes_send(f->lanes, W_PLAIN, q, NULL, 0, f->plain.request.p, f->plain.request.len,
		       e) == 0)
		return 0;
	free(q->plain);
	q->plain = NULL;
	return -1;
}

static void on_plain(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg)
{
	struct plain_call c = {0};
	struct front *f = arg;
	struct pending q;
	struct err e;

	(void)nc;
	(void)sub;
	if (begin(f, EP_PLAIN, msg, &q) && pass_plain(f, &q, &c, msg, &e))
		answer_error(f, &q, &c, &e);
	natsMsg_Destroy(msg);
}

static void on_srv(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *arg)
{
	const char *reply = natsMsg_GetReply(msg);
	struct front *f = arg;

	(void)nc;
	(void)sub;
	/* Other services' messages pass here too: no word about those. */
	if (subject_reply_ok(reply))
		discovery_answer(f, natsMsg_GetSubject(msg), reply);
	natsMsg_Destroy(msg);
}

/* ---- subscriptions ---- */

static void unsubscribe(natsSubscription **sub)
{
	if (!*sub)
		return;
	(void)natsSubscription_Unsubscribe(*sub);
	natsSubscription_Destroy(*sub);
	*sub = NULL;
}

/* Each subscription has its own thread in nats.c. */
static int subscribe(struct front *f, natsSubscription **sub, const char *subject,
		     const char *group, natsMsgHandler handler, struct err *e)
{
	natsStatus s = group ? natsConnection_QueueSubscribe(sub, f->nc, subject, group, handler, f)
			     : natsConnection_Subscribe(sub, f->nc, subject, handler, f);

	if (s == NATS_OK)
		s = natsSubscription_SetPendingLimits(*sub, FRONT_PENDING, PENDING_BYTES);
	return conn_err(e, s, subject);
}

int route_discovery(struct front *f, struct err *e)
{
	return subscribe(f, &f->srv, SRV_ALL, NULL, on_srv, e);
}

int route_update(struct front *f, struct err *e)
{
	char open[128], session[128];

	pthread_mutex_lock(&f->mu);
	bool known = f->known;
	struct front_state s = f->state;

	pthread_mutex_unlock(&f->mu);
	if (!known || (f->subscribed && strcmp(s.identity, f->sub_identity) == 0 &&
		       strcmp(s.instance, f->sub_instance) == 0))
		return 0;
	for (unsigned i = 0; i < EP_COUNT; i++)
		unsubscribe(&f->subs[i]);
	memcpy(f->sub_identity, s.identity, sizeof(f->sub_identity));
	memcpy(f->sub_instance, s.instance, sizeof(f->sub_instance));
	(void)snprintf(open, sizeof(open), "%s%s", SUBJECT_OPEN, s.identity);
	(void)snprintf(session, sizeof(session), "%s%s.*", SUBJECT_SESSION, s.instance);
	if (subscribe(f, &f->subs[EP_SESSION], session, NULL, on_session, e) ||
	    subscribe(f, &f->subs[EP_PLAIN], SUBJECT_PLAIN_ALL, QUEUE_GROUP, on_plain, e) ||
	    (s.identity[0] && subscribe(f, &f->subs[EP_OPEN], open, QUEUE_GROUP, on_open, e)))
		return -1;
	f->subscribed = true;
	log_info("serving", "identity", s.identity[0] ? s.identity : "none", "instance",
		 s.instance);
	return 0;
}

void route_drain(struct front *f, int64_t ms)
{
	uint64_t until = front_ticks() + (uint64_t)ms * 1000000;

	for (unsigned i = 0; i < EP_COUNT; i++)
		if (f->subs[i])
			(void)natsSubscription_DrainTimeout(f->subs[i], ms);
	for (unsigned i = 0; i < EP_COUNT; i++) {
		uint64_t now = front_ticks();

		if (f->subs[i] && now < until)
			(void)natsSubscription_WaitForDrainCompletion(
				f->subs[i], (int64_t)((until - now) / 1000000) + 1);
	}
}

void route_stop(struct front *f)
{
	for (unsigned i = 0; i < EP_COUNT; i++)
		unsubscribe(&f->subs[i]);
	unsubscribe(&f->srv);
}
