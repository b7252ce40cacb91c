/* Test vectors of tests/vectors: JSON with bytes as lower-case hex. Included by one
 * test program at a time, after cmocka. */
#ifndef UNIT_VEC_H
#define UNIT_VEC_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"

static inline void vec_path(char out[static 512], const char *dir, const char *name)
{
	assert_true(snprintf(out, 512, "%s/%s", dir, name) < 512);
}

/* The parsed file; SRC is the repository's root (tests/run sets it). */
static inline json_t *vec_load(const char *name)
{
	const char *src = getenv("SRC");
	char path[512], dir[400];
	json_error_t why;
	json_t *j;

	assert_true(snprintf(dir, sizeof(dir), "%s/tests/vectors", src ? src : ".") <
		    (int)sizeof(dir));
	vec_path(path, dir, name);
	j = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	if (!j)
		fail_msg("%s:%d: %s", path, why.line, why.text);
	return j;
}

static inline const char *vec_str(const json_t *obj, const char *key)
{
	const char *s = json_string_value(json_object_get(obj, key));

	if (!s)
		fail_msg("vector has no text %s", key);
	return s;
}

/* Bytes of a member; the number of them is the result. */
static inline size_t vec_hex(const json_t *obj, const char *key, uint8_t *out, size_t cap)
{
	const char *s = vec_str(obj, key);
	size_t n = strlen(s) / 2;

	assert_true(n <= cap && strlen(s) % 2 == 0);
	assert_int_equal(enc_unhex(out, n, s), 0);
	return n;
}

static inline void vec_hex32(const json_t *obj, const char *key, uint8_t out[static 32])
{
	assert_int_equal(vec_hex(obj, key, out, 32), 32);
}

static inline void vec_put(json_t *obj, const char *key, const void *p, size_t n)
{
	char *hex = malloc(ENC_HEX_LEN(n));

	assert_non_null(hex);
	enc_hex(hex, p, n);
	assert_int_equal(json_object_set_new(obj, key, json_string(hex)), 0);
	free(hex);
}

/* Compares what the code makes (stolen) with the file. To write the file anew, set
 * VECTORS_WRITE to a directory: the test then fails on purpose, because a change of
 * these bytes is a change of the protocol that other clients must follow. */
static inline void vec_check(const char *name, json_t *made)
{
	const char *dir = getenv("VECTORS_WRITE");
	json_t *have;

	if (dir && *dir) {
		char path[512];

		vec_path(path, dir, name);
		assert_int_equal(json_dump_file(made, path, JSON_INDENT(1)), 0);
		json_decref(made);
		fail_msg("%s was written: look at the difference, then run without "
			 "VECTORS_WRITE",
			 path);
	}
	have = vec_load(name);
	if (!json_equal(have, made)) {
		char *text = json_dumps(made, JSON_INDENT(1));

		print_error("%s differs from what the code makes:\n%s\n", name, text);
		free(text);
		fail();
	}
	json_decref(have);
	json_decref(made);
}

#endif
