/* Rules about programs: what they are, whether they can run, how they were hardened. */
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "ocibuild/check/check_rules.h"

#define MAX_DIRS 64

/* ---- shells, interpreters, package managers ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_executable(const struct view_entry *t)
{
	return t && S_ISREG(t->mode) && (t->mode & 0111);
}

/* What a file is: by content, else a program by its name. A link counts by its name when
 * what it leads to is not known by itself. */
static const struct check_known *what_is(const struct check *c, const struct view_entry *t,
					 bool *by_content)
{
	const struct view_entry *to = S_ISLNK(t->mode) ? view_find(&c->view, t->path, true) : t;
	const struct check_facts *f = to ? check_facts(to) : NULL;

	*by_content = f && f->known;
	if (f && f->known)
		return to == t ? f->known : NULL;
	if (!is_executable(to) || (to != t && check_known_name(base_name(to->path))))
		return NULL;
	return check_known_name(base_name(t->path));
}

static int find_known(struct check *c, enum check_kind kind)
{
	static const char *const kinds[] = {"a shell", "an interpreter", "a package manager"};

	for (size_t i = 0; i < c->view.n; i++) {
		const struct view_entry *t = c->view.v[i];
		bool by_content;
		const struct check_known *k = what_is(c, t, &by_content);

		if (k && k->kind == kind)
			check_say(c, t->path, "it is %s: %s, by %s", kinds[kind], k->what,
				  by_content ? "what is in it" : "its name");
	}
	return 0;
}

bool check_finds(const struct check *c, enum check_kind kind, char *name, size_t cap)
{
	for (size_t i = 0; i < c->view.n; i++) {
		bool by_content;
		const struct check_known *k = what_is(c, c->view.v[i], &by_content);

		if (k && k->kind == kind) {
			snprintf(name, cap, "%s", k->what);
			return true;
		}
	}
	return false;
}

int check_shell(struct check *c, struct err *e)
{
	(void)e;
	return find_known(c, CHECK_SHELL);
}

int check_interpreter(struct check *c, struct err *e)
{
	(void)e;
	return find_known(c, CHECK_INTERPRETER);
}

int check_packager(struct check *c, struct err *e)
{
	(void)e;
	return find_known(c, CHECK_PACKAGER);
}

int check_script(struct check *c, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < c->view.n; i++) {
		const struct check_facts *f = check_facts(c->view.v[i]);

		if (f && f->kind == CHECK_SCRIPT)
			check_say(c, c->view.v[i]->path, "it is a script of %s", f->text);
	}
	return 0;
}

/* ---- what a file needs to run ---- */

/* The next ELF file that is linked; NULL: no more. */
static const struct check_elf *next_elf(const struct check *c, size_t *i,
					const struct view_entry **t)
{
	for (; *i < c->view.n; (*i)++) {
		const struct check_facts *f = check_facts(c->view.v[*i]);

		if (!f || f->kind != CHECK_ELF || f->elf.malformed || f->elf.foreign ||
		    f->elf.object)
			continue;
		*t = c->view.v[(*i)++];
		return &f->elf;
	}
	return NULL;
}

#define EACH_ELF(c, elf, t)                                                                        \
	const struct view_entry *t;                                                                \
	const struct check_elf *elf;                                                               \
	for (size_t i_ = 0; (elf = next_elf(c, &i_, &t)) != NULL;)

int check_elf_whole(struct check *c, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < c->view.n; i++) {
		const struct check_facts *f = check_facts(c->view.v[i]);

		if (f && f->kind == CHECK_ELF && f->elf.malformed)
			check_say(c, c->view.v[i]->path, "it begins as an ELF file and is none");
		if (f && f->kind == CHECK_ELF && f->elf.foreign)
			check_say(c, c->view.v[i]->path, "it is for another machine");
	}
	return 0;
}

/* Folders separated by colons, $ORIGIN being that of the file. */
static bool in_path(const struct check *c, const char *list, const char *origin, const char *name)
{
	char path[4096 + CHECK_ELF_TEXT];

	for (const char *s = list; s && *s; s += *s == ':') {
		size_t n = strcspn(s, ":");
		const char *slash = strrchr(origin, '/');
		int k;

		if (strncmp(s, "$ORIGIN", 7) == 0 || strncmp(s, "${ORIGIN}", 9) == 0) {
			size_t skip = s[1] == '{' ? 9 : 7;

			k = snprintf(path, sizeof(path), "%.*s/%.*s/%s",
				     slash ? (int)(slash - origin) : 0, origin, (int)(n - skip),
				     s + skip, name);
		} else {
			k = snprintf(path, sizeof(path), "%.*s/%s", (int)n, s, name);
		}
		s += n;
		if (n && k < (int)sizeof(path)) {
			const struct view_entry *t = view_find(&c->view, path, true);

			if (t && S_ISREG(t->mode))
				return true;
		}
	}
	return false;
}

/* Where ld.so of Debian looks, when there is no cache of it. */
static const char *const folders =
	"/lib/x86_64-linux-gnu:/usr/lib/x86_64-linux-gnu:/lib64:/usr/lib64:/lib:/usr/lib:"
	"/usr/local/lib:/usr/local/lib/x86_64-linux-gnu";

static bool has_library(const struct check *c, const struct check_elf *elf, const char *of,
			const char *name)
{
	const char *dirs = check_env(c, "LD_LIBRARY_PATH");

	if (strchr(name, '/')) {
		const struct view_entry *t = view_find(&c->view, name, true);

		return t && S_ISREG(t->mode);
	}
	return in_path(c, elf->rpath, of, name) || in_path(c, dirs, of, name) ||
	       in_path(c, folders, of, name);
}

int check_library(struct check *c, struct err *e)
{
	(void)e;
	EACH_ELF(c, elf, t)
	{
		if (elf->interp[0] && !is_executable(view_find(&c->view, elf->interp, true)))
			check_say(c, t->path, "its loader %s is not there", elf->interp);
		/* at /dbg there is neither its loader nor its libraries */
		if (elf->interp[0] && c->variant == CHECK_DEBUG)
			check_say(c, t->path, "it is dynamic, and does not run when mounted");
		for (size_t i = 0; i < elf->needs; i++)
			if (!has_library(c, elf, t->path, elf->needed[i]))
				check_say(c, t->path, "it needs %s, which is not there",
					  elf->needed[i]);
	}
	return 0;
}

/* ---- hardening ---- */

int check_exec_stack(struct check *c, struct err *e)
{
	(void)e;
	EACH_ELF(c, elf, t)
	{
		if (elf->exec_stack)
			check_say(c, t->path, "its stack is executable");
	}
	return 0;
}

int check_textrel(struct check *c, struct err *e)
{
	(void)e;
	EACH_ELF(c, elf, t)
	{
		if (elf->textrel)
			check_say(c, t->path, "it has text relocations");
	}
	return 0;
}

int check_rpath(struct check *c, struct err *e)
{
	(void)e;
	EACH_ELF(c, elf, t)
	{
		if (elf->rpath[0])
			check_say(c, t->path, "it looks for libraries in %s", elf->rpath);
	}
	return 0;
}

int check_rwx(struct check *c, struct err *e)
{
	(void)e;
	EACH_ELF(c, elf, t)
	{
		if (elf->rwx)
			check_say(c, t->path, "it has a segment that is writable and executable");
	}
	return 0;
}

int check_pie(struct check *c, struct err *e)
{
	(void)e;
	EACH_ELF(c, elf, t)
	{
		if (elf->fixed)
			check_say(c, t->path, "it is at a fixed address (ET_EXEC)");
	}
	return 0;
}

int check_relro(struct check *c, struct err *e)
{
	(void)e;
	EACH_ELF(c, elf, t)
	{
		if (!elf->relro)
			check_say(c, t->path, "it has no RELRO segment");
	}
	return 0;
}

int check_bind_now(struct check *c, struct err *e)
{
	(void)e;
	EACH_ELF(c, elf, t)
	{
		if (elf->lazy)
			check_say(c, t->path, "it is not linked with BIND_NOW");
	}
	return 0;
}

/* Of the project: it is in no package. */
static bool is_own(const struct check *c, const struct view_entry *t)
{
	const char *owner = check_owner(c, t->path);

	return !owner || !*owner;
}

int check_protector(struct check *c, struct err *e)
{
	(void)e;
	EACH_ELF(c, elf, t)
	{
		if (!is_own(c, t))
			continue;
		if (!elf->canary)
			check_say(c, t->path, "nothing in it shows a stack protector");
		if (!elf->fortify)
			check_say(c, t->path, "nothing in it shows fortified calls");
	}
	return 0;
}

int check_stripped(struct check *c, struct err *e)
{
	(void)e;
	EACH_ELF(c, elf, t)
	{
		if (is_own(c, t) && elf->symbols)
			check_say(c, t->path, "it has symbols or debug information");
	}
	return 0;
}
