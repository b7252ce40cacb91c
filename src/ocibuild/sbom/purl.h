/* Package URLs in their canonical form (purl-spec): what scanners look packages up by. */
#ifndef OCIBUILD_PURL_H
#define OCIBUILD_PURL_H

/* A Debian package; suite decides the qualifier distro (NULL: the base's). source is the
 * source package when it has another name or version, else NULL. NULL: no memory. */
struct purl_deb {
	const char *name, *version, *arch, *suite;
	const char *source, *source_version;
};
char *purl_deb(const struct purl_deb *p);
/* An image by the digest of its manifest ("sha256:…"); tag may be NULL. */
char *purl_oci(const char *name, const char *digest, const char *tag);
/* Software of the project itself. */
char *purl_generic(const char *name, const char *version);
/* The Debian release of a suite: "debian-13". */
const char *purl_distro(const char *suite);

#endif
