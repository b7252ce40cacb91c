#include "box/nats/nats_fmt.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/text.h"
#include "ui/cli.h"

/* Digits with a comma after each three from the right. */
static void group_digits(char *out, size_t cap, const char *digits, size_t n, bool minus)
{
	size_t at = 0;

	if (minus)
		out[at++] = '-';
	for (size_t i = 0; i < n && at + 2 < cap; i++) {
		if (i && (n - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

const char *fmt_comma(char out[static 32], int64_t v)
{
	char digits[24];
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)u);

	group_digits(out, 32, digits, (size_t)n, v < 0);
	return out;
}

/* Shortest text that reads back as v, as Go's FormatFloat(v, 'f', -1). */
static void shortest(char *out, size_t cap, double v)
{
	for (int p = 0; p <= 17; p++) {
		(void)snprintf(out, cap, "%.*f", p, v);
		if (strtod(out, NULL) == v)
			return;
	}
}

const char *fmt_commaf(char out[static 64], double v, int digits)
{
	char text[400];
	size_t n, used;

	if (!isfinite(v)) {
		(void)snprintf(out, 64, "%s", isnan(v) ? "NaN" : v < 0 ? "-Inf" : "+Inf");
		return out;
	}
	shortest(text, sizeof(text), fabs(v));
	n = strcspn(text, ".");
	group_digits(out, 48, text, n, v < 0);
	used = strlen(out);
	if (text[n] && digits > 0)
		(void)snprintf(out + used, 64 - used, "%.*s", digits + 1, text + n);
	return out;
}

const char *fmt_fixed2(char out[static 64], double v)
{
	char text[400];
	size_t n, used;

	(void)snprintf(text, sizeof(text), "%.2f", fabs(v));
	n = strcspn(text, ".");
	group_digits(out, 48, text, n, v < 0);
	used = strlen(out);
	(void)snprintf(out + used, 64 - used, "%s", text + n);
	return out;
}

const char *fmt_bytes(char out[static 32], uint64_t v, unsigned base)
{
	static const char *const si[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	static const char *const iec[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned i = 0;
	double unit = 1, x;

	if (v < 10) {
		(void)snprintf(out, 32, "%u B", (unsigned)v);
		return out;
	}
	for (uint64_t left = v; left >= base && i < 6; left /= base) {
		i++;
		unit *= base;
	}
	x = floor((double)v / unit * 10 + 0.5) / 10;
	(void)snprintf(out, 32, "%.*f %s", x < 10 ? 1 : 0, x, base == 1024 ? iec[i] : si[i]);
	return out;
}

/* v / 10^places without zeros at the end. */
static int fraction(char *out, size_t cap, uint64_t v, unsigned places)
{
	uint64_t unit = 1;
	char frac[24];
	int n;

	for (unsigned i = 0; i < places; i++)
		unit *= 10;
	(void)snprintf(frac, sizeof(frac), "%0*llu", (int)places, (unsigned long long)(v % unit));
	n = places ? (int)strlen(frac) : 0;
	while (n > 0 && frac[n - 1] == '0')
		n--;
	return snprintf(out, cap, "%llu%s%.*s", (unsigned long long)(v / unit), n ? "." : "", n,
			frac);
}

const char *fmt_go_duration(char out[static 48], int64_t ns)
{
	uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
	char *p = out;
	size_t left = 48;
	int n = 0;

	if (ns == 0) {
		(void)snprintf(out, 48, "0s");
		return out;
	}
	if (ns < 0) {
		*p++ = '-';
		left--;
	}
	if (u < NS_S) {
		const char *unit = u < 1000 ? "ns" : u < NS_MS ? "µs" : "ms";

		n = fraction(p, left, u, u < 1000 ? 0 : u < NS_MS ? 3 : 6);
		(void)snprintf(p + n, left - (size_t)n, "%s", unit);
		return out;
	}
	uint64_t minutes = u / NS_S / 60;

	if (minutes >= 60)
		n = snprintf(p, left, "%lluh%llum", (unsigned long long)(minutes / 60),
			     (unsigned long long)(minutes % 60));
	else if (minutes)
		n = snprintf(p, left, "%llum", (unsigned long long)minutes);
	n += fraction(p + n, left - (size_t)n, u - minutes * 60 * NS_S, 9);
	(void)snprintf(p + n, left - (size_t)n, "s");
	return out;
}

/* As Go's Duration.Round: half away from zero. */
static int64_t round_to(int64_t ns, int64_t unit)
{
	int64_t r = ns % unit;

	if (r < 0)
		/* The most negative number has no opposite. */
		return -round_to(ns == INT64_MIN ? INT64_MAX : -ns, unit);
	return r + r < unit || ns > INT64_MAX - unit ? ns - r : ns + unit - r;
}

const char *fmt_duration(char out[static 48], int64_t ns)
{
	long long s = ns / NS_S, m = s / 60, h = m / 60, d = h / 24, y = d / 365;

	if (ns == INT64_MAX)
		(void)snprintf(out, 48, "never");
	else if (ns < NS_MS)
		fmt_go_duration(out, round_to(ns, 1000));
	else if (ns < NS_S)
		fmt_go_duration(out, round_to(ns, NS_MS));
	else if (y)
		(void)snprintf(out, 48, "%lldy%lldd%lldh%lldm%llds", y, d % 365, h % 24, m % 60,
			       s % 60);
	else if (d)
		(void)snprintf(out, 48, "%lldd%lldh%lldm%llds", d, h % 24, m % 60, s % 60);
	else if (h)
		(void)snprintf(out, 48, "%lldh%lldm%llds", h, m % 60, s % 60);
	else if (m)
		(void)snprintf(out, 48, "%lldm%llds", m, s % 60);
	else
		(void)snprintf(out, 48, "%.2fs", (double)ns / 1e9);
	return out;
}

static void split_ns(int64_t ns, time_t *s, int *frac)
{
	int64_t r = ns % NS_S;

	*s = (time_t)(ns / NS_S - (r < 0));
	*frac = (int)(r < 0 ? r + NS_S : r);
}

const char *fmt_time(char out[static 40], int64_t ns)
{
	struct tm tm;
	time_t s;
	int frac;

	split_ns(ns, &s, &frac);
	if (!localtime_r(&s, &tm) || !strftime(out, 40, "%Y-%m-%d %H:%M:%S", &tm))
		(void)snprintf(out, 40, "?");
	return out;
}

const char *fmt_time_text(char out[static 64], const char *text)
{
	int64_t ns;

	if (!text || !*text || strncmp(text, "0001-", 5) == 0)
		(void)snprintf(out, 64, "0001-01-01 00:00:00");
	else if (parse_rfc3339(text, &ns))
		(void)snprintf(out, 64, "%.60s", text);
	else
		fmt_time(out, ns);
	text_clean(out);
	return out;
}

const char *fmt_rfc3339(char out[static 48], int64_t ns, bool nanos, bool utc)
{
	struct tm tm;
	time_t s;
	int frac;
	size_t n;

	split_ns(ns, &s, &frac);
	if (!(utc ? gmtime_r(&s, &tm) : localtime_r(&s, &tm)) ||
	    !(n = strftime(out, 48, "%Y-%m-%dT%H:%M:%S", &tm))) {
		(void)snprintf(out, 48, "?");
		return out;
	}
	if (nanos && frac) {
		char text[12];

		(void)fraction(text, sizeof(text), (uint64_t)frac, 9);
		n += (size_t)snprintf(out + n, 48 - n, "%s", text + 1);
	}
	if (tm.tm_gmtoff == 0)
		(void)snprintf(out + n, 48 - n, "Z");
	else
		(void)snprintf(out + n, 48 - n, "%c%02ld:%02ld", tm.tm_gmtoff < 0 ? '-' : '+',
			       labs(tm.tm_gmtoff) / 3600, labs(tm.tm_gmtoff) / 60 % 60);
	return out;
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NS_S + ts.tv_nsec;
}

int64_t now_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int64_t mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

int parse_rfc3339(const char *text, int64_t *ns)
{
	struct tm tm = {0};
	int n = 0;
	int64_t frac = 0, unit = NS_S / 10, off = 0;

	if (sscanf(text, "%4d-%2d-%2d%*1[Tt ]%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) != 6 ||
	    !n)
		return -1;
	text += n;
	if (*text == '.')
		for (text++; isdigit((unsigned char)*text); text++, unit /= 10)
			frac += (*text - '0') * unit;
	if (*text == '+' || *text == '-') {
		int h, m;

		if (sscanf(text + 1, "%2d:%2d%n", &h, &m, &n) != 2 || text[1 + n])
			return -1;
		off = (h * 60 + m) * 60 * (*text == '-' ? -1 : 1);
	} else if ((*text != 'Z' && *text != 'z') || text[1]) {
		return -1;
	}
	/* Years that nanoseconds in 64 bits cannot count. */
	if (tm.tm_year < 1700 || tm.tm_year > 2250) {
		*ns = tm.tm_year < 1970 ? INT64_MIN : INT64_MAX;
		return 0;
	}
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*ns = ((int64_t)timegm(&tm) - off) * NS_S + frac;
	return 0;
}

int parse_duration(const char *text, int64_t *ns, struct err *e)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {
		{"ns", 1},	   {"us", 1e3},	      {"µs", 1e3},     {"ms", 1e6},
		{"s", 1e9},	   {"m", 60e9},	      {"h", 3600e9},   {"d", 86400e9},
		{"D", 86400e9},	   {"w", 604800e9},   {"W", 604800e9}, {"M", 2592000e9},
		{"y", 31536000e9}, {"Y", 31536000e9},
	};
	const char *s = text;
	double sum = 0;
	bool minus = *s == '-';

	s += *s == '-' || *s == '+';
	if (strcmp(s, "0") == 0) {
		*ns = 0;
		return 0;
	}
	while (*s) {
		char *end;
		double v = isdigit((unsigned char)*s) || *s == '.' ? strtod(s, &end) : -1;
		size_t n, i;

		if (v < 0 || end == s)
			break;
		n = strcspn(end, "0123456789.");
		for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (strlen(units[i].name) == n && strncmp(units[i].name, end, n) == 0)
				break;
		if (i == sizeof(units) / sizeof(units[0]))
			break;
		sum += v * units[i].ns;
		s = end + n;
	}
	if (*s || s == text || sum > 9.2e18)
		return cli_usage(e,
				 "invalid duration '%.40s': use a number and a unit, as in "
				 "300ms, 5s, 1h30m or 2d",
				 text);
	*ns = (int64_t)llround(minus ? -sum : sum);
	return 0;
}

int parse_bytes(const char *text, int64_t *n, struct err *e)
{
	static const char units[] = "BKMGT";
	char *end;
	int shift = 0;

	if (*text == '-' || !*text) {
		*n = -1;
		return 0;
	}
	errno = 0;
	long long v = isdigit((unsigned char)*text) ? strtoll(text, &end, 10) : -1;

	if (v >= 0 && !errno && *end) {
		const char *u = strchr(units, toupper((unsigned char)*end));

		shift = u ? 10 * (int)(u - units) : -1;
		if (strcasecmp(end + 1, "") != 0 &&
		    (shift == 0 ||
		     (strcasecmp(end + 1, "B") != 0 && strcasecmp(end + 1, "iB") != 0)))
			shift = -1;
	}
	if (v < 0 || errno || shift < 0)
		return cli_usage(e,
				 "invalid bytes specification '%.40s': bytes must end in B, K, "
				 "KB, M, MB, G, GB, T or TB",
				 text);
	if (v > INT64_MAX >> shift)
		return cli_usage(e, "bytes value out of allowed range: '%.40s'", text);
	*n = (int64_t)v << shift;
	return 0;
}
