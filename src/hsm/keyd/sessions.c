#include "hsm/keyd/sessions.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "hsm/keyd/call.h"

struct slot {
	pthread_mutex_t lock;
	uint64_t id; /* 0: free */
	uint8_t nkey[32];
	struct noise_keys keys;
	uint64_t opened, used; /* ticks */
	bool confirmed;	       /* a sealed request came: it counts against the cap */
	struct replay replay;
};

/* An id is random; its low bits are the slot's index, so that it is found at once. */
struct sessions {
	struct slot slot[SESSIONS_MAX];
	unsigned next; /* lane 0: where to look for a free slot first */
};
_Static_assert((SESSIONS_MAX & (SESSIONS_MAX - 1)) == 0, "a slot index is low bits");

int sessions_new(struct sessions **out, struct err *e)
{
	struct sessions *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(e, ERR_NOMEM, NULL);
	for (unsigned i = 0; i < SESSIONS_MAX; i++)
		pthread_mutex_init(&s->slot[i].lock, NULL);
	*out = s;
	return 0;
}

/* Not the lock: it may be waited for. */
static void wipe(struct slot *s)
{
	secret_wipe(&s->keys, sizeof(s->keys));
	memset(&s->replay, 0, sizeof(s->replay));
	s->id = 0;
	s->confirmed = false;
}

static bool expired(const struct slot *s, uint64_t now)
{
	return now - s->opened >= SESSION_LIFETIME * UINT64_C(1000);
}

/* A slot that is free or may be taken, locked; NULL when all are in use. When there is
 * no free one, the oldest opening that no request followed makes room: else one
 * opening, sent again and again, would keep everybody out. */
static struct slot *claim(struct sessions *t, uint64_t now)
{
	struct slot *oldest = NULL;
	uint64_t since = UINT64_MAX;

	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct slot *s = &t->slot[t->next++ % SESSIONS_MAX];

		pthread_mutex_lock(&s->lock);
		if (s->id == 0 || expired(s, now)) {
			wipe(s);
			return s;
		}
		if (!s->confirmed && s->opened < since) {
			oldest = s;
			since = s->opened;
		}
		pthread_mutex_unlock(&s->lock);
	}
	if (!oldest)
		return NULL;
	pthread_mutex_lock(&oldest->lock);
	/* It may have been used just now: then this opening is one too many. */
	if (!oldest->confirmed || oldest->id == 0) {
		wipe(oldest);
		return oldest;
	}
	pthread_mutex_unlock(&oldest->lock);
	return NULL;
}

/* Whose static key it is: users after unlock, bootstrap administrators before. */
static const uint8_t *nkey_of(struct keyd *k, const uint8_t xkey[static 32])
{
	if (k->state == STATE_OPERATIONAL) {
		struct object *o = find_user_xkey(&k->objects, xkey);

		return o ? o->user.nkey : NULL;
	}
	for (unsigned i = 0; i < k->nbootstrap; i++) {
		uint8_t x[32];

		if (ed25519_to_x25519_public(x, k->bootstrap[i].nkey) == 0 &&
		    memcmp(x, xkey, 32) == 0)
			return k->bootstrap[i].nkey;
	}
	return NULL;
}

int sessions_open(struct keyd *k, const void *msg, size_t n, struct buf *out, struct err *e)
{
	struct session_grant g = {.epoch = k->root.epoch,
				  .state = (uint8_t)k->state,
				  .lifetime = SESSION_LIFETIME,
				  .max_message = k->cfg.max_message};
	uint64_t now = keyd_ticks();
	struct noise st;
	int rc;

	if (!k->has_identity)
		return err_set(e, ERR_UNAVAILABLE, NULL);
	rc = session_accept_who(&st, k->identity_secret, k->identity, msg, n, e);
	/* One curve operation is spent; strangers cost no more than that. */
	const uint8_t *nkey = rc ? NULL : nkey_of(k, st.rs);

	if (!rc && !nkey && k->state == STATE_OPERATIONAL)
		rc = err_set(e, ERR_UNKNOWN_USER, NULL);
	else if (!rc && !nkey && k->unlocking)
		rc = err_set(e, ERR_BUSY, CALL_STARTING);
	else if (!rc && !nkey)
		rc = err_set(e, ERR_WRONG_STATE, "%s: only bootstrap administrators are known",
			     hsm_state_text(k->state));
	if (rc || session_accept_rest(&st, msg, n, e)) {
		secret_wipe(&st, sizeof(st));
		return -1;
	}
	struct slot *s = claim(k->sessions, now);

	if (!s) {
		secret_wipe(&st, sizeof(st));
		return err_set(e, ERR_BUSY, "all sessions are in use");
	}
	do {
		crypto_random(&g.session, sizeof(g.session));
		g.session &= ~(uint64_t)(SESSIONS_MAX - 1);
	} while (g.session == 0);
	g.session |= (uint64_t)(s - k->sessions->slot);
	memcpy(g.instance, k->instance, INSTANCE_LEN);
	memcpy(g.boot_id, k->boot_id, BOOT_ID_LEN);
	rc = session_grant_put(&st, &g, out, &s->keys, e);
	if (rc == 0) {
		s->id = g.session;
		memcpy(s->nkey, nkey, 32);
		s->opened = s->used = now;
	} else {
		wipe(s);
	}
	pthread_mutex_unlock(&s->lock);
	secret_wipe(&st, sizeof(st));
	return rc;
}

/* Makes room under the caller's cap, by ending their longest idle session. */
static int under_cap(struct keyd *k, const uint8_t nkey[static 32], uint64_t now, struct err *e)
{
	struct slot *idle = NULL;
	uint64_t idle_id = 0, oldest = now;
	unsigned n = 0;

	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct slot *s = &k->sessions->slot[i];

		pthread_mutex_lock(&s->lock);
		if (s->id && s->confirmed && !expired(s, now) && memcmp(s->nkey, nkey, 32) == 0) {
			n++;
			if (s->used < oldest) {
				oldest = s->used;
				idle = s;
				idle_id = s->id;
			}
		}
		pthread_mutex_unlock(&s->lock);
	}
	if (n < k->cfg.sessions_user)
		return 0;
	if (!idle || now - oldest < SESSION_IDLE * UINT64_C(1000))
		return err_set(e, ERR_BUSY, "%u sessions of this user are in use", n);
	pthread_mutex_lock(&idle->lock);
	if (idle->id == idle_id)
		wipe(idle);
	pthread_mutex_unlock(&idle->lock);
	return 0;
}

int sessions_take(struct keyd *k, const uint8_t caller[static 32], const void *msg, size_t n,
		  uint8_t *plain, struct reply_to *to, struct err *e)
{
	uint64_t now = keyd_ticks();
	struct seal_head h;
	bool known, confirmed, fresh;
	uint8_t c2s[32];

	if (seal_head_get(&h, msg, n, e))
		return e && e->code == ERR_BAD_VERSION ? -1 : err_set(e, ERR_BAD_FRAME, NULL);
	if (h.kind != SEAL_REQUEST)
		return err_set(e, ERR_BAD_FRAME, "not a sealed request");
	struct slot *s = &k->sessions->slot[h.session & (SESSIONS_MAX - 1)];

	pthread_mutex_lock(&s->lock);
	known = s->id && s->id == h.session && !expired(s, now) && memcmp(s->nkey, caller, 32) == 0;
	confirmed = s->confirmed;
	if (known) {
		memcpy(c2s, s->keys.c2s, 32);
		memcpy(to->key, s->keys.s2c, 32);
	}
	pthread_mutex_unlock(&s->lock);
	if (!known)
		return err_set(e, ERR_NO_SESSION, NULL);
	int rc = seal_open(c2s, msg, n, plain, e);

	secret_wipe(c2s, sizeof(c2s));
	if (rc)
		return -1;
	if (!confirmed && under_cap(k, caller, now, e))
		return -1;
	pthread_mutex_lock(&s->lock);
	known = s->id == h.session;
	fresh = known && replay_accept(&s->replay, h.counter);
	if (fresh) {
		s->confirmed = true;
		s->used = now;
	}
	pthread_mutex_unlock(&s->lock);
	if (!known)
		return err_set(e, ERR_NO_SESSION, NULL);
	if (!fresh)
		return err_set(e, ERR_REPLAYED, NULL);
	to->surface = SURFACE_SESSION;
	to->head = (struct seal_head){SEAL_REPLY, h.session, h.counter};
	return 0;
}

void sessions_close(struct keyd *k, uint64_t id)
{
	struct slot *s = &k->sessions->slot[id & (SESSIONS_MAX - 1)];

	pthread_mutex_lock(&s->lock);
	if (s->id == id)
		wipe(s);
	pthread_mutex_unlock(&s->lock);
}

uint32_t sessions_count(struct keyd *k)
{
	uint64_t now = keyd_ticks();
	uint32_t n = 0;

	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		struct slot *s = &k->sessions->slot[i];

		pthread_mutex_lock(&s->lock);
		n += s->id && s->confirmed && !expired(s, now);
		pthread_mutex_unlock(&s->lock);
	}
	return n;
}
