#include "hsm/front/config.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

int front_config_read(struct front_config *c, int fd, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	int64_t max = 0;

	memset(c, 0, sizeof(*c));
	const struct json_want want[] = {
		{.key = "url", .kind = JSON_IS_STR, .out = &c->url, .need = true},
		{.key = "creds", .kind = JSON_IS_STR, .out = &c->creds},
		{.key = "nkey", .kind = JSON_IS_STR, .out = &c->nkey},
		{.key = "ca", .kind = JSON_IS_STR, .out = &c->ca},
		{.key = "cert", .kind = JSON_IS_STR, .out = &c->cert},
		{.key = "key", .kind = JSON_IS_STR, .out = &c->key},
		{.key = "name", .kind = JSON_IS_STR, .out = &c->name},
		{.key = "debug", .kind = JSON_IS_BOOL, .out = &c->debug},
		{.key = "landlock_waived", .kind = JSON_IS_BOOL, .out = &c->landlock_waived},
		{.key = "max_message",
		 .kind = JSON_IS_INT,
		 .out = &max,
		 .need = true,
		 .min = FRONT_MESSAGE_MIN,
		 .max = FRONT_MESSAGE_MAX},
		{0},
	};

	buf_init(&b, FRONT_CONFIG_MAX);
	if (file_read_fd(fd, "configuration from hsmd", &b, e))
		return -1;
	if (json_parse(&c->doc, "configuration from hsmd", b.p, b.len, e) ||
	    json_fields(&c->doc, c->doc.root, want, e)) {
		front_config_free(c);
		return -1;
	}
	c->max_message = (uint32_t)max;
	return 0;
}

void front_config_free(struct front_config *c)
{
	json_doc_free(&c->doc);
	memset(c, 0, sizeof(*c));
}
