/* The front's ends of the lanes, and clients behind it. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/spawn.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"
#include "e2e/lib/harness.h"

#define CALL_MS 45000

void front_attach(struct front *f, struct hsm *h)
{
	int theirs[LANES];
	struct err e;

	memset(f, 0, sizeof(*f));
	f->h = h;
	for (int i = 0; i < LANES; i++) {
		int pair[2];

		if (spawn_pair(pair, &e) || wire_reader_init(&f->r[i], WIRE_MESSAGE, false, &e))
			give_up("%s", e.text);
		f->lane[i] = pair[0];
		theirs[i] = pair[1];
	}
	if (wire_send_fds(h->control, W_FRONT, 0, NULL, 0, theirs, LANES, &e))
		note("keyd does not take a front: %s", e.text);
	for (int i = 0; i < LANES; i++)
		close(theirs[i]);
}

void front_close(struct front *f)
{
	for (int i = 0; i < LANES; i++) {
		close(f->lane[i]);
		wire_reader_free(&f->r[i]);
	}
}

uint64_t front_send(struct front *f, unsigned lane, enum wire_type type, const void *p, size_t n)
{
	struct buf b;
	struct err e;

	buf_init(&b, 2 * WIRE_MESSAGE);
	wire_put(&b, type, ++f->tag, p, n);
	/* A closed channel is found by whoever waits for the reply. */
	(void)wire_send(f->lane[lane], &b, &e);
	buf_free(&b);
	return f->tag;
}

bool front_raw(struct front *f, unsigned lane, const void *p, size_t n)
{
	return send(f->lane[lane], p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* 1: packet received; 0: none in time; -1: closed. */
static int next_packet(struct front *f, unsigned lane, uint64_t until)
{
	struct pollfd pf = {.fd = f->lane[lane], .events = POLLIN};
	uint64_t now = ticks();
	struct err e;

	if (poll(&pf, 1, now < until ? (int)(until - now) : 0) <= 0)
		return 0;
	if (wire_recv(&f->r[lane], f->lane[lane], NULL, NULL, &e) <= 0)
		return -1;
	secret_scan("lane", f->r[lane].rd.p, f->r[lane].rd.left);
	return 1;
}

int front_receive(struct front *f, unsigned lane, uint64_t tag, struct buf *out, int ms)
{
	uint64_t until = ticks() + (uint64_t)ms;
	struct wire_msg m;
	struct err e;
	int rc;

	for (;;) {
		while ((rc = wire_next(&f->r[lane], &m, &e)) > 0) {
			if (m.type != W_REPLY || (tag && m.tag != tag))
				continue;
			buf_put(out, m.p, m.len);
			return 1;
		}
		if (rc < 0)
			give_up("keyd sent a malformed frame: %s", e.text);
		rc = next_packet(f, lane, until);
		if (rc <= 0)
			return rc;
	}
}

bool front_closed(struct front *f, unsigned lane, int ms)
{
	uint64_t until = ticks() + (uint64_t)ms;
	struct wire_msg m;
	struct err e;
	int rc;

	do {
		while ((rc = wire_next(&f->r[lane], &m, &e)) > 0)
			;
		if (rc < 0)
			give_up("keyd sent a malformed frame: %s", e.text);
		rc = next_packet(f, lane, until);
	} while (rc > 0);
	return rc < 0;
}

/* ---- clients ---- */

void answer_free(struct answer *a)
{
	buf_free(&a->body);
}

void client_init(struct client *c, const char *name)
{
	uint8_t sk[64];

	memset(c, 0, sizeof(*c));
	c->name = name;
	sha256(c->seed, name, strlen(name));
	ed25519_keypair(c->nkey, sk, c->seed);
	ed25519_to_x25519_secret(c->secret, c->seed);
	secret_add(name, c->seed, 32);
	secret_add(name, c->secret, 32);
}

int client_open(struct client *c, struct front *f)
{
	struct hello h = hsm_hello(f->h);
	struct err e = {0};
	struct noise st;
	struct buf b;
	uint64_t tag;
	int rc;

	c->f = f;
	c->open = false;
	c->counter = 0;
	buf_init(&b, 4096);
	if (session_open(&st, c->secret, h.identity, &b, &e))
		give_up("opening: %s", e.text);
	tag = front_send(f, 0, W_OPEN, b.p, b.len);
	buf_reset(&b);
	rc = front_receive(f, 0, tag, &b, 60000);
	if (rc != 1 || b.len < 3) {
		buf_free(&b);
		return -1;
	}
	rc = le16_load(b.p);
	if (rc == 0 && session_opened(&st, b.p + 3, b.len - 3, &c->g, &c->keys, &e))
		rc = (int)e.code;
	buf_free(&b);
	c->open = rc == 0;
	return rc;
}

struct request client_request(const struct client *c, enum op op, const char *key, const void *body,
			      size_t n)
{
	struct request q = {.cred = CRED_NKEY, .op = (uint16_t)op, .body = {body, n}};

	memcpy(q.boot_id, c->g.boot_id, BOOT_ID_LEN);
	if (op_row(op) && (op_row(op)->flags & OPF_MUTATES))
		crypto_random(q.idem, IDEM_LEN);
	if (key)
		q.key = (struct bytes){(const uint8_t *)key, strlen(key)};
	return q;
}

void client_seal(struct client *c, const struct request *q, struct buf *out)
{
	struct seal_head h = {SEAL_REQUEST, c->g.session, ++c->counter};
	struct buf plain;

	buf_init(&plain, WIRE_MESSAGE);
	request_encode(&plain, q);
	buf_put(out, c->nkey, 32);
	seal_put(out, c->keys.c2s, &h, plain.p, plain.len);
	buf_free(&plain);
}

void client_unseal(const struct client *c, const struct buf *reply, uint64_t counter,
		   struct answer *a)
{
	struct seal_head h;
	struct response s;
	struct err e;
	uint8_t *plain;

	buf_reset(&a->body);
	a->sealed = false;
	a->error = reply->len < 3 ? -1 : le16_load(reply->p);
	if (a->error)
		return;
	if (seal_head_get(&h, reply->p + 3, reply->len - 3, &e) || h.kind != SEAL_REPLY ||
	    h.counter != counter)
		give_up("a reply that is not sealed for its request");
	plain = malloc(reply->len);
	if (!plain || seal_open(c->keys.s2c, reply->p + 3, reply->len - 3, plain, &e) ||
	    response_decode(&s, plain, reply->len - 3 - SEAL_OVERHEAD, &e))
		give_up("a sealed reply does not open: %s", e.text);
	a->sealed = true;
	a->error = s.error;
	a->state = s.state;
	a->mode = s.mode;
	a->epoch = s.epoch;
	buf_put(&a->body, s.body.p, s.body.len);
	free(plain);
}

int client_send(struct client *c, unsigned lane, const struct request *q, struct answer *a, int ms)
{
	struct buf b;
	uint64_t tag;
	int rc;

	if (a->body.max == 0)
		buf_init(&a->body, WIRE_MESSAGE);
	buf_init(&b, WIRE_MESSAGE);
	client_seal(c, q, &b);
	tag = front_send(c->f, lane, W_SEALED, b.p, b.len);
	buf_reset(&b);
	rc = front_receive(c->f, lane, tag, &b, ms);
	if (rc == 1) {
		client_unseal(c, &b, c->counter, a);
	} else {
		a->error = -1;
		a->sealed = false;
	}
	buf_free(&b);
	return a->error;
}

int client_call(struct client *c, enum op op, const char *key, const void *body, size_t n,
		struct answer *a)
{
	struct request q = client_request(c, op, key, body, n);

	return client_send(c, 1, &q, a, CALL_MS);
}

/* ---- operations in short ---- */

/* Sends b and frees it. */
static int quick(struct client *c, enum op op, const char *key, struct buf *b)
{
	struct answer a = {0};
	int rc = client_call(c, op, key, b->p, b->len, &a);

	buf_free(b);
	answer_free(&a);
	return rc;
}

int do_passphrase(struct client *c, enum op op, const char *passphrase)
{
	struct buf b;

	buf_init(&b, 1024);
	buf_str16(&b, passphrase, strlen(passphrase));
	return quick(c, op, NULL, &b);
}

int do_user_add(struct client *c, const struct client *who, enum role role, uint8_t flags)
{
	struct user_info u = {.name = {(const uint8_t *)who->name, strlen(who->name)},
			      .role = (uint8_t)role,
			      .flags = flags};
	struct buf b;

	memcpy(u.nkey, who->nkey, 32);
	buf_init(&b, 1024);
	user_info_put(&b, &u);
	return quick(c, OP_user_add, NULL, &b);
}

int do_key_generate(struct client *c, const char *name, enum key_type type, uint8_t flags,
		    enum audit_policy audit)
{
	struct key_new k = {.type = (uint8_t)type, .flags = flags, .audit = (uint8_t)audit};
	struct buf b;

	buf_init(&b, 1024);
	key_new_put(&b, &k);
	return quick(c, OP_key_generate, name, &b);
}

int do_key_import(struct client *c, const char *name, const uint8_t seed[static 32],
		  uint8_t pub[static 32])
{
	struct key_new k = {.type = KEY_ED25519, .a = {seed, 32}};
	uint8_t sk[64];
	struct buf b;

	ed25519_keypair(pub, sk, seed);
	secret_add(name, seed, 32);
	buf_init(&b, 1024);
	key_new_put(&b, &k);
	return quick(c, OP_key_import, name, &b);
}

int do_sign(struct client *c, unsigned lane, const char *key, const char *message,
	    const uint8_t *pub)
{
	struct request q = client_request(c, OP_sign, key, message, strlen(message));
	struct answer a = {0};
	int rc = client_send(c, lane, &q, &a, CALL_MS);

	if (rc == 0 && pub &&
	    (a.body.len != 64 || ed25519_verify(a.body.p, message, strlen(message), pub, NULL))) {
		note("a signature does not verify");
		rc = ERR_NOT_VERIFIED;
	}
	answer_free(&a);
	return rc;
}
