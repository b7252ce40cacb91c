/* Command-line interface: one table of commands a program. Dispatch, --help,
 * --version, the check of operands and the data for completion and man pages all
 * read that table; nothing is written twice.
 *
 *	static const struct cli_cmd cmds[] = {
 *		{.path = "key gen", .args = "NAME", .help = "Makes a key", .opts = gen_opts,
 *		 .run = key_gen, .examples = (const char *const[]){"hsm key gen k1", NULL}},
 *		{0},
 *	};
 */
#ifndef UI_CLI_H
#define UI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#ifndef SIGNBOX_VERSION
#define SIGNBOX_VERSION "0-dev"
#endif

struct cli;

/* One option; a list ends with {0}. May be given several times. */
struct cli_opt {
	const char *name; /* long name without dashes */
	char letter;	  /* short form, 0: none */
	/* What it takes ("FILE"), NULL: nothing; "[=N]": a value may follow behind "=". */
	const char *arg;
	const char *help; /* one line */
};

/* Runs a command. 0: done; -1 with *e filled: cli_main prints the error and the
 * exit status comes from the error's row; above 0: this exit status, the command
 * has said why. */
typedef int cli_run(struct cli *c, struct err *e);

/* Offers values for completion (complete_put of ui/complete.h) of an option, or with
 * option NULL of an operand, by its name in the synopsis; c has the command and what is
 * typed of options. false: it knows none, and the table's word for the value decides. */
struct complete;
typedef bool cli_values(const struct cli *c, const char *option, const char *operand,
			struct complete *o);

/* One command; a list ends with {0}. */
struct cli_cmd {
	/* Words, e.g. "key gen"; a word may have aliases: "stream|str|s add".
	 * "" is the whole program when it has no commands. Options of the
	 * group may stand between the words. */
	const char *path;
	const char *help; /* one line */
	/* Synopsis of the operands, from which their number is checked:
	 * "NAME [FILE]", "FILE...", "[FILE...]"; NULL: none. */
	const char *args;
	const struct cli_opt *opts;
	cli_run *run;
	const char *const *examples; /* complete command lines, NULL at the end */
	const char *about;	     /* more lines for --help, or NULL */
};

struct cli_prog {
	const char *name;	    /* as typed: "ocibuild", "signbox hsm" */
	const char *help;	    /* one line */
	const struct cli_opt *opts; /* accepted by every command, before or after it */
	const struct cli_cmd *cmds;
	const char *const *examples;
	const char *about;
	const char *error;  /* in front of errors instead of name: "nats: error" */
	int status;	    /* exit status of every error; 0: that of its row */
	bool negate;	    /* --no-NAME for each option that takes nothing */
	cli_values *values; /* of options and operands, or NULL */
};

/* What was typed; handed to cli_run. */
struct cli {
	const struct cli_prog *prog;
	const struct cli_cmd *cmd;
	int argc;    /* operands only */
	char **argv; /* NULL at the end */
	void *ctx;   /* of cli_main's caller */
	struct cli_value *values;
	size_t nvalues;
};

/* Parses argv (argv[0] is skipped), runs the command, prints its error as
 * "NAME: text" on stderr and flushes stdout. Returns the exit status: 2 for bad
 * usage, which is always one line. --help, --version, --help-json
 * and completion (ui/complete.h) are built in. */
int cli_main(const struct cli_prog *p, int argc, char **argv, void *ctx);

/* Whether the option was given, how often, and its last or i-th value (NULL when
 * it was not given that often). name must be in the command's or program's table. */
bool cli_has(const struct cli *c, const char *name);
/* Whether --no-NAME was the last word about it (programs with negate); cli_has is
 * false then. For options that are on by default. */
bool cli_off(const struct cli *c, const char *name);
size_t cli_count(const struct cli *c, const char *name);
const char *cli_str(const struct cli *c, const char *name);
const char *cli_nth(const struct cli *c, const char *name, size_t i);
/* Value as a decimal number in [min, max]; absent: *out is left alone. USAGE error. */
int cli_int(const struct cli *c, const char *name, int64_t min, int64_t max, int64_t *out,
	    struct err *e);

/* As if the option had been typed once more, with this value (copied); NULL: as if it had
 * not been. name must be in the command's or program's table. Error: NOMEM. */
int cli_set(struct cli *c, const char *name, const char *value, struct err *e);
/* As if the option had never been typed. */
void cli_drop(struct cli *c, const char *name);

/* Error of usage: fills e with USAGE; cli_main appends where to find help. */
int cli_usage(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The table as JSON (program, commands, options, examples), for completion and man
 * pages. */
void cli_help_json(const struct cli_prog *p, FILE *f);
/* What --help prints; cmd NULL: the program's page. */
void cli_help(const struct cli_prog *p, const struct cli_cmd *cmd, FILE *f);

/* First call of main(): opens /dev/null on closed descriptors 0 to 2, so that no
 * file opened later is taken for standard output. */
void cli_stdio(void);
/* Last call: flushes stdout; status, or 1 when the output could not be written. A
 * reader that went away (EPIPE) is no reason for a message. */
int cli_finish(const char *prog, int status);

#endif
