/* The scenes of the tests with a hostile store (a keyd with a history, and what its store
 * held at different times) and with a hostile front (users and keys). */
#ifndef E2E_SCENE_H
#define E2E_SCENE_H

#include "e2e/lib/harness.h"
#include "e2e/lib/store.h"

#define MESSAGE "message"

extern struct hsm h;
extern struct fake store;
extern struct front f;
extern struct client admin, alice, bob;
extern uint8_t k1_pub[32], alice_pub[32], plain_pub[32];

/* At the end (unattended boot is on); just provisioned; before carol and the key "gone"
 * were removed and k1 was changed; with an unattended slot that was replaced later. */
extern struct image last, early, middle, with_auto;
extern uint64_t last_epoch;

/* Ends the program when error is not 0. */
void must(int error, const char *what);
/* Provisions, makes the history, stops keyd. */
void set_scene(void);
void free_scene(void);
/* Starts keyd on a copy of data with an honest store; unlock: unattended boot counts. */
void start_on(const struct image *data, bool unlock);
void stop(void);
/* The anchor of the end, or none at all. */
void use_anchor(bool yes);
bool anchor_is_last(void);
/* A call of the administrator's that must succeed. */
void call(enum op op, const char *key, const void *body, size_t n);
/* Alice's signature with k1; 0 or the error. */
int sign(void);

/* For a hostile front: users admin, alice (sessions only) and bob (plain surface too);
 * keys closed (alice_pub), rsa, p256 (sessions only) and open (plain_pub). */
#define FRONT_MESSAGE "pay 10 to bob"
void set_front_scene(void);
/* A new front after keyd refused the old one, as hsmd would start it. */
void new_front(void);
/* A test: a good client is served, over the session it has and over a new one. */
void still_good(const char *after);
/* One message, and the error that stands outside of the seal (-1: no reply). *good: there
 * was none, so something was done. */
int ask(unsigned lane, enum wire_type type, const void *p, size_t n, bool *good);
/* The body of W_SEALED with a sign request. */
void sealed_sign(struct client *c, struct buf *b);

#endif
