/* JWTs, creds and sealing against what the Go libraries made (tests/vectors/jwt.json):
 * reading, and writing the same bytes; then what must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "crypto/crypto.h"
#include "crypto/sha512_256.h"
#include "nkey/claims.h"
#include "nkey/creds.h"
#include "nkey/jwt.h"
#include "nkey/jwt_check.h"
#include "nkey/xkey.h"
#include "unit/vec.h"

static void pair(struct nkey *k, const char *seed)
{
	struct err e = {0};

	if (nkey_from_text(k, "t", seed, strlen(seed), &e))
		fail_msg("%s", e.text);
}

static int decode(struct jwt *j, const char *token, struct err *e)
{
	return jwt_decode(j, "t", token, strlen(token), e);
}

static void digest(void **state)
{
	char hex[ENC_HEX_LEN(32)];
	uint8_t out[32];

	(void)state;
	/* FIPS 180-4 examples */
	sha512_256(out, "abc", 3);
	enc_hex(hex, out, 32);
	assert_string_equal(hex,
			    "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23");
	sha512_256(out, "", 0);
	enc_hex(hex, out, 32);
	assert_string_equal(hex,
			    "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a");
}

static void vectors(void **state)
{
	CLEAN(json) json_t *all = vec_load("jwt.json");
	json_t *list = json_object_get(all, "jwts"), *v;
	size_t i;

	(void)state;
	assert_true(json_array_size(list) >= 14);
	json_array_foreach(list, i, v)
	{
		const char *token = vec_str(v, "token"), *name = vec_str(v, "name");
		CLEAN(jwt) struct jwt j = {0}, again = {0};
		CLEAN(nkey) struct nkey k = {0};
		CLEAN(buf) struct buf out = {0};
		struct err e = {0};

		buf_init(&out, JWT_MAX);
		pair(&k, vec_str(v, "issuer_seed"));
		if (decode(&j, token, &e))
			fail_msg("%s: %s", name, e.text);
		assert_string_equal(jwt_kind_name(j.kind), vec_str(v, "kind"));
		int version = (int)json_integer_value(json_object_get(v, "version"));

		assert_int_equal(j.version, version);
		if (jwt_encode(&j, &k, jwt_int(&j, "iat"), &out, &e))
			fail_msg("%s: %s", name, e.text);
		if (version == 2 && (out.len != strlen(token) || memcmp(out.p, token, out.len)))
			fail_msg("%s: written as\n%.*s\nnot as\n%s", name, (int)out.len,
				 (const char *)out.p, token);
		assert_int_equal(jwt_decode(&again, "t", (const char *)out.p, out.len, &e), 0);
		assert_int_equal(again.version, 2);
		assert_true(json_equal(again.root, j.root));
	}
}

/* What version 1 had elsewhere is where version 2 has it. */
static void version1(void **state)
{
	CLEAN(json) json_t *all = vec_load("jwt.json");
	json_t *list = json_object_get(all, "jwts"), *v;
	struct err e = {0};
	size_t i, seen = 0;

	(void)state;
	json_array_foreach(list, i, v)
	{
		CLEAN(jwt) struct jwt j = {0};

		assert_int_equal(decode(&j, vec_str(v, "token"), &e), 0);
		if (j.version != 1)
			continue;
		seen++;
		assert_null(json_object_get(j.root, "type"));
		assert_string_equal(jwt_nats_str(&j, "type"), jwt_kind_name(j.kind));
		if (j.kind == JWT_OPERATOR)
			assert_true(claims_has(j.nats, "tags", "t"));
		if (j.kind == JWT_USER) {
			assert_int_equal(jwt_nats_str(&j, "issuer_account")[0], 'A');
			assert_true(claims_has(j.nats, "src", "192.0.2.2/32"));
		}
		if (j.kind == JWT_ACTIVATION)
			assert_string_equal(jwt_nats_str(&j, "kind"), "stream");
	}
	assert_int_equal(seen, 4);
}

static void refused(const char *token, enum err_code code, const char *text)
{
	CLEAN(jwt) struct jwt j = {0};
	struct err e = {0};

	if (decode(&j, token, &e) == 0)
		fail_msg("accepted: %.100s", token);
	assert_null(j.root);
	assert_int_equal(e.code, code);
	if (!strstr(e.text, text))
		fail_msg("'%s' does not say '%s'", e.text, text);
}

/* Token of a header and claims, signed by k over both. */
static char *make(const char *header, const char *claims, const struct nkey *k)
{
	char h[ENC_BASE64_LEN(200)], c[ENC_BASE64_LEN(8000)], s[ENC_BASE64_LEN(64)];
	struct err e = {0};
	uint8_t sig[64];
	char *t = NULL;

	enc_base64(h, header, strlen(header), ENC_URL);
	enc_base64(c, claims, strlen(claims), ENC_URL);
	assert_true(asprintf(&t, "%s.%s", h, c) > 0);
	assert_int_equal(nkey_sign(k, sig, t, strlen(t), &e), 0);
	free(t);
	enc_base64(s, sig, 64, ENC_URL);
	assert_true(asprintf(&t, "%s.%s.%s", h, c, s) > 0);
	return t;
}

#define V2 "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}"

static void made_refused(const char *header, const char *fmt, const struct nkey *k,
			 enum err_code code, const char *text)
{
	char pub[NKEY_PUB_LEN];
	CLEAN(free) char *claims = NULL, *token = NULL;
	const char *mark = strstr(fmt, "%s");

	nkey_pub_text(k, pub);
	assert_true(asprintf(&claims, "%.*s%s%s", (int)(mark ? mark - fmt : (long)strlen(fmt)), fmt,
			     mark ? pub : "", mark ? mark + 2 : "") > 0);
	token = make(header, claims, k);
	refused(token, code, text);
}

static void refusals(void **state)
{
	CLEAN(json) json_t *all = vec_load("jwt.json");
	const char *good = vec_str(json_array_get(json_object_get(all, "jwts"), 4), "token");
	CLEAN(nkey) struct nkey a = {0}, u = {0}, o = {0};
	CLEAN(free) char *bad = strdup(good), *large = malloc(JWT_MAX + 2);
	struct err e = {0};

	(void)state;
	assert_int_equal(nkey_generate(&a, NKEY_ACCOUNT, &e), 0);
	assert_int_equal(nkey_generate(&u, NKEY_USER, &e), 0);
	assert_int_equal(nkey_generate(&o, NKEY_OPERATOR, &e), 0);
	/* One changed character anywhere: never accepted. */
	for (size_t i = 0; i < strlen(good); i += 7) {
		CLEAN(jwt) struct jwt j = {0};

		if (good[i] == '.')
			continue;
		bad[i] = good[i] == 'A' ? 'B' : 'A';
		assert_int_equal(decode(&j, bad, &e), -1);
		bad[i] = good[i];
	}
	refused("", ERR_BAD_INPUT, "three parts");
	refused("a.b", ERR_BAD_INPUT, "three parts");
	refused("a.b.c.d", ERR_BAD_INPUT, "three parts");
	refused("a!.b.c", ERR_BAD_INPUT, "base64");
	refused("..", ERR_BAD_JSON, "");
	memset(large, 'A', JWT_MAX + 1);
	large[JWT_MAX + 1] = '\0';
	refused(large, ERR_TOO_LARGE, "at most");

	made_refused("{\"typ\":\"JWT\",\"alg\":\"none\"}", "{\"iss\":\"%s\"}", &a, ERR_BAD_INPUT,
		     "algorithm");
	made_refused("{\"alg\":\"ed25519-nkey\"}", "{\"iss\":\"%s\"}", &a, ERR_BAD_INPUT, "type");
	made_refused("[]", "{}", &a, ERR_BAD_INPUT, "object");
	made_refused(V2, "{\"iss\":\"%s\"}", &a, ERR_BAD_INPUT, "no 'nats'");
	made_refused(V2, "{\"iss\":\"%s\",\"nats\":{\"type\":\"user\",\"version\":3}}", &a,
		     ERR_BAD_VERSION, "newer");
	made_refused(V2, "{\"iss\":\"%s\",\"nats\":{\"type\":\"user\",\"version\":1}}", &a,
		     ERR_BAD_INPUT, "do not fit");
	made_refused(V2, "{\"iss\":\"x\",\"nats\":{\"type\":\"user\",\"version\":2}}", &a,
		     ERR_BAD_INPUT, "not an NKey");
	made_refused(V2, "{\"iss\":\"%s\",\"nats\":{\"type\":\"user\",\"version\":2}}", &o,
		     ERR_BAD_INPUT, "cannot issue");
	made_refused(V2, "{\"iss\":\"%s\",\"nats\":{\"type\":\"account\",\"version\":2}}", &u,
		     ERR_BAD_INPUT, "cannot issue");
	made_refused(V2, "{\"iss\":\"%s\",\"nats\":{\"type\":\"user\",\"version\":2,\"pub\":[]}}",
		     &a, ERR_BAD_JSON, "must be an object");
	made_refused(V2, "{\"iss\":\"%s\",\"nats\":{\"type\":\"user\",\"version\":2,\"subs\":1.5}}",
		     &a, ERR_BAD_JSON, "whole number");
	made_refused(V2, "{\"iss\":\"%s\",\"iss\":\"%s\",\"nats\":{}}", &a, ERR_BAD_JSON, "");
}

/* What others sign becomes names of files and lines of a configuration. */
static void subjects_of_others(void **state)
{
	static const char *const kinds[] = {"operator", "account", "user", "activation"};
	static const char *const bad[] = {"",	 "x",	"../../victim", "X\\nhttp: 1\\n#",
					  "%s ", "%sA", "public ",	"NULL"};
	CLEAN(nkey) struct nkey o = {0}, a = {0}, x = {0};
	char pub[NKEY_PUB_LEN], claims[600];
	struct err e = {0};

	(void)state;
	assert_int_equal(nkey_generate(&o, NKEY_OPERATOR, &e), 0);
	assert_int_equal(nkey_generate(&a, NKEY_ACCOUNT, &e), 0);
	assert_int_equal(nkey_generate(&x, NKEY_SERVER, &e), 0);
	for (size_t k = 0; k < 4; k++) {
		const struct nkey *by = k == 0 ? &o : &a;

		nkey_pub_text(&x, pub); /* a key, but of the wrong kind */
		for (size_t i = 0; i <= 8; i++) {
			const char *sub = i < 8 ? bad[i] : "%s";
			const char *mark = strstr(sub, "%s");
			char iss[NKEY_PUB_LEN];

			nkey_pub_text(by, iss);
			(void)snprintf(claims, sizeof(claims),
				       "{\"sub\":\"%s%s\",\"iss\":\"%s\",\"nats\":{\"type\":\"%s\","
				       "\"version\":2}}",
				       mark ? pub : sub, mark ? mark + 2 : "", iss, kinds[k]);
			CLEAN(free) char *token = make(V2, claims, by);

			refused(token, ERR_BAD_INPUT, "subject");
		}
	}
	nkey_pub_text(&a, pub);
	(void)snprintf(claims, sizeof(claims),
		       "{\"sub\":\"public\",\"iss\":\"%s\",\"nats\":{\"type\":\"activation\","
		       "\"version\":2}}",
		       pub);
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(free) char *token = make(V2, claims, &a);

	assert_int_equal(decode(&j, token, &e), 0);
}

static void deep(void **state)
{
	char claims[4096] = "{\"nats\":";
	CLEAN(nkey) struct nkey a = {0};
	struct err e = {0};

	(void)state;
	assert_int_equal(nkey_generate(&a, NKEY_ACCOUNT, &e), 0);
	memset(claims + strlen(claims), '[', 1000);
	made_refused(V2, claims, &a, ERR_BAD_INPUT, "deeply");
}

/* Members that this program does not know stay, behind the known ones. */
static void unknown(void **state)
{
	CLEAN(nkey) struct nkey a = {0}, u = {0};
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(buf) struct buf out = {0};
	CLEAN(free) char *claims = NULL, *token = NULL;
	char apub[NKEY_PUB_LEN], upub[NKEY_PUB_LEN];
	struct err e = {0};

	(void)state;
	buf_init(&out, JWT_MAX);
	assert_int_equal(nkey_generate(&a, NKEY_ACCOUNT, &e), 0);
	assert_int_equal(nkey_generate(&u, NKEY_USER, &e), 0);
	nkey_pub_text(&a, apub);
	nkey_pub_text(&u, upub);
	assert_true(asprintf(&claims,
			     "{\"later\":[1,{\"x\":null}],\"sub\":\"%s\",\"iss\":\"%s\",\"nats\":{"
			     "\"new\":1.5,\"type\":\"user\",\"version\":2,\"subs\":0}}",
			     upub, apub) > 0);
	token = make(V2, claims, &a);
	assert_int_equal(decode(&j, token, &e), 0);
	assert_int_equal(jwt_encode(&j, &a, 7, &out, &e), 0);
	assert_int_equal(jwt_decode(&j, "t", (const char *)out.p, out.len, &e), 0);
	buf_reset(&out);
	jwt_json(&out, j.nats, false);
	buf_u8(&out, 0);
	assert_string_equal((const char *)out.p,
			    "{\"pub\":{},\"sub\":{},\"type\":\"user\",\"version\":2,\"new\":1.5}");
	assert_int_equal(json_array_size(json_object_get(j.root, "later")), 2);
}

static void times(void **state)
{
	CLEAN(nkey) struct nkey u = {0};
	CLEAN(jwt) struct jwt j = {0};
	char pub[NKEY_PUB_LEN];
	struct err e = {0};

	(void)state;
	assert_int_equal(nkey_generate(&u, NKEY_USER, &e), 0);
	nkey_pub_text(&u, pub);
	assert_int_equal(jwt_new(&j, JWT_ACCOUNT, pub, &e), -1);
	assert_int_equal(e.code, ERR_WRONG_NKEY);
	assert_int_equal(jwt_new(&j, JWT_USER, pub, &e), 0);
	assert_int_equal(jwt_check_time(&j, 1000, &e), 0);
	claims_set_int(j.root, "exp", 999);
	assert_int_equal(jwt_check_time(&j, 1000, &e), -1);
	assert_non_null(strstr(e.text, "is expired"));
	assert_int_equal(jwt_check_time(&j, 999, &e), 0);
	claims_set_int(j.root, "exp", 0);
	claims_set_int(j.root, "nbf", 1001);
	assert_int_equal(jwt_check_time(&j, 1000, &e), -1);
	assert_non_null(strstr(e.text, "not yet valid"));
	/* a key that may not sign users */
	CLEAN(buf) struct buf out = {0};

	buf_init(&out, JWT_MAX);
	assert_int_equal(jwt_encode(&j, &u, 1, &out, &e), -1);
	assert_int_equal(e.code, ERR_WRONG_NKEY);
}

static void creds(void **state)
{
	CLEAN(json) json_t *all = vec_load("jwt.json");
	const char *token = vec_str(json_array_get(json_object_get(all, "jwts"), 6), "token");
	const char *operator_token =
		vec_str(json_array_get(json_object_get(all, "jwts"), 0), "token");
	const char *want = vec_str(all, "creds");
	CLEAN(nkey) struct nkey u = {0}, other = {0}, back = {0};
	CLEAN(buf) struct buf out = {0};
	struct bytes jwt;
	struct err e = {0};

	(void)state;
	buf_init(&out, JWT_MAX);
	pair(&u, vec_str(all, "user_seed"));
	assert_int_equal(creds_format(&out, token, strlen(token), &u, &e), 0);
	assert_int_equal(out.len, strlen(want));
	assert_memory_equal(out.p, want, out.len);
	assert_int_equal(creds_parse(&jwt, &back, "t", want, strlen(want), &e), 0);
	assert_int_equal(jwt.len, strlen(token));
	assert_memory_equal(back.pub, u.pub, 32);
	jwt = jwt_find(want, strlen(want));
	assert_int_equal(jwt.len, strlen(token));
	jwt = jwt_find("\n  a.b.c \r\n", 11);
	assert_int_equal(jwt.len, 5);
	assert_int_equal(nkey_generate(&other, NKEY_USER, &e), 0);
	assert_int_equal(creds_format(&out, token, strlen(token), &other, &e), -1);
	assert_int_equal(e.code, ERR_WRONG_NKEY);
	assert_int_equal(creds_format(&out, operator_token, strlen(operator_token), &u, &e), -1);
}

static void sealing(void **state)
{
	CLEAN(json) json_t *all = vec_load("jwt.json");
	const json_t *x = json_object_get(all, "xkey");
	json_t *list = json_object_get(x, "messages"), *v;
	CLEAN(nkey) struct nkey from = {0}, to = {0}, user = {0};
	CLEAN(buf) struct buf out = {0}, again = {0};
	struct err e = {0};
	size_t i;

	(void)state;
	buf_init(&out, 65536);
	buf_init(&again, 65536);
	pair(&from, vec_str(x, "from_seed"));
	pair(&to, vec_str(x, "to_seed"));
	assert_int_equal(nkey_generate(&user, NKEY_USER, &e), 0);
	json_array_foreach(list, i, v)
	{
		const char *s = vec_str(v, "sealed"), *t = vec_str(v, "text");
		uint8_t c[256], text[256];
		size_t n, m;

		assert_int_equal(enc_unbase64(c, sizeof(c), &n, s, strlen(s), ENC_STD), 0);
		assert_int_equal(enc_unbase64(text, sizeof(text), &m, t, strlen(t), ENC_STD), 0);
		buf_reset(&out);
		assert_int_equal(xkey_open(&out, &to, from.pub, c, n, &e), 0);
		assert_int_equal(out.len, m);
		if (m)
			assert_memory_equal(out.p, text, m);
		/* and what is sealed here opens again */
		buf_reset(&again);
		assert_int_equal(xkey_seal(&again, &to, from.pub, text, m, &e), 0);
		assert_int_equal(again.len, m + XKEY_OVERHEAD);
		buf_reset(&out);
		assert_int_equal(xkey_open(&out, &from, to.pub, again.p, again.len, &e), 0);
		assert_int_equal(out.len, m);
		for (size_t k = 0; k < n; k += 5) {
			c[k] ^= 1;
			assert_int_equal(xkey_open(&out, &to, from.pub, c, n, &e), -1);
			assert_int_equal(out.len, m);
			c[k] ^= 1;
		}
		assert_int_equal(xkey_open(&out, &to, to.pub, c, n, &e), -1);
		assert_int_equal(e.code, ERR_NOT_VERIFIED);
	}
	assert_int_equal(xkey_open(&out, &to, from.pub, "xkv1", 4, &e), -1);
	assert_int_equal(e.code, ERR_BAD_INPUT);
	assert_int_equal(xkey_open(&out, &user, from.pub, again.p, again.len, &e), -1);
	assert_int_equal(e.code, ERR_WRONG_NKEY);
	assert_int_equal(xkey_seal(&out, &user, from.pub, "", 0, &e), -1);
	uint8_t small[4], zero[32] = {0};
	struct buf fixed;

	buf_fixed(&fixed, small, sizeof(small));
	assert_int_equal(xkey_seal(&fixed, &from, to.pub, "a", 1, &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
	buf_reset(&out);
	assert_int_equal(xkey_seal(&out, &from, zero, "a", 1, &e), -1);
	assert_int_equal(out.len, 0);
}

static void subjects(void **state)
{
	static const struct {
		const char *a, *b;
		bool within;
	} rows[] = {
		{"a", "a", true},	  {"a", "b", false},	{"a.b", "a.*", true},
		{"a.b", "a.>", true},	  {"a", "a.>", false},	{"a.b.c", "a.*", false},
		{"a.*", "a.*", true},	  {"a.>", "a.>", true}, {"a.>", "a.*", false},
		{"x.b.c", "*.b.>", true}, {"ab", "a", false},	{"a", "ab", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (claims_subject_within(rows[i].a, rows[i].b) != rows[i].within)
			fail_msg("%s within %s", rows[i].a, rows[i].b);
	assert_true(claims_subject_wild("a.*.b"));
	assert_true(claims_subject_wild(">"));
	assert_false(claims_subject_wild("a>.b*"));
}

/* One issue that contains text, and fatal, for claims of an account with this member. */
static void issue(const char *member, const char *json, const char *text)
{
	CLEAN(nkey) struct nkey a = {0};
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(json) json_t *list = json_array(), *v = json_loads(json, JSON_DECODE_ANY, NULL);
	char pub[NKEY_PUB_LEN];
	struct err e = {0};

	assert_non_null(v);
	assert_int_equal(nkey_generate(&a, NKEY_ACCOUNT, &e), 0);
	nkey_pub_text(&a, pub);
	assert_int_equal(jwt_new(&j, JWT_ACCOUNT, pub, &e), 0);
	json_object_set(j.nats, member, v);
	jwt_check(&j, 1, list);
	if (!text) {
		if (json_array_size(list))
			fail_msg("%s: %s", json, claims_str(json_array_get(list, 0), "text"));
		return;
	}
	if (!jwt_fatal(list) || !strstr(jwt_fatal(list), text))
		fail_msg("%s: '%s' is not '%s'", json, jwt_fatal(list) ? jwt_fatal(list) : "",
			 text);
}

static void checks(void **state)
{
	(void)state;
	issue("exports", "[{\"subject\":\"a\",\"type\":\"service\"}]", NULL);
	issue("exports", "[{\"subject\":\"a\",\"type\":\"x\"}]", "invalid export type");
	issue("exports", "[{\"subject\":\"\",\"type\":\"stream\"}]", "cannot be empty");
	issue("exports",
	      "[{\"subject\":\"a.*\",\"type\":\"stream\"},{\"subject\":\"a.b\",\"type\":\"stream\"}"
	      "]",
	      "already exports");
	issue("exports",
	      "[{\"subject\":\"a.*\",\"type\":\"service\",\"account_token_position\":1}]",
	      "must match a *");
	issue("exports", "[{\"subject\":\"a.*\",\"type\":\"stream\",\"response_threshold\":1}]",
	      "only valid for services");
	issue("imports", "[{\"subject\":\"a\",\"type\":\"stream\"}]", "not specified");
	issue("imports",
	      "[{\"subject\":\"a.*\",\"type\":\"stream\",\"account\":\"A\",\"local_subject\":\"x\"}"
	      "]",
	      "enough");
	issue("imports",
	      "[{\"subject\":\"a.*\",\"type\":\"stream\",\"account\":\"A\",\"local_subject\":\"x.$"
	      "1\"}]",
	      NULL);
	issue("imports",
	      "[{\"subject\":\"a\",\"type\":\"stream\",\"account\":\"A\",\"token\":\"x\"}]",
	      "invalid activation");
	issue("mappings",
	      "{\"a\":[{\"subject\":\"b\",\"weight\":60},{\"subject\":\"c\",\"weight\":60}]}",
	      "exceeds 100");
	issue("mappings",
	      "{\"a\":[{\"subject\":\"b\",\"weight\":60},{\"subject\":\"c\",\"weight\":60,"
	      "\"cluster\":\"x\"}]}",
	      NULL);
	issue("default_permissions", "{\"pub\":{\"allow\":[\"a b\"]}}", "queue");
	issue("default_permissions", "{\"sub\":{\"allow\":[\"a b\"]}}", NULL);
	issue("signing_keys", "[\"U\"]", "not an account public key");
	issue("trace", "{\"dest\":\"a.*\"}", "not a valid publish subject");
}

/* Claims of strangers with ten thousand faults cost little, and the fatal one is told. */
static void many(void **state)
{
	CLEAN(nkey) struct nkey a = {0};
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(json) json_t *list = json_array(), *more = json_array();
	char pub[NKEY_PUB_LEN], text[40];
	struct err e = {0};

	(void)state;
	assert_int_equal(nkey_generate(&a, NKEY_ACCOUNT, &e), 0);
	nkey_pub_text(&a, pub);
	assert_int_equal(jwt_new(&j, JWT_ACCOUNT, pub, &e), 0);
	json_t *exports = claims_arr(j.nats, "exports"), *keys = claims_arr(j.nats, "signing_keys");
	json_t *imports = claims_arr(j.nats, "imports");
	json_t *map = claims_arr(claims_obj(j.nats, "mappings"), "a");

	for (int i = 0; i < 20000; i++) {
		(void)snprintf(text, sizeof(text), "K%d", i % 9999);
		json_array_append_new(keys, json_string(text));
		json_array_append_new(exports,
				      json_pack("{s:s,s:s}", "subject", ">", "type", "stream"));
		json_array_append_new(imports,
				      json_pack("{s:s,s:s}", "subject", "b", "type", "service"));
		json_array_append_new(map, json_pack("{s:s,s:i}", "subject", "b", "weight", 90));
	}
	jwt_check(&j, 1, list);
	assert_int_equal(json_array_size(list), JWT_MOST_ISSUES + 1);
	assert_non_null(jwt_fatal(list));
	/* a list that is not compared says so */
	jwt_check_exports(exports, more);
	assert_non_null(strstr(claims_str(json_array_get(more, 0), "text"), "too many"));
	json_array_clear(more);
	for (int i = 0; i < 500; i++)
		jwt_issue(more, i == 400, "%d", i);
	assert_int_equal(json_array_size(more), JWT_MOST_ISSUES + 1);
	assert_string_equal(jwt_fatal(more), "400 … and more");
	/* a text that is cut in a character is kept */
	json_array_clear(more);
	for (int i = 0; i < 4; i++) {
		char wide[1200];

		memset(wide, 'a', sizeof(wide));
		for (size_t k = (size_t)i; k + 3 < sizeof(wide); k += 3)
			memcpy(wide + k, "…", 3);
		wide[sizeof(wide) - 1] = '\0';
		jwt_issue(more, true, "%s", wide);
		assert_int_equal(json_array_size(more), (size_t)i + 1);
		assert_true(claims_bool(json_array_get(more, (size_t)i), "fatal"));
	}
	/* twice the same key: the later stays; e is left alone */
	CLEAN(buf) struct buf out = {0};

	buf_init(&out, (size_t)8 << 20);
	json_object_del(j.nats, "exports");
	json_object_del(j.nats, "imports");
	json_object_del(j.nats, "mappings");
	e.code = ERR_OK;
	assert_int_equal(jwt_encode(&j, &a, 7, &out, &e), 0);
	assert_int_equal(e.code, ERR_OK);
	assert_int_equal(json_array_size(json_object_get(j.nats, "signing_keys")), 9999);
}

static int setup(void **state)
{
	(void)state;
	return crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digest),   cmocka_unit_test(vectors),
		cmocka_unit_test(version1), cmocka_unit_test(refusals),
		cmocka_unit_test(deep),	    cmocka_unit_test(unknown),
		cmocka_unit_test(times),    cmocka_unit_test(creds),
		cmocka_unit_test(sealing),  cmocka_unit_test(subjects),
		cmocka_unit_test(checks),   cmocka_unit_test(subjects_of_others),
		cmocka_unit_test(many),
	};

	return cmocka_run_group_tests_name("jwt", tests, setup, NULL);
}
