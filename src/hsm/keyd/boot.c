#include "hsm/keyd/boot.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/kdf.h"
#include "crypto/x25519.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/commit.h"
#include "hsm/keyd/load.h"
#include "hsm/keyd/store.h"

#define BOOT_VERSION 1

static const uint8_t boot_id_bytes[VAULT_ID] = "boot";
static const uint8_t slot_id_bytes[VAULT_ID] = "slot";

/* ---- boot record: identity, domain id, bootstrap administrators ---- */

void boot_seal(struct keyd *k, struct buf *blob)
{
	CLEAN(buf) struct buf plain = {0};
	uint8_t key[32];

	buf_init(&plain, 1u << 14);
	plain.secret = true;
	buf_u8(&plain, BOOT_VERSION);
	buf_u8(&plain, k->provisioned);
	buf_put(&plain, k->domain_id, sizeof(k->domain_id));
	buf_put(&plain, k->identity_secret, 32);
	buf_u8(&plain, (uint8_t)k->nbootstrap);
	for (unsigned i = 0; i < k->nbootstrap; i++) {
		buf_put(&plain, k->bootstrap[i].nkey, 32);
		buf_str8(&plain, k->bootstrap[i].name, strlen(k->bootstrap[i].name));
	}
	vault_device_key(key, k->device_key, "signbox boot record");
	vault_seal(blob, key, BLOB_BOOT, boot_id_bytes, 1, plain.p, plain.len);
	secret_wipe(key, sizeof(key));
}

/* What a boot record says; identity_secret is wiped by whoever read it. */
struct boot_record {
	bool provisioned;
	uint8_t domain_id[16], identity_secret[32];
	unsigned nbootstrap;
	struct bootstrap bootstrap[BOOTSTRAP_MAX];
};

static int boot_parse(struct boot_record *b, const struct buf *plain, struct err *e)
{
	struct rd r;

	memset(b, 0, sizeof(*b));
	rd_init(&r, plain->p, plain->len);
	if (rd_u8(&r) != BOOT_VERSION)
		return err_set(e, ERR_STORE_NEWER, "boot record of a newer version");
	b->provisioned = rd_u8(&r);
	rd_copy(&r, b->domain_id, sizeof(b->domain_id));
	rd_copy(&r, b->identity_secret, 32);
	b->nbootstrap = rd_u8(&r);
	for (unsigned i = 0; i < b->nbootstrap && i < BOOTSTRAP_MAX; i++) {
		struct bytes name;

		rd_copy(&r, b->bootstrap[i].nkey, 32);
		name = rd_str8(&r);
		if (name.len <= NAME_MAX_LEN && name.p)
			memcpy(b->bootstrap[i].name, name.p, name.len);
	}
	if (!rd_end(&r) || b->nbootstrap > BOOTSTRAP_MAX)
		return err_set(e, ERR_STORE_DAMAGED, "the boot record has the wrong form");
	return 0;
}

static int boot_read(struct keyd *k, const struct buf *blob, struct boot_record *b, struct err *e)
{
	CLEAN(buf) struct buf plain = {0};
	uint64_t version;
	uint8_t key[32];
	int rc;

	buf_init(&plain, 1u << 14);
	plain.secret = true;
	vault_device_key(key, k->device_key, "signbox boot record");
	rc = vault_unseal(&plain, key, BLOB_BOOT, boot_id_bytes, &version, blob->p, blob->len, e);
	secret_wipe(key, sizeof(key));
	if (rc)
		return e->code == ERR_STORE_NEWER
			       ? -1
			       : err_set(e, ERR_WRONG_DEVICE_KEY,
					 "the boot record does not open: another device key, or "
					 "the store is damaged");
	return boot_parse(b, &plain, e);
}

/* Makes the identity; blob gets the sealed boot record. */
static int first_start(struct keyd *k, struct buf *blob, struct err *e)
{
	struct buf t;
	int rc;

	if (k->has_identity)
		return err_set(e, ERR_ROLLED_BACK, "the store is empty but it was not before");
	/* There is nothing that accept-rollback could accept, and nobody to ask for it. */
	if (k->cfg.anchor_len)
		return err_set(e, ERR_ROLLED_BACK,
			       "the store is empty but it was not before, says the anchor file: "
			       "put the store back, or, to begin anew with another identity and "
			       "no keys, remove the anchor file, and start again");
	if (k->cfg.nbootstrap == 0)
		return err_set(e, ERR_CONFIG,
			       "first start needs bootstrap_admins: nobody could provision");
	crypto_random(k->identity_secret, 32);
	crypto_random(k->domain_id, sizeof(k->domain_id));
	k->nbootstrap = k->cfg.nbootstrap;
	memcpy(k->bootstrap, k->cfg.bootstrap, sizeof(k->bootstrap));
	boot_seal(k, blob);
	txn_init(&t);
	store_txn_put(&t, STORE_BOOT, "boot", 4, blob->p, blob->len);
	rc = store_commit(k->store, &t, e);
	buf_free(&t);
	if (rc)
		return -1;
	log_info("first start: identity made");
	return anchor_write(k, true, e);
}

static int read_blob(struct keyd *k, const char *name, struct buf *blob, struct err *e)
{
	if (store_get(k->store, STORE_BOOT, name, 4, blob, e) && e->code != ERR_NOT_FOUND)
		return -1;
	return 0;
}

static void keep(struct buf *to, const struct buf *from)
{
	buf_reset(to);
	buf_put(to, from->p, from->len);
}

/* Believes a boot record, or leaves everything as it was. */
static int boot_take(struct keyd *k, const struct boot_record *b, const struct buf *boot,
		     const struct buf *pass, const struct buf *au, struct err *e)
{
	if (anchor_load(k, b->domain_id, e))
		return -1;
	if (k->cfg.has_anchor && k->cfg.anchor_len == 0 && b->provisioned)
		log_warn("there is no anchor yet: a roll-back until now is not seen");
	if (b->provisioned && pass->len == 0)
		return err_set(e, ERR_STORE_DAMAGED, "the passphrase slot is missing");
	if (!b->provisioned && pass->len)
		return err_set(e, ERR_ROLLED_BACK, "the boot record is older than the rest");
	if (!b->provisioned && k->anchor_epoch)
		return err_set(e, ERR_ROLLED_BACK,
			       "the store is of before provisioning, says the anchor file: put a "
			       "newer one back, or, to give its keys up, remove the anchor file, "
			       "and start again");
	state_write_begin(k);
	k->provisioned = b->provisioned;
	memcpy(k->domain_id, b->domain_id, sizeof(k->domain_id));
	memcpy(k->identity_secret, b->identity_secret, 32);
	x25519_public(k->identity, k->identity_secret);
	k->nbootstrap = b->nbootstrap;
	memcpy(k->bootstrap, b->bootstrap, sizeof(k->bootstrap));
	keep(&k->boot_blob, boot);
	keep(&k->slot_pass, pass);
	keep(&k->slot_auto, au);
	k->problem = ERR_OK;
	k->has_identity = true;
	k->state = k->provisioned ? STATE_LOCKED : STATE_UNPROVISIONED;
	state_write_end(k);
	return 0;
}

static int load_boot(struct keyd *k, struct err *e)
{
	CLEAN(buf) struct buf boot = {0}, pass = {0}, au = {0};
	const struct keyd_config *c = &k->cfg;
	struct boot_record b;
	int rc;

	buf_init(&boot, 1u << 14);
	buf_init(&pass, 4096);
	buf_init(&au, 4096);
	if (read_blob(k, "boot", &boot, e) || read_blob(k, "pass", &pass, e) ||
	    read_blob(k, "auto", &au, e) || (boot.len == 0 && first_start(k, &boot, e)))
		return -1;
	rc = boot_read(k, &boot, &b, e);
	if (rc == 0)
		rc = boot_take(k, &b, &boot, &pass, &au, e);
	secret_wipe(&b, sizeof(b));
	if (rc)
		return -1;
	if (c->nbootstrap && (c->nbootstrap != k->nbootstrap ||
			      memcmp(c->bootstrap[0].nkey, k->bootstrap[0].nkey, 32) != 0))
		log_info("bootstrap_admins are those of the first start, not of the "
			 "configuration");
	return 0;
}

/* ---- slots ---- */

void slot_seal(struct buf *blob, enum blob_kind kind, const uint8_t slot_key[static 32],
	       const uint8_t salt[static VAULT_SALT], const uint8_t domain[static 32])
{
	/* The salt stands before the blob: it is needed to open it. */
	buf_put(blob, salt, VAULT_SALT);
	vault_seal(blob, slot_key, kind, slot_id_bytes, 1, domain, 32);
}

int slot_salt(struct keyd *k, uint8_t salt[static VAULT_SALT], struct err *e)
{
	if (k->slot_pass.len < VAULT_SALT)
		return err_set(e, ERR_STORE_DAMAGED, "the passphrase slot is missing");
	memcpy(salt, k->slot_pass.p, VAULT_SALT);
	return 0;
}

static int slot_open(const struct buf *blob, enum blob_kind kind, const uint8_t slot_key[static 32],
		     uint8_t domain[static 32], struct err *e)
{
	CLEAN(buf) struct buf plain = {0};
	uint64_t version;

	buf_init(&plain, 64);
	plain.secret = true;
	if (blob->len < VAULT_SALT ||
	    vault_unseal(&plain, slot_key, kind, slot_id_bytes, &version, blob->p + VAULT_SALT,
			 blob->len - VAULT_SALT, e) ||
	    plain.len != 32)
		return -1;
	memcpy(domain, plain.p, 32);
	return 0;
}

int slot_open_pass(struct keyd *k, const uint8_t slot_key[static 32], uint8_t domain[static 32],
		   struct err *e)
{
	if (slot_open(&k->slot_pass, BLOB_SLOT_PASS, slot_key, domain, e))
		return err_set(e, ERR_WRONG_PASSPHRASE, NULL);
	return 0;
}

void slot_auto_key(struct keyd *k, uint8_t key[static 32])
{
	vault_device_key(key, k->device_key, "signbox slot unattended");
}

int slot_open_auto(struct keyd *k, uint8_t domain[static 32], struct err *e)
{
	uint8_t key[32];
	int rc;

	slot_auto_key(k, key);
	rc = slot_open(&k->slot_auto, BLOB_SLOT_AUTO, key, domain, e);
	secret_wipe(key, sizeof(key));
	return rc ? err_set(e, ERR_STORE_DAMAGED, "the unattended slot does not open") : 0;
}

void boot_hash(uint8_t out[static 32], const struct buf *boot, const struct buf *pass,
	       const struct buf *au)
{
	uint8_t all[3 * 32];
	const struct buf *part[3] = {boot, pass, au};

	for (int i = 0; i < 3; i++)
		kdf_blake2b(all + 32 * i, 32, NULL, 0, part[i]->p, part[i]->len);
	kdf_blake2b(out, 32, NULL, 0, all, sizeof(all));
}

/* ---- start ---- */

static void unlock_stored(struct keyd *k, struct job *j)
{
	uint8_t domain[32];
	struct err e = {0};

	/* Each new store asks for this; another may have unlocked in the meantime. */
	if (k->state != STATE_LOCKED) {
		k->unlocking = false;
		return;
	}
	if (slot_open_pass(k, j->pass_key, domain, &e) == 0)
		boot_unlock(k, domain, false, NULL, &e);
	secret_wipe(domain, sizeof(domain));
	if (e.code) {
		log_error("cannot unlock with the stored passphrase", "error", e.text);
		if (e.code != ERR_WRONG_PASSPHRASE)
			keyd_problem(k, e.code);
	}
	/* A store that ended meanwhile is followed by another, which asks again. */
	k->unlocking = e.code == ERR_UNAVAILABLE;
	keyd_announce(k);
}

static void unlock_by_itself(struct keyd *k)
{
	uint8_t domain[32];
	struct err e = {0};

	if (!k->cfg.may_unlock || k->state != STATE_LOCKED)
		return;
	if (k->slot_auto.len) {
		if (slot_open_auto(k, domain, &e) == 0)
			boot_unlock(k, domain, false, NULL, &e);
		secret_wipe(domain, sizeof(domain));
		if (e.code) {
			log_error("unattended boot failed", "error", e.text);
			keyd_problem(k, e.code);
		}
		k->unlocking = e.code == ERR_UNAVAILABLE;
	} else if (k->cfg.passphrase && slot_salt(k, k->boot_salt, &e) == 0) {
		k->unlocking = true;
		jobs_internal_slow(k, unlock_stored);
	}
}

void boot_start(struct keyd *k)
{
	struct err e = {0};

	if (load_boot(k, &e)) {
		log_error("cannot start from this store", "error", e.text);
		keyd_problem(k, e.code);
	} else {
		unlock_by_itself(k);
	}
	keyd_announce(k);
}
