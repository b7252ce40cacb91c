/* A captured front that sends too much and reads too little: nobody else may suffer for
 * long, and keyd never ends. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "e2e/lib/scene.h"

/* One captured opening, sent again without an end: must not keep others out. */
static void flood_openings(void)
{
	struct hello hi = hsm_hello(&h);
	uint64_t began = ticks();
	unsigned sent = 0;
	struct noise st;
	struct buf b, out;
	struct err e;

	buf_init(&b, 4096);
	buf_init(&out, 1u << 20);
	if (session_open(&st, alice.secret, hi.identity, &b, &e))
		give_up("%s", e.text);
	while (sent < 9000 && ticks() - began < 8000) {
		uint64_t tag = 0;

		for (int i = 0; i < 100; i++, sent++)
			wire_put(&out, W_OPEN, tag = ++f.tag, b.p, b.len);
		if (wire_send(f.lane[0], &out, &e))
			give_up("%s", e.text);
		if (front_receive(&f, 0, tag, &b, 60000) != 1)
			give_up("no answer");
		b.len = OPEN_LEN;
	}
	note("%u openings in %llu ms", sent, (unsigned long long)(ticks() - began));
	ok(do_sign(&alice, 1, "closed", FRONT_MESSAGE, alice_pub) == 0,
	   "sessions in use outlive a flood of openings");
	still_good("a flood of openings");
	buf_free(&b);
	buf_free(&out);
}

/* Sessions over the cap: an opening alone does not count, its own user's do. */
static void session_cap(void)
{
	struct client many[80];
	unsigned served = 0, busy = 0, closed = 0;

	for (int i = 0; i < 80; i++) {
		int rc;

		many[i] = bob;
		must(client_open(&many[i], &f), "bob's session");
		rc = do_sign(&many[i], 1 + (unsigned)i % 3, "closed", FRONT_MESSAGE, alice_pub);
		many[i].open = rc == 0;
		served += rc == 0;
		busy += rc == ERR_BUSY;
	}
	ok(served <= h.cfg.sessions_user && busy >= 80 - h.cfg.sessions_user,
	   "%u sessions of one user are served, %u are over the cap", served, busy);
	for (int i = 0; i < 80; i++) {
		struct answer a = {0};

		if (many[i].open)
			closed += client_call(&many[i], OP_close, NULL, NULL, 0, &a) == 0;
		answer_free(&a);
	}
	ok(closed == served && do_sign(&bob, 1, "closed", FRONT_MESSAGE, alice_pub) == 0,
	   "they close, and there is room again");
	still_good("a full cap of another user");
}

/* Sends n sign requests of alice in as few packets as they fit in; the last tag. */
static uint64_t send_signs(unsigned lane, unsigned n, struct buf *out)
{
	struct buf b;
	struct err e;

	buf_init(&b, 4096);
	while (n--) {
		sealed_sign(&alice, &b);
		wire_put(out, W_SEALED, ++f.tag, b.p, b.len);
	}
	buf_free(&b);
	if (wire_send(f.lane[lane], out, &e))
		give_up("%s", e.text);
	return f.tag;
}

/* Replies of many packets come from the commit thread, while the lane's own thread
 * sends signatures on the same channel: never one inside of the other. */
static void long_replies(void)
{
	uint8_t range[12] = {1};
	struct buf out, got;
	size_t longest = 0;

	le32_store(range + 8, 1u << 20);
	buf_init(&out, 1u << 22);
	buf_init(&got, WIRE_MESSAGE);
	for (int round = 0; round < 30; round++) {
		struct request q = client_request(&admin, OP_audit_read, NULL, range, 12);
		uint64_t tag = ++f.tag;
		struct answer a = {0};

		buf_reset(&got);
		client_seal(&admin, &q, &got);
		wire_put(&out, W_SEALED, tag, got.p, got.len);
		uint64_t newest = send_signs(1, 300, &out);

		buf_reset(&got);
		buf_init(&a.body, WIRE_MESSAGE);
		/* They may come in either order: this skips what comes before. */
		if (front_receive(&f, 1, round % 2 ? tag : newest, &got, 60000) != 1)
			give_up("no reply");
		if (round % 2)
			client_unseal(&admin, &got, admin.counter, &a);
		longest = a.body.len > longest ? a.body.len : longest;
		answer_free(&a);
		/* Whatever is still under way. */
		front_closed(&f, 1, 30);
	}
	note("longest reply: %zu bytes", longest);
	ok(longest > 2 * WIRE_PACKET, "replies of many packets come whole beside signatures");
	buf_free(&out);
	buf_free(&got);
}

static void deaf_front(void)
{
	struct request q = client_request(&admin, OP_state, NULL, NULL, 0);
	uint64_t began = ticks();
	struct buf b;
	unsigned sent = 0, before = h.front_bad;

	buf_init(&b, 4096);
	/* Replies fill the channel, then what keyd would send next has no room: changes
	 * of state (their replies come from the commit thread) first of all. */
	q = client_request(&admin, OP_user_remove, NULL, "\x06nobody", 7);
	while (ticks() - began < 3000 && sent < 20000) {
		struct pollfd pf = {.fd = f.lane[1], .events = POLLOUT};

		if (poll(&pf, 1, 200) <= 0)
			break;
		crypto_random(q.idem, IDEM_LEN);
		buf_reset(&b);
		client_seal(&admin, &q, &b);
		front_send(&f, 1, W_SEALED, b.p, b.len);
		sent++;
	}
	note("%u requests whose replies nobody read", sent);
	/* Lane 2 is read: a change over it must still come through, as soon as the queue
	 * of those before it is through. */
	struct answer a = {0};
	int rc;

	do {
		q = client_request(&admin, OP_user_remove, NULL, "\x06nobody", 7);
		rc = client_send(&admin, 2, &q, &a, 40000);
	} while (rc == ERR_BUSY && ticks() - began < 120000 && usleep(20000) == 0);
	ok(rc == ERR_NO_SUCH_USER, "a lane that nobody reads does not stop changes (%d)", rc);
	ok(hsm_wait_count(&h, &h.front_bad, before + 1, 60000),
	   "hsmd is told of a front that does not read");
	answer_free(&a);
	buf_free(&b);
	new_front();
	still_good("a deaf front");
}

int main(void)
{
	uint64_t began = ticks();

	set_front_scene();
	session_cap();
	long_replies();
	deaf_front();
	flood_openings();
	ok(hsm_alive(&h), "one keyd from the beginning to the end");
	hsm_stop(&h);
	fake_detach(&store);
	hsm_scan_log(&h);
	ok(secrets_seen() == 0, "none of %u secrets in %llu bytes that came out of keyd",
	   secrets_known(), (unsigned long long)secrets_scanned());
	front_close(&f);
	fake_free(&store);
	note("%llu ms", (unsigned long long)(ticks() - began));
	return done_testing();
}
