#include "json/json.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"

#define JSON_MAX ((size_t)64 << 20)

void json_doc_free(struct json_doc *d)
{
	json_decref(d->root);
	free(d->name);
	for (size_t i = 0; i < d->nmarks; i++)
		free(d->marks[i].key);
	free(d->marks);
	memset(d, 0, sizeof(*d));
}

int json_parse(struct json_doc *d, const char *name, const void *p, size_t n, struct err *e)
{
	json_error_t je;

	json_doc_free(d);
	if (n > JSON_MAX)
		return err_set(e, ERR_TOO_LARGE, "%s is larger than %zu bytes", name, JSON_MAX);
	/* No JSON_ALLOW_NUL: strings are used as C strings. No JSON_DISABLE_EOF_CHECK:
	 * nothing may follow the value. */
	json_t *root = json_loadb(p, n, JSON_REJECT_DUPLICATES, &je);

	if (!root)
		return err_set(e, ERR_BAD_JSON, "%s:%d: %s", name, je.line > 0 ? je.line : 1,
			       je.text);
	d->root = root;
	d->code = ERR_BAD_JSON;
	d->name = strdup(name);
	if (!d->name) {
		json_doc_free(d);
		return err_set(e, ERR_NOMEM, NULL);
	}
	return 0;
}

int json_parse_file(struct json_doc *d, const char *path, size_t max, struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, max);
	if (file_read(path, &b, e))
		return -1;
	return json_parse(d, path, b.len ? b.p : (const void *)"", b.len, e);
}

unsigned json_line(const struct json_doc *d, const json_t *parent, const char *key, size_t index)
{
	for (size_t i = 0; i < d->nmarks; i++) {
		const struct json_mark *m = &d->marks[i];

		if (m->parent == parent &&
		    (key ? m->key && strcmp(m->key, key) == 0 : !m->key && m->index == index))
			return m->line;
	}
	return 0;
}

/* Line of a container itself: that of its first member. */
static unsigned line_inside(const struct json_doc *d, const json_t *parent)
{
	for (size_t i = 0; i < d->nmarks; i++)
		if (d->marks[i].parent == parent)
			return d->marks[i].line;
	return 0;
}

int json_complain(const struct json_doc *d, const json_t *parent, const char *key, size_t index,
		  struct err *e, const char *fmt, ...)
{
	unsigned line = json_line(d, parent, key, index);
	char text[200];
	va_list ap;

	if (!line)
		line = line_inside(d, parent);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (line)
		return err_set(e, d->code, "%s:%u: %s", d->name, line, text);
	return err_set(e, d->code, "%s: %s", d->name, text);
}

static const struct json_want *find_want(const struct json_want *w, const char *key)
{
	for (; w->key; w++)
		if (strcmp(w->key, key) == 0)
			return w;
	return NULL;
}

static const char *kind_name(enum json_kind kind)
{
	switch (kind) {
	case JSON_IS_STR:
		return "a string";
	case JSON_IS_INT:
		return "a whole number";
	case JSON_IS_BOOL:
		return "true or false";
	case JSON_IS_OBJ:
		return "an object (key: value)";
	case JSON_IS_ARR:
		return "a list";
	case JSON_IS_ANY:
		break;
	}
	return "a value";
}

static bool fits(enum json_kind kind, const json_t *v)
{
	switch (kind) {
	case JSON_IS_STR:
		return json_is_string(v);
	case JSON_IS_INT:
		return json_is_integer(v);
	case JSON_IS_BOOL:
		return json_is_boolean(v);
	case JSON_IS_OBJ:
		return json_is_object(v);
	case JSON_IS_ARR:
		return json_is_array(v);
	case JSON_IS_ANY:
		break;
	}
	return true;
}

static int take(const struct json_doc *d, const json_t *obj, const struct json_want *w, json_t *v,
		struct err *e)
{
	json_int_t n = json_integer_value(v);

	if (!fits(w->kind, v))
		return json_complain(d, obj, w->key, 0, e, "'%s' must be %s", w->key,
				     kind_name(w->kind));
	switch (w->kind) {
	case JSON_IS_STR:
		*(const char **)w->out = json_string_value(v);
		break;
	case JSON_IS_INT:
		if (w->max && (n < w->min || n > w->max))
			return json_complain(d, obj, w->key, 0, e, "'%s' must be from %lld to %lld",
					     w->key, (long long)w->min, (long long)w->max);
		*(int64_t *)w->out = n;
		break;
	case JSON_IS_BOOL:
		*(bool *)w->out = json_is_true(v);
		break;
	case JSON_IS_OBJ:
	case JSON_IS_ARR:
	case JSON_IS_ANY:
		*(json_t **)w->out = v;
		break;
	}
	return 0;
}

int json_fields(const struct json_doc *d, const json_t *obj, const struct json_want *w,
		struct err *e)
{
	if (!json_is_object(obj))
		return json_complain(d, obj, NULL, 0, e, "an object (key: value) is needed here");
	/* jansson's iteration takes a non-const object but changes nothing. */
	for (void *it = json_object_iter((json_t *)(uintptr_t)obj); it;
	     it = json_object_iter_next((json_t *)(uintptr_t)obj, it)) {
		const char *key = json_object_iter_key(it);

		if (!find_want(w, key))
			return json_complain(d, obj, key, 0, e, "unknown key '%.100s'", key);
	}
	for (; w->key; w++) {
		json_t *v = json_object_get(obj, w->key);

		if (v && !json_is_null(v)) {
			if (take(d, obj, w, v, e))
				return -1;
		} else if (w->need) {
			return json_complain(d, obj, w->key, 0, e, "key '%s' is missing", w->key);
		}
	}
	return 0;
}

const char *json_item_str(const struct json_doc *d, const json_t *arr, size_t i, struct err *e)
{
	const char *s = json_string_value(json_array_get(arr, i));

	if (!s)
		json_complain(d, arr, NULL, i, e, "item %zu must be a string", i + 1);
	return s;
}

static int put_text(const char *p, size_t n, void *out)
{
	buf_put(out, p, n);
	return 0;
}

int json_text(const json_t *j, enum json_form form, struct buf *out, struct err *e)
{
	size_t flags = form == JSON_ONE_LINE ? JSON_COMPACT : JSON_INDENT(2);

	if (json_dump_callback(j, put_text, out, flags | JSON_ENCODE_ANY))
		return err_set(e, ERR_NOMEM, "cannot write JSON");
	if (out->bad)
		return err_set(e, ERR_TOO_LARGE, "JSON is larger than %zu bytes", out->max);
	return 0;
}

int json_print(const json_t *j, FILE *f, struct err *e)
{
	CLEAN(free) char *text = json_dumps(j, JSON_INDENT(2) | JSON_ENCODE_ANY);
	const char *from = text, *end = text ? text + strlen(text) : NULL;
	size_t n;

	if (!text)
		return err_set(e, ERR_NOMEM, NULL);
	/* jansson leaves what drives a terminal as it is, but for C0. */
	for (const char *at = text; at < end; at += n) {
		unsigned cp;

		n = text_utf8(at, (size_t)(end - at), &cp);
		n = n ? n : 1;
		if ((unsigned char)*at < 0x7f || !text_drives(cp))
			continue;
		fwrite(from, 1, (size_t)(at - from), f);
		fprintf(f, "\\u%04x", cp);
		from = at + n;
	}
	if (fputs(from, f) == EOF || fputc('\n', f) == EOF)
		return err_errno(e, ERR_IO, "cannot write JSON");
	return 0;
}
