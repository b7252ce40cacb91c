#include "hsm/launcher/launch.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/spawn.h"
#include "hsm/launcher/control.h"

#define NUMBER_LEN 24

/* What the sanitizers and TLS look at; nothing else of hsmd's environment is passed. */
static const char *const passed_env[] = {
	"SSL_CERT_FILE", "SSL_CERT_DIR",
#ifdef SANITIZE
	"ASAN_OPTIONS",	 "UBSAN_OPTIONS", "LSAN_OPTIONS",
#endif
};

#define NPASSED (sizeof(passed_env) / sizeof(passed_env[0]))

/* argv[0] is set here, to the executable's path. */
static int run(struct supervise *s, enum proc_id id, char **argv, const int *fds, unsigned nfds,
	       struct err *e)
{
	char path[PATH_MAX], *envp[NPASSED + 1] = {NULL};
	struct proc *p = &s->proc[id];
	struct spawn what = {.path = path, .argv = argv, .envp = envp, .fds = fds, .nfds = nfds};
	size_t n = 0;
	int rc = 0;

	if (snprintf(path, sizeof(path), "%s/%s", s->cfg->libexec_dir, supervise_name(id)) >=
	    (int)sizeof(path))
		return err_set(e, ERR_CONFIG, "libexec_dir is too long");
	argv[0] = path;
	for (size_t i = 0; i < NPASSED && rc >= 0; i++) {
		const char *v = getenv(passed_env[i]);

		if (v && (rc = asprintf(&envp[n], "%s=%s", passed_env[i], v)) >= 0)
			n++;
	}
	rc = rc < 0 ? err_set(e, ERR_NOMEM, NULL) : spawn_start(&what, &p->pid, &p->pidfd, e);
	for (size_t i = 0; i < n; i++)
		free(envp[i]);
	return rc;
}

/* A keyd that cannot be told anything has ended or is about to: what follows from that
 * is decided there, together with its exit status. */
static int told(int rc, const struct err *e)
{
	return rc && e->code == ERR_IO ? 0 : rc;
}

int launch_keyd(struct supervise *s, struct err *e)
{
	char *argv[] = {NULL, NULL};
	int pair[2], rc;

	if (spawn_pair(pair, e))
		return -1;
	rc = run(s, PROC_KEYD, argv, &pair[1], 1, e);
	close(pair[1]);
	s->control = pair[0];
	if (rc == 0)
		rc = wire_reader_init(&s->reader, WIRE_PACKET, false, e);
	return rc == 0 ? told(control_config(s, e), e) : rc;
}

int launch_store_dir(const struct config *c, char *out, size_t cap, struct err *e)
{
	if (snprintf(out, cap, "%s/store", c->data) >= (int)cap)
		return err_set(e, ERR_CONFIG, "the data directory's name is too long");
	return 0;
}

int launch_store(struct supervise *s, struct err *e)
{
	char dir[PATH_MAX], mib[NUMBER_LEN];
	char *argv[7] = {NULL, (char[]){"--map-mib"}, mib};
	static char no_landlock[] = "--no-landlock", debug[] = "--debug";
	int pair[2], rc, n = 3;

	if (launch_store_dir(s->cfg, dir, sizeof(dir), e))
		return -1;
	(void)snprintf(mib, sizeof(mib), "%lld", (long long)s->cfg->map_mib);
	if (s->cfg->landlock_waived)
		argv[n++] = no_landlock;
	if (s->cfg->debug)
		argv[n++] = debug;
	argv[n] = dir;
	if (spawn_pair(pair, e))
		return -1;
	rc = run(s, PROC_STORE, argv, &pair[1], 1, e);
	if (rc == 0)
		rc = told(control_fds(s, W_STORE, &pair[0], 1, e), e);
	close(pair[0]);
	close(pair[1]);
	return rc;
}

/* ---- front ---- */

static int front_json(const struct config *c, struct buf *out, struct err *e)
{
	CLEAN(json) json_t *j = json_pack(
		"{s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:b, s:b, s:I}", "url", c->nats_url,
		"creds", c->nats_creds, "nkey", c->nats_nkey, "ca", c->nats_ca, "cert",
		c->nats_cert, "key", c->nats_key, "name", c->nats_name, "debug", c->debug,
		"landlock_waived", c->landlock_waived, "max_message", (json_int_t)c->max_message);

	if (!j)
		return err_set(e, ERR_CONFIG, "nats: a value is not UTF-8 text");
	return json_text(j, JSON_ONE_LINE, out, e);
}

/* A file without a name: nothing to clean up, nothing for others to read. */
static int front_config_fd(const struct config *c, int *out, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	CLEAN(fd) int fd = memfd_create("hsm-front configuration", MFD_CLOEXEC);

	buf_init(&b, 65536);
	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot make a memory file");
	if (front_json(c, &b, e) || file_write_fd(fd, "memory file", b.p, b.len, e))
		return -1;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(e, ERR_IO, "cannot rewind a memory file");
	*out = steal_fd(&fd);
	return 0;
}

struct front_fds {
	unsigned lanes;
	int ours[SPAWN_MAX_FDS], theirs[SPAWN_MAX_FDS]; /* lanes, then see make_fds */
	unsigned nours, ntheirs;
};

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

static void cleanup_front_fds(struct front_fds *f)
{
	close_all(f->ours, f->nours);
	close_all(f->theirs, f->ntheirs);
}

/* theirs: lanes, configuration, status; ours: the lanes' other ends, status. */
static int make_fds(struct supervise *s, struct front_fds *f, struct err *e)
{
	int pair[2];

	f->lanes = (unsigned)s->cfg->workers + 1;
	for (unsigned i = 0; i < f->lanes + 1; i++) {
		if (i == f->lanes && front_config_fd(s->cfg, &f->theirs[f->ntheirs], e) == 0)
			f->ntheirs++;
		else if (i == f->lanes)
			return -1;
		if (spawn_pair(pair, e))
			return -1;
		f->ours[f->nours++] = pair[0];
		f->theirs[f->ntheirs++] = pair[1];
	}
	return 0;
}

int launch_front(struct supervise *s, struct err *e)
{
	char lanes[NUMBER_LEN], config[NUMBER_LEN], status[NUMBER_LEN];
	char *argv[] = {NULL,	(char[]){"--lanes"},	 lanes,	 (char[]){"--config-fd"},
			config, (char[]){"--status-fd"}, status, NULL};
	CLEAN(front_fds) struct front_fds f = {0};

	if (make_fds(s, &f, e))
		return -1;
	(void)snprintf(lanes, sizeof(lanes), "%u", f.lanes);
	(void)snprintf(config, sizeof(config), "%u", SPAWN_FIRST_FD + f.lanes);
	(void)snprintf(status, sizeof(status), "%u", SPAWN_FIRST_FD + f.lanes + 1);
	if (run(s, PROC_FRONT, argv, f.theirs, f.ntheirs, e))
		return -1;
	s->link = f.ours[--f.nours];
	return told(control_fds(s, W_FRONT, f.ours, f.lanes, e), e);
}
