/* Public keys and ECDSA signatures in the forms that other programs read: DER and
 * PEM of SubjectPublicKeyInfo (RFC 5280; RFC 8410, 5480, 3279), Ecdsa-Sig-Value
 * (RFC 3279). Own small writers: no OpenSSL object, no allocation but the buffer's. */
#ifndef CRYPTO_SPKI_H
#define CRYPTO_SPKI_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Numbers of the key types, as in proto/mode.def. */
enum spki_type { SPKI_ED25519 = 1, SPKI_P256 = 2, SPKI_RSA = 3 };

#define SPKI_ECDSA_RAW 64 /* r || s, 32 bytes each, big-endian */
#define SPKI_ECDSA_DER 72 /* longest DER form */

/* Appends the DER of a raw public key: Ed25519 32 bytes; P-256 04 x y (65); RSA str16
 * modulus, str16 exponent (big-endian). Errors: BAD_TYPE, BAD_KEY, NOMEM. */
int spki_der(struct buf *out, unsigned type, const uint8_t *pub, size_t n, struct err *e);
/* Appends the same as PEM ("BEGIN PUBLIC KEY", 64 columns). */
int spki_pem(struct buf *out, unsigned type, const uint8_t *pub, size_t n, struct err *e);

/* Appends the DER form of a raw ECDSA P-256 signature (at most SPKI_ECDSA_DER bytes). */
void spki_ecdsa_der(struct buf *out, const uint8_t raw[static SPKI_ECDSA_RAW]);
/* Raw form of a DER signature: exactly one minimal encoding with r and s of 1 to 256
 * bits and nothing behind it. Errors: BAD_SIGNATURE_FORM. */
int spki_ecdsa_raw(uint8_t raw[static SPKI_ECDSA_RAW], const uint8_t *der, size_t n, struct err *e);

#endif
