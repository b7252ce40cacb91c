#include "conn/conn_resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define NAMES_MAX 64
#define PATIENCE_MS 500

/* Names that were asked for, for the life of the process: a question that no answer came
 * to goes on in its thread, and the next who asks waits for that one. */
static struct name {
	char host[256], port[8];
	bool asking;
	uint64_t answers;
	int why;	      /* of the last answer */
	struct resolved last; /* addresses that were told once */
} names[NAMES_MAX];
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
	struct name *n = arg;
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

/* NULL: the table is full, or the name too long for one. */
static struct name *find(const char *host, const char *port)
{
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		struct name *n = &names[i];

		if (!*n->host) {
			if (strlen(host) >= sizeof(n->host) || strlen(port) >= sizeof(n->port))
				return NULL;
			memcpy(n->host, host, strlen(host) + 1);
			memcpy(n->port, port, strlen(port) + 1);
			return n;
		}
		if (strcmp(n->host, host) == 0 && strcmp(n->port, port) == 0)
			return n;
	}
	return NULL;
}

static bool start(struct name *n)
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

/* With the lock. 0 and the answer in *why (EAI_AGAIN: none in time), or -1: no thread. */
static int wait_for(struct name *n, int64_t ms, int *why)
{
	uint64_t before = n->answers;
	struct timespec until;

	if (n->last.n && ms > PATIENCE_MS)
		ms = PATIENCE_MS;
	clock_gettime(CLOCK_MONOTONIC, &until);
	add_ms(&until, ms > 0 ? ms : 0);
	if (!start(n))
		return -1;
	while (n->answers == before &&
	       pthread_cond_clockwait(&answered, &lock, CLOCK_MONOTONIC, &until) == 0)
		;
	*why = n->answers == before ? EAI_AGAIN : n->why;
	return 0;
}

int conn_resolve(struct resolved *out, const char *host, const char *port, int64_t ms, int *why,
		 struct err *e)
{
	struct name *n;
	bool known;

	memset(out, 0, sizeof(*out));
	*why = look_up(out, host, port, AI_NUMERICHOST);
	if (*why == 0)
		return 0;
	pthread_mutex_lock(&lock);
	n = find(host, port);
	if (!n || wait_for(n, ms, why)) {
		pthread_mutex_unlock(&lock);
		*why = look_up(out, host, port, 0);
	} else {
		/* A name server that says "no such name" knows; else last time's will do. */
		known = *why == 0 || (*why != EAI_NONAME && n->last.n);
		if (known) {
			*out = n->last;
			*why = 0;
		}
		pthread_mutex_unlock(&lock);
	}
	if (*why == 0)
		return 0;
	return err_set(e, ERR_UNKNOWN_HOST, "no address is known for this name (%s)",
		       gai_strerror(*why));
}
