/* Writes the entries of untrusted archives below a directory and never outside of
 * it: every name is looked up with openat2(RESOLVE_IN_ROOT), so that "..", absolute
 * names and symbolic links all end inside. */
#ifndef OCIBUILD_TREE_H
#define OCIBUILD_TREE_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct tree {
	int root;	   /* directory; everything ends below it */
	bool owner;	   /* set owners as in the archive (needs root) */
	bool setid;	   /* keep setuid and setgid bits; otherwise they are cleared */
	bool skip_devices; /* leave devices out; otherwise they are refused */
	uint64_t left;	   /* bytes that may still be written */
};

/* Opens (and makes) dir as a root. */
int tree_open(struct tree *t, const char *dir, struct err *e);
void tree_close(struct tree *t);
static inline void cleanup_tree(struct tree *t)
{
	tree_close(t);
}

/* Writes one entry with its data, mode and time. A file replaces a file or link of
 * that name, never a directory. ERR_PACKAGE: name with "..", device, fifo, a hard
 * link to nothing, a file where a directory is needed. */
int tree_entry(struct tree *t, struct archive *a, struct archive_entry *ent, struct err *e);

/* Writes every entry of an open archive. */
int tree_extract(struct tree *t, struct archive *a, struct err *e);

/* Name without leading "./" or "/" and without a trailing slash; NULL when it is
 * malformed (empty component "..", too long). "" is the root itself. */
const char *tree_clean_name(const char *name, char out[static 4096]);

#endif
