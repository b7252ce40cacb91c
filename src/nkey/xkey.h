/* Sealing with curve NKeys (nats-io/nkeys, xkeys.go): "xkv1", a random nonce of 24
 * bytes, crypto_box of libsodium (X25519, XSalsa20-Poly1305). */
#ifndef NKEY_XKEY_H
#define NKEY_XKEY_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "nkey/nkey.h"

#define XKEY_OVERHEAD 44 /* bytes that sealing adds: 4 + 24 + 16 */

/* Appends the sealed form of n bytes, from the pair k for the raw curve key to. Errors:
 * WRONG_NKEY (k is no curve key), BAD_NKEY (to is no key), TOO_LARGE or NOMEM. */
int xkey_seal(struct buf *out, const struct nkey *k, const uint8_t to[static 32], const void *m,
	      size_t n, struct err *e);
/* Appends what was sealed from the raw curve key from for the pair k; nothing on error.
 * Errors: WRONG_NKEY, BAD_INPUT (not sealed data), NOT_VERIFIED (other keys or changed),
 * TOO_LARGE or NOMEM. */
int xkey_open(struct buf *out, const struct nkey *k, const uint8_t from[static 32], const void *c,
	      size_t n, struct err *e);

#endif
