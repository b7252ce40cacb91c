/* Bounded byte buffer for writing, cursor for reading. Integers on the wire are
 * little-endian (as in Noise and WireGuard). Both keep a sticky "bad" flag: a
 * sequence of calls is checked once, at its end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *p;
	size_t len;
	size_t cap;
	size_t max;  /* hard limit in bytes; growing over it sets bad */
	bool bad;    /* a write did not fit or memory ran out */
	bool fixed;  /* p belongs to the caller and is not grown */
	bool secret; /* bytes are wiped before memory is released or moved */
};

/* Empty growing buffer of at most max bytes; no memory is taken yet. */
void buf_init(struct buf *b, size_t max);
/* Buffer over memory of the caller; never grows. */
void buf_fixed(struct buf *b, void *p, size_t cap);
/* Releases (wiping when secret); the buffer is empty and usable again. */
void buf_free(struct buf *b);
/* Forgets the contents (wiping when secret), keeps the memory. */
void buf_reset(struct buf *b);
/* Room for n more bytes: pointer to it, len already advanced; NULL when bad. */
uint8_t *buf_space(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
/* Length-prefixed bytes: one, two or four length bytes. Too long sets bad. */
void buf_str8(struct buf *b, const void *p, size_t n);
void buf_str16(struct buf *b, const void *p, size_t n);
void buf_str32(struct buf *b, const void *p, size_t n);
/* Appends formatted text without a terminating NUL. */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline void cleanup_buf(struct buf *b)
{
	buf_free(b);
}

/* Bytes that belong to somebody else. */
struct bytes {
	const uint8_t *p;
	size_t len;
};

struct rd {
	const uint8_t *p;
	size_t left;
	bool bad; /* a read went past the end; all later reads give zeros */
};

void rd_init(struct rd *r, const void *p, size_t n);
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
/* Next n bytes in place; NULL when there are not that many. */
const uint8_t *rd_bytes(struct rd *r, size_t n);
/* Copies n bytes out (zeros when bad). */
void rd_copy(struct rd *r, void *out, size_t n);
struct bytes rd_str8(struct rd *r);
struct bytes rd_str16(struct rd *r);
struct bytes rd_str32(struct rd *r);
/* True when everything was read, nothing is left and nothing was bad. */
bool rd_end(const struct rd *r);

/* Little-endian loads and stores at any alignment. */
uint16_t le16_load(const uint8_t *p);
uint32_t le32_load(const uint8_t *p);
uint64_t le64_load(const uint8_t *p);
void le16_store(uint8_t *p, uint16_t v);
void le32_store(uint8_t *p, uint32_t v);
void le64_store(uint8_t *p, uint64_t v);

#endif
