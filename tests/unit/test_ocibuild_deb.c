/* Packages and trees from hostile hands: nothing is written outside of the root, and
 * every malformed package is an error. The packages are made here with libarchive. */
#include <dirent.h>
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
#include "ocibuild/deb.h"
#include "ocibuild/tree.h"

#define CONTROL "Package: x\nVersion: 1\nArchitecture: all\n"

struct made {
	unsigned char p[65536];
	size_t n;
};

/* One entry of a tar. */
struct item {
	const char *name;
	unsigned type;	  /* AE_IF…; 0: hard link */
	const char *data; /* content or target */
	unsigned perm;
};

static void add_item(struct archive *a, const struct item *it)
{
	struct archive_entry *ent = archive_entry_new();

	archive_entry_set_pathname(ent, it->name);
	archive_entry_set_perm(ent, it->perm ? it->perm : 0644);
	archive_entry_set_mtime(ent, 1000, 0);
	if (it->type)
		archive_entry_set_filetype(ent, it->type);
	if (it->type == AE_IFREG && it->data)
		archive_entry_set_size(ent, (la_int64_t)strlen(it->data));
	if (it->type == AE_IFLNK)
		archive_entry_set_symlink(ent, it->data);
	if (!it->type) {
		archive_entry_set_filetype(ent, AE_IFREG);
		archive_entry_set_hardlink(ent, it->data);
	}
	assert_int_equal(archive_write_header(a, ent), ARCHIVE_OK);
	if (it->type == AE_IFREG && it->data)
		archive_write_data(a, it->data, strlen(it->data));
	archive_entry_free(ent);
}

static void make_tar(struct made *m, const struct item *items, size_t n)
{
	struct archive *a = archive_write_new();

	archive_write_set_format_pax_restricted(a);
	archive_write_add_filter_gzip(a);
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

static struct made deb;

static struct deb_src make_deb(const char *version, const char *const names[3],
			       const struct item *items, size_t n)
{
	static struct made control, data;
	static const struct item control_item = {"./control", AE_IFREG, CONTROL, 0};
	struct archive *a = archive_write_new();

	make_tar(&control, &control_item, 1);
	make_tar(&data, items, n);
	archive_write_set_format_ar_bsd(a);
	archive_write_set_bytes_per_block(a, 1);
	archive_write_open_memory(a, deb.p, sizeof(deb.p), &deb.n);
	add_member(a, names[0], version, strlen(version));
	add_member(a, names[1], control.p, control.n);
	add_member(a, names[2], data.p, data.n);
	archive_write_close(a);
	archive_write_free(a);
	return (struct deb_src){.name = "x.deb", .fd = -1, .p = deb.p, .n = deb.n};
}

static const char *const good_names[3] = {"debian-binary", "control.tar.gz", "data.tar.gz"};

static int count(struct archive *tar, struct archive_entry *ent, void *arg, struct err *e)
{
	(void)tar;
	(void)ent;
	(void)e;
	++*(int *)arg;
	return 0;
}

static void reads_a_package(void **state)
{
	const struct item items[] = {{"./", AE_IFDIR, NULL, 0755}, {"./a", AE_IFREG, "hello", 0}};
	struct deb_src src = make_deb("2.0\n", good_names, items, 2);
	CLEAN(buf) struct buf b = {0};
	struct err e = {0};
	int n = 0;

	(void)state;
	buf_init(&b, 4096);
	assert_int_equal(deb_control(&src, &b, &e), 0);
	assert_int_equal(b.len, strlen(CONTROL));
	assert_memory_equal(b.p, CONTROL, b.len);
	assert_int_equal(deb_walk(&src, DEB_DATA, count, &n, &e), 0);
	assert_int_equal(n, 2);
}

static void refuses_malformed(void **state)
{
	static const char *const bad[][3] = {
		{"control.tar.gz", "debian-binary", "data.tar.gz"},
		{"debian-binary", "control.tar.bz2", "data.tar.gz"},
		{"debian-binary", "control.tar.gz", "rest"},
	};
	const struct item items[] = {{"./a", AE_IFREG, "hello", 0}};
	struct deb_src src;
	struct err e = {0};
	int n = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		src = make_deb("2.0\n", bad[i], items, 1);
		assert_int_equal(deb_walk(&src, DEB_DATA, count, &n, &e), -1);
		assert_int_equal(e.code, ERR_PACKAGE);
	}
	src = make_deb("3.0\n", good_names, items, 1);
	assert_int_equal(deb_walk(&src, DEB_DATA, count, &n, &e), -1);
	src = make_deb("2.0\n", good_names, items, 1);
	/* cut off at every byte: an error or the whole, never a crash */
	for (size_t k = 0; k < deb.n - 8; k++) {
		n = 0;
		src.n = k;
		if (deb_walk(&src, DEB_DATA, count, &n, &e) == 0)
			assert_int_equal(n, 1);
		else
			assert_int_equal(e.code, ERR_PACKAGE);
	}
	/* every byte flipped */
	src.n = deb.n;
	for (size_t k = 0; k < deb.n; k++) {
		deb.p[k] ^= 0x55;
		if (deb_walk(&src, DEB_DATA, count, &n, &e))
			assert_int_equal(e.code, ERR_PACKAGE);
		deb.p[k] ^= 0x55;
	}
	src.p = "";
	src.n = 0;
	assert_int_equal(deb_walk(&src, DEB_DATA, count, &n, &e), -1);
}

/* Extracts items into a fresh root; the directory above it must stay empty. */
static int extract(const struct item *items, size_t n, const struct tree *how, char out[static 64],
		   struct err *e)
{
	static struct made tar;
	struct archive *a = archive_read_new();
	struct tree t;
	char root[80];
	int rc;

	strcpy(out, "/tmp/tree-XXXXXX");
	assert_non_null(mkdtemp(out));
	snprintf(root, sizeof(root), "%s/root", out);
	make_tar(&tar, items, n);
	archive_read_support_format_tar(a);
	archive_read_support_filter_gzip(a);
	assert_int_equal(archive_read_open_memory(a, tar.p, tar.n), ARCHIVE_OK);
	assert_int_equal(tree_open(&t, root, e), 0);
	if (how) {
		t.skip_devices = how->skip_devices;
		t.setid = how->setid;
		if (how->left)
			t.left = how->left;
	}
	rc = tree_extract(&t, a, e);
	tree_close(&t);
	archive_read_free(a);
	return rc;
}

static void only_root_below(const char *dir)
{
	CLEAN(dir) DIR *d = opendir(dir);
	struct dirent *ent;

	while ((ent = readdir(d)) != NULL)
		if (ent->d_name[0] != '.')
			assert_string_equal(ent->d_name, "root");
}

static void stays_inside(void **state)
{
	static const struct item up[] = {{"../out", AE_IFREG, "x", 0}};
	static const struct item mid[] = {{"a/../../out", AE_IFREG, "x", 0}};
	static const struct item abs[] = {{"/abs", AE_IFREG, "x", 0}};
	static const struct item link_up[] = {{"l", AE_IFLNK, "..", 0},
					      {"l/out", AE_IFREG, "x", 0}};
	static const struct item link_abs[] = {{"l", AE_IFLNK, "/tmp", 0},
					       {"l/tree-escaped", AE_IFREG, "x", 0}};
	static const struct item link_file[] = {{"f", AE_IFLNK, "/tmp/tree-escaped", 0},
						{"f", AE_IFREG, "x", 0}};
	static const struct item link_deep[] = {{"a/b", AE_IFLNK, "../../../../..", 0},
						{"a/b/tmp/tree-escaped", AE_IFREG, "x", 0}};
	static const struct item hard[] = {{"h", 0, "/etc/passwd", 0}};
	static const struct item hard_up[] = {{"h", 0, "../../etc/passwd", 0}};
	static const struct item hard_link[] = {{"l", AE_IFLNK, "/etc", 0},
						{"h", 0, "l/passwd", 0}};
	static const struct item hard_self[] = {{"l", AE_IFLNK, "/etc/passwd", 0},
						{"h", 0, "l", 0}};
	static const struct {
		const struct item *items;
		size_t n;
		int rc;
	} cases[] = {
		{up, 1, -1},	   {mid, 1, -1},       {abs, 1, 0},	  {link_up, 2, 0},
		{link_abs, 2, -1}, {link_file, 2, 0},  {link_deep, 2, 0}, {hard, 1, -1},
		{hard_up, 1, -1},  {hard_link, 2, -1}, {hard_self, 2, 0},
	};
	struct err e = {0};
	struct stat st;
	char dir[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = extract(cases[i].items, cases[i].n, NULL, dir, &e);

		if (rc != cases[i].rc)
			fail_msg("case %zu: %d, %s", i, rc, e.text);
		if (rc)
			assert_int_equal(e.code, ERR_PACKAGE);
		only_root_below(dir);
		assert_int_equal(stat("/tmp/tree-escaped", &st), -1);
	}
}

static void refuses_devices(void **state)
{
	static const struct item chr[] = {{"d", AE_IFCHR, NULL, 0}};
	static const struct item fifo[] = {{"p", AE_IFIFO, NULL, 0}};
	const struct tree skip = {.skip_devices = true};
	struct err e = {0};
	char dir[64];

	(void)state;
	assert_int_equal(extract(chr, 1, NULL, dir, &e), -1);
	assert_int_equal(e.code, ERR_PACKAGE);
	assert_int_equal(extract(chr, 1, &skip, dir, &e), 0);
	assert_int_equal(extract(fifo, 1, &skip, dir, &e), -1);
	assert_int_equal(e.code, ERR_PACKAGE);
}

static void writes_modes_and_links(void **state)
{
	static const struct item items[] = {
		{"usr/bin/", AE_IFDIR, NULL, 0755},
		{"bin", AE_IFLNK, "usr/bin", 0},
		{"bin/su", AE_IFREG, "program", 04755},
		{"bin/", AE_IFDIR, NULL, 0755}, /* a link to a directory stays a link */
		{"usr/bin/su2", 0, "bin/su", 0},
		{"usr/bin/su", AE_IFREG, "newer", 0755},
	};
	const struct tree setid = {.setid = true};
	struct err e = {0};
	struct stat st, st2;
	char dir[64], path[128];

	(void)state;
	assert_int_equal(extract(items, 6, NULL, dir, &e), 0);
	snprintf(path, sizeof(path), "%s/root/bin", dir);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	snprintf(path, sizeof(path), "%s/root/usr/bin/su2", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755); /* setuid is cleared */
	assert_int_equal(st.st_mtime, 1000);
	assert_int_equal(st.st_size, strlen("program"));
	snprintf(path, sizeof(path), "%s/root/usr/bin/su", dir);
	assert_int_equal(stat(path, &st2), 0);
	assert_int_equal(st2.st_size, strlen("newer"));
	assert_int_equal(extract(items, 5, &setid, dir, &e), 0);
	snprintf(path, sizeof(path), "%s/root/usr/bin/su", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 04755);
}

static void refuses_conflicts_and_floods(void **state)
{
	static const struct item file_as_dir[] = {{"a", AE_IFREG, "x", 0},
						  {"a/b", AE_IFREG, "y", 0}};
	static const struct item dir_as_file[] = {{"a/", AE_IFDIR, NULL, 0755},
						  {"a", AE_IFREG, "y", 0}};
	static const struct item loop[] = {{"a", AE_IFLNK, "a", 0}, {"a/b", AE_IFREG, "y", 0}};
	static const struct item big[] = {{"a", AE_IFREG, "0123456789", 0}};
	const struct tree small = {.left = 5};
	struct err e = {0};
	char dir[64];

	(void)state;
	assert_int_equal(extract(file_as_dir, 2, NULL, dir, &e), -1);
	assert_int_equal(e.code, ERR_PACKAGE);
	assert_int_equal(extract(dir_as_file, 2, NULL, dir, &e), -1);
	assert_int_equal(e.code, ERR_PACKAGE);
	assert_int_equal(extract(loop, 2, NULL, dir, &e), -1);
	assert_int_equal(e.code, ERR_PACKAGE);
	assert_int_equal(extract(big, 1, &small, dir, &e), -1);
	assert_int_equal(e.code, ERR_PACKAGE);
}

static void cleans_names(void **state)
{
	char out[4096], longer[5000];

	(void)state;
	assert_string_equal(tree_clean_name("./a//b/./c/", out), "a/b/c");
	assert_string_equal(tree_clean_name("///", out), "");
	assert_string_equal(tree_clean_name("..a/b..", out), "..a/b..");
	assert_null(tree_clean_name("a/..", out));
	assert_null(tree_clean_name("..", out));
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_null(tree_clean_name(longer, out));
}

/* More ways out: through links to links, and by a folder's mode. */
static void stays_inside_by_links(void **state)
{
	static const struct item hard_to_link[] = {{"l", AE_IFLNK, "/tmp/tree-escaped", 0},
						   {"h", 0, "l", 0},
						   {"h", AE_IFREG, "x", 0},
						   {"l", AE_IFREG, "y", 0}};
	static const struct item mode_of_parent[] = {{"l", AE_IFLNK, "..", 0},
						     {"l/", AE_IFDIR, NULL, 0777}};
	static const struct item mode_of_etc[] = {{"l", AE_IFLNK, "/etc", 0},
						  {"l/", AE_IFDIR, NULL, 0777}};
	static const struct item itself[] = {{"h", AE_IFREG, "x", 0}, {"h", 0, "h", 0}};
	static const struct item to_dir[] = {{"d/", AE_IFDIR, NULL, 0755}, {"h", 0, "d", 0}};
	static const struct item chain[] = {{"a", AE_IFLNK, "b", 0},
					    {"b", AE_IFLNK, "c", 0},
					    {"c", AE_IFLNK, "../../../../../../tmp", 0},
					    {"a/tree-escaped", AE_IFREG, "x", 0}};
	static const struct item proc[] = {{"p", AE_IFLNK, "/proc/self/root", 0},
					   {"p/tmp/tree-escaped", AE_IFREG, "x", 0}};
	static const struct {
		const struct item *items;
		size_t n;
		int rc;
	} cases[] = {
		{hard_to_link, 4, 0}, {mode_of_parent, 2, 0}, {mode_of_etc, 2, -1}, {itself, 2, -1},
		{to_dir, 2, -1},      {chain, 4, -1},	      {proc, 2, -1},
	};
	struct err e = {0};
	struct stat st;
	char dir[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = extract(cases[i].items, cases[i].n, NULL, dir, &e);

		if (rc != cases[i].rc)
			fail_msg("case %zu: %d, %s", i, rc, e.text);
		only_root_below(dir);
		assert_int_equal(stat(dir, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0700); /* as mkdtemp made it */
		assert_int_equal(stat("/tmp/tree-escaped", &st), -1);
	}
}

/* A tar header that promises a file of that many bytes (base 256, as GNU tar writes it). */
static void huge_header(unsigned char h[static 512], uint64_t size)
{
	unsigned sum = 0;

	memset(h, 0, 512);
	memcpy(h, "./huge", 6);
	memcpy(h + 100, "0000644", 7);
	h[124] = 0x80;
	for (int i = 0; i < 8; i++)
		h[135 - i] = (unsigned char)(size >> (8 * i));
	memcpy(h + 136, "00000000000", 11);
	memset(h + 148, ' ', 8);
	h[156] = '0';
	memcpy(h + 257, "ustar  ", 8);
	for (int i = 0; i < 512; i++)
		sum += h[i];
	snprintf((char *)h + 148, 8, "%06o", sum);
}

/* Sizes that are promised or unpacked, against what is there and what is allowed. */
static void refuses_huge(void **state)
{
	static unsigned char tar[2048];
	static char zeros[(2u << 20) + 1];
	static struct made control;
	static const uint64_t sizes[] = {1ull << 40, INT64_MAX, UINT64_MAX, 1025};
	const struct item item = {"./a", AE_IFREG, "x", 0};
	struct item bomb = {"./control", AE_IFREG, zeros, 0};
	struct deb_src src;
	struct err e = {0};
	char root[64] = "/tmp/tree-XXXXXX", path[96];
	struct stat st;
	struct tree t;

	(void)state;
	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct archive *a = archive_read_new();

		huge_header(tar, sizes[i]);
		archive_read_support_format_tar(a);
		assert_int_equal(archive_read_open_memory(a, tar, 1024), ARCHIVE_OK);
		assert_int_equal(tree_open(&t, root, &e), 0);
		assert_int_equal(tree_extract(&t, a, &e), -1);
		assert_int_equal(e.code, ERR_PACKAGE);
		tree_close(&t);
		archive_read_free(a);
		snprintf(path, sizeof(path), "%s/huge", root);
		assert_true(stat(path, &st) < 0 || st.st_size <= 1024);
	}
	/* a control file that unpacks to more than any has */
	memset(zeros, 'a', sizeof(zeros) - 1);
	make_tar(&control, &bomb, 1);
	assert_true(control.n < 16384);
	struct archive *ar = archive_write_new();
	CLEAN(buf) struct buf b = {0};

	archive_write_set_format_ar_bsd(ar);
	archive_write_set_bytes_per_block(ar, 1);
	archive_write_open_memory(ar, deb.p, sizeof(deb.p), &deb.n);
	add_member(ar, "debian-binary", "2.0\n", 4);
	add_member(ar, "control.tar.gz", control.p, control.n);
	archive_write_close(ar);
	archive_write_free(ar);
	src = (struct deb_src){.name = "x.deb", .fd = -1, .p = deb.p, .n = deb.n};
	buf_init(&b, 8u << 20);
	assert_int_equal(deb_control(&src, &b, &e), -1);
	assert_int_equal(e.code, ERR_PACKAGE);
	assert_int_equal(b.len, 0);
	/* a member of the ar that promises more than the file has */
	src = make_deb("2.0\n", good_names, &item, 1);
	for (size_t k = 0; k + 60 < src.n; k++)
		if (memcmp(deb.p + k, "data.tar.gz", 11) == 0)
			memcpy(deb.p + k + 48, "9999999999", 10);
	int n = 0;

	if (deb_walk(&src, DEB_DATA, count, &n, &e))
		assert_int_equal(e.code, ERR_PACKAGE);
	assert_true(n <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_package),
		cmocka_unit_test(refuses_malformed),
		cmocka_unit_test(stays_inside),
		cmocka_unit_test(stays_inside_by_links),
		cmocka_unit_test(refuses_devices),
		cmocka_unit_test(refuses_huge),
		cmocka_unit_test(writes_modes_and_links),
		cmocka_unit_test(refuses_conflicts_and_floods),
		cmocka_unit_test(cleans_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
