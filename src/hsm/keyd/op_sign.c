/* The signing path: nothing here waits, allocates or takes a lock others share. */
#include <string.h>

#include "crypto/crypto.h"
#include "hsm/keyd/alg/alg.h"
#include "hsm/keyd/audit.h"
#include "hsm/keyd/call.h"

/* The mode asked for, or the default of the type: must be one of the key's. */
static int mode_of(struct call *c, const struct object *o, struct err *e)
{
	unsigned mode = c->q.mode;

	if (mode == MODE_DEFAULT)
		mode = key_type_row(o->key.type)->default_mode;
	if (mode >= 32 || !(o->key.modes & MODE_BIT(mode)))
		return err_set(e, ERR_BAD_MODE, NULL);
	c->mode = (uint8_t)mode;
	return 0;
}

static int sign(struct call *c, const struct object *o, struct buf *out, struct err *e)
{
	uint8_t sig[SIGNATURE_MAX];
	size_t n;

	if (alg_sign(o->key.loaded, c->alg, c->mode, c->q.body, sig, &n, e))
		return -1;
	buf_put(out, sig, n);
	return 0;
}

int lane_sign(struct call *c, struct buf *out, struct err *e)
{
	struct object *o;

	if (key_of_call(c, &o, e) || mode_of(c, o, e))
		return -1;
	/* No entry, no signature. */
	if (c->k->audit_stalled)
		return err_set(e, ERR_AUDIT, NULL);
	if (o->key.audit == AUDIT_DURABLE) {
		c->durable = true;
		return 0;
	}
	return sign(c, o, out, e);
}

/* Keys with durable audit: the entry is on disk before the signature leaves. */
int commit_sign(struct job *j, struct buf *out, struct err *e)
{
	struct object *o;

	if (key_of_call(&j->c, &o, e) || mode_of(&j->c, o, e) || audit_room(j->c.k, e) ||
	    sign(&j->c, o, out, e))
		return -1;
	/* The entry stays when this fails, because the store may have it already: one too
	 * many, never one too few. */
	audit_note(j->c.k, &j->c, OP_sign, NULL);
	return audit_flush(j->c.k, e) ? err_set(e, ERR_AUDIT, NULL) : 0;
}

int lane_verify(struct call *c, struct buf *out, struct err *e)
{
	struct bytes sig, msg;
	struct object *o;
	struct rd r;

	(void)out;
	rd_init(&r, c->q.body.p, c->q.body.len);
	sig = rd_str16(&r);
	msg = rd_str32(&r);
	if (!rd_end(&r))
		return err_set(e, ERR_BAD_REQUEST, "malformed body");
	if (key_of_call(c, &o, e) || mode_of(c, o, e))
		return -1;
	return alg_verify(o->key.loaded, c->alg, c->mode, msg, sig, e);
}

int lane_random(struct call *c, struct buf *out, struct err *e)
{
	struct rd r;
	uint16_t n;

	rd_init(&r, c->q.body.p, c->q.body.len);
	n = rd_u16(&r);
	if (!rd_end(&r))
		return err_set(e, ERR_BAD_REQUEST, "malformed body");
	if (n < 1 || n > RANDOM_MAX)
		return err_set(e, ERR_BAD_LENGTH, "1 to %d bytes at a time", RANDOM_MAX);
	uint8_t *p = buf_space(out, n);

	if (p)
		crypto_random(p, n);
	return 0;
}
