#include "ocibuild/sbom/control.h"

#include <string.h>
#include <strings.h>

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trim(struct bytes b)
{
	while (b.len && is_space(b.p[0]))
		b = (struct bytes){b.p + 1, b.len - 1};
	while (b.len && is_space(b.p[b.len - 1]))
		b.len--;
	return b;
}

bool control_line(struct bytes *rest, struct bytes *line)
{
	const uint8_t *nl;
	size_t n;

	if (!rest->len)
		return false;
	nl = memchr(rest->p, '\n', rest->len);
	n = nl ? (size_t)(nl - rest->p) : rest->len;
	*line = (struct bytes){rest->p, n};
	n += nl != NULL;
	*rest = (struct bytes){rest->p + n, rest->len - n};
	return true;
}

bool control_next(struct bytes *rest, struct bytes *para)
{
	struct bytes line, at = *rest;

	*para = (struct bytes){0};
	while (control_line(&at, &line)) {
		if (trim(line).len) {
			if (!para->p)
				para->p = line.p;
			para->len = (size_t)(line.p + line.len - para->p);
		} else if (para->p) {
			break;
		}
	}
	*rest = at;
	return para->p != NULL;
}

bool control_field(struct bytes para, const char *name, struct bytes *value)
{
	size_t n = strlen(name);
	struct bytes line;
	bool in = false;

	*value = (struct bytes){0};
	while (control_line(&para, &line)) {
		bool more = line.len && (line.p[0] == ' ' || line.p[0] == '\t');

		if (in && !more)
			break;
		if (in) {
			value->len = (size_t)(line.p + line.len - value->p);
		} else if (!more && line.len > n && line.p[n] == ':' &&
			   strncasecmp((const char *)line.p, name, n) == 0) {
			*value = (struct bytes){line.p + n + 1, line.len - n - 1};
			in = true;
		}
	}
	*value = trim(*value);
	return in;
}

void control_text(struct bytes para, const char *name, char *out, size_t cap)
{
	struct bytes v, line = {0};

	out[0] = '\0';
	if (!control_field(para, name, &v) || !control_line(&v, &line) || line.len >= cap ||
	    memchr(line.p, '\0', line.len))
		return;
	line = trim(line);
	memcpy(out, line.p, line.len);
	out[line.len] = '\0';
}
