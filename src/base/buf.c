#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint16_t le16_load(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

uint32_t le32_load(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t le64_load(const uint8_t *p)
{
	return (uint64_t)le32_load(p) | (uint64_t)le32_load(p + 4) << 32;
}

void le16_store(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void le32_store(uint8_t *p, uint32_t v)
{
	le16_store(p, (uint16_t)v);
	le16_store(p + 2, (uint16_t)(v >> 16));
}

void le64_store(uint8_t *p, uint64_t v)
{
	le32_store(p, (uint32_t)v);
	le32_store(p + 4, (uint32_t)(v >> 32));
}

void buf_init(struct buf *b, size_t max)
{
	memset(b, 0, sizeof(*b));
	b->max = max;
}

void buf_fixed(struct buf *b, void *p, size_t cap)
{
	memset(b, 0, sizeof(*b));
	b->p = p;
	b->cap = b->max = cap;
	b->fixed = true;
}

void buf_reset(struct buf *b)
{
	if (b->secret && b->p)
		explicit_bzero(b->p, b->len);
	b->len = 0;
	b->bad = false;
}

void buf_free(struct buf *b)
{
	buf_reset(b);
	if (!b->fixed)
		free(b->p);
	if (!b->fixed) {
		b->p = NULL;
		b->cap = 0;
	}
}

static bool grow(struct buf *b, size_t need)
{
	size_t cap = b->cap ? b->cap : 256;
	uint8_t *p;

	while (cap < need)
		cap *= 2;
	if (cap > b->max)
		cap = b->max;
	/* realloc may leave an unwiped copy behind: secrets move by hand. */
	if (!b->secret) {
		p = realloc(b->p, cap);
		if (!p)
			return false;
	} else {
		p = malloc(cap);
		if (!p)
			return false;
		if (b->p) {
			memcpy(p, b->p, b->len);
			explicit_bzero(b->p, b->len);
			free(b->p);
		}
	}
	b->p = p;
	b->cap = cap;
	return true;
}

uint8_t *buf_space(struct buf *b, size_t n)
{
	if (b->bad)
		return NULL;
	if (n > b->max - b->len) {
		b->bad = true;
		return NULL;
	}
	if (n > b->cap - b->len && (b->fixed || !grow(b, b->len + n))) {
		b->bad = true;
		return NULL;
	}
	b->len += n;
	return b->p ? b->p + b->len - n : NULL;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	uint8_t *to = buf_space(b, n);

	if (to)
		memcpy(to, p, n);
}

void buf_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void buf_u16(struct buf *b, uint16_t v)
{
	uint8_t t[2];

	le16_store(t, v);
	buf_put(b, t, sizeof(t));
}

void buf_u32(struct buf *b, uint32_t v)
{
	uint8_t t[4];

	le32_store(t, v);
	buf_put(b, t, sizeof(t));
}

void buf_u64(struct buf *b, uint64_t v)
{
	uint8_t t[8];

	le64_store(t, v);
	buf_put(b, t, sizeof(t));
}

void buf_str8(struct buf *b, const void *p, size_t n)
{
	if (n > UINT8_MAX)
		b->bad = true;
	buf_u8(b, (uint8_t)n);
	buf_put(b, p, n);
}

void buf_str16(struct buf *b, const void *p, size_t n)
{
	if (n > UINT16_MAX)
		b->bad = true;
	buf_u16(b, (uint16_t)n);
	buf_put(b, p, n);
}

void buf_str32(struct buf *b, const void *p, size_t n)
{
	if (n > UINT32_MAX)
		b->bad = true;
	buf_u32(b, (uint32_t)n);
	buf_put(b, p, n);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	/* vsnprintf writes a NUL: make room for it, then take it back. */
	uint8_t *to = n < 0 ? NULL : buf_space(b, (size_t)n + 1);

	if (!to) {
		b->bad = true;
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf((char *)to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len--;
}

void rd_init(struct rd *r, const void *p, size_t n)
{
	r->p = p;
	r->left = n;
	r->bad = false;
}

const uint8_t *rd_bytes(struct rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	if (n) {
		r->p += n;
		r->left -= n;
	}
	return p;
}

void rd_copy(struct rd *r, void *out, size_t n)
{
	const uint8_t *p = rd_bytes(r, n);

	if (!n)
		return;
	if (p)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 1);

	return p ? *p : 0;
}

uint16_t rd_u16(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 2);

	return p ? le16_load(p) : 0;
}

uint32_t rd_u32(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 4);

	return p ? le32_load(p) : 0;
}

uint64_t rd_u64(struct rd *r)
{
	const uint8_t *p = rd_bytes(r, 8);

	return p ? le64_load(p) : 0;
}

static struct bytes str(struct rd *r, size_t n)
{
	const uint8_t *p = rd_bytes(r, n);

	return p ? (struct bytes){p, n} : (struct bytes){NULL, 0};
}

struct bytes rd_str8(struct rd *r)
{
	return str(r, rd_u8(r));
}

struct bytes rd_str16(struct rd *r)
{
	return str(r, rd_u16(r));
}

struct bytes rd_str32(struct rd *r)
{
	return str(r, rd_u32(r));
}

bool rd_end(const struct rd *r)
{
	return !r->bad && r->left == 0;
}
