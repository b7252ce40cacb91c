/* Watches for secrets in bytes that came out of keyd. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/enc.h"
#include "e2e/lib/harness.h"

#define PATTERNS 4096

static struct pattern {
	char name[48];
	const char *form;
	uint8_t *p;
	size_t n;
} patterns[PATTERNS];
static unsigned npatterns, nsecrets, seen;
static _Atomic uint64_t scanned;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void add(const char *name, const char *form, const void *p, size_t n)
{
	struct pattern *x = &patterns[npatterns];

	if (npatterns == PATTERNS)
		give_up("too many secrets");
	(void)snprintf(x->name, sizeof(x->name), "%s", name);
	x->form = form;
	x->n = n;
	x->p = malloc(n);
	if (!x->p)
		give_up("no memory");
	memcpy(x->p, p, n);
	npatterns++;
}

/* Whole groups of three bytes only: what stands around does not matter then. */
static void add_base64(const char *name, const uint8_t *p, size_t n)
{
	for (size_t shift = 0; shift < 3; shift++) {
		size_t len = (n - shift) / 3 * 3;
		char text[ENC_BASE64_LEN(512)];

		enc_base64(text, p + shift, len, ENC_STD);
		add(name, "base64", text, strlen(text));
		enc_base64(text, p + shift, len, ENC_URL);
		add(name, "base64url", text, strlen(text));
	}
}

void secret_add(const char *name, const void *p, size_t n)
{
	char hex[ENC_HEX_LEN(512)];

	if (n < 16 || n > 512)
		give_up("a secret of %zu bytes", n);
	pthread_mutex_lock(&lock);
	nsecrets++;
	/* Halves and the like count as well. */
	for (size_t i = 0; i + 16 <= n; i += 16)
		add(name, "raw", (const uint8_t *)p + i, 16);
	enc_hex(hex, p, n);
	add(name, "hex", hex, 32);
	for (char *c = hex; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	add(name, "hex", hex, 32);
	add_base64(name, p, n < 33 ? n : 33);
	pthread_mutex_unlock(&lock);
}

void secret_scan(const char *where, const void *p, size_t n)
{
	scanned += n;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < npatterns; i++) {
		const struct pattern *x = &patterns[i];

		if (n >= x->n && memmem(p, n, x->p, x->n)) {
			seen++;
			note("SECRET SEEN: %s (%s) on the %s", x->name, x->form, where);
		}
	}
	pthread_mutex_unlock(&lock);
}

unsigned secrets_seen(void)
{
	return seen;
}

unsigned secrets_known(void)
{
	return nsecrets;
}

uint64_t secrets_scanned(void)
{
	return scanned;
}
