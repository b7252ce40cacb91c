/* Account servers by HTTP(S). Answers are bounded in size and time, redirects refused. */
#ifndef BOX_NSC_NSC_SERVER_H
#define BOX_NSC_NSC_SERVER_H

#include "box/nsc/nsc.h"

/* File of TLS: option --ca-cert, --client-cert or --client-key (c may be NULL), else $NATS_CA,
 * $NATS_CERT, $NATS_KEY; NULL: none. */
const char *nsc_tls_file(const struct cli *c, const char *option);
/* Whether it is an http:// or https:// URL. */
bool nsc_is_url(const char *text);
/* Appends a file, or what a URL gives. Errors: those of file_read and http_ask. */
int nsc_fetch(const char *source, struct buf *text, struct err *e);
/* URL of an operator's JWT: of a server (http://HOST, …/jwt/v1) it is the page below, any
 * other URL is taken as it is. Free it. */
char *nsc_operator_url(const char *url);

/* Posts a token to a page ("/accounts/KEY") below the account server's URL. What came of it
 * are details of node, the worst of which is returned. */
enum nsc_status nsc_server_push(struct nsc *n, json_t *node, const char *below, const char *name,
				const struct bytes *token);
/* Push of a stored account; reports. */
void nsc_server_push_account(struct nsc *n, const char *name);
/* Pull of the operator and all accounts, or of the account in use; reports. */
int nsc_server_pull(struct nsc *n, bool all, struct err *e);
/* Signs and writes the account in use. That of a managed operator is pushed, and what the
 * server made of it taken; without a server there is a warning. */
int nsc_write_account(struct nsc *n, const struct nkey *signer, struct err *e);

/* ---- whether it may be stored (nsc_take.c) */
/* Stores an account's token unless it is another's, older, or of no known signer. name: the
 * account it must be, NULL: any. */
int nsc_take(struct nsc *n, const char *token, size_t len, const char *name, struct err *e);
/* Whether an operator's JWT is signed by itself or by a signing key that the stored one
 * (root NULL: none) lists. Error: NOT_VERIFIED. */
int nsc_operator_signed(const struct jwt *j, const struct jwt *stored, struct err *e);

/* ---- operators from elsewhere (nsc_import.c) */
/* URL of a well-known operator or of $NSC_NAME_OPERATOR; NULL: unknown. Free it. */
char *nsc_known_operator(const char *name);
/* Stores the operator that a file, a URL or a well-known name gives, under the name given
 * ("": its own), and puts its claims into n. Errors: EXISTS without force, NOT_VERIFIED. */
int nsc_import(struct nsc *n, const char *source, const char *given, bool force, struct err *e);

#endif
