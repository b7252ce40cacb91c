/* Parts of the client that need no server: the epoch file and the audit chain. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "client/epoch.h"
#include "client/hsm.h"
#include "client/trail.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "crypto/sha256.h"

static void test_epoch(void **state)
{
	static const char *const bad[] = {"",
					  "\n",
					  "x\n",
					  "1 2\n",
					  "-1\n",
					  "18446744073709551616\n",
					  "999999999999999999999\n"};
	char dir[] = "/tmp/epoch.XXXXXX", path[64];
	struct err e;
	uint64_t v = 9;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/epoch.X", dir);
	assert_int_equal(epoch_load(path, &v, &e), 0);
	assert_int_equal(v, 0);
	assert_int_equal(epoch_raise(path, 7, &e), 0);
	assert_int_equal(epoch_raise(path, 5, &e), 0); /* never lowers */
	assert_int_equal(epoch_load(path, &v, &e), 0);
	assert_int_equal(v, 7);
	assert_int_equal(epoch_set(path, 5, &e), 0); /* on purpose */
	assert_int_equal(epoch_load(path, &v, &e), 0);
	assert_int_equal(v, 5);
	assert_int_equal(epoch_raise(path, UINT64_MAX, &e), 0);
	assert_int_equal(epoch_load(path, &v, &e), 0);
	assert_true(v == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(file_replace(path, bad[i], strlen(bad[i]), 0600, &e), 0);
		assert_int_equal(epoch_load(path, &v, &e), -1);
		assert_int_equal(e.code, ERR_BAD_INPUT);
		assert_int_equal(epoch_raise(path, 1, &e), -1); /* not overwritten unseen */
	}
	(void)unlink(path);
	(void)rmdir(dir);
	assert_int_equal(epoch_raise(path, 1, &e), -1);
	assert_int_equal(e.code, ERR_IO);
}

#define ENTRIES 5

struct chain {
	struct audit_head head;
	uint8_t bytes[ENTRIES][256];
	size_t len[ENTRIES];
	uint8_t sk[64];
};

static void sign_head(struct chain *c)
{
	uint8_t mem[256];
	struct buf b;

	buf_fixed(&b, mem, sizeof(mem));
	audit_head_signed(&b, &c->head);
	ed25519_sign(c->head.sig, b.p, b.len, c->sk);
}

/* Entries 11 to 15 over a base of 10, chained as body.h says. */
static void make_chain(struct chain *c)
{
	uint8_t seed[32] = {7};
	struct sha256 s;

	memset(c, 0, sizeof(*c));
	ed25519_keypair(c->head.audit_key, c->sk, seed);
	c->head.base_seq = 10;
	memset(c->head.base_hash, 0xbb, 32);
	memcpy(c->head.hash, c->head.base_hash, 32);
	for (unsigned i = 0; i < ENTRIES; i++) {
		struct audit_entry a = {
			.seq = 11 + i, .op = 30, .user = {(const uint8_t *)"alice", 5}};
		struct buf b;

		buf_fixed(&b, c->bytes[i], sizeof(c->bytes[i]));
		audit_entry_put(&b, &a);
		c->len[i] = b.len;
		sha256_init(&s);
		sha256_update(&s, c->head.hash, 32);
		sha256_update(&s, b.p, b.len);
		sha256_final(&s, c->head.hash);
	}
	c->head.seq = 10 + ENTRIES;
	sign_head(c);
}

/* Takes the entries but `without`; what is wrong, or OK. */
static enum err_code walk(const struct chain *c, unsigned without)
{
	struct err e = {0};
	struct audit_entry a;
	struct trail t;

	if (trail_head(&c->head, c->head.audit_key, &e))
		return e.code;
	trail_start(&t, &c->head);
	for (unsigned i = 0; i < ENTRIES; i++)
		if (i != without && trail_add(&t, (struct bytes){c->bytes[i], c->len[i]}, &a, &e))
			return e.code;
	return trail_end(&t, &c->head, &e) ? e.code : ERR_OK;
}

static void test_trail(void **state)
{
	uint8_t other[32] = {1};
	struct chain c;
	struct err e;

	(void)state;
	make_chain(&c);
	assert_int_equal(walk(&c, ENTRIES), ERR_OK);
	for (unsigned i = 0; i < ENTRIES; i++)
		assert_int_equal(walk(&c, i), ERR_STORE_DAMAGED); /* dropped */
	for (unsigned i = 0; i < ENTRIES; i++) {
		c.bytes[i][c.len[i] - 1] ^= 1;
		assert_int_equal(walk(&c, ENTRIES), ERR_STORE_DAMAGED); /* changed */
		c.bytes[i][c.len[i] - 1] ^= 1;
	}
	assert_int_equal(trail_head(&c.head, other, &e), -1);
	assert_int_equal(e.code, ERR_WRONG_IDENTITY);
	c.head.seq--; /* a head over fewer entries needs another signature */
	assert_int_equal(walk(&c, ENTRIES), ERR_NOT_VERIFIED);
	sign_head(&c);
	assert_int_equal(walk(&c, ENTRIES - 1), ERR_STORE_DAMAGED);
	make_chain(&c);
	c.head.seq = 9;
	sign_head(&c);
	assert_int_equal(walk(&c, ENTRIES), ERR_STORE_DAMAGED);
}

static void test_options(void **state)
{
	struct hsm_opts o = {.conn = {.url = "nats://127.0.0.1:1", .quiet = true}};
	struct nkey user = {0}, account = {0};
	struct hsm_client *c = NULL;
	struct err e;

	(void)state;
	assert_int_equal(nkey_generate(&user, NKEY_USER, &e), 0);
	assert_int_equal(nkey_generate(&account, NKEY_ACCOUNT, &e), 0);
	o.caller = &account;
	assert_int_equal(hsm_open(&c, &o, &e), -1);
	assert_int_equal(e.code, ERR_WRONG_NKEY);
	o.caller = &user;
	o.in_flight = HSM_IN_FLIGHT_MAX + 1;
	assert_int_equal(hsm_open(&c, &o, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	o.in_flight = 0;
	assert_int_equal(hsm_open(&c, &o, &e), -1); /* nobody listens on port 1 */
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	assert_null(c);
	nkey_clear(&user);
	nkey_clear(&account);
	conn_library_close();
}

static int setup(void **state)
{
	(void)state;
	return crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epoch),
		cmocka_unit_test(test_trail),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
