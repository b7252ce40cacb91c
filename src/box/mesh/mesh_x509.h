/* Certificates of a mesh: one CA with a P-256 key, a certificate for each node. */
#ifndef BOX_MESH_MESH_X509_H
#define BOX_MESH_MESH_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

static inline void cleanup_pkey(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}
static inline void cleanup_x509(X509 **c)
{
	X509_free(*c);
}

/* A new P-256 key, and its PKCS#8 PEM (out->secret is set). Errors: INTERNAL. */
int x509_key_make(struct buf *out, struct err *e);
/* Key and certificate of a PEM text; name is for the message. Errors: BAD_KEY. */
EVP_PKEY *x509_key_read(const char *name, const struct buf *pem, struct err *e);
X509 *x509_read(const char *name, const struct buf *pem, struct err *e);

/* Appends the PEM of a CA's certificate for its own key. It begins an hour ago: clocks
 * differ. Errors: INTERNAL. */
int x509_ca_make(struct buf *out, EVP_PKEY *key, const char *name, int64_t now, int64_t days,
		 struct err *e);

struct x509_node {
	const char *name;
	const char *const *sans; /* DNS names and addresses, NULL at the end */
};
/* Appends the PEM of a node's certificate, for servers and for clients, that ends no later
 * than the CA's. Errors: INTERNAL, BAD_INPUT (a name that is none). */
int x509_issue(struct buf *out, const struct x509_node *n, EVP_PKEY *key, X509 *ca,
	       EVP_PKEY *ca_key, int64_t now, int64_t days, struct err *e);

/* Times of a certificate, in seconds since 1970. */
void x509_times(const X509 *c, int64_t *from, int64_t *until);
/* What is wrong with a node's certificate: "" nothing, else a text that stays. key may be
 * NULL. Renewal is due when less than a third of its time is left: *due. */
const char *x509_fault(X509 *c, const struct x509_node *n, EVP_PKEY *key, X509 *ca, int64_t now,
		       bool *due);
/* The same of a CA's. */
const char *x509_ca_fault(X509 *ca, EVP_PKEY *key, int64_t now, bool *due);

#endif
