#include "hsm/testing/secrets.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "base/secret.h"
#include "crypto/crypto.h"

#define RANDOM_MAX 32

/* random: bytes in base64; 0: the seed of a NATS user's NKey, with its public key at */
static const struct item {
	const char *file, *what;
	size_t random, at;
} items[] = {
	{"device_key", "device key", 32, 0},
	{"passphrase", "unlock passphrase", 18, 0},
	{"service.nk", "NKey of the service", 0, offsetof(struct secrets, service)},
	{"admin.nk", "NKey of the administrator", 0, offsetof(struct secrets, admin)},
	{"operator.nk", "NKey of the operator", 0, offsetof(struct secrets, user)},
};
#define NITEMS (sizeof(items) / sizeof(items[0]))

const char *secrets_path(const struct secrets *s, const char *name,
			 char out[static SECRETS_PATH_MAX])
{
	(void)snprintf(out, SECRETS_PATH_MAX, "%s/%s", s->dir, name);
	return out;
}

static int make_text(const struct item *it, char *text, size_t cap, struct err *e)
{
	CLEAN(nkey) struct nkey k = {0};

	if (it->random) {
		CLEAN(secret) uint8_t *raw = secret_alloc(RANDOM_MAX);

		if (!raw || ENC_BASE64_LEN(it->random) > cap)
			return err_set(e, ERR_NOMEM, NULL);
		crypto_random(raw, it->random);
		enc_base64(text, raw, it->random, ENC_STD);
		return 0;
	}
	if (NKEY_SEED_LEN > cap || nkey_generate(&k, NKEY_USER, e))
		return -1;
	nkey_seed_text(&k, text);
	return 0;
}

static int make_one(struct secrets *s, const struct item *it, struct err *e)
{
	const size_t cap = 128;
	char path[SECRETS_PATH_MAX];
	CLEAN(secret) char *text = secret_alloc(cap);
	CLEAN(nkey) struct nkey k = {0};

	if (!text)
		return err_set(e, ERR_NOMEM, NULL);
	secrets_path(s, it->file, path);
	if (access(path, F_OK) < 0) {
		size_t n;

		if (make_text(it, text, cap - 1, e))
			return -1;
		n = strlen(text);
		text[n] = '\n';
		if (file_replace(path, text, n + 1, 0600, e))
			return -1;
	}
	if (it->random)
		return 0;
	if (nkey_read_kind(&k, NKEY_USER, path, e))
		return -1;
	nkey_pub_text(&k, (char *)s + it->at);
	return 0;
}

int secrets_make(struct secrets *s, const char *data, struct err *e)
{
	char path[SECRETS_PATH_MAX];

	if (snprintf(s->dir, sizeof(s->dir), "%s/testing", data) >= (int)sizeof(s->dir))
		return err_set(e, ERR_CONFIG, "the data directory's name is too long");
	(void)snprintf(path, sizeof(path), "%s/store", data);
	if (access(path, F_OK) == 0 && access(s->dir, F_OK) < 0)
		return err_set(e, ERR_CONFIG,
			       "%s holds a store that the test image did not make: give it a "
			       "volume of its own",
			       data);
	if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
		return err_errno(e, ERR_IO, "cannot make %s", s->dir);
	for (size_t i = 0; i < NITEMS; i++)
		if (make_one(s, &items[i], e))
			return -1;
	s->done = access(secrets_path(s, "done", path), F_OK) == 0;
	return 0;
}

int secrets_config(const struct secrets *s, const char *broker, bool nkey, struct err *e)
{
	char path[SECRETS_PATH_MAX];
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 65536);
	buf_printf(&b, "# written by hsm-testing at each start\ntesting: true\n");
	buf_printf(&b, "data: %.*s\n", (int)(strlen(s->dir) - strlen("/testing")), s->dir);
	buf_printf(&b, "device_key_file: %s/device_key\n", s->dir);
	buf_printf(&b, "unlock_passphrase_file: %s/passphrase\n", s->dir);
	buf_printf(&b, "bootstrap_admins:\n  - {name: admin, nkey: %s}\n", s->admin);
	buf_printf(&b, "nats:\n  url: %s\n", broker);
	if (nkey)
		buf_printf(&b, "  nkey: %s/service.nk\n", s->dir);
	if (b.bad)
		return err_set(e, ERR_NOMEM, NULL);
	return file_replace(secrets_path(s, "hsm.yaml", path), b.p, b.len, 0600, e);
}

static int print_one(const struct secrets *s, const struct item *it, struct err *e)
{
	char path[SECRETS_PATH_MAX], head[80];
	CLEAN(buf) struct buf b = {0};

	buf_init(&b, 256);
	b.secret = true;
	(void)snprintf(head, sizeof(head), "  %-27s", it->what);
	buf_put(&b, head, strlen(head));
	if (file_read(secrets_path(s, it->file, path), &b, e))
		return -1;
	return b.bad ? err_set(e, ERR_NOMEM, NULL)
		     : file_write_fd(STDOUT_FILENO, "standard output", b.p, b.len, e);
}

int secrets_print(const struct secrets *s, struct err *e)
{
	static const char head[] = "\nSecrets, printed this once:\n\n";

	if (file_write_fd(STDOUT_FILENO, "standard output", head, sizeof(head) - 1, e))
		return -1;
	for (size_t i = 0; i < NITEMS; i++)
		if (print_one(s, &items[i], e))
			return -1;
	return 0;
}

int secrets_done(struct secrets *s, struct err *e)
{
	char path[SECRETS_PATH_MAX];

	if (file_replace(secrets_path(s, "done", path), "", 0, 0600, e))
		return -1;
	s->done = true;
	return 0;
}
