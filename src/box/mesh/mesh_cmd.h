/* The commands of mesh. */
#ifndef BOX_MESH_MESH_CMD_H
#define BOX_MESH_MESH_CMD_H

#include "box/mesh/mesh_state.h"
#include "ui/cli.h"

cli_run mesh_do_init, mesh_do_check, mesh_do_renew, mesh_do_user_add, mesh_do_user_ls,
	mesh_do_user_set, mesh_do_user_rm;

/* Another right of a user, or none any more: what was issued to him before is revoked. 1
 * when that is a change. */
int mesh_change_user(struct mesh *m, struct mesh_user *u, bool plain, bool gone);

#endif
