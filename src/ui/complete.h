/* Completion in shells. A program answers `PROG __complete WORD…` (the last word is the
 * one at the cursor) from its table of commands or flags; `PROG completion SHELL` prints
 * the few lines that make a shell ask. The answer's first line is one of
 *
 *	:words		candidates follow, a line each: the word, a tab, its help
 *	:files FRONT	names of files; FRONT is what stands before the name in the word
 *	:dirs FRONT	names of folders
 */
#ifndef UI_COMPLETE_H
#define UI_COMPLETE_H

#include "ui/cli.h"
#include "ui/goflag.h"

/* One answer in the making. */
struct complete;

/* Offers a value, when it begins with what is typed; help may be NULL. A value with
 * control characters is left out: no shell could type it. */
void complete_put(struct complete *o, const char *value, const char *help);
/* Offers names of files, or of folders. Nothing else may be offered with them. */
void complete_files(struct complete *o, bool only_dirs);
/* Offers what a synopsis tells of values: "FILE", "DIR", "on|off", "NKEY|@FILE". */
void complete_kind(struct complete *o, const char *kind);

/* Answers when argv[1] is "__complete" or, in a program with commands, "completion":
 * true, and *status is the exit status. */
bool complete_cli(const struct cli_prog *p, int argc, char **argv, int *status);
/* The same for flags in Go's syntax, which have no "completion". values (may be NULL)
 * offers values of a flag, false: it knows none. */
bool complete_goflag(const struct goflag *flags,
		     bool (*values)(const char *flag, struct complete *o), int argc, char **argv);
/* The candidates of a fixed list, pairs of value and help with NULL at the end, for
 * argv's last word. */
void complete_list(const char *const *pairs, int argc, char **argv);
/* Prints the script of a shell for programs of these names (NULL at the end); USAGE for
 * a shell that is none of bash, zsh and fish. shell NULL: USAGE too. */
int complete_script(const char *shell, const char *const *names, struct err *e);

#endif
