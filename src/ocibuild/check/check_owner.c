/* Whose the files are: by the SPDX document that refers to the image (OCI 1.1 referrer),
 * else by the package data in the image. */
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/check/check_rules.h"
#include "json/json.h"

#define MAX_SPDX (256u << 20)

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* ---- package data ---- */

static bool ends_with(const char *s, const char *tail)
{
	size_t n = strlen(s), k = strlen(tail);

	return n >= k && strcmp(s + n - k, tail) == 0;
}

/* status.d/NAME.md5sums has "SUM  PATH", info/NAME[:ARCH].list has "/PATH". */
int check_packaged(struct check *c, const char *path, const uint8_t *p, size_t n, struct err *e)
{
	bool sums = strncmp(path, "var/lib/dpkg/status.d/", 22) == 0 && ends_with(path, ".md5sums");
	bool list = strncmp(path, "var/lib/dpkg/info/", 18) == 0 && ends_with(path, ".list");
	const uint8_t *end = p + n;
	char package[256], file[4096];

	if (strncmp(path, "var/lib/dpkg/status.d/", 22) == 0)
		json_object_set_new(c->owners, path, json_string("dpkg"));
	if (!sums && !list)
		return 0;
	snprintf(package, sizeof(package), "%s", path + (sums ? 22 : 18));
	package[strcspn(package, ":")] = '\0';
	if (strrchr(package, '.') &&
	    (ends_with(package, ".md5sums") || ends_with(package, ".list")))
		*strrchr(package, '.') = '\0';
	while (p < end) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((nl ? nl : end) - p), skip = sums ? 34 : 1;

		if (len > skip && len - skip < sizeof(file)) {
			memcpy(file, p + skip, len - skip);
			file[len - skip] = '\0';
			json_object_set_new(c->owners, file, json_string(package));
		}
		p += len + 1;
	}
	(void)e;
	return 0;
}

/* ---- SPDX 2.3 ---- */

static json_t *read_blob(const char *dir, const char *digest, struct err *e)
{
	if (strspn(digest, "sha256:0123456789abcdef") != 71)
		return NULL;
	return oci_read_json(dir, digest, MAX_SPDX, "build again", e);
}

/* The document in a referrer of the image; NULL without an error: it is none. */
static json_t *spdx_of(const struct check *c, const json_t *desc, struct err *e)
{
	const char *digest = str(desc, "digest");
	CLEAN(json) json_t *m = NULL;
	json_t *l;
	size_t i;

	if (strspn(digest, "sha256:0123456789abcdef") != 71 || strcmp(digest, c->digest) == 0)
		return NULL;
	m = oci_get_json(c->dir, digest, e);
	if (!m || strcmp(str(json_object_get(m, "subject"), "digest"), c->digest) != 0)
		return NULL;
	json_array_foreach(json_object_get(m, "layers"), i, l)
	{
		if (strstr(str(l, "mediaType"), "spdx"))
			return read_blob(c->dir, str(l, "digest"), e);
	}
	return NULL;
}

static json_t *find_spdx(const struct check *c, struct err *e)
{
	CLEAN(json_doc) struct json_doc d = {0};
	char path[4096];
	json_t *desc, *doc = NULL;
	size_t i;

	snprintf(path, sizeof(path), "%s/index.json", c->dir);
	if (json_parse_file(&d, path, 64u << 20, e))
		return NULL;
	json_array_foreach(json_object_get(d.root, "manifests"), i, desc)
	{
		/* images and their tags are entries too */
		if (!doc && strstr(str(desc, "artifactType"), "spdx"))
			doc = spdx_of(c, desc, e);
		if (!doc && e->code)
			return NULL;
	}
	return doc;
}

/* Ids of packages to their names, "" for those that are no Debian package. */
static json_t *package_names(const json_t *doc)
{
	json_t *names = json_object(), *p, *ref;
	size_t i, k;

	json_array_foreach(json_object_get(doc, "packages"), i, p)
	{
		bool deb = false;

		json_array_foreach(json_object_get(p, "externalRefs"), k, ref)
		{
			deb = deb || strncmp(str(ref, "referenceLocator"), "pkg:deb/", 8) == 0;
		}
		json_object_set_new(names, str(p, "SPDXID"),
				    json_string(deb ? str(p, "name") : ""));
	}
	return names;
}

static const char *file_name(const json_t *f)
{
	const char *s = str(f, "fileName");

	s += strncmp(s, "./", 2) == 0 ? 2 : 0;
	return s + strspn(s, "/");
}

static int take_files(struct check *c, const json_t *doc, struct err *e)
{
	CLEAN(json) json_t *names = package_names(doc);
	CLEAN(json) json_t *files = json_object();
	CLEAN(json) json_t *owners = json_object();
	json_t *v, *w;
	size_t i, k;

	if (!names || !files || !owners)
		return err_set(e, ERR_NOMEM, NULL);
	json_array_foreach(json_object_get(doc, "files"), i, v)
	{
		json_object_set_new(files, str(v, "SPDXID"), json_string(file_name(v)));
		json_array_foreach(json_object_get(v, "checksums"), k, w)
		{
			if (strcmp(str(w, "algorithm"), "SHA256") == 0)
				json_object_set_new(c->sums, file_name(v),
						    json_string(str(w, "checksumValue")));
		}
	}
	json_array_foreach(json_object_get(doc, "relationships"), i, v)
	{
		const char *path =
			json_string_value(json_object_get(files, str(v, "relatedSpdxElement")));
		json_t *name = json_object_get(names, str(v, "spdxElementId"));

		if (path && name && strcmp(str(v, "relationshipType"), "CONTAINS") == 0)
			json_object_set(owners, path, name);
	}
	/* the short form of the same */
	json_array_foreach(json_object_get(doc, "packages"), i, v)
	{
		json_array_foreach(json_object_get(v, "hasFiles"), k, w)
		{
			const char *path =
				json_string_value(json_object_get(files, json_string_value(w)));

			if (path)
				json_object_set(owners, path,
						json_object_get(names, str(v, "SPDXID")));
		}
	}
	json_decref(c->owners);
	c->owners = STEAL(owners);
	c->has_sbom = true;
	return 0;
}

int check_owners(struct check *c, struct err *e)
{
	struct err mine = {0};
	CLEAN(json) json_t *doc = find_spdx(c, &mine);

	if (mine.code)
		return err_set(e, mine.code, "%s", mine.text);
	return doc ? take_files(c, doc, e) : 0;
}
