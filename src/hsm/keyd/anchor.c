/* The anchor: a few authenticated bytes on another volume, written by hsmd, that
 * tell after a restart whether the whole store was rolled back.
 *
 *   u8 version 1, domain id (16), u64 epoch, tag of the sealed root (16),
 *   u64 audit seq, HMAC-SHA-256 (32) */
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/secret.h"
#include "crypto/kdf.h"
#include "hsm/keyd/commit.h"

#define ANCHOR_VERSION 1
#define ANCHOR_BODY (1 + 16 + 8 + 16 + 8)
#define ANCHOR_WAIT_MS 5000

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t asked, answered; /* tags */
	uint16_t error;
} wait_state = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 0};

static void mac(struct keyd *k, uint8_t out[static 32], const void *p, size_t n)
{
	uint8_t key[32];

	vault_device_key(key, k->device_key, "signbox anchor");
	kdf_hmac(out, key, sizeof(key), p, n);
	secret_wipe(key, sizeof(key));
}

void anchor_answer(uint64_t tag, const void *p, size_t n)
{
	struct rd r;

	rd_init(&r, p, n);
	pthread_mutex_lock(&wait_state.lock);
	if (tag > wait_state.answered) {
		wait_state.answered = tag;
		wait_state.error = rd_u16(&r);
	}
	pthread_cond_broadcast(&wait_state.changed);
	pthread_mutex_unlock(&wait_state.lock);
}

int anchor_write(struct keyd *k, bool wait, struct err *e)
{
	uint8_t out[ANCHOR_LEN];
	struct timespec until;
	uint64_t tag;
	struct buf b;
	bool held;

	if (!k->cfg.has_anchor)
		return 0;
	buf_fixed(&b, out, sizeof(out));
	buf_u8(&b, ANCHOR_VERSION);
	buf_put(&b, k->domain_id, sizeof(k->domain_id));
	buf_u64(&b, k->root.epoch);
	buf_put(&b, k->root_tag, sizeof(k->root_tag));
	buf_u64(&b, k->root.audit_seq);
	mac(k, buf_space(&b, 32), out, ANCHOR_BODY);
	pthread_mutex_lock(&wait_state.lock);
	tag = ++wait_state.asked;
	pthread_mutex_unlock(&wait_state.lock);
	keyd_tell(k, W_ANCHOR, tag, b.p, b.len);
	if (!wait)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ANCHOR_WAIT_MS / 1000;
	pthread_mutex_lock(&wait_state.lock);
	while (wait_state.answered < tag &&
	       pthread_cond_clockwait(&wait_state.changed, &wait_state.lock, CLOCK_MONOTONIC,
				      &until) == 0)
		;
	held = wait_state.answered >= tag && wait_state.error == 0;
	pthread_mutex_unlock(&wait_state.lock);
	if (k->anchor_held && !held)
		log_warn("anchor cannot be written: a roll-back would not be seen");
	state_write_begin(k);
	k->anchor_held = held;
	if (held)
		k->anchor_epoch = k->root.epoch;
	state_write_end(k);
	return held ? 0 : err_set(e, ERR_IO, "anchor cannot be written");
}

int anchor_load(struct keyd *k, const uint8_t domain_id[static 16], struct err *e)
{
	uint8_t want[32];
	struct rd r;

	if (!k->cfg.has_anchor || k->cfg.anchor_len == 0)
		return 0;
	if (k->cfg.anchor_len != ANCHOR_BODY + 32 || k->cfg.anchor[0] != ANCHOR_VERSION)
		return err_set(e, ERR_ROLLED_BACK,
			       "the anchor file has the wrong form: restore it, or remove it to "
			       "trust the store as it is");
	mac(k, want, k->cfg.anchor, ANCHOR_BODY);
	if (!secret_equal(want, k->cfg.anchor + ANCHOR_BODY, 32))
		return err_set(e, ERR_ROLLED_BACK, "the anchor file is not of this device key");
	rd_init(&r, k->cfg.anchor + 1, ANCHOR_BODY - 1);
	const uint8_t *domain = rd_bytes(&r, 16);

	if (memcmp(domain, domain_id, 16) != 0)
		return err_set(e, ERR_ROLLED_BACK,
			       "the anchor file is of another domain: give this store its own, "
			       "or remove the file to trust the store as it is");
	k->anchor_epoch = rd_u64(&r);
	rd_copy(&r, k->anchor_tag, sizeof(k->anchor_tag));
	k->anchor_audit = rd_u64(&r);
	return 0;
}
