/* Errors: one fixed-size struct that the caller owns, one table (err.def).
 * Functions return 0, or -1 with *e filled; libraries never print or exit. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdint.h>

enum err_code {
#define ERR(name, wire, text, http, exit, ckr) ERR_##name = (wire),
#include "base/err.def"
#undef ERR
};

struct err {
	enum err_code code;
	char text[256];
};

/* One row of the table. */
struct err_row {
	uint16_t wire;
	const char *name; /* symbolic, e.g. "NOT_FOUND" */
	const char *text;
	int http;
	int exit;
	uint32_t ckr;
};

/* Fills e (may be NULL) and returns -1, so that "return err_set(…)" reads well.
 * fmt says what is wrong and what to do, without a newline; NULL: table text. What
 * would move a terminal's cursor becomes '?': texts may quote strangers; seeds and the
 * user and password of URLs are taken out. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set, with ": strerror(errno)" appended. */
int err_errno(struct err *e, enum err_code code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text that is there; returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Row of a wire number; an unknown number gives the row of INTERNAL. */
const struct err_row *err_row(unsigned wire);

/* All rows in table order; *n is their number. */
const struct err_row *err_table(unsigned *n);

/* Exit status for e (0 when e->code is ERR_OK). */
int err_exit(const struct err *e);

#endif
