#include "hsm/launcher/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "hsm/launcher/health.h"
#include "hsm/launcher/launch.h"
#include "hsm/launcher/limits.h"
#include "hsm/launcher/supervise.h"
#include "hsm/launcher/volume.h"

#ifndef SIGNBOX_VERSION
#define SIGNBOX_VERSION "0-dev"
#endif

static const struct sandbox_syscall denied[] = {
#include "hsm/launcher/syscalls.def"
};

/* One hsmd a data directory; the lock goes with the process. File systems that cannot
 * lock leave it to the store's own lock. */
static int take_data(const struct config *c, int *out, struct err *e)
{
	char store[PATH_MAX];

	if (launch_store_dir(c, store, sizeof(store), e) || volume_data(c, store, e))
		return -1;
	CLEAN(fd) int fd = open(c->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, ERR_CONFIG, "cannot use the data directory %s", c->data);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return err_set(e, ERR_STORE_IN_USE,
			       "another hsmd runs on %s: stop it, or give this one a directory of "
			       "its own (HSM_DATA)",
			       c->data);
	*out = steal_fd(&fd);
	return 0;
}

/* Without administrators nobody could ever provision it; later the store knows them. */
static int has_admins(const struct config *c, struct err *e)
{
	char file[PATH_MAX];

	if (c->nbootstrap ||
	    snprintf(file, sizeof(file), "%s/store/data.mdb", c->data) >= (int)sizeof(file) ||
	    access(file, F_OK) == 0)
		return 0;
	return err_set(e, ERR_CONFIG,
		       "first start on %s, and no administrators: set HSM_BOOTSTRAP_ADMINS "
		       "(bootstrap_admins) to name=U…, who may provision and unlock",
		       c->data);
}

/* Who the service is to the broker: a broker that takes anybody would let anybody answer in
 * its place, and see who asks for what. */
static int has_nats_user(const struct config *c, struct err *e)
{
	if (c->nats_nkey || c->nats_creds || c->nats_cert || strchr(c->nats_url, '@'))
		return 0;
	return err_set(e, ERR_CONFIG,
		       "no NATS user of the service: set nats.nkey (NATS_NKEY) to a file with a "
		       "seed, made with 'signbox nk -gen user', or nats.creds (NATS_CREDS)");
}

/* The children inherit both layers, so each allows what any of the four needs: writing
 * below data, identity and anchor, executing out of one directory, reading anything.
 * What each child must not read it refuses to itself. */
static int sandbox(const struct config *c, bool *no_landlock, struct err *e)
{
	char dirs[3][PATH_MAX];
	const char *files[3] = {c->identity_file, c->health_socket, c->anchor_file};
	struct sandbox_path paths[5] = {{c->data, SANDBOX_WRITE, false},
					{c->libexec_dir, SANDBOX_EXEC, false}};
	const struct sandbox_landlock l = {
		.paths = paths, .npaths = 5, .reads_open = true, .waived = c->landlock_waived};

	for (int i = 0; i < 3; i++) {
		if (!files[i])
			continue;
		(void)snprintf(dirs[i], sizeof(dirs[i]), "%.*s",
			       (int)(strrchr(files[i], '/') - files[i] + 1), files[i]);
		paths[2 + i] = (struct sandbox_path){dirs[i], SANDBOX_WRITE, false};
	}
	if (sandbox_landlock(&l, no_landlock, e))
		return -1;
	return sandbox_seccomp_deny(denied, sizeof(denied) / sizeof(denied[0]), e);
}

static int stdin_away(struct err *e)
{
	CLEAN(fd) int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
		return err_errno(e, ERR_IO, "cannot open /dev/null");
	return 0;
}

static void forget_env(void)
{
	const char *const *names = config_env_names();

	/* A NATS URL may hold a password. */
	for (size_t i = 0; names[i]; i++)
		sandbox_env_wipe(names[i]);
}

static void say_start(const struct supervise *s)
{
	CLEAN(buf) struct buf w = {0};

	buf_init(&w, 256);
	boot_warnings_text(s->warnings, &w);
	buf_u8(&w, '\0');
	log_info("starting", "version", SIGNBOX_VERSION, "config",
		 s->cfg->file ? s->cfg->file : "none", "data", s->cfg->data, "workers",
		 LOG_NUM(s->cfg->workers), "unlock-passphrase",
		 s->boot->passphrase.p ? "stored" : "none", "warnings",
		 w.bad ? "?" : (const char *)w.p);
	if (s->warnings & WARN_MEMLOCK)
		log_warn("memory-lock limit is too small: keys may be written to swap", "do",
			 "raise it (ulimit -l, --ulimit memlock=…)", "needed-mib",
			 LOG_NUM(s->cfg->key_mib + 4));
	if (s->warnings & WARN_NO_LANDLOCK)
		log_warn("this kernel has no Landlock; the configuration waived it");
	if (s->warnings & WARN_TESTING)
		log_warn("this HSM is for tests: its secrets were printed");
}

int run_service(const struct config *c, struct boot *b, struct err *e)
{
	struct supervise s = {.cfg = c, .boot = b, .listener = -1};
	CLEAN(fd) int data = -1;
	bool no_landlock = false;
	int rc;

	umask(077);
	if (boot_secrets(b, c, e) || take_data(c, &data, e) || config_check_files(c, e) ||
	    has_admins(c, e) || has_nats_user(c, e) || limits_check(c, e) ||
	    anchor_load(&s.anchor, c->anchor_file, e) || stdin_away(e) ||
	    health_listen(&s.listener, c->health_socket, e))
		return -1;
	forget_env();
	boot_look(b, c);
	rc = sandbox(c, &no_landlock, e);
	if (rc == 0) {
		s.warnings = b->warnings | (no_landlock ? WARN_NO_LANDLOCK : 0);
		say_start(&s);
		rc = supervise_run(&s, e);
	}
	close(s.listener);
	(void)unlink(c->health_socket);
	if (rc >= 0)
		log_info("stopped", "status", LOG_NUM(rc));
	return rc;
}
