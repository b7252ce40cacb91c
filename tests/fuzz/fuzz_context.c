/* Context files of nats: what is accepted has known members of the right types, saves to
 * a text that reads back the same, and no value is ever NULL. Templates of pub come too. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "box/nats/nats_ctx.h"
#include "box/nats/nats_template.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_template(const uint8_t *data, size_t size)
{
	CLEAN(buf) struct buf out = {0};
	struct err e;

	buf_init(&out, 1 << 20);
	/* A length in a template may be a hundred million. */
	if (!memmem(data, size, "andom", 5))
		(void)template_fill(&out, (const char *)data, size, "request", 7, 1, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEAN(ctx) struct nats_ctx x = {0}, y = {0};
	CLEAN(buf) struct buf text = {0};
	struct err e;

	try_template(data, size);
	buf_init(&text, 1 << 22);
	if (ctx_new(&x, "fuzz", &e) || ctx_new(&y, "fuzz", &e))
		abort();
	if (ctx_parse(&x, "", data, size, &e))
		return 0;
	for (const struct ctx_field *f = ctx_fields; f->key; f++)
		if (!f->flag && !ctx_get(&x, f->key))
			abort();
	(void)ctx_validate(&x, &e);
	if (json_text(x.j, JSON_INDENTED, &text, &e) || ctx_parse(&y, "", text.p, text.len, &e))
		abort();
	if (!json_equal(x.j, y.j))
		abort();
	return 0;
}
