/* A captured store in place of hsm-store: it drops, keeps, swaps, repeats and damages
 * what it holds, and answers as it likes. Everything that keyd can find is refused with
 * its error, keyd stays up, and with honest data again it goes on by itself.
 * (hostile_commit.c: the same while changes are made.) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "e2e/lib/scene.h"
#include "hsm/keyd/vault.h"

/* ---- 1. data that was changed while keyd was not there ---- */

/* With honest data and a new store process keyd goes on by itself (unattended boot is
 * on), with every key and user of before. */
static bool recovers(void)
{
	bool good;

	fake_lock(&store);
	image_copy(&store.now, &last);
	store.evil = NULL;
	fake_unlock(&store);
	fake_attach(&store);
	good = hsm_wait_state(&h, STATE_OPERATIONAL, 20000) && hsm_hello(&h).problem == 0 &&
	       hsm_hello(&h).epoch > last_epoch;
	if (good) {
		struct client carol = admin;

		client_init(&carol, "carol");
		good = client_open(&alice, &f) == 0 && sign() == 0 &&
		       client_open(&carol, &f) == ERR_UNKNOWN_USER &&
		       do_sign(&alice, 1, "gone", MESSAGE, NULL) == ERR_NOT_FOUND;
	}
	return good;
}

/* Starts on data, expects a refusal with this error (0: none), then recovers. */
static bool refused(const struct image *data, uint16_t error)
{
	bool good;

	use_anchor(true);
	start_on(data, true);
	if (!error) {
		good = hsm_wait_state(&h, STATE_OPERATIONAL, 20000) && hsm_hello(&h).problem == 0;
	} else {
		good = hsm_wait_problem(&h, error, 30000) &&
		       hsm_hello(&h).state != STATE_OPERATIONAL;
		if (!good)
			note("problem %u in place of %u, state %u", hsm_hello(&h).problem, error,
			     hsm_hello(&h).state);
		good = good && hsm_alive(&h) && recovers();
	}
	stop();
	return good;
}

static void every_record(const char *what,
			 bool (*change)(struct image *i, struct item *x, size_t n), uint16_t error)
{
	size_t n = image_count(&last, STORE_RECORD), done = 0;
	struct image i = {0};
	bool good = true;

	for (size_t k = 0; k < n && good; k++) {
		image_copy(&i, &last);
		if (!change(&i, image_nth(&i, STORE_RECORD, k), k))
			continue;
		done++;
		good = refused(&i, error);
		/* The first and some others: the rest goes the same way. */
		k += k > 3 ? 3 : 0;
	}
	ok(good && done, "%s (%zu records): %s", what, done, err_row(error)->name);
	image_free(&i);
}

static bool drop(struct image *i, struct item *x, size_t n)
{
	(void)n;
	image_del(i, x->table, x->key, x->klen);
	return true;
}

static bool flip(struct image *i, struct item *x, size_t n)
{
	(void)i;
	/* Not the suite byte, which is another error. */
	size_t at = 1 + (n * 53) % (x->n - 1);

	x->p[at] ^= (uint8_t)(1 << n % 8);
	return true;
}

static bool cut(struct image *i, struct item *x, size_t n)
{
	(void)i;
	x->n = n % 2 ? x->n - 1 : n;
	return true;
}

static bool longer(struct image *i, struct item *x, size_t n)
{
	struct buf b;

	buf_init(&b, 2u << 20);
	buf_put(&b, x->p, x->n);
	memset(buf_space(&b, n % 2 ? 1 : 1u << 20), 0, n % 2 ? 1 : 1u << 20);
	image_put(i, x->table, x->key, x->klen, b.p, b.len);
	buf_free(&b);
	return true;
}

static bool newer_suite(struct image *i, struct item *x, size_t n)
{
	(void)i;
	(void)n;
	x->p[0] = VAULT_SUITE + 1;
	return true;
}

static bool swap(struct image *i, struct item *x, size_t n)
{
	struct item *y = image_nth(i, STORE_RECORD, n + 1);
	struct item t;

	if (!y)
		return false;
	t = *x;
	x->p = y->p;
	x->n = y->n;
	y->p = t.p;
	y->n = t.n;
	return true;
}

/* One record as it was before key_set, under its own name. */
static bool older(struct image *i, struct item *x, size_t n)
{
	struct item *was = image_find(&middle, x->table, x->key, x->klen);

	(void)n;
	if (!was || (was->n == x->n && memcmp(was->p, x->p, x->n) == 0))
		return false;
	image_put(i, x->table, x->key, x->klen, was->p, was->n);
	return true;
}

/* One that was removed (a key, an administrator, idempotency results that went). */
static void add_removed(void)
{
	struct image i = {0};
	unsigned done = 0;
	struct item *x;
	bool good = true;

	for (size_t k = 0; (x = image_nth(&middle, STORE_RECORD, k)) && good; k++) {
		if (image_find(&last, x->table, x->key, x->klen))
			continue;
		image_copy(&i, &last);
		image_put(&i, x->table, x->key, x->klen, x->p, x->n);
		good = refused(&i, ERR_ROLLED_BACK);
		done++;
	}
	ok(good && done >= 2, "a removed key or user comes back (%u): ROLLED_BACK", done);
	image_copy(&i, &last);
	x = image_nth(&i, STORE_RECORD, 0);
	uint8_t id[VAULT_ID];

	memcpy(id, x->key, VAULT_ID);
	id[31] ^= 1;
	image_put(&i, STORE_RECORD, id, VAULT_ID, x->p, x->n);
	ok(refused(&i, ERR_STORE_DAMAGED), "a record twice, under another id: STORE_DAMAGED");
	image_copy(&i, &last);
	image_put(&i, STORE_RECORD, "stranger", 8, "what is this", 12);
	ok(refused(&i, ERR_STORE_DAMAGED), "a record that is none of ours: STORE_DAMAGED");
	image_free(&i);
}

static void boot_blobs(void)
{
	struct image i = {0};

	image_copy(&i, &last);
	image_put_boot(&i, "root", &middle);
	ok(refused(&i, ERR_ROLLED_BACK), "the root alone is rolled back: ROLLED_BACK");
	image_copy(&i, &last);
	image_del(&i, STORE_BOOT, "root", 4);
	ok(refused(&i, ERR_STORE_DAMAGED), "the root is dropped: STORE_DAMAGED");
	image_copy(&i, &last);
	image_boot(&i, "root")->p[60] ^= 1;
	ok(refused(&i, ERR_STORE_DAMAGED), "the root is damaged: STORE_DAMAGED");
	image_copy(&i, &last);
	image_boot(&i, "root")->p[0]++;
	ok(refused(&i, ERR_STORE_NEWER), "the root is of a newer suite: STORE_NEWER");
	image_copy(&i, &last);
	image_put_boot(&i, "auto", &with_auto);
	ok(refused(&i, ERR_ROLLED_BACK), "an older unattended slot: ROLLED_BACK");
	image_copy(&i, &last);
	image_boot(&i, "auto")->p[40] ^= 1;
	ok(refused(&i, ERR_STORE_DAMAGED), "the unattended slot is damaged: STORE_DAMAGED");
	image_copy(&i, &last);
	image_boot(&i, "pass")->p[3] ^= 1;
	ok(refused(&i, ERR_ROLLED_BACK), "the passphrase slot is changed: ROLLED_BACK");
	image_copy(&i, &last);
	image_del(&i, STORE_BOOT, "pass", 4);
	ok(refused(&i, ERR_STORE_DAMAGED), "the passphrase slot is dropped: STORE_DAMAGED");
	image_copy(&i, &last);
	image_boot(&i, "boot")->p[50] ^= 1;
	ok(refused(&i, ERR_WRONG_DEVICE_KEY), "the boot record is damaged: WRONG_DEVICE_KEY");
	image_copy(&i, &last);
	image_boot(&i, "boot")->p[0]++;
	ok(refused(&i, ERR_STORE_NEWER), "the boot record is of a newer suite: STORE_NEWER");
	image_copy(&i, &last);
	image_del(&i, STORE_BOOT, "boot", 4);
	ok(refused(&i, ERR_ROLLED_BACK), "the boot record is dropped: ROLLED_BACK");
	image_free(&i);
}

static void audit_segments(void)
{
	struct image i = {0};
	size_t n = image_count(&last, STORE_AUDIT);
	struct item *x;

	image_copy(&i, &last);
	x = image_nth(&i, STORE_AUDIT, n - 1);
	image_del(&i, x->table, x->key, x->klen);
	ok(refused(&i, ERR_ROLLED_BACK), "the newest audit segment is dropped: ROLLED_BACK");
	image_copy(&i, &last);
	image_nth(&i, STORE_AUDIT, n - 1)->p[80] ^= 4;
	ok(refused(&i, ERR_STORE_DAMAGED), "the newest audit segment is damaged: STORE_DAMAGED");
	image_copy(&i, &last);
	x = image_nth(&i, STORE_AUDIT, n - 1);
	image_put(&i, STORE_AUDIT, "\x7f\xff\0\0\0\0\0\1", 8, x->p, x->n);
	ok(refused(&i, ERR_STORE_DAMAGED), "an audit segment stands where none is: STORE_DAMAGED");
	image_copy(&i, &last);
	image_put(&i, STORE_AUDIT, "\xff", 1, "?", 1);
	ok(refused(&i, ERR_STORE_DAMAGED), "an audit segment with a strange id: STORE_DAMAGED");
	image_free(&i);
}

/* ---- 2. the whole store is rolled back ---- */

static void whole_roll_back(void)
{
	struct image *old[] = {&early, &middle, &with_auto};
	bool good = true;

	for (int i = 0; i < 3; i++) {
		use_anchor(true);
		start_on(old[i], false);
		good = good && hsm_wait_state(&h, STATE_LOCKED, 20000) &&
		       client_open(&admin, &f) == 0 &&
		       do_passphrase(&admin, OP_unlock, PASSPHRASE) == ERR_ROLLED_BACK &&
		       hsm_hello(&h).state == STATE_LOCKED &&
		       hsm_wait_problem(&h, ERR_ROLLED_BACK, 60000) && anchor_is_last() &&
		       hsm_alive(&h);
		if (i == 1) {
			/* A restore that somebody wants. */
			ok(do_passphrase(&admin, OP_accept_rollback, PASSPHRASE) == 0 &&
				   hsm_wait_state(&h, STATE_OPERATIONAL, 60000) &&
				   hsm_hello(&h).epoch > last_epoch && hsm_hello(&h).problem == 0,
			   "accept-rollback goes on, with an epoch that no client has seen");
			ok(!anchor_is_last(), "and moves the anchor");
		}
		stop();
	}
	ok(good, "three whole old stores: the anchor finds them, ROLLED_BACK, still Locked");
	use_anchor(true);
	struct image none = {0};
	unsigned txns = store.txns;

	start_on(&none, true);
	ok(hsm_wait_problem(&h, ERR_ROLLED_BACK, 60000) && store.txns == txns,
	   "an empty store and an anchor: ROLLED_BACK, nothing is written");
	ok(recovers(), "the honest store is taken after it");
	stop();
	/* Without an anchor nothing inside can tell: clients see the epoch. */
	use_anchor(false);
	start_on(&middle, false);
	must(!hsm_wait_state(&h, STATE_LOCKED, 20000), "Locked");
	must(client_open(&admin, &f), "session");
	must(do_passphrase(&admin, OP_unlock, PASSPHRASE), "unlock without an anchor");
	ok(hsm_hello(&h).epoch < last_epoch,
	   "without an anchor only clients can tell: the epoch is lower than before");
	stop();
}

static void strange_anchors(void)
{
	bool good = true;

	for (int i = 0; i < 4; i++) {
		use_anchor(true);
		switch (i) {
		case 0:
			h.anchor[20] ^= 1; /* epoch */
			break;
		case 1:
			h.anchor[0]++;
			break;
		case 2:
			h.anchor_len--;
			break;
		default:
			memset(h.anchor, 0x55, sizeof(h.anchor));
			break;
		}
		start_on(&last, true);
		good = good && hsm_wait_problem(&h, ERR_ROLLED_BACK, 60000) &&
		       hsm_hello(&h).state != STATE_OPERATIONAL && hsm_alive(&h);
		stop();
	}
	ok(good, "an anchor that is damaged or a stranger's: ROLLED_BACK");
	use_anchor(true);
	h.cfg.device_key[7] ^= 1;
	start_on(&last, true);
	ok(hsm_wait_problem(&h, ERR_WRONG_DEVICE_KEY, 60000),
	   "another device key: WRONG_DEVICE_KEY");
	stop();
	h.cfg.device_key[7] ^= 1;
}

/* ---- 3. a store that answers as it likes ---- */

enum lie {
	L_NO_DONE_WORD,
	L_WRONG_TAG,
	L_WRONG_TYPE,
	L_DONE_FOR_SCAN,
	L_EMPTY_REPLY,
	L_TRAILING,
	L_COUNT_TOO_HIGH,
	L_COUNT_HUGE,
	L_MORE_WITH_NOTHING,
	L_SAME_PAGE_AGAIN,
	L_ITEM_TWICE,
	L_BACKWARDS,
	L_EMPTY_ID,
	L_BLOB_TOO_LONG,
	L_BAD_FLAGS,
	L_ENDLESS_FRAGMENTS,
	L_BIG_PACKET,
	L_TWO_REPLIES,
	L_END,
};

static const char *const lie_names[] = {
	"no first word",
	"wrong tag",
	"wrong type",
	"done in place of items",
	"an empty reply",
	"trailing bytes",
	"a count too high",
	"a huge count",
	"more, and nothing",
	"the same page",
	"an item twice",
	"items backwards",
	"an item without an id",
	"a length that lies",
	"unknown flags",
	"fragments without an end",
	"a packet too large",
	"an answer before the question",
};

static void items(struct fake *x, const struct wire_msg *m, uint8_t more, uint32_t n, int twice,
		  bool backwards, bool empty_id)
{
	struct item *a = image_nth(&x->now, STORE_RECORD, backwards ? 1 : 0);
	struct item *b = image_nth(&x->now, STORE_RECORD, backwards ? 0 : 1);
	struct buf out;

	buf_init(&out, WIRE_MESSAGE);
	buf_u8(&out, more);
	buf_u32(&out, n);
	buf_str8(&out, a->key, empty_id ? 0 : a->klen);
	buf_str32(&out, a->p, a->n);
	for (int i = 0; i < twice; i++) {
		buf_str8(&out, b->key, b->klen);
		buf_str32(&out, b->p, b->n);
	}
	fake_reply(x, W_ITEMS, m->tag, ERR_OK, out.p, out.len);
	buf_free(&out);
}

static void raw_packet(struct fake *x, size_t n, uint8_t flags, uint64_t tag)
{
	size_t at = x->out.len;

	memset(buf_space(&x->out, WIRE_HEAD + n), 0, WIRE_HEAD + n);
	le32_store(x->out.p + at, (uint32_t)n);
	x->out.p[at + 4] = W_ITEMS;
	x->out.p[at + 5] = flags;
	le64_store(x->out.p + at + 8, tag);
}

/* Lies once, to the first scan of the records. */
static bool liar(struct fake *x, const struct wire_msg *m)
{
	if (m->type != W_SCAN || m->p[0] != STORE_RECORD || x->step++)
		return false;
	switch ((enum lie)x->arg) {
	case L_WRONG_TAG:
		fake_reply(x, W_ITEMS, m->tag + 1, ERR_OK, "\0\0\0\0\0", 5);
		break;
	case L_WRONG_TYPE:
		fake_reply(x, W_BLOB, m->tag, ERR_OK, "\0\0\0\0", 4);
		break;
	case L_DONE_FOR_SCAN:
		fake_reply(x, W_DONE, m->tag, ERR_OK, NULL, 0);
		break;
	case L_EMPTY_REPLY:
		wire_put(&x->out, W_ITEMS, m->tag, "", 0);
		break;
	case L_TRAILING:
		fake_reply(x, W_ITEMS, m->tag, ERR_OK, "\0\0\0\0\0x", 6);
		break;
	case L_COUNT_TOO_HIGH:
		items(x, m, 0, 3, 1, false, false);
		break;
	case L_COUNT_HUGE:
		items(x, m, 0, 0xffffffff, 1, false, false);
		break;
	case L_MORE_WITH_NOTHING:
		fake_reply(x, W_ITEMS, m->tag, ERR_OK, "\1\0\0\0\0", 5);
		break;
	case L_SAME_PAGE_AGAIN:
		items(x, m, 1, 2, 1, false, false);
		x->step = x->step > 5; /* again, until keyd has enough */
		break;
	case L_ITEM_TWICE:
		items(x, m, 0, 3, 2, false, false);
		break;
	case L_BACKWARDS:
		items(x, m, 0, 2, 1, true, false);
		break;
	case L_EMPTY_ID:
		items(x, m, 0, 2, 1, false, true);
		break;
	case L_BLOB_TOO_LONG:
		fake_reply(x, W_ITEMS, m->tag, ERR_OK, "\0\1\0\0\0\1a\xff\xff\xff\xff", 11);
		break;
	case L_BAD_FLAGS:
		raw_packet(x, 16, 0x80, m->tag);
		break;
	case L_ENDLESS_FRAGMENTS:
		for (int i = 0; i < 200; i++)
			raw_packet(x, WIRE_PACKET - WIRE_HEAD, WIRE_MORE, m->tag);
		break;
	case L_BIG_PACKET:
		raw_packet(x, WIRE_PACKET, 0, m->tag);
		if (send(x->fd, x->out.p, x->out.len, 0) < 0)
			give_up("cannot send a large packet");
		buf_reset(&x->out);
		break;
	case L_TWO_REPLIES:
		/* The right one, and one to a question that comes later. */
		fake_honest(x, m);
		fake_reply(x, W_DONE, m->tag + 1, ERR_OK, "x", 1);
		break;
	default:
		break;
	}
	return true;
}

static bool one_lie(int lie)
{
	bool good;

	use_anchor(true);
	image_copy(&store.now, &last);
	h.cfg.may_unlock = true;
	hsm_start(&h);
	fake_set(&store, liar, lie);
	store.again = true;
	store.silent_start = lie == L_NO_DONE_WORD;
	fake_attach(&store);
	store.silent_start = false;
	if (lie == L_NO_DONE_WORD) {
		/* Its answer to nothing is the first word. */
		struct buf b;
		struct err e;

		buf_init(&b, 4096);
		wire_put(&b, W_BLOB, 7, "\0\0", 2);
		(void)wire_send(store.fd, &b, &e);
		buf_free(&b);
	}
	front_attach(&f, &h);
	/* Told to hsmd, which starts another store on the same data: all is well. */
	good = hsm_wait_count(&h, &h.store_bad, 1, 30000) &&
	       hsm_wait_state(&h, STATE_OPERATIONAL, 30000) && h.store_bad == 1 &&
	       client_open(&alice, &f) == 0 && sign() == 0 && hsm_alive(&h);
	if (!good)
		note("%s: %u told (%s), state %u, problem %u", lie_names[lie], h.store_bad, h.why,
		     hsm_hello(&h).state, hsm_hello(&h).problem);
	stop();
	store.again = false;
	return good;
}

static void lies(void)
{
	_Static_assert(sizeof(lie_names) / sizeof(lie_names[0]) == L_END, "one name each");

	for (int lie = 0; lie < L_END; lie++)
		ok(one_lie(lie), "%s: the store is replaced, keyd goes on", lie_names[lie]);
}

int main(void)
{
	uint64_t began = ticks();

	set_scene();
	ok(refused(&last, 0), "honest data: unattended boot");
	every_record("a record is dropped", drop, ERR_ROLLED_BACK);
	every_record("a record is older", older, ERR_ROLLED_BACK);
	every_record("a flipped bit in a record", flip, ERR_STORE_DAMAGED);
	every_record("a record is cut", cut, ERR_STORE_DAMAGED);
	every_record("a record is longer", longer, ERR_STORE_DAMAGED);
	every_record("records are swapped", swap, ERR_STORE_DAMAGED);
	every_record("a record of a newer suite", newer_suite, ERR_STORE_NEWER);
	add_removed();
	boot_blobs();
	audit_segments();
	whole_roll_back();
	strange_anchors();
	lies();
	hsm_scan_log(&h);
	ok(secrets_seen() == 0 && secrets_scanned() > 100000,
	   "none of %u secrets in %llu bytes that came out of keyd", secrets_known(),
	   (unsigned long long)secrets_scanned());
	free_scene();
	note("%llu ms", (unsigned long long)(ticks() - began));
	return done_testing();
}
