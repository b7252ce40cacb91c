/* The master of a rootfs: what leaked in from the host is left out, accounts and slices of
 * the definition are in it, with their package data, in a form that no host changes. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ocibuild/pack.h"

#define DATE 2000

static char dir[] = "/tmp/pack-XXXXXX";

struct made {
	unsigned char p[65536];
	size_t n;
};

struct item {
	const char *name;
	unsigned type;
	const char *data; /* content or target */
	unsigned perm;
};

static void add_item(struct archive *a, const struct item *it)
{
	struct archive_entry *ent = archive_entry_new();

	archive_entry_set_pathname(ent, it->name);
	archive_entry_set_filetype(ent, it->type);
	archive_entry_set_perm(ent, it->perm);
	archive_entry_set_mtime(ent, it->perm == 0600 ? 1000 : 99999, 5);
	archive_entry_set_uname(ent, "somebody");
	if (it->type == AE_IFREG)
		archive_entry_set_size(ent, (la_int64_t)strlen(it->data));
	if (it->type == AE_IFLNK)
		archive_entry_set_symlink(ent, it->data);
	assert_int_equal(archive_write_header(a, ent), ARCHIVE_OK);
	if (it->type == AE_IFREG)
		archive_write_data(a, it->data, strlen(it->data));
	archive_entry_free(ent);
}

static void make_tar(struct made *m, const struct item *items, size_t n)
{
	struct archive *a = archive_write_new();

	archive_write_set_format_pax_restricted(a);
	archive_write_open_memory(a, m->p, sizeof(m->p), &m->n);
	for (size_t i = 0; i < n; i++)
		add_item(a, &items[i]);
	archive_write_close(a);
	archive_write_free(a);
}

static void add_member(struct archive *a, const char *name, const void *p, size_t n)
{
	struct archive_entry *ent = archive_entry_new();

	archive_entry_set_pathname(ent, name);
	archive_entry_set_filetype(ent, AE_IFREG);
	archive_entry_set_perm(ent, 0644);
	archive_entry_set_size(ent, (la_int64_t)n);
	assert_int_equal(archive_write_header(a, ent), ARCHIVE_OK);
	archive_write_data(a, p, n);
	archive_entry_free(ent);
}

static struct cache cache;
static struct lock_pkg row = {.suite = "forky", .name = "libx-dev", .version = "3"};

/* The package libx-dev, in the cache. */
static void make_package(void)
{
	static const struct item control[] = {
		{"./control", AE_IFREG, "Package: libx-dev\nVersion: 3\n", 0644}};
	static const struct item data[] = {
		{"./usr/include/", AE_IFDIR, NULL, 0755},
		{"./usr/include/x.h", AE_IFREG, "header", 0664},
		{"./usr/lib/libx.a", AE_IFREG, "archive", 04755},
		{"./usr/lib/libx.so", AE_IFLNK, "libx.so.1", 0777},
		{"./usr/share/doc/libx-dev/", AE_IFDIR, NULL, 0755},
		{"./usr/share/doc/libx-dev/changelog", AE_IFREG, "long", 0644},
		{"./usr/share/doc/libx-dev/copyright", AE_IFREG, "mine", 0644},
	};
	static struct made c, d, deb;
	struct archive *a = archive_write_new();
	char path[4096], up[4096];
	struct err e;

	make_tar(&c, control, 1);
	make_tar(&d, data, sizeof(data) / sizeof(data[0]));
	archive_write_set_format_ar_bsd(a);
	archive_write_set_bytes_per_block(a, 1);
	archive_write_open_memory(a, deb.p, sizeof(deb.p), &deb.n);
	add_member(a, "debian-binary", "2.0\n", 4);
	add_member(a, "control.tar", c.p, c.n);
	add_member(a, "data.tar", d.p, d.n);
	archive_write_close(a);
	archive_write_free(a);
	snprintf(cache.dir, sizeof(cache.dir), "%s/cache", dir);
	sha256(row.sha256, deb.p, deb.n);
	row.size = deb.n;
	cache_path(&cache, row.sha256, path);
	snprintf(up, sizeof(up), "%.*s", (int)(strrchr(path, '/') - path), path);
	if (file_mkdirs(up, 0755, &e) || file_replace(path, deb.p, deb.n, 0644, &e))
		fail_msg("%s", e.text);
}

static const struct item rootfs[] = {
	{"./", AE_IFDIR, NULL, 0755},
	{"./dev/null", AE_IFREG, "", 0666},
	{"./etc/", AE_IFDIR, NULL, 0755},
	{"./etc/group", AE_IFREG, "root:x:0:\n", 0644},
	{"./etc/gshadow", AE_IFREG, "root:*::\n", 0640},
	{"./etc/hostname", AE_IFREG, "host\n", 0644},
	{"./etc/passwd", AE_IFREG, "root:x:0:0:root:/root:/bin/bash\n", 0644},
	{"./etc/resolv.conf", AE_IFREG, "nameserver\n", 0644},
	{"./etc/shadow", AE_IFREG, "root:*:1::::::\n", 0600},
	{"./usr/share/doc/apt/examples/debian.sources", AE_IFREG, "Types: deb\n", 0644},
};

static struct image_user users[] = {
	{.name = "nonroot", .home = "/home/nonroot", .uid = 65532, .gid = 65532}};
static const char *patterns[] = {"usr/include/**", "usr/lib/libx.*"};
static struct spec_slice slice = {
	.package = "libx-dev", .suite = "forky", .files = patterns, .nfiles = 2};

static int pack(const char *path, struct spec *s, struct err *e)
{
	struct lock l = {.pkg = &row, .npkg = 1};
	const struct pack p = {.spec = s, .lock = &l, .cache = &cache, .date = DATE};
	static struct made tar;
	char in[64];

	make_package();
	make_tar(&tar, rootfs, sizeof(rootfs) / sizeof(rootfs[0]));
	snprintf(in, sizeof(in), "%s/in.tar", dir);
	if (file_replace(in, tar.p, tar.n, 0644, e))
		return -1;
	CLEAN(fd) int fd = open(in, O_RDONLY | O_CLOEXEC);

	return pack_rootfs(&p, fd, path, e);
}

/* "name mode uid mtime text", sorted as they stand. */
static void list(const char *path, struct buf *out)
{
	struct archive *a = archive_read_new();
	struct archive_entry *ent;
	char text[256];

	archive_read_support_format_tar(a);
	assert_int_equal(archive_read_open_filename(a, path, 4096), ARCHIVE_OK);
	while (archive_read_next_header(a, &ent) == ARCHIVE_OK) {
		la_ssize_t n = archive_read_data(a, text, sizeof(text));

		assert_string_equal(archive_entry_uname(ent) ? archive_entry_uname(ent) : "", "");
		buf_printf(out, "%s %o %d %lld %.*s\n", archive_entry_pathname(ent),
			   (unsigned)archive_entry_perm(ent), (int)archive_entry_uid(ent),
			   (long long)archive_entry_mtime(ent), n > 0 ? (int)n : 0, text);
	}
	archive_read_free(a);
	buf_u8(out, '\0');
}

static void is_complete(void **state)
{
	static const char want[] =
		"./ 755 0 2000 \n"
		"./etc/ 755 0 2000 \n"
		"./etc/group 644 0 2000 root:x:0:\nnonroot:x:65532:\n\n"
		"./etc/gshadow 640 0 2000 root:*::\nnonroot:*::\n\n"
		"./etc/passwd 644 0 2000 root:x:0:0:root:/root:/bin/bash\n"
		"nonroot:x:65532:65532:nonroot:/home/nonroot:/usr/sbin/nologin\n\n"
		"./etc/shadow 600 0 1000 root:*:1::::::\nnonroot:*:::::::\n\n"
		"./usr/share/doc/apt/examples/debian.sources 644 0 2000 Types: deb\n\n"
		"./etc/apt/sources.list.d/debian.sources 644 0 2000 Types: deb\n\n"
		"./home/nonroot/ 700 65532 2000 \n"
		"./var/lib/dpkg/status.d/ 755 0 2000 \n"
		"./usr/include/ 755 0 2000 \n"
		"./usr/include/x.h 644 0 2000 header\n"
		"./usr/lib/libx.a 755 0 2000 archive\n"
		"./usr/lib/libx.so 755 0 2000 \n"
		"./usr/share/doc/libx-dev/ 755 0 2000 \n"
		"./usr/share/doc/libx-dev/copyright 644 0 2000 mine\n"
		"./var/lib/dpkg/status.d/libx-dev 644 0 2000 Package: libx-dev\nVersion: 3\n\n"
		"./var/lib/dpkg/status.d/libx-dev.md5sums 644 0 2000 "
		"099fb995346f31c749f6e40db0f395e3  usr/include/x.h\n"
		"888d0ee361af3603736f32131e7b20a2  usr/lib/libx.a\n"
		"918b81db5e91d031548b963c93845e5b  usr/share/doc/libx-dev/copyright\n\n";
	struct spec s = {.slices = &slice,
			 .nslices = 1,
			 .image = {.users = users, .nusers = 1, .groups = json_object()}};
	CLEAN(buf) struct buf got = {0};
	struct err e = {0};
	char path[64];

	(void)state;
	json_object_set_new(s.image.groups, "nonroot", json_integer(65532));
	snprintf(path, sizeof(path), "%s/out.tar", dir);
	if (pack(path, &s, &e))
		fail_msg("%s", e.text);
	buf_init(&got, 65536);
	list(path, &got);
	assert_string_equal((const char *)got.p, want);
	json_decref(s.image.groups);
}

static void refuses_what_a_slice_lacks(void **state)
{
	static const char *lacks[] = {"usr/lib/gone"};
	struct spec_slice sl = {
		.package = "libx-dev", .suite = "forky", .files = lacks, .nfiles = 1};
	struct spec s = {.slices = &sl, .nslices = 1};
	struct err e = {0};
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "%s/none.tar", dir);
	assert_int_equal(pack(path, &s, &e), -1);
	assert_non_null(strstr(e.text, "no file that matches 'usr/lib/gone'"));
	assert_int_equal(access(path, F_OK), -1);
	sl.suite = "sid";
	assert_int_equal(pack(path, &s, &e), -1);
	assert_int_equal(e.code, ERR_LOCK);
	assert_int_equal(access(path, F_OK), -1);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const files[] = {"in.tar", "out.tar"};
	char path[4096];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	cache_path(&cache, row.sha256, path);
	/* the file and the four folders above it */
	for (int i = 0; i < 5; i++) {
		if (remove(path) < 0)
			return -1;
		*strrchr(path, '/') = '\0';
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_complete),
		cmocka_unit_test(refuses_what_a_slice_lacks),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
