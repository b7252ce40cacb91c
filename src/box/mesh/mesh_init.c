/* mesh init: from the command line to a mesh. What is not said stays as mesh.json has it. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "box/mesh/mesh_cmd.h"
#include "box/mesh/mesh_make.h"

#define DEFAULT_NODES "nats-1,nats-2,nats-3"

/* One text of the command line, which goes into configurations between quotation marks. */
static int take(const struct cli *c, const char *option, char *out, size_t cap, bool path,
		struct err *e)
{
	const char *v = cli_str(c, option);

	if (!v)
		return 0;
	for (const char *s = v; *s; s++)
		if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\' || *s == 0x7f)
			return cli_usage(e, "bad character in --%s", option);
	if (path && *v != '/')
		return cli_usage(e, "--%s is a path that begins with '/', not '%.60s'", option, v);
	if (!*v || strlen(v) >= cap)
		return cli_usage(e, "--%s is empty or too long", option);
	(void)snprintf(out, cap, "%s", v);
	return 0;
}

static bool host_ok(const char *s)
{
	return *s && strlen(s) < MESH_TEXT && *s != '-' && *s != '.' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") ==
		       strlen(s);
}

static bool address_ok(const char *s)
{
	uint8_t raw[16];

	return inet_pton(AF_INET, s, raw) == 1 || inet_pton(AF_INET6, s, raw) == 1;
}

/* "a,b,c": nodes that are not there yet; those that are there must be among them. */
static int take_nodes(struct mesh *m, const char *list, struct err *e)
{
	bool named[MESH_NODES] = {false};
	unsigned had = m->nnodes;
	CLEAN(free) char *copy = strdup(list);
	char *next = copy, *name;

	if (!copy)
		return err_set(e, ERR_NOMEM, NULL);
	while ((name = strsep(&next, ","))) {
		struct mesh_node *n = mesh_node(m, name);

		if (n && n < m->nodes + had && !named[n - m->nodes]) {
			named[n - m->nodes] = true;
			continue;
		}
		n = mesh_node_add(m, name, e);
		if (!n)
			return err_wrap(e, "--nodes");
		(void)snprintf(n->host, sizeof(n->host), "%s", m->local ? "127.0.0.1" : name);
		n->port = 4222 + (m->local ? m->nnodes - 1 : 0);
		n->route = 6222 + (m->local ? m->nnodes - 1 : 0);
	}
	for (unsigned i = 0; i < had; i++)
		if (!named[i])
			return err_set(
				e, ERR_WRONG_STATE,
				"--nodes leaves out '%s', which is a node of this mesh: nodes "
				"can be added, and only a new mesh has fewer",
				m->nodes[i].name);
	return 0;
}

/* The next of ":PORT…"; absent: *out is left alone. */
static bool port_of(char **next, int64_t *out)
{
	char *text = strsep(next, ":"), *end;
	long v;

	if (!text)
		return true;
	v = strtol(text, &end, 10);
	*out = v;
	return end != text && !*end && v >= 1 && v <= 65535 && *text != '+';
}

/* NODE=HOST[:PORT[:ROUTES[:HTTP]]] */
static int take_address(struct mesh *m, const char *text, struct err *e)
{
	CLEAN(free) char *copy = strdup(text);
	char *next = copy, *name, *host;

	if (!copy)
		return err_set(e, ERR_NOMEM, NULL);
	name = strsep(&next, "=");
	struct mesh_node *n = mesh_node(m, name);

	host = next ? strsep(&next, ":") : NULL;
	if (!host || !host_ok(host))
		return cli_usage(e, "--address is NODE=HOST[:PORT[:ROUTES[:HTTP]]], not '%.60s'",
				 text);
	if (!n)
		return cli_usage(e, "--address: there is no node '%.60s'", name);
	(void)snprintf(n->host, sizeof(n->host), "%s", host);
	if (!port_of(&next, &n->port) || !port_of(&next, &n->route) || !port_of(&next, &n->http) ||
	    next)
		return cli_usage(e, "--address %.60s: ports are 1 to 65535", text);
	return 0;
}

static int take_mount(struct mesh *m, const char *text, struct err *e)
{
	static const char *const names[] = {"nats", "hsm", "box"};
	char *const to[] = {m->mount_nats, m->mount_hsm, m->mount_box};
	const char *eq = strchr(text, '=');

	for (size_t i = 0; eq && i < 3; i++) {
		if (strlen(names[i]) != (size_t)(eq - text) ||
		    strncmp(names[i], text, (size_t)(eq - text)) != 0)
			continue;
		if (eq[1] != '/' || strlen(eq + 1) >= PATH_MAX || strpbrk(eq, "\"\\\n"))
			break;
		(void)snprintf(to[i], PATH_MAX, "%s", eq + 1);
		return 0;
	}
	return cli_usage(e, "--mount is nats|hsm|box=/PATH, not '%.60s'", text);
}

int mesh_change_user(struct mesh *m, struct mesh_user *u, bool plain, bool gone)
{
	int64_t now = time(NULL);

	if (u->plain == plain && u->gone == gone)
		return 0;
	/* The old token may do what the new one may not. The account's token is another one
	 * then; for a new user it stays the same, and servers need not hear of him. */
	u->revoked = u->issued;
	u->issued = now > u->issued ? now : u->issued + 1;
	u->plain = plain;
	u->gone = gone;
	m->changed = now > m->changed ? now : m->changed + 1;
	return 1;
}

/* NAME[:operator|:administrator][:plain] */
static int take_user(struct mesh *m, const char *text, struct err *e)
{
	bool admin = false, plain = false;
	CLEAN(free) char *copy = strdup(text);
	char *next = copy, *name, *word;
	struct mesh_user *u;

	if (!copy)
		return err_set(e, ERR_NOMEM, NULL);
	name = strsep(&next, ":");
	while ((word = strsep(&next, ":"))) {
		if (strcmp(word, "administrator") == 0 || strcmp(word, "admin") == 0)
			admin = true;
		else if (strcmp(word, "plain") == 0)
			plain = true;
		else if (strcmp(word, "operator") != 0)
			return cli_usage(e,
					 "--user is NAME[:operator|:administrator][:plain], not "
					 "'%.60s'",
					 text);
	}
	u = mesh_user(m, name);
	if (u && u->admin != admin)
		return err_set(e, ERR_WRONG_STATE,
			       "user '%s' is %s and stays so: 'mesh user rm', then add one anew",
			       name, u->admin ? "an administrator" : "an operator");
	if (u) {
		(void)mesh_change_user(m, u, plain, false);
		return 0;
	}
	u = mesh_user_add(m, name, e);
	if (!u)
		return err_wrap(e, "--user");
	u->admin = admin;
	u->plain = plain;
	return 0;
}

static void defaults(struct mesh *m, const struct cli *c)
{
	m->local = cli_has(c, "local");
	m->unattended = true;
	m->days = 365;
	m->created = m->changed = time(NULL);
	(void)snprintf(m->cluster, sizeof(m->cluster), "signbox");
	(void)snprintf(m->hsm, sizeof(m->hsm), "hsm");
	(void)snprintf(m->bind, sizeof(m->bind), "%s", m->local ? "127.0.0.1" : "0.0.0.0");
	(void)snprintf(m->mount_nats, sizeof(m->mount_nats), "/mesh");
	(void)snprintf(m->mount_hsm, sizeof(m->mount_hsm), "/run/secrets");
	(void)snprintf(m->mount_box, sizeof(m->mount_box), "/mesh");
	const char *in = m->local ? m->dir : "";

	(void)snprintf(m->data, sizeof(m->data), "%.2000s/data", in);
	(void)snprintf(m->anchor, sizeof(m->anchor), "%.2000s/anchor/anchor", in);
	(void)snprintf(m->identity, sizeof(m->identity), "%.2000s/identity/identity", in);
}

static int take_auth(struct mesh *m, const struct cli *c, struct err *e)
{
	const char *v = cli_str(c, "auth");
	enum mesh_auth auth;

	if (!v)
		v = getenv("MESH_AUTH");
	/* A compose file can give a word where nothing is meant, but not nothing. */
	if (!v || !*v || (!cli_has(c, "auth") && strcmp(v, "default") == 0))
		return 0;
	if (strcmp(v, "nkey") && strcmp(v, "jwt"))
		return cli_usage(e, "--auth (or MESH_AUTH) is nkey or jwt, not '%.40s'", v);
	auth = *v == 'j' ? MESH_JWT : MESH_NKEY;
	if (m->ready && auth != m->auth)
		return err_set(
			e, ERR_WRONG_STATE,
			"the mesh in %.100s was made with --auth %s: leave it so, or begin a "
			"new one with empty directories (its HSM loses its device key)",
			m->dir, m->auth == MESH_JWT ? "jwt" : "nkey");
	m->auth = auth;
	return 0;
}

/* Names and texts, before the nodes, which depend on them. */
static int take_texts(struct mesh *m, const struct cli *c, struct err *e)
{
	const char *hsm = cli_str(c, "hsm"), *cluster = cli_str(c, "cluster");

	if (hsm && m->ready && strcmp(hsm, m->hsm) != 0)
		return err_set(e, ERR_WRONG_STATE,
			       "the HSM of this mesh is called '%s', and stays so", m->hsm);
	if ((hsm && (!mesh_name_ok(hsm, true) || !strcmp(hsm, "authority") || !strcmp(hsm, "box") ||
		     !strcmp(hsm, MESH_SYSTEM) || !strcmp(hsm, MESH_MONITOR))) ||
	    (cluster && !mesh_name_ok(cluster, false)))
		return err_set(e, ERR_BAD_NAME,
			       "--hsm and --cluster take a name of a-z 0-9 -, and not one that is "
			       "taken");
	if (take(c, "hsm", m->hsm, sizeof(m->hsm), false, e) ||
	    take(c, "cluster", m->cluster, sizeof(m->cluster), false, e) ||
	    take(c, "data", m->data, sizeof(m->data), true, e) ||
	    take(c, "anchor", m->anchor, sizeof(m->anchor), true, e) ||
	    take(c, "identity", m->identity, sizeof(m->identity), true, e) ||
	    take(c, "jetstream", m->jetstream, sizeof(m->jetstream), true, e) ||
	    take(c, "bind", m->bind, sizeof(m->bind), false, e))
		return -1;
	if (strchr(m->bind, ':') || !address_ok(m->bind))
		return cli_usage(e, "--bind is an IPv4 address, not '%.60s'", m->bind);
	for (size_t i = 0; i < cli_count(c, "mount"); i++)
		if (take_mount(m, cli_nth(c, "mount", i), e))
			return -1;
	return 0;
}

static int take_sans(struct mesh *m, const struct cli *c, struct err *e)
{
	if (cli_has(c, "san"))
		m->nsans = 0;
	for (size_t i = 0; i < cli_count(c, "san"); i++) {
		const char *v = cli_nth(c, "san", i);

		if (!host_ok(v) && !address_ok(v))
			return cli_usage(e, "--san is a DNS name or an address, not '%.60s'", v);
		if (m->nsans == MESH_SANS)
			return cli_usage(e, "more than %d times --san", MESH_SANS);
		(void)snprintf(m->sans[m->nsans++], MESH_TEXT, "%s", v);
	}
	return 0;
}

static int take_options(struct mesh *m, const struct cli *c, struct err *e)
{
	const char *nodes = cli_str(c, "nodes");
	const char *boot = cli_str(c, "unattended");
	int64_t http = 0;

	if (take_auth(m, c, e) || take_texts(m, c, e) || take_sans(m, c, e) ||
	    cli_int(c, "days", 1, 3650, &m->days, e) || cli_int(c, "http", 1, 65535, &http, e))
		return -1;
	if (m->ready && cli_has(c, "local") && !m->local)
		return err_set(e, ERR_WRONG_STATE, "this mesh was made without --local");
	if (boot && strcmp(boot, "on") && strcmp(boot, "off"))
		return cli_usage(e, "--unattended is on or off, not '%.40s'", boot);
	if (boot)
		m->unattended = strcmp(boot, "on") == 0;
	if (!nodes && !m->ready)
		nodes = DEFAULT_NODES;
	if (nodes && take_nodes(m, nodes, e))
		return -1;
	for (unsigned i = 0; http && i < m->nnodes; i++)
		m->nodes[i].http = http + (m->local ? i : 0);
	for (size_t i = 0; i < cli_count(c, "address"); i++)
		if (take_address(m, cli_nth(c, "address", i), e))
			return -1;
	for (size_t i = 0; i < cli_count(c, "user"); i++)
		if (take_user(m, cli_nth(c, "user", i), e))
			return -1;
	if (!m->ready && !cli_has(c, "user") &&
	    (take_user(m, "admin:administrator", e) || take_user(m, "alice:operator:plain", e)))
		return -1;
	return 0;
}

/* The next part of a path that is one, from *at on; 0: there is none. */
static size_t next_part(const char **at)
{
	size_t n;

	for (;;) {
		*at += strspn(*at, "/");
		n = strcspn(*at, "/");
		if (n != 1 || **at != '.')
			return n;
		*at += n;
	}
}

/* Goes on in path as far as prefix leads; NULL: it leads elsewhere. */
static const char *below(const char *path, const char *prefix)
{
	size_t n;

	while ((n = next_part(&prefix)) > 0) {
		if (next_part(&path) != n || memcmp(path, prefix, n) != 0)
			return NULL;
		path += n;
		prefix += n;
	}
	return path;
}

/* Whether path is the directory of the mesh called name, or something in it. */
static bool is_in(const struct mesh *m, const char *path, const char *name)
{
	path = below(path, m->dir);
	return path && below(path, name);
}

/* Without containers what the HSM writes lies beside the directories that are made here. */
static int apart(const struct mesh *m, const char *name, const char *option, struct err *e)
{
	const struct {
		const char *option, *path;
	} own[] = {{"data", m->data}, {"anchor", m->anchor}, {"identity", m->identity}};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (is_in(m, own[i].path, name))
			return err_set(e, ERR_BAD_NAME,
				       "%.100s/%s would be two things: the directory of %s, and "
				       "the HSM's --%s: take another name, or give --%s PATH",
				       m->dir, name, option, own[i].option, own[i].option);
	return 0;
}

static int all_apart(const struct mesh *m, struct err *e)
{
	if (apart(m, m->hsm, "--hsm", e) || apart(m, "box", "the box", e) ||
	    apart(m, "authority", "the CA", e))
		return -1;
	for (unsigned i = 0; i < m->nnodes; i++)
		if (apart(m, m->nodes[i].name, "a node", e))
			return -1;
	return 0;
}

/* A mesh that was made so before goes on as it is. */
static bool places_are_new(const struct mesh *m, const struct cli *c)
{
	return !m->ready || cli_has(c, "nodes") || cli_has(c, "data") || cli_has(c, "anchor") ||
	       cli_has(c, "identity");
}

static int prepare(struct mesh *m, const struct cli *c, struct err *e)
{
	unsigned admins = 0;

	if (!m->ready)
		defaults(m, c);
	if (take_options(m, c, e) || (m->local && places_are_new(m, c) && all_apart(m, e)))
		return -1;
	for (unsigned i = 0; i < m->nusers; i++)
		admins += m->users[i].admin && !m->users[i].gone;
	if (!admins)
		return cli_usage(e, "nobody could provision the HSM: one --user must be an "
				    "administrator (--user admin:administrator)");
	return 0;
}

/* A new mesh with a wrong command line leaves not even directories. */
static int try_first(const struct cli *c, struct err *e)
{
	CLEAN(mesh) struct mesh *m = mesh_new(e);
	char path[PATH_MAX];

	if (!m || mesh_open(m, c, e) || mesh_path(m, path, "authority", "mesh.json", e))
		return -1;
	return access(path, F_OK) ? prepare(m, c, e) : 0;
}

int mesh_do_init(struct cli *c, struct err *e)
{
	CLEAN(mesh) struct mesh *m = mesh_new(e);
	struct mesh_done done;

	if (!m || try_first(c, e) || mesh_open(m, c, e) || mesh_begin(m, false, e) ||
	    prepare(m, c, e) || mesh_make(m, false, false, &done, e))
		return -1;
	return mesh_report(c, m, &done, e);
}
