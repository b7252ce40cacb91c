/* The documents of a layout as `ocibuild save` reads them: index, manifest, configuration
 * and a layer, four parts of the input (after 0xff). In the first two @M, @C and @L are the
 * digests of the following parts, @D is the diff id. What is accepted is written, and is an
 * archive with as many files as it says. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ocibuild/assemble/save.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char top[] = "/tmp/fuzz-oci-XXXXXX";
static char dir[64];
static char digests[4][OCI_DIGEST_LEN]; /* of manifest, configuration, layer; diff id */

static void put(const char *path, const void *p, size_t n)
{
	CLEAN(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err e;

	if (fd < 0 || file_write_fd(fd, path, p, n, &e))
		abort();
}

static void put_blob(struct bytes b, int which)
{
	char path[4096];
	uint8_t md[32];

	sha256(md, b.len ? (const void *)b.p : "", b.len);
	oci_digest(digests[which], md);
	oci_blob_path(dir, digests[which], path);
	put(path, b.p, b.len);
}

/* The text with @M and the others replaced. */
static void expand(struct bytes in, struct buf *out)
{
	static const char letters[] = "MCLD";

	buf_init(out, 1u << 20);
	for (size_t i = 0; i < in.len; i++) {
		const char *l =
			in.p[i] == '@' && i + 1 < in.len ? strchr(letters, in.p[i + 1]) : NULL;

		if (l && *l) {
			buf_put(out, digests[l - letters], strlen(digests[l - letters]));
			i++;
		} else {
			buf_u8(out, in.p[i]);
		}
	}
}

static void check_archive(int fd, const struct save *s)
{
	struct archive *a = archive_read_new();
	struct archive_entry *ent;
	size_t files = 0;

	lseek(fd, 0, SEEK_SET);
	archive_read_support_format_tar(a);
	if (archive_read_open_fd(a, fd, 65536) != ARCHIVE_OK)
		abort();
	while (archive_read_next_header(a, &ent) == ARCHIVE_OK)
		files += archive_entry_filetype(ent) == AE_IFREG;
	archive_read_free(a);
	if (files != s->nmembers)
		abort();
}

static void start(void)
{
	struct err e;

	if (!mkdtemp(top))
		abort();
	snprintf(dir, sizeof(dir), "%s/images", top);
	if (oci_open(dir, &e))
		abort();
}

static void clear(void)
{
	char path[4096];

	for (int i = 0; i < 3; i++) {
		oci_blob_path(dir, digests[i], path);
		unlink(path);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes part[4] = {{0}};
	CLEAN(buf) struct buf index = {0};
	CLEAN(buf) struct buf manifest = {0};
	CLEAN(buf) struct buf config = {0};
	CLEAN(save) struct save s = {0};
	struct err e = {0};
	char path[128];
	uint8_t md[32];

	if (!dir[0])
		start();
	for (int i = 0; i < 4 && data; i++) {
		const uint8_t *end = i < 3 ? memchr(data, 0xff, size) : NULL;
		size_t n = end ? (size_t)(end - data) : size;

		part[i] = (struct bytes){data, n};
		size -= end ? n + 1 : n;
		data = end ? end + 1 : NULL;
	}
	put_blob(part[3], 2);
	memcpy(digests[3], digests[2], OCI_DIGEST_LEN);
	expand(part[2], &config);
	put_blob((struct bytes){config.p, config.len}, 1);
	expand(part[1], &manifest);
	put_blob((struct bytes){manifest.p, manifest.len}, 0);
	expand(part[0], &index);
	snprintf(path, sizeof(path), "%s/index.json", dir);
	put(path, index.p, index.len);
	if (save_open(&s, &(struct save_from){.build = top, .tail = "", .attached = true}, 0, NULL,
		      &e) == 0) {
		CLEAN(fd) int out = memfd_create("archive", MFD_CLOEXEC);

		if (save_write(&s, out, md, &e) == 0)
			check_archive(out, &s);
		else if (e.code != ERR_DIGEST)
			abort();
	} else if (!e.code || !e.text[0]) {
		abort();
	}
	clear();
	return 0;
}
