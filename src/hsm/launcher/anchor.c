#include "hsm/launcher/anchor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

int anchor_load(struct anchor *a, const char *path, struct err *e)
{
	struct buf b;

	memset(a, 0, sizeof(*a));
	a->path = path;
	if (!path)
		return 0;
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_errno(e, ERR_IO, "anchor: cannot open %s", path);
	buf_fixed(&b, a->bytes, sizeof(a->bytes));
	if (file_read_fd(fd, path, &b, e))
		return err_wrap(e, "anchor");
	a->len = b.len;
	return 0;
}

int anchor_save(struct anchor *a, const void *p, size_t n, struct err *e)
{
	if (!a->path)
		return err_set(e, ERR_CONFIG, "no anchor file is configured");
	if (n == 0 || n > sizeof(a->bytes))
		return err_set(e, ERR_BAD_FRAME, "an anchor has 1 to %d bytes", ANCHOR_LEN);
	if (file_replace(a->path, p, n, 0600, e))
		return err_wrap(e, "anchor");
	memcpy(a->bytes, p, n);
	a->len = n;
	return 0;
}
