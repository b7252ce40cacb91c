/* nats-config: the configuration of one nats-server that lets the service and its
 * users do what they need and nothing more (nats/README.md says why). It holds public
 * keys and file names: no password and no seed. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "box/box.h"
#include "box/mesh/mesh_perm.h"
#include "nkey/nkey.h"
#include "ui/cli.h"

#define CONFIG_MAX ((size_t)16 << 20)

static const struct cli_opt opts[] = {
	{"hsm", 0, "NKEY", "NATS user of the service (required; not an identity)"},
	{"identity", 0, "X-NKEY", "Identity of the service: users may open sessions only with it"},
	{"user", 'u', "NKEY[:plain]", "A user; with :plain also on the plain surface. Repeatable"},
	{"monitor", 'm', "NKEY", "A user who may list and ping services. Repeatable"},
	{"listen", 'l', "HOST:PORT", "Address of clients (default 127.0.0.1:4222)"},
	{"http", 0, "HOST:PORT", "Address of the monitoring pages (default: none)"},
	{"name", 'n', "NAME", "Name of the server (default signbox)"},
	{"tls-cert", 0, "FILE", "Certificate chain of the server, with --tls-key"},
	{"tls-key", 0, "FILE", "Private key of the server"},
	{"tls-ca", 0, "FILE", "Ask clients for certificates of this CA"},
	{"max-payload", 0, "BYTES", "Largest message (default 1048576)"},
	{"output", 'o', "FILE", "Write there in one step (default: standard output)"},
	{0},
};

static const char *const examples[] = {
	"nats-config --hsm $(nk -inkey hsm.nk -pubout) --user UABC… --user UDEF…:plain -o "
	"nats.conf",
	"nats-config --hsm UHSM… --user UABC… --tls-cert cert.pem --tls-key key.pem "
	"--listen 0.0.0.0:4222",
	NULL,
};

static const char about[] =
	"Users may publish on hsm.open.> and hsm.i.*.<own NKEY>, with :plain also on\n"
	"hsm.as.<own NKEY>.>, and subscribe on _INBOX.<own NKEY>.> (clients use that inbox\n"
	"prefix). The service subscribes on hsm.> and $SRV.> and publishes to inboxes only.";

/* Text inside a quoted string of the configuration. */
static int check_text(const char *what, const char *text, struct err *e)
{
	for (const char *s = text; *s; s++)
		if ((unsigned char)*s < ' ' || *s == '"' || *s == '\\' || *s == 0x7f)
			return cli_usage(e, "bad character in %s", what);
	return *text ? 0 : cli_usage(e, "%s is empty", what);
}

static int check_address(const char *what, const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	long port = colon ? strtol(colon + 1, &end, 10) : 0;

	if (check_text(what, text, e))
		return -1;
	if (!colon || end == colon + 1 || *end || port < 1 || port > 65535)
		return cli_usage(e, "%s must be HOST:PORT, not '%.60s'", what, text);
	return 0;
}

/* Decodes NKEY[:plain] into 56 characters. */
static int parse_user(const char *text, char key[static NKEY_PUB_LEN], bool *plain, struct err *e)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);
	uint8_t pub[32];

	if (colon && (!plain || strcmp(colon, ":plain") != 0))
		return cli_usage(e, "after an NKEY only ':plain' may stand, not '%.20s'", colon);
	if (plain)
		*plain = colon != NULL;
	if (n >= NKEY_PUB_LEN)
		return err_set(e, ERR_BAD_NKEY, "not an NKey: longer than 56 characters");
	memcpy(key, text, n);
	key[n] = '\0';
	return nkey_decode_kind(pub, NKEY_USER, key, e);
}

static int put_head(const struct cli *c, struct buf *b, struct err *e)
{
	const char *listen = cli_str(c, "listen"), *http = cli_str(c, "http");
	const char *name = cli_str(c, "name");
	int64_t max = 1048576;

	listen = listen ? listen : "127.0.0.1:4222";
	name = name ? name : "signbox";
	if (check_address("--listen", listen, e) || check_text("--name", name, e) ||
	    (strchr(name, ' ') ? cli_usage(e, "--name takes no blanks") : 0) ||
	    cli_int(c, "max-payload", 1024, 67108864, &max, e))
		return -1;
	buf_printf(b,
		   "# nats-server configuration for Signbox, written by signbox nats-config.\n"
		   "# It holds no password and no seed.\n"
		   "server_name: \"%s\"\n"
		   "listen: \"%s\"\n"
		   "max_payload: %lld\n",
		   name, listen, (long long)max);
	if (http) {
		if (check_address("--http", http, e))
			return -1;
		buf_printf(b, "http: \"%s\"\n", http);
	}
	return 0;
}

static int put_tls(const struct cli *c, struct buf *b, struct err *e)
{
	const char *cert = cli_str(c, "tls-cert"), *key = cli_str(c, "tls-key");
	const char *ca = cli_str(c, "tls-ca");

	if (!cert != !key || (ca && !cert))
		return cli_usage(e, "--tls-cert and --tls-key belong together");
	if (!cert)
		return 0;
	if (check_text("--tls-cert", cert, e) || check_text("--tls-key", key, e) ||
	    (ca && check_text("--tls-ca", ca, e)))
		return -1;
	buf_printf(b, "tls {\n  cert_file: \"%s\"\n  key_file: \"%s\"\n", cert, key);
	if (ca)
		buf_printf(b, "  ca_file: \"%s\"\n  verify: true\n", ca);
	buf_printf(b, "  min_version: \"1.3\"\n}\n");
	return 0;
}

/* nats-server takes the last of two entries with one key silently. */
static int once(const struct buf *b, const char *key, struct err *e)
{
	char line[80];

	(void)snprintf(line, sizeof(line), "nkey: %s\n", key);
	if (b->len && memmem(b->p, b->len, line, strlen(line)))
		return cli_usage(e, "%s is given twice", key);
	return 0;
}

static int put_users(const struct cli *c, struct buf *b, struct err *e)
{
	const char *hsm = cli_str(c, "hsm"), *identity = cli_str(c, "identity");
	char key[NKEY_PUB_LEN];
	uint8_t pub[32];
	bool plain;

	if (!hsm)
		return cli_usage(e, "--hsm is missing: the NKey with which the service connects");
	if (parse_user(hsm, key, NULL, e))
		return err_wrap(e, "--hsm");
	if (identity && nkey_decode_kind(pub, NKEY_CURVE, identity, e))
		return err_wrap(e, "--identity");
	buf_printf(b, "authorization {\n  users: [\n");
	mesh_perm_put(b, PERM_SERVICE, key, NULL);
	for (size_t i = 0; i < cli_count(c, "user"); i++) {
		if (parse_user(cli_nth(c, "user", i), key, &plain, e))
			return err_wrap(e, "--user number %zu", i + 1);
		if (once(b, key, e))
			return -1;
		mesh_perm_put(b, plain ? PERM_PLAIN : PERM_SESSION, key, identity);
	}
	for (size_t i = 0; i < cli_count(c, "monitor"); i++) {
		if (parse_user(cli_nth(c, "monitor", i), key, NULL, e))
			return err_wrap(e, "--monitor number %zu", i + 1);
		if (once(b, key, e))
			return -1;
		mesh_perm_put(b, PERM_MONITOR, key, NULL);
	}
	buf_printf(b, "  ]\n}\n");
	return 0;
}

static int run(struct cli *c, struct err *e)
{
	const char *path = cli_str(c, "output");
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, CONFIG_MAX);
	if (put_head(c, &b, e) || put_tls(c, &b, e) || put_users(c, &b, e))
		return -1;
	if (b.bad)
		return err_set(e, ERR_TOO_LARGE, "too many users for one configuration");
	if (path)
		return file_replace(path, b.p, b.len, 0644, e);
	return file_write_fd(1, "standard output", b.p, b.len, e);
}

int nats_config_main(int argc, char **argv)
{
	static const struct cli_cmd cmds[] = {
		{.path = "",
		 .help = "Writes the configuration of a nats-server for Signbox",
		 .opts = opts,
		 .run = run,
		 .examples = examples,
		 .about = about},
		{0},
	};
	static const struct cli_prog prog = {
		.name = "nats-config",
		.help = "Writes the configuration of a nats-server for Signbox",
		.cmds = cmds,
	};

	return cli_main(&prog, argc, argv, NULL);
}
