/* hsm-testing: PID 1 of the test image. Makes secrets for itself, starts a broker of its
 * own when no other is named, and hsmd; sets the HSM up, prints how to ask it, and watches
 * both. It is in no other image. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "hsm/testing/children.h"
#include "hsm/testing/secrets.h"
#include "ui/cli.h"

#define HEALTHY_MS 60000
#define END_MS 6000 /* engines give ten seconds for all */
#define ASK "'{\"message\":\"aGVsbG8=\"}'"
#define BACKOFF_MIN_MS 500
#define BACKOFF_MAX_MS 30000
#define RESTART_DELAY_MS 5000

struct testing {
	const char *data, *listen, *nats_server, *broker_url; /* the last: of the environment */
	char bin[PATH_MAX], own_url[80];
	struct secrets secrets;
	struct children c;
	int64_t due[CHILDREN], backoff[CHILDREN], since[CHILDREN];
	int status; /* of what ended for good */
};

static const char banner[] =
	"\n"
	"  ********************************************************************\n"
	"  *   THIS IS A TEST IMAGE: NOT FOR PRODUCTION                       *\n"
	"  *   It makes its secrets itself, prints them, and keeps them in    *\n"
	"  *   plain files beside its store. Its keys protect nothing.        *\n"
	"  *   For keys that matter there is signbox/hsm:latest.              *\n"
	"  ********************************************************************\n"
	"\n";

static void warn(void)
{
	bool bold = isatty(STDERR_FILENO);

	(void)fprintf(stderr, "%s%s%s", bold ? "\033[1;31m" : "", banner, bold ? "\033[0m" : "");
}

/* ---- programs ---- */

static const char *program(const struct testing *t, const char *name, char out[static PATH_MAX])
{
	(void)snprintf(out, PATH_MAX, "%.*s/%s", PATH_MAX - 64, t->bin, name);
	return out;
}

static int start_broker(struct testing *t, struct err *e)
{
	char path[SECRETS_PATH_MAX];
	const char *const argv[] = {t->nats_server, "-c",
				    secrets_path(&t->secrets, "nats.conf", path), NULL};

	t->since[CHILD_BROKER] = children_now();
	return children_start(&t->c, CHILD_BROKER,
			      &(struct child_start){.argv = argv, .no_nats = true, .out = -1}, e);
}

/* own: on the broker of this program, whatever the user said of another. */
static int start_hsm(struct testing *t, bool own, struct err *e)
{
	char path[PATH_MAX], yaml[SECRETS_PATH_MAX];
	const char *const argv[] = {program(t, "hsmd", path), NULL};
	const char *creds = getenv("NATS_CREDS");
	const char *const set[] = {"HSM_CONFIG", secrets_path(&t->secrets, "hsm.yaml", yaml), NULL};

	if (secrets_config(&t->secrets, t->own_url, own || !creds || !*creds, e))
		return -1;
	t->since[CHILD_HSM] = children_now();
	return children_start(
		&t->c, CHILD_HSM,
		&(struct child_start){.argv = argv, .set = set, .no_nats = own, .out = -1}, e);
}

static void show(int fd)
{
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 16384);
	if (lseek(fd, 0, SEEK_SET) == 0 && file_read_fd(fd, "output", &b, NULL) == 0)
		(void)file_write_fd(STDERR_FILENO, "standard error", b.p, b.len, NULL);
}

/* Runs a command; what it says is shown only when its status is neither 0 nor other. */
static int command(struct testing *t, const char *const *argv, bool own, int other, struct err *e)
{
	char config[SECRETS_PATH_MAX], admin[SECRETS_PATH_MAX], yaml[SECRETS_PATH_MAX];
	const char *const set[] = {"HSM_CONFIG",
				   secrets_path(&t->secrets, "hsm.yaml", yaml),
				   "HSM_NKEY",
				   secrets_path(&t->secrets, "admin.nk", admin),
				   "XDG_CONFIG_HOME",
				   secrets_path(&t->secrets, "config", config),
				   own ? "NATS_URL" : NULL,
				   t->own_url,
				   NULL};
	CLEAN(fd) int out = memfd_create("output", MFD_CLOEXEC);
	struct child *c = &t->c.v[CHILD_COMMAND];
	struct child_start how = {.argv = argv, .set = set, .no_nats = own, .out = out};

	if (out < 0)
		return err_errno(e, ERR_INTERNAL, "cannot keep output");
	if (children_start(&t->c, CHILD_COMMAND, &how, e))
		return -1;
	while (c->pid && !t->c.stops)
		children_turn(&t->c, 1000);
	children_end(&t->c, CHILD_COMMAND, 1000);
	if (t->c.stops)
		return err_set(e, ERR_SHUTTING_DOWN, NULL);
	if (WIFEXITED(c->status) && (!WEXITSTATUS(c->status) || WEXITSTATUS(c->status) == other))
		return 0;
	show(out);
	return err_set(e, ERR_TOOL, "%s failed", argv[1]);
}

/* ---- setting up ---- */

static int64_t backoff(struct testing *t, enum child_id id)
{
	int64_t now = children_now(), wait = t->backoff[id];

	if (now - t->since[id] > BACKOFF_MAX_MS)
		wait = BACKOFF_MIN_MS;
	t->backoff[id] = wait * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait * 2;
	return now + wait;
}

/* A child that is not there any more: killed, it is started again after a while; with a
 * status of its own it has said why, and all of this ends. */
static int look_after(struct testing *t, enum child_id id, bool own, struct err *e)
{
	static const char *const names[] = {"nats-server", "hsmd"};
	const struct child *c = &t->c.v[id];

	if (c->pid || t->c.stops)
		return 0;
	if (!t->due[id]) {
		if (WIFEXITED(c->status) && WEXITSTATUS(c->status)) {
			t->status = WEXITSTATUS(c->status);
			return err_set(e, ERR_TOOL, "%s ended with status %d", names[id],
				       t->status);
		}
		t->due[id] = backoff(t, id);
		log_warn("ended, and is started again", "process", names[id]);
	}
	if (children_now() < t->due[id])
		return 0;
	t->due[id] = 0;
	return id == CHILD_HSM ? start_hsm(t, own, e) : start_broker(t, e);
}

static int look_after_all(struct testing *t, bool own, struct err *e)
{
	return (own && look_after(t, CHILD_BROKER, own, e)) || look_after(t, CHILD_HSM, own, e);
}

static int wait_healthy(struct testing *t, bool own, const char *ready, struct err *e)
{
	int64_t until = children_now() + HEALTHY_MS;
	char hsmd[PATH_MAX];
	const char *const argv[] = {program(t, "hsmd", hsmd), "health", ready, NULL};

	for (;;) {
		struct child *c = &t->c.v[CHILD_COMMAND];
		struct err no = {0};

		/* 7, and 2 before there is a configuration: not yet */
		if (look_after_all(t, own, e) || (command(t, argv, own, 7, &no) && t->c.stops))
			return -1;
		if (WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0)
			return 0;
		if (children_now() > until)
			return err_set(e, ERR_TIMEOUT,
				       "the HSM was not ready after %d seconds: the log above says "
				       "why",
				       HEALTHY_MS / 1000);
		children_turn(&t->c, 100);
	}
}

/* Once; a start that was cut short in the middle of it is made up for by the next. */
static int set_up(struct testing *t, struct err *e)
{
	char box[PATH_MAX], identity[PATH_MAX], phrase[SECRETS_PATH_MAX], seed[SECRETS_PATH_MAX];
	char inbox[NKEY_PUB_LEN + 16];
	const struct {
		const char *argv[16];
		int other; /* exit status that means: it is so already */
	} steps[] = {
		{{box, "hsm", "identity", "pin", identity}, 0},
		{{box, "hsm", "provision", "--passphrase-file", phrase}, 3},
		{{box, "hsm", "user", "add", "operator", t->secrets.user, "--role", "operator",
		  "--plain", "on"},
		 6},
		{{box, "hsm", "key", "gen", "demo-ed25519", "--type", "ed25519", "--plain", "on"},
		 6},
		{{box, "hsm", "key", "gen", "demo-p256", "--type", "p256", "--plain", "on"}, 6},
		{{box, "hsm", "key", "gen", "demo-rsa", "--type", "rsa", "--plain", "on"}, 6},
		{{box, "nats", "context", "add", "operator", "--server", t->own_url, "--nkey", seed,
		  "--inbox-prefix", inbox, "--select"},
		 0},
	};

	program(t, "signbox", box);
	(void)snprintf(identity, sizeof(identity), "@%s/identity", t->data);
	(void)snprintf(inbox, sizeof(inbox), "_INBOX.%s", t->secrets.user);
	secrets_path(&t->secrets, "passphrase", phrase);
	secrets_path(&t->secrets, "operator.nk", seed);
	if (start_broker(t, e) || start_hsm(t, true, e) || wait_healthy(t, true, NULL, e))
		return -1;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (command(t, steps[i].argv, true, steps[i].other, e))
			return err_wrap(e, "cannot set the HSM up");
	if (secrets_print(&t->secrets, e) || secrets_done(&t->secrets, e))
		return -1;
	if (t->broker_url) {
		children_end(&t->c, CHILD_HSM, END_MS);
		children_end(&t->c, CHILD_BROKER, END_MS);
	}
	return 0;
}

/* Engines call a container's host by its id, unless told otherwise. */
static void host_name(char out[static 65])
{
	if (gethostname(out, 64) < 0 || strlen(out) != 12 ||
	    strspn(out, "0123456789abcdef") != strlen(out))
		(void)snprintf(out, 65, "NAME");
}

static void say_how(const struct testing *t)
{
	const char *user = t->secrets.user, *port = strrchr(t->listen, ':');
	char host[65] = "", identity[80] = "X…", path[PATH_MAX];
	CLEAN(buf) struct buf b = {0};

	host_name(host);
	(void)snprintf(path, sizeof(path), "%s/identity", t->data);
	buf_init(&b, 64);
	if (file_read(path, &b, NULL) == 0)
		(void)snprintf(identity, sizeof(identity), "%.*s", (int)strcspn((char *)b.p, "\n"),
			       (const char *)b.p);
	(void)printf(
		"\nPublic:\n\n  identity of the HSM        %s\n  service                    %s\n"
		"  administrator              %s\n  operator                   %s\n",
		identity, t->secrets.service, t->secrets.admin, user);
	(void)printf("\nAsk it inside (keys: demo-ed25519, demo-p256, demo-rsa):\n\n"
		     "  docker exec %s hsm state\n"
		     "  echo hello | docker exec -i %s hsm sign demo-p256 >hello.sig\n"
		     "  docker exec %s hsm key pub demo-p256 >demo.pem\n"
		     "  echo hello | openssl dgst -sha256 -verify demo.pem -signature hello.sig\n"
		     "  docker exec %s nats req hsm.as.%s.sign-json.demo-ed25519 " ASK "\n",
		     host, host, host, host, user);
	if (t->broker_url)
		(void)printf("\nIts broker is that of NATS_URL, which must know the service and "
			     "the operator by their public keys.\n");
	else
		(void)printf("\nOr from outside (with -p %s:%s), by any client of NATS:\n\n"
			     "  docker cp %s:%s/operator.nk .\n"
			     "  nats -s nats://127.0.0.1:%s --nkey operator.nk --inbox-prefix "
			     "_INBOX.%s \\\n    req hsm.as.%s.sign-json.demo-ed25519 " ASK "\n"
			     "  hsm -s nats://127.0.0.1:%s --nkey operator.nk \\\n"
			     "    --identity %s state\n",
			     port + 1, port + 1, host, t->secrets.dir, port + 1, user, user,
			     port + 1, identity);
	(void)printf("\n");
	(void)fflush(stdout);
}

/* ---- the service ---- */

static int write_broker_config(struct testing *t, struct err *e)
{
	char box[PATH_MAX], conf[SECRETS_PATH_MAX], user[NKEY_PUB_LEN + 8];
	bool lent = t->broker_url;
	const char *const argv[] = {
		program(t, "signbox", box), "nats-config", "--hsm", t->secrets.service, "--user",
		t->secrets.admin, "--user", user, "--listen",
		/* only for setting up: nobody else may come in */
		lent ? strstr(t->own_url, "127.") : t->listen, "--name", "hsm-testing", "--output",
		secrets_path(&t->secrets, "nats.conf", conf), NULL};

	(void)snprintf(user, sizeof(user), "%s:plain", t->secrets.user);
	return command(t, argv, true, 0, e);
}

static int serve(struct testing *t, struct err *e)
{
	bool own = !t->broker_url;

	if (write_broker_config(t, e) || (!t->secrets.done && set_up(t, e)))
		return -1;
	if ((own && !t->c.v[CHILD_BROKER].pid && start_broker(t, e)) ||
	    (!t->c.v[CHILD_HSM].pid && start_hsm(t, own, e)))
		return -1;
	say_how(t);
	while (!t->c.stops) {
		if (look_after_all(t, own, e))
			return -1;
		children_turn(&t->c, t->due[CHILD_HSM] || t->due[CHILD_BROKER] ? 100 : 60000);
	}
	return 0;
}

/* ---- start ---- */

/* Whoever brings secrets along wants the production image. */
static int check_env(struct err *e)
{
	static const char *const names[] = {"HSM_DEVICE_KEY", "HSM_BOOTSTRAP_ADMINS", "UNLOCKPW",
					    "HSM_DATA", "HSM_ANCHOR"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *v = getenv(names[i]);

		if (v && *v)
			return err_set(e, ERR_CONFIG,
				       "%s is set: the test image makes its own secrets and takes "
				       "none; with yours, run signbox/hsm",
				       names[i]);
	}
	return 0;
}

static int find_programs(struct testing *t, struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", t->bin, sizeof(t->bin) - 1);

	if (n <= 0)
		return err_errno(e, ERR_IO, "cannot find own directory (is /proc there?)");
	*strrchr(t->bin, '/') = '\0';
	return 0;
}

static int prepare(struct testing *t, struct cli *c, struct err *e)
{
	static char data[PATH_MAX];
	const char *dir = cli_str(c, "data") ? cli_str(c, "data") : "/data";
	const char *url = getenv("NATS_URL"), *port;

	t->listen = cli_str(c, "listen") ? cli_str(c, "listen") : "0.0.0.0:4222";
	t->nats_server =
		cli_str(c, "nats-server") ? cli_str(c, "nats-server") : "/usr/sbin/nats-server";
	t->broker_url = url && *url ? url : NULL;
	port = strrchr(t->listen, ':');
	if (!port || strspn(port + 1, "0123456789") != strlen(port + 1) || strlen(port) > 6)
		return cli_usage(e, "--listen takes HOST:PORT");
	(void)snprintf(t->own_url, sizeof(t->own_url), "nats://127.0.0.1%s", port);
	if (find_programs(t, e))
		return -1;
	if (!realpath(dir, data) || access(data, W_OK) < 0)
		return err_errno(e, ERR_CONFIG,
				 "cannot write into %s, which must be a volume that belongs to "
				 "user %u",
				 dir, geteuid());
	t->data = data;
	return check_env(e) || secrets_make(&t->secrets, data, e) ? -1 : 0;
}

/* The image's health check: set up, and what hsmd says. */
static int health(struct testing *t, struct cli *c, struct err *e)
{
	const char *dir = cli_str(c, "data") ? cli_str(c, "data") : "/data";
	char hsmd[PATH_MAX], done[SECRETS_PATH_MAX];

	if (find_programs(t, e))
		return -1;
	(void)snprintf(t->secrets.dir, sizeof(t->secrets.dir), "%s/testing", dir);
	if (access(secrets_path(&t->secrets, "done", done), F_OK) < 0)
		return err_set(e, ERR_UNAVAILABLE, "it is not set up yet");
	execl(program(t, "hsmd", hsmd), "hsmd", "health", "--ready", (char *)NULL);
	return err_errno(e, ERR_TOOL, "cannot start %s", hsmd);
}

static int cmd_run(struct cli *c, struct err *e)
{
	struct testing t = {.backoff = {BACKOFF_MIN_MS, BACKOFF_MIN_MS}};
	int rc;

	if (cli_has(c, "health"))
		return health(&t, c, e);
	warn();
	if (prepare(&t, c, e) || children_open(&t.c, e))
		return -1;
	rc = serve(&t, e);
	children_end(&t.c, CHILD_HSM, END_MS);
	children_end(&t.c, CHILD_BROKER, END_MS / 3);
	close(t.c.signals);
	if (t.c.stops) {
		log_info("stopped");
		return 0;
	}
	if (rc && t.status) {
		(void)fprintf(stderr, "hsm-testing: %s\n", e->text);
		return t.status;
	}
	return rc;
}

static const struct cli_opt opts[] = {
	{"data", 0, "DIR", "volume of the store and of all secrets (/data)"},
	{"listen", 'l', "HOST:PORT", "where its own broker listens (0.0.0.0:4222)"},
	{"nats-server", 0, "FILE", "executable of the broker (/usr/sbin/nats-server)"},
	{"health", 0, NULL, "ask the one that runs: 0 when it is set up and ready"},
	{0},
};

static const struct cli_cmd cmds[] = {
	{.path = "",
	 .help = "Runs a signing service for tests, which makes its own secrets and prints them",
	 .opts = opts,
	 .run = cmd_run,
	 .examples = (const char *const[]){"hsm-testing", "NATS_URL=nats://broker:4222 hsm-testing",
					   NULL},
	 .about = "Never for production. With NATS_URL it uses that broker; NATS_CREDS, NATS_NKEY\n"
		  "and the other variables of hsmd say how to log in there."},
	{0},
};

static const struct cli_prog prog = {
	.name = "hsm-testing", .help = "A signing service for tests", .cmds = cmds};

/* As hsmd does it: podman starts what ends at once five times a second again. */
static void wait_before_end(int64_t started)
{
	const char *v = getenv("HSM_RESTART_DELAY");
	int64_t left = started + RESTART_DELAY_MS - children_now();
	struct timespec t = {left / 1000, left % 1000 * 1000000};
	sigset_t set;

	if (left <= 0 || getpid() != 1 || isatty(STDERR_FILENO) || (v && strcmp(v, "0") == 0))
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigtimedwait(&set, NULL, &t);
}

int main(int argc, char **argv)
{
	int64_t started = children_now();
	int status;

	cli_stdio();
	secret_no_core();
	umask(077);
	log_init("hsm-testing", false);
	if (crypto_init()) {
		(void)fprintf(stderr, "hsm-testing: cannot start the crypto library\n");
		return 1;
	}
	status = cli_main(&prog, argc, argv, NULL);
	if (status)
		wait_before_end(started);
	return status;
}
