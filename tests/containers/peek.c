/* What of other processes may be seen from here: peek PID… prints one line for each, with
 * "yes" or the error for every way into it. tests/containers/dbg.t runs it in debug
 * containers; it is compiled there, in the image dev. `peek wait` only waits. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char path[64];

static const char *proc(long pid, const char *name)
{
	snprintf(path, sizeof(path), "/proc/%ld/%s", pid, name);
	return path;
}

static void say(const char *what, long result)
{
	printf(" %s=%s", what, result >= 0 ? "yes" : strerrorname_np(errno));
}

static long reads(long pid, const char *name, char *to, size_t size)
{
	int fd = open(proc(pid, name), O_RDONLY);

	if (fd < 0)
		return -1;
	ssize_t n = read(fd, to, size - 1);
	int e = errno;

	close(fd);
	errno = e;
	to[n > 0 ? n : 0] = 0;
	return n;
}

static long lists(long pid, const char *name)
{
	DIR *d = opendir(proc(pid, name));

	return d ? closedir(d) : -1;
}

/* Bytes of its first mapping; without maps it is the opening that counts. */
static long reads_memory(long pid, unsigned long at)
{
	char buf[16];
	int fd = open(proc(pid, "mem"), O_RDWR);

	if (fd < 0)
		return -1;
	long n = at ? pread(fd, buf, sizeof(buf), (off_t)at) : 0;

	close(fd);
	return n;
}

static long takes_descriptor(long pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);

	return pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, 2, 0);
}

static void peek(long pid)
{
	static char text[1 << 16];
	char here[16];
	struct iovec to = {here, sizeof(here)}, from = {NULL, sizeof(here)};
	unsigned long at;

	reads(pid, "comm", text, sizeof(text));
	printf("%ld %.*s", pid, (int)strcspn(text, "\n"), text);
	say("environ", reads(pid, "environ", text, sizeof(text)));
	say("auxv", reads(pid, "auxv", text, sizeof(text)));
	say("maps", reads(pid, "maps", text, sizeof(text)));
	at = strtoul(text, NULL, 16);
	say("mem", reads_memory(pid, at));
	from.iov_base = (void *)(at ? at : 1 << 16);
	say("vm_read", process_vm_readv((pid_t)pid, &to, 1, &from, 1, 0));
	say("fd", readlink(proc(pid, "fd/2"), text, sizeof(text)));
	say("getfd", takes_descriptor(pid));
	say("root", lists(pid, "root/"));
	say("cwd", lists(pid, "cwd/"));
	say("exe", readlink(proc(pid, "exe"), text, sizeof(text)));
	say("ptrace", ptrace(PTRACE_SEIZE, (pid_t)pid, NULL, NULL));
	/* the tracee goes on when this process ends */
	say("signal", kill((pid_t)pid, 0));
	putchar('\n');
}

int main(int argc, char **argv)
{
	/* something to be peeked at */
	if (argc > 1 && !strcmp(argv[1], "wait"))
		return pause();
	for (int i = 1; i < argc; i++)
		peek(strtol(argv[i], NULL, 10));
	return 0;
}
