/* Tables for people: columns aligned with two spaces between, headings in bold on a
 * terminal, plain when not. Control characters in cells become '?', so that a
 * hostile name cannot drive the terminal. JSON output is not made here. */
#ifndef UI_TABLE_H
#define UI_TABLE_H

#include <stdint.h>
#include <stdio.h>

enum table_flags {
	TABLE_LEFT = 0,
	TABLE_RIGHT = 1, /* numbers */
	TABLE_FLEX = 2,	 /* may be cut (with "…") to fit the terminal */
};

struct table;

/* NULL when memory ran out; the other functions accept NULL and do nothing. */
struct table *table_new(void);
void table_free(struct table *t);
static inline void cleanup_table(struct table **t)
{
	table_free(*t);
}

/* Columns first, left to right. title is copied. */
void table_col(struct table *t, const char *title, unsigned flags);
/* Next cell, row by row. NULL shows as "-". */
void table_text(struct table *t, const char *text);
void table_num(struct table *t, int64_t v);
void table_fmt(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Headings and rows; nothing but the headings when there is no row. Lines are cut
 * only on a terminal or when COLUMNS is set: pipes get everything. */
void table_print(const struct table *t, FILE *f);

/* Columns of f: COLUMNS, else the terminal's, else 80. */
unsigned table_width(FILE *f);
/* Terminal columns that UTF-8 text takes (wide and combining characters counted). */
size_t table_text_width(const char *text);
/* "Label: value" lines with the labels aligned, for single things: pairs of label
 * and value, then NULL; a NULL value leaves the line out. */
void table_pairs(FILE *f, ...) __attribute__((sentinel));

#endif
