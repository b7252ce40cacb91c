/* Makes a lock: apt itself resolves each definition in a private directory with
 * an empty package state, so that the host's packages do not matter. */
#ifndef OCIBUILD_RESOLVE_H
#define OCIBUILD_RESOLVE_H

#include "base/err.h"
#include "ocibuild/lock.h"
#include "ocibuild/mirror.h"
#include "ocibuild/spec.h"

/* Fills l (definitions, releases, packages). dir is made and used for apt's files.
 * keyring verifies the archives' signatures; NULL: they are not verified, which the
 * caller must say. Errors: TOOL (apt's text), LOCK. */
int resolve_lock(const struct spec_set *set, const struct mirror *m, const char *dir,
		 const char *keyring, struct lock *l, struct err *e);

/* Parses one line of `apt-get --print-uris` ("'URI' FILE SIZE SHA256:HEX") into p.
 * suites: where the package may come from; ERR_LOCK for anything unexpected. */
int resolve_parse_uri(struct lock_pkg *p, char *line, const struct mirror *m,
		      const char *const *suites, size_t nsuites, struct err *e);

#endif
