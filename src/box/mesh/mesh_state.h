/* A mesh: its settings and users, as authority/mesh.json has them, and where it is. */
#ifndef BOX_MESH_MESH_STATE_H
#define BOX_MESH_MESH_STATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "nkey/nkey.h"
#include "json/json.h"

#define MESH_NODES 32
#define MESH_USERS 1024
#define MESH_SANS 32
#define MESH_NAME 64 /* longest name, with the NUL */
#define MESH_TEXT 256

/* Users of NATS alone, beside those of the HSM. */
#define MESH_SYSTEM "system"
#define MESH_MONITOR "monitor"

enum mesh_auth { MESH_NKEY, MESH_JWT };

struct mesh_node {
	char name[MESH_NAME];
	char host[MESH_TEXT];	   /* by which the others and the clients reach it */
	int64_t port, route, http; /* http 0: no monitoring pages */
};

struct mesh_user {
	char name[MESH_NAME];
	char nkey[NKEY_PUB_LEN];
	bool admin, plain;
	bool gone;	 /* was taken out: revoked */
	int64_t issued;	 /* iat of its JWT */
	int64_t revoked; /* tokens up to here are void; 0: none */
};

struct mesh {
	char dir[PATH_MAX];
	/* Who shall own the files, when this is root. */
	bool chown;
	uid_t uid;
	gid_t gid;
	bool quiet;

	enum mesh_auth auth;
	char cluster[MESH_NAME], hsm[MESH_NAME];
	char bind[MESH_TEXT]; /* address that servers listen on */
	char mount_nats[PATH_MAX], mount_hsm[PATH_MAX], mount_box[PATH_MAX];
	char data[PATH_MAX], anchor[PATH_MAX], identity[PATH_MAX];
	bool local;		  /* no containers: mounts are the directories themselves */
	char jetstream[PATH_MAX]; /* directory of JetStream, "" without it */
	bool unattended;
	int64_t days;
	int64_t created, changed;
	bool ready; /* mesh.json is there: authority/ was complete */
	unsigned nnodes;
	struct mesh_node nodes[MESH_NODES];
	unsigned nsans;
	char sans[MESH_SANS][MESH_TEXT];
	unsigned nusers;
	struct mesh_user *users; /* MESH_USERS */
};

struct mesh *mesh_new(struct err *e);
void mesh_free(struct mesh *m);
static inline void cleanup_mesh(struct mesh **m)
{
	mesh_free(*m);
}

/* "NAME" of a node, a user, the cluster or the HSM: lower-case letters, digits, '-' and (not
 * in nodes) '_' and '.', at most 63, beginning with a letter or digit. */
bool mesh_name_ok(const char *name, bool host);
/* The user of that name, also one that is gone; NULL: there is none. */
struct mesh_user *mesh_user(struct mesh *m, const char *name);
struct mesh_node *mesh_node(struct mesh *m, const char *name);
/* Adds one. Errors: BAD_NAME, EXISTS, TOO_LARGE. */
struct mesh_node *mesh_node_add(struct mesh *m, const char *name, struct err *e);
struct mesh_user *mesh_user_add(struct mesh *m, const char *name, struct err *e);

/* Path of a file below the mesh: mesh_path(m, out, "hsm", "hsm.yaml"). Errors: TOO_LARGE. */
int mesh_path(const struct mesh *m, char out[static PATH_MAX], const char *dir, const char *name,
	      struct err *e);
/* Reads authority/mesh.json; *found false when it is not there. Errors: BAD_JSON, IO. */
int mesh_load(struct mesh *m, bool *found, struct err *e);
/* Writes it, in one step. */
int mesh_save(const struct mesh *m, struct err *e);

#endif
