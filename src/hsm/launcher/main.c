/* hsmd: the launcher of the service. Commands are in one table below; without one,
 * `run`. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "crypto/crypto.h"
#include "hsm/launcher/boot.h"
#include "hsm/launcher/config.h"
#include "hsm/launcher/health.h"
#include "hsm/launcher/identity.h"
#include "hsm/launcher/restart.h"
#include "hsm/launcher/run.h"
#include "hsm/launcher/supervise.h"
#include "ui/cli.h"

/* of the table: its default, its limit */
#define RESTART_DELAY_S 5
#define RESTART_DELAY_MAX_S 300

static int load(struct cli *c, struct config *cfg, struct err *e)
{
	return config_load(cfg, cli_str(c, "config"), e);
}

/* Of the configuration, once it could be read. */
static int64_t restart_delay = -1;

static int cmd_run(struct cli *c, struct err *e)
{
	CLEAN(config) struct config cfg = {0};

	if (load(c, &cfg, e))
		return -1;
	restart_delay = cfg.restart_delay;
	log_init("hsmd", cfg.debug);
	return run_service(&cfg, c->ctx, e);
}

/* ---- health ---- */

static json_t *health_json(const char *line)
{
	json_t *j = json_object();

	for (const char *p = line; *p;) {
		size_t n = strcspn(p, " ");
		const char *eq = memchr(p, '=', n);

		if (eq)
			json_object_setn_new(j, p, (size_t)(eq - p),
					     json_stringn(eq + 1, n - (size_t)(eq - p) - 1));
		p += n;
		p += *p == ' ';
	}
	return j;
}

static int cmd_health(struct cli *c, struct err *e)
{
	CLEAN(config) struct config cfg = {0};
	char line[HEALTH_LINE_MAX];

	if (load(c, &cfg, e) || health_ask(cfg.health_socket, line, e))
		return -1;
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *j = health_json(line);

		if (json_print(j, stdout, e))
			return -1;
	} else {
		(void)puts(line);
	}
	return health_judge(line, cli_has(c, "ready"), e);
}

/* ---- identity ---- */

static int cmd_identity(struct cli *c, struct err *e)
{
	CLEAN(config) struct config cfg = {0};
	char text[NKEY_PUB_LEN];

	if (load(c, &cfg, e) || identity_read(cfg.identity_file, text, e))
		return -1;
	if (cli_has(c, "json")) {
		CLEAN(json) json_t *j = json_pack("{s:s}", "identity", text);

		return json_print(j, stdout, e);
	}
	(void)puts(text);
	return 0;
}

/* ---- settings, check-config ---- */

static int cmd_settings(struct cli *c, struct err *e)
{
	CLEAN(json) json_t *list = json_array();

	for (size_t i = 0; i < NSETTINGS; i++) {
		const struct setting *s = &settings[i];
		const char *env = s->env ? s->env : "", *def = s->def ? s->def : "";

		if (!cli_has(c, "json")) {
			(void)printf("%s  [%s]%s%s%s%s\n    %s\n", s->key,
				     setting_kind_text(s->kind), *env ? "  $" : "", env,
				     *def ? "  default " : "", def, s->help);
			continue;
		}
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "key", s->key,
						      "env", env, "default", def, "kind",
						      setting_kind_text(s->kind), "help", s->help));
	}
	return cli_has(c, "json") ? json_print(list, stdout, e) : 0;
}

static int cmd_check(struct cli *c, struct err *e)
{
	CLEAN(config) struct config cfg = {0};
	CLEAN(json) json_t *all = json_object();
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 65536);
	if (load(c, &cfg, e) || config_check_files(&cfg, e))
		return -1;
	/* The secrets are read and checked as at a start, and wiped again. */
	if (!cli_has(c, "no-secrets") && boot_secrets(c->ctx, &cfg, e))
		return -1;
	for (size_t i = 0; i < NSETTINGS; i++) {
		const char *from = setting_source_text(cfg.source[i]);

		buf_reset(&b);
		config_value_text(&cfg, &settings[i], &b);
		buf_u8(&b, '\0');
		if (b.bad)
			return err_set(e, ERR_NOMEM, NULL);
		if (cli_has(c, "json"))
			json_object_set_new(
				all, settings[i].key,
				json_pack("{s:s, s:s}", "value", (const char *)b.p, "from", from));
		else
			(void)printf("%-24s %s%s%s%s\n", settings[i].key, (const char *)b.p,
				     *from ? "  (" : "", from, *from ? ")" : "");
	}
	return cli_has(c, "json") ? json_print(all, stdout, e) : 0;
}

/* ---- table ---- */

static const struct cli_opt global_opts[] = {
	{"config", 'c', "FILE", "configuration file (else $HSM_CONFIG, else " CONFIG_FILE ")"},
	{0},
};
static const struct cli_opt json_opts[] = {{"json", 0, NULL, "print JSON"}, {0}};
static const struct cli_opt health_opts[] = {
	{"json", 0, NULL, "print JSON"},
	{"ready", 0, NULL, "succeed only when the state is operational"},
	{0},
};
static const struct cli_opt check_opts[] = {
	{"json", 0, NULL, "print JSON"},
	{"no-secrets", 0, NULL, "do not read the device key and the unlock passphrase"},
	{0},
};

static const struct cli_cmd cmds[] = {
	{.path = "run",
	 .help = "Starts the service and stays in the foreground (the default)",
	 .run = cmd_run,
	 .examples = (const char *const[]){"hsmd", "hsmd run -c /etc/signbox/hsm.yaml", NULL},
	 .about = "SIGTERM and SIGINT answer the requests in hand and end it with status 0; a\n"
		  "second one ends it at once."},
	{.path = "health",
	 .help = "Asks the running hsmd how it is: one line, and the exit status",
	 .opts = health_opts,
	 .run = cmd_health,
	 .examples = (const char *const[]){"hsmd health", "hsmd health --ready", NULL},
	 .about = "Exit status: 0 all processes run and NATS is connected; 3 (--ready) not\n"
		  "operational: locked or unprovisioned; 7 a process is down, NATS is not\n"
		  "connected or hsmd does not run; 8 the store is damaged or rolled back."},
	{.path = "identity",
	 .help = "Prints the HSM's identity (X…) for clients to pin",
	 .opts = json_opts,
	 .run = cmd_identity,
	 .examples = (const char *const[]){"hsmd identity", NULL},
	 .about = "Exit status 7 when the service never ran on this data directory."},
	{.path = "check-config",
	 .help = "Checks configuration and secrets and prints what is in force",
	 .opts = check_opts,
	 .run = cmd_check,
	 .examples = (const char *const[]){"hsmd check-config -c hsm.yaml --no-secrets", NULL},
	 .about = "Exit status 2 when something is wrong; the line names file and line."},
	{.path = "settings",
	 .help = "Lists every setting: key of the file, variable, default",
	 .opts = json_opts,
	 .run = cmd_settings,
	 .examples = (const char *const[]){"hsmd settings --json", NULL}},
	{0},
};

static const struct cli_prog prog = {
	.name = "hsmd",
	.help = "launcher of the signing service",
	.opts = global_opts,
	.cmds = cmds,
	.examples = (const char *const[]){"hsmd -c /etc/signbox/hsm.yaml", "hsmd health", NULL},
	.about = "Variables of the environment win over the file; 'hsmd settings' lists both.\n"
		 "UNLOCKPW holds the unlock passphrase itself.",
};

/* "hsmd -c FILE" is "hsmd run -c FILE"; --help and --version stay the program's. */
static bool needs_run(int argc, char **argv)
{
	static const char *const own[] = {"--help", "-h", "--version", "--help-json"};

	for (int i = 1; i < argc; i++) {
		for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++)
			if (strcmp(argv[i], own[k]) == 0)
				return false;
		if (strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0)
			i++;
		else if (argv[i][0] != '-')
			return false;
	}
	return true;
}

/* Environment that stays; UNLOCKPW goes a moment later, into locked memory. */
static int prepare(struct boot *b, struct err *e)
{
	static const char *keep[NSETTINGS + 12];
	static const char *const more[] = {"SSL_CERT_FILE", "SSL_CERT_DIR",  "NO_COLOR",    "TERM",
					   "ASAN_OPTIONS",  "UBSAN_OPTIONS", "LSAN_OPTIONS"};
	const struct sandbox_init init = {.last_fd = STDERR_FILENO, .env = keep};
	const char *const *names = config_env_names();
	size_t n = 0;

	for (size_t i = 0; names[i]; i++)
		keep[n++] = names[i];
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		keep[n++] = more[i];
	if (sandbox_process_init(&init, e))
		return -1;
	if (crypto_init())
		return err_set(e, ERR_INTERNAL, "cannot start the crypto library");
	return boot_take_env(b, e);
}

/* Whether it is the service, or nonsense in its place: other commands are asked by somebody
 * who waits for the answer. */
static bool is_service(int argc, char **argv)
{
	int i = 1;

	/* -c FILE may come first. */
	while (i < argc - 1 && (strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0))
		i += 2;
	const char *word = i < argc ? argv[i] : "run";

	if (strcmp(word, "run") == 0)
		return true;
	for (const struct cli_cmd *c = cmds; c->path; c++)
		if (strcmp(word, c->path) == 0)
			return false;
	return word[0] != '-';
}

/* For a configuration that cannot be read. */
static int64_t delay_setting(void)
{
	const char *v = getenv("HSM_RESTART_DELAY");
	long n = v && *v && strspn(v, "0123456789") == strlen(v) && strlen(v) < 4
			 ? strtol(v, NULL, 10)
			 : RESTART_DELAY_S;

	return n <= RESTART_DELAY_MAX_S ? n : RESTART_DELAY_S;
}

static int serve(int argc, char **argv)
{
	enum { ARGS_MAX = 64 };
	static char run_word[] = "run";
	static char *args[ARGS_MAX + 2];
	CLEAN(boot) struct boot b = {0};
	struct err e = {0};

	if (prepare(&b, &e)) {
		(void)fprintf(stderr, "hsmd: %s\n", e.text);
		return err_exit(&e);
	}
	if (argc < 1 || argc > ARGS_MAX || !needs_run(argc, argv))
		return cli_main(&prog, argc, argv, &b);
	args[0] = argv[0];
	args[1] = run_word;
	for (int i = 1; i < argc; i++)
		args[i + 1] = argv[i];
	return cli_main(&prog, argc + 1, args, &b);
}

int main(int argc, char **argv)
{
	int64_t started = supervise_now();
	/* run_service forgets the environment. */
	int64_t delay = delay_setting();
	bool run = argc < 2 || needs_run(argc, argv) || is_service(argc, argv);
	int status;

	log_init("hsmd", false);
	status = serve(argc, argv);
	if (status != 0 && run) {
		(void)fflush(stderr);
		restart_wait(started, restart_delay >= 0 ? restart_delay : delay);
	}
	return status;
}
