#include "ui/complete.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ui/cli_path.h"

#define MAX_WORDS 16 /* of a command */

struct complete {
	const char *front; /* "--file=": the part of the word before the value */
	size_t nfront;
	const char *word; /* what is typed of the value */
	bool begun;
};

/* What is on the line, up to the word at the cursor. */
struct line {
	struct cli c; /* program, command and options, for cli_prog.values */
	char **words; /* of the command; room for MAX_WORDS */
	int nwords, operands;
	bool help;		    /* "prog help …" */
	bool plain;		    /* behind "--" */
	const struct cli_opt *open; /* takes the next word as its value */
};

static void begin(struct complete *o)
{
	if (!o->begun)
		puts(":words");
	o->begun = true;
}

void complete_put(struct complete *o, const char *value, const char *help)
{
	if (strncmp(value, o->word, strlen(o->word)) != 0)
		return;
	for (const char *s = value; *s; s++)
		if (iscntrl((unsigned char)*s))
			return;
	begin(o);
	printf("%.*s%s\t%s\n", (int)o->nfront, o->front, value, help ? help : "");
}

void complete_files(struct complete *o, bool only_dirs)
{
	if (!o->begun)
		printf("%s %.*s\n", only_dirs ? ":dirs" : ":files", (int)o->nfront, o->front);
	o->begun = true;
}

static bool is_choice(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!islower((unsigned char)s[i]) && !isdigit((unsigned char)s[i]) && s[i] != '-' &&
		    s[i] != '_')
			return false;
	return n > 1;
}

/* Whether the first of n bytes are this word, in either case. */
static bool is_kind(const char *s, size_t n, const char *kind)
{
	return n >= strlen(kind) && strncasecmp(s, kind, strlen(kind)) == 0;
}

void complete_kind(struct complete *o, const char *kind)
{
	kind += strspn(kind, "[=<");
	for (size_t n; *kind; kind += n + (kind[n] == '|')) {
		char choice[40];

		n = strcspn(kind, "|]> ");
		if (n == 0)
			return;
		if (is_kind(kind, n, "DIR") || is_kind(kind, n, "FOLDER")) {
			complete_files(o, true);
		} else if (is_kind(kind, n, "FILE") || is_kind(kind, n, "PATH")) {
			complete_files(o, false);
		} else if (is_kind(kind, n, "@FILE") && *o->word == '@') {
			o->nfront++;
			o->word++;
			complete_files(o, false);
		} else if (is_kind(kind, n, "BOOL")) {
			complete_put(o, "true", NULL);
			complete_put(o, "false", NULL);
		} else if (is_choice(kind, n) && n < sizeof(choice)) {
			(void)snprintf(choice, sizeof(choice), "%.*s", (int)n, kind);
			complete_put(o, choice, NULL);
		}
		if (kind[n] != '|')
			return;
	}
}

/* ---- the line */

static bool fits(const struct cli_prog *p, int n, char **words)
{
	bool whole;

	for (const struct cli_cmd *c = p->cmds; c->path; c++)
		if (cli_shared(c->path, n, words, &whole) == n)
			return true;
	return false;
}

/* The option that a word "--name", "--name=…", "--no-name" or "-x" means here: of the
 * program, or of any command that the words so far begin. */
static const struct cli_opt *find_opt(const struct line *l, const char *word)
{
	const struct cli_prog *p = l->c.prog;
	const struct cli_opt *o = cli_opt_named(p->opts, word);
	bool whole;

	o = o ? o : cli_opt_named(cli_builtin(), word);
	for (const struct cli_cmd *c = p->cmds; !o && c->path; c++)
		if (cli_shared(c->path, l->nwords, l->words, &whole) == l->nwords)
			o = cli_opt_named(c->opts, word);
	return o;
}

static void keep(struct line *l, const struct cli_opt *o, const char *value)
{
	l->c.values[l->c.nvalues++] = (struct cli_value){.opt = o, .value = value};
}

static void scan_option(struct line *l, const char *word)
{
	const char *value = strchr(word, '=');

	if (word[1] == '-') {
		const struct cli_opt *o = find_opt(l, word);

		if (o && o->arg && *o->arg != '[' && !value)
			l->open = o;
		else if (o)
			keep(l, o, value ? value + 1 : NULL);
		return;
	}
	for (word++; *word; word++) {
		const struct cli_opt *o = find_opt(l, (char[]){'-', *word, '\0'});

		if (o && o->arg && *o->arg != '[' && !word[1])
			l->open = o;
		else if (o)
			keep(l, o, o->arg ? word + 1 : NULL);
		if (!o || o->arg)
			return;
	}
}

static void scan(struct line *l, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		char *w = argv[i];
		bool command = !l->plain && !l->operands && l->nwords < MAX_WORDS;

		if (l->open) {
			keep(l, l->open, w);
			l->open = NULL;
		} else if (!l->plain && strcmp(w, "--") == 0) {
			l->plain = true;
		} else if (!l->plain && w[0] == '-' && w[1]) {
			scan_option(l, w);
		} else if (command && !l->nwords && !l->help && strcmp(w, "help") == 0) {
			l->help = true;
		} else {
			if (command)
				l->words[l->nwords] = w;
			if (command && fits(l->c.prog, l->nwords + 1, l->words))
				l->nwords++;
			else
				l->operands++;
		}
	}
	int used = 0;
	const struct cli_cmd *cmd = cli_find(l->c.prog, l->nwords, l->words, &used);

	l->c.cmd = used == l->nwords ? cmd : NULL;
}

/* ---- what may come next */

static void put_opts(struct complete *o, const struct cli_opt *opt, bool negate)
{
	char word[80];

	for (; opt && opt->name; opt++) {
		/* An argument "-" is that of an option which is only refused. */
		if ((opt->arg && strcmp(opt->arg, "-") == 0) || strcmp(opt->name, "help-json") == 0)
			continue;
		(void)snprintf(word, sizeof(word), "--%s", opt->name);
		complete_put(o, word, opt->help);
		/* twice the list would hide it: only for who begins to type one */
		if (negate && !opt->arg && strncmp(o->word, "--n", 3) == 0) {
			(void)snprintf(word, sizeof(word), "--no-%s", opt->name);
			complete_put(o, word, opt->help);
		}
	}
}

static void put_options(struct complete *o, const struct line *l)
{
	if (l->c.cmd)
		put_opts(o, l->c.cmd->opts, l->c.prog->negate);
	put_opts(o, l->c.prog->opts, l->c.prog->negate);
	put_opts(o, cli_builtin(), false);
}

/* Word number i of a path, with its alternatives; *n 0 when the path is shorter. */
static const char *nth_word(const char *path, int i, size_t *n)
{
	for (;; path += *n) {
		path += strspn(path, " ");
		*n = strcspn(path, " ");
		if (i-- == 0 || *n == 0)
			return path;
	}
}

/* The commands behind a group's word, as its help: "add, ls, info…". */
static void list_group(const struct line *l, const char *word, char *out, size_t cap)
{
	size_t n, len, at = 0;

	out[0] = '\0';
	for (const struct cli_cmd *c = l->c.prog->cmds; c->path; c++) {
		const char *w = nth_word(c->path, l->nwords, &n);
		bool whole;

		if (cli_shared(c->path, l->nwords, l->words, &whole) != l->nwords ||
		    strncmp(w, word, n) != 0 || (word[n] && word[n] != ' '))
			continue;
		w = nth_word(c->path, l->nwords + 1, &n);
		len = strcspn(w, "| ");
		if (!n || (at >= len && strncmp(out + at - len, w, len) == 0))
			continue;
		if (at + len + 6 > cap) {
			(void)snprintf(out + at, cap - at, "…");
			return;
		}
		at += (size_t)snprintf(out + at, cap - at, "%s%.*s", at ? ", " : "", (int)len, w);
	}
}

/* The name of a command, or the alias that is being typed. */
static void put_word(struct complete *o, const char *alts, size_t n, const char *help)
{
	for (size_t at = 0, k; at < n; at += k + 1) {
		char word[64];

		k = strcspn(alts + at, "| ");
		(void)snprintf(word, sizeof(word), "%.*s", (int)k, alts + at);
		if (strncmp(word, o->word, strlen(o->word)) == 0) {
			complete_put(o, word, help);
			return;
		}
	}
}

static bool seen_before(const struct line *l, const struct cli_cmd *at, const char *word, size_t n)
{
	size_t k;
	bool whole;

	for (const struct cli_cmd *c = l->c.prog->cmds; c < at; c++) {
		const char *w = nth_word(c->path, l->nwords, &k);

		if (k == n && strncmp(w, word, n) == 0 &&
		    cli_shared(c->path, l->nwords, l->words, &whole) == l->nwords)
			return true;
	}
	return false;
}

static void put_commands(struct complete *o, const struct line *l)
{
	const struct cli_prog *p = l->c.prog;

	for (const struct cli_cmd *c = p->cmds; c->path; c++) {
		char group[72];
		size_t n, more;
		bool whole;
		const char *word = nth_word(c->path, l->nwords, &n);

		if (!n || cli_shared(c->path, l->nwords, l->words, &whole) != l->nwords ||
		    seen_before(l, c, word, n))
			continue;
		nth_word(c->path, l->nwords + 1, &more);
		if (more)
			list_group(l, word, group, sizeof(group));
		put_word(o, word, n, more ? group : c->help);
	}
	if (l->nwords || l->help || !*p->cmds[0].path)
		return;
	complete_put(o, "help", "Show help of a command");
	complete_put(o, "completion", "Print the script that completes in bash, zsh or fish");
}

static void put_values(struct complete *o, const struct line *l, const char *option,
		       const char *operand, const char *kind)
{
	const struct cli_prog *p = l->c.prog;

	if (!p->values || !p->values(&l->c, option, operand, o))
		complete_kind(o, kind);
}

/* The operand that comes next: by its place in the synopsis, the last one for all that
 * repeat. */
static void put_operand(struct complete *o, const struct line *l)
{
	const char *args = l->c.cmd ? l->c.cmd->args : NULL, *last = NULL;
	size_t n = 0;
	char name[64];

	for (int i = 0; args && i <= l->operands; i++) {
		args += strspn(args, " []");
		if (!*args)
			break;
		n = strcspn(args, " []");
		last = args;
		args += n;
	}
	if (!last || (last + n != args && l->operands))
		return;
	if (!strstr(last, "...")) {
		int max, min;

		cli_operands(l->c.cmd->args, &min, &max);
		if (max >= 0 && l->operands >= max)
			return;
	}
	(void)snprintf(name, sizeof(name), "%.*s", (int)n, last);
	put_values(o, l, NULL, name, name);
}

static void answer(struct complete *o, struct line *l)
{
	const char *eq = strchr(o->front, '=');
	const struct cli_opt *opt = l->open;

	if (!opt && !l->plain && o->word[0] == '-' && o->word[1] == '-' && eq) {
		opt = find_opt(l, o->word);
		o->nfront = (size_t)(eq + 1 - o->front);
		o->word = eq + 1;
		if (!opt)
			return;
	}
	if (opt) {
		if (opt->arg)
			put_values(o, l, opt->name, NULL, opt->arg);
	} else if (!l->plain && o->word[0] == '-') {
		put_options(o, l);
		put_commands(o, l); /* "context -" */
	} else {
		if (!l->operands && !l->plain)
			put_commands(o, l);
		if (!l->help && !o->begun)
			put_operand(o, l);
	}
}

bool complete_cli(const struct cli_prog *p, int argc, char **argv, int *status)
{
	struct line l = {.c = {.prog = p}, .words = (char *[MAX_WORDS]){NULL}};
	size_t most = 2;
	struct err e;

	*status = 0;
	if (argc > 1 && strcmp(argv[1], "completion") == 0 && *p->cmds[0].path) {
		if (complete_script(argc == 3 ? argv[2] : NULL, (const char *[]){p->name, NULL},
				    &e) == 0)
			return true;
		fprintf(stderr, "%s: %s\n", p->error ? p->error : p->name, e.text);
		*status = p->status ? p->status : 2;
		return true;
	}
	if (argc < 2 || strcmp(argv[1], "__complete") != 0)
		return false;
	if (argc > 3 && strcmp(argv[2], "completion") == 0) {
		complete_list((const char *[]){"bash", "", "zsh", "", "fish", "", NULL}, argc,
			      argv);
		return true;
	}
	for (int i = 2; i < argc; i++)
		most += strlen(argv[i]) + 1;
	CLEAN(free) struct cli_value *values = calloc(most, sizeof(*values));
	const char *word = argc > 2 ? argv[argc - 1] : "";
	struct complete o = {.front = word, .word = word};

	if (!values)
		return true;
	l.c.values = values;
	scan(&l, argc > 2 ? argc - 3 : 0, argv + 2);
	answer(&o, &l);
	begin(&o);
	return true;
}

/* ---- flags in Go's syntax */

static const struct goflag *go_find(const struct goflag *f, const char *word)
{
	size_t n;

	if (word[0] != '-' || !word[1])
		return NULL;
	word += word[1] == '-' ? 2 : 1;
	n = strcspn(word, "=");
	for (; f->name; f++)
		if (strlen(f->name) == n && strncmp(f->name, word, n) == 0)
			return f;
	return NULL;
}

static void put_goflags(struct complete *o, const struct goflag *flags)
{
	const char *dash = strncmp(o->word, "--", 2) == 0 ? "--" : "-";
	char word[80];

	for (; flags->name; flags++) {
		if (!flags->help || strcmp(flags->name, "help-json") == 0)
			continue;
		(void)snprintf(word, sizeof(word), "%s%s", dash, flags->name);
		complete_put(o, word, flags->help);
	}
}

bool complete_goflag(const struct goflag *flags,
		     bool (*values)(const char *flag, struct complete *o), int argc, char **argv)
{
	if (argc < 2 || strcmp(argv[1], "__complete") != 0)
		return false;
	const char *word = argc > 2 ? argv[argc - 1] : "", *eq = strchr(word, '=');
	struct complete o = {.front = word, .word = word};
	const struct goflag *open = NULL;

	for (int i = 2; i < argc - 1; i++) {
		open = open ? NULL : go_find(flags, argv[i]);
		if (open && (open->kind == GOFLAG_BOOL || strchr(argv[i], '=')))
			open = NULL;
	}
	if (!open && eq && (open = go_find(flags, word))) {
		o.nfront = (size_t)(eq + 1 - word);
		o.word = eq + 1;
	}
	if (!open)
		put_goflags(&o, flags);
	else if (!values || !values(open->name, &o))
		complete_kind(&o, open->kind == GOFLAG_BOOL ? "BOOL" : open->arg ? open->arg : "");
	begin(&o);
	return true;
}

void complete_list(const char *const *pairs, int argc, char **argv)
{
	struct complete o = {.front = "", .word = argc ? argv[argc - 1] : ""};

	for (; *pairs; pairs += 2)
		complete_put(&o, pairs[0], pairs[1]);
	begin(&o);
}
