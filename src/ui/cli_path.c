#include "ui/cli_path.h"

#include <stdbool.h>
#include <string.h>

#include "ui/table.h"

static const struct cli_opt builtin[] = {
	{"help", 'h', NULL, "Show help and exit"},
	{"version", 0, NULL, "Show the version and exit"},
	{"help-json", 0, NULL, "Show the command table as JSON and exit"},
	{0},
};

const struct cli_opt *cli_builtin(void)
{
	return builtin;
}

/* Next word of a path, aliases included; 0 at the end. */
static size_t path_word(const char **path)
{
	while (**path == ' ')
		(*path)++;
	return strcspn(*path, " ");
}

/* Whether a word is one of the alternatives "stream|str|s" of n bytes. */
static bool word_is(const char *alts, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t at = 0; at < n;) {
		size_t k = strcspn(alts + at, "| ");

		if (k > n - at)
			k = n - at;
		if (k == len && strncmp(alts + at, word, k) == 0)
			return true;
		at += k + 1;
	}
	return false;
}

int cli_shared(const char *path, int argc, char **argv, bool *whole)
{
	int i = 0;

	for (;;) {
		size_t n = path_word(&path);

		*whole = n == 0;
		if (n == 0 || i >= argc || !word_is(path, n, argv[i]))
			return i;
		path += n;
		i++;
	}
}

const struct cli_cmd *cli_find(const struct cli_prog *p, int argc, char **argv, int *used)
{
	const struct cli_cmd *best = NULL;

	for (const struct cli_cmd *c = p->cmds; c->path; c++) {
		bool whole;
		int n = cli_shared(c->path, argc, argv, &whole);

		if (whole && (!best || n > *used)) {
			best = c;
			*used = n;
		}
	}
	return best;
}

/* Copies n words of a path, first alternatives only. */
static void copy_words(const char *path, int n, char *out, size_t cap)
{
	size_t at = 0;

	out[0] = '\0';
	while (n-- > 0) {
		size_t len = path_word(&path), first = strcspn(path, "| ");

		if (at + first + 2 > cap)
			return;
		if (at)
			out[at++] = ' ';
		memcpy(out + at, path, first);
		at += first;
		out[at] = '\0';
		path += len;
	}
}

void cli_group(const struct cli_prog *p, int argc, char **argv, char *out, size_t cap)
{
	int best = 0;

	out[0] = '\0';
	for (const struct cli_cmd *c = p->cmds; c->path; c++) {
		bool whole;
		int n = cli_shared(c->path, argc, argv, &whole);

		if (n > best) {
			best = n;
			copy_words(c->path, n, out, cap);
		}
	}
}

const struct cli_opt *cli_opt_named(const struct cli_opt *o, const char *word)
{
	for (; o && o->name; o++) {
		size_t n = strlen(o->name);

		if (word[1] != '-' && o->letter == word[1])
			return o;
		if (word[1] == '-' && strncmp(word + 2, o->name, n) == 0 &&
		    (word[2 + n] == '\0' || word[2 + n] == '='))
			return o;
	}
	return NULL;
}

/* Words that an option takes, its value included: 1 or 2. k words of argv are known;
 * any command that begins with them may be meant. */
static int option_words(const struct cli_prog *p, int k, char **argv, const char *word)
{
	const struct cli_opt *o = cli_opt_named(p->opts, word);

	for (const struct cli_cmd *c = p->cmds; !o && c->path; c++) {
		bool whole;

		if (cli_shared(c->path, k, argv, &whole) == k)
			o = cli_opt_named(c->opts, word);
	}
	if (!o || !o->arg || *o->arg == '[')
		return 1;
	return word[1] == '-' ? (strchr(word, '=') ? 1 : 2) : (word[2] ? 1 : 2);
}

void cli_join_words(const struct cli_prog *p, int argc, char **argv)
{
	for (int k = 0, i; k < argc; k++) {
		char *kept = argv[k];
		int most = 0;

		for (i = k; i < argc && argv[i][0] == '-' && argv[i][1];)
			i += strcmp(argv[i], "--") == 0 ? argc : option_words(p, k, argv, argv[i]);
		if (i >= argc || (i > k && k == 0))
			return;
		/* Does the word go on with the command? */
		argv[k] = argv[i];
		for (const struct cli_cmd *c = p->cmds; c->path; c++) {
			bool whole;
			int n = cli_shared(c->path, k + 1, argv, &whole);

			most = n > most ? n : most;
		}
		argv[k] = kept;
		if (most <= k)
			return;
		char *word = argv[i];

		memmove(argv + k + 1, argv + k, (size_t)(i - k) * sizeof(*argv));
		argv[k] = word;
	}
}

int cli_group_words(const char *group)
{
	int n = 0;

	for (size_t len; (len = path_word(&group)); group += len)
		n++;
	return n;
}

void cli_operands(const char *args, int *min, int *max)
{
	int depth = 0;
	bool many = false;

	*min = *max = 0;
	for (const char *s = args ? args : ""; *s;) {
		if (*s == '[')
			depth++;
		if (*s == ']')
			depth--;
		if (*s == '[' || *s == ']' || *s == ' ') {
			s++;
			continue;
		}
		size_t n = strcspn(s, " []");

		if (n >= 3 && strncmp(s + n - 3, "...", 3) == 0)
			many = true;
		/* "[FILE]..." has the dots alone. */
		if (n != 3 || !many) {
			*min += depth == 0;
			*max += 1;
		}
		s += n;
	}
	if (many)
		*max = -1;
}

/* Text and blanks up to a column of the terminal, at least two. */
static void put_column(const char *text, size_t width, FILE *f)
{
	size_t w = table_text_width(text);

	fprintf(f, "  %s%*s", text, (int)(w + 2 <= width ? width - w : 2), "");
}

static void print_opts(const struct cli_opt *o, const char *title, FILE *f)
{
	if (!o || !o->name)
		return;
	fprintf(f, "\n%s:\n", title);
	for (; o->name; o++) {
		char left[64];

		(void)snprintf(left, sizeof(left), "%c%c%c --%s%s%s", o->letter ? '-' : ' ',
			       o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
			       o->arg && *o->arg != '[' ? " " : "", o->arg ? o->arg : "");
		put_column(left, 28, f);
		fprintf(f, "%s\n", o->help ? o->help : "");
	}
}

static void print_examples(const char *const *x, FILE *f)
{
	if (!x || !*x)
		return;
	fputs("\nExamples:\n", f);
	for (; *x; x++)
		fprintf(f, "  %s\n", *x);
}

static void print_commands(const struct cli_prog *p, const char *group, FILE *f)
{
	size_t width = 0;
	char name[128];
	int words = cli_group_words(group);

	for (int pass = 0; pass < 2; pass++)
		for (const struct cli_cmd *c = p->cmds; c->path; c++) {
			copy_words(c->path, words, name, sizeof(name));
			if (strcmp(name, group) != 0)
				continue;
			copy_words(c->path, cli_group_words(c->path), name, sizeof(name));
			if (c->args && strlen(name) + 1 + strlen(c->args) + 1 < sizeof(name)) {
				strncat(name, " ", sizeof(name) - strlen(name) - 1);
				strncat(name, c->args, sizeof(name) - strlen(name) - 1);
			}
			if (pass == 0 && table_text_width(name) > width)
				width = table_text_width(name);
			if (pass == 1) {
				put_column(name, (width > 36 ? 36 : width) + 2, f);
				fprintf(f, "%s\n", c->help);
			}
		}
}

void cli_help_group(const struct cli_prog *p, const char *group, FILE *f)
{
	fprintf(f, "Usage: %s %s COMMAND\n\nCommands:\n", p->name, group);
	print_commands(p, group, f);
	fprintf(f, "\n'%s %s COMMAND --help' tells more.\n", p->name, group);
}

void cli_help(const struct cli_prog *p, const struct cli_cmd *cmd, FILE *f)
{
	char name[128];

	if (!cmd) {
		fprintf(f, "%s: %s\n\nUsage: %s [OPTION...] COMMAND\n\nCommands:\n", p->name,
			p->help, p->name);
		print_commands(p, "", f);
		print_opts(p->opts, "Options", f);
		print_opts(builtin, p->opts && p->opts->name ? "Always" : "Options", f);
		print_examples(p->examples, f);
		if (p->about)
			fprintf(f, "\n%s\n", p->about);
		fprintf(f,
			"\n'%s COMMAND --help' tells more; '%s completion bash|zsh|fish' prints "
			"what\n"
			"completes command lines in that shell.\n",
			p->name, p->name);
		return;
	}
	copy_words(cmd->path, cli_group_words(cmd->path), name, sizeof(name));
	fprintf(f, "%s%s%s: %s\n\nUsage: %s%s%s%s%s%s\n", p->name, *name ? " " : "", name,
		cmd->help, p->name, *name ? " " : "", name,
		cmd->opts && cmd->opts->name ? " [OPTION...]" : "", cmd->args ? " " : "",
		cmd->args ? cmd->args : "");
	if (cmd->about)
		fprintf(f, "\n%s\n", cmd->about);
	print_opts(cmd->opts, "Options", f);
	print_opts(p->opts, "Options of every command", f);
	print_opts(builtin, "Always", f);
	print_examples(cmd->examples, f);
	if (!*cmd->path)
		print_examples(p->examples, f);
}

/* The table is ours, but a help text may hold a quote; src/json is above this layer. */
static void json_string(const char *s, FILE *f)
{
	if (!s) {
		fputs("null", f);
		return;
	}
	fputc('"', f);
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		if (ch == '"' || ch == '\\')
			fprintf(f, "\\%c", ch);
		else if (ch < ' ')
			fprintf(f, "\\u%04x", ch);
		else
			fputc(ch, f);
	}
	fputc('"', f);
}

static void json_member(const char *key, const char *value, const char *after, FILE *f)
{
	fprintf(f, "\"%s\":", key);
	json_string(value, f);
	fputs(after, f);
}

static void json_opts(const struct cli_opt *o, FILE *f)
{
	fputs("\"options\":[", f);
	for (bool first = true; o && o->name; o++, first = false) {
		char letter[2] = {o->letter, '\0'};

		fputs(first ? "{" : ",{", f);
		json_member("name", o->name, ",", f);
		json_member("letter", o->letter ? letter : NULL, ",", f);
		json_member("arg", o->arg, ",", f);
		json_member("help", o->help, "}", f);
	}
	fputs("],", f);
}

static void json_examples(const char *const *x, FILE *f)
{
	fputs("\"examples\":[", f);
	for (bool first = true; x && *x; x++, first = false) {
		if (!first)
			fputc(',', f);
		json_string(*x, f);
	}
	fputc(']', f);
}

void cli_help_json(const struct cli_prog *p, FILE *f)
{
	fputc('{', f);
	json_member("name", p->name, ",", f);
	json_member("version", SIGNBOX_VERSION, ",", f);
	json_member("help", p->help, ",", f);
	json_member("about", p->about, ",", f);
	json_opts(p->opts, f);
	json_examples(p->examples, f);
	fputs(",\"commands\":[", f);
	for (const struct cli_cmd *c = p->cmds; c->path; c++) {
		fputs(c == p->cmds ? "{" : ",\n{", f);
		json_member("path", c->path, ",", f);
		json_member("help", c->help, ",", f);
		json_member("args", c->args, ",", f);
		json_member("about", c->about, ",", f);
		json_opts(c->opts, f);
		json_examples(c->examples, f);
		fputc('}', f);
	}
	fputs("]}\n", f);
}
