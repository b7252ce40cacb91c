#include "client/epoch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

int epoch_load(const char *path, uint64_t *epoch, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	uint64_t v = 0;
	size_t n;

	*epoch = 0;
	buf_init(&b, 64);
	if (access(path, F_OK) && errno == ENOENT)
		return 0;
	if (file_read(path, &b, e))
		return -1;
	n = b.len && b.p[b.len - 1] == '\n' ? b.len - 1 : b.len;
	for (size_t i = 0; i < n && n <= 20; i++) {
		unsigned digit = b.p[i] - (unsigned)'0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			n = 0;
		v = v * 10 + digit;
	}
	if (n == 0 || n > 20)
		return err_set(e, ERR_BAD_INPUT,
			       "%s is not an epoch file; look for a copy, or remove it to trust "
			       "what the HSM says next",
			       path);
	*epoch = v;
	return 0;
}

static int store(const char *path, uint64_t epoch, struct err *e)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", epoch);

	return file_replace(path, text, (size_t)n, 0600, e);
}

/* Descriptor of the file's directory with the lock, or -1. */
static int lock_dir(const char *path, struct err *e)
{
	CLEAN(free) char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;
	int fd;

	if (!dir)
		return err_set(e, ERR_NOMEM, NULL);
	if (slash)
		*slash = '\0';
	fd = open(!slash ? "." : *dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || flock(fd, LOCK_EX)) {
		err_errno(e, ERR_IO, "%s", path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int epoch_raise(const char *path, uint64_t epoch, struct err *e)
{
	CLEAN(fd) int lock = lock_dir(path, e);
	uint64_t have;

	if (lock < 0 || epoch_load(path, &have, e))
		return -1;
	return epoch > have ? store(path, epoch, e) : 0;
}

int epoch_set(const char *path, uint64_t epoch, struct err *e)
{
	CLEAN(fd) int lock = lock_dir(path, e);

	return lock < 0 ? -1 : store(path, epoch, e);
}
