#include "nkey/xkey.h"

#include <sodium.h>
#include <string.h>

#include "crypto/crypto.h"

#define MAGIC "xkv1"
#define MAGIC_LEN 4
#define NONCE_LEN 24
#define BOX_MAC 16

_Static_assert(XKEY_OVERHEAD == MAGIC_LEN + NONCE_LEN + BOX_MAC, "size of the sealed form");

static int need_curve(const struct nkey *k, struct err *e)
{
	if (k->kind == NKEY_CURVE)
		return 0;
	return err_set(e, ERR_WRONG_NKEY, "sealing needs a curve key (X…): this one is of kind %s",
		       nkey_kind_name(k->kind));
}

static int no_room(const struct buf *out, struct err *e)
{
	return err_set(e, ERR_TOO_LARGE, "the text is larger than %zu bytes", out->max);
}

int xkey_seal(struct buf *out, const struct nkey *k, const uint8_t to[static 32], const void *m,
	      size_t n, struct err *e)
{
	if (need_curve(k, e))
		return -1;
	size_t start = out->len;
	uint8_t *p = buf_space(out, n + XKEY_OVERHEAD);

	if (!p)
		return no_room(out, e);
	memcpy(p, MAGIC, MAGIC_LEN);
	crypto_random(p + MAGIC_LEN, NONCE_LEN);
	if (crypto_box_easy(p + MAGIC_LEN + NONCE_LEN, m, n, p + MAGIC_LEN, to, k->secret)) {
		out->len = start;
		return err_set(e, ERR_BAD_NKEY, "the recipient's key is not a valid point");
	}
	return 0;
}

int xkey_open(struct buf *out, const struct nkey *k, const uint8_t from[static 32], const void *c,
	      size_t n, struct err *e)
{
	const uint8_t *in = c;

	if (need_curve(k, e))
		return -1;
	if (n < XKEY_OVERHEAD)
		return err_set(e, ERR_BAD_INPUT, "too short to be sealed data");
	if (memcmp(in, MAGIC, MAGIC_LEN) != 0)
		return err_set(e, ERR_BAD_INPUT, "not sealed data (it begins with " MAGIC ")");
	size_t start = out->len;
	/* One byte more: an empty text would get no memory. */
	uint8_t *p = buf_space(out, n - XKEY_OVERHEAD + 1);

	if (!p)
		return no_room(out, e);
	out->len--;
	if (crypto_box_open_easy(p, in + MAGIC_LEN + NONCE_LEN, n - MAGIC_LEN - NONCE_LEN,
				 in + MAGIC_LEN, from, k->secret)) {
		out->len = start;
		return err_set(e, ERR_NOT_VERIFIED,
			       "cannot be opened: sealed for another key, by another, or changed");
	}
	return 0;
}
