/* What comes from elsewhere: whether it may be stored. */
#include <string.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_server.h"
#include "nkey/claims.h"
#include "nkey/jwt_check.h"

int nsc_operator_signed(const struct jwt *j, const struct jwt *stored, struct err *e)
{
	const char *by = jwt_str(j, "iss"), *sub = jwt_str(j, "sub");

	/* Anyone can name a signing key in claims that it signs itself. */
	if (strcmp(by, sub) == 0 || (stored->root && strcmp(jwt_str(stored, "sub"), sub) == 0 &&
				     claims_has(stored->nats, "signing_keys", by)))
		return 0;
	return err_set(e, ERR_NOT_VERIFIED,
		       "the operator jwt is not signed by the operator %s but by %s, which no "
		       "operator jwt that is stored here lists as its signing key",
		       sub, by);
}

/* Whether an account's JWT may replace what is here. In a managed store an account may
 * have signed itself, as long as it is the one that is known. */
static bool trusted(const struct nsc *n, const struct jwt *j, const struct jwt *mine)
{
	return jwt_did_sign(&n->op, j) ||
	       (n->managed && mine->root && strcmp(jwt_str(j, "iss"), jwt_str(j, "sub")) == 0);
}

int nsc_take(struct nsc *n, const char *token, size_t len, const char *name, struct err *e)
{
	CLEAN(jwt) struct jwt j = {0}, mine = {0};
	const char *own;

	if (jwt_decode_kind(&j, JWT_ACCOUNT, "the token", token, len, e) ||
	    nsc_name("account", jwt_str(&j, "name"), e))
		return err_wrap(e, "error decoding remote token");
	own = jwt_str(&j, "name");
	/* The name in it is the server's word: it decides about the file's. */
	if (name && strcmp(own, name) != 0)
		return err_set(e, ERR_NOT_VERIFIED,
			       "the server answered with the account \"%s\": not stored", own);
	if (nsc_has(n, own, NULL) && nsc_read(n, &mine, own, NULL, NULL, e))
		return -1;
	if (mine.root && strcmp(jwt_str(&mine, "sub"), jwt_str(&j, "sub")) != 0)
		return err_set(e, ERR_EXISTS,
			       "another account is stored under the name \"%s\": not stored", own);
	if (!trusted(n, &j, &mine))
		return err_set(e, ERR_NOT_VERIFIED,
			       "\"%s\" is not signed by the operator: not stored", own);
	if (mine.root && jwt_int(&mine, "iat") > jwt_int(&j, "iat") &&
	    !cli_has(n->c, "overwrite-newer"))
		return err_set(e, ERR_BAD_INPUT,
			       "local jwt for \"%s\" is newer than remote version - specify "
			       "--overwrite-newer to overwrite",
			       own);
	return nsc_write_raw(n, token, len, own, NULL, e);
}
