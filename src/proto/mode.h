/* Key types and signature modes as constants and tables (source: mode.def). */
#ifndef PROTO_MODE_H
#define PROTO_MODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum key_type {
#define KEYTYPE(num, name, text, lo, hi, mode) KEY_##name = (num),
#include "proto/mode.def"
#undef KEYTYPE
};

enum sign_mode {
	MODE_DEFAULT = 0, /* in a request: the default of the key's type */
#define MODE(num, name, text, type, hash, input) MODE_##name = (num),
#include "proto/mode.def"
#undef MODE
};

enum mode_hash { HASH_NONE, HASH_SHA256, HASH_SHA384, HASH_SHA512 };
enum mode_input { INPUT_MESSAGE, INPUT_DIGEST };

struct key_type_row {
	enum key_type type;
	const char *text;
	unsigned min_bits, max_bits;
	enum sign_mode default_mode;
};

struct mode_row {
	enum sign_mode mode;
	const char *text;
	enum key_type type;
	enum mode_hash hash;
	enum mode_input input;
};

#define MODE_BIT(m) (UINT32_C(1) << (m))

/* Rows by number or by text; NULL when there is none. */
const struct key_type_row *key_type_row(unsigned type);
const struct key_type_row *key_type_named(const char *text);
const struct mode_row *mode_row(unsigned mode);
const struct mode_row *mode_named(const char *text);
/* Bit mask of all modes of a type. */
uint32_t mode_mask(enum key_type type);
/* The i-th mode row, NULL past the end (for lists and help). */
const struct mode_row *mode_at(unsigned i);
/* Digest length in bytes; 0 for HASH_NONE. */
size_t mode_hash_len(enum mode_hash hash);

#endif
