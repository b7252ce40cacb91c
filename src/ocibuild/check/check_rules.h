/* What the rules share: private to check*.c. */
#ifndef OCIBUILD_CHECK_RULES_H
#define OCIBUILD_CHECK_RULES_H

#include "ocibuild/check/check.h"
#include "ocibuild/check/check_elf.h"
#include "ocibuild/check/check_known.h"

/* What was seen of a file while it streamed by (view_tag). */
struct check_facts {
	enum { CHECK_DATA, CHECK_ELF, CHECK_SCRIPT } kind;
	struct check_elf elf; /* needed: in text, each ends with NUL */
	const struct check_known *known;
	char text[]; /* or the interpreter of a script */
};
/* NULL for what is no regular file. */
const struct check_facts *check_facts(const struct view_entry *t);

/* A finding of the rule that is being run. path NULL: the image as a whole. */
void check_say(struct check *c, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether the image's user (or somebody else, when it is root) has all of these
 * permissions (4, 2, 1) on the entry; reach: and may go to its directory. */
bool check_may(const struct check *c, const struct view_entry *t, unsigned perm);
bool check_reach(const struct check *c, const struct view_entry *t);

/* Value of a variable of the configuration, or NULL. */
const char *check_env(const struct check *c, const char *name);
const char *check_label(const struct check *c, const char *name);

/* Name of the package, "" for the project, NULL: nobody's. */
const char *check_owner(const struct check *c, const char *path);
/* Takes owners from a file when it is one of dpkg's lists. */
int check_packaged(struct check *c, const char *path, const uint8_t *p, size_t n, struct err *e);
/* Replaces c->owners by what the SPDX document says that refers to the image, when there
 * is one: c->has_sbom. */
int check_owners(struct check *c, struct err *e);

typedef int check_run(struct check *c, struct err *e);
/* check_files.c */
check_run check_setuid, check_capability, check_open, check_device, check_rootowned, check_link,
	check_time, check_secret, check_sbom;
/* check_bins.c */
check_run check_shell, check_interpreter, check_script, check_packager, check_elf_whole,
	check_library, check_exec_stack, check_textrel, check_rpath, check_rwx, check_pie,
	check_relro, check_bind_now, check_protector, check_stripped;
/* check_config.c */
check_run check_user, check_port, check_entrypoint, check_health, check_workdir, check_volume,
	check_variables, check_labels;

/* Whether a shell (or package manager) was found, for the labels. */
bool check_finds(const struct check *c, enum check_kind kind, char *name, size_t cap);

#endif
