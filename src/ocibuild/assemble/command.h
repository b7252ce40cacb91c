/* What the commands about images share. */
#ifndef OCIBUILD_COMMAND_H
#define OCIBUILD_COMMAND_H

#include <jansson.h>

#include "base/err.h"
#include "ocibuild/assemble/build.h"
#include "ocibuild/oci/unpack.h"
#include "ui/cli.h"

/* What every command starts with: definitions, lock and what is known; the images named as
 * arguments, or all, are wanted. ERR_USAGE for a name that is no image. */
int command_open(const struct cli *c, struct current *cur, struct build *b, struct err *e);
/* view_locate, and an archive is unpacked: dir is then u's. A name that is neither built
 * nor there is for view_resolve to refuse. Errors: of unpack_open. */
int command_locate(const char *layout, const char *arg, struct unpack *u, char dir[static 4096],
		   const char **ref, struct err *e);
/* A string member, or "". */
const char *command_str(const json_t *o, const char *key);
/* Prints an object as YAML in block style. */
void command_yaml(const json_t *o);

#endif
