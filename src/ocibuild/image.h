/* The part of a definition that makes it an image: users, files of its own, and the
 * stanza `image`, which becomes the OCI configuration. Stanzas of a base and of what
 * stands on it are merged: objects by key, all else by replacement. */
#ifndef OCIBUILD_IMAGE_H
#define OCIBUILD_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "json/json.h"

/* One entry of `files`: exactly one of copy, link, text and set, or a directory. */
struct image_file {
	const char *path; /* below the root, without slashes at its ends */
	bool dir;	  /* it was written with a slash at the end */
	const char *copy; /* file or folder of the project; build/… is the build folder */
	const char *link; /* target of a symbolic link; with names, of one link a name */
	json_t *names;	  /* links in the directory that path is; or NULL */
	const char *text; /* content */
	json_t *set;	  /* NAME: value; lines of a file that a package brought */
	int mode;	  /* -1: by kind */
	uint32_t uid, gid;
	const json_t *item; /* as it is written */
};

struct image_user {
	const char *name, *home;
	int64_t uid, gid;
	const json_t *item;
};

struct image {
	bool is; /* this definition itself has the stanza */
	/* Of this image only, not of its base. A variant's file replaces its definition's
	 * of the same path. */
	struct image_file *files;
	size_t nfiles;
	struct image_user *users;
	size_t nusers;
	json_t *groups; /* name: number; NULL: none */
	/* Merged: one object with the keys of the table in image.c. An empty list or string
	 * takes away what the base has. */
	json_t *config;
};

/* The raw parts of one file; NULL: absent. */
struct image_parts {
	json_t *image, *users, *groups, *files;
};

/* Takes one file of the chain (or a variant in it), the base first; own: it is of the
 * image itself. d must live as long as im. CONFIG with file and line for what does not fit. */
int image_take(struct image *im, const struct json_doc *d, const struct image_parts *p, bool own,
	       struct err *e);
/* Forgets the title, which is for one image. */
void image_untitled(struct image *im);
void image_free(struct image *im);

/* A string of the merged stanza, or "". */
const char *image_str(const struct image *im, const char *key);
/* "UID:GID", two numbers. */
bool image_is_owner(const char *s);

#endif
