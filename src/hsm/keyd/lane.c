#include "hsm/keyd/lane.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "hsm/keyd/alg/alg.h"
#include "hsm/keyd/audit.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/sessions.h"

/* Replies leave at the latest after so many: the other core can work on them. */
#define REPLIES_PER_PACKET 48
#define DEAF_MS 5000 /* a front that leaves no room for so long is restarted */

static struct keyd *keyd_of; /* one keyd per process: what lane threads serve */

int lane_init(struct keyd *k, unsigned i, struct err *e)
{
	struct lane *l = &k->lane[i];

	keyd_of = k;
	l->index = i;
	l->fd = l->next_fd = -1;
	pthread_mutex_init(&l->reading, NULL);
	pthread_mutex_init(&l->sending, NULL);
	pthread_cond_init(&l->changed, NULL);
	buf_init(&l->out, 4 * WIRE_MESSAGE);
	buf_init(&l->plain, WIRE_MESSAGE);
	l->plain.secret = true;
	buf_init(&l->audit, AUDIT_LANE_MAX);
	l->opened = malloc(k->max_request);
	l->alg = alg_thread_new(k->cfg.max_message, e);
	if (!l->opened || !l->alg)
		return err_set(e, ERR_NOMEM, NULL);
	return 0;
}

void lane_attach(struct lane *l, int fd)
{
	pthread_mutex_lock(&l->sending);
	if (l->next_fd >= 0)
		close(l->next_fd);
	l->next_fd = fd;
	pthread_cond_signal(&l->changed);
	pthread_mutex_unlock(&l->sending);
}

/* Waits for a front. */
static int attached(struct lane *l)
{
	pthread_mutex_lock(&l->sending);
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	l->deaf = false;
	l->generation++;
	while (l->next_fd < 0)
		pthread_cond_wait(&l->changed, &l->sending);
	l->fd = l->next_fd;
	l->next_fd = -1;
	pthread_mutex_unlock(&l->sending);
	return l->fd;
}

static void front_bad(struct lane *l, const struct err *e)
{
	log_warn("front misbehaves", "lane", LOG_NUM(l->index), "error", e->text);
	keyd_tell(keyd_of, W_FRONT_BAD, 0, e->text, strlen(e->text));
}

/* l->sending is held: a message of several packets must not be mixed with another. A
 * front that is gone shows at the next receive; one that does not read would hold up
 * changes of state and the audit log, so it gets nothing more. */
static void send_out(struct lane *l, struct buf *out)
{
	struct err e;

	if (l->fd < 0 || l->deaf) {
		buf_reset(out);
	} else if (wire_send_for(l->fd, out, DEAF_MS, &e)) {
		log_debug("reply not sent", "error", e.text);
		l->deaf = e.code == ERR_TIMEOUT;
		if (l->deaf)
			front_bad(l, &e);
	}
}

void lane_flush(struct lane *l)
{
	if (l->out.len == 0 && !l->out.bad)
		return;
	pthread_mutex_lock(&l->sending);
	send_out(l, &l->out);
	pthread_mutex_unlock(&l->sending);
}

static void put_reply(struct buf *out, uint64_t tag, uint16_t error, uint8_t mode,
		      struct bytes body)
{
	if (WIRE_HEAD + 3 + body.len <= WIRE_PACKET) {
		size_t at = wire_begin(out, W_REPLY, tag);

		buf_u16(out, error);
		buf_u8(out, mode);
		buf_put(out, body.p, body.len);
		wire_end(out, at);
		return;
	}
	struct buf b;

	buf_init(&b, WIRE_MESSAGE);
	b.secret = true;
	buf_u16(&b, error);
	buf_u8(&b, mode);
	buf_put(&b, body.p, body.len);
	wire_put(out, W_REPLY, tag, b.p, b.bad ? 0 : b.len);
	buf_free(&b);
}

/* plain is scratch for sealing. */
static void put_response(struct buf *out, struct buf *plain, const struct reply_to *to,
			 const struct response *s)
{
	if (to->surface == SURFACE_PLAIN) {
		put_reply(out, to->tag, s->error, s->mode, s->body);
		return;
	}
	buf_reset(plain);
	buf_space(plain, SEAL_HEAD);
	response_encode(plain, s);
	seal_in_place(plain, 0, to->key, &to->head);
	put_reply(out, to->tag, 0, 0, (struct bytes){plain->p, plain->bad ? 0 : plain->len});
}

void reply_lane(struct lane *l, const struct reply_to *to, const struct response *s)
{
	put_response(&l->out, &l->plain, to, s);
}

void reply_job(struct keyd *k, const struct reply_to *to, const struct response *s)
{
	struct lane *l = &k->lane[to->lane];
	struct buf out, plain;

	buf_init(&out, 2 * WIRE_MESSAGE);
	buf_init(&plain, WIRE_MESSAGE);
	plain.secret = true;
	put_response(&out, &plain, to, s);
	pthread_mutex_lock(&l->sending);
	if (l->generation == to->generation)
		send_out(l, &out);
	pthread_mutex_unlock(&l->sending);
	buf_free(&out);
	buf_free(&plain);
}

/* Refusal outside of any session: a hint that anyone could forge. */
static void refuse(struct lane *l, uint64_t tag, const struct err *e)
{
	struct bytes text = {(const uint8_t *)e->text, strlen(e->text)};

	put_reply(&l->out, tag, (uint16_t)e->code, 0, text);
}

static void open_session(struct lane *l, const struct wire_msg *m)
{
	struct keyd *k = keyd_of;
	struct err e;

	buf_reset(&l->plain);
	if (sessions_open(k, m->p, m->len, &l->plain, &e))
		refuse(l, m->tag, &e);
	else
		put_reply(&l->out, m->tag, 0, 0, (struct bytes){l->plain.p, l->plain.len});
}

/* Carries one call out, or hands it to the other threads. Reading lock is held. */
static void run(struct lane *l, struct call *c, const struct reply_to *to, const void *request,
		size_t n)
{
	struct keyd *k = keyd_of;
	struct response s = {.state = (uint8_t)k->state, .epoch = k->root.epoch};
	uint8_t body[RANDOM_MAX > SIGNATURE_MAX ? RANDOM_MAX : SIGNATURE_MAX];
	struct err e = {0};
	struct buf out;

	buf_fixed(&out, body, sizeof(body));
	c->alg = l->alg;
	int rc = call_check(c, &e);

	/* No entry, no signature. */
	if (rc == 0 && c->op->op == OP_sign && !audit_ready(l))
		rc = err_set(&e, ERR_AUDIT, "too many signatures wait for the audit log");
	if (rc == 0 && (c->op->flags & (OPF_MUTATES | OPF_SLOW | OPF_STORE))) {
		rc = jobs_take(c, to, request, n, &e);
		if (rc == 0)
			return; /* another thread replies */
	} else if (rc == 0) {
		/* Lists are the only large results. */
		if (!(c->op->flags & OPF_SIGN))
			buf_init(&out, WIRE_MESSAGE / 2);
		rc = op_handler(c->op->op)->lane(c, &out, &e);
		if (rc == 0 && out.bad)
			rc = err_set(&e, ERR_TOO_LARGE, "result does not fit a message");
	}
	if (rc == 0 && c->durable) {
		rc = jobs_take(c, to, request, n, &e);
		if (rc == 0)
			return;
	}
	audit_call(l, c, rc ? &e : NULL);
	s.state = (uint8_t)k->state;
	s.mode = c->mode;
	if (rc) {
		s.error = (uint16_t)e.code;
		s.body = (struct bytes){(const uint8_t *)e.text, strlen(e.text)};
	} else {
		s.body = (struct bytes){out.p, out.len};
	}
	reply_lane(l, to, &s);
	/* Random bytes are somebody's key perhaps. */
	if (out.fixed)
		secret_wipe(body, out.len);
	else
		buf_free(&out);
}

static void sealed(struct lane *l, const struct wire_msg *m)
{
	struct keyd *k = keyd_of;
	struct reply_to to = {.lane = l->index, .generation = l->generation, .tag = m->tag};
	struct call c = {.k = k, .surface = SURFACE_SESSION};
	size_t n = m->len - 32;
	struct err e;

	if (m->len - 32 > k->max_request + SEAL_OVERHEAD) {
		err_set(&e, ERR_TOO_LARGE, "a request has at most %u bytes", k->cfg.max_message);
		refuse(l, m->tag, &e);
		return;
	}
	memcpy(c.nkey, m->p, 32);
	if (sessions_take(k, c.nkey, m->p + 32, n, l->opened, &to, &e)) {
		refuse(l, m->tag, &e);
		return;
	}
	n -= SEAL_OVERHEAD;
	c.session = to.head.session;
	if (request_decode(&c.q, l->opened, n, &e)) {
		struct response s = {.error = (uint16_t)e.code,
				     .state = (uint8_t)k->state,
				     .epoch = k->root.epoch,
				     .body = {(const uint8_t *)e.text, strlen(e.text)}};
		reply_lane(l, &to, &s);
	} else {
		run(l, &c, &to, l->opened, n);
	}
	/* Passphrases and imported keys come this way, messages too: wiped alike. */
	secret_wipe(l->opened, n);
	secret_wipe(to.key, sizeof(to.key));
}

static void plain(struct lane *l, const struct wire_msg *m)
{
	struct reply_to to = {.lane = l->index,
			      .generation = l->generation,
			      .tag = m->tag,
			      .surface = SURFACE_PLAIN};
	struct call c = {.k = keyd_of, .surface = SURFACE_PLAIN};
	struct err e;

	memcpy(c.nkey, m->p, 32);
	if (request_decode(&c.q, m->p + 32, m->len - 32, &e))
		refuse(l, m->tag, &e);
	else
		run(l, &c, &to, m->p + 32, m->len - 32);
}

/* One frame of the front; -1: malformed, the channel is closed. */
static int frame(struct lane *l, const struct wire_msg *m)
{
	switch (m->type) {
	case W_OPEN:
		if (l->index != 0)
			return -1;
		open_session(l, m);
		return 0;
	case W_SEALED:
	case W_PLAIN:
		if (l->index == 0 || m->len < 32)
			return -1;
		(m->type == W_SEALED ? sealed : plain)(l, m);
		return 0;
	default:
		return -1;
	}
}

static int packet(struct lane *l, struct wire_reader *r, struct err *e)
{
	struct wire_msg m;
	unsigned replies = 0;
	int rc;

	while ((rc = wire_next(r, &m, e)) > 0) {
		if (keyd_of->wanted) {
			pthread_mutex_lock(&keyd_of->gate);
			pthread_mutex_unlock(&keyd_of->gate);
		}
		pthread_mutex_lock(&l->reading);
		rc = frame(l, &m);
		pthread_mutex_unlock(&l->reading);
		if (rc)
			return err_set(e, ERR_BAD_FRAME, "a frame that this lane does not take");
		if (++replies % REPLIES_PER_PACKET == 0)
			lane_flush(l);
	}
	lane_flush(l);
	return rc;
}

static void announce(struct keyd *k, struct job *j)
{
	(void)j;
	keyd_announce(k);
}

static void *serve(void *arg)
{
	struct lane *l = arg;
	struct keyd *k = keyd_of;

	for (;;) {
		int fd = attached(l), rc;
		struct wire_reader r;
		struct err e = {0};

		/* The front's frames are sealed bytes or plain ones: nothing to wipe. */
		if (wire_reader_init(&r, k->max_request + 4096, false, &e))
			abort();
		if (l->index == 0)
			jobs_internal(k, announce);
		while ((rc = wire_recv(&r, fd, NULL, NULL, &e)) > 0)
			if ((rc = packet(l, &r, &e)) < 0)
				break;
		wire_reader_free(&r);
		buf_reset(&l->out);
		if (rc < 0 && e.code == ERR_BAD_FRAME)
			front_bad(l, &e);
	}
	return NULL;
}

int lane_start(struct lane *l, struct err *e)
{
	if (pthread_create(&l->thread, NULL, serve, l))
		return err_set(e, ERR_NOMEM, "cannot start a thread");
	return 0;
}

void lane_hello(struct keyd *k, const struct hello *h)
{
	struct lane *l = &k->lane[0];
	struct buf body, out;

	buf_init(&body, 4096);
	buf_init(&out, 8192);
	hello_put(&body, h);
	wire_put(&out, W_HELLO, 0, body.p, body.len);
	pthread_mutex_lock(&l->sending);
	send_out(l, &out);
	pthread_mutex_unlock(&l->sending);
	buf_free(&body);
	buf_free(&out);
}
