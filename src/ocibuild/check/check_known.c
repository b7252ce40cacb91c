#include "ocibuild/check/check_known.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>

#define SHELL CHECK_SHELL
#define INTER CHECK_INTERPRETER
#define PACKS CHECK_PACKAGER

/* The texts are names of environment variables and messages that a program cannot do
 * without; the second one keeps programs apart that only mention the first. */
static const struct check_known table[] = {
	{"busybox", SHELL, "busybox*", NULL, {"BusyBox v", "applet not found"}},
	{"toybox", SHELL, "toybox*", NULL, {"toybox %s", "Unknown command %s"}},
	{"bash", SHELL, "bash rbash sh", NULL, {"BASH_VERSINFO", "BASH_ENV"}},
	{"ksh", SHELL, "ksh ksh93 mksh lksh oksh rksh pdksh", NULL, {"KSH_VERSION", "getopts"}},
	{"dash", SHELL, "dash ash", NULL, {" a tracked alias for", "getopts"}},
	{"zsh", SHELL, "zsh rzsh", NULL, {"ZSH_VERSION", "ZDOTDIR"}},
	{"csh", SHELL, "csh tcsh bsd-csh", NULL, {"tcsh.%s", "unlimit"}},
	{"yash", SHELL, "yash", NULL, {"yash -c", "unlimited"}},
	{"fish", SHELL, "fish nu nushell elvish xonsh rc es scsh", NULL, {"FISH_DEBUG", "fish_"}},
	{"perl", INTER, "perl perl5*", "libperl", {"PERL5LIB", "PERL5OPT"}},
	{"python", INTER, "python python[0-9]* pypy*", "libpython", {"PYTHONHOME", "PYTHONPATH"}},
	{"ruby", INTER, "ruby ruby[0-9]* irb jruby", "libruby", {"RUBYLIB", "RUBYOPT"}},
	{"lua", INTER, "lua lua[0-9]* luajit*", "liblua", {"LUA_INIT", "LUA_PATH"}},
	{"node", INTER, "node nodejs deno bun qjs", "libnode", {"NODE_OPTIONS", "NODE_PATH"}},
	{"php",
	 INTER,
	 "php php[0-9]* php-cgi* php-fpm*",
	 "libphp",
	 {"PHP_INI_SCAN_DIR", "php.ini"}},
	{"tcl", INTER, "tclsh* wish* expect jimsh", "libtcl", {"TCLLIBPATH", "tcl_interactive"}},
	{"guile", INTER, "guile guile-[0-9]*", "libguile", {"GUILE_LOAD_PATH", "GUILE_"}},
	{"java", INTER, "java jshell groovy", "libjvm", {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"}},
	{"awk", INTER, "awk gawk mawk nawk original-awk bwk", NULL, {"SUBSEP", "ENVIRON"}},
	{"gdb", INTER, "gdb lldb", NULL, {NULL, NULL}},
	{"apt", PACKS, "apt apt-* aptitude nala", "libapt-p", {NULL, NULL}},
	{"dpkg", PACKS, "dpkg dpkg-*", NULL, {"DPKG_ADMINDIR", "DPKG_ROOT"}},
	{"apk", PACKS, "apk apk.static", "libapk", {"apk-tools", "/etc/apk"}},
	{"rpm",
	 PACKS,
	 "rpm rpm2cpio dnf dnf5 microdnf tdnf yum zypper",
	 "librpm",
	 {"RPM_CONFIGDIR", "rpmrc"}},
	{"pacman",
	 PACKS,
	 "pacman opkg opkg-cl nix nix-env guix brew snap flatpak",
	 "libalpm",
	 {NULL, NULL}},
	{"pip",
	 PACKS,
	 "pip pip[0-9]* pipx uv npm npx yarn pnpm gem cpan cargo conda mamba",
	 NULL,
	 {NULL, NULL}},
};
#define ROWS (sizeof(table) / sizeof(table[0]))

static bool is_named(const char *names, const char *name)
{
	char one[64];

	while (*names) {
		size_t n = strcspn(names, " ");

		if (n < sizeof(one)) {
			memcpy(one, names, n);
			one[n] = '\0';
			if (fnmatch(one, name, 0) == 0)
				return true;
		}
		names += n;
		names += strspn(names, " ");
	}
	return false;
}

const struct check_known *check_known_name(const char *name)
{
	for (size_t i = 0; i < ROWS; i++)
		if (is_named(table[i].names, name))
			return &table[i];
	return NULL;
}

static bool is_library(const struct check_elf *elf, const char *start)
{
	size_t n = strlen(start);

	if (strncmp(elf->soname, start, n) == 0)
		return true;
	for (size_t i = 0; i < elf->needs; i++)
		if (strncmp(elf->needed[i], start, n) == 0)
			return true;
	return false;
}

/* All texts in one pass: two bytes decide whether a position is looked at. */
struct search {
	uint8_t heads[1 << 16];
	bool seen[ROWS][2];
};

static void look_at(struct search *s, const uint8_t *p, size_t left)
{
	for (size_t i = 0; i < ROWS; i++) {
		for (size_t k = 0; k < 2; k++) {
			const char *t = table[i].text[k];
			size_t n = t ? strlen(t) : 0;

			if (t && n <= left && memcmp(p, t, n) == 0)
				s->seen[i][k] = true;
		}
	}
}

const struct check_known *check_known_elf(const struct check_elf *elf, const uint8_t *p, size_t n)
{
	struct search s = {0};

	for (size_t i = 0; i < ROWS; i++) {
		if (table[i].library && is_library(elf, table[i].library))
			return &table[i];
		for (size_t k = 0; k < 2; k++) {
			const char *t = table[i].text[k];

			if (t)
				s.heads[(uint8_t)t[0] << 8 | (uint8_t)t[1]] = 1;
		}
	}
	for (size_t i = 0; i + 1 < n; i++)
		if (s.heads[p[i] << 8 | p[i + 1]])
			look_at(&s, p + i, n - i);
	for (size_t i = 0; i < ROWS; i++)
		if (s.seen[i][0] && s.seen[i][1])
			return &table[i];
	return NULL;
}
