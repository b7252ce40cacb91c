#include "ocibuild/spec_checks.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static bool is_line(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return n && n < 200;
}

static int check_strings(const struct json_doc *d, const json_t *arr, struct err *e)
{
	for (size_t i = 0; i < json_array_size(arr); i++)
		if (!json_item_str(d, arr, i, e))
			return -1;
	return 0;
}

static int check_env(const struct json_doc *d, json_t *env, struct err *e)
{
	const char *name;
	json_t *v;

	json_object_foreach(env, name, v)
	{
		if (!*name || strchr(name, '=') || !json_is_string(v))
			return json_complain(d, env, name, 0, e, "env is NAME: value");
	}
	return 0;
}

static int check_before(const struct json_doc *d, const json_t *arr, struct err *e)
{
	const json_t *cmd;
	size_t i;

	json_array_foreach(arr, i, cmd)
	{
		if (!json_is_array(cmd) || !json_array_size(cmd))
			return json_complain(d, arr, NULL, i, e,
					     "before is a list of commands, each a list");
		if (check_strings(d, cmd, e))
			return -1;
	}
	return 0;
}

static int check_output(const struct json_doc *d, const json_t *test, const char *output,
			struct err *e)
{
	char why[120];
	regex_t re;
	int rc;

	if (!*output)
		return 0;
	rc = regcomp(&re, output, REG_EXTENDED | REG_NOSUB | REG_NEWLINE);
	if (rc == 0) {
		regfree(&re);
		return 0;
	}
	regerror(rc, &re, why, sizeof(why));
	return json_complain(d, test, "output", 0, e, "output is no regular expression: %s", why);
}

/* A test by its name, or NULL. */
static json_t *find_test(const json_t *tests, const char *name)
{
	json_t *t;
	size_t i;

	json_array_foreach(tests, i, t)
	{
		if (strcmp(json_string_value(json_object_get(t, "name")), name) == 0)
			return t;
	}
	return NULL;
}

static int take_test(struct spec *s, const struct json_doc *d, json_t *arr, size_t i, struct err *e)
{
	const char *name = NULL, *output = "", *user = "";
	json_t *before = NULL, *command = NULL, *args = NULL, *env = NULL,
	       *t = json_array_get(arr, i);
	bool read_only = true, debug = false;
	int64_t status = 0;
	const struct json_want want[] = {
		{.key = "name", .kind = JSON_IS_STR, .out = &name, .need = true},
		{.key = "before", .kind = JSON_IS_ARR, .out = &before},
		{.key = "command", .kind = JSON_IS_ARR, .out = &command},
		{.key = "args", .kind = JSON_IS_ARR, .out = &args},
		{.key = "env", .kind = JSON_IS_OBJ, .out = &env},
		{.key = "status", .kind = JSON_IS_INT, .out = &status, .max = 255},
		{.key = "output", .kind = JSON_IS_STR, .out = &output},
		{.key = "user", .kind = JSON_IS_STR, .out = &user},
		{.key = "read_only", .kind = JSON_IS_BOOL, .out = &read_only},
		{.key = "debug", .kind = JSON_IS_BOOL, .out = &debug},
		{0},
	};

	if (!json_is_object(t))
		return json_complain(d, arr, NULL, i, e, "a test has name and command or args");
	if (json_fields(d, t, want, e))
		return -1;
	if (!is_line(name) || find_test(s->tests, name))
		return json_complain(d, t, "name", 0, e, "the name of a test is one line, its own");
	if (!command == !args || (command && !json_array_size(command)))
		return json_complain(
			d, arr, NULL, i, e,
			"a test has either command, the whole list, or args, which follow "
			"the image's name");
	if (check_strings(d, command ? command : args, e) || check_before(d, before, e) ||
	    check_env(d, env, e) || check_output(d, t, output, e))
		return -1;
	if (*user && !image_is_owner(user))
		return json_complain(d, t, "user", 0, e, "'%.60s' is not two numbers, UID:GID",
				     user);
	t = json_pack("{s:s, s:o, s:O?, s:O?, s:o, s:I, s:s, s:s, s:b, s:b}", "name", name,
		      "before", before ? json_incref(before) : json_array(), "command", command,
		      "args", args, "env", env ? json_incref(env) : json_object(), "status",
		      (json_int_t)status, "output", output, "user", user, "read_only", read_only,
		      "debug", debug);
	return json_array_append_new(s->tests, t) ? err_set(e, ERR_NOMEM, NULL) : 0;
}

int spec_checks_tests(struct spec *s, const struct json_doc *d, json_t *arr, struct err *e)
{
	if (!s->tests && !(s->tests = json_array()))
		return err_set(e, ERR_NOMEM, NULL);
	for (size_t i = 0; i < json_array_size(arr); i++)
		if (take_test(s, d, arr, i, e))
			return -1;
	return 0;
}

/* ---- waivers ---- */

static bool good_rule(const char *s)
{
	return *s && strlen(s) < 32 && s[strspn(s, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

static int take_waiver(struct spec *s, const struct json_doc *d, const json_t *arr, size_t i,
		       struct err *e)
{
	struct spec_waiver *w = &s->waivers[s->nwaivers];
	json_t *v = json_array_get(arr, i);
	const struct json_want want[] = {
		{.key = "rule", .kind = JSON_IS_STR, .out = &w->rule, .need = true},
		{.key = "path", .kind = JSON_IS_STR, .out = &w->path, .need = true},
		{.key = "reason", .kind = JSON_IS_STR, .out = &w->reason, .need = true},
		{0},
	};

	*w = (struct spec_waiver){.definition = d->name};
	if (!json_is_object(v))
		return json_complain(d, arr, NULL, i, e, "a waiver has rule, path and reason");
	if (json_fields(d, v, want, e))
		return -1;
	if (!good_rule(w->rule))
		return json_complain(d, v, "rule", 0, e, "malformed rule '%.60s'", w->rule);
	if (!*w->path || *w->path == '/' || strstr(w->path, "..") || !is_line(w->path))
		return json_complain(d, v, "path", 0, e, "malformed path '%.80s'", w->path);
	if (!is_line(w->reason) || strlen(w->reason) < 10)
		return json_complain(d, v, "reason", 0, e,
				     "a reason is one line that tells somebody else why");
	for (size_t k = 0; k < s->nwaivers; k++)
		if (strcmp(s->waivers[k].rule, w->rule) == 0 &&
		    strcmp(s->waivers[k].path, w->path) == 0)
			return json_complain(d, arr, NULL, i, e, "'%s' of %.80s is waived twice",
					     w->rule, w->path);
	s->nwaivers++;
	return 0;
}

int spec_checks_waivers(struct spec *s, const struct json_doc *d, const json_t *arr, struct err *e)
{
	size_t n = arr ? json_array_size(arr) : 0;
	struct spec_waiver *v = reallocarray(s->waivers, s->nwaivers + n + 1, sizeof(*v));

	if (!v)
		return err_set(e, ERR_NOMEM, NULL);
	s->waivers = v;
	for (size_t i = 0; i < n; i++)
		if (take_waiver(s, d, arr, i, e))
			return -1;
	return 0;
}
