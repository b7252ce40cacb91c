#include "ocibuild/oci/view_tree.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_ENTRIES 1000000u
#define MAX_DEPTH 200u
#define MAX_LINKS 40

int view_tree_inode(struct view_entry *t, struct err *e)
{
	t->inode = calloc(1, sizeof(*t->inode));
	if (!t->inode)
		return err_set(e, ERR_NOMEM, NULL);
	t->inode->refs = 1;
	return 0;
}

void *view_tag(struct view_entry *t, size_t n)
{
	if (t->inode && !t->inode->tag)
		t->inode->tag = calloc(1, n);
	return t->tag = t->inode ? t->inode->tag : NULL;
}

void view_tree_clear(struct view_entry *t)
{
	struct view_inode *ino = t->inode;

	free(t->path);
	free(t->link);
	free(t->hard);
	if (ino && --ino->refs == 0) {
		for (size_t i = 0; i < t->nxattr; i++) {
			free(t->xattr[i].name);
			free(t->xattr[i].value);
		}
		free(t->xattr);
		free(ino->tag);
		free(ino);
	}
	*t = (struct view_entry){0};
}

int view_tree_same(struct view_entry *t, const struct view_entry *from, const char *name,
		   struct err *e)
{
	const unsigned layer = t->layer;
	char *path = t->path;

	*t = *from;
	t->layer = layer;
	t->path = path;
	if (t->inode)
		t->inode->refs++;
	t->hard = strdup(from->hard ? from->hard : name);
	t->link = from->link ? strdup(from->link) : NULL;
	return t->hard && (!from->link || t->link) ? 0 : err_set(e, ERR_NOMEM, NULL);
}

/* ---- nodes ---- */

static int by_name(const void *a, const void *b)
{
	const struct view_node *p = a, *q = b;

	return strcmp(p->name, q->name);
}

void view_tree_free(void *p)
{
	struct view_node *x = p;

	if (!x)
		return;
	tdestroy(x->kids, view_tree_free);
	view_tree_clear(&x->e);
	free(x->name);
	free(x);
}

struct view_node *view_tree_child(const struct view_node *dir, const char *name)
{
	struct view_node key = {.name = (char *)(uintptr_t)name};
	void *found = tfind(&key, &dir->kids, by_name);

	return found ? *(struct view_node **)found : NULL;
}

struct view_node *view_tree_new(struct view *v, struct view_node *up, const char *name,
				unsigned layer, struct err *e)
{
	struct view_node *x = calloc(1, sizeof(*x));

	/* links can make a name longer than it is written */
	if (v->nodes >= MAX_ENTRIES || (up && up->depth >= MAX_DEPTH)) {
		free(x);
		err_set(e, ERR_TOO_LARGE, "more than %u files, or directories deeper than %u",
			MAX_ENTRIES, MAX_DEPTH);
		return NULL;
	}
	if (x) {
		x->depth = up ? up->depth + 1 : 0;
		x->e.mode = S_IFDIR | 0755;
		x->e.layer = layer;
		x->up = up;
		x->name = strdup(name);
	}
	if (!x || !x->name || (up && !tsearch(x, &up->kids, by_name))) {
		view_tree_free(x);
		err_set(e, ERR_NOMEM, NULL);
		return NULL;
	}
	v->nodes++;
	return x;
}

struct listing {
	struct view_node **v;
	size_t n, cap;
	bool bad;
};

static void list_one(const void *p, VISIT when, void *arg)
{
	struct listing *l = arg;

	if (when != postorder && when != leaf)
		return;
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		struct view_node **v = reallocarray(l->v, cap, sizeof(*v));

		if (!v) {
			l->bad = true;
			return;
		}
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = *(struct view_node *const *)p;
}

static size_t count(const struct view_node *x)
{
	struct listing l = {0};
	size_t n = 1;

	twalk_r(x->kids, list_one, &l);
	for (size_t i = 0; i < l.n; i++)
		n += count(l.v[i]);
	free(l.v);
	return n;
}

void view_tree_drop(struct view *v, struct view_node *x)
{
	v->nodes -= count(x);
	tdelete(x, &x->up->kids, by_name);
	view_tree_free(x);
}

int view_tree_hide(struct view *v, struct view_node *x, unsigned layer, bool keep, struct err *e)
{
	struct listing l = {0};
	int rc = 0;

	twalk_r(x->kids, list_one, &l);
	if (l.bad)
		rc = err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		rc = view_tree_hide(v, l.v[i], layer, false, e);
	free(l.v);
	if (rc == 0 && !keep && x->e.layer < layer && !x->kids)
		view_tree_drop(v, x);
	return rc;
}

/* ---- names ---- */

/* One loop over the components; a link's target takes the place of what was read. */
struct view_node *view_tree_walk(const struct view_walk *w, const char *path, struct err *e)
{
	char rest[8300], next[8300];
	struct view_node *at = w->v->root;
	unsigned links = 0;

	if (snprintf(rest, sizeof(rest), "%s", path) >= 4200)
		return NULL;
	for (char *s = rest + strspn(rest, "/"); *s;) {
		size_t n = strcspn(s, "/");
		char *after = s + n + strspn(s + n, "/");
		bool last = !*after, slash = s[n] == '/';
		struct view_node *x;

		s[n] = '\0';
		if (!S_ISDIR(at->e.mode))
			return NULL;
		if (strcmp(s, "..") == 0)
			x = at->up ? at->up : at;
		else
			x = strcmp(s, ".") == 0 ? at : view_tree_child(at, s);
		if (!x && w->make)
			x = view_tree_new(w->v, at, s, w->layer, e);
		if (!x)
			return NULL;
		if (S_ISLNK(x->e.mode) && (!last || slash || w->follow)) {
			if (++links > MAX_LINKS || snprintf(next, sizeof(next), "%s%s%s", x->e.link,
							    slash ? "/" : "", after) >= 4200)
				return NULL;
			memcpy(rest, next, sizeof(rest));
			if (rest[0] == '/')
				at = w->v->root;
			s = rest + strspn(rest, "/");
			continue;
		}
		if (slash && !S_ISDIR(x->e.mode))
			return NULL;
		at = x;
		s = after;
	}
	return at;
}

const struct view_entry *view_find(const struct view *v, const char *path, bool follow)
{
	struct view_walk w = {.v = (struct view *)(uintptr_t)v, .follow = follow};
	struct view_node *x = view_tree_walk(&w, path, NULL);

	return x ? &x->e : NULL;
}

struct view_node *view_tree_parent(struct view *v, unsigned layer, char *path, const char **base,
				   struct err *e)
{
	struct view_walk w = {.v = v, .follow = true, .make = true, .layer = layer};
	char *slash = strrchr(path, '/');
	struct err mine = {0};
	struct view_node *up = v->root;

	*base = slash ? slash + 1 : path;
	if (slash) {
		*slash = '\0';
		up = view_tree_walk(&w, path, &mine);
		*slash = '/';
	}
	if (up && S_ISDIR(up->e.mode))
		return up;
	if (mine.code)
		err_set(e, mine.code, "%s", mine.text);
	else
		err_set(e, ERR_PACKAGE, "'%.150s' is below something that is no directory", path);
	return NULL;
}

/* ---- the end ---- */

static int by_path(const void *a, const void *b)
{
	const struct view_entry *const *p = a, *const *q = b;

	return strcmp((*p)->path, (*q)->path);
}

static int flatten(struct view *v, struct view_node *x, const char *path, struct err *e)
{
	struct listing l = {0};
	int rc = 0;

	free(x->e.path);
	x->e.path = strdup(path);
	v->v[v->n++] = &x->e;
	twalk_r(x->kids, list_one, &l);
	if (!x->e.path || l.bad)
		rc = err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		char sub[4096];

		if (snprintf(sub, sizeof(sub), "%s%s%s", path, *path ? "/" : "", l.v[i]->name) >=
		    (int)sizeof(sub))
			rc = err_set(e, ERR_PACKAGE, "'%.60s…' is too long", path);
		else
			rc = flatten(v, l.v[i], sub, e);
	}
	free(l.v);
	return rc;
}

int view_tree_list(struct view *v, struct err *e)
{
	v->v = calloc(v->nodes, sizeof(struct view_entry *));
	if (!v->v)
		return err_set(e, ERR_NOMEM, NULL);
	if (flatten(v, v->root, "", e))
		return -1;
	qsort(v->v, v->n, sizeof(struct view_entry *), by_path);
	return 0;
}
