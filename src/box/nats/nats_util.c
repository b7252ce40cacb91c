/* Small things of all commands: values of options, members of JSON, signals. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "box/nats/nats.h"
#include "ui/prompt.h"

int nats_opt_duration(const struct cli *c, const char *name, int64_t *ns, struct err *e)
{
	const char *text = cli_str(c, name);

	if (!text || parse_duration(text, ns, e) == 0)
		return 0;
	return err_wrap(e, "option --%s", name);
}

int nats_opt_bytes(const struct cli *c, const char *name, int64_t *n, struct err *e)
{
	const char *text = cli_str(c, name);

	if (!text || parse_bytes(text, n, e) == 0)
		return 0;
	return err_wrap(e, "option --%s", name);
}

/* Length of the whole number at s, 0: it is none, or has a fraction. */
static size_t whole(const char *s, const char *end)
{
	size_t n = s < end && *s == '-', start = n;

	while (s + n < end && s[n] >= '0' && s[n] <= '9')
		n++;
	return n == start || (s + n < end && strchr(".eE", s[n])) ? 0 : n;
}

/* A copy in which no whole number is too large for jansson, which refuses all of a text
 * for the sake of one. */
static void fit_numbers(const char *s, size_t n, struct buf *out)
{
	const char *end = s + n;
	bool quoted = false;

	while (s < end) {
		size_t digits = quoted ? 0 : whole(s, end);
		char text[24];

		if (digits >= 19) {
			/* strtoll stops at the ends of its range */
			(void)snprintf(text, sizeof(text), "%.*s", (int)(digits < 23 ? digits : 23),
				       s);
			buf_printf(out, "%lld", strtoll(text, NULL, 10));
			s += digits;
		} else if (digits) {
			buf_put(out, s, digits);
			s += digits;
		} else if (quoted && *s == '\\' && s + 1 < end) {
			buf_put(out, s, 2);
			s += 2;
		} else {
			quoted ^= *s == '"';
			buf_u8(out, (uint8_t)*s++);
		}
	}
}

json_t *nats_json(const void *p, size_t n, size_t flags)
{
	CLEAN(buf) struct buf fit = {0};
	json_error_t je;
	json_t *j = json_loadb(p ? p : "", p ? n : 0, flags, &je);

	if (j || json_error_code(&je) != json_error_numeric_overflow)
		return j;
	buf_init(&fit, n + (n >> 1) + 64);
	fit_numbers(p, n, &fit);
	return fit.bad ? NULL : json_loadb((const char *)fit.p, fit.len, flags, &je);
}

int nats_print_json(const json_t *j, struct err *e)
{
	return json_print(j, stdout, e);
}

const json_t *jget(const json_t *obj, const char *path)
{
	while (obj && *path) {
		char key[80];
		size_t n = strcspn(path, ".");

		(void)snprintf(key, sizeof(key), "%.*s", (int)n, path);
		obj = json_object_get(obj, key);
		path += n + (path[n] == '.');
	}
	return obj;
}

const char *jstr(const json_t *obj, const char *path)
{
	const char *v = json_string_value(jget(obj, path));

	return v ? v : "";
}

int64_t jint(const json_t *obj, const char *path)
{
	const json_t *v = jget(obj, path);

	if (json_is_real(v)) {
		double d = json_real_value(v);

		return d > -9.2e18 && d < 9.2e18 ? (int64_t)d : 0;
	}
	return json_integer_value(v);
}

double jnum(const json_t *obj, const char *path)
{
	return json_number_value(jget(obj, path));
}

bool jbool(const json_t *obj, const char *path)
{
	return json_is_true(jget(obj, path));
}

int64_t nats_add(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b > 0 ? INT64_MAX : INT64_MIN;
	return sum;
}

int64_t nats_ago(int64_t t)
{
	int64_t ago;

	if (__builtin_sub_overflow(now_ns(), t, &ago))
		return t < 0 ? INT64_MAX : INT64_MIN;
	return ago;
}

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

void nats_catch(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

bool nats_stopped(void)
{
	return stopped;
}

bool nats_wait(volatile bool *done, int64_t ns)
{
	int64_t end = ns < 0 ? INT64_MAX : mono_ns() + ns;

	while (!(done && __atomic_load_n(done, __ATOMIC_ACQUIRE)) && !stopped) {
		int64_t left = end - mono_ns();
		struct timespec nap = {.tv_nsec = left < 2 * NS_MS ? left : 2 * NS_MS};

		if (left <= 0)
			break;
		(void)nanosleep(&nap, NULL);
	}
	return done && __atomic_load_n(done, __ATOMIC_ACQUIRE);
}

bool nats_is_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int nats_confirm(const char *question, struct err *e)
{
	char text[300];

	if (!nats_is_terminal())
		return err_set(e, ERR_USAGE,
			       "cannot ask for confirmation without a terminal: use --force");
	(void)snprintf(text, sizeof(text), "%s (type yes): ", question);
	return prompt_confirm(text, "yes", "use --force", e);
}
