#include "ocibuild/sbom/referrer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ocibuild/oci/oci.h"
#include "ocibuild/sbom/cyclonedx.h"
#include "ocibuild/sbom/provenance.h"
#include "ocibuild/sbom/sbom.h"
#include "ocibuild/sbom/spdx.h"
#include "json/json.h"

#define EMPTY_TYPE "application/vnd.oci.empty.v1+json"
#define REVISION "org.opencontainers.image.revision"
#define MAX_DOCUMENT (256u << 20)

const struct referrer_kind referrer_kinds[] = {
	{"spdx", SPDX_TYPE, "spdx.json", "SPDX 2.3 SBOM", true},
	{"cyclonedx", CYCLONEDX_TYPE, "cdx.json", "CycloneDX 1.6 SBOM", true},
	{"provenance", PROVENANCE_TYPE, "intoto.json", "SLSA v1 provenance", false},
	{0},
};

const struct referrer_kind *referrer_find(const char *name)
{
	for (const struct referrer_kind *k = referrer_kinds; k->name; k++)
		if (strcmp(k->name, name) == 0)
			return k;
	return NULL;
}

/* ---- reading ---- */

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static const json_t *row_of(const json_t *rows, const struct referrer_kind *k)
{
	json_t *r;
	size_t i;

	json_array_foreach(rows, i, r)
	{
		if (strcmp(str(r, "artifactType"), k->type) == 0)
			return r;
	}
	return NULL;
}

static bool has_blob(const char *dir, const json_t *descriptor)
{
	char path[4096];
	struct stat st;

	oci_blob_path(dir, str(descriptor, "digest"), path);
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size == json_integer_value(json_object_get(descriptor, "size"));
}

/* Descriptor of the document (a new reference), when all blobs of a row are there. */
static json_t *document_of(const char *dir, const json_t *row)
{
	CLEAN(json) json_t *m =
		has_blob(dir, row) ? oci_get_json(dir, str(row, "digest"), NULL) : NULL;
	json_t *doc = json_array_get(json_object_get(m, "layers"), 0);

	return doc && has_blob(dir, doc) && has_blob(dir, json_object_get(m, "config"))
		       ? json_incref(doc)
		       : NULL;
}

const char *referrer_revision(const json_t *rows)
{
	const json_t *row = row_of(rows, referrer_find("provenance"));

	return json_string_value(json_object_get(json_object_get(row, "annotations"), REVISION));
}

static int read_document(const char *dir, const json_t *doc, struct buf *out, struct err *e)
{
	char path[4096], got[OCI_DIGEST_LEN];
	uint8_t md[32];

	oci_blob_path(dir, str(doc, "digest"), path);
	if (file_read(path, out, e))
		return -1;
	sha256(md, out->p, out->len);
	oci_digest(got, md);
	return strcmp(got, str(doc, "digest")) == 0
		       ? 0
		       : err_set(e, ERR_DIGEST, "%s was changed: remove it and build again", path);
}

int referrer_read(const char *dir, const json_t *rows, const struct referrer_kind *k,
		  struct buf *out, struct err *e)
{
	const json_t *row = row_of(rows, k);
	CLEAN(json) json_t *m = row ? oci_get_json(dir, str(row, "digest"), e) : NULL;
	const json_t *doc = json_array_get(json_object_get(m, "layers"), 0);

	if (row && !m)
		return -1;
	if (!doc)
		return err_set(e, ERR_NOT_FOUND, "there is no %s of it: run `ocibuild build`",
			       k->what);
	buf_init(out, MAX_DOCUMENT);
	return read_document(dir, doc, out, e);
}

/* ---- making ---- */

static int put_blob(const char *dir, const struct buf *b, char digest[static OCI_DIGEST_LEN],
		    struct err *e)
{
	char path[4096];
	struct stat st;
	uint8_t md[32];

	sha256(md, b->p, b->len);
	oci_digest(digest, md);
	oci_blob_path(dir, digest, path);
	/* a blob that has its name is whole, and one that was changed is told by who reads it */
	if (stat(path, &st) == 0 && (uint64_t)st.st_size == b->len)
		return 0;
	return file_replace(path, b->p, b->len, 0644, e);
}

/* Document and artifact manifest as blobs; its row. */
static json_t *put_artifact(const struct referrer_src *src, const struct referrer_kind *k,
			    const json_t *document, struct err *e)
{
	CLEAN(buf) struct buf text = {0};
	char digest[OCI_DIGEST_LEN], manifest[OCI_DIGEST_LEN], empty[OCI_DIGEST_LEN], when[32];
	struct buf config = {.p = (uint8_t *)(uintptr_t)"{}", .len = 2};
	size_t size;

	buf_init(&text, MAX_DOCUMENT);
	if (json_text(document, JSON_ONE_LINE, &text, e) || put_blob(src->dir, &text, digest, e) ||
	    put_blob(src->dir, &config, empty, e))
		return NULL;
	lock_date_text(src->cur->lock.date, when);
	CLEAN(json) json_t *notes =
		json_pack("{s:s, s:s+++}", "org.opencontainers.image.created", when,
			  "org.opencontainers.image.title", src->spec->name, ": ", k->what, "");
	if (strcmp(k->type, PROVENANCE_TYPE) == 0)
		json_object_set_new(notes, "in-toto.io/predicate-type",
				    json_string(PROVENANCE_PREDICATE));
	if (strcmp(k->type, PROVENANCE_TYPE) == 0 && src->revision)
		json_object_set_new(notes, REVISION, json_string(src->revision));
	CLEAN(json) json_t *m = json_pack(
		"{s:i, s:s, s:s, s:{s:s, s:s, s:i, s:s}, s:[{s:s, s:s, s:I, s:{s:s++}}], "
		"s:{s:s, s:s, s:I}, s:O}",
		"schemaVersion", 2, "mediaType", OCI_MANIFEST, "artifactType", k->type, "config",
		"mediaType", EMPTY_TYPE, "digest", empty, "size", 2, "data", "e30=", "layers",
		"mediaType", k->type, "digest", digest, "size", (json_int_t)text.len, "annotations",
		"org.opencontainers.image.title", src->spec->name, ".", k->tail, "subject",
		"mediaType", OCI_MANIFEST, "digest", src->digest, "size", (json_int_t)src->size,
		"annotations", notes);

	if (!m) {
		err_set(e, ERR_NOMEM, NULL);
		return NULL;
	}
	if (oci_put_json(src->dir, m, manifest, &size, e))
		return NULL;
	json_t *row = json_pack("{s:s, s:s, s:I, s:s, s:O}", "mediaType", OCI_MANIFEST, "digest",
				manifest, "size", (json_int_t)size, "artifactType", k->type,
				"annotations", notes);

	if (!row)
		err_set(e, ERR_NOMEM, NULL);
	return row;
}

static int add_row(json_t *rows, json_t *row, struct err *e)
{
	if (!row)
		return -1;
	return json_array_append_new(rows, row) ? err_set(e, ERR_NOMEM, NULL) : 0;
}

static int make_sboms(const struct referrer_src *src, json_t *rows, struct err *e)
{
	static json_t *(*const make[])(const struct sbom *) = {spdx_document, cyclonedx_document};
	const struct sbom_src ss = {.cur = src->cur,
				    .spec = src->spec,
				    .dir = src->dir,
				    .digest = src->digest,
				    .version = src->version};
	CLEAN(sbom) struct sbom s = {0};

	if (sbom_read(&s, &ss, e))
		return -1;
	for (size_t i = 0; i < sizeof(make) / sizeof(make[0]); i++) {
		CLEAN(json) json_t *document = make[i](&s);

		if (!document)
			return err_set(e, ERR_NOMEM, NULL);
		if (add_row(rows, put_artifact(src, &referrer_kinds[i], document, e), e))
			return -1;
	}
	return 0;
}

/* Takes over the SBOMs of an earlier run; false: they are not all there. */
static bool take_known(const struct referrer_src *src, json_t *rows)
{
	for (const struct referrer_kind *k = referrer_kinds; k->name; k++) {
		const json_t *row = k->read ? row_of(src->known, k) : NULL;
		CLEAN(json) json_t *doc = row ? document_of(src->dir, row) : NULL;

		if (!k->read)
			continue;
		if (!doc) {
			json_array_clear(rows);
			return false;
		}
		json_array_append(rows, (json_t *)(uintptr_t)row);
	}
	return true;
}

static json_t *byproducts(const struct referrer_src *src, const json_t *rows)
{
	json_t *list = json_array(), *r;
	size_t i;

	json_array_foreach(rows, i, r)
	{
		CLEAN(json) json_t *doc = document_of(src->dir, r);
		const char *digest = str(doc, "digest");

		json_array_append_new(list,
				      json_pack("{s:O, s:s, s:{s:s}}", "name",
						json_object_get(json_object_get(doc, "annotations"),
								"org.opencontainers.image.title"),
						"mediaType", str(doc, "mediaType"), "digest",
						"sha256", strlen(digest) > 7 ? digest + 7 : ""));
	}
	return list;
}

static int make_provenance(const struct referrer_src *src, json_t *rows, struct err *e)
{
	const struct referrer_kind *k = referrer_find("provenance");
	CLEAN(json) json_t *others = byproducts(src, rows);
	char tag[192];

	snprintf(tag, sizeof(tag), "%s%s", src->version, src->spec->tag_suffix);
	const struct provenance p = {.cur = src->cur,
				     .spec = src->spec,
				     .version = src->version,
				     .digest = src->digest,
				     .tag = tag,
				     .base_digest = src->base_digest,
				     .revision = src->revision,
				     .byproducts = others};
	CLEAN(json) json_t *document = provenance_statement(&p, e);

	return document ? add_row(rows, put_artifact(src, k, document, e), e) : -1;
}

/* The files for people: NAME.spdx.json and so on. */
static int copy_out(const struct referrer_src *src, const json_t *rows, struct err *e)
{
	if (file_mkdirs(src->folder, 0755, e))
		return -1;
	for (const struct referrer_kind *k = referrer_kinds; k->name; k++) {
		CLEAN(json) json_t *doc = document_of(src->dir, row_of(rows, k));
		CLEAN(buf) struct buf text = {0}, old = {0};
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s.%s", src->folder, src->spec->name, k->tail);
		buf_init(&text, MAX_DOCUMENT);
		buf_init(&old, MAX_DOCUMENT);
		if (!doc)
			return err_set(e, ERR_IO, "%s of %s is gone again", k->what,
				       src->spec->name);
		if (read_document(src->dir, doc, &text, e))
			return -1;
		if (access(path, F_OK) == 0 && file_read(path, &old, NULL) == 0 &&
		    old.len == text.len && memcmp(old.p, text.p, text.len) == 0)
			continue;
		if (file_replace(path, text.p, text.len, 0644, e))
			return -1;
	}
	return 0;
}

void referrer_prune(const char *folder, const json_t *images)
{
	CLEAN(dir) DIR *d = opendir(folder);
	struct dirent *ent;

	while (d && (ent = readdir(d)) != NULL) {
		for (const struct referrer_kind *k = referrer_kinds; k->name; k++) {
			size_t n = strlen(ent->d_name), tail = strlen(k->tail) + 1;
			char name[256];

			if (n <= tail || ent->d_name[n - tail] != '.' ||
			    strcmp(ent->d_name + n - tail + 1, k->tail) != 0)
				continue;
			snprintf(name, sizeof(name), "%.*s", (int)(n - tail), ent->d_name);
			if (!json_object_get(images, name))
				unlinkat(dirfd(d), ent->d_name, 0);
		}
	}
}

int referrer_attach(const struct referrer_src *src, json_t *rows, struct err *e)
{
	if ((!take_known(src, rows) && make_sboms(src, rows, e)) || make_provenance(src, rows, e) ||
	    copy_out(src, rows, e))
		return err_wrap(e, "documents of %s", src->spec->name);
	return 0;
}
