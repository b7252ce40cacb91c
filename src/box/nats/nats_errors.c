/* nats errors: what the error codes of JetStream mean. */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "box/nats/nats.h"

#define FILE_MAX ((size_t)4 << 20)

struct known {
	int64_t code, http;
	const char *constant, *text, *comment, *help;
};

static const struct known builtin[] = {
#define ROW(code, http, constant, text, comment) {code, http, constant, text, comment, ""},
#include "box/nats/nats_errors.def"
#undef ROW
};

#define NBUILTIN (sizeof(builtin) / sizeof(builtin[0]))

/* The rows in use: ours, or those of --errors FILE, whose strings belong to the document. */
struct list {
	struct known *v;
	size_t n;
	struct json_doc doc;
};

static void cleanup_list(struct list *l)
{
	free(l->v);
	json_doc_free(&l->doc);
}

static int from_file(struct list *l, const char *path, struct err *e)
{
	if (json_parse_file(&l->doc, path, FILE_MAX, e))
		return -1;
	if (!json_is_array(l->doc.root))
		return err_set(e, ERR_BAD_JSON, "%s: not an array of errors", path);
	l->n = json_array_size(l->doc.root);
	l->v = calloc(l->n + 1, sizeof(*l->v));
	if (!l->v)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < l->n; i++) {
		const json_t *j = json_array_get(l->doc.root, i);

		if (!json_is_object(j))
			return err_set(e, ERR_BAD_JSON, "%s: item %zu is not an object", path, i);
		l->v[i] = (struct known){jint(j, "error_code"), jint(j, "code"),
					 jstr(j, "constant"),	jstr(j, "description"),
					 jstr(j, "comment"),	jstr(j, "help")};
	}
	return 0;
}

static int load(struct list *l, const char *path, struct err *e)
{
	if (path)
		return from_file(l, path, e);
	l->v = malloc(sizeof(builtin));
	if (!l->v)
		return err_set(e, ERR_NOMEM, NULL);
	memcpy(l->v, builtin, sizeof(builtin));
	l->n = NBUILTIN;
	return 0;
}

static bool fits(const struct known *k, const regex_t *re)
{
	char code[24], http[24];
	const char *const all[] = {k->text, code, http, k->constant, k->comment, k->help};

	(void)snprintf(code, sizeof(code), "%lld", (long long)k->code);
	(void)snprintf(http, sizeof(http), "%lld", (long long)k->http);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (regexec(re, all[i], 0, NULL, 0) == 0)
			return true;
	return false;
}

static int by_code(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return x->code < y->code ? -1 : x->code > y->code;
}

static int by_http(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	return x->http < y->http ? -1 : x->http > y->http ? 1 : by_code(a, b);
}

static int by_text(const void *a, const void *b)
{
	const struct known *x = a, *y = b;
	int r = strcmp(x->text, y->text);

	return r ? r : by_code(a, b);
}

static int keep(struct list *l, const char *pattern, struct err *e)
{
	size_t n = 0;
	regex_t re;

	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB | REG_ICASE))
		return cli_usage(e, "'%.80s' is not a regular expression", pattern);
	for (size_t i = 0; i < l->n; i++)
		if (fits(&l->v[i], &re))
			l->v[n++] = l->v[i];
	regfree(&re);
	l->n = n;
	if (!n)
		return err_set(e, ERR_NOT_FOUND,
			       "no errors found matching regular expression %.120s", pattern);
	return 0;
}

static int arrange(struct list *l, const char *by, bool reverse, struct err *e)
{
	static const struct {
		const char *name;
		int (*f)(const void *a, const void *b);
	} orders[] = {{"code", by_code},
		      {"http", by_http},
		      {"description", by_text},
		      {"descr", by_text},
		      {"d", by_text}};
	size_t i = 0;

	while (i < sizeof(orders) / sizeof(orders[0]) && strcmp(orders[i].name, by) != 0)
		i++;
	if (i == sizeof(orders) / sizeof(orders[0]))
		return cli_usage(e, "errors are sorted by code, http or description, not '%.40s'",
				 by);
	qsort(l->v, l->n, sizeof(*l->v), orders[i].f);
	for (size_t k = 0; reverse && k < l->n / 2; k++) {
		struct known other = l->v[k];

		l->v[k] = l->v[l->n - 1 - k];
		l->v[l->n - 1 - k] = other;
	}
	return 0;
}

static json_t *as_json(const struct known *k)
{
	return json_pack("{s:s, s:I, s:I, s:s, s:s, s:s}", "constant", k->constant, "code",
			 (json_int_t)k->http, "error_code", (json_int_t)k->code, "description",
			 k->text, "comment", k->comment, "help", k->help);
}

static int errors_ls(struct cli *c, struct err *e)
{
	CLEAN(list) struct list l = {0};

	if (load(&l, cli_str(c, "errors"), e) || (c->argc > 0 && keep(&l, c->argv[0], e)) ||
	    arrange(&l, c->argc > 1 ? c->argv[1] : "code", cli_has(c, "reverse"), e))
		return -1;
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *all = json_array();

		for (size_t i = 0; i < l.n; i++)
			(void)json_array_append_new(all, as_json(&l.v[i]));
		return nats_print_json(all, e);
	}
	CLEAN(nt) struct nt *t = nt_new("NATS Errors");

	nt_head(t, "NATS Code", "HTTP Error Code", "Description", "Comment", "Go Constant", NULL);
	for (size_t i = 0; i < l.n; i++) {
		nt_num(t, l.v[i].code);
		nt_num(t, l.v[i].http);
		nt_text(t, l.v[i].text);
		nt_text(t, l.v[i].comment);
		nt_text(t, l.v[i].constant);
	}
	nt_print(t);
	return 0;
}

static int errors_lookup(struct cli *c, struct err *e)
{
	CLEAN(list) struct list l = {0};
	const struct known *k = NULL;
	char *end;
	unsigned long code = strtoul(c->argv[0], &end, 10);

	if (*end || end == c->argv[0] || code > UINT16_MAX)
		return cli_usage(e, "an error code is a number such as 10059, not '%.40s'",
				 c->argv[0]);
	if (load(&l, cli_str(c, "errors"), e))
		return -1;
	for (size_t i = 0; i < l.n && !k; i++)
		if (l.v[i].code == (int64_t)code)
			k = &l.v[i];
	if (!k)
		return err_set(e, ERR_NOT_FOUND, "no error matches code %lu", code);
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *j = as_json(k);

		return nats_print_json(j, e);
	}
	CLEAN(cols) struct cols *out = cols_new("NATS Error Code: %lu", code);

	cols_row(out, "Description", "%s", k->text);
	cols_some(out, "Comment", k->comment);
	cols_row(out, "HTTP Code", "%lld", (long long)k->http);
	cols_row(out, "Go Index Constant", "%s", k->constant);
	cols_line(out, NULL);
	cols_line(out, *k->help ? k->help : "No further information available");
	cols_print(out, stdout);
	return 0;
}

/* One line for all that is wrong with a row; false: nothing is. */
static bool complaint(const struct known *k, struct buf *out)
{
	size_t open = 0, close = 0, n = strlen(k->text), len = strlen(k->constant);

	for (const char *s = k->text; *s; s++)
		open += *s == '{', close += *s == '}';
	const struct {
		bool bad;
		const char *text;
	} rules[] = {
		{n > 2 && open == 1 && close == 1 && k->text[0] == '{' && k->text[n - 1] == '}' &&
			 !*k->comment,
		 "token only descriptions requires a comment"},
		{k->code < 1000, "error codes may not be below 10000"},
		{k->http == 0, "code is require"},
		{!len, "constant is required"},
		{!n, "description is required"},
		{open != close, "unmatched number of { and }"},
		{open && (!len || k->constant[len - 1] != 'F'),
		 "constants for errors with tokens must end in F like JSStreamMsgDeleteFailedF"},
	};

	buf_reset(out);
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].bad)
			buf_printf(out, "%s%s", out->len ? ", " : "", rules[i].text);
	buf_u8(out, '\0');
	return out->len > 1;
}

static int errors_validate(struct cli *c, struct err *e)
{
	const char *path = c->argc ? c->argv[0] : cli_str(c, "errors");
	CLEAN(list) struct list l = {0};
	CLEAN(buf) struct buf why = {0};
	bool bad = false;

	buf_init(&why, 4096);
	if (!path)
		return cli_usage(e, "errors file is required");
	if (load(&l, path, e))
		return -1;
	for (size_t i = 0; i < l.n; i++)
		if (complaint(&l.v[i], &why)) {
			printf("%lld failed: %s\n", (long long)l.v[i].code, (char *)why.p);
			bad = true;
		}
	if (bad)
		return err_set(e, ERR_BAD_JSON, "%.180s is invalid", path);
	printf("Validated %zu errors\n", l.n);
	return 0;
}

#define FROM {"errors", 0, "FILE", "Read the errors of this errors.json instead"}
#define JSON {"json", 'j', NULL, "Print JSON"}

static const struct cli_opt ls_opts[] = {
	FROM, {"reverse", 'R', NULL, "The other way round"}, JSON, {0}};
static const struct cli_opt lookup_opts[] = {FROM, JSON, {0}};
static const struct cli_opt validate_opts[] = {FROM, {0}};

const struct cli_cmd nats_errors_cmds[] = {
	{.path = "errors|err|error ls|list",
	 .help = "List the error codes of JetStream, those that match a regular expression",
	 .args = "[MATCH] [SORT]",
	 .opts = ls_opts,
	 .run = errors_ls},
	{.path = "errors|err|error lookup|find|get|l|view|show",
	 .help = "What an error code means",
	 .args = "CODE",
	 .opts = lookup_opts,
	 .run = errors_lookup},
	{.path = "errors|err|error validate",
	 .help = "Check a file of errors",
	 .args = "[FILE]",
	 .opts = validate_opts,
	 .run = errors_validate},
	{0},
};
