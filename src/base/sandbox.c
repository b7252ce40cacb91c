#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* ---- process ---- */

static size_t name_len(const char *env)
{
	const char *eq = strchr(env, '=');

	return eq ? (size_t)(eq - env) : strlen(env);
}

static bool named(const char *env, const char *name)
{
	size_t n = name_len(env);

	return strlen(name) == n && strncmp(env, name, n) == 0;
}

static bool kept(const char *env, const char *const *names)
{
	for (size_t i = 0; names && names[i]; i++)
		if (named(env, names[i]))
			return true;
	return false;
}

/* environ points into the initial stack, which is what /proc/self/environ shows:
 * wiping the strings in place empties both. */
static void env_filter(const char *const *names)
{
	char **to = environ;

	if (!environ)
		return;
	for (char **from = environ; *from; from++) {
		if (kept(*from, names))
			*to++ = *from;
		else
			explicit_bzero(*from, strlen(*from));
	}
	*to = NULL;
}

void sandbox_env_wipe(const char *name)
{
	char **to = environ;

	if (!environ)
		return;
	for (char **from = environ; *from; from++) {
		if (named(*from, name))
			explicit_bzero(*from, strlen(*from));
		else
			*to++ = *from;
	}
	*to = NULL;
}

static int stdio_open(struct err *e)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* Lowest free number: this very one. Else a channel could become stderr. */
		if (open("/dev/null", O_RDWR | O_NOCTTY) != fd)
			return err_errno(e, ERR_SANDBOX, "cannot open /dev/null as descriptor %d",
					 fd);
	}
	return 0;
}

int sandbox_process_init(const struct sandbox_init *o, struct err *e)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return err_errno(e, ERR_SANDBOX, "cannot switch core files off");
#ifndef SANITIZE
	/* The leak checker attaches to its own process, which needs it dumpable. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return err_errno(e, ERR_SANDBOX, "cannot become non-dumpable");
#endif
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, ERR_SANDBOX, "cannot set no_new_privs");
	if (o->child && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return err_errno(e, ERR_SANDBOX, "cannot ask to die with the parent");
	if (o->new_session && setsid() < 0 && errno != EPERM)
		return err_errno(e, ERR_SANDBOX, "cannot start a session");
	env_filter(o->env);
	if (stdio_open(e))
		return -1;
	if (syscall(SYS_close_range, (unsigned)o->last_fd + 1, ~0U, 0U) < 0)
		return err_errno(e, ERR_SANDBOX, "cannot close descriptors");
	return 0;
}

/* ---- Landlock ---- */

#define FS(right) LANDLOCK_ACCESS_FS_##right
#define FS_READ (FS(READ_FILE) | FS(READ_DIR))
#define FS_MAKE                                                                                    \
	(FS(MAKE_CHAR) | FS(MAKE_DIR) | FS(MAKE_REG) | FS(MAKE_SOCK) | FS(MAKE_FIFO) |             \
	 FS(MAKE_BLOCK) | FS(MAKE_SYM))
#define FS_WRITE                                                                                   \
	(FS(WRITE_FILE) | FS(REMOVE_DIR) | FS(REMOVE_FILE) | FS_MAKE | FS(REFER) | FS(TRUNCATE))
#define FS_ON_FILE (FS(EXECUTE) | FS(WRITE_FILE) | FS(READ_FILE) | FS(TRUNCATE) | FS(IOCTL_DEV))

/* What of a set the running kernel knows: newer rights are refused by older ones. */
static __u64 known(__u64 rights, int abi)
{
	if (abi < 2)
		rights &= ~FS(REFER);
	if (abi < 3)
		rights &= ~FS(TRUNCATE);
	if (abi < 5)
		rights &= ~FS(IOCTL_DEV);
	return rights;
}

static __u64 rights_of(enum sandbox_right right)
{
	switch (right) {
	case SANDBOX_WRITE:
		/* No device, socket or symbolic link is ever made below a data directory. */
		return FS_READ | FS(WRITE_FILE) | FS(REMOVE_DIR) | FS(REMOVE_FILE) | FS(MAKE_DIR) |
		       FS(MAKE_REG) | FS(REFER) | FS(TRUNCATE);
	case SANDBOX_EXEC:
		return FS_READ | FS(EXECUTE);
	case SANDBOX_READ:
	default:
		return FS_READ;
	}
}

static int add_path(int ruleset, const struct sandbox_path *p, __u64 handled, int abi,
		    struct err *e)
{
	struct landlock_path_beneath_attr at = {0};
	struct stat st;

	if (!p->path)
		return 0;
	CLEAN(fd) int fd = open(p->path, O_PATH | O_CLOEXEC);

	if (fd < 0 && p->optional && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, ERR_SANDBOX, "cannot open %s for the sandbox", p->path);
	at.parent_fd = fd;
	at.allowed_access = known(rights_of(p->right), abi) & handled;
	if (!S_ISDIR(st.st_mode))
		at.allowed_access &= FS_ON_FILE;
	if (!at.allowed_access)
		return 0;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &at, 0) < 0)
		return err_errno(e, ERR_SANDBOX, "Landlock refused a rule for %s", p->path);
	return 0;
}

static int restrict_self(const struct sandbox_landlock *l, int abi, struct err *e)
{
	struct landlock_ruleset_attr at = {0};
	size_t size = sizeof(at);

	at.handled_access_fs = known(FS(EXECUTE) | FS_WRITE | FS(IOCTL_DEV), abi);
	if (!l->reads_open)
		at.handled_access_fs |= FS_READ;
	at.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP;
	if (l->no_network)
		at.handled_access_net |= LANDLOCK_ACCESS_NET_CONNECT_TCP;
	at.scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
	if (abi < 6)
		size = offsetof(struct landlock_ruleset_attr, scoped);
	if (abi < 4)
		size = offsetof(struct landlock_ruleset_attr, handled_access_net);
	CLEAN(fd) int fd = (int)syscall(SYS_landlock_create_ruleset, &at, size, 0);

	if (fd < 0)
		return err_errno(e, ERR_SANDBOX, "cannot create a Landlock ruleset");
	for (size_t i = 0; i < l->npaths; i++)
		if (add_path(fd, &l->paths[i], at.handled_access_fs, abi, e))
			return -1;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return err_errno(e, ERR_SANDBOX, "cannot enter the Landlock sandbox");
	return 0;
}

int sandbox_landlock(const struct sandbox_landlock *l, bool *missing, struct err *e)
{
	if (missing)
		*missing = false;
#ifdef SANITIZE
	(void)l;
	(void)restrict_self;
	(void)e;
	return 0;
#else
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi < 1) {
		if (missing)
			*missing = true;
		if (l->waived)
			return 0;
		return err_errno(e, ERR_SANDBOX,
				 "this kernel has no Landlock; enable it (lsm=landlock,…) or "
				 "set 'landlock: waived'");
	}
	return restrict_self(l, (int)abi, e);
#endif
}

/* ---- seccomp ---- */

/* Of glibc's pthread_create: everything shared with the process, nothing else. */
#define THREAD_FLAGS                                                                               \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_SIGHAND | CLONE_THREAD |        \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

#define ARG_SET(mask, value) SCMP_CMP_MASKED_EQ, (mask), (value)

static int add_names(scmp_filter_ctx ctx, int nr)
{
	static const unsigned ops[] = {PR_SET_NAME, PR_SET_VMA};
	int rc = 0;

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]) && rc == 0; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
				      SCMP_A0(ARG_SET(UINT32_MAX, ops[i])));
	return rc;
}

static int add_inet(scmp_filter_ctx ctx, int nr)
{
	static const struct {
		unsigned family, type;
	} allow[] = {{AF_INET, SOCK_STREAM},
		     {AF_INET, SOCK_DGRAM},
		     {AF_INET6, SOCK_STREAM},
		     {AF_INET6, SOCK_DGRAM}};
	static const unsigned refuse[] = {AF_UNIX, AF_NETLINK};
	const unsigned flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
	int rc = 0;

	for (size_t i = 0; i < sizeof(allow) / sizeof(allow[0]) && rc == 0; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 2,
				      SCMP_A0(ARG_SET(UINT32_MAX, allow[i].family)),
				      SCMP_A1(ARG_SET(UINT32_MAX & ~flags, allow[i].type)));
	for (size_t i = 0; i < sizeof(refuse) / sizeof(refuse[0]) && rc == 0; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), nr, 1,
				      SCMP_A0(ARG_SET(UINT32_MAX, refuse[i])));
	return rc;
}

static int add_row(scmp_filter_ctx ctx, const struct sandbox_syscall *s)
{
	const uint64_t write_flags = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;

	switch (s->rule) {
	case SANDBOX_ANY:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, s->nr, 0);
	case SANDBOX_NO_EXEC:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, s->nr, 1,
					SCMP_A2(ARG_SET(PROT_EXEC, 0)));
	case SANDBOX_THREAD:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, s->nr, 1,
					SCMP_A0(SCMP_CMP_EQ, THREAD_FLAGS, 0));
	case SANDBOX_NAMES:
		return add_names(ctx, s->nr);
	case SANDBOX_READ_ONLY:
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, s->nr, 1,
					SCMP_A2(ARG_SET(write_flags, O_RDONLY)));
	case SANDBOX_INET:
		return add_inet(ctx, s->nr);
	case SANDBOX_NOT_THERE:
		return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), s->nr, 0);
	case SANDBOX_DENY:
		return seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, s->nr, 0);
	}
	return -EINVAL;
}

static int load(uint32_t action, const struct sandbox_syscall *list, size_t n, struct err *e)
{
	scmp_filter_ctx ctx = seccomp_init(action);
	int rc;

	if (!ctx)
		return err_set(e, ERR_SANDBOX, "cannot start a seccomp filter");
	rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	/* Sorted as a tree: the signing path passes the filter several times a request. */
	if (rc == 0)
		rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; i < n && rc == 0; i++) {
		rc = list[i].nr < 0 ? 0 : add_row(ctx, &list[i]);
		if (rc)
			err_set(e, ERR_SANDBOX, "cannot put %s into the seccomp filter: %s",
				list[i].name, strerror(-rc));
	}
	if (rc) {
		seccomp_release(ctx);
		return -1;
	}
	rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc)
		return err_set(e, ERR_SANDBOX, "the kernel refused the seccomp filter: %s",
			       strerror(-rc));
	return 0;
}

int sandbox_seccomp(const struct sandbox_syscall *list, size_t n, struct err *e)
{
#ifdef SANITIZE
	(void)list;
	(void)n;
	(void)e;
	(void)load;
	return 0;
#else
	return load(SCMP_ACT_KILL_PROCESS, list, n, e);
#endif
}

int sandbox_seccomp_deny(const struct sandbox_syscall *list, size_t n, struct err *e)
{
#ifdef SANITIZE
	(void)list;
	(void)n;
	(void)e;
	return 0;
#else
	return load(SCMP_ACT_ALLOW, list, n, e);
#endif
}
