/* signbox: several programs in one executable, chosen by the name it is called by or
 * by its first argument. */
#include <stdio.h>
#include <string.h>

#include "box/box.h"
#include "box/hsm/hsm.h"
#include "box/nk/nk.h"
#include "crypto/crypto.h"
#include "ui/cli.h"

struct applet {
	const char *name;
	const char *help;
	int (*main)(int argc, char **argv);
};

static const struct applet applets[] = {
	{"hsm", "Operate and use the signing service over NATS", hsm_main},
	{"nats-config", "Write the configuration of a nats-server for the service",
	 nats_config_main},
	{"nk", "Make and use NKeys, as nats-io/nkeys' nk does", nk_main},
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
	      "       APPLET [ARGUMENT...]   when called by that name (a link to signbox)\n\n"
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
	      "\n'signbox APPLET --help' tells more.\n",
	      f);
}

static int signbox(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	const struct applet *a = find(word);

	if (a)
		return a->main(argc - 1, argv + 1);
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
	if (crypto_init()) {
		fputs("signbox: cryptography cannot be initialised\n", stderr);
		return 1;
	}
	if (argc > 0)
		a = find(base ? base + 1 : argv[0]);
	return a ? a->main(argc, argv) : signbox(argc, argv);
}
