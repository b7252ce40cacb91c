#include "box/mesh/mesh_node.h"

#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "box/mesh/mesh_place.h"

#define PEM_MAX 65536

void mesh_names(const struct mesh *m, const struct mesh_node *n, struct mesh_names *out)
{
	const char *all[MESH_SANS + 4] = {n->name, n->host, "localhost", "127.0.0.1"};
	size_t k = 0;

	for (unsigned i = 0; i < m->nsans; i++)
		all[4 + i] = m->sans[i];
	for (unsigned i = 0; i < 4 + m->nsans; i++) {
		bool twice = false;

		for (size_t j = 0; j < k; j++)
			twice |= strcmp(out->list[j], all[i]) == 0;
		if (!twice)
			out->list[k++] = all[i];
	}
	out->list[k] = NULL;
	out->node = (struct x509_node){n->name, out->list};
}

/* The node's key; it never leaves its directory. */
static EVP_PKEY *node_key(const struct mesh *m, const struct mesh_node *n, bool *wrote,
			  struct err *e)
{
	CLEAN(buf) struct buf pem = {0};
	char path[PATH_MAX];
	bool there;

	buf_init(&pem, PEM_MAX);
	pem.secret = true;
	if (mesh_path(m, path, n->name, "key.pem", e) || mesh_there(path, &there, e))
		return NULL;
	if (there) {
		if (mesh_keep(m, path, PLACE_KEY, wrote, e) || mesh_read(path, &pem, e))
			return NULL;
	} else {
		if (x509_key_make(&pem, e) || mesh_write(m, path, PLACE_KEY, pem.p, pem.len, e))
			return NULL;
		*wrote = true;
	}
	return x509_key_read(path, &pem, e);
}

int mesh_node_make(const struct mesh *m, const struct mesh_keys *k, const struct mesh_node *n,
		   bool renew, bool *wrote, struct err *e)
{
	CLEAN(pkey) EVP_PKEY *key = node_key(m, n, wrote, e);
	CLEAN(buf) struct buf old = {0};
	CLEAN(buf) struct buf pem = {0};
	CLEAN(x509) X509 *c = NULL;
	const char *why = renew ? "as you said" : "";
	char path[PATH_MAX];
	struct mesh_names names;
	bool there, due = false;

	if (!key || mesh_path(m, path, n->name, "cert.pem", e) || mesh_there(path, &there, e))
		return -1;
	mesh_names(m, n, &names);
	buf_init(&old, PEM_MAX);
	buf_init(&pem, PEM_MAX);
	if (there && (mesh_keep(m, path, PLACE_PUBLIC, wrote, e) || mesh_read(path, &old, e)))
		return -1;
	if (there && !renew) {
		c = x509_read(path, &old, NULL);
		why = c ? x509_fault(c, &names.node, key, k->ca, time(NULL), &due)
			: "not a certificate";
		if (!*why && !due)
			return 0;
	}
	if (there)
		mesh_say(m, "%s: its certificate is made anew: %s", n->name,
			 *why ? why : "it ends soon");
	*wrote = true;
	if (x509_issue(&pem, &names.node, key, k->ca, k->ca_key, time(NULL), m->days, e))
		return -1;
	return mesh_write(m, path, PLACE_PUBLIC, pem.p, pem.len, e);
}
