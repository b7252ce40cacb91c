#include "ocibuild/oci/fill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/deb.h"
#include "ocibuild/oci/dpkg.h"
#include "ocibuild/oci/elf.h"
#include "ocibuild/tree.h"

#define MAX_FILE (1u << 30)
#define LIBDIR "usr/lib/x86_64-linux-gnu/"

const struct lock_pkg *fill_row(const struct lock *l, const struct spec *s,
				const struct spec_slice *sl, struct err *e)
{
	for (size_t i = 0; i < l->npkg; i++)
		if (spec_slice_of(sl, l->pkg[i].suite, l->pkg[i].name) &&
		    lock_pkg_in(&l->pkg[i], s->name))
			return &l->pkg[i];
	err_set(e, ERR_LOCK, "%s of %s is not in the lock: run `make lock`", sl->package,
		sl->suite);
	return NULL;
}

/* The package in the cache, its digest checked. */
static int open_package(const struct fill *f, const struct lock_pkg *p, struct err *e)
{
	char path[4096];
	uint8_t digest[32];
	int fd;

	cache_path(f->cache, p->sha256, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(e, ERR_FETCH, "%s %s is not in the cache: run `ocibuild fetch`",
			       p->name, p->version);
	if (cache_digest_fd(fd, path, digest, e) == 0) {
		if (memcmp(digest, p->sha256, 32) == 0)
			return fd;
		err_set(e, ERR_DIGEST, "%s was changed in the cache: remove %s", p->name, path);
	}
	close(fd);
	return -1;
}

/* ---- slices ---- */

struct taking {
	const struct spec_slice *slice; /* NULL: everything below LIBDIR */
	const char *package;
	struct layer *to;
	struct layer *parts; /* what a slice with concat collects */
	bool *hit;
	char copyright[300], doc[256];
};

static int read_data(struct archive *tar, struct buf *b, const char *path, struct err *e)
{
	char chunk[65536];
	la_ssize_t n;

	while ((n = archive_read_data(tar, chunk, sizeof(chunk))) > 0)
		buf_put(b, chunk, (size_t)n);
	if (n < 0)
		return err_set(e, ERR_PACKAGE, "the data of '%.100s' is damaged", path);
	return b->bad ? err_set(e, ERR_TOO_LARGE, "'%.100s' is too large", path) : 0;
}

static bool is_wanted(struct taking *k, const char *path, const char *match, bool *part)
{
	size_t which;

	*part = false;
	if (!k->slice)
		return strncmp(path, "usr/lib", 7) == 0;
	if (strcmp(path, k->copyright) == 0 || strcmp(path, k->doc) == 0)
		return true;
	if (!spec_slice_match(k->slice, match, &which))
		return false;
	k->hit[which] = true;
	*part = k->parts != NULL;
	return true;
}

static int take_entry(struct archive *tar, struct archive_entry *ent, void *arg, struct err *e)
{
	struct taking *k = arg;
	CLEAN(buf) struct buf data = {0};
	char path[4096], match[4100];
	struct layer_entry t = {.path = path};
	mode_t type = archive_entry_filetype(ent);
	const struct layer_entry *old;
	bool part;

	if (!tree_clean_name(archive_entry_pathname(ent), path))
		return err_set(e, ERR_PACKAGE, "malformed file name '%.100s'",
			       archive_entry_pathname(ent));
	snprintf(match, sizeof(match), "%s%s", path, type == AE_IFDIR ? "/" : "");
	if (!path[0] || !is_wanted(k, path, match, &part))
		return 0;
	/* most packages have a folder here; only a link to another's counts */
	if (strcmp(path, k->doc) == 0 && type == AE_IFDIR)
		return 0;
	if (archive_entry_hardlink(ent) ||
	    (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK))
		return err_set(e, ERR_PACKAGE, "'%.100s' is no file, directory or link", path);
	if (part && type != AE_IFREG)
		return type == AE_IFDIR ? 0 : err_set(e, ERR_PACKAGE, "'%.100s' is no file", path);
	snprintf(t.owner, sizeof(t.owner), "%s", k->package);
	/* two slices of one package both bring its copyright text */
	old = layer_find(k->to, path);
	if (old && type != AE_IFDIR && strcmp(old->owner, t.owner) == 0)
		return 0;
	buf_init(&data, MAX_FILE);
	if (type == AE_IFREG && read_data(tar, &data, path, e))
		return -1;
	t.mode = type | (archive_entry_perm(ent) & 0755);
	t.link = type == AE_IFLNK ? (char *)(uintptr_t)archive_entry_symlink(ent) : NULL;
	t.data = data.p;
	t.size = data.len;
	return layer_add(part ? k->parts : k->to, &t, e);
}

/* Files in order of name, each ending with a newline: as update-ca-certificates does. */
static int join_parts(const struct taking *k, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	struct layer_entry t = {.path = (char *)(uintptr_t)k->slice->concat,
				.mode = S_IFREG | 0644};

	buf_init(&b, MAX_FILE);
	for (size_t i = 0; i < k->parts->n; i++) {
		const struct layer_entry *p = &k->parts->v[i];

		if (!S_ISREG(p->mode))
			continue;
		buf_put(&b, p->data, p->size);
		if (p->size && p->data[p->size - 1] != '\n')
			buf_u8(&b, '\n');
	}
	if (b.bad)
		return err_set(e, ERR_NOMEM, NULL);
	snprintf(t.owner, sizeof(t.owner), "%s", k->package);
	t.data = b.p;
	t.size = b.len;
	return layer_add(k->to, &t, e);
}

static int take_slice(const struct fill *f, const struct spec_slice *sl, struct err *e)
{
	CLEAN(layer) struct layer parts = {0};
	CLEAN(free) bool *hit = calloc(sl->nfiles + 1, sizeof(*hit));
	struct taking k = {.slice = sl,
			   .package = sl->package,
			   .to = f->layer,
			   .parts = sl->concat ? &parts : NULL,
			   .hit = hit};
	const struct lock_pkg *p = fill_row(f->lock, f->spec, sl, e);
	CLEAN(fd) int fd = p ? open_package(f, p, e) : -1;
	struct deb_src src = {.name = sl->package, .fd = fd};

	if (fd < 0)
		return -1;
	if (!hit)
		return err_set(e, ERR_NOMEM, NULL);
	snprintf(k.doc, sizeof(k.doc), "usr/share/doc/%s", sl->package);
	snprintf(k.copyright, sizeof(k.copyright), "%s/copyright", k.doc);
	if (deb_walk(&src, DEB_DATA, take_entry, &k, e))
		return -1;
	for (size_t i = 0; i < sl->nfiles; i++)
		if (!hit[i])
			return err_set(e, ERR_CONFIG, "%s has no file that matches '%s'",
				       sl->package, sl->files[i]);
	if (!layer_find(f->layer, k.copyright) && !layer_find(f->layer, k.doc))
		return err_set(e, ERR_CONFIG, "%s has no copyright text", sl->package);
	return sl->concat ? join_parts(&k, e) : 0;
}

static int step_slices(const struct fill *f, struct err *e)
{
	const struct spec *s = f->spec;

	for (size_t i = s->own_slices; i < s->nslices; i++)
		if (!s->slices[i].libraries && take_slice(f, &s->slices[i], e))
			return -1;
	return 0;
}

/* ---- users ---- */

static int put_text(const struct fill *f, const char *path, const struct buf *b, struct err *e)
{
	struct layer_entry t = {.path = (char *)(uintptr_t)path,
				.mode = S_IFREG | 0644,
				.data = b->p,
				.size = b->len};

	return b->bad ? err_set(e, ERR_NOMEM, NULL) : layer_add(f->layer, &t, e);
}

static int step_users(const struct fill *f, struct err *e)
{
	const struct image *im = &f->spec->image;
	CLEAN(buf) struct buf b = {0};
	const char *name;
	json_t *v;

	buf_init(&b, 1u << 20);
	for (size_t i = 0; i < im->nusers; i++) {
		const struct image_user *u = &im->users[i];

		buf_printf(&b, "%s:x:%d:%d:%s:%s:/sbin/nologin\n", u->name, (int)u->uid,
			   (int)u->gid, u->name, u->home);
	}
	if (b.len && put_text(f, "etc/passwd", &b, e))
		return -1;
	buf_reset(&b);
	json_object_foreach(im->groups, name, v)
		buf_printf(&b, "%s:x:%d:\n", name, (int)json_integer_value(v));
	return b.len ? put_text(f, "etc/group", &b, e) : 0;
}

/* ---- files of the project ---- */

static void source_path(const struct fill *f, const char *copy, char out[static 4096])
{
	if (strncmp(copy, "build/", 6) == 0)
		snprintf(out, 4096, "%s/%s", f->build, copy + 6);
	else
		snprintf(out, 4096, "%s/../%s", f->images, copy);
}

/* One file or folder; what is called for each file and link below it, in order. */
typedef int copy_fn(const struct layer_entry *t, void *arg, struct err *e);

static int copy_walk(const char *from, const char *to, copy_fn *fn, void *arg, struct err *e);

static int copy_folder(const char *from, const char *to, copy_fn *fn, void *arg, struct err *e)
{
	struct dirent **list = NULL;
	int n = scandir(from, &list, NULL, alphasort), rc = 0;

	if (n < 0)
		return err_errno(e, ERR_IO, "cannot read directory %s", from);
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		char src[4096], dst[4096];

		if (rc == 0 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
			int k = snprintf(src, sizeof(src), "%s/%s", from, name);
			int j = snprintf(dst, sizeof(dst), "%s%s%s", to, *to ? "/" : "", name);

			if (k >= (int)sizeof(src) || j >= (int)sizeof(dst))
				rc = err_set(e, ERR_CONFIG, "a path is too long: %s", from);
			else
				rc = copy_walk(src, dst, fn, arg, e);
		}
		free(list[i]);
	}
	free(list);
	return rc;
}

static int copy_walk(const char *from, const char *to, copy_fn *fn, void *arg, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	char path[4096], target[4096];
	struct layer_entry t = {.path = path};
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "%s", to);
	if (lstat(from, &st) < 0)
		return err_errno(e, ERR_IO, "no file to copy, %s (programs: run `make`)", from);
	if (S_ISDIR(st.st_mode))
		return copy_folder(from, to, fn, arg, e);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(from, target, sizeof(target) - 1);
		if (n < 0)
			return err_errno(e, ERR_IO, "cannot read %s", from);
		target[n] = '\0';
		t.mode = S_IFLNK | 0777;
		t.link = target;
		return fn(&t, arg, e);
	}
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CONFIG, "%s is no file", from);
	buf_init(&b, MAX_FILE);
	if (file_read(from, &b, e))
		return -1;
	/* of the host's mode only the x bit counts, as in git */
	t.mode = S_IFREG | (st.st_mode & 0100 ? 0755 : 0644);
	t.data = b.p;
	t.size = b.len;
	return fn(&t, arg, e);
}

struct copying {
	const struct fill *f;
	const struct image_file *file;
};

static int copy_one(const struct layer_entry *t, void *arg, struct err *e)
{
	struct copying *c = arg;
	struct layer_entry own = *t;

	own.uid = c->file->uid;
	own.gid = c->file->gid;
	if (c->file->mode >= 0 && S_ISREG(own.mode))
		own.mode = S_IFREG | (mode_t)c->file->mode;
	return layer_add(c->f->layer, &own, e);
}

/* NAME=value lines: those that are there are replaced, the others come last. */
static int set_lines(const struct fill *f, const struct image_file *file, struct err *e)
{
	struct layer_entry *t = layer_own(f->layer, file->path);
	CLEAN(buf) struct buf b = {0};
	const char *name;
	json_t *v;

	if (!t || !S_ISREG(t->mode))
		return err_set(e, ERR_CONFIG, "there is no file '%s' whose lines could be set",
			       file->path);
	buf_init(&b, MAX_FILE);
	for (size_t at = 0; at < t->size;) {
		const uint8_t *line = t->data + at, *nl = memchr(line, '\n', t->size - at);
		size_t n = nl ? (size_t)(nl - line) : t->size - at;
		const uint8_t *eq = memchr(line, '=', n);
		char key[64] = "";

		if (eq && eq - line < (int)sizeof(key))
			memcpy(key, line, (size_t)(eq - line));
		if (!json_object_get(file->set, key)) {
			buf_put(&b, line, n);
			buf_u8(&b, '\n');
		}
		at += n + 1;
	}
	json_object_foreach(file->set, name, v)
	{
		const char *s = json_string_value(v);

		if (!s || strpbrk(s, "\"\\$`\n"))
			return err_set(e, ERR_CONFIG, "%s of '%s' is no plain string", name,
				       file->path);
		buf_printf(&b, "%s=\"%s\"\n", name, s);
	}
	if (b.bad)
		return err_set(e, ERR_NOMEM, NULL);
	free(t->data);
	t->size = b.len;
	t->data = STEAL(b.p);
	return 0;
}

static int put_links(const struct fill *f, const struct image_file *file, struct err *e)
{
	char path[512];
	struct layer_entry t = {.path = path,
				.mode = S_IFLNK | 0777,
				.link = (char *)(uintptr_t)file->link,
				.uid = file->uid,
				.gid = file->gid};
	json_t *name;
	size_t i;

	json_array_foreach(file->names, i, name)
	{
		snprintf(path, sizeof(path), "%s%s", file->path, json_string_value(name));
		if (layer_add(f->layer, &t, e))
			return -1;
	}
	return 0;
}

static int put_file(const struct fill *f, const struct image_file *file, struct err *e)
{
	struct layer_entry t = {.uid = file->uid, .gid = file->gid};
	char path[256], from[4096];
	size_t n = (size_t)snprintf(path, sizeof(path), "%s", file->path);

	if (n && path[n - 1] == '/')
		path[n - 1] = '\0';
	t.path = path;
	if (file->copy) {
		struct copying c = {f, file};

		source_path(f, file->copy, from);
		return copy_walk(from, path, copy_one, &c, e);
	}
	if (file->set)
		return set_lines(f, file, e);
	if (file->names)
		return put_links(f, file, e);
	if (file->dir) {
		t.mode = S_IFDIR | (mode_t)(file->mode >= 0 ? file->mode : 0755);
	} else if (file->link) {
		t.mode = S_IFLNK | 0777;
		t.link = (char *)(uintptr_t)file->link;
	} else {
		t.mode = S_IFREG | (mode_t)(file->mode >= 0 ? file->mode : 0644);
		t.data = (uint8_t *)(uintptr_t)file->text;
		t.size = strlen(file->text);
	}
	return layer_add(f->layer, &t, e);
}

static int step_files(const struct fill *f, struct err *e)
{
	for (size_t i = 0; i < f->spec->image.nfiles; i++)
		if (put_file(f, &f->spec->image.files[i], e))
			return -1;
	return 0;
}

/* ---- libraries ---- */

/* Everything below usr/lib of the packages that libraries may be taken from. */
static int fill_pool(const struct fill *f, struct layer *pool, struct err *e)
{
	const struct spec *s = f->spec;

	for (size_t i = 0; i < s->nslices; i++) {
		const struct spec_slice *sl = &s->slices[i];
		struct taking k = {.package = sl->package, .to = pool};

		if (!sl->libraries)
			continue;
		const struct lock_pkg *p = fill_row(f->lock, f->spec, sl, e);
		CLEAN(fd) int fd = p ? open_package(f, p, e) : -1;
		struct deb_src src = {.name = sl->package, .fd = fd};

		if (fd < 0 || deb_walk(&src, DEB_DATA, take_entry, &k, e))
			return -1;
	}
	return 0;
}

/* "/lib64/x" is "usr/lib64/x": /lib64 is a link. */
static void library_path(const char *name, char out[static 512])
{
	if (name[0] == '/')
		snprintf(out, 512, "%s%s", strncmp(name, "/lib", 4) == 0 ? "usr" : "",
			 name + (strncmp(name, "/lib", 4) == 0 ? 0 : 1));
	else
		snprintf(out, 512, LIBDIR "%s", name);
}

/* Where a link of a library leads: within its folder, or by "../". */
static void follow(const char *path, const char *link, char out[static 512])
{
	size_t n = (size_t)(strrchr(path, '/') - path);

	for (; strncmp(link, "../", 3) == 0; link += 3)
		while (n && path[--n] != '/')
			;
	snprintf(out, 512, "%.*s/%s", (int)n, path, link);
}

/* Takes one library, and what its links lead to, into the layer. */
static int take_library(const struct fill *f, const struct layer *pool, const char *name,
			const char *whom, struct err *e)
{
	char path[512], next[512];

	library_path(name, path);
	for (int depth = 0; depth < 8; depth++) {
		const struct layer_entry *t = layer_find(f->layer, path);

		if (!t) {
			t = layer_own(pool, path);
			if (!t || S_ISDIR(t->mode))
				return err_set(
					e, ERR_CONFIG,
					"%.100s needs %.100s, which no package of `libraries` "
					"has",
					whom, name);
			if (layer_add(f->layer, t, e))
				return -1;
		}
		if (!S_ISLNK(t->mode))
			return 0;
		follow(path, t->link, next);
		memcpy(path, next, sizeof(path));
	}
	return err_set(e, ERR_PACKAGE, "too many links at %.100s", name);
}

static int step_libraries(const struct fill *f, struct err *e)
{
	CLEAN(layer) struct layer pool = {0};
	struct layer *l = f->layer;
	bool again = true;

	if (fill_pool(f, &pool, e))
		return -1;
	/* what was taken needs libraries too: until nothing new comes */
	while (again) {
		size_t before = l->n;

		for (size_t i = 0; i < l->n; i++) {
			const struct layer_entry t = l->v[i];
			char whom[256];
			struct elf_needs needs;

			if (!S_ISREG(t.mode) || !elf_is(t.data, t.size))
				continue;
			snprintf(whom, sizeof(whom), "%s", t.path);
			if (elf_read(t.data, t.size, &needs, e))
				return err_wrap(e, "%s", whom);
			if (needs.interp && take_library(f, &pool, needs.interp, whom, e))
				return -1;
			for (size_t k = 0; k < needs.n; k++)
				if (take_library(f, &pool, needs.needed[k], whom, e))
					return -1;
		}
		again = l->n != before;
	}
	return 0;
}

/* A library's package brings its copyright text as soon as one file is taken. */
static bool is_used(const struct layer *l, const char *package)
{
	for (size_t i = 0; i < l->n; i++)
		if (!l->v[i].implied && strcmp(l->v[i].owner, package) == 0)
			return true;
	return false;
}

static int step_copyright(const struct fill *f, struct err *e)
{
	const struct spec *s = f->spec;
	char path[600];

	for (size_t i = 0; i < s->nslices; i++)
		if (s->slices[i].libraries && is_used(f->layer, s->slices[i].package) &&
		    take_slice(f, &s->slices[i], e))
			return -1;
	for (size_t i = 0; i < f->layer->n; i++) {
		const struct layer_entry *t = &f->layer->v[i];

		if (!S_ISLNK(t->mode) || strncmp(t->path, "usr/share/doc/", 14) != 0)
			continue;
		snprintf(path, sizeof(path), "usr/share/doc/%s/copyright", t->link);
		if (!layer_find(f->layer, path))
			return err_set(
				e, ERR_CONFIG,
				"the copyright text of %s is in the package %s: name that too",
				t->owner, t->link);
	}
	return 0;
}

/* ---- package data ---- */

static int step_packages(const struct fill *f, struct err *e)
{
	const struct spec *s = f->spec;

	for (size_t i = 0; i < s->nslices; i++) {
		const struct spec_slice *sl = &s->slices[i];
		CLEAN(buf) struct buf control = {0};
		char done[256];

		snprintf(done, sizeof(done), "var/lib/dpkg/status.d/%s", sl->package);
		if (!is_used(f->layer, sl->package) || layer_own(f->layer, done))
			continue;
		const struct lock_pkg *p = fill_row(f->lock, f->spec, sl, e);
		CLEAN(fd) int fd = p ? open_package(f, p, e) : -1;
		struct deb_src src = {.name = sl->package, .fd = fd};

		buf_init(&control, 1u << 20);
		if (fd < 0 || deb_control(&src, &control, e) ||
		    dpkg_add(f->layer, sl->package, &control, e))
			return -1;
	}
	return 0;
}

const struct fill_step fill_steps[] = {
	{"slices", "files of packages, with their copyright texts", step_slices},
	{"users", "/etc/passwd and /etc/group", step_users},
	{"files", "files of the project and of the build", step_files},
	{"libraries", "the shared libraries that its programs need", step_libraries},
	{"copyright", "copyright texts of those", step_copyright},
	{"packages", "package data for scanners", step_packages},
	{0},
};

int fill_layer(const struct fill *f, struct err *e)
{
	for (const struct fill_step *s = fill_steps; s->name; s++)
		if (s->run(f, e))
			return err_wrap(e, "%s/%s.yaml, %s", f->images, f->spec->name, s->name);
	return 0;
}

static int hash_one(const struct layer_entry *t, void *arg, struct err *e)
{
	struct sha256 *md = arg;
	uint64_t head[2] = {t->mode, t->size};

	(void)e;
	sha256_update(md, t->path, strlen(t->path) + 1);
	sha256_update(md, head, sizeof(head));
	if (t->link)
		sha256_update(md, t->link, strlen(t->link) + 1);
	sha256_update(md, t->data, t->size);
	return 0;
}

int fill_inputs(const struct fill *f, struct sha256 *md, struct err *e)
{
	const struct spec *s = f->spec;
	char from[4096];

	for (size_t i = 0; i < s->nslices; i++) {
		const struct lock_pkg *p = fill_row(f->lock, s, &s->slices[i], e);

		if (!p)
			return err_wrap(e, "%s", s->name);
		sha256_update(md, p->sha256, sizeof(p->sha256));
	}
	for (size_t i = 0; i < s->image.nfiles; i++) {
		const struct image_file *file = &s->image.files[i];

		if (!file->copy)
			continue;
		source_path(f, file->copy, from);
		if (copy_walk(from, file->path, hash_one, md, e))
			return err_wrap(e, "%s/%s.yaml", f->images, s->name);
	}
	return 0;
}
