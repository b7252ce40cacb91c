/* The secrets of authority/: CA, seeds, passphrase, device key. */
#ifndef BOX_MESH_MESH_KEYS_H
#define BOX_MESH_MESH_KEYS_H

#include "base/secret.h"
#include "box/mesh/mesh_perm.h"
#include "box/mesh/mesh_state.h"
#include "box/mesh/mesh_x509.h"

/* Seeds that only --auth jwt has. Of the scopes: KEY_SCOPE + enum mesh_perm. */
enum mesh_seed {
	KEY_OPERATOR,
	KEY_SYS,
	KEY_ACCOUNT,
	KEY_SCOPE,
	KEY_SEEDS = KEY_SCOPE + PERM_COUNT
};

struct mesh_keys {
	struct nkey seed[KEY_SEEDS];
	struct nkey hsm, system, monitor; /* users of NATS */
	struct secret device, passphrase, route;
	struct buf ca_pem;
	EVP_PKEY *ca_key;
	X509 *ca;
};
void mesh_keys_free(struct mesh_keys *k);
static inline void cleanup_mesh_keys(struct mesh_keys *k)
{
	mesh_keys_free(k);
}

/* Name of a secret's file in authority/, i from 0; NULL at the end. */
const char *mesh_keys_name(const struct mesh *m, size_t i);
/* Reads all; in a mesh that is not ready yet (make), makes what is missing. A CA's certificate
 * that ends soon is made anew for the same key. Errors: NOT_FOUND (a file is gone), IO,
 * BAD_NKEY, BAD_KEY. */
int mesh_keys(const struct mesh *m, struct mesh_keys *k, bool make, struct err *e);
/* Makes a new certificate for the CA's key. */
int mesh_ca_renew(const struct mesh *m, struct mesh_keys *k, struct err *e);
/* Pair of a user, made when it is not there (make); its public key must be nkey, unless that
 * is "". Errors: NOT_FOUND, WRONG_NKEY. */
int mesh_user_key(const struct mesh *m, const char *name, const char *nkey, bool make,
		  struct nkey *k, struct err *e);

#endif
