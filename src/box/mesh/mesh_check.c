/* mesh check: compares what is there with what would be made, and changes nothing. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "box/mesh/mesh_cmd.h"
#include "box/mesh/mesh_make.h"
#include "box/mesh/mesh_node.h"
#include "box/mesh/mesh_place.h"
#include "box/mesh/mesh_plan.h"
#include "ui/table.h"

#define FILE_MAX ((size_t)16 << 20)
#define DAY 86400

struct check {
	const struct mesh *m;
	json_t *rows;
	unsigned faults, soon;
};

/* A line of the report. until 0: no certificate. */
static void put(struct check *k, const char *dir, const char *name, const char *state,
		const char *why, int64_t until)
{
	CLEAN(json) json_t *row =
		json_pack("{s:s,s:s,s:s}", "where", dir, "what", name, "state", state);
	char text[32];
	struct tm tm;
	time_t t = (time_t)until;

	if (*why)
		json_object_set_new(row, "why", json_string(why));
	if (until && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%FT%TZ", &tm)) {
		json_object_set_new(row, "until", json_string(text));
		json_object_set_new(row, "days",
				    json_integer((json_int_t)((until - time(NULL)) / DAY)));
	}
	k->faults += strcmp(state, "wrong") == 0;
	k->soon += strcmp(state, "ends soon") == 0;
	json_array_append(k->rows, row);
}

/* Owner and mode; false when there is no such thing. */
static bool look(struct check *k, const char *dir, const char *name, const char *path, bool is_dir,
		 mode_t mode)
{
	struct stat st;
	char why[160];

	if (lstat(path, &st)) {
		put(k, dir, name, "wrong", errno == ENOENT ? "missing" : strerror(errno), 0);
		return false;
	}
	if (is_dir ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode)) {
		put(k, dir, name, "wrong", is_dir ? "not a directory" : "not a regular file", 0);
		return false;
	}
	if (st.st_uid != k->m->uid) {
		(void)snprintf(why, sizeof(why), "belongs to uid %u, not %u", st.st_uid, k->m->uid);
		put(k, dir, name, "wrong", why, 0);
	}
	if ((st.st_mode & 07777) != mode) {
		(void)snprintf(why, sizeof(why), "its mode is %04o, not %04o", st.st_mode & 07777,
			       mode);
		put(k, dir, name, "wrong", why, 0);
	}
	return true;
}

static int check_file(struct check *k, const struct mesh_file *f, struct err *e)
{
	CLEAN(buf) struct buf have = {0};
	char path[PATH_MAX];
	struct err why;

	if (mesh_path(k->m, path, f->dir, f->name, e))
		return -1;
	if (f->gone) {
		if (access(path, F_OK) == 0)
			put(k, f->dir, f->name, "wrong", "of a user who was removed", 0);
		return 0;
	}
	if (!look(k, f->dir, f->name, path, false, mesh_mode(f->kind)))
		return 0;
	buf_init(&have, FILE_MAX);
	have.secret = true;
	if (mesh_read(path, &have, &why))
		put(k, f->dir, f->name, "wrong", why.text, 0);
	else if (have.len != f->text.len || !secret_equal(have.p, f->text.p, have.len))
		put(k, f->dir, f->name, "wrong",
		    f->kind == PLACE_KEY ? "another key than the authority's"
					 : "not what the mesh would write",
		    0);
	return 0;
}

static int check_node(struct check *k, const struct mesh_keys *keys, const struct mesh_node *n,
		      struct err *e)
{
	CLEAN(buf) struct buf pem = {0};
	CLEAN(buf) struct buf cert = {0};
	CLEAN(pkey) EVP_PKEY *key = NULL;
	CLEAN(x509) X509 *c = NULL;
	char path[PATH_MAX];
	struct mesh_names names;
	struct err why;
	bool due = false;

	buf_init(&pem, FILE_MAX);
	buf_init(&cert, FILE_MAX);
	pem.secret = true;
	if (mesh_path(k->m, path, n->name, "key.pem", e))
		return -1;
	if (look(k, n->name, "key.pem", path, false, mesh_mode(PLACE_KEY))) {
		if (!mesh_read(path, &pem, &why))
			key = x509_key_read(path, &pem, &why);
		if (!key)
			put(k, n->name, "key.pem", "wrong", why.text, 0);
	}
	if (mesh_path(k->m, path, n->name, "cert.pem", e))
		return -1;
	if (!look(k, n->name, "cert.pem", path, false, mesh_mode(PLACE_PUBLIC)))
		return 0;
	if (!mesh_read(path, &cert, &why))
		c = x509_read(path, &cert, &why);
	if (!c) {
		put(k, n->name, "cert.pem", "wrong", why.text, 0);
		return 0;
	}
	mesh_names(k->m, n, &names);
	int64_t from, until;
	const char *fault = x509_fault(c, &names.node, key, keys->ca, time(NULL), &due);

	x509_times(c, &from, &until);
	put(k, n->name, "cert.pem", *fault ? "wrong" : due ? "ends soon" : "good", fault, until);
	return 0;
}

static int check_dirs(struct check *k, struct err *e)
{
	char path[PATH_MAX];
	const char *dir;

	for (size_t i = 0; (dir = mesh_plan_dir(k->m, i)); i++) {
		if (mesh_path(k->m, path, dir, "", e))
			return -1;
		(void)look(k, dir, ".", path, true, 0700);
	}
	return 0;
}

/* Secrets of the authority: mesh_keys has read them; here are owners and modes. */
static int check_authority(struct check *k, const struct mesh_keys *keys, struct err *e)
{
	char path[PATH_MAX];
	const char *name;
	int64_t from, until;
	bool due = false;

	for (size_t i = 0; (name = mesh_keys_name(k->m, i)); i++) {
		if (mesh_path(k->m, path, "authority", name, e))
			return -1;
		(void)look(k, "authority", name, path, false, mesh_mode(PLACE_KEY));
	}
	const char *fault = x509_ca_fault(keys->ca, keys->ca_key, time(NULL), &due);

	x509_times(keys->ca, &from, &until);
	put(k, "authority", "ca.pem", *fault ? "wrong" : due ? "ends soon" : "good", fault, until);
	return 0;
}

static int check_all(struct check *k, struct err *e)
{
	CLEAN(mesh_keys) struct mesh_keys keys = {0};
	CLEAN(mesh_plan) struct mesh_plan p = {0};
	struct err why;

	if (check_dirs(k, e))
		return -1;
	if (mesh_keys(k->m, &keys, false, &why) || mesh_plan(k->m, &keys, &p, &why)) {
		put(k, "authority", "secrets", "wrong", why.text, 0);
		return 0;
	}
	if (check_authority(k, &keys, e))
		return -1;
	for (size_t i = 0; i < p.n; i++)
		if (check_file(k, &p.files[i], e))
			return -1;
	for (unsigned i = 0; i < k->m->nnodes; i++)
		if (check_node(k, &keys, &k->m->nodes[i], e))
			return -1;
	return 0;
}

static void print(const struct check *k)
{
	CLEAN(table) struct table *t = table_new();
	json_t *row;
	size_t i;

	table_col(t, "Where", TABLE_LEFT);
	table_col(t, "What", TABLE_LEFT);
	table_col(t, "State", TABLE_LEFT);
	table_col(t, "Until", TABLE_LEFT);
	table_col(t, "Days", TABLE_RIGHT);
	table_col(t, "Why", TABLE_FLEX);
	json_array_foreach(k->rows, i, row)
	{
		static const char *const keys[] = {"where", "what", "state", "until"};
		const json_t *days = json_object_get(row, "days");

		for (size_t n = 0; n < sizeof(keys) / sizeof(keys[0]); n++)
			table_text(t, json_string_value(json_object_get(row, keys[n])));
		if (days)
			table_num(t, json_integer_value(days));
		else
			table_text(t, NULL);
		table_text(t, json_string_value(json_object_get(row, "why")));
	}
	table_print(t, stdout);
}

int mesh_do_check(struct cli *c, struct err *e)
{
	CLEAN(mesh) struct mesh *m = mesh_new(e);
	CLEAN(json) json_t *rows = json_array();
	struct check k = {.m = m, .rows = rows};
	char path[PATH_MAX];
	bool found;

	if (!m || mesh_open(m, c, e) || mesh_path(m, path, "authority", "mesh.json", e))
		return -1;
	if (access(path, F_OK) && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "there is no mesh in %s: 'mesh init' makes one",
			       m->dir);
	if (mesh_lock(m, e) || mesh_load(m, &found, e) || check_all(&k, e))
		return -1;
	const char *state = k.faults ? "wrong" : k.soon ? "ends soon" : "good";

	if (cli_has(c, "json")) {
		CLEAN(json) json_t *j =
			json_pack("{s:s,s:s,s:O}", "dir", m->dir, "state", state, "checks", rows);

		if (!j || json_print(j, stdout, e))
			return j ? -1 : err_set(e, ERR_NOMEM, NULL);
	} else {
		print(&k);
	}
	if (k.faults)
		mesh_say(m, "wrong: %u; 'mesh init' puts right what can be made anew", k.faults);
	if (k.soon)
		mesh_say(m, "certificates that end soon: %u; 'mesh init' makes new ones", k.soon);
	return k.faults || k.soon ? 1 : 0;
}
