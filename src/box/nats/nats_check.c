#include "box/nats/nats_check.h"

#include <math.h>
#include <regex.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define NAMESPACE "nats_server_check"

void check_init(struct check *k, struct cli *c, const char *suite, const char *fmt, ...)
{
	va_list ap;

	memset(k, 0, sizeof(*k));
	k->c = c;
	k->suite = suite;
	va_start(ap, fmt);
	(void)vsnprintf(k->name, sizeof(k->name), fmt, ap);
	va_end(ap);
	k->ok = json_array();
	k->warn = json_array();
	k->crit = json_array();
	k->pd = json_array();
}

static void add(json_t *arr, const char *fmt, va_list ap)
{
	CLEAN(free) char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return;
	}
	CLEAN(free) char *clean = nats_clean(text);

	(void)json_array_append_new(arr, json_string(clean ? clean : ""));
}

void check_ok(struct check *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(k->ok, fmt, ap);
	va_end(ap);
}

void check_warn(struct check *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(k->warn, fmt, ap);
	va_end(ap);
}

void check_crit(struct check *k, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(k->crit, fmt, ap);
	va_end(ap);
}

void check_pd(struct check *k, const char *name, double value, double warn, double crit,
	      const char *unit, const char *help)
{
	(void)json_array_append_new(k->pd, json_pack("{s:s, s:f, s:f, s:f, s:s, s:s}", "name", name,
						     "value", value, "warning", warn, "critical",
						     crit, "unit", unit, "help", help));
}

int check_seconds(struct cli *c, const char *name, double dflt, double *out, struct err *e)
{
	int64_t ns = 0;

	*out = dflt;
	if (!cli_str(c, name))
		return 0;
	if (nats_opt_duration(c, name, &ns, e))
		return -1;
	*out = (double)ns / 1e9;
	return 0;
}

int check_number(struct cli *c, const char *name, double dflt, double *out, struct err *e)
{
	int64_t v = (int64_t)dflt;

	if (cli_int(c, name, -1, INT64_MAX / 2, &v, e))
		return -1;
	*out = (double)v;
	return 0;
}

bool check_connect(struct check *k)
{
	struct err e;

	if (nats_connect(k->c, &e) == 0)
		return true;
	check_crit(k, "connection failed: %s", e.text);
	return false;
}

bool check_regex(struct check *k, const char *name, const char *text, size_t n)
{
	const char *pattern = cli_str(k->c, name);
	regmatch_t at = {.rm_so = 0, .rm_eo = (regoff_t)n};
	regex_t re;

	if (!pattern)
		return true;
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB)) {
		check_crit(k, "content regex compile failed: %s", pattern);
		return true;
	}
	bool hit = regexec(&re, text, 1, &at, REG_STARTEND) == 0;

	regfree(&re);
	return hit;
}

static int code_of(const struct check *k)
{
	return json_array_size(k->crit) ? 2 : json_array_size(k->warn) ? 1 : 0;
}

static const char *status_of(const struct check *k)
{
	static const char *const names[] = {"OK", "WARNING", "CRITICAL"};

	return names[code_of(k)];
}

static void nagios_texts(const json_t *arr, const char *mark, FILE *f)
{
	size_t i;
	const json_t *v;

	json_array_foreach(arr, i, v) fprintf(f, " %s:%s", mark, json_string_value(v));
}

static void nagios(const struct check *k, FILE *f)
{
	size_t i;
	const json_t *p;

	fprintf(f, "%s %s", status_of(k), k->name);
	nagios_texts(k->crit, "Crit", f);
	nagios_texts(k->warn, "Warn", f);
	nagios_texts(k->ok, "OK", f);
	json_array_foreach(k->pd, i, p)
	{
		const char *unit = jstr(p, "unit"), *name = jstr(p, "name");
		int digits = strcmp(unit, "s") == 0 ? 4 : 0;
		const char *quote = strpbrk(name, " \t") ? "'" : "";
		double warn = jnum(p, "warning"), crit = jnum(p, "critical");

		fprintf(f, "%s%s%s%s=%.*f%s", i ? " " : " | ", quote, name, quote, digits,
			jnum(p, "value"), unit);
		if (warn != 0)
			fprintf(f, ";%.*f", digits, warn);
		else if (crit != 0)
			fprintf(f, ";");
		if (crit != 0)
			fprintf(f, ";%.*f", digits, crit);
	}
	fputc('\n', f);
}

/* A whole number without ".0". */
static json_t *number(double v)
{
	return v == floor(v) && fabs(v) < 1e15 ? json_integer((json_int_t)v) : json_real(v);
}

static int as_json(const struct check *k, bool help, FILE *f, struct err *e)
{
	CLEAN(json) json_t *j = json_pack("{s:s, s:s, s:s}", "status", status_of(k), "check_suite",
					  k->suite, "check_name", k->name);
	CLEAN(buf) struct buf b = {0};
	json_t *pd = json_array();
	size_t i;
	const json_t *p;

	buf_init(&b, (size_t)16 << 20);
	if (json_array_size(k->warn))
		(void)json_object_set(j, "warning", k->warn);
	if (json_array_size(k->crit))
		(void)json_object_set(j, "critical", k->crit);
	if (json_array_size(k->ok))
		(void)json_object_set(j, "ok", k->ok);
	json_array_foreach(k->pd, i, p)
	{
		json_t *one =
			json_pack("{s:s, s:o, s:o, s:o}", "name", jstr(p, "name"), "value",
				  number(jnum(p, "value")), "warning", number(jnum(p, "warning")),
				  "critical", number(jnum(p, "critical")));

		if (*jstr(p, "unit"))
			(void)json_object_set_new(one, "unit", json_string(jstr(p, "unit")));
		if (help)
			(void)json_object_set(one, "help", json_object_get(p, "help"));
		(void)json_array_append_new(pd, one);
	}
	(void)json_object_set_new(j, "perf_data", pd);
	if (json_text(j, JSON_INDENTED, &b, e))
		return -1;
	fwrite(b.p, 1, b.len, f);
	fputc('\n', f);
	return 0;
}

void check_label(const char *text, FILE *f)
{
	for (; *text; text++) {
		if (*text == '"')
			fputc('.', f);
		else if (*text == '\\')
			fputs("\\\\", f);
		else
			fputc(*text, f);
	}
}

void check_value(double v, FILE *f)
{
	char text[40];

	for (int p = 1; p <= 17; p++) {
		(void)snprintf(text, sizeof(text), "%.*g", p, v);
		if (strtod(text, NULL) == v)
			break;
	}
	fputs(text, f);
}

static int by_name(const void *a, const void *b)
{
	const json_t *const *x = a, *const *y = b;

	return strcmp(jstr(*x, "name"), jstr(*y, "name"));
}

static void prometheus(const struct check *k, FILE *f)
{
	const char *ns = cli_str(k->c, "namespace");
	size_t n = json_array_size(k->pd), i;
	CLEAN(free) const json_t **sorted = calloc(n + 1, sizeof(*sorted));
	CLEAN(json) json_t *code =
		json_pack("{s:s, s:i}", "name", "status_code", "value", code_of(k));

	ns = ns ? ns : NAMESPACE;
	if (!sorted)
		return;
	for (i = 0; i < n; i++)
		sorted[i] = json_array_get(k->pd, i);
	sorted[n] = code;
	qsort(sorted, n + 1, sizeof(*sorted), by_name);
	for (i = 0; i <= n; i++) {
		const json_t *p = sorted[i];
		const char *help = jstr(p, "help"), *name = jstr(p, "name");

		fprintf(f, "# HELP %s_%s_%s ", ns, k->suite, name);
		if (p == code)
			fprintf(f, "Nagios compatible status code for %s\n", k->suite);
		else if (*help)
			fprintf(f, "%s\n", help);
		else
			fprintf(f, "Data about the NATS CLI check %s\n", k->suite);
		fprintf(f, "# TYPE %s_%s_%s gauge\n%s_%s_%s{item=\"", ns, k->suite, name, ns,
			k->suite, name);
		check_label(k->name, f);
		if (p == code)
			fprintf(f, "\",status=\"%s", status_of(k));
		fputs("\"} ", f);
		check_value(jnum(p, "value"), f);
		fputc('\n', f);
	}
	fputc('\n', f);
}

static void text_rows(struct nt *t, const json_t *arr, const char *status)
{
	size_t i;
	const json_t *v;

	json_array_foreach(arr, i, v)
	{
		nt_text(t, status);
		nt_text(t, json_string_value(v));
	}
}

/* For people: two tables. They are drawn on stdout only. */
static void as_text(const struct check *k)
{
	CLEAN(nt) struct nt *t = nt_new("%s", ""), *m = nt_new("%s", "");
	size_t i;
	const json_t *p;

	printf("%s: %s\n\n", k->name, status_of(k));
	nt_head(t, "Status", "Message", NULL);
	text_rows(t, k->ok, "OK");
	text_rows(t, k->warn, "Warning");
	text_rows(t, k->crit, "Critical");
	if (nt_rows(t)) {
		puts("Status Detail\n");
		nt_print(t);
	}
	nt_head(m, "Metric", "Value", "Unit", "Critical Threshold", "Warning Threshold",
		"Description", NULL);
	json_array_foreach(k->pd, i, p)
	{
		nt_text(m, jstr(p, "name"));
		nt_text(m, COMMAF(jnum(p, "value"), 3));
		nt_text(m, jstr(p, "unit"));
		nt_text(m, COMMAF(jnum(p, "critical"), 3));
		nt_text(m, COMMAF(jnum(p, "warning"), 3));
		nt_text(m, jstr(p, "help"));
	}
	if (nt_rows(m)) {
		puts("\nCheck Metrics\n");
		nt_print(m);
	}
	putchar('\n');
}

static int render(const struct check *k, const char *format, struct err *e)
{
	const char *file = cli_str(k->c, "outfile");
	CLEAN(free) char *text = NULL;
	size_t n = 0;
	int r = 0;

	if (strcmp(format, "text") == 0) {
		if (file)
			return cli_usage(e, "--outfile goes with nagios, json and prometheus");
		as_text(k);
		return 0;
	}
	FILE *f = file ? open_memstream(&text, &n) : stdout;

	if (!f)
		return err_set(e, ERR_NOMEM, NULL);
	if (strcmp(format, "json") == 0 || strcmp(format, CHECK_EXPORTER) == 0)
		r = as_json(k, *format == *CHECK_EXPORTER, f, e);
	else if (strcmp(format, "prometheus") == 0)
		prometheus(k, f);
	else
		nagios(k, f);
	if (!file)
		return r;
	if (fclose(f))
		return err_set(e, ERR_NOMEM, NULL);
	return r ? r : file_replace(file, text, n, 0600, e);
}

int check_end(struct check *k, struct err *e)
{
	const char *format = cli_str(k->c, "format");
	int code = code_of(k), r;

	format = format ? format : "nagios";
	if (strcmp(format, "nagios") != 0 && strcmp(format, "json") != 0 &&
	    strcmp(format, "prometheus") != 0 && strcmp(format, "text") != 0 &&
	    strcmp(format, CHECK_EXPORTER) != 0)
		r = cli_usage(e, "--format must be one of nagios,json,prometheus,text, got '%.40s'",
			      format);
	else
		r = render(k, format, e);
	json_decref(k->ok);
	json_decref(k->warn);
	json_decref(k->crit);
	json_decref(k->pd);
	return r ? -1 : strcmp(format, "prometheus") == 0 ? 0 : code;
}
