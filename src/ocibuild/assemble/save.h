/* One archive of built images that is an OCI image layout (image-spec 1.1) and, by a
 * manifest.json that points into its blobs, what `docker save` writes. Equal images give
 * equal bytes; blobs are streamed and checked against their names on the way. */
#ifndef OCIBUILD_SAVE_H
#define OCIBUILD_SAVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "ocibuild/oci/oci.h"

#define SAVE_PREFIX "signbox"

/* One image of an archive. */
struct save_image {
	const char *name;	       /* of the index */
	json_t *tags;		       /* ["signbox/static:0.1.0", …], the shortest name first */
	char id[OCI_DIGEST_LEN];       /* of its configuration: what engines call the image id */
	char manifest[OCI_DIGEST_LEN]; /* in the archive */
	char original[OCI_DIGEST_LEN]; /* in the layout; another one when layers were unpacked */
	json_t *layers;		       /* names in the archive */
};

/* What is unpacked on the way. */
enum save_packed {
	SAVE_AS_IS,
	SAVE_ZSTD, /* which Docker before 23 cannot read */
	SAVE_GZIP,
};

/* One file of an archive: bytes of a document, or an open blob. */
struct save_member {
	char name[96];
	char digest[OCI_DIGEST_LEN]; /* "": a document that is not a blob */
	int fd;			     /* -1: text */
	char *text;
	enum save_packed packed; /* how the blob is; it goes in as a plain tar */
	uint64_t size;
};

struct save {
	char dir[3072];
	const char *prefix;
	bool plain, attached;
	json_t *index; /* of the layout */
	json_t *out;   /* of the archive */
	struct save_image *v;
	size_t n;
	struct save_member *members;
	size_t nmembers;
	uint64_t bytes; /* of all members */
};

/* Where images are, and how they go into the archive. */
struct save_from {
	const char *build, *tail; /* the layout is BUILD/imagesTAIL */
	const char *prefix;	  /* what tags start with; NULL: SAVE_PREFIX */
	bool plain;		  /* layers as plain tar: larger, and faster to load */
	bool attached;		  /* with SBOMs and provenance, as OCI referrers */
};

/* Chooses the named images of the layout (argc 0: all) and opens their blobs, so that a
 * build that comes later does not matter. NOT_FOUND: not built; DIGEST: a blob is not
 * what its name says; CONFIG; USAGE: a prefix that no reference can have. */
int save_open(struct save *s, const struct save_from *from, int argc, char *const *argv,
	      struct err *e);
void save_free(struct save *s);
static inline void cleanup_save(struct save *s)
{
	save_free(s);
}

/* Hands all bytes of a member, as they go into the archive, to put. */
typedef int save_put(void *arg, const void *p, size_t n, struct err *e);
int save_read(const struct save_member *m, save_put *put, void *arg, struct err *e);

/* Writes the archive; sha256 is that of its bytes. DIGEST and IO: it is not whole. */
int save_write(const struct save *s, int fd, uint8_t sha256[static 32], struct err *e);
/* As save_write, to a file that is the old one or the new one, whatever happens. */
int save_file(const struct save *s, const char *path, uint8_t sha256[static 32], struct err *e);

#endif
