#include "proto/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_FDS 64
#define FRAGMENT (WIRE_PACKET - WIRE_HEAD)

static void put_head(struct buf *b, size_t n, uint8_t type, uint8_t flags, uint64_t tag)
{
	uint8_t *h = buf_space(b, WIRE_HEAD);

	if (!h)
		return;
	le32_store(h, (uint32_t)n);
	h[4] = type;
	h[5] = flags;
	le16_store(h + 6, 0);
	le64_store(h + 8, tag);
}

void wire_put(struct buf *b, enum wire_type type, uint64_t tag, const void *p, size_t n)
{
	const uint8_t *c = p;

	if (n > WIRE_MESSAGE) {
		b->bad = true;
		return;
	}
	do {
		size_t part = n < FRAGMENT ? n : FRAGMENT;

		put_head(b, part, (uint8_t)type, n > part ? WIRE_MORE : 0, tag);
		buf_put(b, c, part);
		c += part;
		n -= part;
	} while (n);
}

size_t wire_begin(struct buf *b, enum wire_type type, uint64_t tag)
{
	size_t at = b->len;

	put_head(b, 0, (uint8_t)type, 0, tag);
	return at;
}

void wire_end(struct buf *b, size_t at)
{
	if (b->bad)
		return;
	size_t n = b->len - at - WIRE_HEAD;

	if (n > FRAGMENT)
		b->bad = true;
	else
		le32_store(b->p + at, (uint32_t)n);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* until: when waiting for room ends; 0: is set at the first wait, to ms from then. */
static int wait_room(int fd, int ms, int64_t *until, struct err *e)
{
	struct pollfd pf = {.fd = fd, .events = POLLOUT};
	int64_t left = -1;

	if (ms >= 0) {
		int64_t now = now_ms();

		*until = *until ? *until : now + ms;
		left = *until > now ? *until - now : 0;
	}
	int rc = poll(&pf, 1, (int)left);

	if (rc < 0 && errno != EINTR)
		return err_errno(e, ERR_IO, "cannot wait for a channel");
	return rc ? 0 : err_set(e, ERR_TIMEOUT, "the other side does not read");
}

/* ms: how long to wait for room, -1: for ever. */
static int send_packet(int fd, const uint8_t *p, size_t n, int ms, int64_t *until, struct err *e)
{
	for (;;) {
		if (send(fd, p, n, MSG_NOSIGNAL | (ms < 0 ? 0 : MSG_DONTWAIT)) >= 0)
			return 0;
		if (errno == EAGAIN) {
			if (wait_room(fd, ms, until, e))
				return -1;
		} else if (errno != EINTR) {
			return err_errno(e, ERR_IO, "cannot send on a channel");
		}
	}
}

int wire_send_for(int fd, struct buf *b, int ms, struct err *e)
{
	size_t from = 0, at = 0;
	int64_t until = 0;
	int rc = 0;

	if (b->bad) {
		buf_reset(b);
		return err_set(e, ERR_TOO_LARGE, "message does not fit a channel");
	}
	while (at < b->len && rc == 0) {
		size_t next = at + WIRE_HEAD + le32_load(b->p + at);

		if (next - from > WIRE_PACKET) {
			rc = send_packet(fd, b->p + from, at - from, ms, &until, e);
			from = at;
		}
		at = next;
	}
	if (rc == 0 && at > from)
		rc = send_packet(fd, b->p + from, at - from, ms, &until, e);
	buf_reset(b);
	return rc;
}

int wire_send(int fd, struct buf *b, struct err *e)
{
	return wire_send_for(fd, b, -1, e);
}

int wire_reader_init(struct wire_reader *r, size_t max, bool secret, struct err *e)
{
	memset(r, 0, sizeof(*r));
	r->packet = malloc(WIRE_PACKET);
	if (!r->packet)
		return err_set(e, ERR_NOMEM, NULL);
	r->max = max < WIRE_MESSAGE ? max : WIRE_MESSAGE;
	buf_init(&r->join, r->max);
	r->join.secret = secret;
	return 0;
}

void wire_reader_free(struct wire_reader *r)
{
	buf_free(&r->join);
	if (r->packet)
		explicit_bzero(r->packet, WIRE_PACKET);
	free(r->packet);
	memset(r, 0, sizeof(*r));
}

static void take_fds(struct msghdr *mh, int *fds, unsigned *nfds)
{
	unsigned cap = fds ? *nfds : 0, n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (n < cap)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	if (nfds)
		*nfds = n;
}

int wire_recv(struct wire_reader *r, int fd, int *fds, unsigned *nfds, struct err *e)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MAX_FDS * sizeof(int))];
	struct iovec iov = {.iov_base = r->packet, .iov_len = WIRE_PACKET};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fds) {
		mh.msg_control = control;
		mh.msg_controllen = sizeof(control);
	}
	if (r->join.secret)
		explicit_bzero(r->packet, WIRE_PACKET);
	do {
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno == ECONNRESET)
		return 0;
	if (n < 0)
		return err_errno(e, ERR_IO, "cannot receive on a channel");
	take_fds(&mh, fds, nfds);
	if (n == 0)
		return 0;
	if (mh.msg_flags & MSG_TRUNC)
		return err_set(e, ERR_BAD_FRAME, "packet is larger than %d bytes", WIRE_PACKET);
	rd_init(&r->rd, r->packet, (size_t)n);
	return 1;
}

int wire_next(struct wire_reader *r, struct wire_msg *m, struct err *e)
{
	if (!r->joining)
		buf_reset(&r->join);
	while (r->rd.left) {
		uint32_t len = rd_u32(&r->rd);
		uint8_t type = rd_u8(&r->rd), flags = rd_u8(&r->rd);
		uint16_t zero = rd_u16(&r->rd);
		uint64_t tag = rd_u64(&r->rd);
		const uint8_t *p = rd_bytes(&r->rd, len);

		if (r->rd.bad || zero || (flags & ~WIRE_MORE))
			return err_set(e, ERR_BAD_FRAME, NULL);
		if (len > r->max)
			return err_set(e, ERR_BAD_FRAME, "message is larger than %zu bytes",
				       r->max);
		if (r->joining && (tag != r->join_tag || type != r->join_type))
			return err_set(e, ERR_BAD_FRAME, "fragments of two messages are mixed");
		m->type = type;
		m->tag = tag;
		if (!r->joining && !flags) {
			m->p = p;
			m->len = len;
			return 1;
		}
		r->joining = flags & WIRE_MORE;
		r->join_tag = tag;
		r->join_type = type;
		buf_put(&r->join, p, len);
		if (r->join.bad)
			return err_set(e, ERR_BAD_FRAME, "message is larger than %zu bytes",
				       r->max);
		if (!r->joining) {
			m->p = r->join.p;
			m->len = r->join.len;
			return 1;
		}
	}
	return 0;
}

int wire_send_fds(int fd, enum wire_type type, uint64_t tag, const void *p, size_t n,
		  const int *fds, unsigned nfds, struct err *e)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(MAX_FDS * sizeof(int))] = {0};
	uint8_t head[WIRE_HEAD] = {0};
	union {
		const void *c;
		void *v;
	} body = {.c = p}; /* sendmsg does not write through iov_base */
	struct iovec iov[2] = {{head, sizeof(head)}, {body.v, n}};
	struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};

	if (nfds > MAX_FDS || n > FRAGMENT)
		return err_set(e, ERR_INTERNAL, "too much for one packet");
	le32_store(head, (uint32_t)n);
	head[4] = (uint8_t)type;
	le64_store(head + 8, tag);
	if (nfds) {
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	}
	if (sendmsg(fd, &mh, MSG_NOSIGNAL) < 0)
		return err_errno(e, ERR_IO, "cannot send on a channel");
	return 0;
}
