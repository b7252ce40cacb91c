#include "hsm/keyd/store.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "hsm/keyd/keyd.h"
#include "proto/wire.h"

#define REPLY_MS 20000	/* a store that takes longer is as good as gone */
#define ATTACH_MS 10000 /* for a restarted store to appear */
#define SCAN_BYTES (512u << 10)

struct store {
	struct keyd *k;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int next_fd; /* under lock */
	int fd;	     /* commit thread only, as all below */
	uint64_t tag;
	bool sent; /* all of the last request was sent */
	struct wire_reader reader;
	struct buf out;
};

int store_new(struct store **out, struct keyd *k, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return err_set(e, ERR_NOMEM, NULL);
	s->k = k;
	s->fd = s->next_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &attr);
	pthread_condattr_destroy(&attr);
	buf_init(&s->out, WIRE_MESSAGE + WIRE_PACKET);
	if (wire_reader_init(&s->reader, WIRE_MESSAGE, false, e)) {
		free(s);
		return -1;
	}
	*out = s;
	return 0;
}

void store_attach(struct store *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	if (s->next_fd >= 0)
		close(s->next_fd);
	s->next_fd = fd;
	pthread_cond_signal(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

static void detach(struct store *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	/* Nothing that an earlier store said may answer for the next. */
	rd_init(&s->reader.rd, NULL, 0);
	s->reader.joining = false;
	buf_reset(&s->reader.join);
}

static int misbehaves(struct store *s, const char *what, struct err *e)
{
	keyd_tell(s->k, W_STORE_BAD, 0, what, strlen(what));
	detach(s);
	return err_set(e, ERR_UNAVAILABLE, "store misbehaves: %s", what);
}

/* Waits for the reply with this tag; *m is valid until the next receive. */
static int receive(struct store *s, uint64_t tag, enum wire_type type, struct wire_msg *m,
		   struct err *e)
{
	uint64_t until = keyd_ticks() + REPLY_MS;
	int rc;

	while ((rc = wire_next(&s->reader, m, e)) == 0) {
		uint64_t now = keyd_ticks();
		struct pollfd pf = {.fd = s->fd, .events = POLLIN};

		if (now >= until)
			return misbehaves(s, "no reply in time", e);
		if (poll(&pf, 1, (int)(until - now)) <= 0)
			continue;
		rc = wire_recv(&s->reader, s->fd, NULL, NULL, e);
		if (rc < 0 && e->code == ERR_BAD_FRAME)
			return misbehaves(s, "packet is too large", e);
		if (rc <= 0) {
			detach(s);
			return err_set(e, ERR_UNAVAILABLE, "store went away");
		}
	}
	if (rc < 0)
		return misbehaves(s, "malformed frame", e);
	if (m->tag != tag || (m->type != type && m->type != W_DONE))
		return misbehaves(s, "reply to nothing that was asked", e);
	return 0;
}

/* Splits the error off a reply. */
static int reply_error(struct store *s, const struct wire_msg *m, struct rd *r, struct err *e)
{
	uint16_t error;

	rd_init(r, m->p, m->len);
	error = rd_u16(r);
	if (r->bad)
		return misbehaves(s, "reply is too short", e);
	if (error == ERR_OK && m->type == W_DONE)
		return r->left ? misbehaves(s, "reply has too much in it", e) : 0;
	if (error == ERR_OK)
		return 0;
	const struct err_row *row = err_row(error);

	return err_set(e, row->wire ? row->wire : ERR_INTERNAL, "store: %s", row->text);
}

int store_ready(struct store *s, struct err *e)
{
	struct timespec until;
	struct wire_msg m;
	bool fresh;
	struct rd r;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ATTACH_MS / 1000;
	pthread_mutex_lock(&s->lock);
	while (s->fd < 0 && s->next_fd < 0 &&
	       pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
		;
	/* A new store means that the one before is gone, whether it showed or not. */
	fresh = s->next_fd >= 0;
	if (fresh) {
		detach(s);
		s->fd = s->next_fd;
		s->next_fd = -1;
	}
	pthread_mutex_unlock(&s->lock);
	if (s->fd < 0) {
		/* It may be there and only have closed its channel: hsmd can tell. */
		static const char text[] = "store is not there";

		keyd_tell(s->k, W_STORE_BAD, 0, text, sizeof(text) - 1);
		return err_set(e, ERR_UNAVAILABLE, "%s", text);
	}
	if (!fresh)
		return 0;
	/* The first word of a store: tag 0, ready or why not. */
	if (receive(s, 0, W_DONE, &m, e) || reply_error(s, &m, &r, e)) {
		detach(s);
		return -1;
	}
	return 0;
}

static int call(struct store *s, enum wire_type type, enum wire_type reply, const struct buf *body,
		struct wire_msg *m, struct rd *r, struct err *e)
{
	if (body->bad)
		return err_set(e, ERR_TOO_LARGE, "transaction is too large");
	s->sent = false;
	for (int tries = 2; !s->sent && tries--;) {
		if (store_ready(s, e))
			return -1;
		wire_put(&s->out, type, ++s->tag, body->p, body->len);
		s->sent = wire_send_for(s->fd, &s->out, REPLY_MS, e) == 0;
		if (!s->sent && e->code == ERR_TIMEOUT)
			return misbehaves(s, "does not read", e);
		if (!s->sent) /* gone since the last time: another may be there */
			detach(s);
	}
	if (!s->sent)
		return err_set(e, ERR_UNAVAILABLE, "store went away");
	if (receive(s, s->tag, reply, m, e))
		return -1;
	return reply_error(s, m, r, e);
}

void txn_init(struct buf *t)
{
	buf_init(t, WIRE_MESSAGE);
	store_txn_begin(t);
}

int store_commit(struct store *s, struct buf *t, struct err *e)
{
	struct wire_msg m;
	struct rd r;

	return call(s, W_TXN, W_DONE, t, &m, &r, e);
}

bool store_in_doubt(const struct store *s)
{
	return s->sent;
}

int store_get(struct store *s, uint8_t table, const void *id, size_t idlen, struct buf *out,
	      struct err *e)
{
	struct store_query q = {table, {id, idlen}, 0};
	uint8_t body[2 + STORE_KEY_MAX + 4];
	struct bytes blob;
	struct wire_msg m;
	struct buf b;
	struct rd r;

	buf_fixed(&b, body, sizeof(body));
	store_query_put(&b, &q, false);
	if (call(s, W_GET, W_BLOB, &b, &m, &r, e))
		return -1;
	blob = rd_str32(&r);
	if (!rd_end(&r))
		return misbehaves(s, "malformed blob", e);
	buf_put(out, blob.p, blob.len);
	return out->bad ? err_set(e, ERR_STORE_DAMAGED, "a blob is too large") : 0;
}

int store_scan(struct store *s, uint8_t table, const void *after, size_t afterlen,
	       int (*each)(void *arg, struct bytes id, struct bytes blob, struct err *e), void *arg,
	       struct err *e)
{
	uint8_t body[2 + STORE_KEY_MAX + 4], last[255];
	size_t lastlen = afterlen;

	if (afterlen)
		memcpy(last, after, afterlen);
	for (;;) {
		struct wire_msg m;
		struct buf b;
		struct rd r;

		struct store_query q = {table, {last, lastlen}, SCAN_BYTES};

		buf_fixed(&b, body, sizeof(body));
		store_query_put(&b, &q, true);
		if (call(s, W_SCAN, W_ITEMS, &b, &m, &r, e))
			return -1;
		uint8_t more = rd_u8(&r);
		uint32_t n = rd_u32(&r);

		if (more && n == 0)
			return misbehaves(s, "a page with nothing in it", e);
		while (n--) {
			struct bytes id = rd_str8(&r), blob = rd_str32(&r);
			size_t common = id.len < lastlen ? id.len : lastlen;

			if (r.bad || id.len == 0)
				return misbehaves(s, "malformed page", e);
			int c = common ? memcmp(id.p, last, common) : 0;

			/* Rising order: else a page could be repeated for ever. */
			if (lastlen && (c < 0 || (c == 0 && id.len <= lastlen)))
				return misbehaves(s, "items are out of order", e);
			memcpy(last, id.p, id.len);
			lastlen = id.len;
			int rc = each(arg, id, blob, e);

			if (rc)
				return rc < 0 ? -1 : 0;
		}
		if (!rd_end(&r))
			return misbehaves(s, "malformed page", e);
		if (!more)
			return 0;
	}
}
