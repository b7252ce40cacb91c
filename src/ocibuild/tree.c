#include "ocibuild/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

int tree_open(struct tree *t, const char *dir, struct err *e)
{
	*t = (struct tree){.root = -1, .left = UINT64_C(16) << 30};
	if (file_mkdirs(dir, 0755, e))
		return -1;
	t->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return t->root < 0 ? err_errno(e, ERR_IO, "cannot open %s", dir) : 0;
}

void tree_close(struct tree *t)
{
	if (t->root >= 0)
		close(t->root);
	t->root = -1;
}

const char *tree_clean_name(const char *name, char out[static 4096])
{
	size_t n = 0;

	while (*name) {
		size_t k = strcspn(name, "/");

		if (k == 2 && name[0] == '.' && name[1] == '.')
			return NULL;
		if (k && !(k == 1 && name[0] == '.')) {
			if (n + k + 2 > 4096)
				return NULL;
			if (n)
				out[n++] = '/';
			memcpy(out + n, name, k);
			n += k;
		}
		name += k;
		name += *name == '/';
	}
	out[n] = '\0';
	return out;
}

/* Looks a name up as if the tree were the root directory. */
static int open_in(const struct tree *t, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, t->root, *path ? path : ".", &how, sizeof(how));
}

/* Opens the directory that holds path (making it where it is missing) and gives
 * the last component. */
static int open_parent(const struct tree *t, char *path, const char **base, struct err *e)
{
	char *slash = strrchr(path, '/');
	int fd;

	*base = slash ? slash + 1 : path;
	if (!slash)
		return open_in(t, "", O_RDONLY | O_DIRECTORY);
	*slash = '\0';
	fd = open_in(t, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && errno == ENOENT) {
		const char *name;
		CLEAN(fd) int up = open_parent(t, path, &name, e);

		if (up >= 0 && mkdirat(up, name, 0755) == 0)
			fd = openat(up, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	*slash = '/';
	return fd;
}

static int fail(struct err *e, const char *path)
{
	if (errno == ENOSYS)
		return err_set(e, ERR_IO, "this kernel has no openat2 (Linux 5.6)");
	if (errno == ENOTDIR || errno == ELOOP || errno == EISDIR || errno == ENOENT ||
	    errno == EXDEV || errno == EEXIST)
		return err_errno(e, ERR_PACKAGE, "cannot place '%s'", path);
	return err_errno(e, ERR_IO, "cannot write '%s'", path);
}

static mode_t entry_mode(const struct tree *t, struct archive_entry *ent)
{
	mode_t keep = t->setid ? 07777 : 01777;

	return archive_entry_perm(ent) & keep;
}

static void entry_times(struct archive_entry *ent, struct timespec ts[static 2])
{
	ts[0].tv_sec = ts[1].tv_sec = archive_entry_mtime(ent);
	ts[0].tv_nsec = ts[1].tv_nsec = archive_entry_mtime_nsec(ent);
}

/* Owner before mode: chown clears the setuid bit. */
static int set_attributes(const struct tree *t, int fd, struct archive_entry *ent)
{
	struct timespec ts[2];

	entry_times(ent, ts);
	if (t->owner &&
	    fchown(fd, (uid_t)archive_entry_uid(ent), (gid_t)archive_entry_gid(ent)) < 0)
		return -1;
	if (fchmod(fd, entry_mode(t, ent)) < 0)
		return -1;
	return futimens(fd, ts);
}

static int write_data(struct tree *t, struct archive *a, int fd, const char *path, struct err *e)
{
	const void *p;
	size_t n;
	la_int64_t off, at = 0;
	int rc;

	while ((rc = archive_read_data_block(a, &p, &n, &off)) == ARCHIVE_OK) {
		if (off < at || n > t->left)
			return err_set(e, ERR_PACKAGE, "'%s' is too large or its data overlaps",
				       path);
		if (off > at && lseek(fd, off, SEEK_SET) < 0)
			return err_errno(e, ERR_IO, "cannot write '%s'", path);
		if (file_write_fd(fd, path, p, n, e))
			return -1;
		t->left -= n;
		at = off + (la_int64_t)n;
	}
	if (rc != ARCHIVE_EOF)
		return err_set(e, ERR_PACKAGE, "the data of '%s' is damaged", path);
	return ftruncate(fd, at) < 0 ? err_errno(e, ERR_IO, "cannot write '%s'", path) : 0;
}

static int put_file(struct tree *t, int dir, const char *base, struct archive *a,
		    struct archive_entry *ent, const char *path, struct err *e)
{
	CLEAN(fd) int fd =
		openat(dir, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return fail(e, path);
	if (write_data(t, a, fd, path, e))
		return -1;
	return set_attributes(t, fd, ent) < 0 ? fail(e, path) : 0;
}

/* The target of a hard link is a file of this tree; a link is not followed. */
static int put_hardlink(const struct tree *t, int dir, const char *base, const char *target,
			const char *path, struct err *e)
{
	char clean[4096];
	const char *name;
	struct stat st;

	if (!tree_clean_name(target, clean) || !clean[0])
		return err_set(e, ERR_PACKAGE, "'%s' is a hard link to '%.100s'", path, target);
	CLEAN(fd) int from = open_parent(t, clean, &name, e);

	if (from < 0 || fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return err_set(e, ERR_PACKAGE, "'%s' is a hard link to '%.100s', which is no file",
			       path, target);
	return linkat(from, name, dir, base, 0) < 0 ? fail(e, path) : 0;
}

static int put_symlink(const struct tree *t, int dir, const char *base, struct archive_entry *ent,
		       const char *path, struct err *e)
{
	const char *target = archive_entry_symlink(ent);
	struct timespec ts[2];

	entry_times(ent, ts);
	if (!target || !*target)
		return err_set(e, ERR_PACKAGE, "'%s' is a symbolic link to nothing", path);
	if (symlinkat(target, dir, base) < 0 ||
	    (t->owner && fchownat(dir, base, (uid_t)archive_entry_uid(ent),
				  (gid_t)archive_entry_gid(ent), AT_SYMLINK_NOFOLLOW) < 0) ||
	    utimensat(dir, base, ts, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(e, path);
	return 0;
}

static int put_dir(const struct tree *t, int dir, const char *base, struct archive_entry *ent,
		   const char *path, struct err *e)
{
	CLEAN(fd) int fd = -1;

	/* an existing directory (or a link to one, as /bin) stays what it is */
	if (*base && mkdirat(dir, base, 0700) < 0 && errno != EEXIST)
		return fail(e, path);
	fd = open_in(t, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fail(e, path);
	return set_attributes(t, fd, ent) < 0 ? fail(e, path) : 0;
}

int tree_entry(struct tree *t, struct archive *a, struct archive_entry *ent, struct err *e)
{
	const char *name = archive_entry_pathname(ent), *link = archive_entry_hardlink(ent), *base;
	mode_t type = archive_entry_filetype(ent);
	char path[4096];

	if (!name || !tree_clean_name(name, path))
		return err_set(e, ERR_PACKAGE, "malformed file name '%.100s'", name ? name : "");
	if (!link && (type == AE_IFCHR || type == AE_IFBLK)) {
		if (t->skip_devices)
			return 0;
		return err_set(e, ERR_PACKAGE, "'%.100s' is a device", path);
	}
	if (!link && type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK)
		return err_set(e, ERR_PACKAGE, "'%.100s' is no file, directory or link", path);
	if (!path[0] && (link || type != AE_IFDIR))
		return err_set(e, ERR_PACKAGE, "the root is not a directory");
	CLEAN(fd) int dir = open_parent(t, path, &base, e);

	if (dir < 0)
		return fail(e, path);
	if (!link && type == AE_IFDIR)
		return put_dir(t, dir, base, ent, path, e);
	if (unlinkat(dir, base, 0) < 0 && errno != ENOENT)
		return fail(e, path);
	if (link)
		return put_hardlink(t, dir, base, link, path, e);
	if (type == AE_IFLNK)
		return put_symlink(t, dir, base, ent, path, e);
	return put_file(t, dir, base, a, ent, path, e);
}

int tree_extract(struct tree *t, struct archive *a, struct err *e)
{
	struct archive_entry *ent;
	int rc;

	while ((rc = archive_read_next_header(a, &ent)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
		if (tree_entry(t, a, ent, e))
			return -1;
	if (rc != ARCHIVE_EOF)
		return err_set(e, ERR_PACKAGE, "damaged archive: %s", archive_error_string(a));
	return 0;
}
