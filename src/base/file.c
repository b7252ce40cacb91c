#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

int file_read_fd(int fd, const char *name, struct buf *out, struct err *e)
{
	for (;;) {
		uint8_t chunk[65536];
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n > 0)
			buf_put(out, chunk, (size_t)n);
		if (out->secret)
			explicit_bzero(chunk, sizeof(chunk));
		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, ERR_IO, "cannot read %s", name);
		if (out->bad)
			return err_set(e, ERR_TOO_LARGE, "%s is larger than %zu bytes", name,
				       out->max);
	}
}

int file_read(const char *path, struct buf *out, struct err *e)
{
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	return file_read_fd(fd, path, out, e);
}

int file_write_fd(int fd, const char *name, const void *p, size_t n, struct err *e)
{
	const char *c = p;

	while (n) {
		ssize_t w = write(fd, c, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return err_errno(e, ERR_IO, "cannot write %s", name);
		c += w;
		n -= (size_t)w;
	}
	return 0;
}

static int sync_dir_of(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	CLEAN(free) char *dir =
		slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");

	if (!dir)
		return err_set(e, ERR_NOMEM, NULL);
	CLEAN(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return err_errno(e, ERR_IO, "cannot sync directory %s", dir);
	return 0;
}

int file_replace(const char *path, const void *p, size_t n, mode_t mode, struct err *e)
{
	char tmp[PATH_MAX];

	if (snprintf(tmp, sizeof(tmp), "%s.tmp-XXXXXX", path) >= (int)sizeof(tmp))
		return err_set(e, ERR_BAD_INPUT, "path is too long: %s", path);
	CLEAN(fd) int fd = mkostemp(tmp, O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot create a file beside %s", path);
	if (file_write_fd(fd, tmp, p, n, e)) {
		unlink(tmp);
		return -1;
	}
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0 || rename(tmp, path) < 0) {
		err_errno(e, ERR_IO, "cannot write %s", path);
		unlink(tmp);
		return -1;
	}
	return sync_dir_of(path, e);
}

int file_output(const char *path, const void *p, size_t n, mode_t mode, struct err *e)
{
	CLEAN(free) char *target = NULL;
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
		target = realpath(path, NULL);
		if (!target)
			return err_errno(e, ERR_IO, "cannot write %s", path);
		return file_replace(target, p, n, mode, e);
	}
	/* A link that leads nowhere yet is followed, as the shell does. */
	if (lstat(path, &st) < 0)
		return file_replace(path, p, n, mode, e);
	CLEAN(fd) int fd = open(path, O_WRONLY | O_CREAT | O_NOCTTY | O_CLOEXEC, mode);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	return file_write_fd(fd, path, p, n, e);
}

int file_mkdirs(const char *path, mode_t mode, struct err *e)
{
	char p[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(p))
		return err_set(e, ERR_BAD_INPUT, "path is too long: %s", path);
	memcpy(p, path, n + 1);
	for (char *s = p + 1;; s++) {
		if (*s != '/' && *s != '\0')
			continue;
		char c = *s;

		*s = '\0';
		if (mkdir(p, mode) < 0 && errno != EEXIST)
			return err_errno(e, ERR_IO, "cannot make directory %s", p);
		if (c == '\0')
			return 0;
		*s = c;
	}
}
