/* Sessions: fixed bytes (tests/vectors/session.json), forged and damaged messages on
 * both sides, refusals as hints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "crypto/x25519.h"
#include "nkey/nkey.h"
#include "proto/op.h"
#include "proto/session.h"
#include "unit/vec.h"

static const uint8_t prologue[9] = {'s', 'i', 'g', 'n', 'b', 'o', 'x', 1, 1};

struct side {
	uint8_t secret[32], pub[32];
};

/* Both sides of one session, from an opening to the keys. */
struct session {
	struct side client, hsm;
	uint8_t ce[32], he[32]; /* ephemeral secrets */
	struct noise cst, hst;
	struct session_grant g, got;
	struct noise_keys ck, hk;
	struct buf opening, answer;
};

static void fill(uint8_t *p, size_t n, uint8_t from)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(from + i);
}

static void prepare(struct session *s, const uint8_t seed[static 32])
{
	memset(s, 0, sizeof(*s));
	ed25519_to_x25519_secret(s->client.secret, seed);
	x25519_public(s->client.pub, s->client.secret);
	fill(s->hsm.secret, 32, 0xa0);
	x25519_public(s->hsm.pub, s->hsm.secret);
	fill(s->ce, 32, 0x11);
	fill(s->he, 32, 0x33);
	s->g = (struct session_grant){.session = 0x1122334455667788,
				      .epoch = 42,
				      .state = STATE_OPERATIONAL,
				      .lifetime = 3600,
				      .max_message = 1048576};
	fill(s->g.instance, INSTANCE_LEN, 0xc0);
	fill(s->g.boot_id, BOOT_ID_LEN, 0xd0);
	buf_init(&s->opening, 1024);
	buf_init(&s->answer, 1024);
}

static void finish(struct session *s)
{
	buf_free(&s->opening);
	buf_free(&s->answer);
}

/* The opening with a fixed ephemeral key; session_open has a random one. */
static void open_fixed(struct session *s)
{
	struct err e;

	noise_init(&s->cst, s->client.secret, s->hsm.pub, s->ce, prologue, sizeof(prologue));
	buf_u8(&s->opening, SESSION_VERSION);
	buf_u8(&s->opening, SESSION_SUITE);
	assert_int_equal(noise_write1(&s->cst, &s->opening, NULL, 0, &e), 0);
	assert_int_equal(s->opening.len, OPEN_LEN);
}

static void answer_it(struct session *s, bool fixed)
{
	struct err e;

	assert_int_equal(session_accept_who(&s->hst, s->hsm.secret, s->hsm.pub, s->opening.p,
					    s->opening.len, &e),
			 0);
	assert_memory_equal(s->hst.rs, s->client.pub, 32);
	assert_int_equal(session_accept_rest(&s->hst, s->opening.p, s->opening.len, &e), 0);
	if (fixed) {
		memcpy(s->hst.e, s->he, 32);
		x25519_public(s->hst.e_pub, s->he);
	}
	assert_int_equal(session_grant_put(&s->hst, &s->g, &s->answer, &s->hk, &e), 0);
}

/* ---- vectors ---- */

static json_t *sealed_json(const uint8_t key[static 32], const struct seal_head *h,
			   const char *text)
{
	json_t *j = json_object();
	char id[24];
	struct buf b;

	buf_init(&b, 4096);
	seal_put(&b, key, h, text, strlen(text));
	json_object_set_new(j, "kind", json_integer(h->kind));
	assert_true(snprintf(id, sizeof(id), "%llu", (unsigned long long)h->session) > 0);
	json_object_set_new(j, "session", json_string(id));
	assert_true(snprintf(id, sizeof(id), "%llu", (unsigned long long)h->counter) > 0);
	json_object_set_new(j, "counter", json_string(id));
	vec_put(j, "plain", text, strlen(text));
	vec_put(j, "message", b.p, b.len);
	buf_free(&b);
	return j;
}

static json_t *refusals_json(void)
{
	static const struct {
		uint16_t error;
		const char *text;
	} rows[] = {{ERR_NO_SESSION, "no such session"}, {ERR_BUSY, ""}};
	json_t *list = json_array();
	struct buf b;

	buf_init(&b, 1024);
	for (size_t i = 0; i < 2; i++) {
		json_t *j = json_object();

		buf_reset(&b);
		session_refusal_put(&b, rows[i].error, rows[i].text);
		json_object_set_new(j, "error", json_integer(rows[i].error));
		json_object_set_new(j, "text", json_string(rows[i].text));
		vec_put(j, "message", b.p, b.len);
		json_array_append_new(list, j);
	}
	buf_free(&b);
	return list;
}

static void put_nkey(json_t *j, const char *key, enum nkey_kind kind, const uint8_t pub[static 32])
{
	char text[NKEY_PUB_LEN];

	nkey_encode(text, kind, pub);
	json_object_set_new(j, key, json_string(text));
}

static void put_keys(json_t *j, const struct session *s, const uint8_t seed[static 32])
{
	uint8_t nkey[32], sk[64];

	ed25519_keypair(nkey, sk, seed);
	vec_put(j, "client_seed", seed, 32);
	put_nkey(j, "client_nkey", NKEY_USER, nkey);
	vec_put(j, "client_static", s->client.secret, 32);
	vec_put(j, "client_public", s->client.pub, 32);
	vec_put(j, "client_ephemeral", s->ce, 32);
	vec_put(j, "hsm_static", s->hsm.secret, 32);
	vec_put(j, "hsm_public", s->hsm.pub, 32);
	put_nkey(j, "hsm_identity", NKEY_CURVE, s->hsm.pub);
	vec_put(j, "hsm_ephemeral", s->he, 32);
	vec_put(j, "prologue", prologue, sizeof(prologue));
}

static void put_grant(json_t *j, const struct session_grant *g)
{
	json_t *o = json_object();
	char id[24];

	assert_true(snprintf(id, sizeof(id), "%llu", (unsigned long long)g->session) > 0);
	json_object_set_new(o, "session", json_string(id));
	vec_put(o, "instance", g->instance, INSTANCE_LEN);
	vec_put(o, "boot_id", g->boot_id, BOOT_ID_LEN);
	json_object_set_new(o, "epoch", json_integer((json_int_t)g->epoch));
	json_object_set_new(o, "state", json_integer(g->state));
	json_object_set_new(o, "lifetime", json_integer(g->lifetime));
	json_object_set_new(o, "max_message", json_integer(g->max_message));
	json_object_set_new(j, "grant", o);
}

static void test_vectors(void **state)
{
	json_t *j = json_object(), *sealed = json_array();
	struct seal_head q = {SEAL_REQUEST, 0, 1}, r = {SEAL_REPLY, 0, 1};
	struct session s;
	uint8_t seed[32];
	struct err e;

	(void)state;
	fill(seed, 32, 1);
	prepare(&s, seed);
	open_fixed(&s);
	answer_it(&s, true);
	json_object_set_new(j, "about",
			    json_string("docs/PROTOCOL.md, Sessions; bytes are hexadecimal"));
	put_keys(j, &s, seed);
	vec_put(j, "opening", s.opening.p, s.opening.len);
	put_grant(j, &s.g);
	vec_put(j, "answer", s.answer.p, s.answer.len);
	assert_int_equal(session_opened(&s.cst, s.answer.p, s.answer.len, &s.got, &s.ck, &e), 0);
	vec_put(j, "key_request", s.ck.c2s, 32);
	vec_put(j, "key_reply", s.ck.s2c, 32);
	q.session = r.session = s.g.session;
	json_array_append_new(sealed, sealed_json(s.ck.c2s, &q, "a request"));
	json_array_append_new(sealed, sealed_json(s.ck.s2c, &r, "its reply"));
	q.counter = r.counter = 0x0102030405060708;
	json_array_append_new(sealed, sealed_json(s.ck.c2s, &q, ""));
	json_array_append_new(sealed, sealed_json(s.ck.s2c, &r, ""));
	json_object_set_new(j, "sealed", sealed);
	json_object_set_new(j, "refusals", refusals_json());
	vec_check("session.json", j);
	finish(&s);
}

/* The HSM's half against the file: keys from the vectors alone. */
static void test_vectors_open(void **state)
{
	json_t *file = vec_load("session.json"), *v;
	uint8_t m[4096], plain[4096], want[4096], key[2][32];
	struct noise st;
	struct side hsm;
	size_t i, n;
	struct err e;

	(void)state;
	vec_hex32(file, "hsm_static", hsm.secret);
	vec_hex32(file, "hsm_public", hsm.pub);
	n = vec_hex(file, "opening", m, sizeof(m));
	assert_int_equal(session_accept_who(&st, hsm.secret, hsm.pub, m, n, &e), 0);
	vec_hex32(file, "client_public", want);
	assert_memory_equal(st.rs, want, 32);
	assert_int_equal(session_accept_rest(&st, m, n, &e), 0);
	vec_hex32(file, "key_request", key[0]);
	vec_hex32(file, "key_reply", key[1]);
	json_array_foreach(json_object_get(file, "sealed"), i, v)
	{
		struct seal_head h;

		n = vec_hex(v, "message", m, sizeof(m));
		assert_int_equal(seal_head_get(&h, m, n, &e), 0);
		assert_int_equal(h.kind, json_integer_value(json_object_get(v, "kind")));
		assert_int_equal(h.counter, strtoull(vec_str(v, "counter"), NULL, 10));
		assert_int_equal(seal_open(key[h.kind - 1], m, n, plain, &e), 0);
		assert_int_equal(n - SEAL_OVERHEAD, vec_hex(v, "plain", want, sizeof(want)));
		assert_memory_equal(plain, want, n - SEAL_OVERHEAD);
	}
	assert_int_equal(i, 4);
	json_decref(file);
}

/* ---- opening ---- */

static void test_round_trip(void **state)
{
	uint8_t seed[32];
	struct session s;
	struct buf again;
	struct err e;

	(void)state;
	crypto_random(seed, 32);
	prepare(&s, seed);
	assert_int_equal(session_open(&s.cst, s.client.secret, s.hsm.pub, &s.opening, &e), 0);
	assert_int_equal(s.opening.len, OPEN_LEN);
	buf_init(&again, 1024);
	struct noise st;

	assert_int_equal(session_open(&st, s.client.secret, s.hsm.pub, &again, &e), 0);
	assert_memory_not_equal(s.opening.p + 2, again.p + 2, 32);
	buf_free(&again);
	answer_it(&s, false);
	assert_int_equal(session_opened(&s.cst, s.answer.p, s.answer.len, &s.got, &s.ck, &e), 0);
	assert_memory_equal(&s.ck, &s.hk, sizeof(s.ck));
	assert_memory_not_equal(s.ck.c2s, s.ck.s2c, 32);
	assert_int_equal(s.got.session, s.g.session);
	assert_memory_equal(s.got.instance, s.g.instance, INSTANCE_LEN);
	assert_memory_equal(s.got.boot_id, s.g.boot_id, BOOT_ID_LEN);
	assert_int_equal(s.got.epoch, 42);
	assert_int_equal(s.got.state, STATE_OPERATIONAL);
	assert_int_equal(s.got.lifetime, 3600);
	assert_int_equal(s.got.max_message, 1048576);
	/* The answer belongs to one opening: it opens nothing a second time. */
	assert_int_equal(session_opened(&s.cst, s.answer.p, s.answer.len, &s.got, &s.ck, &e), -1);
	finish(&s);
}

static int accept_code(const struct session *s, const uint8_t *p, size_t n)
{
	struct noise st;
	struct err e;

	if (session_accept_who(&st, s->hsm.secret, s->hsm.pub, p, n, &e) ||
	    session_accept_rest(&st, p, n, &e))
		return e.code;
	return 0;
}

static void test_openings_refused(void **state)
{
	uint8_t seed[32] = {1}, longer[OPEN_LEN + 1] = {0};
	struct session s;

	(void)state;
	prepare(&s, seed);
	open_fixed(&s);
	memcpy(longer, s.opening.p, OPEN_LEN);
	assert_int_equal(accept_code(&s, s.opening.p, OPEN_LEN), 0);
	assert_int_equal(accept_code(&s, longer, OPEN_LEN + 1), ERR_BAD_FRAME);
	for (size_t n = 0; n < OPEN_LEN; n++)
		assert_int_equal(accept_code(&s, s.opening.p, n), ERR_BAD_FRAME);
	for (size_t bit = 0; bit < 8 * OPEN_LEN; bit++) {
		s.opening.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(accept_code(&s, s.opening.p, OPEN_LEN),
				 bit < 16 ? ERR_BAD_VERSION : ERR_BAD_PROOF);
		s.opening.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	finish(&s);
}

static int opened_code(struct session *s, const uint8_t *p, size_t n)
{
	struct err e = {0};

	return session_opened(&s->cst, p, n, &s->got, &s->ck, &e) ? (int)e.code : 0;
}

/* Whatever a broker answers first, the true answer still opens. */
static void test_forged_answers(void **state)
{
	uint8_t seed[32] = {2};
	struct session s, other;

	(void)state;
	prepare(&s, seed);
	open_fixed(&s);
	answer_it(&s, true);
	for (size_t n = 0; n < s.answer.len; n++)
		assert_int_equal(opened_code(&s, s.answer.p, n), ERR_BAD_FRAME);
	for (size_t bit = 16; bit < 8 * s.answer.len; bit++) {
		s.answer.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(opened_code(&s, s.answer.p, s.answer.len), ERR_WRONG_IDENTITY);
		s.answer.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (unsigned v = 2; v < 255; v++) {
		s.answer.p[0] = (uint8_t)v;
		assert_int_equal(opened_code(&s, s.answer.p, s.answer.len), ERR_BAD_VERSION);
		s.answer.p[0] = SESSION_VERSION;
		s.answer.p[1] = (uint8_t)v;
		assert_int_equal(opened_code(&s, s.answer.p, s.answer.len), ERR_BAD_VERSION);
		s.answer.p[1] = SESSION_SUITE;
	}
	/* An answer of another HSM, which knows its own secret only. */
	prepare(&other, seed);
	fill(other.hsm.secret, 32, 0x55);
	x25519_public(other.hsm.pub, other.hsm.secret);
	open_fixed(&other);
	answer_it(&other, true);
	assert_int_equal(opened_code(&s, other.answer.p, other.answer.len), ERR_WRONG_IDENTITY);
	/* The opening itself, sent back. */
	assert_int_not_equal(opened_code(&s, s.opening.p, s.opening.len), 0);
	assert_int_equal(opened_code(&s, s.answer.p, s.answer.len), 0);
	assert_memory_equal(&s.ck, &s.hk, sizeof(s.ck));
	finish(&s);
	finish(&other);
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
	uint8_t seed[32] = {3}, m[600];
	struct seal_head h;
	struct session s;
	struct err e;
	struct buf b;

	(void)state;
	prepare(&s, seed);
	open_fixed(&s);
	buf_init(&b, 1024);
	session_refusal_put(&b, ERR_BUSY, "come back");
	assert_int_equal(session_opened(&s.cst, b.p, b.len, &s.got, &s.ck, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_string_equal(e.text, "come back");
	assert_int_equal(seal_head_get(&h, b.p, b.len, &e), -1);
	assert_int_equal(e.code, ERR_BUSY);
	/* "ok" as a refusal is no success, an unknown number no crash. */
	for (unsigned code = 0; code < 65536; code += code < 300 ? 1 : 251) {
		buf_reset(&b);
		session_refusal_put(&b, (uint16_t)code, "x");
		assert_int_equal(seal_head_get(&h, b.p, b.len, &e), -1);
		assert_int_not_equal(e.code, ERR_OK);
		if (code == 0)
			assert_int_equal(e.code, ERR_UNAVAILABLE);
		else if (err_row(code)->wire == code)
			assert_int_equal(e.code, code);
		else
			assert_int_equal(e.code, ERR_INTERNAL);
	}
	/* Text of a stranger: no control characters, no end in sight, formats. */
	memset(m, 0x1b, sizeof(m));
	m[0] = SESSION_VERSION;
	m[1] = 0xff;
	le16_store(m + 2, ERR_BUSY);
	memcpy(m + 4, "%s%n\r\n\x7f\x80\xff", 9);
	assert_int_equal(seal_head_get(&h, m, sizeof(m), &e), -1);
	for (const char *c = e.text; *c; c++)
		assert_true(*c >= ' ' && *c <= '~');
	assert_memory_equal(e.text, "%s%n??", 6);
	assert_true(strlen(e.text) < sizeof(e.text));
	for (size_t n = 0; n < 4; n++)
		assert_int_equal(seal_head_get(&h, m, n, &e), -1);
	assert_int_equal(seal_head_get(&h, m, 4, NULL), -1);
	/* None of this ended the opening. */
	answer_it(&s, true);
	assert_int_equal(opened_code(&s, s.answer.p, s.answer.len), 0);
	buf_free(&b);
	finish(&s);
}

/* ---- sealed messages ---- */

static void test_seal(void **state)
{
	uint8_t key[32], other[32], plain[300], out[300];
	struct seal_head h = {SEAL_REQUEST, 77, 5}, got;
	struct buf b, c;
	struct err e;

	(void)state;
	crypto_random(key, 32);
	crypto_random(other, 32);
	crypto_random(plain, sizeof(plain));
	for (size_t n = 0; n < sizeof(plain); n += 37) {
		buf_init(&b, 1024);
		buf_init(&c, 1024);
		seal_put(&b, key, &h, plain, n);
		assert_int_equal(b.len, n + SEAL_OVERHEAD);
		/* Sealing in place gives the same bytes, behind others too. */
		buf_put(&c, "xyz", 3);
		buf_space(&c, SEAL_HEAD);
		buf_put(&c, plain, n);
		seal_in_place(&c, 3, key, &h);
		assert_int_equal(c.len, 3 + b.len);
		assert_memory_equal(c.p + 3, b.p, b.len);
		assert_int_equal(seal_head_get(&got, b.p, b.len, &e), 0);
		assert_int_equal(got.kind, SEAL_REQUEST);
		assert_int_equal(got.session, 77);
		assert_int_equal(got.counter, 5);
		assert_int_equal(seal_open(key, b.p, b.len, out, &e), 0);
		assert_memory_equal(out, plain, n);
		assert_int_equal(seal_open(other, b.p, b.len, out, &e), -1);
		assert_int_equal(e.code, ERR_BAD_PROOF);
		for (size_t k = 0; k < b.len; k++)
			assert_int_equal(seal_open(key, b.p, k, out, &e), -1);
		for (size_t bit = 0; bit < 8 * b.len; bit++) {
			b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(seal_open(key, b.p, b.len, out, &e), -1);
			b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		buf_free(&b);
		buf_free(&c);
	}
}

static void test_seal_heads(void **state)
{
	uint8_t m[SEAL_OVERHEAD] = {SESSION_VERSION, SEAL_REQUEST};
	struct seal_head h;
	struct err e;

	(void)state;
	assert_int_equal(seal_head_get(&h, m, sizeof(m), &e), 0);
	for (size_t n = 0; n < sizeof(m); n++) {
		assert_int_equal(seal_head_get(&h, m, n, &e), -1);
		assert_int_equal(e.code, ERR_BAD_FRAME);
	}
	for (unsigned v = 0; v < 256; v++) {
		m[0] = (uint8_t)v;
		assert_int_equal(seal_head_get(&h, m, sizeof(m), &e) == 0, v == SESSION_VERSION);
	}
}

/* Each counter is another nonce, each direction another key. */
static void test_directions(void **state)
{
	uint8_t seed[32] = {4}, out[64];
	struct seal_head h = {SEAL_REPLY, 1, 1};
	struct session s;
	struct err e;
	struct buf b;

	(void)state;
	prepare(&s, seed);
	open_fixed(&s);
	answer_it(&s, true);
	buf_init(&b, 1024);
	seal_put(&b, s.hk.s2c, &h, "reply", 5);
	assert_int_equal(seal_open(s.hk.c2s, b.p, b.len, out, &e), -1);
	b.p[1] = SEAL_REQUEST;
	assert_int_equal(seal_open(s.hk.c2s, b.p, b.len, out, &e), -1);
	assert_int_equal(seal_open(s.hk.s2c, b.p, b.len, out, &e), -1);
	buf_free(&b);
	finish(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	       cmocka_unit_test(test_vectors_open),
		cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_openings_refused),
		cmocka_unit_test(test_forged_answers), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_seal),	       cmocka_unit_test(test_seal_heads),
		cmocka_unit_test(test_directions),
	};

	if (crypto_init())
		return 1;
	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
