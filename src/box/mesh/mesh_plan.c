#include "box/mesh/mesh_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "box/mesh/mesh_token.h"

#define TEXT_MAX ((size_t)16 << 20)
#define CONTEXTS "box/nats/context"

void mesh_plan_free(struct mesh_plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		buf_free(&p->files[i].text);
	free(p->files);
	memset(p, 0, sizeof(*p));
}

struct buf *mesh_plan_add(struct mesh_plan *p, const char *dir, const char *name,
			  enum mesh_kind kind, struct err *e)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 64;
		struct mesh_file *more = reallocarray(p->files, cap, sizeof(*more));

		if (!more) {
			err_set(e, ERR_NOMEM, NULL);
			return NULL;
		}
		p->files = more;
		p->cap = cap;
	}
	struct mesh_file *f = &p->files[p->n++];

	memset(f, 0, sizeof(*f));
	(void)snprintf(f->dir, sizeof(f->dir), "%s", dir);
	(void)snprintf(f->name, sizeof(f->name), "%s", name);
	f->kind = kind;
	buf_init(&f->text, TEXT_MAX);
	f->text.secret = kind != PLACE_PUBLIC;
	return &f->text;
}

static int put_bytes(struct mesh_plan *p, const char *dir, const char *name, enum mesh_kind kind,
		     const void *bytes, size_t n, struct err *e)
{
	struct buf *b = mesh_plan_add(p, dir, name, kind, e);

	if (!b)
		return -1;
	buf_put(b, bytes, n);
	/* Secrets were read without the newline at their end. */
	if (kind == PLACE_KEY)
		buf_u8(b, '\n');
	return b->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

/* Straight into the buffer: no other memory has it. */
static int seed_line(struct buf *b, const struct nkey *k, struct err *e)
{
	char *seed = (char *)buf_space(b, NKEY_SEED_LEN);

	if (!seed)
		return err_set(e, ERR_NOMEM, NULL);
	nkey_seed_text(k, seed);
	seed[NKEY_SEED_LEN - 1] = '\n';
	return 0;
}

static int put_seed(struct mesh_plan *p, const char *dir, const char *name, const struct nkey *k,
		    struct err *e)
{
	struct buf *b = mesh_plan_add(p, dir, name, PLACE_KEY, e);

	return b ? seed_line(b, k, e) : -1;
}

static int put_node(const struct mesh *m, const struct mesh_keys *k, const struct mesh_node *n,
		    struct mesh_plan *p, struct err *e)
{
	struct buf *b;

	if (put_bytes(p, n->name, "ca.pem", PLACE_PUBLIC, k->ca_pem.p, k->ca_pem.len, e))
		return -1;
	b = mesh_plan_add(p, n->name, "accounts.conf", PLACE_PUBLIC, e);
	if (!b || mesh_conf_accounts(m, k, b, e))
		return -1;
	b = mesh_plan_add(p, n->name, "nats-server.conf", PLACE_SECRET, e);
	return b ? mesh_conf_server(m, k, n, b, e) : -1;
}

static int put_hsm(const struct mesh *m, const struct mesh_keys *k, struct mesh_plan *p,
		   struct err *e)
{
	struct buf *b;

	if (put_bytes(p, m->hsm, "ca.pem", PLACE_PUBLIC, k->ca_pem.p, k->ca_pem.len, e) ||
	    put_bytes(p, m->hsm, "device_key", PLACE_KEY, k->device.p, k->device.len, e))
		return -1;
	if (m->auth == MESH_NKEY) {
		if (put_seed(p, m->hsm, "nats_nkey", &k->hsm, e))
			return -1;
	} else {
		b = mesh_plan_add(p, m->hsm, "nats.creds", PLACE_SECRET, e);
		if (!b || mesh_user_creds(k, PERM_SERVICE, m->hsm, &k->hsm, m->created, b, e))
			return -1;
	}
	b = mesh_plan_add(p, m->hsm, "hsm.yaml", PLACE_PUBLIC, e);
	if (!b)
		return -1;
	mesh_conf_hsm(m, b);
	return b->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

/* A context of natscli: servers, CA, and the user's seed or creds. Everybody but the
 * system's user has inboxes of his own. */
static int put_context(const struct mesh *m, struct mesh_plan *p, const char *name, int which,
		       const char *about, const struct nkey *user, struct err *e)
{
	char file[MESH_NAME + 8], mount[PATH_MAX], pub[NKEY_PUB_LEN];
	char inbox[NKEY_PUB_LEN + 8] = "_INBOX", ca[PATH_MAX + 16], login[PATH_MAX + MESH_NAME + 8];
	bool jwt = m->auth == MESH_JWT;
	CLEAN(buf) struct buf url = {0};
	struct buf *b;

	(void)snprintf(file, sizeof(file), "%s.json", name);
	b = mesh_plan_add(p, CONTEXTS, file, PLACE_PUBLIC, e);
	if (!b)
		return -1;
	mesh_mount(m, "box", mount);
	nkey_pub_text(user, pub);
	if (which >= 0)
		(void)snprintf(inbox, sizeof(inbox), "_INBOX.%s", pub);
	(void)snprintf(ca, sizeof(ca), "%s/ca.pem", mount);
	(void)snprintf(login, sizeof(login), "%s/%s.%s", mount, name, jwt ? "creds" : "nk");
	buf_init(&url, TEXT_MAX);
	mesh_conf_url(m, &url);
	buf_u8(&url, 0);
	if (url.bad)
		return err_set(e, ERR_NOMEM, NULL);
	CLEAN(json) json_t *j =
		json_pack("{s:s,s:s,s:s,s:s,s:s}", "description", about, "url", (char *)url.p,
			  jwt ? "creds" : "nkey", login, "ca", ca, "inbox_prefix", inbox);
	if (!j)
		return err_set(e, ERR_NOMEM, NULL);
	return json_text(j, JSON_INDENTED, b, e);
}

/* A user's seed, creds and context in the box. which < 0: of the system's account. */
static int put_user(const struct mesh *m, const struct mesh_keys *k, struct mesh_plan *p,
		    const char *name, int which, const struct nkey *user, int64_t issued,
		    struct err *e)
{
	char file[MESH_NAME + 8];
	const char *about = which < 0		    ? "the servers: nats server ls, report, events"
			    : which == PERM_MONITOR ? "the services: nats micro ls, ping, stats"
			    : which == PERM_PLAIN   ? "user of the HSM, on the plain surface too"
						    : "user of the HSM";
	struct buf *b;

	(void)snprintf(file, sizeof(file), "%s.nk", name);
	if (put_seed(p, "box", file, user, e))
		return -1;
	/* One name in both modes: creds without a JWT are the seed alone (src/conn). */
	(void)snprintf(file, sizeof(file), "%s.creds", name);
	b = mesh_plan_add(p, "box", file, PLACE_SECRET, e);
	if (!b || (m->auth == MESH_JWT ? mesh_user_creds(k, which, name, user, issued, b, e)
				       : seed_line(b, user, e)))
		return -1;
	return put_context(m, p, name, which, about, user, e);
}

/* A user who was taken out, and has no successor of that name. */
static int put_gone(const struct mesh *m, struct mesh_plan *p, const char *name, struct err *e)
{
	static const struct {
		const char *dir, *suffix;
	} files[] = {
		{"authority/users", ".nk"}, {"box", ".nk"}, {"box", ".creds"}, {CONTEXTS, ".json"}};
	char file[MESH_NAME + 8];

	if (mesh_user((struct mesh *)(uintptr_t)m, name))
		return 0;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(file, sizeof(file), "%s%s", name, files[i].suffix);
		if (!mesh_plan_add(p, files[i].dir, file, PLACE_PUBLIC, e))
			return -1;
		p->files[p->n - 1].gone = true;
	}
	return 0;
}

static int put_box(const struct mesh *m, const struct mesh_keys *k, struct mesh_plan *p,
		   struct err *e)
{
	struct buf *b;

	if (put_bytes(p, "box", "ca.pem", PLACE_PUBLIC, k->ca_pem.p, k->ca_pem.len, e) ||
	    put_bytes(p, "box", "unlock_passphrase", PLACE_KEY, k->passphrase.p, k->passphrase.len,
		      e) ||
	    put_user(m, k, p, MESH_SYSTEM, -1, &k->system, m->created, e) ||
	    put_user(m, k, p, MESH_MONITOR, PERM_MONITOR, &k->monitor, m->created, e))
		return -1;
	for (unsigned i = 0; i < m->nusers; i++) {
		const struct mesh_user *u = &m->users[i];
		CLEAN(nkey) struct nkey pair = {0};

		if (u->gone) {
			if (put_gone(m, p, u->name, e))
				return -1;
			continue;
		}
		if (mesh_user_key(m, u->name, u->nkey, false, &pair, e) ||
		    put_user(m, k, p, u->name, u->plain ? PERM_PLAIN : PERM_SESSION, &pair,
			     u->issued, e))
			return -1;
	}
	b = mesh_plan_add(p, "box", "setup.yaml", PLACE_PUBLIC, e);
	if (!b)
		return -1;
	mesh_conf_setup(m, b);
	if (b->bad)
		return err_set(e, ERR_NOMEM, NULL);
	return put_bytes(p, "box/nats", "context.txt", PLACE_PUBLIC, MESH_SYSTEM,
			 strlen(MESH_SYSTEM), e);
}

int mesh_plan(const struct mesh *m, const struct mesh_keys *k, struct mesh_plan *p, struct err *e)
{
	for (unsigned i = 0; i < m->nnodes; i++)
		if (put_node(m, k, &m->nodes[i], p, e))
			return -1;
	return put_hsm(m, k, p, e) || put_box(m, k, p, e) ? -1 : 0;
}

const char *mesh_plan_dir(const struct mesh *m, size_t i)
{
	const char *const dirs[] = {"authority", "authority/users", m->hsm,
				    "box",	 "box/nats",	    CONTEXTS};
	size_t n = sizeof(dirs) / sizeof(dirs[0]);

	if (i < n)
		return dirs[i];
	return i - n < m->nnodes ? m->nodes[i - n].name : NULL;
}
