#include "hsm/keyd/commit.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "crypto/kdf.h"
#include "crypto/sha256.h"
#include "hsm/keyd/audit.h"
#include "hsm/keyd/boot.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/store.h"

#define IDEM_KEEP_MS (24u * 3600 * 1000)
#define IDEM_MAX 4096
#define SETTLE_MS 15000 /* to learn from a restarted store what happened */

void change_drop(struct change *ch)
{
	for (unsigned i = 0; i < ch->nadd; i++)
		object_free(ch->add[i]);
	ch->nadd = 0;
}

/* ---- idempotency results ---- */

/* A digest of a passphrase would let whoever gets it guess without Argon2id. */
static bool holds_passphrase(unsigned op)
{
	return op == OP_provision || op == OP_unlock || op == OP_accept_rollback;
}

void request_digest(uint8_t out[static 32], const struct request *q)
{
	uint8_t head[2 + 4 + 1 + 2 * (1 + NAME_MAX_LEN)];
	struct sha256 s;
	struct buf b;

	buf_fixed(&b, head, sizeof(head));
	buf_u16(&b, q->op);
	buf_u32(&b, q->key_version);
	buf_u8(&b, q->mode);
	buf_str8(&b, q->ns.p, q->ns.len);
	buf_str8(&b, q->key.p, q->key.len);
	sha256_init(&s);
	sha256_update(&s, b.p, b.len);
	if (!holds_passphrase(q->op))
		sha256_update(&s, q->body.p, q->body.len);
	sha256_final(&s, out);
}

static int add_idem(struct keyd *k, struct change *ch, const struct job *j, const struct buf *out,
		    struct err *e)
{
	struct object *o = calloc(1, sizeof(*o));

	if (!o)
		return err_set(e, ERR_NOMEM, NULL);
	o->kind = BLOB_IDEM;
	ch->add[ch->nadd++] = o;
	memcpy(o->idem.nkey, j->c.nkey, 32);
	memcpy(o->idem.idem, j->c.q.idem, IDEM_LEN);
	request_digest(o->idem.digest, &j->c.q);
	o->idem.created = keyd_now();
	o->idem.mode = j->c.mode;
	o->idem.len = out->len;
	o->idem.body = malloc(out->len ? out->len : 1);
	if (!o->idem.body)
		return err_set(e, ERR_NOMEM, NULL);
	if (out->len)
		memcpy(o->idem.body, out->p, out->len);
	/* The oldest make room, a few with each change. */
	struct object *old = k->objects.oldest;

	for (int i = 0; i < 2 && old && ch->ntake < CHANGE_MAX; i++, old = old->newer) {
		bool stale = o->idem.created - old->idem.created > IDEM_KEEP_MS;

		if (stale || k->objects.idems >= IDEM_MAX)
			ch->take[ch->ntake++] = old;
	}
	return 0;
}

/* ---- the transaction ---- */

static void object_id(struct keyd *k, struct object *o)
{
	uint8_t both[32 + IDEM_LEN];

	if (o->kind == BLOB_IDEM) {
		memcpy(both, o->idem.nkey, 32);
		memcpy(both + 32, o->idem.idem, IDEM_LEN);
		vault_id(o->id, &k->vault, BLOB_IDEM, (struct bytes){NULL, 0},
			 (struct bytes){both, sizeof(both)});
	} else {
		vault_id(o->id, &k->vault, o->kind, object_ns(o), object_name(o));
	}
}

bool object_id_ok(struct keyd *k, struct object *o, const uint8_t id[static VAULT_ID])
{
	object_id(k, o);
	return memcmp(o->id, id, VAULT_ID) == 0;
}

static void put_records(struct keyd *k, struct change *ch, struct root *r, struct buf *t)
{
	CLEAN(buf) struct buf plain = {0}, blob = {0};
	uint64_t term[4];

	buf_init(&plain, 1u << 20);
	plain.secret = true;
	buf_init(&blob, 1u << 20);
	for (unsigned i = 0; i < ch->ntake; i++) {
		struct object *o = ch->take[i];

		vault_term(term, &k->vault, o->kind, o->id, o->version, o->tag);
		mset_sub(r->mset, term);
		r->records--;
		store_txn_del(t, STORE_RECORD, o->id, VAULT_ID);
	}
	for (unsigned i = 0; i < ch->nadd; i++) {
		struct object *o = ch->add[i];

		object_id(k, o);
		o->version = r->epoch;
		buf_reset(&plain);
		buf_reset(&blob);
		object_encode(&plain, o, ch->priv[i]);
		vault_seal(&blob, vault_seal_key(&k->vault), o->kind, o->id, o->version, plain.p,
			   plain.len);
		if (plain.bad || blob.bad) {
			t->bad = true;
			return;
		}
		memcpy(o->tag, blob.p + blob.len - sizeof(o->tag), sizeof(o->tag));
		vault_term(term, &k->vault, o->kind, o->id, o->version, o->tag);
		mset_add(r->mset, term);
		r->records++;
		store_txn_put(t, STORE_RECORD, o->id, VAULT_ID, blob.p, blob.len);
	}
}

static void put_boot(struct keyd *k, const struct change *ch, struct root *r, struct buf *t)
{
	const struct buf *boot = ch->boot ? ch->boot : &k->boot_blob;
	const struct buf *pass = ch->slot_pass ? ch->slot_pass : &k->slot_pass;
	const struct buf *au = ch->slot_auto ? ch->slot_auto : &k->slot_auto;
	static const struct buf none;

	if (ch->drop_auto)
		au = &none;
	if (ch->boot)
		store_txn_put(t, STORE_BOOT, "boot", 4, boot->p, boot->len);
	if (ch->slot_pass)
		store_txn_put(t, STORE_BOOT, "pass", 4, pass->p, pass->len);
	if (ch->slot_auto)
		store_txn_put(t, STORE_BOOT, "auto", 4, au->p, au->len);
	else if (ch->drop_auto)
		store_txn_del(t, STORE_BOOT, "auto", 4);
	boot_hash(r->boot_hash, boot, pass, au);
}

static void root_seal(struct keyd *k, const struct root *r, struct buf *blob)
{
	static const uint8_t id[VAULT_ID] = "root";
	uint8_t plain[512];
	struct buf b;

	buf_fixed(&b, plain, sizeof(plain));
	root_put(&b, r);
	vault_seal(blob, vault_seal_key(&k->vault), BLOB_ROOT, id, r->epoch, b.p, b.len);
}

static int keep(struct buf *to, const struct buf *from)
{
	buf_reset(to);
	buf_put(to, from->p, from->len);
	return to->bad;
}

/* What was durable becomes what is seen. */
static void apply(struct keyd *k, struct change *ch, const struct root *r)
{
	state_write_begin(k);
	k->root = *r;
	for (unsigned i = 0; i < ch->ntake; i++)
		objects_take(&k->objects, ch->take[i]);
	for (unsigned i = 0; i < ch->nadd; i++) {
		struct object *o = ch->add[i];

		for (unsigned t = 0; t < ch->ntake && o->kind == BLOB_KEY; t++) {
			struct object *old = ch->take[t];

			if (memcmp(old->id, o->id, VAULT_ID) != 0 || o->key.loaded)
				continue;
			o->key.loaded = old->key.loaded;
			old->key.loaded = NULL;
		}
		objects_add(&k->objects, o);
	}
	if (ch->boot)
		keep(&k->boot_blob, ch->boot);
	if (ch->slot_pass)
		keep(&k->slot_pass, ch->slot_pass);
	if (ch->slot_auto)
		keep(&k->slot_auto, ch->slot_auto);
	if (ch->drop_auto)
		buf_reset(&k->slot_auto);
	state_write_end(k);
	for (unsigned i = 0; i < ch->ntake; i++)
		object_free(ch->take[i]);
	ch->nadd = ch->ntake = 0;
}

/* The store went away in the middle: its next start tells what happened. */
static int settle(struct keyd *k, const struct buf *root, struct err *e)
{
	uint64_t until = keyd_ticks() + SETTLE_MS;
	CLEAN(buf) struct buf now = {0};

	buf_init(&now, 4096);
	do {
		buf_reset(&now);
		int rc = store_get(k->store, STORE_BOOT, "root", 4, &now, e);

		if (rc == 0 && now.len == root->len && memcmp(now.p, root->p, now.len) == 0)
			return 0;
		if (rc == 0 || e->code == ERR_NOT_FOUND)
			return err_set(e, ERR_UNAVAILABLE,
				       "store restarted and the change did not happen");
	} while (keyd_ticks() < until);
	/* Neither yes nor no: state in memory may be older than the store's, and a user who
	 * was just removed, or a key, would work on. Only a fresh start can tell, and it loads
	 * whatever is there. That a store can lock the HSM so is the lesser evil. */
	log_error("the store did not come back after a change: keyd ends, and is locked at its "
		  "next start unless it unlocks by itself");
	_exit(1);
}

static int grow_idle(struct keyd *k, const struct change *ch, struct err *e)
{
	for (unsigned i = 0; i < ch->nadd; i++) {
		state_write_begin(k);
		int rc = objects_reserve(&k->objects, e);

		state_write_end(k);
		if (rc)
			return -1;
	}
	return 0;
}

/* The transaction and the sealed root of a change. */
static int build(struct keyd *k, struct change *ch, struct root *r, struct buf *t, struct buf *root,
		 struct err *e)
{
	if (grow_idle(k, ch, e))
		return -1;
	put_records(k, ch, r, t);
	put_boot(k, ch, r, t);
	if (audit_put(k, r, t, e) || audit_rotate(k, r, t, e))
		return -1;
	root_seal(k, r, root);
	store_txn_put(t, STORE_BOOT, "root", 4, root->p, root->len);
	return 0;
}

/* An epoch that a store has seen is never used for anything else. k->root keeps the one
 * that is durable: clients and the anchor must never know a higher one than the store. */
static uint64_t next_epoch(const struct keyd *k, uint64_t min)
{
	uint64_t last = k->root.epoch > k->epoch_used ? k->root.epoch : k->epoch_used;

	return last + 1 > min ? last + 1 : min;
}

int commit_change(struct keyd *k, struct change *ch, struct job *j, const struct buf *out,
		  struct err *e)
{
	struct audit_mark mark;
	const struct op_row *op = j ? j->c.op : NULL;
	CLEAN(buf) struct buf root = {0}, t = {0};
	struct root r;
	int rc = 0;

	buf_init(&root, 4096);
	txn_init(&t);
	/* Before unlock there is nothing that could be made durable. */
	if (op && k->state == STATE_OPERATIONAL && audit_room(k, e)) {
		change_drop(ch);
		return -1;
	}
	r = k->root;
	r.epoch = next_epoch(k, ch->min_epoch);
	if (ch->unattended)
		r.unattended = ch->unattended > 0;
	mark = audit_mark(k);
	if (op)
		audit_note(k, &j->c, op->op, NULL);
	if (op && (op->flags & OPF_MUTATES) && out)
		rc = add_idem(k, ch, j, out, e);
	if (rc == 0)
		rc = build(k, ch, &r, &t, &root, e);
	if (rc == 0)
		rc = store_ready(k->store, e);
	if (rc == 0) {
		k->epoch_used = r.epoch;
		rc = store_commit(k->store, &t, e);
		if (rc && e->code == ERR_UNAVAILABLE && store_in_doubt(k->store))
			rc = settle(k, &root, e);
	}
	if (rc) {
		if (op)
			audit_rewind(k, mark);
		change_drop(ch);
		return -1;
	}
	memcpy(k->root_tag, root.p + root.len - sizeof(k->root_tag), sizeof(k->root_tag));
	audit_done(k);
	apply(k, ch, &r);
	k->audit_stalled = false;
	/* What is outside learns of the epoch before the caller does. A failure is
	 * shown in `state`; the change itself is done. */
	struct err ignored;

	anchor_write(k, true, &ignored);
	return 0;
}
