#include "hsm/launcher/admins.h"

#include <string.h>

#include "nkey/nkey.h"

/* name NULL: the default one. */
static int add(struct config *c, const char *name, size_t name_len, const char *nkey,
	       size_t nkey_len, struct err *e)
{
	struct bootstrap *b = &c->bootstrap[c->nbootstrap];
	char text[NKEY_PUB_LEN];

	if (c->nbootstrap == BOOTSTRAP_MAX)
		return err_set(e, ERR_CONFIG, "more than %d bootstrap administrators",
			       BOOTSTRAP_MAX);
	memset(b, 0, sizeof(*b));
	if (!name && c->nbootstrap == 0)
		(void)snprintf(b->name, sizeof(b->name), "admin");
	else if (!name)
		(void)snprintf(b->name, sizeof(b->name), "admin-%u", c->nbootstrap + 1);
	else if (!name_valid(name, name_len))
		return err_set(e, ERR_CONFIG,
			       "administrator %u: a name has 1 to %d of A-Z a-z 0-9 _ . -",
			       c->nbootstrap + 1, NAME_MAX_LEN);
	else
		memcpy(b->name, name, name_len);
	if (nkey_len != sizeof(text) - 1)
		return err_set(e, ERR_CONFIG,
			       "administrator %s: a user's public NKey (U…) has %d characters",
			       b->name, NKEY_PUB_LEN - 1);
	memcpy(text, nkey, nkey_len);
	text[nkey_len] = '\0';
	if (nkey_decode_kind(b->nkey, NKEY_USER, text, e)) {
		e->code = ERR_CONFIG;
		return err_wrap(e, "administrator %s", b->name);
	}
	for (unsigned i = 0; i < c->nbootstrap; i++) {
		if (strcmp(c->bootstrap[i].name, b->name) == 0)
			return err_set(e, ERR_CONFIG, "administrator %s is named twice", b->name);
		/* Public keys: no constant time needed. */
		if (memcmp(c->bootstrap[i].nkey, b->nkey, sizeof(b->nkey)) == 0)
			return err_set(e, ERR_CONFIG, "administrators %s and %s have the same NKey",
				       c->bootstrap[i].name, b->name);
	}
	c->nbootstrap++;
	return 0;
}

static int add_item(struct config *c, const char *p, size_t n, struct err *e)
{
	const char *eq = memchr(p, '=', n);

	if (!eq)
		return add(c, NULL, 0, p, n, e);
	return add(c, p, (size_t)(eq - p), eq + 1, n - (size_t)(eq - p) - 1, e);
}

int admins_from_text(struct config *c, const char *text, struct err *e)
{
	c->nbootstrap = 0;
	for (;;) {
		size_t n = strcspn(text, ",");

		if (add_item(c, text, n, e))
			return -1;
		if (!text[n])
			return 0;
		text += n + 1;
	}
}

static int add_object(struct config *c, const struct json_doc *d, const json_t *item, struct err *e)
{
	const char *name = NULL, *nkey = NULL;
	const struct json_want want[] = {
		{.key = "name", .kind = JSON_IS_STR, .out = &name},
		{.key = "nkey", .kind = JSON_IS_STR, .out = &nkey, .need = true},
		{0},
	};

	if (json_fields(d, item, want, e))
		return -1;
	return add(c, name, name ? strlen(name) : 0, nkey, strlen(nkey), e);
}

int admins_from_json(struct config *c, const struct json_doc *d, const json_t *list, struct err *e)
{
	c->nbootstrap = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *item = json_array_get(list, i);
		struct err why = {0};

		if (json_is_object(item)) {
			/* Its own complaints have a line already, those of the values not. */
			if (add_object(c, d, item, &why) == 0)
				continue;
			if (strncmp(why.text, d->name, strlen(d->name)) == 0) {
				*e = why;
				return -1;
			}
		} else {
			const char *s = json_item_str(d, list, i, e);

			if (!s)
				return -1;
			if (add_item(c, s, strlen(s), &why) == 0)
				continue;
		}
		return json_complain(d, list, NULL, i, e, "%s", why.text);
	}
	return 0;
}

void admins_text(const struct config *c, struct buf *out)
{
	for (unsigned i = 0; i < c->nbootstrap; i++) {
		char text[NKEY_PUB_LEN];

		nkey_encode(text, NKEY_USER, c->bootstrap[i].nkey);
		buf_printf(out, "%s%s=%s", i ? "," : "", c->bootstrap[i].name, text);
	}
}
