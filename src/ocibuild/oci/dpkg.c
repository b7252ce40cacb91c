#include "ocibuild/oci/dpkg.h"

#include <openssl/evp.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/enc.h"

#include <string.h>

#define FOLDER "var/lib/dpkg/status.d/"

static int put(struct layer *l, const char *package, const char *tail, const struct buf *b,
	       struct err *e)
{
	char path[256];
	struct layer_entry t = {.path = path, .mode = S_IFREG | 0644, .data = b->p, .size = b->len};

	if (b->bad)
		return err_set(e, ERR_NOMEM, NULL);
	snprintf(path, sizeof(path), FOLDER "%s%s", package, tail);
	return layer_add(l, &t, e);
}

int dpkg_add(struct layer *l, const char *package, const struct buf *control, struct err *e)
{
	CLEAN(buf) struct buf sums = {0};

	buf_init(&sums, 64u << 20);
	for (const struct layer *at = l; at; at = at->below) {
		for (size_t i = 0; i < at->n; i++) {
			const struct layer_entry *t = &at->v[i];
			uint8_t md[16];
			char hex[33];

			if (!S_ISREG(t->mode) || strcmp(t->owner, package) != 0 ||
			    layer_find(l, t->path) != t)
				continue;
			if (!EVP_Digest(t->size ? (const void *)t->data : "", t->size, md, NULL,
					EVP_md5(), NULL))
				return err_set(e, ERR_INTERNAL, "MD5 is not available");
			enc_hex(hex, md, sizeof(md));
			buf_printf(&sums, "%s  %s\n", hex, t->path);
		}
	}
	if (put(l, package, "", control, e))
		return -1;
	return put(l, package, ".md5sums", &sums, e);
}
