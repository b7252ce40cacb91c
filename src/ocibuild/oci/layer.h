/* One layer of an image: entries in memory, and what is below it. Nothing of the host
 * gets in: owners are numbers, times are one date, order is by name, the compressor
 * is the one that is linked in. A layer may also be a tar on disk (master.h). */
#ifndef OCIBUILD_LAYER_H
#define OCIBUILD_LAYER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "ocibuild/oci/compress.h"
#include "ui/progress.h"

struct layer_entry {
	char *path;  /* below the root, without slashes at its ends */
	mode_t mode; /* S_IFREG, S_IFDIR or S_IFLNK, and permissions */
	uint32_t uid, gid;
	char *link; /* target of a symbolic link */
	char *hard; /* this file is another name of that path; only of a tar on disk */
	/* Contents. A file of a tar on disk has a size, and NULL here. */
	uint8_t *data;
	size_t size;
	/* Digest of the contents: from layer_write on, for files. */
	uint8_t sha256[32];
	bool hashed;
	char owner[96]; /* package; "": the project */
	bool implied;	/* a directory that nobody named */
};

struct layer {
	struct layer_entry *v; /* in order of path */
	size_t n;
	const struct layer *below; /* NULL: nothing */
	int tar;		   /* above 0: the master whose entries these are; owned */
	uint8_t tar_sha256[32];	   /* what it must be */
};

void layer_free(struct layer *l);
static inline void cleanup_layer(struct layer *l)
{
	layer_free(l);
}

/* Adds a copy of *t (data too) and the directories above it: with the attributes they
 * have in a lower layer, else 0755 root. Two owners of one file, a file where a
 * directory is needed, or a link on the way: ERR_PACKAGE. Only the project's own files
 * may replace those of a lower layer. */
int layer_add(struct layer *l, const struct layer_entry *t, struct err *e);

/* Entry of exactly this layer, or of it and those below; NULL: none. */
struct layer_entry *layer_own(const struct layer *l, const char *path);
const struct layer_entry *layer_find(const struct layer *l, const char *path);

struct layer_blob {
	uint8_t diff_id[32]; /* SHA-256 of the tar */
	uint8_t digest[32];  /* SHA-256 of its compressed form */
	uint64_t tar_size, size;
};

struct layer_how {
	int64_t date;			  /* every time in it */
	const struct compress_form *form; /* NULL: the first */
	unsigned threads;		  /* that compress; 0 is 1 */
	const atomic_bool *cancel;	  /* may be NULL: stops with an error when it is set */
	struct progress *progress;	  /* may be NULL: counts the bytes of the tar */
};

/* Writes the layer to fd as a compressed tar, the same bytes for any number of threads. */
int layer_write(struct layer *l, const struct layer_how *how, int fd, struct layer_blob *out,
		struct err *e);
/* Frees a path's worth of memory; for who fills entries. */
void layer_entry_free(struct layer_entry *t);

#endif
