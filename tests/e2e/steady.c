/* A steady load through the client library, for tests that disturb what carries it: signing
 * requests leave on a schedule, whether earlier ones were answered or not, and beside them
 * keys are made. Each signature is verified here; in the end the keys that were made are
 * compared with the service's list and with its audit log.
 *
 *   steady -u USER -a ADMIN -k KEY [-r SIGNATURES-A-SECOND] [-c KEYS-A-SECOND] [-t SECONDS]
 *          [-d DEADLINE-MS] [-n CLIENTS] [-p PREFIX-OF-NEW-KEYS]
 *
 * USER (an operator) and ADMIN are files with an NKey seed, or creds files. KEY is an Ed25519
 * key. Of three new keys one is asked for twice at once and one again after its answer, by
 * two clients with one idempotency id: each must be made once. The rest of the settings is
 * in the environment: NATS_URL, NATS_CA, HSM_IDENTITY, …
 *
 * A line of JSON goes to stdout each second, and at the end one for each phase and one for
 * all. SIGUSR1 begins the next phase; a request belongs to that in which it left. SIGTERM
 * ends the load early: what is out still has its time; a second one does not wait.
 *
 *   sent signed       signing requests, and those of them with a true signature
 *   retries           messages that were sent beyond the first of each request
 *   wrong             signatures that are not of their message
 *   lost              requests without a signature
 *   late              signatures later than the deadline, counted from the schedule
 *   asked created     new keys that were asked for, and those that were acknowledged
 *   refused           requests for new keys, twins too, that got no key
 *   missing doubled   keys that were acknowledged and are not there (or are another), and
 *                     those that were made twice
 *   gap_ms            the longest time without a signature
 *
 * Exit status: 0, 1 when anything is wrong, lost, late, missing or doubled, 2 usage. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "client/hsm.h"
#include "client/hsm_ops.h"
#include "client/trail.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "proto/request.h"

#define CODES 128
#define PHASES 64
#define CLIENTS_MAX 8
#define SIGNS_MAX 2000000
#define MAKES_MAX 20000
#define AUDIT_PAGE (256u << 10)

enum outcome { WAITING, SIGNED, WRONG, FAILED };

struct one {
	int64_t due, done; /* microseconds since the start */
	uint32_t n;
	uint16_t tries;
	uint8_t phase, outcome; /* enum outcome */
};

/* A key that is to be made: the first request for it, and its twin. */
struct made {
	char name[96];
	uint8_t idem[IDEM_LEN];
	uint8_t pub[2][32];
	bool ok[2], ended[2];
	uint8_t phase;
	unsigned listed, logged;
};

struct counts {
	unsigned sent, signed_, retries, wrong, lost, late;
	unsigned asked, created, refused, missing, doubled;
	unsigned waiting;
	int64_t gap;
};

static struct {
	pthread_mutex_t lock; /* everything that callbacks change */
	struct hsm_client *signer[CLIENTS_MAX], *admin[2];
	const char *key, *prefix;
	unsigned clients, rate, per_second, seconds;
	int64_t deadline;
	uint8_t pub[32];
	uint64_t audit_from;
	int64_t start, last_signed;
	int64_t gap[PHASES];
	unsigned codes[CODES], make_codes[CODES], extra_makes;
	struct err last;
	struct one *one;
	struct made *made;
	unsigned nones, nmades, phase;
} s = {.lock = PTHREAD_MUTEX_INITIALIZER,
       .clients = 3,
       .rate = 200,
       .per_second = 2,
       .seconds = 30,
       .deadline = 30000,
       .prefix = "steady"};

static volatile sig_atomic_t marks, stops;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		marks++;
	else
		stops++;
}

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000 - s.start;
}

static void failed(unsigned *codes, const struct err *e)
{
	codes[e->code < CODES ? e->code : 1]++;
	s.last = *e;
}

/* ---- signatures ---- */

static size_t message(const struct one *q, char out[static 96])
{
	return (size_t)snprintf(out, 96, "steady %s message %u", s.prefix, q->n);
}

static void sign_done(void *arg, const struct hsm_result *r, const struct err *e)
{
	struct one *q = arg;
	char text[96];
	size_t len = message(q, text);
	bool good = !e && r->body.len == 64 &&
		    ed25519_verify(r->body.p, (const uint8_t *)text, len, s.pub, NULL) == 0;

	pthread_mutex_lock(&s.lock);
	q->done = now_us();
	q->tries = (uint16_t)(r->tries > UINT16_MAX ? UINT16_MAX : r->tries);
	q->outcome = e ? FAILED : good ? SIGNED : WRONG;
	if (e)
		failed(s.codes, e);
	if (good && q->done - s.last_signed > s.gap[s.phase])
		s.gap[s.phase] = q->done - s.last_signed;
	if (good)
		s.last_signed = q->done;
	pthread_mutex_unlock(&s.lock);
}

static void sign(void)
{
	struct one *q = &s.one[s.nones];
	char text[96];
	struct hsm_request r = {.op = OP_sign, .key = s.key, .body = text, .flags = HSM_NOWAIT};
	struct err e;
	int rc = -1;

	q->n = s.nones;
	q->due = (int64_t)s.nones * 1000000 / s.rate;
	q->phase = (uint8_t)s.phase;
	r.len = message(q, text);
	s.nones++;
	/* One that has no room for more gives the request to the next. */
	for (unsigned i = 0; i < s.clients && rc; i++)
		rc = hsm_submit(s.signer[(q->n + i) % s.clients], &r, sign_done, q, &e);
	if (rc)
		sign_done(q, &(struct hsm_result){0}, &e);
}

/* ---- keys ---- */

enum twin { NONE, AT_ONCE, AFTERWARDS };

static enum twin twin(const struct made *m)
{
	return (enum twin)((m - s.made) % 3);
}

static void make(struct made *m, unsigned which);

static void make_done(struct made *m, unsigned which, const struct hsm_result *r,
		      const struct err *e)
{
	struct key_info info;
	struct err bad = {0};
	struct rd rd;

	pthread_mutex_lock(&s.lock);
	m->ended[which] = true;
	if (r->tries > 1)
		s.extra_makes += r->tries - 1;
	rd_init(&rd, r->body.p, r->body.len);
	if (e)
		failed(s.make_codes, e);
	else if (key_info_get(&info, &rd, &bad) || info.pub.len != 32)
		failed(s.make_codes, &bad);
	else
		m->ok[which] = true;
	if (m->ok[which])
		memcpy(m->pub[which], info.pub.p, 32);
	pthread_mutex_unlock(&s.lock);
	if (which == 0 && twin(m) == AFTERWARDS)
		make(m, 1);
}

static void first_done(void *arg, const struct hsm_result *r, const struct err *e)
{
	make_done(arg, 0, r, e);
}

static void second_done(void *arg, const struct hsm_result *r, const struct err *e)
{
	make_done(arg, 1, r, e);
}

static void make(struct made *m, unsigned which)
{
	uint8_t mem[64];
	struct key_new k = {.type = KEY_ED25519};
	struct hsm_request r = {
		.op = OP_key_generate, .key = m->name, .flags = HSM_NOWAIT, .idem = m->idem};
	struct buf body;
	struct err e;

	buf_fixed(&body, mem, sizeof(mem));
	key_new_put(&body, &k);
	r.body = body.p;
	r.len = body.len;
	r.deadline_ms = s.deadline;
	if (hsm_submit(s.admin[which], &r, which ? second_done : first_done, m, &e))
		make_done(m, which, &(struct hsm_result){0}, &e);
}

static void next_key(void)
{
	struct made *m = &s.made[s.nmades];

	(void)snprintf(m->name, sizeof(m->name), "%s.%u", s.prefix, s.nmades);
	crypto_random(m->idem, sizeof(m->idem));
	m->phase = (uint8_t)s.phase;
	s.nmades++;
	if (twin(m) == AT_ONCE)
		make(m, 1);
	make(m, 0);
}

/* ---- what the service has in the end ---- */

static struct made *find(struct bytes name)
{
	size_t n = strlen(s.prefix);
	char digits[16] = "";
	unsigned i;

	if (name.len < n + 2 || name.len - n - 1 >= sizeof(digits) ||
	    memcmp(name.p, s.prefix, n) != 0 || name.p[n] != '.')
		return NULL;
	memcpy(digits, name.p + n + 1, name.len - n - 1);
	i = (unsigned)strtoul(digits, NULL, 10);
	return i < s.nmades ? &s.made[i] : NULL;
}

static int list(struct err *e)
{
	struct key_info *page = calloc(LIST_MAX, sizeof(*page));
	CLEAN(buf) struct buf mem = {0};
	char after[128] = "";
	bool more = true;
	int rc = page ? 0 : err_set(e, ERR_NOMEM, NULL);

	buf_init(&mem, HSM_REPLY_MAX);
	while (rc == 0 && more) {
		struct list_query q = {.prefix = {(const uint8_t *)s.prefix, strlen(s.prefix)},
				       .after = {(const uint8_t *)after, strlen(after)},
				       .limit = LIST_MAX};
		size_t n = 0;

		rc = hsm_key_list(s.admin[0], &q, &mem, page, &n, &more, e);
		for (size_t i = 0; rc == 0 && i < n; i++) {
			struct made *m = find(page[i].name);

			(void)snprintf(after, sizeof(after), "%.*s", (int)page[i].name.len,
				       (const char *)page[i].name.p);
			if (!m)
				continue;
			m->listed++;
			/* another key under the name: the acknowledged one is not there */
			for (unsigned w = 0; w < 2; w++)
				if (m->ok[w] && (page[i].pub.len != 32 ||
						 memcmp(page[i].pub.p, m->pub[w], 32) != 0))
					m->listed = 0;
		}
	}
	free(page);
	return rc;
}

static int each_entry(void *arg, struct bytes entry, struct err *e)
{
	struct audit_entry a;
	struct made *m;

	if (audit_entry_get(&a, entry.p, entry.len, e))
		return -1;
	*(uint64_t *)arg = a.seq;
	m = find(a.key);
	if (m && a.op == OP_key_generate && a.error == 0)
		m->logged++;
	return 0;
}

static int audit(struct err *e)
{
	uint64_t seq = s.audit_from;
	bool more = true;
	size_t n;

	while (more)
		if (hsm_audit_read(s.admin[0], seq + 1, AUDIT_PAGE, each_entry, &seq, &n, &more, e))
			return -1;
	return 0;
}

/* ---- counts ---- */

/* phase -1: all. With the lock. */
static void count(struct counts *c, int phase)
{
	*c = (struct counts){0};
	for (unsigned i = 0; i < s.nones; i++) {
		const struct one *q = &s.one[i];

		if (phase >= 0 && q->phase != phase)
			continue;
		c->sent++;
		c->retries += q->tries > 1 ? q->tries - 1u : 0;
		c->signed_ += q->outcome == SIGNED;
		c->wrong += q->outcome == WRONG;
		c->lost += q->outcome == FAILED;
		c->waiting += q->outcome == WAITING;
		c->late += q->outcome == SIGNED && q->done - q->due > s.deadline * 1000;
	}
	for (unsigned i = 0; i < s.nmades; i++) {
		const struct made *m = &s.made[i];

		if (phase >= 0 && m->phase != phase)
			continue;
		c->asked++;
		c->created += m->ok[0] || m->ok[1];
		for (unsigned w = 0; w < (twin(m) == NONE ? 1 : 2); w++) {
			c->waiting += !m->ended[w];
			c->refused += m->ended[w] && !m->ok[w];
		}
	}
	for (unsigned p = 0; p < PHASES; p++)
		if ((phase < 0 || p == (unsigned)phase) && s.gap[p] > c->gap)
			c->gap = s.gap[p];
}

/* What list and audit have found. */
static void compare(struct counts *c, int phase)
{
	for (unsigned i = 0; i < s.nmades; i++) {
		const struct made *m = &s.made[i];
		bool twice = m->ok[0] && m->ok[1] && memcmp(m->pub[0], m->pub[1], 32) != 0;

		if (phase >= 0 && m->phase != phase)
			continue;
		/* An answer that a second try contradicts; or more entries than one. */
		c->doubled += twice || m->logged > 1 || m->listed > 1;
		c->missing += (m->ok[0] || m->ok[1]) && (m->listed == 0 || m->logged == 0);
	}
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print_latency(int phase)
{
	int64_t *t = calloc(s.nones + 1, sizeof(*t));
	static const unsigned at[] = {500, 990, 999, 1000};
	unsigned n = 0;

	for (unsigned i = 0; t && i < s.nones; i++)
		if (s.one[i].outcome == SIGNED && (phase < 0 || s.one[i].phase == phase))
			t[n++] = s.one[i].done - s.one[i].due;
	if (n)
		qsort(t, n, sizeof(*t), by_size);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		size_t k = n ? (size_t)(n - 1) * at[i] / 1000 : 0;

		printf(",\"%s\":%.1f", (const char *[]){"p50_ms", "p99_ms", "p999_ms", "max_ms"}[i],
		       n ? (double)t[k] / 1000 : 0.0);
	}
	free(t);
}

static void print_codes(const char *what, const unsigned *codes)
{
	const char *comma = "";

	printf(",\"%s\":{", what);
	for (unsigned i = 0; i < CODES; i++)
		if (codes[i]) {
			printf("%s\"%s\":%u", comma, err_row(i)->name, codes[i]);
			comma = ",";
		}
	printf("}");
}

static void print_counts(const struct counts *c)
{
	printf("\"sent\":%u,\"signed\":%u,\"retries\":%u,\"wrong\":%u,\"lost\":%u,\"late\":%u,"
	       "\"asked\":%u,\"created\":%u,\"refused\":%u,\"waiting\":%u,\"gap_ms\":%.1f",
	       c->sent, c->signed_, c->retries, c->wrong, c->lost, c->late, c->asked, c->created,
	       c->refused, c->waiting, (double)c->gap / 1000);
}

static void print_second(unsigned second)
{
	struct counts c;

	pthread_mutex_lock(&s.lock);
	count(&c, -1);
	printf("{\"second\":%u,\"phase\":%u,", second, s.phase);
	print_counts(&c);
	printf("}\n");
	pthread_mutex_unlock(&s.lock);
}

/* compared: list and audit were read. 0 when all is well. */
static int report(bool compared)
{
	struct counts c = {0};

	pthread_mutex_lock(&s.lock);
	for (int p = 0; p <= (int)s.phase; p++) {
		count(&c, p);
		compare(&c, p);
		printf("{\"phase\":%d,", p);
		print_counts(&c);
		printf(",\"missing\":%u,\"doubled\":%u", c.missing, c.doubled);
		print_latency(p);
		printf("}\n");
	}
	count(&c, -1);
	compare(&c, -1);
	printf("{\"total\":true,");
	print_counts(&c);
	printf(",\"missing\":%u,\"doubled\":%u,\"compared\":%s,\"create_retries\":%u", c.missing,
	       c.doubled, compared ? "true" : "false", s.extra_makes);
	print_latency(-1);
	print_codes("errors", s.codes);
	print_codes("create_errors", s.make_codes);
	printf("}\n");
	if (s.last.code)
		fprintf(stderr, "steady: last error: %s\n", s.last.text);
	pthread_mutex_unlock(&s.lock);
	bool good = compared && c.sent && c.signed_ == c.sent && !c.late && !c.refused &&
		    c.created == c.asked && !c.missing && !c.doubled;

	return !good;
}

/* ---- life ---- */

static void wait_until(int64_t us)
{
	us += s.start;
	const struct timespec ts = {us / 1000000, us % 1000000 * 1000};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR && !stops)
		;
}

static void next_phase(void)
{
	static int seen;

	if (seen == marks || s.phase + 1 >= PHASES)
		return;
	seen++;
	pthread_mutex_lock(&s.lock);
	s.phase++;
	pthread_mutex_unlock(&s.lock);
}

static void load(void)
{
	const unsigned total = s.rate * s.seconds;
	const int64_t end = (int64_t)s.seconds * 1000000;
	int64_t print_at = 1000000;

	while (!stops && now_us() < end) {
		int64_t due = (int64_t)s.nones * 1000000 / s.rate;
		int64_t key = s.per_second ? (int64_t)s.nmades * 1000000 / s.per_second : INT64_MAX;
		int64_t at = due < key ? due : key;

		wait_until(at < print_at ? at : print_at);
		next_phase();
		if (print_at <= now_us()) {
			print_second((unsigned)(print_at / 1000000));
			print_at += 1000000;
		}
		if (s.nones < total && due <= now_us())
			sign();
		if (s.nmades < MAKES_MAX && key <= now_us())
			next_key();
	}
}

/* Those that are out have their deadline; then nothing may be left. */
static void wait_for_rest(void)
{
	int64_t until = now_us() + (s.deadline + 5000) * 1000;
	int stopped = stops;
	struct counts c;

	do {
		wait_until(now_us() + 50000);
		pthread_mutex_lock(&s.lock);
		count(&c, -1);
		pthread_mutex_unlock(&s.lock);
	} while (c.waiting && now_us() < until && stops <= stopped);
}

static int open_one(struct hsm_client **c, const char *file, unsigned in_flight, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};
	struct hsm_opts o = {.caller = &k, .in_flight = in_flight, .deadline_ms = s.deadline};
	const char *id = getenv("HSM_IDENTITY");

	conn_opts_env(&o.conn);
	o.conn.creds = file; /* a seed alone is taken, too */
	o.conn.nkey = NULL;
	o.conn.quiet = true;
	if (nkey_read_kind(&k, NKEY_USER, file, e) ||
	    nkey_decode_kind(o.identity, NKEY_CURVE, id ? id : "", e))
		return -1;
	return hsm_open(c, &o, e);
}

static int open_all(const char *user, const char *admin, struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	struct audit_head head;
	struct key_info info;

	for (unsigned i = 0; i < s.clients; i++)
		if (open_one(&s.signer[i], user, HSM_IN_FLIGHT_MAX, e))
			return err_wrap(e, "%s", user);
	for (unsigned i = 0; i < 2; i++)
		if (open_one(&s.admin[i], admin, 1024, e))
			return err_wrap(e, "%s", admin);
	buf_init(&mem, 4096);
	if (hsm_key_get(s.signer[0], s.key, &mem, &info, e) || hsm_audit_head(s.admin[0], &head, e))
		return -1;
	if (info.pub.len != 32)
		return err_set(e, ERR_BAD_TYPE, "%s is no Ed25519 key", s.key);
	memcpy(s.pub, info.pub.p, 32);
	s.audit_from = head.seq;
	s.one = calloc((size_t)s.rate * s.seconds + 1, sizeof(*s.one));
	s.made = calloc(MAKES_MAX, sizeof(*s.made));
	return s.one && s.made ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static int run(const char *user, const char *admin, struct err *e)
{
	const struct sigaction act = {.sa_handler = on_signal};
	int rc;

	if (open_all(user, admin, e))
		return -1;
	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
	s.start = now_us();
	load();
	wait_for_rest();
	rc = list(e) || audit(e);
	if (rc)
		fprintf(stderr, "steady: cannot compare: %s\n", e->text);
	return report(rc == 0);
}

int main(int argc, char **argv)
{
	const char *user = NULL, *admin = NULL;
	struct err e = {0};
	int c, rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "u:a:k:p:r:c:t:d:n:")) > 0) {
		unsigned n = c == '?' ? 0 : (unsigned)strtoul(optarg, NULL, 10);

		switch (c) {
		case 'u':
			user = optarg;
			break;
		case 'a':
			admin = optarg;
			break;
		case 'k':
			s.key = optarg;
			break;
		case 'p':
			s.prefix = optarg;
			break;
		case 'r':
			s.rate = n;
			break;
		case 'c':
			s.per_second = n;
			break;
		case 't':
			s.seconds = n;
			break;
		case 'd':
			s.deadline = n;
			break;
		case 'n':
			s.clients = n;
			break;
		default:
			return 2;
		}
	}
	if (optind != argc || !user || !admin || !s.key || !s.rate || !s.seconds || !s.deadline ||
	    !s.clients || s.clients > CLIENTS_MAX || (uint64_t)s.rate * s.seconds > SIGNS_MAX ||
	    strlen(s.prefix) > 64 || crypto_init()) {
		fprintf(stderr, "steady: usage: see tests/e2e/steady.c\n");
		return 2;
	}
	rc = run(user, admin, &e);
	if (rc < 0) {
		fprintf(stderr, "steady: %s\n", e.text);
		return 2;
	}
	return rc;
}
