/* What the files of the applet `hsm` share: the options that all commands take, the
 * client made from them, and output to stdout or -o FILE. */
#ifndef BOX_HSM_RUN_H
#define BOX_HSM_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "client/hsm.h"
#include "client/hsm_ops.h"
#include "ui/cli.h"
#include "ui/table.h"
#include "json/json.h"

/* Of one run; cli->ctx. Output gathers in memory and leaves when all went well, so that
 * no file is half written. */
struct hsm_run {
	struct hsm_client *client;
	FILE *out;
	char *text;
	size_t len;
	const char *file; /* -o, NULL: stdout */
	bool binary;	  /* not for a terminal */
	char dir[4096];	  /* of pinned identity and epochs, "" when there is none */
	char identity[NKEY_PUB_LEN];
};

static inline struct hsm_run *run_of(const struct cli *c)
{
	return c->ctx;
}

/* After cli_main: writes the output, closes the client, returns the exit status. */
int run_end(struct hsm_run *r, const char *prog, int status);

/* Where to print results. */
FILE *run_out(struct cli *c);
static inline bool run_json(const struct cli *c)
{
	return cli_has(c, "json");
}
/* Prints j (taken over) as a result. */
int run_print(struct cli *c, json_t *j, struct err *e);
/* Result bytes; binary: raw ones, in base64 with --base64 (an option of the command). */
int run_bytes(struct cli *c, const void *p, size_t n, bool binary, struct err *e);
/* --json: {"done": true, key: value}; else nothing. A note for people on stderr. */
int run_done(struct cli *c, const char *key, const char *value, struct err *e);

/* Directory for what is remembered, made when make. -1: none can be told. */
int run_dir(struct cli *c, bool make, struct err *e);
/* Path of the file prefix || name in it. */
int run_path(struct cli *c, char *out, size_t cap, const char *prefix, const char *name,
	     struct err *e);
/* Identity by --identity, HSM_IDENTITY or the pinned one; its text goes to the run. */
int run_identity(struct cli *c, uint8_t id[static 32], struct err *e);
/* An X… or @FILE. */
int run_identity_parse(uint8_t id[static 32], const char *text, struct err *e);
/* Whether an option or HSM_IDENTITY names one. */
bool run_identity_given(const struct cli *c);
/* Connects; the client is closed at the end of the run. */
int run_open(struct cli *c, struct hsm_client **out, struct err *e);
/* The same to the HSM of that identity, whatever is pinned. */
int run_open_to(struct cli *c, const uint8_t id[static 32], struct hsm_client **out, struct err *e);

/* All items of a list of the service, page by page, as rows of a table that has its columns
 * or as a JSON array. --prefix narrows it. */
struct run_list {
	const char *what; /* "users" */
	size_t size;	  /* of an item */
	int (*page)(struct hsm_client *h, const struct list_query *q, struct buf *mem, void *items,
		    size_t *n, bool *more, struct err *e);
	/* Adds an item to both; its name. */
	struct bytes (*add)(struct table *t, json_t *list, const void *item);
};
int run_list(struct cli *c, const struct run_list *l, struct table *t, struct err *e);

/* Passphrase by --passphrase-file, --passphrase-fd or a prompt (again: twice). */
int run_passphrase(struct cli *c, struct secret *out, const char *question, const char *again,
		   struct err *e);
/* Counts n more of what a list of the HSM has ("users"). Errors: TOO_LARGE over RUN_LIST_MAX:
 * it may say what it likes, and memory is this program's. */
#define RUN_LIST_MAX 1000000
int run_listed(size_t *total, size_t n, const char *what, struct err *e);
/* "on" or "off". */
int run_on_off(const char *option, const char *text, bool *out, struct err *e);

/* Role and audit policy by their words; false: there is none such. And back. */
bool run_role(const char *text, uint8_t *role);
bool run_audit(const char *text, uint8_t *policy);
const char *run_audit_text(uint8_t policy);
/* Names of the modes in a mask, comma-separated, cut to cap. */
void run_modes_text(uint32_t mask, char *out, size_t cap);

/* Text of a borrowed string, and of ms since 1970 as RFC 3339 in UTC. */
json_t *json_bytes(struct bytes b);
json_t *json_hex(const void *p, size_t n);
const char *text_bytes(char out[static 256], struct bytes b);
const char *text_time(char out[static 40], uint64_t ms);

/* An argument that may be @FILE: the text itself, or the file's without line ends at its
 * end, held by b. Errors: those of file_read, BAD_INPUT. */
int run_at_file(const char **text, struct buf *b, struct err *e);

#endif
