#include "ocibuild/assemble/verify_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "ocibuild/lock.h"
#include "ocibuild/tree.h"

struct side {
	struct archive *a;
	struct archive_entry *ent;
	bool end;
};

static void cleanup_side(struct side *s)
{
	if (s->a)
		archive_read_free(s->a);
}

static int open_side(struct side *s, const char *path, struct err *e)
{
	s->a = archive_read_new();
	if (!s->a)
		return err_set(e, ERR_NOMEM, NULL);
	archive_read_support_format_tar(s->a);
	archive_read_support_filter_gzip(s->a);
	archive_read_support_filter_zstd(s->a);
	if (archive_read_open_filename(s->a, path, 1u << 16) != ARCHIVE_OK)
		return err_set(e, ERR_IO, "cannot open %s: %s", path, archive_error_string(s->a));
	return 0;
}

static int next(struct side *s, struct err *e)
{
	int rc = archive_read_next_header(s->a, &s->ent);

	s->end = rc == ARCHIVE_EOF;
	if (rc == ARCHIVE_OK || rc == ARCHIVE_WARN || s->end)
		return 0;
	return err_set(e, ERR_PACKAGE, "a layer is damaged: %s", archive_error_string(s->a));
}

/* ---- attributes of an entry, each as text ---- */

static void name_of(struct archive_entry *ent, char out[static 256])
{
	snprintf(out, 256, "%s", archive_entry_pathname(ent) ? archive_entry_pathname(ent) : "");
}

static void type_of(struct archive_entry *ent, char out[static 256])
{
	mode_t t = archive_entry_filetype(ent);

	snprintf(out, 256, "%s",
		 archive_entry_hardlink(ent) ? "hard link"
		 : t == AE_IFREG	     ? "file"
		 : t == AE_IFDIR	     ? "directory"
		 : t == AE_IFLNK	     ? "symbolic link"
					     : "special file");
}

static void mode_of(struct archive_entry *ent, char out[static 256])
{
	snprintf(out, 256, "%04o", (unsigned)archive_entry_perm(ent));
}

static void owner_of(struct archive_entry *ent, char out[static 256])
{
	snprintf(out, 256, "%lld:%lld", (long long)archive_entry_uid(ent),
		 (long long)archive_entry_gid(ent));
}

static void owner_name_of(struct archive_entry *ent, char out[static 256])
{
	const char *u = archive_entry_uname(ent), *g = archive_entry_gname(ent);

	snprintf(out, 256, "%s:%s", u ? u : "", g ? g : "");
}

static void link_of(struct archive_entry *ent, char out[static 256])
{
	const char *s = archive_entry_symlink(ent), *h = archive_entry_hardlink(ent);

	snprintf(out, 256, "%s", h ? h : s ? s : "");
}

static void size_of(struct archive_entry *ent, char out[static 256])
{
	snprintf(out, 256, "%lld", (long long)archive_entry_size(ent));
}

static void time_of(struct archive_entry *ent, char out[static 256])
{
	char when[32];

	lock_date_text(archive_entry_mtime(ent), when);
	snprintf(out, 256, "%s, %ld ns", when, archive_entry_mtime_nsec(ent));
}

static void xattrs_of(struct archive_entry *ent, char out[static 256])
{
	const char *name;
	const void *value;
	size_t size, n = 0;

	out[0] = '\0';
	archive_entry_xattr_reset(ent);
	while (n < 200 && archive_entry_xattr_next(ent, &name, &value, &size) == ARCHIVE_OK)
		n += (size_t)snprintf(out + n, 256 - n, "%.40s (%zu bytes) ", name, size);
}

static const struct {
	const char *name;
	void (*text)(struct archive_entry *ent, char out[static 256]);
} attributes[] = {
	{"entry", name_of},	   {"type", type_of},
	{"mode", mode_of},	   {"owner", owner_of},
	{"size", size_of},	   {"link", link_of},
	{"time", time_of},	   {"owner's name", owner_name_of},
	{"attributes", xattrs_of},
};
#define NATTRIBUTES (sizeof(attributes) / sizeof(attributes[0]))

static bool headers_differ(const struct side *was, const struct side *is, struct verify_tar *out)
{
	for (size_t i = 0; i < NATTRIBUTES; i++) {
		attributes[i].text(was->ent, out->was);
		attributes[i].text(is->ent, out->is);
		if (strcmp(out->was, out->is) == 0)
			continue;
		out->attribute = attributes[i].name;
		return true;
	}
	return false;
}

/* Both have the same size. */
static int data_differ(const struct side *was, const struct side *is, struct verify_tar *out,
		       struct err *e)
{
	uint8_t x[16384], y[16384];
	la_ssize_t n;
	uint64_t at = 0;

	while ((n = archive_read_data(was->a, x, sizeof(x))) > 0) {
		la_ssize_t k = 0, got = 0;

		while (k < n && (got = archive_read_data(is->a, y + k, (size_t)(n - k))) > 0)
			k += got;
		if (got < 0)
			n = -1;
		for (la_ssize_t i = 0; i < n && i < k; i++) {
			if (x[i] == y[i])
				continue;
			out->attribute = "contents";
			snprintf(out->was, sizeof(out->was), "%02x at %llu", x[i],
				 (unsigned long long)at + (unsigned long long)i);
			snprintf(out->is, sizeof(out->is), "%02x", y[i]);
			return 0;
		}
		if (n < 0)
			break;
		at += (uint64_t)n;
	}
	return n < 0 ? err_set(e, ERR_PACKAGE, "the data of '%.100s' is damaged", out->path) : 0;
}

int verify_tar(const char *was, const char *is, struct verify_tar *out, struct err *e)
{
	CLEAN(side) struct side a = {0};
	CLEAN(side) struct side b = {0};

	*out = (struct verify_tar){0};
	if (open_side(&a, was, e) || open_side(&b, is, e))
		return -1;
	for (;;) {
		if (next(&a, e) || next(&b, e))
			return -1;
		if (a.end || b.end)
			break;
		snprintf(out->path, sizeof(out->path), "%s", archive_entry_pathname(a.ent));
		if (headers_differ(&a, &b, out))
			return 0;
		if (data_differ(&a, &b, out, e))
			return -1;
		if (out->attribute)
			return 0;
	}
	out->path[0] = out->was[0] = out->is[0] = '\0';
	if (a.end && b.end)
		return 0;
	out->attribute = "entry";
	name_of(a.end ? b.ent : a.ent, a.end ? out->is : out->was);
	snprintf(out->path, sizeof(out->path), "%s", a.end ? out->is : out->was);
	return 0;
}
