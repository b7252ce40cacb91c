/* What stays true when store, front and users make trouble at a bad moment: lock locks,
 * no signature is without its entry, a refused change leaves no trace in epochs, and
 * nobody fills what an administrator needs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "e2e/lib/harness.h"
#include "e2e/lib/store.h"

static struct hsm h;
static struct fake store;
static struct front f;
static struct client admin, alice;
static uint8_t pub[32];

static void must(int error, const char *what)
{
	if (error)
		give_up("%s: error %d", what, error);
}

/* ---- scene ---- */

static void start(void)
{
	hsm_start(&h);
	fake_set(&store, NULL, 0);
	fake_attach(&store);
	front_attach(&f, &h);
	if (!hsm_wait_state(&h, 0, 20000))
		give_up("keyd does not start");
}

static void end(void)
{
	hsm_stop(&h);
	fake_detach(&store);
	front_close(&f);
}

static void open_all(void)
{
	must(client_open(&admin, &f), "admin's session");
	must(client_open(&alice, &f), "alice's session");
}

static int unlocked(void)
{
	int rc;

	must(client_open(&admin, &f), "bootstrap session");
	rc = do_passphrase(&admin, OP_unlock, PASSPHRASE);
	if (rc == 0)
		open_all();
	return rc;
}

static void set_scene(void)
{
	uint8_t seed[32];

	hsm_init(&h);
	fake_init(&store, &h);
	client_init(&admin, "admin");
	client_init(&alice, "alice");
	h.cfg.nbootstrap = 1;
	h.cfg.audit_mib = 1;
	memcpy(h.cfg.bootstrap[0].nkey, admin.nkey, 32);
	memcpy(h.cfg.bootstrap[0].name, "admin", 6);
	start();
	must(client_open(&admin, &f), "bootstrap session");
	must(do_passphrase(&admin, OP_provision, PASSPHRASE), "provision");
	must(do_user_add(&admin, &alice, ROLE_OPERATOR, 0), "user alice");
	crypto_random(seed, 32);
	must(do_key_import(&admin, "k", seed, pub), "key k");
	must(do_key_generate(&admin, "durable", KEY_ED25519, 0, AUDIT_DURABLE), "key durable");
	open_all();
}

static uint64_t epoch_now(void)
{
	struct answer a = {0};

	must(client_call(&admin, OP_state, NULL, NULL, 0, &a), "state");
	answer_free(&a);
	return a.epoch;
}

/* ---- stores ---- */

static bool full(struct fake *s, const struct wire_msg *m)
{
	if (m->type != W_TXN)
		return false;
	fake_reply(s, W_DONE, m->tag, ERR_STORE_FULL, NULL, 0);
	return true;
}

static bool silent(struct fake *s, const struct wire_msg *m)
{
	(void)s;
	return m->type == W_TXN;
}

static bool slow(struct fake *s, const struct wire_msg *m)
{
	(void)s;
	if (m->type == W_TXN)
		usleep(3000);
	return false;
}

/* Passes over the oldest audit segment. */
static bool hides(struct fake *s, const struct wire_msg *m)
{
	struct item *oldest = image_nth(&s->now, STORE_AUDIT, 0);
	struct wire_msg other = *m;
	struct store_query q;
	struct buf b;
	struct err e;

	if (m->type != W_SCAN || store_query_get(&q, true, m->p, m->len, &e) ||
	    q.table != STORE_AUDIT || q.key.len || !oldest)
		return false;
	q.key = (struct bytes){oldest->key, oldest->klen};
	buf_init(&b, 1024);
	store_query_put(&b, &q, true);
	other.p = b.p;
	other.len = b.len;
	fake_honest(s, &other);
	buf_free(&b);
	return true;
}

/* ---- audit log ---- */

/* Entries of an operation with this error, from the base of the log on. */
static unsigned entries(enum op op, unsigned error)
{
	uint64_t next = 1;
	unsigned found = 0;

	for (bool more = true; more;) {
		struct answer a = {0};
		struct audit_entry entry;
		uint8_t body[12];
		struct rd r;
		struct err e;

		le64_store(body, next);
		le32_store(body + 8, 1u << 20);
		must(client_call(&admin, OP_audit_read, NULL, body, sizeof(body), &a),
		     "audit_read");
		rd_init(&r, a.body.p, a.body.len);
		more = rd_u8(&r);
		for (unsigned n = rd_u16(&r); n; n--) {
			struct bytes b = rd_str16(&r);

			if (audit_entry_get(&entry, b.p, b.len, &e))
				give_up("audit entry: %s", e.text);
			next = entry.seq + 1;
			found += entry.op == op && entry.error == error;
		}
		if (!rd_end(&r))
			give_up("audit_read's answer");
		answer_free(&a);
	}
	return found;
}

static struct audit_head head(void)
{
	struct answer a = {0};
	struct audit_head hd;
	struct err e;

	must(client_call(&admin, OP_audit_head, NULL, NULL, 0, &a), "audit_head");
	if (audit_head_get(&hd, a.body.p, a.body.len, &e))
		give_up("%s", e.text);
	answer_free(&a);
	return hd;
}

/* n requests of alice in as few packets as they fit in. */
static uint64_t send_signs(unsigned lane, const char *key, unsigned n)
{
	struct buf b, out;
	struct err e;

	buf_init(&b, 4096);
	buf_init(&out, 1u << 24);
	while (n--) {
		struct request q = client_request(&alice, OP_sign, key, "message", 7);

		buf_reset(&b);
		client_seal(&alice, &q, &b);
		wire_put(&out, W_SEALED, ++f.tag, b.p, b.len);
	}
	/* A closed channel is found by whoever waits for replies: keyd may lock meanwhile. */
	(void)wire_send(f.lane[lane], &out, &e);
	buf_free(&b);
	buf_free(&out);
	return f.tag;
}

/* Replies to alice on a lane until it has been quiet for ms: how many hold a signature,
 * and how many another result. */
static unsigned collect(unsigned lane, int ms, unsigned *others)
{
	unsigned good = 0;
	struct buf b;

	buf_init(&b, WIRE_MESSAGE);
	while (front_receive(&f, lane, 0, &b, ms) == 1) {
		struct answer a = {0};

		buf_init(&a.body, 4096);
		if (b.len >= 3 + SEAL_OVERHEAD && le64_load(b.p + 3 + 2) == alice.g.session)
			client_unseal(&alice, &b, le64_load(b.p + 3 + 10), &a);
		if (a.sealed && a.error == 0 && a.body.len == 64)
			good++;
		else
			(*others)++;
		answer_free(&a);
		buf_reset(&b);
	}
	buf_free(&b);
	return good;
}

/* ---- what must hold ---- */

/* A refused change uses its epoch up, but nobody outside learns of it: else clients and
 * the anchor would take the next start for a roll-back. */
static void refused_changes(void)
{
	uint64_t before = epoch_now(), after;
	unsigned refused = 0;
	int rc;

	fake_set(&store, full, 0);
	for (int i = 0; i < 5; i++)
		refused += do_key_generate(&admin, "no", KEY_ED25519, 0, 0) == ERR_STORE_FULL;
	fake_set(&store, NULL, 0);
	must(do_sign(&alice, 1, "durable", "m", NULL), "a signature, and with it an anchor");
	after = epoch_now();
	ok(refused == 5 && after == before, "five refused changes: epoch %llu as before",
	   (unsigned long long)after);
	end();
	start();
	rc = unlocked();
	ok(rc == 0 && epoch_now() > before, "it unlocks after a restart: no false roll-back (%d)",
	   rc);
	must(do_key_generate(&admin, "yes", KEY_ED25519, 0, 0), "a change");
}

/* Guesses are in the log, whatever the state they were made in. */
static void wrong_passphrases(void)
{
	int rc;

	end();
	start();
	must(client_open(&admin, &f), "bootstrap session");
	rc = do_passphrase(&admin, OP_unlock, "not the right one at all");
	usleep(1200000);
	must(unlocked(), "unlock");
	ok(rc == ERR_WRONG_PASSPHRASE && entries(OP_unlock, ERR_WRONG_PASSPHRASE) == 1,
	   "a wrong passphrase is in the audit log");
}

/* Signatures that left before a lock are in the log. */
static void lock_under_load(void)
{
	struct request q = client_request(&admin, OP_lock, NULL, NULL, 0);
	unsigned before = entries(OP_sign, 0), good = 0, others = 0, now;
	struct buf b;

	buf_init(&b, 4096);
	client_seal(&admin, &q, &b);
	for (unsigned lane = 1; lane < LANES; lane++) {
		send_signs(lane, "k", 100);
		if (lane == 1)
			front_send(&f, LANES - 1, W_SEALED, b.p, b.len);
		send_signs(lane, "k", 400);
	}
	for (unsigned lane = 1; lane < LANES; lane++)
		good += collect(lane, 3000, &others);
	hsm_wait_count(&h, &h.locked, 1, 60000);
	ok(h.locked == 1, "lock under load: hsmd is told");
	end();
	start();
	must(unlocked(), "unlock");
	now = entries(OP_sign, 0);
	note("%u signatures left, %u other answers, %u entries", good, others, now - before);
	ok(good && now - before >= good, "every signature that left before the lock has an entry");
	buf_free(&b);
}

/* Lock does not ask the store for leave. */
static void lock_without_store(void)
{
	struct request q;
	struct buf b;
	int rc;

	fake_set(&store, full, 0);
	rc = client_call(&admin, OP_lock, NULL, NULL, 0, &(struct answer){0});
	ok(rc == 0 && hsm_wait_count(&h, &h.locked, 1, 60000), "a full store does not stop lock");
	for (int i = 0; i < 1200 && hsm_alive(&h); i++)
		usleep(50000);
	ok(!hsm_alive(&h), "and keyd is gone");
	end();
	start();
	must(unlocked(), "unlock");
	fake_set(&store, silent, 0);
	buf_init(&b, 4096);
	q = client_request(&admin, OP_lock, NULL, NULL, 0);
	client_seal(&admin, &q, &b);
	front_send(&f, 1, W_SEALED, b.p, b.len);
	ok(hsm_wait_count(&h, &h.locked, 1, 10000), "a silent store does not stop lock");
	rc = do_sign(&alice, 2, "k", "m", NULL);
	ok(rc == ERR_WRONG_STATE, "nothing is signed from then on (%d)", rc);
	/* As hsmd does after its grace time. */
	hsm_kill(&h);
	fake_detach(&store);
	front_close(&f);
	buf_free(&b);
	start();
	must(unlocked(), "unlock");
}

/* One operator does not fill the queue of changes for an administrator. */
static void full_queue(void)
{
	struct request q = client_request(&admin, OP_config_set, NULL, (uint8_t[]){0}, 1);
	struct answer a = {0};
	unsigned good, others = 0;
	uint64_t tag;
	struct buf b;

	buf_init(&b, 4096);
	buf_init(&a.body, 4096);
	fake_set(&store, slow, 0);
	send_signs(2, "durable", 700);
	client_seal(&admin, &q, &b);
	tag = front_send(&f, 1, W_SEALED, b.p, b.len);
	good = collect(2, 1500, &others);
	fake_set(&store, NULL, 0);
	buf_reset(&b);
	if (front_receive(&f, 1, tag, &b, 20000) != 1)
		give_up("no answer to the administrator");
	client_unseal(&admin, &b, admin.counter, &a);
	ok(a.error == 0, "an administrator's change finds room behind an operator's flood (%d)",
	   a.error);
	answer_free(&a);
	buf_free(&b);
	ok(good >= 200 && others >= 200 && good + others == 700,
	   "of 700 requests at once %u are served, %u are told busy", good, others);
}

/* Refusals are noted, but not so many that they drive signatures out of the log. */
static void refusals(void)
{
	unsigned before = entries(OP_sign, ERR_NOT_FOUND), others = 0, now;

	for (int i = 0; i < 10; i++) {
		send_signs(1, "nothing", 500);
		collect(1, 20, &others);
	}
	usleep(300000);
	now = entries(OP_sign, ERR_NOT_FOUND) - before;
	ok(others == 5000 && now >= 100 && now < 3000, "%u of %u refusals are noted", now, others);
}

/* Rotation moves the base of the log over segments that it has seen, only. */
static void hidden_segment(void)
{
	uint64_t base = head().base_seq;
	unsigned others = 0;
	int rc = 0;

	fake_set(&store, hides, 0);
	for (int i = 0; i < 60 && rc == 0; i++) {
		send_signs(1, "k", 500);
		collect(1, 30, &others);
		usleep(50000);
		rc = do_sign(&alice, 2, "k", "m", pub);
	}
	ok(rc == ERR_AUDIT && head().base_seq == base,
	   "a store that hides a segment at rotation: nothing is signed (%d)", rc);
	fake_set(&store, NULL, 0);
	for (int i = 0; i < 50 && rc; i++) {
		usleep(100000);
		rc = do_sign(&alice, 2, "k", "m", pub);
	}
	ok(rc == 0 && head().base_seq > base,
	   "with an honest one the log rotates, from %llu to %llu", (unsigned long long)base,
	   (unsigned long long)head().base_seq);
}

int main(void)
{
	uint64_t began = ticks();

	set_scene();
	refused_changes();
	wrong_passphrases();
	lock_under_load();
	lock_without_store();
	full_queue();
	refusals();
	hidden_segment();
	end();
	hsm_scan_log(&h);
	ok(secrets_seen() == 0, "none of %u secrets came out", secrets_known());
	fake_free(&store);
	note("%llu ms", (unsigned long long)(ticks() - began));
	return done_testing();
}
