/* Hex, base32, base64 and CRC-16 against RFC 4648 and the XMODEM check value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/enc.h"

static void hex(void **state)
{
	uint8_t raw[3];
	char text[7];

	(void)state;
	enc_hex(text, "\x00\xab\xff", 3);
	assert_string_equal(text, "00abff");
	assert_int_equal(enc_unhex(raw, 3, "00aBFf"), 0);
	assert_memory_equal(raw, "\x00\xab\xff", 3);
	assert_int_equal(enc_unhex(raw, 3, "00abf"), -1);
	assert_int_equal(enc_unhex(raw, 3, "00abff0"), -1);
	assert_int_equal(enc_unhex(raw, 3, "00abfg"), -1);
	assert_int_equal(enc_unhex(raw, 3, "00 bff"), -1);
}

static void base32(void **state)
{
	static const char *const pairs[][2] = {
		{"", ""},
		{"f", "MY"},
		{"fo", "MZXQ"},
		{"foo", "MZXW6"},
		{"foob", "MZXW6YQ"},
		{"fooba", "MZXW6YTB"},
		{"foobar", "MZXW6YTBOI"},
	};
	uint8_t raw[16];
	char text[32];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const char *plain = pairs[i][0], *coded = pairs[i][1];

		enc_base32(text, plain, strlen(plain));
		assert_string_equal(text, coded);
		assert_int_equal(enc_unbase32(raw, sizeof(raw), &n, coded, strlen(coded)), 0);
		assert_int_equal(n, strlen(plain));
		assert_memory_equal(raw, plain, n);
	}
	/* Every byte value survives. */
	for (unsigned v = 0; v < 256; v++) {
		uint8_t in[2] = {(uint8_t)v, (uint8_t)~v};

		enc_base32(text, in, 2);
		assert_int_equal(enc_unbase32(raw, sizeof(raw), &n, text, strlen(text)), 0);
		assert_memory_equal(raw, in, 2);
	}
}

static void base32_strict(void **state)
{
	static const char *const bad[] = {
		"M",  "MZX", "MZXW6Y", /* lengths that encode nothing whole */
		"MZ",		       /* unused bits not zero: MY is the only form */
		"my", "MY=", "M1",     "M8", "M ", "M\n", "M@", "M[", "MZXW6===",
	};
	uint8_t raw[16];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (enc_unbase32(raw, sizeof(raw), &n, bad[i], strlen(bad[i])) == 0)
			fail_msg("'%s' was decoded", bad[i]);
	assert_int_equal(enc_unbase32(raw, 2, &n, "MZXW6", 5), -1); /* does not fit */
	assert_int_equal(enc_unbase32(raw, 3, &n, "MZXW6", 5), 0);
}

static void base64(void **state)
{
	uint8_t raw[8], in[4] = {0xfb, 0xff, 0xfe, 0x01};
	char text[16];
	size_t n;

	(void)state;
	enc_base64(text, in, 4, ENC_STD);
	assert_string_equal(text, "+//+AQ==");
	enc_base64(text, in, 4, ENC_URL);
	assert_string_equal(text, "-__-AQ");
	assert_int_equal(enc_unbase64(raw, sizeof(raw), &n, "-__-AQ", 6, ENC_URL), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(raw, in, 4);
	assert_int_equal(enc_unbase64(raw, sizeof(raw), &n, "+//+AQ==", 8, ENC_STD), 0);
	assert_int_equal(enc_unbase64(raw, sizeof(raw), &n, "+//+AQ==", 8, ENC_URL), -1);
	assert_int_equal(enc_unbase64(raw, sizeof(raw), &n, "-__-AQ", 6, ENC_STD), -1);
	assert_int_equal(enc_unbase64(raw, sizeof(raw), &n, "+//+AQ", 6, ENC_STD), -1);
	assert_int_equal(enc_unbase64(raw, sizeof(raw), &n, "-__-AR", 6, ENC_URL), -1);
	assert_int_equal(enc_unbase64(raw, sizeof(raw), &n, "-__-AQ\n", 7, ENC_URL), -1);
	assert_int_equal(enc_unbase64(raw, 3, &n, "-__-AQ", 6, ENC_URL), -1);
}

static void crc16(void **state)
{
	(void)state;
	assert_int_equal(enc_crc16((const uint8_t *)"123456789", 9), 0x31c3);
	assert_int_equal(enc_crc16((const uint8_t *)"", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex),	  cmocka_unit_test(base32), cmocka_unit_test(base32_strict),
		cmocka_unit_test(base64), cmocka_unit_test(crc16),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
