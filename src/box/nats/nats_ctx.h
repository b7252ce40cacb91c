/* Contexts of natscli: settings of a connection in $XDG_CONFIG_HOME/nats/context/NAME.json,
 * the selected one's name in ../context.txt, the one before in ../previous-context.txt.
 * Keys that are not known are kept and reported once. */
#ifndef BOX_NATS_NATS_CTX_H
#define BOX_NATS_NATS_CTX_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Kinds of credentials: one of them is used. */
enum ctx_kind {
	CTX_NONE,
	CTX_TOKEN,
	CTX_PASSWORD,
	CTX_CREDS,
	CTX_NKEY,
	CTX_NSC,
	CTX_JWT,
	CTX_KINDS
};

/* One setting: its key in the file, the option and the variable that override it. */
struct ctx_field {
	const char *key, *option, *env;
	enum ctx_kind kind;
	bool flag;   /* true or false, else a string */
	bool path;   /* "~" and $VARIABLES are expanded on reading */
	bool secret; /* never shown */
};
extern const struct ctx_field ctx_fields[];

/* Start with {0}. */
struct nats_ctx {
	char *name; /* "" without one */
	char *path; /* file that it was read from, NULL: none */
	json_t *j;  /* the settings, as in the file */
};

void ctx_clear(struct nats_ctx *x);
static inline void cleanup_ctx(struct nats_ctx *x)
{
	ctx_clear(x);
}
/* An empty one of that name. */
int ctx_new(struct nats_ctx *x, const char *name, struct err *e);
/* Reads a context by its name, or a file when the name ends in ".json" and is there. */
int ctx_load(struct nats_ctx *x, const char *name, struct err *e);
/* The text of a context file: parsed, types and keys checked. where stands in messages;
 * "": keys that nobody knows are not reported. */
int ctx_parse(struct nats_ctx *x, const char *where, const void *p, size_t n, struct err *e);
/* Writes x->j under its name, mode 0600, in one step. */
int ctx_save(struct nats_ctx *x, struct err *e);
/* At most one kind of credentials. */
int ctx_validate(const struct nats_ctx *x, struct err *e);

/* A value, "" when unset; path settings come expanded. The memory lives until the next
 * ctx_set or ctx_clear. */
const char *ctx_get(const struct nats_ctx *x, const char *key);
bool ctx_flag(const struct nats_ctx *x, const char *key);
void ctx_set(struct nats_ctx *x, const char *key, const char *value);

/* Sorted names, NULL at the end; the array and each name are free()d by ctx_names_free. */
char **ctx_names(size_t *n);
void ctx_names_free(char **names);
/* Selected and previous context's name, "" for none. out has room for 256. */
void ctx_selected(char out[static 256]);
void ctx_previous(char out[static 256]);
bool ctx_known(const char *name);
/* Not empty, no path, no "..", nothing that drives a terminal. */
bool ctx_name_ok(const char *name);
/* Offers the names for completion; true. */
struct complete;
bool ctx_complete(struct complete *o);
/* Path of a context's file. */
int ctx_path(char *out, size_t cap, const char *name, struct err *e);
int ctx_select(const char *name, struct err *e);
int ctx_unselect(struct err *e);
/* A selected one goes only when it is the last. */
int ctx_delete(const char *name, struct err *e);

#endif
