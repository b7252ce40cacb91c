/* The tables of operations, key types and modes, and the checks that follow them: who
 * may do what in which state and on which surface, against docs/PROTOCOL.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "hsm/keyd/call.h"
#include "hsm/keyd/commit.h"
#include "proto/mode.h"

/* What keyd's main.c has; none of it is used here. */
uint64_t keyd_now(void)
{
	return 1;
}
uint64_t keyd_ticks(void)
{
	return 1;
}
void state_write_begin(struct keyd *k)
{
	(void)k;
}
void state_write_end(struct keyd *k)
{
	(void)k;
}
void state_read_begin(struct keyd *k, struct lane *l)
{
	(void)k;
	(void)l;
}
void state_read_end(struct lane *l)
{
	(void)l;
}
void keyd_hello(struct keyd *k, struct hello *h)
{
	(void)k;
	memset(h, 0, sizeof(*h));
}
void keyd_announce(struct keyd *k)
{
	(void)k;
}
void keyd_tell(struct keyd *k, enum wire_type type, uint64_t tag, const void *p, size_t n)
{
	(void)k;
	(void)type;
	(void)tag;
	(void)p;
	(void)n;
}
void keyd_problem(struct keyd *k, enum err_code code)
{
	(void)k;
	(void)code;
}

/* ---- tables ---- */

static void test_rows(void **state)
{
	const struct op_row *a, *b;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; (a = op_at(i)); i++, n++) {
		assert_ptr_equal(op_row(a->op), a);
		assert_true(strlen(a->name) > 0);
		assert_true(a->states && !(a->states & ~7u));
		assert_true(a->roles && !(a->roles & ~7u));
		for (unsigned j = i + 1; (b = op_at(j)); j++) {
			assert_int_not_equal(a->op, b->op);
			assert_string_not_equal(a->name, b->name);
		}
		/* Before unlock there is only the bootstrap administrator. */
		if (!(a->states & STATE_OPERATIONAL))
			assert_int_equal(a->roles, ROLE_BOOTSTRAP);
		/* What the plain surface has changes nothing. */
		if (a->flags & OPF_PLAIN)
			assert_false(a->flags & (OPF_MUTATES | OPF_SLOW));
	}
	assert_true(n >= 24);
	for (unsigned i = 0; i < 70000; i++)
		if (op_row(i))
			n--;
	assert_int_equal(n, 0);
}

/* DESIGN.md: the plain surface has sign, verify, random and public key, no more. */
static void test_plain_rows(void **state)
{
	const struct op_row *a;

	(void)state;
	for (unsigned i = 0; (a = op_at(i)); i++)
		assert_int_equal(!!(a->flags & OPF_PLAIN), a->op == OP_sign || a->op == OP_verify ||
								   a->op == OP_random ||
								   a->op == OP_key_get);
}

static void test_handlers(void **state)
{
	const struct op_row *a;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; (a = op_at(i)); i++) {
		const struct handler *h = op_handler(a->op);

		assert_non_null(h);
		if (a->flags & (OPF_MUTATES | OPF_SLOW | OPF_STORE))
			assert_non_null(h->commit);
		else
			assert_non_null(h->lane);
		assert_int_equal(!!(a->flags & OPF_SLOW), !!h->slow);
	}
	for (unsigned i = 0; i < 70000; i++)
		n += !op_row(i) && op_handler(i);
	assert_int_equal(n, 0);
}

static void test_texts(void **state)
{
	(void)state;
	assert_string_equal(hsm_state_text(STATE_UNPROVISIONED), "unprovisioned");
	assert_string_equal(hsm_state_text(STATE_LOCKED), "locked");
	assert_string_equal(hsm_state_text(STATE_OPERATIONAL), "operational");
	assert_string_equal(hsm_state_text(0), "?");
	assert_string_equal(hsm_state_text(255), "?");
	assert_string_equal(role_text(ROLE_ADMIN), "Administrator");
	assert_string_equal(role_text(3), "?");
}

static void test_modes(void **state)
{
	const struct mode_row *m;
	uint32_t all = 0;

	(void)state;
	for (unsigned i = 0; (m = mode_at(i)); i++) {
		assert_true(m->mode > 0 && m->mode < 32);
		assert_false(all & MODE_BIT(m->mode));
		all |= MODE_BIT(m->mode);
		assert_ptr_equal(mode_row(m->mode), m);
		assert_ptr_equal(mode_named(m->text), m);
		assert_non_null(key_type_row(m->type));
		assert_true(mode_mask(m->type) & MODE_BIT(m->mode));
		if (m->input == INPUT_DIGEST)
			assert_true(mode_hash_len(m->hash) >= 32);
	}
	for (unsigned t = 0; t < 300; t++) {
		const struct key_type_row *k = key_type_row(t);

		if (!k)
			continue;
		assert_ptr_equal(key_type_named(k->text), k);
		assert_true(k->min_bits <= k->max_bits);
		/* The default takes a message, so that it cannot be misunderstood. */
		assert_int_equal(mode_row(k->default_mode)->type, t);
		assert_int_equal(mode_row(k->default_mode)->input, INPUT_MESSAGE);
		all &= ~mode_mask(t);
	}
	assert_int_equal(all, 0);
	assert_null(mode_row(0));
	assert_null(mode_named("none"));
	assert_null(key_type_named(""));
}

/* ---- call_check ---- */

static struct keyd k;
static struct object *users[2]; /* administrator, operator */
static const unsigned states[3] = {STATE_UNPROVISIONED, STATE_LOCKED, STATE_OPERATIONAL};

static struct object *user(const char *name, uint8_t role, uint8_t byte)
{
	struct object *o = calloc(1, sizeof(*o));

	assert_non_null(o);
	o->kind = BLOB_USER;
	o->name_len = (uint8_t)strlen(name);
	memcpy(o->name, name, o->name_len);
	memset(o->user.nkey, byte, 32);
	memset(o->user.xkey, byte ^ 0xff, 32);
	o->user.role = role;
	objects_add(&k.objects, o);
	return o;
}

static int setup(void **state)
{
	struct err e;

	(void)state;
	memset(&k, 0, sizeof(k));
	if (objects_init(&k.objects, &e))
		return -1;
	memset(k.boot_id, 0xb0, BOOT_ID_LEN);
	k.nbootstrap = 1;
	memset(k.bootstrap[0].nkey, 1, 32);
	memcpy(k.bootstrap[0].name, "root", 5);
	users[0] = user("root", ROLE_ADMIN, 1);
	users[1] = user("op", ROLE_OPERATOR, 2);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	objects_free(&k.objects);
	return 0;
}

static struct call good_call(unsigned op, uint8_t caller, uint8_t surface)
{
	struct call c = {.k = &k, .surface = surface, .q = {.cred = CRED_NKEY, .op = (uint16_t)op}};

	memset(c.nkey, caller, 32);
	memcpy(c.q.boot_id, k.boot_id, BOOT_ID_LEN);
	memset(c.q.idem, 9, IDEM_LEN);
	return c;
}

static int code_of(struct call *c)
{
	struct err e = {0};

	return call_check(c, &e) ? (int)e.code : 0;
}

static int expected(const struct op_row *r, unsigned now, uint8_t caller, uint8_t surface,
		    bool user_plain)
{
	unsigned role = now != STATE_OPERATIONAL ? (caller == 1 ? ROLE_BOOTSTRAP : 0)
			: caller == 1		 ? ROLE_ADMIN
			: caller == 2		 ? ROLE_OPERATOR
						 : 0;

	if (!role)
		return now == STATE_OPERATIONAL ? ERR_UNKNOWN_USER : ERR_WRONG_STATE;
	if (!(r->states & now))
		return ERR_WRONG_STATE;
	if (!(r->roles & role))
		return ERR_DENIED;
	if (surface == SURFACE_PLAIN && (!(r->flags & OPF_PLAIN) || !user_plain))
		return ERR_SESSION_ONLY;
	return 0;
}

/* Every operation, state, caller (3: a stranger), surface, with the user's plain
 * surface on and off. */
static void test_matrix(void **state)
{
	const struct op_row *r;
	unsigned done = 0;

	(void)state;
	for (unsigned i = 0; (r = op_at(i)); i++)
		for (int s = 0; s < 3; s++)
			for (uint8_t caller = 1; caller <= 3; caller++)
				for (uint8_t surface = 1; surface <= 2; surface++)
					for (uint8_t plain = 0; plain <= 1; plain++) {
						struct call c = good_call(r->op, caller, surface);
						int want;

						k.state = states[s];
						users[0]->user.flags = plain;
						users[1]->user.flags = plain;
						want = expected(r, states[s], caller, surface,
								plain);
						if (code_of(&c) != want)
							fail_msg("%s state %u caller %u surface "
								 "%u plain %u: not %d",
								 r->name, states[s], caller,
								 surface, plain, want);
						done++;
					}
	assert_true(done > 24 * 3 * 3 * 4 - 1);
}

static void test_other_refusals(void **state)
{
	struct call c;

	(void)state;
	k.state = STATE_OPERATIONAL;
	c = good_call(999, 1, SURFACE_SESSION);
	assert_int_equal(code_of(&c), ERR_UNKNOWN_OP);
	c = good_call(0, 1, SURFACE_SESSION);
	assert_int_equal(code_of(&c), ERR_UNKNOWN_OP);
	for (int i = 0; i < BOOT_ID_LEN; i++) {
		c = good_call(OP_state, 1, SURFACE_SESSION);
		c.q.boot_id[i] ^= 1;
		assert_int_equal(code_of(&c), ERR_STALE_BOOT);
	}
	c = good_call(OP_user_add, 1, SURFACE_SESSION);
	memset(c.q.idem, 0, IDEM_LEN);
	assert_int_equal(code_of(&c), ERR_IDEM_MISSING);
	c = good_call(OP_state, 1, SURFACE_SESSION);
	c.q.ns = (struct bytes){(const uint8_t *)"x", 1};
	assert_int_equal(code_of(&c), ERR_NO_SUCH_NAMESPACE);
	/* A name in the request must be the session's own. */
	c = good_call(OP_state, 1, SURFACE_SESSION);
	c.q.user = (struct bytes){(const uint8_t *)"root", 4};
	assert_int_equal(code_of(&c), 0);
	c = good_call(OP_state, 1, SURFACE_SESSION);
	c.q.user = (struct bytes){(const uint8_t *)"op", 2};
	assert_int_equal(code_of(&c), ERR_UNKNOWN_USER);
	c = good_call(OP_state, 1, SURFACE_SESSION);
	c.q.user = (struct bytes){(const uint8_t *)"roo", 3};
	assert_int_equal(code_of(&c), ERR_UNKNOWN_USER);
}

/* A known idempotency id skips state and role (the stored result is the answer), but
 * only on the surface that has sessions, and only for its own caller. */
static void test_idempotency(void **state)
{
	struct object *o = calloc(1, sizeof(*o));
	struct call c;

	(void)state;
	assert_non_null(o);
	k.state = STATE_OPERATIONAL;
	o->kind = BLOB_IDEM;
	memset(o->idem.nkey, 1, 32);
	memset(o->idem.idem, 9, IDEM_LEN);
	c = good_call(OP_provision, 1, SURFACE_SESSION);
	request_digest(o->idem.digest, &c.q);
	o->idem.body = malloc(1);
	objects_add(&k.objects, o);
	assert_int_equal(code_of(&c), 0);
	c = good_call(OP_provision, 1, SURFACE_PLAIN);
	assert_int_equal(code_of(&c), ERR_WRONG_STATE);
	/* Another request under the same id is checked like all. */
	c = good_call(OP_unlock, 1, SURFACE_SESSION);
	assert_int_equal(code_of(&c), ERR_WRONG_STATE);
	objects_take(&k.objects, o);
	memset(o->idem.nkey, 2, 32);
	c = good_call(OP_user_add, 2, SURFACE_SESSION);
	request_digest(o->idem.digest, &c.q);
	objects_add(&k.objects, o);
	assert_int_equal(code_of(&c), 0);
	c = good_call(OP_user_add, 2, SURFACE_PLAIN);
	assert_int_equal(code_of(&c), ERR_DENIED);
	memset(c.nkey, 1, 32);
	c.surface = SURFACE_PLAIN;
	assert_int_equal(code_of(&c), ERR_SESSION_ONLY);
	objects_take(&k.objects, o);
	object_free(o);
	c = good_call(OP_provision, 1, SURFACE_SESSION);
	assert_int_equal(code_of(&c), ERR_WRONG_STATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_plain_rows),
		cmocka_unit_test(test_handlers),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_modes),
		cmocka_unit_test_setup_teardown(test_matrix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idempotency, setup, teardown),
	};

	if (crypto_init())
		return 1;
	return cmocka_run_group_tests_name("op", tests, NULL, NULL);
}
