/* Creds files: what is accepted lies inside the input, is a JWT by its look, and its
 * seed is one that encodes again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "nkey/creds.h"
#include "nkey/jwt.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return crypto_init();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nkey k = {0};
	struct bytes jwt = {0};
	struct err e = {0};

	if (creds_parse(&jwt, &k, "fuzz", (const char *)data, size, &e) == 0) {
		char seed[NKEY_SEED_LEN];
		struct nkey back = {0};

		if (jwt.p < data || jwt.p + jwt.len > data + size || jwt.len < 3 || !k.secret)
			abort();
		nkey_seed_text(&k, seed);
		if (nkey_from_text(&back, "t", seed, strlen(seed), &e) ||
		    memcmp(back.pub, k.pub, 32) != 0)
			abort();
		nkey_clear(&back);
	}
	nkey_clear(&k);
	struct bytes t = jwt_find((const char *)data, size);

	if (t.p && (t.p < data || t.p + t.len > data + size))
		abort();
	return 0;
}
