/* A store inside the test program: tables in memory that can be copied, compared and
 * changed behind keyd's back, and a hook that answers requests as it likes. */
#ifndef E2E_STORE_H
#define E2E_STORE_H

#include "e2e/lib/harness.h"
#include "proto/store.h"

struct item {
	uint8_t table, klen;
	uint8_t key[STORE_KEY_MAX];
	uint8_t *p;
	size_t n;
};

/* What a store holds, in order of table and key. */
struct image {
	struct item *at;
	size_t n, cap;
};

void image_free(struct image *i);
/* to is emptied first. */
void image_copy(struct image *to, const struct image *from);
struct item *image_find(struct image *i, uint8_t table, const void *key, size_t klen);
void image_put(struct image *i, uint8_t table, const void *key, size_t klen, const void *p,
	       size_t n);
void image_del(struct image *i, uint8_t table, const void *key, size_t klen);
struct item *image_boot(struct image *i, const char *name);
/* The blob of table BOOT as another image has it, which may be not at all. */
void image_put_boot(struct image *i, const char *name, struct image *from);
/* The nth item of a table; NULL past its end. */
struct item *image_nth(struct image *i, uint8_t table, size_t nth);
size_t image_count(struct image *i, uint8_t table);

struct fake {
	struct hsm *h;
	pthread_t thread;
	int fd;
	bool running;
	pthread_mutex_t lock; /* guards what follows; the hook runs under it */
	struct image now;
	unsigned txns;
	struct buf out; /* fragments that leave after the hook */
	/* Asked for each request before the honest answer; true: that was all. */
	bool (*evil)(struct fake *s, const struct wire_msg *m);
	int step;     /* the hook's own */
	int arg;      /* the scenario's own */
	bool hang_up; /* set by the hook: the channel ends, unsent replies with it */
	bool silent_start;
	bool again; /* keyd called it bad: an honest process follows with the same data */
};

void fake_init(struct fake *s, struct hsm *h);
/* A new store process on this data: honest unless evil is set. */
void fake_attach(struct fake *s);
/* Its channel ends. */
void fake_detach(struct fake *s);
void fake_free(struct fake *s);
/* Under the lock, from hooks: what an honest store does. */
void fake_apply(struct fake *s, const struct wire_msg *m);
void fake_honest(struct fake *s, const struct wire_msg *m);
/* Appends a reply: u16 error, body. */
void fake_reply(struct fake *s, enum wire_type type, uint64_t tag, uint16_t error, const void *p,
		size_t n);
void fake_lock(struct fake *s);
void fake_unlock(struct fake *s);
void fake_set(struct fake *s, bool (*evil)(struct fake *, const struct wire_msg *), int arg);

/* Opens the store with what the test knows (device key, PASSPHRASE) and adds what lies
 * below to the secrets: domain key, subkeys, identity, private forms of keys. */
void fake_add_secrets(struct fake *s);

#endif
