#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/secret_file.h"

void *secret_alloc(size_t n)
{
	void *p = sodium_malloc(n ? n : 1);

	if (p)
		memset(p, 0, n);
	return p;
}

void secret_free(void *p)
{
	sodium_free(p);
}

void secret_wipe(void *p, size_t n)
{
	sodium_memzero(p, n);
}

bool secret_equal(const void *a, const void *b, size_t n)
{
	return sodium_memcmp(a, b, n) == 0;
}

void secret_clear(struct secret *s)
{
	secret_free(s->p);
	s->p = NULL;
	s->len = 0;
}

int secret_read_fd(struct secret *s, int fd, const char *name, size_t max, struct err *e)
{
	uint8_t *p = secret_alloc(max + 1);
	size_t len = 0;

	if (!p)
		return err_set(e, ERR_NOMEM, "no locked memory for %s", name);
	while (len <= max) {
		ssize_t n = read(fd, p + len, max + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			secret_free(p);
			return err_errno(e, ERR_IO, "cannot read %s", name);
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > max) {
		secret_free(p);
		return err_set(e, ERR_TOO_LARGE, "%s is larger than %zu bytes", name, max);
	}
	if (len && p[len - 1] == '\n')
		len--;
	if (len && p[len - 1] == '\r')
		len--;
	secret_free(s->p);
	s->p = p;
	s->len = len;
	return 0;
}

int secret_read_file(struct secret *s, const char *path, size_t max, struct err *e)
{
	CLEAN(fd) int fd = -1;
	struct stat st;

	/* What a person types or pipes in has no mode to look at. */
	if (stat(path, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0 || fstat(fd, &st) < 0)
			return err_errno(e, ERR_IO, "cannot open %s", path);
		if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
			return err_set(e, ERR_BAD_INPUT, "%s changes while it is read", path);
	} else if (secret_file_open(path, &fd, e)) {
		return -1;
	}
	return secret_read_fd(s, fd, path, max, e);
}

void secret_no_core(void)
{
	const struct rlimit none = {0, 0};

	(void)setrlimit(RLIMIT_CORE, &none);
}
