#include "hsm/keyd/load.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/secret.h"
#include "hsm/keyd/alg/alg.h"
#include "hsm/keyd/audit.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/commit.h"
#include "hsm/keyd/store.h"

#define ROOT_VERSION 1
static const uint8_t root_id[VAULT_ID] = "root";

void root_put(struct buf *out, const struct root *r)
{
	buf_u8(out, ROOT_VERSION);
	buf_u64(out, r->epoch);
	for (int i = 0; i < 4; i++)
		buf_u64(out, r->mset[i]);
	buf_u64(out, r->records);
	buf_u64(out, r->audit_seq);
	buf_put(out, r->audit_hash, 32);
	buf_u64(out, r->audit_segment);
	buf_u64(out, r->base_seq);
	buf_put(out, r->base_hash, 32);
	buf_u64(out, r->audit_bytes);
	buf_put(out, r->boot_hash, 32);
	buf_u8(out, r->unattended);
}

int root_get(struct root *r, const void *p, size_t n, struct err *e)
{
	struct rd rd;

	rd_init(&rd, p, n);
	if (rd_u8(&rd) != ROOT_VERSION)
		return err_set(e, ERR_STORE_NEWER, "the root record is of a newer version");
	r->epoch = rd_u64(&rd);
	for (int i = 0; i < 4; i++)
		r->mset[i] = rd_u64(&rd);
	r->records = rd_u64(&rd);
	r->audit_seq = rd_u64(&rd);
	rd_copy(&rd, r->audit_hash, 32);
	r->audit_segment = rd_u64(&rd);
	r->base_seq = rd_u64(&rd);
	rd_copy(&rd, r->base_hash, 32);
	r->audit_bytes = rd_u64(&rd);
	rd_copy(&rd, r->boot_hash, 32);
	r->unattended = rd_u8(&rd);
	return rd_end(&rd) ? 0
			   : err_set(e, ERR_STORE_DAMAGED, "the root record has the wrong form");
}

struct load {
	struct keyd *k;
	struct objects *into;
	uint64_t sum[4], n;
};

static int load_one(void *arg, struct bytes id, struct bytes blob, struct err *e)
{
	struct load *l = arg;
	CLEAN(buf) struct buf plain = {0};
	struct object *o = NULL;
	struct bytes priv = {NULL, 0};
	uint64_t version, term[4];

	buf_init(&plain, 1u << 20);
	plain.secret = true;
	if (id.len != VAULT_ID || blob.len < VAULT_OVERHEAD || blob.p[1] < BLOB_USER ||
	    blob.p[1] > BLOB_IDEM)
		return err_set(e, ERR_STORE_DAMAGED, "there is a record that is none of ours");
	enum blob_kind kind = blob.p[1];

	if (vault_unseal(&plain, vault_seal_key(&l->k->vault), kind, id.p, &version, blob.p,
			 blob.len, e) ||
	    object_decode(&o, kind, plain.p, plain.len, &priv, e))
		return -1;
	memcpy(o->tag, blob.p + blob.len - sizeof(o->tag), sizeof(o->tag));
	o->version = version;
	int rc = 0;

	if (!object_id_ok(l->k, o, id.p))
		rc = err_set(e, ERR_STORE_DAMAGED, "a record stands under another's name");
	if (rc == 0 && kind == BLOB_KEY)
		rc = alg_load(o->key.type, priv, &o->key.loaded, e);
	if (rc == 0)
		rc = objects_reserve(l->into, e);
	if (rc) {
		object_free(o);
		return -1;
	}
	vault_term(term, &l->k->vault, kind, o->id, version, o->tag);
	mset_add(l->sum, term);
	l->n++;
	objects_add(l->into, o);
	return 0;
}

int load_records(struct keyd *k, const struct root *r, struct objects *into, struct err *e)
{
	struct load l = {.k = k, .into = into};

	if (store_scan(k->store, STORE_RECORD, NULL, 0, load_one, &l, e))
		return -1;
	if (l.n != r->records || memcmp(l.sum, r->mset, sizeof(l.sum)) != 0)
		return err_set(e, ERR_ROLLED_BACK,
			       "records were dropped, added or rolled back (%llu there, %llu "
			       "expected)",
			       (unsigned long long)l.n, (unsigned long long)r->records);
	return 0;
}

static int load_root(struct keyd *k, struct root *r, struct err *e)
{
	CLEAN(buf) struct buf blob = {0}, plain = {0};
	uint8_t hash[32];
	uint64_t version;

	buf_init(&blob, 4096);
	buf_init(&plain, 4096);
	if (store_get(k->store, STORE_BOOT, "root", 4, &blob, e))
		return e->code == ERR_NOT_FOUND
			       ? err_set(e, ERR_STORE_DAMAGED, "the root record is missing")
			       : -1;
	if (vault_unseal(&plain, vault_seal_key(&k->vault), BLOB_ROOT, root_id, &version, blob.p,
			 blob.len, e) ||
	    root_get(r, plain.p, plain.len, e))
		return -1;
	if (version != r->epoch)
		return err_set(e, ERR_STORE_DAMAGED, "the root record has the wrong form");
	memcpy(k->root_tag, blob.p + blob.len - sizeof(k->root_tag), sizeof(k->root_tag));
	boot_hash(hash, &k->boot_blob, &k->slot_pass, &k->slot_auto);
	if (memcmp(hash, r->boot_hash, sizeof(hash)) != 0)
		return err_set(e, ERR_ROLLED_BACK, "boot record and root are of different times");
	return 0;
}

/* What is outside must not be ahead of what is inside. */
static int against_anchor(struct keyd *k, const struct root *r, const struct root *tail,
			  struct err *e)
{
	if (r->epoch < k->anchor_epoch)
		return err_set(e, ERR_ROLLED_BACK,
			       "the store is at epoch %llu, the anchor at %llu: if this is a "
			       "restore that you want, say accept-rollback",
			       (unsigned long long)r->epoch, (unsigned long long)k->anchor_epoch);
	if (r->epoch == k->anchor_epoch && !secret_equal(k->root_tag, k->anchor_tag, 16))
		return err_set(e, ERR_ROLLED_BACK, "the store has another root than the anchor");
	if (tail->audit_seq < k->anchor_audit)
		return err_set(e, ERR_ROLLED_BACK,
			       "the audit log ends at entry %llu, the anchor knows %llu",
			       (unsigned long long)tail->audit_seq,
			       (unsigned long long)k->anchor_audit);
	return 0;
}

static int load_all(struct keyd *k, struct root *tail, struct objects *into, bool accept,
		    struct err *e)
{
	struct root r;

	if (load_root(k, &r, e) || load_records(k, &r, into, e))
		return -1;
	k->root = r;
	if (audit_load(k, tail, e))
		return -1;
	return accept || !k->cfg.has_anchor ? 0 : against_anchor(k, &r, tail, e);
}

int boot_unlock(struct keyd *k, const uint8_t domain[static 32], bool accept, struct job *j,
		struct err *e)
{
	struct change ch = {.min_epoch = accept ? k->anchor_epoch + 1 : 0};
	struct objects fresh;
	struct root tail;

	if (objects_init(&fresh, e))
		return -1;
	if (vault_open(&k->vault, domain, e) || load_all(k, &tail, &fresh, accept, e)) {
		objects_free(&fresh);
		vault_close(&k->vault);
		memset(&k->root, 0, sizeof(k->root));
		return -1;
	}
	state_write_begin(k);
	k->objects = fresh;
	k->root = tail;
	k->anchor_held = k->cfg.has_anchor;
	state_write_end(k);
	if (!j)
		audit_note(k, NULL, OP_unlock, NULL);
	/* The unlock itself is a change: entry, epoch and anchor go with it. */
	if (commit_change(k, &ch, j, NULL, e)) {
		objects_free(&k->objects);
		vault_close(&k->vault);
		memset(&k->root, 0, sizeof(k->root));
		return -1;
	}
	state_write_begin(k);
	k->problem = ERR_OK;
	k->state = STATE_OPERATIONAL;
	state_write_end(k);
	log_info("operational", "epoch", LOG_NUM(k->root.epoch), "keys", LOG_NUM(k->objects.keys),
		 "users", LOG_NUM(k->objects.users));
	return 0;
}
