/* Bodies of operations that carry more than raw bytes, one encode/decode pair
 * each; docs/PROTOCOL.md lists the rest. Decoders point into their input. */
#ifndef PROTO_BODY_H
#define PROTO_BODY_H

#include "base/buf.h"
#include "base/err.h"
#include "proto/control.h"

#define RANDOM_MAX 4096 /* bytes of one random request */
#define PASSPHRASE_MIN 10
#define PASSPHRASE_MAX 200
#define LIST_MAX 200 /* items of one page */
#define RSA_MAX_BYTES 512

enum user_flag { USER_PLAIN = 1 }; /* plain surface is open for this user */
enum key_flag { KEYF_PLAIN = 1 };  /* plain surface is open for this key */
enum audit_policy { AUDIT_BATCHED = 0, AUDIT_DURABLE = 1 };

struct user_info {
	struct bytes name;
	uint8_t nkey[32];
	uint8_t role;	  /* enum role */
	uint8_t flags;	  /* enum user_flag */
	uint64_t created; /* ms since 1970 */
};
void user_info_put(struct buf *out, const struct user_info *u);
/* Reads one from the cursor; errors: BAD_REQUEST. */
int user_info_get(struct user_info *u, struct rd *r, struct err *e);

struct key_info {
	struct bytes ns, name;
	uint32_t version;
	uint8_t type; /* enum key_type */
	uint16_t bits;
	uint32_t modes;	  /* MODE_BIT of each */
	uint8_t flags;	  /* enum key_flag */
	uint8_t audit;	  /* enum audit_policy */
	uint64_t created; /* ms since 1970 */
	/* Ed25519: 32 bytes; P-256: 04 x y (65); RSA: str16 n, str16 e (big-endian) */
	struct bytes pub;
};
void key_info_put(struct buf *out, const struct key_info *k);
int key_info_get(struct key_info *k, struct rd *r, struct err *e);

/* key_generate and key_import; the name is the request's key. */
struct key_new {
	uint8_t type;
	uint16_t bits;	/* RSA; 0: 2048 for generate, ignored by import */
	uint32_t modes; /* 0: all modes of the type that take a message */
	uint8_t flags, audit;
	/* import only; all big-endian. Ed25519: a = seed (32). P-256: a = scalar
	 * (32). RSA: a = public exponent, b and c = the primes. */
	struct bytes a, b, c;
};
void key_new_put(struct buf *out, const struct key_new *k);
int key_new_get(struct key_new *k, const void *p, size_t n, struct err *e);

/* user_list and key_list. */
struct list_query {
	struct bytes prefix, after; /* empty: all, from the start */
	uint16_t limit;		    /* 1..LIST_MAX */
};
void list_query_put(struct buf *out, const struct list_query *q);
int list_query_get(struct list_query *q, const void *p, size_t n, struct err *e);
/* Reply: u8 more, u16 n, then n of user_info or key_info. */

struct state_info {
	struct hello hello;
	struct bytes version; /* of the software */
	uint64_t uptime;      /* seconds */
	uint32_t sessions, users, keys;
	uint8_t anchors;      /* anchors configured (0 or 1 for now) */
	uint8_t anchors_held; /* of these, how many agree with the store */
	uint64_t anchor_epoch;
	uint8_t unattended; /* unattended boot is on */
	uint64_t audit_seq; /* entries written so far */
};
void state_info_put(struct buf *out, const struct state_info *s);
int state_info_get(struct state_info *s, const void *p, size_t n, struct err *e);

/* One audit entry. The chain: h[i] = SHA-256(h[i-1] || encoding), h[0] = zeros. */
struct audit_entry {
	uint64_t seq;	 /* 1, 2, 3, … */
	uint64_t time;	 /* ms since 1970 */
	uint8_t surface; /* 0 the service itself, 1 session, 2 plain */
	struct bytes user;
	uint16_t op;	/* enum op */
	uint16_t error; /* 0: done */
	struct bytes ns, key;
	uint32_t version;
	uint8_t mode;
	uint8_t digest[32]; /* SHA-256 of the request body; zeros where it holds a secret */
};
void audit_entry_put(struct buf *out, const struct audit_entry *a);
int audit_entry_get(struct audit_entry *a, const void *p, size_t n, struct err *e);

/* audit_head. sig covers SIGN_DOMAIN_AUDIT over everything before it. */
struct audit_head {
	uint64_t seq;	  /* last entry in the head */
	uint8_t hash[32]; /* chain value after it */
	uint64_t time, epoch;
	uint64_t base_seq; /* entries up to this one were rotated away */
	uint8_t base_hash[32];
	uint8_t audit_key[32]; /* Ed25519 public key */
	uint8_t sig[64];
};
/* The bytes that are signed, with their domain (FF 00 "signbox" type version). */
void audit_head_signed(struct buf *out, const struct audit_head *h);
void audit_head_put(struct buf *out, const struct audit_head *h);
int audit_head_get(struct audit_head *h, const void *p, size_t n, struct err *e);
/* audit_read: u64 first seq, u32 max bytes; reply: u8 more, u16 n, n x str16 entry. */

/* What an HSM key or a user's NKey signs outside of `sign` starts with these 9
 * bytes, then type and version: never a NATS nonce, never a caller's message. */
#define SIGN_DOMAIN "\xff\x00signbox"
#define SIGN_DOMAIN_LEN 9
enum sign_domain { SIGN_DOMAIN_AUDIT = 1 };

#endif
