/* diff: what two images differ in. */
#include <pthread.h>
#include <string.h>

#include "base/cleanup.h"
#include "ocibuild/assemble/command.h"
#include "ocibuild/images.h"
#include "ocibuild/oci/diff.h"
#include "ocibuild/options.h"
#include "ui/table.h"
#include "json/json.h"

static void append(char *out, size_t cap, const char *text)
{
	size_t n = strlen(out);

	snprintf(out + n, cap - n, "%s%s", n ? ", " : "", text);
}

/* A value in a cell: text as it is, else JSON. */
static void show(const json_t *v, char out[static 512])
{
	char *s = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY);

	snprintf(out, 512, "%s", json_is_string(v) ? json_string_value(v) : s ? s : "-");
	free(s);
}

/* "mode 0755 to 0644, content": of what was added or removed only what it is. */
static void describe(const json_t *file, char *out, size_t cap)
{
	bool changed = strcmp(command_str(file, "change"), "changed") == 0;
	bool added = strcmp(command_str(file, "change"), "added") == 0;
	char a[512], b[512], one[1200];
	json_t *w;
	size_t i;

	out[0] = '\0';
	json_array_foreach(json_object_get(file, "what"), i, w)
	{
		const char *name = command_str(w, "attribute");

		show(json_object_get(w, "a"), a);
		show(json_object_get(w, "b"), b);
		if (strcmp(name, "sha256") == 0)
			snprintf(one, sizeof(one), "content %.12s to %.12s", a, b);
		else
			snprintf(one, sizeof(one), "%s %s to %s", name, a, b);
		if (changed)
			append(out, cap, one);
		else if (strcmp(name, "sha256") != 0)
			append(out, cap, added ? b : a);
	}
}

static void print_files(const json_t *files)
{
	CLEAN(table) struct table *t = table_new();
	char what[4096];
	json_t *f;
	size_t i;

	if (!json_array_size(files))
		return;
	table_col(t, "FILE", TABLE_LEFT);
	table_col(t, "CHANGE", TABLE_LEFT);
	table_col(t, "WHAT", TABLE_FLEX);
	json_array_foreach(files, i, f)
	{
		describe(f, what, sizeof(what));
		table_fmt(t, "/%s", command_str(f, "path"));
		table_text(t, command_str(f, "change"));
		table_text(t, what);
	}
	table_print(t, stdout);
	putchar('\n');
}

/* Rows of {key, [change], a, b}. */
static void print_pairs(const json_t *rows, const char *title, const char *key)
{
	CLEAN(table) struct table *t = table_new();
	char a[512], b[512];
	json_t *v;
	size_t i;

	if (!json_array_size(rows))
		return;
	table_col(t, title, TABLE_LEFT);
	table_col(t, "CHANGE", TABLE_LEFT);
	table_col(t, "A", TABLE_FLEX);
	table_col(t, "B", TABLE_FLEX);
	json_array_foreach(rows, i, v)
	{
		const json_t *p = json_object_get(v, "a"), *q = json_object_get(v, "b");
		const char *change = command_str(v, "change");

		show(p, a);
		show(q, b);
		table_text(t, command_str(v, key));
		table_text(t, *change		? change
			      : json_is_null(p) ? "added"
			      : json_is_null(q) ? "removed"
						: "changed");
		table_text(t, json_is_null(p) ? NULL : a);
		table_text(t, json_is_null(q) ? NULL : b);
	}
	table_print(t, stdout);
	putchar('\n');
}

/* One of two sides that are read at the same time. */
struct half {
	struct diff_side *side;
	struct err err;
	int rc;
};

static void *read_half(void *arg)
{
	struct half *h = arg;

	h->rc = diff_read(h->side, &h->err);
	return NULL;
}

static int read_both(struct diff_side *a, struct diff_side *b, struct err *e)
{
	struct half x = {.side = a}, y = {.side = b};
	pthread_t thread;
	bool started = pthread_create(&thread, NULL, read_half, &x) == 0;

	read_half(&y);
	if (started)
		pthread_join(thread, NULL);
	else
		read_half(&x);
	if (!x.rc && !y.rc)
		return 0;
	return err_set(e, x.rc ? x.err.code : y.err.code, "%s", x.rc ? x.err.text : y.err.text);
}

static int open_side(const struct cli *c, int i, struct diff_side *s, struct unpack *u,
		     char dir[static 4096], uint64_t *bytes, struct err *e)
{
	struct current cur = {0};
	char layout[4096], digest[OCI_DIGEST_LEN];

	options_current(c, &cur);
	snprintf(layout, sizeof(layout), "%s/images", cur.build);
	if (command_locate(layout, c->argv[i], u, dir, &s->ref, e))
		return -1;
	s->dir = dir;
	return view_resolve(dir, s->ref, digest, bytes, e);
}

static int report(const struct cli *c, const struct diff_side *a, const struct diff_side *b,
		  struct err *e)
{
	CLEAN(json) json_t *d = diff_images(a, b);
	size_t files, packages, config;
	bool differ;

	if (!d)
		return err_set(e, ERR_NOMEM, NULL);
	files = json_array_size(json_object_get(d, "files"));
	packages = json_array_size(json_object_get(d, "packages"));
	config = json_array_size(json_object_get(d, "config"));
	differ = files || packages || config;
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *o =
			json_pack("{s:{s:s, s:s}, s:{s:s, s:s}, s:b}", "a", "image", c->argv[0],
				  "digest", a->view.digest, "b", "image", c->argv[1], "digest",
				  b->view.digest, "equal", !differ);

		if (!o || json_object_update(o, d))
			return err_set(e, ERR_NOMEM, NULL);
		return json_print(o, stdout, e) ? -1 : differ;
	}
	print_files(json_object_get(d, "files"));
	print_pairs(json_object_get(d, "packages"), "PACKAGE", "package");
	print_pairs(json_object_get(d, "config"), "CONFIGURATION", "key");
	if (differ)
		printf("%zu paths, %zu packages and %zu settings differ\n", files, packages,
		       config);
	else if (strcmp(a->view.digest, b->view.digest) == 0)
		printf("they are the same image, %s\n", a->view.digest);
	else
		printf("nothing differs but times, layers or compression: %.19s and %.19s\n",
		       a->view.digest, b->view.digest);
	return differ;
}

int images_diff(struct cli *c, struct err *e)
{
	CLEAN(diff_side) struct diff_side a = {0};
	CLEAN(diff_side) struct diff_side b = {0};
	CLEAN(unpack) struct unpack ua = {0};
	CLEAN(unpack) struct unpack ub = {0};
	struct progress progress;
	char dir[2][4096];
	uint64_t bytes[2];
	int rc;

	if (open_side(c, 0, &a, &ua, dir[0], &bytes[0], e) ||
	    open_side(c, 1, &b, &ub, dir[1], &bytes[1], e))
		return -1;
	progress_start(&progress, "reading images", bytes[0] + bytes[1], PROGRESS_BYTES);
	a.progress = b.progress = &progress;
	rc = read_both(&a, &b, e);
	progress_end(&progress);
	return rc ? -1 : report(c, &a, &b, e);
}
