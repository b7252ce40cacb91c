/* The tree of names that view.c fills: private to it. */
#ifndef OCIBUILD_VIEW_TREE_H
#define OCIBUILD_VIEW_TREE_H

#include "ocibuild/oci/view.h"

/* The entry comes first: a pointer to it is a pointer to its node. */
struct view_node {
	struct view_entry e;
	char *name;
	struct view_node *up;
	void *kids; /* tsearch tree by name */
	unsigned depth;
};

/* What hard links share. */
struct view_inode {
	unsigned refs;
	void *tag;
};

/* A new directory below up (NULL: the root), 0755 of root. NULL: too many, too deep. */
struct view_node *view_tree_new(struct view *v, struct view_node *up, const char *name,
				unsigned layer, struct err *e);
void view_tree_free(void *node);
struct view_node *view_tree_child(const struct view_node *dir, const char *name);
/* Removes x and all below it. */
void view_tree_drop(struct view *v, struct view_node *x);
/* Removes what lower layers brought, at and below x; with keep not x itself. */
int view_tree_hide(struct view *v, struct view_node *x, unsigned layer, bool keep, struct err *e);

struct view_walk {
	struct view *v;
	bool follow; /* the last component too */
	bool make;   /* directories that are missing, in this layer */
	unsigned layer;
};
/* From the root along path; NULL without an error in *e: nothing there. */
struct view_node *view_tree_walk(const struct view_walk *w, const char *path, struct err *e);
/* The directory that holds path (made where it is missing), and the last component. */
struct view_node *view_tree_parent(struct view *v, unsigned layer, char *path, const char **base,
				   struct err *e);

/* Forgets what an entry holds. */
void view_tree_clear(struct view_entry *t);
/* Gives a new entry its inode, before xattrs and content. */
int view_tree_inode(struct view_entry *t, struct err *e);
/* Makes t a hard link to from, which is called name; path and layer stay. */
int view_tree_same(struct view_entry *t, const struct view_entry *from, const char *name,
		   struct err *e);
/* Fills v->v. Every path is written anew: links may have led an entry elsewhere. */
int view_tree_list(struct view *v, struct err *e);

#endif
