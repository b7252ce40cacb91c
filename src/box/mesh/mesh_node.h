/* Key and certificate of a node. */
#ifndef BOX_MESH_MESH_NODE_H
#define BOX_MESH_MESH_NODE_H

#include "box/mesh/mesh_keys.h"

/* Names that a node's certificate is for: its own, its host, localhost, the mesh's others. */
struct mesh_names {
	const char *list[MESH_SANS + 5];
	struct x509_node node; /* of list */
};
void mesh_names(const struct mesh *m, const struct mesh_node *n, struct mesh_names *out);

/* Makes the key and certificate that are missing, and the certificate anew when something is
 * wrong with it, it ends soon, or renew. *wrote: something was written. Errors: IO, BAD_KEY. */
int mesh_node_make(const struct mesh *m, const struct mesh_keys *k, const struct mesh_node *n,
		   bool renew, bool *wrote, struct err *e);

#endif
