#include "ocibuild/sbom/cyclonedx.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "ocibuild/sbom/purl.h"
#include "json/json.h"

static void set(json_t *o, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(o, key, json_string(value));
}

static json_t *hash(const char *algorithm, const uint8_t *p, size_t n)
{
	char hex[129];

	enc_hex(hex, p, n);
	return json_pack("{s:s, s:s}", "alg", algorithm, "content", hex);
}

static json_t *property(const char *name, const char *value)
{
	return json_pack("{s:s, s:s}", "name", name, "value", value);
}

static json_t *licences(const char *expression)
{
	return json_pack("[{s:s, s:s}]", "expression", expression, "acknowledgement", "declared");
}

static json_t *program_ref(const struct sbom_file *f)
{
	return json_sprintf("file:/%s", f->path);
}

/* ---- components ---- */

static json_t *debian(const struct sbom_package *p)
{
	json_t *o = json_pack("{s:s, s:s, s:{s:s}}", "type", "library", "bom-ref", p->purl,
			      "supplier", "name", "Debian");
	json_t *properties = json_array();

	set(o, "publisher", p->maintainer);
	set(o, "name", p->name);
	set(o, "version", p->version);
	if (p->row)
		json_object_set_new(o, "hashes",
				    json_pack("[o]", hash("SHA-256", p->row->sha256, 32)));
	if (p->licence)
		json_object_set_new(o, "licenses", licences(p->licence));
	set(o, "purl", p->purl);
	if (p->homepage[0])
		json_object_set_new(
			o, "externalReferences",
			json_pack("[{s:s, s:s}]", "type", "website", "url", p->homepage));
	json_array_append_new(properties, property("signbox:why", sbom_why(p)));
	json_array_append_new(properties, property("signbox:source", p->source));
	json_array_append_new(properties, property("signbox:source-version", p->source_version));
	if (p->row) {
		json_array_append_new(properties, property("signbox:suite", p->row->suite));
		json_array_append_new(properties, property("signbox:path", p->row->path));
	}
	json_object_set_new(o, "properties", properties);
	return o;
}

static json_t *program(const struct sbom_file *f)
{
	return json_pack("{s:s, s:o, s:s, s:s, s:[o,o], s:o}", "type", "application", "bom-ref",
			 program_ref(f), "name", f->path, "version", SIGNBOX_VERSION, "hashes",
			 hash("SHA-1", f->sha1, 20), hash("SHA-256", f->sha256, 32), "licenses",
			 licences(SBOM_LICENCE));
}

/* A source package whose code is in others; once. */
static void add_embedded(const struct sbom *s, json_t *components, json_t *seen)
{
	for (size_t i = 0; i < s->nembeds; i++) {
		const struct sbom_embed *x = &s->embeds[i];

		if (json_object_get(seen, x->purl))
			continue;
		json_object_set_new(seen, x->purl, json_true());
		json_array_append_new(components,
				      json_pack("{s:s, s:s, s:{s:s}, s:s, s:s, s:s, s:[o]}", "type",
						"library", "bom-ref", x->purl, "supplier", "name",
						"Debian", "name", x->name, "version", x->version,
						"purl", x->purl, "properties",
						property("signbox:why", "built using")));
	}
}

/* ---- what depends on what ---- */

/* Packages of a Depends field that are in the image: "a (>= 1) | b, c:any". */
static void add_depends(const struct sbom *s, const struct sbom_package *p, json_t *to)
{
	CLEAN(free) char *copy = strdup(p->depends ? p->depends : "");
	CLEAN(json) json_t *seen = json_object();
	char *save = NULL;

	for (char *w = copy ? strtok_r(copy, ",|\n", &save) : NULL; w;
	     w = strtok_r(NULL, ",|\n", &save)) {
		const struct sbom_package *q;

		w += strspn(w, " \t");
		w[strcspn(w, " \t(:[")] = '\0';
		q = sbom_find(s, w);
		if (!q || q == p || json_object_get(seen, q->purl))
			continue;
		json_object_set_new(seen, q->purl, json_true());
		json_array_append_new(to, json_string(q->purl));
	}
}

static void depend(json_t *list, json_t *ref, json_t *on)
{
	json_array_append_new(list, json_pack("{s:o, s:o}", "ref", ref, "dependsOn", on));
}

static void depend_debian(const struct sbom *s, json_t *list, json_t *embedded)
{
	const char *purl;
	json_t *v;

	for (size_t i = 0; i < s->n; i++) {
		json_t *on = json_array();

		add_depends(s, &s->v[i], on);
		for (size_t k = 0; k < s->nembeds; k++)
			if (s->embeds[k].package == i)
				json_array_append_new(on, json_string(s->embeds[k].purl));
		depend(list, json_string(s->v[i].purl), on);
	}
	json_object_foreach(embedded, purl, v) depend(list, json_string(purl), json_array());
}

static json_t *dependencies(const struct sbom *s, const char *project, json_t *embedded)
{
	json_t *list = json_array(), *all = json_pack("[s]", project), *programs = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(all, json_string(s->v[i].purl));
	depend(list, json_string(s->purl), all);
	for (size_t i = 0; i < s->nfiles; i++)
		if (sbom_is_program(&s->files[i]))
			json_array_append_new(programs, program_ref(&s->files[i]));
	depend(list, json_string(project), programs);
	for (size_t i = 0; i < s->nfiles; i++) {
		json_t *on = json_array();

		for (size_t k = 0; k < s->n; k++)
			if (sbom_is_linked(s, &s->files[i], &s->v[k]))
				json_array_append_new(on, json_string(s->v[k].purl));
		if (sbom_is_program(&s->files[i]))
			depend(list, program_ref(&s->files[i]), on);
		else
			json_decref(on);
	}
	depend_debian(s, list, embedded);
	return list;
}

json_t *cyclonedx_document(const struct sbom *s)
{
	CLEAN(free) char *project = purl_generic("signbox", SIGNBOX_VERSION);
	CLEAN(json) json_t *embedded = json_object();
	json_t *components = json_array(), *image;
	char uuid[37];

	if (!project)
		return NULL;
	sbom_uuid(s, "cyclonedx", uuid);
	json_array_append_new(components,
			      json_pack("{s:s, s:s, s:{s:s}, s:s, s:s, s:o, s:s}", "type",
					"application", "bom-ref", project, "supplier", "name",
					SBOM_VENDOR, "name", "signbox", "version", SIGNBOX_VERSION,
					"licenses", licences(SBOM_LICENCE), "purl", project));
	for (size_t i = 0; i < s->nfiles; i++)
		if (sbom_is_program(&s->files[i]))
			json_array_append_new(components, program(&s->files[i]));
	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(components, debian(&s->v[i]));
	add_embedded(s, components, embedded);
	image = json_pack("{s:s, s:s, s:{s:s}, s:s, s:s, s:[{s:s, s:s}], s:s}", "type", "container",
			  "bom-ref", s->purl, "supplier", "name", SBOM_VENDOR, "name",
			  s->spec->name, "version", s->version, "hashes", "alg", "SHA-256",
			  "content", s->digest + 7, "purl", s->purl);
	set(image, "description", s->spec->summary);
	return json_pack("{s:s, s:s, s:s, s:o, s:i, s:{s:s, s:{s:[{s:s, s:s, s:s}]}, s:o, "
			 "s:{s:s}}, s:o, s:o}",
			 "$schema", "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat",
			 "CycloneDX", "specVersion", "1.6", "serialNumber",
			 json_sprintf("urn:uuid:%s", uuid), "version", 1, "metadata", "timestamp",
			 s->when, "tools", "components", "type", "application", "name", "ocibuild",
			 "version", SIGNBOX_VERSION, "component", image, "supplier", "name",
			 SBOM_VENDOR, "components", components, "dependencies",
			 dependencies(s, project, embedded));
}
