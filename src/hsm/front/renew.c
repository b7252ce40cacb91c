#include "hsm/front/renew.h"

#include <string.h>

static void names(const struct front_config *c, const char *out[static RENEW_FILES])
{
	out[0] = c->creds;
	out[1] = c->nkey;
	out[2] = c->ca;
	out[3] = c->cert;
	out[4] = c->key;
}

void renew_note(struct renew *r, const struct front_config *c)
{
	const char *name[RENEW_FILES];

	memset(r, 0, sizeof(*r));
	names(c, name);
	for (int i = 0; i < RENEW_FILES; i++)
		if (name[i] && stat(name[i], &r->was[i]) < 0)
			r->was[i].st_ino = 0;
}

bool renew_changed(const struct renew *r, const struct front_config *c)
{
	const char *name[RENEW_FILES];
	struct stat st;

	names(c, name);
	for (int i = 0; i < RENEW_FILES; i++) {
		const struct stat *was = &r->was[i];

		if (!name[i] || stat(name[i], &st) < 0)
			continue;
		if (st.st_ino != was->st_ino || st.st_dev != was->st_dev ||
		    st.st_size != was->st_size || st.st_mtim.tv_sec != was->st_mtim.tv_sec ||
		    st.st_mtim.tv_nsec != was->st_mtim.tv_nsec)
			return true;
	}
	return false;
}
