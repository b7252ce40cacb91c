/* What the commands share: global options, notes on stderr, results as text or
 * JSON on stdout. */
#ifndef OCIBUILD_OPTIONS_H
#define OCIBUILD_OPTIONS_H

#include "ocibuild/current.h"
#include "ui/cli.h"

extern const struct cli_opt options_global[];

/* Folders and flags of cur from the command line. */
void options_current(const struct cli *c, struct current *cur);
/* One line on stderr. */
void options_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct options_changes {
	size_t total, added, changed, removed;
	unsigned long long bytes;
};
int options_print_changes(const struct cli *c, const char *path, const struct options_changes *ch,
			  int64_t date, struct err *e);
int options_print_lock(const struct cli *c, const char *path, const struct lock *l, struct err *e);

struct options_fetched {
	size_t fetched, cached;
	unsigned long long bytes;
	bool relock;
};
int options_print_fetched(const struct cli *c, const struct options_fetched *f, struct err *e);

#endif
