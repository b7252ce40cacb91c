/* Configurations: one nats-server's, its accounts, hsmd's, and what `hsm apply` sets up. */
#include <string.h>

#include "box/mesh/mesh_plan.h"
#include "box/mesh/mesh_token.h"

const char *mesh_mount(const struct mesh *m, const char *dir, char out[static PATH_MAX])
{
	bool hsm = strcmp(dir, m->hsm) == 0, box = strcmp(dir, "box") == 0;

	if (m->local)
		(void)mesh_path(m, out, dir, "", NULL);
	else
		(void)snprintf(out, PATH_MAX, "%s",
			       hsm   ? m->mount_hsm
			       : box ? m->mount_box
				     : m->mount_nats);
	return out;
}

static void put_tls(struct buf *b, const char *dir, bool routes)
{
	const char *in = routes ? "    " : "  ", *out = routes ? "  " : "";

	buf_printf(b,
		   "%stls {\n"
		   "%scert_file: \"%s/cert.pem\"\n"
		   "%skey_file: \"%s/key.pem\"\n",
		   out, in, dir, in, dir);
	if (routes)
		buf_printf(b, "%sca_file: \"%s/ca.pem\"\n%sverify: true\n", in, dir, in);
	/* The default of 2 s is short for a machine that starts everything at once. */
	buf_printf(b, "%smin_version: \"1.3\"\n%stimeout: 5\n%s}\n", in, in, out);
}

static void put_route(struct buf *b, const struct mesh_keys *k, const struct mesh_node *n)
{
	buf_printf(b, "    \"tls://route:");
	buf_put(b, k->route.p, k->route.len);
	buf_printf(b, "@%s:%lld\"\n", n->host, (long long)n->route);
}

static void put_cluster(const struct mesh *m, const struct mesh_keys *k, const struct mesh_node *n,
			const char *dir, struct buf *b)
{
	buf_printf(b,
		   "\n# Routes: certificates of this mesh's CA on both sides, and a password.\n"
		   "cluster {\n"
		   "  name: \"%s\"\n"
		   "  listen: \"%s:%lld\"\n"
		   "  # clients know all nodes, by the names that are in the certificates\n"
		   "  no_advertise: true\n"
		   "  # and nodes tell each other these names, not addresses\n"
		   "  advertise: \"%s:%lld\"\n"
		   "  ping_interval: \"2s\"\n"
		   "  ping_max: 2\n"
		   "  write_deadline: \"4s\"\n"
		   "  authorization {\n"
		   "    user: route\n"
		   "    password: \"",
		   m->cluster, m->bind, (long long)n->route, n->host, (long long)n->route);
	buf_put(b, k->route.p, k->route.len);
	buf_printf(b, "\"\n"
		      "    timeout: 5\n"
		      "  }\n");
	put_tls(b, dir, true);
	buf_printf(b, "  routes: [\n");
	for (unsigned i = 0; i < m->nnodes; i++)
		if (&m->nodes[i] != n)
			put_route(b, k, &m->nodes[i]);
	buf_printf(b, "  ]\n}\n");
}

int mesh_conf_server(const struct mesh *m, const struct mesh_keys *k, const struct mesh_node *n,
		     struct buf *b, struct err *e)
{
	char dir[PATH_MAX];

	mesh_mount(m, n->name, dir);
	buf_printf(b,
		   "# nats-server configuration of %s, written by signbox mesh: changes are lost\n"
		   "# at its next start. It holds the password of the routes.\n"
		   "server_name: \"%s\"\n"
		   "listen: \"%s:%lld\"\n",
		   n->name, n->name, m->bind, (long long)n->port);
	if (n->http)
		buf_printf(b, "http: \"%s:%lld\"\n", m->bind, (long long)n->http);
	buf_printf(b,
		   "max_payload: 1048576\n"
		   "# A node that is cut off, or whose machine died, sends no end of its\n"
		   "# connections. Two unanswered pings: it is noticed after 4 to 6 s. Who takes\n"
		   "# nothing for 4 s is let go, before its queue holds up the others.\n"
		   "ping_interval: \"2s\"\n"
		   "ping_max: 2\n"
		   "write_deadline: \"4s\"\n"
		   "# With SIGUSR2: clients are sent to the other nodes first. 30 s is the least.\n"
		   "lame_duck_duration: \"30s\"\n"
		   "lame_duck_grace_period: \"2s\"\n");
	put_tls(b, dir, false);
	if (*m->jetstream)
		buf_printf(b, "jetstream {\n  store_dir: \"%s%s%s\"\n}\n", m->jetstream,
			   m->local ? "/" : "", m->local ? n->name : "");
	put_cluster(m, k, n, dir, b);
	buf_printf(b, "\ninclude ./accounts.conf\n");
	return b->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

static void put_nkeys(const struct mesh *m, const struct mesh_keys *k, struct buf *b)
{
	char pub[NKEY_PUB_LEN];

	nkey_pub_text(&k->system, pub);
	buf_printf(b,
		   "system_account: SYS\n"
		   "accounts {\n"
		   "  SYS { users: [ {nkey: %s} ] }\n"
		   "  HSM {\n"
		   "%s"
		   "  users: [\n",
		   pub, *m->jetstream ? "  jetstream: enabled\n" : "");
	nkey_pub_text(&k->hsm, pub);
	mesh_perm_put(b, PERM_SERVICE, pub, NULL);
	for (unsigned i = 0; i < m->nusers; i++) {
		const struct mesh_user *u = &m->users[i];

		if (u->gone)
			continue;
		buf_printf(b, "    # %s\n", u->name);
		mesh_perm_put(b, u->plain ? PERM_PLAIN : PERM_SESSION, u->nkey, NULL);
	}
	nkey_pub_text(&k->monitor, pub);
	mesh_perm_put(b, PERM_MONITOR, pub, NULL);
	buf_printf(b, "  ]\n  }\n}\n");
}

static int put_jwts(const struct mesh *m, const struct mesh_keys *k, struct buf *b, struct err *e)
{
	char sys[NKEY_PUB_LEN], account[NKEY_PUB_LEN];

	nkey_pub_text(&k->seed[KEY_SYS], sys);
	nkey_pub_text(&k->seed[KEY_ACCOUNT], account);
	buf_printf(b, "operator: ");
	if (mesh_operator_token(m, k, b, e))
		return -1;
	buf_printf(b, "\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n  %s: ", sys,
		   sys);
	if (mesh_sys_token(m, k, b, e))
		return -1;
	buf_printf(b, "\n  # HSM\n  %s: ", account);
	if (mesh_account_token(m, k, b, e))
		return -1;
	buf_printf(b, "\n}\n");
	return 0;
}

int mesh_conf_accounts(const struct mesh *m, const struct mesh_keys *k, struct buf *b,
		       struct err *e)
{
	buf_printf(b, "# Who may do what, written by signbox mesh: after a change, nats-server\n"
		      "# reads it on SIGHUP. It holds no secret.\n");
	if (m->auth == MESH_JWT && put_jwts(m, k, b, e))
		return -1;
	if (m->auth == MESH_NKEY)
		put_nkeys(m, k, b);
	return b->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

void mesh_conf_url(const struct mesh *m, struct buf *b)
{
	for (unsigned i = 0; i < m->nnodes; i++)
		buf_printf(b, "%stls://%s:%lld", i ? "," : "", m->nodes[i].host,
			   (long long)m->nodes[i].port);
}

void mesh_conf_hsm(const struct mesh *m, struct buf *b)
{
	char dir[PATH_MAX];

	mesh_mount(m, m->hsm, dir);
	buf_printf(
		b,
		"# Configuration of hsmd, written by signbox mesh: changes are lost at its next\n"
		"# start. Variables of the environment win over it.\n"
		"data: \"%s\"\n"
		"device_key_file: \"%s/device_key\"\n"
		"anchor_file: \"%s\"\n"
		"identity_file: \"%s\"\n"
		"bootstrap_admins:\n",
		m->data, dir, m->anchor, m->identity);
	for (unsigned i = 0; i < m->nusers; i++)
		if (m->users[i].admin && !m->users[i].gone)
			buf_printf(b, "  - {name: \"%s\", nkey: %s}\n", m->users[i].name,
				   m->users[i].nkey);
	buf_printf(b, "nats:\n  url: \"");
	mesh_conf_url(m, b);
	buf_printf(b, "\"\n  ca: \"%s/ca.pem\"\n  %s: \"%s/%s\"\n", dir,
		   m->auth == MESH_JWT ? "creds" : "nkey", dir,
		   m->auth == MESH_JWT ? "nats.creds" : "nats_nkey");
}

void mesh_conf_setup(const struct mesh *m, struct buf *b)
{
	buf_printf(b,
		   "# What 'hsm apply' sets up, written by signbox mesh: changes are lost at its\n"
		   "# next start. Applying deletes nothing.\n"
		   "identity: \"@%s\"\n"
		   "provision: {passphrase_file: unlock_passphrase, unattended_boot: %s}\n"
		   "users:\n",
		   m->identity, m->unattended ? "on" : "off");
	for (unsigned i = 0; i < m->nusers; i++) {
		const struct mesh_user *u = &m->users[i];

		if (!u->gone)
			buf_printf(b, "  - {name: \"%s\", nkey: %s, role: %s, plain: %s}\n",
				   u->name, u->nkey, u->admin ? "administrator" : "operator",
				   u->plain ? "on" : "off");
	}
	buf_printf(b, "keys:\n  - {name: demo, type: p256, plain: on}\n");
}
