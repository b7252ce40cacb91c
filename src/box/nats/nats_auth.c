/* nats auth nkey. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/file.h"
#include "base/secret.h"
#include "box/nats/nats.h"
#include "nkey/nkey.h"
#include "nkey/xkey.h"

#define DATA_MAX ((size_t)1 << 30)

static int bad_kind(const char *name, struct err *e)
{
	return cli_usage(e,
			 "type must be one of user,account,server,cluster,operator,curve,x25519, "
			 "got '%.40s'",
			 name);
}

static int fresh(struct cli *c, struct nkey *k, enum nkey_kind kind, struct err *e)
{
	const char *entropy = cli_str(c, "entropy");
	uint8_t *seed;
	int r;

	if (!entropy)
		return nkey_generate(k, kind, e);
	CLEAN(file) FILE *f = fopen(entropy, "re");

	seed = secret_alloc(32);
	if (!seed)
		r = err_set(e, ERR_NOMEM, NULL);
	else if (!f || fread(seed, 1, 32, f) != 32)
		r = err_set(e, ERR_IO, "cannot read 32 bytes of entropy from %.100s", entropy);
	else
		r = nkey_from_raw(k, kind, seed, e);
	secret_free(seed);
	return r;
}

static int gen(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};
	const char *out = cli_str(c, "output");
	CLEAN(secret) char *text = secret_alloc(NKEY_SEED_LEN + NKEY_PUB_LEN + 2);
	char pub[NKEY_PUB_LEN];
	int kind = nkey_kind_parse(&k.kind, c->argv[0]);
	enum nkey_kind want = k.kind;

	if (kind < 0)
		return bad_kind(c->argv[0], e);
	if (!text)
		return err_set(e, ERR_NOMEM, NULL);
	if (fresh(c, &k, want, e))
		return -1;
	nkey_seed_text(&k, text);
	text[NKEY_SEED_LEN - 1] = '\n';
	nkey_pub_text(&k, pub);
	size_t n = NKEY_SEED_LEN;

	if (cli_has(c, "public")) {
		memcpy(text + n, pub, NKEY_PUB_LEN - 1);
		n += NKEY_PUB_LEN - 1;
		text[n++] = '\n';
	}
	if (out)
		return file_output(out, text, n, 0600, e);
	fwrite(text, 1, n, stdout);
	return 0;
}

/* A seed's pair, or a public key alone (k->secret NULL). Any file mode is taken, as
 * natscli does, with a word about it. */
static int read_key(struct nkey *k, const char *path, struct err *e)
{
	CLEAN(buf) struct buf b = {0};
	struct stat st;
	struct err why;

	buf_init(&b, NKEY_FILE_MAX);
	b.secret = true;
	if (file_read(path, &b, e))
		return -1;
	buf_u8(&b, '\0');
	if (b.bad)
		return err_set(e, ERR_NOMEM, NULL);
	if (nkey_from_text(k, path, (char *)b.p, b.len - 1, &why) == 0) {
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077))
			fprintf(stderr, "nats: note: %s can be read by others\n", path);
		return 0;
	}
	b.p[strcspn((char *)b.p, " \t\r\n")] = '\0';
	if (nkey_decode(k->pub, &k->kind, (char *)b.p, e) == 0)
		return 0;
	*e = why;
	return -1;
}

static int read_pair(struct nkey *k, const char *path, struct err *e)
{
	if (read_key(k, path, e))
		return -1;
	return k->secret ? 0 : err_set(e, ERR_WRONG_NKEY, "%.120s holds no seed", path);
}

static int read_data(struct buf *b, const char *path, struct err *e)
{
	buf_init(b, DATA_MAX);
	b->secret = true;
	if (file_read(path, b, e))
		return -1;
	return 0;
}

static int show(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};
	char pub[NKEY_PUB_LEN];

	if (read_pair(&k, c->argv[0], e))
		return -1;
	nkey_pub_text(&k, pub);
	puts(pub);
	return 0;
}

static int sign(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};
	CLEAN(buf) struct buf m = {0};
	uint8_t sig[64];
	char text[ENC_BASE64_LEN(64)];

	if (read_data(&m, c->argv[0], e) || read_pair(&k, c->argv[1], e) ||
	    nkey_sign(&k, sig, m.len ? m.p : (const void *)"", m.len, e))
		return -1;
	enc_base64(text, sig, sizeof(sig), ENC_URL);
	puts(text);
	return 0;
}

/* Base64 of either alphabet with or without padding, line breaks anywhere. */
static int unbase64(struct buf *out, struct buf *text, const char *what, struct err *e)
{
	size_t n = 0;

	for (size_t i = 0; i < text->len; i++) {
		uint8_t ch = text->p[i];

		if (ch == '\n' || ch == '\r' || ch == '=')
			continue;
		text->p[n++] = ch == '+' ? '-' : ch == '/' ? '_' : ch;
	}
	uint8_t *p = buf_space(out, n + 1);

	if (!p)
		return err_set(e, ERR_NOMEM, NULL);
	if (enc_unbase64(p, n + 1, &out->len, n ? (char *)text->p : "", n, ENC_URL))
		return err_set(e, ERR_BAD_INPUT, "%.120s is not base64", what);
	return 0;
}

static int verify(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};
	CLEAN(buf) struct buf m = {0}, text = {0}, sig = {0};

	buf_init(&sig, DATA_MAX);
	if (read_data(&m, c->argv[0], e) || read_data(&text, c->argv[1], e) ||
	    read_key(&k, c->argv[2], e) || unbase64(&sig, &text, c->argv[1], e))
		return -1;
	if (k.kind == NKEY_CURVE)
		return err_set(e, ERR_WRONG_NKEY, "a curve key cannot verify");
	if (sig.len != 64 || nkey_verify(k.pub, sig.p, m.len ? m.p : (const void *)"", m.len, e))
		return err_set(e, ERR_NOT_VERIFIED, "nkeys: signature verification failed");
	puts("Verified OK");
	return 0;
}

static int put_out(struct cli *c, const struct buf *b, bool newline, struct err *e)
{
	const char *out = cli_str(c, "output");

	if (out)
		return file_output(out, b->p, b->len, 0600, e);
	if (!newline && isatty(STDOUT_FILENO))
		return cli_usage(e, "the output is binary: give --output FILE, or redirect it");
	fwrite(b->p, 1, b->len, stdout);
	if (newline)
		putchar('\n');
	return 0;
}

static int counterpart(uint8_t pub[static 32], const char *text, struct err *e)
{
	if (nkey_decode_kind(pub, NKEY_CURVE, text, e))
		return err_set(e, e->code,
			       "invalid public key provided: a curve key (X…) is needed");
	return 0;
}

static int seal(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};
	CLEAN(buf) struct buf m = {0}, out = {0}, text = {0};
	uint8_t to[32];

	buf_init(&out, DATA_MAX + XKEY_OVERHEAD);
	buf_init(&text, 2 * DATA_MAX);
	if (read_pair(&k, c->argv[1], e) || read_data(&m, c->argv[0], e) ||
	    counterpart(to, c->argv[2], e) ||
	    xkey_seal(&out, &k, to, m.len ? m.p : (const void *)"", m.len, e))
		return -1;
	if (!nats_flag(c, "b64", true))
		return put_out(c, &out, false, e);
	char *p = (char *)buf_space(&text, ENC_BASE64_LEN(out.len));

	if (!p)
		return err_set(e, ERR_NOMEM, NULL);
	enc_base64(p, out.p, out.len, ENC_STD);
	text.len--;
	return put_out(c, &text, true, e);
}

static int unseal(struct cli *c, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};
	CLEAN(buf) struct buf m = {0}, raw = {0}, out = {0};
	const struct buf *sealed = &m;
	uint8_t from[32];

	buf_init(&raw, DATA_MAX);
	buf_init(&out, DATA_MAX);
	out.secret = true;
	if (read_pair(&k, c->argv[1], e) || read_data(&m, c->argv[0], e) ||
	    counterpart(from, c->argv[2], e))
		return -1;
	if (nats_flag(c, "b64", true)) {
		if (unbase64(&raw, &m, c->argv[0], e))
			return -1;
		sealed = &raw;
	}
	if (xkey_open(&out, &k, from, sealed->len ? sealed->p : (const void *)"", sealed->len, e))
		return -1;
	if (cli_str(c, "output"))
		return file_output(cli_str(c, "output"), out.len ? out.p : (const void *)"",
				   out.len, 0600, e);
	nats_bytes(out.len ? out.p : (const void *)"", out.len);
	putchar('\n');
	return 0;
}

static const struct cli_opt gen_opts[] = {
	{"public", 0, NULL, "Print the public key too"},
	{"entropy", 0, "FILE", "Take 32 bytes from a file instead of the kernel's randomness"},
	{"output", 0, "FILE", "Write to a file (mode 600)"},
	{0},
};

static const struct cli_opt seal_opts[] = {
	{"output", 0, "FILE", "Write to a file (mode 600)"},
	{"b64", 0, NULL, "Sealed data is base64 (on; --no-b64)"},
	{0},
};

static const char *const gen_examples[] = {"nats auth nkey gen user --output me.nk",
					   "nats auth nkey gen curve --public", NULL};
static const char *const seal_examples[] = {
	"nats auth nkey seal letter.txt mine.nk XABC… >letter.sealed",
	"nats auth nkey unseal letter.sealed theirs.nk XDEF…", NULL};

#define NK "auth nkey|nk "

const struct cli_cmd nats_auth_cmds[] = {
	{.path = NK "gen",
	 .help = "Make a key: user, account, server, cluster, operator, curve",
	 .args = "TYPE",
	 .opts = gen_opts,
	 .run = gen,
	 .examples = gen_examples},
	{.path = NK "show",
	 .help = "Show the public key of a seed file",
	 .args = "KEY",
	 .run = show},
	{.path = NK "sign", .help = "Sign a file", .args = "FILE KEY", .run = sign},
	{.path = NK "verify",
	 .help = "Verify the signature of a file with a seed or public key file",
	 .args = "FILE SIGNATURE KEY",
	 .run = verify},
	{.path = NK "seal|encrypt|enc",
	 .help = "Encrypt a file from our curve key to another's",
	 .args = "FILE KEY RECIPIENT",
	 .opts = seal_opts,
	 .run = seal,
	 .examples = seal_examples},
	{.path = NK "unseal|open|decrypt|dec",
	 .help = "Decrypt a file that was sealed for our curve key",
	 .args = "FILE KEY SENDER",
	 .opts = seal_opts,
	 .run = unseal},
	{0},
};
