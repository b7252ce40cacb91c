/* The client library against a false HSM inside of this program, over a real
 * nats-server: what is lost, forged, refused, swapped or restarted on the way must not
 * lose, repeat or falsify a request. TAP on stdout; argument: the server's URL. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "client/hsm.h"
#include "client/hsm_ops.h"
#include "crypto/crypto.h"
#include "crypto/x25519.h"
#include "proto/request.h"
#include "proto/session.h"

#define SESSIONS 256
#define IDEMS 4096

/* What goes wrong next; counters count down. */
struct knobs {
	atomic_int mute; /* requests without an answer */
	atomic_int lose; /* requests that are done, but whose answer is lost */
	atomic_int hint; /* forged refusals of this code before the true answer */
	atomic_int hint_code;
	atomic_int hint_only;	 /* … instead of it */
	atomic_int garbage;	 /* forged sealed answers before the true one */
	atomic_int busy;	 /* sealed BUSY */
	atomic_int swap;	 /* answers that go to each other's reply subject */
	atomic_int late;	 /* answers that come behind the next one */
	atomic_int refuse_open;	 /* openings refused with this code, all */
	atomic_int refuse_count; /* … only so many, 0: all */
	atomic_int mute_open;
	atomic_int other_identity;
	atomic_ullong epoch;
	atomic_int state;
};

struct fake_session {
	uint64_t id;
	struct noise_keys keys;
	struct replay replay;
};

struct fake {
	pthread_mutex_t mu; /* of what is not atomic */
	struct conn *conn;
	natsSubscription *open, *requests;
	uint8_t secret[32], pub[32], other_secret[32], other_pub[32];
	uint8_t instance[INSTANCE_LEN], boot[BOOT_ID_LEN];
	struct fake_session s[SESSIONS];
	struct knobs k;
	uint32_t lifetime, max_message;
	uint64_t next;
	uint8_t idem[IDEMS][IDEM_LEN];
	atomic_uint nidem, openings, requests_seen, forged_seen;
	uint8_t held[4096]; /* a swapped answer */
	size_t held_len;
	char held_reply[256];
};

static unsigned tests, failures;

static void ok(bool good, const char *what)
{
	printf("%sok %u - %s\n", good ? "" : "not ", ++tests, what);
	failures += !good;
}

static bool take(atomic_int *n)
{
	int v = atomic_load(n);

	while (v > 0)
		if (atomic_compare_exchange_weak(n, &v, v - 1))
			return true;
	return false;
}

static void say(struct fake *f, const char *to, const struct buf *b)
{
	(void)natsConnection_Send(conn_nats(f->conn), to, b->p, (int)b->len);
}

static void refuse(struct fake *f, const char *to, int code, const char *text)
{
	uint8_t mem[256];
	struct buf b;

	buf_fixed(&b, mem, sizeof(mem));
	session_refusal_put(&b, (uint16_t)code, text);
	say(f, to, &b);
}

static void on_open(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	struct fake *f = arg;
	const char *to = natsMsg_GetReply(m);
	const void *p = natsMsg_GetData(m);
	size_t n = (size_t)natsMsg_GetDataLength(m);
	struct fake_session *s;
	struct session_grant g = {.lifetime = f->lifetime, .max_message = f->max_message};
	bool other = atomic_load(&f->k.other_identity);
	uint8_t mem[256];
	struct noise st;
	struct buf b;

	(void)nc;
	(void)sub;
	atomic_fetch_add(&f->openings, 1);
	pthread_mutex_lock(&f->mu);
	s = &f->s[f->next % SESSIONS];
	buf_fixed(&b, mem, sizeof(mem));
	if (take(&f->k.mute_open)) {
		;
	} else if (atomic_load(&f->k.refuse_open)) {
		refuse(f, to, atomic_load(&f->k.refuse_open), "the fake says no");
		if (take(&f->k.refuse_count) && !atomic_load(&f->k.refuse_count))
			atomic_store(&f->k.refuse_open, 0);
	} else if (other) {
		/* One who does not have the identity's secret cannot read the opening. */
		crypto_random(mem, sizeof(mem));
		mem[0] = SESSION_VERSION;
		mem[1] = SESSION_SUITE;
		b.len = 2 + NOISE_MSG2 + 8 + INSTANCE_LEN + BOOT_ID_LEN + 8 + 1 + 4 + 4;
		say(f, to, &b);
	} else if (!session_accept_who(&st, f->secret, f->pub, p, n, NULL) &&
		   !session_accept_rest(&st, p, n, NULL)) {
		memset(s, 0, sizeof(*s));
		g.session = s->id = ++f->next;
		memcpy(g.instance, f->instance, INSTANCE_LEN);
		memcpy(g.boot_id, f->boot, BOOT_ID_LEN);
		g.epoch = atomic_load(&f->k.epoch);
		g.state = (uint8_t)atomic_load(&f->k.state);
		if (!session_grant_put(&st, &g, &b, &s->keys, NULL))
			say(f, to, &b);
	}
	pthread_mutex_unlock(&f->mu);
	natsMsg_Destroy(m);
}

/* Does the request: counts each idempotency id once. */
static void execute(struct fake *f, const struct request *q)
{
	static const uint8_t none[IDEM_LEN];
	unsigned n = atomic_load(&f->nidem);

	if (!memcmp(q->idem, none, IDEM_LEN))
		return;
	for (unsigned i = 0; i < n; i++)
		if (!memcmp(f->idem[i], q->idem, IDEM_LEN))
			return;
	memcpy(f->idem[n % IDEMS], q->idem, IDEM_LEN);
	atomic_store(&f->nidem, n + 1);
}

static void answer(struct fake *f, const char *to, struct fake_session *s, uint64_t counter,
		   const struct request *q)
{
	struct seal_head h = {SEAL_REPLY, s->id, counter};
	struct response r = {.state = (uint8_t)atomic_load(&f->k.state),
			     .mode = q->mode,
			     .epoch = atomic_load(&f->k.epoch),
			     .body = q->body};
	uint8_t plain[8192], mem[8300];
	struct buf p, b;

	buf_fixed(&p, plain, sizeof(plain));
	buf_fixed(&b, mem, sizeof(mem));
	if (take(&f->k.busy)) {
		r.error = ERR_BUSY;
		r.body = (struct bytes){(const uint8_t *)"later", 5};
	} else {
		execute(f, q);
	}
	if (take(&f->k.lose))
		return;
	response_encode(&p, &r);
	seal_put(&b, s->keys.s2c, &h, p.p, p.len);
	if (take(&f->k.swap)) {
		if (f->held_len) {
			struct buf held;

			buf_fixed(&held, f->held, f->held_len);
			held.len = f->held_len;
			say(f, f->held_reply, &b);
			say(f, to, &held);
			f->held_len = 0;
		} else {
			memcpy(f->held, b.p, b.len);
			f->held_len = b.len;
			(void)snprintf(f->held_reply, sizeof(f->held_reply), "%s", to);
		}
		return;
	}
	if (take(&f->k.late)) {
		memcpy(f->held, b.p, b.len);
		f->held_len = b.len;
		(void)snprintf(f->held_reply, sizeof(f->held_reply), "%s", to);
		return;
	}
	say(f, to, &b);
	if (f->held_len) {
		buf_fixed(&p, f->held, f->held_len);
		p.len = f->held_len;
		say(f, f->held_reply, &p);
		f->held_len = 0;
	}
}

static void on_request(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	struct fake *f = arg;
	const char *to = natsMsg_GetReply(m);
	const void *p = natsMsg_GetData(m);
	size_t n = (size_t)natsMsg_GetDataLength(m);
	struct fake_session *s = NULL;
	uint8_t plain[65536];
	struct seal_head h;
	struct request q;

	(void)nc;
	(void)sub;
	atomic_fetch_add(&f->requests_seen, 1);
	if (take(&f->k.mute)) {
		natsMsg_Destroy(m);
		return;
	}
	if (take(&f->k.hint))
		refuse(f, to, atomic_load(&f->k.hint_code), "a stranger says no");
	if (take(&f->k.hint_only)) {
		refuse(f, to, atomic_load(&f->k.hint_code), "a stranger says no");
		natsMsg_Destroy(m);
		return;
	}
	pthread_mutex_lock(&f->mu);
	if (!seal_head_get(&h, p, n, NULL))
		for (unsigned i = 0; i < SESSIONS; i++)
			if (f->s[i].id && f->s[i].id == h.session)
				s = &f->s[i];
	if (!s) {
		refuse(f, to, ERR_NO_SESSION, "no such session");
	} else if (n > sizeof(plain) || seal_open(s->keys.c2s, p, n, plain, NULL) ||
		   request_decode(&q, plain, n - SEAL_OVERHEAD, NULL)) {
		atomic_fetch_add(&f->forged_seen, 1);
		refuse(f, to, ERR_BAD_PROOF, "no proof");
	} else if (!replay_accept(&s->replay, h.counter)) {
		atomic_fetch_add(&f->forged_seen, 1);
		refuse(f, to, ERR_REPLAYED, "used before");
	} else {
		if (take(&f->k.garbage)) {
			uint8_t junk[128];
			struct buf b;

			crypto_random(junk, sizeof(junk));
			memcpy(junk, p, SEAL_HEAD);
			junk[1] = SEAL_REPLY;
			buf_fixed(&b, junk, sizeof(junk));
			b.len = sizeof(junk);
			say(f, to, &b);
		}
		answer(f, to, s, h.counter, &q);
	}
	pthread_mutex_unlock(&f->mu);
	natsMsg_Destroy(m);
}

/* A new instance that knows nothing of the sessions of the one before. */
static void restart(struct fake *f)
{
	char subject[64], hex[ENC_HEX_LEN(INSTANCE_LEN)];

	natsSubscription_Destroy(f->requests);
	pthread_mutex_lock(&f->mu);
	memset(f->s, 0, sizeof(f->s));
	crypto_random(f->instance, sizeof(f->instance));
	crypto_random(f->boot, sizeof(f->boot));
	enc_hex(hex, f->instance, INSTANCE_LEN);
	pthread_mutex_unlock(&f->mu);
	(void)snprintf(subject, sizeof(subject), "hsm.i.%s.*", hex);
	(void)natsConnection_Subscribe(&f->requests, conn_nats(f->conn), subject, on_request, f);
	(void)natsConnection_Flush(conn_nats(f->conn));
}

static int fake_start(struct fake *f, const char *url)
{
	struct conn_opts o = {.url = url, .quiet = true};
	char subject[80] = "hsm.open.";
	struct err e;

	pthread_mutex_init(&f->mu, NULL);
	f->lifetime = 3600;
	f->max_message = 4096;
	atomic_store(&f->k.epoch, 5);
	atomic_store(&f->k.state, STATE_OPERATIONAL);
	crypto_random(f->secret, 32);
	x25519_public(f->pub, f->secret);
	if (conn_open(&f->conn, &o, &e)) {
		printf("Bail out! %s\n", e.text);
		return -1;
	}
	nkey_encode(subject + 9, NKEY_CURVE, f->pub);
	(void)natsConnection_Subscribe(&f->open, conn_nats(f->conn), subject, on_open, f);
	restart(f);
	return 0;
}

static void fake_stop(struct fake *f)
{
	conn_close(f->conn);
	natsSubscription_Destroy(f->open);
	natsSubscription_Destroy(f->requests);
}

/* ---- tests ---- */

static struct fake fake;
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
	restart(&fake);
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
	if (take(&n->left) && hsm_submit(n->c, &q, chained, n, NULL))
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
			restart(&fake);
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
	if (fake_start(&fake, argv[1]))
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
	fake_stop(&fake);
	nkey_clear(&caller);
	conn_library_close();
	printf("1..%u\n", tests);
	return failures != 0;
}
