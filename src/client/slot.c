/* Requests of a client: each has a slot from submit to callback. */
#include <stdio.h>
#include <string.h>

#include "client/state.h"
#include "crypto/crypto.h"
#include "proto/body.h"
#include "proto/control.h"

#define KEEP_MAX 65536 /* bytes that a free slot holds on to */

struct slot *slot_take(struct hsm_client *c, const struct hsm_request *q, hsm_done *done, void *arg,
		       struct err *e)
{
	const struct op_row *row = op_row(q->op);
	size_t keylen = q->key ? strlen(q->key) : 0;
	struct slot *s = c->free;
	int64_t now = client_now();

	if (!row) {
		err_set(e, ERR_UNKNOWN_OP, NULL);
		return NULL;
	}
	if (q->key && !name_valid(q->key, keylen)) {
		err_set(e, ERR_BAD_NAME,
			"'%.64s' is not a name: 1 to %d of letters, digits, _ . - , starting with "
			"a letter or digit",
			q->key, NAME_MAX_LEN);
		return NULL;
	}
	buf_put(&s->keep, q->key, keylen);
	buf_put(&s->keep, q->body, q->len);
	if (s->keep.bad) {
		buf_reset(&s->keep);
		err_set(e, ERR_TOO_LARGE, NULL);
		return NULL;
	}
	c->free = s->next;
	s->next = NULL;
	s->req = (struct request){
		.cred = CRED_NKEY,
		.op = (uint16_t)q->op,
		.key = {s->keep.p, keylen},
		.key_version = q->key_version,
		.mode = q->mode,
		.body = {s->keep.p + keylen, q->len},
	};
	s->mutates = row->flags & OPF_MUTATES;
	if (s->mutates && q->idem)
		memcpy(s->req.idem, q->idem, IDEM_LEN);
	else if (s->mutates)
		crypto_random(s->req.idem, IDEM_LEN);
	s->flags = q->flags;
	s->tries = 0;
	s->hint.code = ERR_OK;
	s->done = done;
	s->arg = arg;
	s->span = q->deadline_ms ? q->deadline_ms : c->deadline_ms;
	s->try_ms = c->try_ms;
	if (!s->span)
		s->span = row->flags & OPF_SLOW ? HSM_SLOW_MS : HSM_DEADLINE_MS;
	/* A passphrase takes its time, and its turn behind others'. */
	if (row->flags & OPF_SLOW)
		s->try_ms = s->span / 2;
	s->deadline = now + s->span;
	s->retry_at = 0;
	s->state = SLOT_WAITING;
	c->busy++;
	return s;
}

static void clear(struct hsm_client *c, struct slot *s)
{
	opening_unref(s->ses);
	s->ses = NULL;
	buf_reset(&s->keep);
	if (s->keep.cap > KEEP_MAX)
		buf_free(&s->keep);
	s->gen++;
	s->state = SLOT_FREE;
	s->next = c->free;
	c->free = s;
	pthread_cond_signal(&c->room);
}

void slot_end(struct hsm_client *c, struct slot *s, const struct hsm_result *r, const struct err *e)
{
	struct hsm_result none = {.tries = s->tries};
	hsm_done *done = s->done;
	void *arg = s->arg;

	/* Free before the callback, so that it can submit the next. */
	clear(c, s);
	pthread_mutex_unlock(&c->mu);
	done(arg, r ? r : &none, e);
	pthread_mutex_lock(&c->mu);
	if (--c->busy == 0)
		pthread_cond_broadcast(&c->idle);
}

static void later(struct hsm_client *c, struct slot *s, int64_t at)
{
	s->state = SLOT_WAITING;
	s->retry_at = at;
	client_wake(c, at && at < s->deadline ? at : s->deadline);
}

/* Seals the request as it stands into c->out. */
static void seal(struct hsm_client *c, struct request *q, struct session *ses)
{
	struct seal_head h = {SEAL_REQUEST, ses->grant.session, ++ses->counter};

	memcpy(q->boot_id, ses->grant.boot_id, BOOT_ID_LEN);
	buf_reset(&c->out);
	(void)buf_space(&c->out, SEAL_HEAD);
	request_encode(&c->out, q);
	if (!c->out.bad)
		seal_in_place(&c->out, 0, ses->keys.c2s, &h);
}

static void put_hex(char *p, uint32_t v, unsigned digits)
{
	static const char hex[] = "0123456789abcdef";

	while (digits--) {
		p[digits] = hex[v & 15];
		v >>= 4;
	}
}

void slot_send(struct hsm_client *c, struct slot *s, bool more, int64_t now)
{
	struct session *ses = opening_session(c, now);
	char reply[INBOX_MAX + TOKEN_LEN + 1];
	struct err e = {0};
	natsStatus st;

	if (!ses) {
		later(c, s, 0);
		return;
	}
	if (s->req.body.len > ses->grant.max_message) {
		err_set(&e, ERR_TOO_LARGE, "%zu bytes are too many for one request, at most %u",
			s->req.body.len, ses->grant.max_message);
		slot_end(c, s, NULL, &e);
		return;
	}
	seal(c, &s->req, ses);
	if (c->out.bad) {
		err_set(&e, ERR_NOMEM, NULL);
		slot_end(c, s, NULL, &e);
		return;
	}
	opening_unref(s->ses);
	s->ses = ses;
	ses->refs++;
	s->counter = ses->counter;
	s->epoch = c->epoch;
	s->tries++;
	memcpy(reply, c->inbox, c->inbox_len);
	put_hex(reply + c->inbox_len, (uint32_t)(s - c->slots), 4);
	put_hex(reply + c->inbox_len + 4, s->gen, 8);
	reply[c->inbox_len + TOKEN_LEN] = '\0';
	st = (more ? natsConnection_PublishRequest : natsConnection_SendRequest)(
		conn_nats(c->conn), ses->subject, reply, c->out.p, (int)c->out.len);
	if (conn_err(&s->hint, st, "sending the request")) {
		later(c, s, now + client_backoff(s->tries));
		return;
	}
	s->state = SLOT_SENT;
	s->retry_at = now + s->try_ms;
	client_wake(c, s->retry_at < s->deadline ? s->retry_at : s->deadline);
}

void slot_goodbye(struct hsm_client *c)
{
	struct request q = {.cred = CRED_NKEY, .op = OP_close};
	char reply[INBOX_MAX + TOKEN_LEN + 1];

	if (!c->cur || client_now() >= c->cur->void_at)
		return;
	seal(c, &q, c->cur);
	if (c->out.bad)
		return;
	/* The service wants a reply subject; nobody waits for the answer, and without
	 * this message the session ends by its age. */
	(void)snprintf(reply, sizeof(reply), "%s%04x%08x", c->inbox, TOKEN_OPENING, 0);
	(void)natsConnection_SendRequest(conn_nats(c->conn), c->cur->subject, reply, c->out.p,
					 (int)c->out.len);
}

void slot_batch(struct hsm_client *c, struct slot *s)
{
	s->state = SLOT_QUEUED;
	*c->batch_end = s;
	c->batch_end = &s->next;
	if (++c->nbatch >= BATCH_MAX)
		slot_batch_send(c);
}

void slot_batch_send(struct hsm_client *c)
{
	int64_t now = client_now();

	while (c->batch) {
		struct slot *s = c->batch;

		c->batch = s->next;
		s->next = NULL;
		c->nbatch--;
		if (!c->batch)
			c->batch_end = &c->batch;
		slot_send(c, s, c->batch != NULL, now);
	}
}

/* The error of a request whose time or tries are over. */
static void give_up(struct hsm_client *c, struct slot *s, const char *what)
{
	const struct err *hint = s->hint.code ? &s->hint : &c->opening.hint;
	enum err_code code = hint->code == ERR_OK ? ERR_TIMEOUT : ERR_UNAVAILABLE;
	struct err e;

	switch (hint->code) {
	case ERR_BUSY:
	case ERR_TIMEOUT:
	case ERR_NO_RESPONDERS:
	case ERR_DENIED:
	case ERR_WRONG_IDENTITY: /* of an opening that was never answered truly */
		code = hint->code;
		break;
	default:
		break;
	}
	err_set(&e, code, "%s%s%s%s", what, hint->code ? "; last sign of it: " : "",
		hint->code ? hint->text : "",
		s->mutates && s->tries
			? "; the change may have been made, look before you repeat it"
			: "");
	slot_end(c, s, NULL, &e);
}

static void repeat(struct hsm_client *c, struct slot *s, int64_t at, int64_t now)
{
	if (c->tries && s->tries >= c->tries) {
		give_up(c, s, "the HSM did not answer");
		return;
	}
	if (at <= now)
		slot_send(c, s, false, now);
	else
		later(c, s, at);
}

/* An unproven reason why this try will not be answered. */
static void hint(struct hsm_client *c, struct slot *s, const struct err *why, int64_t now)
{
	s->hint = *why;
	if (s->state != SLOT_SENT)
		return; /* its next try is planned already */
	switch (why->code) {
	case ERR_NO_SESSION:
	case ERR_STALE_BOOT:
	case ERR_BAD_PROOF:
	case ERR_UNKNOWN_USER:
	case ERR_NO_RESPONDERS:
		opening_void(c, s->ses);
		/* The first time at once: the service was restarted, most likely. */
		repeat(c, s, s->tries > 1 ? now + client_backoff(s->tries) : now, now);
		break;
	case ERR_REPLAYED: /* a copy on the way; the answer to the first is coming */
		break;
	default:
		repeat(c, s, now + client_backoff(s->tries), now);
		break;
	}
}

/* The file comes last, and whole or not: a command that is cut off helps nobody. */
static void epoch_back(const struct hsm_client *c, uint64_t now, uint64_t before, struct err *e)
{
	size_t len;

	err_set(e, ERR_EPOCH_BACK,
		"epoch %llu is older than %llu: the store was rolled back, or this is an attack; "
		"ask the administrator, then 'hsm identity accept-epoch'",
		(unsigned long long)now, (unsigned long long)before);
	len = strlen(e->text);
	if (c->epoch_file && len + strlen(c->epoch_file) + sizeof(" ()") <= sizeof(e->text))
		(void)snprintf(e->text + len, sizeof(e->text) - len, " (%s)", c->epoch_file);
}

/* A proven answer. */
static void answered(struct hsm_client *c, struct slot *s, const struct response *p, int64_t now)
{
	struct hsm_result r = {p->state, p->mode, p->epoch, s->tries, p->body};
	struct err e;

	if (p->error == ERR_BUSY || p->error == ERR_SHUTTING_DOWN || p->error == ERR_STALE_BOOT) {
		err_set(&s->hint, p->error, "%.*s", p->body.len > 200 ? 200 : (int)p->body.len,
			(const char *)p->body.p);
		if (p->error == ERR_STALE_BOOT)
			opening_void(c, s->ses);
		if (s->state == SLOT_SENT)
			repeat(c, s, now + client_backoff(s->tries), now);
		return;
	}
	if (p->state == STATE_OPERATIONAL && !(s->flags & HSM_ANY_EPOCH)) {
		/* Not c->epoch: answers to requests in parallel overtake each other. */
		if (p->epoch < s->epoch) {
			r.body.len = 0;
			epoch_back(c, p->epoch, s->epoch, &e);
			slot_end(c, s, &r, &e);
			return;
		}
		client_epoch(c, p->epoch);
	}
	if (p->error) {
		const struct err_row *row = err_row(p->error);

		r.body.len = 0;
		if (p->body.len)
			err_set(&e, (enum err_code)row->wire, "%.*s",
				p->body.len > 255 ? 255 : (int)p->body.len,
				(const char *)p->body.p);
		else
			err_set(&e, (enum err_code)row->wire, NULL);
		slot_end(c, s, &r, &e);
		return;
	}
	slot_end(c, s, &r, NULL);
}

void slot_answer(struct hsm_client *c, unsigned index, uint32_t gen, natsMsg *m, int64_t now)
{
	struct slot *s = index < c->nslots ? &c->slots[index] : NULL;
	const void *p = natsMsg_GetData(m);
	size_t n = (size_t)natsMsg_GetDataLength(m);
	struct response resp;
	struct seal_head h;
	struct err e = {0};
	uint8_t *plain;

	if (!s || s->state == SLOT_FREE || s->gen != gen || !s->ses)
		return;
	if (natsMsg_IsNoResponders(m)) {
		err_set(&e, ERR_NO_RESPONDERS, "no HSM answers on %s", s->ses->subject);
		hint(c, s, &e, now);
		return;
	}
	if (seal_head_get(&h, p, n, &e)) {
		hint(c, s, &e, now);
		return;
	}
	/* An answer to an earlier try, or no answer at all. */
	if (h.kind != SEAL_REPLY || h.session != s->ses->grant.session || h.counter != s->counter)
		return;
	buf_reset(&c->plain);
	plain = buf_space(&c->plain, n - SEAL_OVERHEAD);
	if (!plain || seal_open(s->ses->keys.s2c, p, n, plain, &e) ||
	    response_decode(&resp, plain, n - SEAL_OVERHEAD, &e))
		return; /* forged; the true one may still come */
	s->ses->heard_at = now;
	answered(c, s, &resp, now);
}

void slot_release(struct hsm_client *c, int64_t now)
{
	for (unsigned i = 0; i < c->nslots; i++)
		if (c->slots[i].state == SLOT_WAITING && c->slots[i].retry_at == 0)
			slot_send(c, &c->slots[i], false, now);
}

void slot_refuse(struct hsm_client *c, const struct err *e)
{
	for (unsigned i = 0; i < c->nslots; i++) {
		struct slot *s = &c->slots[i];

		/* Whether a change that was sent is done is not known: it goes on asking. */
		if (s->state == SLOT_WAITING && !(s->mutates && s->tries))
			slot_end(c, s, NULL, e);
	}
}

void slot_resend(struct hsm_client *c, const struct session *now)
{
	for (unsigned i = 0; i < c->nslots; i++) {
		struct slot *s = &c->slots[i];

		if (s->state == SLOT_SENT &&
		    (!now ||
		     memcmp(s->ses->grant.instance, now->grant.instance, INSTANCE_LEN) != 0))
			s->retry_at = 1;
	}
	client_wake(c, 1);
}

/* One slot's turn. */
static void turn(struct hsm_client *c, struct slot *s, int64_t now)
{
	char what[64];

	if (now >= s->deadline) {
		(void)snprintf(what, sizeof(what), "no answer from the HSM within %lld ms",
			       (long long)s->span);
		give_up(c, s, what);
		return;
	}
	if (s->retry_at == 0 || now < s->retry_at)
		return;
	/* Not a word in this session for a whole try: it may be void without a hint. */
	if (s->state == SLOT_SENT && s->retry_at > 1 && s->ses->heard_at + s->try_ms <= now)
		opening_void(c, s->ses);
	repeat(c, s, now, now);
}

int64_t slot_tick(struct hsm_client *c, int64_t now)
{
	int64_t next = NEVER;

	for (unsigned i = 0; i < c->nslots && c->busy; i++) {
		struct slot *s = &c->slots[i];

		if (s->state == SLOT_WAITING || s->state == SLOT_SENT)
			turn(c, s, now);
		if (s->state == SLOT_WAITING || s->state == SLOT_SENT) {
			int64_t at = s->retry_at && s->retry_at < s->deadline ? s->retry_at
									      : s->deadline;
			next = at < next ? at : next;
		}
	}
	return next;
}
