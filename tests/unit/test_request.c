/* Requests and responses: fixed bytes (tests/vectors/request.json), every truncation
 * and every byte too many refused, names checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/body.h"
#include "proto/mode.h"
#include "proto/op.h"
#include "proto/request.h"
#include "unit/vec.h"

static struct bytes text(const char *s)
{
	return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static void fill(uint8_t *p, size_t n, uint8_t from)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(from + i);
}

/* ---- vectors ---- */

struct sample {
	const char *what;
	struct request q;
};

static struct buf bodies[8];

static struct bytes body(unsigned i)
{
	return (struct bytes){bodies[i].p, bodies[i].len};
}

static void make_bodies(void)
{
	static const uint8_t seed[32] = {7, 7, 7};
	struct key_new k = {.type = KEY_ED25519, .audit = AUDIT_DURABLE, .flags = KEYF_PLAIN};
	struct list_query l = {text("app."), text("app.a"), 50};
	struct user_info u = {.name = text("alice"), .role = ROLE_OPERATOR, .flags = USER_PLAIN};

	for (unsigned i = 0; i < 8; i++)
		buf_init(&bodies[i], 4096);
	buf_put(&bodies[0], "message\n", 8);
	buf_str16(&bodies[1], "correct horse battery", 21);
	key_new_put(&bodies[2], &k);
	k.a = (struct bytes){seed, 32};
	key_new_put(&bodies[3], &k);
	list_query_put(&bodies[4], &l);
	fill(u.nkey, 32, 0x80);
	user_info_put(&bodies[5], &u);
	buf_u16(&bodies[6], 64);
	buf_u64(&bodies[7], 1);
	buf_u32(&bodies[7], 65536);
}

static unsigned make_samples(struct sample *s)
{
	unsigned n = 0;

	make_bodies();
#define SAMPLE(...)                                                                                \
	s[n++] = (struct sample)                                                                   \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
	SAMPLE("state", {.op = OP_state});
	SAMPLE("sign", {.op = OP_sign, .key = text("app.key-1"), .body = body(0)});
	SAMPLE("sign with all fields", {.op = OP_sign,
					.user = text("alice"),
					.ns = text("team_a"),
					.key = text("k"),
					.key_version = 0x01020304,
					.mode = MODE_EDDSA,
					.body = body(0)});
	SAMPLE("unlock", {.op = OP_unlock, .body = body(1)});
	SAMPLE("key_generate", {.op = OP_key_generate, .key = text("new"), .body = body(2)});
	SAMPLE("key_import", {.op = OP_key_import, .key = text("new"), .body = body(3)});
	SAMPLE("key_list", {.op = OP_key_list, .body = body(4)});
	SAMPLE("user_add", {.op = OP_user_add, .body = body(5)});
	SAMPLE("random", {.op = OP_random, .body = body(6)});
	SAMPLE("audit_read", {.op = OP_audit_read, .body = body(7)});
#undef SAMPLE
	for (unsigned i = 0; i < n; i++) {
		struct request *q = &s[i].q;

		q->cred = CRED_NKEY;
		fill(q->boot_id, BOOT_ID_LEN, 0x10);
		if (op_row(q->op)->flags & OPF_MUTATES)
			fill(q->idem, IDEM_LEN, 0x40);
	}
	return n;
}

static void put_text(json_t *j, const char *key, struct bytes b)
{
	json_object_set_new(j, key, json_stringn(b.len ? (const char *)b.p : "", b.len));
}

static json_t *request_json(const struct sample *s)
{
	const struct request *q = &s->q;
	json_t *j = json_object();
	struct buf b;

	buf_init(&b, 4096);
	request_encode(&b, q);
	assert_false(b.bad);
	json_object_set_new(j, "what", json_string(s->what));
	json_object_set_new(j, "credential", json_integer(q->cred));
	json_object_set_new(j, "operation", json_integer(q->op));
	put_text(j, "user", q->user);
	vec_put(j, "boot_id", q->boot_id, BOOT_ID_LEN);
	vec_put(j, "idempotency_id", q->idem, IDEM_LEN);
	put_text(j, "namespace", q->ns);
	put_text(j, "key", q->key);
	json_object_set_new(j, "key_version", json_integer(q->key_version));
	json_object_set_new(j, "mode", json_integer(q->mode));
	vec_put(j, "body", q->body.p, q->body.len);
	vec_put(j, "bytes", b.p, b.len);
	buf_free(&b);
	return j;
}

static json_t *response_json(const char *what, const struct response *s)
{
	json_t *j = json_object();
	struct buf b;

	buf_init(&b, 4096);
	response_encode(&b, s);
	json_object_set_new(j, "what", json_string(what));
	json_object_set_new(j, "error", json_integer(s->error));
	json_object_set_new(j, "state", json_integer(s->state));
	json_object_set_new(j, "mode", json_integer(s->mode));
	json_object_set_new(j, "epoch", json_integer((json_int_t)s->epoch));
	vec_put(j, "body", s->body.p, s->body.len);
	vec_put(j, "bytes", b.p, b.len);
	buf_free(&b);
	return j;
}

static void test_vectors(void **state)
{
	static const struct response answers[] = {
		{0, STATE_OPERATIONAL, MODE_EDDSA, 0x0102030405060708, {(const uint8_t *)"sig", 3}},
		{ERR_NOT_FOUND, STATE_OPERATIONAL, 0, 17, {(const uint8_t *)"no such key", 11}},
		{0, STATE_LOCKED, 0, 0, {NULL, 0}},
	};
	static const char *const what[] = {"signature", "refusal", "nothing"};
	json_t *file = json_object(), *q = json_array(), *s = json_array();
	struct sample samples[16];
	unsigned n = make_samples(samples);

	(void)state;
	for (unsigned i = 0; i < n; i++)
		json_array_append_new(q, request_json(&samples[i]));
	for (unsigned i = 0; i < 3; i++)
		json_array_append_new(s, response_json(what[i], &answers[i]));
	json_object_set_new(file, "about",
			    json_string("docs/PROTOCOL.md, Requests; bytes are hexadecimal"));
	json_object_set_new(file, "requests", q);
	json_object_set_new(file, "responses", s);
	vec_check("request.json", file);
	for (unsigned i = 0; i < 8; i++)
		buf_free(&bodies[i]);
}

/* The file's bytes read back to the file's fields: the decoder against the vectors,
 * not only against the encoder. */
static void test_vectors_decode(void **state)
{
	json_t *file = vec_load("request.json"), *v;
	uint8_t bytes[4096], want[4096];
	struct request q;
	struct err e;
	size_t i;

	(void)state;
	json_array_foreach(json_object_get(file, "requests"), i, v)
	{
		size_t n = vec_hex(v, "bytes", bytes, sizeof(bytes));

		assert_int_equal(request_decode(&q, bytes, n, &e), 0);
		assert_int_equal(q.op, json_integer_value(json_object_get(v, "operation")));
		assert_int_equal(q.mode, json_integer_value(json_object_get(v, "mode")));
		assert_int_equal(q.key_version,
				 json_integer_value(json_object_get(v, "key_version")));
		assert_int_equal(q.key.len, strlen(vec_str(v, "key")));
		if (q.key.len)
			assert_memory_equal(q.key.p, vec_str(v, "key"), q.key.len);
		assert_int_equal(q.body.len, vec_hex(v, "body", want, sizeof(want)));
		if (q.body.len)
			assert_memory_equal(q.body.p, want, q.body.len);
		vec_hex(v, "idempotency_id", want, sizeof(want));
		assert_memory_equal(q.idem, want, IDEM_LEN);
		vec_hex(v, "boot_id", want, sizeof(want));
		assert_memory_equal(q.boot_id, want, BOOT_ID_LEN);
	}
	assert_true(i >= 10);
	json_decref(file);
}

/* ---- refusals ---- */

static struct request example(void)
{
	struct request q = {.cred = CRED_NKEY,
			    .op = OP_sign,
			    .user = text("u"),
			    .ns = text("n"),
			    .key = text("k.1"),
			    .body = text("body")};

	return q;
}

static void test_every_length(void **state)
{
	struct request q = example(), back;
	struct response s = {.error = 3, .body = text("xyz")}, sback;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	request_encode(&b, &q);
	for (size_t n = 0; n < b.len; n++) {
		uint8_t *exact = malloc(n + 1); /* so that ASan sees a read past the end */

		memcpy(exact, b.p, n);
		assert_int_equal(request_decode(&back, exact, n, &e), -1);
		assert_int_equal(e.code, ERR_BAD_REQUEST);
		free(exact);
	}
	assert_int_equal(request_decode(&back, b.p, b.len, &e), 0);
	buf_u8(&b, 0);
	assert_int_equal(request_decode(&back, b.p, b.len, &e), -1);
	assert_int_equal(e.code, ERR_BAD_REQUEST);
	buf_reset(&b);
	response_encode(&b, &s);
	assert_int_equal(b.len, RESPONSE_HEAD + 3);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(response_decode(&sback, b.p, n, &e), -1);
	assert_int_equal(response_decode(&sback, b.p, b.len, &e), 0);
	assert_int_equal(sback.error, 3);
	buf_u8(&b, 0);
	assert_int_equal(response_decode(&sback, b.p, b.len, &e), -1);
	b.len--;
	b.p[0]++;
	assert_int_equal(response_decode(&sback, b.p, b.len, &e), -1);
	buf_free(&b);
}

static void test_versions(void **state)
{
	struct request q = example(), back;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	request_encode(&b, &q);
	for (unsigned v = 0; v < 256; v++) {
		b.p[0] = (uint8_t)v;
		if (v == REQUEST_VERSION)
			continue;
		assert_int_equal(request_decode(&back, b.p, b.len, &e), -1);
		assert_int_equal(e.code, ERR_BAD_VERSION);
	}
	b.p[0] = REQUEST_VERSION;
	for (unsigned c = 0; c < 256; c++) {
		b.p[1] = (uint8_t)c;
		assert_int_equal(request_decode(&back, b.p, b.len, &e) == 0, c == CRED_NKEY);
	}
	buf_free(&b);
}

static int with_name(struct bytes name, int which, struct err *e)
{
	struct request q = example(), back;
	struct buf b;
	int rc;

	*(which == 0 ? &q.user : which == 1 ? &q.ns : &q.key) = name;
	buf_init(&b, 4096);
	request_encode(&b, &q);
	assert_false(b.bad);
	rc = request_decode(&back, b.p, b.len, e);
	buf_free(&b);
	return rc;
}

static void test_names(void **state)
{
	static const char *const good[] = {"a", "0", "A.b.c", "a-b_c.9", "x.y", ""};
	static const char *const bad[] = {"_a",	 "-a",	 ".a",	 "a.",	   "a..b",
					  " ",	 "a b",	 "a/b",	 "a*",	   "a>b",
					  "a\n", "\xc3", "a\"b", "$SYS.x", "a:b"};
	char longest[NAME_MAX_LEN + 2];
	struct err e;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	for (int which = 0; which < 3; which++) {
		for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
			assert_int_equal(with_name(text(good[i]), which, &e), 0);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			if (with_name(text(bad[i]), which, &e) == 0)
				fail_msg("name '%s' was accepted", bad[i]);
			assert_int_equal(e.code, ERR_BAD_NAME);
		}
		struct bytes b = {(const uint8_t *)longest, NAME_MAX_LEN};

		assert_int_equal(with_name(b, which, &e), 0);
		b.len++;
		assert_int_equal(with_name(b, which, &e), -1);
		assert_int_equal(with_name((struct bytes){(const uint8_t *)"a\0b", 3}, which, &e),
				 -1);
	}
	for (unsigned c = 0; c < 256; c++) {
		uint8_t n[2] = {'a', (uint8_t)c};
		bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			  (c >= 'a' && c <= 'z') || c == '_' || c == '-';

		assert_int_equal(name_valid(n, 2), ok);
	}
}

static void test_overhead(void **state)
{
	char longest[NAME_MAX_LEN];
	struct bytes b = {(const uint8_t *)longest, NAME_MAX_LEN};
	struct request q = {.cred = 1, .user = b, .ns = b, .key = b};
	struct buf out;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	buf_init(&out, 4096);
	request_encode(&out, &q);
	assert_int_equal(out.len, REQUEST_OVERHEAD);
	/* A name that has no length byte. */
	char over[256];

	memset(over, 'x', sizeof(over));
	buf_reset(&out);
	q.key = (struct bytes){(const uint8_t *)over, 256};
	request_encode(&out, &q);
	assert_true(out.bad);
	buf_free(&out);
}

/* Lengths that lie: each length field set to everything that matters. */
static void test_lying_lengths(void **state)
{
	struct request q = example(), back;
	size_t user_at = 4, ns_at = 4 + 2 + 32, key_at = ns_at + 2, body_at = key_at + 4 + 5;
	struct err e;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	request_encode(&b, &q);
	assert_int_equal(b.p[user_at], 1);
	assert_int_equal(b.p[ns_at], 1);
	assert_int_equal(b.p[key_at], 3);
	assert_int_equal(le32_load(b.p + body_at), 4);
	for (unsigned v = 0; v < 256; v++) {
		static const uint8_t was[] = {1, 1, 3};
		size_t at[] = {user_at, ns_at, key_at};

		for (int i = 0; i < 3; i++) {
			b.p[at[i]] = (uint8_t)v;
			/* A shifted reading is never accepted in this example. */
			assert_int_equal(request_decode(&back, b.p, b.len, &e) == 0, v == was[i]);
			b.p[at[i]] = was[i];
		}
	}
	static const uint32_t lies[] = {0, 3, 5, 255, 65536, 0x7fffffff, 0x80000000, 0xffffffff};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		le32_store(b.p + body_at, lies[i]);
		assert_int_equal(request_decode(&back, b.p, b.len, &e), -1);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),	      cmocka_unit_test(test_vectors_decode),
		cmocka_unit_test(test_every_length),  cmocka_unit_test(test_versions),
		cmocka_unit_test(test_names),	      cmocka_unit_test(test_overhead),
		cmocka_unit_test(test_lying_lengths),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
