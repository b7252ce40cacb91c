#include "ocibuild/sbom/provenance.h"

#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "ocibuild/cache.h"
#include "ocibuild/oci/linked.h"
#include "ocibuild/sbom/purl.h"
#include "json/json.h"

bool provenance_is_revision(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return !s[n] && (n == 40 || n == 64);
}

static json_t *sha256_of(const uint8_t digest[static 32])
{
	char hex[65];

	enc_hex(hex, digest, 32);
	return json_pack("{s:s}", "sha256", hex);
}

/* A file of the project by its digest; path is how the project calls it. */
static json_t *file_of(const char *dir, const char *name, const char *tail, struct err *e)
{
	char path[4096];
	uint8_t digest[32];

	snprintf(path, sizeof(path), "%s/%s%s", dir, name, tail);
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		err_errno(e, ERR_IO, "cannot read %s", path);
		return NULL;
	}
	if (cache_digest_fd(fd, path, digest, e))
		return NULL;
	return json_pack("{s:s++, s:o}", "uri", "images/", name, tail, "digest", sha256_of(digest));
}

static int add_definitions(const struct provenance *p, json_t *list, struct err *e)
{
	const char *last = "";

	/* a variant is in the file of its definition */
	for (size_t i = 0; i < p->spec->nchain; i++) {
		const struct spec *s = spec_find(&p->cur->set, p->spec->chain[i]);
		json_t *f;

		if (!s || strcmp(s->definition, last) == 0)
			continue;
		last = s->definition;
		f = file_of(p->cur->images, s->definition, ".yaml", e);
		if (!f)
			return -1;
		json_array_append_new(list, f);
	}
	return 0;
}

/* The lock in force by its digest: a re-lock stands in for the committed one. */
static json_t *lock_of(const struct provenance *p, struct err *e)
{
	json_t *o;

	if (!p->cur->is_relock)
		return json_pack("{s:s, s:o}", "uri", "images/ocibuild.lock", "digest",
				 sha256_of(p->cur->committed));
	o = file_of(p->cur->build, "ocibuild", ".lock", e);
	if (o)
		json_object_set_new(o, "uri", json_string("build/ocibuild.lock"));
	return o;
}

/* What is linked into the programs of the image and of those it stands on. */
static int read_linked(const struct provenance *p, struct linked *l, struct err *e)
{
	for (size_t i = 0; i < p->spec->nchain; i++) {
		const struct spec *s = spec_find(&p->cur->set, p->spec->chain[i]);

		if (s && linked_of(l, s, p->cur->build, e))
			return -1;
	}
	return 0;
}

/* All programs are compiled in dev, ocibuild too. */
static const char *role(const struct provenance *p, const struct linked *l,
			const struct lock_pkg *row)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].package, row->name) == 0 &&
		    strcmp(l->v[i].version, row->version) == 0)
			return "linked";
	for (size_t i = 0; i < p->spec->nchain; i++)
		if (lock_pkg_in(row, p->spec->chain[i]))
			return "content";
	return lock_pkg_in(row, "dev") ? "build environment" : NULL;
}

static const char *source_url(const struct spec *s)
{
	return json_string_value(json_object_get(json_object_get(s->image.config, "annotations"),
						 "org.opencontainers.image.source"));
}

static int add_dependencies(const struct provenance *p, json_t *list, struct err *e)
{
	const struct lock *l = &p->cur->lock;
	const char *url = source_url(p->spec);
	CLEAN(linked) struct linked linked = {0};

	if (read_linked(p, &linked, e))
		return -1;
	if (p->revision) {
		json_t *o = json_pack("{s:s, s:{s:s}}", "name", "source", "digest", "gitCommit",
				      p->revision);

		if (url)
			json_object_set_new(o, "uri", json_sprintf("git+%s@%s", url, p->revision));
		json_array_append_new(list, o);
	}
	if (p->base_digest) {
		const struct spec *base = spec_find(&p->cur->set, p->spec->base);
		CLEAN(free) char *purl =
			purl_oci(base ? base->definition : p->spec->base, p->base_digest, NULL);

		json_array_append_new(list, json_pack("{s:s+, s:s, s:{s:s}}", "name", "signbox/",
						      p->spec->base, "uri", purl ? purl : "",
						      "digest", "sha256", p->base_digest + 7));
	}
	for (size_t i = 0; i < l->npkg; i++) {
		const struct lock_pkg *row = &l->pkg[i];
		const struct purl_deb d = {.name = row->name,
					   .version = row->version,
					   .arch = row->arch,
					   .suite = row->suite};
		const char *why = role(p, &linked, row);
		CLEAN(free) char *purl = why ? purl_deb(&d) : NULL;

		if (!why)
			continue;
		if (!purl)
			return err_set(e, ERR_NOMEM, NULL);
		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:{s:s, s:s, s:s, s:s}}",
						      "name", row->name, "uri", purl, "digest",
						      sha256_of(row->sha256), "annotations", "role",
						      why, "archive", row->archive, "suite",
						      row->suite, "path", row->path));
	}
	return 0;
}

json_t *provenance_statement(const struct provenance *p, struct err *e)
{
	CLEAN(json) json_t *definitions = json_array();
	CLEAN(json) json_t *dependencies = json_array();
	CLEAN(json) json_t *lock = lock_of(p, e);
	CLEAN(free) char *purl = purl_oci(p->spec->definition, p->digest, p->tag);
	char when[32];
	json_t *o;

	if (!lock || add_definitions(p, definitions, e) || add_dependencies(p, dependencies, e))
		return NULL;
	lock_date_text(p->cur->lock.date, when);
	o = json_pack(
		"{s:s, s:[{s:s, s:s, s:{s:s}}], s:s, s:{s:{s:s, s:{s:s, s:O, s:O}, s:{s:s, s:s}, "
		"s:O}, s:{s:{s:s, s:{s:s}}, s:O}}}",
		"_type", "https://in-toto.io/Statement/v1", "subject", "name", p->spec->name, "uri",
		purl ? purl : "", "digest", "sha256", p->digest + 7, "predicateType",
		PROVENANCE_PREDICATE, "predicate", "buildDefinition", "buildType",
		PROVENANCE_BUILD_TYPE, "externalParameters", "image", p->spec->name, "definitions",
		definitions, "lock", lock, "internalParameters", "version", p->version, "date",
		when, "resolvedDependencies", dependencies, "runDetails", "builder", "id",
		PROVENANCE_BUILDER, "version", "ocibuild", SIGNBOX_VERSION, "byproducts",
		p->byproducts);
	if (!o)
		err_set(e, ERR_NOMEM, NULL);
	return o;
}
