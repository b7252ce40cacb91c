/* Command lines in the syntax of Go's flag package, for programs whose originals have
 * it: -x, --x, -x=v, -x v; ends at "--" or the first operand. Texts are Go's. */
#ifndef UI_GOFLAG_H
#define UI_GOFLAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

enum goflag_kind { GOFLAG_STR, GOFLAG_INT, GOFLAG_BOOL };

/* One flag; a list ends with {0}. out: const char **, int64_t * or bool *; set (may be
 * NULL) tells whether it was given. */
struct goflag {
	const char *name;
	enum goflag_kind kind;
	void *out;
	bool *set;
	const char *arg;  /* what it takes ("FILE"); NULL: nothing, or an alias without help */
	const char *help; /* one line; NULL: not listed */
};

/* Takes the flags; *rest is the index of the first operand. Error: USAGE. */
int goflag_parse(const struct goflag *flags, int argc, char **argv, int *rest, struct err *e);
/* The list of flags, a line each. */
void goflag_help(const struct goflag *flags, FILE *f);
/* The same as JSON, as cli_help_json does it: for completion and man pages. */
void goflag_help_json(const char *prog, const char *help, const struct goflag *flags, FILE *f);

#endif
