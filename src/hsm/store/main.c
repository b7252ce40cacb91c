/* hsm-store: owns the database file; holds no key and sees sealed blobs. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "hsm/store/db.h"
#include "hsm/store/serve.h"
#include "proto/wire.h"

#define CHANNEL 3
#define MAP_MIB 1024
#define MAP_MIB_MAX (1u << 20)

struct options {
	const char *dir;
	unsigned long map_mib;
	bool no_landlock, debug;
};

static const struct sandbox_syscall syscalls[] = {
#include "hsm/store/syscalls.def"
};

static int usage(struct err *e, const char *what)
{
	return err_set(e, ERR_USAGE,
		       "%s; usage: hsm-store [--map-mib N] [--no-landlock] [--debug] DIRECTORY, "
		       "started by hsmd with its channel on descriptor 3",
		       what);
}

static int parse(struct options *o, int argc, char **argv, struct err *e)
{
	static const struct option longs[] = {
		{"map-mib", required_argument, NULL, 'm'},
		{"no-landlock", no_argument, NULL, 'l'},
		{"debug", no_argument, NULL, 'd'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	char *end;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'm':
			o->map_mib = strtoul(optarg, &end, 10);
			if (*end || o->map_mib < 1 || o->map_mib > MAP_MIB_MAX)
				return usage(e, "--map-mib is not between 1 and 1048576");
			break;
		case 'l':
			o->no_landlock = true;
			break;
		case 'd':
			o->debug = true;
			break;
		case 'v':
			puts("hsm-store " SIGNBOX_VERSION);
			exit(0);
		default:
			return usage(e, "unknown option");
		}
	}
	if (optind != argc - 1)
		return usage(e, "one directory is needed");
	o->dir = argv[optind];
	return 0;
}

/* Damage that nothing found before makes LMDB read where nothing is, or stop in an
 * assertion. The last words are ready made: nothing else is safe here. */
static struct {
	uint8_t frame[WIRE_HEAD + 2 + 64];
	size_t n;
} last_words;
static const char last_line[] =
	"level=error prog=hsm-store msg=\"store is damaged: restore the data directory from a "
	"backup\" error=STORE_DAMAGED\n";

static void die_damaged(void)
{
	struct buf b;
	int status = err_exit(&(struct err){.code = ERR_STORE_DAMAGED});

	buf_fixed(&b, last_words.frame, sizeof(last_words.frame));
	b.len = last_words.n;
	(void)!write(STDERR_FILENO, last_line, sizeof(last_line) - 1);
	(void)wire_send(CHANNEL, &b, NULL);
	_exit(status);
}

static void on_signal(int sig)
{
	(void)sig;
	die_damaged();
}

static int catch_damage(struct err *e)
{
	static const int sigs[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGILL};
	struct sigaction sa = {.sa_handler = on_signal};
	struct buf b;

	buf_fixed(&b, last_words.frame, sizeof(last_words.frame));
	size_t at = wire_begin(&b, W_DONE, 0);

	buf_u16(&b, ERR_STORE_DAMAGED);
	buf_printf(&b, "store is damaged");
	wire_end(&b, at);
	last_words.n = b.len;
	/* A file size limit is an error of write(2) then, like a full disk. */
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return err_errno(e, ERR_INTERNAL, "cannot catch signals");
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		if (sigaction(sigs[i], &sa, NULL) < 0)
			return err_errno(e, ERR_INTERNAL, "cannot catch signals");
	return 0;
}

static int enter_sandbox(const struct options *o, struct err *e)
{
	const struct sandbox_path path = {.path = o->dir, .right = SANDBOX_WRITE};
	const struct sandbox_landlock l = {
		.paths = &path, .npaths = 1, .no_network = true, .waived = o->no_landlock};
	bool missing;

	if (sandbox_landlock(&l, &missing, e) < 0)
		return -1;
	if (missing)
		log_warn("no Landlock: the whole file system can be reached");
	return sandbox_seccomp(syscalls, sizeof(syscalls) / sizeof(syscalls[0]), e);
}

static int run(const struct options *o, struct err *e)
{
	const struct sandbox_init init = {.last_fd = CHANNEL, .child = true};
	struct db *db = NULL;
	int rc;

	if (fcntl(CHANNEL, F_GETFD) < 0)
		return usage(e, "descriptor 3 is not open");
	umask(077);
	db_on_damage(die_damaged);
	if (sandbox_process_init(&init, e) < 0)
		return -1;
	rc = db_lock_dir(o->dir, e) < 0 || catch_damage(e) < 0 || enter_sandbox(o, e) < 0 ||
			     db_open(&db, o->dir, (size_t)o->map_mib << 20, e) < 0
		     ? -1
		     : 0;
	serve_hello(CHANNEL, rc < 0 ? e : &(struct err){.code = ERR_OK});
	if (rc < 0)
		return -1;
	log_debug("store is open", "path", o->dir);
	rc = serve(CHANNEL, db, e);
	db_close(db);
	return rc;
}

int main(int argc, char **argv)
{
	struct options o = {.map_mib = MAP_MIB};
	struct err e = {.code = ERR_OK};
	int rc = parse(&o, argc, argv, &e);

	log_init("hsm-store", o.debug);
	if (rc == 0)
		rc = run(&o, &e);
	if (rc == 0)
		return 0;
	log_error(e.text, "error", err_row(e.code)->name);
	return err_exit(&e);
}
