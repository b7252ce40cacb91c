/* Runs a command in the unpacked tree of an image, as an engine would: own name spaces,
 * a network with nothing but a loopback, no capability that an ordinary user lacks.
 *
 *   in_image ROOT UID:GID WORKDIR ro|rw [FROM:TO…] -- COMMAND…
 *
 * FROM:TO puts the folder FROM at TO in ROOT, which must have it. The environment is
 * the caller's. 127: no such command; 125: it could not be entered. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *root;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "in_image: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void bind_at(const char *from, const char *to)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", root, to);
	if (mount(from, path, NULL, MS_BIND | MS_REC, NULL) < 0)
		fail(path);
}

static void loopback_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &r) < 0)
		fail("loopback");
	close(s);
}

/* The devices that every container has. */
static void make_dev(void)
{
	static const char *const names[] = {"null", "zero", "full", "random", "urandom"};
	char path[4096], from[64];

	snprintf(path, sizeof(path), "%s/dev", root);
	if (mount("tmpfs", path, "tmpfs", MS_NOSUID, "mode=0755") < 0)
		fail(path);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/dev/%s", root, names[i]);
		snprintf(from, sizeof(from), "/dev/%s", names[i]);
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666));
		if (mount(from, path, NULL, MS_BIND, NULL) < 0)
			fail(path);
	}
}

static _Noreturn void run(unsigned uid, unsigned gid, const char *workdir, char **command)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/proc", root);
	if (mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		fail(path);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (chroot(root) < 0 || chdir(workdir) < 0 || setgroups(0, NULL) < 0 || setgid(gid) < 0 ||
	    setuid(uid) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		fail("entering");
	execvp(command[0], command);
	if (errno == ENOENT) {
		fprintf(stderr, "in_image: no %s\n", command[0]);
		_exit(127);
	}
	fail(command[0]);
}

int main(int argc, char **argv)
{
	unsigned uid, gid;
	char end, **at;
	int status;
	pid_t pid;

	if (argc < 7 || sscanf(argv[2], "%u:%u%c", &uid, &gid, &end) != 2)
		return 125;
	root = argv[1];
	if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		fail("name spaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		fail("/");
	loopback_up();
	bind_at(root, "");
	if (strcmp(argv[4], "ro") == 0 &&
	    mount(NULL, root, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		fail("read-only");
	make_dev();
	for (at = argv + 5; *at && strcmp(*at, "--") != 0; at++) {
		char *colon = strchr(*at, ':');

		if (!colon)
			return 125;
		*colon = '\0';
		bind_at(*at, colon + 1);
	}
	if (!*at || !at[1])
		return 125;
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid == 0)
		run(uid, gid, argv[3], at + 1);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
