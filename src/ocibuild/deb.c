#include "ocibuild/deb.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define MAX_CONTROL (1u << 20)
#define MAX_ENTRIES 1000000u

static void cleanup_archive(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
}

static int broken(const struct deb_src *src, struct err *e, const char *what)
{
	return err_set(e, ERR_PACKAGE, "%s: %s", src->name, what);
}

/* The inner tar is read through the outer ar, block by block. */
static la_ssize_t inner_read(struct archive *tar, void *arg, const void **block)
{
	struct archive *ar = arg;
	size_t n = 0;
	la_int64_t off;
	int rc = archive_read_data_block(ar, block, &n, &off);

	if (rc == ARCHIVE_EOF)
		return 0;
	if (rc == ARCHIVE_OK)
		return (la_ssize_t)n;
	archive_set_error(tar, EINVAL, "%s", archive_error_string(ar));
	return -1;
}

static int walk_tar(const struct deb_src *src, struct archive *ar, deb_fn *fn, void *arg,
		    struct err *e)
{
	CLEAN(archive) struct archive *tar = archive_read_new();
	struct archive_entry *ent;
	unsigned n = 0;
	int rc;

	if (!tar)
		return err_set(e, ERR_NOMEM, NULL);
	archive_read_support_format_tar(tar);
	archive_read_support_filter_gzip(tar);
	archive_read_support_filter_xz(tar);
	archive_read_support_filter_zstd(tar);
	if (archive_read_open(tar, ar, NULL, inner_read, NULL) != ARCHIVE_OK)
		return broken(src, e, "its inner archive is not a tar of gzip, xz or zstd");
	while ((rc = archive_read_next_header(tar, &ent)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		if (++n > MAX_ENTRIES)
			return broken(src, e, "too many files");
		if (!archive_entry_pathname(ent))
			return broken(src, e, "a file without a name");
		if (fn(tar, ent, arg, e))
			return err_wrap(e, "%s", src->name);
	}
	if (rc != ARCHIVE_EOF)
		return broken(src, e, "damaged inner archive");
	return 0;
}

static int open_ar(const struct deb_src *src, struct archive *ar, struct err *e)
{
	int rc;

	archive_read_support_format_ar(ar);
	if (src->fd >= 0)
		rc = archive_read_open_fd(ar, src->fd, 65536);
	else
		rc = archive_read_open_memory(ar, src->p, src->n);
	return rc == ARCHIVE_OK ? 0 : broken(src, e, "not a Debian package");
}

static bool is_part(const char *name, const char *part)
{
	size_t n = strlen(part);

	return strncmp(name, part, n) == 0 &&
	       (strcmp(name + n, "") == 0 || strcmp(name + n, ".gz") == 0 ||
		strcmp(name + n, ".xz") == 0 || strcmp(name + n, ".zst") == 0);
}

int deb_walk(const struct deb_src *src, enum deb_part part, deb_fn *fn, void *arg, struct err *e)
{
	static const char *const order[] = {"debian-binary", "control.tar", "data.tar"};
	CLEAN(archive) struct archive *ar = archive_read_new();
	struct archive_entry *ent;
	char version[4] = "";

	if (!ar)
		return err_set(e, ERR_NOMEM, NULL);
	if (open_ar(src, ar, e))
		return -1;
	for (size_t i = 0; i < 3; i++) {
		const char *name;

		if (archive_read_next_header(ar, &ent) != ARCHIVE_OK)
			return broken(src, e, "not a Debian package, or cut off");
		name = archive_entry_pathname(ent);
		if (!name || !is_part(name, order[i]))
			return broken(src, e, "its members are not those of a Debian package");
		if (i == 0 &&
		    (archive_read_data(ar, version, 4) != 4 || memcmp(version, "2.0\n", 4) != 0))
			return broken(src, e, "unknown package format version");
		if (i == (part == DEB_CONTROL ? 1u : 2u))
			return walk_tar(src, ar, fn, arg, e);
	}
	return broken(src, e, "a part is missing");
}

static int take_control(struct archive *tar, struct archive_entry *ent, void *arg, struct err *e)
{
	const char *name = archive_entry_pathname(ent);
	struct buf *out = arg;
	char chunk[8192];
	la_ssize_t n;

	if (strcmp(name, "./control") != 0 && strcmp(name, "control") != 0)
		return 0;
	if (archive_entry_filetype(ent) != AE_IFREG || out->len)
		return err_set(e, ERR_PACKAGE, "its control file is no file, or there are two");
	while ((n = archive_read_data(tar, chunk, sizeof(chunk))) > 0)
		buf_put(out, chunk, (size_t)n);
	if (n < 0 || out->bad || !out->len || memchr(out->p, '\0', out->len))
		return err_set(e, ERR_PACKAGE, "its control file is damaged");
	return 0;
}

int deb_control(const struct deb_src *src, struct buf *out, struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, MAX_CONTROL);
	if (deb_walk(src, DEB_CONTROL, take_control, &b, e))
		return -1;
	while (b.len && b.p[b.len - 1] == '\n')
		b.len--;
	if (!b.len)
		return broken(src, e, "it has no control file");
	buf_put(out, b.p, b.len);
	buf_u8(out, '\n');
	return out->bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}
