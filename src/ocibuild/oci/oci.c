#include "ocibuild/oci/oci.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "crypto/sha256.h"
#include "ocibuild/lock.h"
#include "json/json.h"

#define MAX_DOCUMENT (4u << 20)
#define PREFIX "org.opencontainers.image."

void oci_digest(char out[static OCI_DIGEST_LEN], const uint8_t sha256[static 32])
{
	memcpy(out, "sha256:", 7);
	enc_hex(out + 7, sha256, 32);
}

void oci_blob_path(const char *dir, const char *digest, char out[static 4096])
{
	snprintf(out, 4096, "%s/blobs/sha256/%s", dir,
		 strncmp(digest, "sha256:", 7) == 0 ? digest + 7 : "none");
}

int oci_open(const char *dir, struct err *e)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/blobs/sha256", dir);
	return file_mkdirs(path, 0755, e);
}

int oci_put_json(const char *dir, const json_t *j, char digest[static OCI_DIGEST_LEN], size_t *size,
		 struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	char path[4096];
	uint8_t md[32];

	buf_init(&b, MAX_DOCUMENT);
	if (json_text(j, JSON_ONE_LINE, &b, e))
		return -1;
	sha256(md, b.p, b.len);
	oci_digest(digest, md);
	oci_blob_path(dir, digest, path);
	*size = b.len;
	return file_replace(path, b.p, b.len, 0644, e);
}

int oci_put_layer(const char *dir, struct layer *l, const struct layer_how *how,
		  struct layer_blob *out, struct err *e)
{
	char tmp[4096], path[4096], digest[OCI_DIGEST_LEN];
	int rc;

	snprintf(tmp, sizeof(tmp), "%s/blobs/sha256/.new-XXXXXX", dir);
	CLEAN(fd) int fd = mkostemp(tmp, O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot create %s", tmp);
	rc = layer_write(l, how, fd, out, e);
	oci_digest(digest, out->digest);
	oci_blob_path(dir, digest, path);
	if (rc == 0 && (fchmod(fd, 0644) < 0 || fdatasync(fd) < 0 || rename(tmp, path) < 0))
		rc = err_errno(e, ERR_IO, "cannot write %s", path);
	if (rc)
		unlink(tmp);
	return rc;
}

json_t *oci_read_json(const char *dir, const char *digest, size_t max, const char *remedy,
		      struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	CLEAN(json_doc) struct json_doc d = {0};
	char path[4096], got[OCI_DIGEST_LEN];
	uint8_t md[32];

	buf_init(&b, max);
	oci_blob_path(dir, digest, path);
	if (file_read(path, &b, e))
		return NULL;
	sha256(md, b.p ? (void *)b.p : (void *)"", b.len);
	oci_digest(got, md);
	if (strcmp(got, digest) != 0) {
		err_set(e, ERR_DIGEST, "%s was changed: %s", path, remedy);
		return NULL;
	}
	if (json_parse(&d, path, b.p, b.len, e))
		return NULL;
	return json_incref(d.root);
}

json_t *oci_get_json(const char *dir, const char *digest, struct err *e)
{
	return oci_read_json(dir, digest, MAX_DOCUMENT, "remove it and build again", e);
}

/* ---- publishing ---- */

static void keep(json_t *used, const json_t *descriptor)
{
	const char *d = json_string_value(json_object_get(descriptor, "digest"));

	if (d && strlen(d) > 7)
		json_object_set_new(used, d + 7, json_true());
}

static int remove_unused(const char *dir, const json_t *index, struct err *e)
{
	CLEAN(json) json_t *used = json_object();
	char path[4096];
	json_t *m, *l;
	size_t i, k;

	json_array_foreach(json_object_get(index, "manifests"), i, m)
	{
		const char *digest = json_string_value(json_object_get(m, "digest"));
		CLEAN(json) json_t *doc = oci_get_json(dir, digest ? digest : "", e);

		if (!doc)
			return -1;
		keep(used, m);
		keep(used, json_object_get(doc, "config"));
		json_array_foreach(json_object_get(doc, "layers"), k, l) keep(used, l);
	}
	snprintf(path, sizeof(path), "%s/blobs/sha256", dir);
	CLEAN(dir) DIR *d = opendir(path);
	struct dirent *ent;

	while (d && (ent = readdir(d)) != NULL)
		if (strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0 &&
		    !json_object_get(used, ent->d_name))
			unlinkat(dirfd(d), ent->d_name, 0);
	return 0;
}

/* Leaves a file alone that has this content already. */
static int put_file(const char *path, const void *p, size_t n, struct err *e)
{
	CLEAN(buf) struct buf old = {0};

	buf_init(&old, MAX_DOCUMENT);
	if (access(path, F_OK) == 0 && file_read(path, &old, NULL) == 0 && old.len == n &&
	    memcmp(old.p, p, n) == 0)
		return 0;
	return file_replace(path, p, n, 0644, e);
}

int oci_publish(const char *dir, const json_t *index, struct err *e)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	CLEAN(buf) struct buf b = {0};
	char path[4096];

	buf_init(&b, MAX_DOCUMENT);
	snprintf(path, sizeof(path), "%s/oci-layout", dir);
	if (put_file(path, layout, sizeof(layout) - 1, e) || json_text(index, JSON_ONE_LINE, &b, e))
		return -1;
	snprintf(path, sizeof(path), "%s/index.json", dir);
	if (put_file(path, b.p, b.len, e))
		return -1;
	return remove_unused(dir, index, e);
}

/* ---- documents ---- */

static void set(json_t *o, const char *key, const char *value)
{
	if (value && *value)
		json_object_set_new(o, key, json_string(value));
}

/* The same facts as annotations of the manifest and as labels of the configuration. */
static json_t *annotations(const struct oci_image *im)
{
	const struct image *i = &im->spec->image;
	json_t *o = json_object();
	char when[32];

	lock_date_text(im->date, when);
	set(o, PREFIX "title", *image_str(i, "title") ? image_str(i, "title") : im->spec->name);
	set(o, PREFIX "description", im->spec->summary);
	set(o, PREFIX "licenses", image_str(i, "licenses"));
	set(o, PREFIX "version", im->version);
	set(o, PREFIX "created", when);
	set(o, PREFIX "vendor", "Signbox");
	set(o, PREFIX "base.name", im->base_name);
	set(o, PREFIX "base.digest", im->base_digest);
	json_object_update(o, json_object_get(i->config, "annotations"));
	return o;
}

static json_t *labels(const struct oci_image *im)
{
	const struct image *i = &im->spec->image;
	json_t *o = annotations(im);
	char path[128];

	snprintf(path, sizeof(path), "images/%s.yaml", im->spec->definition);
	set(o, "signbox.definition", path);
	json_object_update(o, json_object_get(i->config, "labels"));
	return o;
}

/* ["a", "b"] to {"a": {}, "b": {}} */
static json_t *as_keys(const json_t *list)
{
	json_t *o = json_object(), *v;
	size_t i;

	json_array_foreach(list, i, v) json_object_set_new(o, json_string_value(v), json_object());
	return o;
}

/* Docker's, not OCI's: engines that do not know it pass it over. Times in nanoseconds. */
static json_t *healthcheck(const json_t *h)
{
	static const struct {
		const char *key, *field;
		json_int_t unit;
	} times[] = {{"interval", "Interval", 1000000000},
		     {"timeout", "Timeout", 1000000000},
		     {"start_period", "StartPeriod", 1000000000},
		     {"retries", "Retries", 1}};
	json_t *o = json_object(), *test = json_deep_copy(json_object_get(h, "command"));

	json_array_insert_new(test, 0, json_string("CMD"));
	json_object_set_new(o, "Test", test);
	for (size_t k = 0; k < sizeof(times) / sizeof(times[0]); k++) {
		json_int_t n = json_integer_value(json_object_get(h, times[k].key));

		if (n)
			json_object_set_new(o, times[k].field, json_integer(n * times[k].unit));
	}
	return o;
}

static json_t *runtime(const struct oci_image *im)
{
	const struct image *i = &im->spec->image;
	json_t *o = json_object(), *env = json_array(), *v;
	const char *name;

	set(o, "User", image_str(i, "user"));
	if (json_array_size(json_object_get(i->config, "ports")))
		json_object_set_new(o, "ExposedPorts",
				    as_keys(json_object_get(i->config, "ports")));
	json_object_foreach(json_object_get(i->config, "env"), name, v)
		json_array_append_new(env, json_sprintf("%s=%s", name, json_string_value(v)));
	json_object_set_new(o, "Env", env);
	if (json_object_get(i->config, "entrypoint"))
		json_object_set(o, "Entrypoint", json_object_get(i->config, "entrypoint"));
	if (json_object_get(i->config, "cmd"))
		json_object_set(o, "Cmd", json_object_get(i->config, "cmd"));
	if (json_array_size(json_object_get(i->config, "volumes")))
		json_object_set_new(o, "Volumes", as_keys(json_object_get(i->config, "volumes")));
	set(o, "WorkingDir", image_str(i, "workdir"));
	json_object_set_new(o, "Labels", labels(im));
	set(o, "StopSignal", image_str(i, "stop_signal"));
	if (json_object_get(i->config, "healthcheck"))
		json_object_set_new(o, "Healthcheck",
				    healthcheck(json_object_get(i->config, "healthcheck")));
	return o;
}

json_t *oci_config(const struct oci_image *im)
{
	json_t *ids = json_array(), *history = json_array(), *l;
	char when[32];
	size_t i;

	lock_date_text(im->date, when);
	json_array_foreach(im->layers, i, l)
	{
		json_array_append(ids, json_object_get(l, "diff_id"));
		json_array_append_new(history,
				      json_pack("{s:s, s:o}", "created", when, "created_by",
						json_sprintf("ocibuild build %s",
							     json_string_value(json_object_get(
								     l, "definition")))));
	}
	return json_pack("{s:s, s:s, s:s, s:o, s:{s:s, s:o}, s:o}", "created", when, "architecture",
			 "amd64", "os", "linux", "config", runtime(im), "rootfs", "type", "layers",
			 "diff_ids", ids, "history", history);
}

json_t *oci_manifest(const struct oci_image *im, const char *config, size_t config_size)
{
	json_t *layers = json_array(), *l;
	size_t i;

	json_array_foreach(im->layers, i, l) json_array_append_new(
		layers,
		json_pack("{s:s, s:O, s:O}", "mediaType", im->layer_type, "digest",
			  json_object_get(l, "digest"), "size", json_object_get(l, "size")));
	return json_pack("{s:i, s:s, s:{s:s, s:s, s:I}, s:o, s:o}", "schemaVersion", 2, "mediaType",
			 OCI_MANIFEST, "config", "mediaType", OCI_CONFIG, "digest", config, "size",
			 (json_int_t)config_size, "layers", layers, "annotations", annotations(im));
}
