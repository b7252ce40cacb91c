/* Compresses a stream with several threads. The input is cut into blocks of a fixed
 * size, so that the bytes do not depend on the number of threads: gzip is one member
 * whose blocks have the 32 KiB before them as dictionary, zstd a frame for each block. */
#ifndef OCIBUILD_COMPRESS_H
#define OCIBUILD_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* One way to compress layers; the first row is what is released. */
struct compress_form {
	const char *name; /* as typed, and the end of the layout's name */
	const char *tail; /* of the layout's folder: build/imagesTAIL */
	bool zstd;	  /* else gzip */
	int level;
	size_t block;		/* bytes of input */
	const char *media_type; /* of a layer */
	const char *what;
};
extern const struct compress_form compress_forms[];
/* The row of that name (NULL: the first); NULL: there is none. */
const struct compress_form *compress_find(const char *name);
/* "zlib 1.3.1": decides bytes, as much as the form does. */
const char *compress_library(const struct compress_form *f, char out[static 32]);

/* Takes compressed bytes, in order, on the thread that writes. */
typedef int compress_out(const void *p, size_t n, void *arg, struct err *e);

struct compress;
/* threads: at least 1; with 1 everything happens on the caller's thread. NULL: NOMEM. */
struct compress *compress_start(const struct compress_form *f, unsigned threads, compress_out *out,
				void *arg, struct err *e);
/* Errors: those of out, INTERNAL. */
int compress_write(struct compress *c, const void *p, size_t n, struct err *e);
/* Writes what is left and the end of the stream. */
int compress_finish(struct compress *c, struct err *e);
/* Must be called, finished or not; c may be NULL. */
void compress_free(struct compress *c);

#endif
