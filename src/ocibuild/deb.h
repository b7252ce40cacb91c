/* Reader of Debian packages (deb(5)): ar with debian-binary, control.tar.* and
 * data.tar.*. The bytes are untrusted: every malformed form is ERR_PACKAGE. */
#ifndef OCIBUILD_DEB_H
#define OCIBUILD_DEB_H

#include <archive.h>
#include <archive_entry.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Where the package is: an open file (fd >= 0), or memory. name is for messages. */
struct deb_src {
	const char *name;
	int fd;
	const void *p;
	size_t n;
};

enum deb_part { DEB_CONTROL, DEB_DATA };

/* Called for each entry of the inner tar; its data is read from tar. -1 stops. */
typedef int deb_fn(struct archive *tar, struct archive_entry *ent, void *arg, struct err *e);

/* Walks one part of the package in order. */
int deb_walk(const struct deb_src *src, enum deb_part part, deb_fn *fn, void *arg, struct err *e);

/* Appends the control file (at most 1 MiB), ending with a newline. */
int deb_control(const struct deb_src *src, struct buf *out, struct err *e);

#endif
