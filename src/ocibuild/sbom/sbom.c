#include "ocibuild/sbom/sbom.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "ocibuild/oci/linked.h"
#include "ocibuild/oci/view.h"
#include "ocibuild/sbom/licence.h"
#include "ocibuild/sbom/purl.h"
#include "ocibuild/sbom/sbom_packages.h"
#include "json/json.h"

/* ---- the image's files ---- */

/* Copyright texts and what dpkg or scanners are told. */
static bool is_text(const char *path)
{
	size_t n = strlen(path);

	if (strncmp(path, "usr/share/doc/", 14) == 0)
		return n > 10 && strcmp(path + n - 10, "/copyright") == 0;
	if (strncmp(path, "var/lib/dpkg/", 13) != 0)
		return false;
	path += 13;
	return strcmp(path, "status") == 0 || strncmp(path, "status.d/", 9) == 0 ||
	       (strncmp(path, "info/", 5) == 0 && strcmp(path + strlen(path) - 5, ".list") == 0);
}

static int see_file(struct view_entry *t, const uint8_t *p, size_t n, void *arg, struct err *e)
{
	struct sbom_texts *texts = arg;
	struct sbom_tag *tag = view_tag(t, sizeof(*tag));

	if (!tag)
		return err_set(e, ERR_NOMEM, NULL);
	if (n != t->size)
		return err_set(e, ERR_TOO_LARGE, "'%.100s' is larger than a listed file may be",
			       t->path);
	if (!EVP_Digest(n ? (const void *)p : "", n, tag->sha1, NULL, EVP_sha1(), NULL))
		return err_set(e, ERR_INTERNAL, "SHA-1 is not available");
	tag->elf = n > 4 && memcmp(p, "\177ELF", 4) == 0;
	if (!is_text(t->path))
		return 0;
	struct buf *more = realloc(texts->v, (texts->n + 1) * sizeof(*more));

	if (!more)
		return err_set(e, ERR_NOMEM, NULL);
	texts->v = more;
	tag->text = ++texts->n;
	buf_init(&more[tag->text - 1], VIEW_MAX_WHOLE);
	buf_put(&more[tag->text - 1], p, n);
	return more[tag->text - 1].bad ? err_set(e, ERR_NOMEM, NULL) : 0;
}

static void cleanup_texts(struct sbom_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		buf_free(&t->v[i]);
	free(t->v);
}

static int list_files(struct sbom *s, struct err *e)
{
	s->files = calloc(s->view->n + 1, sizeof(*s->files));
	if (!s->files)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < s->view->n; i++) {
		struct view_entry *t = s->view->v[i];
		struct sbom_file *f = &s->files[s->nfiles];
		const struct sbom_tag *tag;

		if (!S_ISREG(t->mode))
			continue;
		tag = view_tag(t, sizeof(*tag));
		if (!tag)
			return err_set(e, ERR_NOMEM, NULL);
		/* the documents are JSON, which is UTF-8 */
		CLEAN(json) json_t *text = json_string(t->path);

		if (!text)
			return err_set(e, ERR_PACKAGE, "a file's name is not UTF-8: '%.100s'",
				       t->path);
		f->path = t->path;
		f->size = t->size;
		f->package = SBOM_PROJECT;
		f->elf = tag->elf;
		memcpy(f->sha1, tag->sha1, sizeof(f->sha1));
		memcpy(f->sha256, t->sha256, sizeof(f->sha256));
		s->nfiles++;
	}
	return 0;
}

static int by_path(const void *key, const void *f)
{
	return strcmp(key, ((const struct sbom_file *)f)->path);
}

struct sbom_file *sbom_file(const struct sbom *s, const char *path)
{
	return bsearch(path, s->files, s->nfiles, sizeof(*s->files), by_path);
}

/* ---- packages ---- */

bool sbom_is_program(const struct sbom_file *f)
{
	return f->elf && f->package == SBOM_PROJECT;
}

static int by_name(const void *a, const void *b)
{
	const struct sbom_package *p = a, *q = b;
	int r = strcmp(p->name, q->name);

	/* what dpkg knows comes before what is only told to scanners */
	return r ? r : (int)q->installed - (int)p->installed;
}

static int key_name(const void *key, const void *p)
{
	return strcmp(key, ((const struct sbom_package *)p)->name);
}

const struct sbom_package *sbom_find(const struct sbom *s, const char *name)
{
	return s->n ? bsearch(name, s->v, s->n, sizeof(*s->v), key_name) : NULL;
}

static void free_package(struct sbom_package *p)
{
	free(p->licence);
	free(p->depends);
	free(p->built_using);
	free(p->purl);
	free(p->source_purl);
}

static int sort_packages(struct sbom *s, struct err *e)
{
	size_t n = 0;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_name);
	for (size_t i = 0; i < s->n; i++) {
		struct sbom_package *p = &s->v[i], *last = n ? &s->v[n - 1] : NULL;

		if (!last || strcmp(last->name, p->name) != 0) {
			s->v[n++] = *p;
			continue;
		}
		if (strcmp(last->version, p->version) != 0)
			return err_set(e, ERR_PACKAGE, "%s is in it as %s and as %s", p->name,
				       last->version, p->version);
		free_package(p);
	}
	s->n = n;
	return 0;
}

static const struct lock_pkg *find_row(const struct lock *l, const struct spec *spec,
				       const struct sbom_package *p)
{
	const struct lock_pkg *any = NULL;

	for (size_t i = 0; i < l->npkg; i++) {
		const struct lock_pkg *r = &l->pkg[i];

		if (strcmp(r->name, p->name) != 0 || strcmp(r->version, p->version) != 0)
			continue;
		if (lock_pkg_in(r, spec->name))
			return r;
		any = r;
	}
	return any;
}

static int name_package(struct sbom *s, const struct lock *l, struct sbom_package *p, struct err *e)
{
	bool other = strcmp(p->source, p->name) != 0 || strcmp(p->source_version, p->version) != 0;

	p->row = find_row(l, s->spec, p);
	struct purl_deb bin = {.name = p->name,
			       .version = p->version,
			       .arch = p->arch,
			       .suite = p->row ? p->row->suite : NULL,
			       .source = other ? p->source : NULL,
			       .source_version = p->source_version};
	struct purl_deb src = {.name = p->source,
			       .version = p->source_version,
			       .arch = "source",
			       .suite = bin.suite};

	p->purl = purl_deb(&bin);
	p->source_purl = purl_deb(&src);
	return p->purl && p->source_purl ? 0 : err_set(e, ERR_NOMEM, NULL);
}

static int read_licence(struct sbom *s, const struct sbom_texts *texts, struct sbom_package *p,
			struct err *e)
{
	struct licence_refs refs = {s->licences};
	const struct view_entry *t;
	struct bytes text;
	char path[256];

	snprintf(path, sizeof(path), "usr/share/doc/%s/copyright", p->name);
	t = view_find(s->view, path, true);
	if (!t || !sbom_text(texts, t, &text))
		return 0;
	p->licence = licence_read(&refs, t->path, text, e);
	return p->licence ? 0 : -1;
}

static int add_link(struct sbom *s, const struct sbom_file *f, const struct linked_row *r,
		    struct err *e)
{
	const struct sbom_package *p = sbom_find(s, r->package);
	struct sbom_link *more;

	if (!p || strcmp(p->version, r->version) != 0)
		return err_set(e, ERR_PACKAGE,
			       "'%.100s' is linked with %s %s, which has no package data in it",
			       f->path, r->package, r->version);
	/* one package has several archives */
	for (size_t i = 0; i < s->nlinks; i++)
		if (s->links[i].file == (size_t)(f - s->files) &&
		    s->links[i].package == (size_t)(p - s->v))
			return 0;
	more = reallocarray(s->links, s->nlinks + 1, sizeof(*more));
	if (!more)
		return err_set(e, ERR_NOMEM, NULL);
	s->links = more;
	more[s->nlinks++] = (struct sbom_link){(size_t)(f - s->files), (size_t)(p - s->v)};
	s->v[p - s->v].linked = true;
	return 0;
}

/* What the linker said of a program that was copied from the build folder. */
static int read_links(struct sbom *s, const struct current *cur, const struct image_file *file,
		      struct err *e)
{
	CLEAN(linked) struct linked l = {0};
	const struct sbom_file *f = sbom_file(s, file->path);
	char path[4200];

	if (!file->copy || strncmp(file->copy, "build/", 6) != 0 || !f || !sbom_is_program(f))
		return 0;
	snprintf(path, sizeof(path), "%s/%s.linked", cur->build, file->copy + 6);
	if (access(path, F_OK) < 0)
		return 0;
	if (linked_read(&l, path, e))
		return -1;
	for (size_t i = 0; i < l.n; i++)
		if (add_link(s, f, &l.v[i], e))
			return -1;
	return 0;
}

static int read_all_links(struct sbom *s, const struct current *cur, struct err *e)
{
	for (size_t i = 0; i < s->spec->nchain; i++) {
		const struct spec *at = spec_find(&cur->set, s->spec->chain[i]);

		for (size_t k = 0; at && k < at->image.nfiles; k++)
			if (read_links(s, cur, &at->image.files[k], e))
				return -1;
	}
	return 0;
}

static void count_files(struct sbom *s)
{
	for (size_t i = 0; i < s->nfiles; i++) {
		if (s->files[i].package == SBOM_PROJECT)
			continue;
		s->v[s->files[i].package].nfiles++;
		s->v[s->files[i].package].size += s->files[i].size;
	}
}

/* ---- the whole ---- */

static const char *note(const struct view *v, const char *key)
{
	return json_string_value(json_object_get(json_object_get(v->manifest, "annotations"), key));
}

static int read_image(struct sbom *s, const struct sbom_src *src, struct sbom_texts *texts,
		      struct err *e)
{
	struct view_src vs = {.dir = src->dir, .ref = src->digest, .fn = see_file, .arg = texts};

	s->view = calloc(1, sizeof(*s->view));
	s->licences = json_object();
	if (!s->view || !s->licences)
		return err_set(e, ERR_NOMEM, NULL);
	if (view_open(s->view, &vs, e) || list_files(s, e))
		return -1;
	s->base_name = note(s->view, "org.opencontainers.image.base.name");
	s->base_digest = note(s->view, "org.opencontainers.image.base.digest");
	if (sbom_packages_read(s, texts, e) || sort_packages(s, e) ||
	    sbom_packages_slices(s, src->cur, e) || sort_packages(s, e))
		return -1;
	for (size_t i = 0; i < s->n; i++)
		if (name_package(s, &src->cur->lock, &s->v[i], e) ||
		    read_licence(s, texts, &s->v[i], e) || sbom_packages_embedded(s, i, e))
			return -1;
	sbom_packages_own(s, texts);
	count_files(s);
	return read_all_links(s, src->cur, e);
}

int sbom_read(struct sbom *s, const struct sbom_src *src, struct err *e)
{
	__attribute__((cleanup(cleanup_texts))) struct sbom_texts texts = {0};

	*s = (struct sbom){.spec = src->spec, .version = src->version};
	snprintf(s->digest, sizeof(s->digest), "%s", src->digest);
	lock_date_text(src->cur->lock.date, s->when);
	snprintf(s->tag, sizeof(s->tag), "%s%s", src->version, src->spec->tag_suffix);
	s->purl = purl_oci(src->spec->definition, src->digest, s->tag);
	if (s->purl ? read_image(s, src, &texts, e) : err_set(e, ERR_NOMEM, NULL)) {
		sbom_free(s);
		return err_wrap(e, "%s", src->spec->name);
	}
	return 0;
}

void sbom_free(struct sbom *s)
{
	for (size_t i = 0; i < s->n; i++)
		free_package(&s->v[i]);
	free(s->v);
	for (size_t i = 0; i < s->nembeds; i++)
		free(s->embeds[i].purl);
	free(s->embeds);
	free(s->files);
	free(s->links);
	free(s->purl);
	json_decref(s->licences);
	if (s->view)
		view_free(s->view);
	free(s->view);
	*s = (struct sbom){0};
}

bool sbom_is_linked(const struct sbom *s, const struct sbom_file *program,
		    const struct sbom_package *p)
{
	for (size_t i = 0; i < s->nlinks; i++)
		if (s->links[i].file == (size_t)(program - s->files) &&
		    s->links[i].package == (size_t)(p - s->v))
			return true;
	return false;
}

const char *sbom_why(const struct sbom_package *p)
{
	return p->linked ? "linked" : p->installed ? "installed" : "files";
}

void sbom_uuid(const struct sbom *s, const char *kind, char out[static 37])
{
	/* the name space of URLs, RFC 9562 appendix */
	static const uint8_t url[16] = {0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1,
					0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};
	uint8_t in[16 + 256], md[EVP_MAX_MD_SIZE] = {0};
	int n;

	memcpy(in, url, 16);
	n = snprintf((char *)in + 16, sizeof(in) - 16, "signbox:%s:%s:%s", kind, SIGNBOX_VERSION,
		     s->digest);
	EVP_Digest(in, 16 + (size_t)n, md, NULL, EVP_sha1(), NULL);
	md[6] = (uint8_t)((md[6] & 0x0f) | 0x50);
	md[8] = (uint8_t)((md[8] & 0x3f) | 0x80);
	snprintf(out, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 md[0], md[1], md[2], md[3], md[4], md[5], md[6], md[7], md[8], md[9], md[10],
		 md[11], md[12], md[13], md[14], md[15]);
}
