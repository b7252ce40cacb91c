/* NKeys and creds against published pairs, and every way a text can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "crypto/crypto.h"
#include "crypto/x25519.h"
#include "nkey/creds.h"
#include "nkey/nkey.h"

/* nats-io/nkeys README, and a pair of another publisher. */
static const char *const pairs[][2] = {
	{"SUAKYRHVIOREXV7EUZTBHUHL7NUMHPMAS7QMDU3GTIUWEI5LDNOXD43IZY",
	 "UD466L6EBCM3YY5HEGHJANNTN4LSKTSUXTH7RILHCKEQMQHTBNLHJJXT"},
	{"SUANNIZCTANZEW77UEJRG27W2FKBVE5F5R75OQPY5CIKIQFKKU6B6ICSC4",
	 "UD6RJ4LKRG7LSTKFG7CDJZH4UMAWULYTJF43XPOA2WENA6SQAHUBZK5C"},
};

static void vectors(void **state)
{
	char pub[NKEY_PUB_LEN], seed[NKEY_SEED_LEN], sig64[ENC_BASE64_LEN(64)];
	static const char msg[] = "Hello World!\n";
	CLEAN(nkey) struct nkey k = {0};
	struct err e = {0};
	uint8_t sig[64], raw[32];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(nkey_from_text(&k, "t", pairs[i][0], 58, &e), 0);
		assert_int_equal(k.kind, NKEY_USER);
		nkey_pub_text(&k, pub);
		assert_string_equal(pub, pairs[i][1]);
		nkey_seed_text(&k, seed);
		assert_string_equal(seed, pairs[i][0]);
		assert_int_equal(nkey_decode_kind(raw, NKEY_USER, pub, &e), 0);
		assert_memory_equal(raw, k.pub, 32);
	}
	assert_int_equal(nkey_from_text(&k, "t", pairs[0][0], 58, &e), 0);
	assert_int_equal(nkey_sign(&k, sig, msg, sizeof(msg) - 1, &e), 0);
	enc_base64(sig64, sig, 64, ENC_URL);
	assert_string_equal(sig64, "0CK1XmkxNfUGfudxliWTWeoETgIo23m9qowS9yTfYFSrjR8HgAW63jQ3NxPU_"
				   "jG38hZPW61IZSun37N690CkDg");
	assert_int_equal(nkey_verify(k.pub, sig, msg, sizeof(msg) - 1, &e), 0);
	assert_int_equal(nkey_verify(k.pub, sig, msg, sizeof(msg) - 2, &e), -1);
	assert_int_equal(e.code, ERR_NOT_VERIFIED);
}

static void all_kinds(void **state)
{
	static const struct {
		enum nkey_kind kind;
		const char *name;
		char letter;
	} kinds[] = {
		{NKEY_USER, "user", 'U'},     {NKEY_ACCOUNT, "account", 'A'},
		{NKEY_SERVER, "server", 'N'}, {NKEY_CLUSTER, "cluster", 'C'},
		{NKEY_CURVE, "curve", 'X'},   {NKEY_OPERATOR, "operator", 'O'},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		char pub[NKEY_PUB_LEN], seed[NKEY_SEED_LEN];
		CLEAN(nkey) struct nkey k = {0}, back = {0};
		enum nkey_kind kind;
		struct err e = {0};
		uint8_t raw[32];

		assert_int_equal(nkey_kind_parse(&kind, kinds[i].name), 0);
		assert_int_equal(kind, kinds[i].kind);
		assert_string_equal(nkey_kind_name(kind), kinds[i].name);
		assert_int_equal(nkey_generate(&k, kind, &e), 0);
		nkey_pub_text(&k, pub);
		nkey_seed_text(&k, seed);
		assert_int_equal(pub[0], kinds[i].letter);
		assert_int_equal(strlen(pub), 56);
		assert_int_equal(strlen(seed), 58);
		assert_int_equal(seed[0], 'S');
		assert_int_equal(seed[1], kinds[i].letter);
		assert_int_equal(nkey_decode(raw, &kind, pub, &e), 0);
		assert_int_equal(kind, kinds[i].kind);
		assert_int_equal(nkey_from_text(&back, "t", seed, 58, &e), 0);
		assert_memory_equal(back.pub, k.pub, 32);
	}
}

static void is_refused(const char *text, enum err_code code)
{
	struct err e = {0};
	uint8_t raw[32];

	if (nkey_decode_kind(raw, NKEY_USER, text, &e) == 0)
		fail_msg("accepted: %s", text);
	assert_int_equal(e.code, code);
	/* It may be a mistyped seed: never echoed. */
	if (strlen(text) > 20 && strstr(e.text, text))
		fail_msg("the text is in the error");
}

static void refusals(void **state)
{
	char text[NKEY_PUB_LEN + 2];
	struct err e = {0};

	(void)state;
	is_refused("", ERR_BAD_NKEY);
	is_refused("U", ERR_BAD_NKEY);
	is_refused(pairs[0][0], ERR_WRONG_NKEY); /* a seed */
	is_refused("ADDLVR6SD4M27O5TLVFDN2IQ4QPAE7GZH2ZPGE3ZUVHS4FH4YKVGJU6S", ERR_BAD_NKEY);
	/* One changed character anywhere breaks the checksum. */
	for (size_t i = 0; i < 56; i++) {
		(void)snprintf(text, sizeof(text), "%s", pairs[0][1]);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		is_refused(text, ERR_BAD_NKEY);
	}
	(void)snprintf(text, sizeof(text), "%sA", pairs[0][1]);
	is_refused(text, ERR_BAD_NKEY);
	text[55] = '\0';
	is_refused(text, ERR_BAD_NKEY);
	(void)snprintf(text, sizeof(text), "%s", pairs[0][1]);
	text[0] = 'u';
	is_refused(text, ERR_BAD_NKEY);

	CLEAN(nkey) struct nkey k = {0};
	char pub[NKEY_PUB_LEN];
	uint8_t raw[32];
	enum nkey_kind kind;

	assert_int_equal(nkey_generate(&k, NKEY_ACCOUNT, &e), 0);
	nkey_pub_text(&k, pub);
	is_refused(pub, ERR_WRONG_NKEY);
	assert_int_equal(nkey_seed_decode(raw, &kind, pub, 56, &e), -1);
	assert_int_equal(e.code, ERR_WRONG_NKEY);
	assert_int_equal(nkey_seed_decode(raw, &kind, pairs[0][0], 57, &e), -1);
	assert_int_equal(e.code, ERR_BAD_NKEY);
	assert_int_equal(nkey_kind_parse(&kind, "root"), -1);
}

/* A valid checksum over a prefix that is no kind. */
static void unknown_prefix(void **state)
{
	char text[NKEY_PUB_LEN];
	uint8_t zero[32] = {0}, raw[32];
	struct err e = {0};

	(void)state;
	nkey_encode(text, 5 << 3, zero);
	assert_int_equal(nkey_decode(raw, NULL, text, &e), -1);
	assert_int_equal(e.code, ERR_BAD_NKEY);
}

static void curve(void **state)
{
	CLEAN(nkey) struct nkey x = {0}, u = {0};
	uint8_t sig[64], sx[32], su[32], px[32], pu[32], a[32], b[32];
	struct err e = {0};

	(void)state;
	assert_int_equal(nkey_generate(&x, NKEY_CURVE, &e), 0);
	assert_int_equal(nkey_generate(&u, NKEY_USER, &e), 0);
	assert_int_equal(nkey_sign(&x, sig, "m", 1, &e), -1);
	assert_int_equal(e.code, ERR_WRONG_NKEY);
	/* What a session does: both sides reach the same secret. */
	nkey_x25519_secret(&x, sx);
	nkey_x25519_secret(&u, su);
	assert_int_equal(nkey_x25519_public(NKEY_CURVE, x.pub, px, &e), 0);
	assert_int_equal(nkey_x25519_public(NKEY_USER, u.pub, pu, &e), 0);
	assert_int_equal(x25519_shared(a, sx, pu), 0);
	assert_int_equal(x25519_shared(b, su, px), 0);
	assert_memory_equal(a, b, 32);
	memset(pu, 0xff, 32);
	assert_int_equal(nkey_x25519_public(NKEY_USER, pu, px, &e), -1);
	assert_int_equal(e.code, ERR_BAD_NKEY);
}

#define JWT "eyJ0eXAiOiJKV1QifQ.eyJqdGkiOiJYIn0.c2ln"
#define SEED "SUAKYRHVIOREXV7EUZTBHUHL7NUMHPMAS7QMDU3GTIUWEI5LDNOXD43IZY"

static void creds(void **state)
{
	static const char *const good[] = {
		"-----BEGIN NATS USER JWT-----\n" JWT "\n------END NATS USER JWT------\n\n"
		"****** IMPORTANT ******\n\n-----BEGIN USER NKEY SEED-----\n" SEED
		"\n------END USER NKEY SEED------\n\n****\n",
		"---BEGIN---\r\n" JWT "\r\n---END---\r\n---BEGIN---\r\n" SEED "\r\n---END---\r\n",
	};
	static const char *const bad[] = {
		"",
		"-----BEGIN-----\n",
		JWT "\n" SEED "\n",
		"-----B-----\n" JWT "\n-----E-----\n",
		"-----B-----\n" SEED "\n-----E-----\n",
		"-----B-----\neyJ\"x\n-----E-----\n" SEED "\n",
		"-----B-----\n" JWT "\n-----E-----\n-----B-----\nSUAKYRHV\n-----E-----\n",
	};
	CLEAN(nkey) struct nkey k = {0};
	struct err e = {0};
	struct bytes jwt;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(creds_parse(&jwt, &k, "c", good[i], strlen(good[i]), &e), 0);
		assert_int_equal(jwt.len, strlen(JWT));
		assert_memory_equal(jwt.p, JWT, jwt.len);
		assert_int_equal(k.kind, NKEY_USER);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (creds_parse(&jwt, &k, "c", bad[i], strlen(bad[i]), &e) == 0)
			fail_msg("accepted number %zu", i);
}

static void files(void **state)
{
	char path[] = "/tmp/test_nkey-XXXXXX";
	CLEAN(nkey) struct nkey k = {0};
	CLEAN(fd) int fd = mkstemp(path);
	struct err e = {0};

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "# mine\n" SEED "\n", 66), 66);
	assert_int_equal(nkey_read_kind(&k, NKEY_USER, path, &e), 0);
	assert_int_equal(nkey_read_kind(&k, NKEY_CURVE, path, &e), -1);
	assert_int_equal(e.code, ERR_WRONG_NKEY);
	assert_null(k.secret);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(nkey_read_file(&k, path, &e), -1); /* others may read it */
	assert_int_equal(e.code, ERR_BAD_INPUT);
	assert_int_equal(fchmod(fd, 0600) | ftruncate(fd, 20), 0);
	assert_int_equal(nkey_read_file(&k, path, &e), -1);
	assert_int_equal(e.code, ERR_BAD_NKEY);
	unlink(path);
	assert_int_equal(nkey_read_file(&k, path, &e), -1);
	assert_int_equal(e.code, ERR_IO);
}

static int setup(void **state)
{
	(void)state;
	return crypto_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),  cmocka_unit_test(all_kinds),
		cmocka_unit_test(refusals), cmocka_unit_test(unknown_prefix),
		cmocka_unit_test(curve),    cmocka_unit_test(creds),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
