#include "ocibuild/oci/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ocibuild/oci/master.h"
#include "json/json.h"

void layer_entry_free(struct layer_entry *t)
{
	free(t->path);
	free(t->link);
	free(t->hard);
	free(t->data);
}

void layer_free(struct layer *l)
{
	for (size_t i = 0; i < l->n; i++)
		layer_entry_free(&l->v[i]);
	free(l->v);
	if (l->tar > 0)
		close(l->tar);
	*l = (struct layer){0};
}

/* Where path is, or where it belongs. */
static size_t place(const struct layer *l, const char *path, bool *there)
{
	size_t lo = 0, hi = l->n;

	*there = false;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(l->v[mid].path, path);

		if (c == 0) {
			*there = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct layer_entry *layer_own(const struct layer *l, const char *path)
{
	bool there;
	size_t i = place(l, path, &there);

	return there ? &l->v[i] : NULL;
}

const struct layer_entry *layer_find(const struct layer *l, const char *path)
{
	for (; l; l = l->below) {
		const struct layer_entry *t = layer_own(l, path);

		if (t)
			return t;
	}
	return NULL;
}

static const char *whose(const struct layer_entry *t)
{
	return t->owner[0] ? t->owner : "the definition";
}

static int insert(struct layer *l, size_t at, const struct layer_entry *t, struct err *e)
{
	struct layer_entry c = *t;

	if ((l->n & (l->n - 1)) == 0) {
		struct layer_entry *v = reallocarray(l->v, l->n ? l->n * 2 : 1, sizeof(*v));

		if (!v)
			return err_set(e, ERR_NOMEM, NULL);
		l->v = v;
	}
	c.path = strdup(t->path);
	c.link = t->link ? strdup(t->link) : NULL;
	c.data = t->size ? malloc(t->size) : NULL;
	if (!c.path || (t->link && !c.link) || (t->size && !c.data)) {
		layer_entry_free(&c);
		return err_set(e, ERR_NOMEM, NULL);
	}
	if (t->size)
		memcpy(c.data, t->data, t->size);
	memmove(&l->v[at + 1], &l->v[at], (l->n - at) * sizeof(*l->v));
	l->v[at] = c;
	l->n++;
	return 0;
}

/* The directories above path, the uppermost first. */
static int add_parents(struct layer *l, const char *path, const struct layer_entry *t,
		       struct err *e)
{
	char up[4096];

	for (const char *s = strchr(path, '/'); s; s = strchr(s + 1, '/')) {
		struct layer_entry dir = {.path = up, .mode = S_IFDIR | 0755, .implied = true};
		const struct layer_entry *old;
		bool there;
		size_t at;

		if (snprintf(up, sizeof(up), "%.*s", (int)(s - path), path) >= (int)sizeof(up))
			return err_set(e, ERR_PACKAGE, "'%.60s…' is too long", path);
		old = layer_find(l, up);
		if (old && !S_ISDIR(old->mode))
			return err_set(e, ERR_PACKAGE,
				       "'%.100s' of %s is below '%.100s', which is no directory",
				       path, whose(t), up);
		at = place(l, up, &there);
		if (there)
			continue;
		if (old) {
			dir.mode = old->mode;
			dir.uid = old->uid;
			dir.gid = old->gid;
			memcpy(dir.owner, old->owner, sizeof(dir.owner));
		}
		if (insert(l, at, &dir, e))
			return -1;
	}
	return 0;
}

/* What pax headers and SBOMs are. */
static bool is_utf8(const char *s)
{
	CLEAN(json) json_t *text = json_string(s);

	return text != NULL;
}

int layer_add(struct layer *l, const struct layer_entry *t, struct err *e)
{
	const struct layer_entry *lower;
	struct layer_entry *old;
	bool there;
	size_t at;

	if (!is_utf8(t->path) || (t->link && !is_utf8(t->link)))
		return err_set(e, ERR_PACKAGE, "the name '%.100s' of %s is not UTF-8", t->path,
			       whose(t));
	if (add_parents(l, t->path, t, e))
		return -1;
	at = place(l, t->path, &there);
	if (there) {
		old = &l->v[at];
		if (!S_ISDIR(old->mode) || !S_ISDIR(t->mode))
			return err_set(e, ERR_PACKAGE, "'%.100s' is of %s and of %s", t->path,
				       whose(old), whose(t));
		/* what the definition says of a directory counts */
		if (old->implied || !t->owner[0]) {
			old->mode = t->mode;
			old->uid = t->uid;
			old->gid = t->gid;
			old->implied = false;
			memcpy(old->owner, t->owner, sizeof(old->owner));
		}
		return 0;
	}
	lower = layer_find(l->below, t->path);
	if (lower && S_ISDIR(lower->mode) != S_ISDIR(t->mode))
		return err_set(e, ERR_PACKAGE, "'%.100s' of %s is a directory here and not there",
			       t->path, whose(t));
	if (lower && S_ISDIR(t->mode) && t->owner[0])
		return 0;
	if (lower && !S_ISDIR(t->mode) && t->owner[0])
		return err_set(e, ERR_PACKAGE, "'%.100s' of %s is in the base already, of %s",
			       t->path, whose(t), whose(lower));
	return insert(l, at, t, e);
}

/* ---- writing ---- */

struct sink {
	int fd;
	struct compress *c;
	struct sha256 tar, blob;
	const struct layer_how *how;
	struct layer_blob *out;
	struct err *e;
};

static int take_blob(const void *p, size_t n, void *arg, struct err *e)
{
	struct sink *s = arg;

	sha256_update(&s->blob, p, n);
	s->out->size += n;
	return file_write_fd(s->fd, "a layer", p, n, e);
}

static la_ssize_t take_tar(struct archive *a, void *arg, const void *p, size_t n)
{
	struct sink *s = arg;
	int rc = 0;

	if (s->how->cancel && atomic_load(s->how->cancel))
		rc = err_set(s->e, ERR_SHUTTING_DOWN, "stopped");
	if (rc == 0) {
		sha256_update(&s->tar, p, n);
		s->out->tar_size += n;
		rc = compress_write(s->c, p, n, s->e);
	}
	if (rc) {
		archive_set_error(a, 1, "cannot write");
		return -1;
	}
	if (s->how->progress)
		progress_add(s->how->progress, n);
	return (la_ssize_t)n;
}

static int put_entry(struct archive *a, struct archive_entry *ent, struct layer_entry *t,
		     int64_t date)
{
	char name[4100];

	/* a folder's name ends with a slash */
	snprintf(name, sizeof(name), "%s%s", t->path, S_ISDIR(t->mode) ? "/" : "");
	archive_entry_clear(ent);
	archive_entry_set_pathname(ent, name);
	archive_entry_set_filetype(ent, t->mode & S_IFMT);
	archive_entry_set_perm(ent, S_ISLNK(t->mode) ? 0777 : t->mode & 07777);
	archive_entry_set_uid(ent, t->uid);
	archive_entry_set_gid(ent, t->gid);
	archive_entry_set_mtime(ent, (time_t)date, 0);
	archive_entry_set_size(ent, (la_int64_t)t->size);
	if (t->link)
		archive_entry_set_symlink(ent, t->link);
	if (S_ISREG(t->mode)) {
		sha256(t->sha256, t->size ? (const void *)t->data : "", t->size);
		t->hashed = true;
	}
	if (archive_write_header(a, ent) != ARCHIVE_OK)
		return -1;
	return t->size && archive_write_data(a, t->data, t->size) != (la_ssize_t)t->size ? -1 : 0;
}

static int put_entries(struct layer *l, struct archive *a, int64_t date)
{
	struct archive_entry *ent = archive_entry_new();
	int rc = ent ? 0 : -1;

	for (size_t i = 0; rc == 0 && i < l->n; i++)
		rc = put_entry(a, ent, &l->v[i], date);
	archive_entry_free(ent);
	return rc;
}

static int write_tar(struct layer *l, struct sink *s)
{
	struct archive *a = archive_write_new();
	int rc;

	if (!a)
		return err_set(s->e, ERR_NOMEM, NULL);
	archive_write_set_format_pax_restricted(a);
	archive_write_add_filter_none(a);
	archive_write_set_bytes_per_block(a, 65536);
	archive_write_set_bytes_in_last_block(a, 1);
	rc = archive_write_open(a, s, NULL, take_tar, NULL) == ARCHIVE_OK ? 0 : -1;
	if (rc == 0)
		rc = l->tar > 0 ? master_copy(l, a, s->e) : put_entries(l, a, s->how->date);
	if (archive_write_close(a) != ARCHIVE_OK)
		rc = -1;
	if (rc && !s->e->code)
		err_set(s->e, ERR_IO, "cannot write a layer: %s", archive_error_string(a));
	archive_write_free(a);
	return rc;
}

int layer_write(struct layer *l, const struct layer_how *how, int fd, struct layer_blob *out,
		struct err *e)
{
	struct err mine = {0};
	struct sink s = {.fd = fd, .how = how, .out = out, .e = &mine};
	int rc;

	*out = (struct layer_blob){0};
	sha256_init(&s.tar);
	sha256_init(&s.blob);
	s.c = compress_start(how->form ? how->form : compress_forms, how->threads, take_blob, &s,
			     e);
	if (!s.c)
		return -1;
	rc = write_tar(l, &s);
	if (rc == 0)
		rc = compress_finish(s.c, &mine);
	compress_free(s.c);
	sha256_final(&s.tar, out->diff_id);
	sha256_final(&s.blob, out->digest);
	return rc ? err_set(e, mine.code, "%s", mine.text) : 0;
}
