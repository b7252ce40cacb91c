#include "base/enc.h"

#include <string.h>

void enc_hex(char *out, const void *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *b = p;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[b[i] >> 4];
		out[2 * i + 1] = digits[b[i] & 15];
	}
	out[2 * n] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int enc_unhex(uint8_t *out, size_t n, const char *s)
{
	if (strnlen(s, 2 * n + 1) != 2 * n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		int hi = hex_digit(s[2 * i]), lo = hex_digit(s[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -1;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

/* Seeds pass through here: no table look-up by secret value. */
static char base32_char(unsigned v)
{
	unsigned letter = (v - 26) >> 31; /* 1 for 0..25 */

	return (char)(letter * ('A' + v) + (1 - letter) * ('2' + v - 26));
}

void enc_base32(char *out, const void *p, size_t n)
{
	const uint8_t *b = p;
	unsigned acc = 0, bits = 0;

	for (size_t i = 0; i < n; i++) {
		acc = acc << 8 | b[i];
		for (bits += 8; bits >= 5; bits -= 5)
			*out++ = base32_char(acc >> (bits - 5) & 31);
		acc &= 0xff;
	}
	if (bits)
		*out++ = base32_char(acc << (5 - bits) & 31);
	*out = '\0';
}

/* 0..31, or a value with high bits set for a character that is none of ours. */
static unsigned base32_value(unsigned c)
{
	/* c < k is the top bit of c - k; c > k that of k - c. */
	unsigned is_letter = ('A' - 1 - c) >> 31 & (c - ('Z' + 1)) >> 31;
	unsigned is_digit = ('2' - 1 - c) >> 31 & (c - ('7' + 1)) >> 31;

	return is_letter * (c - 'A') + is_digit * (c - '2' + 26) +
	       (1 - (is_letter | is_digit)) * 0x100;
}

int enc_unbase32(uint8_t *out, size_t cap, size_t *n, const char *s, size_t len)
{
	unsigned acc = 0, bits = 0, bad = 0;
	size_t o = 0;

	/* 1, 3 and 6 characters over a multiple of 8 encode no whole byte more. */
	if (len % 8 == 1 || len % 8 == 3 || len % 8 == 6 || len * 5 / 8 > cap)
		return -1;
	for (size_t i = 0; i < len; i++) {
		unsigned v = base32_value((unsigned char)s[i]);

		bad |= v & 0x100;
		acc = acc << 5 | (v & 31);
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			out[o++] = (uint8_t)(acc >> bits);
		}
		acc &= 0xff;
	}
	if (bad || (acc & ((1u << bits) - 1)))
		return -1;
	*n = o;
	return 0;
}

uint16_t enc_crc16(const uint8_t *p, size_t n)
{
	unsigned crc = 0;

	for (size_t i = 0; i < n; i++) {
		crc ^= (unsigned)p[i] << 8;
		for (int b = 0; b < 8; b++) {
			crc = crc << 1 ^ (0x1021u & (0u - (crc >> 15 & 1)));
			crc &= 0xffff;
		}
	}
	return (uint16_t)crc;
}

int enc_unpercent(char *s)
{
	char *to = s;

	for (; *s; s++) {
		uint8_t byte = (uint8_t)*s;

		if (*s == '%') {
			if (!s[1] || !s[2] || enc_unhex(&byte, 1, (char[]){s[1], s[2], 0}) || !byte)
				return -1;
			s += 2;
		}
		*to++ = (char)byte;
	}
	*to = '\0';
	return 0;
}
