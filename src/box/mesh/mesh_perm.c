#include "box/mesh/mesh_perm.h"

#include <string.h>

#define SELF "{{subject()}}"

const struct mesh_perm_row mesh_perms[PERM_COUNT] = {
	[PERM_SERVICE] = {"service",
			  "the service: answers into inboxes, never anywhere else",
			  {"_INBOX.>", "_R_.>"},
			  {"hsm.>", "$SRV.>"}},
	[PERM_SESSION] = {"session", NULL, {"hsm.open.>", "hsm.i.*." SELF}, {"_INBOX." SELF ".>"}},
	[PERM_PLAIN] = {"plain",
			NULL,
			{"hsm.open.>", "hsm.i.*." SELF, "hsm.as." SELF ".>"},
			{"_INBOX." SELF ".>"}},
	[PERM_MONITOR] = {"monitor",
			  "monitoring: lists, pings and asks services for statistics",
			  {"$SRV.>"},
			  {"_INBOX." SELF ".>"}},
};

static void put_subject(struct buf *b, const char *subject, const char *nkey, const char *identity)
{
	const char *self = strstr(subject, SELF);

	if (identity && strcmp(subject, "hsm.open.>") == 0)
		buf_printf(b, "\"hsm.open.%s\"", identity);
	else if (self)
		buf_printf(b, "\"%.*s%s%s\"", (int)(self - subject), subject, nkey,
			   self + strlen(SELF));
	else
		buf_printf(b, "\"%s\"", subject);
}

static void put_subjects(struct buf *b, const char *what, const char *const *list, const char *nkey,
			 const char *identity)
{
	bool one = !list[1];

	buf_printf(b, "        %s: %s", what, one ? "" : "[");
	for (const char *const *s = list; *s; s++) {
		buf_printf(b, "%s", s == list ? "" : ", ");
		put_subject(b, *s, nkey, identity);
	}
	buf_printf(b, "%s\n", one ? "" : "]");
}

void mesh_perm_put(struct buf *b, enum mesh_perm which, const char *nkey, const char *identity)
{
	const struct mesh_perm_row *p = &mesh_perms[which];

	if (p->comment)
		buf_printf(b, "    # %s\n", p->comment);
	buf_printf(b, "    {\n      nkey: %s\n      permissions {\n", nkey);
	put_subjects(b, "publish", p->pub, nkey, identity);
	put_subjects(b, "subscribe", p->sub, nkey, identity);
	buf_printf(b, "      }\n    }\n");
}
