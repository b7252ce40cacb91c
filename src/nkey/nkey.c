#include "nkey/nkey.h"

#include <string.h>

#include "base/enc.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "crypto/x25519.h"

#define PREFIX_SEED (18 << 3)	 /* S */
#define PREFIX_PRIVATE (15 << 3) /* P */
#define PUB_RAW 35		 /* prefix, key, CRC */
#define SEED_RAW 36		 /* two prefix bytes, seed, CRC */

static const struct {
	enum nkey_kind kind;
	const char *name;
} kinds[] = {
	{NKEY_USER, "user"},	 {NKEY_ACCOUNT, "account"}, {NKEY_OPERATOR, "operator"},
	{NKEY_SERVER, "server"}, {NKEY_CLUSTER, "cluster"}, {NKEY_CURVE, "curve"},
	{NKEY_CURVE, "x25519"},
};

#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool known_kind(unsigned prefix)
{
	for (size_t i = 0; i < NKINDS; i++)
		if (kinds[i].kind == prefix)
			return true;
	return false;
}

const char *nkey_kind_name(enum nkey_kind kind)
{
	for (size_t i = 0; i < NKINDS; i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return "unknown";
}

int nkey_kind_parse(enum nkey_kind *kind, const char *name)
{
	for (size_t i = 0; i < NKINDS; i++)
		if (strcmp(kinds[i].name, name) == 0) {
			*kind = kinds[i].kind;
			return 0;
		}
	return -1;
}

void nkey_encode(char out[static NKEY_PUB_LEN], enum nkey_kind kind, const uint8_t pub[static 32])
{
	uint8_t raw[PUB_RAW];
	uint16_t crc;

	raw[0] = (uint8_t)kind;
	memcpy(raw + 1, pub, 32);
	crc = enc_crc16(raw, 33);
	raw[33] = (uint8_t)crc;
	raw[34] = (uint8_t)(crc >> 8);
	enc_base32(out, raw, sizeof(raw));
}

/* Base32 and CRC of any NKey text into raw; its length, or -1. */
static int decode_raw(uint8_t *raw, size_t cap, const char *text, size_t len)
{
	size_t n;

	if (enc_unbase32(raw, cap, &n, text, len) || n < 4)
		return -1;
	uint16_t crc = enc_crc16(raw, n - 2);

	if (raw[n - 2] != (uint8_t)crc || raw[n - 1] != (uint8_t)(crc >> 8))
		return -1;
	return (int)n;
}

int nkey_decode(uint8_t pub[static 32], enum nkey_kind *kind, const char *text, struct err *e)
{
	size_t len = strnlen(text, 256);
	uint8_t raw[72] = {0};
	int n = decode_raw(raw, sizeof(raw), text, len);
	int r = 0;

	if (n == SEED_RAW && (raw[0] & 0xf8) == PREFIX_SEED)
		r = err_set(e, ERR_WRONG_NKEY, "this is a seed (secret): a public key is needed");
	else if (n >= PUB_RAW && raw[0] == PREFIX_PRIVATE)
		r = err_set(e, ERR_WRONG_NKEY, "this is a private key: a public key is needed");
	else if (n < 0 && len == NKEY_PUB_LEN - 1)
		r = err_set(e, ERR_BAD_NKEY, "not an NKey: bad character or checksum (mistyped?)");
	else if (n != PUB_RAW || !known_kind(raw[0]))
		r = err_set(e, ERR_BAD_NKEY,
			    "not an NKey: 56 characters that start with U, A, O, N, C or X");
	if (r == 0) {
		memcpy(pub, raw + 1, 32);
		if (kind)
			*kind = raw[0];
	}
	secret_wipe(raw, sizeof(raw));
	return r;
}

int nkey_decode_kind(uint8_t pub[static 32], enum nkey_kind kind, const char *text, struct err *e)
{
	enum nkey_kind got;

	if (nkey_decode(pub, &got, text, e))
		return -1;
	if (got != kind)
		return err_set(e, ERR_WRONG_NKEY,
			       "this is a key of kind %s: one of kind %s is needed",
			       nkey_kind_name(got), nkey_kind_name(kind));
	return 0;
}

void nkey_seed_encode(char out[static NKEY_SEED_LEN], enum nkey_kind kind,
		      const uint8_t seed[static 32])
{
	uint8_t raw[SEED_RAW];
	uint16_t crc;

	raw[0] = (uint8_t)(PREFIX_SEED | kind >> 5);
	raw[1] = (uint8_t)((kind & 31) << 3);
	memcpy(raw + 2, seed, 32);
	crc = enc_crc16(raw, 34);
	raw[34] = (uint8_t)crc;
	raw[35] = (uint8_t)(crc >> 8);
	enc_base32(out, raw, sizeof(raw));
	secret_wipe(raw, sizeof(raw));
}

int nkey_seed_decode(uint8_t seed[static 32], enum nkey_kind *kind, const char *text, size_t len,
		     struct err *e)
{
	uint8_t raw[72] = {0};
	int n = decode_raw(raw, sizeof(raw), text, len);
	unsigned prefix = (raw[0] & 7u) << 5 | raw[1] >> 3;
	int r = 0;

	if (n < 0)
		r = err_set(e, ERR_BAD_NKEY, "not an NKey seed: bad character or checksum");
	else if (n == PUB_RAW && known_kind(raw[0]))
		r = err_set(e, ERR_WRONG_NKEY, "this is a public key: a seed (S…) is needed");
	else if (n != SEED_RAW || (raw[0] & 0xf8) != PREFIX_SEED || (raw[1] & 7) ||
		 !known_kind(prefix))
		r = err_set(e, ERR_BAD_NKEY, "not an NKey seed (S…)");
	if (r == 0) {
		memcpy(seed, raw + 2, 32);
		*kind = prefix;
	}
	secret_wipe(raw, sizeof(raw));
	return r;
}

void nkey_clear(struct nkey *k)
{
	secret_free(k->secret);
	memset(k, 0, sizeof(*k));
}

int nkey_from_raw(struct nkey *k, enum nkey_kind kind, const uint8_t seed[static 32], struct err *e)
{
	uint8_t *secret = secret_alloc(kind == NKEY_CURVE ? 32 : ED25519_SK_LEN);

	if (!secret)
		return err_set(e, ERR_NOMEM, "no locked memory for a seed");
	nkey_clear(k);
	k->kind = kind;
	k->secret = secret;
	if (kind == NKEY_CURVE) {
		memcpy(secret, seed, 32);
		x25519_public(k->pub, secret);
	} else {
		ed25519_keypair(k->pub, secret, seed);
	}
	return 0;
}

int nkey_generate(struct nkey *k, enum nkey_kind kind, struct err *e)
{
	uint8_t seed[32];

	crypto_random(seed, sizeof(seed));
	int r = nkey_from_raw(k, kind, seed, e);

	secret_wipe(seed, sizeof(seed));
	return r;
}

int nkey_from_text(struct nkey *k, const char *name, const char *text, size_t len, struct err *e)
{
	const char *end = text + len;

	for (const char *p = text; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);
		enum nkey_kind kind;
		uint8_t seed[32];

		while (n && (p[n - 1] == '\r' || p[n - 1] == ' ' || p[n - 1] == '\t'))
			n--;
		if (nkey_seed_decode(seed, &kind, p, n, NULL) == 0) {
			int r = nkey_from_raw(k, kind, seed, e);

			secret_wipe(seed, sizeof(seed));
			return r;
		}
		if (!nl)
			break;
		p = nl + 1;
	}
	return err_set(e, ERR_BAD_NKEY, "%s has no NKey seed in it (a line of 58 characters, S…)",
		       name);
}

int nkey_read_file(struct nkey *k, const char *path, struct err *e)
{
	struct secret s = {0};

	if (secret_read_file(&s, path, NKEY_FILE_MAX, e))
		return -1;
	int r = nkey_from_text(k, path, (const char *)s.p, s.len, e);

	secret_clear(&s);
	return r;
}

int nkey_read_kind(struct nkey *k, enum nkey_kind kind, const char *path, struct err *e)
{
	if (nkey_read_file(k, path, e))
		return -1;
	if (k->kind == kind)
		return 0;
	err_set(e, ERR_WRONG_NKEY, "%s holds a seed of kind %s: one of kind %s is needed", path,
		nkey_kind_name(k->kind), nkey_kind_name(kind));
	nkey_clear(k);
	return -1;
}

void nkey_seed_text(const struct nkey *k, char out[static NKEY_SEED_LEN])
{
	nkey_seed_encode(out, k->kind, k->secret);
}

int nkey_sign(const struct nkey *k, uint8_t sig[static 64], const void *m, size_t n, struct err *e)
{
	if (k->kind == NKEY_CURVE)
		return err_set(e, ERR_WRONG_NKEY, "a curve key (X…) cannot sign");
	ed25519_sign(sig, m, n, k->secret);
	return 0;
}

int nkey_verify(const uint8_t pub[static 32], const uint8_t sig[static 64], const void *m, size_t n,
		struct err *e)
{
	if (ed25519_verify(sig, m, n, pub, NULL))
		return err_set(e, ERR_NOT_VERIFIED, NULL);
	return 0;
}

void nkey_x25519_secret(const struct nkey *k, uint8_t out[static 32])
{
	if (k->kind == NKEY_CURVE)
		memcpy(out, k->secret, 32);
	else
		ed25519_to_x25519_secret(out, k->secret);
}

int nkey_x25519_public(enum nkey_kind kind, const uint8_t pub[static 32], uint8_t out[static 32],
		       struct err *e)
{
	if (kind == NKEY_CURVE)
		memcpy(out, pub, 32);
	else if (ed25519_to_x25519_public(out, pub))
		return err_set(e, ERR_BAD_NKEY, "this public key is not a valid point");
	return 0;
}
