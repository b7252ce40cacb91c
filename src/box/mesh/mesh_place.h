/* Files and directories of a mesh: owners, modes, one step for each file. */
#ifndef BOX_MESH_MESH_PLACE_H
#define BOX_MESH_MESH_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "box/mesh/mesh_state.h"

enum mesh_kind {
	PLACE_PUBLIC, /* 0444, replaced when it differs */
	PLACE_SECRET, /* 0400, the same */
	PLACE_KEY,    /* 0400, never replaced */
};
unsigned mesh_mode(enum mesh_kind kind);

/* One at a time: locks authority/ until the process ends, waiting up to a minute. The
 * directory is made when it is not there. Errors: BUSY, IO, WRONG_STATE. */
int mesh_lock(const struct mesh *m, struct err *e);
/* Makes the directory with mode 0700 and its owner, or checks the one that is there: owner,
 * that it can be written to. Errors: IO, WRONG_STATE. */
int mesh_dir(const struct mesh *m, const char *path, struct err *e);
/* Removes the parts of files that a killed mesh left. Only who has the lock may: parts of
 * one that is at work look the same. Errors: IO. */
int mesh_sweep(const char *path, struct err *e);
/* Writes a file in one step, with mode and owner of its kind. A key that is there is an
 * error (EXISTS). */
int mesh_write(const struct mesh *m, const char *path, enum mesh_kind kind, const void *p, size_t n,
	       struct err *e);
/* Makes the file have these bytes, owner and mode; *wrote tells whether something was
 * changed. Another key than this is an error (EXISTS). */
int mesh_put(const struct mesh *m, const char *path, enum mesh_kind kind, const void *p, size_t n,
	     bool *wrote, struct err *e);
/* Owner and mode of a file that stays as it is. */
int mesh_keep(const struct mesh *m, const char *path, enum mesh_kind kind, bool *wrote,
	      struct err *e);
/* Whether it is there, and a file. Errors: IO, BAD_INPUT. */
int mesh_there(const char *path, bool *there, struct err *e);
/* Reads a file, and through no link. Errors: IO, TOO_LARGE. */
int mesh_read(const char *path, struct buf *out, struct err *e);
/* Reads a secret without the newline at its end. Whose it is and who may read it was looked
 * at: root reads those of others here. Errors: IO, TOO_LARGE, WRONG_STATE. */
int mesh_secret(const char *path, struct secret *s, size_t max, struct err *e);
/* The pair of such a file, of this kind. Errors: also BAD_NKEY, WRONG_NKEY. */
int mesh_seed(const char *path, enum nkey_kind kind, struct nkey *k, struct err *e);
/* Removes a file that may be there. */
int mesh_remove(const char *path, bool *removed, struct err *e);

/* A line on stderr about what is done, unless --quiet. */
void mesh_say(const struct mesh *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
