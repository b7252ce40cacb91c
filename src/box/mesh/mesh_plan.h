/* The files of the services: what is in each, as a function of authority/. The nodes' keys
 * and certificates are not among them (mesh_node.h). */
#ifndef BOX_MESH_MESH_PLAN_H
#define BOX_MESH_MESH_PLAN_H

#include "box/mesh/mesh_keys.h"
#include "box/mesh/mesh_place.h"

struct mesh_file {
	char dir[MESH_NAME + 16]; /* "box", "box/nats/context" */
	char name[MESH_NAME + 16];
	enum mesh_kind kind;
	bool gone; /* must not be there */
	struct buf text;
};

struct mesh_plan {
	struct mesh_file *files;
	size_t n, cap;
};
void mesh_plan_free(struct mesh_plan *p);
static inline void cleanup_mesh_plan(struct mesh_plan *p)
{
	mesh_plan_free(p);
}

/* All files, directory by directory. Errors: NOMEM, TOO_LARGE, those of the keys. */
int mesh_plan(const struct mesh *m, const struct mesh_keys *k, struct mesh_plan *p, struct err *e);
/* Directories in which files are, parents first; NULL at the end. */
const char *mesh_plan_dir(const struct mesh *m, size_t i);

/* For mesh_plan.c: a new file, to be filled. */
struct buf *mesh_plan_add(struct mesh_plan *p, const char *dir, const char *name,
			  enum mesh_kind kind, struct err *e);
/* Texts of the servers' and the HSM's configuration (mesh_conf.c). */
int mesh_conf_server(const struct mesh *m, const struct mesh_keys *k, const struct mesh_node *n,
		     struct buf *b, struct err *e);
int mesh_conf_accounts(const struct mesh *m, const struct mesh_keys *k, struct buf *b,
		       struct err *e);
/* Addresses of all servers, with commas. */
void mesh_conf_url(const struct mesh *m, struct buf *b);
void mesh_conf_hsm(const struct mesh *m, struct buf *b);
void mesh_conf_setup(const struct mesh *m, struct buf *b);
/* Where a service finds its own directory; dir is "hsm", "box" or a node's name. */
const char *mesh_mount(const struct mesh *m, const char *dir, char out[static PATH_MAX]);

#endif
