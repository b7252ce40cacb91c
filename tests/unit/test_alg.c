/* Signature algorithms of keyd: published vectors, cross checks against OpenSSL's own
 * interfaces, threads on one key, and what stays behind in memory. */
#include "unit/alg_made.h"

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <pthread.h>

#include "base/enc.h"

/* ---- vectors ---- */

struct blob {
	uint8_t p[1024];
	size_t n;
};

static void hex(const json_t *row, const char *field, struct blob *b)
{
	const char *s = json_string_value(json_object_get(row, field));

	assert_non_null(s);
	b->n = strlen(s) / 2;
	assert_true(strlen(s) % 2 == 0 && b->n <= sizeof(b->p));
	assert_int_equal(enc_unhex(b->p, b->n, s), 0);
}

static struct bytes view(const struct blob *b)
{
	return (struct bytes){b->p, b->n};
}

static json_t *vectors(const char *file)
{
	const char *src = getenv("SRC");
	char path[512];
	json_error_t je;

	(void)snprintf(path, sizeof(path), "%s/tests/vectors/%s", src ? src : ".", file);
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &je);

	if (!root)
		fail_msg("%s: %s", path, je.text);
	return root;
}

static void one_vector(const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	const struct mode_row *mode = mode_named(json_string_value(json_object_get(row, "mode")));
	CLEAN(made) struct made m = {0};
	struct blob a, b, c, pub, msg, sig;
	uint8_t mine[SIGNATURE_MAX];
	struct err e = {0};
	size_t len;

	hex(row, "a", &a), hex(row, "b", &b), hex(row, "c", &c);
	hex(row, "pub", &pub), hex(row, "message", &msg), hex(row, "signature", &sig);
	made_init(&m);
	assert_non_null(mode);
	struct key_new in = {
		.type = (uint8_t)mode->type, .a = view(&a), .b = view(&b), .c = view(&c)};

	if (alg_import(&in, &m.priv, &m.pub, &m.bits, &e))
		fail_msg("%s: %s", name, e.text);
	assert_int_equal(m.pub.len, pub.n);
	assert_memory_equal(m.pub.p, pub.p, pub.n);
	load(&m, mode->type);
	if (alg_verify(m.key, thread, mode->mode, view(&msg), view(&sig), &e))
		fail_msg("%s: %s", name, e.text);
	assert_int_equal(alg_sign(m.key, thread, mode->mode, view(&msg), mine, &len, &e), 0);
	assert_int_equal(len, sig.n);
	if (strncmp(mode->text, "pkcs1", 5) == 0) /* the only deterministic one */
		assert_memory_equal(mine, sig.p, len);
	/* Each bit counts. */
	for (size_t i = 0; i < sig.n * 8; i += sig.n > 64 ? 97 : 1) {
		sig.p[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(alg_verify(m.key, thread, mode->mode, view(&msg), view(&sig), &e),
				 -1);
		assert_int_equal(e.code, ERR_NOT_VERIFIED);
		sig.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	if (msg.n) {
		msg.p[0] ^= 1;
		assert_int_equal(alg_verify(m.key, thread, mode->mode, view(&msg), view(&sig), &e),
				 -1);
		assert_int_equal(e.code, ERR_NOT_VERIFIED);
	}
}

static void test_vectors(void **state)
{
	json_t *root = vectors("signatures.json"), *row;
	size_t i;

	(void)state;
	assert_true(json_array_size(json_object_get(root, "vectors")) >= 16);
	json_array_foreach(json_object_get(root, "vectors"), i, row) one_vector(row);
	json_decref(root);
}

/* ---- OpenSSL's high-level interface as the other side ---- */

static EVP_PKEY *rsa_public(const struct buf *pub)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	struct rd r;

	rd_init(&r, pub->p, pub->len);
	struct bytes n = rd_str16(&r), x = rd_str16(&r);

	assert_true(rd_end(&r));
	BIGNUM *bn = BN_bin2bn(n.p, (int)n.len, NULL), *bx = BN_bin2bn(x.p, (int)x.len, NULL);

	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn);
	OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, bx);
	OSSL_PARAM *p = OSSL_PARAM_BLD_to_param(bld);

	EVP_PKEY_fromdata_init(ctx);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, p), 1);
	OSSL_PARAM_free(p);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	BN_free(bn);
	BN_free(bx);
	return key;
}

static EVP_PKEY *p256_public(const struct buf *pub)
{
	union {
		const uint8_t *c;
		uint8_t *v;
	} point = {.c = pub->p};
	char group[] = "P-256";
	OSSL_PARAM p[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point.v, pub->len),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *key = NULL;

	EVP_PKEY_fromdata_init(ctx);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, p), 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *public_key(enum key_type type, const struct buf *pub)
{
	if (type == KEY_ED25519)
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, pub->p, pub->len);
	return type == KEY_RSA ? rsa_public(pub) : p256_public(pub);
}

static const char *md_name(enum mode_hash hash)
{
	static const char *const name[] = {NULL, "SHA256", "SHA384", "SHA512"};

	return name[hash];
}

/* r, s as the DER that the openssl command takes. */
static size_t ecdsa_der(const uint8_t *raw, uint8_t *der)
{
	ECDSA_SIG *s = ECDSA_SIG_new();

	ECDSA_SIG_set0(s, BN_bin2bn(raw, 32, NULL), BN_bin2bn(raw + 32, 32, NULL));
	int n = i2d_ECDSA_SIG(s, &der);

	ECDSA_SIG_free(s);
	return (size_t)n;
}

/* Verifies over the message, also what digest modes signed. */
static bool openssl_verifies(const struct made *m, const struct mode_row *mode, struct bytes msg,
			     struct bytes sig)
{
	EVP_PKEY *key = public_key(mode->type, &m->pub);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	uint8_t der[80];

	assert_non_null(key);
	assert_int_equal(
		EVP_DigestVerifyInit_ex(ctx, &pctx, md_name(mode->hash), NULL, NULL, key, NULL), 1);
	if (strncmp(mode->text, "pss", 3) == 0) {
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
	}
	if (mode->type == KEY_P256)
		sig = (struct bytes){der, ecdsa_der(sig.p, der)};
	int ok = EVP_DigestVerify(ctx, sig.p, sig.len, msg.p, msg.len);

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return ok == 1;
}

static struct bytes input(const struct mode_row *mode, struct bytes msg, uint8_t *digest)
{
	if (mode->input == INPUT_MESSAGE)
		return msg;
	assert_int_equal(
		EVP_Q_digest(NULL, md_name(mode->hash), NULL, msg.p, msg.len, digest, NULL), 1);
	return (struct bytes){digest, mode_hash_len(mode->hash)};
}

static void cross(enum key_type type, unsigned bits)
{
	static const size_t sizes[] = {0, 1, 63, 64, 65, 1000, MAX_MESSAGE};
	CLEAN(made) struct made m = {0};
	CLEAN(free) uint8_t *text = malloc(MAX_MESSAGE);
	uint8_t sig[SIGNATURE_MAX], digest[64];
	struct err e = {0};
	size_t len;

	generate(&m, type, bits);
	for (size_t i = 0; i < MAX_MESSAGE; i++)
		text[i] = (uint8_t)(i * 131);
	for (unsigned i = 0; mode_at(i); i++) {
		const struct mode_row *mode = mode_at(i);

		for (size_t s = 0; s < COUNT(sizes) && mode->type == type; s++) {
			struct bytes msg = {text, sizes[s]}, in = input(mode, msg, digest);

			if (alg_sign(m.key, thread, mode->mode, in, sig, &len, &e))
				fail_msg("%s: %s", mode->text, e.text);
			assert_int_equal(alg_verify(m.key, thread, mode->mode, in,
						    (struct bytes){sig, len}, &e),
					 0);
			assert_true(openssl_verifies(&m, mode, msg, (struct bytes){sig, len}));
			sig[len / 2] ^= 4;
			assert_false(openssl_verifies(&m, mode, msg, (struct bytes){sig, len}));
		}
	}
}

static void test_cross(void **state)
{
	(void)state;
	cross(KEY_ED25519, 0);
	cross(KEY_P256, 0);
	cross(KEY_RSA, 0);
	cross(KEY_RSA, 2056); /* primes of no whole number of bytes */
	cross(KEY_RSA, 3072);
}

static void test_rsa_4096(void **state)
{
	CLEAN(made) struct made m = {0};
	uint8_t sig[SIGNATURE_MAX];
	struct err e = {0};
	size_t len;

	(void)state;
	generate(&m, KEY_RSA, 4096);
	assert_int_equal(
		alg_sign(m.key, thread, MODE_PSS_SHA256, (struct bytes){sig, 0}, sig, &len, &e), 0);
	assert_int_equal(len, 512);
	assert_int_equal(m.pub.len, 2 + 512 + 2 + 3);
	assert_true(m.priv.len <= ALG_PRIV_MAX);
}

/* ---- refusals ---- */

static void test_modes_and_lengths(void **state)
{
	static const enum key_type types[] = {KEY_ED25519, KEY_P256, KEY_RSA};
	CLEAN(free) uint8_t *big = calloc(1, MAX_MESSAGE + 1);
	uint8_t sig[SIGNATURE_MAX];
	struct err e;
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		CLEAN(made) struct made m = {0};

		generate(&m, types[i], 0);
		for (unsigned mode = 0; mode < 32; mode++) {
			const struct mode_row *row = mode_row(mode);
			/* No digest has 31 bytes. */
			int rc = alg_sign(m.key, thread, mode, (struct bytes){big, 31}, sig, &len,
					  &e);

			if (!row || row->type != types[i])
				assert_true(rc == -1 && e.code == ERR_BAD_MODE);
			else if (row->input == INPUT_DIGEST)
				assert_true(rc == -1 && e.code == ERR_BAD_LENGTH);
			else
				assert_int_equal(rc, 0);
		}
		enum sign_mode mode = key_type_row(types[i])->default_mode;

		assert_int_equal(alg_sign(m.key, thread, mode, (struct bytes){big, MAX_MESSAGE + 1},
					  sig, &len, &e),
				 -1);
		assert_int_equal(e.code, ERR_TOO_LARGE);
		assert_int_equal(
			alg_sign(m.key, thread, mode, (struct bytes){big, 5}, sig, &len, &e), 0);
		for (size_t n = 0; n <= SIGNATURE_MAX; n++) {
			if (n == len)
				continue;
			assert_int_equal(alg_verify(m.key, thread, mode, (struct bytes){big, 5},
						    (struct bytes){sig, n}, &e),
					 -1);
			assert_int_equal(e.code, ERR_BAD_SIGNATURE_FORM);
		}
		assert_int_equal(alg_verify(m.key, thread, mode, (struct bytes){big, 6},
					    (struct bytes){sig, len}, &e),
				 -1);
		assert_int_equal(e.code, ERR_NOT_VERIFIED);
		memset(sig, 0, sizeof(sig));
		assert_int_equal(alg_verify(m.key, thread, mode, (struct bytes){big, 5},
					    (struct bytes){sig, len}, &e),
				 -1);
		assert_int_equal(e.code, ERR_NOT_VERIFIED);
		memset(sig, 0xff, sizeof(sig));
		assert_int_equal(alg_verify(m.key, thread, mode, (struct bytes){big, 5},
					    (struct bytes){sig, len}, &e),
				 -1);
		assert_int_equal(e.code, ERR_NOT_VERIFIED);
	}
}

/* S + L is the same number modulo L: RFC 8032 asks to refuse it. */
static void test_ed25519_malleable(void **state)
{
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a,	      0x63,
					  0x12, 0x58, 0xd6, 0x9c, 0xf7,	      0xa2,
					  0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	CLEAN(made) struct made m = {0};
	uint8_t sig[SIGNATURE_MAX];
	struct bytes msg = {(const uint8_t *)"m", 1};
	unsigned carry = 0;
	struct err e;
	size_t len;

	(void)state;
	generate(&m, KEY_ED25519, 0);
	assert_int_equal(alg_sign(m.key, thread, MODE_EDDSA, msg, sig, &len, &e), 0);
	for (int i = 0; i < 32; i++) {
		carry += sig[32 + i] + order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_int_equal(alg_verify(m.key, thread, MODE_EDDSA, msg, (struct bytes){sig, len}, &e),
			 -1);
	assert_int_equal(e.code, ERR_NOT_VERIFIED);
}

/* ---- faults, threads, memory ---- */

/* rsa.c relies on OpenSSL for this: a wrong half of the CRT must not show in a
 * signature. DP is damaged, and what comes out still verifies. */
static void test_rsa_fault(void **state)
{
	EVP_PKEY *good = EVP_RSA_gen(2048), *bad = NULL;
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	uint8_t digest[32] = {7}, sig[256];
	size_t n = sizeof(sig);

	(void)state;
	assert_int_equal(EVP_PKEY_todata(good, EVP_PKEY_KEYPAIR, &params), 1);
	OSSL_PARAM *dp = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_RSA_EXPONENT1);

	assert_non_null(dp);
	((uint8_t *)dp->data)[5] ^= 0x10;
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &bad, EVP_PKEY_KEYPAIR, params), 1);
	EVP_PKEY_CTX_free(ctx);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, bad, NULL);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, sig, &n, digest, sizeof(digest)), 1);
	EVP_PKEY_CTX_free(ctx);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, good, NULL);
	assert_int_equal(EVP_PKEY_verify_init(ctx), 1);
	assert_int_equal(EVP_PKEY_verify(ctx, sig, n, digest, sizeof(digest)), 1);
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	EVP_PKEY_free(good);
	EVP_PKEY_free(bad);
}

struct job {
	const struct alg_key *key;
	enum key_type type;
	unsigned rounds;
	bool ok;
};

static void *signer(void *arg)
{
	struct job *j = arg;
	struct err e;
	struct alg_thread *t = alg_thread_new(100, &e);
	uint8_t msg[100] = {0}, sig[SIGNATURE_MAX];
	bool ok = t;
	size_t len;

	for (unsigned i = 0, at = 0; ok && i < j->rounds; i++) {
		/* All modes in turn: contexts of other modes lie in the slots. */
		const struct mode_row *mode = mode_at(at++);

		if (!mode)
			mode = mode_at(at = 0);
		if (mode->type != j->type)
			continue;
		struct bytes in = {msg, mode->input == INPUT_DIGEST ? mode_hash_len(mode->hash)
								    : sizeof(msg)};

		msg[0] = (uint8_t)i;
		ok = alg_sign(j->key, t, mode->mode, in, sig, &len, &e) == 0 &&
		     alg_verify(j->key, t, mode->mode, in, (struct bytes){sig, len}, &e) == 0;
	}
	alg_thread_free(t);
	j->ok = ok;
	return NULL;
}

/* More threads than a key has slots, so that some share one. */
static void test_threads(void **state)
{
	static const enum key_type types[] = {KEY_ED25519, KEY_P256, KEY_RSA};
	pthread_t id[12];
	struct job job[12];

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		CLEAN(made) struct made m = {0};

		generate(&m, types[i], 0);
		for (size_t t = 0; t < COUNT(id); t++) {
			job[t] = (struct job){m.key, types[i], 300, false};
			assert_int_equal(pthread_create(&id[t], NULL, signer, &job[t]), 0);
		}
		for (size_t t = 0; t < COUNT(id); t++) {
			pthread_join(id[t], NULL);
			assert_true(job[t].ok);
		}
	}
}

static void test_arena_full(void **state)
{
	static const enum key_type types[] = {KEY_ED25519, KEY_P256, KEY_RSA};
	CLEAN(free) struct alg_key **key = calloc(ARENA / 64, sizeof(*key));
	struct arena_stat before, s;
	struct err e;

	(void)state;
	alg_memory(&before);
	assert_int_equal(before.size, ARENA);
	for (size_t i = 0; i < COUNT(types); i++) {
		CLEAN(made) struct made m = {0};
		size_t n = 0;

		generate(&m, types[i], 0);
		alg_memory(&before);
		while (n < ARENA / 64 &&
		       alg_load(types[i], (struct bytes){m.priv.p, m.priv.len}, &key[n], &e) == 0)
			n++;
		assert_int_equal(e.code, ERR_NOMEM);
		print_message("# %s: %zu keys in %zu KiB\n", key_type_row(types[i])->text, n,
			      ARENA >> 10);
		assert_true(n > 100);
		/* A full arena stops new keys, not those that are there. */
		uint8_t sig[SIGNATURE_MAX];
		size_t len;

		assert_int_equal(alg_sign(key[n - 1], thread, key_type_row(types[i])->default_mode,
					  (struct bytes){sig, 0}, sig, &len, &e),
				 0);
		while (n)
			alg_unload(key[--n]);
		alg_memory(&s);
		/* What OpenSSL keeps of an error per thread may be there for good. */
		assert_true(s.used <= before.used + 4 * 4096);
	}
}

/* Looks for 16 bytes, given inverted, in all writable memory but the stack. */
static unsigned in_memory(const uint8_t inverted[static 16])
{
	CLEAN(file) FILE *f = fopen("/proc/self/maps", "re");
	unsigned found = 0;
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long from, to;
		char flags[8];

		if (sscanf(line, "%lx-%lx %7s", &from, &to, flags) != 3 || flags[0] != 'r' ||
		    flags[1] != 'w' || strstr(line, "[stack]"))
			continue;
		const uint8_t *p = (const uint8_t *)from, *end = (const uint8_t *)to - 16;

		for (; p <= end; p++) {
			unsigned i = 0;

			while (i < 16 && p[i] == (uint8_t)~inverted[i])
				i++;
			found += i == 16;
		}
	}
	return found;
}

/* After generate, load, sign and unload, no copy of P is left: neither as bytes nor
 * as OpenSSL keeps numbers, little-endian. */
static void test_nothing_left(void **state)
{
	uint8_t big[16], little[16], sig[SIGNATURE_MAX];
	struct made m;
	struct err e;
	size_t len;

	(void)state;
#ifdef SANITIZE
	skip(); /* the sanitizer keeps freed memory, and shadows of it */
#endif
	generate(&m, KEY_RSA, 2048);
	const uint8_t *p = m.priv.p + 3 + 32 + 2 * 256;

	for (int i = 0; i < 16; i++) {
		big[i] = (uint8_t)~p[56 + i];
		little[i] = (uint8_t)~p[56 + 15 - i];
	}
	assert_int_equal(
		alg_sign(m.key, thread, MODE_PSS_SHA256, (struct bytes){big, 16}, sig, &len, &e),
		0);
	assert_true(in_memory(big) >= 1); /* m.priv: the search works */
	assert_true(in_memory(little) >= 1);
	cleanup_made(&m);
	assert_int_equal(in_memory(big), 0);
	assert_int_equal(in_memory(little), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),		  cmocka_unit_test(test_cross),
		cmocka_unit_test(test_rsa_4096),	  cmocka_unit_test(test_modes_and_lengths),
		cmocka_unit_test(test_ed25519_malleable), cmocka_unit_test(test_rsa_fault),
		cmocka_unit_test(test_threads),		  cmocka_unit_test(test_arena_full),
		cmocka_unit_test(test_nothing_left),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
