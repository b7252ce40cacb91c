#include "hsm/front/lanes.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"

#define NO_SLOT UINT32_MAX
#define WINDOW 2 /* packets that keyd has not begun to answer: one in work, one ready */
#define LANE_STACK (256 << 10)

struct slot {
	struct pending q;
	uint64_t seq;	       /* position among the lane's requests */
	_Atomic uint32_t used; /* generation while in hand, 0 while free */
	uint32_t generation;
	uint32_t next; /* free list */
};

struct lane {
	struct lanes *owner;
	unsigned index;
	int fd;
	pthread_t thread;
	struct slot *slots;
	uint32_t nslots;
	_Atomic unsigned in_hand;

	_Alignas(64) pthread_mutex_t mu; /* all below */
	bool dead;
	uint32_t free;		 /* slots that were used before, last in first out… */
	uint32_t fresh;		 /* …and from here on those that never were: untouched memory */
	struct buf out;		 /* frames that wait, whole messages */
	size_t sent;		 /* bytes of out that are sent */
	struct buf joined;	 /* scratch for messages of several fragments */
	uint64_t put_seq;	 /* requests put into out so far */
	uint64_t sent_seq;	 /* requests wholly sent so far */
	uint64_t answered;	 /* highest seq that was answered */
	uint64_t window[WINDOW]; /* first seq of packets in flight, oldest first */
	unsigned nwindow;
};

struct lanes {
	struct lanes_calls calls;
	unsigned n;
	_Atomic unsigned turn;
	struct lane lane[];
};

uint64_t front_ticks(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- sending; lane's lock held ---- */

/* Bytes of the next packet of out; *whole is the number of requests that end in it. */
static size_t next_packet(const struct lane *ln, uint64_t *whole)
{
	const uint8_t *p = ln->out.p + ln->sent;
	size_t left = ln->out.len - ln->sent, n = 0;

	*whole = 0;
	while (n < left) {
		size_t part = WIRE_HEAD + le32_load(p + n);

		if (n + part > WIRE_PACKET)
			break;
		*whole += p[n + 5] & WIRE_MORE ? 0 : 1;
		n += part;
	}
	return n;
}

/* Whether keyd has taken all that was sent: then it waits for us, whatever the window
 * says (it may have answered nothing because a slow operation is all it got). */
static bool peer_idle(const struct lane *ln)
{
	int queued = 1;

	return ioctl(ln->fd, SIOCOUTQ, &queued) == 0 && queued == 0;
}

static bool may_send(const struct lane *ln)
{
	return ln->nwindow < WINDOW || peer_idle(ln);
}

static void note_sent(struct lane *ln, uint64_t whole)
{
	if (!whole)
		return;
	if (ln->nwindow == WINDOW) {
		memmove(ln->window, ln->window + 1, sizeof(ln->window[0]) * (WINDOW - 1));
		ln->nwindow--;
	}
	ln->window[ln->nwindow++] = ln->sent_seq + 1;
	ln->sent_seq += whole;
}

/* Forgets packets that keyd has begun to answer. */
static void note_answered(struct lane *ln)
{
	unsigned gone = 0;

	while (gone < ln->nwindow && ln->window[gone] <= ln->answered)
		gone++;
	ln->nwindow -= gone;
	memmove(ln->window, ln->window + gone, sizeof(ln->window[0]) * ln->nwindow);
}

/* The socket is full. True when sending goes on after a wait, false when a reply will
 * bring the lane's thread here again. Waiting is right only for the first part of a
 * message with nothing complete before it: keyd has nothing else to do than to read. */
static bool full_socket(struct lane *ln)
{
	struct pollfd pf = {.fd = ln->fd, .events = POLLOUT};

	if (ln->sent_seq > ln->answered)
		return false;
	return poll(&pf, 1, 1000) == 1;
}

static void flush(struct lane *ln)
{
	while (!ln->dead && ln->sent < ln->out.len && may_send(ln)) {
		uint64_t whole;
		size_t n = next_packet(ln, &whole);

		if (send(ln->fd, ln->out.p + ln->sent, n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
			ln->sent += n;
			note_sent(ln, whole);
		} else if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
			if (!full_socket(ln))
				break;
		} else if (errno != EINTR) {
			ln->dead = true; /* its thread sees the end of file */
		}
	}
	if (ln->sent == ln->out.len) {
		buf_reset(&ln->out);
		ln->sent = 0;
	} else if (ln->sent > ln->out.len / 2) {
		ln->out.len -= ln->sent;
		memmove(ln->out.p, ln->out.p + ln->sent, ln->out.len);
		ln->sent = 0;
	}
}

static bool put_message(struct lane *ln, enum wire_type type, uint64_t tag, const void *head,
			size_t head_len, const void *body, size_t body_len)
{
	size_t before = ln->out.len;

	if (WIRE_HEAD + head_len + body_len <= WIRE_PACKET) {
		size_t at = wire_begin(&ln->out, type, tag);

		buf_put(&ln->out, head, head_len);
		buf_put(&ln->out, body, body_len);
		wire_end(&ln->out, at);
	} else {
		buf_reset(&ln->joined);
		buf_put(&ln->joined, head, head_len);
		buf_put(&ln->joined, body, body_len);
		if (!ln->joined.bad)
			wire_put(&ln->out, type, tag, ln->joined.p, ln->joined.len);
		ln->out.bad |= ln->joined.bad;
		ln->joined.bad = false;
	}
	if (!ln->out.bad)
		return true;
	ln->out.bad = false;
	ln->out.len = before;
	return false;
}

static struct lane *pick(struct lanes *l, enum wire_type type)
{
	if (type == W_OPEN)
		return &l->lane[0];
	/* The less busy of two neighbours: near to the least busy of all, but without
	 * a look at every lane. */
	unsigned n = l->n - 1;
	unsigned turn = atomic_fetch_add_explicit(&l->turn, 1, memory_order_relaxed);
	struct lane *a = &l->lane[1 + turn % n], *b = &l->lane[1 + (turn + 1) % n];

	return atomic_load_explicit(&b->in_hand, memory_order_relaxed) <
			       atomic_load_explicit(&a->in_hand, memory_order_relaxed)
		       ? b
		       : a;
}

/* A free slot, still on its list, or NULL. */
static struct slot *slot_free(struct lane *ln)
{
	if (ln->free != NO_SLOT)
		return &ln->slots[ln->free];
	return ln->fresh < ln->nslots ? &ln->slots[ln->fresh] : NULL;
}

static void slot_take(struct lane *ln, struct slot *s, uint32_t generation, const struct pending *q)
{
	if (ln->free != NO_SLOT)
		ln->free = s->next;
	else
		ln->fresh++;
	s->q.ep = q->ep;
	s->q.plain = q->plain;
	s->q.since = q->since;
	s->q.reply_len = q->reply_len;
	memcpy(s->q.reply, q->reply, q->reply_len + 1);
	s->seq = ++ln->put_seq;
	s->generation = generation;
	atomic_store_explicit(&s->used, generation, memory_order_release);
	atomic_fetch_add_explicit(&ln->in_hand, 1, memory_order_relaxed);
}

static int send_locked(struct lane *ln, enum wire_type type, const struct pending *q,
		       const void *head, size_t head_len, const void *body, size_t body_len,
		       struct err *e)
{
	struct slot *s = slot_free(ln);

	if (ln->dead)
		return err_set(e, ERR_SHUTTING_DOWN, NULL);
	if (!s || ln->out.len > FRONT_LANE_BYTES)
		return err_set(e, ERR_BUSY, NULL);
	uint32_t generation = s->generation == UINT32_MAX ? 1 : s->generation + 1;
	uint64_t tag = (uint64_t)generation << 32 | (uint64_t)(s - ln->slots);

	if (!put_message(ln, type, tag, head, head_len, body, body_len))
		return err_set(e, ERR_BUSY, NULL);
	slot_take(ln, s, generation, q);
	flush(ln);
	return 0;
}

int lanes_send(struct lanes *l, enum wire_type type, const struct pending *q, const void *head,
	       size_t head_len, const void *body, size_t body_len, struct err *e)
{
	struct lane *ln = pick(l, type);

	if (head_len + body_len > WIRE_MESSAGE)
		return err_set(e, ERR_TOO_LARGE, NULL);
	pthread_mutex_lock(&ln->mu);
	int rc = send_locked(ln, type, q, head, head_len, body, body_len, e);

	pthread_mutex_unlock(&ln->mu);
	return rc;
}

/* ---- receiving ---- */

/* Slots that were answered by one packet, chained by next. */
struct done {
	uint32_t head, tail;
	unsigned n;
	uint64_t top; /* highest seq among them */
};

static void slot_done(struct lane *ln, struct done *d, uint32_t i)
{
	struct slot *s = &ln->slots[i];

	if (s->seq > d->top)
		d->top = s->seq;
	atomic_store_explicit(&s->used, 0, memory_order_relaxed);
	s->q.plain = NULL;
	s->next = d->head;
	if (d->head == NO_SLOT)
		d->tail = i;
	d->head = i;
	d->n++;
}

static int take_reply(struct lane *ln, const struct wire_msg *m, bool more, uint64_t now,
		      struct done *d, struct err *e)
{
	uint32_t i = (uint32_t)m->tag, generation = (uint32_t)(m->tag >> 32);
	struct answer a = {.more = more, .now = now};
	struct rd r;

	if (i >= ln->nslots || !generation ||
	    atomic_load_explicit(&ln->slots[i].used, memory_order_acquire) != generation)
		return err_set(e, ERR_BAD_FRAME, "reply to a request that is not in hand");
	rd_init(&r, m->p, m->len);
	a.error = rd_u16(&r);
	a.mode = rd_u8(&r);
	a.len = r.left;
	a.p = rd_bytes(&r, r.left);
	if (r.bad)
		return err_set(e, ERR_BAD_FRAME, "reply is too short");
	ln->owner->calls.answer(ln->owner->calls.arg, &ln->slots[i].q, &a);
	slot_done(ln, d, i);
	return 0;
}

static int take_packet(struct lane *ln, struct wire_reader *rd, struct done *d, struct err *e)
{
	const struct lanes_calls *calls = &ln->owner->calls;
	uint64_t now = front_ticks();
	struct wire_msg m;
	int rc;

	while ((rc = wire_next(rd, &m, e)) == 1) {
		if (m.type == W_HELLO && ln->index == 0)
			calls->hello(calls->arg, m.p, m.len);
		else if (m.type != W_REPLY)
			return err_set(e, ERR_BAD_FRAME, "frame of type %d", (int)m.type);
		else if (take_reply(ln, &m, rd->rd.left > 0, now, d, e))
			return -1;
	}
	return rc;
}

/* Gives the slots back and sends what has gathered meanwhile. */
static void packet_done(struct lane *ln, const struct done *d)
{
	pthread_mutex_lock(&ln->mu);
	if (d->n) {
		ln->slots[d->tail].next = ln->free;
		ln->free = d->head;
		atomic_fetch_sub_explicit(&ln->in_hand, d->n, memory_order_relaxed);
	}
	if (d->top > ln->answered)
		ln->answered = d->top;
	note_answered(ln);
	flush(ln);
	pthread_mutex_unlock(&ln->mu);
}

static void *lane_main(void *arg)
{
	struct lane *ln = arg;
	struct wire_reader rd;
	struct err e;
	int rc = wire_reader_init(&rd, WIRE_MESSAGE, false, &e);

	while (rc == 0) {
		struct done d = {.head = NO_SLOT, .tail = NO_SLOT};

		rc = wire_recv(&rd, ln->fd, NULL, NULL, &e);
		if (rc == 0)
			break;
		if (rc > 0)
			rc = take_packet(ln, &rd, &d, &e);
		packet_done(ln, &d);
	}
	if (rc)
		log_error("keyd's channel is unusable", "lane", LOG_NUM(ln->index), "error",
			  e.text);
	pthread_mutex_lock(&ln->mu);
	ln->dead = true;
	pthread_mutex_unlock(&ln->mu);
	wire_reader_free(&rd);
	ln->owner->calls.ended(ln->owner->calls.arg);
	return NULL;
}

/* ---- life ---- */

static int lane_init(struct lane *ln, struct lanes *l, unsigned index, int fd, struct err *e)
{
	uint32_t n = index ? FRONT_PENDING / (l->n - 1) : FRONT_PENDING_OPEN;

	ln->owner = l;
	ln->index = index;
	ln->fd = fd;
	ln->nslots = n;
	ln->slots = calloc(n, sizeof(*ln->slots));
	if (!ln->slots)
		return err_set(e, ERR_NOMEM, NULL);
	ln->free = NO_SLOT;
	pthread_mutex_init(&ln->mu, NULL);
	buf_init(&ln->out, FRONT_LANE_BYTES + 2 * WIRE_MESSAGE);
	buf_init(&ln->joined, WIRE_MESSAGE);
	return 0;
}

static int start_thread(struct lane *ln, struct err *e)
{
	pthread_attr_t at;
	int rc;

	pthread_attr_init(&at);
	pthread_attr_setstacksize(&at, LANE_STACK);
	rc = pthread_create(&ln->thread, &at, lane_main, ln);
	pthread_attr_destroy(&at);
	if (rc)
		return err_set(e, ERR_INTERNAL, "cannot start a thread: %s", strerror(rc));
	return 0;
}

int lanes_start(struct lanes **out, int first_fd, unsigned n, const struct lanes_calls *calls,
		struct err *e)
{
	size_t size = sizeof(struct lanes) + n * sizeof(struct lane);
	/* The lanes live as long as the process: nothing is given back on failure. */
	struct lanes *l = aligned_alloc(64, (size + 63) / 64 * 64);

	if (!l)
		return err_set(e, ERR_NOMEM, NULL);
	memset(l, 0, size);
	l->calls = *calls;
	l->n = n;
	for (unsigned i = 0; i < n; i++)
		if (lane_init(&l->lane[i], l, i, first_fd + (int)i, e))
			return -1;
	*out = l;
	for (unsigned i = 0; i < n; i++)
		if (start_thread(&l->lane[i], e))
			return -1;
	return 0;
}

unsigned lanes_in_hand(struct lanes *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++)
		n += atomic_load_explicit(&l->lane[i].in_hand, memory_order_relaxed);
	return n;
}

void lanes_nudge(struct lanes *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		pthread_mutex_lock(&l->lane[i].mu);
		flush(&l->lane[i]);
		pthread_mutex_unlock(&l->lane[i].mu);
	}
}

/* Ends the lane's thread, so that its slots belong to the caller. */
static bool lane_stop(struct lane *ln, const struct timespec *until)
{
	shutdown(ln->fd, SHUT_RDWR);
	return pthread_clockjoin_np(ln->thread, NULL, CLOCK_MONOTONIC, until) == 0;
}

void lanes_stop(struct lanes *l, enum err_code code, unsigned ms)
{
	const char *text = err_row(code)->text;
	struct answer a = {.error = (uint16_t)code,
			   .p = (const uint8_t *)text,
			   .len = strlen(text),
			   .now = front_ticks()};
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	for (unsigned i = 0; i < l->n; i++) {
		struct lane *ln = &l->lane[i];

		if (!lane_stop(ln, &until))
			continue;
		for (uint32_t s = 0; s < ln->fresh; s++)
			if (ln->slots[s].used) {
				l->calls.answer(l->calls.arg, &ln->slots[s].q, &a);
				ln->slots[s].used = 0;
			}
	}
}
