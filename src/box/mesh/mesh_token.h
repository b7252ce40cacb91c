/* The JWTs of a mesh with --auth jwt. They are functions of authority/: the same each time. */
#ifndef BOX_MESH_MESH_TOKEN_H
#define BOX_MESH_MESH_TOKEN_H

#include "box/mesh/mesh_keys.h"

/* Appends the token of the operator, of the system's account, of the HSM's account with its
 * scoped signing keys and revocations. */
int mesh_operator_token(const struct mesh *m, const struct mesh_keys *k, struct buf *out,
			struct err *e);
int mesh_sys_token(const struct mesh *m, const struct mesh_keys *k, struct buf *out, struct err *e);
int mesh_account_token(const struct mesh *m, const struct mesh_keys *k, struct buf *out,
		       struct err *e);
/* Appends the creds file of a user of the HSM's account, whom the scope's key permits what
 * it may, or of the system's account (which < 0). issued: seconds since 1970. */
int mesh_user_creds(const struct mesh_keys *k, int which, const char *name, const struct nkey *user,
		    int64_t issued, struct buf *out, struct err *e);

#endif
