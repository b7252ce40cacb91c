/* conn_resolve: the user's own names keep their place, whatever a hostile broker tells of
 * others (connect_urls), and a name server does with those. The name server is played here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn/conn.h"
#include "conn/conn_resolve.h"
#include "conn/conn_url.h"
#include "crypto/crypto.h"

#define STRANGERS 32 /* as many as are kept */
#define LONG_MS 30000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static bool broken, slow; /* trouble at once; no answer for "slow…" */
static unsigned hanging, asked;

/* Instead of libc's. */
int getaddrinfo(const char *host, const char *port, const struct addrinfo *how,
		struct addrinfo **out)
{
	struct sockaddr_in *in;
	struct addrinfo *a;
	bool trouble;

	(void)port;
	if (how->ai_flags & AI_NUMERICHOST)
		return EAI_NONAME;
	pthread_mutex_lock(&lock);
	asked++;
	hanging++;
	pthread_cond_broadcast(&change);
	while (slow && strncmp(host, "slow", 4) == 0)
		pthread_cond_wait(&change, &lock);
	hanging--;
	trouble = broken;
	pthread_mutex_unlock(&lock);
	if (trouble)
		return EAI_AGAIN;
	a = calloc(1, sizeof(*a) + sizeof(*in));
	assert_non_null(a);
	in = (struct sockaddr_in *)(a + 1);
	in->sin_family = AF_INET;
	a->ai_addr = (struct sockaddr *)in;
	a->ai_addrlen = sizeof(*in);
	*out = a;
	return 0;
}

void freeaddrinfo(struct addrinfo *a)
{
	free(a);
}

static void set(bool *what, bool to)
{
	pthread_mutex_lock(&lock);
	*what = to;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&lock);
}

static bool resolves(const char *host, int64_t ms)
{
	struct resolved r;
	int why;

	return conn_resolve(&r, host, "4222", ms, &why, NULL) == 0 && r.n == 1;
}

static bool resolves_nth(const char *prefix, unsigned i)
{
	char host[32];

	(void)snprintf(host, sizeof(host), "%s%u.example", prefix, i);
	return resolves(host, LONG_MS);
}

/* Without a name server: is it known from last time? */
static bool known(const char *host)
{
	bool yes;

	set(&broken, true);
	yes = resolves(host, LONG_MS);
	set(&broken, false);
	return yes;
}

static void own_names_stay(void **state)
{
	struct resolve_name *own = conn_resolve_hold("own.example", "4222"), *again;

	(void)state;
	assert_non_null(own);
	assert_true(resolves("own.example", LONG_MS));
	for (unsigned i = 0; i < 500; i++)
		assert_true(resolves_nth("gossip", i));
	assert_true(known("own.example"));
	assert_true(known("OWN.example"));
	/* Of the others the last ones are there, and no more of them. */
	assert_true(known("gossip499.example"));
	assert_true(known("gossip468.example"));
	assert_false(known("gossip0.example"));
	assert_false(known("gossip400.example"));
	/* Held twice, it stays until it is released twice. */
	again = conn_resolve_hold("own.example", "4222");
	assert_ptr_equal(again, own);
	conn_resolve_release(own);
	for (unsigned i = 0; i < 100; i++)
		assert_true(resolves_nth("more", i));
	assert_true(known("own.example"));
	conn_resolve_release(own);
	for (unsigned i = 0; i < 100; i++)
		assert_true(resolves_nth("gossip", i));
	assert_false(known("own.example"));
}

/* What was asked for last is not the one to go. */
static void oldest_goes(void **state)
{
	(void)state;
	assert_true(resolves("first.example", LONG_MS));
	for (unsigned i = 0; i < 3 * STRANGERS; i++) {
		assert_true(resolves_nth("other", i));
		assert_true(resolves("first.example", LONG_MS));
	}
	assert_true(known("first.example"));
}

/* Every place of strangers waits for a name server that says nothing. */
static void own_names_need_not_wait(void **state)
{
	struct resolve_name *own;
	unsigned before;
	char host[32];

	(void)state;
	set(&slow, true);
	for (unsigned i = 0; i < STRANGERS; i++) {
		(void)snprintf(host, sizeof(host), "slow%u.example", i);
		assert_false(resolves(host, 0));
	}
	pthread_mutex_lock(&lock);
	while (hanging < STRANGERS)
		pthread_cond_wait(&change, &lock);
	before = asked;
	pthread_mutex_unlock(&lock);
	/* One more is not asked for, by whichever thread: there would be no end of them. */
	assert_false(resolves("slow-too.example", 50));
	pthread_mutex_lock(&lock);
	assert_int_equal(asked, before);
	pthread_mutex_unlock(&lock);
	own = conn_resolve_hold("mine.example", "4222");
	assert_true(resolves("mine.example", LONG_MS));
	conn_resolve_release(own);
	set(&slow, false);
	/* And when it speaks again, so is everybody. */
	assert_true(resolves("late.example", LONG_MS));
}

static void conn_holds(void **state)
{
	/* The name server knows them, and nobody listens on port 4222 of 0.0.0.0:0. */
	struct conn_opts o = {.url = "nats://u:p%2F@one.example,nats://two.example:04222/x",
			      .service = true,
			      .quiet = true,
			      .timeout_ms = 500};
	struct conn *c = NULL;
	struct err e;

	(void)state;
	assert_int_equal(conn_open(&c, &o, &e), 0);
	assert_true(resolves("one.example", LONG_MS) && resolves("two.example", LONG_MS));
	for (unsigned i = 0; i < 100; i++)
		assert_true(resolves_nth("gossip", i));
	set(&broken, true);
	assert_true(resolves("one.example", LONG_MS) && resolves("two.example", LONG_MS));
	set(&broken, false);
	conn_close(c);
	conn_library_close();
}

static void places(void **state)
{
	static const struct {
		const char *url, *host, *port;
	} t[] = {
		{"nats://a.example:1", "a.example", "1"},
		{"tls://a.example", "a.example", "4222"},
		{"a.example", "a.example", "4222"},
		{"a.example:77/", "a.example", "77"},
		{"nats://u@a.example:5", "a.example", "5"},
		{"nats://u:p@x@a.example:5", "a.example", "5"},
		{"nats://u:p/q@a.example", "a.example", "4222"},
		{"nats://[::1]:4222", NULL, NULL},
		{"nats://", NULL, NULL},
		{"nats://a:99999", NULL, NULL},
	};
	char host[256], port[8];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(conn_url_place(t[i].url, host, port), t[i].host != NULL);
		if (!t[i].host)
			continue;
		assert_string_equal(host, t[i].host);
		assert_string_equal(port, t[i].port);
	}
}

static int setup(void **state)
{
	(void)state;
	return crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_names_stay),
		cmocka_unit_test(oldest_goes),
		cmocka_unit_test(own_names_need_not_wait),
		cmocka_unit_test(conn_holds),
		cmocka_unit_test(places),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
