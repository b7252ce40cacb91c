#include "box/mesh/mesh_make.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "box/mesh/mesh_node.h"
#include "box/mesh/mesh_place.h"
#include "box/mesh/mesh_plan.h"

static int parse_owner(struct mesh *m, const char *text, struct err *e)
{
	char *end;
	unsigned long uid = strtoul(text, &end, 10), gid = uid;
	const char *colon = end;

	if (end != text && *end == ':')
		gid = strtoul(colon + 1, &end, 10);
	if (*end || end == text || (*colon && end == colon + 1) || *text == '-' ||
	    uid >= UINT32_MAX || gid >= UINT32_MAX)
		return cli_usage(e, "--owner is UID:GID in numbers, not '%.40s'", text);
	if (geteuid() != 0 && (uid != geteuid() || gid != getegid()))
		return err_set(e, ERR_DENIED,
			       "only root can give files to %lu:%lu: run this as that user and "
			       "without --owner, or as root",
			       uid, gid);
	m->chown = geteuid() == 0;
	m->uid = (uid_t)uid;
	m->gid = (gid_t)gid;
	return 0;
}

/* Root gives the files to whom the directory belongs: a volume's owner is its service's. */
static int default_owner(struct mesh *m, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;

	m->uid = geteuid();
	m->gid = getegid();
	if (m->uid != 0)
		return 0;
	if (mesh_path(m, path, "authority", "", e))
		return -1;
	if (stat(path, &st) && stat(m->dir, &st))
		return 0;
	m->chown = true;
	m->uid = st.st_uid;
	m->gid = st.st_gid;
	return 0;
}

int mesh_open(struct mesh *m, const struct cli *c, struct err *e)
{
	const char *dir = cli_str(c, "dir"), *owner = cli_str(c, "owner"),
		   *env = getenv("MESH_DIR");
	char here[PATH_MAX] = "";
	size_t n;

	dir = dir ? dir : env && *env ? env : "/mesh";
	m->quiet = cli_has(c, "quiet");
	for (const char *s = dir; *s; s++)
		if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\' || *s == 0x7f)
			return cli_usage(e, "bad character in --dir");
	if (!*dir || strlen(dir) > PATH_MAX / 2 || (*dir != '/' && !getcwd(here, PATH_MAX / 2)))
		return cli_usage(e, "--dir is empty or too long");
	if (snprintf(m->dir, sizeof(m->dir), "%s%s%s", *dir == '/' ? "" : here,
		     *dir == '/' ? "" : "/", dir) >= (int)sizeof(m->dir))
		return cli_usage(e, "--dir is too long");
	for (n = strlen(m->dir); n > 1 && m->dir[n - 1] == '/'; n--)
		m->dir[n - 1] = '\0';
	return owner ? parse_owner(m, owner, e) : default_owner(m, e);
}

/* Removes the seed of a user who was taken out, but not that of one who came after him. */
static int drop_seed(const struct mesh *m, const char *dir, const struct mesh_user *u,
		     struct err *e)
{
	char path[PATH_MAX], file[MESH_NAME + 4], pub[NKEY_PUB_LEN];
	CLEAN(nkey) struct nkey k = {0};
	bool there, removed;

	(void)snprintf(file, sizeof(file), "%s.nk", u->name);
	if (mesh_path(m, path, dir, file, e))
		return -1;
	if (access(path, F_OK) && errno == ENOENT)
		return 0;
	if (mesh_there(path, &there, e) || mesh_seed(path, NKEY_USER, &k, e))
		return -1;
	nkey_pub_text(&k, pub);
	return strcmp(pub, u->nkey) == 0 ? mesh_remove(path, &removed, e) : 0;
}

/* What an interrupted removal left: mesh.json comes first, then the files. */
static int drop_gone(const struct mesh *m, struct err *e)
{
	for (unsigned i = 0; i < m->nusers; i++)
		if (m->users[i].gone && (drop_seed(m, "authority/users", &m->users[i], e) ||
					 drop_seed(m, "box", &m->users[i], e)))
			return -1;
	return 0;
}

int mesh_begin(struct mesh *m, bool need, struct err *e)
{
	char path[PATH_MAX], file[PATH_MAX];
	bool found;

	if (mesh_path(m, path, "authority", "", e) ||
	    mesh_path(m, file, "authority", "mesh.json", e))
		return -1;
	if (need && access(file, F_OK) && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "there is no mesh in %s: 'mesh init' makes one",
			       m->dir);
	if (access(m->dir, F_OK) && (file_mkdirs(m->dir, 0700, e) || mesh_dir(m, m->dir, e)))
		return -1;
	if (mesh_dir(m, path, e) || mesh_lock(m, e) || mesh_load(m, &found, e))
		return -1;
	return drop_gone(m, e);
}

/* Without authority/mesh.json nothing may be in the services' directories: it would be of
 * another authority, whose loss must not pass unseen. */
static int check_fresh(const struct mesh *m, struct err *e)
{
	const char *dir;

	for (size_t i = 2; (dir = mesh_plan_dir(m, i)); i++) {
		static const char *const keys[] = {"key.pem", "device_key", "unlock_passphrase"};

		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
			char path[PATH_MAX];
			bool there;

			if (mesh_path(m, path, dir, keys[k], e))
				return -1;
			if (access(path, F_OK) && errno == ENOENT)
				continue;
			if (mesh_there(path, &there, e))
				return -1;
			return err_set(
				e, ERR_WRONG_STATE,
				"%s is there, but authority/mesh.json is not: bring "
				"authority/ back from a backup, or empty all directories for "
				"a new mesh",
				path);
		}
	}
	return 0;
}

/* Pairs of the users; their public keys go into mesh.json. */
static int make_users(struct mesh *m, struct err *e)
{
	int64_t now = time(NULL);

	for (unsigned i = 0; i < m->nusers; i++) {
		struct mesh_user *u = &m->users[i];
		CLEAN(nkey) struct nkey k = {0};

		if (u->gone)
			continue;
		if (mesh_user_key(m, u->name, u->nkey, true, &k, e))
			return -1;
		nkey_pub_text(&k, u->nkey);
		if (!u->issued)
			u->issued = now;
	}
	return 0;
}

static int make_dirs(const struct mesh *m, struct err *e)
{
	static const char *const local[] = {"data", "anchor", "identity"};
	char path[PATH_MAX];
	const char *dir;

	for (size_t i = 0; (dir = mesh_plan_dir(m, i)); i++)
		if (mesh_path(m, path, dir, "", e) || mesh_dir(m, path, e) || mesh_sweep(path, e))
			return -1;
	for (size_t i = 0; m->local && i < sizeof(local) / sizeof(local[0]); i++)
		if (mesh_path(m, path, local[i], "", e) || mesh_dir(m, path, e))
			return -1;
	return 0;
}

static void note(const struct mesh *m, const char *dir, struct mesh_done *d)
{
	d->files++;
	for (unsigned i = 0; i < m->nnodes; i++)
		d->changed[i] |= strcmp(m->nodes[i].name, dir) == 0;
	d->hsm |= strcmp(dir, m->hsm) == 0;
	d->box |= strncmp(dir, "box", 3) == 0 && (!dir[3] || dir[3] == '/');
}

static int make_services(const struct mesh *m, const struct mesh_keys *k, bool renew,
			 struct mesh_done *d, struct err *e)
{
	CLEAN(mesh_plan) struct mesh_plan p = {0};

	if (mesh_plan(m, k, &p, e))
		return -1;
	for (size_t i = 0; i < p.n; i++) {
		const struct mesh_file *f = &p.files[i];
		char path[PATH_MAX];
		bool wrote = false;

		if (mesh_path(m, path, f->dir, f->name, e) ||
		    (f->gone ? mesh_remove(path, &wrote, e)
			     : mesh_put(m, path, f->kind, f->text.p, f->text.len, &wrote, e)))
			return -1;
		if (wrote)
			note(m, f->dir, d);
	}
	for (unsigned i = 0; i < m->nnodes; i++) {
		bool wrote = false;

		if (mesh_node_make(m, k, &m->nodes[i], renew, &wrote, e))
			return -1;
		if (wrote)
			note(m, m->nodes[i].name, d);
	}
	return 0;
}

int mesh_make(struct mesh *m, bool renew, bool ca, struct mesh_done *d, struct err *e)
{
	CLEAN(mesh_keys) struct mesh_keys k = {0};

	memset(d, 0, sizeof(*d));
	d->fresh = !m->ready;
	if (!m->ready && check_fresh(m, e))
		return -1;
	if (make_dirs(m, e) || mesh_keys(m, &k, true, e) || (ca && mesh_ca_renew(m, &k, e)) ||
	    make_users(m, e) || mesh_save(m, e))
		return -1;
	m->ready = true;
	return make_services(m, &k, renew, d, e);
}

/* Servers that were made just now have not been started. */
static void tell_reload(const struct mesh *m, const struct mesh_done *d)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 8192);
	for (unsigned i = 0; i < m->nnodes; i++)
		if (d->changed[i])
			buf_printf(&b, " %s", m->nodes[i].name);
	buf_u8(&b, 0);
	if (b.len > 1 && !b.bad && !d->fresh)
		mesh_say(m, "servers that run must read their files again (SIGHUP):%s",
			 (const char *)b.p);
}

int mesh_report(struct cli *c, const struct mesh *m, const struct mesh_done *d, struct err *e)
{
	const char *auth = m->auth == MESH_JWT ? "jwt" : "nkey";
	CLEAN(json) json_t *reload = json_array();
	unsigned users = 0;

	for (unsigned i = 0; i < m->nusers; i++)
		users += !m->users[i].gone;
	for (unsigned i = 0; i < m->nnodes; i++)
		if (d->changed[i])
			json_array_append_new(reload, json_string(m->nodes[i].name));
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *j = json_pack(
			"{s:s,s:s,s:i,s:i,s:i,s:O,s:b,s:b}", "dir", m->dir, "auth", auth, "nodes",
			(int)m->nnodes, "users", (int)users, "written", (int)d->files,
			"changed_nodes", reload, "changed_hsm", d->hsm, "changed_box", d->box);

		return j ? json_print(j, stdout, e) : err_set(e, ERR_NOMEM, NULL);
	}
	printf("%s: %u nodes, %u users, authentication by %s; %u files written\n", m->dir,
	       m->nnodes, users, auth, d->files);
	tell_reload(m, d);
	return 0;
}
