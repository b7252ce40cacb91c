#include "e2e/lib/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/spawn.h"
#include "crypto/crypto.h"

/* ---- TAP ---- */

static unsigned tests, failed;

void ok(bool good, const char *what, ...)
{
	va_list ap;

	failed += !good;
	printf("%sok %u - ", good ? "" : "not ", ++tests);
	va_start(ap, what);
	vprintf(what, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

void note(const char *what, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, what);
	vprintf(what, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

void give_up(const char *what, ...)
{
	va_list ap;

	printf("Bail out! ");
	va_start(ap, what);
	vprintf(what, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	exit(1);
}

int done_testing(void)
{
	printf("1..%u\n", tests);
	return failed != 0;
}

unsigned failures(void)
{
	return failed;
}

uint64_t ticks(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- hsmd ---- */

void hsm_init(struct hsm *h)
{
	const char *bin = getenv("BIN");

	memset(h, 0, sizeof(*h));
	if (crypto_init())
		give_up("crypto_init");
	if (snprintf(h->bin, sizeof(h->bin), "%s", bin ? bin : "build/bin") >= (int)sizeof(h->bin))
		give_up("BIN is too long");
	(void)snprintf(h->log, sizeof(h->log), "/tmp/hostile.%d.log", (int)getpid());
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->changed, NULL);
	h->control = h->pidfd = -1;
	for (int i = 0; i < 32; i++)
		h->cfg.device_key[i] = (uint8_t)(i * 37 + 11);
	h->cfg.workers = LANES - 1;
	h->cfg.sessions_user = 64;
	h->cfg.max_message = 1u << 20;
	h->cfg.key_mib = 4;
	h->cfg.audit_mib = 64;
	h->cfg.has_anchor = true;
	/* A kernel without Landlock: what is tested here does not depend on it. */
	h->cfg.no_sandbox_landlock =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1;
	secret_add("device key", h->cfg.device_key, 32);
	secret_add("passphrase", PASSPHRASE, strlen(PASSPHRASE));
	remove(h->log);
}

static void tell(struct hsm *h, enum wire_type type, uint64_t tag, const void *p, size_t n)
{
	struct err e;

	/* keyd may be gone: whoever waits for an answer finds out. */
	(void)wire_send_fds(h->control, type, tag, p, n, NULL, 0, &e);
}

static void note_why(struct hsm *h, const struct wire_msg *m)
{
	(void)snprintf(h->why, sizeof(h->why), "%.*s", (int)m->len, (const char *)m->p);
}

/* One message of keyd's; lock is held. True: the hook is wanted. */
static bool heard(struct hsm *h, const struct wire_msg *m)
{
	uint8_t answer[2] = {0};
	struct err e;

	switch (m->type) {
	case W_STATUS:
		if (hello_get(&h->hello, m->p, m->len, &e) == 0)
			h->hellos++;
		return false;
	case W_ANCHOR:
		if (m->len <= ANCHOR_LEN && !h->anchor_fails) {
			memcpy(h->anchor, m->p, m->len);
			h->anchor_len = m->len;
		}
		le16_store(answer, h->anchor_fails ? ERR_IO : ERR_OK);
		tell(h, W_ANCHORED, m->tag, answer, sizeof(answer));
		return false;
	case W_FRONT_BAD:
		h->front_bad++;
		note_why(h, m);
		return false;
	case W_STORE_BAD:
		h->store_bad++;
		note_why(h, m);
		return true;
	case W_LOCKED:
		h->locked++;
		return false;
	case W_UNLOCKED:
		h->unlocked++;
		return false;
	default:
		give_up("keyd sent type %d to hsmd", m->type);
	}
}

static void *control_main(void *arg)
{
	struct hsm *h = arg;
	struct wire_reader r;
	struct wire_msg m;
	struct err e;

	if (wire_reader_init(&r, WIRE_PACKET, false, &e))
		give_up("no memory");
	while (wire_recv(&r, h->control, NULL, NULL, &e) > 0) {
		secret_scan("control channel", r.rd.p, r.rd.left);
		while (wire_next(&r, &m, &e) > 0) {
			bool hook;

			pthread_mutex_lock(&h->lock);
			hook = heard(h, &m);
			pthread_cond_broadcast(&h->changed);
			pthread_mutex_unlock(&h->lock);
			if (hook && h->store_bad_hook)
				h->store_bad_hook(h);
		}
	}
	wire_reader_free(&r);
	pthread_mutex_lock(&h->lock);
	h->gone = true;
	pthread_cond_broadcast(&h->changed);
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* With stderr to the log, because spawn_start leaves it alone. */
static pid_t spawn_logged(struct hsm *h, const char *name, char *const *argv, int fd, int *pidfd)
{
	CLEAN(fd) int log = open(h->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	CLEAN(fd) int own = fcntl(2, F_DUPFD_CLOEXEC, 10);
	char path[300], asan[600], *envp[2] = {NULL, NULL};
	const char *o = getenv("ASAN_OPTIONS");
	struct spawn s = {.path = path, .argv = argv, .envp = envp, .fds = &fd, .nfds = 1};
	struct err e;
	pid_t pid;
	int rc;

	(void)snprintf(path, sizeof(path), "%s/%s", h->bin, name);
	if (o && snprintf(asan, sizeof(asan), "ASAN_OPTIONS=%s", o) < (int)sizeof(asan))
		envp[0] = asan;
	if (log < 0 || own < 0 || dup2(log, 2) < 0)
		give_up("cannot redirect stderr");
	rc = spawn_start(&s, &pid, pidfd, &e);
	if (dup2(own, 2) < 0 || rc)
		give_up("%s", e.text);
	return pid;
}

static void send_config(struct hsm *h)
{
	struct buf b;
	struct err e;
	size_t at;

	h->cfg.anchor_len = h->anchor_len;
	memcpy(h->cfg.anchor, h->anchor, sizeof(h->anchor));
	buf_init(&b, WIRE_PACKET);
	at = wire_begin(&b, W_CONFIG, 0);
	keyd_config_put(&b, &h->cfg);
	wire_end(&b, at);
	if (wire_send(h->control, &b, &e))
		give_up("configuration: %s", e.text);
	buf_free(&b);
}

void hsm_start(struct hsm *h)
{
	char *const argv[] = {(char[]){"hsm-keyd"}, NULL};
	int pair[2];
	struct err e;

	if (spawn_pair(pair, &e))
		give_up("%s", e.text);
	h->pid = spawn_logged(h, "hsm-keyd", argv, pair[1], &h->pidfd);
	close(pair[1]);
	h->control = pair[0];
	h->gone = false;
	h->hellos = h->front_bad = h->store_bad = h->locked = h->unlocked = 0;
	memset(&h->hello, 0, sizeof(h->hello));
	send_config(h);
	if (pthread_create(&h->thread, NULL, control_main, h))
		give_up("no thread");
}

static void join(struct hsm *h)
{
	int status;

	if (waitpid(h->pid, &status, 0) != h->pid)
		give_up("waitpid");
	pthread_join(h->thread, NULL);
	close(h->control);
	close(h->pidfd);
	h->control = h->pidfd = -1;
	h->pid = 0;
}

static bool ended(const struct hsm *h, int ms)
{
	struct pollfd pf = {.fd = h->pidfd, .events = POLLIN};

	return poll(&pf, 1, ms) > 0;
}

bool hsm_alive(const struct hsm *h)
{
	return h->pid && !ended(h, 0);
}

void hsm_stop(struct hsm *h)
{
	tell(h, W_STOP, 0, NULL, 0);
	if (!ended(h, 40000)) {
		ok(false, "keyd stops when it is told to");
		kill(h->pid, SIGKILL);
	}
	join(h);
}

void hsm_kill(struct hsm *h)
{
	kill(h->pid, SIGKILL);
	join(h);
}

void hsm_give_store(struct hsm *h, int fd)
{
	struct err e;

	if (wire_send_fds(h->control, W_STORE, 0, NULL, 0, &fd, 1, &e))
		note("keyd does not take a store: %s", e.text);
	close(fd);
}

/* ---- waiting ---- */

static bool wait_for(struct hsm *h, bool (*cond)(struct hsm *h, const void *arg), const void *arg,
		     int ms)
{
	struct timespec until;
	bool good;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&h->lock);
	while (!(good = cond(h, arg)) && !h->gone &&
	       pthread_cond_timedwait(&h->changed, &h->lock, &until) == 0)
		;
	pthread_mutex_unlock(&h->lock);
	return good;
}

static bool in_state(struct hsm *h, const void *arg)
{
	unsigned state = *(const unsigned *)arg;

	return h->hellos && (!state || h->hello.state == state);
}

bool hsm_wait_state(struct hsm *h, unsigned state, int ms)
{
	return wait_for(h, in_state, &state, ms);
}

static bool has_problem(struct hsm *h, const void *arg)
{
	return h->hellos && h->hello.problem == *(const uint16_t *)arg;
}

bool hsm_wait_problem(struct hsm *h, uint16_t problem, int ms)
{
	return wait_for(h, has_problem, &problem, ms);
}

struct count {
	const unsigned *at;
	unsigned n;
};

static bool counted(struct hsm *h, const void *arg)
{
	const struct count *c = arg;

	(void)h;
	return *c->at >= c->n;
}

bool hsm_wait_count(struct hsm *h, const unsigned *at, unsigned n, int ms)
{
	struct count c = {at, n};

	return wait_for(h, counted, &c, ms);
}

struct hello hsm_hello(struct hsm *h)
{
	struct hello copy;

	pthread_mutex_lock(&h->lock);
	copy = h->hello;
	pthread_mutex_unlock(&h->lock);
	return copy;
}

void hsm_scan_log(struct hsm *h)
{
	CLEAN(buf) struct buf b = {0};
	struct err e;

	buf_init(&b, 64u << 20);
	if (file_read(h->log, &b, &e))
		give_up("%s", e.text);
	secret_scan("keyd's log", b.p, b.len);
	if (failed)
		for (size_t i = b.len > 6000 ? b.len - 6000 : 0, from = i; i < b.len; i++)
			if (b.p[i] == '\n') {
				note("%.*s", (int)(i - from), (const char *)b.p + from);
				from = i + 1;
			}
	if (getenv("KEEP"))
		note("keyd's log is kept: %s", h->log);
	else
		remove(h->log);
}

/* ---- the real store ---- */

pid_t real_store_start(struct hsm *h, const char *dir)
{
	char path[256], opt[] = "--no-landlock", name[] = "hsm-store";
	char *const argv[] = {name, opt, path, NULL};
	int pair[2], pidfd;
	struct err e;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s", dir);
	if (spawn_pair(pair, &e))
		give_up("%s", e.text);
	pid = spawn_logged(h, "hsm-store", argv, pair[1], &pidfd);
	close(pidfd);
	close(pair[1]);
	hsm_give_store(h, pair[0]);
	return pid;
}

void real_store_kill(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		give_up("waitpid");
}
