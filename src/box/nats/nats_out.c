#include "box/nats/nats_out.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "box/nats/nats_fmt.h"
#include "ui/table.h"

#define TEXT_MAX ((size_t)64 << 20)

char *nats_quote(const char *text, size_t n)
{
	CLEAN(buf) struct buf b = {0};
	static const char letters[] = "\aa\bb\ff\nn\rr\tt\vv\"\"\\\\";

	buf_init(&b, TEXT_MAX);
	buf_u8(&b, '"');
	for (size_t i = 0, k; i < n; i += k) {
		const unsigned char *s = (const unsigned char *)text + i;
		const char *esc = NULL;
		unsigned cp;

		for (const char *l = letters; *l; l += 2)
			esc = (unsigned char)*l == *s ? l + 1 : esc;
		k = text_utf8((const char *)s, n - i, &cp);
		if (esc)
			buf_printf(&b, "\\%c", *esc);
		else if (!k || cp < 0x20 || cp == 0x7f)
			buf_printf(&b, "\\x%02x", *s);
		else if (text_drives(cp))
			buf_printf(&b, "\\u%04x", cp);
		else
			buf_put(&b, s, k);
		k = k ? k : 1;
	}
	buf_put(&b, "\"", 2);
	return b.bad ? NULL : (char *)STEAL(b.p);
}

void nats_bytes(const void *p, size_t n)
{
	const unsigned char *s = p;

	if (!isatty(STDOUT_FILENO)) {
		if (n)
			fwrite(p, 1, n, stdout);
		return;
	}
	for (size_t i = 0, k; i < n; i += k) {
		unsigned cp;

		k = text_utf8((const char *)s + i, n - i, &cp);
		if (k && (!text_drives(cp) || cp == '\n' || cp == '\t' ||
			  (cp == '\r' && i + 1 < n && s[i + 1] == '\n'))) {
			fwrite(s + i, 1, k, stdout);
			continue;
		}
		k = k ? k : 1;
		for (size_t j = 0; j < k; j++)
			printf("\\x%02x", s[i + j]);
	}
}

const char *nats_shown(char out[static 512], const char *text)
{
	(void)snprintf(out, 512, "%s", text);
	text_clean(out);
	return out;
}

void nats_log(const char *fmt, ...)
{
	CLEAN(free) char *text = NULL;
	time_t t = time(NULL);
	struct tm tm = {0};
	va_list ap;

	va_start(ap, fmt);
	text = text_vcleaned(fmt, ap);
	va_end(ap);
	if (!text)
		return;
	text_hide(text);
	(void)localtime_r(&t, &tm);
	fprintf(stderr, "%02d:%02d:%02d %s\n", tm.tm_hour, tm.tm_min, tm.tm_sec, text);
}

/* ---- sections ---- */

enum row_kind { ROW, INDENT, LINE, SECTION };

struct row {
	enum row_kind kind;
	char *label, *value;
	unsigned width;
};

struct cols {
	char *heading;
	struct row *rows;
	size_t n, cap;
	bool bad;
};

static void cols_add(struct cols *c, struct row r)
{
	if (c && c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 32;
		struct row *rows = realloc(c->rows, cap * sizeof(*rows));

		if (rows) {
			c->rows = rows;
			c->cap = cap;
		}
	}
	if (!c || c->n == c->cap) {
		free(r.label);
		free(r.value);
		if (c)
			c->bad = true;
		return;
	}
	c->rows[c->n++] = r;
}

/* A setting may hold a seed where a file's name belongs, a URL a password. */
static char *vtext(const char *fmt, va_list ap)
{
	char *text = text_vcleaned(fmt, ap);

	if (text)
		text_hide(text);
	return text;
}

struct cols *cols_new(const char *fmt, ...)
{
	struct cols *c = calloc(1, sizeof(*c));
	va_list ap;

	va_start(ap, fmt);
	if (c)
		c->heading = vtext(fmt, ap);
	va_end(ap);
	return c;
}

void cols_free(struct cols *c)
{
	for (size_t i = 0; c && i < c->n; i++) {
		free(c->rows[i].label);
		free(c->rows[i].value);
	}
	if (c) {
		free(c->heading);
		free(c->rows);
	}
	free(c);
}

void cols_row(struct cols *c, const char *label, const char *fmt, ...)
{
	struct row r = {.kind = ROW, .label = nats_clean(label)};
	size_t n = r.label ? strlen(r.label) : 0;
	va_list ap;

	if (n && r.label[n - 1] == ':')
		r.label[n - 1] = '\0';
	va_start(ap, fmt);
	r.value = vtext(fmt, ap);
	va_end(ap);
	cols_add(c, r);
}

void cols_some(struct cols *c, const char *label, const char *value)
{
	if (value && *value)
		cols_row(c, label, "%s", value);
}

void cols_bool(struct cols *c, const char *label, bool v)
{
	cols_row(c, label, "%s", v ? "true" : "false");
}

void cols_limit(struct cols *c, const char *label, int64_t v, int64_t none)
{
	cols_row(c, label, "%s", v == none ? "unlimited" : COMMA(v));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void cols_bytes(struct cols *c, const char *label, int64_t v)
{
	cols_row(c, label, "%s", v == -1 ? "unlimited" : IBYTES(v));
}

void cols_duration(struct cols *c, const char *label, int64_t v)
{
	cols_row(c, label, "%s", v <= 0 ? "unlimited" : DURATION(v));
}

void cols_joined(struct cols *c, const char *label, const json_t *arr)
{
	CLEAN(buf) struct buf b = {0};
	size_t i;
	json_t *v;

	buf_init(&b, (size_t)1 << 20);
	if (!json_array_size(arr))
		return;
	json_array_foreach(arr, i, v)
		buf_printf(&b, "%s%s", i ? ", " : "",
			   json_is_integer(v)  ? GODURATION(json_integer_value(v))
			   : json_is_string(v) ? json_string_value(v)
					       : "?");
	cols_row(c, label, "%.*s", (int)b.len, b.p ? (const char *)b.p : "");
}

void cols_strings(struct cols *c, const char *label, const json_t *arr)
{
	size_t n = json_array_size(arr), used = 0;
	CLEAN(free) const char **sorted = calloc(n + 1, sizeof(*sorted));

	for (size_t i = 0; sorted && i < n; i++)
		if (json_is_string(json_array_get(arr, i)))
			sorted[used++] = json_string_value(json_array_get(arr, i));
	if (sorted)
		qsort(sorted, used, sizeof(*sorted), by_text);
	for (size_t i = 0; i < used; i++)
		cols_row(c, i ? "" : label, "%s", sorted[i]);
}

void cols_map(struct cols *c, const char *label, const json_t *obj)
{
	size_t n = json_object_size(obj), used = 0, longest = 0;
	CLEAN(free) const char **keys = calloc(n + 1, sizeof(*keys));
	const char *key;
	json_t *v;

	if (!keys)
		return;
	json_object_foreach((json_t *)(uintptr_t)obj, key, v)
	{
		keys[used++] = key;
		if (table_text_width(key) > longest)
			longest = table_text_width(key);
	}
	qsort(keys, used, sizeof(*keys), by_text);
	for (size_t i = 0; i < used; i++) {
		const char *text = json_string_value(json_object_get(obj, keys[i]));

		cols_row(c, i ? "" : label, "%*s%s: %s", (int)(longest - table_text_width(keys[i])),
			 "", keys[i], text ? text : "");
	}
}

void cols_section(struct cols *c, const char *fmt, ...)
{
	struct row r = {.kind = SECTION};
	va_list ap;

	va_start(ap, fmt);
	r.label = vtext(fmt, ap);
	va_end(ap);
	cols_add(c, r);
}

void cols_line(struct cols *c, const char *text)
{
	cols_add(c, (struct row){.kind = LINE, .value = text ? nats_clean(text) : NULL});
}

void cols_indent(struct cols *c, unsigned width)
{
	cols_add(c, (struct row){.kind = INDENT, .width = width});
}

static bool llm(void)
{
	const char *v = getenv("LLMFORMAT");

	return v && strcmp(v, "1") == 0;
}

static void cols_markdown(const struct cols *c, FILE *f)
{
	int depth = 0;
	bool any = false;

	if (c->heading && *c->heading)
		fprintf(f, "# %s\n\n", c->heading);
	for (size_t i = 0; i < c->n; i++) {
		const struct row *r = &c->rows[i];

		if (r->kind == INDENT) {
			depth = r->width ? depth + 1 : 0;
			continue;
		}
		if (r->kind == SECTION)
			fprintf(f, "%s%.*s %s\n\n", any ? "\n" : "", depth + 2, "##########",
				r->label);
		else if (r->kind == LINE)
			fprintf(f, "%s\n", r->value ? r->value : "");
		else if (*r->label)
			fprintf(f, "- **%s:** %s\n", r->label, r->value);
		else
			fprintf(f, "- %s\n", r->value);
		any = true;
	}
}

static void cols_section_line(const struct row *r, bool blank, unsigned indent, FILE *f)
{
	size_t n = strlen(r->label);

	fprintf(f, "%s%*s%s%s\n\n", blank ? "\n" : "", (int)indent, "", r->label,
		n && r->label[n - 1] == ':' ? "" : ":");
}

void cols_print(const struct cols *c, FILE *f)
{
	size_t longest = 0;
	unsigned indent = 0;
	const struct row *prev = NULL;

	if (!c || c->bad)
		return;
	if (llm()) {
		cols_markdown(c, f);
		return;
	}
	for (size_t i = 0; i < c->n; i++)
		if (c->rows[i].kind == ROW && table_text_width(c->rows[i].label) > longest)
			longest = table_text_width(c->rows[i].label);
	if (c->heading && *c->heading)
		fprintf(f, "%s\n\n", c->heading);
	for (size_t i = 0; i < c->n; i++) {
		const struct row *r = &c->rows[i];
		bool empty = prev && prev->kind == LINE && !prev->value;

		if (r->kind == INDENT) {
			indent = r->width;
			continue;
		}
		if (r->kind == SECTION)
			cols_section_line(
				r,
				(i && !(prev && (prev->kind == SECTION || prev->kind == LINE))) ||
					(prev && prev->kind == LINE && !empty),
				indent, f);
		else if (r->kind == ROW)
			fprintf(f, "%*s%*s%s%s %s\n", (int)indent, "",
				(int)(longest - table_text_width(r->label) + 2 + !*r->label), "",
				r->label, *r->label ? ":" : "", r->value);
		else if (r->value)
			fprintf(f, "%*s %s\n", (int)indent, "", r->value);
		else if (prev && prev->kind == SECTION)
			continue;
		else
			fprintf(f, "%*s\n", (int)indent, "");
		prev = r;
	}
}
