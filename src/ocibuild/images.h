/* The commands about images. They are in the ocibuild of the second stage only: what
 * it is linked with decides the bytes of an image. */
#ifndef OCIBUILD_IMAGES_H
#define OCIBUILD_IMAGES_H

#include "ui/cli.h"

int images_ls(struct cli *c, struct err *e);
int images_show(struct cli *c, struct err *e);
int images_linked(struct cli *c, struct err *e);
int images_plan(struct cli *c, struct err *e);
int images_build(struct cli *c, struct err *e);
int images_verify(struct cli *c, struct err *e);
int images_inspect(struct cli *c, struct err *e);
/* Of a file: what images_inspect does with an archive. */
int images_inspect_archive(struct cli *c, const char *file, struct err *e);
int images_check(struct cli *c, struct err *e);
int images_diff(struct cli *c, struct err *e);
int images_tree(struct cli *c, struct err *e);
int images_sbom(struct cli *c, struct err *e);
int images_save(struct cli *c, struct err *e);
int images_load(struct cli *c, struct err *e);

#endif
