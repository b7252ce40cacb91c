#include "ui/goflag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse_bool(const char *s, bool *out)
{
	static const char *const yes[] = {"1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < 6; i++)
		if (strcmp(s, yes[i]) == 0 || strcmp(s, no[i]) == 0) {
			*out = strcmp(s, yes[i]) == 0;
			return 0;
		}
	return -1;
}

static int take(const struct goflag *f, const char *value, struct err *e)
{
	char *end;

	if (f->set)
		*f->set = true;
	switch (f->kind) {
	case GOFLAG_BOOL:
		if (parse_bool(value, f->out))
			return err_set(e, ERR_USAGE,
				       "invalid boolean value \"%.60s\" for -%s: parse error",
				       value, f->name);
		return 0;
	case GOFLAG_INT:
		errno = 0;
		*(int64_t *)f->out = strtoll(value, &end, 0);
		if (end == value || *end)
			return err_set(e, ERR_USAGE,
				       "invalid value \"%.60s\" for flag -%s: parse error", value,
				       f->name);
		if (errno)
			return err_set(e, ERR_USAGE,
				       "invalid value \"%.60s\" for flag -%s: value out of range",
				       value, f->name);
		return 0;
	case GOFLAG_STR:
		*(const char **)f->out = value;
		return 0;
	}
	return 0;
}

static const struct goflag *find(const struct goflag *f, const char *name, size_t n)
{
	for (; f->name; f++)
		if (strlen(f->name) == n && strncmp(f->name, name, n) == 0)
			return f;
	return NULL;
}

int goflag_parse(const struct goflag *flags, int argc, char **argv, int *rest, struct err *e)
{
	int i = 1;

	for (; i < argc; i++) {
		const char *name = argv[i], *value = NULL;

		if (name[0] != '-' || name[1] == '\0')
			break;
		name += name[1] == '-' ? 2 : 1;
		if (*name == '\0') {
			i++;
			break;
		}
		if (*name == '-' || *name == '=')
			return err_set(e, ERR_USAGE, "bad flag syntax: %.100s", argv[i]);
		size_t n = strcspn(name, "=");
		const struct goflag *f = find(flags, name, n);

		if (!f)
			return err_set(e, ERR_USAGE, "flag provided but not defined: -%.*s",
				       n < 100 ? (int)n : 100, name);
		if (name[n])
			value = name + n + 1;
		else if (f->kind == GOFLAG_BOOL)
			value = "true";
		else if (i + 1 < argc)
			value = argv[++i];
		if (!value)
			return err_set(e, ERR_USAGE, "flag needs an argument: -%s", f->name);
		if (take(f, value, e))
			return -1;
	}
	*rest = i;
	return 0;
}

void goflag_help(const struct goflag *flags, FILE *f)
{
	for (; flags->name; flags++)
		if (flags->help) {
			char left[64];

			(void)snprintf(left, sizeof(left), "-%s%s%s", flags->name,
				       flags->arg ? " " : "", flags->arg ? flags->arg : "");
			fprintf(f, "  %-34s %s\n", left, flags->help);
		}
}

/* Texts of the tables: quotes and backslashes are all that needs escaping. */
static void put_string(const char *s, FILE *f)
{
	fputc('"', f);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', f);
		fputc(*s, f);
	}
	fputc('"', f);
}

void goflag_help_json(const char *prog, const char *help, const struct goflag *flags, FILE *f)
{
	const char *sep = "";

	fputs("{\"program\":", f);
	put_string(prog, f);
	fputs(",\"help\":", f);
	put_string(help, f);
	fputs(",\"dash\":\"-\",\"options\":[", f);
	for (; flags->name; flags++) {
		if (!flags->help)
			continue;
		fprintf(f, "%s{\"name\":", sep);
		put_string(flags->name, f);
		fputs(",\"arg\":", f);
		if (flags->arg)
			put_string(flags->arg, f);
		else
			fputs("null", f);
		fputs(",\"help\":", f);
		put_string(flags->help, f);
		fputc('}', f);
		sep = ",";
	}
	fputs("],\"commands\":[]}\n", f);
}
