#include "proto/mode.h"

#include <string.h>

static const struct key_type_row types[] = {
#define KEYTYPE(num, name, text, lo, hi, mode) {KEY_##name, text, lo, hi, MODE_##mode},
#include "proto/mode.def"
#undef KEYTYPE
};

static const struct mode_row modes[] = {
#define MODE(num, name, text, type, hash, input)                                                   \
	{MODE_##name, text, KEY_##type, HASH_##hash, INPUT_##input},
#include "proto/mode.def"
#undef MODE
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct key_type_row *key_type_row(unsigned type)
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (types[i].type == type)
			return &types[i];
	return NULL;
}

const struct key_type_row *key_type_named(const char *text)
{
	for (size_t i = 0; i < COUNT(types); i++)
		if (strcmp(types[i].text, text) == 0)
			return &types[i];
	return NULL;
}

const struct mode_row *mode_row(unsigned mode)
{
	for (size_t i = 0; i < COUNT(modes); i++)
		if (modes[i].mode == mode)
			return &modes[i];
	return NULL;
}

const struct mode_row *mode_named(const char *text)
{
	for (size_t i = 0; i < COUNT(modes); i++)
		if (strcmp(modes[i].text, text) == 0)
			return &modes[i];
	return NULL;
}

uint32_t mode_mask(enum key_type type)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < COUNT(modes); i++)
		if (modes[i].type == type)
			mask |= MODE_BIT(modes[i].mode);
	return mask;
}

const struct mode_row *mode_at(unsigned i)
{
	return i < COUNT(modes) ? &modes[i] : NULL;
}

size_t mode_hash_len(enum mode_hash hash)
{
	static const size_t len[] = {0, 32, 48, 64};

	return len[hash];
}
