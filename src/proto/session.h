/* Sessions between a client and keyd: Noise_IK_25519_ChaChaPoly_SHA256 (Noise
 * Protocol Framework, revision 34) for the opening; after it, sealed messages
 * with explicit 64-bit counters and a sliding window, as in WireGuard.
 * Formats: docs/PROTOCOL.md, "Sessions". */
#ifndef PROTO_SESSION_H
#define PROTO_SESSION_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "proto/control.h"

#define SESSION_VERSION 1
#define SESSION_SUITE 1 /* 25519, ChaChaPoly, SHA256 */
#define NOISE_KEY 32
#define NOISE_TAG 16
#define NOISE_MSG1 (NOISE_KEY + NOISE_KEY + NOISE_TAG + NOISE_TAG) /* without payload */
#define NOISE_MSG2 (NOISE_KEY + NOISE_TAG)

/* ---- Noise IK ---- */

struct noise {
	uint8_t h[32], ck[32], k[32]; /* symmetric state; k is the cipher key */
	uint64_t n;
	uint8_t s[32], s_pub[32]; /* own static */
	uint8_t e[32], e_pub[32]; /* own ephemeral */
	uint8_t rs[32], re[32];	  /* theirs */
};

struct noise_keys {
	uint8_t c2s[32], s2c[32]; /* initiator to responder, and back */
};

/* Starts either role. s: own static secret; rs: responder's static public key
 * (initiator knows it; responder passes its own public key). eph: ephemeral
 * secret for tests, NULL: random. */
void noise_init(struct noise *st, const uint8_t s[static 32], const uint8_t resp_pub[static 32],
		const uint8_t *eph, const void *prologue, size_t prologue_len);
/* Initiator: writes message 1 (NOISE_MSG1 + n bytes) to out. Error BAD_PROOF for
 * a degenerate public key. */
int noise_write1(struct noise *st, struct buf *out, const void *payload, size_t n, struct err *e);
/* Responder, first half: one curve operation, gives the initiator's static key
 * (st->rs), so that strangers are refused cheaply. msg stays needed. */
int noise_read1_who(struct noise *st, const uint8_t *msg, size_t n, struct err *e);
/* Responder, second half: proves it; payload (n - NOISE_MSG1 bytes) to out. */
int noise_read1_rest(struct noise *st, const uint8_t *msg, size_t n, uint8_t *payload,
		     struct err *e);
/* Responder: message 2 and the transport keys; wipes st. */
int noise_write2(struct noise *st, struct buf *out, const void *payload, size_t n,
		 struct noise_keys *keys, struct err *e);
/* Initiator: reads message 2; payload (n - NOISE_MSG2 bytes) to out; wipes st. */
int noise_read2(struct noise *st, const uint8_t *msg, size_t n, uint8_t *payload,
		struct noise_keys *keys, struct err *e);

/* ---- Opening: NATS message on hsm.open.<X…> and its answer ---- */

/* u8 version, u8 suite, Noise message 1 (empty payload) */
#define OPEN_LEN (2 + NOISE_MSG1)

struct session_grant {
	uint64_t session;
	uint8_t instance[INSTANCE_LEN]; /* hex of it is the subject token */
	uint8_t boot_id[BOOT_ID_LEN];
	uint64_t epoch;
	uint8_t state;	      /* enum hsm_state */
	uint32_t lifetime;    /* seconds until the session is void */
	uint32_t max_message; /* largest request body in bytes */
};
/* Client: starts an opening; st is kept for session_opened. */
int session_open(struct noise *st, const uint8_t static_secret[static 32],
		 const uint8_t identity[static 32], struct buf *out, struct err *e);
/* Client: reads the answer. Errors: WRONG_IDENTITY when it does not prove the
 * identity; or the (forgeable) refusal that it carries. */
int session_opened(struct noise *st, const void *p, size_t n, struct session_grant *g,
		   struct noise_keys *keys, struct err *e);
/* Keyd: first and second half of reading an opening, as in noise_read1_*. */
int session_accept_who(struct noise *st, const uint8_t identity_secret[static 32],
		       const uint8_t identity[static 32], const void *p, size_t n, struct err *e);
int session_accept_rest(struct noise *st, const void *p, size_t n, struct err *e);
/* Keyd: writes the answer and gives the keys. */
int session_grant_put(struct noise *st, const struct session_grant *g, struct buf *out,
		      struct noise_keys *keys, struct err *e);
/* A refusal in place of an answer or a sealed reply: it can be forged, so
 * clients take it as a hint. u8 version, u8 0xff, u16 error, text. */
void session_refusal_put(struct buf *out, uint16_t error, const char *text);

/* ---- Sealed messages ---- */

#define SEAL_HEAD 18 /* u8 version, u8 kind, u64 session, u64 counter */
#define SEAL_OVERHEAD (SEAL_HEAD + NOISE_TAG)
enum seal_kind { SEAL_REQUEST = 1, SEAL_REPLY = 2 };

struct seal_head {
	uint8_t kind;
	uint64_t session, counter;
};
/* Appends head, ciphertext of plain[0..n) and tag. The reply to a request has the
 * request's counter: that binds it, and each counter is answered at most once. */
void seal_put(struct buf *out, const uint8_t key[static 32], const struct seal_head *h,
	      const void *plain, size_t n);
/* Seals in place: b holds SEAL_HEAD free bytes at `at`, then the plain text up to
 * b->len; head and tag are written around it. */
void seal_in_place(struct buf *b, size_t at, const uint8_t key[static 32],
		   const struct seal_head *h);
/* Reads the head only. Errors: BAD_FRAME, BAD_VERSION; a refusal gives its error. */
int seal_head_get(struct seal_head *h, const void *p, size_t n, struct err *e);
/* Opens: plain gets n - SEAL_OVERHEAD bytes. Error BAD_PROOF. */
int seal_open(const uint8_t key[static 32], const void *p, size_t n, uint8_t *plain, struct err *e);

/* ---- Replay window ---- */

#define REPLAY_BITS 8192 /* a counter up to this far behind the highest is accepted once */
struct replay {
	uint64_t top; /* highest accepted counter; counters start at 1 */
	uint64_t map[REPLAY_BITS / 64];
};
/* True (and marked) when the counter is new; call after the seal was opened. */
bool replay_accept(struct replay *r, uint64_t counter);

#endif
