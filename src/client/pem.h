/* Private keys from PEM files, taken apart for key_import: PKCS#8, PKCS#1 and SEC1,
 * read by OpenSSL here on the client, so that the HSM needs no parser for them. */
#ifndef CLIENT_PEM_H
#define CLIENT_PEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define PEM_MAX 65536 /* bytes of a file that is worth reading */

/* Components as in struct key_new (proto/body.h), in secret memory. Start with {0}. */
struct pem_key {
	unsigned type; /* enum key_type */
	unsigned bits;
	struct secret a, b, c;
};

void pem_clear(struct pem_key *k);
static inline void cleanup_pem(struct pem_key *k)
{
	pem_clear(k);
}

/* First private key of the text. name stands in messages. Encrypted keys are refused:
 * there is no place for a second passphrase here. Errors: BAD_KEY, BAD_TYPE, NOMEM. */
int pem_parse(struct pem_key *k, const char *name, const void *text, size_t n, struct err *e);

#endif
