/* Values for completion: names in the store. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "ui/complete.h"

/* A first run of nsc writes its configuration; completion must not. */
static int look(struct nsc *n, struct cli *c)
{
	bool own = getenv("NSC_CWD_ONLY") != NULL;

	if (setenv("NSC_CWD_ONLY", "1", 1) || nsc_load(n, c, NSC_NOTHING, NULL, false, NULL))
		return -1;
	CLEAN(free) char *config = nsc_path("%s/nsc.json", n->config_dir);

	if (own || !config || access(config, R_OK) != 0)
		return 0;
	nsc_end(n);
	unsetenv("NSC_CWD_ONLY");
	return nsc_load(n, c, NSC_NOTHING, NULL, false, NULL);
}

static bool put_names(struct complete *o, json_t *names, const char *what)
{
	json_t *v;
	size_t i;

	json_array_foreach(names, i, v) complete_put(o, json_string_value(v), what);
	json_decref(names);
	return true;
}

/* What a name names: the option's own name, or the last word of "describe user NAME". */
static const char *kind_of(const struct cli *c, const char *option, const char *operand)
{
	const char *path = c->cmd ? c->cmd->path : "";
	static const char *const kinds[] = {"operator", "account", "user"};
	size_t len = strcspn(path, "| ");

	for (size_t i = 0; i < 3; i++)
		if (option && strcmp(option, kinds[i]) == 0)
			return kinds[i];
	/* a new thing has no name yet */
	if (strcmp(option ? option : operand, option ? "name" : "NAME") != 0 ||
	    strncmp(path, "add", len) == 0 || strncmp(path, "init", len) == 0)
		return "";
	for (size_t i = 0; i < 3; i++)
		if (strstr(path, kinds[i]))
			return kinds[i];
	return strstr(path, "creds") ? "user" : "";
}

bool nsc_complete_values(const struct cli *c, const char *option, const char *operand,
			 struct complete *o)
{
	const char *kind = kind_of(c, option, operand), *account = cli_str(c, "account");
	const char *operator= cli_str(c, "operator");
	CLEAN(nsc) struct nsc n = {0};

	if (!*kind)
		return false;
	if (look(&n, (struct cli *)(uintptr_t)c))
		return true;
	if (operator&& * kind != 'o' && nsc_config_use(&n, NULL, operator, NULL, NULL))
		return true;
	if (*kind == 'o')
		return put_names(o, nsc_operators(&n, NULL), "operator");
	if (*kind == 'a')
		return put_names(o, nsc_accounts(&n, NULL), "account");
	if (account && nsc_name("account", account, NULL))
		return true;
	return put_names(o, nsc_users(&n, account ? account : n.account, NULL), "user");
}
