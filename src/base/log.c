#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 10000

static const char *prog_name = "signbox";
static bool debug_on;

void log_init(const char *prog, bool debug)
{
	prog_name = prog;
	debug_on = debug;
	/* gmtime_r would open the zone file at the first line, in the sandbox. */
	tzset();
}

bool log_limited(struct log_limit *l, unsigned max, unsigned *left)
{
	struct timespec t;
	int64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	if (!l->since || now - l->since >= LIMIT_MS) {
		l->since = now;
		l->told = 0;
	}
	if (l->told >= max) {
		l->held++;
		return false;
	}
	l->told++;
	*left = atomic_exchange(&l->held, 0);
	return true;
}

const char *log_num(char out[static 24], intmax_t v)
{
	(void)snprintf(out, 24, "%jd", v);
	return out;
}

struct line {
	char p[1024];
	size_t len;
};

static void put(struct line *l, const char *s, size_t n)
{
	/* One byte stays free for the newline; a long line is cut. */
	if (n > sizeof(l->p) - 1 - l->len)
		n = sizeof(l->p) - 1 - l->len;
	memcpy(l->p + l->len, s, n);
	l->len += n;
}

static void put_value(struct line *l, const char *v)
{
	static const char hex[] = "0123456789abcdef";
	bool plain = *v != '\0';

	for (const char *s = v; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' ||
		    (unsigned char)*s >= 0x7f)
			plain = false;
	if (plain) {
		put(l, v, strlen(v));
		return;
	}
	put(l, "\"", 1);
	for (const char *s = v; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			put(l, (char[2]){'\\', *s}, 2);
		} else if (c < ' ' || c == 0x7f) {
			put(l, (char[4]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
		} else {
			put(l, s, 1);
		}
	}
	put(l, "\"", 1);
}

void log_kv(enum log_level level, const char *msg, ...)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};
	struct line l = {.len = 0};
	struct timespec ts;
	struct tm tm;
	char when[40];
	va_list ap;
	const char *k;

	if (level == LOG_DEBUG && !debug_on)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	size_t n = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(when + n, sizeof(when) - n, ".%03ldZ", ts.tv_nsec / 1000000);

	put(&l, "time=", 5);
	put(&l, when, strlen(when));
	put(&l, " level=", 7);
	put(&l, names[level], strlen(names[level]));
	put(&l, " prog=", 6);
	put(&l, prog_name, strlen(prog_name));
	put(&l, " msg=", 5);
	put_value(&l, msg);
	va_start(ap, msg);
	while ((k = va_arg(ap, const char *))) {
		const char *v = va_arg(ap, const char *);

		put(&l, " ", 1);
		put(&l, k, strlen(k));
		put(&l, "=", 1);
		put_value(&l, v ? v : "");
	}
	va_end(ap);
	l.p[l.len++] = '\n';
	/* A log line that cannot be written has nowhere to be reported. */
	if (write(STDERR_FILENO, l.p, l.len) < 0)
		return;
}
