/* Rules about the configuration of an image, judged by the files that it names. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ocibuild/check/check_rules.h"

int check_user(struct check *c, struct err *e)
{
	const char *user = json_string_value(json_object_get(c->run, "User"));

	(void)e;
	if (!user || !*user)
		check_say(c, NULL, "no user is set, so it is root");
	else if (!c->is_user)
		check_say(c, NULL, "the user '%s' is not UID:GID in numbers%s", user,
			  strchr(user, ':') ? "" : ": without a group the engine looks for one");
	else if (c->uid == 0 || c->gid == 0)
		check_say(c, NULL, "the user %u:%u is root%s", c->uid, c->gid,
			  c->uid ? "'s group" : "");
	return 0;
}

int check_port(struct check *c, struct err *e)
{
	const char *name;
	json_t *v;

	(void)e;
	json_object_foreach(json_object_get(c->run, "ExposedPorts"), name, v)
	{
		char *end;
		unsigned long port = strtoul(name, &end, 10);

		if (end == name || (*end && *end != '/') || port > 65535 || port == 0)
			check_say(c, NULL, "the port '%s' is malformed", name);
		else if (port < 1024)
			check_say(c, NULL, "the port %s is privileged", name);
	}
	return 0;
}

/* ---- programs that the configuration names ---- */

/* The entry that an engine would start for a word of a command. */
static const struct view_entry *find_program(const struct check *c, const char *word)
{
	const char *dir = json_string_value(json_object_get(c->run, "WorkingDir"));
	const char *list = strchr(word, '/') ? "" : check_env(c, "PATH");
	char path[8192];

	if (word[0] == '/')
		return view_find(&c->view, word, true);
	if (strchr(word, '/')) {
		snprintf(path, sizeof(path), "%.4000s/%.4000s", dir ? dir : "", word);
		return view_find(&c->view, path, true);
	}
	for (const char *s = list; s && *s; s += *s == ':') {
		size_t n = strcspn(s, ":");
		const struct view_entry *t;

		snprintf(path, sizeof(path), "%.*s/%.4000s", n < 4000 ? (int)n : 4000, s, word);
		s += n;
		t = view_find(&c->view, path, true);
		if (t && S_ISREG(t->mode) && check_may(c, t, 1))
			return t;
	}
	return NULL;
}

static void judge_program(struct check *c, const char *word)
{
	const struct view_entry *t = find_program(c, word), *with;
	const struct check_facts *f;

	if (!t) {
		check_say(c, NULL, "it starts %s, which is not there%s", word,
			  strchr(word, '/') ? "" : " (in no folder of PATH)");
		return;
	}
	f = check_facts(t);
	if (!f) {
		check_say(c, t->path, "it is started as %s, and is no file", word);
		return;
	}
	if (!check_may(c, t, 1) || !check_reach(c, t))
		check_say(c, t->path, "it is started, and the user may not run it (mode %04o)",
			  t->mode & 07777u);
	if (f->kind == CHECK_DATA) {
		check_say(c, t->path, "it is started, and is neither an ELF program nor a script");
	} else if (f->kind == CHECK_SCRIPT) {
		with = view_find(&c->view, f->text, true);
		if (!with || !(with->mode & 0111))
			check_say(c, t->path, "it is started, and its interpreter %s is not there",
				  f->text);
		else if (c->variant == CHECK_RUNTIME)
			check_say(c, t->path, "it is started, and is a script of %s", f->text);
	} else if (!f->elf.program) {
		check_say(c, t->path, "it is started, and is a library");
	} else if (f->known && f->known->kind == CHECK_SHELL && c->variant == CHECK_RUNTIME) {
		check_say(c, t->path, "it is started, and is a shell");
	}
}

static const char *first_word(const struct check *c)
{
	const char *word =
		json_string_value(json_array_get(json_object_get(c->run, "Entrypoint"), 0));

	if (word)
		return word;
	return json_string_value(json_array_get(json_object_get(c->run, "Cmd"), 0));
}

int check_entrypoint(struct check *c, struct err *e)
{
	const char *word = first_word(c);

	(void)e;
	if (word) {
		judge_program(c, word);
		return 0;
	}
	/* what images stand on may have none */
	for (size_t i = 0; i < c->view.n; i++) {
		const struct view_entry *t = c->view.v[i];
		const struct check_facts *f = check_facts(t);

		if (f && f->kind == CHECK_ELF && f->elf.program && (t->mode & 0111)) {
			check_say(c, NULL, "it has programs (%s), and no entrypoint or command",
				  t->path);
			break;
		}
	}
	return 0;
}

int check_health(struct check *c, struct err *e)
{
	const json_t *test = json_object_get(json_object_get(c->run, "Healthcheck"), "Test");
	const char *form = json_string_value(json_array_get(test, 0));
	const char *word = json_string_value(json_array_get(test, 1));

	(void)e;
	if (!form || strcmp(form, "NONE") == 0)
		return 0;
	if (strcmp(form, "CMD") != 0 || !word)
		check_say(c, NULL, "the health check is of the form %s, which needs a shell", form);
	else
		judge_program(c, word);
	return 0;
}

/* ---- directories and variables ---- */

int check_workdir(struct check *c, struct err *e)
{
	const char *dir = json_string_value(json_object_get(c->run, "WorkingDir"));
	const struct view_entry *t;

	(void)e;
	if (!dir || !*dir)
		return 0;
	t = dir[0] == '/' ? view_find(&c->view, dir, true) : NULL;
	if (!t || !S_ISDIR(t->mode))
		check_say(c, NULL, "the working directory %s is not there", dir);
	else if (!(t->mode & S_IXOTH))
		check_say(c, t->path,
			  "as the working directory it locks other user ids out (mode %04o)",
			  t->mode & 07777u);
	return 0;
}

int check_volume(struct check *c, struct err *e)
{
	const char *dir;
	json_t *v;

	(void)e;
	json_object_foreach(json_object_get(c->run, "Volumes"), dir, v)
	{
		const struct view_entry *t = view_find(&c->view, dir, true);

		if (!t || !S_ISDIR(t->mode))
			check_say(c, NULL,
				  "the volume %s is not there: the engine makes it for root", dir);
		else if (!check_may(c, t, 7))
			check_say(c, t->path,
				  "the user cannot write to this volume (mode %04o, %u:%u)",
				  t->mode & 07777u, t->uid, t->gid);
	}
	return 0;
}

static bool ends_with(const char *s, size_t n, const char *tail)
{
	size_t k = strlen(tail);

	return n >= k && memcmp(s + n - k, tail, k) == 0;
}

int check_variables(struct check *c, struct err *e)
{
	static const char *const tails[] = {"_FILE", "_CONF", "_MODULE", "_MODULES", "_BUNDLE"};
	size_t i;
	json_t *v;

	(void)e;
	if (!check_env(c, "PATH"))
		check_say(c, NULL, "PATH is not set");
	if (check_env(c, "LD_PRELOAD"))
		check_say(c, NULL, "LD_PRELOAD is set");
	json_array_foreach(json_object_get(c->run, "Env"), i, v)
	{
		const char *s = json_string_value(v), *eq = s ? strchr(s, '=') : NULL;
		bool file = false;

		for (size_t k = 0; eq && k < sizeof(tails) / sizeof(tails[0]); k++)
			file = file || ends_with(s, (size_t)(eq - s), tails[k]);
		if (file && eq[1] == '/' && !view_find(&c->view, eq + 1, true))
			check_say(c, NULL, "%s, and that is not there", s);
	}
	return 0;
}

static void judge_claim(struct check *c, const char *label, enum check_kind kind, const char *what)
{
	const char *says = check_label(c, label);
	char name[64];
	bool found = check_finds(c, kind, name, sizeof(name));

	if (!says)
		check_say(c, NULL, "the label %s is missing", label);
	else if (found && !*says)
		check_say(c, NULL, "the label %s is empty, and there is %s: %s", label, what, name);
	else if (!found && *says)
		check_say(c, NULL, "the label %s says '%s', and there is no %s", label, says,
			  strchr(what, ' ') + 1);
}

/* Other people's images have no labels of ours, and make no claim. */
static bool has_claims(const struct check *c)
{
	const char *name;
	json_t *v;

	json_object_foreach(json_object_get(c->run, "Labels"), name, v)
	{
		if (strncmp(name, "signbox.", 8) == 0)
			return true;
	}
	return c->definition != NULL;
}

int check_labels(struct check *c, struct err *e)
{
	static const char *const need[] = {"title", "description", "licenses", "version",
					   "created"};
	const char *variant = check_label(c, "signbox.variant");
	char label[64];

	(void)e;
	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++) {
		const char *s;

		snprintf(label, sizeof(label), "org.opencontainers.image.%s", need[i]);
		s = check_label(c, label);
		if (!s || !*s)
			check_say(c, NULL, "the label %s is missing", label);
	}
	if (!has_claims(c))
		return 0;
	if (!variant || check_variant_by_name(variant) != c->variant)
		check_say(c, NULL, "the label signbox.variant is '%s', and it was checked as %s",
			  variant ? variant : "", check_variant_name(c->variant));
	judge_claim(c, "signbox.shell", CHECK_SHELL, "a shell");
	judge_claim(c, "signbox.package-manager", CHECK_PACKAGER, "a package manager");
	return 0;
}
