#include "e2e/lib/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/spawn.h"
#include "hsm/keyd/object.h"
#include "hsm/keyd/vault.h"

/* ---- images ---- */

void image_free(struct image *i)
{
	for (size_t k = 0; k < i->n; k++)
		free(i->at[k].p);
	free(i->at);
	memset(i, 0, sizeof(*i));
}

static int compare(const struct item *a, uint8_t table, const uint8_t *key, size_t klen)
{
	size_t n = a->klen < klen ? a->klen : klen;
	int c;

	if (a->table != table)
		return a->table < table ? -1 : 1;
	c = n ? memcmp(a->key, key, n) : 0;
	return c ? c : (a->klen > klen) - (a->klen < klen);
}

/* Index of the first item that is not before the key. */
static size_t lower(const struct image *i, uint8_t table, const void *key, size_t klen)
{
	size_t lo = 0, hi = i->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (compare(&i->at[mid], table, key, klen) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct item *image_find(struct image *i, uint8_t table, const void *key, size_t klen)
{
	size_t k = lower(i, table, key, klen);

	return k < i->n && compare(&i->at[k], table, key, klen) == 0 ? &i->at[k] : NULL;
}

static uint8_t *copy_of(const void *p, size_t n)
{
	uint8_t *c = malloc(n + 1);

	if (!c)
		give_up("no memory");
	if (n)
		memcpy(c, p, n);
	return c;
}

void image_put(struct image *i, uint8_t table, const void *key, size_t klen, const void *p,
	       size_t n)
{
	size_t k = lower(i, table, key, klen);
	uint8_t *blob = copy_of(p, n);

	if (k < i->n && compare(&i->at[k], table, key, klen) == 0) {
		free(i->at[k].p);
	} else {
		if (i->n == i->cap) {
			i->cap = i->cap ? 2 * i->cap : 64;
			i->at = realloc(i->at, i->cap * sizeof(struct item));
			if (!i->at)
				give_up("no memory");
		}
		memmove(i->at + k + 1, i->at + k, (i->n - k) * sizeof(struct item));
		i->n++;
		memset(&i->at[k], 0, sizeof(struct item));
		i->at[k].table = table;
		i->at[k].klen = (uint8_t)klen;
		memcpy(i->at[k].key, key, klen);
	}
	i->at[k].p = blob;
	i->at[k].n = n;
}

void image_del(struct image *i, uint8_t table, const void *key, size_t klen)
{
	struct item *x = image_find(i, table, key, klen);

	if (!x)
		return;
	free(x->p);
	memmove(x, x + 1, (size_t)(i->at + i->n - x - 1) * sizeof(*x));
	i->n--;
}

void image_copy(struct image *to, const struct image *from)
{
	image_free(to);
	for (size_t k = 0; k < from->n; k++) {
		const struct item *x = &from->at[k];

		image_put(to, x->table, x->key, x->klen, x->p, x->n);
	}
}

struct item *image_boot(struct image *i, const char *name)
{
	return image_find(i, STORE_BOOT, name, strlen(name));
}

void image_put_boot(struct image *i, const char *name, struct image *from)
{
	struct item *x = image_boot(from, name);

	if (x)
		image_put(i, STORE_BOOT, name, 4, x->p, x->n);
	else
		image_del(i, STORE_BOOT, name, 4);
}

struct item *image_nth(struct image *i, uint8_t table, size_t nth)
{
	for (size_t k = 0; k < i->n; k++)
		if (i->at[k].table == table && nth-- == 0)
			return &i->at[k];
	return NULL;
}

size_t image_count(struct image *i, uint8_t table)
{
	size_t n = 0;

	while (image_nth(i, table, n))
		n++;
	return n;
}

/* ---- the store ---- */

void fake_reply(struct fake *s, enum wire_type type, uint64_t tag, uint16_t error, const void *p,
		size_t n)
{
	struct buf b;

	buf_init(&b, WIRE_MESSAGE);
	buf_u16(&b, error);
	buf_put(&b, p, n);
	wire_put(&s->out, type, tag, b.p, b.len);
	buf_free(&b);
}

void fake_apply(struct fake *s, const struct wire_msg *m)
{
	struct store_txn t;
	struct store_op op;
	struct err e;

	if (store_txn_open(&t, NULL, m->p, m->len, &e))
		give_up("keyd sent a malformed transaction");
	while (store_txn_next(&t, &op))
		if (op.kind == STORE_PUT)
			image_put(&s->now, op.table, op.key.p, op.key.len, op.blob.p, op.blob.len);
		else
			image_del(&s->now, op.table, op.key.p, op.key.len);
	s->txns++;
}

static void scan(struct fake *s, const struct store_query *q, uint64_t tag)
{
	size_t k = q->key.len ? lower(&s->now, q->table, q->key.p, q->key.len)
			      : lower(&s->now, q->table, "", 0);
	struct buf b, items;
	uint32_t n = 0;
	bool more = false;

	buf_init(&b, WIRE_MESSAGE);
	buf_init(&items, WIRE_MESSAGE);
	for (; k < s->now.n && s->now.at[k].table == q->table; k++) {
		const struct item *x = &s->now.at[k];

		if (compare(x, q->table, q->key.p, q->key.len) == 0)
			continue;
		if (n && items.len + x->n + x->klen > q->max) {
			more = true;
			break;
		}
		buf_str8(&items, x->key, x->klen);
		buf_str32(&items, x->p, x->n);
		n++;
	}
	buf_u8(&b, more);
	buf_u32(&b, n);
	buf_put(&b, items.p, items.len);
	fake_reply(s, W_ITEMS, tag, ERR_OK, b.p, b.len);
	buf_free(&items);
	buf_free(&b);
}

void fake_honest(struct fake *s, const struct wire_msg *m)
{
	struct store_query q;
	struct item *x;
	struct buf b;
	struct err e;

	switch (m->type) {
	case W_TXN:
		fake_apply(s, m);
		fake_reply(s, W_DONE, m->tag, ERR_OK, NULL, 0);
		return;
	case W_GET:
		if (store_query_get(&q, false, m->p, m->len, &e))
			give_up("keyd sent a malformed query");
		x = image_find(&s->now, q.table, q.key.p, q.key.len);
		buf_init(&b, WIRE_MESSAGE);
		if (x)
			buf_str32(&b, x->p, x->n);
		fake_reply(s, W_BLOB, m->tag, x ? ERR_OK : ERR_NOT_FOUND, b.p, b.len);
		buf_free(&b);
		return;
	case W_SCAN:
		if (store_query_get(&q, true, m->p, m->len, &e))
			give_up("keyd sent a malformed query");
		scan(s, &q, m->tag);
		return;
	default:
		give_up("keyd asked its store for %d", m->type);
	}
}

/* One request; false: the channel is to end. */
static bool request(struct fake *s, int fd, const struct wire_msg *m)
{
	struct buf out;
	struct err e;
	bool stay;

	fake_lock(s);
	if (!s->evil || !s->evil(s, m))
		fake_honest(s, m);
	stay = !s->hang_up;
	out = s->out;
	buf_init(&s->out, 8 * WIRE_MESSAGE);
	fake_unlock(s);
	if (stay && out.len)
		(void)wire_send(fd, &out, &e);
	buf_free(&out);
	return stay;
}

static void *serve(void *arg)
{
	struct fake *s = arg;
	struct wire_reader r;
	struct wire_msg m;
	struct err e;
	int fd = s->fd;

	if (wire_reader_init(&r, WIRE_MESSAGE, false, &e))
		give_up("no memory");
	while (wire_recv(&r, fd, NULL, NULL, &e) > 0) {
		secret_scan("store's channel", r.rd.p, r.rd.left);
		while (wire_next(&r, &m, &e) > 0)
			if (!request(s, fd, &m)) {
				shutdown(fd, SHUT_RDWR);
				break;
			}
	}
	wire_reader_free(&r);
	return NULL;
}

void fake_lock(struct fake *s)
{
	pthread_mutex_lock(&s->lock);
}

void fake_unlock(struct fake *s)
{
	pthread_mutex_unlock(&s->lock);
}

void fake_set(struct fake *s, bool (*evil)(struct fake *, const struct wire_msg *), int arg)
{
	fake_lock(s);
	s->evil = evil;
	s->arg = arg;
	s->step = 0;
	fake_unlock(s);
}

static struct fake *the_fake;
/* Attaching and detaching: the program's own, and hsmd's on the control thread. */
static pthread_mutex_t moving = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* As hsmd does: the process is killed, another one starts on the same data. */
static void killed(struct hsm *h)
{
	(void)h;
	pthread_mutex_lock(&moving);
	fake_detach(the_fake);
	if (the_fake->again) {
		fake_set(the_fake, NULL, 0);
		fake_attach(the_fake);
	}
	pthread_mutex_unlock(&moving);
}

void fake_init(struct fake *s, struct hsm *h)
{
	memset(s, 0, sizeof(*s));
	s->h = h;
	s->fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	buf_init(&s->out, 8 * WIRE_MESSAGE);
	the_fake = s;
	h->store_bad_hook = killed;
}

void fake_attach(struct fake *s)
{
	int pair[2];
	struct err e;

	pthread_mutex_lock(&moving);
	fake_detach(s);
	if (spawn_pair(pair, &e))
		give_up("%s", e.text);
	s->fd = pair[0];
	s->hang_up = false;
	s->step = 0;
	buf_reset(&s->out);
	if (!s->silent_start) {
		struct buf b;

		buf_init(&b, 4096);
		wire_put(&b, W_DONE, 0, "\0\0", 2);
		if (wire_send(s->fd, &b, &e))
			give_up("%s", e.text);
		buf_free(&b);
	}
	s->running = true;
	if (pthread_create(&s->thread, NULL, serve, s))
		give_up("no thread");
	hsm_give_store(s->h, pair[1]);
	pthread_mutex_unlock(&moving);
}

void fake_detach(struct fake *s)
{
	pthread_mutex_lock(&moving);
	if (s->running) {
		shutdown(s->fd, SHUT_RDWR);
		pthread_join(s->thread, NULL);
		close(s->fd);
		s->fd = -1;
		s->running = false;
	}
	pthread_mutex_unlock(&moving);
}

void fake_free(struct fake *s)
{
	fake_detach(s);
	image_free(&s->now);
	buf_free(&s->out);
}

/* ---- secrets below the device key and the passphrase ---- */

static void add_key(const struct object *o, struct bytes priv)
{
	char name[48];

	(void)snprintf(name, sizeof(name), "private key %.*s", o->name_len, o->name);
	if (o->key.type == KEY_RSA) {
		size_t w = o->key.bits / 8;

		secret_add(name, priv.p + 3 + w + 32, w);		  /* d */
		secret_add(name, priv.p + 3 + 2 * w + 32, w / 2);	  /* p */
		secret_add(name, priv.p + 3 + 2 * w + 32 + w / 2, w / 2); /* q */
	} else {
		secret_add(name, priv.p + 1, 32);
	}
}

static void add_records(struct fake *s, const struct vault *v)
{
	struct item *x;
	struct buf plain;

	buf_init(&plain, 1u << 20);
	for (size_t k = 0; (x = image_nth(&s->now, STORE_RECORD, k)); k++) {
		struct bytes priv = {NULL, 0};
		struct object *o = NULL;
		uint64_t version;
		struct err e;

		if (x->p[1] != BLOB_KEY)
			continue;
		buf_reset(&plain);
		if (vault_unseal(&plain, vault_seal_key(v), BLOB_KEY, x->key, &version, x->p, x->n,
				 &e) ||
		    object_decode(&o, BLOB_KEY, plain.p, plain.len, &priv, &e))
			give_up("record: %s", e.text);
		add_key(o, priv);
		object_free(o);
	}
	buf_free(&plain);
}

void fake_add_secrets(struct fake *s)
{
	uint8_t slot_id[VAULT_ID] = "slot", boot_id[VAULT_ID] = "boot", key[32];
	struct vault v = {0};
	uint64_t version;
	struct item *x;
	struct buf b;
	struct err e;

	fake_lock(s);
	buf_init(&b, 1u << 16);
	x = image_boot(&s->now, "pass");
	if (!x ||
	    vault_pass_key(key, s->h->cfg.device_key, x->p, PASSPHRASE, strlen(PASSPHRASE), &e) ||
	    vault_unseal(&b, key, BLOB_SLOT_PASS, slot_id, &version, x->p + VAULT_SALT,
			 x->n - VAULT_SALT, &e) ||
	    vault_open(&v, b.p, &e))
		give_up("the passphrase slot does not open");
	secret_add("key of the passphrase slot", key, 32);
	for (int i = 0; i < VAULT_KEYS - 32; i += 32)
		secret_add("domain key or subkey", v.keys + i, 32);
	add_records(s, &v);
	vault_close(&v);
	buf_reset(&b);
	x = image_boot(&s->now, "boot");
	vault_device_key(key, s->h->cfg.device_key, "signbox boot record");
	if (!x || vault_unseal(&b, key, BLOB_BOOT, boot_id, &version, x->p, x->n, &e))
		give_up("the boot record does not open");
	secret_add("subkey of the device key", key, 32);
	secret_add("identity secret", b.p + 2 + 16, 32);
	buf_free(&b);
	fake_unlock(s);
}
