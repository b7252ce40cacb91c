/* nk: as nats-io/nkeys' nk (v0.4.16): Go's flag syntax, results and errors on stdout,
 * exit status 1 for every failure. Better than the original: -h exits 0, FILE may be
 * "-" for stdin, both encodings of signatures are read, impossible -pre are refused. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "base/secret.h"
#include "box/nk/nk.h"
#include "box/nk/nk_vanity.h"
#include "crypto/crypto.h"
#include "nkey/nkey.h"
#include "ui/cli.h"
#include "ui/complete.h"
#include "ui/goflag.h"

#define CONTENT_MAX ((size_t)1 << 30)

static const char curve_text[] = "nkeys: curve key is not valid for sign/verify";

struct flags {
	const char *gen, *sign, *verify, *inkey, *pubin, *sigfile, *e, *pre;
	int64_t maxpre;
	bool v, pubout, help, help_json;
};

#define KINDS "user|account|server|cluster|operator|curve|x25519"

/* What the usage shows of one flag, as the original's has it. */
static void usage(const struct goflag *flags)
{
	puts("Usage: nk [options]");
	for (; flags->name; flags++) {
		char left[32];

		(void)snprintf(left, sizeof(left), "-%s %s", flags->name,
			       flags->arg ? flags->arg : "");
		if (flags->help)
			printf("    %-21s %s\n", left, flags->help);
	}
}

/* Errors go to stdout without a prefix, exit status 1. */
static int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return 1;
}

static int read_content(const char *path, struct buf *out, struct err *e)
{
	if (strcmp(path, "-") == 0)
		return file_read_fd(STDIN_FILENO, "standard input", out, e);
	return file_read(path, out, e);
}

/* Text of a key file. The original reads files that others may read, and so does this. */
static int read_secret(const char *path, struct secret *s, struct err *e)
{
	CLEAN(fd) int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
						  : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_errno(e, ERR_IO, "open %s", path);
	return secret_read_fd(s, fd, path, NKEY_FILE_MAX, e);
}

static int read_pair(const char *path, struct nkey *k, struct err *e)
{
	struct secret s = {0};

	if (read_secret(path, &s, e))
		return -1;
	int r = nkey_from_text(k, path, (const char *)s.p, s.len, e);

	secret_clear(&s);
	return r ? err_set(e, e->code, "Could not find a valid key in %s: a seed is needed", path)
		 : 0;
}

/* First line that is a public key. */
static int read_public(const char *path, enum nkey_kind *kind, uint8_t pub[static 32],
		       struct err *e)
{
	struct secret s = {0};
	int r = -1;

	if (read_secret(path, &s, e))
		return -1;
	for (size_t at = 0; r && at < s.len;) {
		const uint8_t *nl = memchr(s.p + at, '\n', s.len - at);
		size_t n = (nl ? (size_t)(nl - s.p) : s.len) - at;
		char line[NKEY_PUB_LEN];

		if (n && s.p[at + n - 1] == '\r')
			n--;
		if (n == sizeof(line) - 1) {
			memcpy(line, s.p + at, n);
			line[n] = '\0';
			r = nkey_decode(pub, kind, line, NULL);
		}
		if (!nl)
			break;
		at = (size_t)(nl - s.p) + 1;
	}
	secret_clear(&s);
	return r ? err_set(e, ERR_BAD_NKEY,
			   "Could not find a valid key in %s: a public key is "
			   "needed",
			   path)
		 : 0;
}

static int print_pair(const struct nkey *k, bool public_too)
{
	char *seed = secret_alloc(NKEY_SEED_LEN), pub[NKEY_PUB_LEN];

	if (!seed)
		return fail("no locked memory for a seed");
	nkey_seed_text(k, seed);
	nkey_pub_text(k, pub);
	/* Straight to the descriptor: no copy of the seed stays in a stdio buffer. */
	seed[NKEY_SEED_LEN - 1] = '\n';
	int bad = file_write_fd(STDOUT_FILENO, "standard output", seed, NKEY_SEED_LEN, NULL);

	secret_free(seed);
	if (bad) {
		perror("nk: cannot write standard output");
		return 1;
	}
	if (public_too)
		puts(pub);
	return 0;
}

/* A fresh seed alone: its public key, most of the work, need not be computed. */
static int print_seed(enum nkey_kind kind)
{
	uint8_t *raw = secret_alloc(32 + NKEY_SEED_LEN);

	if (!raw)
		return fail("no locked memory for a seed");
	char *seed = (char *)raw + 32;

	crypto_random(raw, 32);
	nkey_seed_encode(seed, kind, raw);
	seed[NKEY_SEED_LEN - 1] = '\n';
	int bad = file_write_fd(STDOUT_FILENO, "standard output", seed, NKEY_SEED_LEN, NULL);

	secret_free(raw);
	if (bad)
		perror("nk: cannot write standard output");
	return bad ? 1 : 0;
}

/* Seed from the entropy file: its first 32 bytes, as in the original. */
static int from_entropy(const char *path, enum nkey_kind kind, struct nkey *k, struct err *e)
{
	CLEAN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t seed[32];
	size_t got = 0;

	if (fd < 0)
		return err_errno(e, ERR_IO, "open %s", path);
	while (got < sizeof(seed)) {
		ssize_t n = read(fd, seed + got, sizeof(seed) - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_IO, "Error creating %s: fewer than 32 bytes in %s",
				       nkey_kind_name(kind), path);
		got += (size_t)n;
	}
	int r = nkey_from_raw(k, kind, seed, e);

	secret_wipe(seed, sizeof(seed));
	return r;
}

static int gen(const struct flags *f)
{
	CLEAN(nkey) struct nkey k = {0};
	char name[16] = "";
	enum nkey_kind kind;
	struct err e = {0};
	int r;

	for (size_t i = 0; i + 1 < sizeof(name) && f->gen[i]; i++)
		name[i] = (char)tolower((unsigned char)f->gen[i]);
	if (nkey_kind_parse(&kind, name))
		return fail("Usage: nk -gen [" KINDS "]");
	if (!f->pubout && !(f->pre && *f->pre) && !(f->e && *f->e))
		return print_seed(kind);
	if (f->pre && *f->pre && f->e && *f->e)
		r = err_set(&e, ERR_USAGE, "-pre cannot be used with -e: the file gives one key");
	else if (f->pre && *f->pre)
		r = nk_vanity(&k, kind, f->pre, (long)f->maxpre, &e);
	else if (f->e && *f->e)
		r = from_entropy(f->e, kind, &k, &e);
	else
		r = nkey_generate(&k, kind, &e);
	if (r)
		return fail("%s", e.text);
	return print_pair(&k, f->pubout || (f->pre && *f->pre));
}

static int sign(const struct flags *f)
{
	CLEAN(nkey) struct nkey k = {0};
	char text[ENC_BASE64_LEN(64)];
	CLEAN(buf) struct buf content = {0};
	struct err e = {0};
	uint8_t sig[64];

	buf_init(&content, CONTENT_MAX);
	if (!f->inkey || !*f->inkey)
		return fail("Sign requires a seed/private key via -inkey <file>");
	if (read_pair(f->inkey, &k, &e))
		return fail("%s", e.text);
	if (k.kind == NKEY_CURVE)
		return fail("%s", curve_text);
	if (read_content(f->sign, &content, &e) || nkey_sign(&k, sig, content.p, content.len, &e))
		return fail("%s", e.text);
	enc_base64(text, sig, sizeof(sig), ENC_URL);
	puts(text);
	return 0;
}

/* Base64 in either alphabet, with or without padding and line ends: nk up to 0.4.4
 * printed the padded standard form. */
static int read_signature(const char *path, uint8_t sig[static 64], struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	char text[128];
	size_t n = 0, got = 0;

	buf_init(&b, 4096);
	if (read_content(path, &b, e))
		return -1;
	for (size_t i = 0; i < b.len; i++) {
		char c = (char)b.p[i];

		if (c == '\r' || c == '\n' || c == '=')
			continue;
		if (n + 1 >= sizeof(text))
			return err_set(e, ERR_BAD_SIGNATURE_FORM, "%s holds no signature", path);
		text[n++] = (char)(c == '+' ? '-' : c == '/' ? '_' : c);
	}
	if (enc_unbase64(sig, 64, &got, text, n, ENC_URL) || got != 64)
		return err_set(e, ERR_BAD_SIGNATURE_FORM,
			       "%s holds no signature: 64 bytes in base64 are needed", path);
	return 0;
}

static int verify(const struct flags *f)
{
	bool pair = f->inkey && *f->inkey;
	CLEAN(nkey) struct nkey k = {0};
	CLEAN(buf) struct buf content = {0};
	struct err e = {0};
	uint8_t sig[64];

	buf_init(&content, CONTENT_MAX);
	if (!pair && (!f->pubin || !*f->pubin))
		return fail("Verify requires a seed key via -inkey or a public key via -pubin");
	if (!f->sigfile || !*f->sigfile)
		return fail("Verify requires a signature via -sigfile");
	if (pair ? read_pair(f->inkey, &k, &e) : read_public(f->pubin, &k.kind, k.pub, &e))
		return fail("%s", e.text);
	if (k.kind == NKEY_CURVE)
		return fail("%s", curve_text);
	if (read_content(f->verify, &content, &e) || read_signature(f->sigfile, sig, &e))
		return fail("%s", e.text);
	if (nkey_verify(k.pub, sig, content.p, content.len, NULL))
		return fail("nkeys: signature verification failed");
	puts("Verified OK");
	return 0;
}

static int pubout(const struct flags *f)
{
	CLEAN(nkey) struct nkey k = {0};
	char pub[NKEY_PUB_LEN];
	struct err e = {0};

	if (read_pair(f->inkey, &k, &e))
		return fail("%s", e.text);
	nkey_pub_text(&k, pub);
	puts(pub);
	return 0;
}

/* The order of precedence is the original's. */
static int run(const struct flags *f, const struct goflag *table)
{
	if (f->help_json) {
		goflag_help_json("nk", "Makes and uses NKeys", table, stdout);
		return 0;
	}
	if (f->help) {
		usage(table);
		return 0;
	}
	if (f->v) {
		puts("nk version " SIGNBOX_VERSION);
		return 0;
	}
	if (f->gen && *f->gen)
		return gen(f);
	if (f->e && *f->e)
		return fail("Entropy file only used when creating keys with -gen");
	if (f->sign && *f->sign)
		return sign(f);
	if (f->verify && *f->verify)
		return verify(f);
	if (f->inkey && *f->inkey && f->pubout)
		return pubout(f);
	usage(table);
	return 1;
}

/* Values of -gen; files are all else that takes a value, but for the vanity and N. */
static bool values(const char *flag, struct complete *o)
{
	if (strcmp(flag, "gen") == 0)
		complete_kind(o, KINDS);
	else if (strcmp(flag, "e") == 0)
		complete_files(o, false);
	else
		return false;
	return true;
}

int nk_main(int argc, char **argv)
{
	struct flags f = {.maxpre = 10000000};
	/* names, order and texts of the original; what it lacks has no text */
	const struct goflag table[] = {
		{"v", GOFLAG_BOOL, &f.v, NULL, NULL, "Show version"},
		{"gen", GOFLAG_STR, &f.gen, NULL, "<type>", "Generate key for [" KINDS "]"},
		{"sign", GOFLAG_STR, &f.sign, NULL, "<file>", "Sign <file> with -inkey <keyfile>"},
		{"verify", GOFLAG_STR, &f.verify, NULL, "<file>",
		 "Verify <file> with -inkey <keyfile> or -pubin <public> and -sigfile <file>"},
		{"inkey", GOFLAG_STR, &f.inkey, NULL, "<file>",
		 "Input key file (seed/private key)"},
		{"pubin", GOFLAG_STR, &f.pubin, NULL, "<file>", "Public key file"},
		{"sigfile", GOFLAG_STR, &f.sigfile, NULL, "<file>", "Signature file"},
		{"pubout", GOFLAG_BOOL, &f.pubout, NULL, NULL, "Output public key"},
		{"e", GOFLAG_STR, &f.e, NULL, NULL, "Entropy file, e.g. /dev/urandom"},
		{"pre", GOFLAG_STR, &f.pre, NULL, "<vanity>",
		 "Attempt to generate public key given prefix, e.g. nk -gen user -pre derek"},
		{"maxpre", GOFLAG_INT, &f.maxpre, NULL, "<N>",
		 "Maximum attempts at generating the correct key prefix, default is 10,000,000"},
		{"h", GOFLAG_BOOL, &f.help, NULL, NULL, NULL},
		{"help", GOFLAG_BOOL, &f.help, NULL, NULL, NULL},
		{"version", GOFLAG_BOOL, &f.v, NULL, NULL, NULL},
		{"help-json", GOFLAG_BOOL, &f.help_json, NULL, NULL, NULL},
		{0},
	};
	struct err e;
	int rest;

	if (complete_goflag(table, values, argc, argv))
		return cli_finish("nk", 0);
	/* As Go does it: the reason on stderr, the usage on stdout. */
	if (goflag_parse(table, argc, argv, &rest, &e)) {
		fprintf(stderr, "%s\n", e.text);
		usage(table);
		return cli_finish("nk", 1);
	}
	return cli_finish("nk", run(&f, table));
}
