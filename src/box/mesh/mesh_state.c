#include "box/mesh/mesh_state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "box/mesh/mesh_place.h"

#define STATE_MAX ((size_t)4 << 20)
#define STATE_VERSION 1

struct mesh *mesh_new(struct err *e)
{
	struct mesh *m = calloc(1, sizeof(*m));

	if (m)
		m->users = calloc(MESH_USERS, sizeof(*m->users));
	if (m && m->users)
		return m;
	mesh_free(m);
	err_set(e, ERR_NOMEM, NULL);
	return NULL;
}

void mesh_free(struct mesh *m)
{
	if (m)
		free(m->users);
	free(m);
}

bool mesh_name_ok(const char *name, bool host)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	const char *rest = host ? "abcdefghijklmnopqrstuvwxyz0123456789-"
				: "abcdefghijklmnopqrstuvwxyz0123456789-_.";
	size_t n = strlen(name);

	/* ".tmp-" marks files that are not yet whole, and are swept away. */
	return n >= 1 && n < MESH_NAME && strchr(first, name[0]) && strspn(name, rest) == n &&
	       name[n - 1] != '-' && name[n - 1] != '.' && !strstr(name, ".tmp-");
}

struct mesh_node *mesh_node(struct mesh *m, const char *name)
{
	for (unsigned i = 0; i < m->nnodes; i++)
		if (strcmp(m->nodes[i].name, name) == 0)
			return &m->nodes[i];
	return NULL;
}

struct mesh_user *mesh_user(struct mesh *m, const char *name)
{
	for (unsigned i = 0; i < m->nusers; i++)
		if (!m->users[i].gone && strcmp(m->users[i].name, name) == 0)
			return &m->users[i];
	return NULL;
}

struct mesh_node *mesh_node_add(struct mesh *m, const char *name, struct err *e)
{
	static const char *const taken[] = {"authority", "box", "data", "anchor", "identity"};
	struct mesh_node *n = &m->nodes[m->nnodes];

	if (!mesh_name_ok(name, true)) {
		err_set(e, ERR_BAD_NAME,
			"'%.60s' is no name of a node: it is a DNS label of a-z 0-9 -", name);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		if (strcmp(name, taken[i]) && strcmp(name, m->hsm))
			continue;
		err_set(e, ERR_BAD_NAME, "no node can be called '%s': that directory is taken",
			name);
		return NULL;
	}
	if (mesh_node(m, name)) {
		err_set(e, ERR_EXISTS, "the node '%s' is given twice", name);
		return NULL;
	}
	if (m->nnodes == MESH_NODES) {
		err_set(e, ERR_TOO_LARGE, "more than %d nodes", MESH_NODES);
		return NULL;
	}
	memset(n, 0, sizeof(*n));
	(void)snprintf(n->name, sizeof(n->name), "%s", name);
	m->nnodes++;
	return n;
}

struct mesh_user *mesh_user_add(struct mesh *m, const char *name, struct err *e)
{
	struct mesh_user *u = &m->users[m->nusers];

	if (!mesh_name_ok(name, false)) {
		err_set(e, ERR_BAD_NAME,
			"'%.60s' is no name of a user: at most %d of a-z 0-9 - _ . (a letter or "
			"digit first)",
			name, MESH_NAME - 1);
		return NULL;
	}
	if (strcmp(name, MESH_SYSTEM) == 0 || strcmp(name, MESH_MONITOR) == 0 ||
	    strcmp(name, m->hsm) == 0) {
		err_set(e, ERR_BAD_NAME, "the mesh has a user '%s' of its own: take another name",
			name);
		return NULL;
	}
	if (m->nusers == MESH_USERS) {
		err_set(e, ERR_TOO_LARGE, "more than %d users, with those that were removed",
			MESH_USERS);
		return NULL;
	}
	memset(u, 0, sizeof(*u));
	(void)snprintf(u->name, sizeof(u->name), "%s", name);
	m->nusers++;
	return u;
}

int mesh_path(const struct mesh *m, char out[static PATH_MAX], const char *dir, const char *name,
	      struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/%s%s%s", m->dir, dir, *name ? "/" : "", name);

	if (n < 0 || n >= PATH_MAX - 16)
		return err_set(e, ERR_TOO_LARGE, "the path of the mesh is too long");
	return 0;
}

/* ---- mesh.json. One table for reading and writing of texts and switches. */

#define TEXT(key, member) {key, offsetof(struct mesh, member), sizeof(((struct mesh *)0)->member)}
static const struct {
	const char *key;
	size_t at, cap;
} texts[] = {
	TEXT("cluster", cluster),     TEXT("hsm", hsm),
	TEXT("bind", bind),	      TEXT("mount_nats", mount_nats),
	TEXT("mount_hsm", mount_hsm), TEXT("mount_box", mount_box),
	TEXT("data", data),	      TEXT("anchor", anchor),
	TEXT("identity", identity),   TEXT("jetstream", jetstream),
};
#define NTEXTS (sizeof(texts) / sizeof(texts[0]))

static int copy_text(const struct json_doc *d, const json_t *in, const char *key, char *out,
		     size_t cap, const char *from, struct err *e)
{
	size_t n = strlen(from);

	/* They go into configurations between quotation marks. */
	for (const char *s = from; *s; s++)
		if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\' || *s == 0x7f)
			return json_complain(d, in, key, 0, e, "bad character in '%s'", key);
	if (n >= cap)
		return json_complain(d, in, key, 0, e, "'%s' is too long", key);
	memcpy(out, from, n + 1);
	return 0;
}

static int load_nodes(struct mesh *m, const struct json_doc *d, const json_t *list, struct err *e)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		const char *name = "", *host = "";
		int64_t port = 0, route = 0, http = 0;
		const struct json_want want[] = {
			{"name", JSON_IS_STR, &name, true, 0, 0},
			{"host", JSON_IS_STR, &host, true, 0, 0},
			{"port", JSON_IS_INT, &port, true, 1, 65535},
			{"route", JSON_IS_INT, &route, true, 1, 65535},
			{"http", JSON_IS_INT, &http, true, 0, 65535},
			{0},
		};
		if (json_fields(d, v, want, e))
			return -1;
		struct mesh_node *n = mesh_node_add(m, name, e);

		if (!n)
			return err_wrap(e, "%s", d->name);
		if (copy_text(d, v, "host", n->host, sizeof(n->host), host, e))
			return -1;
		n->port = port;
		n->route = route;
		n->http = http;
	}
	return 0;
}

static int load_users(struct mesh *m, const struct json_doc *d, const json_t *list, struct err *e)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
	{
		const char *name = "", *role = "", *nkey = "";
		bool plain = false, gone = false;
		int64_t issued = 0, revoked = 0;
		uint8_t raw[32];
		const struct json_want want[] = {
			{"name", JSON_IS_STR, &name, true, 0, 0},
			{"role", JSON_IS_STR, &role, true, 0, 0},
			{"nkey", JSON_IS_STR, &nkey, true, 0, 0},
			{"plain", JSON_IS_BOOL, &plain, true, 0, 0},
			{"gone", JSON_IS_BOOL, &gone, true, 0, 0},
			{"issued", JSON_IS_INT, &issued, true, 0, INT64_MAX},
			{"revoked", JSON_IS_INT, &revoked, true, 0, INT64_MAX},
			{0},
		};
		if (json_fields(d, v, want, e))
			return -1;
		if (strcmp(role, "administrator") && strcmp(role, "operator"))
			return json_complain(d, v, "role", 0, e, "unknown role");
		if (nkey_decode_kind(raw, NKEY_USER, nkey, e))
			return err_wrap(e, "%s", d->name);
		struct mesh_user *u = mesh_user_add(m, name, e);

		if (!u)
			return err_wrap(e, "%s", d->name);
		(void)snprintf(u->nkey, sizeof(u->nkey), "%s", nkey);
		u->admin = *role == 'a';
		u->plain = plain;
		u->gone = gone;
		u->issued = issued;
		u->revoked = revoked;
	}
	return 0;
}

static int load_all(struct mesh *m, const struct json_doc *d, struct err *e)
{
	const char *text[NTEXTS] = {0}, *auth = "";
	json_t *nodes = NULL, *sans = NULL, *users = NULL;
	int64_t version = 0;
	struct json_want want[NTEXTS + 11] = {
		{"version", JSON_IS_INT, &version, true, STATE_VERSION, STATE_VERSION},
		{"auth", JSON_IS_STR, &auth, true, 0, 0},
		{"local", JSON_IS_BOOL, &m->local, true, 0, 0},
		{"unattended", JSON_IS_BOOL, &m->unattended, true, 0, 0},
		{"days", JSON_IS_INT, &m->days, true, 1, 3650},
		{"created", JSON_IS_INT, &m->created, true, 1, INT64_MAX},
		{"changed", JSON_IS_INT, &m->changed, true, 1, INT64_MAX},
		{"nodes", JSON_IS_ARR, (void *)&nodes, true, 0, 0},
		{"sans", JSON_IS_ARR, (void *)&sans, true, 0, 0},
		{"users", JSON_IS_ARR, (void *)&users, true, 0, 0},
	};

	for (size_t i = 0; i < NTEXTS; i++)
		want[10 + i] =
			(struct json_want){texts[i].key, JSON_IS_STR, (void *)&text[i], true, 0, 0};
	if (json_fields(d, d->root, want, e))
		return -1;
	if (strcmp(auth, "nkey") && strcmp(auth, "jwt"))
		return json_complain(d, d->root, "auth", 0, e, "unknown auth");
	m->auth = *auth == 'j' ? MESH_JWT : MESH_NKEY;
	for (size_t i = 0; i < NTEXTS; i++)
		if (copy_text(d, d->root, texts[i].key, (char *)m + texts[i].at, texts[i].cap,
			      text[i], e))
			return -1;
	for (size_t i = 0; i < json_array_size(sans); i++) {
		const char *s = json_item_str(d, sans, i, e);

		if (!s || m->nsans == MESH_SANS)
			return s ? err_set(e, ERR_TOO_LARGE, "%s: too many sans", d->name) : -1;
		if (copy_text(d, d->root, "sans", m->sans[m->nsans++], MESH_TEXT, s, e))
			return -1;
	}
	return load_nodes(m, d, nodes, e) || load_users(m, d, users, e) ? -1 : 0;
}

int mesh_load(struct mesh *m, bool *found, struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};
	char path[PATH_MAX];

	if (mesh_path(m, path, "authority", "mesh.json", e) || mesh_there(path, found, e) ||
	    (*found && json_parse_file(&d, path, STATE_MAX, e)))
		return -1;
	m->ready = *found;
	return *found ? load_all(m, &d, e) : 0;
}

static json_t *nodes_json(const struct mesh *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->nnodes; i++) {
		const struct mesh_node *n = &m->nodes[i];

		json_array_append_new(list,
				      json_pack("{s:s,s:s,s:I,s:I,s:I}", "name", n->name, "host",
						n->host, "port", (json_int_t)n->port, "route",
						(json_int_t)n->route, "http", (json_int_t)n->http));
	}
	return list;
}

static json_t *users_json(const struct mesh *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->nusers; i++) {
		const struct mesh_user *u = &m->users[i];

		json_array_append_new(
			list, json_pack("{s:s,s:s,s:s,s:b,s:b,s:I,s:I}", "name", u->name, "role",
					u->admin ? "administrator" : "operator", "nkey", u->nkey,
					"plain", u->plain, "gone", u->gone, "issued",
					(json_int_t)u->issued, "revoked", (json_int_t)u->revoked));
	}
	return list;
}

int mesh_save(const struct mesh *m, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	CLEAN(json) json_t *j =
		json_pack("{s:i,s:s,s:b,s:b,s:I,s:I,s:I}", "version", STATE_VERSION, "auth",
			  m->auth == MESH_JWT ? "jwt" : "nkey", "local", m->local, "unattended",
			  m->unattended, "days", (json_int_t)m->days, "created",
			  (json_int_t)m->created, "changed", (json_int_t)m->changed);
	CLEAN(json) json_t *sans = json_array();
	char path[PATH_MAX];
	bool wrote = false;

	for (size_t i = 0; i < NTEXTS; i++)
		json_object_set_new(j, texts[i].key, json_string((const char *)m + texts[i].at));
	for (unsigned i = 0; i < m->nsans; i++)
		json_array_append_new(sans, json_string(m->sans[i]));
	json_object_set(j, "sans", sans);
	json_object_set_new(j, "nodes", nodes_json(m));
	/* The last one: a member that memory was lacking for cannot be read again. */
	if (json_object_set_new(j, "users", users_json(m)))
		return err_set(e, ERR_NOMEM, NULL);
	buf_init(&b, STATE_MAX);
	if (json_text(j, JSON_INDENTED, &b, e) || mesh_path(m, path, "authority", "mesh.json", e))
		return -1;
	buf_u8(&b, '\n');
	if (b.bad)
		return err_set(e, ERR_NOMEM, NULL);
	return mesh_put(m, path, PLACE_SECRET, b.p, b.len, &wrote, e);
}
