/* signbox: several programs in one executable, chosen by the name it is called by or
 * by its first argument. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "box/box.h"
#include "box/hsm/hsm.h"
#include "box/mesh/mesh.h"
#include "box/nats/nats_main.h"
#include "box/nk/nk.h"
#include "box/nsc/nsc.h"
#include "box/top/top.h"
#include "crypto/crypto.h"
#include "ui/cli.h"
#include "ui/complete.h"

struct applet {
	const char *name;
	const char *help;
	int (*main)(int argc, char **argv);
};

static const struct applet applets[] = {
	{"hsm", "Operate and use the signing service over NATS", hsm_main},
	{"mesh", "Make and keep what a NATS mesh with the service needs", mesh_main},
	{"nats", "Publish, subscribe, manage and monitor NATS, as natscli does", nats_main},
	{"nats-config", "Write the configuration of a nats-server for the service",
	 nats_config_main},
	{"nats-top", "Watch the connections of a NATS server", nats_top_main},
	{"nk", "Make and use NKeys, as nats-io/nkeys' nk does", nk_main},
	{"nsc", "Manage operators, accounts and users of NATS, as nats-io's nsc does", nsc_main},
	{"pause", "Wait for SIGTERM, as process 1 of a container", pause_main},
};

#define NAPPLETS (sizeof(applets) / sizeof(applets[0]))

static const struct applet *find(const char *name)
{
	for (size_t i = 0; i < NAPPLETS; i++)
		if (strcmp(applets[i].name, name) == 0)
			return &applets[i];
	return NULL;
}

static void help(FILE *f)
{
	fputs("signbox: tools for a signing service that is reached over NATS\n\n"
	      "Usage: signbox APPLET [ARGUMENT...]\n"
	      "       APPLET [ARGUMENT...]   when called by that name (a link to signbox)\n"
	      "       signbox completion bash|zsh|fish\n\n"
	      "Applets:\n",
	      f);
	for (size_t i = 0; i < NAPPLETS; i++)
		fprintf(f, "  %-14s%s\n", applets[i].name, applets[i].help);
	fputs("\nOptions:\n"
	      "  -h, --help    Show help and exit\n"
	      "      --list    List the applets, one a line\n"
	      "      --version Show the version and exit\n"
	      "\nExamples:\n"
	      "  signbox nk -gen user -pubout\n"
	      "  signbox hsm state\n"
	      "  source <(signbox completion bash)\n"
	      "\n'signbox APPLET --help' tells more.\n",
	      f);
}

/* completion SHELL: one script for all names. */
static int completion(const char *shell)
{
	const char *names[NAPPLETS + 2] = {"signbox"};
	struct err e;

	for (size_t i = 0; i < NAPPLETS; i++)
		names[i + 1] = applets[i].name;
	if (complete_script(shell, names, &e) == 0)
		return cli_finish("signbox", 0);
	fprintf(stderr, "signbox: %s\n", e.text);
	return 2;
}

/* The first word is ours; from the second on, the applet is asked. */
static int complete(int argc, char **argv)
{
	const char *pairs[2 * (NAPPLETS + 5) + 1] = {
		"help",	      "Show help of an applet",
		"completion", "Print the script that completes in bash, zsh or fish",
		"--help",     "Show help and exit",
		"--list",     "List the applets, one a line",
		"--version",  "Show the version and exit"};
	const struct applet *a = argc > 3 ? find(argv[2]) : NULL;

	if (a) {
		/* "signbox __complete APPLET WORD…" as "APPLET __complete WORD…" */
		argv[2] = argv[1];
		argv[1] = (char *)(uintptr_t)a->name;
		return a->main(argc - 1, argv + 1);
	}
	for (size_t i = 0; i < NAPPLETS; i++) {
		pairs[10 + 2 * i] = applets[i].name;
		pairs[11 + 2 * i] = applets[i].help;
	}
	if (argc == 4 && strcmp(argv[2], "completion") == 0)
		complete_list((const char *[]){"bash", "", "zsh", "", "fish", "", NULL}, argc,
			      argv);
	else if (argc == 4 && strcmp(argv[2], "help") == 0)
		complete_list(pairs + 10, argc, argv);
	else if (argc == 3)
		complete_list(pairs, argc, argv);
	return cli_finish("signbox", 0);
}

static int signbox(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	const struct applet *a = find(word);

	if (a)
		return a->main(argc - 1, argv + 1);
	if (strcmp(word, "completion") == 0)
		return completion(argc == 3 ? argv[2] : NULL);
	if (strcmp(word, "__complete") == 0)
		return complete(argc, argv);
	if (strcmp(word, "help") == 0 && argc > 2 && (a = find(argv[2])))
		return a->main(2, (char *[]){argv[2], (char[]){"--help"}, NULL});
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		help(stdout);
	} else if (strcmp(word, "--list") == 0) {
		for (size_t i = 0; i < NAPPLETS; i++)
			puts(applets[i].name);
	} else if (strcmp(word, "--version") == 0) {
		puts("signbox " SIGNBOX_VERSION);
	} else {
		fprintf(stderr, "signbox: %s%.60s%s; see 'signbox --help'\n",
			*word ? "unknown applet '" : "an applet is missing", word,
			*word ? "'" : "");
		return 2;
	}
	return cli_finish("signbox", 0);
}

int main(int argc, char **argv)
{
	const char *base = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const struct applet *a = NULL;

	cli_stdio();
	/* Each applet may hold seeds or passwords. */
	secret_no_core();
	if (crypto_init()) {
		fputs("signbox: cryptography cannot be initialised\n", stderr);
		return 1;
	}
	if (argc > 0)
		a = find(base ? base + 1 : argv[0]);
	return a ? a->main(argc, argv) : signbox(argc, argv);
}
