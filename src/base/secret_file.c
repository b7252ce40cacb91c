#include "base/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"

#define ENGINE_DIR "/run/secrets/"

/* What tells one mount from another; kernels before 5.8 know only the device. */
static bool mount_of(int dirfd, const char *path, int flags, struct statx *x)
{
	return statx(dirfd, path, flags, STATX_BASIC_STATS | STATX_MNT_ID, x) == 0;
}

static bool same_mount(const struct statx *a, const struct statx *b)
{
	if (a->stx_mask & b->stx_mask & STATX_MNT_ID)
		return a->stx_mnt_id == b->stx_mnt_id;
	return a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

/* Engines mount secrets world-readable and with the owner that the host's file has: below
 * /run/secrets, and as a mount of their own, or else it is a file of the image or a host's.
 * /run itself may be a mount, which says nothing. */
static bool by_engine(int fd, const char *path)
{
	struct statx file, run;

	if (strncmp(path, ENGINE_DIR, sizeof(ENGINE_DIR) - 1) != 0 || strstr(path, "/../"))
		return false;
	if (!mount_of(fd, "", AT_EMPTY_PATH, &file) ||
	    (!mount_of(AT_FDCWD, "/run", 0, &run) && !mount_of(AT_FDCWD, "/", 0, &run)))
		return false;
	return !same_mount(&file, &run);
}

static int cannot_open(const char *path, struct err *e)
{
	int why = errno;
	struct stat st;

	if (why == EACCES && stat(path, &st) == 0)
		return err_set(e, ERR_IO,
			       "cannot read %s: it belongs to uid %u with mode %04o and this runs "
			       "as uid %u: chown it to that uid",
			       path, st.st_uid, st.st_mode & 07777, geteuid());
	errno = why;
	return err_errno(e, ERR_IO, "cannot open %s", path);
}

/* A FIFO or a terminal would wait for somebody; of docker's -v a missing file becomes a
 * directory. */
static int no_file(const char *path, mode_t mode, struct err *e)
{
	if (S_ISDIR(mode))
		return err_set(e, ERR_BAD_INPUT,
			       "%s is a directory: it must be a file (docker -v makes a directory "
			       "where the host has no such file)",
			       path);
	return err_set(e, ERR_BAD_INPUT, "%s is no regular file: put the secret into one", path);
}

static int check(int fd, const char *path, const struct stat *st, struct err *e)
{
	const unsigned mode = st->st_mode & 07777;
	const uid_t self = geteuid();

	if (mode & 022)
		return err_set(
			e, ERR_BAD_INPUT,
			"%s can be changed by others (mode %04o): chmod 600 it and try again", path,
			mode);
	if (!(mode & 044) && (st->st_uid == 0 || st->st_uid == self))
		return 0;
	if (by_engine(fd, path))
		return 0;
	if (mode & 044)
		return err_set(e, ERR_BAD_INPUT,
			       "%s can be read by others (mode %04o): chmod 600 it and try again; "
			       "only what an engine mounts below " ENGINE_DIR " may be so",
			       path, mode);
	return err_set(e, ERR_BAD_INPUT,
		       "%s belongs to uid %u, who can read and change it: chown it to uid %u or "
		       "root",
		       path, st->st_uid, self);
}

int secret_file_open(const char *path, int *out, struct err *e)
{
	/* Not waiting for a FIFO's other end: it is refused. */
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cannot_open(path, e);
	if (!S_ISREG(st.st_mode))
		return no_file(path, st.st_mode, e);
	if (check(fd, path, &st, e))
		return -1;
	*out = steal_fd(&fd);
	return 0;
}

int secret_file_check(const char *path, struct err *e)
{
	CLEAN(fd) int fd = -1;
	struct stat st;

	if (secret_file_open(path, &fd, e))
		return -1;
	if (fstat(fd, &st) < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	if (st.st_size == 0)
		return err_set(e, ERR_BAD_INPUT, "%s is empty", path);
	return 0;
}
