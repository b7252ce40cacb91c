/* keyd's maps of records against a naive list, with many deletions (linear probing
 * moves what follows a gap), and the records' form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "hsm/keyd/object.h"

#define MANY 600

struct model {
	struct object *o[MANY];
	size_t n;
};

static struct object *make(enum blob_kind kind, unsigned i)
{
	struct object *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	o->kind = kind;
	o->name_len = (uint8_t)snprintf(o->name, sizeof(o->name), "%s%u", i % 3 ? "app." : "n", i);
	if (kind == BLOB_USER) {
		o->user.role = i % 5 ? ROLE_OPERATOR : ROLE_ADMIN;
		le32_store(o->user.nkey, i);
		le32_store(o->user.xkey + 4, i);
	} else if (kind == BLOB_IDEM) {
		le32_store(o->idem.nkey, i / 4);
		le32_store(o->idem.idem, i % 4);
		/* Neither unique nor in order. */
		o->idem.created = (i * 7919u) % 97;
		o->idem.body = malloc(1);
	}
	return o;
}

static struct object *find(const struct objects *s, const struct object *o)
{
	switch (o->kind) {
	case BLOB_USER:
		assert_ptr_equal(find_user(s, object_name(o)), find_user_nkey(s, o->user.nkey));
		assert_ptr_equal(find_user(s, object_name(o)), find_user_xkey(s, o->user.xkey));
		return find_user(s, object_name(o));
	case BLOB_KEY:
		return find_key(s, object_ns(o), object_name(o));
	default:
		return find_idem(s, o->idem.nkey, o->idem.idem);
	}
}

static void check_idem_order(const struct objects *s)
{
	const struct object *before = NULL;
	size_t n = 0;

	for (struct object *o = s->oldest; o; before = o, o = o->newer, n++) {
		assert_ptr_equal(o->older, before);
		if (before)
			assert_true(before->idem.created <= o->idem.created);
	}
	assert_ptr_equal(s->newest, before);
	assert_int_equal(n, s->idems);
}

static void check_counts(const struct objects *s, const struct model *m)
{
	size_t users = 0, keys = 0, idems = 0, admins = 0;

	for (size_t i = 0; i < m->n; i++) {
		users += m->o[i]->kind == BLOB_USER;
		keys += m->o[i]->kind == BLOB_KEY;
		idems += m->o[i]->kind == BLOB_IDEM;
		admins += m->o[i]->kind == BLOB_USER && m->o[i]->user.role == ROLE_ADMIN;
	}
	assert_int_equal(s->users, users);
	assert_int_equal(s->keys, keys);
	assert_int_equal(s->idems, idems);
	assert_int_equal(s->admins, admins);
}

static void check_all(const struct objects *s, const struct model *m, struct object *const *absent)
{
	for (size_t i = 0; i < m->n; i++)
		assert_ptr_equal(find(s, m->o[i]), m->o[i]);
	for (size_t i = 0; i < MANY; i++)
		if (absent[i])
			assert_null(find(s, absent[i]));
	check_counts(s, m);
	check_idem_order(s);
}

/* Objects wander between the set and a heap of absent ones. */
static void test_against_list(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 8; seed++) {
		static const enum blob_kind kinds[] = {BLOB_USER, BLOB_KEY, BLOB_IDEM};
		static struct object *absent[MANY];
		static struct model m;
		struct objects s;
		struct err e;

		srandom(seed);
		memset(&m, 0, sizeof(m));
		assert_int_equal(objects_init(&s, &e), 0);
		for (unsigned i = 0; i < MANY; i++)
			absent[i] = make(kinds[i % 3], i);
		for (int step = 0; step < 6000; step++) {
			size_t i = (size_t)random() % MANY;
			/* Grows, then shrinks, and again. */
			bool add = random() % 100 < (step / 1000 % 2 ? 35 : 65);

			if (add && absent[i]) {
				assert_int_equal(objects_reserve(&s, &e), 0);
				objects_add(&s, absent[i]);
				m.o[m.n++] = absent[i];
				absent[i] = NULL;
			} else if (!add && m.n) {
				size_t at = (size_t)random() % m.n;
				struct object *o = m.o[at];

				objects_take(&s, o);
				m.o[at] = m.o[--m.n];
				for (i = 0; absent[i]; i++)
					;
				absent[i] = o;
			}
			if (step % 50 == 0)
				check_all(&s, &m, absent);
		}
		check_all(&s, &m, absent);
		for (size_t i = 0; i < MANY; i++)
			object_free(absent[i]);
		objects_free(&s);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct object *const *x = a, *const *y = b;
	size_t nx = (*x)->name_len, ny = (*y)->name_len;
	int c = memcmp((*x)->name, (*y)->name, nx < ny ? nx : ny);

	return c ? c : (nx > ny) - (nx < ny);
}

static size_t naive_page(struct object **all, size_t n, struct bytes prefix, struct bytes after,
			 struct object **out, size_t limit, bool *more)
{
	size_t have = 0;

	*more = false;
	for (size_t i = 0; i < n; i++) {
		struct object key = {.name_len = (uint8_t)after.len};
		const struct object *k = &key;

		if (after.len)
			memcpy(key.name, after.p, after.len);
		if (all[i]->name_len < prefix.len ||
		    memcmp(all[i]->name, prefix.p, prefix.len) != 0)
			continue;
		if (after.len && by_name(&all[i], &k) <= 0)
			continue;
		if (have == limit) {
			*more = true;
			break;
		}
		out[have++] = all[i];
	}
	return have;
}

static void test_pages(void **state)
{
	static const char *const prefixes[] = {"", "a", "app.", "app.1", "n", "nothing"};
	struct object *keys[MANY], *got[LIST_MAX], *want[LIST_MAX];
	struct objects s;
	struct err e;

	(void)state;
	srandom(3);
	assert_int_equal(objects_init(&s, &e), 0);
	for (unsigned i = 0; i < MANY; i++) {
		keys[i] = make(BLOB_KEY, i);
		assert_int_equal(objects_reserve(&s, &e), 0);
		objects_add(&s, keys[i]);
		if (i % 4 == 0) {
			assert_int_equal(objects_reserve(&s, &e), 0);
			objects_add(&s, make(BLOB_USER, i)); /* same names, other kind */
		}
	}
	qsort(keys, MANY, sizeof(keys[0]), by_name);
	for (int round = 0; round < 800; round++) {
		const char *p = prefixes[random() % 6];
		struct bytes prefix = {(const uint8_t *)p, strlen(p)}, after = {NULL, 0};
		size_t limit = 1 + (size_t)random() % LIST_MAX;
		bool more_got, more_want;

		if (round % 3)
			after = object_name(keys[random() % MANY]);
		size_t n = objects_page(&s, BLOB_KEY, prefix, after, got, limit, &more_got);

		assert_int_equal(n, naive_page(keys, MANY, prefix, after, want, limit, &more_want));
		assert_int_equal(more_got, more_want);
		assert_memory_equal(got, want, n * sizeof(got[0]));
	}
	objects_free(&s);
}

/* Users and keys, names and namespaces, do not meet. */
static void test_names_apart(void **state)
{
	struct object *u = make(BLOB_USER, 1), *k = make(BLOB_KEY, 1), *n = make(BLOB_KEY, 1);
	struct bytes ab = {(const uint8_t *)"ab", 2}, a = {(const uint8_t *)"a", 1},
		     b = {(const uint8_t *)"b", 1}, none = {NULL, 0};
	struct objects s;
	struct err e;

	(void)state;
	assert_int_equal(objects_init(&s, &e), 0);
	u->name_len = k->name_len = 2;
	memcpy(u->name, "ab", 2);
	memcpy(k->name, "ab", 2);
	n->ns_len = n->name_len = 1;
	n->ns[0] = 'a';
	n->name[0] = 'b';
	objects_add(&s, u);
	objects_add(&s, k);
	objects_add(&s, n);
	assert_ptr_equal(find_user(&s, ab), u);
	assert_ptr_equal(find_key(&s, none, ab), k);
	assert_ptr_equal(find_key(&s, a, b), n);
	assert_null(find_key(&s, b, a));
	assert_null(find_user(&s, a));
	objects_free(&s);
}

/* ---- records ---- */

static void check_record(const struct object *o, struct bytes priv)
{
	struct object *back = NULL;
	struct bytes p = {NULL, 0};
	struct err e;
	struct buf b;

	buf_init(&b, 1 << 16);
	object_encode(&b, o, priv);
	assert_false(b.bad);
	assert_int_equal(object_decode(&back, o->kind, b.p, b.len, &p, &e), 0);
	assert_int_equal(back->kind, o->kind);
	assert_int_equal(back->name_len, o->kind == BLOB_IDEM ? 0 : o->name_len);
	if (o->kind == BLOB_KEY) {
		assert_int_equal(p.len, priv.len);
		assert_memory_equal(p.p, priv.p, p.len);
		assert_null(back->key.loaded);
		assert_int_equal(back->key.pub_len, o->key.pub_len);
	}
	object_free(back);
	for (size_t n = 0; n < b.len; n++) {
		uint8_t *exact = malloc(n + 1);

		assert_non_null(exact);
		memcpy(exact, b.p, n);
		e.code = ERR_OK;
		assert_int_equal(object_decode(&back, o->kind, exact, n, &p, &e), -1);
		assert_int_equal(e.code, ERR_STORE_DAMAGED);
		free(exact);
	}
	buf_u8(&b, 0);
	assert_int_equal(object_decode(&back, o->kind, b.p, b.len, &p, &e), -1);
	buf_free(&b);
}

static void test_records(void **state)
{
	struct bytes priv = {(const uint8_t *)"private form", 12};
	struct object *u = make(BLOB_USER, 1), *k = make(BLOB_KEY, 2), *i = make(BLOB_IDEM, 3);
	uint8_t sk[64], seed[32] = {9};

	(void)state;
	ed25519_keypair(u->user.nkey, sk, seed);
	k->key.type = 1;
	k->key.bits = 256;
	k->key.modes = 2;
	k->key.key_version = 1;
	k->key.pub_len = 32;
	k->key.loaded = NULL;
	i->idem.len = 1;
	i->idem.body[0] = 77;
	check_record(u, priv);
	check_record(k, priv);
	check_record(i, priv);
	object_free(u);
	object_free(k);
	object_free(i);
	object_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_list),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_names_apart),
		cmocka_unit_test(test_records),
	};

	if (crypto_init())
		return 1;
	return cmocka_run_group_tests_name("object", tests, NULL, NULL);
}
