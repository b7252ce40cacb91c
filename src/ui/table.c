#include "ui/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"

#define GAP 2	  /* spaces between columns */
#define MIN_CUT 6 /* a flexible column keeps this many */

struct col {
	char *title;
	unsigned flags;
};

struct table {
	struct col *cols;
	size_t ncols;
	char **cells;
	size_t ncells, cap;
	bool bad; /* memory ran out: nothing is printed rather than half of it */
};

struct table *table_new(void)
{
	return calloc(1, sizeof(struct table));
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->ncols; i++)
		free(t->cols[i].title);
	for (size_t i = 0; i < t->ncells; i++)
		free(t->cells[i]);
	free(t->cols);
	free(t->cells);
	free(t);
}

/* Bytes of the character at s (1 for a byte that starts none) and its columns. */
static size_t utf8_char(const char *s, unsigned *width)
{
	unsigned cp;
	size_t n = text_utf8(s, strnlen(s, 4), &cp);

	*width = 1;
	if (n < 2)
		return 1;
	if ((cp >= 0x300 && cp <= 0x36f) || (cp >= 0x200b && cp <= 0x200f) ||
	    (cp >= 0xfe00 && cp <= 0xfe0f))
		*width = 0;
	else if ((cp >= 0x1100 && cp <= 0x115f) || (cp >= 0x2e80 && cp <= 0xa4cf) ||
		 (cp >= 0xac00 && cp <= 0xd7a3) || (cp >= 0xf900 && cp <= 0xfaff) ||
		 (cp >= 0xfe30 && cp <= 0xfe6f) || (cp >= 0xff00 && cp <= 0xff60) ||
		 (cp >= 0x1f300 && cp <= 0x1faff) || (cp >= 0x20000 && cp <= 0x3fffd))
		*width = 2;
	return n;
}

size_t table_text_width(const char *text)
{
	size_t sum = 0;
	unsigned w;

	for (; *text; sum += w)
		text += utf8_char(text, &w);
	return sum;
}

void table_col(struct table *t, const char *title, unsigned flags)
{
	if (!t)
		return;
	struct col *cols = realloc(t->cols, (t->ncols + 1) * sizeof(*cols));

	if (!cols) {
		t->bad = true;
		return;
	}
	t->cols = cols;
	t->cols[t->ncols] = (struct col){text_cleaned(title), flags};
	t->bad |= !t->cols[t->ncols++].title;
}

void table_text(struct table *t, const char *text)
{
	if (!t)
		return;
	if (t->ncells == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		char **cells = realloc(t->cells, cap * sizeof(*cells));

		if (!cells) {
			t->bad = true;
			return;
		}
		t->cells = cells;
		t->cap = cap;
	}
	t->cells[t->ncells] = text_cleaned(text ? text : "-");
	t->bad |= !t->cells[t->ncells++];
}

void table_fmt(struct table *t, const char *fmt, ...)
{
	CLEAN(free) char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = text_vcleaned(fmt, ap);
	va_end(ap);
	if (!text && t)
		t->bad = true;
	table_text(t, text);
}

void table_num(struct table *t, int64_t v)
{
	table_fmt(t, "%lld", (long long)v);
}

unsigned table_width(FILE *f)
{
	const char *env = getenv("COLUMNS");
	unsigned long n = env ? strtoul(env, NULL, 10) : 0;
	struct winsize ws;

	if (n >= 10 && n <= 10000)
		return (unsigned)n;
	if (ioctl(fileno(f), TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 10)
		return ws.ws_col;
	return 80;
}

/* Takes what is over the terminal's width from the flexible columns, widest first. */
static void fit(const struct table *t, size_t *width, size_t limit)
{
	size_t sum = (t->ncols - 1) * GAP;

	for (size_t c = 0; c < t->ncols; c++)
		sum += width[c];
	while (sum > limit) {
		size_t widest = t->ncols;

		for (size_t c = 0; c < t->ncols; c++)
			if ((t->cols[c].flags & TABLE_FLEX) && width[c] > MIN_CUT &&
			    (widest == t->ncols || width[c] > width[widest]))
				widest = c;
		if (widest == t->ncols)
			return;
		width[widest]--;
		sum--;
	}
}

/* One cell in exactly width columns; the last of a line has no blanks behind it. */
static void put_cell(FILE *f, const char *text, size_t width, unsigned flags, bool last)
{
	size_t w = table_text_width(text), pad = w < width ? width - w : 0;

	if (flags & TABLE_RIGHT)
		fprintf(f, "%*s", (int)pad, "");
	if (w <= width) {
		fputs(text, f);
	} else {
		unsigned one;

		for (size_t used = 0;; used += one) {
			size_t n = utf8_char(text, &one);

			if (used + one > width - 1)
				break;
			fwrite(text, 1, n, f);
			text += n;
		}
		fputs("…", f);
	}
	if (!(flags & TABLE_RIGHT) && !last)
		fprintf(f, "%*s", (int)pad, "");
	if (!last)
		fprintf(f, "%*s", GAP, "");
}

void table_print(const struct table *t, FILE *f)
{
	if (!t || t->bad || !t->ncols)
		return;
	CLEAN(free) size_t *width = calloc(t->ncols, sizeof(*width));
	bool tty = isatty(fileno(f));
	bool bold = tty && !getenv("NO_COLOR");

	if (!width)
		return;
	for (size_t i = 0; i < t->ncols; i++)
		width[i] = table_text_width(t->cols[i].title);
	for (size_t i = 0; i < t->ncells; i++) {
		size_t w = table_text_width(t->cells[i]);

		if (w > width[i % t->ncols])
			width[i % t->ncols] = w;
	}
	if (tty || getenv("COLUMNS"))
		fit(t, width, table_width(f));
	if (bold)
		fputs("\033[1m", f);
	for (size_t c = 0; c < t->ncols; c++)
		put_cell(f, t->cols[c].title, width[c], t->cols[c].flags, c + 1 == t->ncols);
	fputs(bold ? "\033[0m\n" : "\n", f);
	for (size_t i = 0; i < t->ncells; i++) {
		size_t c = i % t->ncols;
		bool last = c + 1 == t->ncols || i + 1 == t->ncells;

		put_cell(f, t->cells[i], width[c], t->cols[c].flags, last);
		if (last)
			fputc('\n', f);
	}
}

void table_pairs(FILE *f, ...)
{
	size_t width = 0;
	va_list ap;

	for (int pass = 0; pass < 2; pass++) {
		const char *label, *value;

		va_start(ap, f);
		while ((label = va_arg(ap, const char *))) {
			value = va_arg(ap, const char *);
			if (!value)
				continue;
			size_t w = table_text_width(label);
			CLEAN(free) char *clean = pass ? text_cleaned(value) : NULL;

			if (pass == 0 && w > width)
				width = w;
			if (pass == 1)
				fprintf(f, "%s:%*s%s\n", label, (int)(width - w + 1), "",
					clean ? clean : "?");
		}
		va_end(ap);
	}
}
