/* A captured store while changes are made: it lies about transactions, dies in the
 * middle, is full, slow, silent or away. The answer is what happened, nothing that was
 * acknowledged changes, no signature leaves without its audit entry, keyd stays up. At
 * the end the real hsm-store, killed again and again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "e2e/lib/scene.h"

/* ---- 4. transactions ---- */

static void operational(void)
{
	use_anchor(true);
	start_on(&last, true);
	if (!hsm_wait_state(&h, STATE_OPERATIONAL, 20000))
		give_up("no unattended boot");
	must(client_open(&admin, &f), "admin's session");
	must(client_open(&alice, &f), "alice's session");
	store.again = true;
}

/* Ends keyd and starts another on the store as it is now: the error is 0 or problem. */
static int restart_as_is(void)
{
	struct image i = {0};
	int rc;

	stop();
	store.again = false;
	image_copy(&i, &store.now);
	start_on(&i, true);
	rc = hsm_wait_state(&h, STATE_OPERATIONAL, 8000) ? 0 : hsm_hello(&h).problem;
	/* neither yet: the machine is busy */
	if (rc == 0 && hsm_hello(&h).state != STATE_OPERATIONAL)
		rc = hsm_wait_state(&h, STATE_OPERATIONAL, 60000) ? 0 : -1;
	if (rc == 0) {
		must(client_open(&admin, &f), "admin's session");
		must(client_open(&alice, &f), "alice's session");
	}
	image_free(&i);
	return rc;
}

static bool has_key(const char *name)
{
	struct answer a = {0};
	int rc = client_call(&admin, OP_key_get, name, NULL, 0, &a);

	answer_free(&a);
	return rc == 0;
}

/* A change (its transaction has the root in it), not the audit log's own segments. */
static bool is_change(const struct wire_msg *m)
{
	return m->type == W_TXN && memmem(m->p, m->len, "\1\4root", 6);
}

static struct image lied;

/* arg & 1: applies it; arg & 2: says STORE_FULL, else dies. */
static bool half_way(struct fake *x, const struct wire_msg *m)
{
	if (!is_change(m) || x->step++)
		return false;
	if (x->arg & 4) {
		/* Applied to a copy that is shown later. */
		struct image now = x->now;

		memset(&x->now, 0, sizeof(x->now));
		image_copy(&x->now, &now);
		fake_apply(x, m);
		image_free(&lied);
		lied = x->now;
		x->now = now;
	}
	if (x->arg & 1)
		fake_apply(x, m);
	if (x->arg & 2)
		fake_reply(x, W_DONE, m->tag, ERR_STORE_FULL, NULL, 0);
	else
		x->hang_up = true;
	return true;
}

/* Asks for the key "fresh", in the middle of which the store dies. b holds the body. */
static struct request die_in_commit(int applied, struct buf *b, struct buf *sealed, uint64_t *tag)
{
	struct key_new k = {.type = KEY_ED25519};
	struct request q;

	operational();
	fake_set(&store, half_way, applied);
	buf_init(b, 1024);
	key_new_put(b, &k);
	q = client_request(&admin, OP_key_generate, "fresh", b->p, b->len);
	buf_init(sealed, 4096);
	client_seal(&admin, &q, sealed);
	*tag = front_send(&f, 1, W_SEALED, sealed->p, sealed->len);
	for (int i = 0; i < 500 && !store.hang_up; i++)
		usleep(10000);
	usleep(50000);
	return q;
}

/* The store dies in the middle of a change and comes back with or without it. */
static void dies_in_commit(void)
{
	for (int applied = 0; applied < 2; applied++) {
		struct answer a = {0};
		struct buf b, sealed;
		uint64_t tag;
		int rc;
		struct request q = die_in_commit(applied, &b, &sealed, &tag);

		/* hsmd notices the death and starts another. */
		fake_set(&store, NULL, 0);
		fake_attach(&store);
		buf_reset(&sealed);
		buf_init(&a.body, 4096);
		rc = front_receive(&f, 1, tag, &sealed, 60000);
		if (rc == 1)
			client_unseal(&admin, &sealed, admin.counter, &a);
		rc = rc == 1 ? a.error : -1;
		ok(rc == (applied ? 0 : ERR_UNAVAILABLE) && hsm_alive(&h) &&
			   has_key("fresh") == (applied == 1),
		   "dies in a commit that %s: the answer is what happened (%d)",
		   applied ? "happened" : "did not happen", rc);
		ok(sign() == 0 && restart_as_is() == 0 && has_key("fresh") == (applied == 1) &&
			   sign() == 0,
		   "and it is the same after a restart");
		/* The same request again: done once. */
		if (applied) {
			memcpy(q.boot_id, admin.g.boot_id, BOOT_ID_LEN);
			ok(client_send(&admin, 1, &q, &a, 20000) == 0,
			   "the retry with the same idempotency id is answered with its result");
		}
		stop();
		answer_free(&a);
		buf_free(&b);
		buf_free(&sealed);
	}
}

/* It never comes back: memory may have users and keys that the store has no more, and they
 * must not work on for ever. */
static void dies_and_stays_away(void)
{
	struct buf b, sealed;
	uint64_t tag;

	(void)die_in_commit(1, &b, &sealed, &tag);
	store.again = false;
	for (int i = 0; i < 9000 && hsm_alive(&h); i++)
		usleep(10000);
	ok(!hsm_alive(&h), "dies in a commit and stays away: keyd ends");
	fake_set(&store, NULL, 0);
	ok(restart_as_is() == 0 && has_key("fresh") && sign() == 0,
	   "and its next start has what the store has");
	stop();
	buf_free(&b);
	buf_free(&sealed);
}

/* The store says "full" to a change and keeps it all the same, for later. */
static void claims_full(void)
{
	operational();
	fake_set(&store, half_way, 2 | 4);
	int rc = do_key_generate(&admin, "never", KEY_ED25519, 0, AUDIT_BATCHED);

	fake_set(&store, NULL, 0);
	ok(rc == ERR_STORE_FULL && !has_key("never") && sign() == 0 && hsm_alive(&h),
	   "STORE_FULL: the change did not happen, signing goes on");
	must(do_key_generate(&admin, "after", KEY_ED25519, 0, AUDIT_BATCHED), "key after");
	ok(has_key("after") && !has_key("never"), "the next change is fine");
	/* Now it shows what it claimed had failed. */
	stop();
	struct image honest = {0}, mixed = {0};
	uint8_t anchor[ANCHOR_LEN];
	size_t anchor_len = h.anchor_len;

	memcpy(anchor, h.anchor, ANCHOR_LEN);
	image_copy(&honest, &store.now);
	start_on(&lied, true);
	ok(hsm_wait_problem(&h, ERR_ROLLED_BACK, 20000) && hsm_alive(&h),
	   "the store of a transaction that it claimed had failed: ROLLED_BACK");
	stop();
	memcpy(h.anchor, anchor, ANCHOR_LEN);
	h.anchor_len = anchor_len;
	/* Its records beside the true root. */
	image_copy(&mixed, &lied);
	image_put_boot(&mixed, "root", &honest);
	start_on(&mixed, true);
	ok(hsm_wait_problem(&h, ERR_ROLLED_BACK, 20000) && hsm_alive(&h),
	   "its records with the true root: ROLLED_BACK");
	stop();
	memcpy(h.anchor, anchor, ANCHOR_LEN);
	h.anchor_len = anchor_len;
	start_on(&honest, true);
	ok(hsm_wait_state(&h, STATE_OPERATIONAL, 20000) && client_open(&admin, &f) == 0 &&
		   has_key("after") && !has_key("never"),
	   "the honest one: as acknowledged");
	stop();
	store.again = false;
	image_free(&honest);
	image_free(&mixed);
	image_free(&lied);
}

/* ---- 5. the audit log under a bad store ---- */

static bool full(struct fake *x, const struct wire_msg *m)
{
	if (m->type != W_TXN)
		return false;
	fake_reply(x, W_DONE, m->tag, ERR_STORE_FULL, NULL, 0);
	return true;
}

/* Number of done signatures with k1 in the log, from entry `first` on. */
static unsigned signatures_logged(uint64_t first)
{
	struct answer a = {0};
	unsigned n = 0;

	for (;;) {
		uint8_t range[12];
		struct audit_entry x = {0};
		struct err e;
		struct rd r;
		uint16_t count;
		uint64_t began = first;

		le64_store(range, first);
		le32_store(range + 8, 1u << 20);
		if (client_call(&admin, OP_audit_read, NULL, range, 12, &a))
			give_up("audit_read: %d", a.error);
		rd_init(&r, a.body.p, a.body.len);
		uint8_t more = rd_u8(&r);

		count = rd_u16(&r);
		while (count--) {
			struct bytes entry = rd_str16(&r);

			if (audit_entry_get(&x, entry.p, entry.len, &e))
				give_up("audit entry: %s", e.text);
			if (x.seq < began)
				continue;
			n += x.op == OP_sign && x.error == 0 && x.key.len == 2 &&
			     memcmp(x.key.p, "k1", 2) == 0;
			first = x.seq + 1;
		}
		if (!more || first == began)
			break;
	}
	answer_free(&a);
	return n;
}

static uint64_t audit_end(void)
{
	struct audit_head head;
	struct answer a = {0};
	struct err e;

	if (client_call(&admin, OP_audit_head, NULL, NULL, 0, &a) ||
	    audit_head_get(&head, a.body.p, a.body.len, &e))
		give_up("audit_head: %d", a.error);
	answer_free(&a);
	return head.seq;
}

/* Signatures given just before a change that fails must still be in the log. */
static void failed_change_keeps_entries(void)
{
	unsigned given = 0;

	operational();
	uint64_t first = audit_end() + 1;

	for (int i = 0; i < 20; i++) {
		fake_set(&store, half_way, 2);
		given += sign() == 0;
		given += sign() == 0;
		if (do_key_generate(&admin, "never", KEY_ED25519, 0, AUDIT_BATCHED) !=
		    ERR_STORE_FULL)
			note("the change did not fail");
	}
	fake_set(&store, NULL, 0);
	call(OP_key_set, "k1", (uint8_t[]){0, 0}, 2);
	unsigned logged = signatures_logged(first);

	ok(logged == given && given == 40,
	   "changes that fail take no signature out of the log: %u given, %u logged", given,
	   logged);
	stop();
	store.again = false;
}

static void full_store_stops_signing(void)
{
	int rc = 0;

	operational();
	must(sign(), "signature");
	fake_set(&store, full, 0);
	for (int i = 0; i < 100 && rc == 0; i++) {
		usleep(20000);
		rc = sign();
	}
	ok(rc == ERR_AUDIT, "a store that takes no audit entry: nothing is signed (%d)", rc);
	ok(do_sign(&alice, 1, "k2", MESSAGE, NULL) == ERR_AUDIT, "nor with a durable key");
	fake_set(&store, NULL, 0);
	for (int i = 0; i < 100 && rc; i++) {
		usleep(20000);
		rc = sign();
	}
	ok(rc == 0, "and again when it does");
	stop();
	store.again = false;
}

static bool slow(struct fake *x, const struct wire_msg *m)
{
	if (m->type != W_TXN || x->step++)
		return false;
	/* Others must not wait for this lock. */
	fake_unlock(x);
	for (int i = 0; i < x->arg / 50 && !atomic_load((_Atomic bool *)&x->hang_up); i++)
		usleep(50000);
	fake_lock(x);
	return false;
}

/* Signs on three lanes as fast as it goes, until all refuse or ms are over: how many
 * were given and how many refused with AUDIT. */
static void sign_hard(int ms, unsigned *given, unsigned *refused_n)
{
	struct request q = client_request(&alice, OP_sign, "k1", "m", 1);
	uint64_t until = ticks() + (uint64_t)ms;
	bool full_lane[LANES] = {0};
	struct buf out, b;
	struct err e;

	buf_init(&out, 1u << 22);
	buf_init(&b, 4096);
	while (ticks() < until && !(full_lane[1] && full_lane[2] && full_lane[3]))
		for (unsigned lane = 1; lane < LANES; lane++) {
			uint64_t first = f.tag + 1, counter = alice.counter + 1;
			struct answer a = {0};

			buf_init(&a.body, 4096);
			for (int i = 0; i < 500; i++) {
				buf_reset(&b);
				client_seal(&alice, &q, &b);
				wire_put(&out, W_SEALED, ++f.tag, b.p, b.len);
			}
			if (wire_send(f.lane[lane], &out, &e))
				give_up("%s", e.text);
			for (uint64_t i = 0; i < 500; i++) {
				buf_reset(&b);
				if (front_receive(&f, lane, first + i, &b, 30000) != 1)
					give_up("no reply");
				client_unseal(&alice, &b, counter + i, &a);
				*given += a.error == 0;
				*refused_n += a.error == ERR_AUDIT;
				full_lane[lane] |= a.error == ERR_AUDIT;
			}
			answer_free(&a);
		}
	buf_free(&out);
	buf_free(&b);
}

/* The store takes 15 s for one transaction: what is signed meanwhile waits in memory,
 * which ends; then nothing is signed, and nothing is lost. */
static void slow_store(void)
{
	unsigned given = 0, stopped = 0;

	operational();
	uint64_t first = audit_end() + 1;

	fake_set(&store, slow, 14000);
	sign_hard(13000, &given, &stopped);
	ok(stopped > 0, "%u signatures wait for a slow store, then %u are refused", given, stopped);
	fake_set(&store, NULL, 0);
	int rc = -1;

	for (int i = 0; i < 600 && rc; i++) {
		usleep(100000);
		rc = sign();
	}
	given += rc == 0;
	unsigned logged = signatures_logged(first);

	/* those of a second are written together */
	for (int i = 0; i < 600 && logged != given; i++, logged = signatures_logged(first))
		usleep(100000);

	ok(rc == 0 && logged == given, "each of %u signatures is in the log (%u)", given, logged);
	ok(restart_as_is() == 0, "and the log is whole after a restart");
	stop();
	store.again = false;
}

/* ---- 6. a store that says nothing ---- */

static bool silent(struct fake *x, const struct wire_msg *m)
{
	(void)x;
	(void)m;
	return true;
}

static void never_replies(void)
{
	struct answer a = {0};

	operational();
	fake_set(&store, silent, 0);
	uint64_t began = ticks();

	/* The queue behind it: other work of keyd goes on. */
	struct request q = client_request(&admin, OP_key_remove, "k2", NULL, 0);
	struct buf b;

	buf_init(&b, 4096);
	client_seal(&admin, &q, &b);
	uint64_t tag = front_send(&f, 1, W_SEALED, b.p, b.len);

	usleep(300000);
	ok(client_call(&admin, OP_state, NULL, NULL, 0, &a) == 0,
	   "keyd answers while its store is silent");
	buf_reset(&b);
	int rc = front_receive(&f, 1, tag, &b, 50000);

	buf_reset(&a.body);
	if (rc == 1)
		client_unseal(&admin, &b, admin.counter - 1, &a);
	ok(rc == 1 && a.error == ERR_UNAVAILABLE && h.store_bad >= 1 && hsm_alive(&h),
	   "a change whose store is silent ends after %llu ms: %d",
	   (unsigned long long)(ticks() - began), a.error);
	ok(has_key("k2") && sign() == 0 && do_key_generate(&admin, "later", KEY_ED25519, 0, 0) == 0,
	   "with the next store all goes on");
	ok(restart_as_is() == 0 && has_key("k2") && has_key("later"), "and stays");
	stop();
	answer_free(&a);
	buf_free(&b);
	store.again = false;
}

/* No store at all for a while: no change, but no end of keyd and no lost keys. */
static void store_away(void)
{
	operational();
	/* keyd tells hsmd, which has none to kill here. */
	h.store_bad_hook = NULL;
	fake_detach(&store);
	uint64_t began = ticks();
	int rc = do_key_generate(&admin, "away", KEY_ED25519, 0, AUDIT_BATCHED);

	ok(rc == ERR_UNAVAILABLE && hsm_alive(&h), "no store: UNAVAILABLE (%d) after %llu ms", rc,
	   (unsigned long long)(ticks() - began));
	fake_attach(&store);
	for (int i = 0; i < 200 && (rc = sign()); i++)
		usleep(100000);
	bool there = has_key("away");
	int again = do_key_generate(&admin, "away", KEY_ED25519, 0, AUDIT_BATCHED);

	ok(rc == 0 && !there && again == 0, "it comes back: keyd goes on where it was (%d, %d, %d)",
	   rc, there, again);
	stop();
}

/* ---- 7. the real store ---- */

static void real_store(void)
{
	char dir[] = "/tmp/hostile.store.XXXXXX", file[64];
	struct answer a = {0};
	unsigned made = 0;
	pid_t pid;

	if (!mkdtemp(dir))
		give_up("mkdtemp");
	use_anchor(true);
	h.anchor_len = 0;
	h.cfg.may_unlock = false;
	hsm_start(&h);
	pid = real_store_start(&h, dir);
	front_attach(&f, &h);
	if (!hsm_wait_state(&h, STATE_UNPROVISIONED, 20000))
		give_up("keyd does not start on the real store");
	must(client_open(&admin, &f), "session");
	must(do_passphrase(&admin, OP_provision, PASSPHRASE), "provision");
	/* Killed again and again while keys are made: what is acknowledged is there. */
	for (int i = 0; i < 60; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "k%d", i);
		if (i % 10 == 5) {
			real_store_kill(pid);
			pid = real_store_start(&h, dir);
		}
		made += do_key_generate(&admin, name, KEY_ED25519, 0, AUDIT_BATCHED) == 0;
	}
	hsm_stop(&h);
	front_close(&f);
	real_store_kill(pid);
	hsm_start(&h);
	pid = real_store_start(&h, dir);
	front_attach(&f, &h);
	must(!hsm_wait_state(&h, STATE_LOCKED, 20000), "Locked");
	must(client_open(&admin, &f), "session");
	must(do_passphrase(&admin, OP_unlock, PASSPHRASE), "unlock");
	struct state_info st;
	struct err e;

	must(client_call(&admin, OP_state, NULL, NULL, 0, &a), "state");
	must(state_info_get(&st, a.body.p, a.body.len, &e), "state");
	ok(made >= 54 && st.keys == made, "the real store, killed 6 times: %u keys made, %u there",
	   made, st.keys);
	hsm_stop(&h);
	front_close(&f);
	real_store_kill(pid);
	answer_free(&a);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"data.mdb", "lock.mdb", "lock"};

		(void)snprintf(file, sizeof(file), "%s/%s", dir, names[i]);
		(void)unlink(file);
	}
	if (rmdir(dir))
		note("%s has more in it", dir);
}

int main(void)
{
	uint64_t began = ticks();

	set_scene();
	dies_in_commit();
	dies_and_stays_away();
	claims_full();
	failed_change_keeps_entries();
	full_store_stops_signing();
	slow_store();
	never_replies();
	store_away();
	real_store();
	hsm_scan_log(&h);
	ok(secrets_seen() == 0 && secrets_scanned() > 100000,
	   "none of %u secrets in %llu bytes that came out of keyd", secrets_known(),
	   (unsigned long long)secrets_scanned());
	free_scene();
	note("%llu ms", (unsigned long long)(ticks() - began));
	return done_testing();
}
