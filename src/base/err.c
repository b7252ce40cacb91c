#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

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

/* Errors quote names, files and servers that may be hostile, and what a person put into the
 * wrong place: one line that drives no terminal and repeats no secret. */
static void format(struct err *e, const char *fmt, va_list ap)
{
	/* Cut text is still a clear line: the start says what is wrong. */
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	text_clean(e->text);
	text_hide(e->text);
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
