#include "ocibuild/pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "ocibuild/deb.h"
#include "ocibuild/tree.h"

/* What mmdebstrap and the host leave behind. */
static const char *const leaks[] = {
	"dev/*",
	"etc/apt/apt.conf.d/99mmdebstrap",
	"etc/apt/sources.list",
	"etc/hostname",
	"etc/resolv.conf",
	"var/cache/debconf/*-old",
	"var/lib/dpkg/*-old",
};

/* apt's own example becomes the image's source list: no address is ours. */
#define EXAMPLE_SOURCES "usr/share/doc/apt/examples/debian.sources"
#define STATUS_D "var/lib/dpkg/status.d/"
#define SOURCES "etc/apt/sources.list.d/debian.sources"

struct writer {
	const struct pack *p;
	struct archive *out;
	struct buf sources;
	/* of a slice */
	struct buf sums;
	EVP_MD_CTX *md;
	char doc[256], copyright[300];
	const struct spec_slice *slice;
	bool *hit; /* one a pattern of the slice */
};

static void cleanup_reader(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
}

static bool is_leak(const char *path)
{
	for (size_t i = 0; i < sizeof(leaks) / sizeof(leaks[0]); i++)
		if (fnmatch(leaks[i], path, FNM_PATHNAME) == 0)
			return true;
	return strncmp(path, "dev/", 4) == 0;
}

static int write_failed(const struct writer *w, struct err *e)
{
	return err_set(e, ERR_IO, "cannot write the rootfs: %s", archive_error_string(w->out));
}

/* Whether apt gives these to its own user depends on where the host builds; apt
 * puts them right when it runs. */
static bool is_apts(const char *path)
{
	return strcmp(path, "var/cache/apt/archives/partial") == 0 ||
	       strcmp(path, "var/lib/apt/lists/partial") == 0;
}

/* Everything that could differ between two hosts is set here. */
static void normalise(const struct writer *w, struct archive_entry *ent, const char *path)
{
	char name[4100];

	if (is_apts(path))
		archive_entry_set_uid(ent, 0);

	snprintf(name, sizeof(name), "./%s%s", path,
		 archive_entry_filetype(ent) == AE_IFDIR && *path ? "/" : "");
	archive_entry_set_pathname(ent, name);
	archive_entry_set_uname(ent, NULL);
	archive_entry_set_gname(ent, NULL);
	archive_entry_unset_atime(ent);
	archive_entry_unset_ctime(ent);
	archive_entry_unset_birthtime(ent);
	archive_entry_set_dev(ent, 0);
	archive_entry_set_ino(ent, 0);
	archive_entry_set_nlink(ent, 1);
	if (archive_entry_mtime(ent) > w->p->date)
		archive_entry_set_mtime(ent, (time_t)w->p->date, 0);
	else
		archive_entry_set_mtime(ent, archive_entry_mtime(ent), 0);
}

static int copy_entry(struct writer *w, struct archive *in, struct archive_entry *ent,
		      const char *path, struct err *e)
{
	char chunk[65536];
	la_ssize_t n = 0;

	normalise(w, ent, path);
	if (archive_write_header(w->out, ent) != ARCHIVE_OK)
		return write_failed(w, e);
	if (archive_entry_filetype(ent) != AE_IFREG || archive_entry_hardlink(ent))
		return 0;
	while ((n = archive_read_data(in, chunk, sizeof(chunk))) > 0) {
		if (strcmp(path, EXAMPLE_SOURCES) == 0)
			buf_put(&w->sources, chunk, (size_t)n);
		if (w->md && !EVP_DigestUpdate(w->md, chunk, (size_t)n))
			return err_set(e, ERR_INTERNAL, "MD5 failed");
		if (archive_write_data(w->out, chunk, (size_t)n) != n)
			return write_failed(w, e);
	}
	if (n < 0)
		return err_set(e, ERR_PACKAGE, "the data of '%s' is damaged", path);
	return 0;
}

/* Lines for the accounts of the definition, which come after Debian's. */
static void account_lines(const struct writer *w, const char *path, struct buf *b)
{
	const struct image *im = &w->p->spec->image;
	bool passwd = strcmp(path, "etc/passwd") == 0, shadow = strcmp(path, "etc/shadow") == 0;
	bool group = strcmp(path, "etc/group") == 0, gshadow = strcmp(path, "etc/gshadow") == 0;
	const char *name;
	json_t *v;

	for (size_t i = 0; i < im->nusers; i++) {
		const struct image_user *u = &im->users[i];

		if (passwd)
			buf_printf(b, "%s:x:%d:%d:%s:%s:/usr/sbin/nologin\n", u->name, (int)u->uid,
				   (int)u->gid, u->name, u->home);
		else if (shadow)
			buf_printf(b, "%s:*:::::::\n", u->name);
	}
	json_object_foreach(im->groups, name, v)
	{
		if (group)
			buf_printf(b, "%s:x:%d:\n", name, (int)json_integer_value(v));
		else if (gshadow)
			buf_printf(b, "%s:*::\n", name);
	}
}

/* An entry with lines at its end; *done is false when there are none for it. */
static int copy_accounts(struct writer *w, struct archive *in, struct archive_entry *ent,
			 const char *path, bool *done, struct err *e)
{
	CLEAN(buf) struct buf more = {0}, all = {0};
	char chunk[65536];
	la_ssize_t n;

	buf_init(&more, 1u << 20);
	account_lines(w, path, &more);
	*done = more.len && archive_entry_filetype(ent) == AE_IFREG;
	if (!*done)
		return 0;
	buf_init(&all, 2u << 20);
	while ((n = archive_read_data(in, chunk, sizeof(chunk))) > 0)
		buf_put(&all, chunk, (size_t)n);
	buf_put(&all, more.p, more.len);
	if (n < 0 || all.bad || more.bad)
		return err_set(e, ERR_PACKAGE, "'%s' is damaged or too large", path);
	normalise(w, ent, path);
	archive_entry_set_size(ent, (la_int64_t)all.len);
	if (archive_write_header(w->out, ent) != ARCHIVE_OK ||
	    archive_write_data(w->out, all.p, all.len) != (la_ssize_t)all.len)
		return write_failed(w, e);
	return 0;
}

static int copy_rootfs(struct writer *w, int in_fd, struct err *e)
{
	CLEAN(reader) struct archive *in = archive_read_new();
	struct archive_entry *ent;
	char path[4096];
	int rc;

	if (!in)
		return err_set(e, ERR_NOMEM, NULL);
	archive_read_support_format_tar(in);
	if (archive_read_open_fd(in, in_fd, 1u << 16) != ARCHIVE_OK)
		return err_set(e, ERR_TOOL, "mmdebstrap wrote no tar");
	while ((rc = archive_read_next_header(in, &ent)) == ARCHIVE_OK || rc == ARCHIVE_WARN) {
		if (!tree_clean_name(archive_entry_pathname(ent), path))
			return err_set(e, ERR_PACKAGE, "malformed file name in the rootfs");
		bool done = false;

		if (is_leak(path))
			continue;
		if (copy_accounts(w, in, ent, path, &done, e) ||
		    (!done && copy_entry(w, in, ent, path, e)))
			return -1;
	}
	return rc == ARCHIVE_EOF ? 0 : err_set(e, ERR_TOOL, "mmdebstrap's tar is damaged");
}

/* b NULL: a directory, which only its owner may read when that is not root. */
static int write_owned(struct writer *w, const char *path, const struct buf *b, int64_t uid,
		       int64_t gid, struct err *e)
{
	struct archive_entry *ent = archive_entry_new();
	int rc = 0;

	if (!ent || (b && b->bad)) {
		archive_entry_free(ent);
		return err_set(e, ERR_NOMEM, NULL);
	}
	archive_entry_set_filetype(ent, b ? AE_IFREG : AE_IFDIR);
	archive_entry_set_perm(ent, b ? 0644 : uid ? 0700 : 0755);
	archive_entry_set_uid(ent, uid);
	archive_entry_set_gid(ent, gid);
	archive_entry_set_size(ent, b ? (la_int64_t)b->len : 0);
	archive_entry_set_mtime(ent, (time_t)w->p->date, 0);
	normalise(w, ent, path);
	if (archive_write_header(w->out, ent) != ARCHIVE_OK ||
	    (b && archive_write_data(w->out, b->p, b->len) != (la_ssize_t)b->len))
		rc = write_failed(w, e);
	archive_entry_free(ent);
	return rc;
}

static int write_file(struct writer *w, const char *path, const struct buf *b, struct err *e)
{
	return write_owned(w, path, b, 0, 0, e);
}

static int write_homes(struct writer *w, struct err *e)
{
	const struct image *im = &w->p->spec->image;

	for (size_t i = 0; i < im->nusers; i++)
		if (write_owned(w, im->users[i].home + 1, NULL, im->users[i].uid, im->users[i].gid,
				e))
			return -1;
	return 0;
}

/* A file, and its line of the package's list. */
static int copy_summed(struct writer *w, struct archive *in, struct archive_entry *ent,
		       const char *path, struct err *e)
{
	uint8_t md[EVP_MAX_MD_SIZE];
	char hex[2 * 16 + 1];
	int rc = -1;

	w->md = EVP_MD_CTX_new();
	if (!w->md || !EVP_DigestInit_ex(w->md, EVP_md5(), NULL))
		err_set(e, ERR_INTERNAL, "MD5 is not available");
	else if (copy_entry(w, in, ent, path, e) == 0)
		rc = EVP_DigestFinal_ex(w->md, md, NULL) ? 0 : err_set(e, ERR_INTERNAL, "MD5");
	EVP_MD_CTX_free(w->md);
	w->md = NULL;
	if (rc)
		return -1;
	enc_hex(hex, md, 16);
	buf_printf(&w->sums, "%s  %s\n", hex, path);
	return 0;
}

static int slice_entry(struct archive *tar, struct archive_entry *ent, void *arg, struct err *e)
{
	struct writer *w = arg;
	mode_t type = archive_entry_filetype(ent);
	bool dir = type == AE_IFDIR && !archive_entry_hardlink(ent);
	char path[4096], match[4100];
	size_t which;

	if (!tree_clean_name(archive_entry_pathname(ent), path))
		return err_set(e, ERR_PACKAGE, "malformed file name '%.100s'",
			       archive_entry_pathname(ent));
	snprintf(match, sizeof(match), "%s%s", path, dir ? "/" : "");
	if (strcmp(path, w->copyright) == 0 || strcmp(path, w->doc) == 0)
		which = w->slice->nfiles;
	else if (!path[0] || !spec_slice_match(w->slice, match, &which))
		return 0;
	if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
		return err_set(e, ERR_PACKAGE, "'%.100s' is no file, directory or link", path);
	if (archive_entry_hardlink(ent))
		return err_set(e, ERR_PACKAGE, "'%.100s' is a hard link; slices take none", path);
	w->hit[which] = true;
	archive_entry_set_uid(ent, 0);
	archive_entry_set_gid(ent, 0);
	archive_entry_set_perm(ent, archive_entry_perm(ent) & 0755);
	return type == AE_IFREG ? copy_summed(w, tar, ent, path, e)
				: copy_entry(w, tar, ent, path, e);
}

/* dpkg knows nothing of a slice: its package data is where images without dpkg have it, and
 * lists the files that were taken. */
static int write_package_data(struct writer *w, const struct deb_src *src, const char *package,
			      struct err *e)
{
	CLEAN(buf) struct buf control = {0};
	char path[300];

	buf_init(&control, 1u << 20);
	snprintf(path, sizeof(path), STATUS_D "%s", package);
	if (lseek(src->fd, 0, SEEK_SET) < 0)
		return err_errno(e, ERR_IO, "cannot read %s", package);
	if (deb_control(src, &control, e) || write_file(w, path, &control, e))
		return -1;
	snprintf(path, sizeof(path), STATUS_D "%s.md5sums", package);
	return write_file(w, path, &w->sums, e);
}

static int copy_slice(struct writer *w, const struct spec_slice *sl, struct err *e)
{
	const struct lock_pkg *p = lock_find(w->p->lock, sl->suite, sl->package);
	CLEAN(free) bool *hit = calloc(sl->nfiles + 1, sizeof(*hit));
	char path[4096];
	uint8_t digest[32];

	if (!p || !hit)
		return err_set(e, ERR_LOCK, "%s of %s is not in the lock", sl->package, sl->suite);
	cache_path(w->p->cache, p->sha256, path);
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, ERR_IO, "%s is not in the cache", sl->package);
	if (cache_digest_fd(fd, path, digest, e))
		return -1;
	if (memcmp(digest, p->sha256, 32) != 0)
		return err_set(e, ERR_DIGEST, "%s was changed in the cache: remove %s", p->name,
			       path);
	struct deb_src src = {.name = sl->package, .fd = fd};

	w->slice = sl;
	w->hit = hit;
	buf_reset(&w->sums);
	snprintf(w->doc, sizeof(w->doc), "usr/share/doc/%s", sl->package);
	snprintf(w->copyright, sizeof(w->copyright), "%s/copyright", w->doc);
	if (deb_walk(&src, DEB_DATA, slice_entry, w, e) ||
	    write_package_data(w, &src, sl->package, e))
		return -1;
	for (size_t i = 0; i < sl->nfiles; i++)
		if (!hit[i])
			return err_set(e, ERR_CONFIG, "%s of %s has no file that matches '%s'",
				       sl->package, sl->suite, sl->files[i]);
	return 0;
}

static int write_all(struct writer *w, int in_fd, struct err *e)
{
	if (copy_rootfs(w, in_fd, e))
		return -1;
	if (w->sources.len && write_file(w, SOURCES, &w->sources, e))
		return -1;
	if (write_homes(w, e))
		return -1;
	if (w->p->spec->nslices && write_file(w, "var/lib/dpkg/status.d", NULL, e))
		return -1;
	for (size_t i = 0; i < w->p->spec->nslices; i++)
		if (w->p->spec->slices[i].nfiles && copy_slice(w, &w->p->spec->slices[i], e))
			return -1;
	return archive_write_close(w->out) == ARCHIVE_OK ? 0 : write_failed(w, e);
}

int pack_rootfs(const struct pack *p, int in_fd, const char *path, struct err *e)
{
	struct writer w = {.p = p, .out = archive_write_new()};
	int rc;

	if (!w.out)
		return err_set(e, ERR_NOMEM, NULL);
	buf_init(&w.sources, 65536);
	buf_init(&w.sums, 16u << 20);
	archive_write_set_format_pax_restricted(w.out);
	archive_write_add_filter_none(w.out);
	if (archive_write_open_filename(w.out, path) != ARCHIVE_OK)
		rc = write_failed(&w, e);
	else
		rc = write_all(&w, in_fd, e);
	archive_write_free(w.out);
	buf_free(&w.sources);
	buf_free(&w.sums);
	if (rc)
		unlink(path);
	return rc;
}
