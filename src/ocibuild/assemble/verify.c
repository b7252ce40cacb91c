/* Whether images come out the same again: built in a fresh folder, without anything
 * remembered, and compared with what is in the layout. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "ocibuild/assemble/build.h"
#include "ocibuild/assemble/command.h"
#include "ocibuild/assemble/verify_tar.h"
#include "ocibuild/images.h"
#include "ocibuild/oci/oci.h"
#include "ocibuild/options.h"
#include "ocibuild/run.h"
#include "ui/table.h"
#include "json/json.h"

#define MAX_INDEX (16u << 20)
#define EXIT_DIFFERS 8

/* One image that is compared. */
struct pair {
	struct build *there, *again;
	const char *was, *is; /* digests of the manifests; was: NULL, not in the index */
	const json_t *index, *new_index;
	json_t *differences;
	bool damaged;
};

static void differ(struct pair *p, const char *where, const char *path, const char *what,
		   const char *was, const char *is)
{
	json_array_append_new(p->differences,
			      json_pack("{s:s, s:s, s:s, s:s, s:s}", "where", where, "path", path,
					"what", what, "was", was, "is", is));
}

/* ---- documents ---- */

static void as_text(const json_t *j, char out[static 256])
{
	CLEAN(free) char *s = j ? json_dumps(j, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

	snprintf(out, 256, "%s", s ? s : j ? "?" : "nothing");
}

/* Where two documents differ first: at is their path, "" at the start. */
static bool first_difference(const json_t *was, const json_t *is, char at[static 512],
			     const json_t **a, const json_t **b)
{
	size_t n = strlen(at);
	const char *key;
	json_t *v;

	*a = was;
	*b = is;
	if (json_equal((json_t *)(uintptr_t)was, (json_t *)(uintptr_t)is))
		return false;
	if (json_is_object(was) && json_is_object(is)) {
		json_object_foreach((json_t *)(uintptr_t)was, key, v)
		{
			snprintf(at + n, 512 - n, "%s%s", n ? "." : "", key);
			if (first_difference(v, json_object_get(is, key), at, a, b))
				return true;
		}
		json_object_foreach((json_t *)(uintptr_t)is, key, v)
		{
			snprintf(at + n, 512 - n, "%s%s", n ? "." : "", key);
			if (first_difference(json_object_get(was, key), v, at, a, b))
				return true;
		}
	}
	if (json_is_array(was) && json_is_array(is))
		for (size_t i = 0; i < json_array_size(was) || i < json_array_size(is); i++) {
			snprintf(at + n, 512 - n, "[%zu]", i);
			if (first_difference(json_array_get(was, i), json_array_get(is, i), at, a,
					     b))
				return true;
		}
	at[n] = '\0';
	*a = was;
	*b = is;
	return true;
}

static void compare_documents(struct pair *p, const char *where, const json_t *was,
			      const json_t *is)
{
	const json_t *a, *b;
	char at[512] = "", x[256], y[256];

	if (!first_difference(was, is, at, &a, &b)) {
		/* equal, and other digests: the order of the keys */
		differ(p, where, "", "form", "", "");
		return;
	}
	as_text(a, x);
	as_text(b, y);
	differ(p, where, at, "value", x, y);
}

/* ---- layers ---- */

static int compare_layer(struct pair *p, size_t i, const char *was, const char *is, bool same_tar,
			 struct err *e)
{
	char where[32], from[4096], to[4096];
	struct verify_tar d;

	snprintf(where, sizeof(where), "layer %zu", i + 1);
	if (same_tar) {
		differ(p, where, "", "compressed form", was, is);
		return 0;
	}
	oci_blob_path(p->there->dir, was, from);
	oci_blob_path(p->again->dir, is, to);
	if (verify_tar(from, to, &d, e))
		return err_wrap(e, "%s", where);
	differ(p, where, d.path, d.attribute ? d.attribute : "form of the tar", d.was, d.is);
	return 0;
}

static int compare_layers(struct pair *p, const json_t *m, const json_t *n, const json_t *c,
			  const json_t *k, struct err *e)
{
	const json_t *was = json_object_get(m, "layers"), *is = json_object_get(n, "layers");
	const json_t *tars = json_object_get(json_object_get(c, "rootfs"), "diff_ids");
	const json_t *new_tars = json_object_get(json_object_get(k, "rootfs"), "diff_ids");
	char x[32], y[32];

	snprintf(x, sizeof(x), "%zu", json_array_size(was));
	snprintf(y, sizeof(y), "%zu", json_array_size(is));
	if (strcmp(x, y) != 0)
		differ(p, "manifest", "layers", "number of layers", x, y);
	for (size_t i = 0; i < json_array_size(was) && i < json_array_size(is); i++) {
		const char *a = command_str(json_array_get(was, i), "digest");
		const char *b = command_str(json_array_get(is, i), "digest");

		if (strcmp(a, b) != 0 &&
		    compare_layer(p, i, a, b,
				  json_equal(json_array_get(tars, i), json_array_get(new_tars, i)),
				  e))
			return -1;
	}
	return 0;
}

/* Every blob of what is there has the content that its name says. */
static int check_blob(struct pair *p, const char *what, const char *digest, struct err *e)
{
	char path[4096], got[OCI_DIGEST_LEN];
	uint8_t d[32];

	oci_blob_path(p->there->dir, digest, path);
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && cache_digest_fd(fd, path, d, e))
		return -1;
	if (fd >= 0)
		oci_digest(got, d);
	if (fd >= 0 && strcmp(got, digest) == 0)
		return 0;
	p->damaged = true;
	differ(p, what, path, fd < 0 ? "blob is missing" : "blob was changed", digest,
	       fd < 0 ? "" : got);
	return 0;
}

static int check_blobs(struct pair *p, const char *manifest, struct err *e)
{
	struct err why = {0};
	json_t *l;
	size_t i;

	if (check_blob(p, "manifest", manifest, e))
		return -1;
	if (p->damaged)
		return 0;
	CLEAN(json) json_t *m = oci_get_json(p->there->dir, manifest, &why);

	if (!m)
		return err_set(e, why.code, "%s", why.text);
	if (check_blob(p, "config", command_str(json_object_get(m, "config"), "digest"), e))
		return -1;
	json_array_foreach(json_object_get(m, "layers"), i, l)
	{
		char what[32];

		snprintf(what, sizeof(what), "layer %zu", i + 1);
		if (check_blob(p, what, command_str(l, "digest"), e))
			return -1;
	}
	return 0;
}

/* ---- what is attached, and the names ---- */

/* Digests of the manifests of an index whose subject is manifest, by artifact type. */
static json_t *attached(const struct build *b, const json_t *index, const char *manifest,
			struct err *e)
{
	json_t *out = json_object(), *m;
	size_t i;

	json_array_foreach(json_object_get(index, "manifests"), i, m)
	{
		CLEAN(json) json_t *doc =
			json_object_get(m, "artifactType")
				? oci_get_json(b->dir, command_str(m, "digest"), e)
				: json_object();

		if (!doc) {
			json_decref(out);
			return NULL;
		}
		if (strcmp(command_str(json_object_get(doc, "subject"), "digest"), manifest) == 0)
			json_object_set(out, command_str(m, "artifactType"),
					json_object_get(m, "digest"));
	}
	return out;
}

static int compare_attached(struct pair *p, struct err *e)
{
	CLEAN(json) json_t *was = attached(p->there, p->index, p->was, e);
	CLEAN(json) json_t *is = was ? attached(p->again, p->new_index, p->is, e) : NULL;
	const char *type;
	json_t *v;

	if (!was || !is)
		return -1;
	json_object_foreach(was, type, v)
	{
		const char *new = command_str(is, type);

		if (check_blobs(p, json_string_value(v), e))
			return -1;
		if (strcmp(json_string_value(v), new) != 0)
			differ(p, "attached", type, *new ? "digest" : "is not made any more",
			       json_string_value(v), new);
	}
	json_object_foreach(is, type, v)
	{
		if (!json_object_get(was, type))
			differ(p, "attached", type, "is new", "", json_string_value(v));
	}
	return 0;
}

/* References of an index to a manifest, in order. */
static json_t *references(const json_t *index, const char *manifest)
{
	json_t *out = json_array(), *m;
	size_t i;

	json_array_foreach(json_object_get(index, "manifests"), i, m)
	{
		if (strcmp(command_str(m, "digest"), manifest) == 0)
			json_array_append(
				out, json_object_get(json_object_get(m, "annotations"), OCI_REF));
	}
	return out;
}

/* ---- one image ---- */

static int compare_image(struct pair *p, struct err *e)
{
	CLEAN(json) json_t *names = references(p->index, p->was);
	CLEAN(json) json_t *new_names = references(p->new_index, p->is);

	if (check_blobs(p, p->was, e))
		return -1;
	if (!json_equal(names, new_names))
		compare_documents(p, "references", names, new_names);
	if (p->damaged)
		return 0;
	if (strcmp(p->was, p->is) == 0)
		return compare_attached(p, e);
	CLEAN(json) json_t *m = oci_get_json(p->there->dir, p->was, e);
	CLEAN(json) json_t *n = m ? oci_get_json(p->again->dir, p->is, e) : NULL;

	if (!m || !n)
		return -1;
	const char *config = command_str(json_object_get(m, "config"), "digest");
	const char *new = command_str(json_object_get(n, "config"), "digest");
	CLEAN(json) json_t *c = oci_get_json(p->there->dir, config, e);
	CLEAN(json) json_t *k = c ? oci_get_json(p->again->dir, new, e) : NULL;

	if (!c || !k || compare_layers(p, m, n, c, k, e))
		return -1;
	/* a layer that differs changes the documents too: that is no news */
	if (json_array_size(p->differences))
		return 0;
	if (strcmp(config, new) != 0)
		compare_documents(p, "config", c, k);
	else
		compare_documents(p, "manifest", m, n);
	return 0;
}

static const char *manifest_of(const json_t *index, const char *name)
{
	json_t *m;
	size_t i;

	json_array_foreach(json_object_get(index, "manifests"), i, m)
	{
		if (strcmp(command_str(json_object_get(m, "annotations"), OCI_REF), name) == 0)
			return command_str(m, "digest");
	}
	return NULL;
}

static int compare_all(struct build *there, struct build *again, json_t *rows, struct err *e)
{
	CLEAN(json_doc) struct json_doc index = {0};
	CLEAN(json_doc) struct json_doc new_index = {0};
	char path[4096];

	snprintf(path, sizeof(path), "%s/index.json", there->dir);
	if (json_parse_file(&index, path, MAX_INDEX, e))
		return -1;
	snprintf(path, sizeof(path), "%s/index.json", again->dir);
	if (json_parse_file(&new_index, path, MAX_INDEX, e))
		return -1;
	for (size_t i = 0; i < again->n; i++) {
		const char *name = again->v[i].spec->name;
		CLEAN(json) json_t *differences = json_array();
		struct pair p = {.there = there,
				 .again = again,
				 .was = manifest_of(index.root, name),
				 .is = manifest_of(new_index.root, name),
				 .index = index.root,
				 .new_index = new_index.root,
				 .differences = differences};

		if (!again->v[i].wanted)
			continue;
		if (!p.is)
			return err_set(e, ERR_INTERNAL, "%s was not built again", name);
		if (p.was && compare_image(&p, e))
			return err_wrap(e, "%s", name);
		json_array_append_new(rows, json_pack("{s:s, s:s, s:s?, s:s, s:O}", "name", name,
						      "result",
						      !p.was			     ? "missing"
						      : p.damaged		     ? "damaged"
						      : json_array_size(differences) ? "differs"
										     : "same",
						      "manifest", p.was, "rebuilt", p.is,
						      "differences", differences));
	}
	return 0;
}

/* ---- the command ---- */

/* Says why nothing can be the same, before the long work. */
static int check_inputs(struct build *there, struct err *e)
{
	for (size_t i = 0; i < there->n; i++) {
		struct build_image *im = &there->v[i];
		json_t *old = json_object_get(there->known, im->spec->name);

		if (!im->wanted || !old)
			continue;
		if (build_inputs(there, im, e))
			return -1;
		if (strcmp(command_str(old, "inputs"), im->inputs) != 0)
			options_note("warning: the inputs of %s changed since it was built: run "
				     "`ocibuild build` first, or differences say nothing",
				     im->spec->name);
	}
	return 0;
}

/* Whether any rootfs is among what is built again. */
static bool has_rootfs(const struct build *b)
{
	for (size_t i = 0; i < b->n; i++)
		for (const struct build_image *im = b->v[i].wanted ? &b->v[i] : NULL; im;
		     im = im->base)
			if (im->is_rootfs)
				return true;
	return false;
}

static void print_differences(const json_t *rows)
{
	CLEAN(table) struct table *t = table_new();
	json_t *r, *d;
	size_t i, k;

	table_col(t, "IMAGE", TABLE_LEFT);
	table_col(t, "WHERE", TABLE_LEFT);
	table_col(t, "PATH", TABLE_LEFT);
	table_col(t, "WHAT", TABLE_LEFT);
	table_col(t, "WAS", TABLE_FLEX);
	table_col(t, "IS", TABLE_FLEX);
	json_array_foreach(rows, i, r)
	{
		json_array_foreach(json_object_get(r, "differences"), k, d)
		{
			table_text(t, command_str(r, "name"));
			table_text(t, command_str(d, "where"));
			table_text(t, command_str(d, "path"));
			table_text(t, command_str(d, "what"));
			table_text(t, command_str(d, "was"));
			table_text(t, command_str(d, "is"));
		}
	}
	putchar('\n');
	table_print(t, stdout);
}

static int print(const struct cli *c, json_t *rows, bool kept, struct err *e)
{
	CLEAN(table) struct table *t = table_new();
	bool same = true, differences = false;
	json_t *r;
	size_t i;

	table_col(t, "IMAGE", TABLE_LEFT);
	table_col(t, "RESULT", TABLE_LEFT);
	table_col(t, "MANIFEST", TABLE_LEFT);
	json_array_foreach(rows, i, r)
	{
		table_text(t, command_str(r, "name"));
		table_text(t, command_str(r, "result"));
		table_fmt(t, "%.12s", command_str(r, "rebuilt") + 7);
		same = same && strcmp(command_str(r, "result"), "same") == 0;
		differences = differences || json_array_size(json_object_get(r, "differences"));
	}
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *o = json_pack("{s:b, s:b, s:O}", "same", same, "rootfs_kept",
						  kept, "images", rows);

		if (!o || json_print(o, stdout, e))
			return -1;
	} else {
		table_print(t, stdout);
		if (differences)
			print_differences(rows);
	}
	return same ? 0 : EXIT_DIFFERS;
}

/* Builds in a folder of its own; nothing of an earlier one is in it. */
static int build_again(const struct cli *c, struct build *there, struct build *again,
		       const char *dir, bool keep, struct err *e)
{
	int64_t jobs = 0;

	if (cli_int(c, "jobs", 1, 64, &jobs, e) || build_open_in(again, there->cur, dir, e))
		return -1;
	for (size_t i = 0; i < again->n; i++)
		again->v[i].wanted = there->v[i].wanted;
	again->jobs = (unsigned)jobs;
	again->like = there->known;
	again->root = keep ? there->cur->build : dir;
	return build_run(again, e);
}

int images_verify(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(build) struct build there = {0};
	CLEAN(build) struct build again = {0};
	CLEAN(json) json_t *rows = json_array();
	char dir[3072], path[4096];
	bool keep = cli_has(c, "keep-rootfs");
	int rc;

	if (command_open(c, &cur, &there, e))
		return -1;
	snprintf(path, sizeof(path), "%s/index.json", there.dir);
	if (access(path, F_OK) < 0)
		return err_set(e, ERR_NOT_FOUND, "no image is built: run `ocibuild build`");
	if (check_inputs(&there, e))
		return -1;
	snprintf(dir, sizeof(dir), "%s/verify", cur.build);
	snprintf(path, sizeof(path), "%s/.verify.lock", cur.build);
	CLEAN(fd) int held = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (held < 0 || flock(held, LOCK_EX) < 0)
		return err_errno(e, ERR_IO, "cannot lock %s", path);
	/* what a killed run left */
	if (run_remove_tree(dir, e) || file_mkdirs(dir, 0755, e))
		return -1;
	keep = keep && has_rootfs(&there);
	if (keep)
		options_note("the rootfs was taken as it is, not made again");
	rc = build_again(c, &there, &again, dir, keep, e);
	if (rc == 0)
		rc = compare_all(&there, &again, rows, e);
	if (run_remove_tree(dir, rc ? NULL : e) || rc)
		return -1;
	return print(c, rows, keep, e);
}
