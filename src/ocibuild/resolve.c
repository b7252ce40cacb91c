#include "ocibuild/resolve.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "ocibuild/run.h"

#define MAX_OUT (16u << 20)
#define ARCH "amd64"

struct apt {
	char dir[2048]; /* absolute */
	char env[2200]; /* APT_CONFIG=… */
	const struct mirror *m;
};

static int write_file(const struct apt *a, const char *name, const struct buf *b, struct err *e)
{
	char path[2200];

	snprintf(path, sizeof(path), "%s/%s", a->dir, name);
	if (b->bad)
		return err_set(e, ERR_NOMEM, NULL);
	return file_replace(path, b->p ? (void *)b->p : (void *)"", b->len, 0644, e);
}

static int write_config(const struct apt *a, struct err *e)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, MAX_OUT);
	buf_put(&b, a->m->acquire.p, a->m->acquire.len);
	buf_printf(&b,
		   "Dir \"%s/\";\nDir::Etc \"etc\";\nDir::State \"state\";\n"
		   "Dir::State::status \"%s/state/status\";\nDir::State::lists \"lists\";\n"
		   "Dir::Cache \"cache\";\nDir::Log \"log\";\n"
		   "APT::Architecture \"" ARCH "\";\n#clear APT::Architectures;\n"
		   "APT::Architectures { \"" ARCH "\"; };\n"
		   "APT::Install-Recommends \"false\";\nAPT::Install-Suggests \"false\";\n"
		   "Acquire::Languages \"none\";\nAPT::Sandbox::User \"root\";\n",
		   a->dir, a->dir);
	return write_file(a, "apt.conf", &b, e);
}

/* Every suite that a definition or a slice names, once. */
static size_t all_suites(const struct spec_set *set, const char *out[static 32])
{
	size_t n = 0;

	for (size_t i = 0; i < set->n; i++) {
		const struct spec *s = &set->v[i];

		for (size_t k = 0; k < s->nsuites + s->nslices && n < 32; k++) {
			const char *name =
				k < s->nsuites ? s->suites[k] : s->slices[k - s->nsuites].suite;
			size_t j = 0;

			while (j < n && strcmp(out[j], name) != 0)
				j++;
			if (j == n)
				out[n++] = name;
		}
	}
	return n;
}

/* Suites that only slices name must never satisfy a dependency: pinned to -1. */
static bool slice_only(const struct spec_set *set, const char *suite)
{
	for (size_t i = 0; i < set->n; i++)
		for (size_t k = 0; k < set->v[i].nsuites; k++)
			if (strcmp(set->v[i].suites[k], suite) == 0)
				return false;
	return true;
}

static int write_sources(const struct apt *a, const struct spec_set *set, const char *keyring,
			 struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	CLEAN(buf) struct buf pins = {0};
	const char *suites[32];
	size_t n = all_suites(set, suites);

	buf_init(&b, MAX_OUT);
	buf_init(&pins, MAX_OUT);
	for (size_t i = 0; i < n; i++) {
		buf_printf(&b, "deb [%s%s] %s %s main\n", keyring ? "signed-by=" : "trusted=yes",
			   keyring ? keyring : "", mirror_of(a->m, mirror_archive(suites[i])),
			   suites[i]);
		if (slice_only(set, suites[i]))
			buf_printf(&pins, "Package: *\nPin: release n=%s\nPin-Priority: -1\n\n",
				   suites[i]);
	}
	if (write_file(a, "etc/sources.list", &b, e))
		return -1;
	return write_file(a, "etc/preferences", &pins, e);
}

static int prepare(struct apt *a, const char *dir, const struct spec_set *set, const char *keyring,
		   struct err *e)
{
	static const char *const dirs[] = {"etc/apt.conf.d",
					   "etc/preferences.d",
					   "etc/sources.list.d",
					   "etc/trusted.gpg.d",
					   "state",
					   "state/lists/partial",
					   "cache/archives/partial",
					   "log"};
	CLEAN(buf) struct buf none = {0};
	char abs[PATH_MAX];

	if (file_mkdirs(dir, 0755, e))
		return -1;
	if (keyring && (keyring[0] != '/' || strpbrk(keyring, " \t[]\n")))
		return err_set(e, ERR_USAGE, "a keyring is an absolute path without spaces");
	if (!realpath(dir, abs) || strlen(abs) >= sizeof(a->dir) || strpbrk(abs, "\"\\;"))
		return err_set(e, ERR_CONFIG, "unusable directory name for apt: %s", dir);
	memcpy(a->dir, abs, strlen(abs) + 1);
	snprintf(a->env, sizeof(a->env), "APT_CONFIG=%s/apt.conf", a->dir);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char path[2200];

		snprintf(path, sizeof(path), "%s/%s", a->dir, dirs[i]);
		if (file_mkdirs(path, 0755, e))
			return -1;
	}
	buf_init(&none, 1);
	if (write_file(a, "state/status", &none, e) || write_config(a, e))
		return -1;
	return write_sources(a, set, keyring, e);
}

static int apt_run(const struct apt *a, const char *const argv[], struct buf *out, struct err *e)
{
	const char *const env[] = {a->env, NULL};
	struct run r = {.argv = argv, .env = env, .out = out};

	return run_program(&r, e);
}

/* "libc6_2.41-12%2bdeb13u4_amd64.deb": undoes %3a and %2b. */
static int unescape(char *s)
{
	char *o = s;

	for (; *s; s++) {
		uint8_t c;
		char hex[3] = {0};

		if (*s != '%') {
			*o++ = *s;
			continue;
		}
		memcpy(hex, s + 1, strnlen(s + 1, 2));
		if (enc_unhex(&c, 1, hex) || c < 0x21 || c > 0x7e)
			return -1;
		*o++ = (char)c;
		s += 2;
	}
	*o = '\0';
	return 0;
}

/* Name, version with its epoch (the pool's path has none) and architecture from
 * the file name that apt would give it. */
static int split_file(struct lock_pkg *p, const char *file)
{
	char tmp[300];
	char *v, *a, *end;

	if (snprintf(tmp, sizeof(tmp), "%s", file) >= (int)sizeof(tmp) || unescape(tmp))
		return -1;
	v = strchr(tmp, '_');
	a = v ? strchr(v + 1, '_') : NULL;
	end = a ? strstr(a, ".deb") : NULL;
	if (!end || end[4])
		return -1;
	*v++ = *a++ = *end = '\0';
	if (strlen(tmp) >= sizeof(p->name) || strlen(v) >= sizeof(p->version) ||
	    strlen(a) >= sizeof(p->arch))
		return -1;
	memcpy(p->name, tmp, strlen(tmp) + 1);
	memcpy(p->version, v, strlen(v) + 1);
	memcpy(p->arch, a, strlen(a) + 1);
	return 0;
}

/* apt prints file:/x for file:///x: gives the part that compares. */
static const char *comparable(const char *uri)
{
	if (strncmp(uri, "file:", 5) != 0)
		return uri;
	return uri + 5 + (strncmp(uri + 5, "//", 2) == 0 ? 2 : 0);
}

/* Which suite an address belongs to: the first of suites whose archive's address
 * is its longest beginning. */
static const char *find_suite(const struct mirror *m, const char *uri, const char *const *suites,
			      size_t n, const char **path)
{
	const char *best = NULL;
	size_t best_len = 0;

	uri = comparable(uri);
	for (size_t i = 0; i < n; i++) {
		const char *base = comparable(mirror_of(m, mirror_archive(suites[i])));
		size_t k = strlen(base);

		if (k > best_len && strncmp(uri, base, k) == 0 && uri[k] == '/') {
			best = suites[i];
			best_len = k;
			*path = uri + k + 1;
		}
	}
	return best;
}

int resolve_parse_uri(struct lock_pkg *p, char *line, const struct mirror *m,
		      const char *const *suites, size_t nsuites, struct err *e)
{
	char *end = line[0] == '\'' ? strchr(line + 1, '\'') : NULL;
	char *hash = end ? strstr(end, " SHA256:") : NULL;
	char *size = end && end[1] == ' ' ? strchr(end + 2, ' ') : NULL;
	const char *path = NULL, *suite;

	*p = (struct lock_pkg){0};
	if (!hash || !size || strlen(hash + 8) != 64 || enc_unhex(p->sha256, 32, hash + 8))
		return err_set(e, ERR_LOCK, "apt printed no SHA256: %.100s", line);
	*end = *size = '\0';
	p->size = strtoull(size + 1, NULL, 10);
	suite = find_suite(m, line + 1, suites, nsuites, &path);
	if (!suite || strlen(path) >= sizeof(p->path))
		return err_set(e, ERR_LOCK, "not from a configured archive: %.120s", line + 1);
	if (split_file(p, end + 2))
		return err_set(e, ERR_LOCK, "unexpected file name: %.120s", end + 2);
	snprintf(p->archive, sizeof(p->archive), "%s", mirror_archive(suite));
	snprintf(p->suite, sizeof(p->suite), "%s", suite);
	memcpy(p->path, path, strlen(path) + 1);
	return 0;
}

/* Adds every printed package to the lock, as used by image. */
static int take_uris(struct lock *l, struct buf *out, const struct mirror *m,
		     const char *const *suites, size_t nsuites, const char *image, struct err *e)
{
	char *save = NULL;

	buf_u8(out, '\0');
	if (out->bad)
		return err_set(e, ERR_TOO_LARGE, "apt's answer");
	for (char *s = strtok_r((char *)out->p, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
		struct lock_pkg p;

		if (resolve_parse_uri(&p, s, m, suites, nsuites, e))
			return -1;
		snprintf(p.images, sizeof(p.images), "%s", image);
		if (lock_pkg_check(&p, e) || lock_add(l, &p, e))
			return -1;
	}
	return 0;
}

static int resolve_packages(const struct apt *a, const struct spec *s, struct lock *l,
			    struct err *e)
{
	CLEAN(buf) struct buf out = {0};
	CLEAN(free) const char **argv = calloc(s->npackages + 16, sizeof(*argv));
	char essential[128];
	size_t n = 0;

	if (!spec_rootfs(s))
		return 0;
	if (!argv)
		return err_set(e, ERR_NOMEM, NULL);
	argv[n++] = "apt-get";
	argv[n++] = "-qq";
	argv[n++] = "--print-uris";
	argv[n++] = "-o";
	argv[n++] = "Acquire::ForceHash=SHA256";
	argv[n++] = "install";
	/* by code name: "stable" is another suite some day */
	snprintf(essential, sizeof(essential), "?and(?essential,?codename(^%s))", s->suites[0]);
	if (s->essential)
		argv[n++] = essential;
	for (size_t i = 0; i < s->npackages; i++)
		argv[n++] = s->packages[i];
	buf_init(&out, MAX_OUT);
	if (apt_run(a, argv, &out, e))
		return -1;
	return take_uris(l, &out, a->m, s->suites, s->nsuites, s->name, e);
}

/* Slices that name no suite, all at once (apt takes a third of a second a start),
 * then the others. */
static int resolve_slices(const struct apt *a, const struct spec *s, struct lock *l, struct err *e)
{
	static const char *const head[] = {
		"apt-get", "-qq", "--print-uris", "-o", "Acquire::ForceHash=SHA256", "download"};
	enum { HEAD = sizeof(head) / sizeof(head[0]) };
	CLEAN(free) const char **argv = calloc(s->nslices + HEAD + 2, sizeof(*argv));
	CLEAN(buf) struct buf out = {0};
	/* those of the image below are locked for that one */
	size_t n = HEAD, first = spec_stands(s) ? s->own_slices : 0;

	if (!argv)
		return err_set(e, ERR_NOMEM, NULL);
	memcpy(argv, head, sizeof(head));
	for (size_t i = first; i < s->nslices; i++)
		if (s->slices[i].any)
			argv[n++] = s->slices[i].package;
	buf_init(&out, MAX_OUT);
	if (n > HEAD && (apt_run(a, argv, &out, e) ||
			 take_uris(l, &out, a->m, s->suites, s->nsuites, s->name, e)))
		return -1;
	for (size_t i = first; i < s->nslices; i++) {
		const struct spec_slice *sl = &s->slices[i];
		char want[160];

		if (sl->any)
			continue;
		snprintf(want, sizeof(want), "%s/%s", sl->package, sl->suite);
		argv[HEAD] = want;
		argv[HEAD + 1] = NULL;
		buf_reset(&out);
		if (apt_run(a, argv, &out, e) ||
		    take_uris(l, &out, a->m, &sl->suite, 1, s->name, e))
			return -1;
	}
	return 0;
}

/* The Date of a suite's Release file: apt names it by the address. */
static int release_date(const struct apt *a, const char *suite, int64_t *date, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	char path[2200], tail[64];
	CLEAN(dir) DIR *d = NULL;
	struct dirent *ent;
	struct tm tm = {0};
	const char *s = NULL;

	snprintf(path, sizeof(path), "%s/state/lists", a->dir);
	snprintf(tail, sizeof(tail), "_dists_%s_", suite);
	d = opendir(path);
	while (d && (ent = readdir(d)) != NULL) {
		const char *t = strstr(ent->d_name, tail);

		if (!t || !(strcmp(t + strlen(tail), "InRelease") == 0 ||
			    strcmp(t + strlen(tail), "Release") == 0))
			continue;
		snprintf(path, sizeof(path), "%s/state/lists/%s", a->dir, ent->d_name);
		buf_init(&b, MAX_OUT);
		if (file_read(path, &b, e)) {
			buf_free(&b);
			return -1;
		}
		buf_u8(&b, '\0');
		s = b.bad ? NULL : strstr((char *)b.p, "\nDate: ");
		s = s ? strptime(s + 7, "%a, %d %b %Y %H:%M:%S", &tm) : NULL;
		buf_free(&b);
		if (s)
			break;
	}
	if (!s)
		return err_set(e, ERR_LOCK, "no dated Release file of suite %s", suite);
	*date = (int64_t)timegm(&tm);
	return 0;
}

static int take_releases(const struct apt *a, const struct spec_set *set, struct lock *l,
			 struct err *e)
{
	const char *suites[32];
	size_t n = all_suites(set, suites);

	for (size_t i = 0; i < n; i++) {
		struct lock_release r = {0};

		snprintf(r.archive, sizeof(r.archive), "%s", mirror_archive(suites[i]));
		snprintf(r.suite, sizeof(r.suite), "%s", suites[i]);
		if (release_date(a, suites[i], &r.date, e) || lock_add_release(l, &r, e))
			return -1;
	}
	return 0;
}

int resolve_lock(const struct spec_set *set, const struct mirror *m, const char *dir,
		 const char *keyring, struct lock *l, struct err *e)
{
	static const char *const update[] = {"apt-get", "-q", "-o", "APT::Update::Error-Mode=any",
					     "update",	NULL};
	struct apt a = {.m = m};
	CLEAN(buf) struct buf out = {0};

	*l = (struct lock){0};
	buf_init(&out, MAX_OUT);
	if (prepare(&a, dir, set, keyring, e) || apt_run(&a, update, &out, e))
		return -1;
	for (size_t i = 0; i < set->n; i++) {
		const struct spec *s = &set->v[i];

		if (resolve_packages(&a, s, l, e) || resolve_slices(&a, s, l, e))
			return err_wrap(e, "%s", s->name);
	}
	if (take_releases(&a, set, l, e) || spec_digest(set, l->definitions, e))
		return -1;
	return lock_finish(l, e);
}
