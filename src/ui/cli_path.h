/* Finding commands by their words, and the help pages. For cli.c. */
#ifndef UI_CLI_PATH_H
#define UI_CLI_PATH_H

#include <stddef.h>

#include "ui/cli.h"

struct cli_value {
	const struct cli_opt *opt;
	const char *value; /* NULL when the option takes none */
	bool off;	   /* --no-NAME */
	bool own;	   /* value is cli_set's copy */
};

/* Command whose path matches most words at the front of argv; *used: how many.
 * NULL when none does. */
const struct cli_cmd *cli_find(const struct cli_prog *p, int argc, char **argv, int *used);
/* Longest beginning of argv that begins some command's path, as in the table, without
 * aliases: "key"; empty when the first word fits nothing. */
void cli_group(const struct cli_prog *p, int argc, char **argv, char *out, size_t cap);
int cli_group_words(const char *group);
/* Moves options that stand between the words of a command behind them: "check --format
 * json connection" becomes "check connection --format json". */
void cli_join_words(const struct cli_prog *p, int argc, char **argv);
/* Number of operands that a synopsis allows; *max -1: any. */
void cli_operands(const char *args, int *min, int *max);
/* How many words at the front of argv the path shares; *whole: all of the path. */
int cli_shared(const char *path, int argc, char **argv, bool *whole);
/* The option of a list that "--name", "--name=…" or "-x…" means; NULL: none. */
const struct cli_opt *cli_opt_named(const struct cli_opt *list, const char *word);
/* Help of the commands that begin with group. */
void cli_help_group(const struct cli_prog *p, const char *group, FILE *f);
/* The options that every program has. */
const struct cli_opt *cli_builtin(void);

#endif
