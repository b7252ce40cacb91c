#include "box/nats/nats_exporter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "box/nats/nats_check.h"

#define OUTPUT_MAX ((size_t)4 << 20)
/* what a check may take on top of its time-out: mute servers come first */
#define SLACK_NS (30 * NS_S)

extern char **environ;

/* A check that runs. */
struct running {
	pid_t pid; /* 0: it could not be started */
	int fd;
	struct buf out;
};

/* One metric: name -> {"help", "lines": [text, …]}, so that all checks of a kind share its
 * head, as the format wants it. */
static void metric(json_t *all, const char *name, const char *help, const char *line)
{
	json_t *m = json_object_get(all, name);

	if (!m) {
		m = json_pack("{s:s, s:[]}", "help", help, "lines");
		(void)json_object_set_new(all, name, m);
	}
	(void)json_array_append_new(json_object_get(m, "lines"), json_string(line));
}

static void add_sample(json_t *all, const struct exporter *x, const struct exporter_check *k,
		       const char *name, const char *help, const char *status, double value)
{
	CLEAN(free) char *line = NULL;
	char metric_name[300];
	size_t n = 0;
	FILE *f = open_memstream(&line, &n);

	if (!f)
		return;
	(void)snprintf(metric_name, sizeof(metric_name), "%.100s_%.60s_%.100s", x->ns, k->kind,
		       name);
	fprintf(f, "%s{item=\"", metric_name);
	check_label(k->name, f);
	if (status)
		fprintf(f, "\",status=\"%s", status);
	fputs("\"} ", f);
	check_value(value, f);
	if (fclose(f) == 0)
		metric(all, metric_name, help, line);
}

/* Names of metrics come from our own checks; anything else would break the format. */
static bool name_ok(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
			     strlen(s);
}

static void add_result(json_t *all, const struct exporter *x, const struct exporter_check *k,
		       const json_t *j, const char *trouble)
{
	static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
	const char *status = j ? jstr(j, "status") : "CRITICAL";
	size_t code = 0, i;
	char help[200];
	const json_t *p;

	while (code < 3 && strcmp(words[code], status) != 0)
		code++;
	json_array_foreach(json_object_get(j, "perf_data"), i, p) if (name_ok(jstr(p, "name")))
	{
		(void)snprintf(help, sizeof(help), "Data about the NATS CLI check %.100s", k->kind);
		add_sample(all, x, k, jstr(p, "name"), *jstr(p, "help") ? jstr(p, "help") : help,
			   NULL, jnum(p, "value"));
	}
	(void)snprintf(help, sizeof(help), "Nagios compatible status code for %.100s", k->kind);
	add_sample(all, x, k, "status_code", help, words[code], (double)code);
	if (code == 0)
		return;
	const char *why = json_string_value(
		json_array_get(json_object_get(j, code == 1 ? "warning" : "critical"), 0));

	nats_log("%s %s: %s", words[code], SHOWN(k->name), SHOWN(why ? why : trouble));
}

/* ---- processes ---- */

static int start(const struct exporter_check *k, struct running *r)
{
	posix_spawn_file_actions_t fa;
	int fd[2], rc;

	buf_init(&r->out, OUTPUT_MAX);
	r->fd = -1;
	if (pipe2(fd, O_CLOEXEC))
		return errno;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, fd[1], 1);
	/* The sockets of the HTTP server are not theirs. */
	posix_spawn_file_actions_addclosefrom_np(&fa, 3);
	rc = posix_spawn(&r->pid, "/proc/self/exe", &fa, NULL, k->argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(fd[1]);
	if (rc) {
		close(fd[0]);
		r->pid = 0;
		return rc;
	}
	r->fd = fd[0];
	return 0;
}

/* What it prints until its end; false: it takes too long or says too much. */
static bool read_all(struct running *r, int64_t deadline)
{
	for (;;) {
		struct pollfd p = {.fd = r->fd, .events = POLLIN};
		int64_t left = (deadline - mono_ns()) / NS_MS;
		uint8_t piece[8192];

		if (left <= 0 || r->out.bad)
			return false;
		if (poll(&p, 1, left > 60000 ? 60000 : (int)left) <= 0)
			continue;
		ssize_t n = read(r->fd, piece, sizeof(piece));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0;
		buf_put(&r->out, piece, (size_t)n);
	}
}

static void finish(const struct exporter *x, const struct exporter_check *k, struct running *r,
		   int64_t deadline, json_t *all)
{
	CLEAN(json) json_t *j = NULL;
	const char *trouble = "the check could not be started";
	int status;

	if (r->pid) {
		bool ended = read_all(r, deadline);

		close(r->fd);
		if (!ended)
			(void)kill(r->pid, SIGKILL);
		while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
			continue;
		trouble = ended ? "the check failed" : "the check did not end in time";
		if (ended && r->out.len)
			j = json_loadb((const char *)r->out.p, r->out.len, 0, NULL);
	}
	buf_free(&r->out);
	add_result(all, x, k, json_is_object(j) ? j : NULL, trouble);
}

int exporter_collect(const struct exporter *x, FILE *f, struct err *e)
{
	CLEAN(free) struct running *list = calloc(x->n, sizeof(*list));
	CLEAN(json) json_t *all = json_object();
	int64_t deadline = mono_ns() + x->timeout_ms * NS_MS + SLACK_NS;
	const char *name;
	json_t *m, *line;
	size_t i;

	if (!list || !all)
		return err_set(e, ERR_NOMEM, NULL);
	for (i = 0; i < x->n; i++) {
		int rc = start(&x->checks[i], &list[i]);

		if (rc)
			nats_log("cannot start a check: %s", strerror(rc));
	}
	for (i = 0; i < x->n; i++)
		finish(x, &x->checks[i], &list[i], deadline, all);
	json_object_foreach(all, name, m)
	{
		fprintf(f, "# HELP %s %s\n# TYPE %s gauge\n", name, jstr(m, "help"), name);
		json_array_foreach(json_object_get(m, "lines"), i, line)
			fprintf(f, "%s\n", json_string_value(line));
	}
	return 0;
}
