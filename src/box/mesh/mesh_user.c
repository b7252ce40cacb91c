/* mesh user, mesh renew: changes of a mesh that is there. */
#include <string.h>

#include "base/cleanup.h"
#include "box/mesh/mesh_cmd.h"
#include "box/mesh/mesh_make.h"
#include "ui/table.h"

static int plain_of(const struct cli *c, bool *plain, struct err *e)
{
	const char *v = cli_str(c, "plain");

	if (v && strcmp(v, "on") && strcmp(v, "off"))
		return cli_usage(e, "--plain is on or off, not '%.40s'", v);
	if (cli_has(c, "plain"))
		*plain = !v || strcmp(v, "on") == 0;
	return 0;
}

static struct mesh_user *known(struct mesh *m, const char *name, struct err *e)
{
	struct mesh_user *u = mesh_user(m, name);

	if (!u)
		err_set(e, ERR_NO_SUCH_USER, "there is no user '%.60s' in this mesh", name);
	return u;
}

static struct mesh *opened(const struct cli *c, struct err *e)
{
	struct mesh *m = mesh_new(e);

	if (m && (mesh_open(m, c, e) || mesh_begin(m, true, e))) {
		mesh_free(m);
		return NULL;
	}
	return m;
}

static int finish(struct cli *c, struct mesh *m, struct err *e)
{
	struct mesh_done done;

	return mesh_make(m, false, false, &done, e) ? -1 : mesh_report(c, m, &done, e);
}

int mesh_do_user_add(struct cli *c, struct err *e)
{
	const char *role = cli_str(c, "role");
	bool plain = false;

	if (role && strcmp(role, "operator") && strcmp(role, "administrator"))
		return cli_usage(e, "--role is administrator or operator, not '%.40s'", role);
	if (plain_of(c, &plain, e))
		return -1;
	CLEAN(mesh) struct mesh *m = opened(c, e);

	if (!m)
		return -1;
	if (mesh_user(m, c->argv[0]))
		return err_set(e, ERR_EXISTS, "there is a user '%s' already", c->argv[0]);
	struct mesh_user *u = mesh_user_add(m, c->argv[0], e);

	if (!u)
		return -1;
	u->admin = role && *role == 'a';
	u->plain = plain;
	return finish(c, m, e);
}

int mesh_do_user_set(struct cli *c, struct err *e)
{
	bool plain = false;

	if (!cli_has(c, "plain"))
		return cli_usage(e, "nothing to change: give --plain or --plain=off");
	if (plain_of(c, &plain, e))
		return -1;
	CLEAN(mesh) struct mesh *m = opened(c, e);
	struct mesh_user *u = m ? known(m, c->argv[0], e) : NULL;

	if (!u)
		return -1;
	(void)mesh_change_user(m, u, plain, false);
	return finish(c, m, e);
}

int mesh_do_user_rm(struct cli *c, struct err *e)
{
	CLEAN(mesh) struct mesh *m = opened(c, e);
	unsigned admins = 0;

	if (!m)
		return -1;
	for (int i = 0; i < c->argc; i++) {
		struct mesh_user *u = known(m, c->argv[i], e);

		if (!u)
			return -1;
		(void)mesh_change_user(m, u, u->plain, true);
	}
	for (unsigned i = 0; i < m->nusers; i++)
		admins += m->users[i].admin && !m->users[i].gone;
	if (!admins)
		return err_set(e, ERR_LAST_ADMIN,
			       "the last administrator stays: add another one first");
	return finish(c, m, e);
}

int mesh_do_user_ls(struct cli *c, struct err *e)
{
	CLEAN(mesh) struct mesh *m = opened(c, e);
	CLEAN(json) json_t *list = json_array();
	CLEAN(table) struct table *t = table_new();

	if (!m)
		return -1;
	table_col(t, "Name", TABLE_LEFT);
	table_col(t, "Role", TABLE_LEFT);
	table_col(t, "Plain", TABLE_LEFT);
	table_col(t, "NKey", TABLE_LEFT);
	for (unsigned i = 0; i < m->nusers; i++) {
		const struct mesh_user *u = &m->users[i];
		const char *role = u->admin ? "administrator" : "operator";

		if (u->gone)
			continue;
		json_array_append_new(list, json_pack("{s:s,s:s,s:b,s:s}", "name", u->name, "role",
						      role, "plain", u->plain, "nkey", u->nkey));
		table_text(t, u->name);
		table_text(t, role);
		table_text(t, u->plain ? "on" : "off");
		table_text(t, u->nkey);
	}
	if (cli_has(c, "json"))
		return json_print(list, stdout, e);
	table_print(t, stdout);
	return 0;
}

int mesh_do_renew(struct cli *c, struct err *e)
{
	CLEAN(mesh) struct mesh *m = opened(c, e);
	struct mesh_done done;

	if (!m || cli_int(c, "days", 1, 3650, &m->days, e) ||
	    mesh_make(m, true, cli_has(c, "ca"), &done, e))
		return -1;
	return mesh_report(c, m, &done, e);
}
