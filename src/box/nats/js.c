/* Configurations, names and questions. */
#include "box/nats/js.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "box/nats/nats.h"

#define CONFIG_MAX ((size_t)4 << 20)

int js_set(json_t *obj, const char *path, json_t *v)
{
	for (;;) {
		char key[80];
		size_t n = strcspn(path, ".");
		json_t *in;

		(void)snprintf(key, sizeof(key), "%.*s", (int)n, path);
		if (!path[n])
			return json_object_set_new(obj, key, v);
		in = json_object_get(obj, key);
		if (!json_is_object(in)) {
			in = json_object();
			if (json_object_set_new(obj, key, in)) {
				json_decref(v);
				return -1;
			}
		}
		obj = in;
		path += n + 1;
	}
}

static int complain(const struct js_field *f, struct err *e)
{
	return f->what ? err_wrap(e, "%s", f->what) : err_wrap(e, "option --%s", f->option);
}

/* "file f=file": the word itself, or what stands behind its "=". */
static json_t *word(const struct js_field *f, const char *text, struct err *e)
{
	size_t n = strlen(text);
	char list[200] = "";

	for (const char *w = f->words; *w; w += strspn(w, " ")) {
		size_t len = strcspn(w, " "), key = strcspn(w, " =");

		if (key == n && strncasecmp(w, text, n) == 0)
			return key == len ? json_stringn(w, len)
					  : json_stringn(w + key + 1, len - key - 1);
		(void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%.*s",
			       *list ? "," : "", (int)key, w);
		w += len;
	}
	cli_usage(e, "option --%s must be one of %s, got '%.40s'", f->option, list, text);
	return NULL;
}

static json_t *list(const struct cli *c, const char *option)
{
	json_t *arr = json_array();

	for (size_t i = 0; i < cli_count(c, option); i++)
		for (const char *s = cli_nth(c, option, i); s && *s;) {
			size_t n = strcspn(s, ", \t;");

			if (n)
				(void)json_array_append_new(arr, json_stringn(s, n));
			s += n + (s[n] != '\0');
		}
	return arr;
}

static json_t *pairs(const struct cli *c, const char *option, struct err *e)
{
	json_t *obj = json_object();

	for (size_t i = 0; i < cli_count(c, option); i++) {
		const char *s = cli_nth(c, option, i), *eq = strchr(s, '=');
		char key[256];

		/* natscli takes KEY:VALUE too */
		eq = eq ? eq : strchr(s, ':');
		if (!eq || eq == s || (size_t)(eq - s) >= sizeof(key)) {
			cli_usage(e, "option --%s needs KEY=VALUE, got '%.60s'", option, s);
			json_decref(obj);
			return NULL;
		}
		(void)snprintf(key, sizeof(key), "%.*s", (int)(eq - s), s);
		(void)json_object_set_new(obj, key, json_string(eq + 1));
	}
	return obj;
}

static int number(const struct cli *c, const struct js_field *f, const char *text, int64_t *v,
		  struct err *e)
{
	if (f->kind == JS_INT)
		return cli_int(c, f->option, -1, INT64_MAX, v, e);
	if (strcmp(text, "-1") == 0 || strcmp(text, "-1s") == 0) {
		*v = f->kind == JS_DUR ? 0 : -1;
		return 0;
	}
	if (f->kind == JS_DUR ? parse_duration(text, v, e) : parse_bytes(text, v, e))
		return complain(f, e);
	return 0;
}

static int apply_one(const struct cli *c, const struct js_field *f, json_t *cfg, struct err *e)
{
	const char *text = cli_str(c, f->option);
	json_t *v = NULL;
	int64_t n = 0;

	switch (f->kind) {
	case JS_STR:
		v = json_string(text);
		if (!v)
			return cli_usage(e, "option --%s is not UTF-8", f->option);
		break;
	case JS_LIST:
		v = list(c, f->option);
		break;
	case JS_INT:
	case JS_BYTES:
	case JS_DUR:
		if (number(c, f, text, &n, e))
			return -1;
		v = json_integer(n);
		break;
	case JS_FLAG:
		v = json_boolean(!cli_off(c, f->option));
		break;
	case JS_NOT:
		v = json_boolean(cli_off(c, f->option));
		break;
	case JS_WORD:
		v = word(f, text, e);
		break;
	case JS_META:
		v = pairs(c, f->option, e);
		break;
	}
	if (!v)
		return -1;
	return js_set(cfg, f->path, v) ? err_set(e, ERR_NOMEM, NULL) : 0;
}

int js_apply(const struct cli *c, const struct js_field *f, json_t *cfg, struct err *e)
{
	for (; f->option; f++)
		if ((cli_has(c, f->option) || cli_off(c, f->option)) && apply_one(c, f, cfg, e))
			return -1;
	return 0;
}

int js_config_file(const char *path, json_t **out, struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};

	*out = NULL;
	if (json_parse_file(&d, path, CONFIG_MAX, e))
		return err_wrap(e, "invalid input");
	if (!json_is_object(d.root))
		return err_set(e, ERR_BAD_JSON, "invalid input: %s: not a JSON object", path);
	*out = json_incref(d.root);
	return 0;
}

int js_config_write(const char *path, const json_t *cfg, struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, CONFIG_MAX);
	if (json_text(cfg, JSON_INDENTED, &b, e))
		return -1;
	if (strcmp(path, "-") == 0) {
		fwrite(b.p, 1, b.len, stdout);
		putchar('\n');
		return 0;
	}
	return file_replace(path, b.p, b.len, 0644, e);
}

void js_clean_metadata(json_t *cfg)
{
	json_t *meta = json_object_get(cfg, "metadata"), *v;
	const char *key;
	void *next;

	json_object_foreach_safe(meta, next, key, v) if (strncmp(key, "_nats.", 6) == 0)(void)
		json_object_del(meta, key);
	if (meta && json_object_size(meta) == 0)
		(void)json_object_del(cfg, "metadata");
}

static void print_value(FILE *f, char sign, const char *path, const json_t *v)
{
	CLEAN(free) char *text = v ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	CLEAN(free) char *clean = nats_clean(text ? text : "");

	if (v)
		fprintf(f, "%c %s: %s\n", sign, SHOWN(path), clean ? clean : "?");
}

static size_t differ(FILE *f, const char *path, const json_t *old, const json_t *now)
{
	const json_t *sides[2] = {old, now};
	size_t n = 0;

	if (!json_is_object(old) || !json_is_object(now)) {
		if (old && now && json_equal(old, now))
			return 0;
		print_value(f, '-', path, old);
		print_value(f, '+', path, now);
		return 1;
	}
	/* First what the old one has, then what is only in the new one. */
	for (int side = 0; side < 2; side++)
		for (void *it = json_object_iter((json_t *)(uintptr_t)sides[side]); it;
		     it = json_object_iter_next((json_t *)(uintptr_t)sides[side], it)) {
			const char *key = json_object_iter_key(it);
			char at[512];

			if (side == 1 && json_object_get(old, key))
				continue;
			(void)snprintf(at, sizeof(at), "%s%s%s", path, *path ? "." : "", key);
			n += differ(f, at, json_object_get(old, key), json_object_get(now, key));
		}
	return n;
}

size_t js_differences(FILE *f, const json_t *old, const json_t *now)
{
	if (json_equal(old, now)) {
		fputs("No difference in configuration\n", f);
		return 0;
	}
	fputs("Differences (-old +new):\n", f);
	return differ(f, "", old, now);
}

int js_name(const char *kind, const char *name, struct err *e)
{
	if (*name && strlen(name) < 256 && !strpbrk(name, " \t\r\n.*>/\\"))
		return 0;
	CLEAN(free) char *quoted = nats_quote(name, strlen(name));

	return err_set(e, ERR_BAD_NAME, "%.120s is not a valid %s name", quoted ? quoted : "",
		       kind);
}

const char *js_ask(const char *question, struct err *e)
{
	static char line[512];

	if (!nats_is_terminal()) {
		err_set(e, ERR_BAD_INPUT, "cannot prompt for user input without a terminal");
		return NULL;
	}
	fprintf(stderr, "%s: ", question);
	if (!fgets(line, sizeof(line), stdin)) {
		err_set(e, ERR_BAD_INPUT, "no answer");
		return NULL;
	}
	line[strcspn(line, "\r\n")] = '\0';
	if (!*line)
		err_set(e, ERR_BAD_INPUT, "the answer is empty");
	return *line ? line : NULL;
}

const char *js_operand(struct cli *c, int i, const char *kind, struct err *e)
{
	char question[80];

	if (c->argc > i)
		return c->argv[i];
	if (!nats_is_terminal()) {
		err_set(e, ERR_BAD_INPUT,
			"could not pick a %s to operate on: cannot pick a %s without a terminal "
			"and no %s name supplied",
			kind, kind, kind);
		return NULL;
	}
	(void)snprintf(question, sizeof(question), "%s name", kind);
	return js_ask(question, e);
}

int js_force(struct cli *c, struct err *e, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	if (cli_has(c, "force"))
		return 0;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return nats_confirm(text, e) ? err_wrap(e, "could not obtain confirmation") : 0;
}

int js_by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(json_string_value(*(json_t *const *)a),
		      json_string_value(*(json_t *const *)b));
}

int js_print_names(json_t *names, bool json, struct err *e)
{
	size_t n = json_array_size(names), used = 0;
	CLEAN(free) json_t **v = calloc(n + 1, sizeof(*v));
	CLEAN(json) json_t *sorted = json_array();

	if (!v || !sorted)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < n; i++)
		if (json_is_string(json_array_get(names, i)))
			v[used++] = json_array_get(names, i);
	qsort(v, used, sizeof(*v), by_name);
	for (size_t i = 0; i < used; i++) {
		CLEAN(free) char *clean = nats_clean(json_string_value(v[i]));

		if (!json)
			puts(clean ? clean : "?");
		(void)json_array_append(sorted, v[i]);
	}
	return json ? nats_print_json(sorted, e) : 0;
}
