/* nats: the commands of natscli, over our own connection. Errors are "nats: error: …" and
 * status 1, as there. */
#include "box/nats/nats.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "box/nats/nats_js.h"
#include "box/nats/nats_main.h"

static const struct cli_opt options[] = {
	{"server", 's', "URL", "NATS server URLs, comma-separated ($NATS_URL)"},
	{"user", 0, "USER", "User name or token ($NATS_USER)"},
	{"password", 0, "PASSWORD", "Password ($NATS_PASSWORD)"},
	{"token", 0, "TOKEN", "Token ($NATS_TOKEN)"},
	{"connection-name", 0, "NAME", "Name of the connection in the server's lists"},
	{"creds", 0, "FILE", "Credentials of a user ($NATS_CREDS)"},
	{"nkey", 0, "FILE", "NKey seed of a user ($NATS_NKEY)"},
	{"jwt", 0, "JWT", "JWT of a user ($NATS_JWT)"},
	{"seed", 0, "SEED", "Seed of a user, for --jwt ($NATS_SEED)"},
	{"tlscert", 0, "FILE", "TLS certificate of the client ($NATS_CERT)"},
	{"tlskey", 0, "FILE", "Private key of the certificate ($NATS_KEY)"},
	{"tlsca", 0, "FILE", "TLS certificate authorities to trust ($NATS_CA)"},
	{"tlsfirst", 0, NULL, "TLS handshake before the server's greeting"},
	{"timeout", 0, "DURATION", "How long to wait for replies, 5s ($NATS_TIMEOUT)"},
	{"socks-proxy", 0, "PROXY", "SOCKS5 proxy to connect through ($NATS_SOCKS_PROXY)"},
	{"js-api-prefix", 0, "PREFIX", "Subject prefix of the JetStream API"},
	{"js-event-prefix", 0, "PREFIX", "Subject prefix of JetStream advisories"},
	{"js-domain", 0, "DOMAIN", "JetStream domain"},
	{"domain", 0, "DOMAIN", "The same as --js-domain"},
	{"inbox-prefix", 0, "PREFIX", "Prefix of inboxes ($NATS_INBOX_PREFIX)"},
	{"colors", 0, "SCHEME", "Colour of table borders: red, green, … ($NATS_COLOR)"},
	{"context", 0, "NAME", "Context to use ($NATS_CONTEXT)"},
	{"trace", 0, NULL, "Show what goes to and comes from the API"},
	{"no-context", 0, NULL, "Do not use the selected context"},
	{0},
};

/* Each group of commands is one file with its table. */
static const struct cli_cmd *const groups[] = {
#include "box/nats/nats_groups.def"
};

#define NGROUPS (sizeof(groups) / sizeof(groups[0]))

static const char *const examples[] = {
	"nats sub -s nats://demo.example:4222 'orders.>'",
	"nats pub orders.new 'order {{Count}} at {{Time}}' --count 10",
	"nats req hsm.as.$USER_NKEY.pub.k1 ''",
	"nats context add prod --server nats://n1,nats://n2 --creds prod.creds --select",
	"nats server check connection --format nagios",
	NULL,
};

static const char *const command_examples[][3] = {
#include "box/nats/nats_examples.def"
};

/* Whether a path of a table is this one without aliases. */
static bool is_path(const char *path, const char *plain)
{
	while (*path || *plain) {
		if (*path == '|')
			path += strcspn(path, " ");
		if (*path != *plain)
			return false;
		if (*path)
			path++, plain++;
	}
	return true;
}

static void give_examples(struct cli_cmd *c)
{
	size_t n = sizeof(command_examples) / sizeof(command_examples[0]);

	for (size_t i = 0; !c->examples && i < n; i++)
		if (is_path(c->path, command_examples[i][0]))
			c->examples = &command_examples[i][1];
}

/* Contexts and replies may hold passwords and seeds: jansson's memory is wiped. */
static void wipe_free(void *p)
{
	if (p)
		secret_wipe(p, malloc_usable_size(p));
	free(p);
}

int nats_main(int argc, char **argv)
{
	struct nats_run run = {.timeout_ms = 5000};
	size_t n = 0;
	int status;

	json_set_alloc_funcs(malloc, wipe_free);
	for (size_t g = 0; g < NGROUPS; g++)
		for (const struct cli_cmd *c = groups[g]; c->path; c++)
			n++;
	CLEAN(free) struct cli_cmd *cmds = calloc(n + 1, sizeof(*cmds));

	if (!cmds)
		return 1;
	n = 0;
	for (size_t g = 0; g < NGROUPS; g++)
		for (const struct cli_cmd *c = groups[g]; c->path; c++) {
			cmds[n] = *c;
			give_examples(&cmds[n++]);
		}
	const struct cli_prog prog = {
		.name = "nats",
		.help = "NATS utility",
		.opts = options,
		.cmds = cmds,
		.examples = examples,
		.about = "Each option that takes nothing has a --no- form. Commands and their "
			 "output are those of\nnatscli v" NATS_CLI_VERSION ".",
		.error = "nats: error",
		.status = 1,
		.negate = true,
		.values = nats_values,
	};

	status = cli_main(&prog, argc, argv, &run);
	conn_close(run.conn);
	ctx_clear(&run.ctx);
	conn_library_close();
	return status;
}
