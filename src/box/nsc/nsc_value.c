/* Dates, intervals, sizes and lists as people write them. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/cleanup.h"
#include "box/nsc/nsc.h"
#include "crypto/crypto.h"

/* "2d", "-3M": from now, by the calendar. */
static bool interval(int64_t now, const char *text, int64_t *out)
{
	char *end;
	long v = strtol(text, &end, 10);
	time_t t = (time_t)now;
	struct tm tm;

	if (end == text || !*end || end[1] || v < -100000 || v > 100000 ||
	    !strchr("mhdwMy", *end) || !localtime_r(&t, &tm))
		return false;
	if (*end == 'm' || *end == 'h') {
		*out = now + v * (*end == 'm' ? 60 : 3600);
	} else {
		if (*end == 'y')
			tm.tm_year += (int)v;
		else if (*end == 'M')
			tm.tm_mon += (int)v;
		else
			tm.tm_mday += (int)v * (*end == 'w' ? 7 : 1);
		tm.tm_isdst = -1;
		*out = mktime(&tm);
	}
	if (v == 0)
		*out = 0;
	return *out >= 0;
}

int nsc_time(const struct nsc *n, const char *what, const char *text, int64_t *out, struct err *e)
{
	static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M:%S UTC",
					    "%Y-%m-%dT%H:%M:%SZ"};

	*out = 0;
	if (!*text || strcmp(text, "0") == 0 || interval(n->now, text, out))
		return 0;
	for (size_t i = 0; i < 3; i++) {
		struct tm tm = {0};
		const char *end = strptime(text, forms[i], &tm);

		if (end && !*end) {
			*out = timegm(&tm);
			return 0;
		}
	}
	return err_set(e, ERR_BAD_INPUT,
		       "%s \"%.60s\" is invalid: couldn't parse expiry: yyyy-mm-dd or a number "
		       "with m, h, d, w, M or y, as in 2d",
		       what, text);
}

int nsc_duration(const char *what, const char *text, int64_t *out, struct err *e)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	const char *p = text;
	double sum = 0;

	while (*p) {
		char *end;
		double v = isdigit((unsigned char)*p) || *p == '.' ? strtod(p, &end) : -1;
		size_t len = 0, i = 0;

		if (v < 0)
			break;
		len = strcspn(end, "0123456789.");
		while (i < 6 &&
		       (strlen(units[i].name) != len || strncmp(units[i].name, end, len) != 0))
			i++;
		if (i == 6)
			break;
		sum += v * units[i].ns;
		p = end + len;
	}
	if (!*text || (*p && strcmp(text, "0") != 0) || sum > 9e18)
		return err_set(e, ERR_BAD_INPUT,
			       "%s \"%.60s\" is not a duration: numbers with ms, s, m or h, as in "
			       "1h30m",
			       what, text);
	*out = (int64_t)(sum + 0.5);
	return 0;
}

void nsc_duration_text(int64_t ns, char *out, size_t cap)
{
	double s = (double)(ns % 60000000000) / 1e9;
	long long m = ns / 60000000000;

	if (ns == 0)
		(void)snprintf(out, cap, "0s");
	else if (ns < 1000)
		(void)snprintf(out, cap, "%lldns", (long long)ns);
	else if (ns < 1000000)
		(void)snprintf(out, cap, "%gµs", (double)ns / 1e3);
	else if (ns < 1000000000)
		(void)snprintf(out, cap, "%gms", (double)ns / 1e6);
	else if (m == 0)
		(void)snprintf(out, cap, "%.9gs", s);
	else if (m < 60)
		(void)snprintf(out, cap, "%lldm%.9gs", m, s);
	else
		(void)snprintf(out, cap, "%lldh%lldm%.9gs", m / 60, m % 60, s);
}

int nsc_number(const char *what, const char *text, int64_t *out, struct err *e)
{
	static const char prefixes[] = "kmgtpe";
	char *end;
	double v;

	errno = 0;
	v = strtod(text, &end);
	while (*end == ' ')
		end++;
	const char *u = *end ? strchr(prefixes, tolower((unsigned char)*end)) : NULL;
	const char *rest = end + (u ? 1 : 0);
	bool binary = u && tolower((unsigned char)*rest) == 'i';

	rest += binary;
	if (tolower((unsigned char)*rest) == 'b')
		rest++;
	for (const char *p = prefixes; u && p <= u; p++)
		v *= binary ? 1024 : 1000;
	if (end == text || *rest || errno || !(v > -9.2e18 && v < 9.2e18) || strpbrk(text, "xXnN"))
		return err_set(e, ERR_BAD_INPUT,
			       "--%s: \"%.40s\" is not a number (units: k/m/g/t kib/mib/gib/tib)",
			       what, text);
	*out = (int64_t)v;
	return 0;
}

const char *nsc_date(char out[static 64], int64_t t)
{
	time_t when = (time_t)t;
	struct tm tm;

	out[0] = '\0';
	if (t && gmtime_r(&when, &tm))
		(void)strftime(out, 64, "%Y-%m-%d %H:%M:%S UTC", &tm);
	return out;
}

const char *nsc_when(char out[static 64], int64_t now, int64_t t)
{
	static const struct {
		int64_t below, unit; /* seconds; unit 0: the word alone */
		const char *word;
	} steps[] = {
		{1, 0, "now"},
		{2, 0, "1 second"},
		{60, 1, "seconds"},
		{120, 0, "1 minute"},
		{3600, 60, "minutes"},
		{7200, 0, "1 hour"},
		{86400, 3600, "hours"},
		{172800, 0, "1 day"},
		{604800, 86400, "days"},
		{1209600, 0, "1 week"},
		{2592000, 604800, "weeks"},
		{5184000, 0, "1 month"},
		{31104000, 2592000, "months"},
		{46656000, 0, "1 year"},
		{62208000, 0, "2 years"},
		{1150848000, 31104000, "years"},
		{INT64_MAX, 0, "a long while"},
	};
	int64_t d = t > now ? t - now : now - t;
	size_t i = 0;

	while (d >= steps[i].below)
		i++;
	const char *before = t > now ? "in " : "", *after = t > now ? "" : " ago";

	if (steps[i].unit)
		(void)snprintf(out, 64, "%s%lld %s%s", before, (long long)(d / steps[i].unit),
			       steps[i].word, after);
	else
		(void)snprintf(out, 64, "%s%s%s", before, steps[i].word, after);
	return out;
}

const char *nsc_bytes(char out[static 64], int64_t v)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double d = (double)v;
	size_t i = 0;

	if (v < 10) {
		(void)snprintf(out, 64, "%lld B", (long long)v);
		return out;
	}
	while (d >= 1000 && i < 6) {
		d /= 1000;
		i++;
	}
	d = (double)(int64_t)(d * 10 + 0.5) / 10;
	(void)snprintf(out, 64, d < 10 ? "%.1f %s" : "%.0f %s", d, units[i]);
	return out;
}

int nsc_bool(const struct cli *c, const char *name, bool *out, struct err *e)
{
	static const char *const words[] = {"true", "false", "t", "f", "1", "0"};
	const char *v = cli_str(c, name);

	if (!cli_has(c, name))
		return 0;
	*out = true;
	for (size_t i = 0; v && i < 6; i++)
		if (strcasecmp(v, words[i]) == 0) {
			*out = i % 2 == 0;
			return 0;
		}
	return v ? cli_usage(e, "--%s is true or false, not '%.40s'", name, v) : 0;
}

int nsc_each(const struct cli *c, const char *name, nsc_each_fn *f, void *arg, struct err *e)
{
	for (size_t i = 0; i < cli_count(c, name); i++) {
		CLEAN(free) char *list = strdup(cli_nth(c, name, i) ? cli_nth(c, name, i) : "");
		char *p = list;

		if (!list)
			return err_set(e, ERR_NOMEM, NULL);
		for (char *item; (item = strsep(&p, ",")) != NULL;)
			if (*item && f(arg, item, e))
				return -1;
	}
	return 0;
}

static int collect(void *arg, const char *value, struct err *e)
{
	return json_array_append_new(arg, json_string(value))
		       ? err_set(e, ERR_BAD_INPUT, "an option's value is not UTF-8")
		       : 0;
}

json_t *nsc_values(const struct cli *c, const char *name)
{
	json_t *list = json_array();

	(void)nsc_each(c, name, collect, list, NULL);
	return list;
}

const char *nsc_name_arg(const struct cli *c, const char *option)
{
	const char *v = cli_str(c, option);

	return v && *v ? v : c->argc > 0 ? c->argv[0] : "";
}

char *nsc_random_name(void)
{
	static const char *const how[] = {"brave", "calm",  "clever", "eager", "gentle", "happy",
					  "keen",  "lucid", "merry",  "quiet", "swift",	 "wise"};
	static const char *const who[] = {"abel",    "boole",	"cantor", "diffie", "euler",
					  "fermat",  "galois",	"gauss",  "hopper", "lovelace",
					  "noether", "shannon", "turing", "wiles"};
	uint8_t r[2];

	crypto_random(r, sizeof(r));
	return nsc_path("%s_%s", how[r[0] % (sizeof(how) / sizeof(how[0]))],
			who[r[1] % (sizeof(who) / sizeof(who[0]))]);
}
