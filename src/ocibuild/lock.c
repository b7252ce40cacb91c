#include "ocibuild/lock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"

#define LOCK_HEAD "ocibuild-lock 1"

void lock_free(struct lock *l)
{
	free(l->rel);
	free(l->pkg);
	*l = (struct lock){0};
}

static int grow(void **p, size_t n, size_t size, struct err *e)
{
	void *q;

	if (n & (n - 1) || (n && n < 16))
		return 0;
	q = reallocarray(*p, n ? n * 2 : 16, size);
	if (!q)
		return err_set(e, ERR_NOMEM, NULL);
	*p = q;
	return 0;
}

int lock_add(struct lock *l, const struct lock_pkg *p, struct err *e)
{
	void *v = l->pkg;

	if (l->npkg >= LOCK_MAX_ROWS)
		return err_set(e, ERR_LOCK, "more than %d packages", LOCK_MAX_ROWS);
	if (grow(&v, l->npkg, sizeof(*p), e))
		return -1;
	l->pkg = v;
	l->pkg[l->npkg++] = *p;
	return 0;
}

int lock_add_release(struct lock *l, const struct lock_release *r, struct err *e)
{
	void *v = l->rel;

	if (l->nrel >= 64)
		return err_set(e, ERR_LOCK, "more than 64 releases");
	if (grow(&v, l->nrel, sizeof(*r), e))
		return -1;
	l->rel = v;
	l->rel[l->nrel++] = *r;
	return 0;
}

void lock_date_text(int64_t t, char out[static 32])
{
	time_t tt = (time_t)t;
	struct tm tm;

	if (!gmtime_r(&tt, &tm) || !strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		memcpy(out, "?", 2);
}

int lock_date_parse(const char *s, int64_t *t)
{
	struct tm tm = {0};
	char again[32];
	const char *end = strptime(s, "%Y-%m-%dT%H:%M:%SZ", &tm);

	if (!end || *end || tm.tm_year < 70 || tm.tm_year > 8000)
		return -1;
	*t = (int64_t)timegm(&tm);
	lock_date_text(*t, again);
	return strcmp(again, s) == 0 ? 0 : -1;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

static bool only(const char *s, const char *set)
{
	return *s && s[strspn(s, set)] == '\0';
}

int lock_pkg_check(const struct lock_pkg *p, struct err *e)
{
	const struct {
		const char *what, *value, *set;
	} f[] = {
		{"archive", p->archive, LOWER DIGIT "-"},
		{"suite", p->suite, LOWER DIGIT "-"},
		{"name", p->name, LOWER DIGIT "+-."},
		{"version", p->version, LOWER UPPER DIGIT "+-.~:"},
		{"architecture", p->arch, LOWER DIGIT "-"},
		{"path", p->path, LOWER UPPER DIGIT "+-.~:_%/"},
		{"images", p->images, LOWER DIGIT "-,"},
	};

	for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++)
		if (!only(f[i].value, f[i].set))
			return err_set(e, ERR_LOCK, "bad %s \"%.80s\"", f[i].what, f[i].value);
	if (strncmp(p->path, "pool/", 5) != 0 || strstr(p->path, "/.") || strstr(p->path, "//"))
		return err_set(e, ERR_LOCK, "bad path \"%.80s\"", p->path);
	if (p->name[0] == '.' || p->name[0] == '-' || p->size == 0 || p->size > (4ull << 30))
		return err_set(e, ERR_LOCK, "bad name or size of \"%.80s\"", p->name);
	return 0;
}

/* Splits a line at single spaces into exactly n words. */
static int words(char *line, char **w, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *sp = strchr(line, ' ');

		if ((sp == NULL) != (i == n - 1) || *line == '\0' || *line == ' ')
			return -1;
		w[i] = line;
		if (sp) {
			*sp = '\0';
			line = sp + 1;
		}
	}
	return 0;
}

#define COPY(field, word) copy_word((field), sizeof(field), (word))
static int copy_word(char *out, size_t cap, const char *w)
{
	size_t n = strlen(w);

	if (n >= cap)
		return -1;
	memcpy(out, w, n + 1);
	return 0;
}

static int parse_package(struct lock *l, char *rest, struct err *e)
{
	struct lock_pkg p = {0};
	char *w[9], *end;

	if (words(rest, w, 9))
		return err_set(e, ERR_LOCK, "a package row has nine fields");
	if (COPY(p.archive, w[0]) || COPY(p.suite, w[1]) || COPY(p.name, w[2]) ||
	    COPY(p.version, w[3]) || COPY(p.arch, w[4]) || COPY(p.path, w[7]) ||
	    COPY(p.images, w[8]))
		return err_set(e, ERR_LOCK, "a field of package \"%.80s\" is too long", w[2]);
	if (strlen(w[5]) != 64 || enc_unhex(p.sha256, 32, w[5]))
		return err_set(e, ERR_LOCK, "bad sha256 of \"%.80s\"", w[2]);
	errno = 0;
	p.size = strtoull(w[6], &end, 10);
	if (errno || *end || !only(w[6], DIGIT))
		return err_set(e, ERR_LOCK, "bad size of \"%.80s\"", w[2]);
	if (lock_pkg_check(&p, e))
		return -1;
	return lock_add(l, &p, e);
}

static int parse_release(struct lock *l, char *rest, struct err *e)
{
	struct lock_release r = {0};
	char *w[3];

	if (words(rest, w, 3) || COPY(r.archive, w[0]) || COPY(r.suite, w[1]) ||
	    lock_date_parse(w[2], &r.date) || !only(r.archive, LOWER DIGIT "-") ||
	    !only(r.suite, LOWER DIGIT "-"))
		return err_set(e, ERR_LOCK, "bad release row");
	return lock_add_release(l, &r, e);
}

static int parse_line(struct lock *l, char *line, unsigned *seen, struct err *e)
{
	enum { DEFS = 1, DATE = 2, REPLACES = 4 };
	char *sp = strchr(line, ' ');

	if (!sp)
		return err_set(e, ERR_LOCK, "a row has a word and fields");
	*sp++ = '\0';
	if (strcmp(line, "package") == 0)
		return parse_package(l, sp, e);
	if (strcmp(line, "release") == 0)
		return parse_release(l, sp, e);
	if (strcmp(line, "definitions") == 0 && !(*seen & DEFS) && strlen(sp) == 64 &&
	    enc_unhex(l->definitions, 32, sp) == 0) {
		*seen |= DEFS;
		return 0;
	}
	if (strcmp(line, "replaces") == 0 && !(*seen & REPLACES) && strlen(sp) == 64 &&
	    enc_unhex(l->replaces, 32, sp) == 0) {
		*seen |= REPLACES;
		l->is_relock = true;
		return 0;
	}
	if (strcmp(line, "date") == 0 && !(*seen & DATE) && lock_date_parse(sp, &l->date) == 0) {
		*seen |= DATE;
		return 0;
	}
	return err_set(e, ERR_LOCK, "unknown, repeated or malformed row \"%.40s\"", line);
}

static int parse_lines(struct lock *l, const char *name, char *text, struct err *e)
{
	unsigned seen = 0, no = 0;
	char *next;

	for (char *line = text; *line; line = next) {
		char *nl = strchr(line, '\n');

		no++;
		if (!nl)
			return err_set(e, ERR_LOCK, "%s:%u: the last line is cut off", name, no);
		*nl = '\0';
		next = nl + 1;
		if (no == 1 && strcmp(line, LOCK_HEAD) != 0)
			return err_set(e, ERR_LOCK, "%s:1: not a lock: it must start with \"%s\"",
				       name, LOCK_HEAD);
		if (no == 1 || line[0] == '#')
			continue;
		if (parse_line(l, line, &seen, e))
			return err_wrap(e, "%s:%u", name, no);
	}
	if ((seen & 3) != 3 || !l->npkg)
		return err_set(e, ERR_LOCK, "%s: no definitions, date or package row", name);
	return 0;
}

int lock_parse(struct lock *l, const char *name, const void *text, size_t n, struct err *e)
{
	CLEAN(free) char *copy = n < LOCK_MAX_BYTES ? malloc(n + 1) : NULL;
	int64_t date;
	size_t rows;

	*l = (struct lock){0};
	if (!copy)
		return err_set(e, ERR_TOO_LARGE, "%s is too large for a lock", name);
	memcpy(copy, text, n);
	copy[n] = '\0';
	if (memchr(copy, '\0', n))
		return err_set(e, ERR_LOCK, "%s: a NUL byte", name);
	if (parse_lines(l, name, copy, e)) {
		lock_free(l);
		return -1;
	}
	date = l->date;
	rows = l->npkg;
	if (lock_finish(l, e) == 0) {
		if (l->date == date && l->npkg == rows)
			return 0;
		err_set(e, ERR_LOCK,
			l->npkg != rows ? "a package stands there twice"
					: "the date is not the newest release's");
	}
	lock_free(l);
	return err_wrap(e, "%s", name);
}

int lock_load(struct lock *l, const char *path, struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	*l = (struct lock){0};
	buf_init(&b, LOCK_MAX_BYTES);
	if (file_read(path, &b, e))
		return -1;
	return lock_parse(l, path, b.p ? (void *)b.p : (void *)"", b.len, e);
}

static int by_name(const void *a, const void *b)
{
	const struct lock_pkg *p = a, *q = b;
	int c = strcmp(p->suite, q->suite);

	c = c ? c : strcmp(p->name, q->name);
	return c ? c : strcmp(p->arch, q->arch);
}

static int by_suite(const void *a, const void *b)
{
	const struct lock_release *p = a, *q = b;

	return strcmp(p->suite, q->suite);
}

bool lock_pkg_in(const struct lock_pkg *p, const char *image)
{
	size_t n = strlen(image);

	for (const char *s = p->images; s; s = strchr(s, ',')) {
		s += *s == ',';
		if (strncmp(s, image, n) == 0 && (s[n] == ',' || s[n] == '\0'))
			return true;
	}
	return false;
}

static int merge(struct lock_pkg *into, const struct lock_pkg *p, struct err *e)
{
	size_t n = strlen(into->images), k = strlen(p->images);

	if (strcmp(into->version, p->version) != 0 || memcmp(into->sha256, p->sha256, 32) != 0)
		return err_set(e, ERR_LOCK, "%s %s has two versions, %s and %s", p->suite, p->name,
			       into->version, p->version);
	if (lock_pkg_in(into, p->images))
		return 0;
	if (n + k + 2 > sizeof(into->images))
		return err_set(e, ERR_LOCK, "too many images use %s", p->name);
	into->images[n] = ',';
	memcpy(into->images + n + 1, p->images, k + 1);
	return 0;
}

int lock_finish(struct lock *l, struct err *e)
{
	size_t n = 0;

	if (l->npkg)
		qsort(l->pkg, l->npkg, sizeof(l->pkg[0]), by_name);
	if (l->nrel)
		qsort(l->rel, l->nrel, sizeof(l->rel[0]), by_suite);
	for (size_t i = 0; i < l->npkg; i++) {
		if (n && by_name(&l->pkg[n - 1], &l->pkg[i]) == 0) {
			if (merge(&l->pkg[n - 1], &l->pkg[i], e))
				return -1;
			continue;
		}
		if (n != i)
			l->pkg[n] = l->pkg[i];
		n++;
	}
	l->npkg = n;
	l->date = 0;
	for (size_t i = 0; i < l->nrel; i++)
		if (l->rel[i].date > l->date)
			l->date = l->rel[i].date;
	return 0;
}

void lock_render(const struct lock *l, struct buf *out)
{
	char hex[65], date[32];

	enc_hex(hex, l->definitions, 32);
	lock_date_text(l->date, date);
	buf_printf(out, LOCK_HEAD "\n# Written by `ocibuild lock`; not to be edited.\n");
	buf_printf(out, "definitions %s\ndate %s\n", hex, date);
	if (l->is_relock) {
		enc_hex(hex, l->replaces, 32);
		buf_printf(out, "replaces %s\n", hex);
	}
	for (size_t i = 0; i < l->nrel; i++) {
		lock_date_text(l->rel[i].date, date);
		buf_printf(out, "release %s %s %s\n", l->rel[i].archive, l->rel[i].suite, date);
	}
	for (size_t i = 0; i < l->npkg; i++) {
		const struct lock_pkg *p = &l->pkg[i];

		enc_hex(hex, p->sha256, 32);
		buf_printf(out, "package %s %s %s %s %s %s %" PRIu64 " %s %s\n", p->archive,
			   p->suite, p->name, p->version, p->arch, hex, p->size, p->path,
			   p->images);
	}
}

const struct lock_pkg *lock_find(const struct lock *l, const char *suite, const char *name)
{
	size_t n = strlen(suite);

	for (size_t i = 0; i < l->npkg; i++) {
		const struct lock_pkg *p = &l->pkg[i];

		if (strcmp(p->name, name) == 0 && strncmp(p->suite, suite, n) == 0 &&
		    (p->suite[n] == '\0' || strcmp(p->suite + n, "-security") == 0))
			return p;
	}
	return NULL;
}
