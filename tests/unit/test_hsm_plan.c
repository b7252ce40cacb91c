/* The file of `hsm apply` and the plan that is made from it: what is new, what differs,
 * what cannot change, and that nothing is left after a plan was done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "box/hsm/hsm_plan.h"
#include "box/hsm/hsm_run.h"
#include "crypto/crypto.h"
#include "proto/mode.h"
#include "proto/op.h"

/* the NKeys of 32 times 1, 2, 3 */
static char nkey[4][NKEY_PUB_LEN];

static int parse(struct setup *s, const char *fmt, struct err *e)
{
	char text[2000];

	(void)snprintf(text, sizeof(text), "%s", fmt);
	/* @1 to @3 stand for NKeys */
	for (char *at; (at = strchr(text, '@')) && at[1] >= '1' && at[1] <= '3';) {
		char rest[2000];
		int i = at[1] - '0';

		(void)snprintf(rest, sizeof(rest), "%s", at + 2);
		(void)snprintf(at, sizeof(text) - (size_t)(at - text), "%s%s", nkey[i], rest);
	}
	*s = (struct setup){0};
	return setup_parse(s, "f", ".", text, strlen(text), e);
}

static void refused(const char *text, const char *why)
{
	CLEAN(setup) struct setup s;
	struct err e;

	assert_int_equal(parse(&s, text, &e), -1);
	assert_int_equal(e.code, ERR_CONFIG);
	if (!strstr(e.text, why))
		fail_msg("'%s' does not say '%s'", e.text, why);
}

static void test_parse(void **state)
{
	CLEAN(setup) struct setup s;
	struct err e;

	(void)state;
	assert_int_equal(
		parse(&s,
		      "provision: {passphrase_file: p, unattended_boot: on}\n"
		      "users:\n"
		      "  - {name: a, nkey: @1, role: admin, plain: true}\n"
		      "  - {name: b.c, nkey: @2}\n"
		      "keys:\n"
		      "  - {name: k, type: rsa, bits: 3072, modes: [pss-sha256], plain: off,"
		      " audit: durable}\n"
		      "  - name: l\n",
		      &e),
		0);
	assert_string_equal(s.passphrase_file, "p");
	assert_int_equal(s.unattended, 1);
	assert_null(s.identity);
	assert_int_equal(s.nusers, 2);
	assert_int_equal(s.users[0].role, ROLE_ADMIN);
	assert_int_equal(s.users[0].plain, 1);
	assert_int_equal(s.users[1].role, SETUP_UNSAID);
	assert_int_equal(s.users[1].plain, SETUP_UNSAID);
	assert_int_equal(s.users[1].nkey[0], 2);
	assert_int_equal(s.nkeys, 2);
	assert_int_equal(s.keys[0].type, KEY_RSA);
	assert_int_equal(s.keys[0].bits, 3072);
	assert_int_equal(s.keys[0].modes, MODE_BIT(MODE_PSS_SHA256));
	assert_int_equal(s.keys[0].plain, 0);
	assert_int_equal(s.keys[0].audit, AUDIT_DURABLE);
	assert_int_equal(s.keys[1].type, SETUP_UNSAID);
	assert_int_equal(s.keys[1].modes, 0);
}

static void test_empty(void **state)
{
	CLEAN(setup) struct setup s;
	struct plan_have have = {.unattended = true};
	CLEAN(plan) struct plan p = {0};
	struct err e;

	(void)state;
	assert_int_equal(parse(&s, "", &e), 0);
	assert_int_equal(plan_make(&p, &s, &have, &e), 0);
	assert_int_equal(p.n, 0);
}

static void test_refused(void **state)
{
	(void)state;
	refused("a: b\n", "f:1: unknown key 'a'");
	refused("users: 3\n", "f:1: 'users' must be a list");
	refused("users:\n  - 3\n", "f:2");
	refused("users:\n  - {name: a, nkey: @1}\n  - {name: a, nkey: @2}\n", "f:3: 'a' stands");
	refused("users:\n  - {name: a, nkey: @1}\n  - {name: b, nkey: @1}\n", "f:3: a has this");
	refused("users:\n  - {name: a, nkey: @1, nkey_file: x}\n", "f:2: user 'a' needs either");
	refused("users:\n  - {name: '', nkey: @1}\n", "is no name");
	refused("users:\n  - {name: a..b, nkey: @1}\n", "is no name");
	refused("keys:\n  - {name: k, bits: 1}\n", "f:2: ed25519 keys have 256 to 256 bits");
	refused("keys:\n  - {name: k, bits: -1}\n", "bits");
	refused("keys:\n  - {name: k, type: rsa, bits: 70000}\n", "2048 to 4096");
	refused("keys:\n  - {name: k, plain: 1}\n", "f:2: 'plain' is on or off");
	refused("keys:\n  - {name: k, plain: yes}\n", "f:2: 'plain' is on or off");
	refused("keys:\n  - {name: k, modes: [eddsa, 3]}\n", "item 2 must be a string");
	refused("provision:\n  unattended_boot: maybe\n", "f:2: 'unattended_boot' is on or off");
	refused("identity: nobody\n", "f:1: identity of the HSM");
}

/* What is there: one user a (NKey 1, operator), one key k (p256, its message mode). */
static struct plan_user users[] = {{.name = "a", .role = ROLE_OPERATOR}};

static void plan_of(const char *text, struct setup *s, struct plan *p, struct plan_key *k, int want,
		    struct err *e)
{
	struct plan_have have = {.users = users, .nusers = 1, .keys = k};

	memset(users[0].nkey, 1, sizeof(users[0].nkey));
	assert_int_equal(parse(s, text, e), 0);
	assert_int_equal(plan_make(p, s, &have, e), want);
}

static void test_new(void **state)
{
	CLEAN(setup) struct setup s;
	CLEAN(plan) struct plan p = {0};
	struct plan_key k[2] = {0};
	char text[256];
	struct err e;

	(void)state;
	plan_of("provision: {unattended_boot: on}\n"
		"users: [{name: a, nkey: @1}, {name: b, nkey: @2, role: administrator, plain: "
		"on}]\n"
		"keys: [{name: k, type: p256}, {name: l, plain: on, audit: durable}]\n",
		&s, &p, k, 0, &e);
	const char *want[][3] = {
		{"unattended-boot", "turned unattended boot on", "would turn unattended boot on"},
		{"user-add", "added user b as Administrator", "would add user b as Administrator"},
		{"key-gen", "made key k (p256)", "would make key k (p256)"},
		{"key-gen", "made key l (ed25519)", "would make key l (ed25519)"},
	};

	assert_int_equal(p.n, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_string_equal(plan_name(p.steps[i].what), want[i][0]);
		plan_text(&p.steps[i], false, text, sizeof(text));
		assert_string_equal(text, want[i][1]);
		plan_text(&p.steps[i], true, text, sizeof(text));
		assert_string_equal(text, want[i][2]);
	}
	assert_int_equal(p.steps[1].flags, USER_PLAIN);
	assert_int_equal(p.steps[2].flags, 0);
	assert_int_equal(p.steps[3].flags, KEYF_PLAIN);
	assert_int_equal(p.steps[3].audit, AUDIT_DURABLE);
}

static void test_change(void **state)
{
	CLEAN(setup) struct setup s;
	CLEAN(plan) struct plan p = {0};
	struct plan_key k[1] = {{.there = true,
				 .type = KEY_P256,
				 .bits = 256,
				 .modes = MODE_BIT(MODE_ECDSA_SHA256),
				 .audit = AUDIT_DURABLE}};
	struct err e;

	(void)state;
	plan_of("users: [{name: a, nkey: @1, plain: on}]\n"
		"keys: [{name: k, type: p256, bits: 256, modes: [ecdsa-sha256], plain: on}]\n",
		&s, &p, k, 0, &e);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.steps[0].what, PLAN_USER_SET);
	assert_int_equal(p.steps[0].flags, USER_PLAIN);
	assert_string_equal(plan_object(&p.steps[0]), "a");
	assert_int_equal(p.steps[1].what, PLAN_KEY_SET);
	assert_int_equal(p.steps[1].flags, KEYF_PLAIN);
	/* unsaid: as it was */
	assert_int_equal(p.steps[1].audit, AUDIT_DURABLE);
}

static void test_unsaid(void **state)
{
	CLEAN(setup) struct setup s;
	CLEAN(plan) struct plan p = {0};
	struct plan_key k[1] = {
		{.there = true, .type = KEY_RSA, .bits = 4096, .modes = 64, .flags = KEYF_PLAIN}};
	struct err e;

	(void)state;
	users[0].flags = USER_PLAIN;
	plan_of("users: [{name: a, nkey: @1}]\nkeys: [{name: k}]\n", &s, &p, k, 0, &e);
	users[0].flags = 0;
	assert_int_equal(p.n, 0);
}

static void conflicts(const char *text, const char *why)
{
	CLEAN(setup) struct setup s;
	CLEAN(plan) struct plan p = {0};
	struct plan_key k[1] = {
		{.there = true, .type = KEY_RSA, .bits = 2048, .modes = MODE_BIT(MODE_PSS_SHA256)}};
	struct err e;

	plan_of(text, &s, &p, k, -1, &e);
	assert_int_equal(e.code, ERR_EXISTS);
	if (!strstr(e.text, why))
		fail_msg("'%s' does not say '%s'", e.text, why);
}

static void test_conflicts(void **state)
{
	(void)state;
	conflicts("keys:\n  - {name: k, type: p256}\n",
		  "f:2: key 'k' is rsa in the HSM and p256 here");
	conflicts("keys:\n  - {name: k, type: rsa, bits: 4096}\n",
		  "2048 bits in the HSM and 4096 here");
	conflicts("keys:\n  - {name: k, type: rsa, modes: [pss-sha512]}\n",
		  "modes pss-sha256 in the HSM and pss-sha512 here");
	conflicts("users:\n  - {name: a, nkey: @2}\n", "f:2: user 'a' has NKey");
	conflicts("users:\n  - {name: b, nkey: @1}\n", "NKey of 'b' here as user 'a'");
	conflicts("users:\n  - {name: a, nkey: @1, role: admin}\n",
		  "is Operator in the HSM and Administrator here");
	conflicts("users:\n  - {name: a, nkey: @2}\n  - {name: b, nkey: @1}\n", "(1 more like it)");
	conflicts("users:\n  - {name: a, nkey: @2}\nkeys:\n  - {name: k, type: p256}\n", "1 more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),	  cmocka_unit_test(test_empty),
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_new),
		cmocka_unit_test(test_change),	  cmocka_unit_test(test_unsaid),
		cmocka_unit_test(test_conflicts),
	};

	if (crypto_init())
		return 1;
	for (int i = 1; i <= 3; i++) {
		uint8_t pub[32];

		memset(pub, i, sizeof(pub));
		nkey_encode(nkey[i], NKEY_USER, pub);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
