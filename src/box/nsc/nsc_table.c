/* Tables with a title in ASCII, as nsc draws them. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "box/nsc/nsc.h"
#include "ui/table.h"

#define MAX_COLS 12

void nsc_table_start(struct nsc_table *t, const char *title)
{
	*t = (struct nsc_table){.rows = json_array(), .title = title};
}

/* Control characters would drive the terminal; a line end is a space. */
static json_t *cell(const char *text)
{
	CLEAN(free) char *flat = strdup(text ? text : "");

	for (char *p = flat; p && *p; p++)
		*p = (char)(*p == '\n' ? ' ' : *p);
	char *clean = flat ? text_cleaned(flat) : NULL;
	json_t *v = json_string(clean ? clean : "?");

	/* It may be a seed; jansson's own copies are wiped (nsc_main). */
	if (flat)
		explicit_bzero(flat, strlen(flat));
	if (clean)
		explicit_bzero(clean, strlen(clean));
	free(clean);
	return v;
}

void nsc_table_row(struct nsc_table *t, ...)
{
	json_t *row = json_array();
	const char *text;
	va_list ap;

	va_start(ap, t);
	while ((text = va_arg(ap, const char *)) != NULL && json_array_size(row) < MAX_COLS)
		json_array_append_new(row, cell(text));
	va_end(ap);
	if (json_array_size(row) > t->cols)
		t->cols = json_array_size(row);
	json_array_append_new(t->rows, row);
}

void nsc_table_line(struct nsc_table *t)
{
	/* never two in a row */
	size_t n = json_array_size(t->rows);

	if (n && !json_is_null(json_array_get(t->rows, n - 1)))
		json_array_append_new(t->rows, json_null());
}

void nsc_table_fmt(struct nsc_table *t, const char *label, const char *fmt, ...)
{
	CLEAN(free) char *text = NULL;
	va_list ap;

	/* Not text_vcleaned: a row cleans its cells, and makes spaces of line ends first. */
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	nsc_table_row(t, label, text ? text : "", NULL);
}

void nsc_table_list(struct nsc_table *t, const char *label, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		nsc_table_row(t, i ? "" : label, json_string_value(json_array_get(list, i)), NULL);
}

static void repeat(struct buf *out, char c, size_t n)
{
	while (n--)
		buf_u8(out, (uint8_t)c);
}

static void border(struct buf *out, const size_t *width, size_t cols, char joint)
{
	buf_u8(out, '+');
	for (size_t i = 0; i < cols; i++) {
		repeat(out, '-', width[i] + 2);
		buf_u8(out, (uint8_t)(i + 1 < cols ? joint : '+'));
	}
	buf_u8(out, '\n');
}

void nsc_table_end(struct nsc_table *t, struct buf *out)
{
	CLEAN(free) char *clean = text_cleaned(t->title);
	const char *title = clean ? clean : "";
	size_t width[MAX_COLS] = {0}, inner = 0, i, k, len = table_text_width(title);
	json_t *row, *v;

	json_array_foreach(t->rows, i, row) json_array_foreach(row, k, v)
	{
		size_t w = table_text_width(json_string_value(v));

		if (w > width[k])
			width[k] = w;
	}
	for (k = 0; k < t->cols; k++)
		inner += width[k] + 3;
	inner -= t->cols ? 1 : 0;
	if (t->cols && len + 2 > inner) {
		width[t->cols - 1] += len + 2 - inner;
		inner = len + 2;
	}
	border(out, width, t->cols, '-');
	buf_u8(out, '|');
	repeat(out, ' ', (inner - len) / 2);
	buf_printf(out, "%s", title);
	repeat(out, ' ', inner - len - (inner - len) / 2);
	buf_printf(out, "|\n");
	border(out, width, t->cols, '+');
	json_array_foreach(t->rows, i, row)
	{
		if (json_is_null(row)) {
			border(out, width, t->cols, '+');
			continue;
		}
		buf_u8(out, '|');
		for (k = 0; k < t->cols; k++) {
			const char *s = json_string_value(json_array_get(row, k));

			buf_printf(out, " %s", s ? s : "");
			repeat(out, ' ', width[k] - table_text_width(s ? s : "") + 1);
			buf_u8(out, '|');
		}
		buf_u8(out, '\n');
	}
	border(out, width, t->cols, '+');
	json_decref(t->rows);
	t->rows = NULL;
}
