#include "hsm/keyd/object.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "hsm/keyd/alg/alg.h"

/* ---- map ---- */

static struct bytes name_key(const struct object *o, uint8_t scratch[static 260])
{
	struct buf b;

	buf_fixed(&b, scratch, 260);
	buf_u8(&b, (uint8_t)o->kind);
	buf_str8(&b, o->ns, o->ns_len);
	buf_put(&b, o->name, o->name_len);
	return (struct bytes){b.p, b.len};
}

static struct bytes nkey_key(const struct object *o, uint8_t scratch[static 260])
{
	(void)scratch;
	return (struct bytes){o->user.nkey, 32};
}

static struct bytes xkey_key(const struct object *o, uint8_t scratch[static 260])
{
	(void)scratch;
	return (struct bytes){o->user.xkey, 32};
}

static struct bytes idem_key(const struct object *o, uint8_t scratch[static 260])
{
	memcpy(scratch, o->idem.nkey, 32);
	memcpy(scratch + 32, o->idem.idem, IDEM_LEN);
	return (struct bytes){scratch, 32 + IDEM_LEN};
}

_Static_assert(1 + 1 + NAME_MAX_LEN + NAME_MAX_LEN <= 260, "a name key fits its scratch");

/* SipHash with a random key: names come from outside. */
static size_t slot_of(const struct map *m, struct bytes key)
{
	uint8_t h[crypto_shorthash_BYTES];

	crypto_shorthash(h, key.p, key.len, m->seed);
	return (size_t)le64_load(h) & (m->cap - 1);
}

static struct object *map_find(const struct map *m, struct bytes key)
{
	uint8_t scratch[260];

	for (size_t i = slot_of(m, key); m->slot[i]; i = (i + 1) & (m->cap - 1)) {
		struct bytes other = m->key_of(m->slot[i], scratch);

		if (other.len == key.len && memcmp(other.p, key.p, key.len) == 0)
			return m->slot[i];
	}
	return NULL;
}

static void map_put(struct map *m, struct object *o)
{
	uint8_t scratch[260];
	size_t i = slot_of(m, m->key_of(o, scratch));

	while (m->slot[i])
		i = (i + 1) & (m->cap - 1);
	m->slot[i] = o;
	m->used++;
}

static int map_reserve(struct map *m, struct err *e)
{
	struct object **old = m->slot;
	size_t n = m->cap;

	if ((m->used + 1) * 2 <= m->cap)
		return 0;
	m->slot = calloc(n ? n * 2 : 64, sizeof(struct object *));
	if (!m->slot) {
		m->slot = old;
		return err_set(e, ERR_NOMEM, NULL);
	}
	m->cap = n ? n * 2 : 64;
	m->used = 0;
	for (size_t i = 0; i < n; i++)
		if (old[i])
			map_put(m, old[i]);
	free(old);
	return 0;
}

/* Linear probing without tombstones: what follows the gap moves up. */
static void map_take(struct map *m, const struct object *o)
{
	uint8_t scratch[260];
	size_t mask = m->cap - 1, i = slot_of(m, m->key_of(o, scratch));

	while (m->slot[i] && m->slot[i] != o)
		i = (i + 1) & mask;
	if (!m->slot[i])
		return;
	m->slot[i] = NULL;
	m->used--;
	for (size_t j = (i + 1) & mask; m->slot[j]; j = (j + 1) & mask) {
		size_t home = slot_of(m, m->key_of(m->slot[j], scratch));

		if (((j - home) & mask) >= ((j - i) & mask)) {
			m->slot[i] = m->slot[j];
			m->slot[j] = NULL;
			i = j;
		}
	}
}

/* ---- objects ---- */

int objects_init(struct objects *s, struct err *e)
{
	memset(s, 0, sizeof(*s));
	s->by_name.key_of = name_key;
	s->by_nkey.key_of = nkey_key;
	s->by_xkey.key_of = xkey_key;
	s->by_idem.key_of = idem_key;
	crypto_random(s->by_name.seed, 16);
	crypto_random(s->by_nkey.seed, 16);
	crypto_random(s->by_xkey.seed, 16);
	crypto_random(s->by_idem.seed, 16);
	return objects_reserve(s, e);
}

int objects_reserve(struct objects *s, struct err *e)
{
	if (map_reserve(&s->by_name, e) || map_reserve(&s->by_nkey, e) ||
	    map_reserve(&s->by_xkey, e) || map_reserve(&s->by_idem, e))
		return -1;
	return 0;
}

void object_free(struct object *o)
{
	if (!o)
		return;
	if (o->kind == BLOB_KEY)
		alg_unload(o->key.loaded);
	if (o->kind == BLOB_IDEM)
		free(o->idem.body);
	free(o);
}

void objects_free(struct objects *s)
{
	for (size_t i = 0; i < s->by_name.cap; i++)
		object_free(s->by_name.slot[i]);
	for (size_t i = 0; i < s->by_idem.cap; i++)
		object_free(s->by_idem.slot[i]);
	free(s->by_name.slot);
	free(s->by_nkey.slot);
	free(s->by_xkey.slot);
	free(s->by_idem.slot);
	memset(s, 0, sizeof(*s));
}

static void idem_link(struct objects *s, struct object *o)
{
	/* Loaded in any order, added in order of time: kept sorted by age. */
	struct object *before = s->newest;

	while (before && before->idem.created > o->idem.created)
		before = before->older;
	o->older = before;
	o->newer = before ? before->newer : s->oldest;
	if (o->newer)
		o->newer->older = o;
	else
		s->newest = o;
	if (before)
		before->newer = o;
	else
		s->oldest = o;
}

static void idem_unlink(struct objects *s, struct object *o)
{
	if (o->older)
		o->older->newer = o->newer;
	else
		s->oldest = o->newer;
	if (o->newer)
		o->newer->older = o->older;
	else
		s->newest = o->older;
}

void objects_add(struct objects *s, struct object *o)
{
	switch (o->kind) {
	case BLOB_USER:
		map_put(&s->by_name, o);
		map_put(&s->by_nkey, o);
		map_put(&s->by_xkey, o);
		s->users++;
		s->admins += o->user.role == ROLE_ADMIN;
		break;
	case BLOB_KEY:
		map_put(&s->by_name, o);
		s->keys++;
		break;
	default:
		map_put(&s->by_idem, o);
		idem_link(s, o);
		s->idems++;
		break;
	}
}

void objects_take(struct objects *s, struct object *o)
{
	switch (o->kind) {
	case BLOB_USER:
		map_take(&s->by_name, o);
		map_take(&s->by_nkey, o);
		map_take(&s->by_xkey, o);
		s->users--;
		s->admins -= o->user.role == ROLE_ADMIN;
		break;
	case BLOB_KEY:
		map_take(&s->by_name, o);
		s->keys--;
		break;
	default:
		map_take(&s->by_idem, o);
		idem_unlink(s, o);
		s->idems--;
		break;
	}
}

static struct object *find_name(const struct objects *s, enum blob_kind kind, struct bytes ns,
				struct bytes name)
{
	uint8_t tmp[260];
	struct buf b;

	buf_fixed(&b, tmp, sizeof(tmp));
	buf_u8(&b, (uint8_t)kind);
	buf_str8(&b, ns.p, ns.len);
	buf_put(&b, name.p, name.len);
	return b.bad ? NULL : map_find(&s->by_name, (struct bytes){b.p, b.len});
}

struct object *find_user(const struct objects *s, struct bytes name)
{
	return find_name(s, BLOB_USER, (struct bytes){NULL, 0}, name);
}

struct object *find_key(const struct objects *s, struct bytes ns, struct bytes name)
{
	return find_name(s, BLOB_KEY, ns, name);
}

struct object *find_user_nkey(const struct objects *s, const uint8_t nkey[static 32])
{
	return map_find(&s->by_nkey, (struct bytes){nkey, 32});
}

struct object *find_user_xkey(const struct objects *s, const uint8_t xkey[static 32])
{
	return map_find(&s->by_xkey, (struct bytes){xkey, 32});
}

struct object *find_idem(const struct objects *s, const uint8_t nkey[static 32],
			 const uint8_t idem[static IDEM_LEN])
{
	uint8_t k[32 + IDEM_LEN];

	memcpy(k, nkey, 32);
	memcpy(k + 32, idem, IDEM_LEN);
	return map_find(&s->by_idem, (struct bytes){k, sizeof(k)});
}

static int compare_names(struct bytes a, struct bytes b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	return c ? c : (a.len > b.len) - (a.len < b.len);
}

size_t objects_page(const struct objects *s, enum blob_kind kind, struct bytes prefix,
		    struct bytes after, struct object **out, size_t n, bool *more)
{
	size_t have = 0;

	/* One pass with a sorted window of n: lists are for people and scripts,
	 * not for the signing path. */
	*more = false;
	for (size_t i = 0; i < s->by_name.cap; i++) {
		struct object *o = s->by_name.slot[i];

		if (!o || o->kind != kind)
			continue;
		struct bytes name = object_name(o);

		if (name.len < prefix.len ||
		    (prefix.len && memcmp(name.p, prefix.p, prefix.len) != 0) ||
		    (after.len && compare_names(name, after) <= 0))
			continue;
		size_t lo = 0, hi = have;

		while (lo < hi) {
			size_t mid = (lo + hi) / 2;

			if (compare_names(object_name(out[mid]), name) < 0)
				lo = mid + 1;
			else
				hi = mid;
		}
		*more = *more || have == n;
		if (lo == n)
			continue;
		if (have < n)
			have++;
		memmove(out + lo + 1, out + lo, (have - lo - 1) * sizeof(struct object *));
		out[lo] = o;
	}
	return have;
}

void object_user_info(const struct object *o, struct user_info *u)
{
	u->name = object_name(o);
	memcpy(u->nkey, o->user.nkey, 32);
	u->role = o->user.role;
	u->flags = o->user.flags;
	u->created = o->user.created;
}

void object_key_info(const struct object *o, struct key_info *k)
{
	k->ns = object_ns(o);
	k->name = object_name(o);
	k->version = o->key.key_version;
	k->type = o->key.type;
	k->bits = o->key.bits;
	k->modes = o->key.modes;
	k->flags = o->key.flags;
	k->audit = o->key.audit;
	k->created = o->key.created;
	k->pub = (struct bytes){o->key.pub, o->key.pub_len};
}

/* ---- records ---- */

void object_encode(struct buf *out, const struct object *o, struct bytes priv)
{
	struct user_info u;
	struct key_info k;

	switch (o->kind) {
	case BLOB_USER:
		object_user_info(o, &u);
		user_info_put(out, &u);
		break;
	case BLOB_KEY:
		object_key_info(o, &k);
		key_info_put(out, &k);
		buf_str16(out, priv.p, priv.len);
		break;
	default:
		buf_put(out, o->idem.nkey, 32);
		buf_put(out, o->idem.idem, IDEM_LEN);
		buf_put(out, o->idem.digest, 32);
		buf_u64(out, o->idem.created);
		buf_u8(out, o->idem.mode);
		buf_str32(out, o->idem.body, o->idem.len);
		break;
	}
}

static int decode_user(struct object *o, struct rd *r, struct err *e)
{
	struct user_info u;

	if (user_info_get(&u, r, e) || !name_valid(u.name.p, u.name.len) ||
	    ed25519_to_x25519_public(o->user.xkey, u.nkey))
		return -1;
	o->name_len = (uint8_t)u.name.len;
	memcpy(o->name, u.name.p, u.name.len);
	memcpy(o->user.nkey, u.nkey, 32);
	o->user.role = u.role;
	o->user.flags = u.flags;
	o->user.created = u.created;
	return 0;
}

static int decode_key(struct object *o, struct rd *r, struct bytes *priv, struct err *e)
{
	struct key_info k;

	if (key_info_get(&k, r, e) || !name_valid(k.name.p, k.name.len) ||
	    (k.ns.len && !name_valid(k.ns.p, k.ns.len)) || k.pub.len > sizeof(o->key.pub))
		return -1;
	*priv = rd_str16(r);
	o->ns_len = (uint8_t)k.ns.len;
	if (k.ns.len)
		memcpy(o->ns, k.ns.p, k.ns.len);
	o->name_len = (uint8_t)k.name.len;
	memcpy(o->name, k.name.p, k.name.len);
	o->key.key_version = k.version;
	o->key.type = k.type;
	o->key.bits = k.bits;
	o->key.modes = k.modes;
	o->key.flags = k.flags;
	o->key.audit = k.audit;
	o->key.created = k.created;
	o->key.pub_len = k.pub.len;
	if (k.pub.len)
		memcpy(o->key.pub, k.pub.p, k.pub.len);
	return 0;
}

static int decode_idem(struct object *o, struct rd *r, struct err *e)
{
	struct bytes body;

	rd_copy(r, o->idem.nkey, 32);
	rd_copy(r, o->idem.idem, IDEM_LEN);
	rd_copy(r, o->idem.digest, 32);
	o->idem.created = rd_u64(r);
	o->idem.mode = rd_u8(r);
	body = rd_str32(r);
	if (r->bad)
		return -1;
	o->idem.body = malloc(body.len ? body.len : 1);
	if (!o->idem.body)
		return err_set(e, ERR_NOMEM, NULL);
	if (body.len)
		memcpy(o->idem.body, body.p, body.len);
	o->idem.len = body.len;
	return 0;
}

int object_decode(struct object **out, enum blob_kind kind, const void *p, size_t n,
		  struct bytes *priv, struct err *e)
{
	struct object *o = calloc(1, sizeof(*o));
	struct rd r;
	int rc;

	if (!o)
		return err_set(e, ERR_NOMEM, NULL);
	o->kind = kind;
	rd_init(&r, p, n);
	if (kind == BLOB_USER)
		rc = decode_user(o, &r, e);
	else if (kind == BLOB_KEY)
		rc = decode_key(o, &r, priv, e);
	else
		rc = decode_idem(o, &r, e);
	if (rc || !rd_end(&r)) {
		object_free(o);
		return err_set(e, ERR_STORE_DAMAGED, "a record has the wrong form");
	}
	*out = o;
	return 0;
}
