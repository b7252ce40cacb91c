/* Content-addressed cache of downloads: DIR/sha256/xx/<sha256 in hex>. A file
 * has its name only after its content was checked, so there is never half of one. */
#ifndef OCIBUILD_CACHE_H
#define OCIBUILD_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/sha256.h"

struct cache {
	char dir[3072];
};

/* SIGNBOX_CACHE, else $XDG_CACHE_HOME/signbox, else ~/.cache/signbox. Makes the
 * directories and removes temporary files that are older than a day. */
int cache_open(struct cache *c, struct err *e);
/* Path of the file with this digest, whether it is there or not. */
void cache_path(const struct cache *c, const uint8_t sha256[static 32], char out[static 4096]);
/* True when the file is there with this size (its digest was checked on entry). */
bool cache_has(const struct cache *c, const uint8_t sha256[static 32], uint64_t size);

/* A file on its way into the cache. */
struct cache_put {
	char tmp[4096];
	int fd;
	struct sha256 md;
	uint64_t size, want;
};
int cache_put_start(const struct cache *c, struct cache_put *p, uint64_t want, struct err *e);
/* Appends; more than the wanted size is ERR_DIGEST. */
int cache_put_write(struct cache_put *p, const void *data, size_t n, struct err *e);
/* Checks size and digest and gives the file its name; otherwise ERR_DIGEST with
 * both digests, and nothing is kept. what names it in messages. */
int cache_put_commit(const struct cache *c, struct cache_put *p, const char *what,
		     const uint8_t sha256[static 32], struct err *e);
void cache_put_abort(struct cache_put *p);

/* Copies the file at path into the cache, checked. 1: it is not there. */
int cache_import(const struct cache *c, const char *path, const char *what,
		 const uint8_t sha256[static 32], uint64_t size, struct err *e);

/* SHA-256 of a whole open file, from its start; leaves the offset at 0. */
int cache_digest_fd(int fd, const char *name, uint8_t out[static 32], struct err *e);

#endif
