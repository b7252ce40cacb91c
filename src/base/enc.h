/* Text encodings and the checksum of NKeys. Encoders write a NUL; decoders are
 * strict: no white space, no missing or extra characters. */
#ifndef BASE_ENC_H
#define BASE_ENC_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Characters needed for n bytes, with the NUL. */
#define ENC_HEX_LEN(n) ((n) * 2 + 1)
#define ENC_BASE32_LEN(n) (((n) * 8 + 4) / 5 + 1)
#define ENC_BASE64_LEN(n) (((n) + 2) / 3 * 4 + 1)

/* Lower-case hex. out has ENC_HEX_LEN(n) bytes. */
void enc_hex(char *out, const void *p, size_t n);
/* Exactly n bytes from 2n hex digits of either case; -1 otherwise. */
int enc_unhex(uint8_t *out, size_t n, const char *s);

/* "%40" and the like become bytes, in place; -1 for a '%' without two digits and for %00. */
int enc_unpercent(char *s);

/* RFC 4648 base32 without padding. out has ENC_BASE32_LEN(n) bytes. */
void enc_base32(char *out, const void *p, size_t n);
/* Decodes len characters; unused low bits must be zero. 0 with *n set, or -1. */
int enc_unbase32(uint8_t *out, size_t cap, size_t *n, const char *s, size_t len);

enum enc_base64 { ENC_STD, ENC_URL }; /* RFC 4648 padded; URL alphabet unpadded */
void enc_base64(char *out, const void *p, size_t n, enum enc_base64 kind);
int enc_unbase64(uint8_t *out, size_t cap, size_t *n, const char *s, size_t len,
		 enum enc_base64 kind);

/* CRC-16/XMODEM: polynomial 0x1021, start 0 (nkeys/crc16.go). */
uint16_t enc_crc16(const uint8_t *p, size_t n);

#endif
