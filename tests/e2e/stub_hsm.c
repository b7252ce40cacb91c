/* stub_hsm: plays hsm-keyd, hsm-store or hsm-front (by its own file name) below a real
 * hsmd, for faults that the real ones cannot be brought to. Says what it sees on
 * stderr, one line "stub NAME pid=N …" each. Lines "NAME WORD [NUMBER]" of the file
 * stub.conf beside it change what it does:
 *   exit N     exits with status N at once        crash    aborts at once
 *   linger     ignores SIGTERM and the end of its channel
 *   quiet      front: does not report that it is connected
 * By the name no-landlock it runs its arguments on a kernel without Landlock.
 * keyd does something on a signal: USR1 locks (and exits), USR2 front is bad, WINCH
 * writes an anchor, URG unlocked, CONT sends a malformed frame, VTALRM changes identity. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sandbox.h"
#include "proto/control.h"
#include "proto/op.h"
#include "proto/wire.h"

#define SAY(...)                                                                                   \
	do {                                                                                       \
		char line_[4096];                                                                  \
		int n_ = snprintf(line_, sizeof(line_), __VA_ARGS__);                              \
		if (write(2, line_, (size_t)n_) < 0)                                               \
			exit(99);                                                                  \
	} while (0)

static char name[64], dir[4096];

static int conf(const char *word, int fallback)
{
	char path[4200], line[200], who[64], what[64];
	int n, found = fallback;

	(void)snprintf(path, sizeof(path), "%s/stub.conf", dir);
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f)) {
		n = 1;
		if (sscanf(line, "%63s %63s %d", who, what, &n) >= 2 && strcmp(who, name) == 0 &&
		    strcmp(what, word) == 0)
			found = n;
	}
	if (f)
		fclose(f);
	return found;
}

static void who_am_i(void)
{
	ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
	char *slash;

	if (n <= 0)
		exit(98);
	dir[n] = '\0';
	slash = strrchr(dir, '/');
	(void)snprintf(name, sizeof(name), "%s", slash + 1);
	*slash = '\0';
}

/* What hsmd's own rules take from all that it starts: writing elsewhere, executing. */
static bool confined(void)
{
	char path[4200];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/stub.conf", dir);
	fd = open(path, O_WRONLY);
	if (fd >= 0 || errno != EACCES)
		return false;
	return execl("/bin/true", "true", (char *)NULL) < 0 && errno == EACCES;
}

static void say_start(int argc, char **argv)
{
	char args[1000] = "", env[1000] = "";
	size_t n = 0;

	for (int i = 1; i < argc; i++)
		n += (size_t)snprintf(args + n, sizeof(args) - n, " %s", argv[i]);
	n = 0;
	for (char **v = environ; *v; v++)
		n += (size_t)snprintf(env + n, sizeof(env) - n, "%s,", *v);
	SAY("stub %s pid=%d args=[%s] env=[%s] sid=%d confined=%d\n", name, getpid(), args, env,
	    getsid(0) == getpid(), confined());
}

static int signals(void)
{
	static const int all[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGURG, SIGCONT, SIGVTALRM};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sigaddset(&set, all[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, 0);
}

static int next_signal(int fd)
{
	struct signalfd_siginfo si;

	return read(fd, &si, sizeof(si)) == sizeof(si) ? (int)si.ssi_signo : 0;
}

/* ---- store, front ---- */

static void linger(void)
{
	for (;;)
		pause();
}

static void play_store(void)
{
	char byte;

	while (recv(3, &byte, 1, 0) > 0)
		;
	SAY("stub %s end of channel\n", name);
	if (conf("linger", 0))
		linger();
}

static int number_after(int argc, char **argv, const char *opt)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], opt) == 0)
			return (int)strtol(argv[i + 1], NULL, 10);
	exit(97);
}

static void play_front(int argc, char **argv)
{
	int lanes = number_after(argc, argv, "--lanes");
	int config = number_after(argc, argv, "--config-fd");
	int status = number_after(argc, argv, "--status-fd"), sig = signals();
	struct pollfd pf[2] = {{.fd = sig, .events = POLLIN}, {.fd = 3, .events = POLLIN}};
	const uint8_t up = LINK_UP;
	char text[2000];
	ssize_t n = read(config, text, sizeof(text));

	SAY("stub %s config=%.*s\n", name, (int)(n < 0 ? 0 : n), text);
	for (int fd = 3; fd < 3 + lanes; fd++) {
		int type = 0;
		socklen_t len = sizeof(type);

		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_SEQPACKET)
			exit(96);
	}
	if (!conf("quiet", 0) && send(status, &up, 1, 0) != 1)
		exit(95);
	for (;;) {
		char byte;

		if (poll(pf, 2, -1) < 0)
			continue;
		if (pf[0].revents && next_signal(sig) == SIGTERM) {
			SAY("stub %s terminated\n", name);
			if (conf("linger", 0))
				linger();
			return;
		}
		if (pf[1].revents && recv(3, &byte, 1, MSG_DONTWAIT) == 0)
			return;
	}
}

/* ---- keyd ---- */

static void tell(enum wire_type type, uint64_t tag, const void *p, size_t n)
{
	struct buf b;
	struct err e;

	buf_init(&b, 100000);
	wire_put(&b, type, tag, p, n);
	if (wire_send(3, &b, &e))
		exit(94);
	buf_free(&b);
}

static void tell_status(uint8_t identity)
{
	struct hello h = {.state = STATE_LOCKED, .epoch = 7};
	struct buf b;

	memset(h.identity, identity, sizeof(h.identity));
	buf_init(&b, 1000);
	hello_put(&b, &h);
	tell(W_STATUS, 0, b.p, b.len);
	buf_free(&b);
}

static void say_config(const struct wire_msg *m)
{
	struct keyd_config c;
	struct err e;

	if (keyd_config_get(&c, m->p, m->len, &e)) {
		SAY("stub %s bad config: %s\n", name, e.text);
		exit(93);
	}
	SAY("stub %s config key0=%02x pass=%.*s may_unlock=%d debug=%d workers=%u sessions=%u "
	    "max=%u admins=%u first=%s anchor=%d,%zu,%02x warnings=%u\n",
	    name, c.device_key[0], (int)c.passphrase_len,
	    c.passphrase ? (const char *)c.passphrase : "", c.may_unlock, c.debug, c.workers,
	    c.sessions_user, c.max_message, c.nbootstrap, c.nbootstrap ? c.bootstrap[0].name : "",
	    c.has_anchor, c.anchor_len, c.anchor[0], c.warnings);
}

static void on_message(const struct wire_msg *m, const int *fds, unsigned nfds)
{
	struct rd r;

	rd_init(&r, m->p, m->len);
	if (m->type == W_CONFIG)
		say_config(m);
	else if (m->type == W_ANCHORED)
		SAY("stub %s anchored tag=%d error=%u\n", name, (int)m->tag, rd_u16(&r));
	else
		SAY("stub %s got %d fds=%u\n", name, m->type, nfds);
	if (m->type == W_STOP)
		exit(0);
	/* A real keyd uses them; keeping them open is enough to hold store and front. */
	(void)fds;
}

static void on_signal(int sig)
{
	static const uint8_t frame[3] = {1, 2, 3};
	static uint64_t tag;
	uint8_t anchor[40];

	memset(anchor, 0xa5, sizeof(anchor));
	if (sig == SIGUSR1) {
		/* The last of many words: hsmd must hear them all. */
		for (int i = 0; i < 20; i++)
			tell(W_ANCHOR, ++tag, anchor, sizeof(anchor));
		tell(W_LOCKED, 0, NULL, 0);
		exit(0);
	}
	if (sig == SIGUSR2)
		tell(W_FRONT_BAD, 0, "frame\nforged=line", 17);
	if (sig == SIGWINCH)
		tell(W_ANCHOR, ++tag, anchor, sizeof(anchor));
	if (sig == SIGURG)
		tell(W_UNLOCKED, 0, NULL, 0);
	if (sig == SIGVTALRM)
		tell_status(9);
	if (sig == SIGCONT && send(3, frame, sizeof(frame), 0) < 0)
		exit(92);
}

static void play_keyd(void)
{
	int sig = signals();
	struct pollfd pf[2] = {{.fd = sig, .events = POLLIN}, {.fd = 3, .events = POLLIN}};
	struct wire_reader r;
	struct wire_msg m;
	struct err e;

	if (wire_reader_init(&r, WIRE_PACKET, true, &e))
		exit(91);
	tell_status(8);
	for (;;) {
		int fds[64], rc;
		unsigned nfds = 64;

		if (poll(pf, 2, -1) < 0)
			continue;
		if (pf[0].revents)
			on_signal(next_signal(sig));
		if (!pf[1].revents)
			continue;
		rc = wire_recv(&r, 3, fds, &nfds, &e);
		if (rc == 0)
			exit(0);
		while (rc > 0 && (rc = wire_next(&r, &m, &e)) > 0)
			on_message(&m, fds, nfds);
		if (rc < 0)
			exit(90);
	}
}

static int without_landlock(char **argv)
{
	static const struct sandbox_syscall list[] = {
		SYS_IF(landlock_create_ruleset, NOT_THERE, "")};
	struct err e;

	if (sandbox_seccomp_deny(list, 1, &e) == 0)
		execv(argv[1], argv + 1);
	return 89;
}

int main(int argc, char **argv)
{
	who_am_i();
	if (strcmp(name, "no-landlock") == 0)
		return without_landlock(argv);
	say_start(argc, argv);
	if (conf("exit", -1) >= 0)
		return conf("exit", -1);
	if (conf("crash", 0))
		abort();
	if (strcmp(name, "hsm-store") == 0)
		play_store();
	else if (strcmp(name, "hsm-front") == 0)
		play_front(argc, argv);
	else
		play_keyd();
	return 0;
}
