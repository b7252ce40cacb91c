#include "json/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/file.h"

#define YAML_MAX ((size_t)4 << 20)
#define MAX_DEPTH 64
#define MAX_NODES 200000

struct loader {
	yaml_parser_t parser;
	struct json_doc *doc;
	size_t cap; /* of doc->marks */
	size_t nodes;
	struct err *e;
};

static void cleanup_event(yaml_event_t *ev)
{
	yaml_event_delete(ev);
}

static int fail_at(struct loader *l, size_t line, const char *text)
{
	return err_set(l->e, ERR_CONFIG, "%s:%zu: %s", l->doc->name, line + 1, text);
}

static int next_event(struct loader *l, yaml_event_t *ev)
{
	const yaml_parser_t *p = &l->parser;

	if (yaml_parser_parse(&l->parser, ev))
		return 0;
	if (p->error == YAML_MEMORY_ERROR)
		return err_set(l->e, ERR_NOMEM, NULL);
	/* Reader errors (bytes that are no UTF-8) carry an offset and no line. */
	return fail_at(l, p->error == YAML_READER_ERROR ? p->mark.line : p->problem_mark.line,
		       p->problem ? p->problem : "not YAML");
}

static int add_mark(struct loader *l, const json_t *parent, const char *key, size_t index,
		    size_t line)
{
	struct json_doc *d = l->doc;

	if (d->nmarks == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		struct json_mark *m = realloc(d->marks, cap * sizeof(*m));

		if (!m)
			return err_set(l->e, ERR_NOMEM, NULL);
		d->marks = m;
		l->cap = cap;
	}
	char *copy = key ? strdup(key) : NULL;

	if (key && !copy)
		return err_set(l->e, ERR_NOMEM, NULL);
	d->marks[d->nmarks++] = (struct json_mark){parent, copy, index, (unsigned)line + 1};
	return 0;
}

/* -?[0-9]+ without a leading zero; anything else stays a string. */
static bool is_integer(const char *s)
{
	const char *d = s + (*s == '-');

	if (*d == '0')
		return d[1] == '\0' && d == s;
	for (s = d; *s >= '0' && *s <= '9'; s++)
		;
	return s > d && *s == '\0';
}

static json_t *plain_value(struct loader *l, const yaml_event_t *ev)
{
	const char *s = (const char *)ev->data.scalar.value;

	if (strcmp(s, "true") == 0)
		return json_true();
	if (strcmp(s, "false") == 0)
		return json_false();
	if (*s == '\0' || strcmp(s, "null") == 0 || strcmp(s, "~") == 0)
		return json_null();
	if (!is_integer(s))
		return json_string(s);
	errno = 0;
	long long v = strtoll(s, NULL, 10);

	if (errno) {
		fail_at(l, ev->start_mark.line, "number is too large");
		return NULL;
	}
	return json_integer(v);
}

static json_t *scalar(struct loader *l, const yaml_event_t *ev)
{
	const char *s = (const char *)ev->data.scalar.value;
	json_t *j;

	if (strlen(s) != ev->data.scalar.length) {
		fail_at(l, ev->start_mark.line, "NUL character in a string");
		return NULL;
	}
	l->e->code = ERR_OK;
	j = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain_value(l, ev) : json_string(s);
	if (!j && l->e->code == ERR_OK)
		err_set(l->e, ERR_NOMEM, NULL);
	return j;
}

/* What makes a document mean more than it shows. */
static int check_plain(struct loader *l, const yaml_event_t *ev)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	switch (ev->type) {
	case YAML_ALIAS_EVENT:
		return fail_at(l, ev->start_mark.line, "aliases (*name) are not accepted");
	case YAML_SCALAR_EVENT:
		anchor = ev->data.scalar.anchor;
		tag = ev->data.scalar.tag;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = ev->data.sequence_start.anchor;
		tag = ev->data.sequence_start.tag;
		break;
	case YAML_MAPPING_START_EVENT:
		anchor = ev->data.mapping_start.anchor;
		tag = ev->data.mapping_start.tag;
		break;
	default:
		break;
	}
	if (anchor)
		return fail_at(l, ev->start_mark.line, "anchors (&name) are not accepted");
	if (tag)
		return fail_at(l, ev->start_mark.line, "tags (!name) are not accepted");
	if (++l->nodes > MAX_NODES)
		return err_set(l->e, ERR_TOO_LARGE, "%s has more than %d nodes", l->doc->name,
			       MAX_NODES);
	return 0;
}

static json_t *value(struct loader *l, const yaml_event_t *ev, unsigned depth);

static int mapping_entry(struct loader *l, json_t *obj, const yaml_event_t *key, unsigned depth)
{
	CLEAN(event) yaml_event_t ev = {0};
	const char *name = (const char *)key->data.scalar.value;
	char text[160];

	if (check_plain(l, key))
		return -1;
	if (key->type != YAML_SCALAR_EVENT)
		return fail_at(l, key->start_mark.line, "a key must be plain text");
	if (strlen(name) != key->data.scalar.length)
		return fail_at(l, key->start_mark.line, "NUL character in a key");
	if (json_object_get(obj, name)) {
		(void)snprintf(text, sizeof(text), "key '%.100s' stands here twice", name);
		return fail_at(l, key->start_mark.line, text);
	}
	if (next_event(l, &ev))
		return -1;
	json_t *v = value(l, &ev, depth);

	if (!v)
		return -1;
	if (json_object_set_new(obj, name, v))
		return fail_at(l, key->start_mark.line, "key is not UTF-8");
	return add_mark(l, obj, name, 0, key->start_mark.line);
}

static int sequence_item(struct loader *l, json_t *arr, const yaml_event_t *ev, unsigned depth)
{
	json_t *v = value(l, ev, depth);

	if (!v)
		return -1;
	if (json_array_append_new(arr, v))
		return err_set(l->e, ERR_NOMEM, NULL);
	return add_mark(l, arr, NULL, json_array_size(arr) - 1, ev->start_mark.line);
}

static json_t *container(struct loader *l, json_t *into, yaml_event_type_t end, unsigned depth,
			 size_t line)
{
	for (;;) {
		CLEAN(event) yaml_event_t ev = {0};
		int bad = next_event(l, &ev);

		if (!bad && ev.type == end)
			return into;
		if (!bad && depth >= MAX_DEPTH)
			bad = fail_at(l, line, "nested too deeply");
		if (!bad)
			bad = json_is_object(into) ? mapping_entry(l, into, &ev, depth + 1)
						   : sequence_item(l, into, &ev, depth + 1);
		if (bad) {
			json_decref(into);
			return NULL;
		}
	}
}

/* The value that starts with ev; NULL with the error set. */
static json_t *value(struct loader *l, const yaml_event_t *ev, unsigned depth)
{
	json_t *into;

	if (check_plain(l, ev))
		return NULL;
	if (ev->type == YAML_SCALAR_EVENT)
		return scalar(l, ev);
	into = ev->type == YAML_MAPPING_START_EVENT ? json_object() : json_array();
	if (!into) {
		err_set(l->e, ERR_NOMEM, NULL);
		return NULL;
	}
	return container(l, into,
			 ev->type == YAML_MAPPING_START_EVENT ? YAML_MAPPING_END_EVENT
							      : YAML_SEQUENCE_END_EVENT,
			 depth, ev->start_mark.line);
}

/* The events around and behind the one document. */
static int document(struct loader *l)
{
	for (;;) {
		CLEAN(event) yaml_event_t ev = {0};

		if (next_event(l, &ev))
			return -1;
		switch (ev.type) {
		case YAML_STREAM_START_EVENT:
		case YAML_DOCUMENT_END_EVENT:
			break;
		case YAML_DOCUMENT_START_EVENT:
			if (l->doc->root)
				return fail_at(l, ev.start_mark.line, "more than one document");
			if (ev.data.document_start.tag_directives.start !=
			    ev.data.document_start.tag_directives.end)
				return fail_at(l, ev.start_mark.line, "%TAG is not accepted");
			break;
		case YAML_STREAM_END_EVENT:
			return 0;
		default:
			l->doc->root = value(l, &ev, 0);
			if (!l->doc->root)
				return -1;
		}
	}
}

int yaml_parse(struct json_doc *d, const char *name, const void *p, size_t n, struct err *e)
{
	struct err own = {0};
	struct loader l = {.doc = d, .e = e ? e : &own};
	int r;

	json_doc_free(d);
	d->code = ERR_CONFIG;
	if (n > YAML_MAX)
		return err_set(e, ERR_TOO_LARGE, "%s is larger than %zu bytes", name, YAML_MAX);
	d->name = strdup(name);
	if (!d->name || !yaml_parser_initialize(&l.parser)) {
		json_doc_free(d);
		return err_set(e, ERR_NOMEM, NULL);
	}
	/* Else a byte-order mark could select UTF-16. */
	yaml_parser_set_encoding(&l.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&l.parser, p, n);
	r = document(&l);
	yaml_parser_delete(&l.parser);
	if (r == 0 && (!d->root || json_is_null(d->root)))
		d->root = json_object();
	if (r == 0 && !d->root)
		r = err_set(e, ERR_NOMEM, NULL);
	if (r)
		json_doc_free(d);
	return r;
}

int yaml_parse_file(struct json_doc *d, const char *path, size_t max, struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, max);
	if (file_read(path, &b, e))
		return -1;
	return yaml_parse(d, path, b.len ? b.p : (const void *)"", b.len, e);
}
