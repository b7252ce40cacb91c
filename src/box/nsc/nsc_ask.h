/* Questions of nsc -i, at the terminal. Answers become options of the command, as if they
 * had been typed. */
#ifndef BOX_NSC_NSC_ASK_H
#define BOX_NSC_NSC_ASK_H

#include "box/nsc/nsc.h"

#define NSC_ASK_MAX 4096 /* bytes of an answer */

/* Whether an answer is one; the text of e is shown and the question is asked again. */
typedef int nsc_check(struct nsc *n, const char *text, struct err *e);

/* All questions: USAGE when standard input is no terminal. An empty answer is def. */
int nsc_ask_text(struct nsc *n, const char *label, const char *def, nsc_check *check,
		 char out[static NSC_ASK_MAX], struct err *e);
int nsc_ask_yes(struct nsc *n, const char *label, bool def, bool *out, struct err *e);
/* Index of one of choices (strings), by number, name, a part of one, or arrow keys. def: a
 * choice, or "". */
int nsc_ask_one(struct nsc *n, const char *label, const char *def, const json_t *choices,
		size_t *out, struct err *e);
/* Appends the chosen ones of choices to out: numbers and names with commas or spaces
 * between them, none, or arrow keys and space. */
int nsc_ask_many(struct nsc *n, const char *label, const json_t *choices, json_t *out,
		 struct err *e);
/* As nsc_ask_text for an option: def NULL is its value; set when the answer is another. */
int nsc_ask_option(struct nsc *n, const char *option, const char *label, const char *def,
		   nsc_check *check, struct err *e);

/* ---- questions that several commands ask (nsc_ask_parts.c) */
/* A check: the answer is not empty. */
nsc_check nsc_ask_some;
/* One of those that there are: the only one is not asked for. *out: free it. */
int nsc_ask_account(struct nsc *n, const char *def, char **out, struct err *e);
int nsc_ask_user(struct nsc *n, const char *account, char **out, struct err *e);
/* Options start and expiry. j NULL: claims that are not yet there. */
int nsc_ask_times(struct nsc *n, const struct jwt *j, struct err *e);
/* Which key signs, unless -K says so or there is only one. label NULL: the usual one. */
int nsc_ask_signer(struct nsc *n, enum nkey_kind level, const char *label, struct err *e);

/* ---- what each command asks */
/* Asks what the command asks for (nsc_interactive.c), with the claims that it is about in
 * n; account: the one that was given, or NULL. */
int nsc_interactive(struct nsc *n, enum nsc_need need, const char *account, struct err *e);
/* The second half of its table: exports, activations, revocations. (nsc_interactive_share.c) */
typedef int nsc_questions(struct nsc *n, struct err *e);
nsc_questions nsc_ask_add_import, nsc_ask_add_export, nsc_ask_edit_export, nsc_ask_delete_export,
	nsc_ask_delete_import, nsc_ask_generate_activation, nsc_ask_revoke_user,
	nsc_ask_unrevoke_user, nsc_ask_revoke_activation, nsc_ask_unrevoke_activation, nsc_ask_push,
	nsc_ask_pull, nsc_ask_init;

#endif
