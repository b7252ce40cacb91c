#include "ocibuild/check/check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "ocibuild/check/check_rules.h"
#include "ocibuild/check/check_secret.h"

#define MAX_FINDINGS 10000

#define NOT_DEV (CHECK_RUNTIME | CHECK_COMPAT | CHECK_DEBUG)

static int check_waivers(struct check *c, struct err *e);

const struct check_rule check_rules[] = {
	{"setuid", CHECK_ALL, false, "no file or directory is setuid or setgid",
	 "clear the bit; what needs it is named in `waivers`", check_setuid},
	{"capability", CHECK_ALL, false, "no file has capabilities",
	 "remove them; give capabilities to the container", check_capability},
	{"world-writable", CHECK_ALL, false,
	 "others can write nothing but sticky /tmp, /var/tmp and /run/lock",
	 "set the mode in the definition", check_open},
	{"device", CHECK_ALL, true, "no device, fifo or socket is in it",
	 "leave it out: engines make /dev", check_device},
	{"owner", NOT_DEV, false,
	 "root owns all but volumes and home directories, and the user can write nothing else",
	 "drop `owner`, or make the directory a volume", check_rootowned},
	{"link", NOT_DEV, false,
	 "links lead somewhere; in the debug image they are relative, as it is mounted elsewhere",
	 "write the link's target relative to it, and have that in the image", check_link},
	{"time", CHECK_ALL, true, "it has a date of creation, and nothing is newer",
	 "take times from the lock: the clock of a build has leaked in", check_time},
	{"secret", CHECK_ALL, false, "no file, also of a lower layer, looks like a secret",
	 "leave it out and mount it: whoever pulls the image has it", check_secret},
	{"sbom", CHECK_ALL, false, "every file is in the SBOM, of a package or of the project",
	 "bring it as a slice of a package or as a file of the definition", check_sbom},
	{"shell", CHECK_RUNTIME, false, "no shell, under any name",
	 "leave it out, or make a compat image", check_shell},
	{"interpreter", NOT_DEV, false, "no interpreter, under any name", "leave it out",
	 check_interpreter},
	{"script", CHECK_RUNTIME, false, "no file begins with #!",
	 "leave it out: nothing can run it", check_script},
	{"package-manager", NOT_DEV, false, "no package manager, under any name",
	 "leave it out, or make a dev image", check_packager},
	{"elf", CHECK_ALL, false, "every ELF file is whole and for x86-64", "replace the file",
	 check_elf_whole},
	{"library", CHECK_ALL, false,
	 "the loader and every library that a file needs are there; a debug image needs none",
	 "name the package in `libraries`", check_library},
	{"exec-stack", CHECK_ALL, true, "no ELF file asks for an executable stack",
	 "link with -z noexecstack", check_exec_stack},
	{"textrel", CHECK_ALL, true, "no ELF file has text relocations", "compile with -fPIC",
	 check_textrel},
	{"rpath", CHECK_ALL, false, "no ELF file has RPATH or RUNPATH",
	 "link without -rpath; libraries are in /usr/lib", check_rpath},
	{"rwx", CHECK_ALL, true, "no segment is writable and executable",
	 "link with -z separate-code and without -N", check_rwx},
	{"pie", CHECK_ALL, false, "every program is position independent",
	 "link with -static-pie or -pie", check_pie},
	{"relro", CHECK_ALL, false, "every dynamic ELF file has RELRO", "link with -z relro",
	 check_relro},
	{"bind-now", CHECK_ALL, false, "no ELF file binds its functions while it runs",
	 "link with -z now", check_bind_now},
	{"protector", CHECK_ALL, false,
	 "programs of the project show stack protector and fortified calls",
	 "compile with -fstack-protector-strong and -D_FORTIFY_SOURCE=3", check_protector},
	{"stripped", NOT_DEV, false,
	 "programs of the project have no symbols and no debug information", "strip them",
	 check_stripped},
	{"user", NOT_DEV, false, "the user is UID:GID, both numbers and not 0",
	 "set `user: \"65532:65532\"`", check_user},
	{"port", CHECK_ALL, false, "no port is below 1024", "choose another: 65532 may not bind it",
	 check_port},
	{"entrypoint", CHECK_ALL, false,
	 "what is started is there, the user may run it, and in a runtime image no shell is needed",
	 "name the program by its absolute path, as a list", check_entrypoint},
	{"healthcheck", CHECK_ALL, false, "the health check is there and needs no shell",
	 "name the program by its absolute path, as a list", check_health},
	{"workdir", CHECK_ALL, false, "the working directory is there, and any user may enter it",
	 "use / as `workdir`", check_workdir},
	{"volume", NOT_DEV, false, "every volume is a directory that the user can write to",
	 "add the directory with `owner` to `files`", check_volume},
	{"env", CHECK_ALL, false, "PATH is set, and files that variables name are there",
	 "correct `env`", check_variables},
	{"label", CHECK_ALL, false,
	 "labels are there and say the truth about shell and package manager", "correct `labels`",
	 check_labels},
	{"waiver", CHECK_ALL, true, "every waiver of the definition is needed, and has a reason",
	 "remove it", check_waivers},
	{0},
};

static const struct {
	const char *name;
	enum check_variant v;
} variants[] = {
	{"runtime", CHECK_RUNTIME},
	/* is no looser for being of no use in production */
	{"testing", CHECK_RUNTIME},
	{"compat", CHECK_COMPAT},
	{"debug", CHECK_DEBUG},
	{"dev", CHECK_DEV},
};

enum check_variant check_variant_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		if (strcmp(variants[i].name, name) == 0)
			return variants[i].v;
	return 0;
}

const char *check_variant_name(enum check_variant v)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		if (variants[i].v == v)
			return variants[i].name;
	return "none";
}

/* ---- findings ---- */

/* A waiver of the image below is for what that one brought. */
static bool is_for(const struct check *c, size_t i, const char *path)
{
	const struct view_entry *t;

	if (!c->below || i < c->inherited)
		return true;
	t = view_find(&c->view, path, false);
	return !t || t->layer < c->below;
}

/* All that fit are needed; the last one is the most special, its own definition's. */
static const struct spec_waiver *find_waiver(struct check *c, const char *path)
{
	const struct spec_waiver *found = NULL;

	for (size_t i = 0; i < c->nwaivers && !c->rule->strict; i++) {
		const struct spec_waiver *w = &c->waivers[i];

		if (strcmp(w->rule, c->rule->id) == 0 && spec_glob(w->path, *path ? path : ".") &&
		    is_for(c, i, path)) {
			c->used[i] = true;
			found = w;
		}
	}
	return found;
}

void check_say(struct check *c, const char *path, const char *fmt, ...)
{
	struct check_finding f = {.rule = c->rule, .path = strdup(path ? path : "")};
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&f.why, fmt, ap) < 0)
		f.why = NULL;
	va_end(ap);
	if (f.path && f.why && c->n < MAX_FINDINGS) {
		struct check_finding *v = reallocarray(c->v, c->n + 1, sizeof(*v));

		if (v) {
			f.waiver = find_waiver(c, f.path);
			c->v = v;
			c->v[c->n++] = f;
			c->standing += !f.waiver;
			return;
		}
	}
	/* more than anybody reads is as good as all */
	c->failed = c->failed || c->n < MAX_FINDINGS;
	free(f.path);
	free(f.why);
}

/* Those of a base are checked with the base. */
static bool is_own(const struct check *c, const struct spec_waiver *w)
{
	const char *slash = strrchr(w->definition, '/');
	const char *file = slash ? slash + 1 : w->definition;
	size_t n = c->definition ? strlen(c->definition) : 0;

	if (c->waivers_file && strcmp(c->waivers_file, w->definition) == 0)
		return true;
	return n && strncmp(file, c->definition, n) == 0 && strcmp(file + n, ".yaml") == 0;
}

static int check_waivers(struct check *c, struct err *e)
{
	(void)e;
	for (size_t i = 0; i < c->nwaivers; i++) {
		const struct spec_waiver *w = &c->waivers[i];
		const struct check_rule *r = check_rules;

		while (r->id && strcmp(r->id, w->rule) != 0)
			r++;
		if (!r->id)
			check_say(c, w->path, "a waiver of the rule '%s', which does not exist",
				  w->rule);
		else if (r->strict)
			check_say(c, w->path, "a waiver of the rule '%s', which allows none",
				  w->rule);
		else if (!w->reason || !*w->reason)
			check_say(c, w->path, "a waiver of the rule '%s' without a reason",
				  w->rule);
		else if (!c->used[i] && is_own(c, w) && check_applies(c, r))
			check_say(c, w->path, "a waiver of the rule '%s' that nothing needs",
				  w->rule);
	}
	return 0;
}

/* ---- what is seen of files ---- */

const struct check_facts *check_facts(const struct view_entry *t)
{
	return S_ISREG(t->mode) ? t->tag : NULL;
}

/* Names of libraries are moved behind the facts: the file is gone afterwards. */
static int keep_elf(struct view_entry *t, const struct check_elf *elf,
		    const struct check_known *known, struct err *e)
{
	size_t n = 0;
	struct check_facts *f;

	for (size_t i = 0; i < elf->needs; i++)
		n += strlen(elf->needed[i]) + 1;
	f = view_tag(t, sizeof(*f) + n);
	if (!f)
		return err_set(e, ERR_NOMEM, NULL);
	f->kind = CHECK_ELF;
	f->elf = *elf;
	f->known = known;
	n = 0;
	for (size_t i = 0; i < elf->needs; i++) {
		size_t len = strlen(elf->needed[i]) + 1;

		f->elf.needed[i] = memcpy(f->text + n, elf->needed[i], len);
		n += len;
	}
	return 0;
}

static int keep_script(struct view_entry *t, const uint8_t *p, size_t n, struct err *e)
{
	const uint8_t *nl = memchr(p, '\n', n);
	size_t at = 2, len = nl ? (size_t)(nl - p) : n;
	struct check_facts *f;
	size_t k;

	if (len > 256)
		len = 256;
	while (at < len && (p[at] == ' ' || p[at] == '\t'))
		at++;
	for (k = at; k < len && p[k] > ' ';)
		k++;
	f = view_tag(t, sizeof(*f) + k - at + 1);
	if (!f)
		return err_set(e, ERR_NOMEM, NULL);
	f->kind = CHECK_SCRIPT;
	memcpy(f->text, p + at, k - at);
	return 0;
}

static int keep_secret(struct check *c, const struct view_entry *t, const char *what)
{
	return json_array_append_new(c->secrets,
				     json_pack("{s:o, s:s, s:i}", "path", view_text(t->path),
					       "what", what, "layer", (int)t->layer));
}

static int see_file(struct view_entry *t, const uint8_t *p, size_t n, void *arg, struct err *e)
{
	struct check *c = arg;
	const char *secret = check_secret_name(t->path);
	const struct check_known *known = NULL;
	struct check_elf elf;

	if (check_packaged(c, t->path, p, n, e))
		return -1;
	if (!secret)
		secret = check_secret_content(t->path, p, n);
	if (secret && keep_secret(c, t, secret))
		return err_set(e, ERR_NOMEM, NULL);
	if (n > 2 && memcmp(p, "#!", 2) == 0)
		return keep_script(t, p, n, e);
	if (n < 4 || memcmp(p, "\177ELF", 4) != 0)
		return view_tag(t, sizeof(struct check_facts)) ? 0 : err_set(e, ERR_NOMEM, NULL);
	check_elf_read(p, n, &elf);
	/* of a dev image it is enough that programs are known by name */
	if (c->variant != CHECK_DEV && !elf.object)
		known = check_known_elf(&elf, p, n);
	return keep_elf(t, &elf, known, e);
}

/* ---- the run ---- */

bool check_may(const struct check *c, const struct view_entry *t, unsigned perm)
{
	unsigned shift = 0;

	if (!c->is_user || c->uid == 0)
		return perm != 1 || S_ISDIR(t->mode) || (t->mode & 0111);
	if (t->uid == c->uid)
		shift = 6;
	else if (t->gid == c->gid)
		shift = 3;
	return (t->mode >> shift & perm) == perm;
}

bool check_reach(const struct check *c, const struct view_entry *t)
{
	char up[4096];

	snprintf(up, sizeof(up), "%s", t->path);
	for (char *slash; (slash = strrchr(up, '/')) != NULL;) {
		const struct view_entry *dir;

		*slash = '\0';
		dir = view_find(&c->view, up, false);
		if (!dir || !check_may(c, dir, 1))
			return false;
	}
	return check_may(c, c->view.v[0], 1);
}

const char *check_env(const struct check *c, const char *name)
{
	size_t i, n = strlen(name);
	json_t *v;

	json_array_foreach(json_object_get(c->run, "Env"), i, v)
	{
		const char *s = json_string_value(v);

		if (s && strncmp(s, name, n) == 0 && s[n] == '=')
			return s + n + 1;
	}
	return NULL;
}

const char *check_label(const struct check *c, const char *name)
{
	return json_string_value(json_object_get(json_object_get(c->run, "Labels"), name));
}

const char *check_owner(const struct check *c, const char *path)
{
	return json_string_value(json_object_get(c->owners, path));
}

/* "UID:GID" in decimal. */
static void take_user(struct check *c)
{
	const char *s = json_string_value(json_object_get(c->run, "User"));
	unsigned long uid, gid;
	char *end;

	if (!s || *s < '0' || *s > '9')
		return;
	uid = strtoul(s, &end, 10);
	if (*end != ':' || end[1] < '0' || end[1] > '9')
		return;
	gid = strtoul(end + 1, &end, 10);
	if (*end || uid > UINT32_MAX || gid > UINT32_MAX)
		return;
	c->is_user = true;
	c->uid = (uint32_t)uid;
	c->gid = (uint32_t)gid;
}

static int by_rule_and_path(const void *a, const void *b)
{
	const struct check_finding *p = a, *q = b;

	if (p->rule != q->rule)
		return p->rule < q->rule ? -1 : 1;
	return strcmp(p->path, q->path);
}

/* What only ocibuild attaches cannot be asked of those who build on its images. */
bool check_applies(const struct check *c, const struct check_rule *r)
{
	return (r->variants & c->variant) && !(c->derived && r->run == check_sbom);
}

int check_image(struct check *c, struct err *e)
{
	struct view_src src = {
		.dir = c->dir, .ref = c->ref, .fn = see_file, .arg = c, .progress = c->progress};

	c->secrets = json_array();
	c->owners = json_object();
	c->sums = json_object();
	c->used = calloc(c->nwaivers + 1, sizeof(*c->used));
	if (!c->secrets || !c->owners || !c->sums || !c->used)
		return err_set(e, ERR_NOMEM, NULL);
	if (view_open(&c->view, &src, e))
		return -1;
	memcpy(c->digest, c->view.digest, sizeof(c->digest));
	c->run = json_object_get(c->view.config, "config");
	take_user(c);
	if (check_owners(c, e))
		return -1;
	for (c->rule = check_rules; c->rule->id; c->rule++)
		if (check_applies(c, c->rule) && c->rule->run(c, e))
			return -1;
	if (c->failed)
		return err_set(e, ERR_NOMEM, NULL);
	if (c->n)
		qsort(c->v, c->n, sizeof(*c->v), by_rule_and_path);
	return 0;
}

void check_free(struct check *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].path);
		free(c->v[i].why);
	}
	free(c->v);
	free(c->used);
	json_decref(c->owners);
	json_decref(c->sums);
	json_decref(c->secrets);
	view_free(&c->view);
	*c = (struct check){0};
}
