/* What each kind of NATS user may publish and subscribe to: one table for the servers'
 * configuration (nats-config, mesh) and for the scopes of an account's signing keys
 * (mesh). nats/README.md says why it is like this. */
#ifndef BOX_MESH_MESH_PERM_H
#define BOX_MESH_MESH_PERM_H

#include "base/buf.h"

enum mesh_perm {
	PERM_SERVICE, /* the HSM: answers into inboxes, never anywhere else */
	PERM_SESSION, /* a user of sessions */
	PERM_PLAIN,   /* also of the plain surface */
	PERM_MONITOR, /* lists, pings and asks services for statistics */
	PERM_COUNT
};

struct mesh_perm_row {
	const char *role;    /* of the scope: "service", "session", … */
	const char *comment; /* before such a user in a configuration, or NULL */
	/* Subjects, NULL at the end; {{subject()}} is the user's own NKey. */
	const char *pub[4], *sub[4];
};
extern const struct mesh_perm_row mesh_perms[PERM_COUNT];

/* Appends a user with this public NKey as an item of `users: […]`. identity (or NULL):
 * only with this HSM sessions may be opened. */
void mesh_perm_put(struct buf *b, enum mesh_perm which, const char *nkey, const char *identity);

#endif
