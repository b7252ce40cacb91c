/* Plays everything around a real hsm-keyd without NATS: hsmd (control channel,
 * configuration, anchor), the front (lanes), a client (sessions), and watches every
 * byte that keyd gives away for secrets. One keyd at a time; TAP on stdout. Whatever
 * must work for a test to make sense ends the program when it does not. */
#ifndef E2E_HARNESS_H
#define E2E_HARNESS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "proto/body.h"
#include "proto/control.h"
#include "proto/mode.h"
#include "proto/op.h"
#include "proto/request.h"
#include "proto/session.h"
#include "proto/wire.h"

/* ---- TAP ---- */

void ok(bool good, const char *what, ...) __attribute__((format(printf, 2, 3)));
void note(const char *what, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void give_up(const char *what, ...) __attribute__((format(printf, 1, 2)));
/* Prints the plan; the exit status of main. */
int done_testing(void);
unsigned failures(void);
/* Monotonic milliseconds. */
uint64_t ticks(void);

/* ---- secrets that must not be seen ---- */

/* A name that is printed when it is seen, and the bytes (16 at least). Looked for raw,
 * in hex of both cases and in both base64 alphabets at every alignment. */
void secret_add(const char *name, const void *p, size_t n);
/* Looks through bytes that came out of keyd. */
void secret_scan(const char *where, const void *p, size_t n);
unsigned secrets_seen(void);
unsigned secrets_known(void);
uint64_t secrets_scanned(void); /* bytes */

/* ---- keyd and what surrounds it ---- */

#define LANES 4 /* lane 0 and three workers */

struct hsm {
	struct keyd_config cfg; /* what the next start gets */
	char bin[256];		/* directory of the executables */
	char log[64];		/* keyd's stderr */
	pid_t pid;
	int pidfd, control;
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct hello hello;
	unsigned hellos; /* W_STATUS that came */
	uint8_t anchor[ANCHOR_LEN];
	size_t anchor_len;
	bool anchor_fails;
	unsigned front_bad, store_bad, locked, unlocked;
	char why[128]; /* of the last FRONT_BAD or STORE_BAD */
	bool gone;     /* the control channel ended */
	/* Called (control thread) when keyd wants its store killed; NULL: nothing. */
	void (*store_bad_hook)(struct hsm *h);
};

/* One front: its ends of the lanes. */
struct front {
	struct hsm *h;
	int lane[LANES];
	struct wire_reader r[LANES];
	uint64_t tag;
};

/* Configuration with a fixed device key and one bootstrap administrator (admin). */
void hsm_init(struct hsm *h);
/* Starts hsm-keyd and sends its configuration. */
void hsm_start(struct hsm *h);
/* W_STOP, or SIGKILL; waits for its end. */
void hsm_stop(struct hsm *h);
void hsm_kill(struct hsm *h);
/* True while the process that was started is there. */
bool hsm_alive(const struct hsm *h);
/* The store's channel: keyd's end is given away. */
void hsm_give_store(struct hsm *h, int fd);
/* Waits until keyd reported a state (0: any) or a problem; false after ms. */
bool hsm_wait_state(struct hsm *h, unsigned state, int ms);
bool hsm_wait_problem(struct hsm *h, uint16_t problem, int ms);
/* Waits until a counter (of struct hsm) is at least n; false after ms. */
bool hsm_wait_count(struct hsm *h, const unsigned *count, unsigned n, int ms);
struct hello hsm_hello(struct hsm *h);
/* Looks for secrets in keyd's log. */
void hsm_scan_log(struct hsm *h);

/* The real hsm-store on a directory, attached; its process id. */
pid_t real_store_start(struct hsm *h, const char *dir);
/* Closes its channel by ending it; waits. */
void real_store_kill(pid_t pid);

/* ---- front ---- */

void front_attach(struct front *f, struct hsm *h);
void front_close(struct front *f);
/* Sends a well-formed message; the tag that was used. */
uint64_t front_send(struct front *f, unsigned lane, enum wire_type type, const void *p, size_t n);
/* Sends one packet as it is; false when the channel is closed. */
bool front_raw(struct front *f, unsigned lane, const void *p, size_t n);
/* Waits for the reply with a tag (0: any) and appends its body (u16 error, u8 mode, …)
 * to out. 1; 0 after ms; -1 when keyd closed the channel. */
int front_receive(struct front *f, unsigned lane, uint64_t tag, struct buf *out, int ms);
/* True when keyd closed the lane within ms; reads what still comes. */
bool front_closed(struct front *f, unsigned lane, int ms);

/* ---- clients ---- */

struct client {
	struct front *f;
	const char *name;
	uint8_t seed[32], nkey[32], secret[32]; /* Ed25519, X25519 */
	bool open;
	struct session_grant g;
	struct noise_keys keys;
	uint64_t counter;
};

/* What came back: error is the response's, or what stood outside of any session. */
struct answer {
	int error;   /* -1: nothing in time */
	bool sealed; /* the session vouches for it */
	uint8_t state, mode;
	uint64_t epoch;
	struct buf body;
};
void answer_free(struct answer *a);
static inline void cleanup_answer(struct answer *a)
{
	answer_free(a);
}

/* A client whose seed is made of its name; its secrets are watched for. */
void client_init(struct client *c, const char *name);
/* Opens a session on this front: 0, or the error (-1: no answer). */
int client_open(struct client *c, struct front *f);
/* Builds a request of this client with a fresh idempotency id where it needs one. */
struct request client_request(const struct client *c, enum op op, const char *key, const void *body,
			      size_t n);
/* Appends NKey and sealed request: the body of W_SEALED. */
void client_seal(struct client *c, const struct request *q, struct buf *out);
/* Opens what front_receive gave. */
void client_unseal(const struct client *c, const struct buf *reply, uint64_t counter,
		   struct answer *a);
/* Sends a request on a lane and waits for its answer; a->body is emptied first. The
 * result is a->error. */
int client_send(struct client *c, unsigned lane, const struct request *q, struct answer *a, int ms);
/* The same for the common case: lane 1, fresh idempotency id, 30 s. */
int client_call(struct client *c, enum op op, const char *key, const void *body, size_t n,
		struct answer *a);

/* Operations in short; results are error numbers. */
int do_passphrase(struct client *c, enum op op, const char *passphrase);
int do_user_add(struct client *c, const struct client *who, enum role role, uint8_t flags);
int do_key_generate(struct client *c, const char *name, enum key_type type, uint8_t flags,
		    enum audit_policy audit);
int do_key_import(struct client *c, const char *name, const uint8_t seed[static 32],
		  uint8_t pub[static 32]);
/* sig has 64 bytes; checked against pub when that is not NULL. */
int do_sign(struct client *c, unsigned lane, const char *key, const char *message,
	    const uint8_t *pub);

#define PASSPHRASE "correct horse battery staple"

#endif
