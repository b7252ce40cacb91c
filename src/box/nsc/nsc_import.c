/* Operators from their JWT: a file, a URL, or the name of a well-known one. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "box/nsc/nsc_server.h"
#include "nkey/claims.h"

extern char **environ;

char *nsc_known_operator(const char *name)
{
	static const char front[] = "NSC_", back[] = "_OPERATOR";
	size_t len = strlen(name);

	if (strcasecmp(name, "synadia") == 0)
		return strdup("https://api.synadia.io/jwt/v1/operator");
	for (char **v = environ; *v; v++) {
		const char *eq = strchr(*v, '=');
		size_t n = eq ? (size_t)(eq - *v) : 0;

		if (len && n == len + sizeof(front) + sizeof(back) - 2 &&
		    strncasecmp(*v, front, sizeof(front) - 1) == 0 &&
		    strncasecmp(*v + sizeof(front) - 1, name, len) == 0 &&
		    strncasecmp(eq - (sizeof(back) - 1), back, sizeof(back) - 1) == 0)
			return strdup(eq + 1);
	}
	return NULL;
}

/* Text of a file, a URL, or a well-known operator when there is no such file. */
static int load(const char *source, struct buf *text, struct err *e)
{
	CLEAN(free) char *path = nsc_is_url(source) ? NULL : nsc_expand(source);
	CLEAN(free) char *known = NULL, *url = NULL;

	if (path && access(path, F_OK) != 0)
		known = nsc_known_operator(source);
	if (!known && !nsc_is_url(source))
		return nsc_fetch(source, text, e);
	url = nsc_operator_url(known ? known : source);
	return url ? nsc_fetch(url, text, e) : err_set(e, ERR_NOMEM, NULL);
}

/* What the store has under the name is replaced only with force. */
static int replaces(struct nsc *n, const struct jwt *j, bool force, struct err *e)
{
	bool there = nsc_has(n, NULL, NULL);
	CLEAN(jwt) struct jwt old = {0};

	if (there && !force)
		return err_set(e, ERR_EXISTS,
			       "operator named %s exists already please inspect and use --force to "
			       "overwrite",
			       n->op_name);
	if ((there && nsc_read(n, &old, NULL, NULL, NULL, e)) || nsc_operator_signed(j, &old, e))
		return -1;
	if (!there || strcmp(jwt_str(&old, "sub"), jwt_str(j, "sub")) == 0)
		return 0;
	if (strncmp(n->c->cmd->path, "init", 4) == 0)
		return err_set(e, ERR_EXISTS,
			       "error a different operator named \"%s\" already exists -- specify "
			       "--dir to create at a different location",
			       n->op_name);
	nsc_say(n, NSC_WARN,
		"existing and new operator represent different entities, forced to continue");
	return 0;
}

int nsc_import(struct nsc *n, const char *source, const char *given, bool force, struct err *e)
{
	CLEAN(jwt) struct jwt j = {0};
	CLEAN(buf) struct buf text = {0};

	buf_init(&text, JWT_MAX + 4096);
	if (load(source, &text, e))
		return err_wrap(e, "error reading the operator's jwt");
	struct bytes token = jwt_find((const char *)text.p, text.len);

	if (jwt_decode_kind(&j, JWT_OPERATOR, source, (const char *)token.p, token.len, e))
		return err_wrap(e, "error importing operator jwt");
	if (j.version != 2)
		return err_set(e, ERR_BAD_VERSION,
			       "the operator jwt (v%d) is incompatible this version of nsc",
			       j.version);
	CLEAN(free) char *name = strdup(*given ? given : jwt_str(&j, "name"));

	if (!name || nsc_name("operator", name, e))
		return name ? -1 : err_set(e, ERR_NOMEM, NULL);
	free(n->op_name);
	n->op_name = STEAL(name);
	if (nsc_lock(n, e))
		return -1;
	bool there = nsc_has(n, NULL, NULL);

	if (replaces(n, &j, force, e) || (!there && nsc_make_store(n, n->op_name, true, e)))
		return -1;
	n->made = !there;
	n->managed = true;
	jwt_clear(&n->op);
	n->op = j;
	j = (struct jwt){0};
	return nsc_write_raw(n, (const char *)token.p, token.len, NULL, NULL, e);
}
