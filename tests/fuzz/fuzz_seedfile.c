/* Seed files and creds files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "crypto/crypto.h"
#include "nkey/creds.h"
#include "nkey/nkey.h"

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
	/* Exactly as large as the text: a read behind it is found. */
	CLEAN(free) char *text = malloc(size ? size : 1);
	CLEAN(nkey) struct nkey k = {0};
	struct bytes jwt;
	struct err e;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	if (nkey_from_text(&k, "fuzz", text, size, &e) == 0 && !k.secret)
		abort();
	if (creds_parse(&jwt, &k, "fuzz", text, size, &e) == 0 &&
	    ((const char *)jwt.p < text || (const char *)jwt.p + jwt.len > text + size))
		abort();
	return 0;
}
