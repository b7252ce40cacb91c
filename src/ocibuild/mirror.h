/* Where packages come from on this host: the addresses of the Debian archives,
 * taken from DEBIAN_MIRROR (and DEBIAN_SECURITY_MIRROR) or from the host's apt
 * configuration. No address stands in the repository. */
#ifndef OCIBUILD_MIRROR_H
#define OCIBUILD_MIRROR_H

#include "base/buf.h"
#include "base/err.h"

#define MIRROR_KEYRING "/usr/share/keyrings/debian-archive-keyring.gpg"

struct mirror {
	char debian[512];	   /* archive "debian", without a trailing slash */
	char debian_security[512]; /* archive "debian-security" */
	char proxy[512];	   /* Acquire::http::Proxy, may be empty */
	char cainfo[512];	   /* Acquire::https::CaInfo, may be empty */
	struct buf acquire;	   /* the host's Acquire:: settings, in apt's syntax */
};

/* Asks apt-config and apt-get; ERR_CONFIG says what to set when a host has no
 * Debian source. */
int mirror_load(struct mirror *m, struct err *e);
void mirror_free(struct mirror *m);
static inline void cleanup_mirror(struct mirror *m)
{
	mirror_free(m);
}

/* Address of an archive by its name in the lock; NULL: unknown name. */
const char *mirror_of(const struct mirror *m, const char *archive);
/* Name of the archive that holds a suite: "X-security" is in debian-security. */
const char *mirror_archive(const char *suite);
/* Takes the addresses out of `apt-get indextargets` lines "URI|suite|origin". */
void mirror_from_targets(struct mirror *m, char *text);

#endif
