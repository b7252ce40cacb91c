#include "hsm/launcher/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

int identity_read(const char *path, char out[static NKEY_PUB_LEN], struct err *e)
{
	char text[NKEY_PUB_LEN + 8];
	uint8_t pub[32];
	struct buf b;
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_UNAVAILABLE,
			       "%s is not there yet: start the service once, it writes it", path);
	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", path);
	buf_fixed(&b, text, sizeof(text) - 1);
	if (file_read_fd(fd, path, &b, e))
		return -1;
	while (b.len && (text[b.len - 1] == '\n' || text[b.len - 1] == '\r'))
		b.len--;
	text[b.len] = '\0';
	if (nkey_decode_kind(pub, NKEY_CURVE, text, e))
		return err_wrap(e, "%s", path);
	nkey_encode(out, NKEY_CURVE, pub);
	return 0;
}

int identity_write(const char *path, const uint8_t pub[static 32], char was[static NKEY_PUB_LEN],
		   struct err *e)
{
	char text[NKEY_PUB_LEN + 1];

	was[0] = '\0';
	nkey_encode(text, NKEY_CURVE, pub);
	if (identity_read(path, was, NULL))
		was[0] = '\0';
	if (strcmp(was, text) == 0) {
		was[0] = '\0';
		return 0;
	}
	text[NKEY_PUB_LEN - 1] = '\n';
	return file_replace(path, text, NKEY_PUB_LEN, 0644, e);
}
