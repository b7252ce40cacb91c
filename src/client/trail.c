#include "client/trail.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"

void trail_start(struct trail *t, const struct audit_head *h)
{
	t->seq = h->base_seq;
	memcpy(t->hash, h->base_hash, sizeof(t->hash));
}

int trail_add(struct trail *t, struct bytes entry, struct audit_entry *a, struct err *e)
{
	struct sha256 s;

	if (audit_entry_get(a, entry.p, entry.len, NULL))
		return err_set(e, ERR_STORE_DAMAGED,
			       "audit entry after number %" PRIu64 " is malformed", t->seq);
	if (a->seq != t->seq + 1)
		return err_set(e, ERR_STORE_DAMAGED,
			       "audit entry %" PRIu64 " stands where %" PRIu64 " should", a->seq,
			       t->seq + 1);
	sha256_init(&s);
	sha256_update(&s, t->hash, sizeof(t->hash));
	sha256_update(&s, entry.p, entry.len);
	sha256_final(&s, t->hash);
	t->seq = a->seq;
	return 0;
}

int trail_head(const struct audit_head *h, const uint8_t *key, struct err *e)
{
	uint8_t mem[256];
	struct buf b;

	buf_fixed(&b, mem, sizeof(mem));
	audit_head_signed(&b, h);
	if (b.bad || ed25519_verify(h->sig, b.p, b.len, h->audit_key, NULL))
		return err_set(e, ERR_NOT_VERIFIED,
			       "the signature of the audit log's head does not verify");
	if (key && memcmp(h->audit_key, key, sizeof(h->audit_key)) != 0)
		return err_set(e, ERR_WRONG_IDENTITY,
			       "the audit log is signed by another key than the pinned one");
	if (h->seq < h->base_seq)
		return err_set(e, ERR_STORE_DAMAGED, "the audit log's head is before its base");
	return 0;
}

int trail_end(const struct trail *t, const struct audit_head *h, struct err *e)
{
	if (t->seq != h->seq)
		return err_set(e, ERR_STORE_DAMAGED,
			       "the audit log ends at entry %" PRIu64 ", its head says %" PRIu64,
			       t->seq, h->seq);
	if (memcmp(t->hash, h->hash, sizeof(t->hash)) != 0)
		return err_set(
			e, ERR_STORE_DAMAGED,
			"the audit entries do not give the hash that the head is signed for: "
			"an entry was changed");
	return 0;
}
