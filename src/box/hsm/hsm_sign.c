/* hsm sign, verify, random */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#include "base/enc.h"
#include "base/file.h"
#include "box/hsm/hsm.h"
#include "crypto/spki.h"

#define CHUNK 65536
#define RANDOM_TOTAL (1 << 20)

/* What is signed: a message, or the digest of it made here. */
struct input {
	int fd;
	const char *name;
	struct buf message;
	bool over; /* there is more than one request can carry */
	uint8_t digest[64];
};

static void input_free(struct input *in)
{
	buf_free(&in->message);
	if (in->fd > STDIN_FILENO)
		close(in->fd);
}

#define cleanup_input input_free

static int input_open(struct cli *c, struct input *in, struct err *e)
{
	const char *file = c->argc > 1 ? c->argv[1] : "-";
	bool std = strcmp(file, "-") == 0;

	in->name = std ? "standard input" : file;
	in->fd = std ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (in->fd < 0)
		return err_errno(e, ERR_IO, "cannot open %s", file);
	return 0;
}

static ssize_t input_read(struct input *in, void *p, size_t n, struct err *e)
{
	ssize_t got;

	do
		got = read(in->fd, p, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		err_errno(e, ERR_IO, "cannot read %s", in->name);
	return got;
}

/* Reads up to max bytes, and sees whether there are more. */
static int input_fill(struct input *in, size_t max, struct err *e)
{
	ssize_t got = 1;

	buf_init(&in->message, max + CHUNK);
	while (got > 0 && in->message.len <= max) {
		size_t at = in->message.len;
		uint8_t *p = buf_space(&in->message, max + 1 - at < CHUNK ? max + 1 - at : CHUNK);

		if (!p)
			return err_set(e, ERR_NOMEM, NULL);
		got = input_read(in, p, in->message.len - at, e);
		if (got < 0)
			return -1;
		in->message.len = at + (size_t)got;
	}
	in->over = in->message.len > max;
	return 0;
}

/* Digest of what was read and of the rest of the input. */
static int input_hash(struct input *in, enum mode_hash hash, struct err *e)
{
	const EVP_MD *md = hash == HASH_SHA256	 ? EVP_sha256()
			   : hash == HASH_SHA384 ? EVP_sha384()
						 : EVP_sha512();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	CLEAN(free) uint8_t *chunk = malloc(CHUNK);
	ssize_t got = 1;
	bool good = ctx && chunk && EVP_DigestInit_ex(ctx, md, NULL) == 1 &&
		    EVP_DigestUpdate(ctx, in->message.p, in->message.len) == 1;

	while (good && got > 0 && in->over) {
		got = input_read(in, chunk, CHUNK, e);
		good = got >= 0 && EVP_DigestUpdate(ctx, chunk, (size_t)got) == 1;
	}
	good = good && EVP_DigestFinal_ex(ctx, in->digest, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	if (got < 0)
		return -1;
	return good ? 0 : err_set(e, ERR_INTERNAL, "cannot hash %s", in->name);
}

static const struct mode_row *digest_twin(const struct mode_row *m)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s-digest", m->text);
	return m->input == INPUT_DIGEST ? m : mode_named(text);
}

static int parse_mode(struct cli *c, uint8_t *mode, struct err *e)
{
	const char *text = cli_str(c, "mode");
	const struct mode_row *m = text ? mode_named(text) : NULL;

	*mode = m ? (uint8_t)m->mode : MODE_DEFAULT;
	if (text && !m)
		return err_set(e, ERR_BAD_MODE, "there is no mode '%.40s'", text);
	return 0;
}

/* The digest mode of the key that stands for the asked one: mode changes, and the
 * input is hashed. */
static int prehash(struct cli *c, struct hsm_client *h, struct input *in, uint8_t *mode,
		   struct err *e)
{
	CLEAN(buf) struct buf mem = {0};
	const struct mode_row *m, *d;
	struct key_info k;

	buf_init(&mem, 8192);
	if (hsm_key_get(h, c->argv[0], &mem, &k, e))
		return -1;
	if (*mode == MODE_DEFAULT && key_type_row(k.type))
		*mode = (uint8_t)key_type_row(k.type)->default_mode;
	m = mode_row(*mode);
	d = m ? digest_twin(m) : NULL;
	if (!d || !(k.modes & MODE_BIT(d->mode)))
		return err_set(e, in->over ? ERR_TOO_LARGE : ERR_BAD_MODE,
			       "%s%s: key %s has no digest mode for %s", in->name,
			       in->over ? " is larger than one request can carry" : "", c->argv[0],
			       m ? m->text : "this");
	if (input_hash(in, d->hash, e))
		return -1;
	if (!cli_has(c, "prehash"))
		fprintf(stderr, "note: %s is hashed here and its digest used, mode %s\n", in->name,
			d->text);
	*mode = (uint8_t)d->mode;
	return 0;
}

/* Opens, reads and where needed hashes; then *p of *n bytes is what goes to the HSM. */
static int prepare(struct cli *c, struct input *in, uint8_t *mode, size_t overhead,
		   struct hsm_client **h, const uint8_t **p, size_t *n, struct err *e)
{
	const struct mode_row *m;
	uint32_t max;

	if (parse_mode(c, mode, e) || input_open(c, in, e) || run_open(c, h, e))
		return -1;
	if (hsm_ready(*h, &max, e))
		return -1;
	if (input_fill(in, max > overhead ? max - overhead : 0, e))
		return -1;
	m = mode_row(*mode);
	/* A given digest mode takes the digest itself, unless it is to be made here. */
	if (in->over && m && m->input == INPUT_DIGEST && !cli_has(c, "prehash"))
		return err_set(e, ERR_BAD_LENGTH,
			       "mode %s takes a digest of %zu bytes; --prehash makes it", m->text,
			       mode_hash_len(m->hash));
	*p = in->message.p;
	*n = in->message.len;
	if (!in->over && !cli_has(c, "prehash"))
		return 0;
	if (prehash(c, *h, in, mode, e))
		return -1;
	*p = in->digest;
	*n = mode_hash_len(mode_row(*mode)->hash);
	return 0;
}

static int print_signature(struct cli *c, uint8_t mode, const uint8_t *sig, size_t n, struct err *e)
{
	const struct mode_row *m = mode_row(mode);
	CLEAN(free) char *text = NULL;

	if (!run_json(c))
		return run_bytes(c, sig, n, true, e);
	text = malloc(ENC_BASE64_LEN(n));
	if (!text)
		return err_set(e, ERR_NOMEM, NULL);
	enc_base64(text, sig, n, ENC_STD);
	return run_print(c,
			 json_pack("{s:s, s:s, s:s}", "key", c->argv[0], "mode", m ? m->text : "?",
				   "signature", text),
			 e);
}

int hsm_do_sign(struct cli *c, struct err *e)
{
	CLEAN(input) struct input in = {.fd = -1};
	uint8_t sig[HSM_SIG_MAX], der[SPKI_ECDSA_DER], mode;
	struct hsm_client *h;
	const uint8_t *p;
	struct buf b;
	size_t n, len;

	if (prepare(c, &in, &mode, 0, &h, &p, &n, e))
		return -1;
	if (hsm_sign(h, c->argv[0], &mode, p, n, sig, &len, e))
		return -1;
	const struct mode_row *m = mode_row(mode);

	if (!m || m->type != KEY_P256 || cli_has(c, "raw"))
		return print_signature(c, mode, sig, len, e);
	if (len != SPKI_ECDSA_RAW)
		return err_set(e, ERR_BAD_SIGNATURE_FORM,
			       "the HSM sent an ECDSA signature of %zu "
			       "bytes",
			       len);
	buf_fixed(&b, der, sizeof(der));
	spki_ecdsa_der(&b, sig);
	return print_signature(c, mode, b.p, b.len, e);
}

/* The signature in the HSM's form. */
static int read_signature(struct cli *c, struct hsm_client *h, uint8_t mode, struct buf *sig,
			  struct err *e)
{
	const char *file = cli_str(c, "signature");
	const struct mode_row *m = mode_row(mode);
	unsigned type = m ? m->type : 0;
	CLEAN(buf) struct buf mem = {0};
	uint8_t raw[SPKI_ECDSA_RAW];
	struct key_info k;
	size_t n;

	buf_init(&mem, 8192);
	if (file_read(file, sig, e))
		return -1;
	if (cli_has(c, "base64")) {
		while (sig->len && (sig->p[sig->len - 1] == '\n' || sig->p[sig->len - 1] == '\r'))
			sig->len--;
		buf_put(&mem, sig->p, sig->len);
		if (enc_unbase64(sig->p, sig->cap, &n, (const char *)mem.p, mem.len, ENC_STD))
			return err_set(e, ERR_BAD_SIGNATURE_FORM, "%s is not base64", file);
		sig->len = n;
	}
	if (!type) {
		if (hsm_key_get(h, c->argv[0], &mem, &k, e))
			return -1;
		type = k.type;
	}
	if (type != KEY_P256 || cli_has(c, "raw"))
		return 0;
	if (spki_ecdsa_raw(raw, sig->p, sig->len, e))
		return err_wrap(e, "%s", file);
	buf_reset(sig);
	buf_put(sig, raw, sizeof(raw));
	return 0;
}

int hsm_do_verify(struct cli *c, struct err *e)
{
	CLEAN(input) struct input in = {.fd = -1};
	CLEAN(buf) struct buf sig = {0};
	struct hsm_client *h;
	const uint8_t *p;
	uint8_t mode;
	bool good;
	size_t n;

	buf_init(&sig, 4096);
	if (!cli_str(c, "signature"))
		return cli_usage(e, "--signature FILE is missing");
	if (prepare(c, &in, &mode, HSM_SIG_MAX + 6, &h, &p, &n, e) ||
	    read_signature(c, h, mode, &sig, e))
		return -1;
	good = hsm_verify(h, c->argv[0], mode, p, n, sig.p, sig.len, e) == 0;
	if (!good && e->code != ERR_NOT_VERIFIED)
		return -1;
	if (run_json(c))
		return run_print(c, json_pack("{s:s, s:b}", "key", c->argv[0], "verified", good), e)
			       ? -1
		       : good ? 0
			      : err_row(ERR_NOT_VERIFIED)->exit;
	if (!good)
		return -1;
	fputs("Verified OK\n", run_out(c));
	return 0;
}

int hsm_do_random(struct cli *c, struct err *e)
{
	CLEAN(buf) struct buf out = {0};
	struct hsm_client *h;
	char *end;
	long n;

	buf_init(&out, RANDOM_TOTAL);
	out.secret = true;
	errno = 0;
	n = strtol(c->argv[0], &end, 10);
	if (errno || *end || end == c->argv[0] || n < 1 || n > RANDOM_TOTAL)
		return cli_usage(e, "N is a number from 1 to %d, not '%.40s'", RANDOM_TOTAL,
				 c->argv[0]);
	if (run_open(c, &h, e))
		return -1;
	while (out.len < (size_t)n) {
		size_t left = (size_t)n - out.len;
		size_t part = left < RANDOM_MAX ? left : RANDOM_MAX;
		uint8_t *p = buf_space(&out, part);

		if (!p)
			return err_set(e, ERR_NOMEM, NULL);
		if (hsm_random(h, p, part, e))
			return -1;
	}
	if (!cli_has(c, "hex") && !run_json(c))
		return run_bytes(c, out.p, out.len, true, e);
	CLEAN(json) json_t *hex = json_hex(out.p, out.len);

	if (run_json(c))
		return run_print(c, json_pack("{s:O}", "random", hex), e);
	fprintf(run_out(c), "%s\n", json_string_value(hex));
	return 0;
}
