#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct err_row rows[] = {
#define ERR(name, wire, text, http, exit, ckr) {(wire), #name, (text), (http), (exit), (ckr)},
#include "base/err.def"
#undef ERR
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

const struct err_row *err_table(unsigned *n)
{
	*n = NROWS;
	return rows;
}

const struct err_row *err_row(unsigned wire)
{
	for (size_t i = 0; i < NROWS; i++)
		if (rows[i].wire == wire)
			return &rows[i];
	return &rows[1];
}

/* Errors quote names, files and servers that may be hostile: one line, and nothing that
 * moves a cursor or turns the writing around (C0, DEL, C1, direction marks). */
static void clean(char *text)
{
	for (unsigned char *s = (unsigned char *)text; *s; s++) {
		bool c1 = s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0;
		bool mark = s[0] == 0xe2 && ((s[1] == 0x80 && s[2] >= 0xaa && s[2] <= 0xae) ||
					     (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9));

		if (*s < 0x20 || *s == 0x7f)
			*s = '?';
		else if (c1 || mark)
			memset(s, '?', c1 ? 2 : 3);
	}
}

#define SEED_LIKE 24 /* characters: a seed has 58, a cut one fewer */

void err_hide(char *text)
{
	static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	for (char *s = text; *s;) {
		size_t n = strspn(s, word);

		if (*s == 'S' && n >= SEED_LIKE)
			memset(s, '*', n);
		s += n ? n : 1;
		/* a word's middle is not its start */
		while (n && ((*s >= 'a' && *s <= 'z') || *s == '_'))
			s += 1 + strspn(s + 1, word);
	}
	for (char *s = strstr(text, "://"); s; s = strstr(s, "://")) {
		size_t n = strcspn(s += 3, " \t\n\"'`/,"), user = n;

		while (user && s[user - 1] != '@')
			user--;
		if (user < 2)
			continue;
		/* "user:password" becomes "***" however long it is */
		size_t stars = user - 1 < 3 ? user - 1 : 3;

		memset(s, '*', stars);
		memmove(s + stars, s + user - 1, strlen(s + user - 1) + 1);
	}
}

static void format(struct err *e, const char *fmt, va_list ap)
{
	/* Cut text is still a clear line: the start says what is wrong. */
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	clean(e->text);
	err_hide(e->text);
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -1;
	e->code = code;
	if (!fmt) {
		(void)snprintf(e->text, sizeof(e->text), "%s", err_row(code)->text);
		return -1;
	}
	va_start(ap, fmt);
	format(e, fmt, ap);
	va_end(ap);
	return -1;
}

int err_errno(struct err *e, enum err_code code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	size_t n;

	if (!e)
		return -1;
	e->code = code;
	va_start(ap, fmt);
	format(e, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	(void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", strerror(saved));
	errno = saved;
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char old[sizeof(e->text)];
	va_list ap;
	size_t n;

	if (!e)
		return -1;
	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	format(e, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	(void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", old);
	return -1;
}

int err_exit(const struct err *e)
{
	return err_row(e->code)->exit;
}
