#include "conn/conn_socks.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/enc.h"
#include "conn/conn_resolve.h"

#define NO_PASSWORD 0
#define PASSWORD 2
#define NO_METHOD 0xff

static int bad_proxy(struct err *e)
{
	return err_set(e, ERR_CONFIG,
		       "the SOCKS proxy is given as socks5://[user:password@]host[:port], with "
		       "%%40 for @, %%3A for : and %%2F for / in user and password");
}

/* n bytes of from as text; "" stays "". */
static bool take(char *to, size_t cap, const char *from, size_t n)
{
	if (n >= cap)
		return false;
	memcpy(to, from, n);
	to[n] = '\0';
	return true;
}

static bool login(struct socks_proxy *p, const char *s, size_t n)
{
	const char *colon = memchr(s, ':', n);
	size_t user = colon ? (size_t)(colon - s) : n;

	/* What a second ':' means nobody knows. */
	if (colon && memchr(colon + 1, ':', n - user - 1))
		return false;
	return user && take(p->user, sizeof(p->user), s, user) &&
	       (!colon || take(p->password, sizeof(p->password), colon + 1, n - user - 1)) &&
	       enc_unpercent(p->user) == 0 && enc_unpercent(p->password) == 0;
}

int conn_socks_parse(struct socks_proxy *p, const char *url, struct err *e)
{
	const char *s = strstr(url, "://"), *at, *end;
	unsigned long port;
	size_t n;

	if (s && strncmp(url, "socks5://", 9) != 0 && strncmp(url, "socks5h://", 10) != 0)
		return bad_proxy(e);
	s = s ? s + 3 : url;
	n = strlen(s);
	n -= n && s[n - 1] == '/';
	at = memchr(s, '@', n);
	if (memchr(s, '/', n) || (at && memchr(at + 1, '@', n - (size_t)(at + 1 - s))) ||
	    (at && !login(p, s, (size_t)(at - s))))
		return bad_proxy(e);
	if (at) {
		n -= (size_t)(at + 1 - s);
		s = at + 1;
	}
	bool v6 = *s == '[';

	s += v6;
	n -= v6;
	end = memchr(s, v6 ? ']' : ':', n);
	if (v6 && (!end || (end + 1 < s + n && end[1] != ':')))
		return bad_proxy(e);
	if (!take(p->host, sizeof(p->host), s, end ? (size_t)(end - s) : n))
		return bad_proxy(e);
	end = end ? end + v6 + !(v6 && end + 1 == s + n) : s + n;
	if (!take(p->port, sizeof(p->port), end, (size_t)(s + n - end)))
		return bad_proxy(e);
	if (!*p->port)
		(void)snprintf(p->port, sizeof(p->port), "1080");
	port = strtoul(p->port, NULL, 10);
	if (!*p->host || port < 1 || port > 65535 || p->port[strspn(p->port, "0123456789")])
		return bad_proxy(e);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Until the socket can be read or written, or the end comes: ETIMEDOUT then. */
static bool wait_fd(int fd, short what, int64_t end)
{
	struct pollfd p = {.fd = fd, .events = what};

	for (;;) {
		int64_t left = end - now_ms();
		int n = left > 0 ? poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left) : 0;

		if (n > 0)
			return true;
		if (n == 0)
			errno = ETIMEDOUT;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

static bool connect_to(int fd, const struct sockaddr *addr, socklen_t addrlen, int64_t end)
{
	socklen_t len = sizeof(int);
	int why = 0;

	if (connect(fd, addr, addrlen) == 0)
		return true;
	if (errno != EINPROGRESS || !wait_fd(fd, POLLOUT, end))
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len))
		return false;
	errno = why;
	return why == 0;
}

/* A socket that is connected to one of the name's addresses. proxy: it stands in messages,
 * which are about the server else. */
static int dial(bool proxy, const char *host, const char *port, int64_t end, struct err *e)
{
	int fd = -1, gai = 0, why = 0;
	struct resolved to;
	int r = conn_resolve(&to, host, port, end - now_ms(), &gai, e);

	if (r && proxy)
		return err_set(e, ERR_UNKNOWN_HOST, "cannot find the SOCKS proxy %.100s: %s", host,
			       gai_strerror(gai));
	if (r)
		return -1;
	for (unsigned i = 0; i < to.n && fd < 0; i++) {
		const struct sockaddr *a = (const struct sockaddr *)&to.at[i].addr;

		fd = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd >= 0 && !connect_to(fd, a, to.at[i].len, end)) {
			why = errno;
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		return fd;
	const char *text = why == ECONNREFUSED ? "it refuses connections"
			   : why == ETIMEDOUT  ? "it does not answer in time"
					       : "no route, or no socket";
	enum err_code code = why == ETIMEDOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE;

	return proxy ? err_set(e, code, "cannot connect to the SOCKS proxy %.100s:%s: %s", host,
			       port, text)
		     : err_set(e, code, "%s", text);
}

int conn_socks_direct(const char *host, int port, int64_t ms, struct err *e)
{
	const int on = 1;
	char number[8];
	int fd;

	(void)snprintf(number, sizeof(number), "%d", port);
	fd = dial(false, host, number, now_ms() + ms, e);
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* What is sent here is less than any socket takes at once. */
static bool put(int fd, const struct buf *b, int64_t end)
{
	return !b->bad && wait_fd(fd, POLLOUT, end) &&
	       send(fd, b->p, b->len, MSG_NOSIGNAL) == (ssize_t)b->len;
}

static bool get(int fd, uint8_t *p, size_t n, int64_t end)
{
	while (n) {
		if (!wait_fd(fd, POLLIN, end))
			return false;
		ssize_t k = recv(fd, p, n, 0);

		if (k < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (k == 0)
			errno = ECONNRESET;
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

/* The proxy hung up, or did not answer; the cause is in errno. */
static int lost(const struct socks_proxy *p, struct err *e)
{
	if (errno == ETIMEDOUT)
		return err_set(e, ERR_TIMEOUT, "the SOCKS proxy %.100s:%s does not answer in time",
			       p->host, p->port);
	return err_set(e, ERR_UNAVAILABLE, "the SOCKS proxy %.100s:%s closed the connection",
		       p->host, p->port);
}

static int no_socks(const struct socks_proxy *p, struct err *e)
{
	return err_set(e, ERR_UNAVAILABLE, "%.100s:%s is no SOCKS5 proxy", p->host, p->port);
}

static int log_in(int fd, const struct socks_proxy *p, struct buf *b, int64_t end, struct err *e)
{
	uint8_t reply[2];

	buf_u8(b, 5);
	buf_u8(b, *p->user ? 2 : 1);
	buf_u8(b, NO_PASSWORD);
	if (*p->user)
		buf_u8(b, PASSWORD);
	if (!put(fd, b, end) || !get(fd, reply, 2, end))
		return lost(p, e);
	if (reply[0] == 5 && reply[1] == NO_METHOD)
		return err_set(e, ERR_DENIED, "the SOCKS proxy %.100s:%s wants %s", p->host,
			       p->port,
			       *p->user ? "another way of logging in than a password"
					: "a user and password: socks5://user:password@host");
	if (reply[0] != 5 || (reply[1] != NO_PASSWORD && (reply[1] != PASSWORD || !*p->user)))
		return no_socks(p, e);
	if (reply[1] == NO_PASSWORD)
		return 0;
	buf_reset(b);
	buf_u8(b, 1);
	buf_str8(b, p->user, strlen(p->user));
	buf_str8(b, p->password, strlen(p->password));
	if (!put(fd, b, end) || !get(fd, reply, 2, end))
		return lost(p, e);
	if (reply[1] != 0)
		return err_set(e, ERR_DENIED,
			       "the SOCKS proxy %.100s:%s refuses the user and password", p->host,
			       p->port);
	return 0;
}

/* The answer is 5, status, 0, and an address that nobody needs. */
static int answer(int fd, const struct socks_proxy *p, const char *host, int port, int64_t end,
		  struct err *e)
{
	static const char *const texts[] = {"done",
					    "it failed",
					    "its rules forbid it",
					    "the network cannot be reached",
					    "the host cannot be reached",
					    "the connection was refused",
					    "it took too long",
					    "it cannot do that",
					    "it knows no such kind of address"};
	uint8_t head[5], rest[260];

	if (!get(fd, head, 5, end))
		return lost(p, e);
	if (head[0] != 5)
		return no_socks(p, e);
	if (head[1])
		return err_set(e, ERR_UNAVAILABLE,
			       "the SOCKS proxy %.60s:%s cannot connect to %.60s:%d: %s", p->host,
			       p->port, host, port,
			       head[1] < sizeof(texts) / sizeof(texts[0]) ? texts[head[1]]
									  : "unknown reason");
	size_t n = head[3] == 1 ? 5 : head[3] == 4 ? 17 : (size_t)head[4] + 2;

	return get(fd, rest, n, end) ? 0 : lost(p, e);
}

int conn_socks(const struct socks_proxy *p, const char *host, int port, int64_t ms, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	static const uint8_t ask[] = {5, 1, 0, 3};
	int64_t end = now_ms() + ms;
	CLEAN(fd) int fd = dial(true, p->host, p->port, end, e);

	if (fd < 0)
		return -1;
	buf_init(&b, 1024);
	b.secret = true;
	if (log_in(fd, p, &b, end, e))
		return -1;
	buf_reset(&b);
	buf_put(&b, ask, sizeof(ask));
	buf_str8(&b, host, strlen(host));
	buf_u8(&b, (uint8_t)(port >> 8));
	buf_u8(&b, (uint8_t)port);
	if (!put(fd, &b, end))
		return lost(p, e);
	if (answer(fd, p, host, port, end, e))
		return -1;
	return steal_fd(&fd);
}
