#include "ocibuild/sbom/sbom_packages.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "ocibuild/deb.h"
#include "ocibuild/oci/fill.h"
#include "ocibuild/sbom/control.h"
#include "ocibuild/sbom/purl.h"
#include "json/json.h"

#define STATUS "var/lib/dpkg/status"
#define STATUS_D "var/lib/dpkg/status.d/"
#define INFO "var/lib/dpkg/info/"

bool sbom_text(const struct sbom_texts *texts, const struct view_entry *t, struct bytes *out)
{
	const struct sbom_tag *tag =
		view_tag((struct view_entry *)(uintptr_t)t, sizeof(struct sbom_tag));

	if (!S_ISREG(t->mode) || !tag || !tag->text)
		return false;
	*out = (struct bytes){texts->v[tag->text - 1].p, texts->v[tag->text - 1].len};
	return true;
}

/* ---- control data ---- */

/* "Source: openssl (3.5.1-1)", or nothing when it is the package's own name and version. */
static void read_source(struct sbom_package *p, struct bytes para)
{
	char text[260], *open;

	control_text(para, "Source", text, sizeof(text));
	open = strchr(text, '(');
	if (open) {
		open[strcspn(open, ")")] = '\0';
		snprintf(p->source_version, sizeof(p->source_version), "%.*s",
			 (int)sizeof(p->source_version) - 1, open + 1);
	} else {
		memcpy(p->source_version, p->version, sizeof(p->version));
	}
	text[strcspn(text, " (")] = '\0';
	snprintf(p->source, sizeof(p->source), "%.*s", (int)sizeof(p->source) - 1,
		 text[0] ? text : p->name);
}

static int append(struct buf *b, struct bytes para, const char *field)
{
	struct bytes v;

	if (!control_field(para, field, &v) || memchr(v.p, 0, v.len))
		return 0;
	buf_printf(b, "%s%.*s", b->len ? ", " : "", (int)v.len, (const char *)v.p);
	return b->bad ? -1 : 0;
}

/* What names and versions are made of (deb-version(7)). */
static bool is_word(const char *s)
{
	return *s && !s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789.+-~:")];
}

/* A field for the documents, which are JSON: nothing when it is not UTF-8. */
static void text_field(struct bytes para, const char *name, char *out, size_t cap)
{
	control_text(para, name, out, cap);
	CLEAN(json) json_t *text = json_string(out);

	if (!text)
		out[0] = '\0';
}

static int add_package(struct sbom *s, struct bytes para, bool installed, const char *from,
		       struct err *e)
{
	CLEAN(buf) struct buf depends = {0}, using = {0};
	struct sbom_package p = {.installed = installed}, *more;

	control_text(para, "Package", p.name, sizeof(p.name));
	control_text(para, "Version", p.version, sizeof(p.version));
	control_text(para, "Architecture", p.arch, sizeof(p.arch));
	if (!is_word(p.name) || !is_word(p.version) || !is_word(p.arch))
		return err_set(e, ERR_PACKAGE,
			       "%.100s: a package without name, version or architecture", from);
	text_field(para, "Maintainer", p.maintainer, sizeof(p.maintainer));
	text_field(para, "Homepage", p.homepage, sizeof(p.homepage));
	read_source(&p, para);
	if (!is_word(p.source) || !is_word(p.source_version))
		return err_set(e, ERR_PACKAGE, "%.100s: malformed field Source", from);
	buf_init(&depends, 64u << 10);
	buf_init(&using, 64u << 10);
	if (append(&depends, para, "Pre-Depends") || append(&depends, para, "Depends") ||
	    append(&using, para, "Built-Using") || append(&using, para, "Static-Built-Using"))
		return err_set(e, ERR_PACKAGE, "%.100s: a field is too long", from);
	buf_u8(&depends, 0);
	buf_u8(&using, 0);
	more = reallocarray(s->v, s->n + 1, sizeof(*more));
	if (more)
		s->v = more;
	if (!more || depends.bad || using.bad)
		return err_set(e, ERR_NOMEM, NULL);
	p.depends = (char *)STEAL(depends.p);
	p.built_using = (char *)STEAL(using.p);
	s->v[s->n++] = p;
	return 0;
}

static int read_status(struct sbom *s, const struct sbom_texts *texts, struct err *e)
{
	const struct view_entry *t = view_find(s->view, STATUS, false);
	struct bytes rest, para;
	char state[64];

	if (!t || !sbom_text(texts, t, &rest))
		return 0;
	while (control_next(&rest, &para)) {
		control_text(para, "Status", state, sizeof(state));
		if (strcmp(state, "install ok installed") == 0 &&
		    add_package(s, para, true, STATUS, e))
			return -1;
	}
	return 0;
}

static bool ends(const char *s, const char *tail)
{
	size_t n = strlen(s), k = strlen(tail);

	return n >= k && strcmp(s + n - k, tail) == 0;
}

int sbom_packages_read(struct sbom *s, const struct sbom_texts *texts, struct err *e)
{
	if (read_status(s, texts, e))
		return -1;
	for (size_t i = 0; i < s->view->n; i++) {
		const struct view_entry *t = s->view->v[i];
		struct bytes rest, para;

		if (strncmp(t->path, STATUS_D, strlen(STATUS_D)) != 0 ||
		    ends(t->path, ".md5sums") || !sbom_text(texts, t, &rest))
			continue;
		if (!control_next(&rest, &para))
			return err_set(e, ERR_PACKAGE, "'%.100s' is empty", t->path);
		if (add_package(s, para, false, t->path, e))
			return -1;
	}
	return 0;
}

/* ---- code of other source packages in a package ---- */

static int add_embed(struct sbom *s, size_t package, const struct sbom_embed *x, struct err *e)
{
	const struct sbom_package *p = &s->v[package];
	const struct purl_deb d = {.name = x->name,
				   .version = x->version,
				   .arch = "source",
				   .suite = p->row ? p->row->suite : NULL};
	struct sbom_embed *more;

	/* both fields may name it */
	for (size_t i = 0; i < s->nembeds; i++)
		if (s->embeds[i].package == package && strcmp(s->embeds[i].name, x->name) == 0 &&
		    strcmp(s->embeds[i].version, x->version) == 0)
			return 0;
	more = reallocarray(s->embeds, s->nembeds + 1, sizeof(*more));
	if (!more)
		return err_set(e, ERR_NOMEM, NULL);
	s->embeds = more;
	more[s->nembeds] = *x;
	more[s->nembeds].package = package;
	more[s->nembeds].purl = purl_deb(&d);
	return more[s->nembeds++].purl ? 0 : err_set(e, ERR_NOMEM, NULL);
}

int sbom_packages_embedded(struct sbom *s, size_t package, struct err *e)
{
	CLEAN(free) char *copy = strdup(s->v[package].built_using);
	char *save = NULL;

	if (!copy)
		return err_set(e, ERR_NOMEM, NULL);
	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		struct sbom_embed x = {0};

		if (sscanf(w, " %127[^ (\n] ( = %127[^) ]", x.name, x.version) != 2 ||
		    !is_word(x.name) || !is_word(x.version))
			return err_set(e, ERR_PACKAGE, "malformed Built-Using of %s",
				       s->v[package].name);
		if (add_embed(s, package, &x, e))
			return -1;
	}
	return 0;
}

/* ---- slices that nothing tells of ---- */

static bool is_hit(const struct sbom *s, const struct spec_slice *sl)
{
	size_t which;

	for (size_t i = 0; i < s->nfiles; i++)
		if (spec_slice_match(sl, s->files[i].path, &which))
			return true;
	return false;
}

int sbom_packages_slices(struct sbom *s, const struct current *cur, struct err *e)
{
	size_t sorted = s->n;

	for (size_t i = 0; i < s->spec->nslices; i++) {
		const struct spec_slice *sl = &s->spec->slices[i];
		CLEAN(buf) struct buf control = {0};
		struct sbom known = *s;
		struct bytes rest, para;
		char path[4096];

		known.n = sorted;
		if (!sl->nfiles || sl->concat || sbom_find(&known, sl->package) || !is_hit(s, sl))
			continue;
		const struct lock_pkg *row = fill_row(&cur->lock, s->spec, sl, e);

		if (!row)
			return -1;
		cache_path(&cur->cache, row->sha256, path);
		CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct deb_src src = {.name = sl->package, .fd = fd};

		if (fd < 0)
			return err_set(e, ERR_FETCH,
				       "%s %s is not in the cache: run `ocibuild fetch`", row->name,
				       row->version);
		buf_init(&control, 1u << 20);
		if (deb_control(&src, &control, e))
			return -1;
		rest = (struct bytes){control.p, control.len};
		if (!control_next(&rest, &para) || add_package(s, para, false, sl->package, e))
			return -1;
		s->v[s->n - 1].untold = true;
	}
	return 0;
}

/* ---- whose a file is ---- */

static void give(struct sbom *s, const char *path, size_t package, unsigned layer)
{
	/* dpkg has names below /lib, which is a link */
	const struct view_entry *t = view_find(s->view, path, false);
	struct sbom_file *f = t && S_ISREG(t->mode) ? sbom_file(s, t->path) : NULL;

	/* a file of a higher layer than the list is another one, which replaced it */
	if (f && f->package == SBOM_PROJECT && t->layer <= layer)
		f->package = package;
}

static void own_list(struct sbom *s, const struct view_entry *t, struct bytes text, size_t skip,
		     const char *name)
{
	const struct sbom_package *p = sbom_find(s, name);
	struct bytes line;
	char path[4096];

	while (p && control_line(&text, &line)) {
		if (line.len <= skip || line.len - skip >= sizeof(path) ||
		    memchr(line.p, 0, line.len))
			continue;
		memcpy(path, line.p + skip, line.len - skip);
		path[line.len - skip] = '\0';
		give(s, path, (size_t)(p - s->v), t->layer);
	}
}

/* Name of the package that a list is of: info/NAME:ARCH.list, status.d/NAME.md5sums. */
static bool list_name(const char *path, char out[static 256], size_t *skip)
{
	bool info = strncmp(path, INFO, strlen(INFO)) == 0 && ends(path, ".list");
	bool sums = strncmp(path, STATUS_D, strlen(STATUS_D)) == 0 && ends(path, ".md5sums");
	const char *name = path + (info ? strlen(INFO) : strlen(STATUS_D));

	if (!info && !sums)
		return false;
	*skip = info ? 1 : 34; /* "/", or an MD5 and two spaces */
	snprintf(out, 256, "%.*s", (int)(strlen(name) - (info ? 5 : 8)), name);
	out[strcspn(out, ":")] = '\0';
	return true;
}

void sbom_packages_own(struct sbom *s, const struct sbom_texts *texts)
{
	for (size_t i = 0; i < s->view->n; i++) {
		const struct view_entry *t = s->view->v[i];
		struct bytes text;
		char name[256];
		size_t skip;

		if (list_name(t->path, name, &skip) && sbom_text(texts, t, &text))
			own_list(s, t, text, skip, name);
	}
	for (size_t i = 0; i < s->spec->nslices; i++) {
		const struct spec_slice *sl = &s->spec->slices[i];
		const struct sbom_package *p = sbom_find(s, sl->package);
		size_t which;

		if (!p || !p->untold || !sl->nfiles || sl->concat)
			continue;
		for (size_t k = 0; k < s->nfiles; k++)
			if (s->files[k].package == SBOM_PROJECT &&
			    spec_slice_match(sl, s->files[k].path, &which))
				s->files[k].package = (size_t)(p - s->v);
	}
}
