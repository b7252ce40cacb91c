#include "box/mesh/mesh_token.h"

#include <string.h>

#include "base/cleanup.h"
#include "nkey/claims.h"
#include "nkey/creds.h"
#include "nkey/jwt.h"

static int begin(struct jwt *j, enum jwt_kind kind, const char *name, const struct nkey *subject,
		 struct err *e)
{
	char pub[NKEY_PUB_LEN];

	nkey_pub_text(subject, pub);
	if (jwt_new(j, kind, pub, e))
		return -1;
	claims_set_str(j->root, "name", name);
	return 0;
}

int mesh_operator_token(const struct mesh *m, const struct mesh_keys *k, struct buf *out,
			struct err *e)
{
	CLEAN(jwt) struct jwt j = {0};
	char sys[NKEY_PUB_LEN];

	if (begin(&j, JWT_OPERATOR, m->cluster, &k->seed[KEY_OPERATOR], e))
		return -1;
	nkey_pub_text(&k->seed[KEY_SYS], sys);
	claims_set_str(j.nats, "system_account", sys);
	return jwt_encode(&j, &k->seed[KEY_OPERATOR], m->created, out, e);
}

int mesh_sys_token(const struct mesh *m, const struct mesh_keys *k, struct buf *out, struct err *e)
{
	CLEAN(jwt) struct jwt j = {0};

	if (begin(&j, JWT_ACCOUNT, "SYS", &k->seed[KEY_SYS], e))
		return -1;
	return jwt_encode(&j, &k->seed[KEY_OPERATOR], m->created, out, e);
}

/* A signing key whose users may do what the table says, whatever their tokens say. */
static void put_scope(struct jwt *j, const struct nkey *k, const struct mesh_perm_row *row)
{
	char pub[NKEY_PUB_LEN];

	nkey_pub_text(k, pub);
	json_t *scope = claims_make_scope(j->nats, pub);
	json_t *template = claims_obj(scope, "template");

	claims_set_str(scope, "role", row->role);
	if (row->comment)
		claims_set_str(scope, "description", row->comment);
	for (const char *const *s = row->pub; *s; s++)
		claims_add(claims_obj(template, "pub"), "allow", *s);
	for (const char *const *s = row->sub; *s; s++)
		claims_add(claims_obj(template, "sub"), "allow", *s);
}

int mesh_account_token(const struct mesh *m, const struct mesh_keys *k, struct buf *out,
		       struct err *e)
{
	CLEAN(jwt) struct jwt j = {0};

	if (begin(&j, JWT_ACCOUNT, "HSM", &k->seed[KEY_ACCOUNT], e))
		return -1;
	for (int i = 0; i < PERM_COUNT; i++)
		put_scope(&j, &k->seed[KEY_SCOPE + i], &mesh_perms[i]);
	for (unsigned i = 0; i < m->nusers; i++)
		if (m->users[i].revoked)
			claims_revoke(j.nats, m->users[i].nkey, m->users[i].revoked);
	if (*m->jetstream) {
		json_t *limits = claims_obj(j.nats, "limits");

		claims_set_int(limits, "mem_storage", -1);
		claims_set_int(limits, "disk_storage", -1);
		claims_set_int(limits, "streams", -1);
		claims_set_int(limits, "consumer", -1);
	}
	return jwt_encode(&j, &k->seed[KEY_OPERATOR], m->changed, out, e);
}

int mesh_user_creds(const struct mesh_keys *k, int which, const char *name, const struct nkey *user,
		    int64_t issued, struct buf *out, struct err *e)
{
	const struct nkey *issuer = &k->seed[which < 0 ? (int)KEY_SYS : (int)KEY_SCOPE + which];
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(buf) struct buf token = {0};
	char account[NKEY_PUB_LEN];

	buf_init(&token, JWT_MAX);
	if (begin(&j, JWT_USER, name, user, e))
		return -1;
	if (which >= 0) {
		/* Limits are the scope's: a token that has its own is refused. */
		claims_set_int(j.nats, "subs", 0);
		claims_set_int(j.nats, "data", 0);
		claims_set_int(j.nats, "payload", 0);
		nkey_pub_text(&k->seed[KEY_ACCOUNT], account);
		claims_set_str(j.nats, "issuer_account", account);
	}
	if (jwt_encode(&j, issuer, issued, &token, e))
		return -1;
	out->secret = true;
	return creds_format(out, (const char *)token.p, token.len, user, e);
}
