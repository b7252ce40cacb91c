/* Records in memory: users, keys, idempotency results, and the maps to find them.
 * Changed by the commit thread under state_write, read by lanes. */
#ifndef HSM_KEYD_OBJECT_H
#define HSM_KEYD_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "hsm/keyd/vault.h"
#include "proto/body.h"
#include "proto/op.h"
#include "proto/request.h"

struct alg_key;

struct user {
	uint8_t nkey[32], xkey[32]; /* Ed25519 and its X25519 form */
	uint8_t role, flags;
	uint64_t created;
};

struct key {
	uint32_t key_version;
	uint8_t type;
	uint16_t bits;
	uint32_t modes;
	uint8_t flags, audit;
	uint64_t created;
	uint8_t pub[4 + RSA_MAX_BYTES + 64];
	size_t pub_len;
	struct alg_key *loaded;
	/* The sealed private form is not kept: a changed record is sealed from
	 * `priv` that the commit thread reads back from the store's blob. */
};

struct idem {
	uint8_t nkey[32], idem[IDEM_LEN], digest[32]; /* whose, which, of what request */
	uint64_t created;
	uint8_t mode;
	size_t len;
	uint8_t *body; /* result, malloc'd */
};

struct object {
	enum blob_kind kind; /* BLOB_USER, BLOB_KEY or BLOB_IDEM */
	uint8_t id[VAULT_ID];
	uint64_t version; /* epoch at which it was written */
	uint8_t tag[16];  /* of its sealed blob */
	uint8_t ns_len, name_len;
	char ns[NAME_MAX_LEN], name[NAME_MAX_LEN];
	struct object *older, *newer; /* idem: by age */
	union {
		struct user user;
		struct key key;
		struct idem idem;
	};
};

/* Hash map from bytes inside the objects to objects. */
struct map {
	struct object **slot;
	size_t cap, used; /* cap is a power of two */
	uint8_t seed[16];
	struct bytes (*key_of)(const struct object *o, uint8_t scratch[static 260]);
};

struct objects {
	struct map by_name; /* users and keys: kind, namespace, name */
	struct map by_nkey; /* users */
	struct map by_xkey; /* users */
	struct map by_idem;
	struct object *oldest, *newest; /* idem */
	size_t users, keys, idems, admins;
};

int objects_init(struct objects *s, struct err *e);
/* Unloads and frees every object. */
void objects_free(struct objects *s);
/* Room for one more, so that objects_add cannot fail. Errors: NOMEM. */
int objects_reserve(struct objects *s, struct err *e);
void objects_add(struct objects *s, struct object *o);
/* Takes o out; does not free it. */
void objects_take(struct objects *s, struct object *o);
void object_free(struct object *o); /* unloads a key; NULL is fine */

struct object *find_user(const struct objects *s, struct bytes name);
struct object *find_key(const struct objects *s, struct bytes ns, struct bytes name);
struct object *find_user_nkey(const struct objects *s, const uint8_t nkey[static 32]);
struct object *find_user_xkey(const struct objects *s, const uint8_t xkey[static 32]);
struct object *find_idem(const struct objects *s, const uint8_t nkey[static 32],
			 const uint8_t idem[static IDEM_LEN]);
/* Sorted page of one kind: up to n objects whose name starts with prefix and comes
 * after `after`, in byte order. *more says whether there are further ones. */
size_t objects_page(const struct objects *s, enum blob_kind kind, struct bytes prefix,
		    struct bytes after, struct object **out, size_t n, bool *more);

static inline struct bytes object_name(const struct object *o)
{
	return (struct bytes){(const uint8_t *)o->name, o->name_len};
}
static inline struct bytes object_ns(const struct object *o)
{
	return (struct bytes){(const uint8_t *)o->ns, o->ns_len};
}

/* Record contents before sealing. priv is the key's private form (BLOB_KEY). */
void object_encode(struct buf *out, const struct object *o, struct bytes priv);
/* New object of a record; a key is not loaded yet, *priv points into p.
 * Errors: STORE_DAMAGED, NOMEM. */
int object_decode(struct object **out, enum blob_kind kind, const void *p, size_t n,
		  struct bytes *priv, struct err *e);

/* Renders for replies. */
void object_user_info(const struct object *o, struct user_info *u);
void object_key_info(const struct object *o, struct key_info *k);

#endif
