#include "ocibuild/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

void image_free(struct image *im)
{
	free(im->files);
	free(im->users);
	json_decref(im->groups);
	json_decref(im->config);
	*im = (struct image){0};
}

const char *image_str(const struct image *im, const char *key)
{
	const char *s = json_string_value(json_object_get(im->config, key));

	return s ? s : "";
}

/* "65532:65532": numbers, so that Kubernetes can tell that it is not root. */
static bool parse_owner(const char *s, uint32_t *uid, uint32_t *gid)
{
	char *end;
	unsigned long u, g;

	if (*s < '0' || *s > '9')
		return false;
	u = strtoul(s, &end, 10);
	if (*end != ':' || end[1] < '0' || end[1] > '9')
		return false;
	g = strtoul(end + 1, &end, 10);
	*uid = (uint32_t)u;
	*gid = (uint32_t)g;
	return !*end && u < 65536 && g < 65536;
}

void image_untitled(struct image *im)
{
	json_object_del(im->config, "title");
}

/* ---- the stanza `image` ---- */

bool image_is_owner(const char *s)
{
	uint32_t u, g;

	return parse_owner(s, &u, &g);
}

static bool is_absolute(const char *s)
{
	return *s == '/' && !strstr(s, "//") && !strstr(s, "/..");
}

static bool is_port(const char *s)
{
	char *end;
	unsigned long n = *s >= '1' && *s <= '9' ? strtoul(s, &end, 10) : 0;

	return n && n < 65536 && (strcmp(end, "/tcp") == 0 || strcmp(end, "/udp") == 0);
}

static bool is_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

enum form { STR, LIST, MAP, HEALTH };

/* Keys of the stanza. What is typed becomes Config of the OCI image in oci.c. */
static const struct {
	const char *key;
	enum form form;
	bool (*good)(const char *s); /* of the string, each item or each value */
	const char *must;
} keys[] = {
	{"title", STR, is_text, "one line"},
	{"licenses", STR, is_text, "an SPDX expression"},
	{"version", STR, is_text, "\"project\" or the name of a package"},
	{"user", STR, image_is_owner, "two numbers, UID:GID"},
	{"workdir", STR, is_absolute, "an absolute path"},
	{"env", MAP, is_text, "text in one line"},
	{"entrypoint", LIST, is_text, "text in one line"},
	{"cmd", LIST, is_text, "text in one line"},
	{"ports", LIST, is_port, "NUMBER/tcp or NUMBER/udp"},
	{"volumes", LIST, is_absolute, "an absolute path"},
	{"stop_signal", STR, is_text, "the name of a signal"},
	{"healthcheck", HEALTH, is_text, "text in one line"},
	{"labels", MAP, is_text, "text in one line"},
	{"annotations", MAP, is_text, "text in one line"},
};
#define NKEYS (sizeof(keys) / sizeof(keys[0]))

static int check_string(const struct json_doc *d, const json_t *parent, const char *key, size_t i,
			const json_t *v, size_t row, struct err *e)
{
	const char *s = json_string_value(v);

	if (!s)
		return json_complain(d, parent, key, i, e, "this must be a string: %s",
				     keys[row].must);
	if (!keys[row].good(s))
		return json_complain(d, parent, key, i, e, "'%.60s' is not %s", s, keys[row].must);
	return 0;
}

/* The command, and seconds; those that are absent are the engine's. */
static int check_health(const struct json_doc *d, const json_t *stanza, json_t *v, size_t row,
			struct err *e)
{
	json_t *command = NULL;
	int64_t seconds[4];
	const struct json_want want[] = {
		{.key = "command", .kind = JSON_IS_ARR, .out = &command, .need = true},
		{.key = "interval",
		 .kind = JSON_IS_INT,
		 .out = &seconds[0],
		 .min = 1,
		 .max = 86400},
		{.key = "timeout", .kind = JSON_IS_INT, .out = &seconds[1], .min = 1, .max = 86400},
		{.key = "start_period",
		 .kind = JSON_IS_INT,
		 .out = &seconds[2],
		 .min = 1,
		 .max = 86400},
		{.key = "retries", .kind = JSON_IS_INT, .out = &seconds[3], .min = 1, .max = 1000},
		{0},
	};
	json_t *item;
	size_t i;

	if (json_fields(d, v, want, e))
		return -1;
	if (!json_array_size(command))
		return json_complain(d, stanza, "healthcheck", 0, e, "its command is empty");
	json_array_foreach(command, i, item)
	{
		if (check_string(d, command, NULL, i, item, row, e))
			return -1;
	}
	return 0;
}

static int check_value(const struct json_doc *d, const json_t *stanza, json_t *v, size_t row,
		       struct err *e)
{
	const char *name;
	json_t *item;
	size_t i;

	if (keys[row].form == STR)
		return check_string(d, stanza, keys[row].key, 0, v, row, e);
	if (keys[row].form == HEALTH)
		return check_health(d, stanza, v, row, e);
	json_array_foreach(v, i, item)
	{
		if (check_string(d, v, NULL, i, item, row, e))
			return -1;
	}
	json_object_foreach(v, name, item)
	{
		if (check_string(d, v, name, 0, item, row, e))
			return -1;
		if (!*name || strpbrk(name, "= \t\n"))
			return json_complain(d, v, name, 0, e, "malformed name '%.60s'", name);
	}
	return 0;
}

/* Lists and strings replace those of the base (empty ones take them away), objects are
 * merged by key. */
static int merge(struct image *im, const char *key, json_t *v, struct err *e)
{
	json_t *old = json_object_get(im->config, key);
	int rc;

	if (json_is_object(v) && old)
		rc = json_object_update(old, v);
	else if (!json_is_object(v) && !json_array_size(v) && !json_string_length(v))
		rc = old ? json_object_del(im->config, key) : 0;
	else
		rc = json_object_set_new(im->config, key, json_deep_copy(v));
	/* the base's arguments are not for another program */
	if (rc == 0 && strcmp(key, "entrypoint") == 0)
		json_object_del(im->config, "cmd");
	return rc ? err_set(e, ERR_NOMEM, NULL) : 0;
}

static int take_stanza(struct image *im, const struct json_doc *d, json_t *stanza, bool own,
		       struct err *e)
{
	json_t *v[NKEYS] = {0};
	const char *str[NKEYS] = {0};
	struct json_want want[NKEYS + 1] = {0};

	for (size_t i = 0; i < NKEYS; i++)
		want[i] = (struct json_want){.key = keys[i].key,
					     .kind = keys[i].form == STR    ? JSON_IS_STR
						     : keys[i].form == LIST ? JSON_IS_ARR
									    : JSON_IS_OBJ,
					     .out = keys[i].form == STR ? (void *)&str[i]
									: (void *)&v[i]};
	if (json_fields(d, stanza, want, e))
		return -1;
	image_untitled(im);
	for (size_t i = 0; i < NKEYS; i++) {
		if (str[i])
			v[i] = json_object_get(stanza, keys[i].key);
		if (v[i] && (check_value(d, stanza, v[i], i, e) || merge(im, keys[i].key, v[i], e)))
			return -1;
	}
	im->is = im->is || own;
	return 0;
}

/* ---- users and files ---- */

static bool good_account(const char *s)
{
	return *s && strlen(s) < 32 &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_-")] == '\0' && *s != '-';
}

static int take_users(struct image *im, const struct json_doc *d, const json_t *arr, struct err *e)
{
	size_t n = json_array_size(arr);

	struct image_user *v = reallocarray(im->users, im->nusers + n + 1, sizeof(*v));

	if (!v)
		return err_set(e, ERR_NOMEM, NULL);
	im->users = v;
	for (size_t i = 0; i < n; i++) {
		struct image_user *u = &im->users[im->nusers];
		const struct json_want want[] = {
			{.key = "name", .kind = JSON_IS_STR, .out = &u->name, .need = true},
			{.key = "uid",
			 .kind = JSON_IS_INT,
			 .out = &u->uid,
			 .need = true,
			 .max = 65535},
			{.key = "gid", .kind = JSON_IS_INT, .out = &u->gid, .max = 65535},
			{.key = "home", .kind = JSON_IS_STR, .out = &u->home, .need = true},
			{0},
		};

		*u = (struct image_user){.gid = -1, .item = json_array_get(arr, i)};
		if (!json_is_object(u->item))
			return json_complain(d, arr, NULL, i, e, "a user has name, uid and home");
		if (json_fields(d, u->item, want, e))
			return -1;
		if (u->gid < 0)
			u->gid = u->uid;
		if (!good_account(u->name) || !is_absolute(u->home) || strchr(u->home, ':') ||
		    !is_text(u->home))
			return json_complain(d, arr, NULL, i, e, "malformed name or home");
		im->nusers++;
	}
	return 0;
}

static int take_groups(struct image *im, const struct json_doc *d, json_t *obj, struct err *e)
{
	const char *name;
	json_t *v;

	json_object_foreach(obj, name, v)
	{
		json_int_t n = json_integer_value(v);

		if (!good_account(name) || !json_is_integer(v) || n < 0 || n > 65535)
			return json_complain(d, obj, name, 0, e, "a group is NAME: NUMBER");
	}
	if (!im->groups && !(im->groups = json_object()))
		return err_set(e, ERR_NOMEM, NULL);
	return json_object_update(im->groups, obj) ? err_set(e, ERR_NOMEM, NULL) : 0;
}

static bool good_path(const char *p)
{
	size_t n = strlen(p);

	if (!n || n > 200 || p[0] == '/' || strstr(p, "//") || !is_text(p))
		return false;
	for (const char *s = p; *s; s += strcspn(s, "/"), s += *s == '/') {
		size_t k = strcspn(s, "/");

		if ((k == 1 && s[0] == '.') || (k == 2 && s[0] == '.' && s[1] == '.'))
			return false;
	}
	return true;
}

static int parse_mode(const char *s, int *mode)
{
	char *end;
	unsigned long m = strtoul(s, &end, 8);

	if (!*s || *end || s[strspn(s, "01234567")] || m > 07777)
		return -1;
	*mode = (int)m;
	return 0;
}

static int check_file(struct image_file *f, const struct json_doc *d, const json_t *arr, size_t i,
		      const char *mode, const char *owner, struct err *e)
{
	int kinds = (f->copy != NULL) + (f->link != NULL) + (f->text != NULL) + (f->set != NULL);
	bool folder = f->copy && strcmp(f->path, "/") == 0;

	f->dir = !folder && *f->path && f->path[strlen(f->path) - 1] == '/';
	if (!folder && !good_path(f->path))
		return json_complain(d, arr, NULL, i, e, "malformed path '%.80s'", f->path);
	if (f->names && !(f->dir && f->link && kinds == 1 && json_array_size(f->names)))
		return json_complain(
			d, arr, NULL, i, e,
			"names are of links in a directory: path ends with /, and link "
			"is their target");
	for (size_t k = 0; f->names && k < json_array_size(f->names); k++) {
		const char *s = json_item_str(d, f->names, k, e);

		if (!s)
			return -1;
		if (!good_path(s) || strchr(s, '/'))
			return json_complain(d, f->names, NULL, k, e, "malformed name '%.60s'", s);
	}
	if (!f->names && kinds != (f->dir ? 0 : 1))
		return json_complain(d, arr, NULL, i, e,
				     "a file has one of copy, link, text and set; a directory "
				     "ends with / and has none");
	if (f->copy && !good_path(f->copy))
		return json_complain(d, arr, NULL, i, e, "malformed path '%.80s'", f->copy);
	if (f->link && (!*f->link || !is_text(f->link)))
		return json_complain(d, arr, NULL, i, e, "malformed target");
	f->mode = -1;
	if (mode && (f->link || parse_mode(mode, &f->mode)))
		return json_complain(d, arr, NULL, i, e,
				     "a mode is four octal digits, as \"0755\"");
	if (owner && !parse_owner(owner, &f->uid, &f->gid))
		return json_complain(d, arr, NULL, i, e, "an owner is two numbers, UID:GID");
	return 0;
}

/* Where a file goes: a new place, or that of the definition's which a variant replaces. */
static struct image_file *place_of(struct image *im, const struct image_file *f, size_t before)
{
	for (size_t i = 0; i < before; i++)
		if (!f->names && !im->files[i].names && strcmp(im->files[i].path, f->path) == 0 &&
		    strcmp(f->path, "/") != 0)
			return &im->files[i];
	return &im->files[im->nfiles++];
}

static int take_files(struct image *im, const struct json_doc *d, const json_t *arr, struct err *e)
{
	size_t n = json_array_size(arr), before = im->nfiles;
	struct image_file *v = reallocarray(im->files, before + n + 1, sizeof(*v));

	if (!v)
		return err_set(e, ERR_NOMEM, NULL);
	im->files = v;
	for (size_t i = 0; i < n; i++) {
		struct image_file f = {.item = json_array_get(arr, i)};
		const char *mode = NULL, *owner = NULL;
		const struct json_want want[] = {
			{.key = "path", .kind = JSON_IS_STR, .out = &f.path, .need = true},
			{.key = "copy", .kind = JSON_IS_STR, .out = &f.copy},
			{.key = "link", .kind = JSON_IS_STR, .out = &f.link},
			{.key = "names", .kind = JSON_IS_ARR, .out = &f.names},
			{.key = "text", .kind = JSON_IS_STR, .out = &f.text},
			{.key = "set", .kind = JSON_IS_OBJ, .out = &f.set},
			{.key = "mode", .kind = JSON_IS_STR, .out = &mode},
			{.key = "owner", .kind = JSON_IS_STR, .out = &owner},
			{0},
		};

		if (!json_is_object(f.item))
			return json_complain(d, arr, NULL, i, e, "a file has a path and more");
		if (json_fields(d, f.item, want, e) || check_file(&f, d, arr, i, mode, owner, e))
			return -1;
		*place_of(im, &f, before) = f;
	}
	return 0;
}

int image_take(struct image *im, const struct json_doc *d, const struct image_parts *p, bool own,
	       struct err *e)
{
	/* checked in a base too, although only the base's own layer has them */
	struct image other = {0};
	struct image *to = own ? im : &other;
	int rc = 0;

	if (!im->config && !(im->config = json_object()))
		return err_set(e, ERR_NOMEM, NULL);
	if (p->image)
		rc = take_stanza(im, d, p->image, own, e);
	if (rc == 0 && p->users)
		rc = take_users(to, d, p->users, e);
	if (rc == 0 && p->groups)
		rc = take_groups(to, d, p->groups, e);
	if (rc == 0 && p->files)
		rc = take_files(to, d, p->files, e);
	if (!own)
		image_free(&other);
	return rc;
}
