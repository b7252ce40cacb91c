#include "ui/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ui/cli_path.h"
#include "ui/complete.h"

#define MAX_OPTS 160 /* of one command, the program's included */
#define FIRST 256    /* getopt's value of the first long option; then MAX_OPTS on, as many off */

/* The options that hold at one point, in getopt's form and in ours. */
struct optset {
	const struct cli_opt *opt[MAX_OPTS];
	struct option longs[2 * MAX_OPTS + 1];
	char shorts[3 * MAX_OPTS + 3];
	char no[MAX_OPTS][48]; /* "no-NAME" */
	unsigned n, nlongs;
	bool negate;
};

static void optset_add(struct optset *s, const struct cli_opt *list)
{
	size_t at = strlen(s->shorts);

	for (; list && list->name && s->n < MAX_OPTS; list++) {
		s->opt[s->n] = list;
		s->longs[s->nlongs++] = (struct option){
			.name = list->name,
			.has_arg = !list->arg		 ? no_argument
				   : list->arg[0] == '[' ? optional_argument
							 : required_argument,
			.val = FIRST + (int)s->n,
		};
		if (s->negate && !list->arg) {
			(void)snprintf(s->no[s->n], sizeof(s->no[0]), "no-%s", list->name);
			s->longs[s->nlongs++] = (struct option){
				.name = s->no[s->n],
				.has_arg = no_argument,
				.val = FIRST + MAX_OPTS + (int)s->n,
			};
		}
		s->n++;
		if (!list->letter)
			continue;
		s->shorts[at++] = list->letter;
		if (list->arg)
			s->shorts[at++] = ':';
		if (list->arg && *list->arg == '[')
			s->shorts[at++] = ':';
		s->shorts[at] = '\0';
	}
}

static const struct cli_opt *optset_find(const struct optset *s, int got)
{
	if (got >= FIRST)
		return s->opt[(got - FIRST) % MAX_OPTS];
	for (unsigned i = 0; i < s->n; i++)
		if (s->opt[i]->letter == got)
			return s->opt[i];
	return NULL;
}

static const struct cli_value *nth_value(const struct cli *c, const char *name, size_t i)
{
	for (size_t k = 0; k < c->nvalues; k++)
		if (strcmp(c->values[k].opt->name, name) == 0 && i-- == 0)
			return &c->values[k];
	return NULL;
}

static const struct cli_value *last_value(const struct cli *c, const char *name)
{
	for (size_t k = c->nvalues; k-- > 0;)
		if (strcmp(c->values[k].opt->name, name) == 0)
			return &c->values[k];
	return NULL;
}

bool cli_has(const struct cli *c, const char *name)
{
	const struct cli_value *v = last_value(c, name);

	return v && !v->off;
}

bool cli_off(const struct cli *c, const char *name)
{
	const struct cli_value *v = last_value(c, name);

	return v && v->off;
}

size_t cli_count(const struct cli *c, const char *name)
{
	size_t n = 0;

	for (size_t k = 0; k < c->nvalues; k++)
		n += strcmp(c->values[k].opt->name, name) == 0;
	return n;
}

const char *cli_nth(const struct cli *c, const char *name, size_t i)
{
	const struct cli_value *v = nth_value(c, name, i);

	return v ? v->value : NULL;
}

const char *cli_str(const struct cli *c, const char *name)
{
	size_t n = cli_count(c, name);

	return n ? cli_nth(c, name, n - 1) : NULL;
}

static const struct cli_opt *find_opt(const struct cli_opt *o, const char *name)
{
	for (; o && o->name; o++)
		if (strcmp(o->name, name) == 0)
			return o;
	return NULL;
}

int cli_set(struct cli *c, const char *name, const char *value, struct err *e)
{
	const struct cli_opt *o = find_opt(c->cmd->opts, name);
	char *copy = value ? strdup(value) : NULL;
	struct cli_value *more = realloc(c->values, (c->nvalues + 1) * sizeof(*more));

	o = o ? o : find_opt(c->prog->opts, name);
	if (more)
		c->values = more;
	if (!more || !o || (value && !copy)) {
		free(copy);
		return err_set(e, o ? ERR_NOMEM : ERR_INTERNAL, NULL);
	}
	c->values[c->nvalues++] =
		(struct cli_value){.opt = o, .value = copy, .off = !value, .own = true};
	return 0;
}

static void forget(const struct cli_value *value)
{
	char *v = value->own ? (char *)(uintptr_t)value->value : NULL;

	/* It may be a seed. */
	if (v)
		explicit_bzero(v, strlen(v));
	free(v);
}

void cli_drop(struct cli *c, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->nvalues; i++) {
		if (strcmp(c->values[i].opt->name, name) == 0)
			forget(&c->values[i]);
		else
			c->values[kept++] = c->values[i];
	}
	c->nvalues = kept;
}

static inline void cleanup_cli(struct cli *c)
{
	for (size_t i = 0; i < c->nvalues; i++)
		forget(&c->values[i]);
	free(c->values);
}

int cli_int(const struct cli *c, const char *name, int64_t min, int64_t max, int64_t *out,
	    struct err *e)
{
	const char *text = cli_str(c, name);
	char *end;

	if (!text)
		return 0;
	errno = 0;
	long long v = strtoll(text, &end, 10);

	if (errno || end == text || *end || v < min || v > max)
		return cli_usage(e, "option --%s needs a number from %lld to %lld, not '%.40s'",
				 name, (long long)min, (long long)max, text);
	*out = v;
	return 0;
}

int cli_usage(struct err *e, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e, ERR_USAGE, "%s", text);
}

/* The one line about what getopt stumbled over. */
static int bad_option(struct err *e, const struct optset *s, int got, char **argv)
{
	const char *word = argv[optind - 1];
	const struct cli_opt *o = got == ':' ? optset_find(s, optopt) : NULL;

	if (o)
		return cli_usage(e, "option --%s needs a value (%s)", o->name, o->arg);
	if (optopt >= FIRST)
		return cli_usage(e, "option --%s takes no value", optset_find(s, optopt)->name);
	if (optopt)
		return cli_usage(e, "unknown option '-%c'", optopt);
	return cli_usage(e, "unknown option '%.100s'", word);
}

/* getopt_long accepts unique beginnings of names; a script that relies on one would
 * break when an option is added, so names must be whole. */
static bool name_is_whole(const char *name, const char *word)
{
	size_t n = strlen(name);

	return strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, n) == 0 &&
	       (word[2 + n] == '\0' || word[2 + n] == '=');
}

/* Takes options out of argv until the end ('+' in front: the first operand). */
static int parse_opts(struct cli *c, struct optset *s, int argc, char **argv, struct err *e)
{
	int got;

	opterr = 0;
	optind = 0;
	while ((got = getopt_long(argc, argv, s->shorts, s->longs, NULL)) != -1) {
		const struct cli_opt *o = got == '?' || got == ':' ? NULL : optset_find(s, got);

		if (!o)
			return bad_option(e, s, got, argv);
		bool apart = o->arg && optarg == argv[optind - 1], off = got >= FIRST + MAX_OPTS;
		const char *word = argv[optind - (apart ? 2 : 1)];
		const char *name = off ? s->no[got - FIRST - MAX_OPTS] : o->name;

		if (got >= FIRST && !name_is_whole(name, word))
			return cli_usage(e, "unknown option '%.60s' (did you mean --%s?)", word,
					 name);
		c->values[c->nvalues++] = (struct cli_value){o, o->arg ? optarg : NULL, off, false};
	}
	return 0;
}

/* --help, --version, --help-json: true when one was given and answered. */
static bool answered(const struct cli *c, const char *group)
{
	if (cli_has(c, "help-json"))
		cli_help_json(c->prog, stdout);
	else if (cli_has(c, "help") && !c->cmd && group)
		cli_help_group(c->prog, group, stdout);
	else if (cli_has(c, "help"))
		cli_help(c->prog, c->cmd, stdout);
	else if (cli_has(c, "version"))
		printf("%s %s\n", c->prog->name, SIGNBOX_VERSION);
	else
		return false;
	return true;
}

static int check_operands(const struct cli *c, struct err *e)
{
	int min, max;

	cli_operands(c->cmd->args, &min, &max);
	if (c->argc < min)
		return cli_usage(e, "missing operand: %s%s%s %s", c->prog->name,
				 c->cmd->path[0] ? " " : "", c->cmd->path, c->cmd->args);
	if (max >= 0 && c->argc > max)
		return cli_usage(e, "unexpected operand '%.100s'", c->argv[max]);
	return 0;
}

/* No command fits the words: says which word is wrong, or what may follow. */
static int no_command(const struct cli *c, int words, char **argv, struct err *e)
{
	char group[128];

	cli_group(c->prog, words, argv, group, sizeof(group));
	if (words == 0)
		return cli_usage(e, "a command is missing");
	if (strlen(group) && cli_group_words(group) == words)
		return cli_usage(e, "a command is missing after '%s'", group);
	int bad = cli_group_words(group);

	return cli_usage(e, "unknown command '%s%s%.60s'", group, *group ? " " : "", argv[bad]);
}

/* Options of a group ("prog key --help"), where there is no command to run. */
static int parse_group(struct cli *c, int words, char **rest, const char *group, struct err *e)
{
	struct optset set = {.shorts = ":", .negate = c->prog->negate};
	int skip = cli_group_words(group);

	optset_add(&set, cli_builtin());
	optset_add(&set, c->prog->opts);
	if (skip < words && rest[skip][0] == '-') {
		if (parse_opts(c, &set, words - skip + 1, rest + skip - 1, e))
			return -1;
		words = skip;
	}
	if ((skip == words) && (cli_has(c, "help") || cli_has(c, "version")))
		return 0;
	if (cli_has(c, "help-json"))
		return 0;
	return no_command(c, words, rest, e);
}

static int parse(struct cli *c, int argc, char **argv, char *group, size_t groupcap, struct err *e)
{
	struct optset before = {.shorts = "+:", .negate = c->prog->negate};
	struct optset after = {.shorts = ":", .negate = c->prog->negate};
	const struct cli_cmd *whole = cli_find(c->prog, 0, argv, &(int){0});

	optset_add(&before, cli_builtin());
	optset_add(&before, c->prog->opts);
	if (whole)
		optset_add(&before, whole->opts);
	if (parse_opts(c, &before, argc, argv, e))
		return -1;

	int words = argc - optind, used = 0;
	char **rest = argv + optind;

	cli_join_words(c->prog, words, rest);
	c->cmd = cli_find(c->prog, words, rest, &used);
	/* "prog help key gen" is "prog key gen --help". */
	if (words && !used && !whole && strcmp(rest[0], "help") == 0) {
		c->values[c->nvalues++] = (struct cli_value){.opt = cli_builtin()};
		c->cmd = cli_find(c->prog, --words, ++rest, &used);
	}
	cli_group(c->prog, words, rest, group, groupcap);
	if (!c->cmd)
		return parse_group(c, words, rest, group, e);
	optset_add(&after, cli_builtin());
	optset_add(&after, c->prog->opts);
	optset_add(&after, c->cmd->opts);
	/* getopt starts at index 1: the word before the rest plays the program. */
	if (parse_opts(c, &after, words - used + 1, rest + used - 1, e))
		return -1;
	c->argc = words - used + 1 - optind;
	c->argv = rest + used - 1 + optind;
	return 0;
}

static int report(const struct cli_prog *p, const struct err *e)
{
	const char *front = p->error ? p->error : p->name;

	(void)fflush(stdout);
	if (e->code == ERR_USAGE)
		fprintf(stderr, "%s: %s; see '%s --help'\n", front, e->text, p->name);
	else
		fprintf(stderr, "%s: %s\n", front, e->text);
	return p->status ? p->status : err_exit(e);
}

int cli_main(const struct cli_prog *p, int argc, char **argv, void *ctx)
{
	struct err e = {.code = ERR_INTERNAL, .text = "failed without saying why"};
	size_t most = 2;

	/* A word gives at most one value a character ("-vvv"). */
	for (int i = 1; i < argc; i++)
		most += strlen(argv[i]);
	CLEAN(cli) struct cli c = {
		.prog = p, .ctx = ctx, .values = calloc(most, sizeof(struct cli_value))};
	char group[128] = "";
	int r;

	if (complete_cli(p, argc, argv, &r))
		return cli_finish(p->name, r);
	if (!c.values) {
		err_set(&e, ERR_NOMEM, NULL);
		return report(p, &e);
	}
	if (parse(&c, argc, argv, group, sizeof(group), &e))
		return cli_finish(p->name, report(p, &e));
	if (answered(&c, *group ? group : NULL))
		return cli_finish(p->name, 0);
	if (check_operands(&c, &e))
		return cli_finish(p->name, report(p, &e));
	r = c.cmd->run(&c, &e);
	if (r < 0)
		r = report(p, &e);
	return cli_finish(p->name, r);
}

void cli_stdio(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
			/* Read-only: a write to it fails and is reported, as it should be. */
			int got = open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY);

			if (got != fd)
				_exit(1);
		}
}

/* The reading end of a pipe on stdout is closed; errno of an earlier write is gone. */
static bool reader_gone(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

int cli_finish(const char *prog, int status)
{
	int bad = ferror(stdout);

	errno = 0;
	if (fflush(stdout) == 0 && !bad)
		return status;
	if (errno != EPIPE && !(bad && reader_gone()))
		fprintf(stderr, "%s: cannot write standard output: %s\n", prog,
			errno ? strerror(errno) : "earlier writes failed");
	return status ? status : 1;
}
