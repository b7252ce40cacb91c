#include "ocibuild/oci/diff.h"

#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "json/json.h"

/* ---- versions ---- */

/* Of a character that is no digit: ~ before the end, letters before all else. */
static int weight(int c)
{
	if (c == '~')
		return -1;
	if (!c || (c >= '0' && c <= '9'))
		return 0;
	if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return c;
	return c + 256;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits without leading zeros: the longer one is larger. */
static int compare_digits(const char **a, const char **b)
{
	size_t n, m;
	int c;

	*a += strspn(*a, "0");
	*b += strspn(*b, "0");
	n = strspn(*a, "0123456789");
	m = strspn(*b, "0123456789");
	c = n == m ? strncmp(*a, *b, n) : n < m ? -1 : 1;
	*a += n;
	*b += m;
	return c;
}

static int compare_part(const char *a, const char *b)
{
	while (*a || *b) {
		while ((*a && !is_digit(*a)) || (*b && !is_digit(*b))) {
			int c = weight((unsigned char)*a) - weight((unsigned char)*b);

			if (c)
				return c;
			a += *a != '\0';
			b += *b != '\0';
		}
		int c = compare_digits(&a, &b);

		if (c)
			return c;
	}
	return 0;
}

/* [epoch:]upstream[-revision] */
static void split(const char *v, char epoch[static 16], char upstream[static 256],
		  char revision[static 256])
{
	const char *colon = strchr(v, ':'), *dash;

	snprintf(epoch, 16, "%.*s", colon ? (int)(colon - v) : 0, v);
	v = colon ? colon + 1 : v;
	dash = strrchr(v, '-');
	snprintf(upstream, 256, "%.*s", dash ? (int)(dash - v) : (int)strlen(v), v);
	snprintf(revision, 256, "%s", dash ? dash + 1 : "");
}

int diff_version(const char *a, const char *b)
{
	char p[3][256], q[3][256];

	split(a, p[0], p[1], p[2]);
	split(b, q[0], q[1], q[2]);
	for (size_t i = 0; i < 3; i++) {
		int c = compare_part(p[i], q[i]);

		if (c)
			return c;
	}
	return 0;
}

/* ---- reading ---- */

/* The value of a field that begins this line. */
static bool field(const char *line, size_t n, const char *name, char *out, size_t cap)
{
	size_t k = strlen(name);

	if (n <= k + 1 || strncmp(line, name, k) != 0 || line[k] != ':')
		return false;
	k++;
	while (k < n && line[k] == ' ')
		k++;
	snprintf(out, cap, "%.*s", n - k < cap ? (int)(n - k) : (int)cap - 1, line + k);
	return true;
}

/* Paragraphs of dpkg's status: name, version and, where there is one, the state. */
static json_t *read_paragraphs(const char *p, size_t n)
{
	char name[256] = "", version[256] = "", state[64] = "";
	json_t *list = json_array();

	for (size_t at = 0; at <= n;) {
		const char *nl = at < n ? memchr(p + at, '\n', n - at) : NULL;
		size_t len = nl ? (size_t)(nl - (p + at)) : n - at;

		if (len == 0) {
			if (*name && *version && (!*state || strstr(state, " installed")))
				json_array_append_new(list, json_pack("[s, s]", name, version));
			*name = *version = *state = '\0';
		} else if (!field(p + at, len, "Package", name, sizeof(name)) &&
			   !field(p + at, len, "Version", version, sizeof(version))) {
			field(p + at, len, "Status", state, sizeof(state));
		}
		at += len + 1;
	}
	if (*name && *version && (!*state || strstr(state, " installed")))
		json_array_append_new(list, json_pack("[s, s]", name, version));
	return list;
}

static int see_file(struct view_entry *t, const uint8_t *p, size_t n, void *arg, struct err *e)
{
	struct diff_side *s = arg;
	size_t k = strlen(t->path);
	bool one = strncmp(t->path, "var/lib/dpkg/status.d/", 22) == 0 &&
		   (k < 8 || strcmp(t->path + k - 8, ".md5sums") != 0);

	if (!one && strcmp(t->path, "var/lib/dpkg/status") != 0)
		return 0;
	if (json_object_set_new(s->lists, t->path, read_paragraphs((const char *)p, n)))
		return err_set(e, ERR_NOMEM, NULL);
	return 0;
}

int diff_read(struct diff_side *s, struct err *e)
{
	struct view_src src = {
		.dir = s->dir, .ref = s->ref, .fn = see_file, .arg = s, .progress = s->progress};
	const char *path;
	json_t *list, *v;
	size_t i;

	s->lists = json_object();
	s->packages = json_object();
	if (!s->lists || !s->packages)
		return err_set(e, ERR_NOMEM, NULL);
	if (view_open(&s->view, &src, e))
		return -1;
	json_object_foreach(s->lists, path, list)
	{
		/* a later layer may have taken it away */
		if (!view_find(&s->view, path, false))
			continue;
		json_array_foreach(list, i, v) json_object_set(
			s->packages, json_string_value(json_array_get(v, 0)), json_array_get(v, 1));
	}
	return 0;
}

void diff_side_free(struct diff_side *s)
{
	view_free(&s->view);
	json_decref(s->lists);
	json_decref(s->packages);
	*s = (struct diff_side){0};
}

/* ---- files ---- */

static const char *type_of(const struct view_entry *t)
{
	switch (t->mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "link";
	default:
		return "special";
	}
}

static void put(json_t *what, const char *attribute, json_t *a, json_t *b)
{
	if ((a || b) && !json_equal(a, b))
		json_array_append_new(what, json_pack("{s:s, s:O?, s:O?}", "attribute", attribute,
						      "a", a, "b", b));
	json_decref(a);
	json_decref(b);
}

static json_t *xattrs(const struct view_entry *t)
{
	json_t *o = json_object();

	for (size_t i = 0; t && i < t->nxattr; i++) {
		size_t n = t->xattr[i].len < 1024 ? t->xattr[i].len : 1024;
		char hex[2049];

		enc_hex(hex, t->xattr[i].value, n);
		json_object_set_new(o, t->xattr[i].name, json_string(hex));
	}
	return o;
}

static json_t *digest_of(const struct view_entry *t)
{
	char hex[65];

	if (!t || !S_ISREG(t->mode))
		return NULL;
	enc_hex(hex, t->sha256, sizeof(t->sha256));
	return json_string(hex);
}

/* One attribute of an entry, NULL: it has none. */
static json_t *attribute(const struct view_entry *t, const char *name)
{
	if (!t)
		return NULL;
	if (strcmp(name, "type") == 0)
		return json_string(type_of(t));
	if (strcmp(name, "mode") == 0)
		return S_ISLNK(t->mode) ? NULL : json_sprintf("%04o", t->mode & 07777u);
	if (strcmp(name, "owner") == 0)
		return json_sprintf("%u:%u", t->uid, t->gid);
	if (strcmp(name, "size") == 0)
		return S_ISREG(t->mode) ? json_integer((json_int_t)t->size) : NULL;
	if (strcmp(name, "sha256") == 0)
		return digest_of(t);
	if (strcmp(name, "link") == 0)
		return t->link ? view_text(t->link) : NULL;
	if (strcmp(name, "device") == 0)
		return t->major || t->minor ? json_sprintf("%u:%u", t->major, t->minor) : NULL;
	return t->nxattr ? xattrs(t) : NULL;
}

static void compare_entries(json_t *out, const struct view_entry *a, const struct view_entry *b)
{
	static const char *const names[] = {"type",   "mode", "owner",	"size",
					    "sha256", "link", "device", "xattrs"};
	json_t *what = json_array();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		put(what, names[i], attribute(a, names[i]), attribute(b, names[i]));
	if (json_array_size(what))
		json_array_append_new(out, json_pack("{s:o, s:s, s:O}", "path",
						     view_text(a ? a->path : b->path), "change",
						     !a	  ? "added"
						     : !b ? "removed"
							  : "changed",
						     "what", what));
	json_decref(what);
}

static json_t *diff_files(const struct view *a, const struct view *b)
{
	json_t *out = json_array();
	size_t i = 0, k = 0;

	while (i < a->n || k < b->n) {
		int c = i == a->n ? 1 : k == b->n ? -1 : strcmp(a->v[i]->path, b->v[k]->path);

		compare_entries(out, c <= 0 ? a->v[i] : NULL, c >= 0 ? b->v[k] : NULL);
		i += c <= 0;
		k += c >= 0;
	}
	return out;
}

/* ---- packages, configuration ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Keys of both, in order; the caller frees. */
static const char **all_keys(const json_t *a, const json_t *b, size_t *n)
{
	const char **keys = calloc(json_object_size(a) + json_object_size(b) + 1, sizeof(*keys));
	const char *key;
	json_t *v;

	*n = 0;
	if (!keys)
		return NULL;
	json_object_foreach((json_t *)(uintptr_t)a, key, v) keys[(*n)++] = key;
	json_object_foreach((json_t *)(uintptr_t)b, key, v)
	{
		if (!json_object_get(a, key))
			keys[(*n)++] = key;
	}
	qsort(keys, *n, sizeof(*keys), by_text);
	return keys;
}

static json_t *diff_packages(const json_t *a, const json_t *b)
{
	size_t n;
	CLEAN(free) const char **keys = all_keys(a, b, &n);
	json_t *out = keys ? json_array() : NULL;

	for (size_t i = 0; i < n; i++) {
		json_t *p = json_object_get(a, keys[i]), *q = json_object_get(b, keys[i]);
		int c = p && q ? diff_version(json_string_value(p), json_string_value(q)) : 0;

		if (p && q && json_equal(p, q))
			continue;
		json_array_append_new(out, json_pack("{s:s, s:s, s:O?, s:O?}", "package", keys[i],
						     "change",
						     !p	     ? "added"
						     : !q    ? "removed"
						     : c < 0 ? "upgraded"
						     : c > 0 ? "downgraded"
							     : "changed",
						     "a", p, "b", q));
	}
	return out;
}

/* Objects and lists of NAME=VALUE become one row a member: "config.Env.PATH". */
static void flatten(json_t *out, const char *prefix, json_t *v)
{
	char key[512];
	const char *name;
	json_t *w;
	size_t i;

	if (json_is_array(v) && strcmp(prefix, "config.Env") == 0) {
		json_array_foreach(v, i, w)
		{
			const char *s = json_string_value(w), *eq = s ? strchr(s, '=') : NULL;

			snprintf(key, sizeof(key), "%s.%.*s", prefix, eq ? (int)(eq - s) : 0,
				 s ? s : "");
			json_object_set_new(out, key, json_string(eq ? eq + 1 : ""));
		}
		return;
	}
	if (!json_is_object(v)) {
		json_object_set(out, prefix, v);
		return;
	}
	json_object_foreach(v, name, w)
	{
		/* the layers are not what the image is */
		if (!*prefix && (strcmp(name, "rootfs") == 0 || strcmp(name, "history") == 0))
			continue;
		snprintf(key, sizeof(key), "%s%s%s", prefix, *prefix ? "." : "", name);
		/* {} is a member of Volumes and ExposedPorts */
		if (json_is_object(w) && !json_object_size(w))
			json_object_set_new(out, key, json_true());
		else
			flatten(out, key, w);
	}
}

static json_t *diff_config(json_t *a, json_t *b)
{
	CLEAN(json) json_t *p = json_object();
	CLEAN(json) json_t *q = json_object();
	json_t *out;
	size_t n;

	flatten(p, "", a);
	flatten(q, "", b);
	CLEAN(free) const char **keys = all_keys(p, q, &n);

	out = keys ? json_array() : NULL;
	for (size_t i = 0; i < n; i++) {
		json_t *v = json_object_get(p, keys[i]), *w = json_object_get(q, keys[i]);

		if (!v || !w || !json_equal(v, w))
			json_array_append_new(out, json_pack("{s:s, s:O?, s:O?}", "key", keys[i],
							     "a", v, "b", w));
	}
	return out;
}

json_t *diff_images(const struct diff_side *a, const struct diff_side *b)
{
	return json_pack("{s:o, s:o, s:o}", "files", diff_files(&a->view, &b->view), "packages",
			 diff_packages(a->packages, b->packages), "config",
			 diff_config(a->view.config, b->view.config));
}
