/* Copyright files and control data of packages: whatever they are, what comes back is an
 * expression of known shape and references that have a text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ocibuild/sbom/control.h"
#include "ocibuild/sbom/licence.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_expression(const char *s, const json_t *refs)
{
	CLEAN(free) char *copy = strdup(s);
	char *save = NULL;
	int depth = 0;

	for (const char *c = s; *c; c++) {
		depth += *c == '(' ? 1 : *c == ')' ? -1 : 0;
		if (depth < 0 || depth > 1)
			abort();
	}
	if (depth || !copy || !*s)
		abort();
	for (char *w = strtok_r(copy, " ()", &save); w; w = strtok_r(NULL, " ()", &save)) {
		if (w[strspn(w,
			     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")])
			abort();
		if (strncmp(w, "LicenseRef-", 11) == 0 && !json_object_get(refs, w))
			abort();
	}
}

static void check_control(struct bytes text)
{
	struct bytes para, value;
	char out[32];

	while (control_next(&text, &para)) {
		control_text(para, "Package", out, sizeof(out));
		if (strlen(out) >= sizeof(out))
			abort();
		if (control_field(para, "Depends", &value) &&
		    (value.p < para.p || value.p + value.len > para.p + para.len))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] =
		"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n";
	CLEAN(json) json_t *by_id = json_object();
	struct licence_refs refs = {by_id};
	CLEAN(buf) struct buf b = {0};
	struct err e;

	check_control((struct bytes){data, size});
	buf_init(&b, 8u << 20);
	buf_put(&b, head, sizeof(head) - 1);
	buf_put(&b, data, size);
	if (b.bad)
		return 0;
	CLEAN(free) char *s = licence_read(&refs, "x", (struct bytes){b.p, b.len}, &e);

	if (s) {
		CLEAN(buf) struct buf text = {0};

		check_expression(s, by_id);
		buf_init(&text, 64u << 20);
		if (json_text(by_id, JSON_ONE_LINE, &text, &e))
			abort();
	}
	return 0;
}
