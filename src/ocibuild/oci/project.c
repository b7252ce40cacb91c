#include "ocibuild/oci/project.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"

#define MAX_FILE FILL_MAX_FILE

/* ---- users ---- */

static int put_text(const struct fill *f, const char *path, const struct buf *b, struct err *e)
{
	struct layer_entry t = {.path = (char *)(uintptr_t)path,
				.mode = S_IFREG | 0644,
				.data = b->p,
				.size = b->len};

	return b->bad ? err_set(e, ERR_NOMEM, NULL) : layer_add(f->layer, &t, e);
}

int project_users(const struct fill *f, struct err *e)
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

/* NAME="value" */
static int set_line(struct buf *b, const struct image_file *file, const char *name, const json_t *v,
		    struct err *e)
{
	const char *s = json_string_value(v);

	if (!s || strpbrk(s, "\"\\$`\n"))
		return err_set(e, ERR_CONFIG, "%s of '%s' is no plain string", name, file->path);
	buf_printf(b, "%s=\"%s\"\n", name, s);
	return 0;
}

/* NAME=value lines: those that are there are replaced, the others come last. */
static int set_lines(const struct fill *f, const struct image_file *file, struct err *e)
{
	struct layer_entry *t = layer_own(f->layer, file->path);
	CLEAN(json) json_t *left = json_copy(file->set);
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
		v = json_object_get(file->set, key);
		if (v && set_line(&b, file, key, v, e))
			return -1;
		json_object_del(left, key);
		if (!v) {
			buf_put(&b, line, n);
			buf_u8(&b, '\n');
		}
		at += n + 1;
	}
	json_object_foreach(left, name, v)
	{
		if (set_line(&b, file, name, v, e))
			return -1;
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

int project_files(const struct fill *f, struct err *e)
{
	for (size_t i = 0; i < f->spec->image.nfiles; i++)
		if (put_file(f, &f->spec->image.files[i], e))
			return -1;
	return 0;
}

/* ---- what decides them ---- */

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

int project_inputs(const struct fill *f, struct sha256 *md, struct err *e)
{
	const struct spec *s = f->spec;
	char from[4096];

	for (size_t i = 0; i < s->image.nfiles; i++) {
		const struct image_file *file = &s->image.files[i];

		if (!file->copy)
			continue;
		source_path(f, file->copy, from);
		if (copy_walk(from, file->path, hash_one, md, e))
			return -1;
	}
	return 0;
}
