/* Bringing the directories of a mesh into the state that authority/ says. */
#ifndef BOX_MESH_MESH_MAKE_H
#define BOX_MESH_MESH_MAKE_H

#include "box/mesh/mesh_keys.h"
#include "ui/cli.h"

/* Directory and owner of the command line into an empty mesh. */
int mesh_open(struct mesh *m, const struct cli *c, struct err *e);
/* Directory authority/ and the lock, then what mesh.json says. With need, a mesh that is not
 * there is an error. */
int mesh_begin(struct mesh *m, bool need, struct err *e);

struct mesh_done {
	unsigned files;		  /* written or removed */
	bool changed[MESH_NODES]; /* configuration, users or certificate of a node */
	bool hsm, box;
	bool fresh; /* there was no mesh before */
};
/* Makes all that is missing or differs; renew: every certificate; ca: the CA's too. The
 * secrets are made first, then mesh.json is written, then the services' directories. */
int mesh_make(struct mesh *m, bool renew, bool ca, struct mesh_done *d, struct err *e);
/* What was done, on stdout. */
int mesh_report(struct cli *c, const struct mesh *m, const struct mesh_done *d, struct err *e);

#endif
