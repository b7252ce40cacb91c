/* JSON as Go's encoding/json writes it: the bytes are signed and hashed, so they must
 * not depend on the JSON library. */
#include <string.h>

#include "nkey/jwt.h"

static void put(struct buf *out, const char *text)
{
	buf_put(out, text, strlen(text));
}

void jwt_json_text(struct buf *out, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	size_t done = 0;

	buf_u8(out, '"');
	for (size_t i = 0; i < n; i++) {
		static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
		unsigned char c = (unsigned char)s[i];
		const char *simple = c ? strchr(from, c) : NULL;
		/* U+2028 and U+2029 end lines in JavaScript */
		bool line = c == 0xe2 && i + 2 < n && (unsigned char)s[i + 1] == 0x80 &&
			    ((unsigned char)s[i + 2] & 0xfe) == 0xa8;

		if (!simple && !line && c >= 0x20 && c != '<' && c != '>' && c != '&')
			continue;
		buf_put(out, s + done, i - done);
		if (simple) {
			buf_put(out, (char[]){'\\', to[simple - from]}, 2);
		} else if (line) {
			put(out, (unsigned char)s[i + 2] == 0xa8 ? "\\u2028" : "\\u2029");
			i += 2;
		} else {
			put(out, "\\u00");
			buf_put(out, (char[]){hex[c >> 4], hex[c & 15]}, 2);
		}
		done = i + 1;
	}
	buf_put(out, s + done, n - done);
	buf_u8(out, '"');
}

static void newline(struct buf *out, int level)
{
	if (level < 0)
		return;
	buf_u8(out, '\n');
	while (level-- > 0)
		put(out, "  ");
}

/* Only members that nobody knows are real numbers: they stay what they are. */
static void real(struct buf *out, double v)
{
	char text[40];

	(void)snprintf(text, sizeof(text), "%.17g", v);
	put(out, text);
	if (!strpbrk(text, ".e"))
		put(out, ".0");
}

/* level -1: all in one line. */
static void any(struct buf *out, const json_t *v, int level)
{
	json_t *o = (json_t *)(uintptr_t)v, *item;
	int inner = level < 0 ? -1 : level + 1;
	const char *sep = "", *key;
	size_t i;

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		put(out, "{");
		json_object_foreach(o, key, item)
		{
			put(out, sep);
			newline(out, inner);
			jwt_json_text(out, key, strlen(key));
			put(out, level < 0 ? ":" : ": ");
			any(out, item, inner);
			sep = ",";
		}
		if (*sep)
			newline(out, level);
		put(out, "}");
		break;
	case JSON_ARRAY:
		put(out, "[");
		json_array_foreach(o, i, item)
		{
			put(out, sep);
			newline(out, inner);
			any(out, item, inner);
			sep = ",";
		}
		if (*sep)
			newline(out, level);
		put(out, "]");
		break;
	case JSON_STRING:
		jwt_json_text(out, json_string_value(v), json_string_length(v));
		break;
	case JSON_INTEGER:
		buf_printf(out, "%lld", (long long)json_integer_value(v));
		break;
	case JSON_REAL:
		real(out, json_real_value(v));
		break;
	case JSON_TRUE:
		put(out, "true");
		break;
	case JSON_FALSE:
		put(out, "false");
		break;
	case JSON_NULL:
		put(out, "null");
		break;
	}
}

void jwt_json(struct buf *out, const json_t *v, bool indent)
{
	any(out, v, indent ? 0 : -1);
}
