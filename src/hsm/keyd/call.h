/* One request on its way through keyd: from a lane, perhaps through the slow and
 * the commit thread, to its reply. */
#ifndef HSM_KEYD_CALL_H
#define HSM_KEYD_CALL_H

#include "hsm/keyd/keyd.h"

enum surface { SURFACE_SERVICE = 0, SURFACE_SESSION = 1, SURFACE_PLAIN = 2 };

/* Where the reply goes and how it is sealed. */
struct reply_to {
	unsigned lane, generation;
	uint64_t tag;
	uint8_t surface;
	uint8_t key[32]; /* session: service-to-client key */
	struct seal_head head;
};

struct call {
	struct keyd *k;
	uint8_t surface;
	uint64_t session; /* 0 on the plain surface */
	uint8_t nkey[32]; /* the caller's */
	unsigned role;	  /* enum role, 0: unknown caller */
	uint8_t user_flags;
	char name[NAME_MAX_LEN]; /* the caller's user name, for the audit log */
	uint8_t name_len;
	const struct op_row *op;
	struct request q; /* points into the lane's or the job's bytes */
	uint8_t mode;	  /* mode that was used, for the reply */
	struct alg_thread *alg;
	bool durable; /* lane handler: must be replied to after its audit entry is durable */
};

/* A call that left its lane. */
struct job {
	struct job *next;
	struct call c;
	struct reply_to to;
	struct buf bytes; /* the request (secret) */
	struct buf result;
	/* what the slow half prepared */
	struct buf priv, pub; /* new key (secret) */
	unsigned bits;
	uint8_t pass_key[32]; /* key of a passphrase slot */
	uint8_t salt[VAULT_SALT];
	uint8_t domain[32]; /* unlock: what the slot held */
	struct err failed;  /* of the slow half; code 0: none */
	/* jobs of the service itself: run in place of a handler */
	void (*internal)(struct keyd *k, struct job *j);
};

/* How an operation is carried out: at once in the lane, or by the slow thread's and
 * the commit thread's halves. Result bytes go to out. */
struct handler {
	int (*lane)(struct call *c, struct buf *out, struct err *e);
	int (*slow)(struct job *j, struct err *e);
	int (*commit)(struct job *j, struct buf *out, struct err *e);
};

/* ops.c: the table; NULL for an operation that is not there. */
const struct handler *op_handler(enum op op);

/* Why a service that opens itself in a moment says BUSY instead of WRONG_STATE. */
#define CALL_STARTING "the service is starting: it unlocks itself"

/* Resolves the caller and makes the cheap refusals in order: operation, boot id,
 * user, state, role, surface, namespace, idempotency id. Reading lock held. */
int call_check(struct call *c, struct err *e);

/* lane.c: sends a response where it belongs. The lane variant appends to the lane's
 * out buffer; the other sends at once and drops replies for an earlier front. */
void reply_lane(struct lane *l, const struct reply_to *to, const struct response *s);
void reply_job(struct keyd *k, const struct reply_to *to, const struct response *s);

/* jobs.c */
int jobs_start(struct keyd *k, struct err *e);
/* Takes over a call: copies the request, queues it. Error BUSY when the queue is
 * full (or, for passphrases, when this caller has one under way already). */
int jobs_take(struct call *c, const struct reply_to *to, const void *request, size_t n,
	      struct err *e);
/* A job of the service itself, on the commit thread. */
void jobs_internal(struct keyd *k, void (*run)(struct keyd *, struct job *));
/* The same after the slow thread derived the stored passphrase's key (j->pass_key). */
void jobs_internal_slow(struct keyd *k, void (*run)(struct keyd *, struct job *));
void job_free(struct job *j);

/* For operations without a body. Errors: BAD_REQUEST. */
int call_no_body(const struct call *c, struct err *e);
/* Body of the list operations (PROTOCOL.md, lists): a page of the objects of a kind,
 * each as put writes it. Errors: those of list_query_get. */
int call_list(const struct call *c, enum blob_kind kind,
	      void (*put)(struct buf *out, const struct object *o), struct buf *out, struct err *e);

/* op_key.c: the key that a call names, if this surface may use it. Errors: BAD_NAME,
 * NOT_FOUND, NO_SUCH_VERSION, SESSION_ONLY. */
int key_of_call(const struct call *c, struct object **o, struct err *e);

/* op_*.c: handlers that the table names */
#define LANE(name) int name(struct call *c, struct buf *out, struct err *e)
#define SLOW(name) int name(struct job *j, struct err *e)
#define COMMIT(name) int name(struct job *j, struct buf *out, struct err *e)
LANE(lane_state);
LANE(lane_config_get);
LANE(lane_close);
LANE(lane_user_list);
LANE(lane_user_get);
LANE(lane_key_list);
LANE(lane_key_get);
LANE(lane_sign);
LANE(lane_verify);
LANE(lane_random);
LANE(lane_audit_head);
SLOW(slow_passphrase);
SLOW(slow_new_passphrase);
SLOW(slow_key_generate);
SLOW(slow_key_import);
COMMIT(commit_provision);
COMMIT(commit_unlock);
COMMIT(commit_accept_rollback);
COMMIT(commit_lock);
COMMIT(commit_config_set);
COMMIT(commit_user_add);
COMMIT(commit_user_remove);
COMMIT(commit_user_set);
COMMIT(commit_key_new);
COMMIT(commit_key_remove);
COMMIT(commit_key_set);
COMMIT(commit_sign);
COMMIT(commit_audit_read);
#undef LANE
#undef SLOW
#undef COMMIT

#endif
