#include "conn/conn_resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define STRANGERS_MAX 32 /* names that nobody here has configured: a broker told them */
#define PATIENCE_MS 500

/* Names that were asked for: a question that no answer came to goes on in its thread, and
 * the next who asks waits for that one. Those that the user has configured stay as long as
 * they are held; strangers give way to each other, the one least recently asked for first. */
struct resolve_name {
	struct resolve_name *next;
	char host[256], port[8];
	unsigned held, waiting;
	bool asking;
	uint64_t used, answers;
	int why;	      /* of the last answer */
	struct resolved last; /* addresses that were told once */
};
static struct resolve_name *names;
static uint64_t uses;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;

static void keep(struct resolved *out, const struct addrinfo *list)
{
	out->n = 0;
	for (const struct addrinfo *a = list; a && out->n < RESOLVED_MAX; a = a->ai_next) {
		if (a->ai_addrlen > sizeof(out->at[0].addr))
			continue;
		memcpy(&out->at[out->n].addr, a->ai_addr, a->ai_addrlen);
		out->at[out->n++].len = a->ai_addrlen;
	}
}

static int look_up(struct resolved *out, const char *host, const char *port, int flags)
{
	const struct addrinfo want = {.ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct addrinfo *list = NULL;
	int why = getaddrinfo(host, port, &want, &list);

	if (why)
		return why;
	keep(out, list);
	freeaddrinfo(list);
	return out->n ? 0 : EAI_NONAME;
}

static void *ask(void *arg)
{
	struct resolve_name *n = arg;
	struct resolved got = {0};
	int why = look_up(&got, n->host, n->port, 0); /* host and port never change */

	pthread_mutex_lock(&lock);
	n->asking = false;
	n->answers++;
	n->why = why;
	if (why == 0)
		n->last = got;
	pthread_cond_broadcast(&answered);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static struct resolve_name *find(const char *host, const char *port)
{
	struct resolve_name *n = names;

	while (n && (strcasecmp(n->host, host) != 0 || strcmp(n->port, port) != 0))
		n = n->next;
	return n;
}

static struct resolve_name *add(const char *host, const char *port)
{
	struct resolve_name *n = calloc(1, sizeof(*n));

	if (!n || strlen(host) >= sizeof(n->host) || strlen(port) >= sizeof(n->port)) {
		free(n);
		return NULL;
	}
	memcpy(n->host, host, strlen(host) + 1);
	memcpy(n->port, port, strlen(port) + 1);
	n->next = names;
	names = n;
	return n;
}

/* Strangers that nobody waits for go, the oldest first, until there are at most max.
 * false: there are more, all of them being asked for. */
static bool make_room(unsigned max)
{
	for (;;) {
		struct resolve_name **oldest = NULL, *gone;
		unsigned strangers = 0;

		for (struct resolve_name **at = &names; *at; at = &(*at)->next) {
			strangers += !(*at)->held;
			if (!(*at)->held && !(*at)->asking && !(*at)->waiting &&
			    (!oldest || (*at)->used < (*oldest)->used))
				oldest = at;
		}
		if (strangers <= max)
			return true;
		if (!oldest)
			return false;
		gone = *oldest;
		*oldest = gone->next;
		free(gone);
	}
}

struct resolve_name *conn_resolve_hold(const char *host, const char *port)
{
	struct resolve_name *n;

	pthread_mutex_lock(&lock);
	n = find(host, port);
	if (!n)
		n = add(host, port);
	if (n)
		n->held++;
	pthread_mutex_unlock(&lock);
	return n;
}

void conn_resolve_release(struct resolve_name *n)
{
	pthread_mutex_lock(&lock);
	n->held--;
	(void)make_room(STRANGERS_MAX);
	pthread_mutex_unlock(&lock);
}

static bool start(struct resolve_name *n)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (n->asking)
		return true;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	n->asking = pthread_create(&thread, &attr, ask, n) == 0;
	pthread_attr_destroy(&attr);
	return n->asking;
}

static void add_ms(struct timespec *t, int64_t ms)
{
	t->tv_sec += ms / 1000;
	t->tv_nsec += ms % 1000 * 1000000;
	if (t->tv_nsec >= 1000000000) {
		t->tv_sec++;
		t->tv_nsec -= 1000000000;
	}
}

static bool wait_until(const struct timespec *until)
{
	return pthread_cond_clockwait(&answered, &lock, CLOCK_MONOTONIC, until) == 0;
}

static struct timespec in_ms(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	add_ms(&t, ms > 0 ? ms : 0);
	return t;
}

/* With the lock. What the name server says, EAI_AGAIN: nothing in time. */
static int wait_for(struct resolve_name *n, const struct timespec *until)
{
	const struct timespec soon = in_ms(PATIENCE_MS);
	uint64_t before = n->answers;

	if (n->last.n && (soon.tv_sec < until->tv_sec ||
			  (soon.tv_sec == until->tv_sec && soon.tv_nsec < until->tv_nsec)))
		until = &soon;
	if (!start(n))
		return EAI_AGAIN;
	n->waiting++;
	while (n->answers == before && wait_until(until))
		;
	/* Its place may be what another waits for. */
	if (--n->waiting == 0)
		pthread_cond_broadcast(&answered);
	return n->answers == before ? EAI_AGAIN : n->why;
}

/* With the lock. The name's place, a stranger's as soon as one is free; NULL: too late. */
static struct resolve_name *place(const char *host, const char *port, const struct timespec *until)
{
	struct resolve_name *n;

	while (!(n = find(host, port)) && !make_room(STRANGERS_MAX - 1))
		if (!wait_until(until))
			return NULL;
	if (!n)
		n = add(host, port);
	if (n)
		n->used = ++uses;
	return n;
}

int conn_resolve(struct resolved *out, const char *host, const char *port, int64_t ms, int *why,
		 struct err *e)
{
	const struct timespec until = in_ms(ms);
	struct resolve_name *n;
	bool known;

	memset(out, 0, sizeof(*out));
	*why = look_up(out, host, port, AI_NUMERICHOST);
	if (*why == 0)
		return 0;
	if (strlen(host) >= sizeof(n->host) || strlen(port) >= sizeof(n->port)) {
		*why = EAI_NONAME;
		return err_set(e, ERR_UNKNOWN_HOST, "no name is that long");
	}
	*why = EAI_AGAIN;
	pthread_mutex_lock(&lock);
	n = place(host, port, &until);
	if (n) {
		*why = wait_for(n, &until);
		/* A name server that says "no such name" knows; else last time's will do. */
		known = *why == 0 || (*why != EAI_NONAME && n->last.n);
		if (known) {
			*out = n->last;
			*why = 0;
		}
	}
	pthread_mutex_unlock(&lock);
	if (*why == 0)
		return 0;
	return err_set(e, ERR_UNKNOWN_HOST, "no address is known for this name (%s)",
		       gai_strerror(*why));
}
