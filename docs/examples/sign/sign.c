/* Signs a file with a key that never leaves the HSM:  sign KEY FILE SIGNATURE
 *
 * NATS_URL, HSM_IDENTITY (X…, or @FILE) and HSM_NKEY (file with the seed of the calling
 * user) say where the HSM is, which one it must be, and who asks. SIGN_DEADLINE is the
 * longest wait in seconds (10). Exit status: 0 signed, 1 failed, 2 usage, 7 not now: the
 * service cannot be reached or is locked, and the same command may work later. */
#include <signbox/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 900000 /* what one request carries; sign the digest of larger files */

static int failed(const char *what, const char *why, int status)
{
	fprintf(stderr, "sign: %s: %s\n", what, why);
	return status;
}

static int read_file(const char *path, unsigned char *out, size_t *n)
{
	FILE *f = fopen(path, "rb");
	int bad;

	if (!f)
		return -1;
	*n = fread(out, 1, FILE_MAX + 1, f);
	bad = ferror(f);
	fclose(f);
	return bad ? -1 : 0;
}

/* The file is the old one or a whole new one: who finds it can trust that. */
static int write_file(const char *path, const unsigned char *p, size_t n)
{
	char tmp[4096];
	size_t put;
	FILE *f;

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return -1;
	f = fopen(tmp, "wb");
	if (!f)
		return -1;
	put = fwrite(p, 1, n, f);
	if (fclose(f) || put != n || rename(tmp, path)) {
		remove(tmp);
		return -1;
	}
	return 0;
}

static int status_of(const struct signbox_error *e)
{
	switch (e->code) {
	case SIGNBOX_BUSY:
	case SIGNBOX_TIMEOUT:
	case SIGNBOX_UNAVAILABLE:
	case SIGNBOX_NO_RESPONDERS:
	case SIGNBOX_WRONG_STATE:
		return 7;
	default: /* WRONG_IDENTITY, DENIED, NOT_FOUND, …: asking again does not help */
		return 1;
	}
}

int main(int argc, char **argv)
{
	static unsigned char file[FILE_MAX + 1];
	unsigned char sig[SIGNBOX_SIGNATURE_MAX];
	const char *seconds = getenv("SIGN_DEADLINE");
	struct signbox_options o = {0};
	struct signbox_error e;
	struct signbox *hsm;
	size_t n, siglen;
	long limit = seconds ? strtol(seconds, NULL, 10) : 10;
	int status = 0;

	if (argc != 4)
		return failed("usage", "sign KEY FILE SIGNATURE", 2);
	if (read_file(argv[2], file, &n))
		return failed(argv[2], "cannot be read", 1);
	if (n > FILE_MAX)
		return failed(argv[2], "larger than one request may be", 1);

	signbox_options_env(&o);
	if (limit < 1 || limit > 3600)
		return failed("SIGN_DEADLINE", "is a number of seconds, 1 to 3600", 2);
	o.deadline_ms = limit * 1000;
	if (signbox_open(&hsm, &o, &e))
		return failed("cannot connect", e.text, status_of(&e));
	if (signbox_sign(hsm, argv[1], NULL, file, n, sig, &siglen, &e))
		status = failed(argv[1], e.text, status_of(&e));
	else if (write_file(argv[3], sig, siglen))
		status = failed(argv[3], "cannot be written", 1);
	if (signbox_close(hsm, &e) && status == 0)
		status = failed("closing", e.text, 1);
	return status;
}
