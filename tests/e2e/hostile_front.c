/* A captured front in place of hsm-front: it sees every frame, forges, replays, cuts,
 * flips, mixes and floods. Nothing may be signed by a session-only key without its
 * caller's session, keyd never ends, each malformed frame costs the front its channel,
 * and no secret comes out. HOSTILE_SEED repeats a run. (hostile_flood.c: too much of what
 * is well-formed.) */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "e2e/lib/scene.h"

/* ---- 1. what was sealed cannot be changed, moved or repeated ---- */

static void replays(void)
{
	bool good, any = false;
	unsigned refused = 0;
	struct buf b;

	buf_init(&b, 4096);
	sealed_sign(&alice, &b);
	must(ask(1, W_SEALED, b.p, b.len, &good), "the first time");
	for (unsigned lane = 1; lane < LANES; lane++)
		for (int i = 0; i < 50; i++) {
			refused += ask(lane, W_SEALED, b.p, b.len, &good) == ERR_REPLAYED;
			any |= good;
		}
	ok(refused == 150 && !any, "a sealed request counts once, on whatever lane it comes");
	/* Held back for long: a window of 8128. */
	sealed_sign(&alice, &b);
	alice.counter += REPLAY_BITS;
	must(do_sign(&alice, 1, "closed", FRONT_MESSAGE, alice_pub), "later request");
	ok(ask(1, W_SEALED, b.p, b.len, &good) == ERR_REPLAYED && !good,
	   "a request held back until the window passed is refused");
	buf_free(&b);
}

static void flipped_bits(void)
{
	bool good, any = false;
	unsigned wrong = 0, n = 0;
	struct buf b;

	buf_init(&b, 4096);
	sealed_sign(&alice, &b);
	/* Every bit of NKey and head, then every bit of the rest. */
	for (size_t bit = 0; bit < 8 * b.len; bit++, n++) {
		int e;

		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		e = ask(1 + (unsigned)(bit % 3), W_SEALED, b.p, b.len, &good);
		wrong += e != ERR_NO_SESSION && e != ERR_BAD_PROOF && e != ERR_BAD_FRAME &&
			 e != ERR_BAD_VERSION;
		any |= good;
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ok(!wrong && !any, "none of %u flipped bits of a sealed request is accepted", n);
	for (size_t len = 32; len < b.len; len++) {
		wrong += ask(1, W_SEALED, b.p, len, &good) <= 0;
		any |= good;
	}
	buf_u8(&b, 0);
	wrong += ask(1, W_SEALED, b.p, b.len, &good) <= 0;
	ok(!wrong && !any && !good, "no truncation and no byte more is accepted");
	b.len--;
	ok(ask(1, W_SEALED, b.p, b.len, &good) == 0 && good,
	   "the untouched request still counts: bad ones use up no counter");
	buf_free(&b);
}

static void wrong_callers(void)
{
	bool good, any = false;
	struct buf b, reply;
	uint64_t tag;

	buf_init(&b, 4096);
	buf_init(&reply, 4096);
	sealed_sign(&alice, &b);
	memcpy(b.p, bob.nkey, 32);
	ok(ask(1, W_SEALED, b.p, b.len, &good) == ERR_NO_SESSION && !good,
	   "alice's session under bob's subject is no session");
	/* Bob's own session under his own name, with alice's session id. */
	struct client mixed = bob;

	mixed.g.session = alice.g.session;
	sealed_sign(&mixed, &b);
	ok(ask(1, W_SEALED, b.p, b.len, &good) == ERR_NO_SESSION && !good,
	   "alice's session id in bob's message is no session");
	memcpy(b.p, alice.nkey, 32);
	ok(ask(1, W_SEALED, b.p, b.len, &good) == ERR_BAD_PROOF && !good,
	   "bob's seal does not open in alice's session");
	/* A reply sent back as a request, as it is and with its kind changed. */
	sealed_sign(&alice, &b);
	tag = front_send(&f, 1, W_SEALED, b.p, b.len);
	if (front_receive(&f, 1, tag, &reply, 60000) != 1)
		give_up("no reply");
	buf_reset(&b);
	buf_put(&b, alice.nkey, 32);
	buf_put(&b, reply.p + 3, reply.len - 3);
	any |= ask(1, W_SEALED, b.p, b.len, &good) == 0;
	b.p[32 + 1] = SEAL_REQUEST;
	any |= ask(1, W_SEALED, b.p, b.len, &good) == 0;
	le64_store(b.p + 32 + 10, alice.counter + 1);
	any |= ask(1, W_SEALED, b.p, b.len, &good) == 0;
	ok(!any, "a sealed reply is no request, whatever its head says");
	buf_free(&b);
	buf_free(&reply);
}

/* ---- 2. the plain surface ---- */

static int plain(const struct client *c, enum op op, const char *key, uint8_t mode, bool *good)
{
	struct request q = client_request(c, op, key, FRONT_MESSAGE, strlen(FRONT_MESSAGE));
	struct buf b;
	int rc;

	crypto_random(q.idem, IDEM_LEN);
	q.mode = mode;
	buf_init(&b, 4096);
	buf_put(&b, c->nkey, 32);
	request_encode(&b, &q);
	rc = ask(1, W_PLAIN, b.p, b.len, good);
	buf_free(&b);
	return rc;
}

static void forged_plain(void)
{
	static const char *const keys[] = {"closed", "rsa", "p256"};
	const struct op_row *r;
	bool good, any = false;
	unsigned wrong = 0;

	ok(plain(&bob, OP_sign, "open", 0, &good) == 0 && good,
	   "an open key signs for an open user: the documented price of the plain surface");
	for (int i = 0; i < 3; i++)
		for (uint8_t mode = 0; mode < 33; mode++) {
			wrong += plain(&bob, OP_sign, keys[i], mode, &good) != ERR_SESSION_ONLY;
			any |= good;
		}
	ok(!wrong && !any, "a session-only key does not sign for a forged plain request");
	for (int i = 0; i < 3; i++)
		for (int who = 0; who < 2; who++) {
			wrong += plain(who ? &admin : &alice, OP_sign, i ? keys[i] : "open", 0,
				       &good) <= 0;
			any |= good;
		}
	ok(!wrong && !any, "a session-only user gets nothing on the plain surface");
	for (unsigned i = 0; (r = op_at(i)); i++) {
		if (r->flags & OPF_PLAIN)
			continue;
		for (int who = 0; who < 2; who++) {
			wrong += plain(who ? &admin : &bob, r->op, "open", 0, &good) <= 0;
			any |= good;
		}
	}
	ok(!wrong && !any, "no other operation is on the plain surface");
	struct client nobody = bob;

	crypto_random(nobody.nkey, 32);
	ok(plain(&nobody, OP_sign, "open", 0, &good) == ERR_UNKNOWN_USER && !good,
	   "an unknown NKey is refused");
}

/* A result that was stored for an idempotency id is its session's. */
static void stolen_idempotency(void)
{
	struct key_new k = {.type = KEY_ED25519};
	struct answer a = {0};
	struct request q;
	struct buf b, body;
	bool good;

	buf_init(&b, 4096);
	buf_init(&body, 4096);
	key_new_put(&body, &k);
	q = client_request(&admin, OP_key_generate, "idem", body.p, body.len);
	must(client_send(&admin, 1, &q, &a, 20000), "key idem");
	buf_put(&b, admin.nkey, 32);
	request_encode(&b, &q);
	ok(ask(1, W_PLAIN, b.p, b.len, &good) == ERR_SESSION_ONLY && !good,
	   "a known idempotency id opens nothing on the plain surface");
	ok(client_send(&admin, 1, &q, &a, 20000) == 0, "its own session gets the result again");
	q.key = (struct bytes){(const uint8_t *)"idem2", 5};
	ok(client_send(&admin, 1, &q, &a, 20000) == ERR_IDEM_MISMATCH,
	   "the same id for another request is refused");
	answer_free(&a);
	buf_free(&b);
	buf_free(&body);
}

/* ---- 3. malformed frames: the channel is closed, hsmd is told ---- */

static void frame_head(struct buf *b, uint32_t len, uint8_t type, uint8_t flags, uint16_t zero,
		       uint64_t tag)
{
	buf_u32(b, len);
	buf_u8(b, type);
	buf_u8(b, flags);
	buf_u16(b, zero);
	buf_u64(b, tag);
}

static void bad_packet(unsigned lane, const struct buf *b, const char *what)
{
	unsigned before = h.front_bad;
	bool closed, told;

	front_raw(&f, lane, b->p, b->len);
	told = hsm_wait_count(&h, &h.front_bad, before + 1, 60000);
	closed = front_closed(&f, lane, 60000);
	if (!told || !closed || !hsm_alive(&h))
		ok(false, "%s on lane %u: told %d, closed %d", what, lane, told, closed);
	new_front();
}

static void malformed_frames(void)
{
	static const struct {
		const char *what;
		uint32_t len;
		uint8_t type, flags;
		uint16_t zero;
		size_t n;
	} rows[] = {
		{"huge length", 0xffffffff, W_SEALED, 0, 0, 64},
		{"length past the packet", 65, W_SEALED, 0, 0, 64},
		{"unknown flag", 64, W_SEALED, 2, 0, 64},
		{"zero is not zero", 64, W_SEALED, 0, 1, 64},
		{"bytes behind the frame", 60, W_SEALED, 0, 0, 64},
		{"no caller", 31, W_SEALED, 0, 0, 31},
		{"no caller on the plain surface", 0, W_PLAIN, 0, 0, 0},
		{"type 0", 64, 0, 0, 0, 64},
		{"type 255", 64, 255, 0, 0, 64},
		{"keyd's own reply", 64, W_REPLY, 0, 0, 64},
		{"hello", 64, W_HELLO, 0, 0, 64},
		{"the store's word", 64, W_DONE, 0, 0, 64},
		{"a transaction", 64, W_TXN, 0, 0, 64},
		{"configuration", 64, W_CONFIG, 0, 0, 64},
		{"stop", 0, W_STOP, 0, 0, 0},
		{"anchored", 64, W_ANCHORED, 0, 0, 64},
	};
	unsigned before = failures(), n = 0;
	struct buf b;

	buf_init(&b, 4096);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (unsigned lane = 0; lane < 2; lane++, n++) {
			static const uint8_t bytes[64] = {1, 1, 1};

			buf_reset(&b);
			frame_head(&b, rows[i].len, rows[i].type, rows[i].flags, rows[i].zero, 7);
			buf_put(&b, bytes, rows[i].n);
			bad_packet(lane, &b, rows[i].what);
		}
	ok(failures() == before, "%u malformed frames: each costs the channel and is told", n);
	before = failures();
	/* Right frames on the wrong lane. */
	for (unsigned lane = 0; lane < LANES; lane++) {
		buf_reset(&b);
		frame_head(&b, 64, lane ? W_OPEN : W_SEALED, 0, 0, 7);
		memset(buf_space(&b, 64), 1, 64);
		bad_packet(lane, &b, "wrong lane");
	}
	ok(failures() == before, "frames on the wrong lane are malformed");
	buf_free(&b);
	still_good("malformed frames");
}

static void mixed_fragments(void)
{
	unsigned before = failures();
	struct buf s, b;

	buf_init(&s, 4096);
	buf_init(&b, WIRE_PACKET);
	sealed_sign(&alice, &s);
	for (int kind = 0; kind < 4; kind++) {
		size_t half = s.len / 2;

		buf_reset(&b);
		frame_head(&b, (uint32_t)half, W_SEALED, WIRE_MORE, 0, 5);
		buf_put(&b, s.p, half);
		frame_head(&b, (uint32_t)(s.len - half), kind == 1 ? W_PLAIN : W_SEALED,
			   kind == 2 ? WIRE_MORE : 0, 0, kind == 1 ? 5 : 6);
		buf_put(&b, s.p + half, s.len - half);
		bad_packet(1, &b, "mixed fragments");
	}
	/* Without an end: the limit of a message. */
	for (int i = 0; i < 200 && hsm_alive(&h); i++) {
		buf_reset(&b);
		frame_head(&b, WIRE_PACKET - WIRE_HEAD, W_SEALED, WIRE_MORE, 0, 9);
		memset(buf_space(&b, WIRE_PACKET - WIRE_HEAD), 0, WIRE_PACKET - WIRE_HEAD);
		if (!front_raw(&f, 1, b.p, b.len))
			break;
	}
	ok(front_closed(&f, 1, 60000) && hsm_alive(&h),
	   "fragments without an end end at the limit of a message");
	new_front();
	/* The same request in the right order and in pieces is served. */
	sealed_sign(&alice, &s);
	uint64_t tag = 77;

	for (size_t at = 0; at < s.len; at++) {
		buf_reset(&b);
		frame_head(&b, 1, W_SEALED, at + 1 < s.len ? WIRE_MORE : 0, 0, tag);
		buf_put(&b, s.p + at, 1);
		front_raw(&f, 1, b.p, b.len);
	}
	buf_reset(&b);
	ok(front_receive(&f, 1, tag, &b, 60000) == 1 && le16_load(b.p) == 0,
	   "a request in %zu fragments is one request", s.len);
	ok(failures() == before, "mixed fragments cost the channel");
	buf_free(&s);
	buf_free(&b);
	still_good("mixed fragments");
}

/* Another order of packets is another order of requests, nothing more. */
static void reordered(void)
{
	struct buf s[40], got;
	unsigned done = 0;
	uint64_t tag[40];

	for (int i = 0; i < 40; i++) {
		buf_init(&s[i], 4096);
		sealed_sign(&alice, &s[i]);
	}
	buf_init(&got, 4096);
	for (int i = 39; i >= 0; i--)
		tag[i] = front_send(&f, 1 + i % 3, W_SEALED, s[i].p, s[i].len);
	for (int lane = 1; lane <= 3; lane++)
		for (int i = 39; i >= 0; i--)
			if (1 + i % 3 == lane) {
				buf_reset(&got);
				done += front_receive(&f, (unsigned)lane, tag[i], &got, 60000) ==
						1 &&
					le16_load(got.p) == 0;
				buf_free(&s[i]);
			}
	ok(done == 40, "requests in any order and on any lane are served once each");
	buf_free(&got);
}

/* ---- 4. openings ---- */

static void openings(void)
{
	struct hello hi = hsm_hello(&h);
	uint8_t m[OPEN_LEN];
	bool good, any = false;
	struct noise st;
	struct client stranger;
	struct buf b;
	struct err e;

	client_init(&stranger, "stranger");
	ok(client_open(&stranger, &f) == ERR_UNKNOWN_USER, "a stranger gets no session");
	buf_init(&b, 4096);
	if (session_open(&st, alice.secret, hi.identity, &b, &e))
		give_up("%s", e.text);
	for (size_t bit = 0; bit < 8 * OPEN_LEN; bit += 1 + bit % 5) {
		memcpy(m, b.p, OPEN_LEN);
		m[bit / 8] ^= (uint8_t)(1 << bit % 8);
		any |= ask(0, W_OPEN, m, OPEN_LEN, &good) == 0;
	}
	for (size_t n = 0; n <= OPEN_LEN + 40; n += 7)
		any |= n != OPEN_LEN && ask(0, W_OPEN, m, n, &good) == 0;
	ok(!any && hsm_alive(&h), "damaged openings open nothing");
	buf_free(&b);
}

/* ---- 5. random damage to everything ---- */

static size_t valid_frame(struct buf *b, long kind)
{
	struct client *c = kind % 2 ? &alice : &bob;
	struct request q = client_request(c, kind % 3 ? OP_sign : OP_state, "closed", "m", 1);
	struct buf s;

	buf_init(&s, 4096);
	if (kind < 6) {
		client_seal(c, &q, &s);
		wire_put(b, W_SEALED, (uint64_t)kind, s.p, s.len);
	} else {
		buf_put(&s, c->nkey, 32);
		request_encode(&s, &q);
		wire_put(b, W_PLAIN, (uint64_t)kind, s.p, s.len);
	}
	buf_free(&s);
	return b->len;
}

static void mutate(struct buf *b)
{
	switch (random() % 6) {
	case 0:
		b->len = (size_t)random() % (b->len + 1);
		break;
	case 1:
		b->p[(size_t)random() % b->len] = (uint8_t)random();
		break;
	case 2:
		le32_store(b->p, (uint32_t)random());
		break;
	case 3:
		b->p[5] = (uint8_t)random();
		break;
	case 4:
		b->p[4] = (uint8_t)random();
		break;
	default:
		for (int i = 0; i < 8; i++)
			b->p[(size_t)random() % b->len] ^= (uint8_t)(1 << random() % 8);
		break;
	}
}

static void random_damage(void)
{
	uint64_t began = ticks();
	unsigned sent = 0, fronts = 0, before = h.front_bad;
	struct buf b;

	buf_init(&b, WIRE_PACKET);
	while (ticks() - began < 5000 && hsm_alive(&h)) {
		unsigned lane = (unsigned)random() % LANES;

		buf_reset(&b);
		for (long n = 1 + random() % 4; n > 0; n--)
			valid_frame(&b, random() % 9);
		if (random() % 8)
			mutate(&b);
		sent++;
		/* Replies are drained, so that the channel is never full; 2 ms are time
		 * enough to find a frame bad. */
		if (!b.len || !front_raw(&f, lane, b.p, b.len) || front_closed(&f, lane, 2)) {
			new_front();
			fronts++;
		}
	}
	note("%u packets, %u fronts, of which %u were told to hsmd", sent, fronts,
	     h.front_bad - before);
	buf_free(&b);
	new_front();
	ok(sent > 500 && h.front_bad - before > 100 && hsm_alive(&h),
	   "keyd outlives random damage");
	still_good("random damage");
}

int main(void)
{
	const char *s = getenv("HOSTILE_SEED");
	unsigned seed = s ? (unsigned)strtoul(s, NULL, 10) : 20251122;
	uint64_t began = ticks();

	srandom(seed);
	note("HOSTILE_SEED=%u", seed);
	set_front_scene();
	replays();
	flipped_bits();
	wrong_callers();
	forged_plain();
	stolen_idempotency();
	malformed_frames();
	mixed_fragments();
	reordered();
	openings();
	random_damage();
	secret_add("session key of alice", alice.keys.c2s, 32);
	secret_add("session key of alice", alice.keys.s2c, 32);
	ok(hsm_alive(&h), "one keyd from the beginning to the end");
	hsm_stop(&h);
	fake_detach(&store);
	hsm_scan_log(&h);
	ok(secrets_seen() == 0 && secrets_scanned() > 100000,
	   "none of %u secrets in %llu bytes that came out of keyd", secrets_known(),
	   (unsigned long long)secrets_scanned());
	front_close(&f);
	fake_free(&store);
	note("%llu ms", (unsigned long long)(ticks() - began));
	return done_testing();
}
