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
