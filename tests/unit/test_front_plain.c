/* The front's reading of subjects, headers and bodies, and its writing of results. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "hsm/front/plain.h"
#include "hsm/front/subject.h"
#include "nkey/nkey.h"
#include "proto/body.h"
#include "proto/mode.h"
#include "proto/request.h"

#define MAX_MESSAGE 4096

static uint8_t caller[32];
static char user[NKEY_PUB_LEN], account[NKEY_PUB_LEN];

static int setup(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(caller); i++)
		caller[i] = (uint8_t)(i * 7 + 1);
	nkey_encode(user, NKEY_USER, caller);
	nkey_encode(account, NKEY_ACCOUNT, caller);
	return 0;
}

static void reply_subjects(void **state)
{
	static const char *const good[] = {"_INBOX.a", "_INBOX.UABC.x-1.2", "_R_.x.y", "_INBOX.~!"};
	static const char *const bad[] = {
		"",
		"_INBOX",
		"_INBOX.",
		"_INBOX.a.",
		"_INBOX..a",
		"_INBOX.a..b",
		"_INBOX.*",
		"_INBOX.a.>",
		"_INBOX.a b",
		"_INBOX.a\tb",
		"_INBOX.a\r",
		"_INBOX.\x7f",
		"_INBOX.\xc3\xa4",
		"inbox.a",
		"_R_",
		"_R_.",
		"_inbox.a",
		" _INBOX.a",
		"hsm.as.U.sign",
		"$SRV.PING",
		"_INBOXX.a",
		"_INBOX.a*b",
	};
	char text[REPLY_MAX + 8];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(subject_reply_ok(good[i]), strlen(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (subject_reply_ok(bad[i]))
			fail_msg("'%s' is allowed", bad[i]);
	assert_int_equal(subject_reply_ok(NULL), 0);
	memset(text, 'a', sizeof(text));
	memcpy(text, "_INBOX.", 7);
	text[REPLY_MAX - 1] = '\0';
	assert_int_equal(subject_reply_ok(text), REPLY_MAX - 1);
	text[REPLY_MAX - 1] = 'a';
	text[REPLY_MAX] = '\0';
	assert_int_equal(subject_reply_ok(text), 0);
}

static void inboxes(void **state)
{
#define A "UDGLL34M365S5VEHEUNTKZOCVS2M2M5S2RSDZU6QHZZKW3TXCNKMBYB5"
#define B "UD466L6EBCM3YY5HEGHJANNTN4LSKTSUXTH7RILHCKEQMQHTBNLHJJXT"
	(void)state;
	assert_true(subject_inbox_own("hsm.as." A ".sign.k", "_INBOX." A ".1"));
	assert_false(subject_inbox_own("hsm.as." A ".sign.k", "_INBOX." B ".1"));
	/* a key named like the victim changes nothing */
	assert_false(subject_inbox_own("hsm.as." A ".sign." B, "_INBOX." B ".1"));
	assert_true(subject_inbox_own("hsm.i.0011223344556677." A, "_INBOX." A ".1"));
	assert_false(subject_inbox_own("hsm.i.0011223344556677." A, "_INBOX." B ".1"));
	assert_false(subject_inbox_own("hsm.i", "_INBOX." B ".1"));
	assert_false(subject_inbox_own("hsm.as.", "_INBOX." B ".1"));
	/* inboxes of another convention are the broker's to guard */
	assert_true(subject_inbox_own("hsm.as." A ".sign.k", "_INBOX.abc.1"));
	assert_true(subject_inbox_own("hsm.as." A ".sign.k", "_R_." B ".1"));
#undef A
#undef B
}

static void expect_caller(const char *subject, int code)
{
	uint8_t nkey[32];
	struct err e = {0};
	int rc = subject_caller(nkey, subject, &e);

	if (rc != (code ? -1 : 0) || (int)e.code != code)
		fail_msg("%s: %d, %d %s", subject, rc, e.code, e.text);
	if (!code)
		assert_memory_equal(nkey, caller, 32);
}

static void session_subjects(void **state)
{
	static const char head[] = "hsm.i.0123456789abcdef.";
	char s[256];

	(void)state;
	/* Twice: the second time from the table of recent callers. */
	for (int i = 0; i < 2; i++) {
		snprintf(s, sizeof(s), "%s%s", head, user);
		expect_caller(s, 0);
		snprintf(s, sizeof(s), "%s%s", head, account);
		expect_caller(s, ERR_WRONG_NKEY);
		snprintf(s, sizeof(s), "%s%.55s", head, user);
		expect_caller(s, ERR_BAD_NKEY);
		snprintf(s, sizeof(s), "%s%s.x", head, user);
		expect_caller(s, ERR_BAD_NKEY);
		/* Differs only where the table does not look. */
		snprintf(s, sizeof(s), "%s%s", head, user);
		s[sizeof(head) + 9] ^= 1;
		expect_caller(s, ERR_BAD_NKEY);
	}
	expect_caller("hsm.i.0123456789abcdef.", ERR_BAD_NKEY);
	expect_caller("hsm.i.0123456789abcdef", ERR_BAD_FRAME);
	expect_caller("hsm.i.0123.x", ERR_BAD_FRAME);
	expect_caller("hsm.x", ERR_BAD_FRAME);
	expect_caller("", ERR_BAD_FRAME);
}

static void plain_subjects(void **state)
{
	const struct {
		const char *before, *after; /* the caller's NKey */
		int code;
		enum op op;
		bool json;
		const char *key;
	} cases[] = {
		{"hsm.as.", ".sign.k", 0, OP_sign, false, "k"},
		{"hsm.as.", ".sign-json.a.b-c_d.9", 0, OP_sign, true, "a.b-c_d.9"},
		{"hsm.as.", ".verify.k", 0, OP_verify, false, "k"},
		{"hsm.as.", ".pub-json.k", 0, OP_key_get, true, "k"},
		{"hsm.as.", ".random", 0, OP_random, false, ""},
		{"hsm.as.", ".random-json", 0, OP_random, true, ""},
		{"hsm.as.", ".random.k", ERR_BAD_NAME, 0, false, ""},
		{"hsm.as.", ".random.", ERR_BAD_NAME, 0, false, ""},
		{"hsm.as.", ".sign", ERR_BAD_NAME, 0, false, ""},
		{"hsm.as.", ".sign.", ERR_BAD_NAME, 0, false, ""},
		{"hsm.as.", ".sign..k", ERR_BAD_NAME, 0, false, ""},
		{"hsm.as.", ".sign._k", ERR_BAD_NAME, 0, false, ""},
		{"hsm.as.", ".sign-json.a/b", ERR_BAD_NAME, 0, true, ""},
		{"hsm.as.", ".signs.k", ERR_UNKNOWN_OP, 0, false, ""},
		{"hsm.as.", ".sig.k", ERR_UNKNOWN_OP, 0, false, ""},
		{"hsm.as.", ".SIGN.k", ERR_UNKNOWN_OP, 0, false, ""},
		{"hsm.as.", "..k", ERR_UNKNOWN_OP, 0, false, ""},
		{"hsm.as.", "", ERR_UNKNOWN_OP, 0, false, ""},
		{"hsm.as.x", ".sign.k", ERR_BAD_NKEY, 0, false, ""},
		{"hsm.i.", ".sign.k", ERR_UNKNOWN_OP, 0, false, ""},
	};
	struct plain_subject s;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err e = {0};

		snprintf(text, sizeof(text), "%s%s%s", cases[i].before, user, cases[i].after);
		int rc = subject_plain(&s, text, &e);

		if (rc != (cases[i].code ? -1 : 0) || (int)e.code != cases[i].code ||
		    s.json != cases[i].json)
			fail_msg("%s: %d %s", text, e.code, e.text);
		if (rc == 0) {
			assert_int_equal(s.op, cases[i].op);
			assert_string_equal(s.key, cases[i].key);
			assert_memory_equal(s.nkey, caller, 32);
		}
	}
}

/* ---- requests ---- */

struct made {
	int code; /* 0: q is there */
	struct plain_call call;
	struct request q;
	struct plain_work work;
};

static void make(struct made *m, const char *tail, const void *body, size_t len, const char *mode,
		 const char *signature)
{
	char subject[256];
	const struct plain_in in = {
		.subject = subject, .mode = mode, .signature = signature, .body = body, .len = len};
	struct err e = {0};

	snprintf(subject, sizeof(subject), "hsm.as.%s.%s", user, tail);
	plain_work_init(&m->work, MAX_MESSAGE);
	m->code = plain_request(&m->call, &m->work, &in, &e) ? (int)e.code : 0;
	if (m->code)
		return;
	assert_memory_equal(m->work.request.p, caller, 32);
	assert_int_equal(
		request_decode(&m->q, m->work.request.p + 32, m->work.request.len - 32, &e), 0);
	/* What the plain surface never has: a claimed user, idempotency, a version. */
	assert_int_equal(m->q.cred, CRED_NKEY);
	assert_int_equal(m->q.user.len + m->q.ns.len + m->q.key_version, 0);
}

static void made_free(struct made *m)
{
	plain_work_free(&m->work);
}

static int code_of(const char *tail, const char *body, const char *mode, const char *signature)
{
	struct made m;

	make(&m, tail, body, strlen(body), mode, signature);
	made_free(&m);
	return m.code;
}

static void raw_requests(void **state)
{
	struct made m;

	(void)state;
	make(&m, "sign.a.b", "x\0y", 3, NULL, NULL);
	assert_int_equal(m.code, 0);
	assert_int_equal(m.q.op, OP_sign);
	assert_int_equal(m.q.mode, MODE_DEFAULT);
	assert_int_equal(m.q.key.len, 3);
	assert_int_equal(m.q.body.len, 3);
	assert_memory_equal(m.q.body.p, "x\0y", 3);
	made_free(&m);

	make(&m, "verify.k", "msg", 3, "eddsa", "AAAA");
	assert_int_equal(m.code, 0);
	assert_int_equal(m.q.mode, MODE_EDDSA);
	assert_memory_equal(m.q.body.p, "\x03\x00\x00\x00\x00\x03\x00\x00\x00msg", 12);
	made_free(&m);

	/* ECDSA: DER outside, raw inside, with and without a mode. */
	for (int i = 0; i < 2; i++) {
		make(&m, "verify.k", "", 0, i ? "ecdsa-sha256" : NULL, "MAYCAQECAQI=");
		assert_int_equal(m.code, 0);
		assert_int_equal(m.q.body.len, 2 + 64 + 4);
		assert_int_equal(m.q.body.p[2 + 31], 1);
		assert_int_equal(m.q.body.p[2 + 63], 2);
		made_free(&m);
	}

	make(&m, "random", "", 0, NULL, NULL);
	assert_memory_equal(m.q.body.p, "\x20\x00", 2);
	made_free(&m);
	make(&m, "random", "4096", 4, NULL, NULL);
	assert_memory_equal(m.q.body.p, "\x00\x10", 2);
	made_free(&m);
}

static void raw_refusals(void **state)
{
	static char large[MAX_MESSAGE + 2];

	(void)state;
	memset(large, 'a', sizeof(large) - 1);
	assert_int_equal(code_of("sign.k", large, NULL, NULL), ERR_TOO_LARGE);
	large[MAX_MESSAGE] = '\0';
	assert_int_equal(code_of("sign.k", large, NULL, NULL), 0);
	/* The signature counts too. */
	assert_int_equal(code_of("verify.k", large, NULL, "AAAA"), ERR_TOO_LARGE);
	assert_int_equal(code_of("sign.k", "", "eddsa ", NULL), ERR_BAD_MODE);
	assert_int_equal(code_of("sign.k", "", "", NULL), ERR_BAD_MODE);
	assert_int_equal(code_of("verify.k", "", NULL, NULL), ERR_BAD_REQUEST);
	assert_int_equal(code_of("verify.k", "", NULL, "AAA"), ERR_BAD_SIGNATURE_FORM);
	assert_int_equal(code_of("verify.k", "", "ecdsa-sha256", "AAAA"), ERR_BAD_SIGNATURE_FORM);
	assert_int_equal(code_of("random", "0", NULL, NULL), ERR_BAD_LENGTH);
	assert_int_equal(code_of("random", "4097", NULL, NULL), ERR_BAD_LENGTH);
	assert_int_equal(code_of("random", "18446744073709551648", NULL, NULL), ERR_BAD_LENGTH);
	assert_int_equal(code_of("random", "-1", NULL, NULL), ERR_BAD_REQUEST);
	assert_int_equal(code_of("random", " 1", NULL, NULL), ERR_BAD_REQUEST);
	assert_int_equal(code_of("pub.k", " ", NULL, NULL), ERR_BAD_REQUEST);
}

static void json_requests(void **state)
{
	static const char sign[] = "{\"message\":\"aGFsbG8=\",\"mode\":\"pss-sha256\"}";
	static const char verify[] = "{\"message\":\"aGFsbG8=\",\"signature\":\"AAAA\"}";
	struct made m;

	(void)state;
	make(&m, "sign-json.k", sign, strlen(sign), "eddsa", NULL);
	assert_int_equal(m.code, 0);
	assert_true(m.call.json);
	assert_int_equal(m.q.mode, MODE_PSS_SHA256); /* headers are for the raw forms */
	assert_int_equal(m.q.body.len, 5);
	assert_memory_equal(m.q.body.p, "hallo", 5);
	made_free(&m);
	make(&m, "verify-json.k", verify, strlen(verify), NULL, NULL);
	assert_int_equal(m.code, 0);
	assert_memory_equal(m.q.body.p, "\x03\x00\x00\x00\x00\x05\x00\x00\x00hallo", 14);
	made_free(&m);
	assert_int_equal(code_of("pub-json.k", "", NULL, NULL), 0);
	assert_int_equal(code_of("pub-json.k", "{}", NULL, NULL), 0);
	assert_int_equal(code_of("random-json", "{\"length\":1}", NULL, NULL), 0);
}

static void json_refusals(void **state)
{
	static const char *const bad[] = {
		"{",
		"[]",
		"null",
		"\"x\"",
		"{\"message\":\"\"}x",
		"{\"message\":\"\",\"message\":\"\"}",
		"{\"message\":\"\",\"Mode\":\"eddsa\"}",
		"{\"message\":\"\",\"mode\":1}",
		"{\"message\":null}",
		"{\"message\":\"A\"}",
		"{\"message\":\"AAAA\\n\"}",
		"{\"message\":\"AAB=\"}",
		"{\"message\":\"AA-_\"}",
		"{\"message\":\"\\u0000\"}",
		"{\"message\":\"\xff\"}",
	};
	struct made m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (code_of("sign-json.k", bad[i], NULL, NULL) != ERR_BAD_JSON)
			fail_msg("%s: %d", bad[i], code_of("sign-json.k", bad[i], NULL, NULL));
	assert_int_equal(code_of("sign-json.k", "{\"message\":\"\",\"mode\":\"x\"}", NULL, NULL),
			 ERR_BAD_MODE);
	assert_int_equal(code_of("random-json", "{\"length\":1.0}", NULL, NULL), ERR_BAD_JSON);
	assert_int_equal(code_of("random-json", "{\"length\":0}", NULL, NULL), ERR_BAD_LENGTH);
	/* An integer that stands for "absent" elsewhere. */
	assert_int_equal(code_of("random-json", "{\"length\":-9223372036854775807}", NULL, NULL),
			 ERR_BAD_LENGTH);
	make(&m, "sign-json.k", "{", 1, NULL, NULL);
	assert_true(m.call.json); /* so that the error is JSON */
	made_free(&m);
}

/* ---- results ---- */

static void expect_result(struct plain_call *c, enum err_code code, uint8_t mode, const void *p,
			  size_t n, const char *want)
{
	CLEAN(buf) struct buf out = {0};
	struct err e = {0};

	buf_init(&out, 65536);
	if (plain_result(c, code, mode, p, n, &out, &e))
		fail_msg("%s", e.text);
	assert_int_equal(out.len, strlen(want));
	assert_memory_equal(out.p, want, out.len);
}

static void results(void **state)
{
	struct plain_call c = {.op = OP_verify, .key = "k"};
	uint8_t raw[64] = {0};

	(void)state;
	expect_result(&c, ERR_OK, MODE_EDDSA, "", 0, "true");
	expect_result(&c, ERR_NOT_VERIFIED, MODE_EDDSA, "no", 2, "false");
	c.json = true;
	expect_result(&c, ERR_NOT_VERIFIED, MODE_EDDSA, "no", 2,
		      "{\"valid\":false,\"mode\":\"eddsa\",\"key\":\"k\"}");
	c.op = OP_sign;
	raw[31] = 1;
	raw[63] = 2;
	expect_result(&c, ERR_OK, MODE_ECDSA_SHA256, raw, 64,
		      "{\"signature\":\"MAYCAQECAQI=\",\"mode\":\"ecdsa-sha256\",\"key\":\"k\"}");
	c.json = false;
	expect_result(&c, ERR_OK, MODE_EDDSA, "sig", 3, "sig");
	c.op = OP_random;
	c.json = true;
	c.key[0] = '\0';
	expect_result(&c, ERR_OK, 0, "abc", 3, "{\"random\":\"YWJj\"}");
}

static void bad_results(void **state)
{
	struct plain_call c = {.op = OP_key_get, .key = "k"};
	CLEAN(buf) struct buf out = {0};
	struct err e = {0};

	(void)state;
	buf_init(&out, 65536);
	assert_int_equal(plain_result(&c, ERR_OK, 0, (const uint8_t *)"x", 1, &out, &e), -1);
	assert_int_equal(e.code, ERR_INTERNAL);
	c.json = true;
	assert_int_equal(plain_result(&c, ERR_OK, 0, NULL, 0, &out, &e), -1);
}

static void errors(void **state)
{
	struct plain_call c = {.op = OP_sign, .json = true};
	CLEAN(buf) struct buf out = {0};
	struct err e = {0};

	(void)state;
	buf_init(&out, 4096);
	err_set(&e, ERR_BAD_JSON, "a \"quote\" and a \\");
	plain_error(&c, &e, &out);
	static const char want[] =
		"{\"error\":{\"code\":\"BAD_JSON\",\"message\":\"a \\\"quote\\\" and a \\\\\"}}";

	assert_int_equal(out.len, strlen(want));
	assert_memory_equal(out.p, want, out.len);
	buf_reset(&out);
	c.json = false;
	plain_error(&c, &e, &out);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reply_subjects),   cmocka_unit_test(inboxes),
		cmocka_unit_test(session_subjects), cmocka_unit_test(plain_subjects),
		cmocka_unit_test(raw_requests),	    cmocka_unit_test(raw_refusals),
		cmocka_unit_test(json_requests),    cmocka_unit_test(json_refusals),
		cmocka_unit_test(results),	    cmocka_unit_test(bad_results),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
