#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define SEED_LEN 58
#define SEED_PART 24 /* from here on a cut seed is taken for one */

size_t text_utf8(const char *text, size_t left, unsigned *cp)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};

	*cp = n == 1 ? s[0] : s[0] & (0x7fu >> n);
	if (!n || n > left || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (s[i] & 0x3f);
	}
	return *cp < least[n] || *cp > 0x10ffff || (*cp >= 0xd800 && *cp < 0xe000) ? 0 : n;
}

bool text_drives(unsigned cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x061c ||
	       (cp >= 0x200e && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2066 && cp <= 0x2069);
}

void text_clean(char *text)
{
	size_t left = strlen(text), n;

	for (char *s = text; left; s += n, left -= n) {
		unsigned cp;

		n = text_utf8(s, left, &cp);
		if (n && !text_drives(cp))
			continue;
		n = n ? n : 1;
		memset(s, '?', n);
	}
}

char *text_cleaned(const char *text)
{
	char *out = strdup(text);

	if (out)
		text_clean(out);
	return out;
}

char *text_vcleaned(const char *fmt, va_list ap)
{
	char *out = NULL;

	if (vasprintf(&out, fmt, ap) < 0)
		return NULL;
	text_clean(out);
	return out;
}

static void cut(char *from, const char *to)
{
	memmove(from, to, strlen(to) + 1);
}

static bool word_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static void hide_seeds(char *text)
{
	static const char mask[] = "(a seed)";

	for (char *s = text; (s = strchr(s, 'S')); s++) {
		size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");

		if ((s > text && word_char(s[-1])) || !s[1] || !strchr("OAUNCXP", s[1]) ||
		    n < SEED_PART)
			continue;
		/* A long name in capitals has no digits. */
		if (n < SEED_LEN && strcspn(s, "234567") >= n)
			continue;
		memcpy(s, mask, sizeof(mask) - 1);
		cut(s + sizeof(mask) - 1, s + n);
	}
}

/* Whether what stands before the first '/' of an authority is "user:part of a password". */
static bool is_login(const char *s, size_t n)
{
	const char *colon = memchr(s, ':', n);

	return colon && *s != '[' && strspn(colon + 1, "0123456789") < (size_t)(s + n - colon - 1);
}

static void hide_logins(char *text)
{
	for (char *s = text; (s = strstr(s, "://"));) {
		const char *next, *at = NULL;
		size_t n, slash;

		s += 3;
		n = strcspn(s, " \t\r\n\"");
		next = strstr(s, "://");
		if (next && (size_t)(next - s) < n)
			n = (size_t)(next - s);
		slash = strcspn(s, "/");
		if (slash < n && !is_login(s, slash))
			n = slash;
		for (size_t i = 0; i < n; i++)
			at = s[i] == '@' ? s + i : at;
		if (at)
			cut(s, at + 1);
	}
}

void text_hide(char *text)
{
	hide_logins(text);
	hide_seeds(text);
}
