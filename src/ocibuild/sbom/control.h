/* Debian control data: paragraphs of fields. The text is untrusted; whatever it is, only
 * bytes of it come back. */
#ifndef OCIBUILD_CONTROL_H
#define OCIBUILD_CONTROL_H

#include <stdbool.h>

#include "base/buf.h"

/* Takes the next paragraph off the front of rest; false: there is none. */
bool control_next(struct bytes *rest, struct bytes *para);
/* Value of a field (its name in any case) with its continuation lines, without spaces at
 * its ends; false: absent. */
bool control_field(struct bytes para, const char *name, struct bytes *value);
/* First line of the value as a string, "" when absent or longer than cap. */
void control_text(struct bytes para, const char *name, char *out, size_t cap);
/* Takes the next line off the front of rest, without its newline. */
bool control_line(struct bytes *rest, struct bytes *line);

#endif
