/* An image as a container sees it: the layers of an image in an OCI layout, applied in
 * order (whiteouts too) in memory. Every byte is untrusted: digests of all blobs are
 * verified, names never leave the image, sizes and numbers are bounded. */
#ifndef OCIBUILD_VIEW_H
#define OCIBUILD_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "ocibuild/oci/oci.h"
#include "ui/progress.h"

/* Files up to this size are shown whole to a view_fn, of larger ones this much. */
#define VIEW_MAX_WHOLE (256u << 20)

struct view_xattr {
	char *name; /* "security.capability" */
	uint8_t *value;
	size_t len;
};

struct view_entry {
	char *path;  /* below the root, without slashes at its ends; "" is the root itself */
	mode_t mode; /* type and permissions */
	uint32_t uid, gid;
	int64_t mtime;
	uint64_t size;	    /* of a regular file */
	uint8_t sha256[32]; /* of its content */
	char *link;	    /* target of a symbolic link */
	char *hard;	    /* name of the file that it is a hard link to, or NULL */
	unsigned layer;	    /* which brought it, 0 the lowest */
	uint32_t major, minor;
	struct view_xattr *xattr;
	size_t nxattr;
	void *tag;		  /* of view_tag; hard links share it */
	struct view_inode *inode; /* private */
};

/* Sees the content of every regular file while it streams by: n is t->size, or
 * VIEW_MAX_WHOLE when the file is larger. t->path is there, and t may be hidden by a
 * later layer: what is found belongs into view_tag. -1 stops. */
typedef int view_fn(struct view_entry *t, const uint8_t *p, size_t n, void *arg, struct err *e);

struct view_src {
	const char *dir; /* the layout */
	const char *ref; /* name in its index, or "sha256:…"; NULL: the only image there */
	view_fn *fn;	 /* or NULL */
	void *arg;
	struct progress *progress; /* counts compressed bytes; or NULL */
};

struct view {
	char digest[OCI_DIGEST_LEN]; /* of the manifest */
	json_t *manifest, *config;
	struct view_entry **v; /* in order of path; the root is the first */
	size_t n;
	size_t nlayers;
	struct view_node *root; /* private */
	size_t nodes;
};

/* Reads the whole image. NOT_FOUND: no such image; DIGEST: a blob that is not what its
 * name says; PACKAGE: a malformed layer; BAD_JSON: a malformed document; TOO_LARGE. */
int view_open(struct view *v, const struct view_src *s, struct err *e);
void view_free(struct view *v);
static inline void cleanup_view(struct view *v)
{
	view_free(v);
}

/* The entry of a name as a program in the container would find it: links on the way are
 * followed within the image, the last one too with follow. NULL: nothing there. */
const struct view_entry *view_find(const struct view *v, const char *path, bool follow);

/* What a user means by an image: NAME or NAME:TAG in the layout, or DIR, DIR:NAME of
 * another layout; dir may be a file, an archive (unpack.h). *ref points into arg, or is
 * NULL: the only image there. */
void view_locate(const char *layout, const char *arg, char dir[static 4096], const char **ref);

/* A name or target as a JSON string; what is no UTF-8 shows as '?'. */
json_t *view_text(const char *s);

/* n zeroed bytes that live as long as the entry; the same again on a second call. */
void *view_tag(struct view_entry *t, size_t n);

/* The manifest's digest for a reference, without reading a layer; errors as view_open.
 * bytes (or NULL): compressed size of its layers. */
int view_resolve(const char *dir, const char *ref, char digest[static OCI_DIGEST_LEN],
		 uint64_t *bytes, struct err *e);

#endif
