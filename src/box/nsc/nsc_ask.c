/* Lines, not a screen: they work in every terminal, and for scripts that type the keys
 * that the original's menus take. */
#include "box/nsc/nsc_ask.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "ui/prompt.h"

#define MOST_TRIES 20

/* Asks until take says that it is an answer. Text before the question is shown once. */
static int until(struct nsc *n, const char *menu, const char *label, const char *hint,
		 int (*take)(void *arg, const char *text, struct err *e), void *arg, struct err *e)
{
	CLEAN(free) char *line = malloc(NSC_ASK_MAX);
	CLEAN(free) char *asked = text_cleaned(label);
	CLEAN(free) char *def = text_cleaned(hint);
	struct err why = {0};
	int r = -1;

	(void)n;
	if (!line || !asked || !def)
		return err_set(e, ERR_NOMEM, NULL);
	if (!isatty(STDIN_FILENO))
		return err_set(e, ERR_USAGE,
			       "-i asks at a terminal, and standard input is none: give options "
			       "instead");
	for (int i = 0; i < MOST_TRIES; i++) {
		CLEAN(free) char *question =
			nsc_path("%s%s%s%s? %s %s", i ? "X " : "", i ? why.text : "", i ? "\n" : "",
				 menu, asked, def);

		if (!question)
			return err_set(e, ERR_NOMEM, NULL);
		if (prompt_line(question, line, NSC_ASK_MAX, "give options instead of -i", e))
			break;
		r = take(arg, line, &why);
		if (r == 0)
			break;
		err_set(e, ERR_BAD_INPUT, "%s", why.text);
	}
	explicit_bzero(line, NSC_ASK_MAX);
	return r;
}

/* ---- text */

struct text {
	struct nsc *n;
	const char *def;
	nsc_check *check;
	char *out;
};

static int take_text(void *arg, const char *text, struct err *e)
{
	const struct text *t = arg;
	const char *v = *text ? text : t->def;

	/* Its own default needs no check: it may be of an older rule. */
	if (t->check && (*text || !*v) && t->check(t->n, v, e))
		return -1;
	(void)snprintf(t->out, NSC_ASK_MAX, "%s", v);
	return 0;
}

int nsc_ask_text(struct nsc *n, const char *label, const char *def, nsc_check *check,
		 char out[static NSC_ASK_MAX], struct err *e)
{
	struct text t = {n, def, check, out};
	CLEAN(free) char *hint = *def ? nsc_path("(%s) ", def) : strdup("");

	return until(n, "", label, hint ? hint : "", take_text, &t, e);
}

int nsc_ask_option(struct nsc *n, const char *option, const char *label, const char *def,
		   nsc_check *check, struct err *e)
{
	const char *given = cli_str(n->c, option);
	CLEAN(free) char *was = strdup(given ? given : def ? def : "");
	CLEAN(free) char *got = malloc(NSC_ASK_MAX);
	int r;

	if (!was || !got)
		return err_set(e, ERR_NOMEM, NULL);
	r = nsc_ask_text(n, label, was, check, got, e);
	if (r == 0 && strcmp(was, got) != 0)
		r = cli_set(n->c, option, got, e);
	explicit_bzero(got, NSC_ASK_MAX);
	return r;
}

/* ---- yes or no */

struct yes {
	bool def, *out;
};

static int take_yes(void *arg, const char *text, struct err *e)
{
	struct yes *y = arg;
	bool yes = strcasecmp(text, "y") == 0 || strcasecmp(text, "yes") == 0;

	if (!*text)
		*y->out = y->def;
	else if (yes || strcasecmp(text, "n") == 0 || strcasecmp(text, "no") == 0)
		*y->out = yes;
	else
		return err_set(e, ERR_BAD_INPUT, "the answer is yes or no");
	return 0;
}

int nsc_ask_yes(struct nsc *n, const char *label, bool def, bool *out, struct err *e)
{
	struct yes y = {def, out};

	return until(n, "", label, def ? "(Y/n) " : "(y/N) ", take_yes, &y, e);
}

/* ---- choices */

struct choice {
	const json_t *list;
	size_t def, *one;
	json_t *many; /* or */
};

static const char *label_of(const struct choice *c, size_t i)
{
	return json_string_value(json_array_get(c->list, i));
}

static bool part_of(const char *text, const char *part)
{
	size_t n = strlen(part);

	for (; *text; text++)
		if (strncasecmp(text, part, n) == 0)
			return true;
	return false;
}

/* A name, a number from 1 on, or the first that has the text in it. */
static int which(const struct choice *c, const char *text, size_t *out, struct err *e)
{
	size_t n = json_array_size(c->list);
	char *end;

	for (size_t i = 0; i < n; i++)
		if (strcmp(label_of(c, i), text) == 0)
			return *out = i, 0;
	unsigned long v = isdigit((unsigned char)*text) ? strtoul(text, &end, 10) : 0;

	if (v && !*end && v <= n)
		return *out = v - 1, 0;
	for (size_t i = 0; i < n; i++)
		if (part_of(label_of(c, i), text))
			return *out = i, 0;
	return err_set(e, ERR_BAD_INPUT, "\"%.60s\" is none of these", text);
}

/* Keys of a menu: arrows move, space toggles. False: the text is something else. */
static bool keys(const struct choice *c, const char *text, size_t *at, bool *marked)
{
	size_t n = json_array_size(c->list);

	*at = c->def;
	for (; *text; text += *text == ' ' ? 1 : 3) {
		if (*text == ' ') {
			marked[*at] = !marked[*at];
			continue;
		}
		if (text[0] != '\x1b' || (text[1] != '[' && text[1] != 'O') ||
		    !strchr("AB", text[2]) || !text[2])
			return false;
		*at = text[2] == 'B' ? (*at + 1) % n : (*at + n - 1) % n;
	}
	return true;
}

static int take_one(void *arg, const char *text, struct err *e)
{
	struct choice *c = arg;
	CLEAN(free) bool *marked = calloc(json_array_size(c->list) + 1, sizeof(*marked));

	if (!marked)
		return err_set(e, ERR_NOMEM, NULL);
	return keys(c, text, c->one, marked) ? 0 : which(c, text, c->one, e);
}

static int take_many(void *arg, const char *text, struct err *e)
{
	struct choice *c = arg;
	size_t n = json_array_size(c->list), at;
	CLEAN(free) bool *marked = calloc(n + 1, sizeof(*marked));
	CLEAN(free) char *copy = strdup(text);
	char *p = copy;

	if (!marked || !copy)
		return err_set(e, ERR_NOMEM, NULL);
	if (!keys(c, text, &at, marked)) {
		memset(marked, 0, n);
		for (char *word; (word = strsep(&p, ", ")) != NULL;) {
			if (!*word)
				continue;
			if (which(c, word, &at, e))
				return -1;
			marked[at] = true;
		}
	}
	for (at = 0; at < n; at++)
		if (marked[at])
			json_array_append(c->many, json_array_get(c->list, at));
	return 0;
}

static int choose(struct nsc *n, const char *label, struct choice *c, const char *hint,
		  int (*take)(void *arg, const char *text, struct err *e), struct err *e)
{
	CLEAN(buf) struct buf menu = {0};

	buf_init(&menu, (size_t)4 << 20);
	for (size_t i = 0; i < json_array_size(c->list); i++) {
		CLEAN(free) char *clean = text_cleaned(label_of(c, i));

		buf_printf(&menu, "%5zu %s\n", i + 1, clean ? clean : "?");
	}
	buf_u8(&menu, 0);
	if (menu.bad)
		return err_set(e, ERR_NOMEM, NULL);
	return until(n, (const char *)menu.p, label, hint, take, c, e);
}

int nsc_ask_one(struct nsc *n, const char *label, const char *def, const json_t *choices,
		size_t *out, struct err *e)
{
	struct choice c = {.list = choices, .one = out};
	CLEAN(free) char *hint = NULL;

	if (!json_array_size(choices))
		return err_set(e, ERR_NOT_FOUND, "%s: there is none", label);
	for (size_t i = 0; i < json_array_size(choices); i++)
		if (strcmp(label_of(&c, i), def) == 0)
			c.def = i;
	hint = nsc_path("(%s) ", label_of(&c, c.def));
	return choose(n, label, &c, hint ? hint : "", take_one, e);
}

int nsc_ask_many(struct nsc *n, const char *label, const json_t *choices, json_t *out,
		 struct err *e)
{
	struct choice c = {.list = choices, .many = out};

	if (!json_array_size(choices))
		return err_set(e, ERR_NOT_FOUND, "%s: there is none", label);
	return choose(n, label, &c, "(numbers, or none) ", take_many, e);
}
