#include "hsm/keyd/audit.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "crypto/sha256.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/commit.h"

/* Operations on users name them in the body: the log says who was made administrator. */
static struct bytes user_of_body(const struct request *q)
{
	struct bytes name;
	struct rd r;

	rd_init(&r, q->body.p, q->body.len);
	name = rd_str8(&r);
	return name_valid(name.p, name.len) ? name : (struct bytes){NULL, 0};
}

static void put_entry(struct buf *out, unsigned *count, const struct call *c, enum op op,
		      const struct err *error)
{
	uint8_t tmp[AUDIT_ENTRY_MAX];
	struct audit_entry a = {.time = keyd_now(), .op = (uint16_t)op};
	struct buf b;

	a.error = error ? (uint16_t)error->code : 0;
	if (c) {
		a.surface = c->surface;
		a.user = (struct bytes){(const uint8_t *)c->name, c->name_len};
		a.ns = c->q.ns;
		a.key = c->q.key;
		a.version = c->q.key_version;
		a.mode = c->mode ? c->mode : c->q.mode;
		bool on_user = op == OP_user_add || op == OP_user_remove || op == OP_user_set;

		if (on_user)
			a.key = user_of_body(&c->q);
		/* Other bodies hold secrets or could be guessed from a digest. */
		if (op == OP_sign || on_user)
			sha256(a.digest, c->q.body.p, c->q.body.len);
	}
	buf_fixed(&b, tmp, sizeof(tmp));
	audit_entry_put(&b, &a);
	buf_str16(out, b.p, b.len);
	(*count)++;
}

bool audit_ready(const struct lane *l)
{
	return l->audit.len + AUDIT_ENTRY_MAX + 2 <= AUDIT_LANE_MAX;
}

void audit_call(struct lane *l, const struct call *c, const struct err *error)
{
	if (!c->op || !c->role)
		return;
	if (c->op->op != OP_sign && !(error && (c->op->flags & (OPF_MUTATES | OPF_SLOW))))
		return;
	/* Busy is no decision about the caller, and may come in floods. */
	if ((error && error->code == ERR_BUSY) || !audit_ready(l))
		return;
	/* Refusals cost their sender nothing; a flood must not rotate the log away. */
	if (error && l->audit_refusals++ >= AUDIT_REFUSALS)
		return;
	put_entry(&l->audit, &l->audit_count, c, c->op->op, error);
}

void audit_note(struct keyd *k, const struct call *c, enum op op, const struct err *error)
{
	if (k->audit_carry.len + AUDIT_ENTRY_MAX + 2 <= AUDIT_CARRY_MAX)
		put_entry(&k->audit_carry, &k->audit_carried, c, op, error);
}

struct audit_mark audit_mark(const struct keyd *k)
{
	return (struct audit_mark){k->audit_carry.len};
}

void audit_rewind(struct keyd *k, struct audit_mark m)
{
	struct buf *c = &k->audit_carry;

	if (m.at + 2 > c->len)
		return; /* there was no room for the note */
	size_t n = 2 + (size_t)le16_load(c->p + m.at);

	/* Lanes' entries may stand behind it by now: they stay. */
	memmove(c->p + m.at, c->p + m.at + n, c->len - m.at - n);
	c->len -= n;
	k->audit_carried--;
}

/* Entries beyond a batch stay with their lanes, which refuse to sign when they have no
 * room: a store slower than the lanes slows these, and nothing grows. */
static void gather(struct keyd *k)
{
	static unsigned turn; /* commit thread only: each lane is the first in turn */
	static uint64_t told;
	unsigned workers = k->nlanes - 1;
	bool flood = false;

	turn++;
	for (unsigned i = 0; i < workers; i++) {
		struct lane *l = &k->lane[1 + (turn + i) % workers];

		state_read_begin(k, l);
		if (l->audit.len && k->audit_carry.len <= AUDIT_BATCH / 2) {
			buf_put(&k->audit_carry, l->audit.p, l->audit.len);
			k->audit_carried += l->audit_count;
			buf_reset(&l->audit);
			l->audit_count = 0;
			flood |= l->audit_refusals > AUDIT_REFUSALS;
			l->audit_refusals = 0;
		}
		state_read_end(l);
	}
	if (flood && keyd_ticks() - told > 10000) {
		told = keyd_ticks();
		log_warn("a flood of refused requests: not all of them are in the audit log");
	}
}

bool audit_pending(struct keyd *k)
{
	gather(k);
	return k->audit_carried > 0;
}

static void chain(uint8_t hash[static 32], const uint8_t *entry, size_t n)
{
	struct sha256 s;

	sha256_init(&s);
	sha256_update(&s, hash, 32);
	sha256_update(&s, entry, n);
	sha256_final(&s, hash);
}

static void segment_id(uint8_t id[static VAULT_ID], uint64_t first)
{
	memset(id, 0, VAULT_ID);
	/* Big-endian: the store's byte order is the log's order. */
	for (int i = 0; i < 8; i++)
		id[i] = (uint8_t)(first >> (56 - 8 * i));
}

static void put_segment(struct keyd *k, struct root *r, struct buf *t, uint64_t first,
			struct buf *body, uint32_t n)
{
	uint8_t id[VAULT_ID];
	struct buf blob;

	le32_store(body->p + 40, n);
	segment_id(id, first);
	buf_init(&blob, 2 * AUDIT_SEGMENT);
	vault_seal(&blob, vault_seal_key(&k->vault), BLOB_AUDIT, id, first, body->p, body->len);
	store_txn_put(t, STORE_AUDIT, id, 8, blob.p, blob.len);
	r->audit_segment = first;
	r->audit_bytes += blob.len;
	buf_free(&blob);
}

int audit_put(struct keyd *k, struct root *r, struct buf *t, struct err *e)
{
	CLEAN(buf) struct buf body = {0};
	uint64_t first = 0;
	uint32_t n = 0;
	struct rd rd;

	buf_init(&body, 2 * AUDIT_SEGMENT);
	gather(k);
	k->audit_taken = k->audit_ntaken = 0;
	rd_init(&rd, k->audit_carry.p, k->audit_carry.len);
	while (rd.left && k->audit_taken < AUDIT_BATCH) {
		struct bytes entry = rd_str16(&rd);

		if (n == 0) {
			first = r->audit_seq + 1;
			buf_u64(&body, first);
			buf_put(&body, r->audit_hash, 32);
			buf_u32(&body, 0);
		}
		buf_str16(&body, entry.p, entry.len);
		if (rd.bad || body.bad)
			return err_set(e, ERR_INTERNAL, "audit buffer is inconsistent");
		/* The entry waited without its number: now it gets one. */
		uint8_t *e0 = body.p + body.len - entry.len;

		le64_store(e0, ++r->audit_seq);
		chain(r->audit_hash, e0, entry.len);
		n++;
		k->audit_ntaken++;
		k->audit_taken += 2 + entry.len;
		if (body.len + AUDIT_ENTRY_MAX + 2 > AUDIT_SEGMENT || rd.left == 0 ||
		    k->audit_taken >= AUDIT_BATCH) {
			put_segment(k, r, t, first, &body, n);
			buf_reset(&body);
			n = 0;
		}
		if (t->bad)
			return err_set(e, ERR_TOO_LARGE, "too many audit entries at once");
	}
	return 0;
}

void audit_done(struct keyd *k)
{
	struct buf *c = &k->audit_carry;

	if (k->audit_taken)
		memmove(c->p, c->p + k->audit_taken, c->len - k->audit_taken);
	c->len -= k->audit_taken;
	k->audit_carried -= k->audit_ntaken;
	k->audit_taken = k->audit_ntaken = 0;
}

/* Segments alone, without a new root. */
static int append(struct keyd *k, struct err *e)
{
	struct root r = k->root, seen;
	struct buf t;
	int rc;

	if (store_ready(k->store, e))
		return -1;
	txn_init(&t);
	rc = audit_put(k, &r, &t, e);
	if (rc == 0)
		rc = store_commit(k->store, &t, e);
	buf_free(&t);
	if (rc && e->code == ERR_UNAVAILABLE && store_in_doubt(k->store)) {
		/* Perhaps it happened: reading decides. If not, or not all of it, the same
		 * entries are written again, under the same ids. */
		rc = audit_load(k, &seen, e);
		if (rc == 0 && (seen.audit_seq != r.audit_seq ||
				memcmp(seen.audit_hash, r.audit_hash, 32) != 0))
			rc = err_set(e, ERR_AUDIT, "store went away during a write");
	}
	if (rc)
		return -1;
	state_write_begin(k);
	k->root = r;
	state_write_end(k);
	audit_done(k);
	anchor_write(k, false, NULL);
	return 0;
}

int audit_flush(struct keyd *k, struct err *e)
{
	struct change none = {0};
	int rc;

	if (!audit_pending(k))
		return 0;
	if (k->root.audit_bytes > (uint64_t)k->cfg.audit_mib << 20)
		rc = commit_change(k, &none, NULL, NULL, e);
	else
		rc = append(k, e);
	if (k->audit_stalled != (rc != 0))
		log_warn(rc ? "audit log cannot be written: nothing is signed"
			    : "audit log is written again",
			 "error", rc ? e->text : "");
	k->audit_stalled = rc != 0;
	return rc;
}

void audit_close(struct keyd *k)
{
	state_write_begin(k);
	k->state = STATE_LOCKED;
	state_write_end(k);
}

void audit_finish(struct keyd *k)
{
	struct err e;

	while (audit_pending(k))
		if (audit_flush(k, &e)) {
			log_error("audit entries are lost", "error", e.text);
			return;
		}
}

int audit_room(struct keyd *k, struct err *e)
{
	while (k->audit_carry.len > AUDIT_BATCH / 2)
		if (audit_flush(k, e))
			return -1;
	return 0;
}

struct follow {
	struct keyd *k;
	struct root *r;
};

/* Opens a segment into plain and reads its head. */
static int segment_open(struct keyd *k, struct bytes id, struct bytes blob, struct buf *plain,
			struct rd *rd, uint64_t *first, uint8_t before[static 32], uint32_t *n,
			struct err *e)
{
	uint8_t full[VAULT_ID] = {0};
	uint64_t version;

	if (id.len != 8)
		return err_set(e, ERR_STORE_DAMAGED, "an audit segment has a strange id");
	memcpy(full, id.p, 8);
	if (vault_unseal(plain, vault_seal_key(&k->vault), BLOB_AUDIT, full, &version, blob.p,
			 blob.len, e))
		return -1;
	rd_init(rd, plain->p, plain->len);
	*first = rd_u64(rd);
	rd_copy(rd, before, 32);
	*n = rd_u32(rd);
	if (rd->bad || *first != version)
		return err_set(e, ERR_STORE_DAMAGED, "an audit segment has the wrong form");
	return 0;
}

static int follow(void *arg, struct bytes id, struct bytes blob, struct err *e)
{
	struct follow *f = arg;
	CLEAN(buf) struct buf plain = {0};
	uint8_t before[32];
	uint64_t first;
	struct rd rd;
	uint32_t n;

	buf_init(&plain, 2 * AUDIT_SEGMENT);
	if (segment_open(f->k, id, blob, &plain, &rd, &first, before, &n, e))
		return -1;
	if (first != f->r->audit_seq + 1 || memcmp(before, f->r->audit_hash, 32) != 0)
		return err_set(e, ERR_STORE_DAMAGED, "audit chain is broken at entry %llu",
			       (unsigned long long)first);
	while (n--) {
		struct bytes entry = rd_str16(&rd);

		if (rd.bad || entry.len < 8 || le64_load(entry.p) != f->r->audit_seq + 1)
			return err_set(e, ERR_STORE_DAMAGED, "an audit entry is out of order");
		chain(f->r->audit_hash, entry.p, entry.len);
		f->r->audit_seq++;
	}
	f->r->audit_segment = first;
	f->r->audit_bytes += blob.len;
	return 0;
}

int audit_load(struct keyd *k, struct root *r, struct err *e)
{
	struct follow f = {k, r};
	uint8_t id[VAULT_ID];

	*r = k->root;
	segment_id(id, r->audit_segment);
	return store_scan(k->store, STORE_AUDIT, id, r->audit_segment ? 8 : 0, follow, &f, e);
}

struct rotate {
	struct keyd *k;
	struct root *r;
	struct buf *t;
	uint64_t want; /* bytes that may stay */
	uint64_t next; /* sequence that must come */
};

static int rotate(void *arg, struct bytes id, struct bytes blob, struct err *e)
{
	struct rotate *ro = arg;
	CLEAN(buf) struct buf plain = {0};
	uint8_t before[32];
	uint64_t first;
	struct rd rd;
	uint32_t n;

	buf_init(&plain, 2 * AUDIT_SEGMENT);
	if (segment_open(ro->k, id, blob, &plain, &rd, &first, before, &n, e))
		return -1;
	/* Else a store that hides segments would have them rotated away. */
	if (first != ro->next)
		return err_set(e, ERR_STORE_DAMAGED, "audit entries from %llu on are missing",
			       (unsigned long long)ro->next);
	ro->next += n;
	/* Each segment says where the chain stood before it: the new base. */
	ro->r->base_seq = first - 1;
	memcpy(ro->r->base_hash, before, 32);
	if (ro->r->audit_bytes <= ro->want || first >= ro->r->audit_segment ||
	    ro->t->len > AUDIT_ROTATE)
		return 1;
	store_txn_del(ro->t, STORE_AUDIT, id.p, id.len);
	ro->r->audit_bytes -= blob.len < ro->r->audit_bytes ? blob.len : ro->r->audit_bytes;
	return 0;
}

int audit_rotate(struct keyd *k, struct root *r, struct buf *t, struct err *e)
{
	uint64_t limit = (uint64_t)k->cfg.audit_mib << 20;
	struct rotate ro = {k, r, t, limit - limit / 8, r->base_seq + 1};

	if (r->audit_bytes <= limit)
		return 0;
	log_info("audit log rotates", "bytes", LOG_NUM(r->audit_bytes));
	return store_scan(k->store, STORE_AUDIT, NULL, 0, rotate, &ro, e);
}

struct reading {
	struct keyd *k;
	struct buf *out;
	size_t max;
	unsigned n;
	bool more;
};

static int read_segment(void *arg, struct bytes id, struct bytes blob, struct err *e)
{
	struct reading *rg = arg;
	CLEAN(buf) struct buf plain = {0};
	uint8_t before[32];
	uint64_t first;
	struct rd rd;
	uint32_t n;

	buf_init(&plain, 2 * AUDIT_SEGMENT);
	if (segment_open(rg->k, id, blob, &plain, &rd, &first, before, &n, e))
		return -1;
	/* At least one, then as many as fit. */
	if (rg->n && (rg->out->len + rd.left > rg->max || rg->n + n > UINT16_MAX)) {
		rg->more = true;
		return 1;
	}
	buf_put(rg->out, rd.p, rd.left);
	rg->n += n;
	return 0;
}

int audit_read(struct keyd *k, uint64_t first, uint32_t max, struct buf *out, struct err *e)
{
	struct reading rg = {k, out, max, 0, false};
	uint8_t after[VAULT_ID];
	size_t head = out->len;

	if (first > k->root.audit_segment)
		first = k->root.audit_segment;
	segment_id(after, first ? first - 1 : 0);
	buf_u8(out, 0);
	buf_u16(out, 0);
	if (store_scan(k->store, STORE_AUDIT, after, 8, read_segment, &rg, e))
		return -1;
	if (out->bad)
		return err_set(e, ERR_TOO_LARGE, NULL);
	out->p[head] = rg.more;
	le16_store(out->p + head + 1, (uint16_t)rg.n);
	return 0;
}
