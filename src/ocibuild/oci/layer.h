/* One layer of an image: entries in memory, and what is below it. Nothing of the host
 * gets in: owners are numbers, times are one date, order is by name, the compressor
 * is the zlib that is linked in. */
#ifndef OCIBUILD_LAYER_H
#define OCIBUILD_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct layer_entry {
	char *path;  /* below the root, without slashes at its ends */
	mode_t mode; /* S_IFREG, S_IFDIR or S_IFLNK, and permissions */
	uint32_t uid, gid;
	char *link; /* target of a symbolic link */
	uint8_t *data;
	size_t size;
	char owner[96]; /* package; "": the project */
	bool implied;	/* a directory that nobody named */
};

struct layer {
	struct layer_entry *v; /* in order of path */
	size_t n;
	const struct layer *below; /* NULL: nothing */
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
	uint8_t digest[32];  /* SHA-256 of its gzip form */
	uint64_t tar_size, size;
};

/* Writes the layer to fd as a tar in gzip form (level 6), every time being date. */
int layer_write(const struct layer *l, int64_t date, int fd, struct layer_blob *out, struct err *e);

#endif
