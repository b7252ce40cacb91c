/* Memory for secrets: guarded, locked, never dumped, wiped on release. For few
 * and small things (roots, passphrases, seeds); loaded keys live in keyd's arena.
 * sodium_init() must have run. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* n zero bytes between guard pages (sodium_malloc), or NULL. */
void *secret_alloc(size_t n);
/* Wipes and releases; NULL is fine. */
void secret_free(void *p);
static inline void cleanup_secret(void *pp)
{
	secret_free(*(void **)pp);
}

/* No core file of this process and what it starts, where secrets would stand in it. */
void secret_no_core(void);

/* Wipes memory that is not from secret_alloc. */
void secret_wipe(void *p, size_t n);
/* Constant-time equality. */
bool secret_equal(const void *a, const void *b, size_t n);

struct secret {
	uint8_t *p; /* secret_alloc'd, NULL when empty */
	size_t len;
};
void secret_clear(struct secret *s);
/* Reads at most max bytes of path into s, without the line end (LF, CRLF or CR) that it
 * may have. Files have to keep the rules of base/secret_file.h; pipes and terminals are
 * read as they are. Errors: IO, TOO_LARGE, BAD_INPUT. */
int secret_read_file(struct secret *s, const char *path, size_t max, struct err *e);
int secret_read_fd(struct secret *s, int fd, const char *name, size_t max, struct err *e);

#endif
