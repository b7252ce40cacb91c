/* Boxed tables as go-pretty draws them for natscli. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "box/nats/nats_out.h"
#include "ui/table.h"

struct cell {
	char *text;
	bool number;
};

struct nt {
	char *title;
	char **heads;
	size_t ncols;
	struct cell *cells;
	size_t ncells, cap;
	size_t *lines; /* cells before which a line is drawn */
	size_t nlines;
	size_t foot; /* first cell of the footer, SIZE_MAX: none */
	bool bad;
};

static const char *colors = "";

void nt_colors(const char *scheme)
{
	static const char *const names[] = {"red",  "31", "green",   "32", "yellow", "33",
					    "blue", "34", "magenta", "35", "cyan",   "36"};

	colors = "";
	for (size_t i = 0; scheme && i < sizeof(names) / sizeof(names[0]); i += 2)
		if (strcmp(names[i], scheme) == 0)
			colors = names[i + 1];
}

struct nt *nt_new(const char *fmt, ...)
{
	struct nt *t = calloc(1, sizeof(*t));
	va_list ap;

	if (!t)
		return NULL;
	t->foot = SIZE_MAX;
	va_start(ap, fmt);
	t->title = text_vcleaned(fmt, ap);
	va_end(ap);
	t->bad = !t->title;
	return t;
}

void nt_free(struct nt *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->ncols; i++)
		free(t->heads[i]);
	for (size_t i = 0; i < t->ncells; i++)
		free(t->cells[i].text);
	free(t->heads);
	free(t->cells);
	free(t->lines);
	free(t->title);
	free(t);
}

void nt_head(struct nt *t, ...)
{
	const char *text;
	va_list ap;

	if (!t)
		return;
	va_start(ap, t);
	while ((text = va_arg(ap, const char *))) {
		char **heads = realloc(t->heads, (t->ncols + 1) * sizeof(*heads));

		if (!heads) {
			t->bad = true;
			break;
		}
		t->heads = heads;
		t->heads[t->ncols] = nats_clean(text);
		t->bad |= !t->heads[t->ncols++];
	}
	va_end(ap);
}

/* text is taken over, clean already; NULL: no memory. */
static void add(struct nt *t, char *text, bool number)
{
	if (!t) {
		free(text);
		return;
	}
	if (t->ncells == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct cell *cells = realloc(t->cells, cap * sizeof(*cells));

		if (!cells) {
			t->bad = true;
			free(text);
			return;
		}
		t->cells = cells;
		t->cap = cap;
	}
	t->cells[t->ncells] = (struct cell){text, number};
	t->bad |= !t->cells[t->ncells++].text;
}

void nt_text(struct nt *t, const char *text)
{
	add(t, text_cleaned(text ? text : ""), false);
}

void nt_fmt(struct nt *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(t, text_vcleaned(fmt, ap), false);
	va_end(ap);
}

void nt_num(struct nt *t, int64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)v);
	add(t, strdup(text), true);
}

void nt_line(struct nt *t)
{
	size_t *lines = t ? realloc(t->lines, (t->nlines + 1) * sizeof(*lines)) : NULL;

	if (!lines)
		return;
	t->lines = lines;
	t->lines[t->nlines++] = t->ncells;
}

void nt_foot(struct nt *t)
{
	if (t)
		t->foot = t->ncells;
}

size_t nt_rows(const struct nt *t)
{
	size_t n = !t ? 0 : t->foot < t->ncells ? t->foot : t->ncells;

	return t && t->ncols ? (n + t->ncols - 1) / t->ncols : 0;
}

/* What is drawn with: widths, alignment, and where lines are cut. */
struct draw {
	size_t *width;
	bool *right;
	size_t limit; /* columns of the terminal, 0: none */
	bool colour;
	struct buf line;
};

/* Ends a line. On a terminal it is cut to the width, with a mark, and what draws the
 * boxes has the colour. */
static void end_line(struct draw *d)
{
	buf_u8(&d->line, '\0');
	const char *s = d->line.bad ? "" : (const char *)d->line.p;
	bool cut = d->limit && table_text_width(s) > d->limit;

	for (size_t used = 0; *s && !(cut && used + 1 >= d->limit); used++) {
		bool box = d->colour && strncmp(s, "\u2500", 2) == 0 && (unsigned char)s[2] < 0xc0;
		size_t n = 1;

		while (((unsigned char)s[n] & 0xc0) == 0x80)
			n++;
		if (box)
			printf("\033[%sm%.*s\033[0m", colors, (int)n, s);
		else
			fwrite(s, 1, n, stdout);
		s += n;
	}
	fputs(cut ? "≈\n" : "\n", stdout);
	buf_reset(&d->line);
}

static void put(struct draw *d, const char *text)
{
	buf_put(&d->line, text, strlen(text));
}

static void pad(struct draw *d, size_t n, const char *with)
{
	while (n--)
		put(d, with);
}

static void rule(const struct nt *t, struct draw *d, const char *left, const char *mid,
		 const char *right)
{
	for (size_t c = 0; c < t->ncols; c++) {
		put(d, c ? mid : left);
		pad(d, d->width[c] + 2, "─");
	}
	put(d, right);
	end_line(d);
}

static void row_cell(struct draw *d, size_t c, const char *text)
{
	size_t w = table_text_width(text), n = w < d->width[c] ? d->width[c] - w : 0;

	put(d, "│ ");
	if (d->right[c])
		pad(d, n, " ");
	put(d, text);
	if (!d->right[c])
		pad(d, n, " ");
	put(d, " ");
}

static void row_end(struct draw *d)
{
	put(d, "│");
	end_line(d);
}

/* The title is centred, and broken hard where the table is narrower. */
static void title(const struct nt *t, struct draw *d)
{
	size_t inner = 0;
	const char *s = t->title;

	for (size_t c = 0; c < t->ncols; c++)
		inner += d->width[c] + 3;
	inner -= 3;
	put(d, "╭");
	pad(d, inner + 2, "─");
	put(d, "╮");
	end_line(d);
	while (*s) {
		size_t w = 0, n = 0;

		while (s[n] && w < inner) {
			do
				n++;
			while (((unsigned char)s[n] & 0xc0) == 0x80);
			w++;
		}
		put(d, "│ ");
		pad(d, inner - w - (inner - w) / 2, " ");
		buf_put(&d->line, s, n);
		pad(d, (inner - w) / 2, " ");
		put(d, " ");
		row_end(d);
		s += n;
	}
}

static bool measure(const struct nt *t, struct draw *d)
{
	d->width = calloc(t->ncols, sizeof(*d->width));
	d->right = calloc(t->ncols, sizeof(*d->right));
	if (!d->width || !d->right)
		return false;
	for (size_t c = 0; c < t->ncols; c++) {
		d->width[c] = table_text_width(t->heads[c]);
		d->right[c] = c < t->ncells && c < t->foot;
	}
	for (size_t i = 0; i < t->ncells; i++) {
		size_t c = (i < t->foot ? i : i - t->foot) % t->ncols;
		size_t w = table_text_width(t->cells[i].text);

		if (w > d->width[c])
			d->width[c] = w;
		if (i < t->foot)
			d->right[c] &= t->cells[i].number;
	}
	return true;
}

static void boxes(const struct nt *t, struct draw *d)
{
	if (*t->title) {
		title(t, d);
		rule(t, d, "├", "┬", "┤");
	} else {
		rule(t, d, "╭", "┬", "╮");
	}
	for (size_t c = 0; c < t->ncols; c++)
		row_cell(d, c, t->heads[c]);
	row_end(d);
	rule(t, d, "├", "┼", "┤");
	for (size_t i = 0, line = 0; i < t->ncells; i++) {
		size_t c = (i < t->foot ? i : i - t->foot) % t->ncols;

		if (i && i == t->foot)
			rule(t, d, "├", "┼", "┤");
		while (line < t->nlines && t->lines[line] < i)
			line++;
		if (i && i != t->foot && line < t->nlines && t->lines[line] == i)
			rule(t, d, "├", "┼", "┤");
		row_cell(d, c, t->cells[i].text);
		if (c + 1 == t->ncols)
			row_end(d);
	}
	rule(t, d, "╰", "┴", "╯");
}

/* One line of another format: cells apart by sep, special characters replaced. */
static void plain_cell(const char *text, const char *format)
{
	if (*format == 't') {
		bool quoted = strpbrk(text, "\"\t\n") != NULL;

		if (quoted)
			putchar('"');
		for (; *text; text++)
			printf(*text == '"' ? "\"\"" : "%c", *text);
		if (quoted)
			putchar('"');
	} else if (*format == 'c') {
		bool quoted = strpbrk(text, "\",\n") != NULL;

		if (quoted)
			putchar('"');
		for (; *text; text++)
			printf(strchr("\",", *text) ? "\\%c" : "%c", *text);
		if (quoted)
			putchar('"');
	} else {
		for (; *text; text++)
			printf(*text == '|' ? "\\%c" : "%c", *text);
	}
}

static void plain(const struct nt *t, const struct draw *d, const char *format)
{
	bool md = *format == 'm';
	const char *sep = md ? " | " : *format == 'c' ? "," : "\t";

	if (*t->title)
		printf("%s%s\n", md ? "# " : "", t->title);
	for (size_t i = 0; i < t->ncells + t->ncols; i++) {
		size_t k = i - t->ncols, c = i % t->ncols;

		fputs(c ? sep : md ? "| " : "", stdout);
		plain_cell(i < t->ncols ? t->heads[c] : t->cells[k].text, format);
		if (c + 1 < t->ncols)
			continue;
		puts(md ? " |" : "");
		if (md && i < t->ncols) {
			for (size_t x = 0; x < t->ncols; x++)
				printf("|%s", d->right[x] ? " ---:" : " --- ");
			puts("|");
		}
	}
}

static const char *format_of(void)
{
	const char *v = getenv("NATS_TABLE_FORMAT"), *llm = getenv("LLMFORMAT");

	if (llm && strcmp(llm, "1") == 0)
		return "md";
	if (v && (strcasecmp(v, "md") == 0 || strcasecmp(v, "markdown") == 0))
		return "md";
	if (v && (strcasecmp(v, "csv") == 0 || strcasecmp(v, "tsv") == 0))
		return strcasecmp(v, "csv") == 0 ? "csv" : "tsv";
	return NULL;
}

void nt_print(const struct nt *t)
{
	const char *format = format_of();
	struct draw d = {0};

	if (!t || t->bad || !t->ncols)
		return;
	buf_init(&d.line, (size_t)1 << 20);
	if (measure(t, &d)) {
		if (!format && isatty(STDOUT_FILENO))
			d.limit = table_width(stdout);
		d.colour = d.limit && *colors;
		if (format)
			plain(t, &d, format);
		else
			boxes(t, &d);
	}
	buf_free(&d.line);
	free(d.width);
	free(d.right);
}
