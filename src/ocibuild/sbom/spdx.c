#include "ocibuild/sbom/spdx.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "crypto/sha256.h"
#include "ocibuild/sbom/purl.h"
#include "json/json.h"

#define IMAGE "SPDXRef-Image"
#define BASE "SPDXRef-Base"
#define PROJECT "SPDXRef-Package-signbox"
#define ID_LEN 320

/* ---- identifiers: letters, digits, '.' and '-' ---- */

static void put_id(char out[static ID_LEN], const char *head, const char *a, const char *b)
{
	size_t n = (size_t)snprintf(out, ID_LEN, "%s", head);

	for (const char *s = a; s; s = s == a ? b : NULL) {
		if (s == b)
			out[n++] = '-';
		for (const char *c = s; *c && n + 4 < ID_LEN; c++) {
			if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			    (*c >= '0' && *c <= '9') || *c == '.' || *c == '-')
				out[n++] = *c;
			else
				n += (size_t)snprintf(out + n, 4, ".%02x", (unsigned char)*c);
		}
	}
	out[n] = '\0';
}

static void package_id(char out[static ID_LEN], const struct sbom_package *p)
{
	put_id(out, "SPDXRef-Package-deb-", p->name, NULL);
}

static void source_id(char out[static ID_LEN], const char *name, const char *version)
{
	put_id(out, "SPDXRef-Source-", name, version);
}

static void file_id(char out[static ID_LEN], const struct sbom_file *f)
{
	uint8_t md[32];
	char hex[21];

	sha256(md, f->path, strlen(f->path));
	enc_hex(hex, md, 10);
	snprintf(out, ID_LEN, "SPDXRef-File-%s", hex);
}

/* ---- pieces ---- */

static json_t *checksum(const char *algorithm, const uint8_t *p, size_t n)
{
	char hex[129];

	enc_hex(hex, p, n);
	return json_pack("{s:s, s:s}", "algorithm", algorithm, "checksumValue", hex);
}

static void relate(json_t *list, const char *a, const char *type, const char *b)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "spdxElementId", a,
					      "relationshipType", type, "relatedSpdxElement", b));
}

static json_t *purl_ref(const char *purl)
{
	return json_pack("[{s:s, s:s, s:s}]", "referenceCategory", "PACKAGE-MANAGER",
			 "referenceType", "purl", "referenceLocator", purl);
}

static int by_digest(const void *a, const void *b)
{
	return memcmp((*(const struct sbom_file *const *)a)->sha1,
		      (*(const struct sbom_file *const *)b)->sha1, 20);
}

/* SPDX 2.3, 7.9: SHA-1 over the sorted SHA-1 of all files of the package. */
static json_t *verification(const struct sbom *s, size_t package)
{
	CLEAN(free) const struct sbom_file **v = calloc(s->nfiles + 1, sizeof(*v));
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	uint8_t out[EVP_MAX_MD_SIZE];
	json_t *j = NULL;
	size_t n = 0;
	char hex[41];

	for (size_t i = 0; v && i < s->nfiles; i++)
		if (s->files[i].package == package)
			v[n++] = &s->files[i];
	if (v && md && EVP_DigestInit_ex(md, EVP_sha1(), NULL)) {
		qsort(v, n, sizeof(const struct sbom_file *), by_digest);
		for (size_t i = 0; i < n; i++) {
			enc_hex(hex, v[i]->sha1, 20);
			EVP_DigestUpdate(md, hex, 40);
		}
		EVP_DigestFinal_ex(md, out, NULL);
		enc_hex(hex, out, 20);
		j = json_pack("{s:s}", "packageVerificationCodeValue", hex);
	}
	EVP_MD_CTX_free(md);
	return j;
}

/* What every package has. */
static json_t *package(const char *id, const char *name, const char *version, const char *licence,
		       const char *purl)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:s, s:o}", "SPDXID", id, "name",
			 name, "versionInfo", version, "downloadLocation", "NOASSERTION",
			 "filesAnalyzed", 0, "licenseConcluded", "NOASSERTION", "licenseDeclared",
			 licence ? licence : "NOASSERTION", "copyrightText", "NOASSERTION",
			 "externalRefs", purl_ref(purl));
}

static void set(json_t *o, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(o, key, json_string(value));
}

static void set_files(json_t *o, const struct sbom *s, size_t n)
{
	json_object_set_new(o, "filesAnalyzed", json_true());
	json_object_set_new(o, "packageVerificationCode", verification(s, n));
}

/* ---- packages ---- */

static void add_image(const struct sbom *s, json_t *packages, json_t *relations)
{
	const char *licences = image_str(&s->spec->image, "licenses");
	json_t *o = package(IMAGE, s->spec->name, s->version, *licences ? licences : NULL, s->purl);

	set(o, "summary", s->spec->summary);
	set(o, "supplier", "Organization: " SBOM_VENDOR);
	set(o, "primaryPackagePurpose", "CONTAINER");
	json_object_set_new(
		o, "checksums",
		json_pack("[{s:s, s:s}]", "algorithm", "SHA256", "checksumValue", s->digest + 7));
	json_array_append_new(packages, o);
	relate(relations, "SPDXRef-DOCUMENT", "DESCRIBES", IMAGE);
	if (!s->base_name || !s->base_digest || strncmp(s->base_digest, "sha256:", 7) != 0)
		return;
	/* signbox/static:0.1.0 */
	const char *slash = strrchr(s->base_name, '/');
	char name[160], *colon;

	snprintf(name, sizeof(name), "%s", slash ? slash + 1 : s->base_name);
	colon = strchr(name, ':');
	if (colon)
		*colon++ = '\0';
	CLEAN(free) char *purl = purl_oci(name, s->base_digest, colon);

	o = package(BASE, name, colon ? colon : "", NULL, purl ? purl : "");
	set(o, "supplier", "Organization: " SBOM_VENDOR);
	set(o, "primaryPackagePurpose", "CONTAINER");
	json_array_append_new(packages, o);
	relate(relations, IMAGE, "DESCENDANT_OF", BASE);
}

static void add_project(const struct sbom *s, json_t *packages, json_t *relations)
{
	CLEAN(free) char *purl = purl_generic("signbox", SIGNBOX_VERSION);
	json_t *o = package(PROJECT, "signbox", SIGNBOX_VERSION, SBOM_LICENCE, purl ? purl : "");
	bool any = false;

	for (size_t i = 0; i < s->nfiles; i++)
		any = any || s->files[i].package == SBOM_PROJECT;
	if (any)
		set_files(o, s, SBOM_PROJECT);
	set(o, "supplier", "Organization: " SBOM_VENDOR);
	set(o, "comment", "programs of the project, and the files that the build writes");
	json_array_append_new(packages, o);
	relate(relations, IMAGE, "CONTAINS", PROJECT);
}

/* p: a package that was made from it; NULL: its code was linked into others only. */
static void add_source(const char *name, const char *version, const char *purl,
		       const struct sbom_package *p, json_t *packages, json_t *seen)
{
	char id[ID_LEN];
	json_t *o;

	source_id(id, name, version);
	if (json_object_get(seen, id))
		return;
	json_object_set_new(seen, id, json_true());
	o = package(id, name, version, p ? p->licence : NULL, purl);
	set(o, "supplier", "Organization: Debian");
	set(o, "primaryPackagePurpose", "SOURCE");
	set(o, "homepage", p ? p->homepage : NULL);
	json_array_append_new(packages, o);
}

static void add_sources(const struct sbom *s, json_t *packages, json_t *relations)
{
	CLEAN(json) json_t *seen = json_object();
	char id[ID_LEN], from[ID_LEN];

	for (size_t i = 0; i < s->n; i++)
		add_source(s->v[i].source, s->v[i].source_version, s->v[i].source_purl, &s->v[i],
			   packages, seen);
	for (size_t i = 0; i < s->nembeds; i++) {
		const struct sbom_embed *x = &s->embeds[i];

		add_source(x->name, x->version, x->purl, NULL, packages, seen);
		package_id(id, &s->v[x->package]);
		source_id(from, x->name, x->version);
		relate(relations, id, "STATIC_LINK", from);
	}
}

/* "Name <address>" of a control file to "Person: Name (address)"; a list or a team is an
 * organization. */
static void originator(json_t *o, const char *maintainer)
{
	bool many = strstr(maintainer, "lists.") || strstr(maintainer, "@tracker.") ||
		    strstr(maintainer, "Team") || strstr(maintainer, "team");
	const char *open = strchr(maintainer, '<'), *close = open ? strchr(open, '>') : NULL;
	char text[512];

	if (close)
		snprintf(text, sizeof(text), "%s: %.*s(%.*s)", many ? "Organization" : "Person",
			 (int)(open - maintainer), maintainer, (int)(close - open - 1), open + 1);
	else
		snprintf(text, sizeof(text), "Organization: %s", maintainer);
	set(o, "originator", maintainer[0] ? text : NULL);
}

static void add_debian(const struct sbom *s, size_t n, json_t *packages, json_t *relations)
{
	const struct sbom_package *p = &s->v[n];
	char id[ID_LEN], from[ID_LEN], text[512];
	json_t *o;

	package_id(id, p);
	source_id(from, p->source, p->source_version);
	o = package(id, p->name, p->version, p->licence, p->purl);
	if (p->nfiles)
		set_files(o, s, n);
	set(o, "supplier", "Organization: Debian");
	originator(o, p->maintainer);
	set(o, "homepage", p->homepage);
	set(o, "licenseComments",
	    p->licence ? "declared by Debian's copyright file, which is of "
			 "the whole source package"
		       : NULL);
	if (p->row) {
		/* no mirror's name: the lock has none either */
		snprintf(text, sizeof(text), "%s %s, %s", p->row->archive, p->row->suite,
			 p->row->path);
		set(o, "packageFileName",
		    strrchr(p->row->path, '/') ? strrchr(p->row->path, '/') + 1 : p->row->path);
		set(o, "sourceInfo", text);
		json_object_set_new(o, "checksums",
				    json_pack("[o]", checksum("SHA256", p->row->sha256, 32)));
	}
	set(o, "comment", p->linked ? "linked into programs of the project" : NULL);
	json_array_append_new(packages, o);
	relate(relations, IMAGE, "CONTAINS", id);
	relate(relations, id, "GENERATED_FROM", from);
}

/* ---- files ---- */

static void add_file(const struct sbom *s, const struct sbom_file *f, json_t *files,
		     json_t *relations)
{
	char id[ID_LEN], whose[ID_LEN] = PROJECT;
	json_t *o;

	file_id(id, f);
	o = json_pack("{s:s, s:s+, s:[o,o], s:s, s:s}", "SPDXID", id, "fileName", "./", f->path,
		      "checksums", checksum("SHA1", f->sha1, 20), checksum("SHA256", f->sha256, 32),
		      "licenseConcluded", "NOASSERTION", "copyrightText", "NOASSERTION");
	if (f->elf)
		json_object_set_new(o, "fileTypes", json_pack("[s]", "BINARY"));
	json_array_append_new(files, o);
	if (f->package != SBOM_PROJECT)
		package_id(whose, &s->v[f->package]);
	relate(relations, whose, "CONTAINS", id);
	for (size_t i = 0; sbom_is_program(f) && i < s->n; i++) {
		if (!sbom_is_linked(s, f, &s->v[i]))
			continue;
		package_id(whose, &s->v[i]);
		relate(relations, id, "STATIC_LINK", whose);
	}
}

static json_t *extracted(const struct sbom *s)
{
	json_t *list = json_array(), *v;
	const char *id;

	json_object_foreach(s->licences, id, v)
		json_array_append_new(list, json_pack("{s:s, s:O, s:O}", "licenseId", id, "name",
						      json_object_get(v, "name"), "extractedText",
						      json_object_get(v, "text")));
	return list;
}

json_t *spdx_document(const struct sbom *s)
{
	json_t *packages = json_array(), *files = json_array(), *relations = json_array();
	char uuid[37];

	sbom_uuid(s, "spdx", uuid);
	add_image(s, packages, relations);
	add_project(s, packages, relations);
	for (size_t i = 0; i < s->n; i++)
		add_debian(s, i, packages, relations);
	add_sources(s, packages, relations);
	for (size_t i = 0; i < s->nfiles; i++)
		add_file(s, &s->files[i], files, relations);
	return json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:{s:s, s:[s,s]}, s:[s], s:o, s:o, s:o, s:o}",
		"spdxVersion", "SPDX-2.3", "dataLicense", "CC0-1.0", "SPDXID", "SPDXRef-DOCUMENT",
		"name", json_sprintf("signbox/%s:%s", s->spec->definition, s->tag),
		"documentNamespace",
		json_sprintf("https://spdx.org/spdxdocs/signbox-%s-%s", s->spec->name, uuid),
		"creationInfo", "created", s->when, "creators", "Tool: ocibuild-" SIGNBOX_VERSION,
		"Organization: " SBOM_VENDOR, "documentDescribes", IMAGE, "packages", packages,
		"hasExtractedLicensingInfos", extracted(s), "files", files, "relationships",
		relations);
}
