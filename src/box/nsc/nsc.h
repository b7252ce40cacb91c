/* nsc: operators, accounts and users of NATS in a store on disk that nats-io's nsc
 * (v2.15) reads and writes too. */
#ifndef BOX_NSC_NSC_H
#define BOX_NSC_NSC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "nkey/jwt.h"
#include "nkey/nkey.h"
#include "ui/cli.h"

int nsc_main(int argc, char **argv);

enum nsc_status { NSC_OK, NSC_WARN, NSC_ERR, NSC_NOTE };

/* What a command works with. */
struct nsc {
	struct cli *c;
	int64_t now;	/* one time for all that a command writes */
	json_t *report; /* nodes {"status","text","details"} */
	bool summary;	/* a last line that counts them */
	/* directories and nsc.json */
	char *config_dir, *keys_dir;
	json_t *config;
	bool from_cwd;
	char *root, *op_name, *account; /* "" when not set */
	/* of the operator in use, of the account in use */
	bool managed, made; /* made: this command made the operator's directory */
	struct jwt op, ac;
	int lock; /* of the store, +1; 0: not held */
};

/* What a command needs before it runs; each includes those before it. */
enum nsc_need { NSC_NOTHING, NSC_OPERATOR, NSC_ACCOUNT };

/* The ctx of every command: what asks for it with -i. It knows the commands, and so they
 * cannot call it by its name. */
struct nsc_program {
	int (*interactive)(struct nsc *n, enum nsc_need need, const char *account, struct err *e);
};

/* Reads configuration and store as needed; account NULL: option --account or the one in
 * use. Ends with nsc_end on every path. */
int nsc_begin(struct nsc *n, struct cli *c, enum nsc_need need, const char *account, struct err *e);
/* As nsc_begin, but nothing is asked (-i), and without lock nothing may be written. */
int nsc_load(struct nsc *n, struct cli *c, enum nsc_need need, const char *account, bool lock,
	     struct err *e);
void nsc_end(struct nsc *n);
static inline void cleanup_nsc(struct nsc *n)
{
	nsc_end(n);
}

/* ---- paths (nsc_path.c) */
char *nsc_path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* $HOME; NULL when it is not set: nothing is then put into the root directory instead. */
const char *nsc_home(void);
/* Absolute path with ~ resolved; free it. NULL when memory ran out. */
char *nsc_expand(const char *path);
/* path with the home directory as ~; free it. */
char *nsc_abbrev(const char *path);

/* ---- configuration (nsc_config.c) */
int nsc_config_load(struct nsc *n, struct err *e);
int nsc_config_save(struct nsc *n, struct err *e);
/* Sets the store root, operator or account in use; NULL: as it is. Nothing is saved. */
int nsc_config_use(struct nsc *n, const char *root, const char *op_name, const char *account,
		   struct err *e);
/* The account of this command, by name or public key (NULL: the one in use), and its
 * claims. Errors: NOT_FOUND, USAGE, those of nsc_read. */
int nsc_use_account(struct nsc *n, const char *account, struct err *e);
/* Directory of $XDG_DATA_HOME/nats/nsc, or the old place when only that exists. */
char *nsc_data_home(const char *what);

/* ---- store (nsc_store.c) */
/* A name that is one component of a path. Error: BAD_NAME. */
int nsc_name(const char *kind, const char *name, struct err *e);
/* Path of an operator's, an account's or a user's JWT; free it. */
char *nsc_jwt_path(const struct nsc *n, const char *account, const char *user);
/* Claims of the operator (account NULL), an account (user NULL) or a user. raw (may be
 * NULL) gets the token. Errors: NOT_FOUND, and those of jwt_decode. */
int nsc_read(struct nsc *n, struct jwt *j, const char *account, const char *user, struct buf *raw,
	     struct err *e);
/* Appends a regular file; nothing else is opened for reading. Errors: IO, BAD_INPUT,
 * TOO_LARGE. */
int nsc_read_file(const char *path, struct buf *out, struct err *e);
/* Signs and writes claims to that place. */
int nsc_write(struct nsc *n, struct jwt *j, const struct nkey *signer, const char *account,
	      const char *user, struct err *e);
/* Writes a token as it is. */
int nsc_write_raw(struct nsc *n, const char *token, size_t len, const char *account,
		  const char *user, struct err *e);
bool nsc_has(const struct nsc *n, const char *account, const char *user);
/* Names in order, as a JSON array of strings: all, or NULL. Errors: IO, BAD_NAME, NOMEM. */
json_t *nsc_operators(const struct nsc *n, struct err *e);
json_t *nsc_accounts(const struct nsc *n, struct err *e);
json_t *nsc_users(const struct nsc *n, const char *account, struct err *e);
/* The only user of an account; "" when there is another number. Free it. */
char *nsc_only_user(const struct nsc *n, const char *account, struct err *e);
/* Makes an operator's directory; the JWT is not written. Error: EXISTS. */
int nsc_make_store(struct nsc *n, const char *name, bool managed, struct err *e);
/* Removes what nsc_make_store and those after it made, when they failed. */
void nsc_drop_store(const struct nsc *n, const char *name);
/* Waits until no other command writes in the store, until nsc_end. Commands that write
 * have it from nsc_begin, apart from those that need nothing. */
int nsc_lock(struct nsc *n, struct err *e);
/* Locks a file that others replace, until *fd is closed; -1: there is none yet. Error:
 * TIMEOUT after a minute. */
int nsc_lock_file(const char *path, int *fd, struct err *e);
/* Names in a directory in order, without hidden ones: those that end in suffix, which is
 * cut off, and for which keep (may be NULL) says yes. A directory that is not there has
 * none. */
json_t *nsc_entries(const char *dir, const char *suffix,
		    bool (*keep)(const char *dir, const char *name), struct err *e);

/* ---- keys (nsc_key.c) */
/* NULL when pub is no public key: it may come from anywhere. Free it. */
char *nsc_key_path(const struct nsc *n, const char *pub);
char *nsc_creds_path(const struct nsc *n, const char *account, const char *user);
int nsc_key_load(const struct nsc *n, const char *pub, struct nkey *k, struct err *e);
bool nsc_key_has(const struct nsc *n, const char *pub);
int nsc_key_store(const struct nsc *n, const struct nkey *k, struct err *e);
/* 1: removed, 0: there was none. Errors: BAD_NKEY, IO. */
int nsc_key_remove(const struct nsc *n, const char *pub, struct err *e);
/* A key as people give it: seed, public key (k->secret is NULL unless it is stored), or
 * a file with either. kind 0xff: any. */
int nsc_key_resolve(const struct nsc *n, const char *text, unsigned kind, struct nkey *k,
		    struct err *e);
/* Fresh pair in the keystore. */
int nsc_key_make(const struct nsc *n, enum nkey_kind kind, struct nkey *k, struct err *e);
/* Public keys of an option whose values are "generate" or a key (--sk); a generated one
 * is stored. */
int nsc_key_option(const struct nsc *n, const char *value, enum nkey_kind kind,
		   char pub[static NKEY_PUB_LEN], struct err *e);
/* Public keys that may sign at a level, in the order in which they are tried: an array. */
json_t *nsc_signers(const struct nsc *n, enum nkey_kind level);
/* The pair that signs accounts (operator's; the account's own in a managed store), or
 * users and activations: of -K, else prefer when it is stored, else the first that is. */
int nsc_signer(struct nsc *n, enum nkey_kind level, const char *prefer, struct nkey *k,
	       struct err *e);
/* Writes the creds file of a user whose seed is stored and reports it. */
int nsc_write_creds(struct nsc *n, const char *account, const char *user, struct err *e);
/* The creds file's text. */
int nsc_creds(struct nsc *n, const char *account, const char *user, struct buf *out, struct err *e);

/* ---- reports (nsc_report.c) */
/* Appends a node and returns it, for nsc_detail; borrowed. */
json_t *nsc_say(struct nsc *n, enum nsc_status s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
json_t *nsc_detail(json_t *node, enum nsc_status s, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define nsc_ok(n, ...) nsc_say(n, NSC_OK, __VA_ARGS__)
/* Prints the report, as lines or with --json; 0, or 1 when something in it failed. */
int nsc_report(struct nsc *n, struct err *e);
/* Prints JSON with keys as they are (--json of what is not a report). */
int nsc_json(const json_t *v, struct err *e);
/* Writes a command's result to --output-file ("--" or absent: stdout, with a newline). */
int nsc_output(struct nsc *n, const char *option, const struct buf *text, mode_t mode,
	       struct err *e);
/* As nsc_output; with --json and no file it is {"key": text}. */
int nsc_output_as(struct nsc *n, const char *option, const char *key, const struct buf *text,
		  struct err *e);

/* ---- tables as nsc draws them (nsc_table.c) */
struct nsc_table {
	json_t *rows; /* arrays of strings; null: a line */
	const char *title;
	size_t cols;
};
void nsc_table_start(struct nsc_table *t, const char *title);
void nsc_table_row(struct nsc_table *t, ...) __attribute__((sentinel));
void nsc_table_line(struct nsc_table *t);
/* First row is a heading when head is set. Appends the text and frees the rows. */
void nsc_table_end(struct nsc_table *t, struct buf *out);
/* Name and value rows. */
void nsc_table_fmt(struct nsc_table *t, const char *label, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void nsc_table_list(struct nsc_table *t, const char *label, const json_t *list);

/* ---- values of options (nsc_value.c) */
/* Seconds since 1970 of a date or an interval from now ("2d", "1y"); 0: never. */
int nsc_time(const struct nsc *n, const char *what, const char *text, int64_t *out, struct err *e);
/* Nanoseconds of "1h30m", "500ms". */
int nsc_duration(const char *what, const char *text, int64_t *out, struct err *e);
void nsc_duration_text(int64_t ns, char *out, size_t cap);
/* Number with an optional unit ("10k", "5GiB", "-1"). */
int nsc_number(const char *what, const char *text, int64_t *out, struct err *e);
/* "2026-11-22 06:13:18 UTC"; "in 2 days"; "1.5 MB". out has 64 bytes. */
const char *nsc_date(char out[static 64], int64_t t);
const char *nsc_when(char out[static 64], int64_t now, int64_t t);
const char *nsc_bytes(char out[static 64], int64_t v);
/* Value of an option that takes an optional bool ("--bearer", "--bearer=false"). */
int nsc_bool(const struct cli *c, const char *name, bool *out, struct err *e);
/* All values of an option, commas separate them: calls f for each. */
typedef int nsc_each_fn(void *arg, const char *value, struct err *e);
int nsc_each(const struct cli *c, const char *name, nsc_each_fn *f, void *arg, struct err *e);
/* The same into a JSON array of strings. */
json_t *nsc_values(const struct cli *c, const char *name);
/* Option name, or the first operand. "" when neither is there. */
const char *nsc_name_arg(const struct cli *c, const char *option);
/* A name for those who gave none; free it. */
char *nsc_random_name(void);

/* ---- shared parts of claims (nsc_claims.c) */
/* --start, --expiry; with reports when report is set. */
int nsc_apply_times(struct nsc *n, struct jwt *j, bool report, struct err *e);
int nsc_apply_tags(struct nsc *n, struct jwt *j, struct err *e);
/* --allow-pub … on an object with pub, sub and resp. */
int nsc_apply_permissions(struct nsc *n, json_t *o, struct err *e);
/* Limits of a user or of a signing key's template, and their permissions. */
int nsc_apply_user_limits(struct nsc *n, json_t *o, struct err *e);
/* Whether claims of a user set nothing that a scoped key's template sets. */
bool nsc_user_is_empty(const json_t *nats);
/* Takes a limit from an option when it was given; says so with fmt ("… %lld"). */
int nsc_limit(struct nsc *n, json_t *o, const char *key, const char *option, const char *said,
	      struct err *e);
/* Whether any of the options was given; list ends with NULL. */
bool nsc_any(const struct cli *c, const char *const *names);
/* Public key of a name or key of an account, "*" when wild. */
int nsc_account_key(struct nsc *n, const char *text, bool wild, char pub[static NKEY_PUB_LEN],
		    struct err *e);

/* ---- commands */
cli_run nsc_init, nsc_env, nsc_add_operator, nsc_add_account, nsc_add_user;
cli_run nsc_edit_operator, nsc_edit_account, nsc_edit_user, nsc_edit_signing_key;
cli_run nsc_add_export, nsc_edit_export, nsc_add_import, nsc_add_mapping;
cli_run nsc_delete_export, nsc_delete_import, nsc_delete_mapping;
cli_run nsc_delete_account, nsc_delete_user;
cli_run nsc_list_operators, nsc_list_accounts, nsc_list_users, nsc_list_keys;
cli_run nsc_describe_operator, nsc_describe_account, nsc_describe_user, nsc_describe_jwt;
cli_run nsc_generate_creds, nsc_generate_config, nsc_generate_nkey, nsc_generate_activation;
cli_run nsc_generate_profile, nsc_export_keys, nsc_import_keys;
cli_run nsc_revoke_user, nsc_unrevoke_user, nsc_revoked_users;
cli_run nsc_revoke_activation, nsc_unrevoke_activation, nsc_revoked_activations;
cli_run nsc_validate, nsc_push, nsc_pull, nsc_select_operator, nsc_select_account;

/* Names in the store, for completion (nsc_complete.c). */
cli_values nsc_complete_values;
/* SYS with its signing key, two exports and the user sys (nsc_add.c). */
int nsc_make_system(struct nsc *n, const struct nkey *signer, char pub[static NKEY_PUB_LEN],
		    char user[static NKEY_PUB_LEN], struct err *e);

#endif
