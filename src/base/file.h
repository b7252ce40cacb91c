/* Whole-file reads and writes. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends a whole file (or pipe) to out, at most out->max bytes. Set
 * out->secret before reading a secret. Errors: IO, TOO_LARGE. */
int file_read(const char *path, struct buf *out, struct err *e);
int file_read_fd(int fd, const char *name, struct buf *out, struct err *e);

/* Writes all n bytes, over short writes and EINTR. name is for the message. */
int file_write_fd(int fd, const char *name, const void *p, size_t n, struct err *e);

/* Replaces path in one step: temporary file beside it, fsync, rename, fsync of
 * the directory. After a crash there is the old file or the new one. */
int file_replace(const char *path, const void *p, size_t n, mode_t mode, struct err *e);

/* Writes what a user's "--output path" asks for: a regular file is replaced in one step,
 * behind a symbolic link too; devices, pipes and sockets' ends are written to and stay. */
int file_output(const char *path, const void *p, size_t n, mode_t mode, struct err *e);

/* mkdir -p with mode for what it makes. */
int file_mkdirs(const char *path, mode_t mode, struct err *e);

#endif
