#include "crypto/spki.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/enc.h"

enum { DER_INTEGER = 0x02, DER_BITS = 0x03, DER_SEQUENCE = 0x30 };

/* AlgorithmIdentifiers, complete. */
static const uint8_t alg_ed25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
static const uint8_t alg_p256[] = {0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
				   0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t alg_rsa[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
				  0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};

#define PEM_BYTES 48 /* of DER in a line of 64 characters */

/* Bytes of a tag and a length. */
static size_t head_len(size_t n)
{
	if (n < 0x80)
		return 2;
	return n < 0x100 ? 3 : 4;
}

/* Lengths here stay under 64 KiB: an RSA modulus comes from a str16. */
static void head(struct buf *out, uint8_t tag, size_t n)
{
	buf_u8(out, tag);
	if (n >= 0x100) {
		buf_u8(out, 0x82);
		buf_u8(out, (uint8_t)(n >> 8));
	} else if (n >= 0x80) {
		buf_u8(out, 0x81);
	}
	buf_u8(out, (uint8_t)n);
}

static struct bytes strip(struct bytes b)
{
	while (b.len && b.p[0] == 0) {
		b.p++;
		b.len--;
	}
	return b;
}

/* Content bytes of an INTEGER: never empty, a zero before a high first bit. */
static size_t integer_len(struct bytes v)
{
	if (!v.len)
		return 1;
	return v.len + (v.p[0] >> 7);
}

static size_t integer_total(struct bytes v)
{
	size_t n = integer_len(v);

	return head_len(n) + n;
}

static void integer(struct buf *out, struct bytes v)
{
	head(out, DER_INTEGER, integer_len(v));
	if (!v.len || v.p[0] & 0x80)
		buf_u8(out, 0);
	buf_put(out, v.p, v.len);
}

/* SEQUENCE { algorithm, BIT STRING } up to the key bits themselves. */
static void envelope(struct buf *out, const uint8_t *alg, size_t alglen, size_t bits)
{
	head(out, DER_SEQUENCE, alglen + head_len(bits + 1) + bits + 1);
	buf_put(out, alg, alglen);
	head(out, DER_BITS, bits + 1);
	buf_u8(out, 0); /* no unused bits */
}

static int put_rsa(struct buf *out, const uint8_t *pub, size_t n, struct err *e)
{
	struct bytes mod, exp;
	struct rd r;
	size_t body;

	rd_init(&r, pub, n);
	mod = strip(rd_str16(&r));
	exp = strip(rd_str16(&r));
	/* 16384 bits: far over what the HSM takes, far under the two length bytes. */
	if (!rd_end(&r) || !mod.len || !exp.len || mod.len > 2048 || exp.len > mod.len)
		return err_set(e, ERR_BAD_KEY, "malformed RSA public key");
	body = integer_total(mod) + integer_total(exp);
	envelope(out, alg_rsa, sizeof(alg_rsa), head_len(body) + body);
	head(out, DER_SEQUENCE, body);
	integer(out, mod);
	integer(out, exp);
	return 0;
}

int spki_der(struct buf *out, unsigned type, const uint8_t *pub, size_t n, struct err *e)
{
	switch (type) {
	case SPKI_ED25519:
		if (n != 32)
			return err_set(e, ERR_BAD_KEY, "an Ed25519 public key has 32 bytes");
		envelope(out, alg_ed25519, sizeof(alg_ed25519), n);
		buf_put(out, pub, n);
		break;
	case SPKI_P256:
		if (n != 65 || pub[0] != 4)
			return err_set(e, ERR_BAD_KEY, "a P-256 public key has 65 bytes (04 x y)");
		envelope(out, alg_p256, sizeof(alg_p256), n);
		buf_put(out, pub, n);
		break;
	case SPKI_RSA:
		if (put_rsa(out, pub, n, e))
			return -1;
		break;
	default:
		return err_set(e, ERR_BAD_TYPE, "key type %u is not known", type);
	}
	return out->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

int spki_pem(struct buf *out, unsigned type, const uint8_t *pub, size_t n, struct err *e)
{
	static const char begin[] = "-----BEGIN PUBLIC KEY-----\n";
	static const char end[] = "-----END PUBLIC KEY-----\n";
	char line[ENC_BASE64_LEN(PEM_BYTES)];
	CLEAN(buf) struct buf der = {0};

	buf_init(&der, 8192);
	if (spki_der(&der, type, pub, n, e))
		return -1;
	buf_put(out, begin, sizeof(begin) - 1);
	for (size_t at = 0; at < der.len; at += PEM_BYTES) {
		size_t left = der.len - at;

		enc_base64(line, der.p + at, left < PEM_BYTES ? left : PEM_BYTES, ENC_STD);
		buf_put(out, line, strlen(line));
		buf_u8(out, '\n');
	}
	buf_put(out, end, sizeof(end) - 1);
	return out->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

void spki_ecdsa_der(struct buf *out, const uint8_t raw[static SPKI_ECDSA_RAW])
{
	struct bytes r = strip((struct bytes){raw, 32});
	struct bytes s = strip((struct bytes){raw + 32, 32});

	head(out, DER_SEQUENCE, integer_total(r) + integer_total(s));
	integer(out, r);
	integer(out, s);
}

/* Reads one INTEGER in 1..2^256-1, minimally encoded, into 32 bytes. */
static int read_integer(struct rd *rd, uint8_t out[static 32])
{
	uint8_t tag = rd_u8(rd);
	size_t n = rd_u8(rd);
	const uint8_t *p = n && n <= 33 ? rd_bytes(rd, n) : NULL;

	if (tag != DER_INTEGER || !p || p[0] & 0x80)
		return -1;
	if (p[0] == 0) {
		/* A zero stands only before a high bit; that refuses the value 0 too. */
		if (n < 2 || !(p[1] & 0x80))
			return -1;
		p++;
		n--;
	}
	if (n > 32)
		return -1;
	memset(out, 0, 32 - n);
	memcpy(out + 32 - n, p, n);
	return 0;
}

int spki_ecdsa_raw(uint8_t raw[static SPKI_ECDSA_RAW], const uint8_t *der, size_t n, struct err *e)
{
	struct rd r;
	uint8_t tag;
	size_t len;

	rd_init(&r, der, n);
	tag = rd_u8(&r);
	len = rd_u8(&r); /* at most 70: always one length byte */
	if (tag != DER_SEQUENCE || len != r.left || read_integer(&r, raw) ||
	    read_integer(&r, raw + 32) || !rd_end(&r))
		return err_set(e, ERR_BAD_SIGNATURE_FORM, "not an ECDSA signature in DER");
	return 0;
}
