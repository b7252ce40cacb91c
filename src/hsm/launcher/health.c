#include "hsm/launcher/health.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "proto/op.h"

#define BACKLOG 64
#define PER_TURN 16
#define ASK_TIMEOUT_S 3

static int address(struct sockaddr_un *a, const char *path, struct err *e)
{
	size_t n = strlen(path);

	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	if (n >= sizeof(a->sun_path))
		return err_set(e, ERR_CONFIG, "health socket %.100s… is too long", path);
	memcpy(a->sun_path, path, n);
	return 0;
}

int health_listen(int *out, const char *path, struct err *e)
{
	struct sockaddr_un a;

	if (address(&a, path, e))
		return -1;
	CLEAN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_errno(e, ERR_IO, "cannot make the health socket");
	(void)unlink(path);
	/* The umask is 077: nobody else can connect in between. */
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || chmod(path, 0600) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return err_errno(e, ERR_IO, "cannot listen on the health socket %s", path);
	*out = steal_fd(&fd);
	return 0;
}

/* up: all three run and the front is connected; problem: they do, but keyd cannot
 * work; down: the rest. */
static const char *verdict(const struct supervise *s)
{
	bool all = s->link_up && s->known && s->stop == STOP_NO;

	for (int i = 0; i < PROCS; i++)
		all = all && s->proc[i].pid;
	if (!all)
		return "down";
	return s->hello.problem ? "problem" : "up";
}

static void put_line(const struct supervise *s, struct buf *b)
{
	char instance[ENC_HEX_LEN(INSTANCE_LEN)] = "none";

	if (s->known)
		enc_hex(instance, s->hello.instance, INSTANCE_LEN);
	buf_printf(b, "health=%s state=%s nats=%s", verdict(s),
		   s->known ? hsm_state_text(s->hello.state) : "unknown",
		   s->link_up ? "up" : "down");
	for (int i = 0; i < PROCS; i++)
		buf_printf(b, " %s=%s", supervise_name(i) + 4, s->proc[i].pid ? "up" : "down");
	/* Of the table, whatever the front said. */
	buf_printf(b, " nats_why=%s problem=%s warnings=",
		   !s->link_up && s->link_why ? err_row(s->link_why)->name : "none",
		   s->known && s->hello.problem ? err_row(s->hello.problem)->name : "none");
	boot_warnings_text(s->known ? s->hello.warnings | s->warnings : s->warnings, b);
	buf_printf(b, " instance=%s epoch=%llu restarts=%u uptime=%lld\n", instance,
		   (unsigned long long)(s->known ? s->hello.epoch : 0), s->restarts,
		   (long long)((supervise_now() - s->started) / 1000));
}

void health_serve(const struct supervise *s)
{
	char memory[HEALTH_LINE_MAX];
	struct buf b;

	buf_fixed(&b, memory, sizeof(memory));
	put_line(s, &b);
	for (int i = 0; i < PER_TURN; i++) {
		CLEAN(fd) int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		/* An empty socket buffer takes the line whole; who is gone is gone. */
		if (fd < 0 || send(fd, b.p, b.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			return;
	}
}

/* ---- asking ---- */

int health_ask(const char *path, char line[static HEALTH_LINE_MAX], struct err *e)
{
	const struct timeval patience = {.tv_sec = ASK_TIMEOUT_S};
	struct sockaddr_un a;
	size_t len = 0;

	if (address(&a, path, e))
		return -1;
	CLEAN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return err_errno(e, ERR_UNAVAILABLE, "cannot make a socket");
	if (connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return err_errno(e, ERR_UNAVAILABLE, "hsmd does not run: cannot connect to %s",
				 path);
	while (len < HEALTH_LINE_MAX - 1) {
		ssize_t n = read(fd, line + len, HEALTH_LINE_MAX - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, ERR_UNAVAILABLE, "hsmd does not answer");
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (!len || line[len - 1] != '\n')
		return err_set(e, ERR_UNAVAILABLE, "hsmd gave no whole line");
	line[len - 1] = '\0';
	return 0;
}

int health_value(const char *line, const char *key, char *out, size_t cap)
{
	size_t klen = strlen(key);

	for (const char *p = line; *p;) {
		size_t n = strcspn(p, " ");

		if (n > klen && strncmp(p, key, klen) == 0 && p[klen] == '=' &&
		    n - klen - 1 < cap) {
			memcpy(out, p + klen + 1, n - klen - 1);
			out[n - klen - 1] = '\0';
			return 0;
		}
		p += n;
		p += *p == ' ';
	}
	return -1;
}

static const struct err_row *row_named(const char *name)
{
	unsigned n;
	const struct err_row *rows = err_table(&n);

	for (unsigned i = 0; i < n; i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

static int judge_problem(const char *problem, struct err *e)
{
	const struct err_row *row = row_named(problem);

	return row ? err_set(e, row->wire, "%s", row->text)
		   : err_set(e, ERR_UNAVAILABLE, "unknown problem");
}

/* Not up: which part it is. */
static int judge_down(const char *line, struct err *e)
{
	char nats[16] = "", why[32] = "", value[16];

	for (int i = 0; i < PROCS; i++)
		if (health_value(line, supervise_name(i) + 4, value, sizeof(value)) ||
		    strcmp(value, "up") != 0)
			return err_set(e, ERR_UNAVAILABLE, "%s is down: hsmd's log says why",
				       supervise_name(i));
	(void)health_value(line, "nats", nats, sizeof(nats));
	if (strcmp(nats, "up") == 0)
		return err_set(e, ERR_UNAVAILABLE, "it is starting or stopping");
	(void)health_value(line, "nats_why", why, sizeof(why));
	const struct err_row *row = row_named(why);

	if (!row)
		return err_set(e, ERR_UNAVAILABLE, "NATS is not connected");
	return err_set(e, ERR_UNAVAILABLE,
		       "NATS is not connected: %s (hsmd's log names the servers)",
		       row->wire == ERR_DENIED	      ? "the server refuses our credentials"
		       : row->wire == ERR_UNAVAILABLE ? "no server answers"
						      : row->text);
}

int health_judge(const char *line, bool ready, struct err *e)
{
	char health[16] = "", state[32] = "", problem[32] = "";

	if (health_value(line, "health", health, sizeof(health)) ||
	    health_value(line, "state", state, sizeof(state)) ||
	    health_value(line, "problem", problem, sizeof(problem)))
		return err_set(e, ERR_UNAVAILABLE, "hsmd gave a strange line");
	/* What is wrong with the store is told first: NATS may still come, that stays. */
	if (strcmp(problem, "none") != 0)
		return judge_problem(problem, e);
	if (strcmp(health, "up") != 0)
		return judge_down(line, e);
	if (ready && strcmp(state, hsm_state_text(STATE_OPERATIONAL)) != 0)
		return err_set(e, ERR_WRONG_STATE, "state is %s, not operational", state);
	return 0;
}
