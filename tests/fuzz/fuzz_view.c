/* Layers of an image: two tars, the halves of the input. Whatever they are, names stay
 * below the root, there is one entry a name, and each is found again by its name. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ocibuild/oci/oci.h"
#include "ocibuild/oci/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/fuzz-view-XXXXXX";

static void put(const void *p, size_t n, char digest[static OCI_DIGEST_LEN])
{
	char path[4096];
	uint8_t md[32];
	struct err e;

	sha256(md, p, n);
	oci_digest(digest, md);
	oci_blob_path(dir, digest, path);
	CLEAN(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || file_write_fd(fd, path, p, n, &e))
		abort();
}

/* Headers whose checksum is wrong would end most runs. */
static void repair(uint8_t *p, size_t n)
{
	for (; n >= 512; p += 512, n -= 512) {
		unsigned sum = 0;

		if (memcmp(p + 257, "ustar", 5) != 0)
			continue;
		memset(p + 148, ' ', 8);
		for (size_t i = 0; i < 512; i++)
			sum += p[i];
		snprintf((char *)p + 148, 7, "%06o", sum);
	}
}

static void make(uint8_t *data, size_t size)
{
	char layer[2][OCI_DIGEST_LEN], config[OCI_DIGEST_LEN], manifest[OCI_DIGEST_LEN], text[4096];
	size_t half = size / 1024 * 512;
	struct err e;

	put(data, half, layer[0]);
	put(data + half, size - half, layer[1]);
	snprintf(text, sizeof(text), "{\"rootfs\":{\"diff_ids\":[\"%s\",\"%s\"]}}", layer[0],
		 layer[1]);
	put(text, strlen(text), config);
	snprintf(text, sizeof(text),
		 "{\"config\":{\"digest\":\"%s\"},"
		 "\"layers\":[{\"digest\":\"%s\"},{\"digest\":\"%s\"}]}",
		 config, layer[0], layer[1]);
	put(text, strlen(text), manifest);
	snprintf(text, sizeof(text), "{\"manifests\":[{\"digest\":\"%s\"}]}", manifest);
	char path[4096];

	snprintf(path, sizeof(path), "%s/index.json", dir);
	CLEAN(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || file_write_fd(fd, path, text, strlen(text), &e))
		abort();
}

static int see(struct view_entry *t, const uint8_t *p, size_t n, void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	if (n != t->size || !p)
		abort();
	/* AddressSanitizer looks whether all of it is there */
	for (size_t i = 0; i < n; i += 64)
		if (p[i] == 255 && !view_tag(t, 8))
			abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view_src src = {.dir = dir, .fn = see};
	static bool started;
	struct view v;
	struct err e;

	if (!started && (!mkdtemp(dir) || oci_open(dir, &e)))
		abort();
	started = true;
	CLEAN(free) uint8_t *copy = malloc(size + 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	repair(copy, size);
	make(copy, size);
	if (view_open(&v, &src, &e) == 0) {
		for (size_t i = 0; i < v.n; i++) {
			const char *path = v.v[i]->path;

			if (path[0] == '/' || strstr(path, "//") ||
			    (i && strcmp(v.v[i - 1]->path, path) >= 0) ||
			    view_find(&v, path, false) != v.v[i])
				abort();
		}
		view_free(&v);
	}
	char blobs[4096];

	snprintf(blobs, sizeof(blobs), "%s/blobs/sha256", dir);
	CLEAN(dir) DIR *d = opendir(blobs);
	struct dirent *ent;

	while (d && (ent = readdir(d)) != NULL)
		unlinkat(dirfd(d), ent->d_name, 0);
	return 0;
}
