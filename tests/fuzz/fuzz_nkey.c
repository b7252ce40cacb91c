/* NKey texts: whatever decodes must encode to the same text again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "crypto/crypto.h"
#include "nkey/nkey.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return crypto_init();
}

/* Repairs the checksum, so that the fuzzer gets behind it. */
static void with_crc(const uint8_t *data, size_t size)
{
	char text[ENC_BASE32_LEN(64)];
	uint8_t raw[64], out[32];
	enum nkey_kind kind;
	uint16_t crc;

	if (size < 2 || size > sizeof(raw) - 2)
		return;
	memcpy(raw, data, size);
	crc = enc_crc16(raw, size);
	raw[size] = (uint8_t)crc;
	raw[size + 1] = (uint8_t)(crc >> 8);
	enc_base32(text, raw, size + 2);
	if (nkey_decode(out, &kind, text, NULL) == 0) {
		char again[NKEY_PUB_LEN];

		nkey_encode(again, kind, out);
		if (strcmp(again, text) != 0)
			abort();
	}
	if (nkey_seed_decode(out, &kind, text, strlen(text), NULL) == 0) {
		char again[NKEY_SEED_LEN];

		nkey_seed_encode(again, kind, out);
		if (strcmp(again, text) != 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[300];
	uint8_t raw[32];
	enum nkey_kind kind;

	with_crc(data, size);
	if (size >= sizeof(text))
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	(void)nkey_decode(raw, &kind, text, NULL);
	(void)nkey_seed_decode(raw, &kind, text, size, NULL);
	return 0;
}
