#include "ocibuild/oci/linked.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

#define MAX_ROWS 4096
#define MAX_TEXT (64u << 20)

void linked_free(struct linked *l)
{
	free(l->v);
	*l = (struct linked){0};
}

static int by_row(const void *a, const void *b)
{
	const struct linked_row *p = a, *q = b;
	int c = strcmp(p->package, q->package);

	return c ? c : strcmp(p->archive, q->archive);
}

static int add(struct linked *l, const struct linked_row *r, struct err *e)
{
	struct linked_row *v;

	for (size_t i = 0; i < l->n; i++)
		if (by_row(&l->v[i], r) == 0)
			return 0;
	if (l->n == MAX_ROWS)
		return err_set(e, ERR_TOO_LARGE, "more than %d archives are linked in", MAX_ROWS);
	v = reallocarray(l->v, l->n + 1, sizeof(*v));
	if (!v)
		return err_set(e, ERR_NOMEM, NULL);
	l->v = v;
	v[l->n++] = *r;
	return 0;
}

static void in_order(struct linked *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_row);
}

/* The next line of a text, without its newline; false at the end. */
static bool next_line(const char **at, const char *end, const char **line, size_t *n)
{
	const char *nl;

	if (*at >= end)
		return false;
	nl = memchr(*at, '\n', (size_t)(end - *at));
	*line = *at;
	*n = (size_t)((nl ? nl : end) - *at);
	*at += *n + 1;
	return true;
}

/* ---- PROGRAM.linked ---- */

int linked_read(struct linked *l, const char *path, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	const char *at, *line;
	unsigned number = 0;
	size_t n;

	buf_init(&b, 1u << 20);
	if (file_read(path, &b, e))
		return -1;
	at = (const char *)b.p;
	while (b.len && next_line(&at, (const char *)b.p + b.len, &line, &n)) {
		struct linked_row r;
		char text[512], end;

		snprintf(text, sizeof(text), "%.*s", (int)(n < 500 ? n : 500), line);
		number++;
		if (sscanf(text, "%95s %95s %199s %c", r.package, r.version, r.archive, &end) !=
			    3 ||
		    r.archive[0] != '/')
			return err_set(e, ERR_CONFIG,
				       "%s:%u: no line of package, version and archive: run `make`",
				       path, number);
		if (add(l, &r, e))
			return -1;
	}
	in_order(l);
	return 0;
}

static bool is_elf(const char *path)
{
	FILE *f = fopen(path, "re");
	char head[4] = "";
	bool is = f && fread(head, 1, sizeof(head), f) == 4 && memcmp(head, "\177ELF", 4) == 0;

	if (f)
		fclose(f);
	return is;
}

int linked_of(struct linked *l, const struct spec *s, const char *build, struct err *e)
{
	char path[4096], list[4200];

	for (size_t i = 0; i < s->image.nfiles; i++) {
		const char *copy = s->image.files[i].copy;

		if (!copy || strncmp(copy, "build/", 6) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", build, copy + 6);
		snprintf(list, sizeof(list), "%s.linked", path);
		if (access(list, F_OK) == 0) {
			if (linked_read(l, list, e))
				return -1;
		} else if (is_elf(path)) {
			return err_set(e, ERR_CONFIG,
				       "there is no %s, which says what is linked into that "
				       "program: run `make`",
				       list);
		}
	}
	return 0;
}

const struct lock_pkg *linked_locked(const struct lock *l, const struct linked_row *r,
				     struct err *e)
{
	for (size_t i = 0; i < l->npkg; i++)
		if (strcmp(l->pkg[i].name, r->package) == 0 &&
		    strcmp(l->pkg[i].version, r->version) == 0)
			return &l->pkg[i];
	err_set(e, ERR_LOCK, "a program was linked with %s %s, which is not locked: run `make`",
		r->package, r->version);
	return NULL;
}

/* ---- from a map of the linker ---- */

/* Output sections that are not in the running program, or that the linker makes itself. */
static bool is_ignored(const char *section)
{
	static const char *const heads[] = {".debug", ".comment",  ".note", ".gnu",
					    ".stab",  ".eh_frame", ".rel"};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		if (strncmp(section, heads[i], strlen(heads[i])) == 0)
			return true;
	return false;
}

/* "/a/b/../c" to "/a/c": the compiler names its own files from its own folder. */
static void clean_path(char *path)
{
	char *dots;

	while ((dots = strstr(path, "/../")) != NULL) {
		char *up = dots;

		while (up > path && *--up != '/')
			;
		memmove(up, dots + 3, strlen(dots + 3) + 1);
	}
}

/* " .text  0x1000  0x20 /usr/lib/libc.a(x.o)", or the second line of one with a long name:
 * the file, when something of it is in the output. */
static bool contribution(const char *line, char file[static 512])
{
	unsigned long long addr = 0, size = 0;
	int at = 0;

	if (line[0] != ' ' || line[1] == '*')
		return false;
	if (line[1] == '.')
		line += 1 + strcspn(line + 1, " ");
	if (sscanf(line, " 0x%llx 0x%llx %n", &addr, &size, &at) != 2 || !at || !size || !addr)
		return false;
	snprintf(file, 512, "%s", line + at);
	if (file[0] != '/')
		return false; /* ours */
	file[strcspn(file, "(")] = '\0';
	clean_path(file);
	return true;
}

/* Whether a package's list of files has this line, in either of dpkg's forms: absolute
 * paths, or digest, two spaces and the path. */
static int lists_file(const char *list, const char *file, bool *has, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	const char *at, *line;
	size_t n, want = strlen(file);

	buf_init(&b, MAX_TEXT);
	if (file_read(list, &b, e))
		return -1;
	at = (const char *)b.p;
	*has = false;
	while (b.len && !*has && next_line(&at, (const char *)b.p + b.len, &line, &n)) {
		if (n > 34 && line[32] == ' ' && line[33] == ' ') {
			/* this form has no slash at the start */
			line += 34;
			n -= 34;
			*has = n + 1 == want && memcmp(line, file + 1, n) == 0;
		} else {
			*has = n == want && memcmp(line, file, n) == 0;
		}
	}
	return 0;
}

/* The package whose list in a folder has the file: NAME.list or NAME:ARCH.list. */
static int find_in(const char *dir, const char *ending, const char *file, char package[static 96],
		   struct err *e)
{
	CLEAN(dir) DIR *d = opendir(dir);
	struct dirent *ent;

	while (d && (ent = readdir(d)) != NULL) {
		const char *tail = strrchr(ent->d_name, '.');
		char path[4096];
		bool has;

		if (!tail || strcmp(tail, ending) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, ent->d_name);
		if (lists_file(path, file, &has, e))
			return -1;
		if (has) {
			snprintf(package, 96, "%.*s", (int)strcspn(ent->d_name, ":"), ent->d_name);
			if (!strchr(ent->d_name, ':'))
				package[tail - ent->d_name] = '\0';
			return 0;
		}
	}
	return 0;
}

/* Version of a package in the text of a status file. */
static int find_version(const char *path, const char *package, char version[static 96],
			struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	const char *at, *line;
	bool in = false;
	char text[256];
	size_t n;

	buf_init(&b, MAX_TEXT);
	if (file_read(path, &b, e))
		return -1;
	at = (const char *)b.p;
	while (b.len && next_line(&at, (const char *)b.p + b.len, &line, &n)) {
		snprintf(text, sizeof(text), "%.*s", (int)(n < 250 ? n : 250), line);
		if (strncmp(text, "Package: ", 9) == 0)
			in = strcmp(text + 9, package) == 0;
		else if (in && sscanf(text, "Version: %95s", version) == 1)
			return 0;
	}
	return err_set(e, ERR_CONFIG, "%s has no version of %s", path, package);
}

/* Installed packages are in dpkg's own data, slices in status.d. */
static int find_package(const char *root, const char *file, struct linked_row *r, struct err *e)
{
	char dir[4096];

	*r = (struct linked_row){0};
	if (snprintf(r->archive, sizeof(r->archive), "%s", file) >= (int)sizeof(r->archive))
		return err_set(e, ERR_CONFIG, "a path is too long: %.100s", file);
	snprintf(dir, sizeof(dir), "%s/var/lib/dpkg/info", root);
	if (find_in(dir, ".list", file, r->package, e))
		return -1;
	if (r->package[0]) {
		snprintf(dir, sizeof(dir), "%s/var/lib/dpkg/status", root);
		return find_version(dir, r->package, r->version, e);
	}
	snprintf(dir, sizeof(dir), "%s/var/lib/dpkg/status.d", root);
	if (find_in(dir, ".md5sums", file, r->package, e))
		return -1;
	if (!r->package[0])
		return err_set(e, ERR_CONFIG, "%s is linked in, and of no package", file);
	snprintf(dir, sizeof(dir), "%s/var/lib/dpkg/status.d/%s", root, r->package);
	return find_version(dir, r->package, r->version, e);
}

int linked_from_map(struct linked *l, const char *map, size_t n, const char *root, struct err *e)
{
	static const char start[] = "Linker script and memory map";
	const char *end = map + n, *at = memmem(map, n, start, sizeof(start) - 1), *line;
	char text[1024], file[512], last[512] = "";
	bool ignore = true;
	size_t len;

	if (!at)
		return err_set(e, ERR_CONFIG, "this is no map of the linker (-Wl,-Map)");
	while (next_line(&at, end, &line, &len)) {
		struct linked_row r;
		bool known = false;

		snprintf(text, sizeof(text), "%.*s", (int)(len < 1000 ? len : 1000), line);
		if (text[0] == '.')
			ignore = is_ignored(text);
		if (ignore || !contribution(text, file) || strcmp(file, last) == 0)
			continue;
		memcpy(last, file, sizeof(last));
		for (size_t i = 0; i < l->n && !known; i++)
			known = strcmp(l->v[i].archive, file) == 0;
		if (!known && (find_package(root, file, &r, e) || add(l, &r, e)))
			return -1;
	}
	in_order(l);
	return 0;
}
