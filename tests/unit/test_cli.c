/* The command table: dispatch, options, operands, messages and exit statuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "ui/cli.h"

/* What the handler saw, as text. */
static char seen[512];

static int note(struct cli *c, struct err *e)
{
	int64_t n = -1;
	size_t at = 0;

	if (cli_int(c, "number", 1, 9, &n, e))
		return -1;
	at += (size_t)snprintf(seen, sizeof(seen), "%s v%zu%s f=%s n%lld", c->cmd->path,
			       cli_count(c, "verbose"), cli_off(c, "verbose") ? " off" : "",
			       cli_str(c, "file") ? cli_str(c, "file") : "-", (long long)n);
	for (int i = 0; i < c->argc; i++)
		at += (size_t)snprintf(seen + at, sizeof(seen) - at, " [%s]", c->argv[i]);
	return 0;
}

static int broken(struct cli *c, struct err *e)
{
	(void)c;
	return err_set(e, ERR_NOT_FOUND, "no key 'k'");
}

static int seven(struct cli *c, struct err *e)
{
	(void)e;
	return *(int *)c->ctx;
}

static const struct cli_opt all[] = {{"verbose", 'v', NULL, "More"}, {0}};
static const struct cli_opt some[] = {
	{"file", 'f', "FILE", "A file"}, {"number", 'n', "N", "A number"}, {0}};
static const struct cli_cmd cmds[] = {
	{.path = "key gen|new",
	 .help = "Makes",
	 .args = "NAME [FILE]",
	 .opts = some,
	 .run = note,
	 .examples = (const char *const[]){"p key gen k", NULL}},
	{.path = "key|k ls", .help = "Lists \"all\"", .opts = some, .run = note},
	{.path = "cat", .help = "Prints", .args = "FILE...", .opts = some, .run = note},
	{.path = "fail", .help = "Fails", .run = broken},
	{.path = "seven", .help = "Ends with seven", .run = seven},
	{0},
};
static const struct cli_prog prog = {.name = "p", .help = "Tests", .opts = all, .cmds = cmds};

static const struct cli_prog other = {.name = "p",
				      .help = "Tests",
				      .opts = all,
				      .cmds = cmds,
				      .error = "p: error",
				      .status = 1,
				      .negate = true};
static const struct cli_prog *which = &prog;

static char err_text[4096], out_text[16384];

static void slurp(int fd, char *to, size_t cap)
{
	ssize_t n = pread(fd, to, cap - 1, 0);

	assert_true(n >= 0);
	to[n] = '\0';
}

/* Runs one command line, with stdout and stderr going to files. */
static int run(const char *line)
{
	CLEAN(free) char *copy = strdup(line);
	char *argv[32], *save = NULL;
	int argc = 0, ctx = 7, r;
	FILE *o = tmpfile(), *e = tmpfile();
	int so, se;

	assert_non_null(copy);
	assert_true(o && e);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	fflush(stdout);
	so = dup(1);
	se = dup(2);
	dup2(fileno(o), 1);
	dup2(fileno(e), 2);
	seen[0] = '\0';
	r = cli_main(which, argc, argv, &ctx);
	fflush(stdout);
	dup2(so, 1);
	dup2(se, 2);
	close(so);
	close(se);
	slurp(fileno(o), out_text, sizeof(out_text));
	slurp(fileno(e), err_text, sizeof(err_text));
	fclose(o);
	fclose(e);
	return r;
}

static void runs(const char *line, const char *want)
{
	int r = run(line);

	if (r)
		fail_msg("%s: %d %s", line, r, err_text);
	assert_string_equal(seen, want);
	assert_string_equal(err_text, "");
}

static void wrong(const char *line, const char *text)
{
	assert_int_equal(run(line), 2);
	assert_string_equal(seen, "");
	assert_string_equal(err_text, text);
}

static void dispatch(void **state)
{
	(void)state;
	runs("p key gen k1", "key gen|new v0 f=- n-1 [k1]");
	runs("p key new k1 f", "key gen|new v0 f=- n-1 [k1] [f]");
	runs("p k ls", "key|k ls v0 f=- n-1");
	runs("p cat a b c", "cat v0 f=- n-1 [a] [b] [c]");
	assert_int_equal(run("p fail"), 5);
	assert_string_equal(err_text, "p: no key 'k'\n");
	assert_int_equal(run("p seven"), 7);
	assert_string_equal(err_text, "");
}

static void options(void **state)
{
	(void)state;
	runs("p -v key gen -vv k1 --verbose", "key gen|new v4 f=- n-1 [k1]");
	runs("p key gen k1 -f x --file=y", "key gen|new v0 f=y n-1 [k1]");
	runs("p key gen --file x -n 3 k1", "key gen|new v0 f=x n3 [k1]");
	runs("p key gen -fx -- --verbose", "key gen|new v0 f=x n-1 [--verbose]");
	runs("p cat -- -", "cat v0 f=- n-1 [-]");
	runs("p cat - -v", "cat v1 f=- n-1 [-]");
}

/* Options of a group may stand between the words of its commands. */
static void between_words(void **state)
{
	(void)state;
	runs("p key -f x gen k1", "key gen|new v0 f=x n-1 [k1]");
	runs("p key --file=x -n3 gen k1 -v", "key gen|new v1 f=x n3 [k1]");
	runs("p key --file gen gen k1", "key gen|new v0 f=gen n-1 [k1]");
	runs("p -v k -f x ls", "key|k ls v1 f=x n-1");
	runs("p cat -f key gen", "cat v0 f=key n-1 [gen]");
	wrong("p key --nope ls", "p: unknown option '--nope'; see 'p --help'\n");
	wrong("p key -- ls", "p: a command is missing after 'key'; see 'p --help'\n");
}

/* --no-NAME, another text in front of errors, one status for all. */
static void other_ways(void **state)
{
	(void)state;
	which = &other;
	runs("p cat a --verbose", "cat v1 f=- n-1 [a]");
	runs("p cat a --verbose --no-verbose", "cat v2 off f=- n-1 [a]");
	runs("p cat a --no-verbose -v", "cat v2 f=- n-1 [a]");
	assert_int_equal(run("p fail"), 1);
	assert_string_equal(err_text, "p: error: no key 'k'\n");
	assert_int_equal(run("p cat a --no-file"), 1);
	assert_string_equal(err_text, "p: error: unknown option '--no-file'; see 'p --help'\n");
	assert_int_equal(run("p cat a --no-verb"), 1);
	assert_int_equal(run("p cat a --no-verbose=1"), 1);
	assert_string_equal(err_text,
			    "p: error: option --verbose takes no value; see 'p --help'\n");
	which = &prog;
	wrong("p cat a --no-verbose", "p: unknown option '--no-verbose'; see 'p --help'\n");
}

static void usage_errors(void **state)
{
	(void)state;
	wrong("p", "p: a command is missing; see 'p --help'\n");
	wrong("p foo", "p: unknown command 'foo'; see 'p --help'\n");
	wrong("p key", "p: a command is missing after 'key'; see 'p --help'\n");
	wrong("p key foo", "p: unknown command 'key foo'; see 'p --help'\n");
	wrong("p key foo --help", "p: unknown command 'key foo'; see 'p --help'\n");
	wrong("p --nope", "p: unknown option '--nope'; see 'p --help'\n");
	wrong("p -x cat a", "p: unknown option '-x'; see 'p --help'\n");
	wrong("p cat --nope=1 a", "p: unknown option '--nope=1'; see 'p --help'\n");
	wrong("p cat --fil x a",
	      "p: unknown option '--fil' (did you mean --file?); see 'p --help'\n");
	wrong("p cat --fil=x a",
	      "p: unknown option '--fil=x' (did you mean --file?); see 'p --help'\n");
	wrong("p cat a --file", "p: option --file needs a value (FILE); see 'p --help'\n");
	wrong("p cat a -f", "p: option --file needs a value (FILE); see 'p --help'\n");
	wrong("p cat a --verbose=1", "p: option --verbose takes no value; see 'p --help'\n");
	wrong("p key gen", "p: missing operand: p key gen|new NAME [FILE]; see 'p --help'\n");
	wrong("p key gen a b c", "p: unexpected operand 'c'; see 'p --help'\n");
	wrong("p key ls a", "p: unexpected operand 'a'; see 'p --help'\n");
	wrong("p cat", "p: missing operand: p cat FILE...; see 'p --help'\n");
	wrong("p cat a -n 10",
	      "p: option --number needs a number from 1 to 9, not '10'; see 'p --help'\n");
	wrong("p cat a -n 1x",
	      "p: option --number needs a number from 1 to 9, not '1x'; see 'p --help'\n");
	wrong("p help foo", "p: unknown command 'foo'; see 'p --help'\n");
}

static void help(void **state)
{
	(void)state;
	assert_int_equal(run("p --help"), 0);
	assert_non_null(strstr(out_text, "key gen NAME [FILE]  Makes"));
	assert_non_null(strstr(out_text, "-v, --verbose"));
	assert_int_equal(run("p key --help"), 0);
	assert_non_null(strstr(out_text, "key ls"));
	assert_null(strstr(out_text, "cat"));
	assert_int_equal(run("p key gen --help"), 0);
	assert_non_null(strstr(out_text, "Usage: p key gen [OPTION...] NAME [FILE]"));
	assert_non_null(strstr(out_text, "Examples:\n  p key gen k"));
	assert_int_equal(run("p help key gen"), 0);
	assert_non_null(strstr(out_text, "Usage: p key gen"));
	assert_int_equal(run("p --version"), 0);
	assert_string_equal(out_text, "p " SIGNBOX_VERSION "\n");
	assert_int_equal(run("p cat --version"), 0);
	assert_int_equal(run("p --help-json"), 0);
	assert_non_null(strstr(out_text, "\"help\":\"Lists \\\"all\\\"\""));
}

/* Output that cannot be written is a failure, with one line. */
static void full_disk(void **state)
{
	int so = dup(1), full;
	FILE *e = tmpfile();
	int se = dup(2), r;

	(void)state;
	fflush(stdout);
	if (!freopen("/dev/full", "w", stdout))
		fail_msg("no /dev/full");
	dup2(fileno(e), 2);
	full = run("p --version");
	(void)full;
	printf("something");
	r = cli_finish("p", 0);
	dup2(se, 2);
	dup2(so, 1);
	clearerr(stdout);
	close(so);
	close(se);
	slurp(fileno(e), err_text, sizeof(err_text));
	fclose(e);
	assert_int_equal(r, 1);
	assert_string_equal(err_text, "p: cannot write standard output: No space left on device\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dispatch),	cmocka_unit_test(options),
		cmocka_unit_test(usage_errors), cmocka_unit_test(help),
		cmocka_unit_test(full_disk),	cmocka_unit_test(between_words),
		cmocka_unit_test(other_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
