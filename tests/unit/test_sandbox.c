/* base/sandbox: each case runs in a forked child, because there is no way back out
 * of a sandbox. A child says 0 for "as expected" or the line that was not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/sandbox.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* Lines over 250 are told as 250: an exit status has eight bits. */
#define EXPECT(cond)                                                                               \
	do {                                                                                       \
		if (!(cond))                                                                       \
			return __LINE__ % 250 + 1;                                                 \
	} while (0)

static char dir[] = "/tmp/test_sandbox-XXXXXX";

static int run(int (*child)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void expect_ok(int (*child)(void))
{
	int status = run(child);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- process_init ---- */

static bool in_proc_environ(const char *word)
{
	static char p[65536];
	CLEAN(fd) int fd = open("/proc/self/environ", O_RDONLY);
	ssize_t n = read(fd, p, sizeof(p));

	return n > 0 && memmem(p, (size_t)n, word, strlen(word)) != NULL;
}

static int child_init(void)
{
	static const char *const keep[] = {"KEPT", NULL};
	const struct sandbox_init o = {.last_fd = 4, .env = keep};
	struct rlimit r;
	struct err e;
	int fd = open("/dev/null", O_RDONLY), high = fcntl(fd, F_DUPFD, 100);

	EXPECT(fd >= 0 && high >= 100 && dup2(fd, 4) == 4);
	close(0);
	EXPECT(sandbox_process_init(&o, &e) == 0);
	EXPECT(fcntl(0, F_GETFD) >= 0 && fcntl(4, F_GETFD) >= 0 && fcntl(high, F_GETFD) < 0);
	EXPECT(getrlimit(RLIMIT_CORE, &r) == 0 && r.rlim_cur == 0 && r.rlim_max == 0);
	EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
#ifndef SANITIZE
	EXPECT(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
#endif
	EXPECT(getenv("KEPT") && strcmp(getenv("KEPT"), "word-kept") == 0);
	EXPECT(getenv("KEPTNOT") == NULL && getenv("SECRET") == NULL);
	return 0;
}

static void test_init(void **state)
{
	(void)state;
	expect_ok(child_init);
}

/* The environment of a program that was started with it lies on its stack: this
 * needs an execve, so the test starts itself. */
static int environ_child(void)
{
	static const char *const keep[] = {"KEPT", NULL};
	const struct sandbox_init o = {.last_fd = 2, .env = keep};
	struct err e;

	EXPECT(in_proc_environ("word-secret") && in_proc_environ("word-kept"));
	sandbox_env_wipe("SECRET");
	EXPECT(!in_proc_environ("word-secret") && in_proc_environ("word-other"));
	EXPECT(getenv("SECRET") == NULL && getenv("OTHER") != NULL);
	EXPECT(sandbox_process_init(&o, &e) == 0);
	EXPECT(!in_proc_environ("word-other") && getenv("OTHER") == NULL);
	EXPECT(getenv("KEPT") != NULL);
	return 0;
}

static int child_environ(void)
{
	char *const argv[] = {(char[]){"test_sandbox"}, (char[]){"environ"}, NULL};
	char *const envp[] = {(char[]){"SECRET=word-secret"}, (char[]){"KEPT=word-kept"},
			      (char[]){"SECRETS=x"}, (char[]){"OTHER=word-other"}, NULL};

	execve("/proc/self/exe", argv, envp);
	return 200;
}

static void test_environ(void **state)
{
	(void)state;
	expect_ok(child_environ);
}

#ifndef SANITIZE
static void expect_killed(int (*child)(void))
{
	int status = run(child);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* ---- Landlock ---- */

static int file_mode(const char *name, int flags)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	CLEAN(fd) int fd = open(path, flags, 0600);

	return fd < 0 ? -errno : 0;
}

static int tcp_connect(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
	CLEAN(fd) int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
}

static int child_nothing(void)
{
	const struct sandbox_landlock l = {.no_network = true};
	bool missing = true;
	struct err e;

	EXPECT(file_mode("file", O_RDONLY) == 0);
	EXPECT(tcp_connect() == -ECONNREFUSED);
	EXPECT(sandbox_landlock(&l, &missing, &e) == 0 && !missing);
	EXPECT(file_mode("file", O_RDONLY) == -EACCES);
	EXPECT(file_mode("new", O_CREAT | O_WRONLY) == -EACCES);
	EXPECT(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	EXPECT(tcp_connect() == -EACCES);
	EXPECT(kill(getppid(), 0) < 0 && errno == EPERM);
	return 0;
}

static int child_paths(void)
{
	char file[200], sub[200];
	const struct sandbox_path paths[] = {{.path = file, .right = SANDBOX_READ},
					     {.path = sub, .right = SANDBOX_WRITE},
					     {.path = NULL},
					     {.path = "/no/such/file", .optional = true}};
	const struct sandbox_landlock l = {.paths = paths, .npaths = COUNT(paths)};
	struct err e;

	(void)snprintf(file, sizeof(file), "%s/file", dir);
	(void)snprintf(sub, sizeof(sub), "%s/sub", dir);
	EXPECT(sandbox_landlock(&l, NULL, &e) == 0);
	EXPECT(file_mode("file", O_RDONLY) == 0);
	EXPECT(file_mode("file", O_RDWR) == -EACCES);
	EXPECT(file_mode("other", O_RDONLY) == -EACCES);
	EXPECT(file_mode("sub/new", O_CREAT | O_RDWR | O_TRUNC) == 0);
	EXPECT(file_mode("new", O_CREAT | O_WRONLY) == -EACCES);
	EXPECT(tcp_connect() == -ECONNREFUSED);
	EXPECT(execl("/bin/true", "true", (char *)NULL) < 0 && errno == EACCES);
	return 0;
}

static int child_reads_open(void)
{
	char sub[200];
	const struct sandbox_path paths[] = {{.path = sub, .right = SANDBOX_WRITE}};
	const struct sandbox_landlock l = {.paths = paths, .npaths = 1, .reads_open = true};
	struct err e;

	(void)snprintf(sub, sizeof(sub), "%s/sub", dir);
	EXPECT(sandbox_landlock(&l, NULL, &e) == 0);
	EXPECT(file_mode("other", O_RDONLY) == 0);
	EXPECT(file_mode("other", O_RDWR) == -EACCES);
	EXPECT(file_mode("sub/new", O_CREAT | O_WRONLY) == 0);
	return 0;
}

static int child_missing_path(void)
{
	const struct sandbox_path paths[] = {{.path = "/no/such/file"}};
	const struct sandbox_landlock l = {.paths = paths, .npaths = 1};
	struct err e;

	EXPECT(sandbox_landlock(&l, NULL, &e) == -1 && e.code == ERR_SANDBOX);
	EXPECT(strstr(e.text, "/no/such/file") != NULL);
	return 0;
}

static void need_landlock(void)
{
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1U) < 1)
		skip();
}

static void test_landlock(void **state)
{
	(void)state;
	need_landlock();
	expect_ok(child_nothing);
	expect_ok(child_paths);
	expect_ok(child_reads_open);
	expect_ok(child_missing_path);
}

/* A kernel without Landlock, made by a filter that gives ENOSYS. */
static const struct sandbox_syscall no_landlock[] = {
	{SCMP_SYS(landlock_create_ruleset), "landlock_create_ruleset", SANDBOX_NOT_THERE, ""}};

static int child_no_landlock(void)
{
	struct sandbox_landlock l = {.no_network = true};
	bool missing = false;
	struct err e;

	EXPECT(sandbox_seccomp_deny(no_landlock, 1, &e) == 0);
	EXPECT(sandbox_landlock(&l, NULL, &e) == -1 && e.code == ERR_SANDBOX);
	l.waived = true;
	EXPECT(sandbox_landlock(&l, &missing, &e) == 0 && missing);
	return 0;
}

static void test_no_landlock(void **state)
{
	(void)state;
	expect_ok(child_no_landlock);
}

/* ---- seccomp ---- */

static const struct sandbox_syscall few[] = {
	SYS(exit_group, "") SYS(exit, "") SYS(futex, "") SYS(munmap, "") SYS(madvise, "")
		SYS(rt_sigprocmask, "") SYS(rt_sigaction, "") SYS(set_robust_list, "") SYS(rseq, "")
			SYS(brk, "") SYS(close, "") SYS(getpid, "") SYS(gettid, "")
				SYS(sched_getaffinity, "") SYS_IF(mmap, NO_EXEC,
								  "") SYS_IF(mprotect, NO_EXEC, "")
					SYS_IF(clone, THREAD, "") SYS_IF(clone3, NOT_THERE, "")
						SYS_IF(prctl, NAMES, "") SYS_IF(socket, INET, "")
							SYS_IF(openat, READ_ONLY, "")};

static int enter(void)
{
	struct err e;

	return sandbox_seccomp(few, COUNT(few), &e);
}

static void *thread(void *arg)
{
	*(pid_t *)arg = gettid();
	return NULL;
}

static int child_allowed(void)
{
	pthread_t t;
	pid_t id = 0;
	int fd;

	EXPECT(enter() == 0);
	EXPECT(pthread_create(&t, NULL, thread, &id) == 0 && pthread_join(t, NULL) == 0);
	EXPECT(id != 0 && id != getpid());
	EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED);
	EXPECT(prctl(PR_SET_NAME, "x", 0, 0, 0) == 0);
	EXPECT(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
	EXPECT((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0 && close(fd) == 0);
	EXPECT((fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0)) >= 0 ||
	       errno == EAFNOSUPPORT);
	EXPECT(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EAFNOSUPPORT);
	EXPECT(socket(AF_NETLINK, SOCK_RAW, 0) < 0 && errno == EAFNOSUPPORT);
	EXPECT((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0 && close(fd) == 0);
	return 0;
}

#define KILLED(name, call)                                                                         \
	static int name(void)                                                                      \
	{                                                                                          \
		EXPECT(enter() == 0);                                                              \
		(void)(call);                                                                      \
		return 0;                                                                          \
	}

static char *const no_args[] = {NULL};

KILLED(try_execve, execve("/bin/true", no_args, no_args))
KILLED(try_kill, kill(getpid(), 0))
KILLED(try_fork, fork())
KILLED(try_user_ns, syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL))
KILLED(try_mmap_exec, mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
KILLED(try_mprotect_exec, mprotect(dir, 1, PROT_READ | PROT_EXEC))
KILLED(try_prctl, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
KILLED(try_packet, socket(AF_PACKET, SOCK_RAW, 0))
KILLED(try_raw, socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))
KILLED(try_open_write, open("/dev/null", O_WRONLY))
KILLED(try_open_create, open("/dev/null", O_RDONLY | O_CREAT, 0600))
KILLED(try_ptrace, syscall(SYS_ptrace, 0, 0, 0, 0))
KILLED(try_32_bit, syscall(0x40000000 + SYS_getpid))

static void test_allow_list(void **state)
{
	(void)state;
	expect_ok(child_allowed);
	expect_killed(try_execve);
	expect_killed(try_kill);
	expect_killed(try_fork);
	expect_killed(try_user_ns);
	expect_killed(try_mmap_exec);
	expect_killed(try_mprotect_exec);
	expect_killed(try_prctl);
	expect_killed(try_packet);
	expect_killed(try_raw);
	expect_killed(try_open_write);
	expect_killed(try_open_create);
	expect_killed(try_ptrace);
	expect_killed(try_32_bit);
}

/* The filter binds threads that run already. */
static pthread_barrier_t both;

static void *late_thread(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&both);
	pthread_barrier_wait(&both);
	kill(getpid(), 0);
	return NULL;
}

static int child_other_thread(void)
{
	pthread_t t;

	EXPECT(pthread_barrier_init(&both, NULL, 2) == 0);
	EXPECT(pthread_create(&t, NULL, late_thread, NULL) == 0);
	pthread_barrier_wait(&both);
	EXPECT(enter() == 0);
	pthread_barrier_wait(&both);
	pthread_join(t, NULL);
	return 0;
}

static void test_all_threads(void **state)
{
	(void)state;
	expect_killed(child_other_thread);
}

static const struct sandbox_syscall denied[] = {
#include "hsm/launcher/syscalls.def"
};

static int child_deny_ok(void)
{
	struct err e;

	EXPECT(sandbox_seccomp_deny(denied, COUNT(denied), &e) == 0);
	execl("/bin/true", "true", (char *)NULL);
	return 1;
}

static int child_deny_kill(void)
{
	struct err e;

	EXPECT(sandbox_seccomp_deny(denied, COUNT(denied), &e) == 0);
	kill(getpid(), 0);
	return 0;
}

static void test_deny_list(void **state)
{
	(void)state;
	expect_ok(child_deny_ok);
	expect_killed(child_deny_kill);
}

/* ---- the lists themselves ---- */

static const struct sandbox_syscall keyd[] = {
#include "hsm/keyd/syscalls.def"
};
static const struct sandbox_syscall store[] = {
#include "hsm/store/syscalls.def"
};
static const struct sandbox_syscall front[] = {
#include "hsm/front/syscalls.def"
};

static const struct list {
	const char *name;
	const struct sandbox_syscall *rows;
	size_t n;
} lists[] = {{"keyd", keyd, COUNT(keyd)},
	     {"store", store, COUNT(store)},
	     {"front", front, COUNT(front)}};

static bool has(const struct list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->rows[i].name, name) == 0)
			return true;
	return false;
}

static void never(const struct list *l, const char *const *names)
{
	for (; *names; names++)
		if (has(l, *names))
			fail_msg("%s allows %s", l->name, *names);
}

static void check_row(const struct list *l, size_t i)
{
	const struct sandbox_syscall *s = &l->rows[i];

	for (size_t k = 0; k < i; k++)
		if (strcmp(l->rows[k].name, s->name) == 0)
			fail_msg("%s lists %s twice", l->name, s->name);
	for (size_t k = 0; k < COUNT(denied); k++)
		if (strcmp(denied[k].name, s->name) == 0)
			fail_msg("%s allows %s, which hsmd denies", l->name, s->name);
	if ((strcmp(s->name, "mmap") == 0 || strcmp(s->name, "mprotect") == 0) &&
	    s->rule != SANDBOX_NO_EXEC)
		fail_msg("%s: %s without NO_EXEC", l->name, s->name);
	if (strcmp(s->name, "clone") == 0 && s->rule != SANDBOX_THREAD)
		fail_msg("%s: clone without THREAD", l->name);
	if (strcmp(s->name, "prctl") == 0 && s->rule != SANDBOX_NAMES)
		fail_msg("%s: prctl without NAMES", l->name);
	if (strcmp(s->name, "socket") == 0 && s->rule != SANDBOX_INET)
		fail_msg("%s: socket without INET", l->name);
	if (s->rule == SANDBOX_DENY)
		fail_msg("%s: DENY in an allow-list", l->name);
	if (!s->why[0])
		fail_msg("%s: %s has no reason", l->name, s->name);
}

static void test_lists(void **state)
{
	static const char *const nobody[] = {"execve",
					     "execveat",
					     "ptrace",
					     "kill",
					     "tkill",
					     "tgkill",
					     "process_vm_readv",
					     "process_vm_writev",
					     "pidfd_open",
					     "pidfd_send_signal",
					     "pidfd_getfd",
					     "fork",
					     "vfork",
					     "io_uring_setup",
					     "bpf",
					     "memfd_create",
					     "listen",
					     "accept",
					     "accept4",
					     NULL};
	static const char *const no_net[] = {"socket", "connect", "bind", "socketpair", NULL};
	static const char *const no_files[] = {"open",	   "openat", "openat2",	  "creat", "unlink",
					       "unlinkat", "rename", "renameat2", NULL};

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		never(&lists[i], nobody);
		for (size_t k = 0; k < lists[i].n; k++)
			check_row(&lists[i], k);
	}
	never(&lists[0], no_net);
	never(&lists[0], no_files);
	never(&lists[1], no_net);
}
#endif

static int setup(void **state)
{
	char path[200];

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/sub", dir);
	if (mkdir(path, 0700))
		return -1;
	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, i ? "other" : "file");
		int fd = open(path, O_CREAT | O_WRONLY, 0600);

		if (fd < 0)
			return -1;
		close(fd);
	}
	return setenv("KEPT", "word-kept", 1) || setenv("SECRET", "word-secret", 1) ||
	       setenv("KEPTNOT", "x", 1);
}

static int teardown(void **state)
{
	static const char *const names[] = {"sub/new", "sub", "file", "other"};
	char path[200];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)remove(path);
	}
	return rmdir(dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_init),	   cmocka_unit_test(test_environ),
#ifndef SANITIZE
		cmocka_unit_test(test_landlock),   cmocka_unit_test(test_no_landlock),
		cmocka_unit_test(test_allow_list), cmocka_unit_test(test_all_threads),
		cmocka_unit_test(test_deny_list),  cmocka_unit_test(test_lists),
#endif
	};

	if (argc > 1 && strcmp(argv[1], "environ") == 0)
		return environ_child();
	return cmocka_run_group_tests(tests, setup, teardown);
}
