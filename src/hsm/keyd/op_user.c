/* Users. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "crypto/ed25519.h"
#include "hsm/keyd/boot.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/commit.h"

/* Body of user_get and user_remove: str8 name; *u is the user. */
static int named(struct call *c, struct rd *r, struct object **u, struct err *e)
{
	struct bytes name;

	rd_init(r, c->q.body.p, c->q.body.len);
	name = rd_str8(r);
	if (r->bad)
		return err_set(e, ERR_BAD_REQUEST, "malformed body");
	*u = find_user(&c->k->objects, name);
	return *u ? 0 : err_set(e, ERR_NO_SUCH_USER, NULL);
}

static int end_of(const struct rd *r, struct err *e)
{
	return rd_end(r) ? 0 : err_set(e, ERR_BAD_REQUEST, "malformed body");
}

static void put_user(struct buf *out, const struct object *o)
{
	struct user_info v;

	object_user_info(o, &v);
	user_info_put(out, &v);
}

int lane_user_list(struct call *c, struct buf *out, struct err *e)
{
	return call_list(c, BLOB_USER, put_user, out, e);
}

int lane_user_get(struct call *c, struct buf *out, struct err *e)
{
	struct object *o;
	struct rd r;

	int rc = named(c, &r, &o, e);

	if (rc && e->code != ERR_NO_SUCH_USER)
		return -1;
	/* Operators see themselves, administrators all; who else exists is not told. */
	if (c->role != ROLE_ADMIN && (rc || memcmp(o->user.nkey, c->nkey, 32) != 0))
		return err_set(e, ERR_DENIED, "operators may look at themselves only");
	if (rc || end_of(&r, e))
		return -1;
	put_user(out, o);
	return 0;
}

int commit_user_add(struct job *j, struct buf *out, struct err *e)
{
	struct objects *all = &j->c.k->objects;
	struct change ch = {0};
	struct user_info u;
	uint8_t x[32];
	struct rd r;

	rd_init(&r, j->c.q.body.p, j->c.q.body.len);
	if (user_info_get(&u, &r, e) || end_of(&r, e))
		return -1;
	if (!name_valid(u.name.p, u.name.len))
		return err_set(e, ERR_BAD_NAME, NULL);
	if (u.role != ROLE_ADMIN && u.role != ROLE_OPERATOR)
		return err_set(e, ERR_BAD_REQUEST, "role %u is not known", u.role);
	if (u.flags & ~USER_PLAIN)
		return err_set(e, ERR_BAD_REQUEST, "flags %#x are not known", u.flags);
	if (ed25519_to_x25519_public(x, u.nkey))
		return err_set(e, ERR_BAD_NKEY, "the NKey is no point of the curve");
	if (find_user(all, u.name))
		return err_set(e, ERR_EXISTS, "a user of this name exists already");
	/* Two Ed25519 keys (P and -P) have one X25519 form: it must be one user's. */
	if (find_user_xkey(all, x))
		return err_set(e, ERR_EXISTS, "another user has this NKey");
	struct object *o = calloc(1, sizeof(*o));

	if (!o)
		return err_set(e, ERR_NOMEM, NULL);
	o->kind = BLOB_USER;
	o->name_len = (uint8_t)u.name.len;
	memcpy(o->name, u.name.p, u.name.len);
	memcpy(o->user.nkey, u.nkey, 32);
	memcpy(o->user.xkey, x, 32);
	o->user.role = u.role;
	o->user.flags = u.flags;
	o->user.created = keyd_now();
	ch.add[ch.nadd++] = o;
	return commit_change(j->c.k, &ch, j, out, e);
}

/* Takes a removed bootstrap administrator out of the boot record as well: else the
 * NKey could still unlock. Returns the number of those that stay. */
static unsigned drop_bootstrap(struct keyd *k, const uint8_t nkey[static 32])
{
	unsigned n = 0;

	for (unsigned i = 0; i < k->nbootstrap; i++)
		if (memcmp(k->bootstrap[i].nkey, nkey, 32) != 0)
			k->bootstrap[n++] = k->bootstrap[i];
	k->nbootstrap = n;
	return n;
}

int commit_user_remove(struct job *j, struct buf *out, struct err *e)
{
	struct keyd *k = j->c.k;
	struct bootstrap saved[BOOTSTRAP_MAX];
	unsigned nsaved = k->nbootstrap;
	CLEAN(buf) struct buf boot = {0};
	struct change ch = {0};
	struct object *o;
	struct rd r;

	buf_init(&boot, 1u << 14);
	if (named(&j->c, &r, &o, e) || end_of(&r, e))
		return -1;
	if (memcmp(o->user.nkey, j->c.nkey, 32) == 0)
		return err_set(e, ERR_SELF_DELETE, NULL);
	if (o->user.role == ROLE_ADMIN && k->objects.admins == 1)
		return err_set(e, ERR_LAST_ADMIN, NULL);
	memcpy(saved, k->bootstrap, sizeof(saved));
	state_write_begin(k);
	unsigned left = drop_bootstrap(k, o->user.nkey);

	state_write_end(k);
	if (left == 0 && nsaved) {
		state_write_begin(k);
		memcpy(k->bootstrap, saved, sizeof(saved));
		k->nbootstrap = nsaved;
		state_write_end(k);
		return err_set(e, ERR_LAST_ADMIN,
			       "the last bootstrap administrator: nobody could unlock");
	}
	if (left != nsaved) {
		boot_seal(k, &boot);
		ch.boot = &boot;
	}
	ch.take[ch.ntake++] = o;
	int rc = commit_change(k, &ch, j, out, e);

	if (rc) {
		state_write_begin(k);
		memcpy(k->bootstrap, saved, sizeof(saved));
		k->nbootstrap = nsaved;
		state_write_end(k);
	}
	return rc;
}

int commit_user_set(struct job *j, struct buf *out, struct err *e)
{
	struct change ch = {0};
	struct object *o, *n;
	uint8_t flags;
	struct rd r;

	if (named(&j->c, &r, &o, e))
		return -1;
	flags = rd_u8(&r);
	if (end_of(&r, e))
		return -1;
	if (flags & ~USER_PLAIN)
		return err_set(e, ERR_BAD_REQUEST, "flags %#x are not known", flags);
	n = calloc(1, sizeof(*n));
	if (!n)
		return err_set(e, ERR_NOMEM, NULL);
	*n = *o;
	n->user.flags = flags;
	ch.take[ch.ntake++] = o;
	ch.add[ch.nadd++] = n;
	return commit_change(j->c.k, &ch, j, out, e);
}
