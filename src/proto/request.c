#include "proto/request.h"

#include <string.h>

void request_encode(struct buf *out, const struct request *q)
{
	buf_u8(out, REQUEST_VERSION);
	buf_u8(out, q->cred);
	buf_u16(out, q->op);
	buf_str8(out, q->user.p, q->user.len);
	buf_put(out, q->boot_id, BOOT_ID_LEN);
	buf_put(out, q->idem, IDEM_LEN);
	buf_str8(out, q->ns.p, q->ns.len);
	buf_str8(out, q->key.p, q->key.len);
	buf_u32(out, q->key_version);
	buf_u8(out, q->mode);
	buf_str32(out, q->body.p, q->body.len);
}

static bool name_ok(struct bytes b)
{
	return b.len == 0 || name_valid(b.p, b.len);
}

int request_decode(struct request *q, const void *p, size_t n, struct err *e)
{
	struct rd r;
	uint8_t version;

	rd_init(&r, p, n);
	version = rd_u8(&r);
	q->cred = rd_u8(&r);
	q->op = rd_u16(&r);
	q->user = rd_str8(&r);
	rd_copy(&r, q->boot_id, BOOT_ID_LEN);
	rd_copy(&r, q->idem, IDEM_LEN);
	q->ns = rd_str8(&r);
	q->key = rd_str8(&r);
	q->key_version = rd_u32(&r);
	q->mode = rd_u8(&r);
	q->body = rd_str32(&r);
	if (n && version != REQUEST_VERSION)
		return err_set(e, ERR_BAD_VERSION, "request version %u is not known", version);
	if (!rd_end(&r))
		return err_set(e, ERR_BAD_REQUEST, NULL);
	if (q->cred != CRED_NKEY)
		return err_set(e, ERR_BAD_REQUEST, "credential kind %u is not known", q->cred);
	if (!name_ok(q->user) || !name_ok(q->ns) || !name_ok(q->key))
		return err_set(e, ERR_BAD_NAME,
			       "names are 1 to 128 of letters, digits, _ . - and start with a "
			       "letter or digit");
	return 0;
}

void response_encode(struct buf *out, const struct response *s)
{
	buf_u8(out, REQUEST_VERSION);
	buf_u16(out, s->error);
	buf_u8(out, s->state);
	buf_u8(out, s->mode);
	buf_u64(out, s->epoch);
	buf_str32(out, s->body.p, s->body.len);
}

int response_decode(struct response *s, const void *p, size_t n, struct err *e)
{
	struct rd r;
	uint8_t version;

	rd_init(&r, p, n);
	version = rd_u8(&r);
	s->error = rd_u16(&r);
	s->state = rd_u8(&r);
	s->mode = rd_u8(&r);
	s->epoch = rd_u64(&r);
	s->body = rd_str32(&r);
	if (!rd_end(&r) || version != REQUEST_VERSION)
		return err_set(e, ERR_BAD_REQUEST, "malformed response");
	return 0;
}
