/* Members of each object in a JWT, in the order in which nats-io/jwt v2.8 writes them,
 * and when it leaves one out. For jwt.c. */
#ifndef NKEY_JWT_FIELDS_H
#define NKEY_JWT_FIELDS_H

#include "base/err.h"
#include "json/json.h"

enum jwt_form {
	JWT_STR,       /* left out when "" */
	JWT_STR_KEPT,  /* always there */
	JWT_INT,       /* left out when 0 */
	JWT_INT_KEPT,  /* always there */
	JWT_INT_UNLIM, /* absent is read as -1, 0 is left out (templates of signing keys) */
	JWT_BOOL,      /* left out when false */
	JWT_LIST,      /* strings; left out when empty; one text with commas is read too */
	JWT_OBJ,       /* always there */
	JWT_OBJ_OPT,   /* left out when absent */
	JWT_OBJS,      /* list of objects; left out when empty */
	JWT_MAP_INT,   /* name to number, sorted by name; left out when empty */
	JWT_MAP_OBJ,   /* name to object */
	JWT_MAP_OBJS,  /* name to list of objects */
	JWT_SIGNERS,   /* keys and scopes, sorted by key; left out when empty */
	JWT_SAMPLING,  /* 1 to 100, or "headers"; always there */
};

struct jwt_field {
	const char *key; /* NULL: end of the list */
	enum jwt_form form;
	const struct jwt_field *of;
};

/* The claims' own members, without nats. */
extern const struct jwt_field jwt_claims_fields[];
/* nats of each kind, by enum jwt_kind; NULL: as it is. */
const struct jwt_field *jwt_nats_fields(unsigned kind);

/* New object with the members of obj in order, those that f does not know at the end.
 * where is the object's name in messages. Errors: BAD_JSON, NOMEM. */
json_t *jwt_in_order(const json_t *obj, const struct jwt_field *f, const char *where,
		     struct err *e);

#endif
