/* What a definition claims about its image, and what it asks pardon for.
 *
 * A test is a command that is run in the image. spec->tests (and `tests` of `ocibuild show
 * --expanded --json`) is a list of objects with all of these keys:
 *   name       one line, once in an image
 *   before     [[argument…]…]: commands that run first, with the same files; each ends with 0
 *   command    [argument…], instead of the image's entrypoint and cmd; or null, and then
 *   args       [argument…]: what its users type after the image's name, possibly nothing
 *   env        {NAME: value}, besides the image's
 *   status     exit status
 *   output     POSIX extended regular expression, found in stdout and stderr together
 *              (lines as of REG_NEWLINE); "": whatever it is
 *   user       "UID:GID", or "" for the image's
 *   read_only  the root is, but for /tmp and the volumes
 *   debug      the image busybox is mounted at /dbg */
#ifndef OCIBUILD_SPEC_CHECKS_H
#define OCIBUILD_SPEC_CHECKS_H

#include "base/err.h"
#include "ocibuild/spec.h"
#include "json/json.h"

/* Take the lists `tests` and `waivers` of one file of the chain; CONFIG with file and line
 * for what does not fit. NULL: nothing. */
int spec_checks_tests(struct spec *s, const struct json_doc *d, json_t *arr, struct err *e);
int spec_checks_waivers(struct spec *s, const struct json_doc *d, const json_t *arr, struct err *e);

#endif
