#include "proto/session.h"

#include <string.h>

#include "crypto/aead.h"

/* Binds both sides to the protocol and the suite. */
static const uint8_t prologue[] = {'s',		 'i', 'g', 'n', 'b', 'o', 'x', SESSION_VERSION,
				   SESSION_SUITE};

#define GRANT_LEN (8 + INSTANCE_LEN + BOOT_ID_LEN + 8 + 1 + 4 + 4)
#define REFUSAL 0xff

int session_open(struct noise *st, const uint8_t static_secret[static 32],
		 const uint8_t identity[static 32], struct buf *out, struct err *e)
{
	noise_init(st, static_secret, identity, NULL, prologue, sizeof(prologue));
	buf_u8(out, SESSION_VERSION);
	buf_u8(out, SESSION_SUITE);
	return noise_write1(st, out, NULL, 0, e);
}

static int head_check(const uint8_t *m, size_t n, size_t want, struct err *e)
{
	if (n != want)
		return err_set(e, ERR_BAD_FRAME, "opening has the wrong length");
	if (m[0] != SESSION_VERSION || m[1] != SESSION_SUITE)
		return err_set(e, ERR_BAD_VERSION, "session version %u, suite %u is not known",
			       m[0], m[1]);
	return 0;
}

int session_accept_who(struct noise *st, const uint8_t identity_secret[static 32],
		       const uint8_t identity[static 32], const void *p, size_t n, struct err *e)
{
	const uint8_t *m = p;

	if (head_check(m, n, OPEN_LEN, e))
		return -1;
	noise_init(st, identity_secret, identity, NULL, prologue, sizeof(prologue));
	return noise_read1_who(st, m + 2, n - 2, e);
}

int session_accept_rest(struct noise *st, const void *p, size_t n, struct err *e)
{
	const uint8_t *m = p;
	uint8_t none[1];

	return noise_read1_rest(st, m + 2, n - 2, none, e);
}

int session_grant_put(struct noise *st, const struct session_grant *g, struct buf *out,
		      struct noise_keys *keys, struct err *e)
{
	uint8_t plain[GRANT_LEN];
	struct buf b;

	buf_fixed(&b, plain, sizeof(plain));
	buf_u64(&b, g->session);
	buf_put(&b, g->instance, INSTANCE_LEN);
	buf_put(&b, g->boot_id, BOOT_ID_LEN);
	buf_u64(&b, g->epoch);
	buf_u8(&b, g->state);
	buf_u32(&b, g->lifetime);
	buf_u32(&b, g->max_message);
	buf_u8(out, SESSION_VERSION);
	buf_u8(out, SESSION_SUITE);
	return noise_write2(st, out, plain, b.len, keys, e);
}

/* Fills e from a refusal when p is one. */
static bool refusal_get(const void *p, size_t n, struct err *e)
{
	const uint8_t *m = p;

	if (n < 4 || m[0] != SESSION_VERSION || m[1] != REFUSAL)
		return false;
	const struct err_row *row = err_row(le16_load(m + 2));

	/* A refusal that says "ok" is nonsense, not success. */
	err_set(e, row->wire ? row->wire : ERR_UNAVAILABLE, "%.*s",
		n - 4 > 200 ? 200 : (int)(n - 4), (const char *)m + 4);
	/* The text is a stranger's until proven otherwise: printable ASCII only. */
	for (char *c = e ? e->text : NULL; c && *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return true;
}

void session_refusal_put(struct buf *out, uint16_t error, const char *text)
{
	buf_u8(out, SESSION_VERSION);
	buf_u8(out, REFUSAL);
	buf_u16(out, error);
	buf_put(out, text, strlen(text));
}

int session_opened(struct noise *st, const void *p, size_t n, struct session_grant *g,
		   struct noise_keys *keys, struct err *e)
{
	const uint8_t *m = p;
	uint8_t plain[GRANT_LEN];
	struct rd r;

	if (refusal_get(p, n, e))
		return -1;
	if (head_check(m, n, 2 + NOISE_MSG2 + GRANT_LEN, e))
		return -1;
	/* A copy: a forged answer must not spoil the state for the true one. */
	struct noise copy = *st;
	int rc = noise_read2(&copy, m + 2, n - 2, plain, keys, e);

	explicit_bzero(&copy, sizeof(copy));
	if (rc)
		return err_set(e, ERR_WRONG_IDENTITY, NULL);
	explicit_bzero(st, sizeof(*st));
	rd_init(&r, plain, sizeof(plain));
	g->session = rd_u64(&r);
	rd_copy(&r, g->instance, INSTANCE_LEN);
	rd_copy(&r, g->boot_id, BOOT_ID_LEN);
	g->epoch = rd_u64(&r);
	g->state = rd_u8(&r);
	g->lifetime = rd_u32(&r);
	g->max_message = rd_u32(&r);
	return 0;
}

static void seal_nonce(uint8_t nonce[static 12], uint64_t counter)
{
	memset(nonce, 0, 4);
	le64_store(nonce + 4, counter);
}

static void head_store(uint8_t *p, const struct seal_head *h)
{
	p[0] = SESSION_VERSION;
	p[1] = h->kind;
	le64_store(p + 2, h->session);
	le64_store(p + 10, h->counter);
}

void seal_put(struct buf *out, const uint8_t key[static 32], const struct seal_head *h,
	      const void *plain, size_t n)
{
	uint8_t nonce[12];
	uint8_t *m = buf_space(out, n + SEAL_OVERHEAD);

	if (!m)
		return;
	head_store(m, h);
	seal_nonce(nonce, h->counter);
	aead_seal(m + SEAL_HEAD, plain, n, m, SEAL_HEAD, nonce, key);
}

void seal_in_place(struct buf *b, size_t at, const uint8_t key[static 32],
		   const struct seal_head *h)
{
	size_t n = b->len - at - SEAL_HEAD;
	uint8_t nonce[12];

	if (!buf_space(b, NOISE_TAG))
		return;
	uint8_t *m = b->p + at;

	head_store(m, h);
	seal_nonce(nonce, h->counter);
	aead_seal(m + SEAL_HEAD, m + SEAL_HEAD, n, m, SEAL_HEAD, nonce, key);
}

int seal_head_get(struct seal_head *h, const void *p, size_t n, struct err *e)
{
	const uint8_t *m = p;

	if (refusal_get(p, n, e))
		return -1;
	if (n < SEAL_OVERHEAD)
		return err_set(e, ERR_BAD_FRAME, "sealed message is too short");
	if (m[0] != SESSION_VERSION)
		return err_set(e, ERR_BAD_VERSION, "session version %u is not known", m[0]);
	h->kind = m[1];
	h->session = le64_load(m + 2);
	h->counter = le64_load(m + 10);
	return 0;
}

int seal_open(const uint8_t key[static 32], const void *p, size_t n, uint8_t *plain, struct err *e)
{
	const uint8_t *m = p;
	uint8_t nonce[12];

	if (n < SEAL_OVERHEAD)
		return err_set(e, ERR_BAD_FRAME, "sealed message is too short");
	seal_nonce(nonce, le64_load(m + 10));
	if (aead_open(plain, m + SEAL_HEAD, n - SEAL_HEAD, m, SEAL_HEAD, nonce, key))
		return err_set(e, ERR_BAD_PROOF, NULL);
	return 0;
}

bool replay_accept(struct replay *r, uint64_t counter)
{
	const unsigned words = REPLAY_BITS / 64;

	/* Noise reserves the last nonce. */
	if (counter == 0 || counter == UINT64_MAX)
		return false;
	if (counter > r->top) {
		uint64_t from = r->top / 64, to = counter / 64;

		/* Words that the window moves into are cleared, all at most once. */
		for (uint64_t w = from + 1; w <= to && w <= from + words; w++)
			r->map[w % words] = 0;
		r->top = counter;
	} else if (r->top - counter >= REPLAY_BITS - 64) {
		return false; /* the word of the oldest counters may be in use again */
	}
	uint64_t bit = UINT64_C(1) << (counter % 64);
	uint64_t *word = &r->map[counter / 64 % words];

	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}
