/* The Go templates that natscli users write in bodies, subjects and headers: {{Count}},
 * {{ID}}, {{Random 10 100}}, {{Time}}, {{.Unix}}, {{ Request }} and {{- trimming -}}. */
#ifndef BOX_NATS_NATS_TEMPLATE_H
#define BOX_NATS_NATS_TEMPLATE_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the n bytes with templates replaced. request: value of {{Request}} with rn
 * bytes, NULL: there is none. Error: USAGE with natscli's wording; out is as it was. */
int template_fill(struct buf *out, const char *text, size_t n, const char *request, size_t rn,
		  long long count, struct err *e);

#endif
