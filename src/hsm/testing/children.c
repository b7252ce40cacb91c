#include "hsm/testing/children.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/spawn.h"

int64_t children_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int children_open(struct children *c, struct err *e)
{
	return spawn_signals(&c->signals, e);
}

static bool is_named(const char *v, const char *name)
{
	size_t n = strlen(name);

	return strncmp(v, name, n) == 0 && v[n] == '=';
}

/* Ours, without what the child must not have and what is set for it. */
static bool passes(const char *v, const struct child_start *how)
{
	if (how->no_nats && strncmp(v, "NATS_", 5) == 0)
		return false;
	for (const char *const *s = how->set; s && *s; s += 2)
		if (is_named(v, *s))
			return false;
	return true;
}

int children_start(struct children *c, enum child_id id, const struct child_start *how,
		   struct err *e)
{
	struct spawn what = {.path = how->argv[0],
			     .argv = (char *const *)(uintptr_t)how->argv,
			     .out = how->out,
			     .sig_pipe = true};
	CLEAN(buf) struct buf own = {0};
	size_t n = 0, nset = 0, at = 0;
	pid_t pid;

	while (environ[n])
		n++;
	while (how->set && how->set[nset])
		nset += 2;
	CLEAN(free) char **env = calloc(n + nset / 2 + 1, sizeof(*env));

	buf_init(&own, 1u << 20);
	for (size_t i = 0; i < nset; i += 2)
		buf_printf(&own, "%s=%s%c", how->set[i], how->set[i + 1], '\0');
	if (!env || own.bad)
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < n; i++)
		if (passes(environ[i], how))
			env[at++] = environ[i];
	for (size_t i = 0; i < own.len; i += strlen(env[at - 1]) + 1)
		env[at++] = (char *)own.p + i;
	what.envp = env;
	if (spawn_start(&what, &pid, NULL, e))
		return -1;
	c->v[id] = (struct child){.pid = pid};
	return 0;
}

static void reap(struct children *c)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int id = 0; id < CHILDREN; id++)
			if (c->v[id].pid == pid)
				c->v[id] = (struct child){.status = status};
}

void children_turn(struct children *c, int ms)
{
	struct pollfd pf = {.fd = c->signals, .events = POLLIN};
	struct signalfd_siginfo si;

	(void)poll(&pf, 1, ms);
	while (read(c->signals, &si, sizeof(si)) == sizeof(si))
		c->stops += si.ssi_signo == SIGTERM || si.ssi_signo == SIGINT;
	reap(c);
}

void children_end(struct children *c, enum child_id id, int ms)
{
	int64_t until = children_now() + ms, left;
	unsigned before = c->stops;

	if (c->v[id].pid)
		(void)kill(c->v[id].pid, SIGTERM);
	while (c->v[id].pid) {
		left = until - children_now();
		if (left <= 0 || (c->stops > before && c->stops > 1)) {
			(void)kill(c->v[id].pid, SIGKILL);
			left = 1000;
		}
		children_turn(c, (int)left);
	}
}
