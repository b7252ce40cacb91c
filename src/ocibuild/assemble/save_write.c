#include "ocibuild/assemble/save.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ui/progress.h"

/* ---- reading blobs ---- */

/* A decoder gets input at p; *left is not 0 while a stream is open. */
struct decoder {
	const struct save_member *m;
	ZSTD_DCtx *zstd;
	z_stream gzip;
	size_t left;
	uint8_t *out;
	save_put *put;
	void *arg;
};
#define ROOM (1u << 17)

static int unzstd(struct decoder *d, const uint8_t *p, size_t n, struct err *e)
{
	ZSTD_inBuffer i = {p, n, 0};

	while (i.pos < i.size) {
		ZSTD_outBuffer o = {d->out, ROOM, 0};

		d->left = ZSTD_decompressStream(d->zstd, &o, &i);
		if (ZSTD_isError(d->left))
			return err_set(e, ERR_DIGEST, "a layer is damaged: %s: %s", d->m->name,
				       ZSTD_getErrorName(d->left));
		if (d->put(d->arg, d->out, o.pos, e))
			return -1;
	}
	return 0;
}

static int gunzip(struct decoder *d, uint8_t *p, size_t n, struct err *e)
{
	z_stream *z = &d->gzip;
	int rc;

	z->next_in = p;
	z->avail_in = (uInt)n;
	do {
		z->next_out = d->out;
		z->avail_out = ROOM;
		rc = inflate(z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return err_set(e, ERR_DIGEST, "a layer is damaged: %s: %s", d->m->name,
				       z->msg ? z->msg : "not gzip");
		if (d->put(d->arg, d->out, ROOM - z->avail_out, e))
			return -1;
		if (rc != Z_BUF_ERROR)
			d->left = rc != Z_STREAM_END;
		if (rc == Z_STREAM_END)
			inflateReset(z);
	} while (z->avail_in || z->avail_out == 0);
	return 0;
}

static int decode(struct decoder *d, uint8_t *in, struct err *e)
{
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(d->m->fd, in, ROOM, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, ERR_IO, "cannot read %s", d->m->name);
		if (n == 0)
			return d->left ? err_set(e, ERR_DIGEST, "a layer is cut off: %s",
						 d->m->name)
				       : 0;
		at += n;
		if (d->m->packed == SAVE_ZSTD ? unzstd(d, in, (size_t)n, e)
					      : gunzip(d, in, (size_t)n, e))
			return -1;
	}
}

static int unpack_member(const struct save_member *m, save_put *put, void *arg, struct err *e)
{
	CLEAN(free) uint8_t *in = malloc(ROOM), *out = malloc(ROOM);
	struct decoder d = {
		.m = m, .zstd = ZSTD_createDCtx(), .left = 1, .out = out, .put = put, .arg = arg};
	int rc;

	/* 31: with a gzip header */
	if (inflateInit2(&d.gzip, 31) != Z_OK) {
		ZSTD_freeDCtx(d.zstd);
		return err_set(e, ERR_NOMEM, NULL);
	}
	rc = in && out && d.zstd ? decode(&d, in, e) : err_set(e, ERR_NOMEM, NULL);
	inflateEnd(&d.gzip);
	ZSTD_freeDCtx(d.zstd);
	return rc;
}

int save_read(const struct save_member *m, save_put *put, void *arg, struct err *e)
{
	uint8_t chunk[65536];
	off_t at = 0;

	if (m->fd < 0)
		return put(arg, m->text, (size_t)m->size, e);
	if (m->packed != SAVE_AS_IS)
		return unpack_member(m, put, arg, e);
	for (;;) {
		ssize_t n = pread(m->fd, chunk, sizeof(chunk), at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, ERR_IO, "cannot read %s", m->name);
		if (n == 0)
			return 0;
		if (put(arg, chunk, (size_t)n, e))
			return -1;
		at += n;
	}
}

/* ---- writing ---- */

struct writer {
	const struct save *s;
	struct archive *a;
	int fd;
	struct sha256 all;
	struct sha256 md; /* of the member at hand */
	uint64_t left;
	bool failed; /* nothing more is written */
	struct progress progress;
	struct err *e;
};

static la_ssize_t take_archive(struct archive *a, void *arg, const void *p, size_t n)
{
	struct writer *w = arg;

	if (w->failed)
		return (la_ssize_t)n;
	sha256_update(&w->all, p, n);
	if (file_write_fd(w->fd, "the archive", p, n, w->e)) {
		archive_set_error(a, EIO, "cannot write");
		return -1;
	}
	return (la_ssize_t)n;
}

static int put_bytes(void *arg, const void *p, size_t n, struct err *e)
{
	struct writer *w = arg;

	if (n > w->left)
		return err_set(e, ERR_DIGEST, "a blob has grown while it was read");
	w->left -= n;
	sha256_update(&w->md, p, n);
	progress_add(&w->progress, n);
	if (n && archive_write_data(w->a, p, n) != (la_ssize_t)n)
		return w->e->code ? -1 : err_set(e, ERR_IO, "%s", archive_error_string(w->a));
	return 0;
}

static int put_member(struct writer *w, const struct save_member *m, struct err *e)
{
	char got[OCI_DIGEST_LEN];
	uint8_t md[32];

	sha256_init(&w->md);
	w->left = m->size;
	if (save_read(m, put_bytes, w, e))
		return -1;
	sha256_final(&w->md, md);
	oci_digest(got, md);
	if (w->left || (m->digest[0] && strcmp(got, m->digest) != 0))
		return err_set(e, ERR_DIGEST, "%s/%s was changed: remove it and build again",
			       w->s->dir, m->name);
	return 0;
}

static int put_header(struct writer *w, struct archive_entry *ent, const char *name, uint64_t size)
{
	bool dir = name[strlen(name) - 1] == '/';

	archive_entry_clear(ent);
	archive_entry_set_pathname(ent, name);
	archive_entry_set_filetype(ent, dir ? AE_IFDIR : AE_IFREG);
	archive_entry_set_perm(ent, dir ? 0755 : 0644);
	archive_entry_set_uid(ent, 0);
	archive_entry_set_gid(ent, 0);
	archive_entry_set_mtime(ent, 0, 0);
	archive_entry_set_size(ent, (la_int64_t)size);
	return archive_write_header(w->a, ent) == ARCHIVE_OK ? 0 : -1;
}

static int put_all(struct writer *w, struct archive_entry *ent, struct err *e)
{
	const struct save *s = w->s;

	/* the documents, which were added last, first: a reader of a pipe sees them at once */
	for (size_t k = 0; k < s->nmembers; k++) {
		const struct save_member *m = &s->members[(k + s->nmembers - 3) % s->nmembers];

		if (k == 3 &&
		    (put_header(w, ent, "blobs/", 0) || put_header(w, ent, "blobs/sha256/", 0)))
			return -1;
		if (put_header(w, ent, m->name, m->size) || put_member(w, m, e))
			return -1;
	}
	return 0;
}

int save_write(const struct save *s, int fd, uint8_t sha256[static 32], struct err *e)
{
	struct archive *a = archive_write_new();
	struct archive_entry *ent = archive_entry_new();
	struct err mine = {0};
	struct writer w = {.s = s, .a = a, .fd = fd, .e = &mine};
	int rc = 0;

	sha256_init(&w.all);
	if (!a || !ent) {
		rc = err_set(&mine, ERR_NOMEM, NULL);
	} else {
		progress_start(&w.progress, "saving images", s->bytes, PROGRESS_BYTES);
		archive_write_set_format_ustar(a);
		archive_write_add_filter_none(a);
		archive_write_set_bytes_per_block(a, 65536);
		archive_write_set_bytes_in_last_block(a, 1);
		if (archive_write_open(a, &w, NULL, take_archive, NULL) != ARCHIVE_OK ||
		    put_all(&w, ent, &mine))
			rc = -1;
		/* what closing would write, the end, must not be there when it is not whole;
		 * archive_write_fail() would leak */
		w.failed = rc != 0;
		if (archive_write_close(a) != ARCHIVE_OK)
			rc = -1;
		if (rc && !mine.code)
			err_set(&mine, ERR_IO, "cannot write the archive: %s",
				archive_error_string(a));
		progress_end(&w.progress);
	}
	sha256_final(&w.all, sha256);
	archive_entry_free(ent);
	archive_write_free(a);
	return rc ? err_set(e, mine.code, "%s", mine.text) : 0;
}

/* A file without a name is gone when we are; not every file system has them. */
static int open_beside(const char *path, char tmp[static 4096])
{
	const char *slash = strrchr(path, '/');
	int fd;

	snprintf(tmp, 4096, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(tmp, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0) {
		tmp[0] = '\0';
		return fd;
	}
	snprintf(tmp, 4096, "%s.tmp-XXXXXX", path);
	return mkostemp(tmp, O_CLOEXEC);
}

static int give_name(int fd, const char *path, char tmp[static 4096], struct err *e)
{
	char proc[64];

	if (fchmod(fd, 0644) < 0 || fsync(fd) < 0)
		return err_errno(e, ERR_IO, "cannot write %s", path);
	if (!tmp[0]) {
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		if (linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0)
			return 0;
		snprintf(tmp, 4096, "%s.tmp-%d", path, (int)getpid());
		if (errno != EEXIST || linkat(AT_FDCWD, proc, AT_FDCWD, tmp, AT_SYMLINK_FOLLOW) < 0)
			return err_errno(e, ERR_IO, "cannot write %s", path);
	}
	return rename(tmp, path) == 0 ? 0 : err_errno(e, ERR_IO, "cannot write %s", path);
}

int save_file(const struct save *s, const char *path, uint8_t sha256[static 32], struct err *e)
{
	char tmp[4096] = "";
	struct stat st;

	if (strlen(path) > 4000)
		return err_set(e, ERR_BAD_INPUT, "the name of the file is too long");
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return err_set(e, ERR_BAD_INPUT, "%s is a folder: name a file", path);
	/* a pipe or a device has nothing to keep */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		CLEAN(fd) int out = open(path, O_WRONLY | O_CLOEXEC);

		return out < 0 ? err_errno(e, ERR_IO, "cannot open %s", path)
			       : save_write(s, out, sha256, e);
	}
	CLEAN(fd) int fd = open_beside(path, tmp);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot create %s", path);
	if (save_write(s, fd, sha256, e) == 0 && give_name(fd, path, tmp, e) == 0)
		return 0;
	if (tmp[0])
		unlink(tmp);
	return -1;
}
