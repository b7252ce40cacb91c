/* What every process of the service does to itself before it reads its first
 * outside byte: process limits, Landlock, seccomp. Order at the start of a process:
 * sandbox_process_init, own files and warm-up, sandbox_landlock (before threads: it
 * binds only the calling one and those it starts), threads, sandbox_seccomp (binds
 * all of them). Built with -DSANITIZE, Landlock and seccomp do nothing. */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct sandbox_init {
	int last_fd;	  /* descriptors above this one are closed; 2: only stdio stays */
	bool child;	  /* started by hsmd: die with it */
	bool new_session; /* leave the terminal's process group, so that ^C goes to hsmd only */
	/* Environment names that stay, NULL-terminated; the others are wiped in place,
	 * also in /proc/self/environ. NULL: none stays. */
	const char *const *env;
};

/* No core, not dumpable, no new privileges, stdio open, only the wanted
 * descriptors and environment. Errors: SANDBOX. */
int sandbox_process_init(const struct sandbox_init *o, struct err *e);

/* Overwrites the value of an environment variable in place and removes the
 * variable: nothing is left in environ or /proc/self/environ. */
void sandbox_env_wipe(const char *name);

enum sandbox_right {
	SANDBOX_READ,  /* read a file, or a directory and all below it */
	SANDBOX_WRITE, /* that, and create, change, rename, remove files and directories */
	SANDBOX_EXEC,  /* that of READ, and execute */
};

struct sandbox_path {
	const char *path; /* NULL: row is skipped */
	enum sandbox_right right;
	bool optional; /* does not exist: row is skipped */
};

struct sandbox_landlock {
	const struct sandbox_path *paths; /* everything else is refused */
	size_t npaths;
	bool no_network; /* TCP connect is refused too (TCP bind and listen always are) */
	bool reads_open; /* reading is not restricted (hsmd: its rules go to its children) */
	bool waived;	 /* go on when the kernel has no Landlock */
};

/* Restricts the calling thread and what it starts, by all rights that the running
 * kernel knows (Landlock ABI 1 to 7: files, TCP, signals and abstract sockets to
 * outside). *missing (may be NULL) is set when there is none and it was waived.
 * Errors: SANDBOX. */
int sandbox_landlock(const struct sandbox_landlock *l, bool *missing, struct err *e);

/* How a system call of a list is allowed. */
enum sandbox_rule {
	SANDBOX_ANY,	   /* whatever its arguments */
	SANDBOX_NO_EXEC,   /* mmap, mprotect: without PROT_EXEC */
	SANDBOX_THREAD,	   /* clone: exactly the flags of pthread_create */
	SANDBOX_NAMES,	   /* prctl: PR_SET_NAME, PR_SET_VMA */
	SANDBOX_READ_ONLY, /* openat: no writing, no creating */
	SANDBOX_INET,	   /* socket: IPv4 and IPv6 streams and datagrams; the Unix and netlink
			    * sockets that name resolution tries give EAFNOSUPPORT */
	SANDBOX_NOT_THERE, /* gives ENOSYS: glibc falls back to an older call */
	SANDBOX_DENY,	   /* lists of sandbox_seccomp_deny only: kills */
};

struct sandbox_syscall {
	int nr; /* SCMP_SYS(name); negative: this machine has no such call */
	const char *name;
	enum sandbox_rule rule;
	const char *why; /* "rare: …" when the workload of tests/e2e/seccomp.t may not use it */
};

/* Rows of the files syscalls.def, one a process:
 *   static const struct sandbox_syscall list[] = {
 *   #include "hsm/keyd/syscalls.def"
 *   }; */
#define SYS(name, why) {SCMP_SYS(name), #name, SANDBOX_ANY, why},
#define SYS_IF(name, rule, why) {SCMP_SYS(name), #name, SANDBOX_##rule, why},

/* Allow-list: any other system call kills the process. For all threads, for good.
 * Errors: SANDBOX. */
int sandbox_seccomp(const struct sandbox_syscall *list, size_t n, struct err *e);
/* The opposite, for hsmd, whose filter its children inherit: rows DENY kill, every
 * other call stays possible. */
int sandbox_seccomp_deny(const struct sandbox_syscall *list, size_t n, struct err *e);

#endif
