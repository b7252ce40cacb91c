/* "[ OK ] text" lines, or JSON. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"
#include "box/nsc/nsc.h"
#include "nkey/claims.h"

static const char *const names[] = {"OK", "WARN", "ERR", "NOTE"};
static const char *const marks[] = {"[ OK ] ", "[WARN] ", "[ERR ] ", "> "};

static json_t *add(json_t *list, enum nsc_status s, const char *fmt, va_list ap)
{
	CLEAN(free) char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		return NULL;
	text_hide(text);
	json_array_append_new(list, json_pack("{s:s,s:s}", "status", names[s], "text", text));
	return json_array_get(list, json_array_size(list) - 1);
}

json_t *nsc_say(struct nsc *n, enum nsc_status s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_t *node = add(n->report, s, fmt, ap);

	va_end(ap);
	return node;
}

json_t *nsc_detail(json_t *node, enum nsc_status s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_t *d = add(claims_arr(node, "details"), s, fmt, ap);

	va_end(ap);
	return d;
}

static enum nsc_status own_status(const json_t *node)
{
	const char *s = claims_str(node, "status");
	enum nsc_status i = NSC_OK;

	while (i < NSC_NOTE && strcmp(names[i], s) != 0)
		i++;
	return i;
}

/* The worst of a node's details counts for it. */
static enum nsc_status settle(json_t *node)
{
	json_t *details = json_object_get(node, "details"), *d;
	enum nsc_status worst = NSC_OK;
	size_t i;

	if (!json_array_size(details))
		return own_status(node);
	json_array_foreach(details, i, d)
	{
		enum nsc_status s = settle(d);

		if (s != NSC_NOTE && s > worst)
			worst = s;
	}
	claims_set_str(node, "status", names[worst]);
	return worst;
}

/* A text of several lines has the mark before each. */
static void print(FILE *f, const json_t *node, int indent)
{
	json_t *details = json_object_get(node, "details"), *d;
	enum nsc_status s = own_status(node);
	const char *text = claims_str(node, "text");
	size_t i;

	for (const char *p = text; *p; p += *p == '\n') {
		size_t len = strcspn(p, "\n");
		CLEAN(free) char *line = strndup(p, len);
		CLEAN(free) char *clean = line ? text_cleaned(line) : NULL;

		fprintf(f, "%*s%s%s", indent, "", s == NSC_NOTE || p == text ? marks[s] : "",
			clean ? clean : "?");
		p += len;
		if (*p)
			fputc('\n', f);
	}
	fputs(json_array_size(details) ? ":\n" : "\n", f);
	json_array_foreach(details, i, d) print(f, d, indent + 7);
}

static void summarize(FILE *f, const size_t *count, size_t all)
{
	if (count[NSC_ERR] == all)
		fputs("all jobs failed\n", f);
	else if (count[NSC_ERR])
		fprintf(f, "%zu %s failed - %zu %s succeeded and %zu had warnings\n",
			count[NSC_ERR], count[NSC_ERR] == 1 ? "job" : "jobs", count[NSC_OK],
			count[NSC_OK] == 1 ? "job" : "jobs", count[NSC_WARN]);
	else if (all < 2)
		return;
	else if (count[NSC_OK] == all)
		fputs("all jobs succeeded\n", f);
	else if (count[NSC_WARN] == all)
		fputs("all jobs had warnings\n", f);
	else
		fprintf(f, "%zu %s succeeded - %zu have warnings\n", count[NSC_OK],
			count[NSC_OK] == 1 ? "job" : "jobs", count[NSC_WARN]);
}

int nsc_report(struct nsc *n, struct err *e)
{
	size_t count[NSC_NOTE + 1] = {0}, all = json_array_size(n->report), i;
	json_t *node;

	json_array_foreach(n->report, i, node)
	{
		enum nsc_status s = settle(node);

		count[s == NSC_NOTE ? NSC_OK : s]++;
	}
	if (cli_has(n->c, "json")) {
		CLEAN(json) json_t *v =
			json_pack("{s:b,s:O}", "ok", count[NSC_ERR] == 0, "report", n->report);

		if (nsc_json(v, e))
			return -1;
	} else {
		FILE *f = count[NSC_ERR] ? stderr : stdout;

		json_array_foreach(n->report, i, node) print(f, node, 0);
		if (n->summary || count[NSC_ERR])
			summarize(f, count, all);
	}
	return count[NSC_ERR] ? 1 : 0;
}

static int put(const char *p, size_t n, void *out)
{
	buf_put(out, p, n);
	return 0;
}

int nsc_json(const json_t *v, struct err *e)
{
	CLEAN(buf) struct buf text = {0};

	/* Not through stdio: a seed must not stay in its buffer. */
	buf_init(&text, (size_t)256 << 20);
	text.secret = true;
	if (json_dump_callback(v, put, &text, JSON_INDENT(1) | JSON_ENCODE_ANY) || text.bad)
		return err_set(e, ERR_NOMEM, NULL);
	buf_u8(&text, '\n');
	if (fflush(stdout) == EOF)
		return err_errno(e, ERR_IO, "cannot write standard output");
	return file_write_fd(STDOUT_FILENO, "standard output", text.p, text.len, e);
}

static bool to_file(const struct nsc *n, const char *option)
{
	const char *path = cli_str(n->c, option);

	return path && *path && strcmp(path, "--") != 0;
}

int nsc_output_as(struct nsc *n, const char *option, const char *key, const struct buf *text,
		  struct err *e)
{
	CLEAN(buf) struct buf json = {0};

	if (!cli_has(n->c, "json") || to_file(n, option))
		return nsc_output(n, option, text, 0600, e);
	buf_init(&json, text->max * 2);
	json.secret = text->secret;
	buf_printf(&json, "{\"%s\": ", key);
	/* Not through jansson, whose copies of a seed nobody wipes. */
	jwt_json_text(&json, (const char *)text->p, text->len);
	buf_printf(&json, "}");
	return json.bad ? err_set(e, ERR_NOMEM, NULL) : nsc_output(n, option, &json, 0600, e);
}

int nsc_output(struct nsc *n, const char *option, const struct buf *text, mode_t mode,
	       struct err *e)
{
	if (text->bad)
		return err_set(e, ERR_TOO_LARGE, "the output is larger than %zu bytes", text->max);
	if (to_file(n, option)) {
		CLEAN(free) char *to = nsc_expand(cli_str(n->c, option));

		return to ? file_output(to, text->p, text->len, mode, e)
			  : err_set(e, ERR_NOMEM, NULL);
	}
	/* Not through stdio: a seed must not stay in its buffer. */
	if (fflush(stdout) == EOF ||
	    file_write_fd(STDOUT_FILENO, "standard output", text->p, text->len, e) ||
	    file_write_fd(STDOUT_FILENO, "standard output", "\n", 1, e))
		return -1;
	return 0;
}
