/* state, provision, unlock, lock, accept-rollback, configuration, audit. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "hsm/keyd/audit.h"
#include "hsm/keyd/boot.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/commit.h"
#include "hsm/keyd/limit.h"
#include "hsm/keyd/sessions.h"

int lane_state(struct call *c, struct buf *out, struct err *e)
{
	struct keyd *k = c->k;
	struct state_info s = {
		.version = {(const uint8_t *)SIGNBOX_VERSION, strlen(SIGNBOX_VERSION)},
		.uptime = (keyd_ticks() - k->started) / 1000,
		.sessions = sessions_count(k),
		.users = (uint32_t)k->objects.users,
		.keys = (uint32_t)k->objects.keys,
		.anchors = k->cfg.has_anchor,
		.anchors_held = k->anchor_held,
		.anchor_epoch = k->anchor_epoch,
		.unattended = k->root.unattended,
		.audit_seq = k->root.audit_seq,
	};

	if (call_no_body(c, e))
		return -1;
	keyd_hello(k, &s.hello);
	state_info_put(out, &s);
	return 0;
}

int lane_close(struct call *c, struct buf *out, struct err *e)
{
	(void)out;
	if (call_no_body(c, e))
		return -1;
	sessions_close(c->k, c->session);
	return 0;
}

/* ---- passphrases ---- */

static int passphrase(const struct call *c, struct bytes *pass, struct err *e)
{
	struct rd r;

	rd_init(&r, c->q.body.p, c->q.body.len);
	*pass = rd_str16(&r);
	if (!rd_end(&r))
		return err_set(e, ERR_BAD_REQUEST, "malformed body");
	if (pass->len < PASSPHRASE_MIN || pass->len > PASSPHRASE_MAX)
		return err_set(e, ERR_BAD_LENGTH, "a passphrase has %d to %d bytes", PASSPHRASE_MIN,
			       PASSPHRASE_MAX);
	return 0;
}

int slow_new_passphrase(struct job *j, struct err *e)
{
	struct bytes pass;

	if (passphrase(&j->c, &pass, e))
		return -1;
	crypto_random(j->salt, sizeof(j->salt));
	return vault_pass_key(j->pass_key, j->c.k->device_key, j->salt, pass.p, pass.len, e);
}

/* Derives and tries: here, so that the commit thread never waits for Argon2id. The
 * slots change only under all reading locks, so holding one is enough to look. */
int slow_passphrase(struct job *j, struct err *e)
{
	struct keyd *k = j->c.k;
	struct lane *l = &k->lane[0];
	struct bytes pass;
	uint8_t salt[VAULT_SALT];
	int rc;

	if (passphrase(&j->c, &pass, e) || limit_begin(k, j->c.nkey, e))
		return -1;
	state_read_begin(k, l);
	rc = slot_salt(k, salt, e);
	state_read_end(l);
	if (rc == 0)
		rc = vault_pass_key(j->pass_key, k->device_key, salt, pass.p, pass.len, e);
	if (rc == 0) {
		state_read_begin(k, l);
		rc = slot_open_pass(k, j->pass_key, j->domain, e);
		state_read_end(l);
	}
	limit_end(k, j->c.nkey, rc && e->code == ERR_WRONG_PASSPHRASE);
	if (rc)
		log_warn("unlock refused", "user", j->c.name, "error", e->text);
	return rc;
}

/* ---- state changes ---- */

static int add_bootstrap_users(struct keyd *k, struct change *ch, struct err *e)
{
	for (unsigned i = 0; i < k->nbootstrap; i++) {
		struct object *o = calloc(1, sizeof(*o));

		if (!o)
			return err_set(e, ERR_NOMEM, NULL);
		o->kind = BLOB_USER;
		ch->add[ch->nadd++] = o;
		o->name_len = (uint8_t)strlen(k->bootstrap[i].name);
		memcpy(o->name, k->bootstrap[i].name, o->name_len);
		memcpy(o->user.nkey, k->bootstrap[i].nkey, 32);
		if (ed25519_to_x25519_public(o->user.xkey, o->user.nkey))
			return err_set(e, ERR_CONFIG,
				       "bootstrap administrator %s has no valid NKey",
				       k->bootstrap[i].name);
		o->user.role = ROLE_ADMIN;
		o->user.created = keyd_now();
	}
	return 0;
}

int commit_provision(struct job *j, struct buf *out, struct err *e)
{
	struct keyd *k = j->c.k;
	CLEAN(buf) struct buf boot = {0}, slot = {0};
	struct change ch = {.boot = &boot, .slot_pass = &slot};
	uint8_t domain[32];
	int rc;

	buf_init(&boot, 1u << 14);
	buf_init(&slot, 4096);
	crypto_random(domain, sizeof(domain));
	slot_seal(&slot, BLOB_SLOT_PASS, j->pass_key, j->salt, domain);
	rc = vault_open(&k->vault, domain, e);
	secret_wipe(domain, sizeof(domain));
	if (rc)
		return -1;
	memset(&k->root, 0, sizeof(k->root));
	k->provisioned = true;
	boot_seal(k, &boot);
	rc = add_bootstrap_users(k, &ch, e);
	if (rc == 0)
		rc = commit_change(k, &ch, j, out, e);
	else
		change_drop(&ch);
	if (rc) {
		k->provisioned = false;
		vault_close(&k->vault);
		return -1;
	}
	state_write_begin(k);
	k->state = STATE_OPERATIONAL;
	state_write_end(k);
	keyd_announce(k);
	log_info("provisioned", "by", j->c.name);
	return 0;
}

static int unlock(struct job *j, bool accept, struct err *e)
{
	struct keyd *k = j->c.k;

	if (boot_unlock(k, j->domain, accept, j, e)) {
		log_error("cannot unlock", "error", e->text);
		if (e->code != ERR_UNAVAILABLE)
			keyd_problem(k, e->code);
		keyd_announce(k);
		return -1;
	}
	keyd_tell(k, W_UNLOCKED, 0, NULL, 0);
	keyd_announce(k);
	return 0;
}

int commit_unlock(struct job *j, struct buf *out, struct err *e)
{
	(void)out;
	return unlock(j, false, e);
}

int commit_accept_rollback(struct job *j, struct buf *out, struct err *e)
{
	(void)out;
	if (unlock(j, true, e))
		return -1;
	log_warn("a roll-back of the whole store was accepted", "by", j->c.name, "epoch",
		 LOG_NUM(j->c.k->root.epoch));
	return 0;
}

int commit_lock(struct job *j, struct buf *out, struct err *e)
{
	struct keyd *k = j->c.k;
	struct response s = {.state = STATE_LOCKED};
	struct change none = {0};

	if (call_no_body(&j->c, e))
		return -1;
	/* First: whatever store, anchor and front do from here on, nothing is signed any
	 * more, hsmd ends this process soon, and no stored secret opens the next. */
	audit_close(k);
	keyd_tell(k, W_LOCKED, 0, NULL, 0);
	if (commit_change(k, &none, j, out, e))
		log_error("locked, but the store does not take the entry", "error", e->text);
	audit_finish(k);
	s.epoch = k->root.epoch;
	reply_job(k, &j->to, &s);
	log_info("locked", "by", j->c.name);
	/* Keys leave with the process: nothing to wipe by hand, nothing forgotten. */
	_exit(0);
}

int lane_config_get(struct call *c, struct buf *out, struct err *e)
{
	if (call_no_body(c, e))
		return -1;
	buf_u8(out, c->k->root.unattended);
	return 0;
}

int commit_config_set(struct job *j, struct buf *out, struct err *e)
{
	struct keyd *k = j->c.k;
	CLEAN(buf) struct buf slot = {0};
	struct change ch = {0};
	uint8_t key[32], salt[VAULT_SALT] = {0};

	buf_init(&slot, 4096);
	if (j->c.q.body.len != 1 || j->c.q.body.p[0] > 1)
		return err_set(e, ERR_BAD_REQUEST, "the body is one byte, 0 or 1");
	if (j->c.q.body.p[0]) {
		slot_auto_key(k, key);
		slot_seal(&slot, BLOB_SLOT_AUTO, key, salt, vault_domain(&k->vault));
		secret_wipe(key, sizeof(key));
		ch.slot_auto = &slot;
		ch.unattended = 1;
	} else {
		ch.drop_auto = true;
		ch.unattended = -1;
	}
	return commit_change(k, &ch, j, out, e);
}

/* ---- audit ---- */

int lane_audit_head(struct call *c, struct buf *out, struct err *e)
{
	struct keyd *k = c->k;
	struct audit_head h = {.seq = k->root.audit_seq,
			       .time = keyd_now(),
			       .epoch = k->root.epoch,
			       .base_seq = k->root.base_seq};
	uint8_t tmp[256];
	struct buf b;

	if (call_no_body(c, e))
		return -1;
	memcpy(h.hash, k->root.audit_hash, 32);
	memcpy(h.base_hash, k->root.base_hash, 32);
	memcpy(h.audit_key, k->vault.audit_pub, 32);
	buf_fixed(&b, tmp, sizeof(tmp));
	audit_head_signed(&b, &h);
	vault_audit_sign(&k->vault, h.sig, b.p, b.len);
	audit_head_put(out, &h);
	return 0;
}

int commit_audit_read(struct job *j, struct buf *out, struct err *e)
{
	struct rd r;
	uint64_t first;
	uint32_t max;

	rd_init(&r, j->c.q.body.p, j->c.q.body.len);
	first = rd_u64(&r);
	max = rd_u32(&r);
	if (!rd_end(&r))
		return err_set(e, ERR_BAD_REQUEST, "malformed body");
	return audit_read(j->c.k, first, max, out, e);
}
