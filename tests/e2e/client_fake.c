/* The client library against a false HSM inside of this program, over a real
 * nats-server: what is lost, forged, refused, swapped or restarted on the way must not
 * lose, repeat or falsify a request. TAP on stdout; argument: the server's URL. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "client/hsm.h"
#include "client/hsm_ops.h"
#include "crypto/crypto.h"
#include "e2e/lib/fake_hsm.h"

static unsigned tests, failures;

static void ok(bool good, const char *what)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++tests, what);
	failures += !good;
}

/* ---- tests ---- */

static struct fake_hsm fake;
static struct nkey caller;
static struct hsm_opts base;

static struct hsm_client *start(const struct hsm_opts *o)
{
	struct hsm_client *c = NULL;
	struct err e;

	if (hsm_open(&c, o, &e)) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return c;
}

static int echo(struct hsm_client *c, enum op op, const char *text, struct hsm_result *r,
		struct err *e)
{
	struct hsm_request q = {.op = op, .key = "k", .mode = 1, .body = text, .len = strlen(text)};
	char mem[128];
	struct hsm_result own;
	struct buf b;

	buf_fixed(&b, mem, sizeof(mem));
	if (!r)
		r = &own;
	if (hsm_call(c, &q, &b, r, e))
		return -1;
	return b.len == strlen(text) && !memcmp(mem, text, b.len) ? 0 : -1;
}

static void test_calls(void)
{
	CLEAN(hsm) struct hsm_client *c = start(&base);
	struct hsm_request big = {.op = OP_sign, .key = "k", .len = 5000};
	CLEAN(free) char *zeros = calloc(1, 5000);
	struct hsm_result r;
	struct err e;

	big.body = zeros;
	ok(echo(c, OP_sign, "hello", &r, &e) == 0 && r.tries == 1 && r.epoch == 5 && r.mode == 1,
	   "a call comes back");
	ok(hsm_call(c, &big, NULL, NULL, &e) && e.code == ERR_TOO_LARGE,
	   "a body over the service's limit is refused here");
	big.key = "-x";
	ok(hsm_call(c, &big, NULL, NULL, &e) && e.code == ERR_BAD_NAME, "a bad name is refused");
	atomic_store(&fake.k.garbage, 1);
	ok(echo(c, OP_sign, "x", &r, &e) == 0 && r.tries == 1,
	   "a forged answer before the true one is passed over");
	atomic_store(&fake.k.hint_code, ERR_NOT_FOUND);
	atomic_store(&fake.k.hint, 1);
	ok(echo(c, OP_sign, "x", &r, &e) == 0, "a forged refusal before it is no result");
}

static void test_lost(void)
{
	CLEAN(hsm) struct hsm_client *c = start(&base);
	struct hsm_result r;
	struct err e;
	unsigned before;

	ok(echo(c, OP_sign, "x", &r, &e) == 0, "session");
	before = atomic_load(&fake.nidem);
	atomic_store(&fake.k.lose, 1);
	ok(echo(c, OP_key_remove, "m", &r, &e) == 0 && r.tries == 2,
	   "a lost answer is asked again");
	ok(atomic_load(&fake.nidem) == before + 1, "… and the change made once");
	atomic_store(&fake.k.mute, 1);
	ok(echo(c, OP_key_remove, "m", &r, &e) == 0 && r.tries == 2, "so is a lost request");
	ok(atomic_load(&fake.nidem) == before + 2, "… and it is another change");
	atomic_store(&fake.k.busy, 2);
	ok(echo(c, OP_key_remove, "m", &r, &e) == 0 && r.tries == 3, "BUSY is tried again");
	atomic_store(&fake.k.hint_code, ERR_NO_SESSION);
	atomic_store(&fake.k.hint_only, 1);
	before = atomic_load(&fake.openings);
	ok(echo(c, OP_key_remove, "m", &r, &e) == 0 && r.tries == 2 &&
		   atomic_load(&fake.openings) == before + 1,
	   "NO_SESSION opens a new session");
}

static void test_restart(void)
{
	CLEAN(hsm) struct hsm_client *c = start(&base);
	struct hsm_result r;
	struct err e;

	ok(echo(c, OP_sign, "x", &r, &e) == 0, "session");
	fake_hsm_restart(&fake);
	ok(echo(c, OP_user_set, "after", &r, &e) == 0 && r.tries == 2, "works across a restart");
	pthread_mutex_lock(&fake.mu);
	memset(fake.s, 0, sizeof(fake.s)); /* the same instance forgot the sessions */
	pthread_mutex_unlock(&fake.mu);
	ok(echo(c, OP_user_set, "after", &r, &e) == 0 && r.tries == 2, "and across amnesia");
}

static void test_deadline(void)
{
	struct hsm_opts o = base;
	struct hsm_client *c;
	struct err e;
	int64_t t;

	o.deadline_ms = 400;
	o.try_ms = 100;
	c = start(&o);
	ok(echo(c, OP_sign, "x", NULL, &e) == 0, "session");
	atomic_store(&fake.k.mute, 1000);
	ok(echo(c, OP_key_remove, "m", NULL, &e) && e.code == ERR_TIMEOUT &&
		   strstr(e.text, "may have been made"),
	   "a silent service ends in TIMEOUT that warns of an unknown outcome");
	atomic_store(&fake.k.mute, 0);
	hsm_close(c, NULL);

	c = start(&o);
	atomic_store(&fake.k.mute_open, 1000);
	ok(echo(c, OP_key_remove, "m", NULL, &e) && e.code == ERR_TIMEOUT &&
		   !strstr(e.text, "may have been made"),
	   "without a session nothing can have been made");
	atomic_store(&fake.k.mute_open, 0);
	atomic_store(&fake.k.other_identity, 1);
	ok(echo(c, OP_sign, "m", NULL, &e) && e.code == ERR_WRONG_IDENTITY,
	   "another HSM's answer is WRONG_IDENTITY");
	atomic_store(&fake.k.other_identity, 0);
	hsm_close(c, NULL);

	o.deadline_ms = 30000;
	c = start(&o);
	atomic_store(&fake.k.refuse_open, ERR_UNKNOWN_USER);
	t = (int64_t)time(NULL);
	ok(echo(c, OP_sign, "m", NULL, &e) && e.code == ERR_UNKNOWN_USER &&
		   (int64_t)time(NULL) - t < 15,
	   "an unknown user is told long before the deadline");
	atomic_store(&fake.k.refuse_count, 1);
	ok(echo(c, OP_sign, "m", NULL, &e) == 0,
	   "one refusal alone, perhaps forged, is not believed");
	atomic_store(&fake.k.refuse_open, ERR_NOT_VERIFIED);
	atomic_store(&fake.k.refuse_count, 0);
	hsm_close(c, NULL);
	c = start(&o);
	ok(echo(c, OP_verify, "m", NULL, &e) && e.code == ERR_UNAVAILABLE,
	   "a refused opening is never the result of a request");
	atomic_store(&fake.k.refuse_open, 0);
	atomic_store(&fake.k.refuse_count, 0);
	hsm_close(c, NULL);

	o.deadline_ms = 300;
	crypto_random(o.identity, 32);
	c = start(&o);
	ok(echo(c, OP_sign, "m", NULL, &e) && e.code == ERR_NO_RESPONDERS, "nobody there");
	hsm_close(c, NULL);
}

struct count {
	struct hsm_client *c;
	atomic_uint done, wrong;
	atomic_int left;
};

static void counted(void *arg, const struct hsm_result *r, const struct err *e)
{
	struct count *n = arg;

	if (e || r->body.len != 4)
		atomic_fetch_add(&n->wrong, 1);
	atomic_fetch_add(&n->done, 1);
}

static void chained(void *arg, const struct hsm_result *r, const struct err *e)
{
	struct count *n = arg;
	struct hsm_request q = {.op = OP_sign, .key = "k", .body = "abcd", .len = 4};

	counted(arg, r, e);
	if (fake_hsm_take(&n->left) && hsm_submit(n->c, &q, chained, n, NULL))
		atomic_fetch_add(&n->wrong, 1);
}

static void test_pipeline(void)
{
	struct hsm_opts o = base;
	struct count n = {0};
	struct hsm_request q = {.op = OP_sign, .key = "k", .body = "abcd", .len = 4};
	unsigned before = atomic_load(&fake.openings);
	struct hsm_client *c;
	struct err e;

	o.counter_limit = 200;
	o.in_flight = 16;
	o.try_ms = 2000;
	c = start(&o);
	for (unsigned i = 0; i < 4000; i++) {
		q.flags = i % 8 != 7 ? HSM_MORE : 0;
		if (hsm_submit(c, &q, counted, &n, &e))
			break;
		if (i == 2000)
			fake_hsm_restart(&fake);
	}
	ok(hsm_wait_idle(c, 20000, &e) == 0 && n.done == 4000 && n.wrong == 0,
	   "4000 requests in 16 slots, over renewals and a restart, all come back");
	ok(atomic_load(&fake.openings) - before >= 4000 / 200, "sessions were renewed");
	memset(&n, 0, sizeof(n));
	n.c = c;
	n.left = 2000;
	q.flags = 0;
	for (unsigned i = 0; i < 8; i++)
		(void)hsm_submit(c, &q, chained, &n, NULL);
	ok(hsm_wait_idle(c, 20000, &e) == 0 && n.done == 2008 && n.wrong == 0,
	   "callbacks may submit");
	hsm_close(c, NULL);

	o.counter_limit = 0;
	o.in_flight = 2;
	c = start(&o);
	ok(echo(c, OP_sign, "x", NULL, &e) == 0, "session");
	memset(&n, 0, sizeof(n));
	atomic_store(&fake.k.swap, 2);
	(void)hsm_submit(c, &q, counted, &n, NULL);
	(void)hsm_submit(c, &q, counted, &n, NULL);
	q.flags = HSM_NOWAIT;
	ok(hsm_submit(c, &q, counted, &n, &e) && e.code == ERR_BUSY, "BUSY when all slots are out");
	ok(hsm_wait_idle(c, 10000, &e) == 0 && n.done == 2 && n.wrong == 0,
	   "answers at each other's reply subject are not taken");
	atomic_store(&fake.k.mute, 1000);
	memset(&n, 0, sizeof(n));
	(void)hsm_submit(c, &q, counted, &n, NULL);
	hsm_close(c, NULL);
	ok(n.done == 1 && n.wrong == 1, "close ends what is in flight");
	atomic_store(&fake.k.mute, 0);
}

/* A change between two answers, of which the older one comes last: no rollback. */
static void test_epoch_overtaken(void)
{
	struct hsm_request q = {.op = OP_sign, .key = "k", .body = "abcd", .len = 4};
	struct hsm_opts o = base;
	struct count n = {0};
	struct hsm_client *c;
	struct err e;

	o.try_ms = 5000;
	c = start(&o);
	ok(echo(c, OP_sign, "x", NULL, &e) == 0, "a session");
	atomic_store(&fake.k.late, 1);
	(void)hsm_submit(c, &q, counted, &n, NULL);
	for (unsigned i = 0; i < 1000 && atomic_load(&fake.k.late); i++)
		usleep(1000);
	atomic_fetch_add(&fake.k.epoch, 1);
	ok(echo(c, OP_sign, "x", NULL, &e) == 0, "the newer answer comes first");
	ok(hsm_wait_idle(c, 20000, &e) == 0 && n.done == 1 && n.wrong == 0,
	   "an answer of the epoch before is good when the request was sent before");
	hsm_close(c, NULL);
}

static void test_epoch(const char *file)
{
	struct hsm_opts o = base;
	struct hsm_client *c;
	struct err e;

	(void)unlink(file);
	o.epoch_file = file;
	atomic_store(&fake.k.epoch, 40);
	c = start(&o);
	ok(echo(c, OP_sign, "x", NULL, &e) == 0 && hsm_close(c, &e) == 0, "epoch 40 seen");
	c = start(&o);
	ok(hsm_epoch(c) == 40, "it is remembered");
	atomic_store(&fake.k.epoch, 39);
	ok(echo(c, OP_sign, "x", NULL, &e) && e.code == ERR_EPOCH_BACK, "39 is refused");
	ok(echo(c, OP_sign, "x", NULL, &e) && e.code == ERR_EPOCH_BACK, "… and again");
	atomic_store(&fake.k.state, STATE_LOCKED);
	ok(echo(c, OP_sign, "x", NULL, &e) == 0, "a locked HSM does not know its epoch");
	atomic_store(&fake.k.state, STATE_OPERATIONAL);
	ok(hsm_epoch_accept(c, 39, &e) == 0 && echo(c, OP_sign, "x", NULL, &e) == 0,
	   "39 is taken when accepted");
	hsm_close(c, NULL);
	c = start(&o);
	ok(hsm_epoch(c) == 39, "… for later runs too");
	hsm_close(c, NULL);
}

int main(int argc, char **argv)
{
	struct err e;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3 || crypto_init() || nkey_generate(&caller, NKEY_USER, &e)) {
		puts("Bail out! usage: client_fake URL EPOCH-FILE");
		return 1;
	}
	if (fake_hsm_start(&fake, argv[1]))
		return 1;
	base.conn = (struct conn_opts){.url = argv[1], .quiet = true};
	base.caller = &caller;
	memcpy(base.identity, fake.pub, 32);
	base.try_ms = 300;
	base.deadline_ms = 20000;
	test_calls();
	test_lost();
	test_restart();
	test_deadline();
	test_pipeline();
	test_epoch_overtaken();
	test_epoch(argv[2]);
	fake_hsm_stop(&fake);
	nkey_clear(&caller);
	conn_library_close();
	printf("1..%u\n", tests);
	return failures != 0;
}
