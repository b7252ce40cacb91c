#include "hsm/launcher/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/spawn.h"
#include "hsm/launcher/control.h"
#include "hsm/launcher/health.h"
#include "hsm/launcher/launch.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define SETTLED_MS 30000 /* a process that lived this long starts afresh */
#define STORE_TRIES 5
#define FIRST_START_MS 10000
#define EOF_GRACE_MS 5000   /* after the end of its channel */
#define FRONT_GRACE_MS 7000 /* it gives requests in hand 5 s */
#define STOP_GRACE_MS 5000
#define LINK_PER_TURN 16
#define LINK_LINES_MAX 20 /* within 10 s */
#define EXIT_CONFIG 2	  /* err.def: what a restart cannot mend */

const char *supervise_name(enum proc_id id)
{
	static const char *const names[PROCS] = {"hsm-keyd", "hsm-store", "hsm-front"};

	return names[id];
}

int64_t supervise_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* By pidfd: never a process that came after under the same number. */
static void signal_proc(const struct proc *p, int sig)
{
	if (p->pid)
		(void)syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0);
}

void supervise_kill(struct supervise *s, enum proc_id id)
{
	struct proc *p = &s->proc[id];

	p->kill_at = 0;
	signal_proc(p, SIGKILL);
}

static void close_fd(int *fd)
{
	cleanup_fd(fd);
	*fd = -1;
}

/* ---- starting ---- */

static void later(struct supervise *s, enum proc_id id)
{
	struct proc *p = &s->proc[id];

	p->due = supervise_now() + p->backoff;
	p->backoff *= 2;
	if (p->backoff > BACKOFF_MAX_MS)
		p->backoff = BACKOFF_MAX_MS;
}

static int start_one(struct supervise *s, enum proc_id id, struct err *e)
{
	static int (*const starters[PROCS])(struct supervise *, struct err *) = {
		launch_keyd, launch_store, launch_front};
	struct proc *p = &s->proc[id];

	p->due = 0;
	p->kill_at = 0;
	p->killed = false;
	p->started = supervise_now();
	if (starters[id](s, e) == 0)
		return 0;
	/* It may run already and only its channel could not be handed on. */
	supervise_kill(s, id);
	return -1;
}

static int start_all(struct supervise *s, struct err *e)
{
	s->regroup = s->locking = false;
	for (int id = 0; id < PROCS; id++)
		if (start_one(s, id, e))
			return -1;
	return 0;
}

/* A start that fails later on is tried again: memory or descriptors were short. */
static void restart(struct supervise *s, enum proc_id id)
{
	struct err e;

	s->restarts++;
	if ((s->regroup ? start_all(s, &e) : start_one(s, id, &e)) == 0)
		return;
	log_error("cannot start again, trying later", "process", supervise_name(id), "error",
		  e.text);
	if (id == PROC_KEYD) {
		s->regroup = true;
		for (int other = 0; other < PROCS; other++)
			supervise_kill(s, other);
	}
	if (!s->proc[id].pid)
		later(s, id);
}

/* ---- ending ---- */

void supervise_stop(struct supervise *s, int status)
{
	struct proc *front = &s->proc[PROC_FRONT];

	if (s->stop != STOP_NO)
		return;
	s->stop = STOP_FRONT;
	s->status = status;
	for (int id = 0; id < PROCS; id++)
		s->proc[id].due = 0;
	signal_proc(front, SIGTERM);
	front->kill_at = supervise_now() + FRONT_GRACE_MS;
}

/* Front first, so that what keyd has in hand is still answered; keyd flushes; the
 * store ends when keyd has closed its channel. */
static bool stopped(struct supervise *s)
{
	struct proc *p = s->proc;
	struct err e;

	if (s->stop == STOP_FRONT && !p[PROC_FRONT].pid) {
		s->stop = STOP_KEYD;
		p[PROC_KEYD].kill_at = supervise_now() + STOP_GRACE_MS;
		if (p[PROC_KEYD].pid && (s->control < 0 || control_stop(s, &e)))
			supervise_kill(s, PROC_KEYD);
	}
	if (s->stop == STOP_KEYD && !p[PROC_KEYD].pid) {
		s->stop = STOP_STORE;
		p[PROC_STORE].kill_at = supervise_now() + STOP_GRACE_MS;
	}
	return s->stop == STOP_STORE && !p[PROC_STORE].pid;
}

static void describe(int status, char out[static 64])
{
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		(void)snprintf(out, 64, "a system call that its list does not allow");
	else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		(void)snprintf(out, 64, "signal 9 (Killed): by somebody, or a memory limit");
	else if (WIFSIGNALED(status))
		(void)snprintf(out, 64, "signal %d (%s)", WTERMSIG(status),
			       strsignal(WTERMSIG(status)));
	else
		(void)snprintf(out, 64, "exit status %d", WEXITSTATUS(status));
}

/* It ended on purpose at its first start, with a line of its own: that is the one to be read,
 * and a restart would only repeat it. */
static bool said_why(const struct supervise *s, enum proc_id id, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

	/* Later reasons may pass, or be made up. */
	bool first = s->restarts == 0 && !s->was_operational &&
		     supervise_now() - s->started < FIRST_START_MS;

	return (code == EXIT_CONFIG && (first || !s->was_up)) ||
	       (code > EXIT_CONFIG && first && id == PROC_STORE);
}

/* A failure that comes again and again, or that the configuration makes. */
static bool beyond_help(struct supervise *s, enum proc_id id, int status)
{
	bool exited = WIFEXITED(status) && WEXITSTATUS(status) != 0;
	int code = exited ? WEXITSTATUS(status) : err_row(ERR_STORE_DAMAGED)->exit;
	char why[64];

	describe(status, why);
	if (said_why(s, id, status)) {
		log_info("stopping: a process cannot start, its line above says why", "process",
			 supervise_name(id));
		supervise_stop(s, code);
		return true;
	}
	/* Later a store that fails is tried for ever: it may be captured, and must not be
	 * able to take the keys away with it. */
	if (id == PROC_STORE && s->proc[id].quick >= STORE_TRIES && !s->was_operational) {
		log_error("the store cannot be used: damaged, in use by another HSM, or written by "
			  "a newer version; its line above says which",
			  "end", why, "tries", LOG_NUM(STORE_TRIES), "data", s->cfg->data);
		supervise_stop(s, code);
		return true;
	}
	return false;
}

/* Earlier failures count no more. */
static void settled(struct proc *p)
{
	p->backoff = BACKOFF_MIN_MS;
	p->quick = 0;
}

static void keyd_ended(struct supervise *s)
{
	struct proc *front = &s->proc[PROC_FRONT], *store = &s->proc[PROC_STORE];

	for (int id = 0; id < PROCS && s->locking; id++)
		settled(&s->proc[id]);
	close_fd(&s->control);
	wire_reader_free(&s->reader);
	s->known = false;
	if (s->stop != STOP_NO)
		return;
	s->regroup = true;
	front->due = store->due = 0;
	/* The front holds nothing worth waiting for; the store may be in a transaction
	 * and ends by itself. */
	supervise_kill(s, PROC_FRONT);
	front->killed = true;
	store->kill_at = supervise_now() + EOF_GRACE_MS;
	store->killed = true;
}

/* All that keyd said before it ended: LOCKED may be the last of many. */
static void last_words(struct supervise *s)
{
	struct err e;

	while (s->control >= 0 && control_receive(s, &e) == 0)
		;
}

static void ended(struct supervise *s, enum proc_id id, int status)
{
	struct proc *p = &s->proc[id];
	int64_t lived = supervise_now() - p->started;

	if (id == PROC_KEYD)
		last_words(s);
	bool expected = s->stop != STOP_NO || p->killed || (id == PROC_KEYD && s->locking);
	/* Front and store end so when keyd has closed their channel; keyd's own end may
	 * be seen only after theirs. */
	bool clean = id != PROC_KEYD && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char why[64];

	describe(status, why);
	p->pid = 0;
	p->kill_at = 0;
	close_fd(&p->pidfd);
	if (expected || clean || said_why(s, id, status))
		log_debug("process ended", "process", supervise_name(id), "end", why);
	else
		log_warn("process ended", "process", supervise_name(id), "end", why);
	if (lived >= SETTLED_MS)
		settled(p);
	if (id == PROC_FRONT) {
		close_fd(&s->link);
		s->link_up = false;
	}
	if (id == PROC_KEYD)
		keyd_ended(s);
	/* SIGKILL comes from outside (an operator, no memory) and says nothing either. */
	if (WIFSIGNALED(status) ? !expected && WTERMSIG(status) != SIGKILL
				: status != 0 && (!expected || p->killed))
		p->quick++;
	if (s->stop != STOP_NO || beyond_help(s, id, status))
		return;
	if (id == PROC_KEYD && s->locking)
		p->due = supervise_now();
	else if (id == PROC_KEYD || !s->regroup)
		later(s, id);
}

/* As PID 1, hsmd is also the parent of strangers that lost theirs. */
static void reap(struct supervise *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int id = 0; id < PROCS; id++)
			if (s->proc[id].pid == pid)
				ended(s, id, status);
}

/* ---- events ---- */

static void on_signals(struct supervise *s)
{
	struct signalfd_siginfo si;

	while (read(s->signals, &si, sizeof(si)) == sizeof(si)) {
		if (si.ssi_signo == SIGCHLD)
			continue;
		if (si.ssi_signo == SIGHUP) {
			log_info("SIGHUP does nothing: restart hsmd to change its configuration");
			continue;
		}
		if (s->stop == STOP_NO) {
			log_info("stopping", "signal", strsignal((int)si.ssi_signo));
			supervise_stop(s, 0);
			continue;
		}
		log_warn("second signal: stopping at once");
		for (int id = 0; id < PROCS; id++)
			supervise_kill(s, id);
	}
	reap(s);
}

static void on_control(struct supervise *s)
{
	struct err e = {0};
	int rc = control_receive(s, &e);

	if (rc == 0)
		return;
	if (rc < 0)
		log_error("channel to keyd is broken", "error", e.text);
	/* Its end follows; if not, it has a grace time. */
	close_fd(&s->control);
	if (rc < 0)
		supervise_kill(s, PROC_KEYD);
	else if (s->proc[PROC_KEYD].pid)
		s->proc[PROC_KEYD].kill_at = supervise_now() + EOF_GRACE_MS;
}

/* As often as the broker likes, so not each of them. */
static void say_link(struct supervise *s, bool up)
{
	unsigned left = 0;

	if (log_limited(&s->link_said, LINK_LINES_MAX, &left))
		log_kv(LOG_INFO, up ? "connected to NATS" : "not connected to NATS",
		       left ? "left_out" : NULL, LOG_NUM(left), (char *)NULL);
}

static void on_link(struct supervise *s)
{
	for (int i = 0; i < LINK_PER_TURN; i++) {
		uint8_t p[LINK_LEN] = {0};
		ssize_t n = recv(s->link, p, sizeof(p), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
			close_fd(&s->link);
			s->link_up = false;
		}
		if (n <= 0)
			return;
		if (s->link_up != (p[0] == LINK_UP))
			say_link(s, p[0] == LINK_UP);
		s->link_up = p[0] == LINK_UP;
		s->link_why = (uint16_t)(p[1] | p[2] << 8);
		s->was_up = true;
	}
}

/* Does what is due and returns the milliseconds until the next thing. */
static int on_time(struct supervise *s)
{
	int64_t now = supervise_now(), next = now + 60000;
	bool any = false;

	for (int id = 0; id < PROCS; id++) {
		struct proc *p = &s->proc[id];

		any |= p->pid != 0;
		if (p->pid && p->kill_at && p->kill_at <= now) {
			log_warn("did not end in time: killed", "process", supervise_name(id));
			supervise_kill(s, id);
		}
	}
	for (int id = 0; id < PROCS; id++) {
		struct proc *p = &s->proc[id];
		bool may =
			s->stop == STOP_NO && !p->pid && (!s->regroup || (id == PROC_KEYD && !any));

		if (p->due && p->due <= now && may)
			restart(s, id);
	}
	for (int id = 0; id < PROCS; id++) {
		const struct proc *p = &s->proc[id];

		if (p->pid && p->kill_at && p->kill_at < next)
			next = p->kill_at;
		/* Overdue: waits for the end of others, which comes as a signal. */
		if (p->due > now && p->due < next)
			next = p->due;
	}
	return next > now ? (int)(next - now) : 0;
}

static int loop(struct supervise *s, struct err *e)
{
	while (!(s->stop != STOP_NO && stopped(s))) {
		struct pollfd pf[] = {{.fd = s->signals, .events = POLLIN},
				      {.fd = s->listener, .events = POLLIN},
				      {.fd = s->control, .events = POLLIN},
				      {.fd = s->link, .events = POLLIN}};
		int wait = on_time(s);

		/* What on_time started or ended has changed the descriptors. */
		pf[2].fd = s->control;
		pf[3].fd = s->link;
		if (poll(pf, 4, wait) < 0 && errno != EINTR)
			return err_errno(e, ERR_INTERNAL, "cannot wait");
		/* The last words of keyd (LOCKED) come before its end. */
		if (pf[2].revents && s->control >= 0)
			on_control(s);
		if (pf[3].revents && s->link >= 0)
			on_link(s);
		if (pf[0].revents)
			on_signals(s);
		if (pf[1].revents)
			health_serve(s);
	}
	return 0;
}

int supervise_run(struct supervise *s, struct err *e)
{
	int rc;

	s->control = s->link = s->signals = -1;
	s->started = supervise_now();
	s->may_unlock = true;
	for (int id = 0; id < PROCS; id++) {
		s->proc[id].pidfd = -1;
		s->proc[id].backoff = BACKOFF_MIN_MS;
	}
	if (spawn_signals(&s->signals, e))
		return -1;
	rc = start_all(s, e);
	if (rc)
		/* The error is the caller's to tell; here, what runs is ended. */
		for (int id = 0; id < PROCS; id++)
			supervise_kill(s, id);
	else
		rc = loop(s, e);
	close_fd(&s->control);
	close_fd(&s->link);
	close_fd(&s->signals);
	wire_reader_free(&s->reader);
	return rc ? -1 : s->status;
}
