/* A strict subset of YAML 1.1 (libyaml) into the same tree as JSON, with lines.
 * Plain true, false, null, ~ and decimal integers are typed; everything else is a
 * string, also yes, no, 1.10 and 007. Refused: anchors, aliases, tags, duplicate keys,
 * keys that are no scalars, several documents, NUL, over 64 levels. */
#ifndef JSON_YAML_H
#define JSON_YAML_H

#include "json/json.h"

/* Parses n bytes; an empty text gives an empty object. Errors: CONFIG with
 * "name:line: text"; TOO_LARGE over 4 MiB or 200,000 nodes. */
int yaml_parse(struct json_doc *d, const char *name, const void *p, size_t n, struct err *e);
/* From a file of at most max bytes. Errors: also IO. */
int yaml_parse_file(struct json_doc *d, const char *path, size_t max, struct err *e);

#endif
