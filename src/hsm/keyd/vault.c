#include "hsm/keyd/vault.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "crypto/kdf.h"

/* RFC 9106's choice for little memory (64 MiB, 3 passes), one pass more because
 * libsodium has one lane only. The device key is needed besides the passphrase. */
#define PASS_PASSES 4
#define PASS_MEMORY (64u << 20)

enum { AT_SEAL = 0, AT_NAME = 32, AT_MSET = 64, AT_DOMAIN = 96, AT_AUDIT = 128 };

static void subkey(uint8_t out[static 32], const uint8_t key[static 32], const char *purpose)
{
	kdf_blake2b(out, 32, key, 32, purpose, strlen(purpose));
}

void vault_device_key(uint8_t out[static 32], const uint8_t device[static 32], const char *purpose)
{
	subkey(out, device, purpose);
}

int vault_pass_key(uint8_t out[static 32], const uint8_t device[static 32],
		   const uint8_t salt[static VAULT_SALT], const void *pass, size_t n, struct err *e)
{
	uint8_t hard[32], slot[32];

	if (kdf_argon2id(hard, sizeof(hard), pass, n, salt, PASS_PASSES, PASS_MEMORY))
		return err_set(e, ERR_NOMEM, "not enough memory for Argon2id (%u MiB)",
			       PASS_MEMORY >> 20);
	subkey(slot, device, "signbox slot passphrase");
	kdf_blake2b(out, 32, slot, sizeof(slot), hard, sizeof(hard));
	secret_wipe(hard, sizeof(hard));
	secret_wipe(slot, sizeof(slot));
	return 0;
}

int vault_open(struct vault *v, const uint8_t domain[static 32], struct err *e)
{
	uint8_t seed[32];

	vault_close(v);
	v->keys = secret_alloc(VAULT_KEYS);
	if (!v->keys)
		return err_set(e, ERR_NOMEM, "no locked memory for the vault");
	memcpy(v->keys + AT_DOMAIN, domain, 32);
	subkey(v->keys + AT_SEAL, domain, "signbox seal");
	subkey(v->keys + AT_NAME, domain, "signbox name");
	subkey(v->keys + AT_MSET, domain, "signbox multiset");
	subkey(seed, domain, "signbox audit key");
	ed25519_keypair(v->audit_pub, v->keys + AT_AUDIT, seed);
	secret_wipe(seed, sizeof(seed));
	return 0;
}

void vault_close(struct vault *v)
{
	secret_free(v->keys);
	v->keys = NULL;
}

const uint8_t *vault_seal_key(const struct vault *v)
{
	return v->keys + AT_SEAL;
}

const uint8_t *vault_domain(const struct vault *v)
{
	return v->keys + AT_DOMAIN;
}

struct aad {
	char label[12];
	uint8_t suite, kind, version[8], id[VAULT_ID];
};
_Static_assert(sizeof(struct aad) == 12 + 2 + 8 + VAULT_ID, "bytes only, no padding");

static void aad_of(struct aad *a, uint8_t kind, uint64_t version, const uint8_t id[VAULT_ID])
{
	memcpy(a->label, "signbox blob", sizeof(a->label));
	a->suite = VAULT_SUITE;
	a->kind = kind;
	le64_store(a->version, version);
	memcpy(a->id, id, VAULT_ID);
}

void vault_seal(struct buf *out, const uint8_t key[static 32], enum blob_kind kind,
		const uint8_t id[static VAULT_ID], uint64_t version, const void *plain, size_t n)
{
	struct aad a;
	uint8_t *h = buf_space(out, VAULT_OVERHEAD + n);

	if (!h)
		return;
	h[0] = VAULT_SUITE;
	h[1] = (uint8_t)kind;
	le64_store(h + 2, version);
	crypto_random(h + 10, 24);
	aad_of(&a, (uint8_t)kind, version, id);
	aead_xseal(h + VAULT_HEAD, plain, n, &a, sizeof(a), h + 10, key);
}

int vault_unseal(struct buf *plain, const uint8_t key[static 32], enum blob_kind kind,
		 const uint8_t id[static VAULT_ID], uint64_t *version, const void *blob, size_t n,
		 struct err *e)
{
	const uint8_t *h = blob;
	struct aad a;
	uint8_t *to;

	if (n < VAULT_OVERHEAD)
		return err_set(e, ERR_STORE_DAMAGED, "a sealed record is too short");
	if (h[0] != VAULT_SUITE)
		return err_set(e, ERR_STORE_NEWER, "a sealed record has suite %u", h[0]);
	if (h[1] != kind)
		return err_set(e, ERR_STORE_DAMAGED, "a sealed record is of another kind");
	*version = le64_load(h + 2);
	aad_of(&a, h[1], *version, id);
	to = buf_space(plain, n - VAULT_OVERHEAD);
	if (!to && n > VAULT_OVERHEAD)
		return err_set(e, ERR_STORE_DAMAGED, "a sealed record is too large");
	if (aead_xopen(to, h + VAULT_HEAD, n - VAULT_HEAD, &a, sizeof(a), h + 10, key)) {
		plain->len -= n - VAULT_OVERHEAD;
		return err_set(e, ERR_STORE_DAMAGED, "a sealed record was changed");
	}
	return 0;
}

void vault_id(uint8_t out[static VAULT_ID], const struct vault *v, enum blob_kind kind,
	      struct bytes ns, struct bytes name)
{
	uint8_t tmp[2 + 2 * 256];
	struct buf b;

	buf_fixed(&b, tmp, sizeof(tmp));
	buf_u8(&b, (uint8_t)kind);
	buf_str8(&b, ns.p, ns.len);
	buf_put(&b, name.p, name.len);
	kdf_blake2b(out, VAULT_ID, v->keys + AT_NAME, 32, b.p, b.len);
}

void vault_term(uint64_t out[static 4], const struct vault *v, enum blob_kind kind,
		const uint8_t id[static VAULT_ID], uint64_t version, const uint8_t tag[static 16])
{
	uint8_t in[1 + VAULT_ID + 8 + 16], h[32];

	in[0] = (uint8_t)kind;
	memcpy(in + 1, id, VAULT_ID);
	le64_store(in + 1 + VAULT_ID, version);
	memcpy(in + 1 + VAULT_ID + 8, tag, 16);
	kdf_blake2b(h, sizeof(h), v->keys + AT_MSET, 32, in, sizeof(in));
	for (int i = 0; i < 4; i++)
		out[i] = le64_load(h + 8 * i);
}

void mset_add(uint64_t sum[static 4], const uint64_t term[static 4])
{
	unsigned __int128 c = 0;

	for (int i = 0; i < 4; i++) {
		c += (unsigned __int128)sum[i] + term[i];
		sum[i] = (uint64_t)c;
		c >>= 64;
	}
}

void mset_sub(uint64_t sum[static 4], const uint64_t term[static 4])
{
	uint64_t neg[4], one[4] = {1, 0, 0, 0};

	for (int i = 0; i < 4; i++)
		neg[i] = ~term[i];
	mset_add(sum, neg);
	mset_add(sum, one);
}

void vault_audit_sign(const struct vault *v, uint8_t sig[static 64], const void *m, size_t n)
{
	ed25519_sign(sig, m, n, v->keys + AT_AUDIT);
}
