/* The operations of the service as C functions over hsm_call, each one request.
 * Structures that are returned point into mem, a buffer of the caller that is reset
 * first. Errors: the service's and those of hsm_call. */
#ifndef CLIENT_HSM_OPS_H
#define CLIENT_HSM_OPS_H

#include <stdbool.h>

#include "base/secret.h"
#include "client/hsm.h"
#include "proto/body.h"
#include "proto/mode.h"

#define HSM_SIG_MAX RSA_MAX_BYTES
#define HSM_REPLY_MAX (1u << 20) /* bytes of one answer that the helpers take */

/* A lower epoch than seen before is not an error here: *epoch_back tells it. */
int hsm_state(struct hsm_client *c, struct buf *mem, struct state_info *s, bool *epoch_back,
	      struct err *e);
int hsm_provision(struct hsm_client *c, const struct secret *pass, struct err *e);
/* 0 also when a lost answer hides that an earlier try of this call unlocked. */
int hsm_unlock(struct hsm_client *c, const struct secret *pass, struct err *e);
int hsm_lock(struct hsm_client *c, struct err *e);
/* Accepts the store as it is and takes its epoch as the highest seen. */
int hsm_accept_rollback(struct hsm_client *c, const struct secret *pass, uint64_t *epoch,
			struct err *e);
int hsm_config_get(struct hsm_client *c, bool *unattended, struct err *e);
int hsm_config_set(struct hsm_client *c, bool unattended, struct err *e);

/* u->created is not sent. */
int hsm_user_add(struct hsm_client *c, const struct user_info *u, struct err *e);
int hsm_user_get(struct hsm_client *c, const char *name, struct buf *mem, struct user_info *u,
		 struct err *e);
int hsm_user_set(struct hsm_client *c, const char *name, uint8_t flags, struct err *e);
int hsm_user_remove(struct hsm_client *c, const char *name, struct err *e);

/* One page: *n items at *list (room for LIST_MAX), *more: ask again after the last. A list
 * that does not go on in the order of names is an error (BAD_REQUEST): it would never end. */
int hsm_user_list(struct hsm_client *c, const struct list_query *q, struct buf *mem,
		  struct user_info *list, size_t *n, bool *more, struct err *e);
int hsm_key_list(struct hsm_client *c, const struct list_query *q, struct buf *mem,
		 struct key_info *list, size_t *n, bool *more, struct err *e);

/* k->a, b, c empty: generate, else import. */
int hsm_key_new(struct hsm_client *c, const char *name, const struct key_new *k, struct buf *mem,
		struct key_info *info, struct err *e);
int hsm_key_get(struct hsm_client *c, const char *name, struct buf *mem, struct key_info *info,
		struct err *e);
int hsm_key_set(struct hsm_client *c, const char *name, uint8_t flags, uint8_t audit,
		struct err *e);
int hsm_key_remove(struct hsm_client *c, const char *name, struct err *e);

/* Raw signature (Ed25519 64, ECDSA r || s 64, RSA as long as its modulus); mode in:
 * enum sign_mode or MODE_DEFAULT, out: the one that was used. */
int hsm_sign(struct hsm_client *c, const char *key, uint8_t *mode, const void *m, size_t n,
	     uint8_t sig[static HSM_SIG_MAX], size_t *siglen, struct err *e);
/* 0, or NOT_VERIFIED and whatever else went wrong. */
int hsm_verify(struct hsm_client *c, const char *key, uint8_t mode, const void *m, size_t n,
	       const uint8_t *sig, size_t siglen, struct err *e);
/* n at most RANDOM_MAX. */
int hsm_random(struct hsm_client *c, uint8_t *out, size_t n, struct err *e);

int hsm_audit_head(struct hsm_client *c, struct audit_head *h, struct err *e);
/* Encoded entries from seq on: calls each(arg, bytes) in order, *n how many. */
int hsm_audit_read(struct hsm_client *c, uint64_t seq, uint32_t max,
		   int (*each)(void *arg, struct bytes entry, struct err *e), void *arg, size_t *n,
		   bool *more, struct err *e);

#endif
