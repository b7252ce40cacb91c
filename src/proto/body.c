#include "proto/body.h"

#include <string.h>

static int done(const struct rd *r, struct err *e)
{
	return rd_end(r) ? 0 : err_set(e, ERR_BAD_REQUEST, "malformed body");
}

void user_info_put(struct buf *out, const struct user_info *u)
{
	buf_str8(out, u->name.p, u->name.len);
	buf_put(out, u->nkey, sizeof(u->nkey));
	buf_u8(out, u->role);
	buf_u8(out, u->flags);
	buf_u64(out, u->created);
}

int user_info_get(struct user_info *u, struct rd *r, struct err *e)
{
	u->name = rd_str8(r);
	rd_copy(r, u->nkey, sizeof(u->nkey));
	u->role = rd_u8(r);
	u->flags = rd_u8(r);
	u->created = rd_u64(r);
	return r->bad ? err_set(e, ERR_BAD_REQUEST, "malformed user") : 0;
}

void key_info_put(struct buf *out, const struct key_info *k)
{
	buf_str8(out, k->ns.p, k->ns.len);
	buf_str8(out, k->name.p, k->name.len);
	buf_u32(out, k->version);
	buf_u8(out, k->type);
	buf_u16(out, k->bits);
	buf_u32(out, k->modes);
	buf_u8(out, k->flags);
	buf_u8(out, k->audit);
	buf_u64(out, k->created);
	buf_str16(out, k->pub.p, k->pub.len);
}

int key_info_get(struct key_info *k, struct rd *r, struct err *e)
{
	k->ns = rd_str8(r);
	k->name = rd_str8(r);
	k->version = rd_u32(r);
	k->type = rd_u8(r);
	k->bits = rd_u16(r);
	k->modes = rd_u32(r);
	k->flags = rd_u8(r);
	k->audit = rd_u8(r);
	k->created = rd_u64(r);
	k->pub = rd_str16(r);
	return r->bad ? err_set(e, ERR_BAD_REQUEST, "malformed key") : 0;
}

void key_new_put(struct buf *out, const struct key_new *k)
{
	buf_u8(out, k->type);
	buf_u16(out, k->bits);
	buf_u32(out, k->modes);
	buf_u8(out, k->flags);
	buf_u8(out, k->audit);
	buf_str16(out, k->a.p, k->a.len);
	buf_str16(out, k->b.p, k->b.len);
	buf_str16(out, k->c.p, k->c.len);
}

int key_new_get(struct key_new *k, const void *p, size_t n, struct err *e)
{
	struct rd r;

	rd_init(&r, p, n);
	k->type = rd_u8(&r);
	k->bits = rd_u16(&r);
	k->modes = rd_u32(&r);
	k->flags = rd_u8(&r);
	k->audit = rd_u8(&r);
	k->a = rd_str16(&r);
	k->b = rd_str16(&r);
	k->c = rd_str16(&r);
	return done(&r, e);
}

void list_query_put(struct buf *out, const struct list_query *q)
{
	buf_str8(out, q->prefix.p, q->prefix.len);
	buf_str8(out, q->after.p, q->after.len);
	buf_u16(out, q->limit);
}

int list_query_get(struct list_query *q, const void *p, size_t n, struct err *e)
{
	struct rd r;

	rd_init(&r, p, n);
	q->prefix = rd_str8(&r);
	q->after = rd_str8(&r);
	q->limit = rd_u16(&r);
	if (rd_end(&r) && (q->limit < 1 || q->limit > LIST_MAX))
		return err_set(e, ERR_BAD_REQUEST, "a page has 1 to %d items", LIST_MAX);
	return done(&r, e);
}

void state_info_put(struct buf *out, const struct state_info *s)
{
	hello_put(out, &s->hello);
	buf_str8(out, s->version.p, s->version.len);
	buf_u64(out, s->uptime);
	buf_u32(out, s->sessions);
	buf_u32(out, s->users);
	buf_u32(out, s->keys);
	buf_u8(out, s->anchors);
	buf_u8(out, s->anchors_held);
	buf_u64(out, s->anchor_epoch);
	buf_u8(out, s->unattended);
	buf_u64(out, s->audit_seq);
}

#define HELLO_LEN (32 + INSTANCE_LEN + BOOT_ID_LEN + 1 + 4 + 4 + 2 + 8)

int state_info_get(struct state_info *s, const void *p, size_t n, struct err *e)
{
	const uint8_t *h;
	struct rd r;

	rd_init(&r, p, n);
	h = rd_bytes(&r, HELLO_LEN);
	if (!h || hello_get(&s->hello, h, HELLO_LEN, e))
		return err_set(e, ERR_BAD_REQUEST, "malformed state");
	s->version = rd_str8(&r);
	s->uptime = rd_u64(&r);
	s->sessions = rd_u32(&r);
	s->users = rd_u32(&r);
	s->keys = rd_u32(&r);
	s->anchors = rd_u8(&r);
	s->anchors_held = rd_u8(&r);
	s->anchor_epoch = rd_u64(&r);
	s->unattended = rd_u8(&r);
	s->audit_seq = rd_u64(&r);
	return done(&r, e);
}

void audit_entry_put(struct buf *out, const struct audit_entry *a)
{
	buf_u64(out, a->seq);
	buf_u64(out, a->time);
	buf_u8(out, a->surface);
	buf_str8(out, a->user.p, a->user.len);
	buf_u16(out, a->op);
	buf_u16(out, a->error);
	buf_str8(out, a->ns.p, a->ns.len);
	buf_str8(out, a->key.p, a->key.len);
	buf_u32(out, a->version);
	buf_u8(out, a->mode);
	buf_put(out, a->digest, sizeof(a->digest));
}

int audit_entry_get(struct audit_entry *a, const void *p, size_t n, struct err *e)
{
	struct rd r;

	rd_init(&r, p, n);
	a->seq = rd_u64(&r);
	a->time = rd_u64(&r);
	a->surface = rd_u8(&r);
	a->user = rd_str8(&r);
	a->op = rd_u16(&r);
	a->error = rd_u16(&r);
	a->ns = rd_str8(&r);
	a->key = rd_str8(&r);
	a->version = rd_u32(&r);
	a->mode = rd_u8(&r);
	rd_copy(&r, a->digest, sizeof(a->digest));
	return done(&r, e);
}

static void head_fields(struct buf *out, const struct audit_head *h)
{
	buf_u64(out, h->seq);
	buf_put(out, h->hash, sizeof(h->hash));
	buf_u64(out, h->time);
	buf_u64(out, h->epoch);
	buf_u64(out, h->base_seq);
	buf_put(out, h->base_hash, sizeof(h->base_hash));
	buf_put(out, h->audit_key, sizeof(h->audit_key));
}

void audit_head_signed(struct buf *out, const struct audit_head *h)
{
	buf_put(out, SIGN_DOMAIN, SIGN_DOMAIN_LEN);
	buf_u8(out, SIGN_DOMAIN_AUDIT);
	buf_u8(out, 1);
	head_fields(out, h);
}

void audit_head_put(struct buf *out, const struct audit_head *h)
{
	head_fields(out, h);
	buf_put(out, h->sig, sizeof(h->sig));
}

int audit_head_get(struct audit_head *h, const void *p, size_t n, struct err *e)
{
	struct rd r;

	rd_init(&r, p, n);
	h->seq = rd_u64(&r);
	rd_copy(&r, h->hash, sizeof(h->hash));
	h->time = rd_u64(&r);
	h->epoch = rd_u64(&r);
	h->base_seq = rd_u64(&r);
	rd_copy(&r, h->base_hash, sizeof(h->base_hash));
	rd_copy(&r, h->audit_key, sizeof(h->audit_key));
	rd_copy(&r, h->sig, sizeof(h->sig));
	return done(&r, e);
}
