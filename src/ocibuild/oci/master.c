#include "ocibuild/oci/master.h"

#include <archive_entry.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "crypto/sha256.h"
#include "ocibuild/tree.h"

#define LISTS "var/lib/dpkg/info/"
#define MAX_LISTS (256u << 20)

static void cleanup_reader(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
}

/* ---- reading ---- */

/* Type, name and form of an entry; whatever is none of ours is refused. */
static int check(struct archive_entry *ent, char path[static 4096], struct err *e)
{
	const char *name = archive_entry_pathname(ent);
	mode_t type = archive_entry_filetype(ent);

	if (!name || !tree_clean_name(name, path))
		return err_set(e, ERR_PACKAGE, "malformed file name in the rootfs");
	if (!archive_entry_hardlink(ent) && type != AE_IFREG && type != AE_IFDIR &&
	    type != AE_IFLNK)
		return err_set(e, ERR_PACKAGE, "'%.100s' is no file, directory or link", path);
	return 0;
}

static int add(struct layer *l, struct archive_entry *ent, const char *path, struct err *e)
{
	const char *link = archive_entry_symlink(ent), *hard = archive_entry_hardlink(ent);
	struct layer_entry *t;
	char target[4096];

	if ((l->n & (l->n - 1)) == 0) {
		struct layer_entry *v = reallocarray(l->v, l->n ? l->n * 2 : 1, sizeof(*v));

		if (!v)
			return err_set(e, ERR_NOMEM, NULL);
		l->v = v;
	}
	t = &l->v[l->n];
	*t = (struct layer_entry){.mode = (hard ? S_IFREG : archive_entry_filetype(ent)) |
					  (archive_entry_perm(ent) & 07777),
				  .uid = (uint32_t)archive_entry_uid(ent),
				  .gid = (uint32_t)archive_entry_gid(ent),
				  .size = S_ISREG(archive_entry_filetype(ent)) && !hard
						  ? (size_t)archive_entry_size(ent)
						  : 0};
	if (hard && !tree_clean_name(hard, target))
		return err_set(e, ERR_PACKAGE, "'%.100s' is a hard link to '%.100s'", path, hard);
	l->n++;
	t->path = strdup(path);
	t->link = link && !hard ? strdup(link) : NULL;
	t->hard = hard ? strdup(target) : NULL;
	return t->path && (!link || hard || t->link) && (!hard || t->hard)
		       ? 0
		       : err_set(e, ERR_NOMEM, NULL);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct layer_entry *)a)->path, ((const struct layer_entry *)b)->path);
}

/* Only a directory may come twice, with a slice. */
static int sort_entries(struct layer *l, struct err *e)
{
	size_t n = 0;
	int rc = 0;

	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_path);
	for (size_t i = 0; i < l->n; i++) {
		struct layer_entry *t = &l->v[i];

		if (!n || strcmp(l->v[n - 1].path, t->path) != 0) {
			l->v[n++] = *t;
			continue;
		}
		if (!S_ISDIR(t->mode) || !S_ISDIR(l->v[n - 1].mode))
			rc = err_set(e, ERR_PACKAGE, "'%.100s' is in the rootfs twice", t->path);
		layer_entry_free(t);
	}
	l->n = n;
	return rc;
}

/* Another name of a file has its size, mode and owner. */
static int join_hard_links(struct layer *l, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		struct layer_entry *t = &l->v[i];
		const struct layer_entry *to = t->hard ? layer_own(l, t->hard) : NULL;

		if (!t->hard)
			continue;
		if (!to || !S_ISREG(to->mode) || to->hard)
			return err_set(e, ERR_PACKAGE,
				       "'%.100s' is a hard link to '%.100s', which is no file",
				       t->path, t->hard);
		t->mode = to->mode;
		t->uid = to->uid;
		t->gid = to->gid;
		t->size = to->size;
	}
	return 0;
}

/* ---- whose files these are ---- */

/* dpkg knows some files by their name from before /usr was merged. */
static struct layer_entry *find_listed(const struct layer *l, const char *path)
{
	struct layer_entry *t = layer_own(l, path);
	char merged[4200];

	if (t ||
	    (fnmatch("lib*/*", path, 0) && fnmatch("bin/*", path, 0) && fnmatch("sbin/*", path, 0)))
		return t;
	snprintf(merged, sizeof(merged), "usr/%s", path);
	return layer_own(l, merged);
}

/* One dpkg list: the package's name, NUL, then a path a line. */
static void own_listed(struct layer *l, char *name, char *lines)
{
	char *save = NULL;

	name[strcspn(name, ":")] = '\0'; /* libc6:amd64 */
	for (char *s = strtok_r(lines, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		struct layer_entry *t = *s == '/' ? find_listed(l, s + 1) : NULL;

		if (t && !t->owner[0])
			snprintf(t->owner, sizeof(t->owner), "%s", name);
	}
}

static void own_sliced(struct layer *l, const struct spec *s)
{
	size_t which;

	for (size_t i = 0; i < s->nslices; i++)
		for (size_t k = 0; k < l->n; k++)
			if (!l->v[k].owner[0] && s->slices[i].nfiles &&
			    spec_slice_match(&s->slices[i], l->v[k].path, &which))
				snprintf(l->v[k].owner, sizeof(l->v[k].owner), "%s",
					 s->slices[i].package);
}

/* Collects NAME NUL TEXT NUL of each of dpkg's lists. */
static int keep_list(struct archive *in, const char *path, struct buf *lists, struct err *e)
{
	size_t n = strlen(path), head = strlen(LISTS);
	char chunk[65536];
	la_ssize_t k;

	if (strncmp(path, LISTS, head) != 0 || n < head + 6 || strcmp(path + n - 5, ".list") != 0)
		return 0;
	buf_put(lists, path + head, n - head - 5);
	buf_u8(lists, '\0');
	while ((k = archive_read_data(in, chunk, sizeof(chunk))) > 0)
		if (!memchr(chunk, '\0', (size_t)k))
			buf_put(lists, chunk, (size_t)k);
	buf_u8(lists, '\0');
	if (k < 0)
		return err_set(e, ERR_PACKAGE, "the data of '%s' is damaged", path);
	return lists->bad ? err_set(e, ERR_TOO_LARGE, "dpkg's lists are too large") : 0;
}

int master_index(struct layer *l, const struct spec *s, struct err *e)
{
	CLEAN(reader) struct archive *in = archive_read_new();
	CLEAN(buf) struct buf lists = {0};
	struct archive_entry *ent;
	char path[4096];
	int rc;

	if (!in)
		return err_set(e, ERR_NOMEM, NULL);
	buf_init(&lists, MAX_LISTS);
	archive_read_support_format_tar(in);
	if (lseek(l->tar, 0, SEEK_SET) < 0 ||
	    archive_read_open_fd(in, l->tar, 1u << 16) != ARCHIVE_OK)
		return err_set(e, ERR_IO, "cannot read the rootfs");
	while ((rc = archive_read_next_header(in, &ent)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
		if (check(ent, path, e) || (path[0] && add(l, ent, path, e)) ||
		    keep_list(in, path, &lists, e))
			return -1;
	if (rc != ARCHIVE_EOF)
		return err_set(e, ERR_PACKAGE, "the rootfs is damaged: %s",
			       archive_error_string(in));
	if (sort_entries(l, e) || join_hard_links(l, e))
		return -1;
	for (size_t at = 0; at < lists.len;) {
		char *name = (char *)lists.p + at, *text = name + strlen(name) + 1;

		at = (size_t)(text - (char *)lists.p) + strlen(text) + 1;
		own_listed(l, name, text);
	}
	own_sliced(l, s);
	return 0;
}

/* ---- copying ---- */

struct source {
	int fd;
	struct sha256 md;
	uint8_t chunk[1u << 16];
};

static la_ssize_t take(struct archive *a, void *arg, const void **p)
{
	struct source *s = arg;
	ssize_t n;

	do
		n = read(s->fd, s->chunk, sizeof(s->chunk));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		archive_set_error(a, errno, "cannot read");
	else
		sha256_update(&s->md, s->chunk, (size_t)n);
	*p = s->chunk;
	return n;
}

static int copy_data(struct archive *in, struct archive *to, const char *path,
		     struct layer_entry *t, struct err *e)
{
	struct sha256 md;
	char chunk[65536];
	la_ssize_t n;

	sha256_init(&md);
	while ((n = archive_read_data(in, chunk, sizeof(chunk))) > 0) {
		sha256_update(&md, chunk, (size_t)n);
		if (archive_write_data(to, chunk, (size_t)n) != n)
			return -1;
	}
	if (n < 0)
		return err_set(e, ERR_PACKAGE, "the data of '%s' is damaged", path);
	if (t) {
		sha256_final(&md, t->sha256);
		t->hashed = true;
	}
	return 0;
}

static int copy_entry(struct layer *l, struct archive *in, struct archive_entry *ent,
		      struct archive *to, struct err *e)
{
	char path[4096], name[4100], target[4096];
	const char *hard = archive_entry_hardlink(ent);

	if (check(ent, path, e))
		return -1;
	if (!path[0])
		return 0;
	/* named as in all other layers */
	snprintf(name, sizeof(name), "%s%s", path,
		 !hard && archive_entry_filetype(ent) == AE_IFDIR ? "/" : "");
	if (hard && tree_clean_name(hard, target))
		archive_entry_set_hardlink(ent, target);
	archive_entry_set_pathname(ent, name);
	archive_entry_set_uname(ent, NULL);
	archive_entry_set_gname(ent, NULL);
	archive_entry_unset_atime(ent);
	archive_entry_unset_ctime(ent);
	archive_entry_unset_birthtime(ent);
	if (archive_write_header(to, ent) != ARCHIVE_OK)
		return -1;
	if (hard || archive_entry_filetype(ent) != AE_IFREG)
		return 0;
	return copy_data(in, to, path, layer_own(l, path), e);
}

static void hash_hard_links(struct layer *l)
{
	for (size_t i = 0; i < l->n; i++) {
		struct layer_entry *t = &l->v[i];
		const struct layer_entry *of = t->hard ? layer_own(l, t->hard) : NULL;

		if (!of)
			continue;
		memcpy(t->sha256, of->sha256, sizeof(t->sha256));
		t->hashed = of->hashed;
	}
}

int master_copy(struct layer *l, struct archive *to, struct err *e)
{
	CLEAN(reader) struct archive *in = archive_read_new();
	CLEAN(free) struct source *s = calloc(1, sizeof(*s));
	struct archive_entry *ent;
	const void *rest;
	uint8_t md[32];
	la_ssize_t n;
	int rc;

	if (!in || !s)
		return err_set(e, ERR_NOMEM, NULL);
	s->fd = l->tar;
	sha256_init(&s->md);
	archive_read_support_format_tar(in);
	if (lseek(l->tar, 0, SEEK_SET) < 0 ||
	    archive_read_open(in, s, NULL, take, NULL) != ARCHIVE_OK)
		return err_set(e, ERR_IO, "cannot read the rootfs");
	while ((rc = archive_read_next_header(in, &ent)) == ARCHIVE_OK || rc == ARCHIVE_WARN)
		if (copy_entry(l, in, ent, to, e))
			return -1;
	if (rc != ARCHIVE_EOF)
		return err_set(e, ERR_PACKAGE, "the rootfs is damaged: %s",
			       archive_error_string(in));
	while ((n = take(in, s, &rest)) > 0)
		;
	sha256_final(&s->md, md);
	if (n < 0 || memcmp(md, l->tar_sha256, sizeof(md)) != 0)
		return err_set(e, ERR_DIGEST,
			       "the rootfs was changed since it was made: remove its .stamp and "
			       "make it again");
	hash_hard_links(l);
	return 0;
}
