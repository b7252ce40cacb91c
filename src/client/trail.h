/* Checking the audit log of an HSM: entries chain by SHA-256 from a base to a head that
 * the HSM's audit key has signed (proto/body.h, docs/PROTOCOL.md "Audit"). */
#ifndef CLIENT_TRAIL_H
#define CLIENT_TRAIL_H

#include <stdint.h>

#include "base/err.h"
#include "proto/body.h"

struct trail {
	uint64_t seq;	  /* last entry that was taken */
	uint8_t hash[32]; /* chain value after it */
};

/* Starts at the head's base. */
void trail_start(struct trail *t, const struct audit_head *h);
/* Takes the next entry in its encoding and decodes it into a, which points into the
 * bytes. Errors: STORE_DAMAGED: malformed, or not the next. */
int trail_add(struct trail *t, struct bytes entry, struct audit_entry *a, struct err *e);
/* The signature of the head by its own audit key, and that the key is key (NULL: any).
 * Errors: NOT_VERIFIED, WRONG_IDENTITY. */
int trail_head(const struct audit_head *h, const uint8_t *key, struct err *e);
/* The chain has arrived at the head. Errors: STORE_DAMAGED. */
int trail_end(const struct trail *t, const struct audit_head *h, struct err *e);

#endif
