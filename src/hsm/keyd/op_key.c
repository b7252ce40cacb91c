/* Keys. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "hsm/keyd/alg/alg.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/commit.h"
#include "hsm/keyd/store.h"

int key_of_call(const struct call *c, struct object **o, struct err *e)
{
	if (c->q.key.len == 0)
		return err_set(e, ERR_BAD_NAME, "%s needs a key name", c->op->name);
	*o = find_key(&c->k->objects, c->q.ns, c->q.key);
	if (!*o)
		return err_set(e, ERR_NOT_FOUND, NULL);
	if (c->q.key_version && c->q.key_version != (*o)->key.key_version)
		return err_set(e, ERR_NO_SUCH_VERSION, NULL);
	if (c->surface == SURFACE_PLAIN && !((*o)->key.flags & KEYF_PLAIN))
		return err_set(e, ERR_SESSION_ONLY, "this key is not open on the plain surface");
	return 0;
}

static void put_key(struct buf *out, const struct object *o)
{
	struct key_info v;

	object_key_info(o, &v);
	key_info_put(out, &v);
}

int lane_key_list(struct call *c, struct buf *out, struct err *e)
{
	return call_list(c, BLOB_KEY, put_key, out, e);
}

int lane_key_get(struct call *c, struct buf *out, struct err *e)
{
	struct object *o;

	if (call_no_body(c, e) || key_of_call(c, &o, e))
		return -1;
	put_key(out, o);
	return 0;
}

/* ---- new keys: the slow half makes, the commit half names and stores ---- */

static int new_of_call(const struct job *j, struct key_new *in, struct err *e)
{
	if (j->c.q.key.len == 0)
		return err_set(e, ERR_BAD_NAME, "a new key needs a name");
	if (key_new_get(in, j->c.q.body.p, j->c.q.body.len, e))
		return -1;
	if (!key_type_row(in->type))
		return err_set(e, ERR_BAD_TYPE, "key type %u is not known", in->type);
	if (in->modes & ~mode_mask(in->type))
		return err_set(e, ERR_BAD_MODE, "a mode is not of this key type");
	if ((in->flags & ~KEYF_PLAIN) || in->audit > AUDIT_DURABLE)
		return err_set(e, ERR_BAD_REQUEST, "flags or audit policy are not known");
	return 0;
}

int slow_key_generate(struct job *j, struct err *e)
{
	struct key_new in;

	if (new_of_call(j, &in, e))
		return -1;
	if (in.a.len || in.b.len || in.c.len)
		return err_set(e, ERR_BAD_REQUEST, "components are for import only");
	const struct key_type_row *row = key_type_row(in.type);

	j->bits = in.bits ? in.bits : row->min_bits;
	if (j->bits < row->min_bits || j->bits > row->max_bits || j->bits % 8)
		return err_set(e, ERR_BAD_TYPE, "%s keys have %u to %u bits", row->text,
			       row->min_bits, row->max_bits);
	return alg_generate(in.type, j->bits, &j->priv, &j->pub, e);
}

int slow_key_import(struct job *j, struct err *e)
{
	struct key_new in;

	if (new_of_call(j, &in, e))
		return -1;
	return alg_import(&in, &j->priv, &j->pub, &j->bits, e);
}

/* All modes of the type that take a message: digests are for those who ask. */
static uint32_t message_modes(enum key_type type)
{
	const struct mode_row *m;
	uint32_t mask = 0;

	for (unsigned i = 0; (m = mode_at(i)); i++)
		if (m->type == type && m->input == INPUT_MESSAGE)
			mask |= MODE_BIT(m->mode);
	return mask;
}

int commit_key_new(struct job *j, struct buf *out, struct err *e)
{
	struct keyd *k = j->c.k;
	struct change ch = {0};
	struct key_info info;
	struct key_new in;

	if (new_of_call(j, &in, e))
		return -1;
	if (find_key(&k->objects, j->c.q.ns, j->c.q.key))
		return err_set(e, ERR_EXISTS, "a key of this name exists already");
	struct object *o = calloc(1, sizeof(*o));

	if (!o)
		return err_set(e, ERR_NOMEM, NULL);
	o->kind = BLOB_KEY;
	o->name_len = (uint8_t)j->c.q.key.len;
	memcpy(o->name, j->c.q.key.p, j->c.q.key.len);
	o->key.key_version = 1;
	o->key.type = in.type;
	o->key.bits = (uint16_t)j->bits;
	o->key.modes = in.modes ? in.modes : message_modes(in.type);
	o->key.flags = in.flags;
	o->key.audit = in.audit;
	o->key.created = keyd_now();
	ch.add[ch.nadd] = o;
	ch.priv[ch.nadd++] = (struct bytes){j->priv.p, j->priv.len};
	if (j->pub.len > sizeof(o->key.pub) ||
	    alg_load(in.type, (struct bytes){j->priv.p, j->priv.len}, &o->key.loaded, e)) {
		change_drop(&ch);
		return -1;
	}
	memcpy(o->key.pub, j->pub.p, j->pub.len);
	o->key.pub_len = j->pub.len;
	object_key_info(o, &info);
	key_info_put(out, &info);
	return commit_change(k, &ch, j, out, e);
}

int commit_key_remove(struct job *j, struct buf *out, struct err *e)
{
	struct change ch = {0};

	if (call_no_body(&j->c, e) || key_of_call(&j->c, &ch.take[0], e))
		return -1;
	ch.ntake = 1;
	return commit_change(j->c.k, &ch, j, out, e);
}

/* The private form is not kept in memory beside the loaded key: it is read back. */
static int private_of(struct keyd *k, const struct object *o, struct buf *plain, struct bytes *priv,
		      struct err *e)
{
	CLEAN(buf) struct buf blob = {0};
	struct object *stored = NULL;
	uint64_t version;

	buf_init(&blob, 1u << 20);
	if (store_get(k->store, STORE_RECORD, o->id, VAULT_ID, &blob, e) ||
	    vault_unseal(plain, vault_seal_key(&k->vault), BLOB_KEY, o->id, &version, blob.p,
			 blob.len, e) ||
	    object_decode(&stored, BLOB_KEY, plain->p, plain->len, priv, e))
		return e->code == ERR_NOT_FOUND
			       ? err_set(e, ERR_STORE_DAMAGED, "the store lost this key's record")
			       : -1;
	object_free(stored);
	/* The tag too: a transaction that failed before a restart had the same version. */
	if (version != o->version ||
	    !secret_equal(blob.p + blob.len - sizeof(o->tag), o->tag, sizeof(o->tag)))
		return err_set(e, ERR_ROLLED_BACK, "the store has another version of this key");
	return 0;
}

int commit_key_set(struct job *j, struct buf *out, struct err *e)
{
	struct keyd *k = j->c.k;
	CLEAN(buf) struct buf plain = {0};
	struct change ch = {0};
	struct object *o, *n;
	struct bytes priv;
	struct rd r;
	uint8_t flags, audit;

	buf_init(&plain, 1u << 16);
	plain.secret = true;
	rd_init(&r, j->c.q.body.p, j->c.q.body.len);
	flags = rd_u8(&r);
	audit = rd_u8(&r);
	if (!rd_end(&r) || (flags & ~KEYF_PLAIN) || audit > AUDIT_DURABLE)
		return err_set(e, ERR_BAD_REQUEST, "flags or audit policy are not known");
	if (key_of_call(&j->c, &o, e) || private_of(k, o, &plain, &priv, e))
		return -1;
	n = calloc(1, sizeof(*n));
	if (!n)
		return err_set(e, ERR_NOMEM, NULL);
	*n = *o;
	n->key.loaded = NULL; /* comes over when the change is durable */
	n->key.flags = flags;
	n->key.audit = audit;
	ch.take[ch.ntake++] = o;
	ch.priv[ch.nadd] = priv;
	ch.add[ch.nadd++] = n;
	return commit_change(k, &ch, j, out, e);
}
