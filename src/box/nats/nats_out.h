/* What natscli's output is made of: boxed tables with a title, sections of right-aligned
 * labels, log lines. NATS_TABLE_FORMAT=md|csv|tsv and LLMFORMAT=1 change the form.
 * Control characters in what comes from outside become '?'. */
#ifndef BOX_NATS_NATS_OUT_H
#define BOX_NATS_NATS_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/text.h"

/* ---- tables: NULL (no memory) is accepted everywhere and prints nothing ---- */
struct nt;

struct nt *nt_new(const char *title_fmt, ...) __attribute__((format(printf, 1, 2)));
void nt_free(struct nt *t);
static inline void cleanup_nt(struct nt **t)
{
	nt_free(*t);
}
/* Headings, with NULL at the end; then cells, row by row. */
void nt_head(struct nt *t, ...) __attribute__((sentinel));
void nt_text(struct nt *t, const char *text); /* NULL: "" */
void nt_fmt(struct nt *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A number without commas; a column of nothing else is aligned right. */
void nt_num(struct nt *t, int64_t v);
/* A line before the next row. */
void nt_line(struct nt *t);
/* The cells after this call are the footer. */
void nt_foot(struct nt *t);
size_t nt_rows(const struct nt *t);
/* Prints the table and a newline; natscli prints one more behind most. */
void nt_print(const struct nt *t);
/* Colour of the borders on a terminal, by name; "" or NULL: none. Not copied. */
void nt_colors(const char *scheme);

/* ---- sections of "Label: value" ---- */
struct cols;

struct cols *cols_new(const char *heading_fmt, ...) __attribute__((format(printf, 1, 2)));
void cols_free(struct cols *c);
static inline void cleanup_cols(struct cols **c)
{
	cols_free(*c);
}
/* label "": under the value before. */
void cols_row(struct cols *c, const char *label, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Nothing when value is NULL or empty. */
void cols_some(struct cols *c, const char *label, const char *value);
/* "true" or "false". */
void cols_bool(struct cols *c, const char *label, bool v);
/* A count with commas, "unlimited" when it is none. */
void cols_limit(struct cols *c, const char *label, int64_t v, int64_t none);
/* A size, "unlimited" when it is -1; nanoseconds, "unlimited" when they are none. */
void cols_bytes(struct cols *c, const char *label, int64_t v);
void cols_duration(struct cols *c, const char *label, int64_t v);
/* A row per string of a JSON array (sorted), all under one label. */
void cols_strings(struct cols *c, const char *label, const json_t *arr);
/* One row of an array's strings and durations, with commas between; none when it is empty. */
void cols_joined(struct cols *c, const char *label, const json_t *arr);
/* Rows of "key: value", the keys aligned, all under one label; obj's values are strings. */
void cols_map(struct cols *c, const char *label, const json_t *obj);
void cols_section(struct cols *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line as it is; NULL: an empty one. */
void cols_line(struct cols *c, const char *text);
void cols_indent(struct cols *c, unsigned width);
void cols_print(const struct cols *c, FILE *f);

/* ---- lines ---- */
/* "HH:MM:SS text" on stderr, one write. */
void nats_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Text as Go's %q. Returned memory is the caller's; NULL without memory. */
char *nats_quote(const char *text, size_t n);
/* Bytes of a message body on stdout as they are; on a terminal, what would drive it is
 * shown as \xNN. */
void nats_bytes(const void *p, size_t n);
/* Copy without anything that drives a terminal; NULL without memory. */
static inline char *nats_clean(const char *text)
{
	return text_cleaned(text);
}
/* The same for one expression; cut to 511 bytes. */
#define SHOWN(text) nats_shown((char[512]){0}, (text))
const char *nats_shown(char out[static 512], const char *text);

#endif
