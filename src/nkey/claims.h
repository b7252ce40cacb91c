/* Small edits of JWT claims (jansson objects), as the Go library does them: lists are
 * sets of strings, absent members are made on demand. All return false, 0 or NULL when
 * memory ran out or the member has another type. */
#ifndef NKEY_CLAIMS_H
#define NKEY_CLAIMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Member that is an object or an array, made when it is absent. Borrowed. */
json_t *claims_obj(json_t *o, const char *key);
json_t *claims_arr(json_t *o, const char *key);

const char *claims_str(const json_t *o, const char *key); /* "" when absent */
int64_t claims_int(const json_t *o, const char *key);
bool claims_bool(const json_t *o, const char *key);
void claims_set_str(json_t *o, const char *key, const char *v);
void claims_set_int(json_t *o, const char *key, int64_t v);
void claims_set_bool(json_t *o, const char *key, bool v);

/* List o.key: adds v unless it is there or empty (true: added); removes it (true: it was
 * there); puts the strings in order. */
bool claims_add(json_t *o, const char *key, const char *v);
bool claims_remove(json_t *o, const char *key, const char *v);
bool claims_has(const json_t *o, const char *key, const char *v);
void claims_sort(json_t *o, const char *key);
/* As claims_add and claims_remove, in lower case without spaces around: tags, networks. */
bool claims_add_tag(json_t *o, const char *key, const char *v);
bool claims_remove_tag(json_t *o, const char *key, const char *v);

/* Signing keys of an account: the entry of key (a string, or the object of a scope), its
 * scope (NULL: none), and the key of the scope with this role (NULL: no such role). */
json_t *claims_signer(const json_t *nats, const char *key);
json_t *claims_scope(const json_t *nats, const char *key);
const char *claims_role_key(const json_t *nats, const char *role);
const char *claims_signer_key(const json_t *entry);
/* Adds a plain signing key; removes a key of either form (true: it was there). */
bool claims_add_signer(json_t *nats, const char *key);
bool claims_remove_signer(json_t *nats, const char *key);
/* The key's entry as a scope, for editing; a plain key becomes a scope with the
 * library's default limits, an unknown one is added. */
json_t *claims_make_scope(json_t *nats, const char *key);

/* Revokes what was issued to key ("*": to all) before at, in o.revocations; a later
 * revocation that is there stays. */
void claims_revoke(json_t *o, const char *key, int64_t at);

/* Whether every subject that matches a matches b too. */
bool claims_subject_within(const char *a, const char *b);
bool claims_subject_wild(const char *s);

#endif
