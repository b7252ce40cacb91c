/* hsm-keyd: the process that owns keys, users, policy, sessions and audit.
 *
 * Threads: main (control channel to hsmd), lane 0 (session openings), lanes 1…
 * (requests), the slow thread (Argon2id, key generation), the commit thread (the
 * only one that changes shared state or writes to the store), the store reader.
 *
 * Shared state is read by a lane while it holds that lane's `reading` lock and
 * changed by the commit thread while it holds all of them (state_write): readers
 * never meet on one lock. Mutexes are not fair, and a lane with a full packet takes
 * its own again and again: others first take `gate` and raise `wanted`, and lanes that
 * see it wait at the gate (lane.c). */
#ifndef HSM_KEYD_KEYD_H
#define HSM_KEYD_KEYD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "hsm/keyd/object.h"
#include "hsm/keyd/vault.h"
#include "proto/body.h"
#include "proto/control.h"
#include "proto/op.h"
#include "proto/request.h"
#include "proto/session.h"
#include "proto/wire.h"

#define LANES_MAX 33

struct alg_thread;

/* One channel to the front and the thread that serves it. */
struct lane {
	unsigned index; /* 0: openings and hello */
	pthread_t thread;
	pthread_mutex_t reading; /* held while shared state is looked at */
	pthread_mutex_t sending; /* held while a message is sent, and while fd changes */
	pthread_cond_t changed;
	int fd;		     /* -1: no front */
	int next_fd;	     /* given by main, taken by the lane; -1: none */
	unsigned generation; /* of fd: replies for an earlier front are dropped */
	bool deaf;	     /* this front does not read: nothing is sent to it */
	struct alg_thread *alg;
	struct buf out;	  /* replies of the packet in work */
	struct buf plain; /* response before sealing (secret) */
	uint8_t *opened;  /* request after opening (secret), max_request bytes */
	struct buf audit; /* entries for the commit thread, under `reading` */
	unsigned audit_count;
	unsigned audit_refusals; /* since the commit thread came by */
};

struct root {
	uint64_t epoch;
	uint64_t mset[4]; /* sum of the records' terms, 256 bits */
	uint64_t records;
	uint64_t audit_seq; /* last entry */
	uint8_t audit_hash[32];
	uint64_t audit_segment; /* first sequence of the newest segment, 0: none */
	uint64_t base_seq;	/* entries up to here were rotated away */
	uint8_t base_hash[32];
	uint64_t audit_bytes;
	uint8_t boot_hash[32]; /* of the blobs in table BOOT other than the root */
	uint8_t unattended;
};

struct keyd {
	/* fixed after start */
	struct keyd_config cfg;
	uint8_t *device_key; /* secret_alloc'd, 32 */
	uint8_t *passphrase; /* stored unlock passphrase, secret_alloc'd; NULL: none */
	uint8_t boot_salt[VAULT_SALT];
	uint8_t instance[INSTANCE_LEN];
	uint8_t boot_id[BOOT_ID_LEN];
	uint64_t started;   /* monotonic ms */
	size_t max_request; /* bytes of an opened request */
	unsigned nlanes;
	struct lane lane[LANES_MAX];
	int control; /* channel to hsmd */
	pthread_mutex_t control_sending;

	pthread_mutex_t gate;
	_Atomic bool wanted; /* somebody with the gate waits for reading locks */

	/* shared state: see above */
	_Atomic unsigned state; /* enum hsm_state */
	_Atomic bool unlocking; /* locked for a moment only: a stored secret opens it */
	enum err_code problem;
	bool has_identity;
	uint8_t identity[32];
	uint8_t *identity_secret; /* secret_alloc'd, 32 */
	unsigned nbootstrap;
	struct bootstrap bootstrap[BOOTSTRAP_MAX];
	struct objects objects;
	struct vault vault; /* keys below the domain key; empty while locked */
	struct root root;
	uint64_t epoch_used; /* commit thread: highest that a store has seen */
	struct buf boot_blob, slot_pass, slot_auto; /* as in the store */
	uint8_t domain_id[16];
	bool provisioned;
	uint8_t root_tag[16]; /* of the sealed root */
	uint8_t anchor_tag[16];
	uint64_t anchor_epoch, anchor_audit; /* as last known durable */
	bool anchor_held;
	struct buf audit_carry; /* commit thread: entries that are not durable yet */
	unsigned audit_carried;
	size_t audit_taken; /* bytes of audit_carry in the transaction in work */
	unsigned audit_ntaken;
	_Atomic bool audit_stalled; /* the log cannot be written: nothing is signed */

	struct sessions *sessions;
	struct store *store;
	struct jobs *jobs;
	struct limits *limits;
};

/* Milliseconds since 1970 / since some start that never steps. */
uint64_t keyd_now(void);
uint64_t keyd_ticks(void);

/* Takes and gives back all lanes' reading locks. */
void state_write_begin(struct keyd *k);
void state_write_end(struct keyd *k);
/* Takes one lane's reading lock, for another thread than its own. */
void state_read_begin(struct keyd *k, struct lane *l);
void state_read_end(struct lane *l);

/* What front and hsmd are told about this keyd now. Caller holds a reading lock or
 * is the commit thread. */
void keyd_hello(struct keyd *k, struct hello *h);
/* Tells both; commit thread only. */
void keyd_announce(struct keyd *k);
/* One message to hsmd; failure ends the process (hsmd is gone). */
void keyd_tell(struct keyd *k, enum wire_type type, uint64_t tag, const void *p, size_t n);

/* Remembers what keeps the service from its work, for `state` and health. */
void keyd_problem(struct keyd *k, enum err_code code);

#endif
