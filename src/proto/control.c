#include "proto/control.h"

#include <string.h>

bool name_valid(const void *p, size_t n)
{
	const uint8_t *s = p;
	uint8_t before = '.';

	if (n < 1 || n > NAME_MAX_LEN || s[0] == '_' || s[0] == '-' || s[n - 1] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = s[i];

		if (c == '.' && before == '.')
			return false;
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '_' || c == '.' || c == '-'))
			return false;
		before = c;
	}
	return true;
}

enum { F_PASS = 1, F_MAY_UNLOCK = 2, F_DEBUG = 4, F_NO_LANDLOCK = 8, F_ANCHOR = 16 };

void keyd_config_put(struct buf *out, const struct keyd_config *c)
{
	uint8_t flags = 0;

	flags |= c->passphrase ? F_PASS : 0;
	flags |= c->may_unlock ? F_MAY_UNLOCK : 0;
	flags |= c->debug ? F_DEBUG : 0;
	flags |= c->no_sandbox_landlock ? F_NO_LANDLOCK : 0;
	flags |= c->has_anchor ? F_ANCHOR : 0;
	buf_put(out, c->device_key, sizeof(c->device_key));
	buf_u8(out, flags);
	buf_str16(out, c->passphrase, c->passphrase_len);
	buf_u32(out, c->warnings);
	buf_u16(out, (uint16_t)c->workers);
	buf_u16(out, (uint16_t)c->sessions_user);
	buf_u32(out, c->max_message);
	buf_u32(out, c->key_mib);
	buf_u32(out, c->audit_mib);
	buf_u8(out, (uint8_t)c->nbootstrap);
	for (unsigned i = 0; i < c->nbootstrap; i++) {
		buf_put(out, c->bootstrap[i].nkey, 32);
		buf_str8(out, c->bootstrap[i].name, strlen(c->bootstrap[i].name));
	}
	buf_str8(out, c->anchor, c->anchor_len);
}

int keyd_config_get(struct keyd_config *c, const void *p, size_t n, struct err *e)
{
	struct bytes b;
	struct rd r;
	uint8_t flags;

	memset(c, 0, sizeof(*c));
	rd_init(&r, p, n);
	rd_copy(&r, c->device_key, sizeof(c->device_key));
	flags = rd_u8(&r);
	c->may_unlock = flags & F_MAY_UNLOCK;
	c->debug = flags & F_DEBUG;
	c->no_sandbox_landlock = flags & F_NO_LANDLOCK;
	c->has_anchor = flags & F_ANCHOR;
	b = rd_str16(&r);
	c->passphrase = flags & F_PASS ? b.p : NULL;
	c->passphrase_len = flags & F_PASS ? b.len : 0;
	c->warnings = rd_u32(&r);
	c->workers = rd_u16(&r);
	c->sessions_user = rd_u16(&r);
	c->max_message = rd_u32(&r);
	c->key_mib = rd_u32(&r);
	c->audit_mib = rd_u32(&r);
	c->nbootstrap = rd_u8(&r);
	if (c->nbootstrap > BOOTSTRAP_MAX)
		return err_set(e, ERR_BAD_FRAME, "too many bootstrap administrators");
	for (unsigned i = 0; i < c->nbootstrap; i++) {
		rd_copy(&r, c->bootstrap[i].nkey, 32);
		b = rd_str8(&r);
		if (!name_valid(b.p, b.len))
			return err_set(e, ERR_BAD_FRAME, "bad bootstrap administrator name");
		memcpy(c->bootstrap[i].name, b.p, b.len);
	}
	b = rd_str8(&r);
	if (b.len > ANCHOR_LEN || !rd_end(&r))
		return err_set(e, ERR_BAD_FRAME, "malformed configuration frame");
	c->anchor_len = b.len;
	if (b.len)
		memcpy(c->anchor, b.p, b.len);
	return 0;
}

void hello_put(struct buf *out, const struct hello *h)
{
	buf_put(out, h->identity, sizeof(h->identity));
	buf_put(out, h->instance, sizeof(h->instance));
	buf_put(out, h->boot_id, sizeof(h->boot_id));
	buf_u8(out, h->state);
	buf_u32(out, h->warnings);
	buf_u32(out, h->max_message);
	buf_u16(out, h->problem);
	buf_u64(out, h->epoch);
}

int hello_get(struct hello *h, const void *p, size_t n, struct err *e)
{
	struct rd r;

	rd_init(&r, p, n);
	rd_copy(&r, h->identity, sizeof(h->identity));
	rd_copy(&r, h->instance, sizeof(h->instance));
	rd_copy(&r, h->boot_id, sizeof(h->boot_id));
	h->state = rd_u8(&r);
	h->warnings = rd_u32(&r);
	h->max_message = rd_u32(&r);
	h->problem = rd_u16(&r);
	h->epoch = rd_u64(&r);
	return rd_end(&r) ? 0 : err_set(e, ERR_BAD_FRAME, "malformed hello frame");
}
