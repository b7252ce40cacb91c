#include "hsm/launcher/boot.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/enc.h"
#include "base/file.h"
#include "base/sandbox.h"
#include "base/secret_file.h"
#include "proto/body.h"

#define DEVICE_KEY_LEN 32
#define DEVICE_KEY_FILE_MAX 128
#define PASSPHRASE_FILE_MAX 4096

/* ---- secrets ---- */

int boot_take_env(struct boot *b, struct err *e)
{
	const char *v = getenv("UNLOCKPW");
	size_t n = v ? strlen(v) : 0;
	int rc = 0;

	if (n > PASSPHRASE_MAX)
		rc = err_set(e, ERR_CONFIG, "UNLOCKPW is longer than %d bytes", PASSPHRASE_MAX);
	if (n && rc == 0) {
		b->passphrase.p = secret_alloc(n);
		b->passphrase.len = n;
		if (b->passphrase.p)
			memcpy(b->passphrase.p, v, n);
		else
			rc = err_set(e, ERR_NOMEM, "no locked memory for UNLOCKPW");
	}
	sandbox_env_wipe("UNLOCKPW");
	return rc;
}

static int decode_key(uint8_t *key, struct secret *text)
{
	const char *s = (const char *)text->p;
	size_t n = 0;

	/* There is room: what was read had one byte more, or its newline. */
	text->p[text->len] = '\0';
	if (text->len == ENC_HEX_LEN(DEVICE_KEY_LEN) - 1)
		return enc_unhex(key, DEVICE_KEY_LEN, s);
	if (text->len == ENC_BASE64_LEN(DEVICE_KEY_LEN) - 1 &&
	    enc_unbase64(key, DEVICE_KEY_LEN, &n, s, text->len, ENC_STD) == 0)
		return n == DEVICE_KEY_LEN ? 0 : -1;
	return -1;
}

/* Somebody who puts the key itself where its path belongs must not find it in a log. */
static bool is_key_itself(const char *path)
{
	const size_t b64 = ENC_BASE64_LEN(DEVICE_KEY_LEN) - 1,
		     hex = ENC_HEX_LEN(DEVICE_KEY_LEN) - 1;
	size_t len = strlen(path), n;
	uint8_t key[DEVICE_KEY_LEN + 1];
	bool found = false;

	if (access(path, F_OK) == 0)
		return false;
	/* The end, because a relative path has become absolute. */
	if (len >= b64)
		found = enc_unbase64(key, sizeof(key), &n, path + len - b64, b64, ENC_STD) == 0;
	if (len >= hex)
		found |= enc_unhex(key, DEVICE_KEY_LEN, path + len - hex) == 0;
	secret_wipe(key, sizeof(key));
	return found;
}

/* A secret of the service, by the rules of base/secret_file.h: a pipe would be read once and
 * not at the next restart. how: where it comes from, and the setting. */
static int read_secret(struct secret *s, const char *what, const char *path, const char *how,
		       size_t max, struct err *e)
{
	CLEAN(fd) int fd = -1;

	if (access(path, F_OK) < 0 && errno == ENOENT)
		return err_set(e, ERR_CONFIG, "%s: %s is not there: %s", what, path, how);
	if (secret_file_open(path, &fd, e) || secret_read_fd(s, fd, path, max, e)) {
		if (e->code != ERR_NOMEM)
			e->code = ERR_CONFIG;
		return err_wrap(e, "%s", what);
	}
	if (s->len == 0)
		return err_set(e, ERR_CONFIG, "%s: %s is empty: %s", what, path, how);
	return 0;
}

static int read_device_key(struct boot *b, const struct config *c, struct err *e)
{
	static const uint8_t zeros[DEVICE_KEY_LEN];
	struct secret text = {0};
	int rc;

	if (is_key_itself(c->device_key_file))
		return err_set(
			e, ERR_NO_DEVICE_KEY,
			"device_key_file (HSM_DEVICE_KEY) is a key; it must be the path of a "
			"file that holds the key");
	if (read_secret(&text, "device key", c->device_key_file,
			"put one there, made with 'openssl rand -base64 32', or name another file "
			"(device_key_file, HSM_DEVICE_KEY)",
			DEVICE_KEY_FILE_MAX, e)) {
		if (e->code == ERR_CONFIG)
			e->code = ERR_NO_DEVICE_KEY;
		return -1;
	}
	b->device_key = secret_alloc(DEVICE_KEY_LEN);
	if (!b->device_key) {
		secret_clear(&text);
		return err_set(e, ERR_NOMEM, "no locked memory for the device key");
	}
	rc = decode_key(b->device_key, &text);
	secret_clear(&text);
	if (rc)
		return err_set(e, ERR_NO_DEVICE_KEY,
			       "device key: %s must hold 32 bytes in base64 or hex and no more; "
			       "make one with: openssl rand -base64 32",
			       c->device_key_file);
	if (secret_equal(b->device_key, zeros, sizeof(zeros)))
		return err_set(e, ERR_NO_DEVICE_KEY,
			       "device key: %s holds zeros only; make one with: openssl rand "
			       "-base64 32",
			       c->device_key_file);
	return 0;
}

/* What `hsm provision` would not have taken cannot be the one. */
static int check_passphrase(const struct secret *s, const char *where, struct err *e)
{
	if (s->len >= PASSPHRASE_MIN && s->len <= PASSPHRASE_MAX)
		return 0;
	return err_set(e, ERR_CONFIG,
		       "unlock passphrase: %s holds %zu bytes; a passphrase has %d to %d, and a "
		       "line end behind it does not count",
		       where, s->len, PASSPHRASE_MIN, PASSPHRASE_MAX);
}

static int read_passphrase(struct boot *b, const struct config *c, struct err *e)
{
	bool named = false;

	for (size_t i = 0; i < NSETTINGS; i++)
		if (strcmp(settings[i].key, "unlock_passphrase_file") == 0)
			named = c->source[i] != SOURCE_DEFAULT;
	if (b->passphrase.p)
		return check_passphrase(&b->passphrase, "UNLOCKPW", e);
	if (!named && access(c->unlock_file, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (read_secret(&b->passphrase, "unlock passphrase", c->unlock_file,
			"put the passphrase there, name another file (unlock_passphrase_file) or "
			"set UNLOCKPW",
			PASSPHRASE_FILE_MAX, e))
		return -1;
	return check_passphrase(&b->passphrase, c->unlock_file, e);
}

int boot_secrets(struct boot *b, const struct config *c, struct err *e)
{
	return read_device_key(b, c, e) || read_passphrase(b, c, e) ? -1 : 0;
}

void boot_free(struct boot *b)
{
	secret_free(b->device_key);
	b->device_key = NULL;
	secret_clear(&b->passphrase);
}

/* ---- machine ---- */

static bool may_lock_all(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {0};

	if (syscall(SYS_capget, &h, d) < 0)
		return false;
	return d[CAP_IPC_LOCK / 32].effective & (1U << CAP_IPC_LOCK % 32);
}

/* Keyd's arena and as much again for roots, passphrases and stacks of secrets. */
static bool memory_locks(const struct config *c)
{
	struct rlimit r;

	if (may_lock_all())
		return true;
	if (getrlimit(RLIMIT_MEMLOCK, &r) < 0)
		return false;
	if (r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		if (setrlimit(RLIMIT_MEMLOCK, &r) < 0)
			return false;
	}
	return r.rlim_cur >= (rlim_t)(c->key_mib + 4) << 20;
}

static bool swap_is_on(void)
{
	CLEAN(buf) struct buf b = {0};
	const char *nl;

	buf_init(&b, 65536);
	if (file_read("/proc/swaps", &b, NULL) || !b.len)
		return false;
	nl = memchr(b.p, '\n', b.len); /* the first line is a heading */
	return nl && (size_t)((const uint8_t *)nl - b.p) + 1 < b.len;
}

void boot_look(struct boot *b, const struct config *c)
{
	uint8_t byte;

	if (getrandom(&byte, 1, GRND_NONBLOCK) != 1)
		b->warnings |= WARN_ENTROPY;
	if (!memory_locks(c)) {
		b->warnings |= WARN_MEMLOCK;
		if (swap_is_on())
			b->warnings |= WARN_SWAP;
	}
	if (!c->anchor_file)
		b->warnings |= WARN_NO_ANCHOR;
	if (c->testing)
		b->warnings |= WARN_TESTING;
}

void boot_warnings_text(uint32_t warnings, struct buf *out)
{
	static const struct {
		enum warning bit;
		const char *word;
	} words[] = {{WARN_MEMLOCK, "memlock"},
		     {WARN_ENTROPY, "entropy"},
		     {WARN_NO_LANDLOCK, "no-landlock"},
		     {WARN_NO_ANCHOR, "no-anchor"},
		     {WARN_SWAP, "swap"},
		     {WARN_TESTING, "testing"}};
	const char *comma = "";

	if (!warnings)
		buf_printf(out, "none");
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (warnings & words[i].bit) {
			buf_printf(out, "%s%s", comma, words[i].word);
			comma = ",";
		}
}
