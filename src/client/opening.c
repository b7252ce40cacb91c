/* Sessions of a client: opened when a request needs one, renewed in the background
 * before they end, void after a hint that the service does not know them. */
#include <stdio.h>
#include <string.h>

#include "base/enc.h"
#include "base/secret.h"
#include "client/state.h"

#define OPEN_AGAIN_MS 20 /* between openings, however many hints ask for one */
#define CONFIRM_MS 100	 /* a refusal for a lasting reason must still stand after it … */
#define REFUSAL_MS 10000 /* refusals in a row are not further apart */
#define STARTING_MS 1500 /* … or this: a service that starts is locked for a moment */

void opening_unref(struct session *s)
{
	if (s && --s->refs == 0)
		secret_free(s);
}

/* Refusals that pass by themselves, and those that say nothing about the caller. */
static bool transient(enum err_code code)
{
	switch (code) {
	case ERR_BUSY:
	case ERR_SHUTTING_DOWN:
	case ERR_RATE_LIMITED:
	case ERR_UNAVAILABLE:
	case ERR_TIMEOUT:
	case ERR_NO_RESPONDERS:
	case ERR_NO_SESSION:
	case ERR_STALE_BOOT:
	case ERR_INTERNAL:
	case ERR_WRONG_IDENTITY:
	case ERR_BAD_FRAME:
		return true;
	default:
		return false;
	}
}

static void postpone(struct hsm_client *c, int64_t ms, int64_t now)
{
	c->opening.active = false;
	c->opening.due = now + ms;
	client_wake(c, c->opening.due);
}

static void start(struct hsm_client *c, int64_t now)
{
	struct opening *o = &c->opening;
	char reply[INBOX_MAX + TOKEN_LEN + 1];
	uint8_t msg[OPEN_LEN];
	struct buf b;
	natsStatus st;

	o->gen++;
	o->tries++;
	buf_fixed(&b, msg, sizeof(msg));
	if (session_open(o->noise, c->static_secret, c->identity, &b, &o->hint)) {
		postpone(c, client_backoff(o->tries), now);
		return;
	}
	(void)snprintf(reply, sizeof(reply), "%s%04x%08x", c->inbox, TOKEN_OPENING, o->gen);
	st = natsConnection_SendRequest(conn_nats(c->conn), c->open_subject, reply, b.p,
					(int)b.len);
	if (conn_err(&o->hint, st, "opening a session")) {
		postpone(c, client_backoff(o->tries), now);
		return;
	}
	o->active = true;
	o->due = now + c->try_ms;
	client_wake(c, o->due);
}

static void wanted(struct hsm_client *c, int64_t now)
{
	struct opening *o = &c->opening;

	if (o->active)
		return;
	if (now >= o->due)
		start(c, now);
	else
		client_wake(c, o->due);
}

struct session *opening_session(struct hsm_client *c, int64_t now)
{
	struct session *s = c->cur;

	if (s && (now >= s->void_at || s->counter >= c->counter_limit)) {
		opening_void(c, s);
		s = NULL;
	}
	/* An eighth of the counters is left for what is sent until the next is open. */
	if (!s || now >= s->renew_at || s->counter >= c->counter_limit - c->counter_limit / 8)
		wanted(c, now);
	return s;
}

void opening_void(struct hsm_client *c, struct session *s)
{
	if (s && c->cur == s) {
		c->cur = NULL;
		opening_unref(s);
	}
}

/* Takes the granted session as the current one. */
static void opened(struct hsm_client *c, const struct session_grant *g,
		   const struct noise_keys *keys, int64_t now)
{
	/* guarded memory ends at a page: a size of whole 16s keeps it aligned */
	struct session *s = secret_alloc((sizeof(*s) + 15) / 16 * 16);
	char hex[ENC_HEX_LEN(INSTANCE_LEN)];

	if (!s) {
		err_set(&c->opening.hint, ERR_NOMEM, NULL);
		postpone(c, client_backoff(c->opening.tries), now);
		return;
	}
	s->grant = *g;
	s->keys = *keys;
	s->refs = 1;
	s->heard_at = now;
	s->renew_at = now + (int64_t)g->lifetime * 800;
	s->void_at = now + (int64_t)g->lifetime * 1000;
	enc_hex(hex, g->instance, INSTANCE_LEN);
	(void)snprintf(s->subject, sizeof(s->subject), "hsm.i.%s.%s", hex, c->user);
	opening_unref(c->cur);
	c->cur = s;
	c->max_message = g->max_message;
	c->opening.active = false;
	c->opening.due = now + OPEN_AGAIN_MS;
	c->opening.tries = c->opening.refused = 0;
	c->opening.hint.code = ERR_OK;
	if (g->state == STATE_OPERATIONAL)
		client_epoch(c, g->epoch);
	/* What went to an instance that is gone gets no answer: slow requests, which are not
	 * repeated for long, would wait for nothing. */
	slot_resend(c, s);
	slot_release(c, now);
}

/* What an opening can be refused for, for good. Whoever forges one must not choose the
 * result of a request: "signature does not verify", "exists already", "wrong passphrase". */
static bool lasting(enum err_code code)
{
	return code == ERR_UNKNOWN_USER || code == ERR_WRONG_STATE || code == ERR_BAD_PROOF ||
	       code == ERR_BAD_VERSION || code == ERR_TOO_LARGE;
}

static void refused(struct hsm_client *c, const struct err *why, int64_t now)
{
	struct opening *o = &c->opening;
	struct err e;

	/* Not proven to be the HSM: perhaps forged, the true answer may still come. */
	if (why->code == ERR_WRONG_IDENTITY || why->code == ERR_BAD_FRAME) {
		o->hint = *why;
		return;
	}
	o->refused = o->hint.code == why->code ? o->refused + 1 : 1;
	o->hint = *why;
	if (transient(why->code)) {
		postpone(c, client_backoff(o->tries), now);
		return;
	}
	/* One of long ago confirms nothing. */
	if (o->refused == 1 || now - o->refused_at > REFUSAL_MS) {
		o->refused = 1;
		o->refused_at = now;
	}
	postpone(c, CONFIRM_MS, now);
	if (o->refused >= 2 &&
	    now - o->refused_at >= (why->code == ERR_WRONG_STATE ? STARTING_MS : CONFIRM_MS)) {
		e = *why;
		if (!lasting(e.code))
			e.code = ERR_UNAVAILABLE;
		if (!*e.text)
			err_set(&e, e.code, NULL);
		err_wrap(&e, "the HSM opens no session for %s", c->user);
		o->refused = 0; /* what comes next is told twice again */
		slot_refuse(c, &e);
	}
}

void opening_answer(struct hsm_client *c, uint32_t gen, natsMsg *m, int64_t now)
{
	struct session_grant g;
	struct noise_keys keys;
	struct err e = {0};

	if (!c->opening.active || gen != c->opening.gen)
		return;
	if (natsMsg_IsNoResponders(m))
		err_set(&e, ERR_NO_RESPONDERS,
			"no HSM answers on %s: is it running, on this NATS, with this identity?",
			c->open_subject);
	else if (!session_opened(c->opening.noise, natsMsg_GetData(m),
				 (size_t)natsMsg_GetDataLength(m), &g, &keys, &e))
		opened(c, &g, &keys, now);
	if (e.code)
		refused(c, &e, now);
	secret_wipe(&keys, sizeof(keys));
}

int64_t opening_tick(struct hsm_client *c, int64_t now)
{
	struct opening *o = &c->opening;

	if (o->active && now >= o->due) {
		if (o->hint.code == ERR_OK)
			err_set(&o->hint, ERR_TIMEOUT, "no answer on %s", c->open_subject);
		o->active = false;
		o->due = now;
	}
	/* Sessions are opened for requests only: an idle client sends nothing. */
	if (c->busy && !c->cur)
		(void)opening_session(c, now);
	if (o->active || (c->busy && !c->cur))
		return o->due;
	return NEVER;
}
