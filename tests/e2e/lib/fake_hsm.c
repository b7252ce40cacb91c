#include "e2e/lib/fake_hsm.h"

#include <stdio.h>
#include <string.h>

#include "base/enc.h"
#include "crypto/crypto.h"
#include "crypto/x25519.h"

bool fake_hsm_take(atomic_int *n)
{
	int v = atomic_load(n);

	while (v > 0)
		if (atomic_compare_exchange_weak(n, &v, v - 1))
			return true;
	return false;
}

static void say(struct fake_hsm *f, const char *to, const struct buf *b)
{
	(void)natsConnection_Send(conn_nats(f->conn), to, b->p, (int)b->len);
}

static void refuse(struct fake_hsm *f, const char *to, int code, const char *text)
{
	uint8_t mem[256];
	struct buf b;

	buf_fixed(&b, mem, sizeof(mem));
	session_refusal_put(&b, (uint16_t)code, text);
	say(f, to, &b);
}

static void on_open(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	struct fake_hsm *f = arg;
	const char *to = natsMsg_GetReply(m);
	const void *p = natsMsg_GetData(m);
	size_t n = (size_t)natsMsg_GetDataLength(m);
	struct fake_session *s;
	struct session_grant g = {.lifetime = f->lifetime, .max_message = f->max_message};
	bool other = atomic_load(&f->k.other_identity);
	uint8_t mem[256];
	struct noise st;
	struct buf b;

	(void)nc;
	(void)sub;
	atomic_fetch_add(&f->openings, 1);
	pthread_mutex_lock(&f->mu);
	s = &f->s[f->next % SESSIONS];
	buf_fixed(&b, mem, sizeof(mem));
	if (fake_hsm_take(&f->k.mute_open)) {
		;
	} else if (atomic_load(&f->k.refuse_open)) {
		refuse(f, to, atomic_load(&f->k.refuse_open), "the fake says no");
		if (fake_hsm_take(&f->k.refuse_count) && !atomic_load(&f->k.refuse_count))
			atomic_store(&f->k.refuse_open, 0);
	} else if (other) {
		/* One who does not have the identity's secret cannot read the opening. */
		crypto_random(mem, sizeof(mem));
		mem[0] = SESSION_VERSION;
		mem[1] = SESSION_SUITE;
		b.len = 2 + NOISE_MSG2 + 8 + INSTANCE_LEN + BOOT_ID_LEN + 8 + 1 + 4 + 4;
		say(f, to, &b);
	} else if (!session_accept_who(&st, f->secret, f->pub, p, n, NULL) &&
		   !session_accept_rest(&st, p, n, NULL)) {
		memset(s, 0, sizeof(*s));
		g.session = s->id = ++f->next;
		memcpy(g.instance, f->instance, INSTANCE_LEN);
		memcpy(g.boot_id, f->boot, BOOT_ID_LEN);
		g.epoch = atomic_load(&f->k.epoch);
		g.state = (uint8_t)atomic_load(&f->k.state);
		if (!session_grant_put(&st, &g, &b, &s->keys, NULL))
			say(f, to, &b);
	}
	pthread_mutex_unlock(&f->mu);
	natsMsg_Destroy(m);
}

/* Does the request: counts each idempotency id once. */
static void execute(struct fake_hsm *f, const struct request *q)
{
	static const uint8_t none[IDEM_LEN];
	unsigned n = atomic_load(&f->nidem);

	if (!memcmp(q->idem, none, IDEM_LEN))
		return;
	for (unsigned i = 0; i < n; i++)
		if (!memcmp(f->idem[i], q->idem, IDEM_LEN))
			return;
	memcpy(f->idem[n % IDEMS], q->idem, IDEM_LEN);
	atomic_store(&f->nidem, n + 1);
}

static void answer(struct fake_hsm *f, const char *to, struct fake_session *s, uint64_t counter,
		   const struct request *q)
{
	struct seal_head h = {SEAL_REPLY, s->id, counter};
	struct response r = {.state = (uint8_t)atomic_load(&f->k.state),
			     .mode = q->mode,
			     .epoch = atomic_load(&f->k.epoch),
			     .body = q->body};
	static uint8_t plain[65536], mem[sizeof(plain) + 128], text[sizeof(plain) - 128];
	struct buf p, b, own;

	buf_fixed(&p, plain, sizeof(plain));
	buf_fixed(&b, mem, sizeof(mem));
	if (fake_hsm_take(&f->k.busy)) {
		r.error = ERR_BUSY;
		r.body = (struct bytes){(const uint8_t *)"later", 5};
	} else {
		execute(f, q);
		buf_fixed(&own, text, sizeof(text));
		if (f->body) {
			f->body(f, q, &own);
			r.body = (struct bytes){own.p, own.len};
		}
	}
	if (fake_hsm_take(&f->k.lose))
		return;
	response_encode(&p, &r);
	seal_put(&b, s->keys.s2c, &h, p.p, p.len);
	if (fake_hsm_take(&f->k.swap)) {
		if (f->held_len) {
			struct buf held;

			buf_fixed(&held, f->held, f->held_len);
			held.len = f->held_len;
			say(f, f->held_reply, &b);
			say(f, to, &held);
			f->held_len = 0;
		} else {
			memcpy(f->held, b.p, b.len);
			f->held_len = b.len;
			(void)snprintf(f->held_reply, sizeof(f->held_reply), "%s", to);
		}
		return;
	}
	if (fake_hsm_take(&f->k.late)) {
		memcpy(f->held, b.p, b.len);
		f->held_len = b.len;
		(void)snprintf(f->held_reply, sizeof(f->held_reply), "%s", to);
		return;
	}
	say(f, to, &b);
	if (f->held_len) {
		buf_fixed(&p, f->held, f->held_len);
		p.len = f->held_len;
		say(f, f->held_reply, &p);
		f->held_len = 0;
	}
}

static void on_request(natsConnection *nc, natsSubscription *sub, natsMsg *m, void *arg)
{
	struct fake_hsm *f = arg;
	const char *to = natsMsg_GetReply(m);
	const void *p = natsMsg_GetData(m);
	size_t n = (size_t)natsMsg_GetDataLength(m);
	struct fake_session *s = NULL;
	uint8_t plain[65536];
	struct seal_head h;
	struct request q;

	(void)nc;
	(void)sub;
	atomic_fetch_add(&f->requests_seen, 1);
	if (fake_hsm_take(&f->k.mute)) {
		natsMsg_Destroy(m);
		return;
	}
	if (fake_hsm_take(&f->k.hint))
		refuse(f, to, atomic_load(&f->k.hint_code), "a stranger says no");
	if (fake_hsm_take(&f->k.hint_only)) {
		refuse(f, to, atomic_load(&f->k.hint_code), "a stranger says no");
		natsMsg_Destroy(m);
		return;
	}
	pthread_mutex_lock(&f->mu);
	if (!seal_head_get(&h, p, n, NULL))
		for (unsigned i = 0; i < SESSIONS; i++)
			if (f->s[i].id && f->s[i].id == h.session)
				s = &f->s[i];
	if (!s) {
		refuse(f, to, ERR_NO_SESSION, "no such session");
	} else if (n > sizeof(plain) || seal_open(s->keys.c2s, p, n, plain, NULL) ||
		   request_decode(&q, plain, n - SEAL_OVERHEAD, NULL)) {
		atomic_fetch_add(&f->forged_seen, 1);
		refuse(f, to, ERR_BAD_PROOF, "no proof");
	} else if (!replay_accept(&s->replay, h.counter)) {
		atomic_fetch_add(&f->forged_seen, 1);
		refuse(f, to, ERR_REPLAYED, "used before");
	} else {
		if (fake_hsm_take(&f->k.garbage)) {
			uint8_t junk[128];
			struct buf b;

			crypto_random(junk, sizeof(junk));
			memcpy(junk, p, SEAL_HEAD);
			junk[1] = SEAL_REPLY;
			buf_fixed(&b, junk, sizeof(junk));
			b.len = sizeof(junk);
			say(f, to, &b);
		}
		answer(f, to, s, h.counter, &q);
	}
	pthread_mutex_unlock(&f->mu);
	natsMsg_Destroy(m);
}

void fake_hsm_restart(struct fake_hsm *f)
{
	char subject[64], hex[ENC_HEX_LEN(INSTANCE_LEN)];

	natsSubscription_Destroy(f->requests);
	pthread_mutex_lock(&f->mu);
	memset(f->s, 0, sizeof(f->s));
	crypto_random(f->instance, sizeof(f->instance));
	crypto_random(f->boot, sizeof(f->boot));
	enc_hex(hex, f->instance, INSTANCE_LEN);
	pthread_mutex_unlock(&f->mu);
	(void)snprintf(subject, sizeof(subject), "hsm.i.%s.*", hex);
	(void)natsConnection_Subscribe(&f->requests, conn_nats(f->conn), subject, on_request, f);
	(void)natsConnection_Flush(conn_nats(f->conn));
}

int fake_hsm_start(struct fake_hsm *f, const char *url)
{
	struct conn_opts o = {.url = url, .quiet = true};
	char subject[80] = "hsm.open.";
	struct err e;

	pthread_mutex_init(&f->mu, NULL);
	f->lifetime = 3600;
	f->max_message = 4096;
	atomic_store(&f->k.epoch, 5);
	atomic_store(&f->k.state, STATE_OPERATIONAL);
	crypto_random(f->secret, 32);
	x25519_public(f->pub, f->secret);
	if (conn_open(&f->conn, &o, &e)) {
		printf("Bail out! %s\n", e.text);
		return -1;
	}
	nkey_encode(subject + 9, NKEY_CURVE, f->pub);
	(void)natsConnection_Subscribe(&f->open, conn_nats(f->conn), subject, on_open, f);
	fake_hsm_restart(f);
	return 0;
}

void fake_hsm_stop(struct fake_hsm *f)
{
	conn_close(f->conn);
	natsSubscription_Destroy(f->open);
	natsSubscription_Destroy(f->requests);
}
