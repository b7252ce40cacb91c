/* ocibuild: from images/ and one lock file to root file systems, and later images. */
#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "ocibuild/current.h"
#include "ocibuild/enter.h"
#include "json/json.h"
#ifdef OCIBUILD_ONLINE
#include "ocibuild/online.h"
#else
#include "ocibuild/images.h"
#endif
#include "ocibuild/options.h"
#include "ocibuild/rootfs.h"
#include "ui/cli.h"

static int cmd_rootfs(struct cli *c, struct err *e)
{
	CLEAN(current) struct current cur = {0};
	CLEAN(json) json_t *out = json_array();
	char dir[4096];

	options_current(c, &cur);
	if (current_load(&cur, e))
		return -1;
	snprintf(dir, sizeof(dir), "%s/rootfs", cur.build);
	for (int i = 0; i < c->argc; i++) {
		struct rootfs r = {.spec = spec_find(&cur.set, c->argv[i]),
				   .lock = &cur.lock,
				   .cache = &cur.cache,
				   .dir = dir};

		if (!r.spec)
			return cli_usage(e, "no definition %s/%.60s.yaml", cur.images, c->argv[i]);
		if (rootfs_build(&r, e))
			return -1;
		if (!cli_has(c, "json") && r.made)
			printf("made %s/%s\n", dir, r.spec->name);
		json_array_append_new(out, json_pack("{s:s, s:s++, s:b, s:b}", "name", r.spec->name,
						     "tree", dir, "/", r.spec->name, "made", r.made,
						     "committed_lock", !cur.is_relock));
	}
	return cli_has(c, "json") ? json_print(out, stdout, e) : 0;
}

static int cmd_enter(struct cli *c, struct err *e)
{
	struct current cur = {0};
	struct enter en = {.bind = ".", .argv = c->argv + 1};
	CLEAN(free) char **env = calloc(cli_count(c, "env") + 1, sizeof(*env));
	char root[4096];

	if (!env)
		return err_set(e, ERR_NOMEM, NULL);
	options_current(c, &cur);
	for (size_t i = 0; i < cli_count(c, "env"); i++) {
		const char *v = cli_nth(c, "env", i);

		if (!strchr(v, '='))
			return cli_usage(e, "--env takes NAME=VALUE");
		env[i] = (char *)(uintptr_t)v;
	}
	if (strchr(c->argv[0], '/') || c->argv[0][0] == '.')
		return cli_usage(e, "malformed name of a rootfs");
	snprintf(root, sizeof(root), "%s/rootfs/%s", cur.build, c->argv[0]);
	/* without one a command that needs it says so */
	if (cache_open(&cur.cache, NULL) == 0)
		en.cache = cur.cache.dir;
	en.root = root;
	en.env = env;
	return enter_exec(&en, e);
}

static const struct cli_opt enter_opts[] = {
	{"env", 'e', "NAME=VALUE", "Set a variable for the command; the host's are not passed on"},
	{0},
};
#ifdef OCIBUILD_ONLINE
static const struct cli_opt lock_opts[] = {
	{"keyring", 0, "FILE",
	 "Verify the archives with FILE, not with Debian's keyring; none: do not"},
	{"check", 0, NULL, "Write nothing; fail unless the lock fits and can be fetched"},
	{0},
};
static const struct cli_opt fetch_opts[] = {
	{"keyring", 0, "FILE",
	 "Verify the archives with FILE, not with Debian's keyring; none: do not"},
	{"from", 0, "DIR", "Look first in DIR: another cache, or a folder of .deb files"},
	{"offline", 0, NULL, "Never ask a mirror"},
	{0},
};
#else
static const struct cli_opt show_opts[] = {
	{"expanded", 0, NULL, "With everything that its bases give it, and the versions"},
	{0},
};
static const struct cli_opt save_opts[] = {
	{"output", 'o', "FILE", "Write FILE in one step; -: standard output (the default)"},
	{"prefix", 0, "PREFIX", "What tags begin with (signbox)"},
	{"attached", 0, NULL, "With SBOMs and provenance, which are for registries"},
	{"bundle", 0, NULL, "The same, and FILE.sha256 for `sha256sum -c`, for -o FILE"},
	{0},
};
static const struct cli_opt load_opts[] = {
	{"into", 0, "ENGINE", "docker or podman; otherwise the first that answers"},
	{"prefix", 0, "PREFIX", "What tags begin with (signbox)"},
	{0},
};
static const struct cli_opt sbom_opts[] = {
	{"format", 'f', "FORMAT", "Print the document itself: spdx, cyclonedx or provenance"},
	{0},
};
static const struct cli_opt build_opts[] = {
	{"revision", 0, "COMMIT", "Name the commit of the sources in the provenance"},
	{"jobs", 'j', "N", "Threads (as many as there are processors)"},
	{0},
};
static const struct cli_opt verify_opts[] = {
	{"jobs", 'j', "N", "Threads (as many as there are processors)"},
	{"keep-rootfs", 0, NULL, "Take the rootfs of the build folder; do not make it again too"},
	{0},
};
static const struct cli_opt linked_opts[] = {
	{"root", 0, "DIR", "Look packages up in the root file system DIR, not in this one"},
	{0},
};
static const struct cli_opt tree_opts[] = {
	{"depth", 'd', "N", "Levels of directories (3)"},
	{0},
};
static const struct cli_opt check_opts[] = {
	{"variant", 0, "VARIANT", "Apply the rules for runtime, testing, compat, debug or dev"},
	{"waived", 0, NULL, "Print what is waived, too"},
	{"derived", 0, NULL,
	 "Others built it on one of these images: leave out rules about what is attached"},
	{"waivers", 0, "FILE", "Take waivers of such an image from FILE, as a definition has them"},
	{"rules", 0, NULL, "Print the rules, and check nothing"},
	{0},
};
#endif

#define EXAMPLES(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct cli_cmd commands[] = {
#ifdef OCIBUILD_ONLINE
	{.path = "lock",
	 .help = "Resolves every definition and writes the lock",
	 .opts = lock_opts,
	 .run = online_lock,
	 .examples = EXAMPLES("ocibuild lock", "ocibuild lock --check")},
	{.path = "fetch",
	 .help = "Downloads what is locked into the cache",
	 .opts = fetch_opts,
	 .run = online_fetch,
	 .examples = EXAMPLES("ocibuild fetch", "ocibuild fetch --offline --from /media/stick")},
#else
	{.path = "ls",
	 .help = "Lists the images, and what is built of them",
	 .run = images_ls,
	 .examples = EXAMPLES("ocibuild ls", "ocibuild ls --json")},
	{.path = "show",
	 .help = "Shows the definition of an image",
	 .args = "IMAGE",
	 .opts = show_opts,
	 .run = images_show,
	 .examples = EXAMPLES("ocibuild show --expanded hsm")},
	{.path = "linked",
	 .help = "Tells whose static libraries are in a program, by its linker's map",
	 .args = "MAP",
	 .opts = linked_opts,
	 .run = images_linked,
	 .examples = EXAMPLES("ocibuild linked build/obj/bin/hsmd.map --root build/rootfs/dev")},
	{.path = "plan",
	 .help = "Tells what a build would do, and does nothing",
	 .args = "[IMAGE...]",
	 .run = images_plan,
	 .examples = EXAMPLES("ocibuild plan", "ocibuild plan hsm box")},
	{.path = "build",
	 .help = "Builds images into the OCI layout below the build folder",
	 .args = "[IMAGE...]",
	 .opts = build_opts,
	 .run = images_build,
	 .examples = EXAMPLES("ocibuild build", "ocibuild build --locked hsm")},
	{.path = "verify",
	 .help = "Builds again in a fresh folder and compares every digest",
	 .args = "[IMAGE...]",
	 .opts = verify_opts,
	 .run = images_verify,
	 .examples = EXAMPLES("ocibuild verify", "ocibuild verify static hsm --json"),
	 .about = "Exit status 8: an image differs, is damaged or is not in the layout; what\n"
		  "differs first is named."},
	{.path = "inspect",
	 .help = "Prints the manifest and the configuration of a built image, or what an archive "
		 "has",
	 .args = "IMAGE|FILE",
	 .run = images_inspect,
	 .examples = EXAMPLES("ocibuild inspect static --json", "ocibuild inspect signbox.tar"),
	 .about = "Of an archive (docker save, podman save, ocibuild save) every digest is "
		  "verified."},
	{.path = "check",
	 .help = "Looks whether images keep the policy, by what is in their files",
	 .args = "[IMAGE...]",
	 .opts = check_opts,
	 .run = images_check,
	 .examples =
		 EXAMPLES("ocibuild check", "ocibuild check hsm --waived", "ocibuild check --rules",
			  "ocibuild check /tmp/layout:NAME", "ocibuild check --derived image.tar"),
	 .about =
		 "IMAGE is a definition's, NAME:TAG, or DIR:NAME in another OCI layout, or\n"
		 "FILE:NAME in an archive of docker save or podman save (:NAME may be left out of\n"
		 "one that has one image); there the strictest rules hold, those for runtime,\n"
		 "unless --variant says otherwise.\n"
		 "Exit status 1: something was found."},
	{.path = "diff",
	 .help = "Tells what two images differ in: files, packages, configuration",
	 .args = "A B",
	 .run = images_diff,
	 .examples = EXAMPLES("ocibuild diff static hsm", "ocibuild diff /tmp/old/images:hsm hsm"),
	 .about = "A and B are as for check. Exit status 0: nothing differs, 1: something does."},
	{.path = "tree",
	 .help = "Tells where the bytes of a built image go",
	 .args = "IMAGE",
	 .opts = tree_opts,
	 .run = images_tree,
	 .examples = EXAMPLES("ocibuild tree hsm", "ocibuild tree static --depth 5")},
	{.path = "sbom",
	 .help = "Lists the packages of a built image, or prints a document about it",
	 .args = "IMAGE",
	 .opts = sbom_opts,
	 .run = images_sbom,
	 .examples = EXAMPLES("ocibuild sbom hsm", "ocibuild sbom hsm --format spdx"),
	 .about = "The documents are also in build/sbom/, and in the layout as OCI 1.1 referrers."},
	{.path = "save",
	 .help = "Writes images as one archive: an OCI layout that docker load reads too",
	 .args = "[IMAGE...]",
	 .opts = save_opts,
	 .run = images_save,
	 .examples = EXAMPLES("ocibuild save -o signbox.tar", "ocibuild save hsm box | podman load",
			      "ocibuild save --bundle -o signbox-" SIGNBOX_VERSION ".tar")},
	{.path = "load",
	 .help = "Loads images into docker or podman, and checks what it made of them",
	 .args = "[IMAGE...]",
	 .opts = load_opts,
	 .run = images_load,
	 .examples = EXAMPLES("ocibuild load", "ocibuild load hsm --into podman")},
#endif
	{.path = "rootfs",
	 .help = "Makes root file systems to work in",
	 .args = "NAME...",
	 .run = cmd_rootfs,
	 .examples = EXAMPLES("ocibuild rootfs dev test")},
	{.path = "enter",
	 .help = "Runs a command in a rootfs, with this folder as /src",
	 .args = "NAME COMMAND...",
	 .opts = enter_opts,
	 .run = cmd_enter,
	 .examples = EXAMPLES("ocibuild enter dev -- make -j2")},
	{0},
};

static const struct cli_prog program = {
	.name = "ocibuild",
	.help = "Builds root file systems and images from locked Debian packages",
	.opts = options_global,
	.cmds = commands,
	.examples = (const char *const[]){"ocibuild build", "ocibuild load box",
					  "ocibuild tree box", NULL},
	.about = "The cache is SIGNBOX_CACHE, else signbox in XDG_CACHE_HOME or ~/.cache.\n"
		 "DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR name the archives; without them they\n"
		 "come from this host's apt configuration.",
};

int main(int argc, char **argv)
{
	cli_stdio();
	umask(022); /* what is built must not depend on the caller's */
	/* libarchive translates names of files by the locale: have one everywhere */
	setlocale(LC_CTYPE, "C.UTF-8");
	return cli_finish("ocibuild", cli_main(&program, argc, argv, NULL));
}
