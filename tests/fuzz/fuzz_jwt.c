/* JWTs: tokens as they are, and claims that are signed here, so that the fuzzer gets
 * behind the signature. What is read must be written, and read again as the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "crypto/crypto.h"
#include "nkey/claims.h"
#include "nkey/jwt.h"
#include "nkey/jwt_check.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nkey keys[4];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const enum nkey_kind kinds[] = {NKEY_OPERATOR, NKEY_ACCOUNT, NKEY_USER, NKEY_SERVER};
	uint8_t seed[32] = {1};

	(void)argc;
	(void)argv;
	if (crypto_init())
		return -1;
	for (size_t i = 0; i < 4; i++)
		if (nkey_from_raw(&keys[i], kinds[i], seed, NULL))
			return -1;
	return 0;
}

static void again(struct jwt *j)
{
	CLEAN(json) json_t *issues = json_array();
	struct jwt back = {0};
	CLEAN(buf) struct buf out = {0};
	struct err e = {0};

	buf_init(&out, JWT_MAX);
	jwt_check(j, 1000, issues);
	(void)jwt_check_time(j, 1000, &e);
	for (size_t i = 0; i < 4; i++) {
		out.len = 0;
		if (jwt_encode(j, &keys[i], 1000, &out, &e))
			continue;
		if (jwt_decode(&back, "back", (const char *)out.p, out.len, &e) ||
		    !json_equal(back.root, j->root))
			abort();
		jwt_clear(&back);
	}
}

/* The input is the claims; "iss" becomes a key of ours, chosen by the first byte. */
static void with_signature(const uint8_t *data, size_t size)
{
	static const char header2[] = "{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}";
	static const char header1[] = "{\"typ\":\"jwt\",\"alg\":\"ed25519\"}";
	const struct nkey *k = &keys[data[0] & 3];
	bool old = data[0] & 4;
	char pub[NKEY_PUB_LEN], h[128], s[ENC_BASE64_LEN(64)];
	CLEAN(json) json_t *v = json_loadb((const char *)data + 1, size - 1, 0, NULL);
	CLEAN(free) char *text = NULL, *c = NULL, *token = NULL;
	struct jwt j = {0};
	struct err e = {0};
	uint8_t sig[64];

	if (!json_is_object(v))
		return;
	nkey_pub_text(k, pub);
	json_object_set_new(v, "iss", json_string(pub));
	text = json_dumps(v, JSON_COMPACT);
	c = text ? malloc(ENC_BASE64_LEN(strlen(text))) : NULL;
	if (!c)
		return;
	enc_base64(h, old ? header1 : header2, strlen(old ? header1 : header2), ENC_URL);
	enc_base64(c, text, strlen(text), ENC_URL);
	if (asprintf(&token, "%s.%s", h, c) < 0)
		return;
	const char *start = old ? token + strlen(h) + 1 : token;

	if (nkey_sign(k, sig, start, strlen(start), NULL))
		return;
	enc_base64(s, sig, 64, ENC_URL);
	free(text);
	if (asprintf(&text, "%s.%s", token, s) < 0) {
		text = NULL;
		return;
	}
	if (jwt_decode(&j, "fuzz", text, strlen(text), &e) == 0)
		again(&j);
	jwt_clear(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct jwt j = {0};
	struct err e = {0};

	if (!size)
		return 0;
	struct bytes t = jwt_find((const char *)data, size);

	if (jwt_decode(&j, "fuzz", t.p ? (const char *)t.p : "", t.len, &e) == 0)
		again(&j);
	jwt_clear(&j);
	with_signature(data, size);
	return 0;
}
