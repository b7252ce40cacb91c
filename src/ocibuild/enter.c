#include "ocibuild/enter.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "ocibuild/run.h"

/* Nothing of the host's environment gets in. */
static const char *const fixed_env[] = {
	"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "LC_ALL=C.UTF-8", "TZ=UTC", "TERM=dumb",
};
#define NFIXED (sizeof(fixed_env) / sizeof(fixed_env[0]))

struct args {
	const char *v[256];
	size_t n;
};

static void add(struct args *a, const char *s)
{
	if (a->n < sizeof(a->v) / sizeof(a->v[0]) - 1)
		a->v[a->n++] = s;
}

static void bwrap_args(struct args *a, const struct enter *en, bool pid_ns)
{
	static const char *const head[] = {"bwrap", "--die-with-parent", "--unshare-ipc"};
	static const char *const user[] = {"--unshare-user", "--uid", "0", "--gid", "0",
					   "--cap-add",	     "ALL"};
	static const char *const mid[] = {"--dev",	   "/dev", "--proc",  "/proc",
					  "--tmpfs",	   "/tmp", "--tmpfs", "/run",
					  "--ro-bind-try", "/sys", "/sys"};

	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		add(a, head[i]);
	if (pid_ns)
		add(a, "--unshare-pid");
	/* an ordinary user is root inside, over nothing but this name space */
	for (size_t i = 0; geteuid() != 0 && i < sizeof(user) / sizeof(user[0]); i++)
		add(a, user[i]);
	add(a, "--ro-bind");
	add(a, en->root);
	add(a, "/");
	for (size_t i = 0; i < sizeof(mid) / sizeof(mid[0]); i++)
		add(a, mid[i]);
	if (en->cache) {
		add(a, "--ro-bind");
		add(a, en->cache);
		add(a, ENTER_CACHE);
	}
	add(a, "--bind");
	add(a, en->bind);
	add(a, "/src");
	add(a, "--chdir");
	add(a, "/src");
	add(a, "--");
}

/* Whether bubblewrap can do this here: containers often forbid parts of it. */
static bool bwrap_works(const struct enter *en, bool pid_ns)
{
	struct args a = {0};
	struct run r = {.argv = a.v};

	bwrap_args(&a, en, pid_ns);
	add(&a, "/bin/true");
	return run_program(&r, NULL) == 0;
}

static int put_mount(const char *from, const char *root, const char *to, const char *type,
		     unsigned long flags, struct err *e)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s%s", root, to);
	if (mount(from, path, type, flags, NULL) < 0)
		return err_errno(e, ERR_TOOL,
				 "neither bubblewrap nor a chroot works here (it takes user name "
				 "spaces or CAP_SYS_ADMIN): cannot mount %s",
				 path);
	return 0;
}

/* Below /run, which is a fresh tmpfs here. */
static int mount_cache(const struct enter *en, struct err *e)
{
	char path[4096];

	if (!en->cache)
		return 0;
	snprintf(path, sizeof(path), "%s" ENTER_CACHE, en->root);
	if (mkdir(path, 0755) < 0)
		return err_errno(e, ERR_IO, "cannot make %s", path);
	if (put_mount(en->cache, en->root, ENTER_CACHE, NULL, MS_BIND, e))
		return -1;
	return put_mount(NULL, en->root, ENTER_CACHE, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, e);
}

static int into_chroot(const struct enter *en, struct err *e)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(e, ERR_TOOL,
				 "neither bubblewrap nor a chroot works here (it takes user name "
				 "spaces or CAP_SYS_ADMIN)");
	if (put_mount(en->root, en->root, "", NULL, MS_BIND, e) ||
	    put_mount("proc", en->root, "/proc", "proc", 0, e) ||
	    put_mount("/dev", en->root, "/dev", NULL, MS_BIND | MS_REC, e) ||
	    put_mount("tmpfs", en->root, "/tmp", "tmpfs", 0, e) ||
	    put_mount("tmpfs", en->root, "/run", "tmpfs", 0, e) ||
	    put_mount(en->bind, en->root, "/src", NULL, MS_BIND, e) || mount_cache(en, e) ||
	    put_mount(NULL, en->root, "", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, e))
		return -1;
	if (chroot(en->root) < 0 || chdir("/src") < 0)
		return err_errno(e, ERR_TOOL, "cannot enter %s", en->root);
	return 0;
}

/* For a person at a terminal: what it can show, and (Debian's bashrc puts it into the
 * prompt) where they are. No file that is built depends on either. */
static int set_terminal(const struct enter *en, const char *term)
{
	const char *slash = strrchr(en->root, '/');

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return 0;
	if (term && setenv("TERM", term, 1) < 0)
		return -1;
	return setenv("debian_chroot", slash ? slash + 1 : en->root, 1);
}

static int set_env(const struct enter *en, struct err *e)
{
	CLEAN(free) char *term = getenv("TERM") ? strdup(getenv("TERM")) : NULL;

	if (clearenv() != 0)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < NFIXED; i++)
		putenv((char *)(uintptr_t)fixed_env[i]);
	if (en->cache)
		putenv((char *)(uintptr_t)"SIGNBOX_CACHE=" ENTER_CACHE);
	if (set_terminal(en, term) < 0)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; en->env && en->env[i]; i++)
		putenv(en->env[i]);
	return 0;
}

int enter_exec(const struct enter *en, struct err *e)
{
	struct args a = {0};
	bool pid_ns = bwrap_works(en, true);

	if (access(en->root, F_OK) < 0)
		return err_errno(e, ERR_IO, "no rootfs %s", en->root);
	if (pid_ns || bwrap_works(en, false)) {
		bwrap_args(&a, en, pid_ns);
		for (size_t i = 0; en->argv[i]; i++)
			add(&a, en->argv[i]);
		if (a.n == sizeof(a.v) / sizeof(a.v[0]) - 1)
			return err_set(e, ERR_USAGE, "too many arguments");
		if (set_env(en, e))
			return -1;
		umask(022);
		execvp(a.v[0], (char *const *)(uintptr_t)a.v);
		return err_errno(e, ERR_TOOL, "cannot start bwrap");
	}
	if (geteuid() != 0)
		return err_set(e, ERR_TOOL,
			       "bubblewrap does not work here and a chroot needs root: allow user "
			       "name spaces, or run as root");
	if (into_chroot(en, e) || set_env(en, e))
		return -1;
	umask(022);
	execvp(en->argv[0], en->argv);
	return err_errno(e, ERR_TOOL, "cannot start %s", en->argv[0]);
}
