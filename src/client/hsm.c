#include "client/hsm.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/secret.h"
#include "client/epoch.h"
#include "client/state.h"
#include "crypto/crypto.h"

#define MESSAGE_MAX (16u << 20) /* over any max_payload that makes sense */
#define EPOCH_SAVE_MS 1000
#define CONNECT_MIN_MS 2000

int64_t client_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t client_backoff(unsigned tries)
{
	int64_t ms = INT64_C(25) << (tries < 6 ? tries : 6);

	return ms < 500 ? ms : 500;
}

void client_wake(struct hsm_client *c, int64_t at)
{
	if (at >= c->wake_at)
		return;
	c->wake_at = at;
	pthread_cond_signal(&c->tick);
}

void client_epoch(struct hsm_client *c, uint64_t epoch)
{
	if (epoch <= c->epoch)
		return;
	c->epoch = epoch;
	if (c->epoch_file)
		client_wake(c, c->epoch_due ? c->epoch_due : 1);
}

static void wait_until(struct hsm_client *c, pthread_cond_t *cond, int64_t at)
{
	struct timespec ts = {at / 1000, at % 1000 * 1000000};

	if (at == NEVER)
		pthread_cond_wait(cond, &c->mu);
	else
		pthread_cond_timedwait(cond, &c->mu, &ts);
}

/* Writes the epoch when it is due, without the lock: a disk may be slow. */
static int64_t save_epoch(struct hsm_client *c, int64_t now)
{
	uint64_t epoch = c->epoch;

	if (!c->epoch_file || epoch <= c->epoch_saved)
		return NEVER;
	if (now < c->epoch_due)
		return c->epoch_due;
	pthread_mutex_unlock(&c->mu);
	/* A failure is told at close, which tries again. */
	int rc = epoch_raise(c->epoch_file, epoch, NULL);
	pthread_mutex_lock(&c->mu);
	if (rc == 0 && epoch > c->epoch_saved)
		c->epoch_saved = epoch;
	c->epoch_due = client_now() + EPOCH_SAVE_MS;
	return c->epoch > c->epoch_saved ? c->epoch_due : NEVER;
}

static void *timer(void *arg)
{
	struct hsm_client *c = arg;

	pthread_mutex_lock(&c->mu);
	while (!c->stop) {
		int64_t now = client_now(), at[3];

		c->wake_at = NEVER; /* whoever needs it sooner from here on says so */
		at[0] = opening_tick(c, now);
		at[1] = slot_tick(c, now);
		at[2] = save_epoch(c, now);
		for (unsigned i = 0; i < 3; i++)
			if (at[i] < c->wake_at)
				c->wake_at = at[i];
		while (!c->stop && client_now() < c->wake_at)
			wait_until(c, &c->tick, c->wake_at);
	}
	pthread_mutex_unlock(&c->mu);
	return NULL;
}

/* Slot and generation of a reply subject; false for anything else. */
static bool token(const struct hsm_client *c, const char *subject, unsigned *slot, uint32_t *gen)
{
	uint8_t raw[TOKEN_LEN / 2];

	if (strncmp(subject, c->inbox, c->inbox_len) != 0 ||
	    strlen(subject) != c->inbox_len + TOKEN_LEN ||
	    enc_unhex(raw, sizeof(raw), subject + c->inbox_len))
		return false;
	*slot = (unsigned)raw[0] << 8 | raw[1];
	*gen = (uint32_t)raw[2] << 24 | (uint32_t)raw[3] << 16 | (uint32_t)raw[4] << 8 | raw[5];
	return true;
}

static void on_message(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	struct hsm_client *c = arg;
	int64_t now = client_now();
	int pending = 0;
	unsigned slot;
	uint32_t gen;

	(void)nc;
	if (!token(c, natsMsg_GetSubject(m), &slot, &gen)) {
		natsMsg_Destroy(m);
		return;
	}
	pthread_mutex_lock(&c->mu);
	c->handler = pthread_self();
	c->have_handler = true;
	if (c->stop)
		;
	else if (slot == TOKEN_OPENING)
		opening_answer(c, gen, m, now);
	else
		slot_answer(c, slot, gen, m, now);
	/* What callbacks submitted leaves when the answers that are here are through: a
	 * batch goes out for a batch that came in. */
	if (c->batch &&
	    (natsSubscription_GetPending(sub, &pending, NULL) != NATS_OK || pending == 0))
		slot_batch_send(c);
	pthread_mutex_unlock(&c->mu);
	natsMsg_Destroy(m);
}

/* nats.c ends the thread of callbacks some time after the connection. */
static void on_sub_end(void *arg)
{
	struct hsm_client *c = arg;

	pthread_mutex_lock(&c->mu);
	c->sub_ended = true;
	pthread_cond_broadcast(&c->idle);
	pthread_mutex_unlock(&c->mu);
}

static void on_event(void *arg, enum conn_event ev, const char *what)
{
	struct hsm_client *c = arg;

	if (ev != CONN_UP && ev != CONN_SLOW)
		return;
	pthread_mutex_lock(&c->mu);
	if (ev == CONN_SLOW) {
		/* What the server does not permit it drops: this is all that is heard. */
		err_set(&c->opening.hint, ERR_DENIED, "NATS: %s", what);
		for (char *p = c->opening.hint.text; *p; p++)
			if (*p < ' ' || *p > '~')
				*p = '?';
		pthread_mutex_unlock(&c->mu);
		return;
	}
	/* Answers on the way were lost with the old connection. */
	slot_resend(c, NULL);
	if (c->opening.active) {
		c->opening.due = client_now();
		client_wake(c, 1);
	}
	pthread_mutex_unlock(&c->mu);
}

static bool own_thread(const struct hsm_client *c)
{
	pthread_t self = pthread_self();

	return (c->have_handler && pthread_equal(self, c->handler)) ||
	       (c->have_timer && pthread_equal(self, c->timer));
}

static int init(struct hsm_client *c, const struct hsm_opts *o, struct err *e)
{
	unsigned n = o->in_flight ? o->in_flight : HSM_IN_FLIGHT;
	pthread_condattr_t attr;

	pthread_mutex_init(&c->mu, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->tick, &attr);
	pthread_cond_init(&c->room, &attr);
	pthread_cond_init(&c->idle, &attr);
	pthread_condattr_destroy(&attr);
	c->wake_at = NEVER;
	c->sub_ended = true; /* until there is one */
	c->batch_end = &c->batch;
	c->deadline_ms = o->deadline_ms;
	c->try_ms = o->try_ms ? o->try_ms : HSM_TRY_MS;
	c->tries = o->tries;
	c->counter_limit = o->counter_limit ? o->counter_limit : UINT64_C(1) << 32;
	buf_init(&c->out, MESSAGE_MAX);
	buf_init(&c->plain, MESSAGE_MAX);
	c->out.secret = c->plain.secret = true;
	if (o->caller->kind != NKEY_USER)
		return err_set(e, ERR_WRONG_NKEY, "the caller's NKey is of kind %s, not user",
			       nkey_kind_name(o->caller->kind));
	if (n > HSM_IN_FLIGHT_MAX)
		return err_set(e, ERR_USAGE, "at most %d requests at a time", HSM_IN_FLIGHT_MAX);
	c->slots = calloc(n, sizeof(*c->slots));
	c->static_secret = secret_alloc(32);
	c->opening.noise = secret_alloc((sizeof(*c->opening.noise) + 15) / 16 * 16);
	if (!c->slots || !c->static_secret || !c->opening.noise)
		return err_set(e, ERR_NOMEM, NULL);
	c->nslots = n;
	for (unsigned i = n; i-- > 0;) {
		buf_init(&c->slots[i].keep, MESSAGE_MAX);
		c->slots[i].keep.secret = true;
		c->slots[i].next = c->free;
		c->free = &c->slots[i];
	}
	return 0;
}

static int identify(struct hsm_client *c, const struct hsm_opts *o, struct err *e)
{
	char x[NKEY_PUB_LEN];

	nkey_x25519_secret(o->caller, c->static_secret);
	nkey_encode(c->user, NKEY_USER, o->caller->pub);
	memcpy(c->identity, o->identity, sizeof(c->identity));
	nkey_encode(x, NKEY_CURVE, o->identity);
	(void)snprintf(c->open_subject, sizeof(c->open_subject), "hsm.open.%s", x);
	if (!o->epoch_file)
		return 0;
	c->epoch_file = strdup(o->epoch_file);
	if (!c->epoch_file)
		return err_set(e, ERR_NOMEM, NULL);
	if (epoch_load(c->epoch_file, &c->epoch, e))
		return -1;
	c->epoch_saved = c->epoch;
	return 0;
}

static int connect_nats(struct hsm_client *c, const struct hsm_opts *o, struct err *e)
{
	struct conn_opts co = o->conn;
	uint8_t tag[8];
	char hex[ENC_HEX_LEN(sizeof(tag))], subject[INBOX_MAX + 2];
	natsStatus st;
	int n;

	co.event = on_event;
	co.event_arg = c;
	/* A short deadline of requests is none for TLS, which comes once. */
	if (!co.timeout_ms && c->deadline_ms)
		co.timeout_ms = c->deadline_ms < CONNECT_MIN_MS ? CONNECT_MIN_MS : c->deadline_ms;
	if (conn_open(&c->conn, &co, e))
		return -1;
	crypto_random(tag, sizeof(tag));
	enc_hex(hex, tag, sizeof(tag));
	n = snprintf(c->inbox, sizeof(c->inbox), "%s.%s.", conn_inbox(c->conn), hex);
	if (n < 0 || (size_t)n >= sizeof(c->inbox))
		return err_set(e, ERR_BAD_INPUT, "the inbox prefix is too long");
	c->inbox_len = (size_t)n;
	(void)snprintf(subject, sizeof(subject), "%s*", c->inbox);
	st = natsConnection_Subscribe(&c->sub, conn_nats(c->conn), subject, on_message, c);
	if (st == NATS_OK)
		st = natsSubscription_SetOnCompleteCB(c->sub, on_sub_end, c);
	c->sub_ended = st != NATS_OK;
	if (conn_err(e, st, "subscribing to the inbox"))
		return -1;
	if (pthread_create(&c->timer, NULL, timer, c))
		return err_set(e, ERR_NOMEM, "no thread");
	c->have_timer = true;
	return 0;
}

int hsm_open(struct hsm_client **out, const struct hsm_opts *o, struct err *e)
{
	struct hsm_client *c = calloc(1, sizeof(*c));

	*out = NULL;
	if (!c)
		return err_set(e, ERR_NOMEM, NULL);
	if (init(c, o, e) || identify(c, o, e) || connect_nats(c, o, e)) {
		(void)hsm_close(c, NULL);
		return -1;
	}
	*out = c;
	return 0;
}

static void end_all(struct hsm_client *c)
{
	struct err e;

	err_set(&e, ERR_UNAVAILABLE, "the client is closing");
	for (unsigned i = 0; i < c->nslots; i++)
		if (c->slots[i].state != SLOT_FREE)
			slot_end(c, &c->slots[i], NULL, &e);
}

int hsm_close(struct hsm_client *c, struct err *e)
{
	int rc = 0;

	if (!c)
		return 0;
	pthread_mutex_lock(&c->mu);
	c->stop = true;
	pthread_cond_signal(&c->tick);
	pthread_mutex_unlock(&c->mu);
	if (c->have_timer)
		pthread_join(c->timer, NULL);
	pthread_mutex_lock(&c->mu);
	slot_goodbye(c);
	pthread_mutex_unlock(&c->mu);
	conn_close(c->conn);
	pthread_mutex_lock(&c->mu);
	while (!c->sub_ended)
		pthread_cond_wait(&c->idle, &c->mu);
	end_all(c);
	pthread_mutex_unlock(&c->mu);
	if (c->epoch_file && c->epoch > c->epoch_saved)
		rc = epoch_raise(c->epoch_file, c->epoch, e);
	natsSubscription_Destroy(c->sub);
	opening_unref(c->cur);
	for (unsigned i = 0; i < c->nslots; i++)
		buf_free(&c->slots[i].keep);
	buf_free(&c->out);
	buf_free(&c->plain);
	secret_free(c->static_secret);
	secret_free(c->opening.noise);
	pthread_cond_destroy(&c->tick);
	pthread_cond_destroy(&c->room);
	pthread_cond_destroy(&c->idle);
	pthread_mutex_destroy(&c->mu);
	free(c->epoch_file);
	free(c->slots);
	free(c);
	return rc;
}

/* With the lock held. */
static int submit(struct hsm_client *c, const struct hsm_request *q, hsm_done *done, void *arg,
		  struct err *e)
{
	bool own = own_thread(c);
	struct slot *s;

	while (!c->free && !c->stop) {
		if (own || q->flags & HSM_NOWAIT)
			return err_set(e, ERR_BUSY, "%u requests are in flight", c->nslots);
		pthread_cond_wait(&c->room, &c->mu);
	}
	if (c->stop)
		return err_set(e, ERR_UNAVAILABLE, "the client is closing");
	s = slot_take(c, q, done, arg, e);
	if (!s)
		return -1;
	if (own && c->have_handler && pthread_equal(pthread_self(), c->handler))
		slot_batch(c, s);
	else
		slot_send(c, s, q->flags & HSM_MORE, client_now());
	return 0;
}

int hsm_submit(struct hsm_client *c, const struct hsm_request *q, hsm_done *done, void *arg,
	       struct err *e)
{
	int rc;

	pthread_mutex_lock(&c->mu);
	rc = submit(c, q, done, arg, e);
	pthread_mutex_unlock(&c->mu);
	return rc;
}

int hsm_wait_idle(struct hsm_client *c, int64_t ms, struct err *e)
{
	int64_t until = client_now() + ms;
	int rc = 0;

	pthread_mutex_lock(&c->mu);
	if (own_thread(c))
		rc = err_set(e, ERR_USAGE, "hsm_wait_idle in a callback");
	while (rc == 0 && c->busy && client_now() < until)
		wait_until(c, &c->idle, until);
	if (rc == 0 && c->busy)
		rc = err_set(e, ERR_TIMEOUT, "%u requests are still in flight", c->busy);
	pthread_mutex_unlock(&c->mu);
	return rc;
}

struct waiter {
	struct hsm_client *c;
	pthread_cond_t cond;
	bool done;
	int rc;
	struct buf *body;
	struct hsm_result r;
	struct err *e;
};

static void wake_waiter(void *arg, const struct hsm_result *r, const struct err *e)
{
	struct waiter *w = arg;

	w->r = *r;
	w->r.body = (struct bytes){0};
	w->rc = e ? -1 : 0;
	if (e && w->e)
		*w->e = *e;
	if (!e && w->body) {
		buf_put(w->body, r->body.p, r->body.len);
		if (w->body->bad)
			w->rc = err_set(w->e, ERR_TOO_LARGE, "the answer is too large");
		else if (r->body.len)
			w->r.body = (struct bytes){w->body->p + w->body->len - r->body.len,
						   r->body.len};
	}
	pthread_mutex_lock(&w->c->mu);
	w->done = true;
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->c->mu);
}

int hsm_call(struct hsm_client *c, const struct hsm_request *q, struct buf *body,
	     struct hsm_result *r, struct err *e)
{
	struct waiter w = {.c = c, .body = body, .e = e};
	int rc;

	pthread_cond_init(&w.cond, NULL);
	pthread_mutex_lock(&c->mu);
	if (own_thread(c))
		rc = err_set(e, ERR_USAGE, "hsm_call in a callback");
	else
		rc = submit(c, q, wake_waiter, &w, e);
	while (rc == 0 && !w.done)
		pthread_cond_wait(&w.cond, &c->mu);
	pthread_mutex_unlock(&c->mu);
	pthread_cond_destroy(&w.cond);
	if (r)
		*r = w.r;
	return rc ? rc : w.rc;
}

uint64_t hsm_epoch(struct hsm_client *c)
{
	uint64_t v;

	pthread_mutex_lock(&c->mu);
	v = c->epoch;
	pthread_mutex_unlock(&c->mu);
	return v;
}

int hsm_epoch_accept(struct hsm_client *c, uint64_t epoch, struct err *e)
{
	pthread_mutex_lock(&c->mu);
	c->epoch = c->epoch_saved = epoch;
	pthread_mutex_unlock(&c->mu);
	return c->epoch_file ? epoch_set(c->epoch_file, epoch, e) : 0;
}

int hsm_ready(struct hsm_client *c, uint32_t *max_message, struct err *e)
{
	struct hsm_request q = {.op = OP_state, .flags = HSM_ANY_EPOCH};
	bool known;

	pthread_mutex_lock(&c->mu);
	known = c->cur != NULL;
	pthread_mutex_unlock(&c->mu);
	if (!known && hsm_call(c, &q, NULL, NULL, e))
		return -1;
	pthread_mutex_lock(&c->mu);
	/* The session may have ended just now: what it told stays true. */
	*max_message = c->max_message;
	pthread_mutex_unlock(&c->mu);
	return 0;
}
