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
#include "ocibuild/oci/linked.h"
#include "ocibuild/oci/project.h"
#include "ocibuild/tree.h"

#define MAX_FILE FILL_MAX_FILE
#define LIBDIR "usr/lib/x86_64-linux-gnu/"

const struct lock_pkg *fill_row(const struct lock *l, const struct spec *s,
				const struct spec_slice *sl, struct err *e)
{
	for (size_t i = 0; i < l->npkg; i++)
		for (size_t k = 0; k < s->nchain; k++)
			if (spec_slice_of(sl, l->pkg[i].suite, l->pkg[i].name) &&
			    lock_pkg_in(&l->pkg[i], s->chain[k]))
				return &l->pkg[i];
	err_set(e, ERR_LOCK, "%s of %s is not in the lock: run `make lock`", sl->package,
		sl->suite);
	return NULL;
}

/* It is installed below, with all its files and its package data. */
static bool is_below(const struct fill *f, const struct lock_pkg *p)
{
	const struct spec *s = f->spec;

	return s->npackages && s->nchain > 1 && lock_pkg_in(p, s->chain[s->nchain - 1]);
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

static int take_package(const struct fill *f, const struct lock_pkg *p, const struct spec_slice *sl,
			struct err *e)
{
	CLEAN(layer) struct layer parts = {0};
	CLEAN(free) bool *hit = calloc(sl->nfiles + 1, sizeof(*hit));
	struct taking k = {.slice = sl,
			   .package = p->name,
			   .to = f->layer,
			   .parts = sl->concat ? &parts : NULL,
			   .hit = hit};
	CLEAN(fd) int fd = open_package(f, p, e);
	struct deb_src src = {.name = p->name, .fd = fd};

	if (fd < 0)
		return -1;
	if (!hit)
		return err_set(e, ERR_NOMEM, NULL);
	snprintf(k.doc, sizeof(k.doc), "usr/share/doc/%s", p->name);
	snprintf(k.copyright, sizeof(k.copyright), "%s/copyright", k.doc);
	if (deb_walk(&src, DEB_DATA, take_entry, &k, e))
		return -1;
	for (size_t i = 0; i < sl->nfiles; i++)
		if (!hit[i])
			return err_set(e, ERR_CONFIG, "%s has no file that matches '%s'", p->name,
				       sl->files[i]);
	if (!layer_find(f->layer, k.copyright) && !layer_find(f->layer, k.doc))
		return err_set(e, ERR_CONFIG, "%s has no copyright text", p->name);
	return sl->concat ? join_parts(&k, e) : 0;
}

static int step_slices(const struct fill *f, struct err *e)
{
	const struct spec *s = f->spec;

	for (size_t i = s->own_slices; i < s->nslices; i++) {
		const struct spec_slice *sl = &s->slices[i];
		const struct lock_pkg *p = fill_row(f->lock, s, sl, e);

		if (!p)
			return -1;
		if (!sl->libraries && !is_below(f, p) && take_package(f, p, sl, e))
			return -1;
	}
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

		if (p && is_below(f, p))
			continue;
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

/* A package whose copyright text is another one's: the folder is a link to that. */
static int follow_copyright(const struct fill *f, const struct layer_entry *t, struct err *e)
{
	const struct spec_slice none = {0};
	const struct lock_pkg *p = NULL;
	char path[600], owner[96];

	snprintf(path, sizeof(path), "usr/share/doc/%s/copyright", t->link);
	if (layer_find(f->layer, path))
		return 0;
	for (size_t i = 0; i < f->lock->npkg && !p; i++)
		if (strcmp(f->lock->pkg[i].name, t->link) == 0)
			p = &f->lock->pkg[i];
	snprintf(owner, sizeof(owner), "%s", t->owner);
	if (!p)
		return err_set(e, ERR_CONFIG,
			       "the copyright text of %s is in the package %s: name that too",
			       owner, t->link);
	if (take_package(f, p, &none, e))
		return -1;
	return layer_find(f->layer, path)
		       ? 0
		       : err_set(e, ERR_PACKAGE, "%s has no copyright text", p->name);
}

static int unneeded(const struct spec_slice *sl, struct err *e)
{
	return err_set(e, ERR_CONFIG, "no program needs a library of %s: it is not for `libraries`",
		       sl->package);
}

static int step_copyright(const struct fill *f, struct err *e)
{
	const struct spec *s = f->spec;

	for (size_t i = 0; i < s->nslices; i++) {
		const struct spec_slice *sl = &s->slices[i];
		const struct lock_pkg *p = fill_row(f->lock, s, sl, e);

		if (!p)
			return -1;
		if (!sl->libraries || is_below(f, p))
			continue;
		if (is_used(f->layer, sl->package) ? take_package(f, p, sl, e)
						   : i >= s->own_slices && unneeded(sl, e))
			return -1;
	}
	/* what is added on the way is behind or before: the layer is short, look again */
	for (size_t i = 0; i < f->layer->n; i++) {
		const struct layer_entry *t = &f->layer->v[i];
		size_t before = f->layer->n;

		if (!S_ISLNK(t->mode) || strncmp(t->path, "usr/share/doc/", 14) != 0)
			continue;
		if (follow_copyright(f, t, e))
			return -1;
		if (f->layer->n != before)
			i = (size_t)-1;
	}
	return 0;
}

/* ---- linked libraries ---- */

static int step_linked(const struct fill *f, struct err *e)
{
	CLEAN(linked) struct linked all = {0};
	const struct spec_slice none = {0};

	if (linked_of(&all, f->spec, f->build, e))
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		const struct lock_pkg *p;

		if (i && strcmp(all.v[i].package, all.v[i - 1].package) == 0)
			continue;
		p = linked_locked(f->lock, &all.v[i], e);
		if (!p || (!is_below(f, p) && take_package(f, p, &none, e)))
			return -1;
	}
	return 0;
}

/* ---- package data ---- */

/* A name is in the lock once a suite: the row whose package was taken is that of the slice,
 * or the one that a program was linked with. */
static int add_package(const struct fill *f, const struct lock_pkg *p, struct err *e)
{
	CLEAN(buf) struct buf control = {0};
	char done[256];

	snprintf(done, sizeof(done), "var/lib/dpkg/status.d/%s", p->name);
	if (!is_used(f->layer, p->name) || layer_own(f->layer, done))
		return 0;
	CLEAN(fd) int fd = open_package(f, p, e);
	struct deb_src src = {.name = p->name, .fd = fd};

	buf_init(&control, 1u << 20);
	if (fd < 0 || deb_control(&src, &control, e))
		return -1;
	return dpkg_add(f->layer, p->name, &control, e);
}

static int step_packages(const struct fill *f, struct err *e)
{
	CLEAN(linked) struct linked all = {0};
	const struct spec *s = f->spec;

	for (size_t i = 0; i < s->nslices; i++) {
		const struct lock_pkg *p = fill_row(f->lock, s, &s->slices[i], e);

		if (!p || add_package(f, p, e))
			return -1;
	}
	if (linked_of(&all, s, f->build, e))
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		const struct lock_pkg *p = linked_locked(f->lock, &all.v[i], e);

		if (!p || add_package(f, p, e))
			return -1;
	}
	/* and those whose copyright text another one's refers to */
	for (size_t i = 0; i < f->lock->npkg; i++)
		if (add_package(f, &f->lock->pkg[i], e))
			return -1;
	return 0;
}

/* ---- what the steps are about ---- */

static void name_package(json_t *items, const struct lock_pkg *p)
{
	json_array_append_new(items, json_sprintf("%s %s", p->name, p->version));
}

static int about_packages(const struct fill *f, bool libraries, json_t *items, struct err *e)
{
	const struct spec *s = f->spec;

	for (size_t i = s->own_slices; i < s->nslices; i++) {
		const struct lock_pkg *p = fill_row(f->lock, s, &s->slices[i], e);

		if (!p)
			return -1;
		if (s->slices[i].libraries == libraries && !is_below(f, p))
			name_package(items, p);
	}
	return 0;
}

static int about_slices(const struct fill *f, json_t *items, struct err *e)
{
	return about_packages(f, false, items, e);
}

static int about_libraries(const struct fill *f, json_t *items, struct err *e)
{
	return about_packages(f, true, items, e);
}

static int about_linked(const struct fill *f, json_t *items, struct err *e)
{
	CLEAN(linked) struct linked all = {0};

	if (linked_of(&all, f->spec, f->build, e))
		return -1;
	for (size_t i = 0; i < all.n; i++) {
		const struct lock_pkg *p = linked_locked(f->lock, &all.v[i], e);

		if (!p)
			return -1;
		if (!is_below(f, p) && (!i || strcmp(all.v[i].package, all.v[i - 1].package) != 0))
			name_package(items, p);
	}
	return 0;
}

static int about_users(const struct fill *f, json_t *items, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < f->spec->image.nusers; i++)
		json_array_append_new(items, json_string(f->spec->image.users[i].name));
	return 0;
}

static int about_files(const struct fill *f, json_t *items, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < f->spec->image.nfiles; i++)
		json_array_append_new(items, json_string(f->spec->image.files[i].path));
	return 0;
}

const struct fill_step fill_steps[] = {
	{"slices", "files of packages, with their copyright texts", step_slices, about_slices},
	{"users", "/etc/passwd and /etc/group", project_users, about_users},
	{"files", "files of the project and of the build", project_files, about_files},
	{"linked", "copyright texts of the static libraries in its programs", step_linked,
	 about_linked},
	{"libraries", "the shared libraries that its programs need", step_libraries,
	 about_libraries},
	{"copyright", "copyright texts of those", step_copyright, about_libraries},
	{"packages", "package data for scanners", step_packages, NULL},
	{0},
};

int fill_layer(const struct fill *f, struct err *e)
{
	for (const struct fill_step *s = fill_steps; s->name; s++)
		if (s->run(f, e))
			return err_wrap(e, "%s/%s.yaml%s%s, %s", f->images, f->spec->definition,
					*f->spec->variant ? " variant " : "", f->spec->variant,
					s->name);
	return 0;
}

int fill_inputs(const struct fill *f, struct sha256 *md, struct err *e)
{
	const struct spec *s = f->spec;

	for (size_t i = 0; i < s->nslices; i++) {
		const struct lock_pkg *p = fill_row(f->lock, s, &s->slices[i], e);

		if (!p)
			return err_wrap(e, "%s", s->name);
		sha256_update(md, p->sha256, sizeof(p->sha256));
	}
	if (project_inputs(f, md, e))
		return err_wrap(e, "%s/%s.yaml", f->images, s->definition);
	CLEAN(linked) struct linked all = {0};

	if (linked_of(&all, s, f->build, e))
		return err_wrap(e, "%s/%s.yaml", f->images, s->definition);
	for (size_t i = 0; i < all.n; i++) {
		const struct lock_pkg *p = linked_locked(f->lock, &all.v[i], e);

		if (!p)
			return err_wrap(e, "%s/%s.yaml", f->images, s->definition);
		sha256_update(md, p->sha256, sizeof(p->sha256));
	}
	return 0;
}
