/* JSON and YAML from outside, read strictly (jansson): no duplicate key, no NUL, a
 * size limit, unknown keys refused by name, with the line where it is known. */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

static inline void cleanup_json(json_t **j)
{
	json_decref(*j);
}

/* Where a key or an item of a container stood (YAML only). */
struct json_mark {
	const json_t *parent;
	char *key; /* own copy; NULL: item number index */
	size_t index;
	unsigned line;
};

/* A parsed text with what messages about it need. Start with {0}. */
struct json_doc {
	json_t *root;
	char *name;	    /* file name in messages */
	enum err_code code; /* BAD_JSON, or CONFIG for YAML */
	struct json_mark *marks;
	size_t nmarks;
};

void json_doc_free(struct json_doc *d);
static inline void cleanup_json_doc(struct json_doc *d)
{
	json_doc_free(d);
}

/* Parses n bytes that must be one object or array. name stands in messages:
 * "name:line: text". Errors: BAD_JSON; TOO_LARGE over 64 MiB. */
int json_parse(struct json_doc *d, const char *name, const void *p, size_t n, struct err *e);
/* As json_parse, from a file of at most max bytes. Errors: also IO. */
int json_parse_file(struct json_doc *d, const char *path, size_t max, struct err *e);

/* What a member must be, and where its value goes. */
enum json_kind {
	JSON_IS_STR,  /* const char **, borrowed from the document */
	JSON_IS_INT,  /* int64_t *, in [min, max] when max is not 0 */
	JSON_IS_BOOL, /* bool * */
	JSON_IS_OBJ,  /* json_t **, borrowed */
	JSON_IS_ARR,  /* json_t **, borrowed */
	JSON_IS_ANY,  /* json_t **, borrowed */
};

struct json_want {
	const char *key;
	enum json_kind kind;
	void *out; /* left alone when the member is absent */
	bool need; /* absent is an error */
	int64_t min, max;
};

/* Unpacks obj by a table of wants that ends with {0}: unknown and missing keys and
 * wrong types are refused, "name:line: unknown key 'x'". A null counts as absent.
 * Errors: the document's code. */
int json_fields(const struct json_doc *d, const json_t *obj, const struct json_want *w,
		struct err *e);

/* Every item of an array must be a string: the i-th, or NULL with *e set. */
const char *json_item_str(const struct json_doc *d, const json_t *arr, size_t i, struct err *e);

/* Error about a member (key) or an item (key NULL) of parent: fills e with
 * "name:line: text" and the document's code; returns -1. */
int json_complain(const struct json_doc *d, const json_t *parent, const char *key, size_t index,
		  struct err *e, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Line of a member or item, 0: not known. */
unsigned json_line(const struct json_doc *d, const json_t *parent, const char *key, size_t index);

enum json_form { JSON_ONE_LINE, JSON_INDENTED };
/* Appends j as text, keys in the order in which they were put; no newline at the
 * end. NOMEM or TOO_LARGE when out cannot take it. */
int json_text(const json_t *j, enum json_form form, struct buf *out, struct err *e);
/* Prints j indented, with a newline; what drives a terminal (text_drives) as \u…. */
int json_print(const json_t *j, FILE *f, struct err *e);

#endif
