/* Base64 by libsodium (constant-time); apart from enc.c so that programs that
 * need only hex do not link libsodium. */
#include <sodium.h>

#include "base/enc.h"

static int variant(enum enc_base64 kind)
{
	return kind == ENC_STD ? sodium_base64_VARIANT_ORIGINAL
			       : sodium_base64_VARIANT_URLSAFE_NO_PADDING;
}

void enc_base64(char *out, const void *p, size_t n, enum enc_base64 kind)
{
	sodium_bin2base64(out, sodium_base64_encoded_len(n, variant(kind)), p, n, variant(kind));
}

int enc_unbase64(uint8_t *out, size_t cap, size_t *n, const char *s, size_t len,
		 enum enc_base64 kind)
{
	const char *end = NULL;

	if (sodium_base642bin(out, cap, s, len, NULL, n, &end, variant(kind)) || end != s + len)
		return -1;
	return 0;
}
