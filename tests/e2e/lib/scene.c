#include "e2e/lib/scene.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

struct hsm h;
struct fake store;
struct front f;
struct client admin, alice, bob;
uint8_t k1_pub[32], alice_pub[32], plain_pub[32];
struct image last, early, middle, with_auto;
uint64_t last_epoch;
static uint8_t last_anchor[ANCHOR_LEN];
static size_t last_anchor_len;

void must(int error, const char *what)
{
	if (error)
		give_up("%s: error %d", what, error);
}

void start_on(const struct image *data, bool unlock)
{
	image_copy(&store.now, data);
	h.cfg.may_unlock = unlock;
	hsm_start(&h);
	store.evil = NULL;
	fake_attach(&store);
	front_attach(&f, &h);
}

void stop(void)
{
	hsm_stop(&h);
	fake_detach(&store);
	front_close(&f);
}

void call(enum op op, const char *key, const void *body, size_t n)
{
	struct answer a = {0};

	if (client_call(&admin, op, key, body, n, &a))
		give_up("%s: error %d", op_row(op)->name, a.error);
	answer_free(&a);
}

static uint64_t epoch_now(void)
{
	struct answer a = {0};

	must(client_call(&admin, OP_state, NULL, NULL, 0, &a), "state");
	answer_free(&a);
	return a.epoch;
}

int sign(void)
{
	return do_sign(&alice, 1, "k1", MESSAGE, k1_pub);
}

static void make_history(void)
{
	struct client carol;
	uint8_t seed[32];

	client_init(&carol, "carol");
	must(do_user_add(&admin, &alice, ROLE_OPERATOR, 0), "user alice");
	must(do_user_add(&admin, &carol, ROLE_ADMIN, 0), "user carol");
	crypto_random(seed, 32);
	must(do_key_import(&admin, "k1", seed, k1_pub), "key k1");
	must(do_key_generate(&admin, "k2", KEY_ED25519, 0, AUDIT_DURABLE), "key k2");
	must(do_key_generate(&admin, "gone", KEY_P256, 0, AUDIT_BATCHED), "key gone");
	call(OP_key_set, "k1", (uint8_t[]){KEYF_PLAIN, 0}, 2);
	fake_lock(&store);
	image_copy(&middle, &store.now);
	fake_unlock(&store);
	call(OP_config_set, NULL, (uint8_t[]){1}, 1);
	fake_lock(&store);
	image_copy(&with_auto, &store.now);
	fake_unlock(&store);
	call(OP_config_set, NULL, (uint8_t[]){0}, 1);
	call(OP_key_set, "k1", (uint8_t[]){0, 0}, 2);
	call(OP_key_remove, "gone", NULL, 0);
	call(OP_user_remove, NULL,
	     "\x05"
	     "carol",
	     6);
	call(OP_config_set, NULL, (uint8_t[]){1}, 1);
	must(client_open(&alice, &f), "alice's session");
	for (int i = 0; i < 5; i++) {
		must(sign(), "signature");
		must(do_sign(&alice, 1, "k2", MESSAGE, NULL), "durable signature");
	}
	last_epoch = epoch_now();
}

void set_scene(void)
{
	struct image none = {0};

	hsm_init(&h);
	fake_init(&store, &h);
	client_init(&admin, "admin");
	client_init(&alice, "alice");
	h.cfg.nbootstrap = 1;
	memcpy(h.cfg.bootstrap[0].nkey, admin.nkey, 32);
	memcpy(h.cfg.bootstrap[0].name, "admin", 6);
	start_on(&none, false);
	if (!hsm_wait_state(&h, STATE_UNPROVISIONED, 20000))
		give_up("keyd does not start");
	must(client_open(&admin, &f), "bootstrap session");
	must(do_passphrase(&admin, OP_provision, PASSPHRASE), "provision");
	fake_lock(&store);
	image_copy(&early, &store.now);
	fake_unlock(&store);
	make_history();
	fake_add_secrets(&store);
	stop();
	image_copy(&last, &store.now);
	memcpy(last_anchor, h.anchor, ANCHOR_LEN);
	last_anchor_len = h.anchor_len;
	note("%zu boot blobs, %zu records, %zu audit segments, epoch %llu",
	     image_count(&last, STORE_BOOT), image_count(&last, STORE_RECORD),
	     image_count(&last, STORE_AUDIT), (unsigned long long)last_epoch);
}

void use_anchor(bool yes)
{
	h.anchor_len = yes ? last_anchor_len : 0;
	memcpy(h.anchor, last_anchor, ANCHOR_LEN);
	h.cfg.has_anchor = yes;
}

bool anchor_is_last(void)
{
	return h.anchor_len == last_anchor_len && memcmp(h.anchor, last_anchor, ANCHOR_LEN) == 0;
}

void free_scene(void)
{
	image_free(&last);
	image_free(&early);
	image_free(&middle);
	image_free(&with_auto);
	fake_free(&store);
}

/* ---- for the tests with a hostile front ---- */

static void open_all(void)
{
	must(client_open(&admin, &f), "admin's session");
	must(client_open(&alice, &f), "alice's session");
	must(client_open(&bob, &f), "bob's session");
}

void set_front_scene(void)
{
	uint8_t seed[32];

	hsm_init(&h);
	fake_init(&store, &h);
	store.again = true;
	client_init(&admin, "admin");
	client_init(&alice, "alice");
	client_init(&bob, "bob");
	h.cfg.nbootstrap = 1;
	memcpy(h.cfg.bootstrap[0].nkey, admin.nkey, 32);
	memcpy(h.cfg.bootstrap[0].name, "admin", 6);
	hsm_start(&h);
	fake_attach(&store);
	if (!hsm_wait_state(&h, STATE_UNPROVISIONED, 20000))
		give_up("keyd does not start");
	front_attach(&f, &h);
	must(client_open(&admin, &f), "bootstrap session");
	must(do_passphrase(&admin, OP_provision, PASSPHRASE), "provision");
	must(do_user_add(&admin, &alice, ROLE_OPERATOR, 0), "user alice");
	/* Bob may use the plain surface; so may the key "open". */
	must(do_user_add(&admin, &bob, ROLE_OPERATOR, USER_PLAIN), "user bob");
	crypto_random(seed, 32);
	must(do_key_import(&admin, "closed", seed, alice_pub), "key closed");
	must(do_key_generate(&admin, "rsa", KEY_RSA, 0, AUDIT_BATCHED), "key rsa");
	must(do_key_generate(&admin, "p256", KEY_P256, 0, AUDIT_DURABLE), "key p256");
	crypto_random(seed, 32);
	must(do_key_import(&admin, "open", seed, plain_pub), "key open");
	must(client_call(&admin, OP_key_set, "open", (uint8_t[]){KEYF_PLAIN, 0}, 2,
			 &(struct answer){0}),
	     "key_set");
	fake_add_secrets(&store);
	open_all();
	must(do_sign(&alice, 1, "closed", FRONT_MESSAGE, alice_pub), "alice signs");
}

/* A new front after keyd refused the old one, as hsmd would start it. */
void new_front(void)
{
	front_close(&f);
	front_attach(&f, &h);
	admin.f = alice.f = bob.f = &f;
}

/* A good client is still served: over the session it has, and over a new one. */
void still_good(const char *after)
{
	struct client again = alice;
	bool old = do_sign(&alice, 2, "closed", FRONT_MESSAGE, alice_pub) == 0;
	bool fresh = client_open(&again, &f) == 0 &&
		     do_sign(&again, 3, "closed", FRONT_MESSAGE, alice_pub) == 0;

	if (again.open) {
		struct answer a = {0};

		client_call(&again, OP_close, NULL, NULL, 0, &a);
		answer_free(&a);
	}
	ok(old && fresh && hsm_alive(&h), "%s: keyd lives and serves a good client", after);
}

/* One message and what it is answered with: the number outside of the seal. *sealed:
 * something was sealed into a session. */
int ask(unsigned lane, enum wire_type type, const void *p, size_t n, bool *signature)
{
	uint64_t tag = front_send(&f, lane, type, p, n);
	struct buf b;
	int rc;

	buf_init(&b, WIRE_MESSAGE);
	rc = front_receive(&f, lane, tag, &b, 20000);
	*signature = rc == 1 && b.len >= 3 && le16_load(b.p) == 0;
	rc = rc == 1 && b.len >= 3 ? le16_load(b.p) : -1;
	buf_free(&b);
	return rc;
}

/* Bytes of W_SEALED with a sign request of alice. */
void sealed_sign(struct client *c, struct buf *b)
{
	struct request q =
		client_request(c, OP_sign, "closed", FRONT_MESSAGE, strlen(FRONT_MESSAGE));

	buf_reset(b);
	client_seal(c, &q, b);
}
