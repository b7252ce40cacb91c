#include "ui/progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ui/table.h"

#define QUIET_NS 1000000000u /* shorter work shows nothing */
#define EVERY_NS 100000000u

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void progress_start(struct progress *p, const char *what, uint64_t total, enum progress_unit unit)
{
	memset(p, 0, sizeof(*p));
	(void)snprintf(p->what, sizeof(p->what), "%s", what);
	p->total = total;
	p->unit = unit;
	p->start_ns = now_ns();
	pthread_mutex_init(&p->lock, NULL);
	p->tty = isatty(STDERR_FILENO);
}

static void amount(char *out, size_t cap, uint64_t v, enum progress_unit unit)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double d = (double)v;
	size_t i = 0;

	if (unit == PROGRESS_COUNT) {
		(void)snprintf(out, cap, "%llu", (unsigned long long)v);
		return;
	}
	for (; d >= 1024 && i < 4; i++)
		d /= 1024;
	(void)snprintf(out, cap, i ? "%.1f %s" : "%.0f %s", d, units[i]);
}

/* Composes the whole line and writes it at once, so that threads do not mix. */
static void draw(struct progress *p, uint64_t now)
{
	char line[256], bar[41] = "", done[32], total[32], rate[32];
	uint64_t n = p->done;
	double secs = (double)(now - p->start_ns) / 1e9;
	unsigned width = table_width(stderr);
	int len;

	amount(done, sizeof(done), n, p->unit);
	amount(rate, sizeof(rate), (uint64_t)((double)n / secs), p->unit);
	if (p->total) {
		unsigned cells = width > 100 ? 40 : 20;
		uint64_t capped = n < p->total ? n : p->total;
		double part = (double)capped / (double)p->total;
		unsigned full = (unsigned)(part * cells);

		memset(bar, '-', cells);
		memset(bar, '#', full);
		bar[cells] = '\0';
		amount(total, sizeof(total), p->total, p->unit);
		len = snprintf(line, sizeof(line), "\r%s [%s] %3.0f%% %s of %s, %s/s\033[K",
			       p->what, bar, part * 100, done, total, rate);
	} else {
		len = snprintf(line, sizeof(line), "\r%s %s, %s/s\033[K", p->what, done, rate);
	}
	/* A line that wraps could not be removed again. */
	if (len < 0 || (size_t)len >= sizeof(line) || (unsigned)len > width + 3)
		len = snprintf(line, sizeof(line), "\r%.20s %s\033[K", p->what, done);
	if (len > 0 && write(STDERR_FILENO, line, (size_t)len) == len)
		p->shown = true;
}

void progress_add(struct progress *p, uint64_t n)
{
	p->done += n;
	if (!p->tty)
		return;
	uint64_t now = now_ns();

	if (now - p->start_ns < QUIET_NS || now - p->drawn_ns < EVERY_NS)
		return;
	if (pthread_mutex_trylock(&p->lock))
		return;
	p->drawn_ns = now;
	draw(p, now);
	pthread_mutex_unlock(&p->lock);
}

void progress_end(struct progress *p)
{
	pthread_mutex_lock(&p->lock);
	if (p->shown && write(STDERR_FILENO, "\r\033[K", 4) != 4)
		p->shown = false;
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_destroy(&p->lock);
}
