/* Values for completion that are known without a server: contexts, and kinds of keys. */
#include <string.h>

#include "box/nats/nats.h"
#include "ui/complete.h"

bool ctx_complete(struct complete *o)
{
	size_t n = 0;
	char **names = ctx_names(&n), selected[256];

	ctx_selected(selected);
	for (size_t i = 0; names && i < n; i++)
		complete_put(o, names[i],
			     strcmp(names[i], selected) == 0 ? "selected context" : "context");
	ctx_names_free(names);
	return true;
}

bool nats_values(const struct cli *c, const char *option, const char *operand, struct complete *o)
{
	const char *path = c->cmd ? c->cmd->path : "";

	if (option)
		return strcmp(option, "context") == 0 && ctx_complete(o);
	if (strncmp(path, "context", 7) == 0 &&
	    (strcmp(operand, "SOURCE") == 0 ||
	     (strcmp(operand, "NAME") == 0 && !strstr(path, " add") && !strstr(path, " copy"))))
		return ctx_complete(o);
	if (strcmp(operand, "TYPE") == 0 && strncmp(path, "auth", 4) == 0) {
		static const char *const kinds[] = {"user",   "account", "operator",
						    "server", "cluster", "curve"};

		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			complete_put(o, kinds[i], NULL);
		return true;
	}
	return false;
}
